"""On a GPU: train_epoch against the bare loop, with the images kept there, and from pinned memory."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks import peers
from benchmarks.measure import interleaved, ratio, ratios
from benchmarks.report import Section, machine_line, spread, table
from course_utils import ImageDataset, SmallCNN, make_loader

BARE, OURS = "bare loop, images on the GPU", "train_epoch, images on the GPU"


class Moved:
    """Batches of a loader with pinned memory, on their way to the GPU."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[Any]:
        for inputs, targets in self.loader:
            yield inputs.to("cuda", non_blocking=True), targets.to("cuda", non_blocking=True)


def on_the_gpu(way: Callable[[], object]) -> float:
    """Return the seconds between two events on the GPU, the work between them finished."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    start.record()
    way()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) / 1e3


def run(rounds: int = 20, count: int = 20_000) -> Section:
    if not torch.cuda.is_available():
        return Section("GPU", "There was no GPU, so nothing was measured.\n", [], machine_line(torch.get_num_threads()))
    torch.manual_seed(0)
    images, labels = torch.randint(0, 256, (count, 1, 28, 28), dtype=torch.uint8), torch.randint(0, 10, (count,))

    def loader(device: str) -> Any:
        data = ImageDataset(images.to(device), labels, mean=(0.5,), std=(0.3,))
        return make_loader(data, batch_size=64, shuffle=True)

    plans: dict[str, tuple[Any, Any]] = {
        BARE: (peers.bare, loader("cuda")),
        "bare loop again": (peers.bare, loader("cuda")),
        OURS: (peers.course, loader("cuda")),
        "tutorial loop, images on the GPU": (peers.tutorial, loader("cuda")),
        "bare loop, pinned memory": (peers.bare, Moved(loader("cpu"))),
        "train_epoch, pinned memory": (peers.course, loader("cpu")),
    }
    ways = {}
    for name, (train, batches) in plans.items():
        torch.manual_seed(1)
        task = peers.Task(SmallCNN((1, 28, 28), 10).to("cuda"), batches, epochs=1)
        ways[name] = lambda train=train, task=task: train(task, lambda *_: None)
    found = interleaved(ways, rounds, warm_up=3, timer=on_the_gpu)
    rows = [[name, spread(times, 1e3), spread(ratios(times, found[BARE]))] for name, times in found.items()]
    text = (
        f"{torch.cuda.get_device_name()}; SmallCNN, {count:,} images of 28x28, batches of 64; {rounds} rounds, timed "
        f"with CUDA events. With the images on the GPU train_epoch takes {ratio(found[OURS], found[BARE]):.2f} "
        f"times as long as the bare loop.\n\n{table(['', 'ms an epoch', 'x bare loop'], rows)}"
    )
    return Section("GPU", text, [], machine_line(torch.get_num_threads()))
