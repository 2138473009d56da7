"""One loss value: computed, weighed against other batches, and explained when it cannot be computed."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

LossFunction = Callable[[Any, Any], torch.Tensor]

# The losses whose demands are known, as modules and as functions.
CLASS_LOSSES = (nn.CrossEntropyLoss, nn.NLLLoss)
CLASS_FUNCTIONS = (functional.cross_entropy, functional.nll_loss)
ELEMENTWISE_LOSSES = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.BCEWithLogitsLoss, nn.BCELoss)
ELEMENTWISE_FUNCTIONS = (
    functional.mse_loss,
    functional.l1_loss,
    functional.smooth_l1_loss,
    functional.huber_loss,
    functional.binary_cross_entropy_with_logits,
    functional.binary_cross_entropy,
)


def compute_loss(loss_fn: LossFunction, outputs: Any, targets: torch.Tensor, batch: int) -> torch.Tensor:
    """Return ``loss_fn(outputs, targets)``, one number, or raise a ValueError that says why that cannot work.

    Besides what PyTorch refuses, it refuses what PyTorch lets pass: element-wise losses between shapes that only
    broadcasting makes equal, and losses that are not the mean over the batch.
    """
    if _is_elementwise(loss_fn) and outputs.shape != targets.shape:
        raise ValueError(_explain(loss_fn, outputs, targets, batch))
    try:
        loss = loss_fn(outputs, targets)
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError) as error:
        reason = _explain(loss_fn, outputs, targets, batch)
        if reason is None:
            raise
        raise ValueError(reason) from error
    if loss.ndim != 0 or getattr(loss_fn, "reduction", "mean") != "mean":
        raise ValueError(
            f"{_name(loss_fn)} must return the mean over the batch as one number, so that the loop can weigh it, but "
            f"it gave shape {tuple(loss.shape)}: use reduction='mean'."
        )
    return loss


def check_labels(loss_fn: object, outputs: Any, labels: Any, device: torch.device, batch: int) -> None:
    """Raise a ValueError for a label out of range before it reaches a GPU.

    A CPU raises an error of its own, which :func:`compute_loss` explains; a GPU stops the whole process, later.
    ``labels`` are the targets as the loader gave them: while they are on the CPU, looking costs nothing.
    """
    if device.type == "cpu" or not _is_class_loss(loss_fn) or labels.is_floating_point() or labels.is_cuda:
        return
    reason = _explain_labels(loss_fn, outputs, labels, batch)
    if reason is not None:
        raise ValueError(reason)


def _is_class_loss(loss_fn: object) -> bool:
    return isinstance(loss_fn, CLASS_LOSSES) or loss_fn in CLASS_FUNCTIONS


def _is_elementwise(loss_fn: object) -> bool:
    return isinstance(loss_fn, ELEMENTWISE_LOSSES) or loss_fn in ELEMENTWISE_FUNCTIONS


def _name(loss_fn: object) -> str:
    return type(loss_fn).__name__ if isinstance(loss_fn, nn.Module) else getattr(loss_fn, "__name__", "The loss")


def _explain(loss_fn: object, outputs: Any, targets: torch.Tensor, batch: int) -> str | None:
    """Say in one sentence why this loss cannot be computed, or None if no reason is known."""
    name = _name(loss_fn)
    if not isinstance(outputs, torch.Tensor):
        return f"The model returned a {type(outputs).__name__}, but {name} needs one tensor: return only the logits."
    shapes = f"outputs of shape {tuple(outputs.shape)} and targets of shape {tuple(targets.shape)} in batch {batch}"
    if _is_class_loss(loss_fn):
        if outputs.shape == targets.shape:  # class probabilities as targets
            return None
        if targets.dtype not in (torch.int64, torch.uint8):
            return (
                f"{name} needs class numbers of dtype torch.int64 as targets, but batch {batch} has "
                f"{targets.dtype}: convert them with targets.long() where the data is loaded."
            )
        if has_classes(outputs, targets) and outputs.shape[2:] == targets.shape[1:] and len(outputs) == len(targets):
            return _explain_labels(loss_fn, outputs, targets, batch)
        return (
            f"{name} needs logits of shape (batch, classes) and targets of shape (batch,), but there are {shapes}: "
            "a Flatten or a squeeze is missing, or is one too many."
        )
    if not _is_elementwise(loss_fn):
        return None
    if outputs.shape != targets.shape:
        return (
            f"{name} compares element by element, but there are {shapes}: make the shapes equal, for example with "
            "outputs.squeeze(1) in the model."
        )
    if not targets.is_floating_point():
        return f"{name} needs floating-point targets, but batch {batch} has {targets.dtype}: use targets.float()."
    return None


def _explain_labels(loss_fn: object, outputs: Any, targets: torch.Tensor, batch: int) -> str | None:
    """Say which class number of ``targets`` has no logit in ``outputs`` (batch, classes, ...), if there is one."""
    classes = outputs.shape[1]
    wrong = ((targets < 0) | (targets >= classes)) & (targets != getattr(loss_fn, "ignore_index", -100))
    if not wrong.any():
        return None
    return (
        f"Batch {batch} has the label {int(targets[wrong][0])}, but the model has {classes} outputs, so labels go "
        f"from 0 to {classes - 1}: number the classes from 0 and give the model one output for each."
    )


def count_targets(loss_fn: object, targets: torch.Tensor) -> int | torch.Tensor:
    """Return how many of ``targets`` count: all samples, or for class numbers all but those with ``ignore_index``."""
    if not _is_class_loss(loss_fn) or targets.is_floating_point():
        return len(targets)
    return torch.count_nonzero(targets != getattr(loss_fn, "ignore_index", -100))


def loss_weight(loss_fn: object, targets: torch.Tensor, count: int | torch.Tensor) -> int | torch.Tensor:
    """Return what the mean loss of a batch was divided by: ``count``, or with class weights the sum of theirs.

    Only with this weight do the batches add up to the loss of the whole set.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
    """
    if not isinstance(loss_fn, CLASS_LOSSES) or loss_fn.weight is None or targets.is_floating_point():
        return count
    return loss_fn.weight[targets[targets != loss_fn.ignore_index].long()].sum()


def has_classes(outputs: Any, targets: torch.Tensor) -> bool:
    """Whether ``outputs`` are logits (batch, classes, ...) and ``targets`` class numbers (batch, ...)."""
    return (
        isinstance(outputs, torch.Tensor)
        and outputs.ndim == targets.ndim + 1
        and outputs.shape[1] > 1
        and not targets.is_floating_point()
    )
