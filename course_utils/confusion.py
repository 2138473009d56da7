"""Which classes are taken for which: the confusion matrix, and the pairs that are confused most."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

ClassNumbers = torch.Tensor | Sequence[int] | NDArray[np.integer[Any]]


class ConfusedPair(NamedTuple):
    """The samples of one class that were taken for one other class.

    ``share`` is ``count`` divided by all samples of the class ``true``, from 0 to 1. ``indices`` int64 (count,) are
    their positions in ``y_true`` and ``y_pred``: ``data.val.images[pair.indices]`` are the images, if the predictions
    come from a loader that does not shuffle.
    """

    true: str
    predicted: str
    count: int  # type: ignore[assignment]  # a tuple has a method of this name, which nobody needs here
    share: float
    indices: torch.Tensor


def confusion_matrix(*, y_true: ClassNumbers, y_pred: ClassNumbers, class_names: Sequence[str]) -> torch.Tensor:
    """Return how often samples of each class got each answer, int64 (classes, classes).

    Rows are true classes, columns are predicted ones: entry ``[i, j]`` counts the samples of class ``i`` that were
    taken for class ``j``. Every class has its row and its column, also one that does not occur.

    Args:
        y_true: right class numbers (samples,), from 0.
        y_pred: predicted class numbers (samples,), in the same order: ``logits.argmax(dim=1)``.
        class_names: one name for each class, in the order of the numbers.

    Raises:
        ValueError: there are no samples, the lengths differ, something else than class numbers is given, a number has
            no name, or two classes have one name. The sentence says what to do.
    """
    true, predicted = _checked(y_true, y_pred, class_names)
    classes = len(class_names)
    return torch.bincount(true * classes + predicted, minlength=classes**2).view(classes, classes)


def most_confused(
    *, y_true: ClassNumbers, y_pred: ClassNumbers, class_names: Sequence[str], top: int = 5
) -> list[ConfusedPair]:
    """Return the ``top`` pairs (true class, predicted class) that were confused most often, the most frequent first.

    Each direction is a pair of its own. Pairs with the same count come in the order of the class numbers; pairs that
    were never confused are left out, so the list may be shorter than ``top``, or empty.

    Raises:
        ValueError: as :func:`confusion_matrix` does, or ``top`` is less than 1.
    """
    if top < 1:
        raise ValueError(f"top is {top}, but it is the number of pairs wanted: give 1 or more.")
    matrix = confusion_matrix(y_true=y_true, y_pred=y_pred, class_names=class_names)
    true, predicted = _checked(y_true, y_pred, class_names)
    mistakes = matrix.clone().fill_diagonal_(0)
    pairs = []
    for place in mistakes.flatten().argsort(descending=True, stable=True)[:top].tolist():
        row, column = divmod(place, len(class_names))
        count = int(mistakes[row, column])
        if count > 0:
            indices = ((true == row) & (predicted == column)).nonzero().squeeze(1)
            share = count / int(matrix[row].sum())
            pairs.append(ConfusedPair(class_names[row], class_names[column], count, share, indices))
    return pairs


def _checked(
    y_true: ClassNumbers, y_pred: ClassNumbers, class_names: Sequence[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both as int64 (samples,) on the CPU, or raise a ValueError that says what is wrong with them."""
    if not class_names:
        raise ValueError("class_names is empty: give the name of each class, in the order of the numbers.")
    twice = sorted({name for name in class_names if list(class_names).count(name) > 1})
    if twice:
        raise ValueError(f"class_names holds {twice[0]!r} more than once: give each class a name of its own.")
    true = _class_numbers(y_true, "y_true", len(class_names))
    predicted = _class_numbers(y_pred, "y_pred", len(class_names))
    if len(true) != len(predicted):
        raise ValueError(
            f"y_true has {len(true)} samples and y_pred has {len(predicted)}, but each sample needs both: take them "
            "from one pass, as predict returns them."
        )
    return true, predicted


def _class_numbers(values: ClassNumbers, name: str, classes: int) -> torch.Tensor:
    try:
        # A pandas column numbers its rows in its own way, and may be read-only: as_tensor wants neither.
        plain = values if isinstance(values, torch.Tensor) else np.array(values)
        numbers = torch.as_tensor(plain).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{name} holds something that is no number ({error}): give class numbers from 0, and the names as "
            "class_names."
        ) from error
    if numbers.numel() == 0:
        raise ValueError(f"{name} is empty, so there is nothing to count: give at least one class number.")
    if numbers.ndim != 1:
        raise ValueError(
            f"{name} has shape {tuple(numbers.shape)}, but one class number for each sample is needed, of shape "
            "(samples,): turn logits into class numbers with logits.argmax(dim=1)."
        )
    if numbers.is_floating_point() or numbers.is_complex():
        raise ValueError(
            f"{name} is {numbers.dtype}, but class numbers are whole: convert labels with .long(), and compare scores "
            "with a threshold first."
        )
    numbers = numbers.long()
    wrong = (numbers < 0) | (numbers >= classes)
    if wrong.any():
        sample = int(wrong.nonzero()[0])
        raise ValueError(
            f"{name} holds the class number {int(numbers[sample])} (sample {sample}), but there are {classes} class "
            f"names, so numbers go from 0 to {classes - 1}: number the classes from 0 and name all of them."
        )
    return numbers
