"""Seconds of several ways to do the same, taken in turns."""

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

Seconds = dict[str, list[float]]


def wall(way: Callable[[], object]) -> float:
    """Return the seconds that ``way`` takes."""
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


def of_the_processor(way: Callable[[], object]) -> float:
    """Return the seconds of the processor, in all threads of this process: other programs count for little."""
    started = time.process_time()
    way()
    return time.process_time() - started


def interleaved(
    ways: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warm_up: int = 1,
    timer: Callable[[Callable[[], object]], float] = wall,
) -> Seconds:
    """Return the seconds of each way in each round. In a round all take their turn, in random order.

    A machine whose speed drifts slows all of them alike, so ratios are to be taken within rounds.
    """
    found: Seconds = {name: [] for name in ways}
    for number in range(rounds + warm_up):
        for name in random.sample(list(ways), len(ways)):
            gc.collect()
            gc.freeze()  # else Python would look through all that the libraries keep, in whose turn it happens to be
            seconds = timer(ways[name])
            if number >= warm_up:
                found[name].append(seconds)
    gc.unfreeze()
    return found


def quartiles(values: Sequence[float]) -> list[float]:
    """Return the lower quartile, the median and the upper one."""
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3


def ratios(seconds: Sequence[float], base: Sequence[float]) -> list[float]:
    """Return the ratio within each round."""
    return [one / other for one, other in zip(seconds, base, strict=True)]


def ratio(seconds: Sequence[float], base: Sequence[float]) -> float:
    """Return the median of the ratios within the rounds."""
    return statistics.median(ratios(seconds, base))
