"""Checks of notebook 13."""

import math
from collections.abc import Callable
from typing import Any

import torch

from checks import as_number, call, check

Box = tuple[float, float, float, float]


def _sides(a: Box, b: Box) -> tuple[float, float]:
    return min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


# Each pair with what it shows, and the hint if it is wrong.
PAIRS: tuple[tuple[Box, Box, str, str], ...] = (
    ((0, 0, 10, 10), (4, 2, 14, 10), "overlap", "shared area / (area a + area b - shared area)."),
    ((2, 3, 8, 15), (2, 3, 8, 15), "are equal", "with itself a box has an IoU of 1; count the shared area once below."),
    ((0, 0, 10, 10), (10, 0, 20, 10), "only touch", "the side of the intersection is 0, so is the IoU."),
    ((0, 0, 10, 10), (30, 2, 40, 12), "lie apart in x", "a negative side means no intersection: max(0, ...)."),
    ((0, 0, 10, 10), (13, 13, 23, 23), "lie apart in x and in y", "clamp each side at 0 before you multiply."),
    ((0, 0, 20, 20), (5, 5, 10, 15), "lie one inside the other", "shared is the small area, the union the large one."),
    ((0, 0, 10, 10), (5, 5, 5, 9), "have no area on one side", "0 shared, divided by the other's area."),
    (
        (0.1, 0.2, 0.6, 0.8),
        (0.3, 0.1, 0.9, 0.7),
        "have fractions",
        "no rounding, no smallest union: 0 to 1 is a scale, too.",
    ),
)


@check(
    "box_overlap still returns nothing. Hint: the intersection goes from the larger left side to the smaller right one.",
    "Clamped, counted once, and no nan.",
)
def box_overlap(function: Callable[..., Any]) -> str | None:
    """Pairs that overlap, touch, lie apart, and have no area."""
    for a, b, what, hint in PAIRS:
        width, height = _sides(a, b)
        shared = max(0.0, width) * max(0.0, height)
        want = shared / (_area(a) + _area(b) - shared)
        for first, second in ((a, b), (b, a)):
            given = list(first), list(second)
            found = as_number(call(function, *given))
            if found is None:
                return "one number is wanted. Hint: return the IoU as a float."
            if given != (list(first), list(second)):
                return "the boxes have changed after the call. Hint: work on new names, not in the list."
            if not abs(found - want) < 1e-6:
                reason = _wrong_overlap(found, first, second)
                said = f"for {list(first)} and {list(second)}, which {what}, it gives {found:.3f}, not {want:.3f}. "
                return said + "Hint: " + (reason or hint)
    for a, b in (((5, 5, 5, 5), (5, 5, 5, 5)), ((1, 2, 1, 8), (4, 4, 9, 4))):
        try:
            found = as_number(call(function, list(a), list(b)))
        except ZeroDivisionError:
            return "two boxes without area give a ZeroDivisionError. Hint: return 0.0 where the union is 0."
        if found is None or not abs(found) < 1e-6:
            return (
                f"for {list(a)} and {list(b)}, two boxes without area, it gives {found}. Hint: 0 where the union is 0."
            )
    return None


def _wrong_overlap(found: float, a: Box, b: Box) -> str | None:
    """Recognise a wrong formula by its value."""
    width, height = _sides(a, b)
    shared = max(0.0, width) * max(0.0, height)
    total = _area(a) + _area(b)
    # Pixels counted as in old code, where a box from 0 to 9 was 10 wide.
    more = max(0.0, width + 1) * max(0.0, height + 1)
    grown = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    as_sizes = [(box[0], box[1], box[0] + box[2], box[1] + box[3]) for box in (a, b)]
    w, h = (max(0.0, side) for side in _sides(as_sizes[0], as_sizes[1]))
    of_sizes = _area(as_sizes[0]) + _area(as_sizes[1]) - w * h
    guesses = (
        (
            shared if total - shared < 1 else None,
            "divide by the union, also where it is below 1: 0 to 1 is a scale, too.",
        ),
        (shared / total, "the shared area is counted twice below: subtract it once from area a + area b."),
        (2 * shared / total, "that is the Dice score, 2 shared / (area a + area b); IoU divides by the union."),
        (shared / min(_area(a), _area(b)) if min(_area(a), _area(b)) else None, "that divides by the smaller box."),
        (shared / _area(a) if _area(a) else None, "that is the share of one box; divide by the area of both together."),
        (shared, "that is the shared area; divide it by the area of both together."),
        (more / (sum(grown) - more), "sides are x1 - x0, without + 1: coordinates are edges, not pixel numbers."),
        (w * h / of_sizes if of_sizes else None, "the boxes are corners; that reads them as x, y, width, height."),
    )
    for value, hint in guesses:
        if value is not None and found > 0 and abs(found - value) < 1e-6:
            return hint
    return None


# 0, 1 and 2 are a chain: only neighbours overlap. 3 and its double 7 are of another class. 5 overlaps 4 by exactly 0.5.
# 6 doubles 0 and comes right after 1: who removes from the list that the loop runs over, misses it. 8 is alone.
OVERLAPS = torch.zeros(9, 9)
for _a, _b, _value in (
    *((0, 1, 0.6), (1, 2, 0.6), (0, 3, 0.9), (4, 5, 0.5)),
    *((0, 6, 0.7), (1, 6, 0.7), (3, 7, 0.8), (0, 7, 0.7)),
):
    OVERLAPS[_a, _b] = OVERLAPS[_b, _a] = _value
OVERLAPS.fill_diagonal_(1)
SCORES = torch.tensor([0.9, 0.8, 0.7, 0.85, 0.3, 0.6, 0.79, 0.5, 0.2])
LABELS = torch.tensor([0, 0, 0, 1, 0, 0, 0, 1, 0])


@check(
    "keep still returns nothing. Hint: go through scores.argsort(descending=True) and collect what no kept rival overlaps.",
    "The best first, classes apart, and the dropped drop nothing.",
)
def keep(function: Callable[..., Any]) -> str | None:
    """A chain, two classes, a tie with the threshold, another threshold, and nothing at all."""
    given = OVERLAPS.clone(), SCORES.clone(), LABELS.clone()
    found = _numbers(call(function, *given, 0.5))
    if found is None:
        return "a list of numbers is wanted. Hint: return the positions of the detections to keep, as [0, 3]."
    if problem := _wrong_kept(found, [0, 3, 2, 5, 4, 8]):
        return problem
    if not all(torch.equal(a, b) for a, b in zip(given, (OVERLAPS, SCORES, LABELS), strict=True)):
        return "the tensors have changed after the call. Hint: work on clones, or without functions that end in _."
    for threshold, want, hint in (
        (0.4, [0, 3, 2, 5, 8], "use the argument `threshold`: an overlap of 0.5 is too much there."),
        (0.95, [0, 3, 1, 6, 2, 5, 7, 4, 8], "use the argument `threshold`: no two overlap by more."),
    ):
        found = _numbers(call(function, OVERLAPS.clone(), SCORES.clone(), LABELS.clone(), threshold))
        if found != want:
            return f"for a threshold of {threshold} it keeps {found}, not {want}. Hint: {hint}"
    nothing = torch.zeros(0, 0), torch.zeros(0), torch.zeros(0, dtype=torch.int64)
    found = _numbers(call(function, *nothing, 0.5))
    if found != []:
        return f"for no detections it gives {found}, not an empty list. Hint: collect in a list that starts empty."
    return None


def _numbers(found: Any) -> list[int] | None:
    """Return a list, tuple, tensor or array of whole numbers as a list, or None if ``found`` is something else."""
    try:
        values = torch.as_tensor([int(value) for value in found])
    except (TypeError, ValueError, RuntimeError):
        return None
    if any(isinstance(value, bool) or getattr(value, "dtype", None) == torch.bool for value in found):
        return None
    return [int(value) for value in values]


def _wrong_kept(found: list[int], want: list[int]) -> str | None:
    if found == want:
        return None
    said = f"it keeps {found}, not {want}. Hint: "
    if found[:1] == [8]:
        return said + "that begins with the lowest score: argsort(descending=True)."
    if 0 not in found:
        return said + "0 has the highest score and is always kept; does it overlap itself?"
    if sorted(found) == sorted(want):
        return said + "the right ones in another order: best score first."
    if len(set(found)) < len(found):
        return said + "some number is there twice."
    if len(found) == len(SCORES):
        return said + "nothing was dropped: 1 overlaps 0, which is of its class, by 0.6."
    if not {4, 8} & set(found):
        return said + "4 and 8 have low scores, and stay: the threshold is for overlaps, not for scores."
    if 3 not in found:
        return said + "3 overlaps 0, but it is of another class, and stays."
    if 6 in found:
        return said + "6 overlaps 0, which is kept. Are numbers removed from the very list that the loop runs over?"
    if 7 in found:
        return said + "7 overlaps 3 by 0.8, and both are of class 1: NMS works in every class."
    if 2 not in found:
        return said + "2 overlaps only 1, which was dropped itself: compare with the kept ones alone."
    if set(found) == {0, 2, 3, 5, 8}:
        return said + "5 and 4 overlap by exactly the threshold, and only more than that is dropped: <=."
    if set(found) <= {0, 1} or len(found) == 1:
        return said + "only one is left: is `return` inside the loop?"
    return said + "keep one unless a kept one of its class overlaps it by more than the threshold."


def _ap(hits: list[bool], truths: int) -> float:
    right = [sum(hits[: place + 1]) for place in range(len(hits))]
    pairs = [(found / truths, found / (place + 1)) for place, found in enumerate(right)]
    return sum(max((p for r, p in pairs if r >= point / 100), default=0.0) for point in range(101)) / 101


@check(
    "ap_of_list still returns nothing. Hint: first precision and recall after each place of the list.",
    "The 101 points of COCO.",
)
def ap_of_list(function: Callable[..., Any]) -> str | None:
    """Precision that comes back up, truths that are never found, an empty list, no hit."""
    hits, truths = [True, False, True, True, False, True], 8
    given = list(hits)
    found = as_number(call(function, given, truths))
    if found is None:
        return "one number is wanted. Hint: return the mean over the 101 points as a float."
    want = _ap(hits, truths)
    if not abs(found - want) < 1e-6:
        return f"for {len(hits)} detections with 4 hits, 8 truths, it gives {found:.4f}, not {want:.4f}. Hint: " + (
            _wrong_ap(found, hits, truths)
        )
    if given != hits:
        return "the list `hits` has changed after the call. Hint: work on a copy."
    for other, count, what, hint in (
        ([True, True], 2, "all found, no false alarm", "both ends count, recall 0 and recall 1: 101 points, not 100."),
        ([False, False], 3, "no hit", "the precision is 0 everywhere."),
        ([], 3, "no detections", "return 0.0: where no place reaches a recall, the precision is 0."),
        ([False, True, True], 2, "a false alarm first", "the best precision at this recall *or later* in the list."),
        (
            [True, True, False, True, False, True, False],
            5,
            "4 hits among 7 detections, 5 truths",
            "take the points as n / 100: 0.4 must count as reached by 2 of 5.",
        ),
        ([True] * 5, 10, "half of the truths found", "51 of 101 points are reached, 0 to 0.5."),
    ):
        want = _ap(other, count)
        try:
            found = as_number(call(function, list(other), count))
        except (ZeroDivisionError, IndexError, ValueError, RuntimeError) as error:
            return f"for {what} it raises {type(error).__name__}. Hint: {hint}"
        if found is None or math.isnan(found) or not abs(found - want) < 1e-6:
            shown = "no number" if found is None else f"{found:.4f}"
            return f"for {what} it gives {shown}, not {want:.4f}. Hint: {hint}"
    return None


def _wrong_ap(found: float, hits: list[bool], truths: int) -> str:
    """Say what a wrong AP probably is."""
    right = [sum(hits[: place + 1]) for place in range(len(hits))]
    precision = [r / (place + 1) for place, r in enumerate(right)]
    recall = [r / truths for r in right]

    def at(points: int, *, later: bool, more: float = 0.0) -> float:
        values = []
        for point in range(points):
            reached = [p for p, r in zip(precision, recall, strict=True) if r >= point / (points - 1) + more]
            values.append((max(reached) if later else reached[0]) if reached else 0.0)
        return sum(values) / points

    guesses = (
        (_ap(hits, sum(hits)), "recall is hits / truths, and truths that were never found count, too."),
        (at(101, later=False), "take the best precision at this recall or later, not that of the first such place."),
        (at(101, later=True, more=1e-9), "a recall that is reached exactly counts: >=, not >."),
        (at(11, later=True), "that is the mean over 11 points (VOC 2007); 101 are wanted."),
        (
            sum(p for p, hit in zip(precision, hits, strict=True) if hit) / truths,
            "that is the area of notebook 05, the "
            "mean precision at the hits; here the precision is read at 101 recalls.",
        ),
        (
            sum(p for p, hit in zip(precision, hits, strict=True) if hit) / sum(hits),
            "that is the mean precision at the hits; read it at 101 recalls, 0 where a recall is not reached.",
        ),
        (sum(precision) / len(precision), "that is the mean precision over the list; read it at 101 recalls."),
        (precision[-1], "that is the precision of the whole list, one point; 101 are wanted."),
        (at(100, later=True), "those are 100 points; from 0 to 1 in steps of 0.01 there are 101."),
        (_ap(hits, truths) * 101 / 100, "from 0 to 1 in steps of 0.01 there are 101 points, not 100."),
        (_ap(hits, truths) * 101, "divide the sum by 101."),
        (_ap(hits, truths) * 100, "that is a percentage; return the share from 0 to 1."),
        (_ap(hits, truths) * 101 / 51, "recalls that are never reached count as 0, and the mean is over all 101."),
        (recall[-1], "that is the recall; precision is needed as well."),
    )
    for value, hint in guesses:
        if abs(found - value) < 1e-6:
            return hint
    return "for each of 0, 0.01 ... 1 the largest precision where recall is at least that, or 0; then the mean."
