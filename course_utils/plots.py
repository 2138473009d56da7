"""The figures that several lessons need. Each one is shown with a text alternative.

Importing this module brings matplotlib and gives it the course's style.
"""

import math
from collections.abc import Sequence
from typing import Literal

import IPython
import IPython.display
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from course_utils.confusion import ClassNumbers, ConfusedPair, confusion_matrix, most_confused
from course_utils.history import History

plt.style.use("course_utils.course")


def show(figure: Figure, *, alt: str) -> None:
    """Display ``figure`` in the notebook with ``alt``, what it shows in one or two sentences, and close it.

    The text goes where notebook viewers look for it, into the output's metadata. In a script the figure is shown as
    matplotlib shows figures. Raises a ValueError if ``alt`` is empty.
    """
    if not alt.strip():
        raise ValueError("alt is empty, but a reader who cannot see the figure needs it: say what the figure shows.")
    if IPython.get_ipython() is None:
        plt.show()
    else:
        IPython.display.display(figure, metadata={"image/png": {"alt": alt}})  # type: ignore[no-untyped-call]
    plt.close(figure)


def plot_images(
    images: torch.Tensor,
    titles: Sequence[str] = (),
    *,
    columns: int = 8,
    size: float = 1.0,
    title: str = "",
    wrong: Sequence[bool] = (),
    alt: str,
) -> None:
    """Show a grid of images.

    Args:
        images: (N, C, H, W) or (N, H, W) with one or three channels: uint8, or floats of any range. Floats are
            stretched together, so that the smallest value is black and the largest white.
        titles: what to write over each image.
        columns: images in a row.
        size: width of each image in inches.
        title: what to write over the grid.
        wrong: whether to mark each title, in red with a cross.
        alt: see :func:`show`.

    Raises:
        ValueError: ``images`` has another shape.
    """
    pixels = images.detach().cpu()
    if pixels.ndim == 3:
        pixels = pixels.unsqueeze(1)
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3) or len(pixels) == 0:
        raise ValueError(
            f"images must be (N, C, H, W) or (N, H, W), with 1 or 3 channels and N above 0, but has shape "
            f"{tuple(images.shape)}: for one image, add the first dimension with unsqueeze(0)."
        )
    if pixels.is_floating_point():
        low, high = pixels.min(), pixels.max()
        pixels = (pixels - low) / (high - low).clamp_min(1e-12)
    vmax = 1 if pixels.is_floating_point() else 255
    columns = min(columns, len(pixels))
    rows = -(-len(pixels) // columns)
    lines = max((title.count("\n") + 1 for title in titles), default=0)
    height = size * pixels.shape[2] / pixels.shape[3]
    figsize = ((size + 0.05) * columns, (height + 0.17 * lines + 0.08) * rows + 0.3 * bool(title))
    figure, axes = plt.subplots(rows, columns, figsize=figsize, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for index, (axis, image) in enumerate(zip(axes.flat, pixels.permute(0, 2, 3, 1), strict=False)):
        axis.imshow(image.squeeze(-1).numpy(), vmin=0, vmax=vmax, interpolation="nearest")
        if titles:
            marked = bool(wrong) and wrong[index]
            text = f"\N{MULTIPLICATION SIGN} {titles[index]}" if marked else titles[index]
            axis.set_title(text, fontsize=9, fontweight="normal", loc="center", color="#bd1f01" if marked else "black")
    if title:
        figure.suptitle(title, fontsize=11, fontweight="bold")
    show(figure, alt=alt)


def plot_history(history: History, *, title: str = "") -> None:
    """Show loss and accuracy (if there is one) of training and validation data, by epoch, and the best epoch."""
    epochs = range(1, len(history) + 1)
    best = history.best_epoch
    first, last = history.val[0], history.val[-1]
    alt = (
        f"Training loss over {len(history)} epochs goes from {history.train[0].loss:.3f} to "
        f"{history.train[-1].loss:.3f}, validation loss from {first.loss:.3f} to {last.loss:.3f}, "
        f"lowest in epoch {best}."
    )
    with_accuracy = not math.isnan(last.accuracy)
    figure, axes = plt.subplots(1, 1 + with_accuracy, figsize=(4.2 * (1 + with_accuracy), 3.1), squeeze=False)
    loss_axis, accuracy_axis = axes[0, 0], axes[0, -1]
    for name, results in (("training", history.train), ("validation", history.val)):
        loss_axis.plot(epochs, [result.loss for result in results], marker="o", markersize=3, label=name)
    loss_axis.axvline(best, color="#717581", linewidth=1, linestyle=":", label=f"best epoch ({best})")
    loss_axis.set(title="Loss", xlabel="epoch", ylabel="mean loss of a sample")
    loss_axis.set_ylim(bottom=min(0, *(result.loss for result in history.train + history.val)))
    loss_axis.legend()
    _count_on(loss_axis)
    if with_accuracy:
        for results in (history.train, history.val):
            accuracy_axis.plot(epochs, [result.accuracy for result in results], marker="o", markersize=3)
        accuracy_axis.set(title="Accuracy", xlabel="epoch", ylabel="right answers")
        accuracy_axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        _count_on(accuracy_axis)
        alt += f" Accuracy ends at {history.train[-1].accuracy:.1%} in training and {last.accuracy:.1%} in validation."
    if title:
        figure.suptitle(title, fontsize=11, fontweight="bold")
    show(figure, alt=alt)


def plot_confusion_matrix(
    *,
    y_true: ClassNumbers,
    y_pred: ClassNumbers,
    class_names: Sequence[str],
    normalize: Literal["true", "pred", "all"] | None = None,
    title: str = "",
) -> None:
    """Show the confusion matrix: a row for each true class, a column for each predicted one.

    It is drawn by scikit-learn's ``ConfusionMatrixDisplay``. The colours are stretched at the low end, so that few
    mistakes stand out beside many right answers; cells that count nothing stay empty.

    Args:
        y_true: right class numbers (samples,), see :func:`course_utils.confusion.confusion_matrix`.
        y_pred: predicted class numbers (samples,), in the same order.
        class_names: one name for each class.
        normalize: None for counts; "true" for shares of each row, "pred" for shares of each column, "all" for shares
            of all samples. A row or column without samples stays at 0.
        title: what to write over the matrix.

    Raises:
        ValueError: as ``confusion_matrix`` does, or ``normalize`` is something else.
    """
    from sklearn.metrics import ConfusionMatrixDisplay

    if normalize not in (None, "true", "pred", "all"):
        raise ValueError(f"normalize is {normalize!r}: give 'true', 'pred' or 'all', or leave it out for counts.")
    matrix = confusion_matrix(y_true=y_true, y_pred=y_pred, class_names=class_names)
    sums = {"true": matrix.sum(1, keepdim=True), "pred": matrix.sum(0, keepdim=True), "all": matrix.sum()}
    shown = matrix if normalize is None else matrix / sums[normalize].clamp_min(1)
    side = 1.2 + (0.42 if normalize is None else 0.5) * len(class_names)
    figure, axis = plt.subplots(figsize=(max(3.4, side + 0.3), max(3.0, side)))
    display = ConfusionMatrixDisplay(shown.numpy(), display_labels=class_names)
    display.plot(ax=axis, colorbar=False, cmap="Blues", values_format="d" if normalize is None else ".0%")
    colours = PowerNorm(0.5, vmin=0, vmax=max(float(shown.max()), 1e-12))
    display.im_.set_norm(colours)
    for text, value in zip(display.text_.flat, shown.flatten().tolist(), strict=True):
        text.set(text="" if value == 0 else text.get_text(), color="white" if colours(value) > 0.55 else "black")
        text.set_fontsize(9)
    axis.set(xlabel="predicted class", ylabel="true class", title=title)
    axis.tick_params(length=0)
    axis.grid(visible=False)
    if max(map(len, class_names)) > 3:
        plt.setp(axis.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    show(figure, alt=_describe(matrix, most_confused(y_true=y_true, y_pred=y_pred, class_names=class_names, top=3)))


def _describe(matrix: torch.Tensor, pairs: Sequence[ConfusedPair]) -> str:
    """Return the text alternative of a confusion matrix: its size, its right answers and its largest mistakes."""
    right = int(matrix.trace())
    text = f"Confusion matrix of {int(matrix.sum())} samples in {len(matrix)} classes, {right} of them right."
    for number, pair in enumerate(pairs):
        times = "once" if pair.count == 1 else f"{pair.count} times"
        more = f"{', ' if number else ' Most confused: '}{pair.true} taken for {pair.predicted} ({times})"
        if len(text + more) >= 399:
            break
        text += more
    return text if text.endswith(".") else f"{text}."


def _count_on(axis: Axes) -> None:
    """Let the x axis tick at whole numbers only: there is no epoch 2.5."""
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
