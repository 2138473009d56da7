"""What a TensorBoard log of every epoch costs, on the run of notebook 00.

    python -m benchmarks.tensorboard [--rounds 30]

Digits, SmallCNN, AdamW, batches of 64, five epochs, on the processor. ``fit`` without and with the callback take turns,
in random order within each round. Quoted are the median seconds of an epoch (with validation and log; opening and
closing the log is shared out among the epochs), the median over the rounds of what the log adds, and what a stopwatch
around the callback's own methods says, which other programs disturb less.
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from course_utils import History, SmallCNN, fit, load_dataset, make_loaders, seed_everything
from course_utils.tensorboard import TensorBoard

EPOCHS = 5
WAYS = ("no log", "no log, again", "scalars", "scalars and classes")


class Timed(TensorBoard):
    """Adds up the seconds that it takes."""

    seconds = 0.0

    def on_step(self, step: int, loss: torch.Tensor) -> None:
        """Take the time of a step."""
        self._take(super().on_step, step, loss)

    def __call__(self, history: History) -> None:
        """Take the time after an epoch."""
        self._take(super().__call__, history)

    def finish(self, history: History) -> None:
        """Take the time of closing the log."""
        self._take(super().finish, history)

    def _take(self, method: Any, *arguments: Any) -> None:
        started = time.perf_counter()
        method(*arguments)
        self.seconds += time.perf_counter() - started


def main() -> None:
    """Measure and print one row for each way to train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    data = load_dataset("digits")
    loss_fn = torch.nn.CrossEntropyLoss()
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    inside: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(options.rounds + 1):
        for name in random.sample(WAYS, len(WAYS)):
            seed_everything(42)
            loaders = make_loaders(data, batch_size=64)
            model = SmallCNN(data.input_shape, data.num_classes)
            optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
            with tempfile.TemporaryDirectory() as folder:
                board = Timed(Path(folder), model)
                if "classes" in name:
                    val_loader, images = loaders.val, data.val.images
                    names = data.class_names
                    board = Timed(Path(folder), model, val_loader=val_loader, class_names=names, images=images, every=1)
                callbacks = [] if name.startswith("no log") else [board]
                started = time.perf_counter()
                fit(
                    model,
                    loaders.train,
                    loaders.val,
                    loss_fn,
                    optimizer,
                    epochs=EPOCHS,
                    callbacks=callbacks,
                    verbose=False,
                    progress=False,
                )
                if number > 0:  # the first round warms up, and imports TensorBoard
                    seconds[name].append((time.perf_counter() - started) / EPOCHS)
                    inside[name].append(board.seconds / EPOCHS)
    base = seconds["no log"]
    print(f"{options.rounds} rounds, {torch.get_num_threads()} threads")
    for name, values in seconds.items():
        more = statistics.median(value / plain - 1 for value, plain in zip(values, base, strict=True))
        print(f"{name:24} {statistics.median(values) * 1e3:7.1f} ms an epoch   {more:+.1%}", end="   ")
        own = statistics.median(inside[name])
        print(f"inside the callback {own * 1e3:5.1f} ms, {own / statistics.median(base):.1%}")


if __name__ == "__main__":
    main()
