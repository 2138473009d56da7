"""How a model does on each class, written for TensorBoard: numbers, curves and pictures."""

from collections.abc import Sequence
from typing import Any

import torch

from course_utils.confusion import confusion_matrix

MAX_CURVES = 20


def add_classes(
    writer: Any,
    epoch: int,
    *,
    logits: torch.Tensor,
    targets: torch.Tensor,
    class_names: Sequence[str],
    images: torch.Tensor | None,
) -> None:
    """Write precision, recall, F1 and curves of the classes, the confusion matrix and the surest mistakes.

    Args:
        writer: a SummaryWriter.
        epoch: where it belongs in the log.
        logits: (samples, classes), on the CPU.
        targets: (samples,), the class numbers.
        class_names: one name for each class.
        images: (samples, channels, height, width) for the grid of mistakes; None for no grid.

    With more classes than 20, only the 20 with the lowest F1 get a precision-recall curve.
    """
    from sklearn.metrics import precision_recall_fscore_support

    shares, predicted = logits.float().softmax(dim=1), logits.argmax(dim=1)
    matrix = confusion_matrix(y_true=targets, y_pred=predicted, class_names=class_names)
    scores = precision_recall_fscore_support(targets, predicted, labels=range(len(class_names)), zero_division=0)
    curves = scores[2].argsort()[:MAX_CURVES].tolist()
    for number, name in enumerate(class_names):
        for kind, values in zip(("precision", "recall", "f1"), scores[:3], strict=True):
            writer.add_scalar(f"{kind}/{name}", values[number], epoch)
        if number in curves:
            writer.add_pr_curve(f"pr/{name}", targets == number, shares[:, number], epoch)
    writer.add_figure("classes/confusion", _draw_matrix(matrix, class_names), epoch)
    if images is not None:
        confidence = shares.amax(dim=1)
        wrong = (predicted != targets).nonzero().squeeze(1)
        worst = wrong[confidence[wrong].argsort(descending=True, stable=True)[:16]].tolist()
        titles = [
            f"{class_names[int(predicted[i])]}, not {class_names[int(targets[i])]}\n{confidence[i]:.0%} sure"
            for i in worst
        ]
        writer.add_figure("classes/mistakes", _draw_images(images[worst], titles), epoch)


def _draw_matrix(matrix: torch.Tensor, names: Sequence[str]) -> Any:
    """Return a figure of the confusion matrix; rows are true classes."""
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    side = min(1.6 + 0.5 * len(names), 16)
    figure = Figure(figsize=(side, side), layout="constrained")
    axis = figure.subplots()
    display = ConfusionMatrixDisplay(matrix.numpy(), display_labels=names)
    display.plot(ax=axis, include_values=len(names) <= 30, colorbar=False, cmap="Blues", xticks_rotation=45)
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.grid(visible=False)
    return figure


def _draw_images(images: torch.Tensor, titles: Sequence[str]) -> Any:
    """Return a figure of up to 16 images (N, C, H, W) in two rows, each with its title."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2), layout="constrained")
    for axis in (axes := figure.subplots(2, 8)).flat:
        axis.axis("off")
    for axis, image, title in zip(axes.flat, images.cpu().permute(0, 2, 3, 1), titles, strict=False):
        axis.imshow(image.squeeze(-1).numpy(), cmap="gray")
        axis.set_title(title, fontsize=8)
    if not titles:
        figure.suptitle("no mistakes")
    return figure
