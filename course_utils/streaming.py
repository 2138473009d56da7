"""Tables larger than memory: Parquet files read in batches, divided over processes and their workers."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from course_utils.distributed import rank, world_size

Batch = tuple[torch.Tensor, torch.Tensor]
CHUNK = 4096  # rows decoded at a time: few enough to forget soon, enough to be fast


class ParquetStream(IterableDataset[Batch]):
    """Batches of the rows of Parquet files, never more of them in memory than ``buffer`` and one row group.

    All processes of a process group and all workers of their loaders together read each row once: each takes an equal
    part, to a row, whatever the number of files and row groups. Read it with :meth:`loader`; it gives whole batches,
    because taking a table apart row by row and putting it together again takes many times as long.

    With ``shuffle`` the row groups come in a random order, another one in each epoch and the same in all processes, and
    their rows pass through a buffer that is drawn from at random. So rows of one group stay near one another: write
    files whose rows are mixed already.

    ``inputs`` becomes float32 (batch, columns); ``target`` int64 (batch,), or float32 if the column holds fractions.
    ``rows`` says how many rows there are, from the files' metadata. In a process group ``batch_size`` is that of each
    process, and batches may be short where the part of a worker ends.

    Args:
        files: a folder (its ``*.parquet`` in the order of their names) or a list of files with the same columns.
        inputs: names of the columns that the model gets.
        target: name of the column to predict.
        batch_size: rows in a batch.
        shuffle: mix the rows, for training.
        seed: decides the order, with the epoch.
        buffer: rows to draw from.

    Raises:
        FileNotFoundError: there is no such file, or no Parquet file in the folder.
        ValueError: a file cannot be read, lacks a column or has it in another type than the first file, a column holds
            no numbers, there are no rows, or, while reading, a cell is empty; or a size is below 1.

    Source: https://arrow.apache.org/docs/python/parquet.html
    """

    divided = True  # over processes: train_epoch and evaluate look here

    def __init__(
        self,
        files: str | Path | Sequence[str | Path],
        *,
        inputs: Sequence[str],
        target: str,
        batch_size: int = 64,
        shuffle: bool = False,
        seed: int = 42,
        buffer: int = 16384,
    ) -> None:
        for name, value in (("batch_size", batch_size), ("buffer", buffer)):
            if value < 1:
                raise ValueError(f"{name} is {value}, but it is a number of rows: give 1 or more.")
        if not inputs or target in inputs or len(set(inputs)) < len(inputs):
            raise ValueError(
                "inputs must name one column or more, each once, and not the target: name what the model gets."
            )
        self.files = sorted(Path(files).glob("*.parquet")) if isinstance(files, (str, Path)) else [*map(Path, files)]
        if not self.files:
            where = f"in {files}" if isinstance(files, (str, Path)) else "in an empty list"
            raise FileNotFoundError(f"There is no Parquet file {where}: give a folder with *.parquet files, or a list.")
        self.columns, self.batch_size, self.shuffle, self.buffer = [*inputs, target], batch_size, shuffle, buffer
        self.generator = torch.Generator().manual_seed(seed)
        kinds: list[Any] = []
        self._groups: list[tuple[Path, int, int]] = []  # file, number in the file, rows
        for path in self.files:
            with _opened(path) as file:
                kinds = self._check(path, file.schema_arrow, kinds)
                sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
            self._groups += [(path, number, size) for number, size in enumerate(sizes)]
        self.rows = sum(size for _, _, size in self._groups)
        if self.rows == 0:
            raise ValueError(f"{self.files[0]} and the other files hold no rows: look at what wrote them.")
        self._whole = str(kinds[-1]).startswith(("int", "uint", "bool"))
        self._place: tuple[int, int] | None = None

    def loader(self, *, num_workers: int = 0) -> DataLoader[Any]:
        """Return the loader of the stream: another order in each epoch, which ``fit`` saves and resumes."""
        pin_memory = torch.cuda.is_available()
        return DataLoader(
            self, batch_size=None, num_workers=num_workers, generator=self.generator, pin_memory=pin_memory
        )

    def __iter__(self) -> Iterator[Batch]:
        generator = torch.Generator()  # not the stream's own, so that all workers find that in the same state
        generator.set_state(self.generator.get_state())
        count = len(self._groups)
        order = torch.randperm(count, generator=generator).tolist() if self.shuffle else range(count)
        chunks = self._chunks([self._groups[number] for number in order])
        yield from self._batches(self._mixed(chunks, generator) if self.shuffle else chunks)

    def __getstate__(self) -> dict[str, Any]:  # for a worker that is started afresh and knows of no process group
        return {**self.__dict__, "_place": self._place or (rank(), world_size())}

    def _check(self, path: Path, schema: Any, kinds: list[Any]) -> list[Any]:
        """Return the types of the columns, which must be those of the first file."""
        import pyarrow as pa  # type: ignore[import-untyped]

        found = []
        for name in self.columns:
            if name not in schema.names:
                raise ValueError(f"{path} has no column {name!r}: it has {', '.join(schema.names)}.")
            kind = schema.field(name).type
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
                raise ValueError(f"Column {name!r} of {path} is {kind}, not numbers: turn it into numbers first.")
            found.append(kind)
        for name, kind, first in zip(self.columns, found, kinds or found, strict=True):
            if kind != first:
                raise ValueError(
                    f"Column {name!r} is {kind} in {path} and {first} in {self.files[0]}: write both in one type."
                )
        return found

    def _chunks(self, groups: list[tuple[Path, int, int]]) -> Iterator[Batch]:
        """Yield this reader's rows of the ``groups``, a few at a time."""
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        number, processes = self._place or (rank(), world_size())
        reader, readers = number * workers + worker, processes * workers
        begin, end = self.rows * reader // readers, self.rows * (reader + 1) // readers
        for path, group, size in groups:
            if begin < size and end > 0:
                place = 0
                for chunk in self._read(path, group):
                    part = slice(max(0, begin - place), max(0, end - place))
                    place += len(chunk[1])
                    if len(chunk[1][part]):
                        yield chunk[0][part], chunk[1][part]
                    if place >= end:
                        break
            begin, end = begin - size, end - size

    def _read(self, path: Path, group: int) -> Iterator[Batch]:
        rows = min(CHUNK, self.buffer)
        with _opened(path) as file:
            for table in file.iter_batches(rows, row_groups=[group], columns=self.columns, use_threads=False):
                for name in self.columns:
                    if table.column(name).null_count:
                        raise ValueError(
                            f"Column {name!r} of {path} has empty cells in row group {group}: fill them, or leave "
                            "their rows out."
                        )
                arrays = [table.column(name).to_numpy(zero_copy_only=False) for name in self.columns]
                inputs = np.stack(arrays[:-1], axis=1, dtype=np.float32, casting="unsafe")
                targets = arrays[-1].astype(np.int64 if self._whole else np.float32)
                yield torch.from_numpy(inputs), torch.from_numpy(targets)

    def _mixed(self, chunks: Iterator[Batch], generator: torch.Generator) -> Iterator[Batch]:
        """Yield the rows of ``chunks`` in a random order: each waits in a buffer until another takes its place."""
        waiting: Batch | None = None
        for chunk in chunks:
            room = self.buffer - (0 if waiting is None else len(waiting[1]))
            first, rest = (chunk[0][:room], chunk[1][:room]), (chunk[0][room:], chunk[1][room:])
            waiting = first if waiting is None else _join([waiting, first])
            if len(rest[1]):
                places = torch.randperm(len(waiting[1]), generator=generator)[: len(rest[1])]
                yield waiting[0][places], waiting[1][places]
                for old, new in zip(waiting, rest, strict=True):
                    old[places] = new
        if waiting is not None:
            places = torch.randperm(len(waiting[1]), generator=generator)
            yield waiting[0][places], waiting[1][places]

    def _batches(self, chunks: Iterator[Batch]) -> Iterator[Batch]:
        """Yield the rows of ``chunks`` as batches, of which only the last is short."""
        left: list[Batch] = []
        for chunk in chunks:
            rows = _join([*left, chunk])
            whole = len(rows[1]) // self.batch_size * self.batch_size
            for begin in range(0, whole, self.batch_size):
                part = slice(begin, begin + self.batch_size)
                yield rows[0][part].clone(), rows[1][part].clone()  # else a batch would keep the chunk in memory
            left = [(rows[0][whole:], rows[1][whole:])]
        if left and len(left[0][1]):
            yield left[0]


def _opened(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}: check the name.")
    try:
        return parquet.ParquetFile(path, buffer_size=2**16)  # else a whole column of the group is read at once
    except pa.ArrowInvalid as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is no Parquet file that can be read ({reason}): write it again.") from error


def _join(parts: Sequence[Batch]) -> Batch:
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
