"""Data for the benchmarks, made without a network from what scikit-learn ships."""

import struct
from pathlib import Path

import numpy as np
import torch
from torch import nn

from course_utils.digits import digit_parts

Labelled = tuple[torch.Tensor, torch.Tensor]


def distorted_digits(count: int, *, seed: int = 0, bold: bool = False, chunk: int = 10_000) -> Labelled:
    """Return ``count`` images uint8 (N, 1, 28, 28) and their labels: scikit-learn's digits, each one bent at random.

    A stand-in for MNIST where that is not there: rotated by up to 17 degrees, scaled, sheared, moved by up to 2 pixels,
    bent by a smooth random field, made fainter, with noise. ``bold`` fills about as much of the image as
    Fashion-MNIST's clothes do. All images come from 1,437 digits of few writers, also those for validation, so that
    they are easier than new handwriting.
    """
    generator = torch.Generator().manual_seed(seed)
    digits, labels = (torch.from_numpy(np.asarray(part)) for part in digit_parts()[0])
    digits = digits.view(-1, 1, 28, 28).float()
    if bold:
        digits = nn.functional.max_pool2d(digits, 5, stride=1, padding=2)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)

    images = torch.empty(count, 1, 28, 28, dtype=torch.uint8)
    chosen = torch.randint(len(digits), (count,), generator=generator)
    for begin in range(0, count, chunk):
        rows = chosen[begin : begin + chunk]
        n = len(rows)
        angle, scale, shear = uniform(-0.3, 0.3, n), uniform(0.85, 1.2, n), uniform(-0.2, 0.2, n)
        cos, sin, shift = torch.cos(angle) * scale, torch.sin(angle) * scale, uniform(-0.14, 0.14, n, 2)
        affine = torch.stack([cos, shear - sin, shift[:, 0], sin, cos, shift[:, 1]], dim=1).view(n, 2, 3)
        grid = nn.functional.affine_grid(affine, [n, 1, 28, 28], align_corners=False)
        field = nn.functional.interpolate(uniform(-0.12, 0.12, n, 2, 5, 5), (28, 28), mode="bicubic")
        bent = nn.functional.grid_sample(digits[rows], grid + field.permute(0, 2, 3, 1), align_corners=False)
        noise = 10 * torch.randn(bent.shape, generator=generator)
        images[begin : begin + chunk] = (bent * uniform(0.6, 1, n, 1, 1, 1) + noise).clamp(0, 255)
    return images, labels[chosen].long()


def write_idx(folder: Path, train: Labelled, test: Labelled) -> None:
    """Write the four files that torchvision's MNIST and FashionMNIST read, below ``folder``, not compressed."""
    for reader in ("MNIST", "FashionMNIST"):
        raw = folder / reader / "raw"
        raw.mkdir(parents=True)
        for name, (images, labels) in {"train": train, "t10k": test}.items():
            pixels = images.squeeze(1)
            header = struct.pack(">HBB", 0, 8, 3) + struct.pack(">3I", *pixels.shape)
            (raw / f"{name}-images-idx3-ubyte").write_bytes(header + pixels.numpy().tobytes())
            header = struct.pack(">HBB", 0, 8, 1) + struct.pack(">I", len(labels))
            (raw / f"{name}-labels-idx1-ubyte").write_bytes(header + labels.to(torch.uint8).numpy().tobytes())


def write_photos(folder: Path, count: int, side: int, suffix: str) -> Path:
    """Write ``count`` square crops of scikit-learn's two photographs below ``folder``, and return the list of them."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    photographs = [Image.fromarray(image) for image in load_sample_images().images]
    random = np.random.RandomState(0)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(count):
        photograph = photographs[random.randint(len(photographs))]
        size = random.randint(max(32, side // 2), 400)
        left, top = (random.randint(whole - size + 1) for whole in photograph.size)
        crop = photograph.resize((side, side), box=(left, top, left + size, top + size))
        crop.save(folder / "images" / f"{number:06}.{suffix}")
        lines.append(f"images/{number:06}.{suffix} {number % 10}\n")
    path = folder / "train.txt"
    path.write_text("".join(lines), encoding="utf-8")
    return path


def write_tables(folder: Path, rows: int) -> None:
    """Write a table of ``rows`` generated phones as phones.csv and, in groups of 10,000 rows, as phones.parquet."""
    import pandas as pd

    from tools.make_phones import make_phones

    frame = pd.DataFrame(make_phones(rows))
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / "phones.csv", index=False)
    frame.to_parquet(folder / "phones.parquet", row_group_size=10_000)
