"""Data that is divided over processes: each reads its part, all together read each sample once, and go on in step."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch.utils.data import (
    BatchSampler,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
)

from course_utils.distributed import gather, rank, world_size
from course_utils.progress import length


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
        return sum(1 for _ in self._parts())

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


class Together:
    """The batches of one process, as many as the process with the most of them has: ``backward`` waits for all.

    Where another process has one batch more, this one gets its last batch again: ``spare`` says so, and the batch
    counts nothing.

    Args:
        batches: those of this process; what is not a stream knows their number.
        device: where to talk to the others.
        done: so many batches of the epoch came before these.

    Raises:
        ValueError: a process has no batch at all.
    """

    def __init__(self, batches: Iterable[Any], device: torch.device, done: int = 0) -> None:
        self.spare = False
        self._batches, self._device, self._done = batches, device, done
        stream = isinstance(getattr(batches, "dataset", None), IterableDataset)  # it only guesses
        lengths = gather(None if stream else length(batches))
        if 0 in lengths:
            self._refuse(lengths.index(0))
        self._length = largest(lengths)

    def __len__(self) -> int:
        if self._length is None:
            raise TypeError("Some process does not know how many batches it has.")
        return self._length

    def __iter__(self) -> Iterator[Any]:
        batches, last, step = iter(self._batches), None, self._done
        while self._length is None or step < self._length:
            batch = next(batches, None)
            if step == self._done:
                last = getattr(self._batches, "last", None)  # of a training that is taken up inside an epoch
                nothing = gather(batch is None and last is None)
                if True in nothing:
                    self._refuse(nothing.index(True))
            if self._length is None:  # then the others must be asked each time
                more = self._numbers(0 if batch is None else 1)
                dist.all_reduce(more)
                if not more[0]:
                    return
            self.spare = batch is None
            last = last if batch is None else batch
            yield last
            step += 1
        next(batches, None)  # its end: a sampler may draw random numbers there

    def _refuse(self, number: int) -> NoReturn:
        raise ValueError(f"Process {number} has no batch at all: use fewer processes, or more or smaller batches.")

    def weigh(self, weight: int | torch.Tensor, samples: int) -> Callable[[], tuple[Any, Any, Any]]:
        """Begin to add up what the batches of all processes weigh; what is returned waits for the sums and gives them.

        They are: what the loss of this batch weighs, what those of all weigh together, and all samples. ``backward``
        gives the mean of the gradients over the processes; the first number, which is meant for a sum, is multiplied
        by their number. In between the model can compute: a wait at every step is what costs most.
        """
        own = self._numbers(0.0, 0.0)
        if not self.spare:
            own = torch.stack([torch.as_tensor(weight, device=self._device).to(own), own.new_tensor(samples)])
        whole = own.clone()
        adding = dist.all_reduce(whole, async_op=True)

        def sums() -> tuple[Any, Any, Any]:
            adding.wait()
            return own[0] * world_size(), whole[0], whole[1]

        return sums

    def _numbers(self, *numbers: float) -> torch.Tensor:
        return torch.tensor(numbers, device=self._device)


def largest(lengths: list[int | None]) -> int | None:
    """Return the largest of ``lengths``, or None where one is not known."""
    return None if None in lengths else max(number for number in lengths if number is not None)


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
    sampler = getattr(loader, "batch_sampler", None)
    if sampler is None:
        sampler = getattr(loader, "sampler", None)
    return sampler if isinstance(sampler, DividedBatches) else getattr(sampler, "sampler", sampler)


def _first(batch: Any, count: int) -> Any:
    """Return the first ``count`` samples of a batch: of a tensor, or of tensors in tuples, lists and dicts."""
    if isinstance(batch, dict):
        return {key: _first(value, count) for key, value in batch.items()}
    if isinstance(batch, (tuple, list)) and batch and isinstance(batch[0], (torch.Tensor, dict, tuple, list)):
        parts = [_first(value, count) for value in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return batch[:count]
