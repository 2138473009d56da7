"""What a training gave, epoch by epoch."""

from dataclasses import dataclass, field
from typing import Any

from course_utils.totals import EpochResult


@dataclass
class History:
    """What every epoch of a training gave, in order; entry 0 is epoch 1.

    ``learning_rates`` holds the learning rate at the start of each epoch (of the first parameter group); ``stopped``
    tells whether a callback ended the training.
    """

    train: list[EpochResult] = field(default_factory=list)
    val: list[EpochResult] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)
    stopped: bool = False

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
