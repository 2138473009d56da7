"""Images that a text file lists, one path and one class number a line."""

import errno
import os
import re
import warnings
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from course_utils.image_files import resized, to_tensor, upright

LINE = re.compile(rb"[^\n]*\n|[^\n]+\Z")
# A path, in quotes or not, then spaces or a comma, then the class number.
ENTRY = re.compile(
    rb"""\s*(?:(["'])(?P<quoted>[^\r\n]+)\1|(?P<plain>[^\s,"'#](?:[^\r\n]*[^\s,])?))[\s,]+(?P<label>[0-9]{1,9})\s*"""
)
NO_LABEL = -1  # in place of the label of a bad line, whose path is then the whole line


class ImageTxtDataset(Dataset[tuple[torch.Tensor, int]]):
    """Labelled images in files, named by a text file with lines like ``train/ship/0148.jpg 8``.

    Item ``i`` is ``(image, label)``: the image as float32 (C, H, W) in [0, 1], turned upright as its EXIF data says,
    passed through ``transform`` if there is one; the label as an int. With ``transform=v2.Normalize(mean, std)`` that
    is what :class:`ImageDataset` gives. Images of several sizes need a resize or crop in ``transform`` to form batches.

    A line is a path, then spaces, tabs or a comma, then a class number from 0. The last field is the label, so that
    paths may hold spaces; they may also stand in quotes. Empty lines and lines that begin with ``#`` say nothing. Line
    ends of Windows and a byte-order mark are read over. A million lines open in about a second, and what is kept is the
    text and 28 bytes a line in a few arrays, which worker processes share.

    Args:
        list_file: the text file, in UTF-8.
        root: folder that relative paths start from; by default the list's own.
        num_classes: labels must be below this; by default any number will do.
        transform: applied to every image (float32, C x H x W, in [0, 1]) each time it is read.
        mode: "RGB" for three channels, "L" for one; grey, palette and transparent images are converted.
        check: what is looked at now, and not when an image is read. "lines": the list alone. "files": that every file
            is there, too (each folder is listed once). "images": every image is read once, which takes as long as an
            epoch of reading.
        on_error: "raise" at the first problem, or "skip": leave out every line that ``check`` finds bad, say so in one
            warning, and list them in ``problems``. What is found later, in reading an image, is raised either way.

    Attributes:
        labels: class numbers, int64 (N,).
        problems: a sentence for each line that was left out.

    Raises:
        ValueError: a line is bad, an image cannot be read (the sentence names list, line and file), no line is left,
            the list is not in UTF-8, or an argument is none of its values.
        FileNotFoundError: there is no list, or an image is not there (the sentence names list, line and file).
        OSError: the disk or the network fails, or reading is not allowed.
    """

    def __init__(
        self,
        list_file: str | Path,
        *,
        root: str | Path | None = None,
        num_classes: int | None = None,
        transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
        mode: Literal["RGB", "L"] = "RGB",
        check: Literal["lines", "files", "images"] = "lines",
        on_error: Literal["raise", "skip"] = "raise",
    ) -> None:
        if num_classes is not None and num_classes < 1:
            raise ValueError(f"num_classes is {num_classes}, but it counts the classes: give 1 or more.")
        for name, value, values in (
            ("mode", mode, ("RGB", "L")),
            ("check", check, ("lines", "files", "images")),
            ("on_error", on_error, ("raise", "skip")),
        ):
            if value not in values:
                raise ValueError(f"{name} is {value!r}: give one of {', '.join(map(repr, values))}.")
        self.list_file = Path(list_file)
        self.root = self.list_file.parent if root is None else Path(root)
        self.transform = transform
        self.mode = mode
        if not self.list_file.is_file():
            raise FileNotFoundError(f"There is no list {self.list_file}: give the text file that names the images.")
        content = self.list_file.read_bytes()
        if b"\0" in content:
            raise ValueError(
                f"{self.list_file} is not text in UTF-8 (UTF-16, as PowerShell writes it?): save it in UTF-8."
            )
        self._text = np.frombuffer(content, np.uint8)  # of which every line is a slice
        table = _parse(content, 3 if content.startswith(b"\xef\xbb\xbf") else 0)
        self._starts, self._ends, self._lines = table[0], table[1], table[3]
        self.labels = torch.from_numpy(table[2])

        found: list[tuple[int, Exception]] = []
        finders = [self._bad_lines(num_classes)]
        finders += [self._missing_files()] if check == "files" else []
        finders += [self._bad_images()] if check == "images" else []
        for finder in finders:
            skipped = []
            for index, problem in finder:
                if on_error == "raise":
                    raise problem
                skipped.append(index)
                found.append((int(self._lines[index]), problem))
            self._leave_out(skipped)
        self.problems = tuple(str(problem) for _, problem in sorted(found, key=lambda pair: pair[0]))
        if len(self) == 0:
            first = f", the first because of {self.problems[0]}" if self.problems else ""
            raise ValueError(f"{self.list_file} lists no image{first}: write lines like 'train/ship/0148.jpg 8'.")
        if self.problems:
            text = f"{len(self.problems)} of {len(self) + len(self.problems)} images are left out ({self.problems[0]})"
            warnings.warn(f"{text}; the attribute problems lists them all.", stacklevel=2)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = self.read(index).float().div_(255)
        return image if self.transform is None else self.transform(image), int(self.labels[index])

    def path(self, index: int) -> Path:
        """Return where the image of item ``index`` is."""
        return self.root / os.fsdecode(self._text[self._starts[index] : self._ends[index]].tobytes())

    def read(self, index: int, size: tuple[int, int] | None = None) -> torch.Tensor:
        """Return the image of item ``index`` as it is in the file, or of ``size`` (height, width): uint8 (C, H, W)."""
        from PIL import Image

        path = self.path(index)
        try:
            # Not by its name: Pillow 13 would map an uncompressed TIFF, and mix up its rows if it is to be turned.
            with path.open("rb") as file, Image.open(file) as image:
                return to_tensor(resized(upright(image, self.mode), size))
        except FileNotFoundError as error:
            raise self._missing(index) from error
        except MemoryError:
            raise
        except Exception as error:  # Pillow raises any type at all for damaged files
            reason = " ".join(str(error).split())
            if getattr(error, "errno", None) not in (None, errno.EISDIR):  # the disk or the network, not the image
                raise OSError(f"{self.where(index)}: the image {path} cannot be read ({reason}).") from error
            raise ValueError(f"{self.where(index)}: the image {path} cannot be read ({reason}): replace it.") from error

    def where(self, index: int) -> str:
        """Return list and line of item ``index``, for a sentence about it."""
        return f"{self.list_file}, line {self._lines[index]}"

    def _missing(self, index: int) -> FileNotFoundError:
        path = self.path(index)
        advice = "write / in place of \\" if "\\" in str(path) and os.sep == "/" else "correct the line, or give root"
        return FileNotFoundError(f"{self.where(index)}: there is no file {path}: {advice}.")

    def _bad_lines(self, num_classes: int | None) -> Iterator[tuple[int, Exception]]:
        labels = self.labels.numpy()
        limit = labels.max(initial=0) + 1 if num_classes is None else num_classes
        for index in np.flatnonzero((labels < 0) | (labels >= limit)).tolist():
            text = os.fsdecode(self._text[self._starts[index] : self._ends[index]].tobytes())[:80]
            problem = f"{text!r} is not a path, a space and a class number from 0"
            if labels[index] >= 0:
                problem = f"the class {labels[index]} is none of the {limit} classes from 0 to {limit - 1}"
            elif text[0] in "\"'" and text.count(text[0]) == 1:
                problem = f"the quote that begins {text!r} does not end before the class number"
            yield index, ValueError(f"{self.where(index)}: {problem}: correct the line, or pass on_error='skip'.")

    def _missing_files(self) -> Iterator[tuple[int, Exception]]:
        listed: dict[str, set[str]] = {}
        for index in range(len(self)):
            folder, name = os.path.split(self.path(index))
            if folder not in listed:
                listed[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
            if name not in listed[folder] and not self.path(index).is_file():  # where case does not count
                yield index, self._missing(index)

    def _bad_images(self) -> Iterator[tuple[int, Exception]]:
        for index in range(len(self)):
            try:
                self.read(index)
            except (FileNotFoundError, ValueError) as problem:
                yield index, problem

    def _leave_out(self, indices: list[int]) -> None:
        if indices:
            kept = np.ones(len(self), dtype=bool)
            kept[indices] = False
            self._starts, self._ends, self._lines = self._starts[kept], self._ends[kept], self._lines[kept]
            self.labels = self.labels[torch.from_numpy(kept)]


def _parse(content: bytes, begin: int) -> tuple[NDArray[Any], ...]:
    """Return the begin and end of each path, its label and its line number, from byte ``begin`` on.

    Numbers in arrays: a million str and tuples would fill several times the memory, and again in every worker.
    """
    starts, ends, labels, lines = array("q"), array("q"), array("q"), array("i")
    for number, line in enumerate(LINE.finditer(content, begin), start=1):
        entry = ENTRY.fullmatch(content, line.start(), line.end())
        if entry is not None:
            (start, end), label = entry.span("quoted" if entry[1] else "plain"), int(entry["label"])
        else:
            text = line[0].strip()
            if not text or text.startswith(b"#"):
                continue
            start, label = content.index(text, line.start()), NO_LABEL
            end = start + len(text)
        starts.append(start)
        ends.append(end)
        labels.append(label)
        lines.append(number)
    return tuple(np.array(column) for column in (starts, ends, labels, lines))
