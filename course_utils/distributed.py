"""Several processes that train one model: who they are, and what they tell one another.

All of it rests on PyTorch's process group: start the program with torchrun and call
``torch.distributed.init_process_group()`` first. Without one there is one process, of rank 0, and nothing to share.
"""

import atexit
import io
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

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
        atexit.register(_leave_group)
    return device, DistributedDataParallel


def _leave_group() -> None:
    """Leave the group, and let gloo's threads give back their last tensors while Python can still take them.

    A thread that does so when Python has begun to end aborts the program, with "terminate called without an active
    exception". Sleeping lets it have its turn. Source: https://github.com/pytorch/pytorch/pull/179291
    """
    dist.destroy_process_group()
    time.sleep(0.2)


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
