"""The checks of homework 1. Each tries an answer on data made from a seed, and raises AssertionError with a hint."""

import csv
import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import Dataset

Answer = Callable[..., Any]
Table = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]


def write_scans(folder: Path, seed: int, count: int = 20) -> tuple[list[np.ndarray[Any, Any]], list[int]]:
    """Write real digits as PNG files of unequal size, with list.csv in mixed order; return the pixels and the labels."""
    numbers = np.random.default_rng(seed)
    digits = load_digits()
    pixels, labels = [], []
    with (folder / "list.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label"])
        for name in numbers.permutation(count):
            number = numbers.integers(len(digits.images))
            height, width = numbers.integers(8, 20, size=2)
            darkest = numbers.integers(120, 256)  # no scan is as bright as another
            image = Image.fromarray((digits.images[number] / 16 * darkest).astype(np.uint8))
            image = image.resize((int(width), int(height)))
            image.save(folder / f"{name:03d}.png")
            writer.writerow([f"{name:03d}.png", digits.target[number]])
            pixels.append(np.asarray(image))
            labels.append(int(digits.target[number]))
    return pixels, labels


def items(dataset_class: Answer, seed: int = 0, count: int = 20) -> None:
    """Length, order, type, shape, range and label of every item."""
    with TemporaryDirectory() as name:
        pixels, labels = write_scans(Path(name), seed, count)
        scans = dataset_class(name)
        assert len(scans) == count, f"len() is {len(scans)}, not {count}. Hint: one for each line but the first."
        for index, (expected, label) in enumerate(zip(pixels, labels, strict=True)):
            item = scans[index]
            assert isinstance(item, tuple) and len(item) == 2, "an item is a pair. Hint: return image, label."
            image = item[0]
            assert isinstance(image, torch.Tensor) and image.dtype == torch.float32, "the image is no float32 tensor."
            assert image.shape == (1, *expected.shape), (
                f"scan {index} has shape {tuple(image.shape)}, not {(1, *expected.shape)}. Hint: (1, height, width)."
            )
            assert image.max() <= 1, f"scan {index} goes up to {image.max():.0f}. Hint: divide by 255."
            if not torch.allclose(image, torch.from_numpy(expected.astype(np.float32) / 255)[None], atol=1e-6):
                hint = (
                    "divide by 255, not by the largest value"
                    if image.max() > 0.999
                    else "the order is that of list.csv"
                )
                raise AssertionError(f"the pixels of scan {index} are not those of its file. Hint: {hint}.")
            assert type(item[1]) is int and item[1] == label, f"label {index} is {item[1]!r}, not the int {label}."


def lazy(dataset_class: Answer, seed: int = 0) -> None:
    """No file is opened before its item is asked for, and none is kept."""
    with TemporaryDirectory() as name:
        write_scans(Path(name), seed, 5)
        scans = dataset_class(name)
        for path in Path(name).glob("*.png"):
            Image.new("L", (9, 7), color=51).save(path)
        for index in (2, 4):
            image = scans[index][0]
            assert image.shape == (1, 7, 9) and abs(float(image.mean()) - 0.2) < 1e-6, (
                "files that changed after the Dataset was made give old images. Hint: open the file in __getitem__."
            )


class Shapes(Dataset[tuple[torch.Tensor, int]]):
    """Images of unequal size in memory, which count how often they are asked for."""

    def __init__(self, seed: int, count: int = 12) -> None:
        numbers = torch.Generator().manual_seed(seed)
        sizes = torch.randint(2, 30, (count, 2), generator=numbers).tolist()
        self.images = [torch.rand(1, *size, generator=numbers) ** (1 + number) for number, size in enumerate(sizes)]
        self.asked = 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if not 0 <= index < len(self.images):
            raise IndexError(index)
        self.asked += 1
        return self.images[index], index % 10


def statistics(pixel_statistics: Answer, seed: int = 0, count: int = 12) -> None:
    """Mean and standard deviation over all pixels of images of unequal size, in one pass."""
    dataset = Shapes(seed, count)
    every = torch.cat([image.flatten() for image in dataset.images]).double()
    found = pixel_statistics(dataset)
    assert isinstance(found, tuple) and len(found) == 2, "two numbers are wanted. Hint: return mean, std."
    mean, std = (float(value) for value in found)
    if abs(mean - every.mean()) > 1e-5:
        means = torch.stack([image.mean() for image in dataset.images])
        hint = "sum of all pixels, divided by their number"
        if abs(mean - means.mean()) < 1e-5:
            hint = "that is the mean of the images' means; a large image has more pixels than a small one"
        raise AssertionError(f"the mean is {mean:.6f}, not {every.mean():.6f}. Hint: {hint}.")
    exact = float(every.std(correction=0))
    if abs(std - exact) > 1e-5:
        hint = "the root of the mean square minus the squared mean; the mean of the images' spreads is something else"
        if abs(std - exact**2) < 1e-5:
            hint = "that is the variance; take its root"
        elif abs(std - float(every.std())) < 1e-5:
            hint = "divide by the number of pixels, not by one less"
        raise AssertionError(f"the standard deviation is {std:.6f}, not {exact:.6f}. Hint: {hint}.")
    assert dataset.asked <= count, f"{count} images were read {dataset.asked} times. Hint: one pass, sums and squares."


def preparation(prepare: Answer, seed: int = 0) -> None:
    """Both parts standardised by the training part; augmentation for training only, before standardising."""
    train, val = Shapes(seed, 8), Shapes(seed + 1, 5)
    val.images = [image / 3 + 0.6 for image in val.images]
    every = torch.cat([image.flatten() for image in train.images]).double()
    mean, std = float(every.mean()), float(every.std(correction=0))
    given: list[torch.Tensor] = []

    def augment(image: torch.Tensor) -> torch.Tensor:
        given.append(image.clone())
        return image.flip(-1) * (0.5 + 0.01 * len(given))

    parts = prepare(train, val, augment)
    assert isinstance(parts, tuple) and len(parts) == 2, "two Datasets are wanted. Hint: return train, val."
    new_train, new_val = parts
    assert (len(new_train), len(new_val)) == (8, 5), "the parts have other lengths than before. Hint: __len__."
    given.clear()
    for index in range(5):
        image, label = new_val[index]
        assert not given, "the validation part was augmented. Hint: augment belongs to training."
        assert label == index % 10, "a label changed on the way. Hint: pass it on as it is."
        if not torch.allclose(image, (val.images[index] - mean) / std, atol=1e-5):
            hint = "(image - mean) / std"
            if abs(float(torch.cat([new_val[i][0].flatten() for i in range(5)]).mean())) < 1e-3:
                hint = "its own mean is 0 now; use the numbers of the training part"
            raise AssertionError(f"validation item {index} is not standardised as it should be. Hint: {hint}.")
    results = [new_train[index][0] for index in (3, 3, 6)]
    assert len(given) == 3, (
        f"three training items were read, augment was called {len(given)} times. Hint: in __getitem__."
    )
    for result, before, original, factor in zip(results, given, (3, 3, 6), (0.51, 0.52, 0.53), strict=True):
        assert torch.allclose(before, train.images[original]), (
            "augment was given an image that is standardised already."
        )
        wanted = (train.images[original].flip(-1) * factor - mean) / std
        assert torch.allclose(result, wanted, atol=1e-5), "a training item is not augment's result, standardised."


def grouped_split(split_by_group: Answer, seed: int = 0, names: bool = False) -> None:
    """No group on both sides, everything covered, the wanted share, repeatable, without touching global numbers."""
    numbers = np.random.default_rng(seed)
    sizes = numbers.integers(1, 7, size=60)
    of_row = numbers.permutation(np.repeat(np.arange(60), sizes)).tolist()
    groups = [f"patient {group}" if names else group for group in of_row]
    before = _global_random_state()
    found = split_by_group(groups, 0.25, seed=1)
    after = _global_random_state()
    assert isinstance(found, tuple) and len(found) == 2, "two lists of row numbers are wanted. Hint: return train, val."
    train, val = ([int(row) for row in part] for part in found)
    assert sorted(train + val) == list(range(len(groups))), "each row belongs into one of the two parts, once."
    both = {groups[row] for row in train} & {groups[row] for row in val}
    assert not both, f"{len(both)} groups have rows on both sides. Hint: split the groups, not the rows."
    share = len(val) / len(groups)
    assert abs(share - 0.25) <= max(sizes) / len(groups), (
        f"val holds {share:.0%} of the rows, not about 25%. Hint: groups are of unequal size; count rows."
    )
    again, other = split_by_group(groups, 0.25, seed=1), split_by_group(groups, 0.25, seed=2)
    assert [list(part) for part in again] == [list(part) for part in found], "the same seed gave another split."
    assert sorted(other[1]) != sorted(val), "another seed gave the same split. Hint: which groups, decides the seed."
    assert before == after, (
        "the split changed the global random state. Hint: a generator of its own, made from the seed."
    )


def _global_random_state() -> Any:
    of_numpy: Any = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return (
        torch.get_rng_state().tolist(),
        of_numpy["key"].tolist(),
        of_numpy["pos"],
        random.getstate(),
    )


def duplicates(group_duplicates: Answer, seed: int = 0, count: int = 30) -> None:
    """Equal images, and only they, have the same number."""
    numbers = torch.Generator().manual_seed(seed)
    different = torch.randint(0, 256, (count, 1, 5, 5), generator=numbers, dtype=torch.uint8)
    different[1] = different[0].flip(-1)  # same sum, same histogram, another image
    different[2] = different[0]
    different[2, 0, 4, 4] ^= 1  # one pixel, by one
    which = torch.randint(0, count, (2 * count,), generator=numbers)
    which[:3] = torch.tensor([0, 1, 2])
    found = list(group_duplicates(different[which].clone()))
    assert len(found) == 2 * count, f"{2 * count} images, but {len(found)} numbers. Hint: one for each image."
    for a in range(2 * count):
        for b in range(a):
            if (which[a] == which[b]) != (found[a] == found[b]):
                same = "equal, but have different numbers" if which[a] == which[b] else "different, but share a number"
                raise AssertionError(f"images {b} and {a} are {same}. Hint: compare all pixels.")


def make_patients(seed: int, signal: float = 0.0, patients: int = 120, rows: int = 6, columns: int = 300) -> Table:
    """Return features, labels and patients: rows of a patient are alike, and have one label.

    With ``signal`` 0, nothing in the features has to do with the labels; with more, ten columns have.
    """
    numbers = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), rows)
    label = numbers.permutation(np.arange(patients) % 2)
    own = numbers.normal(size=(patients, columns))
    own[:, :10] += signal * (label[:, None] * 2 - 1)
    order = numbers.permutation(len(patient))
    features = own[patient] + 0.3 * numbers.normal(size=(len(patient), columns))
    return (
        features[order] * numbers.uniform(0.1, 50, size=columns),
        label[patient][order],
        patient[order],
    )


def held_out_agrees(predict_held_out: Answer, seed: int = 0, signal: float = 0.1) -> None:
    """The predictions are those of the pipeline, fitted on the other patients."""
    features, labels, patients = make_patients(seed, signal)
    chosen = np.arange(20)
    inside = np.isin(patients, chosen)
    found = np.asarray(predict_held_out(features.copy(), labels.copy(), patients.copy(), chosen.copy()))
    assert found.shape == (inside.sum(),), (
        f"the chosen patients have {inside.sum()} rows, but there are predictions of shape {found.shape}."
    )
    right = _pipeline().fit(features[~inside], labels[~inside]).predict(features[inside])
    share = float((found == right).mean())
    assert share == 1, (
        f"{1 - share:.0%} of the predictions differ from those of scaler, selection and model fitted on the other "
        "patients. Hint: each of the three steps learns something; from which rows?"
    )


def no_leak(predict_held_out: Answer, seed: int = 0) -> None:
    """What is held out can be changed, and the other predictions stay."""
    features, labels, patients = make_patients(seed, 0.2)
    chosen = np.arange(30)
    inside = np.flatnonzero(np.isin(patients, chosen))
    before = np.asarray(predict_held_out(features.copy(), labels.copy(), patients.copy(), chosen))
    assert before.shape == (len(inside),), f"{len(inside)} predictions are wanted, not an array of {before.shape}."
    assert set(before.tolist()) == {0, 1}, "the predictions are not both 0 and 1. Hint: model.predict."
    flipped = labels.copy()
    flipped[inside] = 1 - flipped[inside]
    after = np.asarray(predict_held_out(features.copy(), flipped, patients.copy(), chosen))
    assert np.array_equal(before, after), (
        f"with other labels for the held-out patients, {np.mean(before != after):.0%} of their predictions change. "
        "Hint: something has seen these labels: the selection of columns, or the model?"
    )
    moved = features.copy()
    moved[inside[0]] *= 1000
    after = np.asarray(predict_held_out(moved, labels.copy(), patients.copy(), chosen))
    assert np.array_equal(before[1:], after[1:]), (
        "one held-out row was changed, and predictions of other rows changed with it. Hint: the scaler has seen them."
    )


def accuracy(honest_accuracy: Answer, seed: int = 0, signal: float = 0.5) -> None:
    """Half for pure noise, and the true value where there is something to find."""
    features, labels, patients = make_patients(seed)
    found = float(honest_accuracy(features, labels, patients))
    assert abs(found - 0.5) < 0.17, (
        f"on pure noise the accuracy is {found:.0%}. Hint: rows of one patient are alike; are they on both sides?"
    )
    features, labels, patients = make_patients(seed + 1, signal)
    right = 0
    for train, test in GroupKFold(5).split(features, labels, patients):
        right += int((_pipeline().fit(features[train], labels[train]).predict(features[test]) == labels[test]).sum())
    truth = right / len(labels)
    found = float(honest_accuracy(features, labels, patients))
    assert abs(found - truth) < 0.1, (
        f"where there is something to find, the accuracy is {found:.0%}, and {truth:.0%} is right. "
        "Hint: each patient is held out once, and all rows count."
    )


def _pipeline() -> Any:
    return make_pipeline(StandardScaler(), SelectKBest(k=20), LogisticRegression())
