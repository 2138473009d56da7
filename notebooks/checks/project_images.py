"""Checks of notebook 11."""

import operator
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any

import torch
from torch import nn

from checks import call, check, pair


@check(
    "parse_line still returns nothing. Hint: strip the line, then split it once, from the right.",
    "Spaces stay in the path, and nothing bad goes through.",
)
def parse_line(function: Callable[[str], Any]) -> str | None:
    """Good lines, lines that say nothing, lines that must be refused."""
    result = call(function, "train/ship/0148.jpg 8\n")
    found = pair(result)
    if found is None:
        return f"a pair (path, label) is wanted, not {result!r}. Hint: return path, int(label)."
    if found == ("train/ship/0148.jpg", "8"):
        return "the label is still a str. Hint: int(label)."
    if isinstance(found[0], PurePath):
        return "the path is a Path, but a str was asked for. Hint: return the path as a str, as it is in the line."
    if type(found[1]) is not int:
        return f"the label is a {type(found[1]).__name__}, not an int. Hint: int(label)."
    for line, want, hint in (
        ("train/ship/0148.jpg 8\n", ("train/ship/0148.jpg", 8), "path first, then the label as an int."),
        ("cat.png 10\n", ("cat.png", 10), "class numbers may have more than one digit."),
        (
            "my photos/cat 1.png 3\n",
            ("my photos/cat 1.png", 3),
            "split only once, from the right: rpartition or rsplit.",
        ),
        ("cat.png 3\r\n", ("cat.png", 3), "strip takes off \\r as well as \\n."),
        (
            "my  photos/cat.png 3\n",
            ("my  photos/cat.png", 3),
            "two spaces in a path are two; do not split and join them.",
        ),
        ("  cat.png   3 \n", ("cat.png", 3), "strip the line first, and the path after splitting."),
        ('"my photos/cat 1.png" 3\n', ("my photos/cat 1.png", 3), "take off a quote at both ends of the path."),
        ("photo #2.png 3\n", ("photo #2.png", 3), "only a line that begins with # is a comment."),
        ("cat.png 0\n", ("cat.png", 0), "0 is a class number."),
    ):
        try:
            found = pair(function(line))
        except (ValueError, IndexError, TypeError) as error:
            return f"{line!r} is a good line, but it raised {type(error).__name__}. Hint: {hint}"
        if found != want:
            return f"{line!r} gives {found!r}, not {want!r}. Hint: {hint}"
    for line in ("\n", "", "   \r\n", "# by Ann, 2024\n", "  # cat.png 3\n", "#cat.png 3\n"):
        try:
            found = function(line)
        except (ValueError, IndexError, TypeError) as error:
            return f"{line!r} says nothing, but it raised {type(error).__name__}. Hint: return None before you split."
        if found is not None:
            return f"{line!r} says nothing, but gives {found!r}. Hint: strip the line, then look how it begins."
    for line, hint in (
        ("cat.png\n", "without a label there is nothing to return."),
        ("cat.png three\n", "test the label, for example with isdecimal."),
        ("cat.png -1\n", "a class number is not negative; label.isdecimal() refuses the sign."),
        ("cat.png 1.5\n", "a class number is whole; label.isdecimal() refuses the point."),
        ("cat.png +1\n", "int would take the sign; label.isdecimal() refuses it."),
        ("cat.png 1_0\n", "int would read 1_0 as 10; label.isdecimal() refuses it."),
        ('"" 3\n', "between the quotes there is no path; look whether it is empty after you took them off."),
        ("7\n", "a label without a path is no line of a list."),
    ):
        try:
            found = function(line)
        except ValueError as error:
            if line.strip() not in str(error):
                return f"the error for {line!r} says {str(error)!r}. Hint: put the line into the message, so that it can be found."
        except (IndexError, TypeError, KeyError, AssertionError) as error:
            return f"{line!r} raises {type(error).__name__}. Hint: raise ValueError(f'... {{line!r}}'); {hint}"
        else:
            return f"{line!r} is bad, but gives {found!r}. Hint: {hint}"
    return None


@check(
    "receptive_field still returns nothing. Hint: keep two numbers, width and distance, and go through the layers.",
    "Each stride makes the later kernels reach further.",
)
def receptive_field(function: Callable[[list[tuple[int, int]]], Any]) -> str | None:
    """Plain kernels, strides, and our VGG."""
    layers = [[(5, 1)], [(3, 1), (3, 1)], [(2, 2), (3, 1)], [(3, 2), (3, 2), (3, 2)], []]
    layers.append([(3, 1), (3, 1), (2, 2)] * 2 + [(3, 1), (3, 1)])
    for given in layers:
        width, product_first, summed, distance, wrong_distance = 1, 1, 1, 1, 1
        for kernel, stride in given:
            width += (kernel - 1) * distance
            distance *= stride
            product_first += (kernel - 1) * distance
            summed += kernel - 1
            wrong_distance += (kernel - 1) * stride
        found = call(function, list(given))
        try:
            found = found if isinstance(found, float) else operator.index(found)  # of NumPy and PyTorch, too
        except (TypeError, ValueError):
            return f"one number is wanted, not {found!r}. Hint: return the width."
        if isinstance(found, bool):
            return f"one number is wanted, not {found!r}. Hint: return the width."
        if found == width:
            continue
        said = f"for {given} it gives {found:g}, not {width}. Hint: "
        if not given:
            return said + "without a layer, an output is one pixel: start from 1."
        if found == wrong_distance:
            return said + "the distance is the product of all strides before, not this layer's stride."
        if found == width - 1:
            return said + "before the first layer the width is 1, not 0."
        if found == distance:
            return said + "that is the distance of two neighbours; return the width."
        if found == product_first:
            return said + "a layer's own stride spreads the next layers: widen first, then multiply the distance."
        if found == summed:
            return said + "after a stride, neighbours are further apart: multiply k - 1 by the distance."
        if found == 1 + sum(kernel for kernel, _ in given) or found == sum(kernel for kernel, _ in given):
            return said + "a kernel of width k adds k - 1, because one pixel was there already."
        return said + "width += (kernel - 1) * distance, then distance *= stride."
    return None


@check(
    "freeze still returns nothing. Hint: evaluation mode and no gradients for net[0], then the head's parameters.",
    "Neither weights nor running statistics will move.",
)
def freeze(function: Callable[[nn.Sequential], Any]) -> str | None:
    """A small network that comes in training mode, and one that comes in evaluation mode."""
    return _freeze(function, training=True) or _freeze(function, training=False)


def _freeze(function: Callable[[nn.Sequential], Any], *, training: bool) -> str | None:
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
    head = nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)
    )
    net = nn.Sequential(features, head).train(training)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = call(function, net)
    if isinstance(found, nn.Module):
        return "a module was returned. Hint: return list(net[1].parameters())."
    if not isinstance(found, Iterable):
        return f"a {type(found).__name__} came back, no list. Hint: list(net[1].parameters()), with the brackets of the call."
    parameters = list(found)
    if not all(isinstance(parameter, torch.Tensor) for parameter in parameters):
        return "the list must hold parameters. Hint: parameters(), not named_parameters()."
    if not all(isinstance(parameter, nn.Parameter) for parameter in parameters):
        return "these tensors do not learn: state_dict holds detached ones. Hint: list(net[1].parameters())."
    if any(not torch.equal(before[name], value) for name, value in net.state_dict().items()):
        return "weights have changed in the call. Hint: freezing only sets modes and requires_grad."
    own, theirs = ({id(parameter) for parameter in part.parameters()} for part in net)
    given = {id(parameter) for parameter in parameters}
    if given & own:
        return "the list holds parameters of the features. Hint: return those of net[1] only."
    if given != theirs:
        return f"the head has {len(theirs)} parameters, the list {len(given)} of them. Hint: list(net[1].parameters())."
    if any(not parameter.requires_grad for parameter in head.parameters()):
        return "the head has no gradients any more. Hint: requires_grad = False for net[0].parameters() only."
    if any(parameter.requires_grad for parameter in features.parameters()):
        return "the features still get gradients. Hint: requires_grad = False for each of net[0].parameters()."
    # A ReLU in training mode does no harm; what moves are statistics, and what is drawn.
    moving = (nn.BatchNorm2d, nn.Dropout)
    awake = [type(module).__name__ for module in features.modules() if module.training and isinstance(module, moving)]
    if any("BatchNorm" in name for name in awake):
        return (
            "BatchNorm in the features is in training mode, so its running statistics will move. Hint: net[0].eval(), after "
            "net.train()."
        )
    if awake:
        return f"{awake[-1]} in the features is in training mode. Hint: net[0].eval() puts all of its modules to rest."
    if not all(module.training for module in head.modules()):
        return "the head's Dropout is off. Hint: net.train() first, then net[0].eval()."
    if not net.training:
        return "the network as a whole is in evaluation mode. Hint: net.train() first, then net[0].eval()."
    return None
