"""Random changes of images, drawn for each image of a batch by itself.

torchvision's transforms (``torchvision.transforms.v2``) draw once for all the images that they are given together, so
:class:`course_utils.ImageDataset` gives them one image at a time. These take the whole batch in one step, on the device
where it is. They take single images, too, also inside ``v2.Compose``. Chain them with ``nn.Sequential``.
"""

from typing import Any

import torch
from torch import nn


class BatchTransform(nn.Module):
    """Changes each image of a batch by its own random numbers. Write ``change`` to make another one."""

    def change(self, images: torch.Tensor) -> torch.Tensor:
        """Return a batch (N, C, H, W), changed."""
        raise NotImplementedError

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return ``images``, (N, C, H, W) or one (C, H, W), changed, in the shape they came in."""
        return self.change(images) if images.ndim == 4 else self.change(images.unsqueeze(0)).squeeze(0)


class RandomFlip(BatchTransform):
    """Mirrors each image, left to right, with probability ``p``.

    Raises:
        ValueError: ``p`` is no probability.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p is {p}, but a probability lies between 0 and 1.")
        self.p = p

    def change(self, images: torch.Tensor) -> torch.Tensor:
        """Return a batch (N, C, H, W) with about a share of ``p`` mirrored."""
        chosen = torch.rand(len(images), device=images.device) < self.p
        return torch.where(chosen.view(-1, 1, 1, 1), images.flip(-1), images)

    def extra_repr(self) -> str:
        """Say how likely."""
        return f"p={self.p}"


class RandomShift(BatchTransform):
    """Moves each image by up to ``pixels`` in either direction, and fills the edges with the image's reflection.

    That is ``v2.RandomCrop(size, padding=pixels, padding_mode="reflect")`` with the image's own size.

    Raises:
        ValueError: ``pixels`` is less than 1.
    """

    def __init__(self, pixels: int) -> None:
        super().__init__()
        if pixels < 1:
            raise ValueError(f"pixels is {pixels}, but an image moves by at least one: give 1 or more.")
        self.pixels = pixels

    def change(self, images: torch.Tensor) -> torch.Tensor:
        """Return a batch (N, C, H, W) of floating-point images, each moved by itself."""
        height, width = images.shape[2:]
        padded = nn.functional.pad(images, [self.pixels] * 4, mode="reflect")
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view: (N, C, row, column, H, W)
        row, column = torch.randint(2 * self.pixels + 1, (2, len(images)), device=images.device)
        return windows[torch.arange(len(images), device=images.device), :, row, column]

    def extra_repr(self) -> str:
        """Say how far."""
        return f"pixels={self.pixels}"


def takes_batches(augment: Any) -> bool:
    """Whether ``augment`` may be given a whole batch, because it draws for each image by itself."""
    if isinstance(augment, nn.Sequential):
        return all(takes_batches(part) for part in augment)
    return isinstance(augment, BatchTransform)
