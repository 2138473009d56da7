"""Checks of notebook 15."""

import math
from collections.abc import Callable
from typing import Any

from checks import as_number, as_table, call, check

REFERENCE, CURRENT = [40, 30, 20, 10], [10, 20, 20, 0]


def _close(found: float, want: float) -> bool:
    return abs(found - want) <= 1e-4 * max(1.0, abs(want))


def _shares(counts: list[int], more: float = 0.5) -> list[float]:
    total = sum(counts) + more * len(counts)
    return [(count + more) / total for count in counts]


def _psi(p: list[float], q: list[float]) -> float:
    return sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))


@check(
    "psi_from_counts still returns nothing. Hint: counts plus 0.5, then shares, then the sum of (q - p) * ln(q / p).",
    "Every bin adds to it, the empty one too.",
)
def psi_from_counts(function: Callable[..., Any]) -> str | None:
    """Four bins, one of them empty now; equal shares of unequal samples; the arguments stay."""
    given = list(REFERENCE), list(CURRENT)
    result = call(function, *given)
    found, table = as_number(result), as_table(result)
    if found is None:
        if table is not None and table.numel() == 4:
            return "four numbers are what each bin adds. Hint: return their sum."
        return "one number is wanted. Hint: return the sum over the bins."
    p, q = _shares(REFERENCE), _shares(CURRENT)
    want = _psi(p, q)
    if not math.isfinite(found):
        return f"it gives {found}: the last bin is empty now. Hint: add 0.5 to each count, before they become shares."
    raised = [count + 0.5 for count in REFERENCE], [count + 0.5 for count in CURRENT]
    late = [count / 100 + 0.5 for count in REFERENCE], [count / 50 + 0.5 for count in CURRENT]
    one_sided = sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
    other_side = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    filled = [
        sum((b - a) * math.log(b / a) for a, b in zip(_shares(REFERENCE, 0), _shares(CURRENT, 0), strict=True) if b)
    ]
    unequal = [(c + 0.5) / 100 for c in REFERENCE], [(c + 0.5) / 50 for c in CURRENT]
    others = {
        want / math.log(10): "that is the logarithm to base 10. Hint: np.log or math.log.",
        want / math.log(2): "that is the logarithm to base 2. Hint: np.log or math.log.",
        -want: "the sign is turned around. Hint: (q - p) goes with ln(q / p), q of today in both.",
        want / 4: "that is the mean over the bins. Hint: the sum.",
        _psi(*raised): "those are counts. Hint: divide each by its own sum before comparing.",
        _psi(*late): "0.5 was added to shares. Hint: add half a sample to each count, and divide after that.",
        _psi(*unequal): "the shares do not add up to 1. Hint: divide by the sum after adding 0.5.",
        one_sided: "that is the Kullback-Leibler divergence. Hint: the factor is (q - p), not q.",
        other_side: "that is the Kullback-Leibler divergence. Hint: the factor is (q - p), not p.",
        sum(abs(b - a) for a, b in zip(p, q, strict=True)): "that is the sum of the differences. Hint: each one times "
        "ln(q / p).",
        sum((b - a) ** 2 / a for a, b in zip(p, q, strict=True)): "that is the sum of (q - p)² / p. Hint: (q - p) * "
        "ln(q / p).",
        filled[0]: "the empty bin is left out. Hint: it counts most; add 0.5 to each count.",
        _psi(_shares(REFERENCE, 1), _shares(CURRENT, 1)): "that is with one sample more in each bin. Hint: add 0.5.",
    }
    if not _close(found, want):
        for value, said in others.items():
            if _close(found, value):
                return f"it gives {found:.4f}, not {want:.4f}: {said}"
        return f"it gives {found:.4f}, not {want:.4f}. Hint: counts plus 0.5, shares, then sum((q - p) * ln(q / p))."
    if given != (REFERENCE, CURRENT):
        return "the lists have changed after the call. Hint: += writes into them; work on np.array(counts)."
    longer = [5, 0, 7, 0, 9, 11, 2], [50, 3, 0, 0, 90, 100, 21]
    found, want = as_number(call(function, *longer)), _psi(_shares(longer[0]), _shares(longer[1]))
    if found is None or not _close(found, want):
        return f"for seven bins it gives {_shown(found)}, not {want:.4f}. Hint: take the number of bins from the lists."
    return None


# Their order is not their size, two of them cross after multiplying, and one goes above 1.
P_VALUES = [0.03, 0.6, 0.01, 0.028, 0.55]


@check(
    "corrected still returns nothing. Hint: sort the places by p-value, and go from the smallest to the largest.",
    "Each in its place, none overtaken.",
)
def corrected(function: Callable[..., Any]) -> str | None:
    """Five p-values out of order; then ties, one alone, and one that overtakes two."""
    given = list(P_VALUES)
    found = as_table(call(function, given))
    if found is None or found.ndim != 1:
        return "a list of numbers is wanted. Hint: one corrected p-value for each that came."
    if len(found) != len(P_VALUES):
        return f"it has {len(found)} numbers, not {len(P_VALUES)}. Hint: one for each p-value."
    want = _holm(P_VALUES)
    if problem := _holm_problem(found.tolist(), want):
        return problem
    if given != P_VALUES:
        return "the list has changed after the call. Hint: .sort() works in place; sorted() makes a new list."
    # In the last list, 0.01 * 4 overtakes the next two, which do not overtake each other.
    for values in ([0.01, 0.01, 0.2], [0.4], [0.9, 0.8], [0.01, 0.012, 0.013, 0.9]):
        found = as_table(call(function, list(values)))
        want = _holm(values)
        if found is None or found.tolist() != [value for value in found.tolist() if math.isfinite(value)]:
            return f"for {values} it gives no numbers. Hint: take their number from the list."
        if len(found) != len(want) or not all(map(_close, found.tolist(), want)):
            if len(values) == 4:
                return (
                    f"for {values} it gives {_few(found.tolist())}, not {_few(want)}. Hint: none falls below the largest of "
                    "*all* before it, not only of the last; carry the corrected ones along."
                )
            return (
                f"for {values} it gives {_few(found.tolist())}, not {_few(want)}. Hint: equal p-values come out equal, "
                "each in its own place, none above 1, and their number comes from the list."
            )
    return None


def _holm(p_values: list[float]) -> list[float]:
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = least
    return adjusted


def _holm_problem(found: list[float], want: list[float]) -> str | None:
    count = len(P_VALUES)
    order = sorted(range(count), key=P_VALUES.__getitem__)
    multiplied = {place: (count - rank) * P_VALUES[place] for rank, place in enumerate(order)}
    hochberg, most = [0.0] * count, 1.0
    for rank, place in reversed(list(enumerate(order))):
        most = min(most, P_VALUES[place] * count / (rank + 1))
        hochberg[place] = most
    uncapped, least = [0.0] * count, 0.0
    for place in order:
        least = uncapped[place] = max(least, multiplied[place])
    cases = [
        (P_VALUES, "nothing was corrected. Hint: the smallest times 5, the next times 4, and so on."),
        (
            [min(1.0, count * p) for p in P_VALUES],
            "all are multiplied by 5, which is Bonferroni. Hint: the next ones by 4, 3, 2, 1.",
        ),
        (
            [count * p for p in P_VALUES],
            "all are multiplied by 5. Hint: the next ones by 4, 3, 2, 1, and none above 1.",
        ),
        (sorted(want), "they come out sorted. Hint: each goes back to the place where its p-value came from."),
        (
            [min(1.0, multiplied[place]) for place in range(count)],
            "0.03 comes out below 0.028. Hint: carry the largest so far along, and let none fall below it.",
        ),
        (
            [multiplied[place] for place in range(count)],
            "0.03 comes out below 0.028, and one is above 1. Hint: max with the largest so far, min with 1.",
        ),
        (uncapped, "one is above 1. Hint: min(1.0, ...)."),
        (hochberg, "that is Benjamini-Hochberg. Hint: Holm multiplies the smallest by 5 and goes upwards from there."),
        (
            [min(1.0, (count - place) * p) for place, p in enumerate(P_VALUES)],
            "the factors follow the order in the list. Hint: the *smallest* p-value gets the factor 5.",
        ),
        (
            [(rank + 1) * P_VALUES[place] for place in range(count) for rank in [order.index(place)]],
            "the smallest gets the factor 1. Hint: it gets the largest one, 5.",
        ),
    ]
    if all(map(_close, found, want)):
        return None
    for values, said in cases:
        if all(map(_close, found, values)):
            return f"{_few(P_VALUES)} becomes {_few(found)}: {said}"
    return (
        f"{_few(P_VALUES)} becomes {_few(found)}, not {_few(want)}. Hint: from the smallest on, times 5, 4, 3, 2, 1; none "
        "below the one before, none above 1."
    )


@check(
    "sign_test still returns nothing. Hint: add up math.comb(n, k) for k from wins to n, and divide by 2**n.",
    "So many wins or more, by luck alone.",
)
def sign_test(function: Callable[..., Any]) -> str | None:
    """Eight wins and two losses; the other way round; no difference; many."""
    found = as_number(call(function, 8, 2))
    if found is None:
        return "one number is wanted. Hint: return the probability alone."
    want, others = 56 / 1024, {
        11 / 1024: "so many wins or more: 8 belongs to them. Hint: range(wins, n + 1) begins with wins.",
        45 / 1024: "that is the chance of exactly 8 wins. Hint: add those of 9 and of 10.",
        55 / 1024: "10 wins are left out. Hint: range ends before its second number, so n + 1.",
        112 / 1024: "that is two-sided. Hint: only many wins speak for the candidate.",
        968 / 1024: "that is the chance of fewer than 8 wins. Hint: from wins upwards.",
        1013 / 1024: "that is the chance of so many wins or fewer. Hint: from wins upwards.",
        56.0: "that counts the ways. Hint: divide by all of them, 2**n.",
        0.8: "that is the share of wins. Hint: how likely is it, if each image is a toss of a coin?",
    }  # fmt: skip
    if not _close(found, want):
        for value, said in others.items():
            if _close(found, value):
                return f"for 8 wins and 2 losses it gives {found:.4f}, not {want:.4f}: {said}"
        return (
            f"for 8 wins and 2 losses it gives {found:.4f}, not {want:.4f}. Hint: n is wins + losses; the ways to win 8, 9 "
            "or 10 of 10, divided by 2**10."
        )
    for wins, losses in ((2, 8), (0, 0), (0, 3), (5, 0), (70, 50)):
        tosses = wins + losses
        want = sum(math.comb(tosses, k) for k in range(wins, tosses + 1)) / 2**tosses
        try:
            found = as_number(call(function, wins, losses))
        except (ZeroDivisionError, ValueError):
            if tosses:
                raise
            found = None
        if found is None or not abs(found - want) < 1e-4:
            hint = "without any difference it is 1." if tosses == 0 else "wins and losses are not always the same."
            if _close(want, 1013 / 1024) and found is not None and found < 0.5:
                hint = (
                    "more losses than wins speak against the candidate: start the sum at wins, not at the larger one."
                )
            return f"for {wins} wins and {losses} losses it gives {_shown(found)}, not {want:.4f}. Hint: {hint}"
    return None


def _few(values: list[float]) -> str:
    return "[" + ", ".join(f"{value:.3g}" for value in values) + "]"


def _shown(found: float | None) -> str:
    return "no number" if found is None else f"{found:.4f}"
