"""Training for several epochs with a look at the validation data after each."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR, ReduceLROnPlateau
from torch.utils.data import DistributedSampler

from course_utils.arguments import check_device
from course_utils.distributed import is_sharded, rank
from course_utils.history import History
from course_utils.losses import LossFunction
from course_utils.metrics import Metrics
from course_utils.resuming import Saver
from course_utils.totals import EpochResult, Totals
from course_utils.training import evaluate, train_epoch


def fit(
    model: nn.Module,
    train_loader: Iterable[Any],
    val_loader: Iterable[Any],
    loss_fn: LossFunction,
    optimizer: torch.optim.Optimizer,
    *,
    epochs: int,
    device: torch.device | str | None = None,
    scheduler: LRScheduler | None = None,
    step_scheduler: Literal["batch", "epoch"] | None = None,
    clip_norm: float | None = None,
    accumulate: int = 1,
    amp_dtype: torch.dtype | None = None,
    scaler: torch.amp.GradScaler | None = None,
    metrics: Metrics | None = None,
    callbacks: Sequence[Callable[[History], bool | None]] = (),
    checkpoint_dir: str | Path | None = None,
    checkpoint_every: int | None = None,
    keep_last: int = 3,
    resume: bool = False,
    verbose: bool = True,
    progress: bool = True,
) -> History:
    """Train ``model`` for ``epochs`` epochs and return what each gave on the training and the validation data.

    The test data has no place here: it is for one :func:`evaluate` at the very end.

    Args:
        model: see :func:`train_epoch`, as for the arguments that are not described here.
        train_loader: training data, read once an epoch; see :func:`train_epoch`.
        val_loader: validation data, read after each epoch.
        epochs: number of passes over the training data, 1 or more.
        scheduler: a learning-rate scheduler, stepped as it needs: ReduceLROnPlateau with the validation loss of
            each epoch, OneCycleLR and CyclicLR after every optimizer step, all others after every epoch.
        step_scheduler: "batch" or "epoch", for a scheduler that you built for the other rhythm (a LambdaLR that
            warms up over the first 100 steps, say).
        callbacks: each is called with the history after every epoch; training ends when one returns True. Where it has
            these methods, too, ``begin()`` is called before a new training (not when one is resumed), ``on_step(step,
            loss)`` as in :func:`train_epoch`, ``finish(history)`` when training has ended, also by an error or Ctrl+C,
            and with ``state_dict`` and ``load_state_dict`` it is saved and resumed.
        checkpoint_dir: a folder for checkpoints. After each epoch the whole training is saved there as
            ``epoch_0001.pt`` and so on; that of the epoch with the lowest validation loss is also ``best.pt``.
            ``load_checkpoint(path)["model"]`` are the weights.
        checkpoint_every: also save inside an epoch, whenever so many optimizer steps of it are done.
        keep_last: how many checkpoints to keep, apart from ``best.pt``.
        resume: go on from the last good checkpoint in ``checkpoint_dir``, or start if there is none. Set everything up
            as for a new training; then it ends with the weights and the history of a training that was never
            interrupted, bit for bit (on a GPU with ``seed_everything(deterministic=True)``). What model, optimizer,
            scheduler, loaders and the global random numbers held is replaced, the learning rate included. Two things
            must hold: data and samplers draw from the global random numbers, or from a ``generator`` of the loader or
            its sampler; and what a model keeps outside its ``state_dict`` does not matter. With more ``epochs`` than
            before, a scheduler that knows its length (OneCycleLR) ends where it was built to end.
        verbose: print a line an epoch.

    In a process group all processes call it alike, see :func:`train_epoch`: each returns the same history, the first
    prints and writes the checkpoints, and the training is resumed with as many processes. A DistributedSampler is told
    each epoch's number.

    Raises:
        ValueError, NonFiniteLossError: as :func:`train_epoch` does; the sentence names the epoch.
        CheckpointError: a checkpoint cannot be written or read, or it belongs to another training.
        FileExistsError: ``checkpoint_dir`` holds checkpoints, and ``resume`` is not set.
    """
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}, but training needs at least one pass over the data: give 1 or more.")
    if step_scheduler not in (None, "batch", "epoch"):
        raise ValueError(f"step_scheduler is {step_scheduler!r}: give 'batch' or 'epoch', or leave it out.")
    if step_scheduler is None:
        step_scheduler = "batch" if isinstance(scheduler, (OneCycleLR, CyclicLR)) else "epoch"
    if checkpoint_dir is None and (resume or checkpoint_every is not None):
        raise ValueError("resume and checkpoint_every need a folder with checkpoints: give checkpoint_dir as well.")
    for name, value in (("checkpoint_every", checkpoint_every), ("keep_last", keep_last)):
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}, but it is a count: give 1 or more.")
    if checkpoint_dir is not None and is_sharded(model):
        raise ValueError(
            "fit cannot write the checkpoints of a sharded model: leave checkpoint_dir out, and save what "
            "torch.distributed.checkpoint.state_dict.get_model_state_dict gives."
        )
    device = check_device(model, device)
    verbose = verbose and rank() == 0
    history = History()
    saver, resumed = None, None
    if checkpoint_dir is not None:
        parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "scaler": scaler}
        if isinstance(loss_fn, nn.Module) and loss_fn.state_dict():  # it may learn, too
            parts["loss_fn"] = loss_fn
        stateful = [call for call in callbacks if hasattr(call, "state_dict") and hasattr(call, "load_state_dict")]
        parts |= {f"callback {number}": call for number, call in enumerate(stateful, start=1)}
        saver = Saver(
            Path(checkpoint_dir),
            parts={name: part for name, part in parts.items() if part is not None},
            train_loader=train_loader,
            val_loader=val_loader,
            metrics=metrics,
            accumulate=accumulate,
            every=checkpoint_every,
            keep_last=keep_last,
            resume=resume,
        )
        resumed = saver.resume(history, epochs) if resume else None
        if verbose and resume:
            print(f"resumed from {resumed}" if resumed else f"no checkpoint in {checkpoint_dir}: starting")
        if verbose and history.stopped:
            print("a callback had ended this training; to train on, give another checkpoint_dir")
    try:
        if resumed is None:
            for callback in callbacks:
                if hasattr(callback, "begin"):
                    callback.begin()
        for epoch in range(len(history) + 1, epochs + 1):
            if history.stopped:
                break
            totals = Totals(loss_fn, metrics, device, f"epoch {epoch}")
            if isinstance(sampler := getattr(train_loader, "sampler", None), DistributedSampler):
                sampler.set_epoch(epoch)  # else it would shuffle alike in each
            batches, save_inside = (train_loader, None) if saver is None else saver.begin_epoch(history, totals)
            hooks = [callback.on_step for callback in callbacks if hasattr(callback, "on_step")]
            hooks += [] if save_inside is None else [save_inside]  # last, to save what the others have changed
            if len(history.learning_rates) < epoch:  # else the epoch is being resumed
                history.learning_rates.append(float(optimizer.param_groups[0]["lr"]))
            train = train_epoch(
                model,
                batches,
                loss_fn,
                optimizer,
                device=device,
                scheduler=scheduler if step_scheduler == "batch" else None,
                clip_norm=clip_norm,
                accumulate=accumulate,
                amp_dtype=amp_dtype,
                scaler=scaler,
                metrics=metrics,
                on_step=_in_turn(hooks),
                progress=progress,
                totals=totals,
            )
            val = evaluate(
                model,
                val_loader,
                loss_fn,
                device=device,
                amp_dtype=amp_dtype,
                metrics=metrics,
                progress=progress,
                epoch=epoch,
            )
            history.train.append(train)
            history.val.append(val)
            if isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step(val.loss)
            elif scheduler is not None and step_scheduler == "epoch":
                scheduler.step()
            if verbose:
                print(_line(epoch, epochs, train, val))
            answers = [callback(history) for callback in callbacks]
            history.stopped = any(answers)
            if saver is not None:
                saver.save_epoch(history)
    finally:
        for callback in callbacks:
            if hasattr(callback, "finish"):
                callback.finish(history)
    return history


def _in_turn(hooks: Sequence[Callable[[int, torch.Tensor], None]]) -> Callable[[int, torch.Tensor], None] | None:
    """Return one hook that calls all of them, or None if there is none."""

    def call_all(step: int, loss: torch.Tensor) -> None:
        for hook in hooks:
            hook(step, loss)

    return call_all if hooks else None


def _line(epoch: int, epochs: int, train: EpochResult, val: EpochResult) -> str:
    parts = [f"epoch {epoch:>{len(str(epochs))}}/{epochs}"]
    for name, result in (("train", train), ("val", val)):
        accuracy = "" if math.isnan(result.accuracy) else f"  accuracy {result.accuracy:6.1%}"
        parts.append(f"{name} loss {result.loss:.4f}{accuracy}")
    parts.append(f"{train.seconds + val.seconds:.2f} s")
    return "   ".join(parts)
