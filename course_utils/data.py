"""Image data sets by name, split into training, validation and test parts."""

import difflib
import errno
import os
import tempfile
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from course_utils.decoding import decode_images
from course_utils.digits import write_digits
from course_utils.image_dataset import ImageDataset, Transform
from course_utils.image_list import ImageTxtDataset
from course_utils.photo_digits import write_photo_digits

DIGIT_NAMES = tuple(str(digit) for digit in range(10))
# What reads each data set: a class of torchvision by its name, or our own.
READERS = {
    "digits": "MNIST",
    "photo_digits": "ImageTxtDataset",
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "cifar10": "CIFAR10",
}


@dataclass(frozen=True)
class ImageData:
    """A data set in three parts, with what a model needs to know about it.

    ``input_shape`` is (C, H, W). ``mean`` and ``std`` are one number a channel, on the scale [0, 1], and come from
    the training part alone; all three parts are normalised with them. ``folder`` holds the files.
    """

    name: str
    folder: Path
    train: ImageDataset
    val: ImageDataset
    test: ImageDataset
    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)


def load_dataset(
    name: str,
    *,
    root: str | Path | None = None,
    val_fraction: float = 0.2,
    seed: int = 42,
    augment: Transform | None = None,
    device: torch.device | str = "cpu",
) -> ImageData:
    """Load an image data set and split it into training, validation and test parts.

    Args:
        name: ``"digits"`` (1,797 real handwritten digits, made from scikit-learn's copy: no network needed),
            ``"photo_digits"`` (the same over crops of photographs, in colour, as files with lists: no network either),
            or ``"mnist"``, ``"fashion_mnist"``, ``"cifar10"`` (downloaded by torchvision at the first use).
        root: folder that holds the data sets; by default the environment variable ``COURSE_DATA``, else ``data`` in
            the course's checkout, else ``data`` in the current folder.
        val_fraction: share of the official training part that becomes the validation part, stratified by class.
        seed: decides which images those are.
        augment: applied to every training image (float32, C x H x W, in [0, 1]) each time it is read. Those of
            ``course_utils.augmenting`` do it a batch at a time.
        device: where the images are kept, as bytes, and the batches made. On a GPU nothing is copied in training then
            (CIFAR-10 takes 184 MB of its memory); ``num_workers`` must stay 0.

    Raises:
        ValueError: there is no data set of that name, or ``val_fraction`` is not between 0 and 1.
        ConnectionError: the data set is not there and cannot be downloaded.
        RuntimeError: the files of the data set are damaged.
    """
    if name not in READERS:
        close = difflib.get_close_matches(name, READERS, n=1)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"There is no data set {name!r}; choose one of {', '.join(map(repr, READERS))}.{meant}")
    if not 0 < val_fraction < 1:
        raise ValueError(f"val_fraction is {val_fraction}, but it must lie between 0 and 1, both excluded.")
    from sklearn.model_selection import train_test_split

    # Not the bare name: where case does not count, torchvision's own folder MNIST would answer to it.
    directory = data_root(root) / f"{name}_files"
    _complete(name, directory)
    class_names, images, labels = _read(name, directory, train=True)
    _, test_images, test_labels = _read(name, directory, train=False)
    train, val = train_test_split(torch.arange(len(labels)), test_size=val_fraction, random_state=seed, stratify=labels)
    mean, std = channel_statistics(images[train])

    def part(images: torch.Tensor, labels: torch.Tensor, augment: Transform | None = None) -> ImageDataset:
        return ImageDataset(images.to(device), labels, mean=mean, std=std, augment=augment)

    return ImageData(
        name=name,
        folder=directory,
        train=part(images[train], labels[train], augment),
        val=part(images[val], labels[val]),
        test=part(test_images, test_labels),
        class_names=class_names,
        input_shape=(images.shape[1], images.shape[2], images.shape[3]),
        mean=mean,
        std=std,
    )


def channel_statistics(images: torch.Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel of uint8 ``images`` (N, C, H, W), on the scale [0, 1].

    Counted exactly, from how often each of the 256 values occurs, so that it needs no floating-point copy.
    """
    counts = torch.zeros(images.shape[1], 256, dtype=torch.int64)
    for part in images.split(1024):  # images that are mapped from a file need not fit into memory
        for channel, count in enumerate(counts):
            count += torch.bincount(part[:, channel].flatten(), minlength=256)
    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for count in counts:
        share = count.double() / count.sum()
        mean = float(share @ values)
        means.append(mean)
        stds.append(float(share @ (values - mean) ** 2) ** 0.5)
    return tuple(means), tuple(stds)


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder that holds the data sets: ``root``, or where they are by default."""
    if root is not None:
        return Path(root)
    if "COURSE_DATA" in os.environ:
        return Path(os.environ["COURSE_DATA"])
    checkout = Path(__file__).resolve().parent.parent
    return (checkout if (checkout / "pyproject.toml").exists() else Path.cwd()) / "data"


def _complete(name: str, directory: Path) -> None:
    """Make or download the data set into ``directory``, unless it is there.

    It is put together in a folder beside it and moved there in one step, when it is whole: what was interrupted is
    never taken for a data set, and of two processes at the same time one wins.
    """
    if directory.is_dir():
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=directory.parent) as temporary:
        incoming = Path(temporary) / name
        incoming.mkdir()
        if name == "digits":
            write_digits(incoming)
        elif name == "photo_digits":
            write_photo_digits(incoming)
        else:
            _download(name, incoming)
        try:
            incoming.rename(directory)
        except OSError:
            if not directory.is_dir():  # else another process was faster, with the same files
                raise


def _download(name: str, directory: Path) -> None:
    reader = _reader(name)
    try:
        for train in (True, False):
            reader(root=directory, train=train, download=True)
    except (OSError, RuntimeError, HTTPException) as error:  # no connection, a broken one, a wrong checksum
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise  # the disk's own words are the clear ones
        reason = " ".join(str(error).split())
        raise ConnectionError(
            f"Could not download {name!r} into {directory.parent.parent} ({reason[:300]}): connect to the internet and "
            "try again, or use load_dataset('digits'), which needs no network."
        ) from error


def _read(name: str, directory: Path, *, train: bool) -> tuple[tuple[str, ...], torch.Tensor, torch.Tensor]:
    """Return class names, images uint8 (N, C, H, W) and labels int64 (N,) of one official part."""
    damaged = f"The data set {name!r} in {directory} is damaged (%s): delete that folder and load it again."
    if READERS[name] == "ImageTxtDataset":
        try:
            files = ImageTxtDataset(directory / f"{'train' if train else 'test'}.txt", num_classes=len(DIGIT_NAMES))
            return DIGIT_NAMES, decode_images(files), files.labels
        except (ValueError, FileNotFoundError) as error:
            raise RuntimeError(damaged % error) from error
    try:
        dataset = _reader(name)(root=directory, train=train)
    except (RuntimeError, ValueError, AssertionError, EOFError, FileNotFoundError, UnpicklingError) as error:
        raise RuntimeError(damaged % " ".join(str(error).split())) from error
    images = torch.as_tensor(dataset.data)
    images = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()
    labels = torch.as_tensor(dataset.targets, dtype=torch.int64)
    class_names = DIGIT_NAMES if READERS[name] == "MNIST" else tuple(dataset.classes)
    if len(images) != len(labels):
        raise RuntimeError(damaged % f"{len(images)} images, {len(labels)} labels")
    if len(labels) == 0 or not 0 <= int(labels.min()) <= int(labels.max()) < len(class_names):
        raise RuntimeError(damaged % f"labels that are none of its {len(class_names)} classes")
    return class_names, images, labels


def _reader(name: str) -> Any:
    from torchvision import datasets  # here, because it takes longer to import than all the rest

    return getattr(datasets, READERS[name])
