"""Kill trainings with SIGKILL at random moments, resume them, and compare with one that was never interrupted.

    python -m tests.kill_and_resume --count 50

Each trial starts a training in a process of its own, kills it while it trains, evaluates or writes a checkpoint, starts
it again with ``resume=True``, and compares weights, optimizer, history (seconds apart), best epoch and all random
numbers with those of a training without interruption and without checkpoints. The trials go in turn through SGD with
momentum and AdamW with a scheduler, checkpoints after each epoch and every few steps, loaders without and with two
workers. Dropout and random augmentation are always on.
"""

import argparse
import contextlib
import itertools
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_utils import ImageDataset, SmallCNN, fit, fitting, load_checkpoint, make_loader, resuming, seed_everything
from course_utils.random_state import random_state

EPOCHS = 4
PHASES = ("training", "evaluation", "checkpoint")


@dataclass(frozen=True)
class Setting:
    """What one training is made of."""

    optimizer: str
    every: int | None
    workers: int


SETTINGS = [
    Setting(optimizer, every, workers)
    for workers, optimizer, every in itertools.product((0, 2), ("SGD", "AdamW"), (None, 3))
]


def jitter(image: torch.Tensor) -> torch.Tensor:
    """Shift the image by up to two pixels and add noise, from PyTorch's and Python's random numbers."""
    down, right = torch.randint(-2, 3, (2,)).tolist()
    return image.roll((down, right), dims=(1, 2)) + random.random() * 0.1 * torch.rand_like(image)


def train(setting: Setting, folder: Path | None, result: Path, clock: Any) -> None:
    """Train once, from the last checkpoint in ``folder`` if there is one, and write what came out to ``result``.

    ``clock`` is shared memory: how often each phase began, then the number of the phase under way.
    """
    os.setsid()  # its loader workers can then be killed with it
    torch.set_num_threads(1)
    for module, name, phase in (
        (fitting, "train_epoch", 0),
        (fitting, "evaluate", 1),
        (resuming, "save_checkpoint", 2),
        (resuming, "add_name", 2),
        (resuming, "remove_old", 2),
    ):
        setattr(module, name, in_phase(getattr(module, name), phase, clock))
    seed_everything(0)
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (330, 1, 12, 12), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 3, (330,), generator=generator)
    parts = [
        ImageDataset(images[part], labels[part], mean=(0.5,), std=(0.3,), augment=augment)
        for part, augment in ((slice(0, 230), jitter), (slice(230, 330), None))
    ]
    model = SmallCNN((1, 12, 12), 3, dropout_p=0.3)
    scheduler = None
    if setting.optimizer == "SGD":
        optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    else:
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=EPOCHS * 8)
    history = fit(
        model,
        make_loader(parts[0], batch_size=32, shuffle=True, num_workers=setting.workers),
        make_loader(parts[1], batch_size=32),
        nn.CrossEntropyLoss(),
        optimizer,
        epochs=EPOCHS,
        scheduler=scheduler,
        checkpoint_dir=folder,
        checkpoint_every=setting.every if folder else None,
        resume=folder is not None,
        verbose=False,
        progress=False,
    )
    columns = history.as_dict()
    del columns["seconds"]
    outcome = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": columns,
        "best epoch": history.best_epoch,
        "random": random_state(),
    }
    torch.save(outcome, result)


def in_phase(function: Any, phase: int, clock: Any) -> Any:
    """Return ``function``, made to leave word in ``clock`` while it runs."""

    def noted(*arguments: Any, **options: Any) -> Any:
        outer = clock[3]
        clock[3] = phase
        clock[phase] += 1
        try:
            return function(*arguments, **options)
        finally:
            clock[3] = outer

    return noted


def differences(first: Any, second: Any, where: str = "") -> list[str]:
    """Return where two nested values differ, bit for bit."""
    if isinstance(first, torch.Tensor):
        return [] if isinstance(second, torch.Tensor) and torch.equal(first, second) else [where]
    if isinstance(first, dict):
        if first.keys() != second.keys():
            return [f"{where}: keys"]
        return [found for key in first for found in differences(first[key], second[key], f"{where}/{key}")]
    if isinstance(first, (list, tuple)):
        if len(first) != len(second):
            return [f"{where}: length"]
        return [
            found
            for n, pair in enumerate(zip(first, second, strict=True))
            for found in differences(*pair, f"{where}/{n}")
        ]
    return [] if first == second else [f"{where}: {first} and {second}"]


def end_workers(process: Any) -> None:
    """End what a killed training left behind. Workers notice by themselves, but not always, and not at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class Trials:
    """Runs trainings in processes forked from this one, where everything is imported already."""

    def __init__(self, seed: int) -> None:
        self.context = multiprocessing.get_context("fork")
        torch.optim.SGD([torch.zeros(1)])  # the first optimizer imports for a second: here, once
        self.random = random.Random(seed)
        self.references: dict[Setting, tuple[Any, float]] = {}
        self.killed_in: Counter[str] = Counter()

    def start(self, setting: Setting, folder: Path | None, result: Path) -> tuple[Any, Any]:
        clock = self.context.RawArray("i", [0, 0, 0, -1])
        process = self.context.Process(target=train, args=(setting, folder, result, clock))
        process.start()
        return process, clock

    def finished(self, setting: Setting, folder: Path | None, result: Path) -> tuple[Any, float]:
        """Train to the end; return what came out and the seconds it took."""
        started = time.perf_counter()
        process, _ = self.start(setting, folder, result)
        process.join()
        end_workers(process)
        if process.exitcode != 0:
            raise RuntimeError(f"A training with {setting} ended with exit status {process.exitcode}.")
        seconds = time.perf_counter() - started
        return torch.load(result, weights_only=True), seconds

    def run(self, setting: Setting, phase: int) -> list[str]:
        """Kill one training in ``phase``, resume it, and return in what it differs from an uninterrupted one."""
        with tempfile.TemporaryDirectory() as name:
            folder, result = Path(name) / "checkpoints", Path(name) / "result.pt"
            if setting not in self.references:
                self.references[setting] = self.finished(setting, None, result)
                result.unlink()
            reference, seconds = self.references[setting]
            while True:  # until a kill hits the phase
                process, clock = self.start(setting, folder, result)
                nth = self.random.randint(1, EPOCHS)
                while clock[phase] < nth and process.is_alive():
                    time.sleep(0.0001)
                longest = {0: seconds / EPOCHS, 1: 0.02, 2: 0.004}[phase]
                time.sleep(self.random.uniform(0, longest))
                process.kill()
                process.join()
                end_workers(process)
                if process.exitcode == -signal.SIGKILL and clock[3] == phase:
                    break
                shutil.rmtree(folder, ignore_errors=True)
                result.unlink(missing_ok=True)
            self.killed_in[PHASES[phase]] += 1
            found = differences(reference, self.finished(setting, folder, result)[0])
            best = load_checkpoint(folder / "best.pt")["epoch"]
            return found + ([] if best == reference["best epoch"] else [f"best.pt is of epoch {best}"])


def main() -> int:
    """Run the trials and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    trials = Trials(options.seed)
    failed = 0
    for number in range(options.count):
        setting, phase = SETTINGS[number % len(SETTINGS)], number % len(PHASES)
        found = trials.run(setting, phase)
        failed += bool(found)
        print(f"{number + 1:>3} {setting} killed in {PHASES[phase]}: {found or 'identical'}", flush=True)
    print(f"{options.count - failed} of {options.count} identical; killed in: {dict(trials.killed_in)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
