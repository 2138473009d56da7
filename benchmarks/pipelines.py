"""Images a second through a loader, images in memory: torchvision's way, PyTorch's, the course's, and bare indexing."""

import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.make_data import distorted_digits, write_idx
from benchmarks.measure import Seconds, interleaved, ratio, ratios
from benchmarks.report import Goal, Section, bars, machine_line, spread, table
from course_utils import ImageDataset, make_loader
from course_utils.augmenting import RandomFlip, RandomShift

BATCH = 64
MNIST, MNIST_WORKERS = "torchvision's MNIST, DataLoader", "torchvision's MNIST, DataLoader, 2 workers"
OURS, INDEXING, COPY = "make_loader(ImageDataset)", "bare indexing loop", "plain copy of the same floats"


def consume(batches: Iterable[Any]) -> None:
    """Read all batches."""
    for _ in batches:
        pass


def grey(folder: Path, count: int) -> dict[str, Callable[[], None]]:
    """Return the ways to read ``count`` grey images of 28x28 pixels in random order, normalised."""
    from torchvision import datasets, transforms

    write_idx(folder, distorted_digits(count), distorted_digits(100, seed=1))
    to_tensor = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.13,), (0.31,))])
    mnist = datasets.MNIST(folder, train=True, transform=to_tensor)
    images, labels = mnist.data.unsqueeze(1), mnist.targets
    data = ImageDataset(images, labels, mean=(0.13,), std=(0.31,))
    floats = TensorDataset(*data[list(range(count))])

    def bare() -> Iterator[Any]:
        for rows in torch.randperm(count).split(BATCH):
            yield images[rows].float().div_(255).sub_(0.13).div_(0.31), labels[rows]

    loaders: dict[str, Callable[[], Iterable[Any]]] = {
        MNIST: lambda: DataLoader(mnist, BATCH, shuffle=True),
        MNIST_WORKERS: lambda: DataLoader(mnist, BATCH, shuffle=True, num_workers=2),
        "ImageDataset, plain DataLoader": lambda: DataLoader(data, BATCH, shuffle=True),
        "TensorDataset of floats, plain DataLoader": lambda: DataLoader(floats, BATCH, shuffle=True),
        "make_loader(TensorDataset)": lambda: make_loader(floats, batch_size=BATCH, shuffle=True),
        OURS: lambda: make_loader(data, batch_size=BATCH, shuffle=True),
        INDEXING: bare,
        COPY: lambda: (batch.clone() for batch in floats.tensors[0].split(BATCH)),
    }
    return {name: lambda make=make: consume(make()) for name, make in loaders.items()}  # type: ignore[misc]


def colour(count: int) -> dict[str, Callable[[], None]]:
    """Return the ways to read ``count`` colour images of 32x32 pixels, changed at random."""
    from torchvision.transforms import v2

    torch.manual_seed(0)
    images, labels = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8), torch.randint(0, 10, (count,))
    crop = v2.RandomCrop(32, padding=4, padding_mode="reflect")
    augments = {
        "flip, v2 per image": v2.RandomHorizontalFlip(),
        "flip, RandomFlip": RandomFlip(),
        "flip and shift, v2 per image": v2.Compose([v2.RandomHorizontalFlip(), crop]),
        "flip and shift, RandomFlip and RandomShift": nn.Sequential(RandomFlip(), RandomShift(4)),
    }
    ways: dict[str, Callable[[], None]] = {}
    for name, augment in augments.items():
        data = ImageDataset(images, labels, mean=(0.5,) * 3, std=(0.25,) * 3, augment=augment)
        loader = (
            DataLoader(data, BATCH, shuffle=True) if "v2" in name else make_loader(data, batch_size=BATCH, shuffle=True)
        )
        ways[name] = lambda loader=loader: consume(loader)  # type: ignore[misc]
    return ways


def rows(seconds: Seconds, count: int, base: Callable[[str], str]) -> list[list[str]]:
    """Return a row for each way: images a second, and how many times that of its ``base``."""
    return [
        [
            name,
            spread([count / value for value in times]),
            spread([1 / value for value in ratios(times, seconds[base(name)])]),
        ]
        for name, times in seconds.items()
    ]


def draw(seconds: Seconds, title: str, name: str, count: int, alt: str) -> str:
    """Draw images a second, on a logarithmic axis."""
    ours = ("make_loader", "RandomFlip", "decoded")
    values = {way: count / statistics.median(times) for way, times in seconds.items()}
    limits = min(values.values()) / 2, max(values.values()) * 4
    axis = {"xscale": "log", "xlim": limits, "xlabel": "images a second (logarithmic)"}
    return bars(values, ours, name, alt, title=title, **axis)


def run(rounds: int = 7, count: int = 20_000) -> Section:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = interleaved(grey(Path(folder), count), rounds)
        changed = interleaved(colour(count // 2), rounds)
    speed_up, workers = (ratio(found[base], found[OURS]) for base in (MNIST, MNIST_WORKERS))
    goals = [
        Goal(
            "In-memory images against torchvision's MNIST through a DataLoader",
            speed_up,
            20,
            at_least=True,
            more=f"against its 2 workers {workers:.0f}x",
        ),
        Goal(
            "In-memory images against the bare indexing loop",
            ratio(found[INDEXING], found[OURS]),
            0.9,
            at_least=True,
        ),
    ]
    first = table(["28x28 grey images in memory", "images/s", "x MNIST"], rows(found, count, lambda _: MNIST))
    second = table(
        ["32x32 colour images in memory", "images/s", "x v2 per image"],
        rows(changed, count // 2, lambda name: f"{name.split(',')[0]}, v2 per image"),
    )
    alt = (
        f"Bars of images a second, on a logarithmic scale: make_loader(ImageDataset) gives {speed_up:.0f} times as "
        "many as torchvision's MNIST through a DataLoader, about as many as a bare indexing loop."
    )
    picture = draw(found, "28x28 grey images in memory, batches of 64", "pipelines", count, alt)
    text = (
        f"Batches of {BATCH}, shuffled, normalised; {rounds} rounds of {count:,} and {count // 2:,} images. An epoch, "
        f"with its workers' start.\n\n{first}\n{second}\n{picture}"
    )
    return Section("Input pipelines: images in memory", text, goals, machine_line(1))
