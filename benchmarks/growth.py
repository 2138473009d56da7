"""What an epoch costs as the data grow a hundredfold: seconds for a thousand samples, and memory beside the data's."""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from benchmarks import tables
from benchmarks.make_data import distorted_digits, write_idx, write_photos, write_tables
from benchmarks.measure import Seconds, interleaved
from benchmarks.memory import measured
from benchmarks.pipelines import BATCH, consume
from benchmarks.report import Section, machine_line, number, save_figure, spread, table
from course_utils import MLP, ImageDataset, ImageTxtDataset, make_loader, train_epoch
from course_utils.decoding import decode_images

SIZES = (1, 3, 10, 30, 100)
# Samples at 1x, the ways, and what benchmarks.memory measures of them.
IMAGES, FILES, ROWS = 600, 40, 1000
WAYS = {
    "make_loader(ImageDataset)": (IMAGES, "28x28: make_loader(ImageDataset)"),
    "train_epoch on it, 784-128-10": (IMAGES, None),
    "decode_images and an epoch": (FILES, "32x32 files: decoded once"),
    "ParquetStream": (ROWS, "table: ParquetStream"),
}


def prepare(folder: Path, size: int) -> dict[str, Callable[[], Any]]:
    """Write data of ``size`` times the smallest, and return the ways to go through them."""
    images, labels = distorted_digits(IMAGES * size)
    write_idx(folder, (images, labels), (images[:10], labels[:10]))
    files = ImageTxtDataset(write_photos(folder, FILES * size, 32, "png"))
    write_tables(folder, ROWS * size)
    loader: DataLoader[Any] = make_loader(
        ImageDataset(images, labels, mean=(0.13,), std=(0.31,)), batch_size=BATCH, shuffle=True
    )
    model = MLP((1, 28, 28), 10)
    optimizer, loss_fn = torch.optim.SGD(model.parameters(), lr=0.001), torch.nn.CrossEntropyLoss()

    def decoded() -> None:
        data = ImageDataset(decode_images(files, num_workers=0), files.labels, mean=(0.5,) * 3, std=(0.25,) * 3)
        consume(make_loader(data, batch_size=BATCH, shuffle=True))

    steps = (
        lambda: consume(loader),
        lambda: train_epoch(model, loader, loss_fn, optimizer, progress=False),
        decoded,
        lambda: consume(tables.stream(folder / "phones.parquet")),
    )
    return dict(zip(WAYS, steps, strict=True))


def draw(found: dict[int, Seconds], sizes: tuple[int, ...]) -> str:
    """Draw seconds against samples, both logarithmic."""
    import matplotlib.pyplot as plt

    plt.style.use("course_utils.course")
    figure, axis = plt.subplots(figsize=(7, 3.6))
    for name, (base, _) in WAYS.items():
        seconds = [statistics.median(found[size][name]) for size in sizes]
        axis.plot([base * size for size in sizes], seconds, marker="o", markersize=4, label=name)
    axis.set(xscale="log", yscale="log", xlabel="samples", ylabel="seconds", title="An epoch as the data grow")
    axis.legend(fontsize=8)
    axis.set_aspect("equal", adjustable="datalim")  # so that in proportion is a rise of 45 degrees
    alt = "Seconds of an epoch against the number of samples, both logarithmic: lines that rise in proportion."
    return save_figure(figure, "growth", alt)


def run(rounds: int = 5, sizes: tuple[int, ...] = SIZES) -> Section:
    torch.set_num_threads(1)
    found: dict[int, Seconds] = {size: {} for size in sizes}
    memory: dict[tuple[str, int], float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        ways: dict[str, Callable[[], Any]] = {}
        for size in sizes:
            folder = Path(temporary) / str(size)
            ways |= {f"{size} {name}": way for name, way in prepare(folder, size).items()}
            for name, (_, pipeline) in WAYS.items():
                if pipeline is not None:
                    memory[name, size] = measured(pipeline, folder)
        for key, times in interleaved(ways, rounds).items():
            times_larger, _, name = key.partition(" ")
            found[int(times_larger)][name] = times
    columns = [f"{size}x" for size in sizes]
    seconds_table = [
        [name, f"{base:,}", *(spread(found[size][name], 1e6 / (base * size)) for size in sizes)]
        for name, (base, _) in WAYS.items()
    ]
    sample = {IMAGES: 28 * 28, FILES: 3 * 32 * 32, ROWS: 21 * 8}
    memory_table = [
        [name, *(f"{number(memory[name, s])} of {number(base * s * sample[base] / 2**20)}" for s in sizes)]
        for name, (base, pipeline) in WAYS.items()
        if pipeline is not None
    ]
    text = (
        f"{rounds} rounds, one thread; the fixed cost of an epoch shows at 1x.\n\n"
        + table(["ms for a thousand samples", "samples at 1x", *columns], seconds_table)
        + "\n"
        + table(["MiB at the peak above the imports, of the data's own", *columns], memory_table)
        + "\n"
        + draw(found, sizes)
    )
    return Section("Cost as the data grow", text, [], machine_line(1))
