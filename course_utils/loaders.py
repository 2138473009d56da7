"""DataLoaders that give the same batches again when they are asked to."""

from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler, SequentialSampler

from course_utils.data import ImageData
from course_utils.distributed import rank, world_size
from course_utils.divided import DividedBatches


class Loaders(NamedTuple):
    """One loader for each part of a data set; only the one for training shuffles."""

    train: DataLoader[Any]
    val: DataLoader[Any]
    test: DataLoader[Any]


def make_loader(
    dataset: Dataset[Any],
    *,
    batch_size: int = 64,
    shuffle: bool = False,
    seed: int = 42,
    num_workers: int = 0,
    drop_last: bool = False,
) -> DataLoader[Any]:
    """Return a DataLoader whose order, and whose workers' random numbers, follow from ``seed`` alone.

    Epochs differ from one another; a loader made again with the same seed repeats their orders. The loader's
    generator also seeds the workers: PyTorch gives each of them its own seed, for Python's, NumPy's and PyTorch's
    random numbers. Without workers, random augmentation draws from the program's own random numbers, which
    ``seed_everything`` sets. With workers, the data set's class and its transforms must live in a module, not in a
    notebook cell or a lambda, because fresh processes import them (on macOS and Windows, on Linux from Python 3.14).

    In a process group (torchrun) each process gets its part of every batch of ``batch_size``: all of them together
    read each sample once, in the batches that one process would read. The workers of each have seeds of their own.
    (On Linux they are copies of a process with threads; with Python 3.11, about one such copy in a thousand waits for
    ever. In a long training set ``loader.multiprocessing_context = "spawn"``.)

    For tensors in memory: ``make_loader(TensorDataset(inputs, targets), shuffle=True)``.

    Raises:
        ValueError: ``batch_size`` is less than 1 or than the number of processes, or the data set is empty.

    Source: https://docs.pytorch.org/docs/stable/data.html
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, but a batch needs at least one sample: give 1 or more.")
    if len(dataset) == 0:  # type: ignore[arg-type]
        raise ValueError("The data set is empty, so it gives no batches: check the path or the split that made it.")
    generator = torch.Generator().manual_seed(seed)
    pin_memory = torch.cuda.is_available()  # copies to the GPU can then run while it computes
    if world_size() > 1:
        if batch_size < world_size():
            raise ValueError(
                f"batch_size is {batch_size}, but each of the {world_size()} processes needs a sample of every batch: "
                f"give {world_size()} or more."
            )
        sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)  # type: ignore[arg-type]
        return DataLoader(
            dataset,
            batch_sampler=DividedBatches(sampler, batch_size, drop_last),
            num_workers=num_workers,
            pin_memory=pin_memory,
            generator=torch.Generator().manual_seed(seed + rank()),
        )
    return DataLoader(
        dataset,
        batch_size=batch_size,
        shuffle=shuffle,
        num_workers=num_workers,
        drop_last=drop_last,
        pin_memory=pin_memory,
        generator=generator,
    )


def make_loaders(data: ImageData, *, batch_size: int = 64, seed: int = 42, num_workers: int = 0) -> Loaders:
    """Return loaders for the three parts of ``data``: training shuffled, validation and test in order."""
    return Loaders(
        train=make_loader(data.train, batch_size=batch_size, shuffle=True, seed=seed, num_workers=num_workers),
        val=make_loader(data.val, batch_size=batch_size, seed=seed, num_workers=num_workers),
        test=make_loader(data.test, batch_size=batch_size, seed=seed, num_workers=num_workers),
    )
