"""The handwritten digits that scikit-learn ships, written in MNIST's own file format.

Real handwriting, collected by E. Alpaydin and C. Kaynak and published as "Optical Recognition of Handwritten
Digits" in the UCI repository (https://doi.org/10.24432/C50P49, CC BY 4.0); scikit-learn carries its test part,
1,797 images of 8x8 pixels with 17 grey levels. Here they are enlarged to 20x20 and centred in 28x28, as MNIST's are.
"""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_digits(directory: Path) -> None:
    """Write 1,437 training and 360 test digits below ``directory``, as torchvision's MNIST class reads them.

    The files are ``MNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte``: images uint8 (N, 28, 28), labels uint8
    (N,). The parts are stratified and always the same.
    Source of the format: http://yann.lecun.com/exdb/mnist/
    """
    raw = directory / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, (images, labels) in zip(("train", "t10k"), digit_parts(), strict=True):
        _write_idx(raw / f"{name}-images-idx3-ubyte", images)
        _write_idx(raw / f"{name}-labels-idx1-ubyte", labels)


def digit_parts() -> tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Return images (N, 28, 28) and labels (N,) of the 1,437 training and of the 360 test digits."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.stack([_enlarge(image) for image in digits.images])
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, digits.target.astype(np.uint8), test_size=360, random_state=0, stratify=digits.target
    )
    return (train_images, train_labels), (test_images, test_labels)


def _enlarge(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Turn an 8x8 image with values 0 to 16 into a 28x28 one with values 0 to 255."""
    from PIL import Image

    grey = np.round(image * (255 / 16)).astype(np.uint8)
    large = np.asarray(Image.fromarray(grey).resize((20, 20), Image.Resampling.BICUBIC))
    return np.pad(large, 4)


def _write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write ``array`` as an idx file: two zeros, 8 for uint8, the dimensions' number and sizes, then the bytes."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.tobytes())
