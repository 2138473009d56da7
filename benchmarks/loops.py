"""What a training loop costs: train_epoch and the loops of other libraries against a bare loop that counts nothing.

All train the same model from the same start on the same batches in the same order, with SGD and momentum, on random
images in memory, on the processor with one thread, and all but the bare loop return loss and accuracy of the epoch.
Weights, losses and accuracies are compared: equal to 1e-5 after the first epoch, or nothing is measured. Each training
is one long call, in a thread that is held after every epoch, so that setting up is no part of an epoch. They take
turns, in random order. Seconds are those of the processor, which other programs disturb less.
"""

import math
import statistics
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from benchmarks import peers
from benchmarks.measure import Seconds, interleaved, of_the_processor, quartiles, ratio, ratios
from benchmarks.report import Goal, Section, machine_line, number, save_figure, spread, table
from course_utils import MLP, ImageDataset, SmallCNN, make_loader

BARE, AGAIN, OURS, TUTORIAL = "bare loop", "bare loop again", "train_epoch", "tutorial loop"
BARE_IMAGES, IN_MEMORY = "bare loop, DataLoader(ImageDataset)", "train_epoch, make_loader(ImageDataset)"
READY = "bare loop, batches ready in a list"
BATCH = 64
AT_ONCE = 8  # rounds with the same trainings


class Held:
    """A training in a thread of its own. A call lets it go on for one epoch."""

    def __init__(self, train: Callable[[peers.Task, peers.AfterEpoch], None], task: peers.Task) -> None:
        self.task = task
        self.found: list[tuple[float, float]] = []
        self._error: BaseException | None = None
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        threading.Thread(target=self._run, args=(train,), daemon=True).start()

    def _run(self, train: Callable[[peers.Task, peers.AfterEpoch], None]) -> None:
        self._go.acquire()
        try:
            train(self.task, self._hold)
        except BaseException as error:
            self._error = error
        self._done.release()

    def _hold(self, loss: float, accuracy: float) -> None:
        self.found.append((loss, accuracy))
        self._done.release()
        self._go.acquire()

    def __call__(self) -> None:
        """Train for one epoch more."""
        self._go.release()
        self._done.acquire()
        if self._error is not None:
            raise self._error


def trainings(make_model: Callable[[], torch.nn.Module], samples: int) -> dict[str, Held]:
    """Return all trainings, each with a model and a loader of its own that start alike."""
    torch.manual_seed(0)
    images, labels = torch.randint(0, 256, (samples, 1, 28, 28), dtype=torch.uint8), torch.randint(0, 10, (samples,))
    bytes_ = ImageDataset(images, labels, mean=(0.5,), std=(0.3,))
    floats = TensorDataset(*bytes_[list(range(samples))])

    def plain(data: Dataset[Any]) -> DataLoader[Any]:
        return DataLoader(data, batch_size=BATCH, shuffle=True, generator=torch.Generator().manual_seed(1))

    def ours(data: Dataset[Any]) -> DataLoader[Any]:
        return make_loader(data, batch_size=BATCH, shuffle=True, seed=1)

    ways: dict[str, tuple[Any, Any]] = {
        BARE: (peers.bare, plain(floats)),
        AGAIN: (peers.bare, plain(floats)),  # how far two measurements of the same thing lie apart
        OURS: (peers.course, plain(floats)),
        TUTORIAL: (peers.tutorial, plain(floats)),
        **{name: (train, plain(floats)) for name, train in peers.installed().items()},
        "train_epoch, make_loader(TensorDataset)": (peers.course, ours(floats)),
        BARE_IMAGES: (peers.bare, plain(bytes_)),
        IN_MEMORY: (peers.course, ours(bytes_)),
        READY: (peers.bare, list(plain(floats))),
    }
    made = {}
    for name, (train, loader) in ways.items():
        torch.manual_seed(1)
        made[name] = Held(train, peers.Task(make_model(), loader, epochs=10**9))
    return made


def check(made: dict[str, Held]) -> None:
    """Train all of them for one epoch; raise an AssertionError unless all did the same."""
    for training in made.values():
        training()
    expected, result = made[BARE].task.model.state_dict(), made[OURS].found[0]
    for name, training in made.items():
        for key, value in training.task.model.state_dict().items():
            torch.testing.assert_close(value, expected[key], rtol=0, atol=1e-5, msg=f"{name}: other weights, {key}")
        assert torch.is_grad_enabled()
        for mine, other in zip(result, training.found[0], strict=True):
            assert math.isnan(other) or abs(mine - other) < 1e-5, f"{name} counts {training.found[0]}, not {result}"


def measure(title: str, make_model: Callable[[], torch.nn.Module], samples: int, rounds: int) -> tuple[str, Seconds]:
    """Return a table, and the seconds behind it, of trainings that are built anew a few times.

    Where its tensors happen to lie in memory makes a training some percent faster or slower, for as long as it lives.
    """
    seconds: Seconds = {}
    for some in range(0, rounds, AT_ONCE):
        made = trainings(make_model, samples)
        check(made)
        for name, times in interleaved(made, min(AT_ONCE, rounds - some), timer=of_the_processor).items():
            seconds.setdefault(name, []).extend(times)
    assert torch.get_num_threads() == 1, "a library changed the number of threads"
    base, steps = seconds[BARE], -(-samples // BATCH)
    rows = []
    for name, times in seconds.items():
        more = [(one - other) / steps for one, other in zip(times, base, strict=True)]
        rows.append([name, spread(times, 1e3), spread(ratios(times, base)), f"{statistics.median(more) * 1e6:+,.0f}"])
    rows += [[name, "not installed", "", ""] for name in peers.PEERS if name not in seconds]
    columns = [title, "ms an epoch", "x bare loop", "µs a step more"]
    return table(columns, rows), seconds


def draw(found: dict[str, Seconds]) -> str:
    """Draw the ratios of all loops on the same loader, with their quartiles."""
    import matplotlib.pyplot as plt

    plt.style.use("course_utils.course")
    figure, axes = plt.subplots(1, len(found), figsize=(8.6, 3.4), sharey=True)
    for axis, (title, seconds) in zip(axes, found.items(), strict=True):
        names = [name for name in seconds if "DataLoader(" not in name and "loader(" not in name and name != READY]
        for place, name in enumerate(names):
            low, middle, high = quartiles(ratios(seconds[name], seconds[BARE]))
            colour = "C1" if name == OURS else "C0"
            axis.barh(place, middle, color=colour)
            axis.plot([low, high], [place, place], color="black", linewidth=1)
            axis.text(high, place, f" {middle:.2f}", va="center", fontsize=8)
        axis.axvline(1, color="black", linestyle=":", linewidth=1)
        axis.set(title=title, xlabel="time of an epoch, x bare loop", yticks=range(len(names)), yticklabels=names)
        axis.grid(axis="y", visible=False)
        axis.margins(x=0.14)
    axes[0].invert_yaxis()
    first = next(iter(found.values()))
    ours, peer = ratio(first[OURS], first[BARE]), fastest_peer(first)
    alt = (
        f"Bars of the time of an epoch against the bare loop, for both models. For the tiny one train_epoch takes "
        f"{ours:.2f} times as long, the fastest library, {peer}, {ratio(first[peer], first[BARE]):.2f} times."
    )
    return save_figure(figure, "loops", alt)


def fastest_peer(seconds: Seconds) -> str:
    """Return the name of the fastest other library, by its median ratio; the bare loop where there is none."""
    return min((n for n in seconds if n in peers.PEERS), key=lambda n: ratio(seconds[n], seconds[BARE]), default=BARE)


def goals(size: str, seconds: Seconds, steps: int) -> list[Goal]:
    """Return the goals that one model's table shows."""
    noise = f"the bare loop again took {ratio(seconds[AGAIN], seconds[BARE]):.3f}x"
    ours, tutorial = (
        statistics.median(one - other for one, other in zip(seconds[name], seconds[BARE], strict=True)) / steps * 1e6
        for name in (OURS, TUTORIAL)
    )
    why = f"exact loss and accuracy cost {ours:,.0f} µs a step, where reading them at every step costs {tutorial:,.0f}"
    versus = ratio(seconds[OURS], seconds[BARE])
    found = [Goal(f"{size}: train_epoch against the bare loop", versus, 1.02, why=why, more=noise)]
    peer = fastest_peer(seconds)
    if peer != BARE:
        versus = ratio(seconds[OURS], seconds[peer])
        found.append(Goal(f"{size}: train_epoch against the fastest other library ({peer})", versus, 1.0))
    return found


def run(rounds: int = 40, samples: int = 8000, mid_samples: int = 640) -> Section:
    torch.set_num_threads(1)
    tiny, tiny_seconds = measure(f"784-128-10, {samples:,} images", lambda: MLP((1, 28, 28), 10), samples, rounds)
    title = f"SmallCNN, {mid_samples:,} images"
    mid, mid_seconds = measure(title, lambda: SmallCNN((1, 28, 28), 10), mid_samples, rounds)
    in_memory = ratio(tiny_seconds[IN_MEMORY], tiny_seconds[BARE_IMAGES])
    ready = ratio(tiny_seconds[READY], tiny_seconds[BARE_IMAGES])
    all_goals = [
        *goals("Tiny model", tiny_seconds, -(-samples // BATCH)),
        Goal(
            "Tiny model: train_epoch with the in-memory pipeline against the bare loop over a DataLoader of the same",
            in_memory,
            0.70,
            why=f"without any loading the bare loop takes {ready:.2f}x",
            more=f"mid-size model {ratio(mid_seconds[IN_MEMORY], mid_seconds[BARE_IMAGES]):.2f}x",
        ),
        *goals("Mid-size model", mid_seconds, -(-mid_samples // BATCH)),
    ]
    step = statistics.median(mid_seconds[READY]) / -(-mid_samples // BATCH)
    text = (
        f"Batches of {BATCH}; {rounds} rounds, {AT_ONCE} with the same trainings; a step of the mid-size model takes "
        f"{number(step * 1e3)} ms; seconds of the processor. After the first epoch all had the same weights, and the "
        f"same loss and accuracy.\n\n{tiny}\n{mid}\n{draw({'784-128-10': tiny_seconds, 'SmallCNN': mid_seconds})}"
    )
    line = machine_line(1, sorted({name for name, _, _ in peers.PEERS.values()}))
    return Section("Training loops", text, all_goals, line)
