"""Checks of notebook 00."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from checks import call, check


class _BrightestRow(nn.Module):
    """Gives each of three rows' brightness as its logit; in training mode it gives nonsense, as Dropout may."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.ndim != 4:
            raise ValueError(f"the model takes a batch (N, C, H, W), but got shape {tuple(images.shape)}")
        logits = images.mean(dim=(1, 3))
        return -logits if self.training else logits


@check(
    "name_of still returns nothing. Hint: make a batch of the one image, call the model, find the largest logit.",
    "One image, made a batch of one, in evaluation mode.",
)
def name_of(function: Callable[..., Any]) -> str | None:
    """Three images whose brightest row is known; the names tell which."""
    names = ("top", "middle", "bottom")
    for row, expected in enumerate(names):
        image = torch.zeros(1, 3, 5)
        image[0, row] = 1.0
        model = _BrightestRow().train()
        try:
            found = call(function, model, image, names)
        except ValueError as error:
            return f"{error}. Hint: image.unsqueeze(0) makes a batch of one image."
        if not isinstance(found, str):
            return f"name_of returned {found!r}, not a name. Hint: use the class number as an index into class_names."
        if found != expected and model.training:
            return "the model answered in training mode. Hint: call model.eval() before you ask it."
        if found != expected:
            return f"for an image of class {expected!r} name_of returned {found!r}. Hint: argmax(dim=1) is the class."
    return None


@check(
    "accuracy still returns nothing. Hint: compare logits.argmax(dim=1) with targets.",
    "This is what evaluate counts, batch by batch.",
)
def accuracy(function: Callable[..., Any]) -> str | None:
    """Three of four answers are right."""
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 0.5], [0.0, 0.0, 9.0]])
    targets = torch.tensor([0, 1, 2, 2])
    try:
        found = float(call(function, logits, targets))
    except RuntimeError as error:
        return f"the shapes do not fit ({error}). Hint: argmax(dim=1) gives one class for each sample."
    if found == 3:
        return "3 is the number of right answers. Hint: divide it by the number of samples."
    if found == 75:
        return "75 is a percentage. Hint: return the share from 0 to 1; formatting belongs to the print."
    if abs(found - 0.75) > 1e-6:
        return f"3 of 4 answers are right, but accuracy returned {found:g}. Hint: argmax(dim=1), then compare."
    return None
