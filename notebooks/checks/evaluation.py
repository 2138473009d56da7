"""Checks of notebook 04."""

import math
from collections.abc import Callable
from typing import Any

import torch

from checks import call, check


def _batch(answers: list[int], targets: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits whose argmax are ``answers``, and the targets."""
    return torch.nn.functional.one_hot(torch.tensor(answers), 5).float() * 2 - 1, torch.tensor(targets)


def _number(found: Any) -> float | None:
    """Return a float, tensor or array of one value as a float, or None if ``found`` is something else."""
    try:
        return None if isinstance(found, (bool, str)) else float(found)
    except (TypeError, ValueError, RuntimeError):
        return None


@check(
    "exact_accuracy still returns nothing. Hint: add up right answers and samples, divide once.",
    "Each sample counts once, whatever the batches.",
)
def exact_accuracy(function: Callable[..., Any]) -> str | None:
    """Batches of 8, 8 and 2: 6, 7 and 1 right."""
    targets = [0, 1, 2, 3, 4, 0, 1, 2]
    batches = [
        _batch([1, 2, 2, 3, 4, 0, 1, 2], targets),
        _batch([1, 1, 2, 3, 4, 0, 1, 2], targets),
        _batch([4, 1], [0, 1]),
    ]
    found = _number(call(function, batches))
    if found is None:
        return "one number is wanted. Hint: return right / samples."
    if abs(found - 14 / 18) < 1e-5:
        alone = _number(call(function, [_batch([4, 4], [0, 1])]))
        return None if alone == 0 else f"for a single batch with no right answer it gives {alone}. Hint: start from 0."
    if abs(found - (6 / 8 + 7 / 8 + 1 / 2) / 3) < 1e-5:
        return f"{found:.3f} is the mean of the batches' accuracies. Hint: add up counts, divide once at the end."
    if abs(found - 14) < 1e-5:
        return "14 is the number of right answers. Hint: divide by the number of samples."
    if abs(found - 1400 / 18) < 1e-3:
        return f"{found:.1f} is a percentage. Hint: return the share from 0 to 1."
    if abs(found - 14 / 3) < 1e-5:
        return "14 / 3 is the mean number of right answers in a batch. Hint: divide by the samples, not by the batches."
    if abs(found - 14 / 24) < 1e-5:
        return "14 / 24 counts the short batch as a full one. Hint: add up len(targets)."
    if abs(found - 4 / 18) < 1e-5:
        return "4 / 18 is the share of wrong answers. Hint: == finds the right ones."
    if abs(found - 1 / 2) < 1e-5:
        return "0.5 is the accuracy of the last batch. Hint: add up over all batches."
    return f"14 of 18 answers are right, {14 / 18:.3f}, but it gives {found:.3f}. Hint: argmax goes along the classes, dim=1."


@check(
    "images_needed still returns nothing. Hint: set the half width equal to what is wanted and solve for n.",
    "Half the width takes four times the images.",
)
def images_needed(function: Callable[..., Any]) -> str | None:
    """Several accuracies and widths; none falls on a whole number."""
    for accuracy, half_width, z in ((0.9, 0.01, 1.96), (0.5, 0.03, 1.96), (0.97, 0.01, 1.96), (0.9, 0.02, 2.576)):
        options = {} if z == 1.96 else {"z": z}
        found = _number(call(function, accuracy, half_width, **options))
        exact = z**2 * accuracy * (1 - accuracy) / half_width**2
        want = math.ceil(exact)
        asked = f"for accuracy={accuracy}, half_width={half_width}" + (f", z={z}" if options else "")
        if found is None:
            return "one number is wanted. Hint: return the n."
        if abs(found - want) < 1e-9:
            continue
        said = f"{asked} it gives {found:g}, not {want}. Hint: "
        if found in (math.floor(exact), round(exact)):
            return said + "round up, one image fewer is too few: math.ceil."
        if abs(found - exact) < 1e-6:
            return said + "images are whole, round up with math.ceil."
        if abs(found - exact / 4) <= 1:
            return said + "half_width is half of the interval, not all of it."
        if abs(found - exact / z**2) <= 1:
            return said + "z is squared, too, and not left out."
        if abs(found - exact / z) <= 1 or abs(found - exact * half_width) <= 1 or abs(found - math.sqrt(exact)) <= 1:
            return said + "to get n out of the root, square both sides: z and half_width."
        if abs(found - z**2 * 0.25 / half_width**2) <= 1:
            return said + "use accuracy * (1 - accuracy), not its largest value."
        if abs(found - 1.96**2 * accuracy * (1 - accuracy) / half_width**2) <= 1:
            return said + "use the argument z, not a fixed 1.96."
        return said + "n = z**2 * accuracy * (1 - accuracy) / half_width**2, rounded up."
    return None


@check(
    "calibration_error still returns nothing. Hint: loop over the bins, weigh each gap by the bin's share of samples.",
    "Each gap weighted by its samples, empty bins left out.",
)
def calibration_error(function: Callable[..., Any]) -> str | None:
    """Four bins with samples, six without; one bin is under-confident."""
    confidence = torch.tensor([0.95] * 6 + [0.75] * 2 + [0.55] * 3 + [0.35])
    right = torch.tensor([True] * 4 + [False] * 2 + [True] * 2 + [True, False, False] + [True])
    gaps = [(6, 0.95 - 4 / 6), (2, 0.75 - 1), (3, 0.55 - 1 / 3), (1, 0.35 - 1)]
    want = sum(count * abs(gap) for count, gap in gaps) / 12
    found = _number(call(function, confidence.clone(), right.clone()))
    if found is None:
        return "one number is wanted. Hint: return the sum of the weighted gaps."
    if math.isnan(found):
        return "it gives nan: the mean of an empty bin. Hint: if inside.any()."
    if abs(found - want) > 1e-4:
        said = f"it gives {found:.3f}, not {want:.3f}. Hint: "
        if (
            abs(found - sum(abs(gap) for _, gap in gaps) / 4) < 1e-4
            or abs(found - sum(abs(gap) for _, gap in gaps) / 10) < 1e-4
        ):
            return said + "a bin of one sample counts like one of six; weigh each gap by its samples."
        if abs(abs(found) - abs(sum(count * gap for count, gap in gaps)) / 12) < 1e-4:
            return said + "gaps of both signs cancel out; take abs() of each before adding."
        if abs(found - max(abs(gap) for _, gap in gaps)) < 1e-4:
            return said + "that is the largest gap; the weighted mean is wanted."
        if abs(found - 12 * want) < 1e-3:
            return said + "divide by the number of all samples."
        if abs(found - sum(abs(gap) for _, gap in gaps)) < 1e-4:
            return said + "weigh each gap by its bin's share of the samples."
        if abs(found - (confidence - right.float()).abs().mean().item()) < 1e-4:
            return said + "that is the gap of each sample; take the means within a bin first."
        if abs(found - sum(count * gap**2 for count, gap in gaps) / 12) < 1e-4:
            return said + "the gaps are not squared; abs() is enough."
        return said + "in each bin, abs(mean confidence - share right), times its samples, over all samples."
    few = _number(call(function, confidence.clone(), right.clone(), bins=2))
    want = (11 * abs((6 * 0.95 + 2 * 0.75 + 3 * 0.55) / 11 - 7 / 11) + 0.65) / 12
    if few is None or abs(few - want) > 1e-4:
        return "with bins=2 it is wrong. Hint: use the argument bins, not a fixed 10."
    edge = _number(call(function, torch.ones(4), torch.tensor([True, True, True, False])))
    if edge is None or abs(edge - 0.25) > 1e-4:
        return "samples with a confidence of exactly 1 get lost. Hint: they belong into the last bin."
    return None
