"""The confusion matrix and the most confused pairs: against scikit-learn, the right way round, and refusals."""

import inspect
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch

from course_utils.confusion import ConfusedPair, confusion_matrix, most_confused

NAMES = ("cat", "dog", "bird")
# Nearly every cell differs from its mirror image. Nothing is a bird, but some are taken for one.
TRUE = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
PRED = [0, 1, 0, 0, 2, 0, 0, 0, 1, 0, 2]
EXPECTED = [[4, 1, 1], [3, 1, 1], [0, 0, 0]]


def test_rows_are_true_classes_and_columns_are_predicted_ones() -> None:
    matrix = confusion_matrix(y_true=torch.tensor(TRUE), y_pred=torch.tensor(PRED), class_names=NAMES)
    assert matrix.dtype == torch.int64
    assert matrix.tolist() == EXPECTED


def test_pairs_name_the_true_class_first_and_find_their_samples() -> None:
    pairs = most_confused(y_true=TRUE, y_pred=PRED, class_names=NAMES)
    # The most frequent first; those that occurred once in the order of their classes.
    assert [pair[:3] for pair in pairs] == [
        ("dog", "cat", 3),
        ("cat", "dog", 1),
        ("cat", "bird", 1),
        ("dog", "bird", 1),
    ]
    assert [pair.share for pair in pairs] == [3 / 5, 1 / 6, 1 / 6, 1 / 5]
    assert [pair.indices.tolist() for pair in pairs] == [[6, 7, 9], [1], [4], [10]]
    assert isinstance(pairs[0], ConfusedPair)
    assert (pairs[0].true, pairs[0].predicted, pairs[0].count) == ("dog", "cat", 3)


@pytest.mark.parametrize("top", [1, 2, 4])
def test_as_many_pairs_as_wanted(top: int) -> None:
    pairs = most_confused(y_true=TRUE, y_pred=PRED, class_names=NAMES)
    first = most_confused(y_true=TRUE, y_pred=PRED, class_names=NAMES, top=top)
    assert [pair[:4] for pair in first] == [pair[:4] for pair in pairs[:top]]


def test_no_mistakes_no_pairs() -> None:
    assert most_confused(y_true=TRUE, y_pred=TRUE, class_names=NAMES) == []


def test_equal_to_scikit_learn() -> None:
    y_true, y_pred = torch.randint(0, 7, (500,)), torch.randint(0, 7, (500,))
    matrix = confusion_matrix(y_true=y_true, y_pred=y_pred, class_names=list("abcdefg"))
    assert matrix.tolist() == sklearn.metrics.confusion_matrix(y_true, y_pred).tolist()
    assert torch.equal(matrix.sum(dim=1), y_true.bincount())
    assert matrix.trace() == (y_true == y_pred).sum()
    pairs = most_confused(y_true=y_true, y_pred=y_pred, class_names=list("abcdefg"), top=100)
    assert sum(pair.count for pair in pairs) == (y_true != y_pred).sum()
    assert [pair.count for pair in pairs] == sorted((pair.count for pair in pairs), reverse=True)


def test_classes_that_do_not_occur_keep_row_and_column() -> None:
    names = ("a", "b", "c", "d")
    matrix = confusion_matrix(y_true=[0, 2], y_pred=[2, 2], class_names=names)
    expected = sklearn.metrics.confusion_matrix([0, 2], [2, 2], labels=range(4))
    assert matrix.tolist() == expected.tolist()


@pytest.mark.parametrize(
    "kind", [list, tuple, np.array, torch.tensor, lambda v: np.array(v, np.uint8), lambda v: torch.tensor(v).byte()]
)
def test_lists_arrays_and_tensors_of_any_whole_type(kind: Any) -> None:
    assert confusion_matrix(y_true=kind(TRUE), y_pred=kind(PRED), class_names=NAMES).tolist() == EXPECTED


def test_answers_to_a_yes_or_no_question() -> None:
    y_true = torch.tensor([True, True, True, False])
    matrix = confusion_matrix(y_true=y_true, y_pred=torch.tensor([0.9, 0.8, 0.1, 0.7]) > 0.5, class_names=("no", "yes"))
    assert matrix.tolist() == [[0, 1], [1, 2]]


def test_by_name_only() -> None:
    """Swapped arguments would swap precision and recall, and nothing would fail."""
    for function in (confusion_matrix, most_confused):
        kinds = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
        assert kinds == {inspect.Parameter.KEYWORD_ONLY}


LOGITS = torch.zeros(4, 3)
REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"y_pred": [0, 1]}, r"y_true has 4 samples and y_pred has 2, .* take them from one pass"),
    ({"y_pred": LOGITS}, r"y_pred has shape \(4, 3\), .* logits\.argmax\(dim=1\)"),
    ({"y_true": torch.tensor(2)}, r"y_true has shape \(\), but one class number for each sample"),
    ({"y_true": [0.0, 1.0, 2.0, 1.0]}, r"y_true is torch\.float64, .* \.long\(\)"),
    ({"y_true": ["cat", "dog", "cat", "dog"]}, r"y_true holds something that is no number .* names as class_names"),
    ({"y_true": [1, 2, 3, 1]}, r"y_true holds the class number 3 \(sample 2\), .* 3 class names, .* from 0 to 2"),
    ({"y_pred": [0, -1, 2, 1]}, r"y_pred holds the class number -1 \(sample 1\)"),
    ({"y_true": [], "y_pred": []}, r"y_true is empty, .* at least one"),
    ({"y_pred": torch.empty(0, 3)}, r"y_pred is empty"),
    ({"class_names": ("cat", "dog", "cat")}, r"class_names holds 'cat' more than once"),
]


@pytest.mark.parametrize(("wrong", "sentence"), REFUSALS)
@pytest.mark.parametrize("function", [confusion_matrix, most_confused])
def test_refusals_say_what_to_do(function: Any, wrong: dict[str, Any], sentence: str) -> None:
    good = {"y_true": [0, 1, 2, 1], "y_pred": [0, 1, 1, 1], "class_names": NAMES}
    with pytest.raises(ValueError, match=sentence) as caught:
        function(**{**good, **wrong})
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("top", [0, -1])
def test_fewer_pairs_than_one(top: int) -> None:
    with pytest.raises(ValueError, match=rf"top is {top}, .* give 1 or more"):
        most_confused(y_true=TRUE, y_pred=PRED, class_names=NAMES, top=top)


def test_nothing_is_changed() -> None:
    y_true, y_pred = torch.tensor(TRUE), torch.tensor(PRED)
    most_confused(y_true=y_true, y_pred=y_pred, class_names=NAMES)
    assert (y_true.tolist(), y_pred.tolist()) == (TRUE, PRED)


def test_columns_of_a_filtered_table_are_read_in_order() -> None:
    import pandas as pd

    table = pd.DataFrame({"true": [0, 9, 1, 1], "answer": [0, 9, 0, 1]})
    table = table[table["true"] < 9]  # its rows are numbered 0, 2, 3 now
    matrix = confusion_matrix(y_true=table["true"], y_pred=table["answer"], class_names=("a", "b"))
    assert matrix.tolist() == [[1, 0], [1, 1]]


def test_no_class_names() -> None:
    with pytest.raises(ValueError, match="class_names is empty: give the name of each class"):
        confusion_matrix(y_true=[0], y_pred=[0], class_names=())
