"""The colour digits: files with lists, the same on every machine, the parts of the plain digits."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression

from course_utils import ImageTxtDataset, load_dataset
from course_utils.photo_digits import LEAST_CONTRAST, _blend, write_photo_digits


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    load_dataset("photo_digits", root=root)
    return root


def test_files_and_lists(root: Path) -> None:
    folder = root / "photo_digits_files"
    assert sorted(path.name for path in folder.iterdir()) == ["classes.txt", "test", "test.txt", "train", "train.txt"]
    assert (folder / "classes.txt").read_text().split() == list("0123456789")
    for part, count in (("train", 1437), ("test", 360)):
        lines = (folder / f"{part}.txt").read_text().splitlines()
        assert len(lines) == len(list((folder / part).glob("*/*.png"))) == count
        for line in lines[:20]:
            path, label = line.split()
            assert path.split("/")[:2] == [part, label]
            with Image.open(folder / path) as image:
                assert (image.size, image.mode, image.format) == ((32, 32), "RGB", "PNG")


def test_labels_and_parts_are_those_of_the_digits(root: Path) -> None:
    colour, plain = load_dataset("photo_digits", root=root), load_dataset("digits", root=root)
    for part in ("train", "val", "test"):
        assert torch.equal(getattr(colour, part).labels, getattr(plain, part).labels)
    assert (colour.input_shape, colour.class_names, len(colour.mean)) == ((3, 32, 32), plain.class_names, 3)


def test_the_pixels_are_always_the_same(root: Path, tmp_path: Path) -> None:
    write_photo_digits(tmp_path)
    sums = []
    for folder in (root / "photo_digits_files", tmp_path):
        images = [np.asarray(Image.open(path)) for path in sorted(folder.glob("t*/*/*.png"))]
        sums.append(hashlib.sha256(np.stack(images).tobytes()).hexdigest())
    assert sums[0] == sums[1]


def test_no_picture_twice(root: Path) -> None:
    folder = root / "photo_digits_files"
    contents = [path.read_bytes() for path in folder.glob("t*/*/*.png")]
    assert len(set(contents)) == len(contents) == 1797


def test_a_linear_model_does_poorly(root: Path) -> None:
    data = load_dataset("photo_digits", root=root)
    train, val = ((part.images.flatten(1) / 255).numpy() for part in (data.train, data.val))
    linear = LogisticRegression(C=0.01, max_iter=200).fit(train, data.train.labels)
    assert 0.15 < linear.score(val, data.val.labels) < 0.45


def test_the_digit_is_lighter_than_what_is_under_it() -> None:
    digit = np.full((24, 24), 255, dtype=np.uint8)
    ground = np.full((200, 200, 3), 120.0)
    for seed in range(20):
        image = _blend(digit, [ground], np.random.RandomState(seed)).astype(float)
        levels, counts = np.unique(image.mean(axis=2).round(6), return_counts=True)
        assert counts.tolist() == [32 * 32 - 24 * 24, 24 * 24]  # the ground, then the digit
        assert levels[1] - levels[0] >= 0.6 * LEAST_CONTRAST - 1


def test_damaged_files_are_named(tmp_path: Path) -> None:
    load_dataset("photo_digits", root=tmp_path)
    folder = tmp_path / "photo_digits_files"
    first = (folder / "train.txt").read_text().split()[0]
    content = (folder / first).read_bytes()
    (folder / first).write_bytes(content[:300])
    with pytest.raises(RuntimeError, match=r"'photo_digits' in .* is damaged \(.*line 1: .*delete that folder"):
        load_dataset("photo_digits", root=tmp_path)
    (folder / first).unlink()
    with pytest.raises(RuntimeError, match=r"is damaged \(.*train\.txt, line 1: there is no file"):
        load_dataset("photo_digits", root=tmp_path)
    (folder / first).write_bytes(content)
    (folder / "test.txt").unlink()
    with pytest.raises(RuntimeError, match=r"is damaged \(There is no list"):
        load_dataset("photo_digits", root=tmp_path)


def test_the_loaded_data_is_what_the_files_hold(root: Path) -> None:
    data = load_dataset("photo_digits", root=root)
    files = ImageTxtDataset(data.folder / "test.txt", num_classes=10)
    assert torch.equal(torch.stack([files.read(i) for i in range(360)]), data.test.images)
