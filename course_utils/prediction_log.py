"""What a model was asked and what it answered, in an SQLite file that does not grow without end."""

import contextlib
import operator
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

FORMAT = 0x434C4F47  # SQLite's application_id of such a file
DTYPES = {"uint8": np.uint8, "float32": np.float32}
TABLES = f"""
    PRAGMA application_id = {FORMAT};
    CREATE TABLE form (dtype TEXT NOT NULL, shape TEXT NOT NULL);
    CREATE TABLE predictions (
        id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice, so that a label cannot reach another sample
        time REAL NOT NULL, version TEXT NOT NULL, label TEXT NOT NULL, probability REAL NOT NULL,
        inputs BLOB NOT NULL, truth TEXT
    );
"""


@dataclass(frozen=True)
class Logged:
    """N predictions, oldest first: ids, times (seconds since 1970), versions of the model, labels, probabilities.

    ``inputs`` are the samples (N, ...) as the model got them, ``truths`` the labels that came later, None where none
    did.
    """

    ids: tuple[int, ...]
    times: tuple[float, ...]
    versions: tuple[str, ...]
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    inputs: torch.Tensor
    truths: tuple[str | None, ...]


class PredictionLog:
    """The newest predictions of a service, with their inputs and, once they are known, the true labels.

    Several threads and processes may write and read at once. A process that is killed leaves whole calls of
    :meth:`append` behind, or nothing of them. Inputs may be people's data: keep no more than you may. What is
    deleted is written over in the file; in the journal beside it (``-wal``) it stays until the log is closed.

    Args:
        path: the SQLite file; made if it is not there.
        keep: so many predictions stay; older ones are deleted as new ones come, and their room is used again.

    Raises:
        ValueError: ``keep`` is less than 1, or the file is something else.
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str | Path, *, keep: int = 100_000) -> None:
        if keep < 1:
            raise ValueError(f"keep is {keep}, but a log keeps at least 1 prediction.")
        self.path, self.keep = Path(path), keep
        self._lock = threading.Lock()
        with self._errors():
            self._database = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
        try:
            with self._errors():
                self._check()
                # What is new goes to one more file: a reader never waits for a writer, nor a writer for a reader.
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = NORMAL")
                self._database.execute("PRAGMA journal_size_limit = 4000000")
                self._database.execute("PRAGMA secure_delete = ON")  # what is deleted is written over
            with self._transaction():
                if self._check():
                    for statement in TABLES.split(";"):
                        self._database.execute(statement)
        except BaseException:
            self._database.close()
            raise

    def append(
        self, version: str, labels: Sequence[str], probabilities: Sequence[float], inputs: torch.Tensor
    ) -> list[int]:
        """Write N predictions of one ``version`` of a model, and return their ids.

        Args:
            version: of the model that made them.
            labels: N predicted classes.
            probabilities: N probabilities of these.
            inputs: uint8 or float32 (N, ...), as the model got them.

        Raises:
            ValueError: there are not as many of one as of the other, a probability is not from 0 to 1, or the inputs
                have another dtype or shape than those before them.
            OSError: the file cannot be written; then nothing is.
        """
        if not len(labels) == len(probabilities) == len(inputs):
            raise ValueError(
                f"There are {len(labels)} labels, {len(probabilities)} probabilities and {len(inputs)} inputs: give "
                "one of each for every sample."
            )
        if inputs.dtype not in (torch.uint8, torch.float32):
            raise ValueError(f"The inputs are {inputs.dtype}: give torch.uint8 or torch.float32.")
        form = (str(inputs.dtype).removeprefix("torch."), ",".join(map(str, inputs.shape[1:])))
        now, array = time.time(), inputs.detach().cpu().numpy()
        # NumPy's numbers and strings would be stored as bytes.
        rows = [
            (now, str(version), str(label), float(probability), sample.tobytes())
            for label, probability, sample in zip(labels, probabilities, array, strict=True)
        ]
        for row in rows:
            if not 0 <= row[3] <= 1:
                raise ValueError(f"A probability is {row[3]}: give numbers from 0 to 1.")
        if not rows:
            return []
        with self._transaction():
            known = self._form()
            if known is None:
                self._database.execute("INSERT INTO form VALUES (?, ?)", form)
            elif known != form:
                raise ValueError(
                    f"{self.path} holds inputs of type {known[0]} and shape ({known[1]}), these are {form[0]} "
                    f"({form[1]}): write them into a file of their own."
                )
            self._database.executemany(
                "INSERT INTO predictions (time, version, label, probability, inputs) VALUES (?, ?, ?, ?, ?)", rows
            )
            last = int(self._database.execute("SELECT max(id) FROM predictions").fetchone()[0])
            self._database.execute("DELETE FROM predictions WHERE id <= ?", (last - self.keep,))
        return list(range(last - len(rows) + 1, last + 1))

    def add_truth(self, truths: Mapping[int, str]) -> int:
        """Note the true labels of predictions by their ids, and return how many of these are still there.

        Raises:
            OSError: the file cannot be written; then nothing is.
        """
        with self._transaction():
            return self._database.executemany(
                "UPDATE predictions SET truth = ? WHERE id = ?",
                [(str(label), operator.index(key)) for key, label in truths.items()],
            ).rowcount

    def read(self, *, since: float = 0.0, version: str | None = None) -> Logged:
        """Return the predictions from the time ``since`` on (seconds since 1970), of one ``version`` or of all.

        Raises:
            OSError: the file cannot be read.
        """
        with self._lock, self._errors():
            rows = self._database.execute(
                "SELECT id, time, version, label, probability, truth, inputs FROM predictions "
                "WHERE time >= ? AND (? IS NULL OR version = ?) ORDER BY id",
                (since, version, version),
            ).fetchall()
            dtype, sizes = self._form() or ("uint8", "0")
        ids, times, versions, labels, probabilities, truths, blobs = zip(*rows, strict=True) if rows else ((),) * 7
        shape = (len(rows), *(int(size) for size in sizes.split(",") if size))
        array = np.frombuffer(b"".join(blobs), DTYPES[dtype]).reshape(shape)
        return Logged(ids, times, versions, labels, probabilities, torch.from_numpy(array.copy()), truths)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def _check(self) -> bool:
        """Return whether the file is empty; refuse one that another program wrote, before anything in it changes."""
        empty = self._database.execute("SELECT name FROM sqlite_master").fetchone() is None
        if not empty and self._database.execute("PRAGMA application_id").fetchone() != (FORMAT,):
            raise ValueError(f"{self.path} is another program's database: give another file.")
        return empty

    def _form(self) -> tuple[str, str] | None:
        form: tuple[str, str] | None = self._database.execute("SELECT dtype, shape FROM form").fetchone()
        return form

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._errors():
            self._database.execute("BEGIN IMMEDIATE")  # a second writer waits here, and not half-way
            try:
                yield
            except BaseException:
                if self._database.in_transaction:  # with a full disk SQLite has rolled back itself
                    self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                raise ValueError(f"{self.path} is no log of predictions: give another file.") from error
            raise OSError(
                f"The log {self.path} failed ({error}): look after its folder, its rights and its room."
            ) from error
