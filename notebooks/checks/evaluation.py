"""Checks of notebook 04."""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from checks import as_number, call, check


@check(
    "images_needed still returns nothing. Hint: set the half width equal to what is wanted and solve for n.",
    "Half the width takes four times the images.",
)
def images_needed(function: Callable[..., Any]) -> str | None:
    """Several accuracies and widths; one is a whole number, also in floats, and one lies just above."""
    cases = (
        (0.9, 0.01, 1.96),
        (0.5, 0.03, 1.96),
        (0.97, 0.01, 1.96),
        (0.9, 0.02, 2.576),
        (0.95, 0.015, 1.96),  # 811.004
        (0.5, 0.125, 2.0),  # 64
    )
    for accuracy, half_width, z in cases:
        options = {} if z == 1.96 else {"z": z}
        found = as_number(call(function, accuracy, half_width, **options))
        exact = z**2 * accuracy * (1 - accuracy) / half_width**2
        want = math.ceil(exact)
        asked = f"for accuracy={accuracy}, half_width={half_width}" + (f", z={z}" if options else "")
        if found is None:
            return "one number is wanted. Hint: return the n."
        if abs(found - want) < 1e-9:
            continue
        said = f"{asked} it gives {found:g}, not {want}. Hint: "
        if exact == want and found == want + 1:
            return said + "a whole number stays as it is when it is rounded up: math.ceil, not + 1."
        if found in (math.floor(exact), round(exact)):
            return said + "round up, one image fewer is too few: math.ceil."
        if abs(found - exact) < 1e-6:
            return said + "images are whole, round up with math.ceil."
        if abs(found - exact / 4) <= 1:
            return said + "half_width is half of the interval, not all of it."
        if abs(found - exact / z**2) <= 1:
            return said + "z is squared, too, and not left out."
        if abs(found - exact / z) <= 1 or abs(found - exact * half_width) <= 1 or abs(found - math.sqrt(exact)) <= 1:
            return said + "to get n out of the root, square both sides: z and half_width."
        if abs(found - z**2 * 0.25 / half_width**2) <= 1:
            return said + "use accuracy * (1 - accuracy), not its largest value."
        if abs(found - 1.96**2 * accuracy * (1 - accuracy) / half_width**2) <= 1:
            return said + "use the argument z, not a fixed 1.96."
        return said + "n = z**2 * accuracy * (1 - accuracy) / half_width**2, rounded up."
    return None


class _Net(nn.Sequential):
    """A norm layer and Dropout between two linear layers; the norm layer has seen other data than it will be asked about."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3))
        generator = torch.Generator().manual_seed(0)
        for tensor in self.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)


@check(
    "ask still returns nothing. Hint: eval() and no_grad around model(images), and then the modes as they were.",
    "The answer of evaluation mode, and no trace of the question.",
)
def ask(function: Callable[..., Any]) -> str | None:
    """A model in training, one in evaluation, and two whose parts differ."""
    images = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    for asleep, what in (
        ((), "a model in training mode"),
        (("", "0", "1", "2", "3"), "a model in evaluation mode"),
        (("1",), "a model in training mode with BatchNorm in evaluation mode"),
        (("", "0", "1", "3"), "a model in evaluation mode with Dropout in training mode"),
    ):
        model = _Net()
        want = copy.deepcopy(model).eval()(images).detach()
        for name, part in model.named_modules():
            part.training = name not in asleep
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        try:
            found = call(function, model, images.clone())
            graphs = torch.is_grad_enabled()
        finally:
            torch.set_grad_enabled(True)
        if problem := _asked_problem(found, want):
            return problem
        if not graphs:
            return "gradients are switched off for good. Hint: with torch.no_grad(): switches them on again at its end."
        if not all(parameter.requires_grad for parameter in model.parameters()):
            return "the parameters have lost requires_grad, so nobody could train them. Hint: with torch.no_grad()."
        if any(not torch.equal(before[name], tensor) for name, tensor in model.state_dict().items()):
            return "the model has changed: the running statistics of BatchNorm moved. Hint: model.eval() before every call of it."
        changed = [name for name, part in model.named_modules() if part.training == (name in asleep)]
        if changed:
            who, mode = changed[0] or "the model itself", "training" if changed[0] in asleep else "evaluation"
            who = f"part {who!r}" if changed[0] else who
            return f"after a call for {what}, {who} is in {mode} mode. Hint: note part.training of all model.modules(), and put it back."
    return None


def _asked_problem(found: Any, want: torch.Tensor) -> str | None:
    if not isinstance(found, torch.Tensor):
        return f"a {type(found).__name__} came back. Hint: return the logits, a tensor."
    if found.shape != want.shape:
        return f"five images and three classes give the shape {tuple(found.shape)}, not (5, 3). Hint: return the logits, all of them."
    if torch.allclose(found, want.softmax(1), atol=1e-5):
        return "these are probabilities. Hint: return the logits, without softmax."
    if not torch.allclose(found, want, atol=1e-5):
        return "these are not the logits of evaluation mode. Hint: model.eval() before you ask, for every model."
    if found.requires_grad:
        return "the logits hold a graph, and with it what backward would need. Hint: with torch.no_grad(), around the call."
    return None


# Mean confidence, samples and right answers of each bin of ten that is not empty: one is under-confident.
BINS = ((0.97, 6, 4), (0.74, 2, 2), (0.53, 3, 1), (0.04, 1, 1))


@check(
    "calibration_error still returns nothing. Hint: loop over the bins, weigh each gap by the bin's share of samples.",
    "Each gap weighted by its samples, empty bins left out.",
)
def calibration_error(function: Callable[..., Any]) -> str | None:
    """Four bins with samples, six without; then two bins, and samples on an edge."""
    confidence = torch.tensor([sure for sure, count, _ in BINS for _ in range(count)])
    right = torch.tensor([index < hits for _, count, hits in BINS for index in range(count)])
    given = confidence.clone(), right.clone()
    found = as_number(call(function, *given))
    if found is None:
        return "one number is wanted. Hint: return the sum of the weighted gaps."
    if problem := _calibration_problem(found, confidence, right):
        return problem
    if not (torch.equal(given[0], confidence) and torch.equal(given[1], right)):
        return "confidence or right have changed after the call. Hint: -= and += write into the argument, a = a - b does not."
    few = as_number(call(function, confidence.clone(), right.clone(), bins=2))
    ten = sum(count * abs(sure - hits / count) for sure, count, hits in BINS) / 12
    want = (abs(6 * 0.97 + 2 * 0.74 + 3 * 0.53 - 7) + 1 - 0.04) / 12
    if few is None or abs(few - want) > 1e-4:
        said = f"with bins=2 it gives {'no number' if few is None else f'{few:.3f}'}, not {want:.3f}. Hint: "
        if few is not None and abs(few - ten) < 1e-4:
            return said + "use the argument bins, not a fixed 10."
        return said + "with two bins, the edge between them is 0.5."
    edge = as_number(call(function, torch.ones(4), torch.tensor([True, True, True, False])))
    if edge is None or abs(edge - 0.25) > 1e-4:
        return "samples with a confidence of exactly 1 get lost. Hint: they belong into the last bin."
    # On the edge between two bins: either of the two is right, and the gap is the same.
    inner = as_number(call(function, torch.full((4,), 0.5), torch.tensor([True, True, True, False]), bins=2))
    if inner is None or abs(inner - 0.25) > 1e-4:
        how = "counted twice" if inner is not None and abs(inner - 0.5) < 1e-4 else "lost"
        return (
            f"samples on the edge between two bins are {how}. Hint: one end of a bin belongs to it, the other does not."
        )
    return None


def _calibration_problem(found: float, confidence: torch.Tensor, right: torch.Tensor) -> str | None:
    gaps = [(count, sure - hits / count) for sure, count, hits in BINS]
    parts = [count * abs(gap) / 12 for count, gap in gaps]
    if math.isnan(found):
        return "it gives nan: the mean of an empty bin. Hint: if inside.any()."
    if abs(found - sum(parts)) < 1e-4:
        return None
    middles = [count * abs(int(sure * 10) / 10 + 0.05 - hits / count) / 12 for sure, count, hits in BINS]
    unweighted = sum(abs(gap) for _, gap in gaps)
    others = [
        (unweighted / 4, "a bin of one sample counts like one of six; weigh each gap by its samples."),
        (unweighted / 10, "a bin of one sample counts like one of six; weigh each gap by its samples."),
        (unweighted, "weigh each gap by its bin's share of the samples."),
        (
            sum(count * gap for count, gap in gaps) / 12,
            "gaps of both signs cancel out; take abs() of each before adding.",
        ),
        (
            -sum(count * gap for count, gap in gaps) / 12,
            "gaps of both signs cancel out; take abs() of each before adding.",
        ),
        (max(abs(gap) for _, gap in gaps), "that is the largest gap; the weighted mean is wanted."),
        (12 * sum(parts), "divide by the number of all samples."),
        (12 * sum(parts) / 10, "divide by the number of all samples, len(right), not by that of the bins."),
        (12 * sum(parts) / 4, "divide by the number of all samples, len(right), not by that of the bins."),
        (sum(middles), "take the mean confidence of the samples in a bin, not the middle of the bin."),
        (sum(parts[:-1]), "the first bin, from 0 to 0.1, is left out; range(bins) starts at 0."),
        (sum(parts[1:]), "the last bin, from 0.9 to 1, is left out; range(bins) is all of them."),
        (
            (confidence - right.float()).abs().mean().item(),
            "that is the gap of each sample; take the means of a bin first.",
        ),
        (sum(count * gap**2 for count, gap in gaps) / 12, "the gaps are not squared; abs() is enough."),
    ]
    said = f"it gives {found:.3f}, not {sum(parts):.3f}. Hint: "
    for value, hint in others:
        if abs(found - value) < 1e-4:
            return said + hint
    return said + "in each bin, abs(mean confidence - share right), times its samples, over all samples."
