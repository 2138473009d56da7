"""Image files, decoded once into one array of bytes."""

import hashlib
import math
import multiprocessing
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from course_utils.image_list import ImageTxtDataset
from course_utils.whole_files import replacing

MEMORY = 4 * 2**30  # bytes that are held in memory without being asked for a file
AT_ONCE = 32  # images that a worker hands over together
FEW = 32 * 2**20  # bytes of pixels that are decoded before workers have started
MARK = b"images decoded by course_utils"


def decode_images(
    files: ImageTxtDataset,
    *,
    size: tuple[int, int] | None = None,
    cache: str | Path | None = None,
    num_workers: int | None = None,
) -> torch.Tensor:
    """Return all images of ``files`` as uint8 (N, C, H, W), for an :class:`ImageDataset`.

    Decoding a file takes many times as long as anything else that is done to a small image, so it pays to do it once
    and not in every epoch. That suits images that need no random crop from a larger original::

        pixels = decode_images(files, size=(64, 64))
        train = ImageDataset(pixels, files.labels, mean=mean, std=std, augment=RandomFlip())

    Args:
        files: the list of images; its ``transform`` is not applied.
        size: (height, width) that each image is brought to, by bilinear resizing, whatever its proportions. Without
            it they must all be of one size.
        cache: a file that keeps the decoded images. It is written once, whole or not at all, and afterwards mapped into
            memory, so that more images than fit there can be used, and the next program starts at once. It is written
            anew when an image file has another size or time of change than it had, or the list names others. (A
            DataLoader whose workers are fresh processes, as on macOS and Windows, would copy it: leave num_workers 0.)
        num_workers: processes that decode; 0 for none but this one. By default as many as there are processors, where
            starting them costs little (Linux), and the pixels take 32 MiB or more.

    Raises:
        ValueError: ``size`` is no pair of numbers, an image cannot be read or has another size than the first one (the
            sentence names list, line and file), there are more than 4 GiB and no ``cache``, or ``cache`` is a file of
            another kind or not whole.
        FileNotFoundError: an image is not there.
        OSError: the disk fails, or is full.
    """
    if size is not None and not (len(size) == 2 and all(isinstance(side, int) and side >= 1 for side in size)):
        raise ValueError(f"size is {size}: give (height, width), two whole numbers of 1 or more.")
    shape = (len(files), *files.read(0, size).shape)
    needed = math.prod(shape)
    if num_workers is None:
        num_workers = _processors() if needed >= FEW else 0
    batches = [range(begin, min(begin + AT_ONCE, len(files))) for begin in range(0, len(files), AT_ONCE)]
    decoded = DataLoader(
        _Batches(files, size, shape[1:]),
        sampler=batches,
        batch_size=None,
        num_workers=num_workers,
        generator=torch.Generator(),  # else it would draw from the program's random numbers
    )
    if cache is not None:
        path, sources = Path(cache), _sources(files, shape, size)
        if not _holds(path, sources):
            _write(path, shape, decoded, sources)
        return torch.from_numpy(np.load(path, mmap_mode="c"))  # what is changed in the tensor stays out of the file
    if needed > MEMORY:
        raise ValueError(
            f"{len(files):,} images of {' x '.join(map(str, shape[1:]))} bytes take {needed / 2**30:.1f} GiB: give a "
            "cache, a file that they are mapped from, or a smaller size."
        )
    images = torch.empty(shape, dtype=torch.uint8)
    for rows, batch in zip(batches, decoded, strict=True):
        images[rows.start : rows.stop] = _checked(batch)
    return images


class _Batches(Dataset[torch.Tensor | Exception]):
    """Item ``range(128, 192)`` is a tensor of these images, or the error that one of them raised."""

    def __init__(self, files: ImageTxtDataset, size: tuple[int, int] | None, shape: tuple[int, ...]) -> None:
        self._files, self._size, self._shape = files, size, shape

    def __getitem__(self, rows: range) -> torch.Tensor | Exception:
        try:
            return torch.stack([self._read(row) for row in rows])
        except (ValueError, OSError) as error:  # raised in a worker, it would arrive in the text of a traceback
            return error

    def _read(self, row: int) -> torch.Tensor:
        image = self._files.read(row, self._size)
        if image.shape != self._shape:
            raise ValueError(
                f"{self._files.where(row)}: the image has {image.shape[1]} x {image.shape[2]} pixels, the first one "
                f"{self._shape[1]} x {self._shape[2]}: give a size for all."
            )
        return image


def _processors() -> int:
    """Return how many processes may decode, where they start as copies of this one (Linux); else 0."""
    start = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    return len(os.sched_getaffinity(0)) if start == "fork" and hasattr(os, "sched_getaffinity") else 0


def _checked(batch: torch.Tensor | Exception) -> torch.Tensor:
    if isinstance(batch, Exception):
        raise batch
    return batch


def _sources(files: ImageTxtDataset, shape: tuple[int, ...], size: tuple[int, int] | None) -> bytes:
    """Return what tells these images in their present state from any others."""
    digest = hashlib.sha256(repr((shape, files.mode, size)).encode())
    for row in range(len(files)):
        path = files.path(row)
        try:
            found = path.stat()
        except OSError:
            files.read(row)  # says in which line
            raise
        digest.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\0".encode(errors="surrogateescape"))
    return digest.digest()


def _holds(path: Path, sources: bytes) -> bool:
    """Whether ``path`` is a cache of these ``sources``: they stand at its end, after MARK.

    Raises:
        ValueError: it is a file of another kind, or not whole.
    """
    if not path.exists():
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(MARK) - len(sources)))
        end = file.read()
    if not end.startswith(MARK):
        raise ValueError(f"{path} is no whole cache of decoded images: delete it, or give another name.")
    return end == MARK + sources


def _write(path: Path, shape: tuple[int, ...], decoded: Iterable[torch.Tensor | Exception], sources: bytes) -> None:
    """Write a NumPy file beside ``path`` (not through a map: a full disk would kill us), then give it its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for batch in decoded:
            file.write(_checked(batch).numpy().data)
        file.write(MARK + sources)
