"""Loaders: repeatable orders, workers, spawned processes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset, random_split
from torchvision.transforms import v2

from course_utils import ImageDataset, load_dataset, make_loader, make_loaders


def order(loader: DataLoader[tuple[torch.Tensor]]) -> list[int]:
    return [int(i) for (batch,) in loader for i in batch]


NUMBERS = TensorDataset(torch.arange(100))


def test_epochs_differ_and_the_seed_repeats_them() -> None:
    loader = make_loader(NUMBERS, batch_size=32, shuffle=True, seed=1)
    first, second = order(loader), order(loader)
    assert first != second
    assert sorted(first) == list(range(100))
    torch.rand(10)  # random numbers drawn elsewhere change nothing
    again = make_loader(NUMBERS, batch_size=32, shuffle=True, seed=1)
    assert [order(again), order(again)] == [first, second]
    assert order(make_loader(NUMBERS, batch_size=32, shuffle=True, seed=2)) != first


def test_the_batch_size_does_not_change_the_order() -> None:
    orders = [order(make_loader(NUMBERS, batch_size=size, shuffle=True, seed=1)) for size in (1, 32, 100)]
    assert orders[0] == orders[1] == orders[2]


def test_ragged_and_dropped_last_batch() -> None:
    assert [len(batch) for (batch,) in make_loader(NUMBERS, batch_size=64)] == [64, 36]
    assert [len(batch) for (batch,) in make_loader(NUMBERS, batch_size=64, drop_last=True)] == [64]


def test_workers_give_the_same_batches_and_random_numbers_of_their_own(tmp_path: Path) -> None:
    digits = load_dataset("digits", root=tmp_path, augment=Noise())
    runs = [
        [images for images, _ in make_loader(digits.train, batch_size=64, seed=seed, num_workers=2)]
        for seed in (1, 1, 2)
    ]
    assert all(torch.equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
    assert not torch.equal(runs[0][0], runs[2][0])
    assert not torch.equal(runs[0][0][0, 0, 0], runs[0][1][0, 0, 0])  # the two workers' first images

    plain = [[x for x, _ in make_loader(digits.val, batch_size=64, shuffle=True, num_workers=n)] for n in (0, 2)]
    assert all(torch.equal(a, b) for a, b in zip(*plain, strict=True))


class Noise:
    """Gives random numbers from all three libraries instead of the image."""

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        import random

        import numpy as np

        image[0, 0, 0] = random.random()
        image[0, 0, 1] = np.random.rand()  # noqa: NPY002 - the global state is the point
        image[0, 0, 2] = torch.rand(())
        return image


def test_workers_that_are_spawned(tmp_path: Path) -> None:
    """As on macOS and Windows: classes and transforms must pickle."""
    script = tmp_path / "spawned.py"
    script.write_text(
        "import torch.multiprocessing\n"
        "from torchvision.transforms import v2\n"
        "from course_utils import load_dataset, make_loaders\n"
        "if __name__ == '__main__':\n"
        "    torch.multiprocessing.set_start_method('spawn')\n"
        f"    data = load_dataset('digits', root={str(tmp_path)!r}, augment=v2.RandomRotation(10))\n"
        "    print(sum(len(labels) for _, labels in make_loaders(data, num_workers=2).train))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "1149", done.stderr


class Doubled(TensorDataset):
    """Gives other items than its tensors."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        return tuple(2 * value for value in super().__getitem__(index))


def batches_like_items(dataset: Dataset[Any], *, shuffle: bool, num_workers: int = 0) -> bool:
    """Whether make_loader gives what a plain DataLoader, which collects items, gives."""
    torch.manual_seed(0)
    given = list(make_loader(dataset, batch_size=32, shuffle=shuffle, seed=3, num_workers=num_workers))
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(3)
    plain = list(DataLoader(dataset, 32, shuffle=shuffle, generator=generator, num_workers=num_workers))
    return len(given) == len(plain) and all(
        torch.equal(a, b) and a.dtype == b.dtype
        for one, other in zip(given, plain, strict=True)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("augment", [None, v2.RandomRotation(20)])
def test_whole_batches_equal_collected_items(tmp_path: Path, augment: Any, shuffle: bool) -> None:
    """Bit for bit, random numbers included, where each image is changed by itself."""
    digits = load_dataset("digits", root=tmp_path, augment=augment)
    part, other = random_split(digits.train, [1000, 149], generator=torch.Generator().manual_seed(0))
    tensors = TensorDataset(torch.rand(70, 3), torch.arange(70, dtype=torch.int32))
    for dataset in (digits.train, part, Subset(other, [3, 1, 4]), tensors, Doubled(torch.arange(70))):
        assert batches_like_items(dataset, shuffle=shuffle)


def test_indices_that_are_tensors(tmp_path: Path) -> None:
    digits = load_dataset("digits", root=tmp_path)
    tensors = TensorDataset(torch.rand(70, 3), torch.arange(70))
    order = torch.randperm(70, generator=torch.Generator().manual_seed(0))[:65]  # one left over, and few at once
    for dataset in (Subset(tensors, order), Subset(tensors, list(order)), Subset(digits.train, order)):  # type: ignore[arg-type]
        for part in (dataset, Subset(dataset, range(33))):
            assert batches_like_items(part, shuffle=True)
            assert make_loader(part).batch_size is None


def test_whole_batches_from_workers_equal_collected_items(tmp_path: Path) -> None:
    digits = load_dataset("digits", root=tmp_path, augment=v2.RandomRotation(20))
    assert batches_like_items(digits.train, shuffle=True, num_workers=2)


def test_data_in_memory_is_not_collected_item_by_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = load_dataset("digits", root=tmp_path)
    asked: list[Any] = []
    item = ImageDataset.__getitem__

    def noted(self: ImageDataset, index: Any) -> Any:
        asked.append(index)
        return item(self, index)

    monkeypatch.setattr(ImageDataset, "__getitem__", noted)
    list(make_loader(digits.val, batch_size=100))
    list(make_loader(Subset(digits.val, [5, 7]), batch_size=100))
    assert asked == [[*range(100)], [*range(100, 200)], [*range(200, 288)], [5, 7]]
    loader = make_loader(Doubled(torch.arange(9)), batch_size=4)
    assert (loader.batch_size, [len(batch) for (batch,) in loader]) == (4, [4, 4, 1])


def test_only_the_training_loader_shuffles(tmp_path: Path) -> None:
    digits = load_dataset("digits", root=tmp_path)
    loaders = make_loaders(digits, batch_size=50)
    for loader, part in ((loaders.val, digits.val), (loaders.test, digits.test)):
        assert torch.equal(torch.cat([labels for _, labels in loader]), part.labels)
    assert not torch.equal(torch.cat([labels for _, labels in loaders.train]), digits.train.labels)


class Stream(IterableDataset[int]):
    """Numbers without a length."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(3))


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="batch_size is 0"):
        make_loader(NUMBERS, batch_size=0)
    with pytest.raises(ValueError, match="data set is empty"):
        make_loader(TensorDataset(torch.zeros(0)))
    with pytest.raises(TypeError, match=r"The data set is a stream.+ give it to DataLoader itself"):
        make_loader(Stream())
    with pytest.raises(ValueError, match="num_workers is 2, but no worker is needed for data on a GPU"):
        make_loader(TensorDataset(torch.zeros(5, device="meta")), num_workers=2)
