"""Where the computation runs, and the random numbers it uses."""

import os
import random
from typing import Any

import torch
from torch import nn


def get_device() -> torch.device:
    """Return the best device here: an NVIDIA or AMD GPU, else Apple's GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def device_of(model: nn.Module) -> torch.device:
    """Return the device of the model's first parameter, or the CPU if it has none."""
    parameter = next(model.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def move_to(batch: Any, device: torch.device) -> Any:
    """Return ``batch`` with every tensor in it on ``device``.

    ``batch`` is a tensor, something else with a method ``to`` (a PackedSequence), or tuples, lists and dicts of them,
    nested as you like; anything else in it is returned as it is. From pinned memory to an NVIDIA GPU the program does
    not wait for the copy; elsewhere not waiting could read data that is not there yet.
    """
    if isinstance(batch, torch.Tensor):
        if batch.device == device:
            return batch
        return batch.to(device, non_blocking=device.type == "cuda" and batch.device.type == "cpu")
    if hasattr(batch, "to"):
        return batch.to(device)
    if isinstance(batch, dict):
        return {key: move_to(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):  # a namedtuple
        return type(batch)(*(move_to(value, device) for value in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(move_to(value, device) for value in batch)
    return batch


def seed_everything(seed: int = 42, *, deterministic: bool = False) -> None:
    """Seed Python's, NumPy's and PyTorch's random numbers, on every device.

    This is not yet a repeatable run: a shuffled loader needs a seeded generator of its own
    (:func:`course_utils.make_loader` gives it one), and GPU kernels may add in any order.
    ``deterministic=True`` also asks for kernels that always give the same result; they are slower, and an
    operation that has none raises a RuntimeError. It stays on; on a GPU, call it before the first computation.

    Source: https://docs.pytorch.org/docs/stable/notes/randomness.html
    """
    import numpy as np

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global state is what other libraries draw from
    torch.manual_seed(seed)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it starts
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True)
