"""Checks of notebook 02."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from checks import Untouched, call, check


@check(
    "conv_size still returns nothing. Hint: at how many places does the window fit?",
    "The same numbers as nn.Conv2d gives.",
)
def conv_size(function: Callable[..., Any]) -> str | None:
    """Compared with nn.Conv2d itself; one knob more at a time."""
    for size, kernel_size, stride, padding, hint in (
        (28, 3, 1, 0, "the window's first position counts too"),
        (7, 7, 1, 0, "the window's first position counts too"),
        (28, 2, 2, 0, "the stride divides the way that the window can go, and the first position is added after that"),
        (28, 5, 2, 0, "what does not fill a whole stride is cut off: round down"),
        (28, 3, 2, 0, "what does not fill a whole stride is cut off: round down"),
        (28, 3, 1, 1, "padding is added on both sides"),
        (32, 5, 3, 2, "padding first, then the stride, rounded down"),
    ):
        layer = nn.Conv2d(1, 1, kernel_size, stride=stride, padding=padding)
        expected = layer(torch.zeros(1, 1, size, size)).shape[-1]
        found = call(function, size, kernel_size, stride=stride, padding=padding)
        if found != expected:
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
    """It computes what the right network computes with the same weights."""
    try:
        model = cls()
    except AttributeError as error:
        return f"the network cannot be built ({error}). Hint: what is the first line of every __init__ of a module?"
    images = torch.randn(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if len(convolutions) != 1 or len(linears) != 1:
        return "the network has other layers now. Hint: repair it, do not replace it: one Conv2d, one Linear."
    conv, linear = convolutions[0], linears[0]
    if linear.in_features != 8 * 26 * 26:
        return (
            f"the linear layer takes {linear.in_features} numbers. Hint: 28 - 3 + 1 = 26 rows and columns, 8 channels."
        )
    if linear.out_features != 10:
        return f"there are {linear.out_features} outputs. Hint: ten classes, ten outputs."
    try:
        logits = call(model, images).detach()
    except NotImplementedError:
        return "the network has no forward. Hint: it belongs to the class, indented like __init__."
    except Untouched:
        return "forward returns nothing. Hint: is a return missing?"
    except RuntimeError as error:
        return f"{error}. Hint: flatten everything but the batch before the linear layer."
    expected = linear(torch.relu(conv(images)).flatten(1)).detach()
    if logits.shape == expected.shape and torch.allclose(logits, expected, atol=1e-4):
        return None
    if logits.shape != (5, 10):
        return f"five images give logits of shape {tuple(logits.shape)}, not (5, 10). Hint: flatten(start_dim=1)."
    if torch.allclose(logits.exp().sum(dim=1), torch.ones(5), atol=1e-4):
        return "these are log-probabilities. Hint: return the logits, CrossEntropyLoss does the rest."
    if torch.allclose(logits, expected.relu(), atol=1e-4):
        return "no output is below 0, but logits may be. Hint: ReLU stands between the layers, not after the last one."
    if float(logits.min()) >= 0:
        return "no output is below 0: these are probabilities. Hint: return the logits as they are, CrossEntropyLoss does the rest."
    return (
        "the outputs differ from fc(flatten(relu(conv(x)))). Hint: use both layers, with ReLU between, nothing after."
    )


@check(
    "dropout_by_hand still returns nothing. Hint: torch.rand_like(x) gives numbers from 0 to 1 to compare with p.",
    "nn.Dropout does the same in training mode.",
)
def dropout_by_hand(function: Callable[..., Any]) -> str | None:
    """Share of zeros, size of the rest, a different draw each time, the input as it was."""
    x = torch.randn(20_000, generator=torch.Generator().manual_seed(0)) + 3
    for p in (0.2, 0.5):
        given = x.clone()
        dropped = torch.as_tensor(call(function, given, p))
        if not torch.equal(given, x):
            return "the function changes its input. Hint: compute a new tensor, with * and not with an assignment."
        if dropped.shape != x.shape:
            return f"20,000 values became shape {tuple(dropped.shape)}. Hint: set values to 0, do not take them out."
        zeros = float((dropped == 0).float().mean())
        if abs(zeros - (1 - p)) < 0.02 and abs(zeros - p) > 0.1:
            return (
                f"with p={p}, {zeros:.0%} of the values are 0: p is the share that stays. Hint: keep where rand >= p."
            )
        if abs(zeros - p) > 0.02:
            return f"with p={p}, {zeros:.0%} of the values are 0. Hint: draw a number for each value with rand_like."
        stays = dropped != 0
        if torch.allclose(dropped[stays], x[stays]):
            return "what stays is as it was, so the mean falls. Hint: divide what stays by 1 - p."
        if not torch.allclose(dropped[stays], x[stays] / (1 - p), rtol=1e-4):
            return "what stays is not x / (1 - p). Hint: the mask is multiplied with x, then divide by 1 - p."
        if torch.equal(dropped, torch.as_tensor(call(function, x.clone(), p))):
            return "two calls drop the same values. Hint: draw anew in each call."
    return None
