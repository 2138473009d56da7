"""Peak resident memory of each pipeline and of each training loop, each in a fresh process.

    python -m benchmarks.memory NAME FOLDER     one of them, in this process

Of a pipeline counted is by how much the peak of the process rises after the imports, so the data are part of it; worker
processes are not. Of a loop it is what comes to the data, the model and the imports.
"""

import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import datasets, transforms
from torchvision.transforms import v2

from benchmarks import peers, tables
from benchmarks.machine import forget_peak, peak, resident
from benchmarks.make_data import distorted_digits, write_idx, write_photos, write_tables
from benchmarks.pipelines import BATCH, consume
from benchmarks.report import Section, bars, machine_line, number, table
from course_utils import MLP, ImageDataset, ImageTxtDataset, make_loader
from course_utils.decoding import decode_images
from course_utils.tables import read_table


def _mnist(folder: Path) -> Any:
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.13,), (0.31,))])
    return datasets.MNIST(folder, transform=transform)


def _images(folder: Path) -> ImageDataset:
    data = _mnist(folder)
    return ImageDataset(data.data.unsqueeze(1), data.targets, mean=(0.13,), std=(0.31,))


def _floats(folder: Path) -> TensorDataset:
    data = _images(folder)
    return TensorDataset(*data[list(range(len(data)))])


def _plain(data: Dataset[Any]) -> Iterable[Any]:
    return DataLoader(data, BATCH, shuffle=True)


def _ours(data: Dataset[Any]) -> Iterable[Any]:
    return make_loader(data, batch_size=BATCH, shuffle=True)


def _files(folder: Path) -> Iterable[Any]:
    return _plain(ImageTxtDataset(folder / "train.txt", transform=v2.Normalize((0.5,) * 3, (0.25,) * 3)))


def _decoded(folder: Path, cache: str | None = None) -> Iterable[Any]:
    files = ImageTxtDataset(folder / "train.txt")
    images = decode_images(files, cache=folder / cache if cache else None)
    return _ours(ImageDataset(images, files.labels, mean=(0.5,) * 3, std=(0.25,) * 3))


def _frame(folder: Path) -> Iterable[Any]:
    import pandas as pd

    return tables.by_row(pd.read_csv(folder / "phones.csv"))


# By name: what reads one epoch from files in a folder.
PIPELINES: dict[str, Callable[[Path], Iterable[Any]]] = {
    "28x28: torchvision's MNIST, DataLoader": lambda folder: _plain(_mnist(folder)),
    "28x28: TensorDataset of floats, DataLoader": lambda folder: _plain(_floats(folder)),
    "28x28: make_loader(TensorDataset)": lambda folder: _ours(_floats(folder)),
    "28x28: make_loader(ImageDataset)": lambda folder: _ours(_images(folder)),
    "32x32 files: PIL in every epoch, DataLoader": _files,
    "32x32 files: decoded once": _decoded,
    "32x32 files: decoded once, with a cache": partial(_decoded, cache="cache"),
    "table: pandas row by row": _frame,
    "table: read_table, make_loader": lambda folder: tables.at_once(read_table(folder / "phones.csv")),
    "table: ParquetStream": lambda folder: tables.stream(folder / "phones.parquet"),
}
LOOPS: dict[str, Callable[[peers.Task, peers.AfterEpoch], None]] = {
    "bare loop": peers.bare,
    "train_epoch": peers.course,
    **peers.installed(),
}


def write(folder: Path, count: int) -> int:
    """Write what the pipelines read, and return the MiB of the images as bytes."""
    write_idx(folder, distorted_digits(count), distorted_digits(100, seed=1))
    write_photos(folder, count // 5, 32, "png")
    write_tables(folder, count)
    return count * 28 * 28 // 2**20


def one(name: str, folder: Path) -> None:
    """Do it in this process, and print by how many MiB its peak rose."""
    torch.set_num_threads(1)
    importlib.import_module("pyarrow.parquet")
    importlib.import_module("pandas")
    if name in PIPELINES:
        consume(_plain(TensorDataset(torch.zeros(BATCH, 1))))
        work = partial(consume_all, PIPELINES[name], folder)
    else:
        data = _floats(folder)
        train(name, TensorDataset(*data[:BATCH]))  # imports what it needs
        work = partial(train, name, data)
    forget_peak()
    before = resident()
    work()
    print(peak() - before)


def consume_all(pipeline: Callable[[Path], Iterable[Any]], folder: Path) -> None:
    """Open what the pipeline reads, and read it."""
    consume(pipeline(folder))


def train(name: str, data: Dataset[Any]) -> None:
    """Train for two epochs."""
    torch.manual_seed(0)
    loader = DataLoader(data, BATCH, shuffle=True, generator=torch.Generator())
    LOOPS[name](peers.Task(MLP((1, 28, 28), 10), loader, epochs=2), lambda *_: None)


def measured(name: str, folder: Path) -> float:
    """Return what a fresh process says."""
    command = [sys.executable, "-m", "benchmarks.memory", name, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout.split()[-1])


def draw(found: dict[str, float]) -> str:
    """Draw the peaks."""
    ours = ("make_loader", "decoded once", "read_table", "ParquetStream", "train_epoch")
    least, most = min(found, key=lambda name: found[name]), max(found, key=lambda name: found[name])
    alt = f"Bars of peak memory: {least} needs least, {most} most."
    axis = "MiB at the peak above the imports (of a loop: above one batch)"
    return bars(found, ours, "memory", alt, title="Peak resident memory", xlabel=axis)


def run(count: int = 20_000) -> Section:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        size = write(folder, count)
        found = {name: measured(name, folder) for name in (*PIPELINES, *LOOPS)}
    lines = [[name, number(value)] for name, value in found.items()]
    lines += [[name, "not installed"] for name in peers.PEERS if name not in LOOPS]
    text = (
        f"{count:,} images of 28x28, {size} MiB as bytes and {4 * size} MiB as floats; {count // 5:,} image files of "
        f"32x32; a table of {count:,} rows. One epoch of a pipeline, above what the imports take, the data counted, "
        f"worker processes not; two epochs of a loop (784-128-10), above what it holds after one batch with the data "
        f"in memory.\n\n{table(['', 'MiB at the peak'], lines)}\n{draw(found)}"
    )
    return Section("Memory", text, [], machine_line(1, sorted({name for name, _, _ in peers.PEERS.values()})))


if __name__ == "__main__":
    one(sys.argv[1], Path(sys.argv[2]))
