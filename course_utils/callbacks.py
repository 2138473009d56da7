"""Callbacks for ``fit`` that look after the weights: stop at the best epoch, and average over the last steps.

Both are saved in checkpoints, so a resumed training ends with the weights of one that was never interrupted.
"""

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from course_utils.distributed import unwrap
from course_utils.history import History


class EarlyStopping:
    """Ends a training whose validation loss no longer falls, and puts the best weights back.

    Give it to ``fit`` among the ``callbacks``. It keeps a copy of the weights (and buffers) of the epoch with the
    lowest validation loss. When training has ended, also by an error or Ctrl+C, the model gets them back. The
    checkpoints in ``checkpoint_dir`` hold the weights as they were after their epochs, and this copy beside them.

    Args:
        model: the model that is trained.
        patience: how many epochs in a row may pass without an improvement; after so many, training ends.
        min_delta: what counts as an improvement, in units of the loss: the loss must fall by more than this below
            that of the last improvement. The copy of the weights is of the lowest loss, by however little.

    Attributes:
        best_epoch: the epoch, from 1, whose weights are kept; None before the first.

    Raises:
        ValueError: ``patience`` is less than 1, or ``min_delta`` is negative or not a number.

    Source: Prechelt, "Early Stopping - But When?" (1998); as Keras' EarlyStopping with ``restore_best_weights=True``.
    """

    best_epoch: int | None
    _best_loss: float
    _improved: int  # the epoch of the last improvement
    _reference: float  # its loss
    _weights: dict[str, Any] | None

    def __init__(self, model: nn.Module, *, patience: int = 3, min_delta: float = 0.0) -> None:
        if patience < 1:
            raise ValueError(f"patience is {patience}, but it counts epochs without an improvement: give 1 or more.")
        if not 0 <= min_delta < math.inf:
            raise ValueError(
                f"min_delta is {min_delta}, but it is the least fall of the loss that counts: give 0 or more."
            )
        self.patience = patience
        self.min_delta = min_delta
        self._model = unwrap(model)
        self.begin()

    def begin(self) -> None:
        """Forget another training."""
        self.best_epoch, self._best_loss, self._weights = None, math.inf, None
        self._improved, self._reference = 0, math.inf

    def __call__(self, history: History) -> bool:
        """Look at the last epoch of ``history`` and return whether training should end."""
        epoch, loss = len(history), history.val[-1].loss
        if loss < self._best_loss:
            self._best_loss = loss
            self.best_epoch = epoch
            self._weights = copy.deepcopy(dict(self._model.state_dict()))
        if loss < self._reference - self.min_delta:
            self._reference = loss
            self._improved = epoch
        return epoch - self._improved >= self.patience

    def finish(self, history: History) -> None:
        """Put the best weights back into the model."""
        if self._weights is not None:
            self._model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """Return all that it has seen, in tensors and plain values."""
        return {
            "best_epoch": self.best_epoch,
            "best_loss": self._best_loss,
            "improved": self._improved,
            "reference": self._reference,
            "weights": self._weights,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self.best_epoch = state["best_epoch"]
        self._best_loss = state["best_loss"]
        self._improved = state["improved"]
        self._reference = state["reference"]
        self._weights = copy.deepcopy(state["weights"])


class WeightAverage:
    """Keeps a moving average of the weights while ``fit`` trains: often a better model than the last step's.

    Give it to ``fit`` among the ``callbacks``, and evaluate its ``model`` afterwards. After the first optimizer step
    the average is the weights. After each other one it is ``decay * average + (1 - decay) * weights``: about a mean
    over the last ``1 / (1 - decay)`` steps, 1,000 for 0.999. In a training that is not several times longer than that,
    the first weights still weigh much, so take a smaller decay. Buffers (BatchNorm's statistics) are copied.

    It is PyTorch's ``AveragedModel``, updated at each step and saved in checkpoints.

    Args:
        model: the model that is trained, on its device already.
        decay: share of the old average that is kept in a step, from 0 (a copy of the weights) to below 1.

    Attributes:
        model: a model like the one that is trained, with the averaged weights.

    Raises:
        ValueError: ``decay`` is below 0, or 1 and more.

    Source: https://docs.pytorch.org/docs/stable/optim.html#weight-averaging-swa-and-ema
    """

    def __init__(self, model: nn.Module, *, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay is {decay}, but it is the share of the average that stays: give 0 to below 1.")
        self._source = unwrap(model)
        self._average = AveragedModel(self._source, multi_avg_fn=get_ema_multi_avg_fn(decay))
        self.model: nn.Module = self._average.module

    def begin(self) -> None:
        """Begin anew: the next step's weights are the average."""
        self._average.n_averaged.zero_()

    def on_step(self, step: int, loss: torch.Tensor) -> None:
        """Take the weights after an optimizer step into the average."""
        self._average.update_parameters(self._source)

    def __call__(self, history: History) -> None:
        """Do nothing: the average changes with each step, not with each epoch."""

    def state_dict(self) -> dict[str, Any]:
        """Return the average and the number of steps in it, as tensors."""
        return dict(self._average.state_dict())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self._average.load_state_dict(state)
