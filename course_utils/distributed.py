"""Several processes that train one model: what they tell one another, and how they keep in step.

All of it rests on PyTorch's process group: start the program with torchrun and call
``torch.distributed.init_process_group()`` first. Without one there is one process, of rank 0, and nothing to share.
"""

import atexit
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import IterableDataset

T = TypeVar("T")


def start_group(device: torch.device) -> tuple[torch.device, Callable[[nn.Module], nn.Module]]:
    """Join the process group if torchrun started this program, for the rest of it.

    Returns the device of this process (``device``, or of several GPUs its own), and a function that makes a model on it
    one that the processes train together: DistributedDataParallel, or without torchrun the model itself.

    Raises:
        ValueError: there are fewer GPUs than processes.
    """
    if not dist.is_torchelastic_launched():
        return device, lambda model: model
    if device.type == "cuda":
        number, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if number >= count:
            raise ValueError(
                f"There are {os.environ['LOCAL_WORLD_SIZE']} processes, but {count} GPU(s): start as many processes as "
                "there are GPUs, or give --device cpu."
            )
        device = torch.device("cuda", number)
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)
    return device, DistributedDataParallel


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if _in_group() else 0


def world_size() -> int:
    """Return how many processes there are."""
    return dist.get_world_size() if _in_group() else 1


def unwrap(model: nn.Module) -> nn.Module:
    """Return the model inside torch.compile and DistributedDataParallel: the same weights, under their own names."""
    while True:
        inner = model.module if isinstance(model, DistributedDataParallel) else getattr(model, "_orig_mod", model)
        if inner is model:
            return model
        model = inner


def is_shared(model: nn.Module) -> bool:
    """Whether the processes train ``model`` together: their gradients are averaged in ``backward``."""
    return world_size() > 1 and (
        isinstance(model, DistributedDataParallel)
        or isinstance(getattr(model, "_orig_mod", None), DistributedDataParallel)
        or is_sharded(model)
    )


def is_sharded(model: nn.Module) -> bool:
    """Whether each process holds a part of ``model`` (``fully_shard``)."""
    if world_size() == 1:
        return False
    from torch.distributed.fsdp import FSDPModule

    return isinstance(unwrap(model), FSDPModule)


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
        lengths = gather(_length(batches))
        if 0 in lengths:
            self._refuse(lengths.index(0))
        self._length = None if None in lengths else max(length for length in lengths if length is not None)

    def __len__(self) -> int:
        if self._length is None:
            raise TypeError("Some process does not know how many batches it has.")
        return self._length

    def __iter__(self) -> Iterator[Any]:
        batches, last, step = iter(self._batches), None, self._done
        while self._length is None or step < self._length:
            batch = next(batches, None)
            if self._length is None:  # then the others must be asked each time
                more = self._numbers(0 if batch is None else 1)
                dist.all_reduce(more)
                if not more[0]:
                    return
                if step == 0 and more[0] < world_size():
                    self._refuse(gather(batch is None).index(True))
            self.spare = batch is None
            last = last if batch is None else batch
            yield last
            step += 1
        next(batches, None)  # its end: a sampler may draw random numbers there

    def _refuse(self, number: int) -> NoReturn:
        raise ValueError(f"Process {number} has no batch at all: use fewer processes, or more or smaller batches.")

    def weigh(self, weight: int | torch.Tensor, samples: int) -> tuple[Any, Any, Any]:
        """Return what the loss of this batch weighs, what those of all processes weigh together, and all samples.

        ``backward`` gives the mean of the gradients over the processes; the first number, which is meant for a sum, is
        multiplied by their number.
        """
        own = self._numbers(0.0, 0.0)
        if not self.spare:
            own = torch.stack([torch.as_tensor(weight, device=self._device).to(own), own.new_tensor(samples)])
        whole = own.clone()
        dist.all_reduce(whole)
        return own[0] * world_size(), whole[0], whole[1]

    def _numbers(self, *numbers: float) -> torch.Tensor:
        return torch.tensor(numbers, device=self._device)


def share_buffers(model: nn.Module) -> None:
    """Give all processes the buffers of the first one (BatchNorm's statistics), as DistributedDataParallel does."""
    for buffer in unwrap(model).buffers():
        if not hasattr(buffer, "full_tensor"):  # a sharded one
            dist.broadcast(buffer, 0)


def gather(value: T) -> list[T]:
    """Return the ``value`` of each process, in the order of their ranks."""
    if not _in_group():
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, _pack(value))
    return [_unpack(content) for content in values]


def by_first(function: Callable[[], T]) -> T:
    """Have the first process alone call ``function``; all of them return what it returned, or raise its error."""
    if not _in_group():
        return function()
    outcome: list[Any] = [None, None]
    if rank() == 0:
        try:
            outcome[0] = function()
        except Exception as error:
            outcome[1] = error
    contents = [_pack(outcome)]
    dist.broadcast_object_list(contents, 0)
    outcome = _unpack(contents[0])
    if outcome[1] is not None:
        raise outcome[1]
    result: T = outcome[0]
    return result


def _pack(value: Any) -> bytes:
    """Return ``value`` as bytes: pickle alone cannot do all tensors (uint32, as NumPy's random numbers have it)."""
    content = io.BytesIO()
    torch.save(value, content)
    return content.getvalue()


def _unpack(content: bytes) -> Any:
    return torch.load(io.BytesIO(content), weights_only=False)  # from a process of the same program


def _in_group() -> bool:
    return dist.is_available() and dist.is_initialized()


def _length(batches: Iterable[Any]) -> int | None:
    """Return how many ``batches`` there are, or None for a stream: it does not know, or only guesses."""
    if not isinstance(batches, Sized) or isinstance(getattr(batches, "dataset", None), IterableDataset):
        return None
    return len(batches)
