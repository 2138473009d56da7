"""Extra metrics of a pass, mostly of torchmetrics: their values, and their sums for a checkpoint."""

import copy
from collections.abc import Iterable
from typing import Any, Protocol

import torch


class Metrics(Protocol):
    """Named metrics: a dict of torchmetrics objects, or a torchmetrics MetricCollection.

    Each value has the methods ``reset()``, ``update(outputs, targets)``, ``compute()`` and ``to(device)``.
    """

    def items(self) -> Iterable[tuple[Any, Any]]:
        """Return pairs of a name and a metric."""
        ...


def compute(metric: Any, *, alone: bool) -> Any:
    """Return the value of ``metric`` in floats, lists and dicts.

    In a process group a metric of torchmetrics adds up what all processes have seen; ``alone`` keeps it from that.
    """
    modules = list(metric.modules()) if alone and isinstance(metric, torch.nn.Module) else []
    parts: list[Any] = [part for part in modules if hasattr(part, "distributed_available_fn")]
    asked = [part.distributed_available_fn for part in parts]
    try:
        for part in parts:
            part.distributed_available_fn = bool  # False
        return _as_numbers(metric.compute())
    finally:
        for part, function in zip(parts, asked, strict=True):
            part.distributed_available_fn = function


def whole_state(metric: Any) -> dict[str, Any]:
    """Return the state of ``metric`` with its sums, which torchmetrics leaves out otherwise."""
    whole = copy.deepcopy(metric)
    for part in whole.modules() if isinstance(whole, torch.nn.Module) else ():
        if callable(keep := getattr(part, "persistent", None)):
            keep(True)
    state: dict[str, Any] = whole.state_dict()
    return state


def _as_numbers(value: Any) -> Any:
    """Turn tensors and NumPy's numbers, also inside tuples, lists and dicts, into floats and nested lists."""
    if isinstance(value, dict):
        return {key: _as_numbers(part) for key, part in value.items()}
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_as_numbers(part) for part in value] if isinstance(value, (tuple, list)) else value
