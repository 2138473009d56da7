"""Checks of notebook 05."""

import math
from collections.abc import Callable
from typing import Any

import torch

from checks import Untouched, as_number, as_table, call, check


def _answers(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return class numbers and answers that make up a confusion matrix, in a mixed order."""
    rows, columns = matrix.nonzero(as_tuple=True)
    times = matrix[rows, columns]
    order = torch.arange(int(matrix.sum())) * 5 % int(matrix.sum())  # every sample once: the sums are no multiples of 5
    return rows.repeat_interleave(times)[order], columns.repeat_interleave(times)[order]


@check(
    "confusion still returns nothing. Hint: start from torch.zeros(classes, classes) and add 1 for each sample.",
    "Row true, column predicted, every class in its place.",
)
def confusion(function: Callable[..., Any]) -> str | None:
    """Four classes of which the last does not occur and the third is hardly predicted; then two classes."""
    for want in (
        torch.tensor([[2, 1, 0, 0], [4, 1, 0, 0], [0, 2, 1, 0], [0, 0, 0, 0]]),
        torch.tensor([[3, 1], [0, 2]]),
    ):
        classes = len(want)
        y_true, y_pred = _answers(want)
        given = y_true.clone(), y_pred.clone()
        found = as_table(call(function, *given, classes))
        if found is None:
            return "a table of counts is wanted. Hint: return a tensor of shape (classes, classes)."
        if problem := _matrix_problem(found, want):
            return problem
        if not (torch.equal(given[0], y_true) and torch.equal(given[1], y_pred)):
            return "y_true or y_pred have changed after the call. Hint: *= and += write into the argument, a = a * b does not."
    return None


def _matrix_problem(found: torch.Tensor, want: torch.Tensor) -> str | None:
    classes = len(want)
    if found.numel() == classes**2 and found.ndim == 1:
        return f"it has the shape ({classes**2},): a row of all cells. Hint: .view(classes, classes)."
    if found.shape != want.shape:
        said = f"for {classes} classes it has the shape {tuple(found.shape)}. Hint: "
        if classes == 4 and found.numel() < 16:
            return said + "a class that does not occur keeps its row and column, so take the size from `classes`."
        return said + "the shape is (classes, classes), and `classes` is not always the same."
    if torch.equal(found, want.double()):
        return None
    if torch.equal(found, want.T.double()):
        return "rows and columns are swapped. Hint: the row is the true class: matrix[true, predicted]."
    if torch.equal(found, (want > 0).double()):
        return (
            "each pair is counted once, however often it occurs. Hint: matrix[y_true, y_pred] += 1 does not add up; use "
            "a loop or torch.bincount."
        )
    if found.sum() == 1 and found.max() == 1:
        return "only one sample was counted. Hint: is `return` inside the loop?"
    if torch.equal(found, want.double() + 1):
        return "every cell is one too large. Hint: start from zeros."
    if torch.equal(found, want.diagonal().diag().double()):
        return "only right answers are counted. Hint: every sample goes into one cell, the wrong ones too."
    if bool((found != found.round()).any()):  # nan counts, too
        return "these are shares. Hint: return the counts, without dividing."
    row, column = (found != want).nonzero()[0].tolist()
    return (
        f"{want[row, column]} samples of class {row} were taken for class {column}, but the cell [{row}, {column}] says "
        f"{found[row, column]:g}. Hint: add 1 to matrix[true, predicted] for each sample."
    )


@check(
    "macro_f1 still returns nothing. Hint: diagonal, row sums and column sums are all you need.",
    "Each class counts the same, and an empty column counts 0.",
)
def macro_f1(function: Callable[..., Any]) -> str | None:
    """A matrix with an empty column, one with an empty class, and a perfect one."""
    matrix = torch.tensor([[9, 1, 0], [6, 4, 0], [3, 1, 0]])
    given = matrix.clone()
    result = call(function, given)
    table = as_table(result)
    found = as_number(result)
    if found is None:
        if table is not None and table.numel() == 3:
            return "three numbers are one for each class. Hint: return their mean."
        return "one number is wanted. Hint: return the mean of the classes' F1."
    if math.isnan(found):
        return (
            "it gives nan: the third class is never predicted, so its precision is 0 / 0. Hint: 2 TP / (row + column)."
        )
    f1, rows = torch.tensor([18 / 28, 0.5, 0.0]), torch.tensor([10.0, 10.0, 4.0])
    precision, recall = torch.tensor([9 / 18, 4 / 6, 0.0]), torch.tensor([0.9, 0.4, 0.0])
    mean_precision, mean_recall = precision.mean().item(), recall.mean().item()
    want = (18 / 28 + 0.5) / 3
    others = {
        1.5 * want: "that leaves out the class that is never predicted. Hint: it counts 0, and the mean is over 3.",
        13 / 24: "that is the accuracy, or micro F1. Hint: F1 of each class first, then the mean.",
        0.5: "that is the median, the middle one of three. Hint: the mean is wanted, .mean().",
        float((f1 * rows).sum() / 24): "that is weighted by the row sums. Hint: macro counts each class the same.",
        2 * mean_precision * mean_recall / (mean_precision + mean_recall): "that is the F1 of mean precision and mean "
        "recall. Hint: F1 of each class first, then the mean.",
        float((precision + recall).mean() / 2): "that is the ordinary mean of precision and recall. Hint: the harmonic "
        "mean, 2 P R / (P + R).",
        mean_precision: "that is the macro precision. Hint: F1 needs the row sums as well.",
        mean_recall: "that is the macro recall. Hint: F1 needs the column sums as well.",
        3 * want: "that is the sum of the classes' F1. Hint: divide by the number of classes.",
        100 * want: "that is a percentage. Hint: return the share from 0 to 1.",
        want / 2: "that is half of it. Hint: F1 is *two* TP over row plus column.",
    }
    if abs(found - want) > 1e-4:
        for value, said in others.items():
            if abs(found - value) < 1e-4:
                return f"it gives {found:.3f}, not {want:.3f}: {said}"
        return (
            f"it gives {found:.3f}, not {want:.3f}. Hint: for each class 2 TP / (row sum + column sum), then the mean."
        )
    if not torch.equal(given, matrix):
        return "the matrix has changed after the call. Hint: functions that end in _ write into it; work on matrix.clone()."
    absent = as_number(call(function, torch.tensor([[2, 1, 0], [0, 3, 0], [0, 0, 0]])))
    if absent is None or not abs(absent - (0.8 + 6 / 7) / 3) < 1e-4:
        hint = "row + column is 0 there, so clamp_min(1) before dividing."
        if absent is not None and abs(absent - (0.8 + 6 / 7) / 2) < 1e-4:
            hint = "it counts 0, and the mean is over all 3; with scikit-learn, labels=range(len(matrix))."
        return (
            f"where a class neither occurs nor is predicted it gives {'no number' if absent is None else f'{absent:.3f}'}, "
            f"not {(0.8 + 6 / 7) / 3:.3f}. Hint: {hint}"
        )
    perfect = as_number(call(function, torch.tensor([[3, 0], [0, 5]])))
    if perfect is None or abs(perfect - 1) > 1e-4:
        hint = "take the number of classes from the matrix."
        if perfect is not None and abs(perfect - 1) < 0.05:
            hint = "what is added to the bottom changes every F1; clamp_min(1) changes only a 0."
        return f"where every answer is right it gives {perfect}, not 1. Hint: {hint}"
    return None


# From the highest score: precision 1, 1, 2/3, 3/4, 3/5, 3/6, 4/7, then falling.
SCORES = [0.953, 0.904, 0.817, 0.706, 0.611, 0.523, 0.408, 0.309, 0.214, 0.107]
TARGETS = [1, 1, 0, 1, 0, 0, 1, 0, 0, 0]


@check(
    "best_threshold still returns nothing. Hint: try every score as a threshold, from the highest.",
    "The most recall that keeps the promise.",
)
def best_threshold(function: Callable[..., Any]) -> str | None:
    """Precision that comes back up, equality, ties, and a promise that cannot be kept."""
    order = torch.tensor([3, 0, 7, 2, 9, 1, 5, 8, 4, 6])
    scores, targets = torch.tensor(SCORES)[order], torch.tensor(TARGETS)[order]
    given = scores.clone(), targets.clone()
    found = as_number(call(function, *given, 0.7))
    if found is None:
        return "one number is wanted. Hint: return the threshold alone."
    said = f"for a precision of 0.7 it gives {found:.3f}, not 0.706. Hint: "
    if abs(found - 0.904) < 1e-4:
        return said + "precision falls at 0.817 and comes back up at 0.706; do not stop at the first failure."
    if abs(found - 0.953) < 1e-4:
        return said + "of all thresholds that keep the promise, the one with the largest recall is wanted."
    if abs(found - 0.611) < 1e-4:
        return said + "a sample whose score equals the threshold is called positive: scores >= threshold."
    if abs(found - 0.75) < 1e-4:
        return said + "0.75 is the precision, or the recall, that is reached; return the score where it is."
    if abs(found - 0.107) < 1e-4 or abs(found - 0.408) < 1e-4:
        return said + "recall alone is largest there, but the precision is below 0.7."
    if 0 <= found < 10 and abs(found - round(found)) < 1e-4:
        return said + "that looks like a position; return scores[position]."
    if min(abs(found - score) for score in SCORES) > 1e-4 and found != math.inf:
        return said + "that is none of the scores; try them as thresholds, not a grid of your own."
    if not abs(found - 0.706) < 1e-4:
        return said + "for each score count hits and calls, precision = hits / calls, recall = hits / positives."
    if not (torch.equal(given[0], scores) and torch.equal(given[1], targets)):
        return (
            "scores or targets have changed after the call. Hint: functions that end in _, *= and += write into them."
        )
    for minimum, want, hint in (
        (0.75, 0.706, "a precision of exactly 0.75 keeps the promise: >=."),
        (0.5, 0.408, "all positives are found at 0.408; lower ones find no more, so the highest of them is wanted."),
        (1.0, 0.904, "use the argument min_precision, not a fixed number."),
    ):
        found = as_number(call(function, scores.clone(), targets.clone(), minimum))
        if found is None or not abs(found - want) < 1e-4:
            return f"for a precision of {minimum:g} it gives {_shown(found)}, not {want:g}. Hint: {hint}"
    tied = torch.tensor([0.9, 0.6, 0.6, 0.6, 0.2])
    found = as_number(call(function, tied, torch.tensor([1, 1, 0, 0, 0]), 0.6))
    if found is None or not abs(found - 0.9) < 1e-4:
        said = f"samples with equal scores are called together, but it gives {_shown(found)}, not 0.9. Hint: "
        return said + "scores >= threshold for each."
    try:
        found = as_number(call(function, torch.tensor([0.9, 0.5]), torch.tensor([0, 1]), 0.9))
    except Untouched:
        found = None
    if found != math.inf:
        return f"where no threshold keeps the promise it gives {_shown(found)}. Hint: start from math.inf, and return that."
    return None


def _shown(found: float | None) -> str:
    return "no number" if found is None else f"{found:.3f}"
