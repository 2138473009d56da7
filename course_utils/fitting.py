"""Training for several epochs with a look at the validation data after each."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from course_utils.losses import LossFunction
from course_utils.totals import EpochResult, Metrics
from course_utils.training import evaluate, train_epoch


@dataclass
class History:
    """What every epoch of a training gave, in order; entry 0 is epoch 1.

    ``learning_rates`` holds the learning rate at the start of each epoch (of the first parameter group).
    """

    train: list[EpochResult] = field(default_factory=list)
    val: list[EpochResult] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of epochs."""
        return len(self.val)

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, with the lowest validation loss; the first one of equals.

        Raises:
            ValueError: there is no epoch yet.
        """
        if not self.val:
            raise ValueError("The history is empty, so it has no best epoch: train at least one epoch first.")
        return 1 + min(range(len(self)), key=lambda index: self.val[index].loss)

    def as_dict(self) -> dict[str, list[Any]]:
        """Return the history as columns, one entry an epoch, ready for ``pandas.DataFrame``."""
        columns: dict[str, list[Any]] = {
            "epoch": list(range(1, len(self) + 1)),
            "learning_rate": list(self.learning_rates),
        }
        for part, results in (("train", self.train), ("val", self.val)):
            columns[f"{part}_loss"] = [result.loss for result in results]
            columns[f"{part}_accuracy"] = [result.accuracy for result in results]
            for name in results[0].metrics if results else ():
                columns[f"{part}_{name}"] = [result.metrics[name] for result in results]
        columns["seconds"] = [train.seconds + val.seconds for train, val in zip(self.train, self.val, strict=True)]
        return columns


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
        callbacks: each is called with the history after every epoch; training ends when one returns True.
        verbose: print a line an epoch.

    Raises:
        ValueError, NonFiniteLossError: as :func:`train_epoch` does; the sentence names the epoch.
    """
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}, but training needs at least one pass over the data: give 1 or more.")
    if step_scheduler not in (None, "batch", "epoch"):
        raise ValueError(f"step_scheduler is {step_scheduler!r}: give 'batch' or 'epoch', or leave it out.")
    if step_scheduler is None:
        step_scheduler = "batch" if isinstance(scheduler, (OneCycleLR, CyclicLR)) else "epoch"
    history = History()
    for epoch in range(1, epochs + 1):
        history.learning_rates.append(float(optimizer.param_groups[0]["lr"]))
        train = train_epoch(
            model,
            train_loader,
            loss_fn,
            optimizer,
            device=device,
            scheduler=scheduler if step_scheduler == "batch" else None,
            clip_norm=clip_norm,
            accumulate=accumulate,
            amp_dtype=amp_dtype,
            scaler=scaler,
            metrics=metrics,
            progress=progress,
            epoch=epoch,
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
        if any(answers):
            break
    return history


def _line(epoch: int, epochs: int, train: EpochResult, val: EpochResult) -> str:
    parts = [f"epoch {epoch:>{len(str(epochs))}}/{epochs}"]
    for name, result in (("train", train), ("val", val)):
        accuracy = "" if math.isnan(result.accuracy) else f"  accuracy {result.accuracy:6.1%}"
        parts.append(f"{name} loss {result.loss:.4f}{accuracy}")
    parts.append(f"{train.seconds + val.seconds:.2f} s")
    return "   ".join(parts)
