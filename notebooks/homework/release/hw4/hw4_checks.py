"""The draws, the recipe and the checks of homework 4. A check raises AssertionError with a hint.

Several checks look at the same trained model. It is trained once, and forgotten as soon as a cell runs that is no
check: it could have changed what the answer does.
"""

import inspect
import math
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
from IPython.core.getipython import get_ipython
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

from course_utils import MLP, load_dataset, make_loader, train_epoch

Model = Callable[[torch.Tensor], torch.Tensor]
Train = Callable[[torch.Tensor, torch.Tensor, int], Model]
Runs = dict[str, dict[str, list[float]]]

GOOD, LEADERBOARD, AGED = 0.80, 0.91, 0.75  # accuracies
BETTER = 0.05  # than the recipe's accuracy
BUDGET = 8  # times the processor seconds of the recipe
STOP = 3  # times the budget
GUESSING = 0.3  # an accuracy that takes some learning: one in ten is right by chance


def choose(answer: Callable[[Runs], Any], seed: int = 0, count: int = 3) -> None:
    """The run and the epoch with the lowest validation loss."""
    for number in range(5):
        runs, best, tempting = make_runs(10 * seed + number, count)
        found = answer(_copy(runs))
        assert isinstance(found, tuple) and len(found) == 2, f"choose returned {found!r}. Hint: return name, epoch."
        for wrong, hint in tempting.items():
            assert found != wrong, f"choose returned {found}, not {best}: {hint}."
        assert found == best, (
            f"choose returned {found}, not {best}. Hint: look at every epoch of every run, and count epochs from 1."
        )
        for run in runs.values():
            run["test_accuracy"].reverse()
        assert answer(_copy(runs)) == best, "the choice changed when only the test accuracies did. Hint: do not look."


def report(answer: Callable[[Runs], Any], seed: int = 0, count: int = 3) -> None:
    """The test accuracy of that run at that epoch."""
    for number in range(5):
        runs, (name, epoch), _ = make_runs(10 * seed + number, count)
        found = answer(_copy(runs))
        tests = runs[name]["test_accuracy"]
        highest = max(value for run in runs.values() for value in run["test_accuracy"])
        wanted = tests[epoch - 1]
        for wrong, hint in (
            (highest, "that is the highest of all, which was chosen by looking at the test data"),
            (max(tests), "that is the highest of the right run; which epoch was chosen?"),
            (tests[-1], "that is the last epoch of the right run; which epoch was chosen?"),
            (tests[epoch % len(tests)], "one epoch too late. Hint: epochs count from 1, places in a list from 0"),
        ):
            assert found != wrong or wrong == wanted, f"report returned {found}, not {wanted}: {hint}."
        assert found == wanted, f"report returned {found}, not {wanted}. Hint: the run and the epoch of choose."


def make_runs(seed: int, count: int = 3) -> tuple[Runs, tuple[str, int], dict[tuple[str, int], str]]:
    """Return runs, the right choice, and choices that look right, each with what is wrong about it."""
    numbers = torch.Generator().manual_seed(seed)

    def between(low: float, high: float, size: int) -> list[float]:
        return [round(value, 4) for value in (low + (high - low) * torch.rand(size, generator=numbers)).tolist()]

    names = [f"run {letter}" for letter in "abcdefgh"[:count]]
    runs: Runs = {}
    for name in names:
        epochs = int(torch.randint(6, 12, (), generator=numbers))
        runs[name] = {
            "train_loss": sorted(between(0.05, 0.9, epochs), reverse=True),
            "val_loss": between(0.4, 0.9, epochs),
            "val_accuracy": between(0.6, 0.9, epochs),
            "test_accuracy": between(0.6, 0.9, epochs),
        }
    first, second, exploded = (names[place] for place in torch.randperm(count, generator=numbers)[:3].tolist())
    best = int(torch.randint(2, len(runs[first]["val_loss"]), (), generator=numbers))
    runs[first]["val_loss"][best - 1] = 0.3
    runs[second]["test_accuracy"][3] = 0.95
    runs[second]["val_accuracy"][1] = 0.94
    runs[second]["val_loss"][-1] = 0.35
    runs[second]["train_loss"][-1] = 0.01
    runs[exploded]["val_loss"][0] = runs[exploded]["val_loss"][4] = math.nan
    wrong = {
        (second, 4): "that has the highest test accuracy. Hint: the test part has no say",
        (second, 2): "that has the highest validation accuracy. Hint: the question is about the loss",
        (second, len(runs[second]["val_loss"])): "that is the best last epoch. Hint: earlier epochs count, too",
        (exploded, 1): "that loss is nan. Hint: math.isnan; a comparison with nan is always false",
        (exploded, 5): "that loss is nan. Hint: math.isnan; a comparison with nan is always false",
        (first, best - 1): "that is one too few. Hint: epochs count from 1",
    }
    return runs, (first, best), wrong


def _copy(runs: Runs) -> Runs:
    return {name: {kind: list(values) for kind, values in run.items()} for name, run in runs.items()}


class Draw(NamedTuple):
    """Images uint8 (N, 1, 28, 28) with class numbers: some to train on, and new ones."""

    images: torch.Tensor
    labels: torch.Tensor
    new_images: torch.Tensor
    new_labels: torch.Tensor


def draw(seed: int = 0, count: int = 300, *, plain: bool = False, aged: bool = False) -> Draw:
    """Return ``count`` images to train on and 600 new ones, as one machine read them.

    Unless ``plain``, the machine has its own numbers for the classes, and may read the letters sideways. If it has
    ``aged``, the new images are 0.4 times as bright, and their digits lie up to a pixel further from the middle.
    """
    numbers = torch.Generator().manual_seed(seed)
    clean, labels = _digits()
    rows = torch.randperm(len(clean), generator=numbers)[: count + 600]
    places = torch.randint(-3, 4, (len(rows), 2), generator=numbers)
    further = torch.randint(0, 2, (len(rows), 2), generator=numbers) * places.sign()
    noise = 25 * torch.randn(len(rows), 1, 28, 28, generator=numbers)
    classes, turns = torch.randperm(10, generator=numbers), int(torch.randint(4, (), generator=numbers))
    if plain:
        classes, turns = torch.arange(10), 0

    def read(places: torch.Tensor, brightness: float) -> torch.Tensor:
        windows = nn.functional.pad(clean[rows], [4] * 4).unfold(2, 28, 1).unfold(3, 28, 1)
        moved = windows[torch.arange(len(rows)), :, 4 - places[:, 0], 4 - places[:, 1]]
        return (brightness * moved + noise).round().clamp(0, 255).to(torch.uint8).rot90(turns, (2, 3)).contiguous()

    images, labels = read(places, 1.0), classes[labels[rows]]
    new_images = read(places + further, 0.4) if aged else images
    return Draw(images[:count], labels[:count], new_images[count:], labels[count:])


@cache
def _digits() -> tuple[torch.Tensor, torch.Tensor]:
    data = load_dataset("digits")
    parts = data.train, data.val, data.test
    return torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts])


def picture(images: torch.Tensor) -> Image.Image:
    """Return the images side by side, three times as large."""
    return Image.fromarray(torch.cat(list(images[:, 0]), dim=1).numpy()).resize((84 * len(images), 84), 0)


def recipe(images: torch.Tensor, labels: torch.Tensor, seed: int) -> Model:
    """Train a network on ``images``; return a function that takes images and gives class numbers."""
    torch.manual_seed(seed)
    model = MLP((1, 28, 28), 10)
    loader = make_loader(TensorDataset(images / 255, labels), batch_size=32)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(30):
        train_epoch(model, loader, nn.CrossEntropyLoss(), optimizer, progress=False)

    def predict(images: torch.Tensor) -> torch.Tensor:
        model.eval()
        with torch.no_grad():
            logits: torch.Tensor = model(images / 255)
        return logits.argmax(dim=1)

    return predict


class Run(NamedTuple):
    """A trained model, and what it took."""

    model: Model
    accuracy: float
    seconds: float
    budget: float
    recipe_accuracy: float


def predicts(train: Train, seed: int = 0) -> None:
    """What comes back is a function that reads each image by itself, always alike."""
    model, images = _run(train, seed).model, draw(seed).new_images
    before = images.clone()
    together = _predict(model, images)
    assert torch.equal(images, before), (
        "the function changed the images that it was given. Hint: images / 255 makes new ones."
    )
    hint = "Hint: model.eval() before it predicts, and nothing that is computed from the other images of the batch."
    assert torch.equal(_predict(model, images), together), f"asked again, it gives other classes. {hint}"
    for size in (1, 7):
        few = _predict(model, images[:size])
        one_by_one = torch.cat([_predict(model, image[None]) for image in images[:size]])
        assert torch.equal(few, one_by_one), f"{size} images together are other classes than one by one. {hint}"
    halves = torch.cat([_predict(model, half) for half in images.flip(0).chunk(2)]).flip(0)
    share = (halves == together).float().mean().item()
    assert share > 0.99, f"in another order, only {share:.0%} of the images have the same class as before. {hint}"


def better(train: Train, seed: int = 0, draws: int = 1) -> None:
    """More accurate than the recipe."""
    runs = [_run(train, seed + number) for number in range(draws)]
    ours, theirs = _mean([run.accuracy for run in runs]), _mean([run.recipe_accuracy for run in runs])
    print(f"accuracy on {draws} draw{'s' * (draws > 1)}: {100 * ours:.1f} %, the recipe's {100 * theirs:.1f} %")
    assert ours >= theirs + BETTER, (
        f"{ours:.1%} is not {100 * BETTER:.0f} points above the recipe's {theirs:.1%}. "
        "Hint: does the loss fall? Try other learning rates first, ten times smaller and larger."
    )


def good(train: Train, seed: int = 0, draws: int = 1) -> None:
    """A good accuracy."""
    accuracy = _mean([_run(train, seed + number).accuracy for number in range(draws)])
    assert accuracy >= GOOD, (
        f"the accuracy is {accuracy:.1%}, not {GOOD:.0%}. Hint: is the loader shuffled? Which model sees that a digit is "
        "the same one when it moves? Then AdamW, and a learning rate that you have looked for."
    )


def leaderboard(train: Train, seed: int = 0, draws: int = 1) -> None:
    """A very good accuracy, within the budget."""
    runs = [_run(train, seed + number) for number in range(draws)]
    accuracy = _mean([run.accuracy for run in runs])
    assert accuracy >= LEADERBOARD, (
        f"the accuracy is {accuracy:.1%}, not {LEADERBOARD:.0%}. Hint: 300 images are few: RandomShift makes more of "
        "them. A rate that rises and falls (OneCycleLR). More epochs, if each gets cheaper: how many pixels does it take?"
    )
    _within_budget(runs)


def budget(train: Train, seed: int = 0, draws: int = 1) -> None:
    """Training, and reading the new images, takes no more processor seconds than allowed."""
    _within_budget([_run(train, seed + number) for number in range(draws)])


def _within_budget(runs: list[Run]) -> None:
    used, allowed = _mean([run.seconds for run in runs]), _mean([run.budget for run in runs])
    print(f"{used:.2f} of {allowed:.2f} processor seconds")
    assert used <= allowed, (
        f"training took {used:.2f} processor seconds, and {allowed:.2f} are allowed on this machine. "
        "Hint: fewer epochs, larger batches, a smaller model, or fewer pixels."
    )


def reproducible(train: Train, seed: int = 0) -> None:
    """The same seed gives the same model, whatever happened before."""
    first = _run(train, seed, 100).model
    second = _run(train, seed, 100, again=True).model
    images = draw(seed, 100).new_images
    share = (_predict(first, images) == _predict(second, images)).float().mean().item()
    assert share == 1, (
        f"two trainings with the same seed agree on only {share:.1%} of the new images. "
        "Hint: torch.manual_seed(seed) before the model is built, and seed=seed for the loader."
    )


def given(train: Train, seed: int = 0) -> None:
    """It learns from the labels that it is given, and knows none from elsewhere."""
    _run(train, seed, 100)
    accuracy = _run(train, seed, 100, shuffled=True).accuracy
    assert accuracy < GUESSING, (
        f"the training labels were shuffled, and still {accuracy:.1%} of the new images were right. "
        "Hint: train on nothing but the images and labels that train is given."
    )


def aged(train: Train, seed: int = 0, draws: int = 1) -> None:
    """Still accurate when the lamp has grown dim and the digits lie further from the middle."""
    accuracies = []
    for number in range(draws):
        old = draw(seed + number, aged=True)
        predicted = _predict(_run(train, seed + number).model, old.new_images)
        accuracies.append((predicted == old.new_labels).float().mean().item())
    accuracy = _mean(accuracies)
    print(f"accuracy on aged machines: {accuracy:.1%}")
    assert accuracy >= AGED, (
        f"the accuracy on images of an aged machine is {accuracy:.1%}, not {AGED:.0%}. "
        "Hint: let the training images differ in the same way: RandomShift, and a BatchTransform that dims."
    )


class _TooSlow(BaseException):
    """Not an Exception, which the answer may catch."""


_runs: dict[tuple[Any, ...], Run] = {}
_stopped: dict[Train, str] = {}


def _run(train: Train, seed: int, count: int = 300, *, shuffled: bool = False, again: bool = False) -> Run:
    """Return what ``train`` makes of a draw, from memory if it is there."""
    key = (train, seed, count, shuffled, again)
    if key not in _runs:
        assert train not in _stopped, _stopped[train]
        data = draw(seed, count, plain=shuffled)
        if shuffled:
            order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
            data = data._replace(labels=data.labels[order])
        training_seed = seed % 1000  # not the draw's: draw(seed) would give away the new labels
        _, theirs, unit = _timed(recipe, data, training_seed, math.inf)
        torch.manual_seed(2 * seed + again)  # the recipe left the random numbers in the same state each time
        try:
            model, accuracy, seconds = _timed(train, data, training_seed, STOP * BUDGET * unit)
        except _TooSlow:
            _stopped[train] = (
                f"training was stopped after {STOP * BUDGET * unit:.1f} processor seconds; {BUDGET * unit:.1f} are "
                "allowed on this machine. Hint: is there a loop that never ends?"
            )
            raise AssertionError(_stopped[train]) from None
        _runs[key] = Run(model, accuracy, seconds, BUDGET * unit, theirs)
    run = _runs[key]
    assert shuffled or run.accuracy >= GUESSING, (
        f"only {run.accuracy:.1%} of the new images are right, as if by chance. Hint: does the loss fall? "
        "The classes have other numbers in each draw, so that what is known from elsewhere does not help."
    )
    return run


def _timed(train: Train, data: Draw, seed: int, limit: float) -> tuple[Model, float, float]:
    """Return the model, its accuracy on the new images, and the processor seconds that both took."""
    images, labels = data.images.clone(), data.labels.clone()
    with _stop_after(limit):
        started = sum(os.times()[:4])  # of this process and of those that it started
        model = train(images, labels, seed)
        predicted = _predict(model, data.new_images)
        seconds = sum(os.times()[:4]) - started
    assert torch.equal(images, data.images), "train changed the images that it was given. Hint: change copies."
    assert torch.equal(labels, data.labels), "train changed the labels that it was given. Hint: change copies."
    return model, (predicted == data.new_labels).float().mean().item(), seconds


@contextmanager
def _stop_after(seconds: float) -> Iterator[None]:
    """Raise _TooSlow when this process has used so much processor time (not on Windows)."""
    if not hasattr(signal, "setitimer") or math.isinf(seconds):
        yield
        return

    def stop(*_: Any) -> None:
        raise _TooSlow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _predict(model: Model, images: torch.Tensor) -> torch.Tensor:
    assert callable(model), f"train returned {model!r}. Hint: return a function that takes images."
    predicted = model(images)
    assert isinstance(predicted, torch.Tensor), f"the function returned a {type(predicted).__name__}, not a tensor."
    assert predicted.dtype == torch.int64 and predicted.shape == (len(images),), (
        f"for {len(images)} images the function returned {predicted.dtype} of shape {tuple(predicted.shape)}. "
        "Hint: logits.argmax(dim=1), one class number for each image."
    )
    return predicted


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _forget(info: Any) -> None:
    if not info.raw_cell.startswith("hw4_checks."):
        _runs.clear()
        _stopped.clear()


def show_recipe() -> None:
    """Print the recipe."""
    print(inspect.getsource(recipe))


shell = get_ipython()
if shell is not None:
    shell.events.register("pre_run_cell", _forget)
