"""Checks of notebook 04."""

import math
from collections.abc import Callable
from typing import Any

import torch

from checks import as_number, call, check


def _batch(answers: list[int], targets: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits whose argmax are ``answers``, and the targets."""
    return torch.nn.functional.one_hot(torch.tensor(answers), 5).float() * 2 - 1, torch.tensor(targets)


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
    given = [(logits.clone(), labels.clone()) for logits, labels in batches]
    found = as_number(call(function, given))
    if found is None:
        return "one number is wanted. Hint: return right / samples."
    if math.isnan(found):
        return "it gives nan. Hint: count with sums, right and samples, and divide once at the end."
    if abs(found - 14 / 18) < 1e-6:
        if len(given) != 3 or not all(
            torch.equal(left, kept)
            for pair, kept_pair in zip(given, batches, strict=True)
            for left, kept in zip(pair, kept_pair, strict=True)
        ):
            return "the batches are not the same after the call. Hint: only read them, in a loop."
        alone = as_number(call(function, [_batch([4, 4], [0, 1])]))
        return None if alone == 0 else f"for a single batch with no right answer it gives {alone}. Hint: start from 0."
    others = {
        (6 / 8 + 7 / 8 + 1 / 2)
        / 3: "is the mean of the batches' accuracies. Hint: add up counts, divide once at the end.",
        14: "is the number of right answers. Hint: divide by the number of samples.",
        1400 / 18: "is a percentage. Hint: return the share from 0 to 1.",
        14 / 3: "is the mean number of right answers in a batch. Hint: divide by the samples, not by the batches.",
        14 / 24: "counts the short batch as a full one. Hint: add up len(targets).",
        14 / 16: "divides by two batches of 8. Hint: the short last batch counts too, add up len(targets).",
        4 / 18: "is the share of wrong answers. Hint: == finds the right ones.",
        6 / 8: "is the accuracy of the first batch alone. Hint: is `return` inside the loop?",
        13 / 16: "leaves out the last batch. Hint: the short last batch counts too.",
        1 / 2: "is the accuracy of the last batch. Hint: add up over all batches.",
        1 / 18: "counts the last batch alone as right. Hint: +=, and start from 0 before the loop.",
        0: "is no share of 14 of 18. Hint: divide with /, not with //.",
    }
    for value, said in others.items():
        if abs(found - value) < 1e-5:
            return f"{found:.4g} {said}"
    if abs(found - 14 / 18) < 5e-3:
        return f"it gives {found:.6g}, that is 14 / 18 rounded. Hint: return right / samples as it is."
    answers, labels = torch.cat([logits for logits, _ in batches]).argmax(1), torch.cat([b for _, b in batches])
    balanced = sum((answers == labels)[labels == c].double().mean().item() for c in range(5)) / 5
    if abs(found - balanced) < 1e-5:
        return f"{found:.3f} is the mean over the classes. Hint: each sample counts once, whatever its class."
    if found > 1 or found < 0:
        return (
            f"14 of 18 answers are right, but it gives {found:.3f}, no share from 0 to 1. Hint: return right / samples."
        )
    return f"14 of 18 answers are right, {14 / 18:.3f}, but it gives {found:.3f}. Hint: argmax goes along the classes, dim=1."


@check(
    "images_needed still returns nothing. Hint: set the half width equal to what is wanted and solve for n.",
    "Half the width takes four times the images.",
)
def images_needed(function: Callable[..., Any]) -> str | None:
    """Several accuracies and widths; one is a whole number, also in floats, and one lies just above."""
    cases = (
        (0.9, 0.01, 1.96),
        (0.5, 0.03, 1.96),
        (0.97, 0.01, 1.96),
        (0.9, 0.02, 2.576),
        (0.95, 0.015, 1.96),  # 811.004
        (0.5, 0.125, 2.0),  # 64
    )
    for accuracy, half_width, z in cases:
        options = {} if z == 1.96 else {"z": z}
        found = as_number(call(function, accuracy, half_width, **options))
        exact = z**2 * accuracy * (1 - accuracy) / half_width**2
        want = math.ceil(exact)
        asked = f"for accuracy={accuracy}, half_width={half_width}" + (f", z={z}" if options else "")
        if found is None:
            return "one number is wanted. Hint: return the n."
        if abs(found - want) < 1e-9:
            continue
        said = f"{asked} it gives {found:g}, not {want}. Hint: "
        if exact == want and found == want + 1:
            return said + "a whole number stays as it is when it is rounded up: math.ceil, not + 1."
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


# Mean confidence, samples and right answers of each bin of ten that is not empty: one is under-confident.
BINS = ((0.97, 6, 4), (0.74, 2, 2), (0.53, 3, 1), (0.04, 1, 1))


@check(
    "calibration_error still returns nothing. Hint: loop over the bins, weigh each gap by the bin's share of samples.",
    "Each gap weighted by its samples, empty bins left out.",
)
def calibration_error(function: Callable[..., Any]) -> str | None:
    """Four bins with samples, six without; then two bins, and samples on an edge."""
    confidence = torch.tensor([sure for sure, count, _ in BINS for _ in range(count)])
    right = torch.tensor([index < hits for _, count, hits in BINS for index in range(count)])
    given = confidence.clone(), right.clone()
    found = as_number(call(function, *given))
    if found is None:
        return "one number is wanted. Hint: return the sum of the weighted gaps."
    if problem := _calibration_problem(found, confidence, right):
        return problem
    if not (torch.equal(given[0], confidence) and torch.equal(given[1], right)):
        return "confidence or right have changed after the call. Hint: -= and += write into the argument, a = a - b does not."
    few = as_number(call(function, confidence.clone(), right.clone(), bins=2))
    ten = sum(count * abs(sure - hits / count) for sure, count, hits in BINS) / 12
    want = (abs(6 * 0.97 + 2 * 0.74 + 3 * 0.53 - 7) + 1 - 0.04) / 12
    if few is None or abs(few - want) > 1e-4:
        said = f"with bins=2 it gives {'no number' if few is None else f'{few:.3f}'}, not {want:.3f}. Hint: "
        if few is not None and abs(few - ten) < 1e-4:
            return said + "use the argument bins, not a fixed 10."
        return said + "with two bins, the edge between them is 0.5."
    edge = as_number(call(function, torch.ones(4), torch.tensor([True, True, True, False])))
    if edge is None or abs(edge - 0.25) > 1e-4:
        return "samples with a confidence of exactly 1 get lost. Hint: they belong into the last bin."
    # On the edge between two bins: either of the two is right, and the gap is the same.
    inner = as_number(call(function, torch.full((4,), 0.5), torch.tensor([True, True, True, False]), bins=2))
    if inner is None or abs(inner - 0.25) > 1e-4:
        how = "counted twice" if inner is not None and abs(inner - 0.5) < 1e-4 else "lost"
        return (
            f"samples on the edge between two bins are {how}. Hint: one end of a bin belongs to it, the other does not."
        )
    return None


def _calibration_problem(found: float, confidence: torch.Tensor, right: torch.Tensor) -> str | None:
    gaps = [(count, sure - hits / count) for sure, count, hits in BINS]
    parts = [count * abs(gap) / 12 for count, gap in gaps]
    if math.isnan(found):
        return "it gives nan: the mean of an empty bin. Hint: if inside.any()."
    if abs(found - sum(parts)) < 1e-4:
        return None
    middles = [count * abs(int(sure * 10) / 10 + 0.05 - hits / count) / 12 for sure, count, hits in BINS]
    unweighted = sum(abs(gap) for _, gap in gaps)
    others = [
        (unweighted / 4, "a bin of one sample counts like one of six; weigh each gap by its samples."),
        (unweighted / 10, "a bin of one sample counts like one of six; weigh each gap by its samples."),
        (unweighted, "weigh each gap by its bin's share of the samples."),
        (
            sum(count * gap for count, gap in gaps) / 12,
            "gaps of both signs cancel out; take abs() of each before adding.",
        ),
        (
            -sum(count * gap for count, gap in gaps) / 12,
            "gaps of both signs cancel out; take abs() of each before adding.",
        ),
        (max(abs(gap) for _, gap in gaps), "that is the largest gap; the weighted mean is wanted."),
        (12 * sum(parts), "divide by the number of all samples."),
        (12 * sum(parts) / 10, "divide by the number of all samples, len(right), not by that of the bins."),
        (12 * sum(parts) / 4, "divide by the number of all samples, len(right), not by that of the bins."),
        (sum(middles), "take the mean confidence of the samples in a bin, not the middle of the bin."),
        (sum(parts[:-1]), "the first bin, from 0 to 0.1, is left out; range(bins) starts at 0."),
        (sum(parts[1:]), "the last bin, from 0.9 to 1, is left out; range(bins) is all of them."),
        (
            (confidence - right.float()).abs().mean().item(),
            "that is the gap of each sample; take the means of a bin first.",
        ),
        (sum(count * gap**2 for count, gap in gaps) / 12, "the gaps are not squared; abs() is enough."),
    ]
    said = f"it gives {found:.3f}, not {sum(parts):.3f}. Hint: "
    for value, hint in others:
        if abs(found - value) < 1e-4:
            return said + hint
    return said + "in each bin, abs(mean confidence - share right), times its samples, over all samples."
