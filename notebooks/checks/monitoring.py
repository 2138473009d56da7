"""Checks of notebook 07."""

import hashlib
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from checks import Untouched, call, check

# What was written, what counts of it, and what this one shows.
Events = list[tuple[int, float]]
LOGS: tuple[tuple[Events, Events, str], ...] = (
    (
        [(1, 0.9), (2, 0.7), (3, 0.8), (3, 0.6), (4, 0.65)],
        [(1, 0.9), (2, 0.7), (3, 0.6), (4, 0.65)],
        "a step that was written before is written anew, and the new value counts",
    ),
    (
        [(10, 2.0), (20, 1.5), (30, 1.2), (40, 1.0), (20, 1.4), (30, 1.6)],
        [(10, 2.0), (20, 1.4), (30, 1.6)],
        "going back to step 20 makes all that was written from there on void, step 40 too",
    ),
    (
        [(1, 5.0), (2, 4.0), (3, 3.0), (4, 2.0), (3, 3.5), (1, 4.5), (2, 4.25)],
        [(1, 4.5), (2, 4.25)],
        "after a second interruption, the same holds again",
    ),
    (
        [(10, 1.0), (20, 0.5), (30, 0.4), (15, 0.9), (25, 0.8)],
        [(10, 1.0), (15, 0.9), (25, 0.8)],
        "the steps go back to one that was not there: compare steps, not places",
    ),
    ([(0, 3.0), (5, 2.0), (10, 2.5)], [(0, 3.0), (5, 2.0), (10, 2.5)], "without an interruption, all of it counts"),
    ([(0, 3.0), (5, 2.0), (0, 2.5)], [(0, 2.5)], "back to step 0, nothing of what was before is left"),
    ([], [], "nothing written, nothing to return"),
)


@check(
    "one_curve still returns nothing. Hint: collect the pairs; before you add one, take off those with its step or a later one.",
    "Each step once, and none of a training that was killed.",
)
def one_curve(function: Callable[..., Any]) -> str | None:
    """Steps written twice, steps that only the killed training reached, two interruptions, none, and no events."""
    for events, want, hint in LOGS:
        given = list(events)
        try:
            found = call(function, given)
            pairs = [(int(step), float(value)) for step, value in (found.items() if isinstance(found, dict) else found)]
        except Untouched:
            if events == LOGS[0][0]:
                raise
            return f"for {events} it returns nothing. Hint: every way through the function needs a return."
        except (TypeError, ValueError):
            return "a list of pairs is wanted. Hint: return [(step, value), ...]."
        if given != events:
            return "events has changed after the call. Hint: build a new list, and leave theirs as it is."
        if isinstance(found, dict) and pairs == want:
            return "it is a dictionary. Hint: return list(curve.items())."
        if pairs == want:
            continue
        said = f"for {events} it gives {pairs}, not {want}. Hint: "
        if pairs == events:
            return said + f"nothing was taken out, but {hint}."
        if pairs == sorted(events):
            return said + "sorting hides where the steps go back; the order of writing tells what counts."
        if len({step for step, _ in pairs}) < len(pairs):
            return said + "a step is in it twice; the later one counts."
        if pairs == sorted(dict(reversed(events)).items()):
            return said + "the value that was written last counts, not the first."
        if pairs == sorted(dict(events).items()):
            return said + "steps that only the killed training reached do not count; a dictionary keeps them."
        return said + f"{hint}."
    return None


@check(
    "gradient_norm still returns nothing. Hint: add up the squares of all entries, then take one root.",
    "One vector, one length.",
)
def gradient_norm(function: Callable[..., Any]) -> str | None:
    """Gradients of norm 3 and 4 together have norm 5; a third parameter has none."""
    value, problem = _norm_found(function, frozen=False)
    if problem is not None:
        return problem
    for wrong, said in (
        (25.0, "25 is the sum of the squares. Hint: take the root of it."),
        (7.0, "7 is the sum of the norms, 3 + 4. Hint: squares add up, norms do not: take the root once, at the end."),
        (3.5, "3.5 is the mean of the norms. Hint: one root of the sum of all squares."),
        (10.6, "10.6 is the sum of absolute values. Hint: squares, not abs()."),
        (0.2, "0.2 is the sum of all entries. Hint: square them first, then take the root."),
        (3.2, "3.2 is the largest entry. Hint: all gradients together: a sum of squares, and its root."),
        (4.0, "4 is the norm of the last gradient alone. Hint: add up over all parameters before the root."),
        (3.0, "3 is the norm of the first gradient alone. Hint: add up over all parameters before the root."),
        (20.0, "20 is the norm of the weights. Hint: p.grad, not p."),
        (25 / 6, "that is the mean of the squares. Hint: sum, not mean, and then the root."),
        (5 / math.sqrt(6), "that is a mean of squares under the root. Hint: sum, not mean."),
    ):
        if math.isclose(value, wrong, rel_tol=1e-4):
            return said
    if not math.isclose(value, 5.0, rel_tol=1e-4):
        return f"gradients of norm 3 and 4 have norm 5 together, but it gives {value:.6g}. Hint: pow(2).sum(), then the root."
    try:
        value, problem = _norm_found(function, frozen=True)
    except AttributeError as error:
        problem = str(error)
    if problem is not None:
        return f"a parameter without a gradient stops it ({problem}). Hint: leave out those whose grad is None."
    if math.isclose(value, 5.0, rel_tol=1e-4):
        return None
    return (
        f"with a parameter that has no gradient it gives {value:.6g}, not 5. Hint: leave out those whose grad is None."
    )


def _norm_found(function: Callable[..., Any], *, frozen: bool) -> tuple[float, str | None]:
    """Return the norm for gradients of norm 3 and 4, and what is wrong with the answer."""

    def parameters() -> list[nn.Parameter]:
        weight, bias = nn.Parameter(torch.full((2, 2), 10.0)), nn.Parameter(torch.zeros(2))
        weight.grad, bias.grad = torch.tensor([[1.0, -2.0], [2.0, 0.0]]), torch.tensor([2.4, -3.2])
        return [weight, nn.Parameter(torch.ones(3)), bias] if frozen else [weight, bias]

    def number(found: Any) -> float:
        return float(found.detach() if isinstance(found, torch.Tensor) else found)

    given = parameters()
    try:
        value, error = number(call(function, (parameter for parameter in given))), None
    except (TypeError, ValueError, RuntimeError) as raised:
        value, error = math.nan, raised
    before = parameters()
    for now, then in zip(given, before, strict=True):
        if then.grad is not None and (now.grad is None or not torch.equal(now.grad, then.grad)):
            return value, "it changes the gradients, and the optimizer would step with them. Hint: pow(2), not pow_(2)."
    if not math.isclose(value, 5.0, rel_tol=1e-4) and not frozen:
        try:
            if math.isclose(number(call(function, parameters())), 5.0, rel_tol=1e-4):
                said = "it would be right for a list, but model.parameters() gives a generator, which is used up after one loop."
                return value, f"{said} Hint: it is a generator: go through it once, or begin with list(parameters)."
        except (AttributeError, TypeError, ValueError, RuntimeError):
            pass  # so that is not the reason
    if error is not None:
        if frozen:
            return value, str(error)
        return (
            value,
            f"one number is wanted, but: {error}. Hint: pow(2).sum() of each gradient, the sum of those, its root.",
        )
    return value, None


# What to look at, for each fault.
LOOK = {
    "learning rate too high": "it leaps in the first epoch, and never comes back below guessing",
    "learning rate too low": "it falls all the time, in a straight line, and not far",
    "sorted, unshuffled": "the training loss swings evenly, in every epoch the same way",
    "zero_grad forgotten": "it is fine for an epoch or two, then it swings wider and wider",
    "labels off by one": "the training loss is perfect; what does the other one say?",
    "softmax twice": "both are smooth, and something stops them; which line is near?",
    "exploding gradients": "all is well for eight epochs; and then?",
    "dead ReLU": "nothing happens at all",
    "leakage": "look how far apart the two curves are at the end, and whether that is too good",
    "model too small": "both curves level off together, below the dashed line, well above 0",
}


def quiz_order(names: Iterable[str]) -> list[str]:
    """Return the faults in the order of the quiz."""
    return sorted(names, key=lambda name: hashlib.sha256(f"quiz {name}".encode()).hexdigest())


@check(
    "every letter is still open. Hint: begin with the panels that have a shape of their own: a spike, a flat line.",
    "You can read them all.",
)
def diagnosis(answers: Any) -> str | None:
    """Ten letters, ten names."""
    if not isinstance(answers, dict):
        return f"a dictionary is wanted, not a {type(answers).__name__}. Hint: a name for each letter from A to J."
    key = dict(zip("ABCDEFGHIJ", quiz_order(LOOK), strict=True))
    given = {
        str(letter).strip().upper(): name for letter, name in answers.items() if name is not None and name is not ...
    }
    given = {letter: str(name).strip().lower().replace("relu", "ReLU") for letter, name in given.items()}
    if not given:
        raise Untouched
    for letter, name in given.items():
        if letter not in key:
            return f"there is no panel {letter!r}. Hint: the letters go from A to J."
        if name not in LOOK:
            return f"{letter}: {name!r} is none of the ten names. Hint: copy it from the list below the panels."
    wrong = [letter for letter in key if letter in given and given[letter] != key[letter]]
    if wrong:
        letter = wrong[0]
        others = f" ({', '.join(wrong[1:])} as well)" if wrong[1:] else ""
        return f"{letter} is not {given[letter]!r}{others}. Hint for {letter}: {LOOK[key[letter]]}."
    if missing := [letter for letter in key if letter not in given]:
        return f"all right so far, {', '.join(missing)} still open. Hint for {missing[0]}: {LOOK[key[missing[0]]]}."
    return None
