"""Checks of notebook 08."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from checks import Untouched, as_number, call, check


def _wave(step: int, warmup: int, total: int) -> float:
    """Return the factor that is wanted."""
    return (step + 1) / warmup if step < warmup else _fall((step - warmup) / (total - warmup))


def _fall(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


@check(
    "warmup_then_cosine still returns nothing. Hint: two cases, step < warmup, and the rest with math.cos.",
    "Up in a line, down along a wave, and it stays down.",
)
def warmup_then_cosine(function: Callable[..., Any]) -> str | None:
    """All steps of two schedules and those beyond the end, then a schedule without a warm-up."""
    for warmup, total in ((10, 60), (4, 20)):
        steps = [*range(total + 1), total + 10, total + 50, total + 100]
        answers = [function(step, warmup, total) for step in steps]
        if all(answer is None or answer is ... for answer in answers):
            raise Untouched
        problem = _wrong_factors(dict(zip(steps, answers, strict=True)), warmup, total)
        if problem is not None:
            return problem
    for step in (0, 5, 10, 20, 30):
        try:
            found = as_number(function(step, 0, 20))
        except ZeroDivisionError:
            return "with warmup=0 it divides by zero. Hint: ask step < warmup first, and divide by warmup only there."
        if found is None or abs(found - _wave(step, 0, 20)) > 1e-6:
            said = "nothing" if found is None else f"{found:.6g}"
            want = f"{_wave(step, 0, 20):.6g}"
            return f"with warmup=0, total=20 it gives {said} at step {step}, not {want}. Hint: then it only falls."
    return None


def _wrong_factors(answers: dict[int, Any], warmup: int, total: int) -> str | None:
    """Say what is wrong with the factors of one schedule, or None."""
    for step, answer in answers.items():
        if answer is None or answer is ...:
            return f"at step {step} of {total} (warmup={warmup}) it returns nothing. Hint: every case needs its own return."
        if as_number(answer) is None:
            return "one number is wanted. Hint: return the factor."
    found = {step: float(answer) for step, answer in answers.items()}
    parts = ([step for step in found if step < warmup], [step for step in found if warmup <= step <= total])
    for steps, hints in zip(parts, (_RISE, _FALL), strict=True):
        errors = {step: abs(found[step] - _wave(step, warmup, total)) for step in steps}
        worst = max(steps, key=lambda step: errors[step] if errors[step] == errors[step] else math.inf)
        if errors[worst] <= 1e-6:
            continue
        want = f"{_wave(worst, warmup, total):.6g}"
        said = f"at step {worst} of {total} (warmup={warmup}) it gives {found[worst]:.6g}, not {want}. Hint: "
        for mistake, hint in hints:
            if all(abs(found[step] - mistake(step, warmup, total)) < 1e-6 for step in steps):
                return said + hint
        return said + hints[-1][1]
    for step in found:
        if step > total and not abs(found[step]) <= 1e-6:
            return f"at step {step} of {total} it gives {found[step]:.6g}, not 0. Hint: the share of the fall is at most 1: min(1.0, ...)."
    return None


def _share(step: int, warmup: int, total: int) -> float:
    return (step - warmup) / (total - warmup)


# Mistakes in the two parts of the schedule, each with its hint; the last of each is for anything else.
_Mistakes = list[tuple[Callable[[int, int, int], float], str]]
_RISE: _Mistakes = [
    (lambda s, w, t: s / w, "at step 0 the rate would be 0, a wasted step; count from 1: (step + 1) / warmup."),
    (lambda s, w, t: _fall(s / t), "the warm-up is missing: while step < warmup, return (step + 1) / warmup."),
    (lambda s, w, t: math.nan, "while step < warmup, the factor is (step + 1) / warmup."),
]
_FALL: _Mistakes = [
    (
        lambda s, w, t: 1 - _share(s, w, t),
        "that is a straight line; a wave is 0.5 * (1 + math.cos(math.pi * share)).",
    ),
    (
        lambda s, w, t: _fall(s / t),
        "the fall begins at step warmup: its share is (step - warmup) / (total - warmup).",
    ),
    (lambda s, w, t: _fall((s - w) / t), "the fall lasts total - warmup steps, not total."),
    (
        lambda s, w, t: math.cos(math.pi * _share(s, w, t)),
        "a cosine goes from 1 to -1; shift and halve it: 0.5 * (1 + cos).",
    ),
    (
        lambda s, w, t: math.cos(math.pi * _share(s, w, t) / 2),
        "half a wave is the cosine from 0 to pi, shifted and halved.",
    ),
    (lambda s, w, t: 1 - _fall(_share(s, w, t)), "that rises; it is 1 + cos, not 1 - cos."),
    (lambda s, w, t: 1.0, "after the warm-up it must fall."),
    (
        lambda s, w, t: math.nan,
        "with share = (step - warmup) / (total - warmup), it is 0.5 * (1 + math.cos(math.pi * share)).",
    ),
]


class _Model(nn.Module):
    """A convolution, a norm layer, a frozen embedding, a Linear, and a parameter without dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.frozen = nn.Embedding(5, 4).requires_grad_(False)
        self.linear = nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(()))


@check(
    "parameter_groups still returns nothing. Hint: two lists, filled by parameter.ndim >= 2.",
    "Matrices decay, vectors do not, frozen ones are nobody's business.",
)
def parameter_groups(function: Callable[..., Any]) -> str | None:
    """A small model with every kind of parameter."""
    model = _Model()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    found = call(function, model, 0.3)
    if isinstance(found, tuple) and len(found) == 2:
        found = list(found)
    if not isinstance(found, list) or len(found) != 2 or not all(isinstance(group, dict) for group in found):
        return "a list of two dicts is wanted. Hint: [{'params': ..., 'weight_decay': ...}, {...}]."
    if any("params" not in group for group in found):
        return "each dict needs a list under 'params'. Hint: that is the key that optimizers look for."
    found = [{**group, "params": [_parameter(entry) for entry in group["params"]]} for group in found]
    inside = [[names.get(id(parameter)) for parameter in group["params"]] for group in found]
    if any(name is None for part in inside for name in part):
        return "there is something in 'params' that is no parameter of the model. Hint: loop over model.parameters(), and do not copy."
    frozen = [name for part in inside for name in part if str(name).startswith("frozen")]
    if frozen:
        return f"{frozen[0]} is frozen and still there. Hint: take only parameters with requires_grad."
    for part in inside:
        if len(part) != len(set(part)):
            twice = next(name for name in part if part.count(name) > 1)
            return f"{twice} is in one group more than once. Hint: go through model.parameters() once, which gives each one once."
    decayed, others = (set(part) for part in inside)
    matrices = {"conv.weight", "linear.weight"}
    vectors = {"conv.bias", "norm.weight", "norm.bias", "linear.bias", "scale"}
    problem = _wrong_names(decayed, others, matrices, vectors)
    if problem is not None:
        return problem
    values = [group.get("weight_decay") for group in found]
    if values[1] != 0:
        return f"the second group has weight_decay {values[1]}. Hint: give it 0.0, or it gets the optimizer's own."
    if values[0] != 0.3:
        return f"for weight_decay=0.3 the first group has {values[0]}. Hint: pass the argument on."
    if trained != {name for name, parameter in model.named_parameters() if parameter.requires_grad}:
        return "it changes requires_grad of the model's parameters. Hint: only ask for it: if parameter.requires_grad."
    if extra := [key for group in found for key in group if key not in ("params", "weight_decay")]:
        return f"a group has {extra[0]!r}, too, and would not take the optimizer's. Hint: params and weight_decay, no more."
    try:
        torch.optim.AdamW(found, lr=0.1)
    except (ValueError, TypeError) as error:
        return f"AdamW does not take it: {error}. Hint: each parameter once, in a list."
    return None


def _parameter(entry: Any) -> Any:
    """Return the parameter of a pair (name, parameter), which optimizers take, too."""
    return entry[1] if isinstance(entry, (tuple, list)) and len(entry) == 2 else entry


def _wrong_names(decayed: set[Any], others: set[Any], matrices: set[str], vectors: set[str]) -> str | None:
    """Say which parameter is in the wrong group, or None."""
    if decayed & others:
        return f"{min(decayed & others)} is in both groups. Hint: every parameter in one: if, else."
    if decayed == vectors and others == matrices:
        return "the groups are the wrong way round. Hint: first what decays, the matrices."
    if "norm.weight" in decayed:
        return "norm.weight is the scale of a norm layer and should not decay. Hint: go by parameter.ndim, not by name."
    if decayed & vectors:
        return f"{min(decayed & vectors)} should not decay. Hint: only parameters with ndim >= 2 do."
    if others & matrices:
        return f"{min(others & matrices)} has {4 if 'conv' in min(others & matrices) else 2} dimensions and should decay. Hint: ndim >= 2, not == 2."
    missing = (matrices | vectors) - decayed - others
    if missing:
        return f"{min(missing)} is in no group, so it would not be trained. Hint: the second group takes all that the first leaves."
    return None


@check(
    "clip_by_hand still returns nothing. Hint: one norm over all of them, then one factor for all.",
    "One norm, one factor: the direction stays.",
)
def clip_by_hand(function: Callable[..., Any]) -> str | None:
    """Gradients of norm 13 in three shapes, clipped to 2.6, and not clipped at 20."""
    gradients = [torch.tensor([[3.0, 0.0], [0.0, 4.0]]), torch.tensor([12.0]), torch.zeros(2)]
    kept = [gradient.clone() for gradient in gradients]
    found = call(function, gradients, 2.6)
    problem = _wrong_form(found, gradients, kept)
    if problem is not None:
        return problem
    if not _same(found, [gradient * 0.2 for gradient in kept]):
        return _wrong_factor(found, kept)
    below = call(function, [gradient.clone() for gradient in kept], 20.0)
    if _wrong_form(below, kept, kept) or not _same(below, kept):
        if _same(below, [gradient * 20 / 13 for gradient in kept]):
            return "a norm of 13 was stretched to max_norm=20. Hint: only scale if the norm is larger."
        return "a norm of 13 is below max_norm=20, but the gradients were changed. Hint: then they stay as they are."
    try:
        still = call(function, [torch.zeros(3)], 1.0)
    except ZeroDivisionError:
        return "for gradients of zeros it divides by zero. Hint: ask norm <= max_norm first, and divide only if it is larger."
    if _wrong_form(still, [torch.zeros(3)], [torch.zeros(3)]) or not _same(still, [torch.zeros(3)]):
        return "gradients of zeros come back changed. Hint: do not divide by a norm of 0."
    return None


def _wrong_form(found: Any, gradients: list[torch.Tensor], kept: list[torch.Tensor]) -> str | None:
    """Say what is wrong with the kind of answer, or None."""
    if any(not torch.equal(now, before) for now, before in zip(gradients, kept, strict=True)):
        return "it changes the tensors it was given. Hint: return new ones, gradient * factor."
    if not isinstance(found, (list, tuple)) or not all(isinstance(tensor, torch.Tensor) for tensor in found):
        return "a list of tensors is wanted. Hint: [gradient * factor for gradient in gradients]."
    if [tensor.shape for tensor in found] != [tensor.shape for tensor in kept]:
        return "the tensors come back in other shapes, or another number of them. Hint: one for each gradient, in its shape."
    return None


def _same(found: Any, want: list[torch.Tensor]) -> bool:
    return all(torch.allclose(a.double(), b.double(), atol=1e-4) for a, b in zip(found, want, strict=True))


def _wrong_factor(found: Any, kept: list[torch.Tensor]) -> str:
    """Say what is wrong with gradients of norm 13 that should be scaled to 2.6."""
    if _same(found, kept):
        return "a norm of 13 is above max_norm=2.6, but nothing was scaled. Hint: multiply by max_norm / norm."
    each = [gradient * min(1.0, 2.6 / max(gradient.norm().item(), 1e-9)) for gradient in kept]
    if _same(found, each):
        return "each tensor was clipped by its own norm, which changes the direction. Hint: one norm of all together."
    if _same(found, [gradient.clamp(-2.6, 2.6) for gradient in kept]):
        return "each number was cut off at max_norm, which changes the direction. Hint: scale all by one factor."
    if _same(found, [gradient / 13 for gradient in kept]):
        return "the norm is now 1. Hint: multiply by max_norm, too."
    if _same(found, [gradient * 2.6 / 169 for gradient in kept]):
        return "that divides by the square of the norm. Hint: take the root of the sum of squares."
    if _same(found, [gradient * 2.6 / 17 for gradient in kept]):
        return "that divides by the sum of the tensors' norms, 17. Hint: add up squares, then take the root: 13."
    if _same(found, [gradient * 2.6 / 19 for gradient in kept]):
        return "that divides by the sum of the numbers, 19. Hint: add up squares, then take the root: 13."
    if _same(found, [gradient * 2.6 for gradient in kept]):
        return "the gradients were multiplied by max_norm. Hint: the factor is max_norm / norm."
    norm = float(torch.cat([tensor.flatten().double() for tensor in found]).norm())
    if abs(norm - 2.6) < 0.03 and _same(found, [gradient * norm / 13 for gradient in kept]):
        return f"the norm after clipping is {norm:.6f}, not 2.6. Hint: nothing (or at most 1e-6) is added to the norm; if it is 0, it is not above the limit."
    return f"the norm after clipping is {norm:.6g}, not 2.6. Hint: the factor is max_norm / norm, with the norm of all tensors together, 13."
