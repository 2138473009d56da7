"""Figures: what is drawn, and that each has a text alternative."""

from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch

from course_utils import EpochResult, History
from course_utils.plots import plot_history, plot_images, show


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


def test_in_a_script_matplotlib_shows_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    plt.switch_backend("Agg")
    calls: list[int] = []
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    monkeypatch.setattr(plt, "show", lambda: calls.append(len(plt.get_fignums())))
    figure, _ = plt.subplots()
    show(figure, alt="An empty pair of axes.")
    assert calls == [1]
    assert not plt.get_fignums()
