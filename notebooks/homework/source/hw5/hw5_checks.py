"""The checks of homework 5. Each tries an answer on data made from a seed, and raises AssertionError with a hint."""

import json
import math
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import course_utils
from course_utils import SmallCNN
from course_utils.bundles import Prepared

Function = Callable[..., Any]
Progress = dict[str, Any]
BATCHES = 5  # of the loader of make_training


@dataclass
class Training:
    """All that takes part in a training."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    loader: DataLoader[Any]


class Jittered(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Rows of numbers, each made larger or smaller by Python's random numbers when it is read."""

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        self.inputs, self.targets = inputs, targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.inputs[index] * random.uniform(0.8, 1.2), self.targets[index]


def make_training(seed: int, *, data: int | None = None, adam: bool = False, drop: float = 0.3) -> Training:
    """Return a training from its start: 35 rows in batches of 8, the last of 3. ``data`` is the seed of the rows."""
    numbers = torch.Generator().manual_seed(seed if data is None else data)
    inputs = torch.randn(35, 6, generator=numbers, dtype=torch.float64)
    targets = torch.randint(0, 3, (35,), generator=numbers)
    torch.manual_seed(seed)
    random.seed(seed)
    layers = [nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(drop), nn.Linear(12, 3)]
    model = nn.Sequential(*layers).double()
    parameters = model.parameters()
    optimizer = torch.optim.AdamW(parameters, lr=0.01) if adam else torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step / 4))
    order = torch.Generator().manual_seed(seed)
    loader = DataLoader(Jittered(inputs, targets), batch_size=8, shuffle=True, generator=order)
    return Training(model, optimizer, scheduler, loader)


def _steps(training: Training, seed: int, count: int) -> None:
    """Train on made-up batches, without a look at the loader."""
    numbers = torch.Generator().manual_seed(seed)
    for _ in range(count):
        inputs = torch.randn(8, 6, generator=numbers, dtype=torch.float64)
        targets = torch.randint(0, 3, (8,), generator=numbers)
        training.optimizer.zero_grad()
        nn.functional.cross_entropy(training.model(inputs), targets).backward()
        training.optimizer.step()
        training.scheduler.step()


# 1. The checkpoint


def _save(save: Function, path: Path, training: Training, progress: Progress) -> None:
    with _without_course_utils():
        save(path, training, progress)
    assert path.is_file(), f"there is no {path.name} after save_checkpoint. Hint: write to path itself, in the end."


def _load(load: Function, path: Path, training: Training) -> Progress:
    parts = (training.model, training.optimizer, training.scheduler, training.loader)
    with _without_course_utils():
        progress = load(path, training)
    assert isinstance(progress, dict), (
        f"load_checkpoint returned {'nothing' if progress is None else f'a {type(progress).__name__}'}. "
        "Hint: it returns progress, the dictionary that was saved."
    )
    now = (training.model, training.optimizer, training.scheduler, training.loader)
    assert all(a is b for a, b in zip(parts, now, strict=True)), (
        "load_checkpoint puts new objects into training. Hint: fill those that are there, by load_state_dict."
    )
    return progress


def parts(save: Function, load: Function, seed: int = 0, **more: Any) -> None:
    """Weights, buffers and progress come back."""
    progress: Progress = {"epoch": 3, "best": 0.25 + seed / 1e5, **more}
    with TemporaryDirectory() as folder:
        path = Path(folder, "last.pt")
        training = make_training(seed)
        _steps(training, seed, 3)
        expected = deepcopy(training.model.state_dict())
        _save(save, path, training, dict(progress))
        assert _equal(training.model.state_dict(), expected), "saving has changed the model. Hint: only read it."
        other = make_training(seed + 1)
        found = _load(load, path, other)
        state = other.model.state_dict()
    for name, tensor in expected.items():
        kind = "parameter" if name in dict(other.model.named_parameters()) else "buffer"
        assert torch.equal(state[name], tensor), (
            f"{name}, a {kind}, is not what it was. Hint: model.state_dict() has all, model.load_state_dict fills."
        )
    assert _equal(found, progress), (
        f"progress was {progress} when it was saved, and came back as {found}. Hint: save it as a part of its own."
    )


def steps(save: Function, load: Function, seed: int = 0, adam: bool = False) -> None:
    """Optimizer and scheduler go on as if nothing had happened."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "last.pt")
        training = make_training(seed, adam=adam, drop=0.0)
        _steps(training, seed, 5)
        _save(save, path, training, {"epoch": 1})
        weights = deepcopy(training.model.state_dict())
        steps_done = training.scheduler.last_epoch
        _steps(training, seed + 1, 4)
        other = make_training(seed + 1, adam=adam, drop=0.0)
        _load(load, path, other)
        kept, loaded_steps = len(other.optimizer.state), other.scheduler.last_epoch
        other.model.load_state_dict(weights)  # whether these were loaded is another test
        _steps(other, seed + 1, 4)
    name = "AdamW" if adam else "SGD with momentum"
    assert kept, f"{name} has forgotten its running means. Hint: the optimizer has a state_dict, too."
    assert loaded_steps == steps_done, (
        f"after {steps_done} steps the scheduler thinks there were {loaded_steps}. Hint: it has a state_dict, too."
    )
    apart = _distance(training.model, other.model)
    assert apart == 0, (
        f"with {name}, the weights are off by {apart:.2g} four steps later. "
        "Hint: state_dict and load_state_dict of the optimizer and of the scheduler, nothing else."
    )


def random_numbers(save: Function, load: Function, seed: int = 0) -> None:
    """What Dropout, the loader's order and Python's random give next is what it would have been."""

    def draw(training: Training) -> dict[str, Any]:
        order = torch.randperm(9, generator=training.loader.generator).tolist()
        return {
            "torch's global random numbers, from which Dropout draws": torch.rand(3).tolist(),
            "the loader's generator, which decides the order": order,
            "Python's random, which the data draw from": [random.random() for _ in range(3)],
        }

    with TemporaryDirectory() as folder:
        path = Path(folder, "last.pt")
        training = make_training(seed)
        draw(training)
        _save(save, path, training, {"epoch": 1})
        expected = draw(training)
        other = make_training(seed + 1)
        _load(load, path, other)
        found = draw(other)
    hints = ("torch.get_rng_state", "training.loader.generator.get_state", "random.getstate")
    for (name, value), hint in zip(expected.items(), hints, strict=True):
        assert found[name] == value, f"{name}: not where they were. Hint: {hint}, and its counterpart with set."


class _Code:
    """In a pickle: the order to make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def safe(save: Function, load: Function, seed: int = 0) -> None:
    """The file holds tensors and plain values, and a file that holds more is refused."""
    with TemporaryDirectory() as folder:
        path, ran = Path(folder, "last.pt"), Path(folder, "ran")
        training = make_training(seed)
        _steps(training, seed, 2)
        _save(save, path, training, {"epoch": 1, "best": 0.5})
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise AssertionError(
                f"your file cannot be loaded with weights_only=True ({str(error).splitlines()[0][:80]}). "
                "Hint: state_dicts and plain values, no objects."
            ) from None
        _load(load, path, make_training(seed + 1))
        # Your own file, with one part more.
        torch.save({**content, "more": _Code(ran)} if isinstance(content, dict) else _Code(ran), path)
        try:
            load(path, make_training(seed + 1))
        except Exception:
            refused = True
        else:
            refused = False
        assert not ran.exists(), (
            "load_checkpoint has run code that stood in a file. Hint: torch.load(..., weights_only=True)."
        )
        assert refused, "a file that holds code was taken without an error. Hint: do not catch torch.load's error."


def killed(save: Function, load: Function, seed: int = 0) -> None:
    """Killed at any moment while it saves, it leaves the old checkpoint or the new one, whole."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "last.pt"
        training = make_training(seed)
        _steps(training, seed, 2)
        _save(save, path, training, {"epoch": 1})
        old = path.read_bytes()
        _steps(training, seed, 2)
        # Larger than the old one, so that a copy of the old one can be made before it is killed.
        progress = {"epoch": 2, "more": torch.zeros(10_000, dtype=torch.float64)}

        def check(moment: str) -> None:
            if not path.exists():
                problem = "there is no checkpoint left"
            elif path.read_bytes() == old or _is_new(load, path, training):
                path.write_bytes(old)
                return
            else:
                problem = f"{path.stat().st_size:,} bytes are there, of which no checkpoint can be made"
            raise AssertionError(
                f"a program killed {moment} while it saved: {problem}. Hint: write to another file beside it, whole, "
                "then os.replace(that, path), the only thing that happens to path."
            )

        if not hasattr(os, "fork"):
            print("This system cannot kill a copy of a program: the rest of this test runs when it is graded.")
        else:
            for size in (len(old) // 50, len(old) // 2, len(old) + 2_000, len(old) + 78_000):
                _killed_while(lambda: save(path, training, progress), folder, size=size)
                check(f"after {size:,} bytes")
            for number in range(1, 20):
                if not _killed_while(lambda: save(path, training, progress), folder, event=number):
                    break
                check(f"before the {number}. time it opened, renamed or removed a file")
        try:
            save(path, training, progress)
            problem = "" if _is_new(load, path, training) else "is not the new one"
        except Exception as error:
            problem = f"fails ({type(error).__name__})"
        assert not problem, f"after a program was killed, the next save {problem}. Hint: what is left must not matter."


def _is_new(load: Function, path: Path, training: Training) -> bool:
    other = make_training(12)
    try:
        load(path, other)
    except Exception:
        return False
    return all(map(torch.equal, other.model.parameters(), training.model.parameters()))


def _killed_while(work: Callable[[], Any], folder: Path, *, size: int | None = None, event: int = 0) -> bool:
    """Let a copy of this process work; return whether it was killed.

    That happens when a file of it grows larger than ``size`` bytes, or before the ``event``-th thing that it does with
    a file in ``folder``.
    """
    import resource

    seen = 0

    def listen(what: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if what in ("open", "os.rename", "os.remove", "os.truncate", "os.link"):
            paths = [os.fsdecode(given) for given in arguments[:2] if isinstance(given, (str, bytes, os.PathLike))]
            seen += any(path.startswith(str(folder)) for path in paths)
            if seen == event:
                os.kill(os.getpid(), signal.SIGKILL)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about threads: the copy has none of them, and needs none
        child = os.fork()
    if child == 0:
        try:
            signal.alarm(10)
            if size is None:
                sys.addaudithook(listen)
            else:
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


# 2. The training


class Stopped(BaseException):
    """What ends a training in the checks, as Ctrl+C would."""


class _Loss:
    """Cross entropy that counts its calls, and stops the training at one of them."""

    def __init__(self, last: int | None = None) -> None:
        self.last, self.calls = last, 0

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self.calls == self.last:
            raise Stopped
        self.calls += 1
        return nn.functional.cross_entropy(outputs, targets)


class _Validate:
    """Gives the validation loss of epoch after epoch, and draws random numbers, as some validations do."""

    def __init__(self, losses: tuple[float, ...]) -> None:
        self.losses = list(losses)

    def __call__(self, model: nn.Module) -> float:
        assert self.losses, (
            "validate was called more often than epochs were left. Hint: once after each; go on from path if it is there."
        )
        torch.rand(1)
        return self.losses.pop(0)


def _reference(seed: int, epochs: int, adam: bool, validated: bool) -> Training:
    training = make_training(seed, adam=adam)
    for _ in range(epochs):
        course_utils.train_epoch(
            training.model,
            training.loader,
            nn.functional.cross_entropy,
            training.optimizer,
            scheduler=training.scheduler,
            progress=False,
        )
        if validated:
            torch.rand(1)
    return training


def resumed(
    train: Function,
    seed: int = 0,
    losses: tuple[float, ...] = (0.9, 0.4, 0.7, 0.6),
    stop: int = 3,
    adam: bool = False,
) -> None:
    """Stopped in the epoch after ``stop`` epochs and resumed, it ends in the same weights and the same best loss."""
    epochs = len(losses)
    with TemporaryDirectory() as folder:
        whole, broken = Path(folder, "whole.pt"), Path(folder, "broken.pt")
        training, loss_fn = make_training(seed, adam=adam), _Loss()
        best = _train(train, training, loss_fn, _Validate(losses), epochs, whole)
        _compare(training, _reference(seed, epochs, adam, validated=True), f"{epochs} epochs without a stop")
        _compare_best(best, min(losses), "never stopped")
        _stop(
            train,
            make_training(seed, adam=adam),
            _Loss(stop * BATCHES + 2),
            _Validate(losses),
            epochs,
            broken,
        )
        assert broken.is_file(), "stopped in an epoch, it has left no checkpoint. Hint: save after each epoch."
        again, loss_fn = make_training(seed + 1, data=seed, adam=adam), _Loss()
        best = _train(train, again, loss_fn, _Validate(losses[stop:]), epochs, broken)
        wanted = (epochs - stop) * BATCHES
        assert loss_fn.calls == wanted, (
            f"stopped in epoch {stop + 1} of {epochs}, it made {loss_fn.calls} steps after that, not {wanted}. Hint: "
            "go on after the last epoch that was completed; epochs counts all of them."
        )
        apart = _distance(training.model, again.model)
        assert apart == 0, (
            f"stopped and resumed, the weights end {apart:.2g} away. Hint: save when the epoch is over and validated, "
            "and everything; do the tests above pass?"
        )
        _compare_best(best, min(losses), f"stopped after {stop} epochs")
        best = _train(train, again, loss_fn := _Loss(), _Validate(()), epochs, broken)
        assert loss_fn.calls == 0, "asked again when all epochs were done, it trained on. Hint: epochs counts all."
        _compare_best(best, min(losses), "asked again when all was done")


def inside(
    train: Function,
    seed: int = 0,
    every: int = 4,
    stops: tuple[int, ...] = (2, 7, 11),
    epochs: int = 3,
    adam: bool = False,
) -> None:
    """Stopped again and again, after so many steps, and resumed inside the epoch."""
    total = epochs * BATCHES
    with TemporaryDirectory() as folder:
        whole, broken = Path(folder, "whole.pt"), Path(folder, "broken.pt")
        training = make_training(seed, adam=adam)
        _train(train, training, _Loss(), epochs, whole, every)
        _compare(training, _reference(seed, epochs, adam, validated=False), f"{epochs} epochs without a stop")
        start = 0
        for stop in stops:
            _stop(train, _start(seed, start, adam), _Loss(stop - start), epochs, broken, every)
            start = stop // every * every
            assert broken.is_file() == (start > 0), (
                f"stopped after {stop} steps, it has {'no' if start else 'a'} checkpoint. Hint: one every {every} steps."
            )
        again, loss_fn = _start(seed, start, adam), _Loss()
        _train(train, again, loss_fn, epochs, broken, every)
    assert loss_fn.calls == total - start, (
        f"a checkpoint every {every} steps, stopped after {stops[-1]}: it made {loss_fn.calls} steps after that, not "
        f"{total - start}. Hint: go on after step {start}; step counts from the start of the training."
    )
    apart = _distance(training.model, again.model)
    assert apart == 0, (
        f"a checkpoint every {every} steps, stopped after {', '.join(map(str, stops))}: the weights end {apart:.2g} away. "
        "Hint: the order of the epoch under way was drawn when it began, and passing over batches draws random numbers."
    )


def _start(seed: int, start: int, adam: bool) -> Training:
    """Return what a program has when it is started: something else than before, if it will find a checkpoint."""
    return make_training(seed + bool(start), data=seed, adam=adam)


def _train(train: Function, training: Training, *arguments: Any) -> Any:
    with _without_course_utils():
        return train(training, *arguments)


def _stop(train: Function, training: Training, *arguments: Any) -> None:
    try:
        _train(train, training, *arguments)
    except Stopped:
        return
    raise AssertionError("a stopped training went on, or ended too early. Hint: do not catch what stops it.")


def _compare(training: Training, right: Training, where: str) -> None:
    apart = _distance(training.model, right.model)
    assert apart < 1e-6, (
        f"{where}: the weights are off by {apart:.2g}. Hint: each step is forward, loss, backward, optimizer, scheduler."
    )


def _compare_best(found: Any, right: float, where: str) -> None:
    assert isinstance(found, float) and found == right, (
        f"{where}: the best validation loss is {found}, not {right}. Hint: the lowest of all epochs, those before the "
        "stop too."
    )


# 3. The export

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
_exports: dict[tuple[Any, ...], tuple[Any, str]] = {}


def agreement(export: Function, seed: int = 0, channels: int = 1) -> None:
    """Bytes in, the probabilities of the model out."""
    exported, _ = _export(export, seed, channels, training=False)
    reference, mean_std = _make_model(seed, channels, training=False)
    images = _images(seed, 5, channels)
    found = _run(exported, images)
    right = _probabilities(reference, images, mean_std)
    assert found.shape == right.shape, f"for 5 images the shape is {tuple(found.shape)}, not {tuple(right.shape)}."
    sums = found.sum(dim=1)
    assert torch.allclose(sums, torch.ones(5), atol=1e-4), (
        f"the probabilities of an image add up to {sums[0]:.4f}. Hint: softmax(dim=1) of the logits, inside."
    )
    for wrong, hint in (
        (_probabilities(reference, images, ((0.0,), (1.0,))), "take off mean and divide by std, by channel"),
        (_probabilities(reference, images * 255.0, mean_std), "mean and std are on the scale from 0 to 1: / 255 first"),
        (_probabilities(reference, images / 255.0, mean_std), "divide by 255 once"),
    ):
        assert not torch.allclose(found, wrong, atol=1e-5) or torch.allclose(right, wrong, atol=1e-5), (
            f"the probabilities are off by up to {(found - right).abs().max():.2g}. Hint: {hint}."
        )
    apart = float((found - right).abs().max())
    assert apart < 1e-5, f"the probabilities are off by {apart:.2g}. Hint: (pixels / 255 - mean) / std, model, softmax."


def any_batch(export: Function, seed: int = 0, sizes: tuple[int, ...] = (1, 7, 32), channels: int = 1) -> None:
    """The same file takes batches of any size, and its answers do not depend on what else is in the batch."""
    exported, _ = _export(export, seed, channels, training=False)
    for size in sizes:
        images = _images(seed + size, size, channels)
        found = _run(exported, images)
        assert len(found) == size, f"for a batch of {size} there are {len(found)} rows. Hint: one for each image."
        pairs = [_run(exported, images[[number, 0]])[0] for number in range(size)]
        apart = float((found - torch.stack(pairs)).abs().max())
        assert apart < 1e-5, (
            f"in a batch of {size} the answers are off by {apart:.2g} from those for the same images two by two. "
            "Hint: softmax(dim=1) and evaluation mode look at one image alone."
        )


def mode(export: Function, seed: int = 0, channels: int = 1) -> None:
    """From a model in training mode comes the same program, and the model stays as it is."""
    exported, problem = _export(export, seed, channels, training=True)
    images = _images(seed, 6, channels)
    first, again = _run(exported, images), _run(exported, images)
    assert torch.equal(first, again), "asked twice, two answers: Dropout still draws. Hint: eval() before the export."
    from_eval, problem_of_eval = _export(export, seed, channels, training=False)
    apart = float((first - _run(from_eval, images)).abs().max())
    assert apart < 1e-5, (
        f"exported from a model in training mode, the answers are off by {apart:.2g} from those of the same model in "
        "evaluation mode. Hint: eval() before the export, for BatchNorm's running statistics."
    )
    assert not problem + problem_of_eval, problem or problem_of_eval


def _make_model(seed: int, channels: int, training: bool) -> tuple[nn.Module, Statistics]:
    """Return a model, and mean and standard deviation of each channel."""
    torch.manual_seed(seed)
    model = SmallCNN((channels, 8, 8), 4, dropout_p=0.4)
    with torch.no_grad():
        for _ in range(3):
            model(2 * torch.randn(16, channels, 8, 8) + 0.5)  # BatchNorm has seen something
        for parameter in model.classifier.parameters():
            parameter.mul_(3)  # so that the answers differ
    model.train(training)
    model.features[0].eval()  # as if it had been frozen
    mean, std = 0.2 + 0.3 * torch.rand(channels), 0.1 + 0.2 * torch.rand(channels)
    return model, (tuple(mean.tolist()), tuple(std.tolist()))


def _export(export: Function, seed: int, channels: int, *, training: bool) -> tuple[Any, str]:
    """Return the exported program, and what has happened to the model; each is exported once, for it takes a while."""
    key = (export, seed, channels, training)
    if key in _exports:
        return _exports[key]
    model, (mean, std) = _make_model(seed, channels, training)
    before, modes = deepcopy(model.state_dict()), [module.training for module in model.modules()]
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        path = Path(folder, "model.pt2")
        with _without_course_utils():
            export(model, mean, std, (channels, 8, 8), path)
        assert path.is_file(), "there is no file at path. Hint: torch.export.save(program, path)."
        try:
            exported = torch.export.load(path).module()
        except Exception as error:
            raise AssertionError(
                f"torch.export.load cannot read the file ({str(error).splitlines()[0][:80]}). "
                "Hint: torch.export.export, then torch.export.save."
            ) from None
    held, wanted = (sum(tensor.numel() for tensor in part.state_dict().values()) for part in (exported, model))
    assert held >= wanted, f"the program holds {held:,} numbers, but the model {wanted:,}. Hint: is the model in it?"
    problem = ""
    if [module.training for module in model.modules()] != modes:
        problem = "the model has not the modes in which it came, module by module. Hint: export a copy.deepcopy of it."
    if not _equal(model.state_dict(), before):
        problem = "the weights or buffers of the model have changed. Hint: export a copy.deepcopy of it."
    _exports[key] = exported, problem
    return _exports[key]


def _run(exported: Any, images: torch.Tensor) -> torch.Tensor:
    try:
        with torch.inference_mode():
            found = exported(images)
    except Exception as error:
        raise AssertionError(
            f"it takes no batch of {len(images)} ({str(error).splitlines()[0][:80]}). "
            "Hint: dynamic_shapes with torch.export.Dim, and an example of two."
        ) from None
    assert isinstance(found, torch.Tensor), f"it gives a {type(found).__name__}. Hint: one tensor of probabilities."
    assert found.dtype == torch.float32 and found.ndim == 2, (
        f"it gives {str(found.dtype).removeprefix('torch.')} of shape {tuple(found.shape)}. Hint: float32 (N, classes)."
    )
    return found


def _images(seed: int, count: int, channels: int) -> torch.Tensor:
    numbers = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, 8, 8), dtype=torch.uint8, generator=numbers)


def _probabilities(model: nn.Module, images: torch.Tensor, mean_std: Statistics) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in mean_std)
    with torch.inference_mode():
        logits: torch.Tensor = model((images.float() / 255 - mean) / std)
    return logits.softmax(dim=1)


# 4. The service


class _Predict:
    """Stands for the exported model: probabilities that depend on each image, and a list of what it was given."""

    def __init__(self, seed: int, classes: int) -> None:
        self.seed, self.classes, self.given = seed, classes, list[torch.Tensor]()

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.given.append(images)
        return self.right(images)

    def right(self, images: torch.Tensor) -> torch.Tensor:
        numbers = torch.Generator().manual_seed(self.seed)
        flat = images.flatten(start_dim=1).float() / 255
        return (flat @ torch.randn(flat.shape[1], self.classes, generator=numbers)).softmax(dim=1)


class _Service:
    """The answer's app with a model of the checks, asked in this process: no network is used."""

    def __init__(self, make_app: Function, seed: int, shape: tuple[int, ...], most: int) -> None:
        from fastapi.testclient import TestClient

        self.shape, self.most = shape, most
        numbers = random.Random(seed)
        self.names = tuple(f"class {numbers.randrange(1000)}.{n}" for n in range(3 + seed % 3))
        self.predict = _Predict(seed, len(self.names))
        app = make_app(self.predict, shape, self.names, most)
        assert callable(app), f"make_app returned {'nothing' if app is None else app}. Hint: return app."
        self.client = TestClient(app, raise_server_exceptions=False)
        self.good = self.images(2)[1]

    def images(self, count: int) -> Any:
        numbers = torch.Generator().manual_seed(count)
        return torch.randint(0, 256, (count, *self.shape), generator=numbers).tolist()

    def post(self, body: bytes | dict[str, Any]) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post("/predict", content=content, headers={"Content-Type": "application/json"})

    def refuses(self, name: str, body: bytes | dict[str, Any], codes: tuple[int, ...], hint: str) -> None:
        """Ask for what cannot be answered: a status of 4xx, one sentence, and the model is not asked."""
        before = len(self.predict.given)
        response = self.post(body)
        wanted = " or ".join(map(str, codes))
        assert response.status_code in codes, (
            f"{name} is answered with status {response.status_code}, not {wanted}. Hint: {hint}."
        )
        try:
            detail = response.json()["detail"]
        except (ValueError, KeyError, TypeError):
            detail = None
        assert isinstance(detail, str) and 10 <= len(detail) <= 300 and detail.strip().endswith("."), (
            f"{name} gets {response.text[:60]!r} beside the status, no sentence with a full stop. "
            "Hint: raise HTTPException(status, detail)."
        )
        assert len(self.predict.given) == before, f"{name} has reached the model. Hint: check before you predict."


def answers(make_app: Function, seed: int = 0, shape: tuple[int, ...] = (1, 2, 3), most: int = 4) -> None:
    """Right answers for one image and for many, and a sign of health."""
    service = _Service(make_app, seed, shape, most)
    health = service.client.get("/health")
    assert health.status_code == 200 and health.json() == {"status": "ok"}, (
        f'GET /health gives {health.status_code} {health.text[:60]!r}, not 200 and {{"status": "ok"}}. Hint: @app.get.'
    )
    for count in (1, most, 2):
        images = service.images(count)
        before = len(service.predict.given)
        response = service.post({"images": images})
        assert response.status_code == 200, (
            f"{count} good images of shape {shape} are answered with status {response.status_code}: "
            f"{response.text[:80]!r}. Hint: up to most, {most}, may come."
        )
        given = service.predict.given[before:]
        assert len(given) == 1, f"for {count} images predict was called {len(given)} times. Hint: all in one batch."
        sent = torch.tensor(images, dtype=torch.uint8)
        assert given[0].dtype == torch.uint8 and torch.equal(given[0], sent), (
            f"{count} images reached predict as {str(given[0].dtype).removeprefix('torch.')} of shape "
            f"{tuple(given[0].shape)}. Hint: a uint8 tensor (N, *shape), as they were sent."
        )
        right = service.predict.right(sent)
        try:
            found = response.json()["predictions"]
            labels = [one["label"] for one in found]
            rows = torch.tensor([one["probabilities"] for one in found])
        except (ValueError, KeyError, TypeError):
            raise AssertionError(
                f'the answer is {response.text[:80]!r}. Hint: {{"predictions": [{{"label": ..., "probabilities": [...]}}]}}.'
            ) from None
        wanted = [service.names[number] for number in right.argmax(dim=1)]
        assert labels == wanted, f"for {count} images the labels are {labels}, not {wanted}. Hint: the most probable."
        assert rows.shape == right.shape and torch.allclose(rows, right, atol=1e-5), (
            f"for {count} images the probabilities are not those of the model. Hint: one list for each image, .tolist()."
        )


def requests(make_app: Function, seed: int = 0, shape: tuple[int, ...] = (1, 2, 3), most: int = 4) -> None:
    """What is no JSON, holds something else than images, or images of another shape."""
    service = _Service(make_app, seed, shape, most)
    good = service.good

    def cut(image: Any, levels: int) -> Any:
        """Return the image with the last entry missing, so many levels down, in the last place."""
        return image[:-1] if levels == 0 else [*image[:-1], cut(image[-1], levels - 1)]

    for name, content in (("'no json'", b"no json"), ("bytes that are no text", b"\xff\xfe{"), ("no body", b"")):
        service.refuses(name, content, (400,), "catch the error of json.loads")
    service.refuses("100,000 brackets", b"[" * 100_000, (400,), "json.loads may raise a RecursionError, too")
    for name, body, hint in (
        ("a list", b"[1]", "is it a dictionary?"),
        ("a number", b"7", "is it a dictionary?"),
        ("a misspelt name", {"imges": [good]}, "the key may be missing"),
        ("null for the images", {"images": None}, "is it a list?"),
        ("a text for the images", {"images": "abcd"}, "is it a list? A text has a len, too"),
        ("no image", {"images": []}, "at least one image is wanted"),
        ("a number for an image", {"images": [7]}, "check that each level is a list"),
        ("an image without its channels", {"images": good}, "compare each level with its size in shape"),
        ("an image that lacks a row", {"images": [cut(good, 1)]}, "compare each level with its size in shape"),
        ("an image whose last row is short", {"images": [good, cut(good, len(shape) - 1)]}, "check every row"),
        ("an image with one level more", {"images": [[good]]}, "compare each level with its size in shape"),
    ):
        service.refuses(name, body, (422,), hint)
    response = service.post({"images": [good]})
    assert response.status_code == 200, f"after the bad requests a good one gets {response.status_code}. Hint: 200."


def values(make_app: Function, seed: int = 0, shape: tuple[int, ...] = (1, 2, 3), most: int = 4) -> None:
    """Pixels that are none: NaN above all."""
    service = _Service(make_app, seed, shape, most)

    def changed(image: Any, pixel: Any, levels: int) -> Any:
        return [*image[:-1], pixel if levels == 1 else changed(image[-1], pixel, levels - 1)]

    for pixel, codes, hint in (
        (math.nan, (400, 422), "Python's json reads NaN, and it is a float"),
        (math.inf, (400, 422), "Python's json reads Infinity, and it is a float"),
        (256, (422,), "0 to 255"),
        (-1, (422,), "0 to 255"),
        (10**30, (422,), "0 to 255"),
        (0.5, (422,), "whole numbers only: somebody has scaled already"),
        (7.0, (422,), "whole numbers only, and 7.0 is a float"),
        (True, (422,), "in Python True is an int; type(value) is int"),
        ("7", (422,), "'7' is a text"),
        (None, (422,), "null becomes None"),
    ):
        body = {"images": [service.good, changed(service.good, pixel, len(shape))]}
        service.refuses(f"{json.dumps(pixel)} for a pixel", body, codes, hint)
    response = service.post({"images": [service.good]})
    assert response.status_code == 200, f"after the bad requests a good one gets {response.status_code}. Hint: 200."


def too_many(make_app: Function, seed: int = 0, shape: tuple[int, ...] = (1, 2, 3), most: int = 4) -> None:
    """As many images as may come, and more."""
    service = _Service(make_app, seed, shape, most)
    for count in (most + 1, 20 * most):
        body = {"images": service.images(count)}
        service.refuses(f"{count} images where {most} may come", body, (413,), "compare their number with most")
    response = service.post({"images": service.images(most)})
    assert response.status_code == 200, (
        f"{most} images where {most} may come get {response.status_code}. Hint: one more is too many, not these."
    )


@contextmanager
def _without_course_utils() -> Iterator[None]:
    """Let what the course has for saving and exporting refuse."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the answer calls course_utils. Hint: only train_epoch is allowed; write the rest.")

    with patch("course_utils.checkpoints.write_file", refuse), patch.object(Prepared, "__init__", refuse):
        yield


def _equal(found: Any, right: Any) -> bool:
    """Return whether two states are equal, tensors included."""
    if isinstance(right, torch.Tensor):
        return isinstance(found, torch.Tensor) and torch.equal(found, right)
    if isinstance(right, dict):
        return (
            isinstance(found, dict) and found.keys() == right.keys() and all(_equal(found[k], right[k]) for k in right)
        )
    if isinstance(right, list):
        return isinstance(found, list) and len(found) == len(right) and all(map(_equal, found, right))
    return bool(found == right)


def _distance(model: nn.Module, other: nn.Module) -> float:
    """Return the largest difference between any two weights or buffers; infinite if one is no number."""
    pairs = zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    found = max(float((a.double() - b.double()).abs().max()) for a, b in pairs)
    return found if found == found else math.inf
