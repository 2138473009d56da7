"""What a checkpoint after every epoch costs, on the run of notebook 00.

    python -m benchmarks.checkpoint [--rounds 30]

Digits, SmallCNN, AdamW, batches of 64, five epochs, on the processor. ``fit`` without and with ``checkpoint_dir`` take
turns, in random order within each round. Quoted are the median seconds of an epoch (with validation and checkpoint),
and the median over the rounds of what checkpoints add.
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

import torch

from course_utils import SmallCNN, fit, load_dataset, make_loaders, seed_everything

EPOCHS = 5


def main() -> None:
    """Measure and print one row for each way to train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    data = load_dataset("digits")
    loss_fn = torch.nn.CrossEntropyLoss()
    seconds: dict[str, list[float]] = {"no checkpoints": [], "no checkpoints, again": [], "a checkpoint an epoch": []}
    for number in range(options.rounds + 1):
        for name in random.sample(list(seconds), len(seconds)):
            seed_everything(42)
            loaders = make_loaders(data, batch_size=64)
            model = SmallCNN(data.input_shape, data.num_classes)
            optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
            with tempfile.TemporaryDirectory() as folder:
                checkpoint_dir = Path(folder) if name.startswith("a ") else None
                started = time.perf_counter()
                fit(
                    model,
                    loaders.train,
                    loaders.val,
                    loss_fn,
                    optimizer,
                    epochs=EPOCHS,
                    checkpoint_dir=checkpoint_dir,
                    verbose=False,
                    progress=False,
                )
                if number > 0:  # the first round warms up
                    seconds[name].append((time.perf_counter() - started) / EPOCHS)
    base = seconds["no checkpoints"]
    print(f"{options.rounds} rounds, {torch.get_num_threads()} threads")
    for name, values in seconds.items():
        more = statistics.median(value / plain - 1 for value, plain in zip(values, base, strict=True))
        print(f"{name:24} {statistics.median(values) * 1e3:7.1f} ms an epoch   {more:+.1%}")


if __name__ == "__main__":
    main()
