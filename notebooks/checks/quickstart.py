"""Checks of notebook 00."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from checks import as_number, call, check


class _BrightestRow(nn.Module):
    """Gives each of three rows' brightness as its logit; in training mode it gives nonsense, as Dropout may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_in_training = False

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (N, 3) for images (N, 2, 3, 5)."""
        if images.ndim != 4 or images.shape[1] != 2:
            raise ValueError(f"the model takes a batch (N, 2, 3, 5) of images, but got shape {tuple(images.shape)}")
        self.asked_in_training = self.training
        logits = images.mean(dim=(1, 3))
        return -logits if self.training else logits


@check(
    "name_of still returns nothing. Hint: make a batch of the one image, call the model, find the largest logit.",
    "One image, made a batch of one, in evaluation mode.",
)
def name_of(function: Callable[..., Any]) -> str | None:
    """Three images of two channels whose brightest row is known; the names tell which."""
    names = ("top", "middle", "bottom")
    for row, expected in enumerate(names):
        image = torch.zeros(2, 3, 5)
        image[:, row] = 1.0
        model = _BrightestRow().train()
        try:
            found = call(function, model, image, names)
        except ValueError as error:
            return f"{error}. Hint: image.unsqueeze(0) makes a batch of one image."
        if model.asked_in_training:
            return "the model answered in training mode. Hint: call model.eval() before you ask it."
        if not isinstance(found, str):
            return f"name_of returned {found!r}, not a name. Hint: use the class number as an index into class_names."
        if found != expected:
            return f"for an image of class {expected!r} name_of returned {found!r}. Hint: argmax(dim=1) is the class."
    return None


@check(
    "accuracy still returns nothing. Hint: compare logits.argmax(dim=1) with targets.",
    "This is what evaluate counts, batch by batch.",
)
def accuracy(function: Callable[..., Any]) -> str | None:
    """Three of four answers are right; then two of five, in two classes."""
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 0.5], [0.0, 0.0, 9.0]])
    targets = torch.tensor([0, 1, 2, 2])
    try:
        result = call(function, logits, targets)
    except RuntimeError as error:
        if "floating point or complex" in str(error):
            return "a mean of True and False has no dtype. Hint: turn them into numbers first, with .float()."
        return f"the shapes do not fit ({error}). Hint: argmax(dim=1) gives one class for each sample."
    if isinstance(result, torch.Tensor) and result.numel() != 1:
        return f"accuracy returned {result.numel()} numbers, not one. Hint: take the mean over the samples."
    found = as_number(result)
    if found is None:
        return f"accuracy returned {result!r}, not a number. Hint: return the share alone."
    hints = {
        3.0: "3 is the number of right answers. Hint: divide it by the number of samples.",
        75.0: "75 is a percentage. Hint: return the share from 0 to 1; formatting belongs to the print.",
        0.25: "0.25 is the share of wrong answers. Hint: compare with ==.",
        0.0: "3 of 4 answers are right, but accuracy is 0. Hint: argmax gives places, max gives values; // drops the fraction.",
    }
    if abs(found - 0.75) > 1e-6:
        said = f"3 of 4 answers are right, but accuracy returned {found:g}. Hint: are both sides of shape (samples,)?"
        return hints.get(found, said)
    again = as_number(call(function, torch.eye(2)[[0, 1, 1, 0, 1]], torch.tensor([0, 0, 0, 1, 1])))
    if again is None or abs(again - 0.4) > 1e-6:
        return f"2 of 5 answers in two classes are right, but accuracy returned {again}. Hint: take all sizes from the tensors."
    return None
