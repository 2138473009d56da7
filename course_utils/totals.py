"""The sums of one pass over the data: exact with a ragged last batch, and read from the device once."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from course_utils.losses import has_classes

READ_EVERY = 1000  # batches between two looks at the sums, so that an epoch of any length needs little memory


class NonFiniteLossError(ArithmeticError):
    """The loss became nan or infinite. ``batch`` and ``epoch`` count from 1; ``epoch`` may be unknown."""

    def __init__(self, loss: float, batch: int, epoch: int | None, learning_rate: float | None) -> None:
        self.loss = loss
        self.batch = batch
        self.epoch = epoch
        self.learning_rate = learning_rate
        where = f"batch {batch}" if epoch is None else f"epoch {epoch}, batch {batch}"
        if learning_rate is None:
            message = f"The loss is {loss} in {where} of an evaluation: look for nan or inf in the inputs and weights."
        else:
            message = (
                f"The loss is {loss} in {where}, at learning rate {learning_rate:g}: try a lower learning rate "
                "or clip_norm=1.0, and look for nan or inf in the inputs."
            )
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:  # so that it survives a trip between processes
        return type(self), (self.loss, self.batch, self.epoch, self.learning_rate)


class Metrics(Protocol):
    """Named metrics: a dict of torchmetrics objects, or a torchmetrics MetricCollection.

    Each value has the methods ``reset()``, ``update(outputs, targets)``, ``compute()`` and ``to(device)``.
    """

    def items(self) -> Iterable[tuple[Any, Any]]:
        """Return pairs of a name and a metric."""
        ...


@dataclass(frozen=True)
class EpochResult:
    """What one pass over the data gave.

    ``loss`` is the mean over all samples: the value that the loss function gives on the whole set in one batch.
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
    """Adds up losses and right answers batch by batch. ``epoch`` is named in errors."""

    def __init__(self, epoch: int | None, metrics: Metrics | None, device: torch.device) -> None:
        self.epoch = epoch
        self.batches = 0
        self.samples = 0
        self._started = time.perf_counter()
        self._loss_sum = self._weight_sum = 0.0
        self._right = self._answers = 0.0
        # Not read yet, one entry a batch:
        self._losses: list[torch.Tensor] = []
        self._weights: list[int | torch.Tensor] = []
        self._counts: list[int | torch.Tensor] = []
        self._hits: list[torch.Tensor] = []
        self._rates: list[Any] = []
        self._metrics = dict(metrics.items()) if metrics is not None else {}
        for metric in self._metrics.values():
            metric.to(device)
            metric.reset()

    def add(
        self,
        loss: torch.Tensor,
        outputs: Any,
        targets: torch.Tensor,
        weight: int | torch.Tensor,
        count: int | torch.Tensor,
        rate: Any = None,
    ) -> None:
        """Add one batch.

        ``loss`` and ``outputs`` are detached. ``weight`` is what the mean loss was divided by, ``count`` how many
        targets count, ``rate`` the learning rate, for errors.
        """
        self.batches += 1
        self.samples += len(targets)
        self._losses.append(loss)
        self._weights.append(weight)
        self._rates.append(rate)
        if has_classes(outputs, targets):
            self._hits.append(torch.count_nonzero(outputs.argmax(1) == targets))
            self._counts.append(count)
        for metric in self._metrics.values():
            metric.update(outputs, targets)
        if len(self._losses) == READ_EVERY:
            self._read()

    def result(self) -> EpochResult:
        """Return the means. This is where the device is waited for.

        Raises:
            NonFiniteLossError: the loss of a batch was nan or infinite.
        """
        if self._losses:
            self._read()
        values: dict[str, Any] = {}
        for name, metric in self._metrics.items():
            value = metric.compute()
            for key, part in value.items() if isinstance(value, dict) else [("", value)]:
                values[f"{name}_{key}" if key else name] = part.tolist() if isinstance(part, torch.Tensor) else part
        return EpochResult(
            loss=self._loss_sum / self._weight_sum if self._weight_sum else math.nan,
            accuracy=self._right / self._answers if self._answers else math.nan,
            seconds=time.perf_counter() - self._started,
            samples=self.samples,
            batches=self.batches,
            metrics=values,
        )

    def _read(self) -> None:
        columns = [self._losses, self._weights, self._hits, self._counts]
        on_device = [[number for number in column if isinstance(number, torch.Tensor)] for column in columns]
        # All in one tensor makes one transfer. Doubles hold these numbers exactly; Apple's GPUs have none.
        dtype = torch.float32 if self._losses[0].device.type == "mps" else torch.float64
        numbers = iter(torch.cat([torch.stack(column).to(dtype) for column in on_device if column]).tolist())
        losses, weights, hits, counts = (
            [next(numbers) if isinstance(number, torch.Tensor) else number for number in column] for column in columns
        )
        first = self.batches - len(losses) + 1
        for batch, (loss, weight, rate) in enumerate(zip(losses, weights, self._rates, strict=True), start=first):
            if not math.isfinite(loss):
                raise NonFiniteLossError(loss, batch, self.epoch, None if rate is None else float(rate))
            self._loss_sum += loss * weight
            self._weight_sum += weight
        self._right += sum(hits)
        self._answers += sum(counts)
        for column in (*columns, self._rates):
            column.clear()
