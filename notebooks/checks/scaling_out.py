"""Checks of notebook 16."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch

from checks import as_number, as_table, call, check, pair


@check(
    "loss_factors still returns nothing. Hint: what share of the batch has a process, and by what does the mean divide?",
    "Each sample counts the same, whoever has it.",
)
def loss_factors(function: Callable[..., Any]) -> str | None:
    """Parts of three and one, equal parts, a process without samples, three unequal parts, one process alone."""
    for samples in ([3, 1], [2, 2], [3, 0, 1], [100, 60, 40], [8]):
        given, processes, total = list(samples), len(samples), sum(samples)
        want = [count * processes / total for count in samples]
        try:
            found = as_table(call(function, given))
        except ZeroDivisionError:
            return f"for {samples} it divides by zero. Hint: multiply by the samples of a process, and divide by those of all."
        if found is None or found.shape != (processes,):
            return f"for {samples}, {processes} numbers are wanted. Hint: a list, with one factor for each process."
        if given != samples:
            return "samples has changed after the call. Hint: build a new list, and leave theirs as it is."
        if _same(found, want):
            continue
        shown = "[" + ", ".join(f"{value:.4g}" for value in found.tolist()) + "]"
        said = f"for {samples} it gives {shown}, not {[round(value, 4) for value in want]}. Hint: "
        if _same(found, [count / total for count in samples]):
            return (
                said + "those are the shares; the mean divides by the number of processes as well, so bring it along."
            )
        if _same(found, samples):
            return said + "those are the samples; divide by all of them, times the number of processes."
        if _same(found, [1.0] * processes):
            return said + "with 1 for all, the one sample counts as much as the three: a mean of means."
        if _same(found, [total / processes / count if count else 0.0 for count in samples]):
            return said + "upside down: more samples, larger factor."
        if _same(found, [count / max(samples) for count in samples]):
            return said + "divide by the mean number of samples, not by the largest."
        if _same(found, [count * 2 / total for count in samples]):
            return said + "take the number of processes from the list; there are not always two."
        return said + "share of the batch, times the number of processes."
    return None


def _same(found: torch.Tensor, want: Sequence[float]) -> bool:
    return bool(torch.allclose(found, torch.tensor(want, dtype=torch.float64), atol=1e-5))


@check(
    "own_rows still returns nothing. Hint: number the readers from 0, through all processes and their workers.",
    "Every row once, whatever divides or does not.",
)
def own_rows(function: Callable[..., Any]) -> str | None:
    """Rows that divide and rows that do not, one reader and many, more readers than rows."""
    for rows, world_size, workers in (
        (12, 2, 2),
        (12, 3, 1),
        (1600, 2, 1),
        (103, 2, 3),
        (7, 3, 1),
        (3, 2, 2),
        (10, 1, 1),
    ):
        setting = f"{rows} rows, {world_size} processes, {workers} workers each"
        parts = []
        for rank in range(world_size):
            for worker in range(workers):
                found = call(function, rows, rank, world_size, worker, workers)
                two = pair(found)
                table = as_table(list(two)) if two is not None else as_table(found)
                if table is None or table.shape != (2,):
                    return "two numbers are wanted, first row and the row after the last. Hint: return begin, end."
                begin, end = table.tolist()
                if begin != int(begin) or end != int(end):
                    return f"{setting}: it gives ({begin:g}, {end:g}). Hint: row numbers are whole, so divide with //."
                parts.append((int(begin), int(end)))
        if problem := _division_problem(parts, rows, workers, setting):
            return problem
    return None


def _division_problem(parts: list[tuple[int, int]], rows: int, workers: int, setting: str) -> str | None:
    if any(begin < 0 for begin, _ in parts):
        return f"{setting}: somebody begins at row {min(begin for begin, _ in parts)}. Hint: rows count from 0."
    read = [row for begin, end in parts for row in range(begin, end)]
    if any(end > rows for _, end in parts):
        return f"{setting}: somebody reads row {max(end for _, end in parts) - 1}, but the last is {rows - 1}. Hint: min(end, rows)?"
    twice, missing = len(read) - len(set(read)), rows - len(set(read))
    processes = {tuple(parts[first : first + workers]) for first in range(0, len(parts), workers)}
    if twice:
        hint = "one ends where the next begins, so use one formula for both ends."
        if len(set(parts)) == 1:
            hint = "all readers get the same stretch; it must depend on rank and worker."
        elif len(processes) == 1:
            hint = "the processes read the same; it must depend on rank, too."
        elif all(len(set(own)) == 1 for own in processes):
            hint = "the workers of a process read the same; it must depend on worker, too."
        return f"{setting}: {twice} rows are read twice. Hint: {hint}"
    if missing:
        hint = "what is left over by // must go to somebody."
        if any(one[1] + 1 == other[0] for one, other in pairwise(sorted(parts))):
            hint = "the second number is the row *after* the last one."
        return f"{setting}: {missing} rows are read by nobody. Hint: {hint}"
    sizes = [end - begin for begin, end in parts]
    if max(sizes) - min(sizes) > 1:
        return (
            f"{setting}: one reader has {max(sizes)} rows and one {min(sizes)}. Hint: rows * reader // readers is the "
            "begin of each."
        )
    return None


@check(
    "most_machines still returns nothing. Hint: try 2 to 64 machines, each with the formula of the lesson.",
    "Now you know what to rent.",
)
def most_machines(function: Callable[..., Any]) -> str | None:
    """A limit that is never reached, one inside the range, and none at all."""
    cases = (
        ((1.0, 100e6, 1.25e9, 0.5), 64, "all 64 have an efficiency of 0.86"),
        ((0.1, 100e6, 1.25e9, 0.3995), 16, "16 have an efficiency of 0.4, 17 have 0.399"),
        ((0.1, 100e6, 125e6, 0.4), 1, "even two machines have an efficiency of 0.11"),
        ((0.1, 100e6, 12.5e9, 0.8), 64, "all 64 have an efficiency of 0.86"),
        ((0.3, 400e6, 4e9, 0.64), 6, "6 have 0.643, 7 have 0.636"),
        ((1.0, 1.0, 1.0, 0.5), 2, "2 have exactly 0.5, which is enough"),
    )
    for arguments, want, said in cases:
        found = as_number(call(function, *arguments))
        if found is None or found != int(found):
            shown = "no number" if found is None else f"{found:g}"
            return f"a whole number of machines is wanted, not {shown}. Hint: count, and return the count."
        if int(found) == want:
            continue
        step, size, bandwidth, minimum = arguments
        hint = "step / (step + traffic) >= minimum, with traffic = 2 * (n - 1) / n * size / bandwidth."
        if want == 1:
            hint = "start from 1, and raise it only where the efficiency is enough."
        elif want == 2 and found == 1:
            hint = "an efficiency of exactly the minimum is enough: >=."
        elif found == 65 or found == 63:
            hint = "the largest that may be tried is 64: range(2, 65)."
        elif found > 64:
            hint = "there are 64 machines at most."
        elif found == want + 1:
            hint = "return the last number that is efficient enough, not the first that is not."
        elif found == 2 and want > 2:
            hint = "do not stop at the first number that is efficient enough; the largest is wanted."
        elif found == _largest(step, size, bandwidth, minimum, 1.0):
            hint = "the ring sends the gradients twice: 2 * (n - 1) / n."
        elif found > 1 and found == _largest(step, 8 * size, bandwidth, minimum, 2.0):
            hint = "the bandwidth is in bytes a second already."
        elif found == 7 and want == 64:
            hint = "a step takes as long as before on each machine: the batch grows, so do not divide step."
        elif found == _largest(step, size, bandwidth, minimum, 2.0, delay=50e-6):
            hint = "the lesson's efficiency counts 50 microseconds a message unless told otherwise: delay=0."
        elif found == 1:
            hint = "1 is right only if 2 are less efficient: their traffic is 2 * (2 - 1) / 2 times size / bandwidth."
        return f"for {arguments} it gives {int(found)}, not {want}: {said}. Hint: {hint}"
    return None


def _largest(step: float, size: float, bandwidth: float, minimum: float, factor: float, delay: float = 0.0) -> int:
    costs = {n: factor * (n - 1) / n * size / bandwidth + 2 * (n - 1) * delay for n in range(1, 65)}
    shares = {n: step / (step + cost) for n, cost in costs.items()}
    return max(n for n, share in shares.items() if share >= minimum)
