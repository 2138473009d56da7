"""One pass over the data: train_epoch and evaluate; ``predict`` is in predicting.py.

A *loader* is anything that can be looped over and gives ``(inputs, targets)`` pairs: a DataLoader, or a list
of batches. ``targets`` is a tensor whose first dimension is the batch; ``inputs`` is whatever the model takes.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from course_utils.arguments import check_device, check_optimizer, check_options
from course_utils.device import move_to
from course_utils.distributed import is_shared, share_buffers
from course_utils.divided import Together, is_divided, own_part, refuse_whole
from course_utils.losses import CheckedLoss, LossFunction, loss_weight
from course_utils.metrics import Metrics
from course_utils.modes import modes_kept
from course_utils.predicting import alone
from course_utils.progress import iterate
from course_utils.totals import EpochResult, Totals


def train_epoch(
    model: nn.Module,
    loader: Iterable[Any],
    loss_fn: LossFunction,
    optimizer: torch.optim.Optimizer,
    *,
    device: torch.device | str | None = None,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    clip_norm: float | None = None,
    accumulate: int = 1,
    amp_dtype: torch.dtype | None = None,
    scaler: torch.amp.GradScaler | None = None,
    metrics: Metrics | None = None,
    on_step: Callable[[int, torch.Tensor], None] | None = None,
    progress: bool = True,
    epoch: int | None = None,
    totals: Totals | None = None,
) -> EpochResult:
    """Train ``model`` on every batch of ``loader`` once and return its exact loss and accuracy.

    Both are measured while the weights change, on each batch before its step; so they differ a little from what
    :func:`evaluate` finds on the same data afterwards. Where targets are not class numbers, as in regression, the
    accuracy is nan; ``metrics`` can measure what fits.

    Args:
        model: takes ``inputs`` and returns logits of shape (batch, classes, ...), or what ``loss_fn`` wants.
            It is put into training mode and gets its mode back. If it is in training mode already, parts of it
            that you put into evaluation mode stay there (frozen BatchNorm, say).
        loader: gives ``(inputs, targets)``; the last batch may be smaller.
        loss_fn: takes ``(outputs, targets)`` and returns the mean over the batch, one number.
        optimizer: holds the model's parameters.
        device: where to compute; by default where the model's parameters are.
        scheduler: a learning-rate scheduler to step after every optimizer step (``fit`` sees to the other kind).
        clip_norm: largest norm of all gradients together; longer ones are scaled down before the step.
        accumulate: how many batches make up one optimizer step. The step is that of one large batch, also where
            batches are of unequal size or the last group is short (apart from BatchNorm, which sees the small ones).
        amp_dtype: compute the forward pass in mixed precision: torch.bfloat16, or torch.float16 with a ``scaler``.
        scaler: a ``torch.amp.GradScaler``, the same one in all epochs. Where it leaves out a step, so does the
            scheduler.
        metrics: extra metrics by name, reset at the start and updated with ``(outputs, targets)``.
        on_step: called after each optimizer step with its number, from 1, and the loss of its last batch (a tensor
            on the device: reading it with ``.item()`` waits for the GPU). The gradients are still there.
        progress: show a bar if the epoch takes longer than two seconds.
        epoch: number for the bar and for error messages.
        totals: where to add up the sums, in place of new ones. ``fit`` passes those of an interrupted epoch, and a
            loader that gives the batches after it.

    Raises:
        NonFiniteLossError: a loss was nan or infinite; noticed when the sums are read, at the latest at the end.
        ValueError: the loader gives no batches, labels do not fit the model's outputs, outputs do not fit the loss,
            the optimizer is another model's, or an argument is out of range. The sentence says what to do.

    A GPU is waited for once, at the end (and once in 1,000 batches), not at every step; a GradScaler waits by itself.

    In a process group, with a model in DistributedDataParallel or after ``fully_shard``, each process gives its own
    part of the data (see :func:`course_utils.make_loader`). The steps are those of one process with the batches of all
    together, also where the parts are of unequal size, and every process returns the result on all samples.
    """
    device = check_device(model, device)
    check_optimizer(model, optimizer, device)
    check_options(clip_norm, accumulate, amp_dtype, scaler, scheduler, device)
    autocast = _autocast(device, amp_dtype)
    if totals is None:
        totals = Totals(loss_fn, metrics, device, "the epoch" if epoch is None else f"epoch {epoch}")
    compute_loss = CheckedLoss(loss_fn, totals.where)
    together = None
    if is_shared(model):
        refuse_whole(loader)
        together = Together(own_part(loader), device, totals.batches)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    # A batch is weighed where its step has others, too: of the same process or of others.
    weigh = together.weigh if together is not None else _weigh_alone if accumulate > 1 else None
    group_weight: int | float | torch.Tensor = 0

    def step(loss: torch.Tensor) -> None:
        stepped = True
        if scaler is not None:
            scaler.unscale_(optimizer)
        if accumulate > 1:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad /= group_weight + (group_weight == 0)  # where every target is ignored
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, clip_norm)
        if scaler is None:
            optimizer.step()
        else:
            before = scaler.get_scale()
            scaler.step(optimizer)
            scaler.update()
            stepped = scaler.get_scale() >= before  # else the gradients were too large, and the step was left out
        if scheduler is not None and stepped:
            scheduler.step()
        if on_step is not None:
            on_step(-(-totals.batches // accumulate), loss)

    with modes_kept(model):
        if not model.training:
            model.train()
        batches = loader if together is None else together
        for inputs, labels in iterate(batches, totals.where, shown=progress, done=totals.batches):
            inputs, targets = move_to(inputs, device), move_to(labels, device)
            first = totals.batches % accumulate == 0
            if first:
                optimizer.zero_grad()
            if weigh is not None:
                sums = weigh(loss_weight(loss_fn, targets), targets.shape[0])
            with autocast:
                outputs = model(inputs)
                loss = compute_loss(outputs, targets, labels, totals.batches + 1)
            objective = loss
            if weigh is not None:
                weight, whole, samples = sums()
                if first:
                    unit, group_weight = samples if accumulate > 1 else whole + (whole == 0), 0
                # Near 1, because float16 has little room.
                objective, group_weight = loss * (weight / unit), group_weight + whole / unit
            (objective if scaler is None else scaler.scale(objective)).backward()

            loss = loss.detach()
            outputs = outputs.detach() if isinstance(outputs, torch.Tensor) else outputs
            if together is not None and together.spare:
                totals.skip(optimizer.param_groups[0]["lr"])
            else:
                totals.add(loss, outputs, targets, optimizer.param_groups[0]["lr"])
            if totals.batches % accumulate == 0:
                step(loss)
        if totals.batches % accumulate:  # the last group is short
            step(loss)
    if together is not None:
        share_buffers(model)
    return totals.result(divided=together is not None)


def evaluate(
    model: nn.Module,
    loader: Iterable[Any],
    loss_fn: LossFunction,
    *,
    device: torch.device | str | None = None,
    amp_dtype: torch.dtype | None = None,
    metrics: Metrics | None = None,
    progress: bool = True,
    epoch: int | None = None,
) -> EpochResult:
    """Return the exact loss and accuracy of ``model`` over all of ``loader``.

    Meanwhile the model is in evaluation mode (Dropout off, BatchNorm with its running statistics); afterwards every
    part of it has its own mode back. No gradients are kept. Arguments and errors are those of :func:`train_epoch`.

    In a process group, with a loader that is divided over the processes, all of them return the result on all samples,
    each sample counted once. With a loader of the whole, each process computes by itself.
    """
    device = check_device(model, device)
    divided = is_divided(loader)
    autocast = _autocast(device, amp_dtype)
    where = "the evaluation" if epoch is None else f"the evaluation after epoch {epoch}"
    totals = Totals(loss_fn, metrics, device, where)
    compute_loss = CheckedLoss(loss_fn, where)
    model, own = alone(model, loader, device)
    # no_grad, not inference_mode: a tensor that the model or a metric keeps from here can still be trained with.
    with modes_kept(model), torch.no_grad():
        model.eval()
        for inputs, labels in iterate(own, where, shown=progress, may_be_empty=divided):
            inputs, targets = move_to(inputs, device), move_to(labels, device)
            with autocast:
                outputs = model(inputs)
                loss = compute_loss(outputs, targets, labels, totals.batches + 1)
            if not (isinstance(own, Together) and own.spare):
                totals.add(loss, outputs, targets)
    return totals.result(divided=divided)


def _weigh_alone(weight: int | torch.Tensor, samples: int) -> Callable[[], tuple[Any, Any, Any]]:
    """Return what ``Together.weigh`` does, where there are no other processes."""
    return lambda: (weight, weight, samples)


def _autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)
