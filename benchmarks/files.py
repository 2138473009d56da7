"""Images a second through a loader, images in files: decoded in every epoch, or once."""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from benchmarks.make_data import write_photos
from benchmarks.measure import Seconds, interleaved, ratio
from benchmarks.pipelines import BATCH, consume, draw, rows
from benchmarks.report import Goal, Section, machine_line, table
from course_utils import ImageDataset, ImageTxtDataset, make_loader
from course_utils.decoding import decode_images

MEAN, STD = (0.5,) * 3, (0.25,) * 3
EVERY, WORKERS = "PIL in every epoch, DataLoader", "PIL in every epoch, DataLoader, 2 workers"
FIRST, LATER = "decoded once, first epoch with decoding", "decoded once, later epochs"


def ways(listed: Path, cache: Path) -> dict[str, Callable[[], None]]:
    """Return the ways to read the images of a list, normalised and shuffled."""
    plain = ImageTxtDataset(listed)
    normalised = ImageTxtDataset(listed, transform=v2.Normalize(MEAN, STD))

    def loader(images: torch.Tensor) -> DataLoader[Any]:
        return make_loader(ImageDataset(images, plain.labels, mean=MEAN, std=STD), batch_size=BATCH, shuffle=True)

    def write_cache() -> Iterable[Any]:
        cache.unlink(missing_ok=True)
        return loader(decode_images(plain, cache=cache))

    later, mapped = loader(decode_images(plain)), loader(decode_images(plain, cache=cache.with_suffix(".mapped")))
    decode_images(plain, cache=cache)
    loaders: dict[str, Callable[[], Iterable[Any]]] = {
        EVERY: lambda: DataLoader(normalised, BATCH, shuffle=True),
        WORKERS: lambda: DataLoader(normalised, BATCH, shuffle=True, num_workers=2),
        FIRST: lambda: loader(decode_images(plain)),
        "decoded once, first epoch, cache written": write_cache,
        "decoded once, first epoch from an old cache": lambda: loader(
            decode_images(plain, cache=cache.with_suffix(".mapped"))
        ),
        LATER: lambda: later,
        "decoded once, later epochs from the cache": lambda: mapped,
    }
    return {name: lambda make=make: consume(make()) for name, make in loaders.items()}  # type: ignore[misc]


def measure(side: int, suffix: str, count: int, rounds: int) -> Seconds:
    """Return the seconds of all ways on images of one size."""
    with tempfile.TemporaryDirectory() as folder:
        listed = write_photos(Path(folder), count, side, suffix)
        return interleaved(ways(listed, Path(folder) / "cache"), rounds)


def run(rounds: int = 5, count: int = 4000) -> Section:
    torch.set_num_threads(1)
    small, large = measure(32, "png", count, rounds), measure(256, "jpg", count // 4, max(1, rounds - 2))
    later, later_workers = (ratio(small[base], small[LATER]) for base in (EVERY, WORKERS))
    first, first_workers = (ratio(small[base], small[FIRST]) for base in (EVERY, WORKERS))
    goals = [
        Goal(
            "Image files of 32x32, from the second epoch, against PIL in every epoch",
            later,
            50,
            at_least=True,
            more=f"against 2 workers {later_workers:.0f}x",
        ),
        Goal(
            "Image files of 32x32, first epoch with decoding, against PIL without workers",
            first,
            1,
            at_least=True,
            more=f"against 2 workers {first_workers:.2f}x",
        ),
    ]
    tables = [
        table([f"{size}, {number:,} files", "images/s", "x PIL"], rows(seconds, number, lambda _: EVERY))
        for size, number, seconds in (("32x32 PNG", count, small), ("256x256 JPEG", count // 4, large))
    ]
    alt = (
        f"Bars of images a second, on a logarithmic scale: later epochs of images decoded once are {later:.0f} times "
        "as fast as reading the files with PIL in every epoch."
    )
    picture = draw(small, "32x32 PNG files, batches of 64", "files", count, alt)
    text = (
        f"Crops of scikit-learn's two photographs, in the cache of the operating system; batches of {BATCH}, shuffled, "
        f"normalised; {rounds} rounds of the small ones, {max(1, rounds - 2)} of the large ones. An epoch, with its "
        f"workers' start; decoding uses a process for each core.\n\n{tables[0]}\n{tables[1]}\n{picture}"
    )
    return Section("Input pipelines: image files", text, goals, machine_line(1))
