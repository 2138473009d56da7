"""Figures: what is drawn, and that each has a text alternative."""

from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch

from course_utils import EpochResult, History
from course_utils.plots import plot_confusion_matrix, plot_history, plot_images, show


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, str]]:
    """Collect figures and their text alternatives instead of displaying them."""
    plt.switch_backend("Agg")
    figures: list[tuple[Any, str]] = []

    def display(figure: Any, metadata: dict[str, dict[str, str]]) -> None:
        figures.append((figure, metadata["image/png"]["alt"]))

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr("IPython.get_ipython", object)
    return figures


def test_a_figure_needs_a_text_alternative(shown: list[Any]) -> None:
    figure, _ = plt.subplots()
    with pytest.raises(ValueError, match="alt is empty"):
        show(figure, alt=" ")
    show(figure, alt="An empty pair of axes.")
    assert shown == [(figure, "An empty pair of axes.")]
    assert not plt.get_fignums()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_image_grid(shown: list[Any], channels: int, dtype: torch.dtype) -> None:
    images = torch.randint(0, 255, (5, channels, 6, 4)).to(dtype)
    plot_images(images, list("abcde"), columns=3, title="Five", wrong=[False] * 4 + [True], alt="Five images.")
    figure, alt = shown[0]
    drawn = [axis for axis in figure.axes if axis.images]
    assert len(figure.axes) == 6
    assert [axis.get_title() for axis in drawn] == ["a", "b", "c", "d", "\N{MULTIPLICATION SIGN} e"]
    assert drawn[0].images[0].get_array().shape[:2] == (6, 4)
    assert drawn[0].images[0].get_clim() == ((0, 1) if dtype.is_floating_point else (0, 255))
    assert alt == "Five images."


def test_images_of_another_shape() -> None:
    for shape in ((28, 28), (2, 5, 28, 28), (0, 1, 28, 28)):
        with pytest.raises(ValueError, match="images must be"):
            plot_images(torch.zeros(shape), alt="x")


def test_history_shows_both_parts_and_says_so(shown: list[Any]) -> None:
    def results(*losses: float) -> list[EpochResult]:
        return [EpochResult(loss=loss, accuracy=1 - loss / 4, seconds=1.0, samples=9, batches=1) for loss in losses]

    history = History(train=results(2.0, 1.0, 0.5), val=results(1.5, 0.75, 1.25), learning_rates=[0.1] * 3)
    plot_history(history, title="A run")
    figure, alt = shown[0]
    loss_axis, accuracy_axis = figure.axes
    lines = {line.get_label(): list(line.get_ydata()) for line in loss_axis.lines}
    assert lines["training"] == [2.0, 1.0, 0.5]
    assert lines["validation"] == [1.5, 0.75, 1.25]
    assert "best epoch (2)" in lines
    assert list(accuracy_axis.lines[1].get_ydata()) == [1 - 1.5 / 4, 1 - 0.75 / 4, 1 - 1.25 / 4]
    assert (loss_axis.get_xlabel(), accuracy_axis.get_ylabel()) == ("epoch", "right answers")
    assert "3 epochs" in alt
    assert "from 1.500 to 1.250, lowest in epoch 2" in alt
    assert alt.endswith("Accuracy ends at 87.5% in training and 68.8% in validation.")


def test_history_of_a_regression_has_no_accuracy(shown: list[Any]) -> None:
    result = EpochResult(loss=-1.0, accuracy=float("nan"), seconds=1.0, samples=9, batches=1)
    plot_history(History(train=[result] * 2, val=[result] * 2, learning_rates=[0.1] * 2))
    figure, alt = shown[0]
    assert len(figure.axes) == 1
    assert figure.axes[0].get_ylim()[0] <= -1
    assert "nan" not in alt


TRUE, PRED = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1], [0, 1, 0, 0, 2, 0, 0, 0, 1, 0, 2]
PETS = ("cat", "dog", "bird")


def cells_of(axis: Any) -> list[list[str]]:
    """Return what is written in the cells of a matrix of three classes, by their place in the figure."""
    written = {text.get_position(): text.get_text() for text in axis.texts}
    return [[written[column, row] for column in range(3)] for row in range(3)]


@pytest.mark.parametrize(
    ("normalize", "expected"),
    [
        (None, [["4", "1", "1"], ["3", "1", "1"], ["", "", ""]]),
        ("true", [["67%", "17%", "17%"], ["60%", "20%", "20%"], ["", "", ""]]),
        ("pred", [["57%", "50%", "50%"], ["43%", "50%", "50%"], ["", "", ""]]),
        ("all", [["36%", "9%", "9%"], ["27%", "9%", "9%"], ["", "", ""]]),
    ],
)
def test_confusion_matrix_has_true_classes_in_rows(shown: list[Any], normalize: Any, expected: list[Any]) -> None:
    plot_confusion_matrix(y_true=TRUE, y_pred=PRED, class_names=PETS, normalize=normalize, title="Pets")
    figure, alt = shown[0]
    (axis,) = figure.axes  # no colour bar: the numbers are written in the cells
    assert cells_of(axis) == expected
    colours = axis.images[0].get_array()
    assert (colours[2].max(), colours[:, 2].min()) == (0, 0)  # no true bird
    assert colours[0, 2] > 0  # but one predicted
    assert axis.get_ylim() == (2.5, -0.5)  # the first class on top
    assert (axis.get_ylabel(), axis.get_xlabel(), axis.get_title(loc="left")) == (
        "true class",
        "predicted class",
        "Pets",
    )
    assert [label.get_text() for label in axis.get_xticklabels()] == list(PETS)
    assert [label.get_text() for label in axis.get_yticklabels()] == list(PETS)
    assert alt == (
        "Confusion matrix of 11 samples in 3 classes, 5 of them right. Most confused: dog taken for cat (3 times), "
        "cat taken for dog (once), cat taken for bird (once)."
    )


def test_confusion_matrix_without_mistakes_and_with_long_names(shown: list[Any]) -> None:
    plot_confusion_matrix(y_true=[0, 1], y_pred=[0, 1], class_names=("a", "b"))
    assert shown[0][1] == "Confusion matrix of 2 samples in 2 classes, 2 of them right."
    names = [f"{'a very long name ' * 6}{number}" for number in range(5)]
    plot_confusion_matrix(y_true=[0, 1, 2, 3], y_pred=[1, 2, 3, 4], class_names=names)
    figure, alt = shown[1]
    assert 20 <= len(alt) <= 400
    assert alt.endswith("(once).")
    assert {label.get_rotation() for label in figure.axes[0].get_xticklabels()} == {45}


def test_confusion_matrix_refuses_what_it_cannot_draw(shown: list[Any]) -> None:
    with pytest.raises(ValueError, match="normalize is 'rows': give 'true', 'pred' or 'all'"):
        plot_confusion_matrix(y_true=TRUE, y_pred=PRED, class_names=PETS, normalize="rows")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="class names, so numbers go from 0 to 1"):
        plot_confusion_matrix(y_true=TRUE, y_pred=PRED, class_names=PETS[:2])
    with pytest.raises(TypeError, match="positional"):
        plot_confusion_matrix(TRUE, PRED, PETS)  # type: ignore[misc]
    assert not shown
    assert not plt.get_fignums()


def test_in_a_script_matplotlib_shows_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    plt.switch_backend("Agg")
    calls: list[int] = []
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    monkeypatch.setattr(plt, "show", lambda: calls.append(len(plt.get_fignums())))
    figure, _ = plt.subplots()
    show(figure, alt="An empty pair of axes.")
    assert calls == [1]
    assert not plt.get_fignums()
