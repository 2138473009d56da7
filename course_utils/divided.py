"""Data that is divided over processes: each reads its part, and all together read each sample once."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.utils.data import BatchSampler, DistributedSampler, RandomSampler, Sampler, SequentialSampler

from course_utils.distributed import rank, world_size


class DividedBatches(Sampler[list[int]]):
    """The part of each batch that belongs to this process; the parts of all processes together are the batch.

    So the processes take the same steps as one process would with batches of ``batch_size``. A short last batch may
    have no sample for some of them, which then get one batch less.

    Args:
        sampler: gives the indices of all samples, the same in every process.
        batch_size: samples in a batch of all processes together.
        drop_last: leave out a short last batch.
    """

    def __init__(self, sampler: Sampler[int], batch_size: int, drop_last: bool) -> None:
        self.sampler = sampler
        self._batches = BatchSampler(sampler, batch_size, drop_last)

    def __len__(self) -> int:
        count, size = len(self._batches), self._batches.batch_size
        last = range(len(self.sampler))[(count - 1) * size : count * size]  # type: ignore[arg-type]
        return count - (count > 0 and not last[_part(len(last))])

    def __iter__(self) -> Iterator[list[int]]:
        generator = getattr(self.sampler, "generator", None)
        if generator is not None:  # a DataLoader draws one number for its workers first: the order is to be the same
            torch.empty((), dtype=torch.int64).random_(generator=generator)
        for indices in self._batches:
            if part := indices[_part(len(indices))]:
                yield part

    def positions(self) -> list[int]:
        """Return where the samples of this process stand in the order of all."""
        return [position for part in self._parts() for position in part]

    def _parts(self) -> Iterator[range]:
        size, count = self._batches.batch_size, len(self.sampler)  # type: ignore[arg-type]
        for begin in range(0, len(self._batches) * size, size):
            whole = range(begin, min(begin + size, count))
            if part := whole[_part(len(whole))]:
                yield part


def is_divided(loader: Iterable[Any]) -> bool:
    """Whether this process reads only its part of what ``loader`` was made for.

    So it is with the loaders of ``make_loader``, with a DistributedSampler, and with an IterableDataset that says so by
    an attribute ``divided``.
    """
    return world_size() > 1 and (
        isinstance(_sampler(loader), (DividedBatches, DistributedSampler))
        or bool(getattr(getattr(loader, "dataset", None), "divided", False))
    )


def refuse_whole(loader: Iterable[Any]) -> None:
    """Raise a ValueError if every process of a training would read all of ``loader``."""
    if not is_divided(loader) and isinstance(_sampler(loader), (RandomSampler, SequentialSampler)):
        raise ValueError(
            f"Each of the {world_size()} processes would train on all of the data: make the loader with make_loader "
            "after init_process_group, or give it a DistributedSampler."
        )


def own_part(loader: Iterable[Any]) -> Iterable[Any]:
    """Return the batches of this process: ``loader``, but without the samples that a DistributedSampler gives twice."""
    return _Once(loader) if is_divided(loader) and isinstance(_sampler(loader), DistributedSampler) else loader


class _Once:
    """The batches of a loader without the samples that its DistributedSampler repeats at the end."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        left = len(positions(self._loader))
        for inputs, targets in self._loader:
            if len(targets) <= left:
                yield inputs, targets
            elif left > 0:
                yield _first(inputs, left), _first(targets, left)
            left -= min(left, len(targets))


def positions(loader: Iterable[Any]) -> list[int]:
    """Return where the samples of a divided ``loader`` stand in the order of all processes together.

    Raises:
        ValueError: it is a stream, which has no such order.
    """
    sampler = _sampler(loader)
    if isinstance(sampler, DividedBatches):
        return sampler.positions()
    if isinstance(sampler, DistributedSampler):
        return list(range(sampler.rank, len(sampler.dataset), sampler.num_replicas))  # type: ignore[arg-type]
    raise ValueError(
        "The samples of a stream have no common order over the processes: predict with a DataLoader of a data set."
    )


def _part(count: int) -> slice:
    return slice(count * rank() // world_size(), count * (rank() + 1) // world_size())


def _sampler(loader: Iterable[Any]) -> Any:
    """Return what decides which samples ``loader`` gives, or None."""
    batch_sampler = getattr(loader, "batch_sampler", None)
    if isinstance(batch_sampler, DividedBatches):
        return batch_sampler
    return getattr(batch_sampler, "sampler", getattr(loader, "sampler", None))


def _first(batch: Any, count: int) -> Any:
    """Return the first ``count`` samples of a batch: of a tensor, or of tensors in tuples, lists and dicts."""
    if isinstance(batch, dict):
        return {key: _first(value, count) for key, value in batch.items()}
    if isinstance(batch, (tuple, list)) and batch and isinstance(batch[0], (torch.Tensor, dict, tuple, list)):
        parts = [_first(value, count) for value in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return batch[:count]
