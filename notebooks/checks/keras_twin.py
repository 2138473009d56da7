"""Checks of notebook 17, and how it ends where TensorFlow is missing."""

import math
from collections.abc import Callable
from typing import Any

import torch

from checks import as_number, as_table, call, check


class TensorFlowIsMissing(Exception):
    """Stops the notebook with one sentence; Jupyter shows it without a traceback."""

    def __init__(self) -> None:
        super().__init__(
            "TensorFlow is not installed, and this lesson needs it: run `python -m pip install -r "
            "requirements-tensorflow.txt` in the course's folder (on Colab, `%pip install tensorflow` in a cell), then "
            "restart the kernel and run all cells. The other lessons do without it."
        )

    def _render_traceback_(self) -> list[str]:
        """Return what Jupyter shows in place of a traceback."""
        return [str(self)]


# Channels, height, width, units: all different, so that no wrong order has the right shape by accident.
SIZES = [(3, 2, 4, 5), (2, 3, 3, 4), (1, 2, 3, 2)]


@check(
    "dense_to_linear still returns nothing. Hint: give the rows their three sizes back with reshape, then permute.",
    "Rows in PyTorch's order, and the transpose: this layer can follow nn.Flatten.",
)
def dense_to_linear(function: Callable[..., Any]) -> str | None:
    """Three sizes, the last with one channel, where the order of the rows does not matter."""
    for channels, height, width, units in SIZES:
        rows = height * width * channels
        kernel = torch.arange(rows * units, dtype=torch.float32).view(rows, units)
        given = kernel.clone()
        found = as_table(call(function, given, channels, height, width))
        blocks = kernel.view(height, width, channels, units)
        want = blocks.permute(3, 2, 0, 1).reshape(units, -1).double()
        if found is None:
            return "one tensor is wanted. Hint: return the weight, of shape (units, channels * height * width)."
        if problem := _weight_problem(found, want, blocks, (channels, height, width, units)):
            return problem
        if not torch.equal(given, kernel):
            return "the kernel has changed after the call. Hint: work on a copy, kernel.clone()."
    return None


def _weight_problem(
    found: torch.Tensor, want: torch.Tensor, blocks: torch.Tensor, sizes: tuple[int, int, int, int]
) -> str | None:
    channels, height, width, units = sizes
    if found.shape == want.shape and torch.equal(found, want):
        return None
    where = f"for {channels} channels of {height} x {width} pixels and {units} units"
    rows = channels * height * width
    if found.shape == (rows, units):
        return f"{where} it has the shape {(rows, units)}, Keras' own. Hint: nn.Linear keeps (out, in): transpose."
    if found.shape != want.shape:
        return (
            f"{where} it has the shape {tuple(found.shape)}. Hint: {tuple(want.shape)} is wanted, reshape at the end."
        )
    naive = blocks.reshape(rows, units).T
    others = {
        "the rows are still in Keras' order, channels last. Hint: reshape to (height, width, channels, units) "
        "first": naive,
        "the kernel was read as if its rows were channels first. Hint: they are (height, width, channels), so "
        "that is how to reshape them": blocks.reshape(channels, height, width, units).permute(3, 0, 1, 2),
        "height and width are swapped. Hint: permute to (units, channels, height, width)": blocks.permute(3, 2, 1, 0),
        "the weights are in one row after another, but each unit needs its own row. Hint: reshape does not "
        "transpose; permute does": blocks.reshape(units, rows),
        "units went last before the reshape. Hint: permute to (units, channels, height, width), "
        "units first": blocks.permute(2, 0, 1, 3).reshape(units, rows),
    }
    for said, wrong in others.items():
        if torch.equal(found, wrong.reshape(units, rows).double()):
            return f"{where} {said}."
    return f"{where} a weight is not in its place. Hint: reshape to (height, width, channels, units), then permute."


@check(
    "cross_entropy still returns nothing. Hint: turn both kinds of outputs into log-probabilities first.",
    "Both kinds of outputs, and no overflow.",
)
def cross_entropy(function: Callable[..., Any]) -> str | None:
    """Logits, probabilities, and logits too large for exp."""
    logits = torch.tensor([[2.0, 0.5, -1.0, 0.0], [0.0, 3.0, 1.0, -2.0], [1.0, 1.5, 0.2, 0.7]])
    targets = torch.tensor([2, 2, 1])  # the log of the first logit is nan
    probabilities = logits.softmax(dim=1)
    each = -logits.log_softmax(dim=1)[torch.arange(3), targets]
    want, twice = float(each.mean()), float(-probabilities.log_softmax(dim=1)[torch.arange(3), targets].mean())
    for outputs, from_logits in ((logits, True), (probabilities, False)):
        kind = "logits" if from_logits else "probabilities"
        given = outputs.clone()
        result = call(function, given, targets.clone(), from_logits)
        found = as_number(result)
        if found is None:
            several = as_table(result)
            if several is not None and several.numel() == 3:
                return "three numbers are one for each sample. Hint: return their mean."
            return "one number is wanted. Hint: return the mean over the samples."
        if not abs(found - want) < 1e-4:
            return f"for {kind} it gives {found:.3f}, not {want:.3f}: {_loss_hint(found, want, twice, from_logits)}"
        if not torch.equal(given, outputs):
            return "the outputs have changed after the call. Hint: -= and /= write into the argument."
    large = torch.tensor([[1000.0, 0.0], [-1000.0, 0.0]])
    found = as_number(call(function, large, torch.tensor([1, 1]), True))
    if found is None or not abs(found - 500) < 1e-2:
        shown = "no number" if found is None else f"{found:g}"
        return f"for logits of 1000 it gives {shown}, not 500. Hint: exp overflows there, and softmax rounds to 0; log_softmax or logsumexp do neither."
    return None


def _loss_hint(found: float, want: float, twice: float, from_logits: bool) -> str:
    if math.isnan(found):
        return "the log of something negative. Hint: logits are not probabilities; log_softmax makes log-probabilities."
    for value, said in {
        twice: "softmax was applied to probabilities. Hint: with from_logits=False only the log is missing.",
        -want: "the sign is wrong. Hint: the loss is minus the log-probability.",
        3 * want: "that is the sum. Hint: divide by the number of samples.",
        want / 4: "that is divided by samples times classes. Hint: pick one entry a row, then the mean.",
        want / math.log(2): "that is in bits. Hint: take the natural logarithm, torch.log.",
    }.items():
        if abs(found - value) < 1e-4:
            return said
    kind = "log_softmax(dim=1)" if from_logits else "log"
    return f"Hint: {kind}, then the entry of the target in each row, minus, mean."


@check(
    "steps_until still returns nothing. Hint: after n steps momentum**n of the start value is left.",
    "So many steps does Keras' average need.",
)
def steps_until(function: Callable[..., Any]) -> str | None:
    """Keras' default, PyTorch's, one that is reached exactly, and one that is reached at once."""
    for momentum, share, want in ((0.99, 0.9, 230), (0.9, 0.9, 22), (0.5, 0.75, 2), (0.9, 0.05, 1)):
        found = as_number(call(function, momentum, share))
        if found is None:
            return "one number is wanted. Hint: return the number of steps as an int."
        if found == want:
            continue
        said = f"for momentum {momentum} and a share of {share} it gives {found:g}, not {want}: "
        exact = math.log(1 - share) / math.log(momentum)
        if abs(found - exact) < 1e-6:
            return said + "that is no whole number of steps. Hint: round up, math.ceil."
        if found == math.floor(exact):
            return said + "there the share is not reached yet. Hint: round up, not down."
        if found in (math.floor(exact) + 1, want + 1):
            return said + "one step too many. Hint: where the share is reached exactly, stop: >=, not >."
        if found in (_steps(1 - momentum, share), math.ceil(math.log(1 - share) / math.log(1 - momentum))):
            return said + "that takes the momentum as PyTorch means it. Hint: in Keras it is the share that stays."
        if abs(found - _steps(momentum, 1 - share)) <= 1:
            return (
                said + "that is when so much of the start value is left. Hint: 1 - momentum**n is the batches' share."
            )
        if abs(found - share / (1 - momentum)) <= 1:
            return said + "each step takes its part of what is left, not of all. Hint: 1 - momentum**n."
        return said + "Hint: the smallest n with 1 - momentum**n >= share."
    return None


def _steps(momentum: float, share: float) -> int:
    """Return how many steps leave at most ``1 - share`` of the start value."""
    return math.ceil(math.log(1 - share) / math.log(momentum))
