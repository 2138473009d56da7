"""DataLoaders that give the same batches again when they are asked to."""

import functools
from typing import Any, NamedTuple

import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
)

from course_utils.data import ImageData
from course_utils.distributed import rank, world_size
from course_utils.divided import DividedBatches
from course_utils.image_dataset import ImageDataset


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

    For tensors in memory: ``make_loader(TensorDataset(inputs, targets), shuffle=True)``. A TensorDataset, an
    ImageDataset and Subsets of them are indexed a batch at a time, which is several times as fast as collecting items;
    such a loader has the batch size in its sampler, and ``loader.batch_size`` is None.

    Raises:
        ValueError: ``batch_size`` is less than 1 or than the number of processes, the data set is empty, or workers are
            to read what is on a GPU.
        TypeError: the data set is a stream.

    Source: https://docs.pytorch.org/docs/stable/data.html
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, but a batch needs at least one sample: give 1 or more.")
    if isinstance(dataset, IterableDataset):
        raise TypeError("The data set is a stream, which has no length and no order: give it to DataLoader itself.")
    if len(dataset) == 0:  # type: ignore[arg-type]
        raise ValueError("The data set is empty, so it gives no batches: check the path or the split that made it.")
    dataset = _numbered(dataset)
    in_memory = _in_memory(dataset)
    on_device = in_memory is not None and in_memory.device.type != "cpu"
    if on_device and num_workers:
        raise ValueError(f"num_workers is {num_workers}, but no worker is needed for data on a GPU: give 0.")
    generator = torch.Generator().manual_seed(seed)
    sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)  # type: ignore[arg-type]
    divided: DividedBatches | None = None
    if world_size() > 1:
        if batch_size < world_size():
            raise ValueError(
                f"batch_size is {batch_size}, but each of the {world_size()} processes needs a sample of every batch: "
                f"give {world_size()} or more."
            )
        divided = DividedBatches(sampler, batch_size, drop_last)
        generator = torch.Generator().manual_seed(seed + rank())
    loader = functools.partial(
        DataLoader,
        dataset,
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available() and not on_device,  # copies to the GPU can then run while it computes
        generator=generator,
    )
    if in_memory is not None:
        # Without a batch size the loader asks the data set for what the sampler gives: a list, once a batch.
        batches = BatchSampler(sampler, batch_size, drop_last) if divided is None else divided
        return loader(sampler=batches, batch_size=None)
    if divided is not None:
        return loader(batch_sampler=divided)
    return loader(sampler=sampler, batch_size=batch_size, drop_last=drop_last)


def _numbered(dataset: Dataset[Any]) -> Dataset[Any]:
    """Return ``dataset``; of a Subset whose indices are tensors, one with the same as numbers.

    A TensorDataset would take a short list of such tensors for the coordinates of one element.
    """
    if type(dataset) is not Subset:
        return dataset
    inner = _numbered(dataset.dataset)
    if inner is dataset.dataset and not any(isinstance(index, torch.Tensor) for index in dataset.indices[:1]):
        return dataset
    return Subset(inner, [int(index) for index in dataset.indices])


def _in_memory(dataset: Dataset[Any]) -> torch.Tensor | None:
    """Return a tensor of a data set that can be indexed by a list, or None for one that gives item by item."""
    while type(dataset) is Subset:
        dataset = dataset.dataset
    # Not subclasses: they may give other items.
    if type(dataset) is ImageDataset:
        return dataset.images
    return dataset.tensors[0] if type(dataset) is TensorDataset else None


def make_loaders(data: ImageData, *, batch_size: int = 64, seed: int = 42, num_workers: int = 0) -> Loaders:
    """Return loaders for the three parts of ``data``: training shuffled, validation and test in order."""
    return Loaders(
        train=make_loader(data.train, batch_size=batch_size, shuffle=True, seed=seed, num_workers=num_workers),
        val=make_loader(data.val, batch_size=batch_size, seed=seed, num_workers=num_workers),
        test=make_loader(data.test, batch_size=batch_size, seed=seed, num_workers=num_workers),
    )
