"""Checks of notebook 01."""

import operator
from collections.abc import Callable
from typing import Any

import torch

from checks import Untouched, call, check, pair


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
        case = f"{samples} samples in batches of {batch_size} with drop_last={drop_last}"
        try:
            found = call(function, samples, batch_size, drop_last=drop_last)
        except Untouched:
            if (samples, drop_last) == (128, False):
                raise
            return f"for {case} it returned nothing. Hint: is a return missing in one of the branches?"
        if found != expected:
            hint = "drop_last leaves the short batch out" if drop_last else "the short last batch counts too"
            return f"{case} make {expected} batches, not {found}. Hint: {hint}."
        try:
            operator.index(found)
        except TypeError:
            return f"the count is {found!r}, which is no whole number. Hint: use // or math.ceil."
    return None


@check(
    "Pictures does not keep or return anything yet. Hint: keep images, labels and transform in __init__.",
    "This is what ImageDataset of course_utils does, with the standardising added.",
)
def pictures(cls: Callable[..., Any]) -> str | None:
    """Length, type, shape, range and transform of a data set of three different images."""
    images = torch.arange(18, dtype=torch.uint8).view(3, 1, 2, 3) * 10
    labels = torch.tensor([4, 5, 6])
    dataset = cls(images, labels)
    try:
        length = len(dataset)
    except TypeError:
        raise Untouched from None
    if length != 3:
        return f"three images, but len() says {length}. Hint: return len(self.images)."
    for index in range(3):
        try:
            item = call(dataset.__getitem__, index)
        except TypeError as error:
            if "NoneType" not in str(error):
                raise
            return (
                f"without a transform, item {index} raises a TypeError: {error}. Hint: if self.transform is not None."
            )
        if pair(item) is None:
            return f"an item is a {type(item).__name__}. Hint: return image, label."
        image, label = item
        if not isinstance(image, torch.Tensor) or image.dtype != torch.float32:
            return (
                f"the image is {getattr(image, 'dtype', type(image).__name__)}. Hint: .float() makes it torch.float32."
            )
        if image.shape != (1, 2, 3):
            return f"an image of shape (1, 2, 3) became {tuple(image.shape)}. Hint: self.images[index], as it is."
        expected = images[index] / 255
        if torch.allclose(image, images[index].float()) and index:
            return "the values still go up to 255. Hint: divide by 255 to get into [0, 1]."
        if not torch.allclose(image, expected):
            hint = (
                "use index"
                if torch.allclose(image, images[0] / 255)
                else "divide by 255, whatever the largest value is"
            )
            return f"the largest value of item {index} is {float(image.max()):.3f}, not {float(expected.max()):.3f}. Hint: {hint}."
        if not isinstance(label, int) or label != index + 4:
            return f"the label of item {index} is {label!r}, not the int {index + 4}. Hint: int(self.labels[index])."
    try:
        moved = call(cls(images, labels, transform=lambda picture: picture + 1).__getitem__, 1)[0]
        plain = call(cls(images, labels).__getitem__, 1)[0]
    except Untouched:
        return "with or without a transform, an item is missing. Hint: the return must not stand inside the if."
    if not torch.allclose(moved, plain + 1):
        return "the transform was not applied to the scaled image. Hint: self.transform(image), after scaling."
    calls = iter(range(100))
    random = cls(images, labels, transform=lambda picture: picture + next(calls))
    first, second = (random[1][0] for _ in range(2))
    if torch.equal(first, second):
        return (
            "an item read twice was transformed once, so a random transform would draw only once. "
            "Hint: self.transform(image) in __getitem__."
        )
    return None


@check(
    "standardise still returns nothing. Hint: mean and std along dim=0, of which part?",
    "The test part is measured with the training part's ruler.",
)
def standardise(function: Callable[..., Any]) -> str | None:
    """Two columns on different scales; a test part with another mean and another spread."""
    train = torch.tensor([[0.0, 100.0], [1.0, 200.0], [2.0, 300.0], [3.0, 700.0]])
    test = 2 * train + torch.tensor([10.0, 1000.0])
    parts = pair(call(function, train.clone(), test.clone()))
    if parts is None:
        return "two tensors are wanted. Hint: return the standardised train and test."
    new_train, new_test = (torch.as_tensor(part, dtype=torch.float32) for part in parts)
    if new_train.shape != train.shape or new_test.shape != test.shape:
        return f"the shapes changed to {tuple(new_train.shape)} and {tuple(new_test.shape)}. Hint: mean(dim=0)."
    ways = [
        ((train - train.mean(0)) / s, (test - train.mean(0)) / s, s) for s in (train.std(0), train.std(0, correction=0))
    ]
    for right_train, right_test, _ in ways:
        if torch.allclose(new_train, right_train, atol=1e-4):
            if torch.allclose(new_test, right_test, atol=1e-4):
                return None
            if float(new_test.mean(dim=0).abs().max()) < 1e-3:
                return "the test part has mean 0 now: it was standardised with its own statistics. Hint: use those of train."
            return "train is right, test is not. Hint: (test - mean) / std with the numbers from train, both of them."
    if float(new_train.mean(dim=0).abs().max()) > 1e-3:
        return "the columns of train have no mean of 0. Hint: mean(dim=0), of train alone, one for each column."
    return (
        f"the columns of train have spreads {new_train.std(dim=0).tolist()}, not 1. Hint: divide by train.std(dim=0)."
    )
