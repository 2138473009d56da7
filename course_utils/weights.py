"""Whether saved weights are those of a model."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_utils.checkpoints import CheckpointError


def check_weights(model: nn.Module, weights: dict[str, Any], path: Path) -> None:
    """Raise a CheckpointError that names the first difference in name, shape or dtype of ``weights`` and ``model``'s.

    ``load_state_dict`` checks as well, but only after it has copied all that fits.
    """
    own = model.state_dict()
    for name in {**own, **weights}:
        there, here = (_kind(where.get(name)) for where in (weights, own))
        if name in own and name in weights and (there == here or nn.parameter.is_lazy(own[name])):
            continue
        difference = f"{name} is {there} there and {here} here"
        if name not in weights:
            difference = f"it has no {name}"
        elif name not in own:
            difference = f"its {name} is not in this one"
        raise CheckpointError(
            f"{path} belongs to another model: {difference}; build the same model, or give another checkpoint_dir."
        )


def _kind(value: Any) -> str:
    """Return shape and dtype of a tensor that has them; other values of a state_dict are all alike."""
    if not isinstance(value, torch.Tensor) or nn.parameter.is_lazy(value):
        return "no tensor"
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
