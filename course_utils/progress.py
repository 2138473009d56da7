"""Looping over a loader: a bar when it takes long, one clear error when there is nothing to loop over."""

import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from course_utils.distributed import rank

BAR_AFTER = 2.0  # seconds


def iterate(
    loader: Iterable[Any], where: str, *, shown: bool, done: int = 0, may_be_empty: bool = False
) -> Iterator[Any]:
    """Yield the batches of ``loader``, drawing a tqdm bar from the moment the pass has taken two seconds.

    ``where`` names the pass, as in "epoch 3", on the bar and in errors. ``done`` batches came before these. The
    bar is drawn by the first process alone.

    Raises:
        ValueError: the loader gave no batches, unless it ``may_be_empty``, or something that is not a pair.
    """
    started = time.perf_counter()
    bar: Any = None
    shown = shown and rank() == 0
    count = done
    for count, batch in enumerate(loader, start=done + 1):
        if not (isinstance(batch, (tuple, list)) and len(batch) == 2):
            raise ValueError(
                f"Batch {count} of {where} is a {type(batch).__name__}, not a pair: the loader must give "
                "(inputs, targets)."
            )
        if not isinstance(batch[1], torch.Tensor) or batch[1].ndim == 0:
            raise ValueError(
                f"The targets of batch {count} of {where} are one {type(batch[1]).__name__}, not a tensor for a batch: "
                "give a DataLoader, not the data set itself."
            )
        yield batch
        if bar is not None:
            bar.update()
        elif shown and time.perf_counter() - started > BAR_AFTER:
            from tqdm.auto import tqdm

            off = bool(os.environ.get("TQDM_DISABLE"))  # in notebooks, tqdm itself does not look
            bar = tqdm(desc=where, total=length(loader), initial=count, leave=False, unit="batch", disable=off)
    if bar is not None:
        bar.close()
    if count == 0 and not may_be_empty:
        raise ValueError(
            f"The loader gave no batches in {where}: its data set is empty, drop_last dropped the only batch, or it "
            "is an iterator that was used up before; pass a DataLoader or a list of batches."
        )


def length(loader: Iterable[Any]) -> int | None:
    """Return the number of batches that ``loader`` gives, or None if it does not know."""
    try:
        return len(loader)  # type: ignore[arg-type]
    except TypeError:  # it does not know how many batches it has
        return None
