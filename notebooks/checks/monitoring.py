"""Checks of notebook 07."""

import hashlib
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from checks import Untouched, call, check


@check(
    "running_mean still returns nothing. Hint: keep two sums, loss times size and size, and divide after each batch.",
    "Every sample counts once, however large its batch.",
)
def running_mean(function: Callable[..., Any]) -> str | None:
    """Four batches of 4, 2, 1 and 1 samples."""
    losses, sizes = [1.0, 4.0, 9.0, 2.0], [4, 2, 1, 1]
    want = [1.0, 12 / 6, 21 / 7, 23 / 8]
    found = call(function, list(losses), list(sizes))
    if isinstance(found, torch.Tensor) and found.ndim == 1:
        found = found.tolist()
    if not isinstance(found, (list, tuple)):
        return "a list is wanted, one mean for each batch. Hint: append the mean inside the loop."
    if len(found) != len(want):
        return f"{len(losses)} batches give {len(want)} means, not {len(found)}. Hint: append once for each batch."
    found = [float(value) for value in found]

    def is_like(values: list[float]) -> bool:
        return all(math.isclose(a, b, rel_tol=1e-5) for a, b in zip(found, values, strict=True))

    if is_like([1.0, 2.5, 14 / 3, 4.0]):
        return "that is the mean of the batches: one sample counts like four. Hint: multiply each loss by its size."
    if is_like([4.0, 12.0, 21.0, 23.0]):
        return "these are the sums. Hint: divide by the samples so far."
    if is_like([value / 8 for value in (4.0, 12.0, 21.0, 23.0)]):
        return "it divides by all samples from the start. Hint: divide by the samples so far."
    if is_like([4.0, 6.0, 7.0, 23 / 4]):
        return "it divides by the number of batches. Hint: divide by the samples so far."
    if is_like(losses):
        return (
            "these are the losses themselves. Hint: the sums must grow over the batches; set them to 0 before the loop."
        )
    if not is_like(want):
        return f"for losses {losses} and sizes {sizes} it gives {[round(v, 3) for v in found]}. Hint: the second entry is (1 * 4 + 4 * 2) / 6."
    again = call(function, [3.0], [5])
    return (
        None if list(again) == [3.0] else f"for one batch with loss 3 it gives {again}. Hint: start both sums from 0."
    )


@check(
    "gradient_norm still returns nothing. Hint: add up the squares of all entries, then take one root.",
    "One vector, one length.",
)
def gradient_norm(function: Callable[..., Any]) -> str | None:
    """Gradients of norm 3 and 4 together have norm 5; a third parameter has none."""
    weight, bias, frozen = (
        nn.Parameter(torch.full((2, 2), 10.0)),
        nn.Parameter(torch.zeros(2)),
        nn.Parameter(torch.ones(3)),
    )
    weight.grad, bias.grad = torch.tensor([[1.0, -2.0], [2.0, 0.0]]), torch.tensor([0.0, -4.0])
    try:
        found = call(function, iter([weight, bias]))
        value = float(found.detach() if isinstance(found, torch.Tensor) else found)
    except (TypeError, ValueError, RuntimeError) as error:
        return f"one number is wanted, but: {error}. Hint: pow(2).sum() of each gradient, the sum of those, its root."
    for wrong, said in (
        (25.0, "25 is the sum of the squares. Hint: take the root of it."),
        (7.0, "7 is the sum of the norms, 3 + 4. Hint: squares add up, norms do not: take the root once, at the end."),
        (3.5, "3.5 is the mean of the norms. Hint: one root of the sum of all squares."),
        (9.0, "9 is the sum of absolute values. Hint: squares, not abs()."),
        (4.0, "4 is the largest entry, or the norm of the last gradient. Hint: all gradients together."),
        (3.0, "3 is the norm of the first gradient alone. Hint: add up over all parameters before the root."),
        (math.sqrt(400), "20 is the norm of the weights. Hint: p.grad, not p."),
        (5 / math.sqrt(6), "that is a mean of squares under the root. Hint: sum, not mean."),
    ):
        if math.isclose(value, wrong, rel_tol=1e-4):
            return said
    if not math.isclose(value, 5.0, rel_tol=1e-4):
        return f"gradients of norm 3 and 4 have norm 5 together, but it gives {value:.3f}. Hint: pow(2).sum(), then the root."
    try:
        found = call(function, iter([weight, frozen, bias]))
        value = float(found.detach() if isinstance(found, torch.Tensor) else found)
    except (AttributeError, TypeError) as error:
        return f"a parameter without a gradient stops it ({error}). Hint: leave out those whose grad is None."
    return None if math.isclose(value, 5.0, rel_tol=1e-4) else f"with a frozen parameter it gives {value:.3f}, not 5."


# What to look at, for each fault.
LOOK = {
    "learning rate too high": "it leaps in the first epoch, and never comes back below guessing",
    "learning rate too low": "it falls all the time, in a straight line, and not far",
    "no shuffling": "the training loss swings evenly, in every epoch the same way",
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
