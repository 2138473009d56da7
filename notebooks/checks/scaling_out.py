"""Checks of notebook 16."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from checks import as_number, as_table, call, check, pair


@check(
    "mean_of_all still returns nothing. Hint: mean times samples is a sum; add up the sums, then divide once.",
    "Each sample counts the same, whoever had it.",
)
def mean_of_all(function: Callable[..., Any]) -> str | None:
    """Unequal parts, one process without samples, and one process alone."""
    means, samples = [0.5, 1.25, 2.0], [100, 60, 40]
    given = list(means), list(samples)
    found = as_number(call(function, *given))
    if found is None:
        return "one number is wanted. Hint: the sum over all processes, divided by all samples."
    want = 205 / 200
    others = {
        205.0: "that is the sum over all samples. Hint: divide it by sum(samples).",
        205 / 3: "the sum was divided by the number of processes. Hint: divide by sum(samples).",
        3.75: "that is the sum of the means. Hint: a mean counts as often as it has samples.",
        3.75 / 200: "the means were added as they are. Hint: mean * count first.",
        1.25: "that is the mean of the means, as if all had as many samples. Hint: weigh by samples.",
        0.5: "that is the mean of the first process alone. Hint: go through all of them.",
    }
    if not abs(found - want) < 1e-6:
        for value, said in others.items():
            if abs(found - value) < 1e-6:
                return f"it gives {found:g}, not {want:g}: {said}"
        return f"it gives {found:g}, not {want:g}. Hint: sum(mean * count) / sum(samples)."
    if given != (means, samples):
        return "means or samples have changed after the call. Hint: build a new list, do not write into theirs."
    found = as_number(call(function, [2.0, math.nan, 1.0], [30, 0, 10]))
    if found is None or not abs(found - 1.75) < 1e-6:
        hint = "nan * 0 is nan, so leave out those with 0 samples."
        if found is not None and math.isfinite(found):
            hint = "its nan is no 0 and no 1; leave it out, and divide by the samples of all."
        return f"where one process has no sample it gives {found}, not 1.75. Hint: {hint}"
    found = as_number(call(function, [math.nan, 1.0], [5, 10]))
    if found is None or not math.isnan(found):
        return f"a nan of five real samples must be seen, but it gives {found}. Hint: leave out by count == 0, not by isnan."
    found = as_number(call(function, [0.25], [8]))
    if found is None or not abs(found - 0.25) < 1e-6:
        return f"one process alone has the mean 0.25, but it gives {found}. Hint: take the number of processes from the lists."
    return None


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
    """A limit inside the range, none at all, and one that is never reached."""
    cases = (
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
        elif found == _largest(step, 8 * size, bandwidth, minimum, 2.0):
            hint = "the bandwidth is in bytes a second already."
        elif found == _largest(step, size, bandwidth, minimum, 2.0, delay=50e-6):
            hint = "the lesson's efficiency counts 50 microseconds a message unless told otherwise: delay=0."
        elif found == 1:
            hint = "1 is right only if 2 are less efficient; is the comparison >=, and the right way round?"
        return f"for {arguments} it gives {int(found)}, not {want}: {said}. Hint: {hint}"
    return None


def _largest(step: float, size: float, bandwidth: float, minimum: float, factor: float, delay: float = 0.0) -> int:
    costs = {n: factor * (n - 1) / n * size / bandwidth + 2 * (n - 1) * delay for n in range(1, 65)}
    shares = {n: step / (step + cost) for n, cost in costs.items()}
    return max(n for n, share in shares.items() if share >= minimum)
