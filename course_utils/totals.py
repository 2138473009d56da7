"""The sums of one pass over the data: exact with a ragged last batch, and read from the device once."""

import math
import time
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import torch

from course_utils.distributed import gather, world_size
from course_utils.losses import LossFunction, has_classes, is_kept, target_weights
from course_utils.metrics import Metrics, compute, whole_state

READ_EVERY = 1000  # batches between two looks at the sums, so that an epoch of any length needs little memory
BATCHES_ASIDE = 256  # what is put aside before it is counted: not more batches than this,
NUMBERS_ASIDE = 2**18  # and not more outputs in them
SUMS = ("batches", "samples", "_loss_sum", "_weight_sum", "_right_sum", "_answer_sum")  # what a checkpoint needs


class NonFiniteLossError(ArithmeticError):
    """The loss became nan or infinite.

    ``batch`` counts from 1; ``where`` says of what, as in "epoch 3"; ``learning_rate`` is None in an evaluation.
    """

    def __init__(self, loss: float, batch: int, where: str, learning_rate: float | None) -> None:
        self.loss = loss
        self.batch = batch
        self.where = where
        self.learning_rate = learning_rate
        rate = "" if learning_rate is None else f", at learning rate {learning_rate:g}"
        remedy = "" if learning_rate is None else "try a lower learning rate or clip_norm=1.0, and "
        super().__init__(
            f"The loss is {loss} in batch {batch} of {where}{rate}: {remedy}look for nan or inf in inputs and weights."
        )

    def __reduce__(self) -> tuple[Any, ...]:  # so that it survives a trip between processes
        return type(self), (self.loss, self.batch, self.where, self.learning_rate)


@dataclass(frozen=True)
class EpochResult:
    """What one pass over the data gave.

    ``loss`` is the mean over all samples: the value that the loss function gives on the whole set in one batch. That
    holds for means over the samples, and for CrossEntropyLoss and NLLLoss with class weights and ignored targets.
    ``accuracy`` is the share of right answers, from 0 to 1; it is nan where the targets are not class numbers.
    ``seconds`` is the time of the pass, data loading included. ``samples`` and ``batches`` count what was seen.
    ``metrics`` holds the value of every extra metric: a float, or nested lists for one with several values.
    """

    loss: float
    accuracy: float
    seconds: float
    samples: int
    batches: int
    metrics: dict[str, Any] = field(default_factory=dict)


class Totals:
    """Adds up losses and right answers batch by batch.

    Nothing is counted in the step itself: outputs and targets are put aside, and a few batches are counted together.
    Right after a training step, with the processor's caches full of weights, the same counting takes several times as
    long. They are copied for that: a model may return a small part of a large tensor, which would stay in memory, and a
    loader or a compiled model may fill the same tensor again for the next batch.
    """

    def __init__(self, loss_fn: LossFunction, metrics: Metrics | None, device: torch.device, where: str) -> None:
        self.batches = self._batches_read = 0
        self.samples = 0
        self.where = where
        self._loss_fn = loss_fn
        self._device = device
        self._started = time.perf_counter()
        # Doubles hold these sums exactly; Apple's GPUs have none.
        self._dtype = torch.float32 if device.type == "mps" else torch.float64
        self._loss_sum = self._weight_sum = self._right_sum = self._answer_sum = 0.0
        self._aside: list[tuple[torch.Tensor, Any, torch.Tensor]] = []
        self._numbers_aside = 0
        # Counted, but not read from the device yet:
        self._losses: list[torch.Tensor] = []
        self._weights: list[torch.Tensor] = []
        self._answers: list[torch.Tensor] = []  # right ones, and all that count
        self._rates: list[Any] = []
        if metrics is not None and not hasattr(metrics, "items"):
            raise TypeError(f"metrics is a {type(metrics).__name__}: give each metric a name, as in {{'f1': metric}}.")
        self._metrics = dict(metrics.items()) if metrics is not None else {}
        for metric in self._metrics.values():
            metric.to(device)
            metric.reset()

    def add(self, loss: torch.Tensor, outputs: Any, targets: torch.Tensor, rate: Any = None) -> None:
        """Add one batch: its detached loss and outputs, its targets, and the learning rate (in training)."""
        self.batches += 1
        self.samples += len(targets)
        if rate is not None:
            self._rates.append(rate.clone() if isinstance(rate, torch.Tensor) else rate)
        for metric in self._metrics.values():
            metric.update(outputs, targets)
        if not isinstance(outputs, torch.Tensor) or outputs.ndim == 0:
            outputs = None
        numbers = NUMBERS_ASIDE if outputs is None else outputs.numel()
        if outputs is not None and numbers < NUMBERS_ASIDE:  # else counted at once
            loss, outputs, targets = loss.clone(), outputs.clone(), targets.clone()
        self._aside.append((loss, outputs, targets))
        self._numbers_aside += numbers
        if self._numbers_aside >= NUMBERS_ASIDE or len(self._aside) >= BATCHES_ASIDE:
            self._count()
            if self.batches - self._batches_read >= READ_EVERY:
                self._read()

    def skip(self, rate: Any) -> None:
        """Count a batch that other processes have and this one has not."""
        self._count()
        self._losses.append(torch.zeros(1, dtype=self._dtype, device=self._device))
        self._weights.append(torch.zeros(1, dtype=self._dtype, device=self._device))
        self._rates.append(rate)
        self.batches += 1

    def result(self, *, divided: bool = False) -> EpochResult:
        """Return the means, with ``divided`` over the samples of all processes. Here the device is waited for.

        Raises:
            NonFiniteLossError: the loss of a batch was nan or infinite, in any of the processes.
        """
        if divided:
            self._add_up()
        else:
            self._read()
        values: dict[str, Any] = {}
        for name, metric in self._metrics.items():
            value = compute(metric, alone=world_size() > 1 and not divided)
            for key, part in value.items() if isinstance(value, dict) else [("", value)]:
                values[f"{name}_{key}" if key else name] = part
        return EpochResult(
            loss=self._loss_sum / self._weight_sum if self._weight_sum else math.nan,
            accuracy=self._right_sum / self._answer_sum if self._answer_sum else math.nan,
            seconds=time.perf_counter() - self._started,
            samples=self.samples,
            batches=self.batches,
            metrics=values,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the sums so far, for a checkpoint inside an epoch. The device is waited for.

        Raises:
            NonFiniteLossError: the loss of a batch was nan or infinite: a checkpoint after it would be worth nothing.
        """
        self._read()
        sums = {name: getattr(self, name) for name in SUMS}
        metrics = {name: whole_state(metric) for name, metric in self._metrics.items()}
        return {"sums": sums, "metrics": metrics, "seconds": time.perf_counter() - self._started}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the sums that :meth:`state_dict` returned."""
        for name, value in state["sums"].items():
            setattr(self, name, value)
        self._batches_read = self.batches
        self._started = time.perf_counter() - state["seconds"]
        for name, metric in self._metrics.items():
            metric.load_state_dict(state["metrics"][name])
            metric.to(self._device)  # torchmetrics keeps the sums where the checkpoint had them

    def _add_up(self) -> None:
        """Take the sums of the other processes into these."""
        problem = None
        try:
            self._read()
        except NonFiniteLossError as error:
            problem = error
        parts = gather(({name: getattr(self, name) for name in SUMS}, problem))
        for _, problem in parts:
            if problem is not None:
                raise problem
        for name in SUMS:
            setattr(self, name, (max if name == "batches" else sum)(sums[name] for sums, _ in parts))

    def _count(self) -> None:
        """Count what was put aside: batches of one shape, one after the other, as one large batch.

        The numbers stay on the device.
        """
        for _, batches in groupby(self._aside, key=_shapes):
            losses, all_outputs, all_targets = zip(*batches, strict=True)
            self._losses.append(torch.stack(losses).to(self._dtype))
            targets = torch.cat(all_targets)
            weights = target_weights(self._loss_fn, targets)
            if weights is None:
                self._weights.append(torch.full_like(self._losses[-1], len(targets) / len(losses)))
            else:
                self._weights.append(weights.view(len(losses), -1).sum(1).to(self._dtype))
            outputs = torch.cat(all_outputs) if isinstance(all_outputs[0], torch.Tensor) else None
            if outputs is not None and has_classes(outputs, targets) and outputs.shape[1] > 1:
                kept = is_kept(self._loss_fn, targets)
                right = torch.count_nonzero((outputs.argmax(1) == targets) & kept)
                self._answers.append(torch.stack([right, torch.count_nonzero(kept)]).to(self._dtype))
        self._aside.clear()
        self._numbers_aside = 0

    def _read(self) -> None:
        """Read the numbers from the device, all in one transfer, and add them to the sums."""
        self._count()
        if not self._losses:
            return
        count = sum(map(len, self._losses))
        numbers = torch.cat([*self._losses, *self._weights, *self._answers]).tolist()
        losses, weights, answers = numbers[:count], numbers[count : 2 * count], numbers[2 * count :]
        self._right_sum += sum(answers[0::2])
        self._answer_sum += sum(answers[1::2])
        first = self._batches_read + 1
        for batch, (loss, weight) in enumerate(zip(losses, weights, strict=True), start=first):
            if weight == 0:  # every target is ignored: no sample to take a mean of
                continue
            if not math.isfinite(loss):
                rate = float(self._rates[batch - first]) if self._rates else None
                raise NonFiniteLossError(loss, batch, self.where, rate)
            self._loss_sum += loss * weight
            self._weight_sum += weight
        self._batches_read = self.batches
        for read in (self._losses, self._weights, self._answers, self._rates):
            read.clear()


def _shapes(batch: tuple[torch.Tensor, Any, torch.Tensor]) -> Any:
    _, outputs, targets = batch
    return (outputs.shape if isinstance(outputs, torch.Tensor) else None, targets.shape)
