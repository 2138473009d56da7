"""Labelled images in memory, read one at a time or in whole batches."""

from collections.abc import Callable
from typing import Any, overload

import torch
from torch.utils.data import Dataset

from course_utils.augmenting import takes_batches

Transform = Callable[[torch.Tensor], torch.Tensor]


class ImageDataset(Dataset[tuple[torch.Tensor, int]]):
    """Labelled images in memory, as bytes; they are normalised when they are asked for, one at a time or in batches.

    ``images`` is uint8 (N, C, H, W), ``labels`` int64 (N,), both on one device. Item ``i`` is ``(image, label)``: the
    image as float32 (C, H, W), scaled to [0, 1], passed through ``augment`` if there is one, then
    ``(image - mean) / std`` channel by channel; the label as an int.

    A list of indices gives the batch of these items, ``(images, labels)``, in a fraction of the time. ``make_loader``
    asks for them so. An ``augment`` of ``course_utils.augmenting`` changes the batch in one step, each image by its
    own random numbers; any other one is called image by image.

    Raises:
        ValueError: images, labels, mean and std do not belong together, or the images are not uint8 (N, C, H, W).
        TypeError: images or labels are no tensor.
    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        augment: Transform | None = None,
    ) -> None:
        for name, given in (("images", images), ("labels", labels)):
            if not isinstance(given, torch.Tensor):
                raise TypeError(
                    f"{name} is a {type(given).__name__}: make it a tensor, with torch.from_numpy or torch.tensor."
                )
        if images.ndim != 4 or images.dtype != torch.uint8:
            raise ValueError(
                f"images must be uint8 of shape (N, C, H, W), but they are {images.dtype} of shape "
                f"{tuple(images.shape)}: add the channel dimension with unsqueeze(1), and do not scale them."
            )
        if labels.shape != images.shape[:1] or labels.is_floating_point():
            raise ValueError(
                f"There are {len(images)} images, but the labels are {labels.dtype} of shape {tuple(labels.shape)}: "
                "each image needs one class number."
            )
        if not len(mean) == len(std) == images.shape[1] or min(std) <= 0:
            raise ValueError(
                f"mean {mean} and std {std} must have one number for each of the {images.shape[1]} channels, and every "
                "std must be above 0."
            )
        self.images = images
        self.labels = labels.to(images.device, torch.int64)
        self.augment = augment
        # By way of Python's floats, because NumPy's would make float64 of all images.
        self._mean, self._std = (
            torch.tensor([float(value) for value in values], device=images.device).view(-1, 1, 1)
            for values in (mean, std)
        )

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]: ...

    @overload
    def __getitem__(self, index: list[int]) -> tuple[torch.Tensor, torch.Tensor]: ...

    def __getitem__(self, index: int | list[int]) -> tuple[torch.Tensor, Any]:
        labels: Any
        if isinstance(index, list):
            rows = torch.tensor(index, dtype=torch.int64, device=self.images.device)
            # Several times as fast as images[rows].
            images, labels = self.images.index_select(0, rows), self.labels.index_select(0, rows)
        else:
            images, labels = self.images[index], int(self.labels[index])
        images = images.float().div_(255)
        if self.augment is None:
            images.sub_(self._mean)
        else:
            one_by_one = isinstance(index, list) and not takes_batches(self.augment)
            images = torch.stack([self.augment(image) for image in images]) if one_by_one else self.augment(images)
            images = images - self._mean  # a new tensor: somebody else may hold what augment returned
        return images.div_(self._std), labels
