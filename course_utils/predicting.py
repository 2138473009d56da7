"""What a model says about all samples, in one pass and one order."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import nn

from course_utils.arguments import check_device
from course_utils.device import move_to
from course_utils.distributed import gather, is_shared, unwrap
from course_utils.divided import Together, is_divided, own_part, positions
from course_utils.modes import modes_kept
from course_utils.progress import iterate


class Predictions(NamedTuple):
    """Outputs and targets of one pass, row by row in the loader's order, on the CPU."""

    logits: torch.Tensor
    targets: torch.Tensor


def predict(
    model: nn.Module, loader: Iterable[Any], *, device: torch.device | str | None = None, progress: bool = True
) -> Predictions:
    """Return the model's outputs for all of ``loader``, beside the targets of the same pass.

    Row i of ``logits`` (samples, classes, ...) and row i of ``targets`` (samples, ...) belong to the same sample,
    also when the loader shuffles. The model is in evaluation mode meanwhile and gets its mode back. In a process group,
    with a loader that is divided over the processes, all of them return the rows of all samples, in the order that one
    process would have.

    Raises:
        ValueError: the loader gave no batches.
    """
    device = check_device(model, device)
    divided = is_divided(loader)
    order = positions(loader) if divided else []
    model, own = alone(model, loader, device)
    all_outputs: list[torch.Tensor] = []
    all_targets: list[torch.Tensor] = []
    with modes_kept(model), torch.no_grad():
        model.eval()
        for inputs, targets in iterate(own, "the prediction", shown=progress, may_be_empty=divided):
            outputs = model(move_to(inputs, device))
            if not isinstance(outputs, torch.Tensor):
                kind = type(outputs).__name__
                raise ValueError(f"The model returned a {kind}, but predict needs one tensor: return only the logits.")
            if not (isinstance(own, Together) and own.spare):
                # Copies: either may be filled again for the next batch, and a worker's tensor holds a file open.
                all_outputs.append(outputs.clone())
                all_targets.append(targets.clone())
    if not divided:
        return Predictions(torch.cat(all_outputs).cpu(), torch.cat(all_targets).cpu())
    count = sum(map(len, all_targets))  # a sampler may have dropped the last one
    parts = gather((order[:count], [rows.cpu() for rows in all_outputs], [rows.cpu() for rows in all_targets]))
    place = torch.tensor([position for positions, _, _ in parts for position in positions]).argsort()
    return Predictions(
        torch.cat([rows for _, outputs, _ in parts for rows in outputs])[place],
        torch.cat([rows for _, _, targets in parts for rows in targets])[place],
    )


def alone(model: nn.Module, loader: Iterable[Any], device: torch.device) -> tuple[nn.Module, Iterable[Any]]:
    """Return what a process evaluates, and on which batches, without waiting for others where that can be."""
    if not is_shared(model):
        return model, own_part(loader)
    inner = unwrap(model)  # DistributedDataParallel would send BatchNorm's statistics before each batch
    return inner, Together(loader, device) if is_shared(inner) else own_part(loader)  # sharded: all go on together
