"""Colour images in files, made from what scikit-learn ships: its handwritten digits over crops of its photographs.

The digits are those of :mod:`course_utils.digits`. The two photographs, of a Chinese temple and of a flower, come from
``sklearn.datasets.load_sample_images`` (by danielbuechele and vultilion on Flickr, CC BY 2.0).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from course_utils.digits import digit_parts

SIDE = 32
MARGIN = 2  # how much of the 4 empty pixels around each digit is cut off, so that it can move further
LEAST_CONTRAST = 50  # between the means of the colour and of the crop under it, of 255


def write_photo_digits(directory: Path) -> None:
    """Write 1,437 training and 360 test images of 32x32 pixels below ``directory``, as RGB files in PNG format.

    ``train.txt`` and ``test.txt`` list them with lines like ``train/7/0012.png 7``, ``classes.txt`` holds the class
    names, one a line. Which digit is in which part is as in the data set ``digits``. Crop, place, colour and opacity
    are drawn for each image from a fixed seed, so that the pixels are the same wherever Pillow decodes the photographs
    alike. The photograph is darkened, and the digit is lighter than the crop's mean, by :data:`LEAST_CONTRAST` or more
    before opacity.
    """
    from PIL import Image
    from sklearn.datasets import load_sample_images

    photographs = [np.asarray(image, dtype=np.float64) for image in load_sample_images().images]
    random = np.random.RandomState(0)  # not default_rng, whose numbers may change with NumPy's version
    for name, (digits, labels) in zip(("train", "test"), digit_parts(), strict=True):
        lines = []
        for number, (digit, label) in enumerate(zip(digits, labels, strict=True)):
            path = directory / name / str(label) / f"{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(_blend(digit[MARGIN:-MARGIN, MARGIN:-MARGIN], photographs, random)).save(path)
            lines.append(f"{path.relative_to(directory).as_posix()} {label}\n")
        (directory / f"{name}.txt").write_text("".join(lines), encoding="utf-8", newline="\n")
    (directory / "classes.txt").write_text("".join(f"{digit}\n" for digit in range(10)), encoding="utf-8")


def _blend(
    digit: NDArray[np.uint8], photographs: list[NDArray[np.float64]], random: np.random.RandomState
) -> NDArray[np.uint8]:
    """Return a crop of a photograph with the ``digit`` painted over it, uint8 (32, 32, 3)."""
    photograph = photographs[random.randint(len(photographs))]
    step = random.randint(1, 5)  # the crop is so many times as wide as the image
    top, left = (random.randint(size - step * SIDE + 1) for size in photograph.shape[:2])
    crop = photograph[top : top + step * SIDE, left : left + step * SIDE]
    crop = crop.reshape(SIDE, step, SIDE, step, 3).mean(axis=(1, 3)) * random.uniform(0.4, 0.8)

    colour = random.randint(0, 256, 3)
    while colour.mean() - crop.mean() < LEAST_CONTRAST:
        colour = random.randint(0, 256, 3)
    opacity = np.zeros((SIDE, SIDE, 1))
    top, left = random.randint(SIDE - digit.shape[0] + 1, size=2)
    opacity[top : top + digit.shape[0], left : left + digit.shape[1], 0] = digit / 255 * random.uniform(0.6, 1)
    blended: NDArray[np.uint8] = np.round(crop + opacity * (colour - crop)).astype(np.uint8)
    return blended
