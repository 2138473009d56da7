"""Checks of notebook 01."""

from collections.abc import Callable
from typing import Any

import torch

from checks import Untouched, call, check


@check(
    "count_batches still returns nothing. Hint: divide samples by batch_size; what happens to the remainder?",
    "And len(loader) agrees.",
)
def count_batches(function: Callable[..., Any]) -> str | None:
    """With and without a remainder, with and without drop_last."""
    for samples, batch_size, drop_last, expected in (
        (128, 64, False, 2),
        (150, 64, False, 3),
        (150, 64, True, 2),
        (10, 64, False, 1),
        (10, 64, True, 0),
        (128, 64, True, 2),
    ):
        found = call(function, samples, batch_size, drop_last=drop_last)
        if found != expected:
            case = f"{samples} samples in batches of {batch_size} with drop_last={drop_last}"
            hint = "drop_last leaves the short batch out" if drop_last else "the short last batch counts too"
            return f"{case} make {expected} batches, not {found}. Hint: {hint}."
        if not isinstance(found, int):
            return f"the count is {found!r}, which is no whole number. Hint: use // or math.ceil."
    return None


@check(
    "Pictures does not keep or return anything yet. Hint: keep images, labels and transform in __init__.",
    "This is what ImageDataset of course_utils does, with the standardising added.",
)
def pictures(cls: Callable[..., Any]) -> str | None:
    """Length, type, range and transform of a data set of three images."""
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 1, 2, 2).contiguous()
    labels = torch.tensor([4, 5, 6])
    dataset = cls(images, labels)
    try:
        length = len(dataset)
    except TypeError:
        raise Untouched from None
    if length != 3:
        return f"three images, but len() says {length}. Hint: return len(self.images)."
    item = call(dataset.__getitem__, 1)
    if not isinstance(item, tuple) or len(item) != 2:
        return f"an item is a {type(item).__name__}. Hint: return image, label."
    image, label = item
    if not isinstance(image, torch.Tensor) or image.dtype != torch.float32:
        return f"the image is {getattr(image, 'dtype', type(image).__name__)}. Hint: .float() makes it torch.float32."
    if abs(float(image.max()) - 0.2) > 1e-6:
        return f"the byte 51 became {float(image.max()):g}, not 0.2. Hint: divide by 255 to get into [0, 1]."
    if not isinstance(label, int) or label != 5:
        return f"the label of item 1 is {label!r}, not the int 5. Hint: int(self.labels[index])."
    doubled, _ = cls(images, labels, transform=lambda picture: picture * 2)[1]
    if abs(float(doubled.max()) - 0.4) > 1e-6:
        return "the transform was not applied to the scaled image. Hint: self.transform(image), after scaling."
    return None


@check(
    "standardise still returns nothing. Hint: mean and std along dim=0, of which part?",
    "The test part is measured with the training part's ruler.",
)
def standardise(function: Callable[..., Any]) -> str | None:
    """Two columns on different scales; a test part far from the training part."""
    train = torch.tensor([[0.0, 100.0], [1.0, 200.0], [2.0, 300.0], [3.0, 400.0]])
    test = train + torch.tensor([10.0, 1000.0])
    scaled = call(function, train, test)
    if not isinstance(scaled, tuple) or len(scaled) != 2:
        return "two tensors are wanted. Hint: return the standardised train and test."
    new_train, new_test = scaled
    if abs(float(new_test.mean())) < 1e-3:
        return "the test part has mean 0 now: it was standardised with its own statistics. Hint: use those of train."
    if float(new_train.mean(dim=0).abs().max()) > 1e-3:
        return "the columns of train have no mean of 0. Hint: mean(dim=0), of train alone, one for each column."
    spread = new_train.std(dim=0)
    if float((spread - spread[0]).abs().max()) > 1e-3 or not 0.8 < float(spread[0]) < 1.3:
        return f"the columns of train have spreads {spread.tolist()}, not 1. Hint: divide by train.std(dim=0)."
    if float(new_test.mean(dim=0).min()) < 5:
        return "the test part was not moved like the training part. Hint: (test - mean) / std with train's numbers."
    return None
