"""Small stand-ins for the data sets that torchvision downloads, in their own file formats."""

import gzip
import hashlib
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from course_utils.digits import _write_idx


def make_images(count: int, shape: tuple[int, ...], seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return noisy images (count, *shape) and labels (count,): class k is bright in rows 2k to 2k + 4."""
    random = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.uint8) % 10
    images = random.integers(0, 60, size=(count, *shape), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[..., 2 * label : 2 * label + 4, :] += 120
    return images, labels


def write_mnist_like(raw: Path, train: int = 400, test: int = 100) -> None:
    """Write the four idx files of MNIST or FashionMNIST."""
    raw.mkdir(parents=True)
    for part, count, seed in (("train", train, 0), ("t10k", test, 1)):
        images, labels = make_images(count, (28, 28), seed)
        _write_idx(raw / f"{part}-images-idx3-ubyte", images)
        _write_idx(raw / f"{part}-labels-idx1-ubyte", labels)


def write_mnist_archives(folder: Path) -> list[tuple[str, str]]:
    """Write MNIST's four .gz archives and return their names with their MD5 sums, as torchvision lists them."""
    write_mnist_like(folder / "raw")
    resources = []
    for path in sorted((folder / "raw").iterdir()):
        content = gzip.compress(path.read_bytes(), mtime=0)
        (folder / f"{path.name}.gz").write_bytes(content)
        resources.append((f"{path.name}.gz", hashlib.md5(content).hexdigest()))
    return resources


def write_cifar10_archive(folder: Path) -> tuple[str, dict[str, list[list[str]]]]:
    """Write cifar-10-python.tar.gz; return its MD5 sum and the file lists of torchvision's CIFAR10 class."""
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    contents = {"batches.meta": pickle.dumps({"label_names": classes})}
    for seed, name in enumerate(names):
        images, labels = make_images(100, (3, 32, 32), seed)
        contents[name] = pickle.dumps({"data": images.reshape(100, -1), "labels": labels.tolist()})
    archive = folder / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    sums = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    lists = {
        "train_list": [[name, sums[name]] for name in names[:5]],
        "test_list": [[names[5], sums[names[5]]]],
        "meta": [["batches.meta", sums["batches.meta"]]],
    }
    return hashlib.md5(archive.read_bytes()).hexdigest(), lists
