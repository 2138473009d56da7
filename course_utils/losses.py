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
MEANS = ("mean", "batchmean")  # reductions that give the mean over the batch


class CheckedLoss:
    """Computes ``loss_fn(outputs, targets)``, one number, or raises a ValueError that says why that cannot work.

    Besides what PyTorch refuses, it refuses what PyTorch lets pass and nobody means: element-wise losses between
    shapes that only broadcasting makes equal, class probabilities that are no floats, and losses that are no mean
    over the batch. ``where`` ("epoch 2") names the pass, for the sentence.

    Raises:
        TypeError: ``loss_fn`` is a class.
    """

    def __init__(self, loss_fn: LossFunction, where: str) -> None:
        if isinstance(loss_fn, type):
            raise TypeError(f"loss_fn is the class {loss_fn.__name__}: make one of it, with {loss_fn.__name__}().")
        self._loss_fn = loss_fn
        self._where = where
        # Once and not for every batch, where it takes longer than one would think.
        self._elementwise = _is_elementwise(loss_fn)
        self._of_classes = _is_class_loss(loss_fn)
        self._mean = getattr(loss_fn, "reduction", "mean") in MEANS

    def __call__(self, outputs: Any, targets: torch.Tensor, labels: torch.Tensor, batch: int) -> torch.Tensor:
        """Return the loss of the batch of this number; ``labels`` are the targets as the loader gave them."""
        loss_fn = self._loss_fn
        if targets is not labels:
            self._check_labels(outputs, labels, batch)
        if self._elementwise or (self._of_classes and targets.shape == getattr(outputs, "shape", None)):
            _refuse(_explain(loss_fn, outputs, targets, self._place(batch)))
        try:
            loss = loss_fn(outputs, targets)
        except (RuntimeError, ValueError, IndexError, TypeError, AttributeError) as error:
            reason = _explain(loss_fn, outputs, targets, self._place(batch))
            if reason is None:
                raise
            raise ValueError(reason) from error
        if not (self._mean and isinstance(loss, torch.Tensor) and loss.ndim == 0):
            kind = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
            _refuse(
                f"{_name(loss_fn)} must return the mean over the batch, one number in a tensor, so that batches can be "
                f"weighed, but in {self._place(batch)} it returned {kind}, reduction "
                f"{getattr(loss_fn, 'reduction', None)!r}: use reduction='mean'."
            )
        return loss

    def _check_labels(self, outputs: Any, labels: torch.Tensor, batch: int) -> None:
        """Refuse a label that has no logit before it reaches a GPU.

        A CPU raises an error of its own, which is then explained; a GPU stops the whole process, later. While the
        labels are on the CPU, looking at them costs little.
        """
        if labels.device.type == "cpu" and self._of_classes and has_classes(outputs, labels):
            _refuse(_explain_labels(self._loss_fn, outputs, labels, self._place(batch)))

    def _place(self, batch: int) -> str:
        return f"batch {batch} of {self._where}"


def loss_weight(loss_fn: LossFunction, targets: torch.Tensor) -> int | torch.Tensor:
    """Return what the mean loss of a batch was divided by: the number of samples, or the sum of target_weights."""
    weights = target_weights(loss_fn, targets)
    return len(targets) if weights is None else weights.sum()


def target_weights(loss_fn: LossFunction, targets: torch.Tensor) -> torch.Tensor | None:
    """Return the weight of each target in a mean loss, in the shape of ``targets``, or None if samples weigh the same.

    CrossEntropyLoss and NLLLoss divide by the number of targets that are not ignored, or with class weights by the
    sum of theirs. Only with these weights do the batches add up to the loss of the whole set.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
    """
    if not _is_class_loss(loss_fn) or targets.is_floating_point():
        return None
    kept = is_kept(loss_fn, targets)
    class_weights: torch.Tensor | None = getattr(loss_fn, "weight", None)
    if class_weights is None:
        return kept
    # Not class_weights[targets[kept]]: a GPU would have to be asked how many those are. And a label that is no class is
    # for the loss itself to refuse.
    return class_weights[torch.where(kept, targets, 0).long().clamp(0, len(class_weights) - 1)] * kept


def is_kept(loss_fn: LossFunction, targets: torch.Tensor) -> torch.Tensor:
    """Return which class numbers count: all but ``ignore_index``."""
    return targets.long() != getattr(loss_fn, "ignore_index", -100)  # long, because -100 is 156 among bytes


def has_classes(outputs: Any, targets: torch.Tensor) -> bool:
    """Whether ``outputs`` are logits (batch, classes, ...) and ``targets`` class numbers (batch, ...)."""
    return (
        isinstance(outputs, torch.Tensor)
        and outputs.ndim == targets.ndim + 1
        and outputs.shape[:1] + outputs.shape[2:] == targets.shape
        and not targets.is_floating_point()
    )


def _is_class_loss(loss_fn: LossFunction) -> bool:
    return isinstance(loss_fn, CLASS_LOSSES) or loss_fn in CLASS_FUNCTIONS


def _is_elementwise(loss_fn: LossFunction) -> bool:
    return isinstance(loss_fn, ELEMENTWISE_LOSSES) or loss_fn in ELEMENTWISE_FUNCTIONS


def _name(loss_fn: LossFunction) -> str:
    return type(loss_fn).__name__ if isinstance(loss_fn, nn.Module) else getattr(loss_fn, "__name__", "The loss")


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise ValueError(reason)


def _explain(loss_fn: LossFunction, outputs: Any, targets: torch.Tensor, where: str) -> str | None:
    """Say in one sentence why this loss cannot be computed, or None if no reason is known."""
    name = _name(loss_fn)
    if not (_is_class_loss(loss_fn) or _is_elementwise(loss_fn)):
        return None
    if not isinstance(outputs, torch.Tensor):
        return f"The model returned a {type(outputs).__name__}, but {name} needs one tensor: return only the logits."
    shapes = f"outputs of shape {tuple(outputs.shape)} and targets of shape {tuple(targets.shape)} in {where}"
    if _is_elementwise(loss_fn):
        if outputs.shape != targets.shape:
            return (
                f"{name} compares element by element, but there are {shapes}: make the shapes equal, for example with "
                "outputs.squeeze(1) in the model or targets.unsqueeze(1) in the data."
            )
        if targets.dtype != outputs.dtype and not (
            targets.is_floating_point() and torch.is_autocast_enabled(outputs.device.type)
        ):
            return (
                f"{name} needs targets of the outputs' dtype {outputs.dtype}, but those in {where} are "
                f"{targets.dtype}: use targets.float() where the data is loaded."
            )
        return None
    if outputs.ndim >= 2 and outputs.shape == targets.shape and targets.is_floating_point():
        return None  # class probabilities as targets
    if targets.dtype not in (torch.int64, torch.uint8):
        return (
            f"{name} needs class numbers of dtype torch.int64 as targets, but those in {where} are "
            f"{targets.dtype}: convert them with targets.long() where the data is loaded."
        )
    if not has_classes(outputs, targets):
        return (
            f"{name} needs logits of shape (batch, classes) and class numbers of shape (batch,), but there are "
            f"{shapes}: a Flatten, a squeeze or an argmax is missing, or is one too many."
        )
    return _explain_labels(loss_fn, outputs, targets, where)


def _explain_labels(loss_fn: LossFunction, outputs: torch.Tensor, targets: torch.Tensor, where: str) -> str | None:
    """Say which class number of ``targets`` has no logit in ``outputs`` (batch, classes, ...), if there is one."""
    classes = outputs.shape[1]
    wrong = ((targets < 0) | (targets >= classes)) & is_kept(loss_fn, targets)
    if not wrong.any():
        return None
    return (
        f"There is a label {int(targets[wrong][0])} in {where}, but the model has {classes} outputs, so labels go "
        f"from 0 to {classes - 1}: number the classes from 0 and give the model one output for each."
    )
