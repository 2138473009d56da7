"""Checks of notebook 09."""

import math
from collections.abc import Callable
from typing import Any

import torch

from checks import call, check, pair


class _Trial:
    """Answers like an Optuna trial, from given values, and notes what it is asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: dict[str, tuple[Any, ...]] = {}
        self.twice: list[str] = []
        self.params: dict[str, Any] = {}
        self.old: str | None = None

    def _answer(self, name: str, question: tuple[Any, ...]) -> Any:
        if name in self.asked:
            self.twice.append(name)
        self.asked[name] = question
        # A wrong name gets an answer, too: what is wrong with it is said later.
        self.params[name] = self.answers.get(name, question[1][0] if question[0] == "categorical" else question[1])
        return self.params[name]

    def suggest_loguniform(self, name: str, low: float, high: float) -> Any:
        self.old = "suggest_loguniform is deprecated. Hint: suggest_float(..., log=True)."
        return self._answer(name, ("float", low, high, True, False))

    def suggest_uniform(self, name: str, low: float, high: float) -> Any:
        self.old = "suggest_uniform is deprecated. Hint: suggest_float."
        return self._answer(name, ("float", low, high, False, False))

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        return self._answer(name, ("float", low, high, log, step is not None))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        return self._answer(name, ("int", low, high, log, step != 1))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._answer(name, ("categorical", list(choices)))


_WIDTHS = {"width_0": 256, "width_1": 128, "width_2": 64}


@check(
    "suggest_network still returns nothing. Hint: config = {'learning_rate': trial.suggest_float(...), ...}.",
    "What does not belong to a trial is not asked.",
)
def suggest_network(function: Callable[..., Any]) -> str | None:
    """Both optimizers, each number of layers."""
    for optimizer, layers in (("SGD", 3), ("AdamW", 1), ("SGD", 2), ("AdamW", 3)):
        answers = {"learning_rate": 0.02, "optimizer": optimizer, "momentum": 0.85, "layers": layers} | _WIDTHS
        trial = _Trial(answers)
        config = call(function, trial)
        if not isinstance(config, dict):
            return f"a dict is wanted, not {type(config).__name__}. Hint: return the config."
        problem = (
            trial.old
            or (_wrong_rate(trial) or _wrong_momentum(trial, optimizer) or _wrong_layers(trial, layers, config))
            or _wrong_config(config, answers)
        )
        if problem is not None:
            return problem
    return None


def _wrong_rate(trial: _Trial) -> str | None:
    rate = trial.asked.get("learning_rate")
    if rate is None:
        return "the trial is never asked for 'learning_rate'. Hint: trial.suggest_float('learning_rate', ...)."
    if rate[0] != "float":
        return "learning_rate is asked for as a category or a whole number. Hint: trial.suggest_float."
    if rate[1] < 0:
        return "learning_rate is asked for as an exponent, so the study keeps -2, not 0.01. Hint: 1e-4, 1e-1, log=True."
    if not rate[3]:
        return "learning_rate is drawn on a linear scale, nine tenths of it above 0.01. Hint: log=True."
    if not (math.isclose(rate[1], 1e-4) and math.isclose(rate[2], 1e-1)):
        return f"learning_rate goes from {rate[1]:g} to {rate[2]:g}. Hint: from 1e-4 to 1e-1."
    if rate[4]:
        return "learning_rate is drawn in steps. Hint: log=True and no step."
    optimizer = trial.asked.get("optimizer")
    if optimizer is None or optimizer[0] != "categorical" or set(optimizer[1]) != {"AdamW", "SGD"}:
        return "'optimizer' is not asked for as 'AdamW' or 'SGD'. Hint: suggest_categorical, with a list of both."
    return None


def _wrong_momentum(trial: _Trial, optimizer: str) -> str | None:
    momentum = trial.asked.get("momentum")
    if optimizer == "AdamW":
        if momentum is not None:
            return "AdamW is asked for a momentum, too. Hint: ask inside if config['optimizer'] == 'SGD'."
        return None
    if momentum is None:
        return "SGD is never asked for 'momentum'. Hint: if the optimizer is 'SGD', suggest_float('momentum', ...)."
    if momentum[0] != "float" or not (math.isclose(momentum[1], 0.8) and math.isclose(momentum[2], 0.99)):
        return "momentum has another range or kind. Hint: suggest_float from 0.8 to 0.99."
    if momentum[3]:
        return "momentum is drawn on a log scale. Hint: on a linear scale, so without log."
    if momentum[4]:
        return "momentum is drawn in steps. Hint: without step."
    return None


def _wrong_layers(trial: _Trial, layers: int, config: dict[str, Any]) -> str | None:
    asked = trial.asked.get("layers")
    whole = asked is not None and (
        asked[:3] == ("int", 1, 3) or (asked[0] == "categorical" and sorted(asked[1]) == [1, 2, 3])
    )
    if not whole:
        return "'layers' is not asked for as 1, 2 or 3. Hint: trial.suggest_int('layers', 1, 3), both ends included."
    if asked is not None and asked[0] == "int" and asked[4]:
        return "'layers' is drawn in steps, which leaves 2 out. Hint: without step."
    if asked is not None and asked[0] == "int" and asked[3]:
        return "'layers' is drawn on a log scale, which prefers few. Hint: without log."
    if any(name.startswith("width") for name in trial.twice):
        return "two layers ask under one name, and get the same answer. Hint: f'width_{layer}', a name for each."
    widths = {name for name in trial.asked if name.startswith("width")}
    want = {f"width_{layer}" for layer in range(layers)}
    if widths == {f"width_{layer + 1}" for layer in range(layers)}:
        return "the names begin at width_1. Hint: range(layers) begins at 0, and so does width_0."
    if widths > want:
        return f"for layers={layers}, {max(widths - want)} is asked for as well. Hint: range(layers), not range(3)."
    if widths != want:
        return f"for layers={layers}, {min(want - widths)} is not asked for. Hint: for layer in range(layers)."
    for name in sorted(widths):
        question = trial.asked[name]
        if question[0] != "categorical" or sorted(question[1]) != [64, 128, 256]:
            return f"{name} is not one of 64, 128 and 256. Hint: suggest_categorical(name, [64, 128, 256])."
    return None


def _wrong_config(config: dict[str, Any], answers: dict[str, Any]) -> str | None:
    want = {name: answers[name] for name in ("learning_rate", "optimizer")}
    if answers["optimizer"] == "SGD":
        want["momentum"] = answers["momentum"]
    want["hidden_dims"] = [_WIDTHS[f"width_{layer}"] for layer in range(answers["layers"])]
    for name, value in want.items():
        if name not in config:
            return f"the config has no {name!r}. Hint: it is not enough to ask; put the answer into the dict."
        found = list(config[name]) if isinstance(config[name], tuple) else config[name]
        if found != value:
            return f"config[{name!r}] is {config[name]}, but the trial said {value}. Hint: use its answers, in order."
    more = sorted(set(config) - set(want) - {"layers", *_WIDTHS})
    if more:
        return f"the config for {answers['optimizer']} holds {more[0]!r}, too. Hint: only what belongs to this trial."
    return None


@check(
    "cross_validate still returns nothing. Hint: for train_index, val_index in folds: standardise, score, append.",
    "Every number in it was computed after the split.",
)
def cross_validate(function: Callable[..., Any]) -> str | None:
    """Three folds of 12 rows with a column that never changes; ``score`` notes what it is given."""
    generator = torch.Generator().manual_seed(0)
    X = torch.cat([torch.randn(12, 2, generator=generator) * 3 + 5, torch.full((12, 1), 7.0)], dim=1)
    X[:4, :2] += 4  # the folds differ, so that statistics of all rows are seen to be others
    y, kept = torch.arange(12) % 3, X.clone()
    parts = torch.arange(12).reshape(3, 4)
    folds = [(torch.cat([parts[i] for i in range(3) if i != k]), parts[k]) for k in range(3)]
    returned = [0.5, 0.8, 0.95]
    given: list[tuple[Any, ...]] = []

    def score(*arguments: Any, **named: Any) -> float:
        names = ("X_train", "y_train", "X_val", "y_val")
        given.append(arguments + tuple(named.get(name) for name in names[len(arguments) :]))
        return returned[(len(given) - 1) % 3]

    found = call(function, X, y, folds, score)
    if not torch.equal(X, kept):
        return "X itself was changed. Hint: make new tensors, (X[train_index] - mean) / std."
    if len(given) != 3:
        return f"score was called {len(given)} times for 3 folds. Hint: once in each fold."
    for (train_index, val_index), arguments in zip(folds, given, strict=True):
        problem = _wrong_fold(kept, y, train_index, val_index, arguments)
        if problem is not None:
            return problem
    return _wrong_summary(found, returned)


def _wrong_fold(
    X: torch.Tensor, y: torch.Tensor, train: torch.Tensor, val: torch.Tensor, given: tuple[Any, ...]
) -> str | None:
    """Say what is wrong with the four things that ``score`` was given, or None."""
    if len(given) != 4 or not all(isinstance(tensor, torch.Tensor) for tensor in given):
        return "score takes four tensors. Hint: score(X_train, y_train, X_val, y_val)."
    X_train, y_train, X_val, y_val = given
    if torch.equal(y_train, y[val]) and torch.equal(y_val, y[train]):
        return "it trains on the validation rows and scores the training rows. Hint: train_index comes first."
    if not (torch.equal(y_train, y[train]) and torch.equal(y_val, y[val])):
        return "the labels do not belong to the rows. Hint: y[train_index], then y[val_index]."
    if X_train.shape != X[train].shape or X_val.shape != X[val].shape:
        return "the rows have another shape than X[train_index] and X[val_index]. Hint: standardise each column."
    if not bool(torch.isfinite(X_train).all() and torch.isfinite(X_val).all()):
        return "a column that never changes becomes nan or infinite. Hint: std[std == 0] = 1.0 before dividing."
    mean, std = _statistics(X[train])
    if _close(X_train, (X[train] - mean) / std) and _close(X_val, (X[val] - mean) / std):
        return None
    if _close(X_train, X[train]):
        return "the training rows are not standardised. Hint: subtract the mean and divide by the std of each column."
    leak = _leak(X, train, X_train)
    if leak is not None:
        return f"{leak} from all rows, the validation rows included: a leak. Hint: X[train_index].mean(dim=0), and std."
    if _close(X_train, (X[train] - X[train].mean()) / X[train].std(unbiased=False)):
        return "there is one mean for all columns. Hint: mean(dim=0), one for each column."
    if _close(X_train, (X[train] - mean) / _statistics(X[train], unbiased=True)[1]):
        return "the std divides by n - 1. Hint: std(dim=0, unbiased=False)."
    if not _close(X_train, (X[train] - mean) / std):
        return "the training rows are not at mean 0 and std 1. Hint: (X[train_index] - mean) / std."
    if _close(X_val, X[val]):
        return "the validation rows are not standardised. Hint: with the mean and std of the training rows."
    own, own_std = _statistics(X[val])
    if _close(X_val, (X[val] - own) / own_std):
        return "the validation rows have statistics of their own. Hint: use the mean and std of the training rows."
    return "the validation rows are scaled differently from the training rows. Hint: the same mean, the same std."


def _leak(X: torch.Tensor, train: torch.Tensor, X_train: torch.Tensor) -> str | None:
    """Say which of mean and std were computed from all rows, or None."""
    for unbiased in (False, True):
        (mean, std), (all_mean, all_std) = _statistics(X[train], unbiased=unbiased), _statistics(X, unbiased=unbiased)
        leaks = {"mean and std come": (all_mean, all_std), "mean comes": (all_mean, std), "std comes": (mean, all_std)}
        for name, (center, scale) in leaks.items():
            if _close(X_train, (X[train] - center) / scale):
                return name
    return None


def _statistics(rows: torch.Tensor, *, unbiased: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    std = rows.std(dim=0, unbiased=unbiased)
    std[std == 0] = 1.0
    return rows.mean(dim=0), std


def _close(found: torch.Tensor, want: torch.Tensor) -> bool:
    return torch.allclose(found.double(), want.double(), atol=1e-5)


def _wrong_summary(found: Any, returned: list[float]) -> str | None:
    numbers = _two_numbers(found)
    if numbers is None:
        return "two numbers are wanted. Hint: return mean, spread."
    scores = torch.tensor(returned, dtype=torch.float64)
    want, spread = scores.mean().item(), scores.std().item()
    mean, said = numbers
    if _near(mean, spread) and _near(said, want):
        return "mean and spread are the wrong way round. Hint: return mean, spread."
    if _rounded(mean, want) or _rounded(said, spread):
        return "the numbers are rounded. Hint: return all digits, round when you print."
    if not _near(mean, want):
        return f"for scores {returned} the mean is {mean:.4f}, not {want:.4f}. Hint: all folds, then their mean."
    if _near(said, scores.std(unbiased=False).item()):
        return "the spread divides by the number of folds. Hint: torch.std as it is divides by that minus one."
    if _near(said, spread / 3**0.5):
        return "that is divided by the root of the number of folds; folds are not independent. Hint: only the std."
    if _near(said, spread**2):
        return "that is the variance. Hint: torch.std."
    if not _near(said, spread):
        return f"for scores {returned} the spread is {said:.4f}, not {spread:.4f}. Hint: torch.std of the scores."
    return None


def _two_numbers(found: Any) -> tuple[float, float] | None:
    """Return two numbers or tensors of one value as floats, or None if ``found`` is something else."""
    both = pair(found)
    try:
        return None if both is None else (float(both[0]), float(both[1]))
    except (TypeError, ValueError, RuntimeError):
        return None


def _near(found: float, want: float) -> bool:
    return abs(found - want) < 1e-5


def _rounded(found: float, want: float) -> bool:
    return not _near(found, want) and found != 0 and any(abs(found - round(want, n)) < 1e-9 for n in (2, 3, 4))


@check(
    "paired_difference still returns nothing. Hint: differences = torch.tensor(b) - torch.tensor(a).",
    "Seed by seed, so that what a seed does to both cancels.",
)
def paired_difference(function: Callable[..., Any]) -> str | None:
    """Four seeds that move both configurations alike, four that do not, and two seeds."""
    alike = ([0.90, 0.86, 0.94, 0.88], [0.92, 0.87, 0.97, 0.90])
    mixed = ([0.90, 0.86, 0.94, 0.88], [0.91, 0.93, 0.92, 0.89])  # one difference is negative, the order changes
    for a, b in (alike, mixed, ([0.5, 0.7], [0.6, 0.9])):
        numbers = _two_numbers(call(function, a, b))
        if numbers is None:
            return "two numbers are wanted. Hint: return mean, standard_error."
        problem = _wrong_pairs(*numbers, torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64))
        if problem is not None:
            return problem
    return None


def _wrong_pairs(mean: float, error: float, a: torch.Tensor, b: torch.Tensor) -> str | None:
    differences, n = b - a, len(a)
    want, spread = differences.mean().item(), differences.std().item()
    if _near(mean, -want):
        return f"the mean is {mean:.4f}, but B is better here. Hint: b - a."
    if _near(mean, 100 * want):
        return "the mean is in points. Hint: leave it a share, no times 100."
    if _near(error, want) and _near(mean, spread / n**0.5):
        return "the two numbers are the wrong way round. Hint: return mean, standard_error."
    if _rounded(mean, want) or _rounded(error, spread / n**0.5):
        return "the numbers are rounded. Hint: return all digits, round when you print."
    if not _near(mean, want) and _near(mean, differences.abs().mean().item()):
        return "B is worse from one seed, and that counts as better. Hint: b - a with its sign, without abs."
    if not _near(mean, want) and _near(mean, differences.median().item()):
        return "the first number is the median of the differences. Hint: their mean."
    if not _near(mean, want):
        return f"the mean is {mean:.4f}, not {want:.4f}. Hint: the mean of the differences b - a."
    if _near(error, spread / n**0.5):
        return None
    if _near(error, spread):
        return "the second number is the spread of one difference. Hint: divide by the root of their number."
    if _near(error, spread / n):
        return "it divides by n. Hint: by the root of n."
    if _near(error, differences.std(unbiased=False).item() / n**0.5):
        return "the std divides by n. Hint: torch.std as it is divides by n - 1."
    if _near(error, spread / (n - 1) ** 0.5):
        return "it divides by the root of n - 1. Hint: the std has done that already; by the root of n."
    if _near(error, spread**2 / n):
        return "that is the variance of the mean. Hint: take its root."
    if _near(error, 1.96 * spread / n**0.5):
        return "that is half of an interval. Hint: one standard error is wanted, without 1.96."
    if _near(error, (a.var().item() / n + b.var().item() / n) ** 0.5):
        return "that adds the spreads of A and B, which the seeds cause in both. Hint: the std of the differences."
    if _near(error, (b.sort().values - a.sort().values).std().item() / n**0.5):
        return "a and b were sorted, so entries of different seeds are paired. Hint: leave the order as it is."
    return f"the standard error is {error:.4f}, not {spread / n**0.5:.4f}. Hint: differences.std() / n ** 0.5."
