"""What the bookkeeping of train_epoch costs: one epoch of it against a bare loop that measures nothing.

    python -m benchmarks.train_epoch [--rounds 60] [--threads 2]

The 784-128-10 network, SGD, 8,000 random images in memory, batches of 64 from a DataLoader, on the processor. Both
train the same model from the same start on the same batches. They take turns, in random order within each round, so
that a machine whose speed drifts slows both; quoted are medians, and the median of the ratios within the rounds.
"""

import argparse
import functools
import random
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_utils import MLP, train_epoch


def bare_epoch(model: nn.Module, loader: Iterable[Any], loss_fn: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Train for one epoch and count nothing."""
    model.train()
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()


def tutorial_epoch(
    model: nn.Module, loader: Iterable[Any], loss_fn: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Train as most tutorials do, reading the loss and the number of right answers at every step."""
    model.train()
    running_loss, correct, total = 0.0, 0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = loss_fn(outputs, targets)
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * inputs.size(0)
        _, predicted = torch.max(outputs, 1)
        total += targets.size(0)
        correct += (predicted == targets).sum().item()


def main() -> None:
    """Measure and print one row for each way to train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    torch.manual_seed(0)
    data = TensorDataset(torch.randn(8000, 1, 28, 28), torch.randint(0, 10, (8000,)))
    loss_fn = nn.CrossEntropyLoss()
    ways: dict[str, Callable[..., Any]] = {
        "bare loop": bare_epoch,
        "bare loop again": bare_epoch,  # how far apart two measurements of the same thing are
        "train_epoch": train_epoch,
        "tutorial loop": tutorial_epoch,
    }
    runs: dict[str, Callable[[], Any]] = {}
    for name, epoch in ways.items():
        torch.manual_seed(1)
        model = MLP((1, 28, 28), 10)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        loader = DataLoader(data, batch_size=64, shuffle=True, generator=torch.Generator().manual_seed(1))
        runs[name] = functools.partial(epoch, model, loader, loss_fn, optimizer)

    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for round_number in range(options.rounds + 2):
        for name in random.sample(list(runs), len(runs)):
            started = time.perf_counter()
            runs[name]()
            if round_number >= 2:  # the first two only warm up
                seconds[name].append(time.perf_counter() - started)

    print(f"torch {torch.__version__}, {options.threads} threads, {options.rounds} rounds")
    print(f"{'':<18}{'median ms':>10}{'fastest ms':>12}{'x bare loop':>13}")
    for name, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(times, seconds["bare loop"], strict=True))
        print(f"{name:<18}{statistics.median(times) * 1e3:>10.1f}{min(times) * 1e3:>12.1f}{ratio:>13.3f}")


if __name__ == "__main__":
    main()
