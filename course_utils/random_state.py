"""Where all random numbers stand: to be saved, and put back."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """Return the state of Python's, NumPy's and PyTorch's global random numbers, on all devices in use."""
    numpy_state: dict[str, Any] = np.random.get_state(legacy=False)  # noqa: NPY002 - the global one
    generator = numpy_state["state"]
    version, numbers, gauss = random.getstate()
    return {
        # As tensors: an array could not be loaded with weights_only, and 625 single numbers are slow to save.
        "python": (version, torch.tensor(numbers), gauss),
        "numpy": {**numpy_state, "state": {**generator, "key": torch.from_numpy(generator["key"].copy())}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Set the global random numbers to what :func:`random_state` returned. Devices that are not here are left out."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss))
    generator = state["numpy"]["state"]
    np.random.set_state({**state["numpy"], "state": {**generator, "key": generator["key"].numpy()}})  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all(state["cuda"])
    if state["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


def generators_of(loaders: Sequence[Iterable[Any]]) -> list[torch.Generator]:
    """Return the generators that loaders and their samplers draw from, each once, in an order that repeats."""
    found: dict[int, torch.Generator] = {}
    for loader in loaders:
        samplers = [getattr(loader, name, None) for name in ("sampler", "batch_sampler")]
        holders = (loader, *samplers, *(getattr(sampler, "sampler", None) for sampler in samplers))
        for generator in (getattr(holder, "generator", None) for holder in holders):
            if isinstance(generator, torch.Generator):
                found[id(generator)] = generator
    return list(found.values())
