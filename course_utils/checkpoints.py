"""Checkpoint files: there whole or not at all, and checked when they are read."""

import contextlib
import errno
import io
import os
import pickle
import re
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from course_utils.whole_files import replacing, sync_folder

FORMAT = "course_utils checkpoint 1"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# epoch_0003.pt after three epochs, epoch_0004_batch_000120.pt inside the fourth.
NAME = re.compile(r"epoch_(\d{4,})(?:_batch_(\d{6,}))?\.pt")


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written, read or used; the sentence says which one, why, and what to do."""


def save_checkpoint(path: str | Path, state: dict[str, Any]) -> None:
    """Write ``state`` to ``path`` in one step: who reads it finds the old file or the new one, never half of one.

    ``state`` may hold tensors, numbers, strings, None, and dicts, lists and tuples of them: what ``state_dict``
    returns, and what :func:`load_checkpoint` can read without running code. It is put together in memory first. The
    same holds after the power fails, as far as the disk keeps its promises.

    Raises:
        CheckpointError: the disk is full, the folder cannot be written to, or ``state`` holds what cannot be saved.
            What stood at ``path`` before still stands there.
        ValueError: ``state`` has a key ``"format"``, which marks the file as a checkpoint.
    """
    if "format" in state:
        raise ValueError("The key 'format' marks a file as a checkpoint: give this part of the state another name.")
    content = io.BytesIO()
    try:
        torch.save({"format": FORMAT, **state}, content)
        content.seek(0)
        torch.load(content, map_location="meta", weights_only=True)  # without the numbers: is all of it allowed?
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path} was not written: the state {_holds(error)}") from error
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise CheckpointError(
            f"{path} was not written, because a part of the state cannot be saved ({_reason(error)}): save state_dicts "
            "of tensors and plain values."
        ) from error
    write_file(Path(path), content.getbuffer())


def write_file(path: Path, content: bytes | memoryview) -> None:
    """Write ``content`` beside ``path``, bring it to the disk, and only then give it its name.

    Raises:
        CheckpointError: as :func:`save_checkpoint` does.
    """
    try:
        with replacing(path) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CheckpointError(
            f"{path} could not be written ({_reason(error)}): "
            f"{'make room' if error.errno in FULL else 'look after the folder'}, or choose another one."
        ) from error
    sync_folder(path.parent)


def add_name(path: Path, name: str) -> None:
    """Give the file ``path`` the second name ``name`` in its folder, in one step; a copy where the disk has no links.

    Raises:
        CheckpointError: as :func:`save_checkpoint` does.
    """
    target = path.with_name(name)
    part = path.with_name(name + ".part")
    try:
        part.unlink(missing_ok=True)
        os.link(path, part)
        part.replace(target)
        part.unlink(missing_ok=True)  # it stays if both were names of the same file already
    except OSError:
        write_file(target, path.read_bytes())
    else:
        sync_folder(path.parent)


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Return the state that :func:`save_checkpoint` wrote to ``path``, with all tensors on the CPU.

    Every byte is compared with its checksum first, which ``torch.load`` does not do, and nothing in the file can run
    code (``weights_only=True``). ``load_state_dict`` takes the tensors to the device where they belong.

    Raises:
        CheckpointError: there is no such file, it is damaged, or something else wrote it.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({_reason(error)}): check the path.") from error
    if not content:
        raise CheckpointError(f"{path} is empty: it was damaged after it was written; use another checkpoint.")
    if not content.startswith(b"PK"):
        raise CheckpointError(f"{path} is no checkpoint, or damaged: use one that save_checkpoint or fit wrote.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"{damaged} does not fit its checksum")
        state: Any = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path} {_holds(error)}") from error
    except MemoryError:
        raise
    except Exception as error:  # what a damaged archive makes zipfile and torch raise is not documented
        raise CheckpointError(f"{path} is damaged ({_reason(error)}): use another checkpoint.") from error
    contents: dict[str, Any] = state if isinstance(state, dict) else {}
    found_format = contents.pop("format", None)
    if isinstance(found_format, str) and found_format != FORMAT:
        raise CheckpointError(f"{path} is a {found_format}, this is for {FORMAT}: use the version that wrote it.")
    if found_format is None:
        raise CheckpointError(
            f"{path} is a file of PyTorch's, but no checkpoint: use one that save_checkpoint or fit wrote."
        )
    return contents


def prepare_folder(folder: Path, *, resume: bool) -> None:
    """Make ``folder`` ready for checkpoints, so that what cannot work fails before the first epoch, not after it.

    Raises:
        CheckpointError: the folder cannot be made or written to.
        FileExistsError: it holds checkpoints, and they are not to be resumed from.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CheckpointError(
            f"Checkpoints cannot be written to {folder} ({_reason(error)}): give a folder that you may write to."
        ) from error
    found = list_checkpoints(folder)
    if found and not resume:
        raise FileExistsError(
            f"{folder} holds the checkpoints of another training, up to {found[-1].name}: pass resume=True to go on "
            "with it, or give another checkpoint_dir."
        )
    if not found and (folder / "best.pt").exists():
        raise FileExistsError(
            f"{folder} holds a best.pt, but no checkpoint to go on from, and training would write over it: move it "
            "away, or give another checkpoint_dir."
        )
    for part in folder.glob("*.pt.*part"):  # of a program that was killed while it wrote
        name = f"{part.name.partition('.pt.')[0]}.pt"
        if NAME.fullmatch(name) or name == "best.pt":
            part.unlink(missing_ok=True)


def checkpoint_name(epoch: int, batch: int = 0) -> str:
    """Return the name of the file after ``epoch`` whole epochs, or after ``batch`` batches of the next one."""
    return f"epoch_{epoch + 1:04d}_batch_{batch:06d}.pt" if batch else f"epoch_{epoch:04d}.pt"


def list_checkpoints(folder: str | Path) -> list[Path]:
    """Return the checkpoints of ``fit`` in ``folder``, apart from ``best.pt``; the one that got farthest is last."""
    return sorted((path for path in Path(folder).glob("epoch_*.pt") if NAME.fullmatch(path.name)), key=_progress)


def latest_checkpoint(folder: str | Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the checkpoint in ``folder`` that got farthest, as its path and its state; None if there is none.

    One that cannot be read is passed over, with a warning, for the one before it, and gets a name that ends in
    ``.damaged``: so it is out of the way, and not lost.

    Raises:
        CheckpointError: there are checkpoints, but none of them can be read.
    """
    reason = None
    for path in reversed(list_checkpoints(folder)):
        try:
            state = load_checkpoint(path)
        except CheckpointError as error:
            with contextlib.suppress(OSError):
                path.replace(path.with_name(path.name + ".damaged"))
            warnings.warn(
                f"{error} Looking for the checkpoint before it; this one is now {path.name}.damaged.",
                RuntimeWarning,
                stacklevel=2,
            )
            reason = error
        else:
            return path, state
    if reason is not None:
        raise CheckpointError(
            f"No checkpoint in {folder} can be read, so the training cannot be resumed: start it in another folder. "
            f"{reason}"
        ) from reason
    return None


def remove_old(folder: Path, keep_last: int) -> None:
    """Delete all but the last ``keep_last`` checkpoints of whole epochs, and as many inside the epoch under way."""
    paths = list_checkpoints(folder)
    whole = [path for path in paths if _progress(path)[1] == 0]
    done = _progress(whole[-1]) if whole else (0, 0)
    inside = [path for path in paths if path not in whole and _progress(path) > done]
    for path in set(paths) - set(whole[-keep_last:]) - set(inside[-keep_last:]):
        with contextlib.suppress(OSError):  # it is in use elsewhere: no reason to end a training
            path.unlink(missing_ok=True)


def _progress(path: Path) -> tuple[int, int]:
    """Return how many epochs are done in a checkpoint, and how many batches of the next, from its name."""
    match = NAME.fullmatch(path.name)
    assert match is not None
    epoch, batch = int(match[1]), match[2]
    return (epoch, 0) if batch is None else (epoch - 1, int(batch))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]


def _holds(error: pickle.UnpicklingError) -> str:
    found = re.search(r"GLOBAL (\S+)", str(error))
    return (
        f"holds {found[1] if found else 'an object'}, no tensor or plain value, so reading it could run code: save "
        "state_dicts, and turn NumPy's numbers into float()."
    )
