"""Checks of notebook 02."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from checks import call, check


@check(
    "conv_size still returns nothing. Hint: at how many places does the window fit?",
    "The same numbers as nn.Conv2d gives.",
)
def conv_size(function: Callable[..., Any]) -> str | None:
    """Compared with nn.Conv2d itself."""
    for size, kernel_size, stride, padding in (
        (28, 3, 1, 0),
        (28, 3, 1, 1),
        (28, 2, 2, 0),
        (32, 5, 3, 2),
        (7, 7, 1, 0),
    ):
        layer = nn.Conv2d(1, 1, kernel_size, stride=stride, padding=padding)
        expected = layer(torch.zeros(1, 1, size, size)).shape[-1]
        found = call(function, size, kernel_size, stride=stride, padding=padding)
        if found != expected:
            hint = (
                "padding is added on both sides"
                if padding
                else "stride divides the way the window can go, rounded down"
            )
            if padding == 0 and stride == 1:
                hint = "the window's first position counts too"
            return (
                f"size {size}, kernel {kernel_size}, stride {stride}, padding {padding} give {expected}, not {found}. "
                f"Hint: {hint}."
            )
    return None


@check(
    "Repaired is None. Hint: run the cell with the class first.",
    "A batch of images in, a batch of logits out.",
)
def repaired(cls: Callable[[], nn.Module]) -> str | None:
    """It builds, takes a batch, returns logits of the right shape, and keeps its convolution."""
    try:
        model = cls()
    except AttributeError as error:
        return f"the network cannot be built ({error}). Hint: what is the first line of every __init__ of a module?"
    images = torch.randn(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    try:
        logits = call(model, images)
    except RuntimeError as error:
        return f"{error}. Hint: flatten before the linear layer, and count its inputs: 28 - 3 + 1 = 26."
    if logits.shape != (5, 10):
        return f"five images give logits of shape {tuple(logits.shape)}, not (5, 10). Hint: flatten(start_dim=1)."
    if torch.allclose(logits.sum(dim=1), torch.ones(5), atol=1e-4):
        return (
            "each row adds up to 1: these are probabilities. Hint: return the logits, CrossEntropyLoss does the rest."
        )
    if not any(isinstance(module, nn.Conv2d) for module in model.modules()):
        return "the convolution is gone. Hint: repair the network, do not replace it."
    return None


@check(
    "dropout_by_hand still returns nothing. Hint: torch.rand_like(x) gives numbers from 0 to 1 to compare with p.",
    "nn.Dropout does the same in training mode.",
)
def dropout_by_hand(function: Callable[..., Any]) -> str | None:
    """Share of zeros, size of the rest, and a different draw each time."""
    torch.manual_seed(0)
    ones = torch.ones(20_000)
    for p in (0.2, 0.5):
        dropped = call(function, ones, p)
        zeros = float((dropped == 0).float().mean())
        if abs(zeros - (1 - p)) < 0.02 and abs(zeros - p) > 0.1:
            return (
                f"with p={p}, {zeros:.0%} of the values are 0: p is the share that stays. Hint: keep where rand >= p."
            )
        if abs(zeros - p) > 0.02:
            return f"with p={p}, {zeros:.0%} of the values are 0. Hint: draw a number for each value with rand_like."
        if abs(float(dropped.mean()) - 1) > 0.05:
            return f"the mean of ones became {float(dropped.mean()):.2f}. Hint: divide what stays by 1 - p."
        if torch.equal(dropped, call(function, ones, p)):
            return "two calls drop the same values. Hint: draw anew in each call."
    return None
