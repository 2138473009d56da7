"""Checks of notebook 10."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from checks import as_table, call, check, pair


@check(
    "stratified still returns nothing. Hint: for each class find its rows, shuffle them, and cut them in two.",
    "Each class in its share, each row once, and a seed repeats it.",
)
def stratified(function: Callable[..., Any]) -> str | None:
    """Three classes of 40, 20 and 10 rows in a mixed order; two classes with other numbers; what a seed does."""
    order = torch.randperm(70, generator=torch.Generator().manual_seed(1))
    cases = (
        (torch.repeat_interleave(torch.tensor([0, 1, 2]), torch.tensor([40, 20, 10]))[order], 0.2),
        (torch.tensor([7, 3, 3, 7, 3, 3, 7, 3, 3, 3, 7, 3]), 0.3),  # of 8 and of 4 rows: 2.4 and 1.2
        (torch.tensor([1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1]), 0.4),  # of 7 and of 4 rows: 2.8 and 1.6
    )
    for y, share in cases:
        torch.manual_seed(0)
        given = y.clone()
        parts = pair(call(function, given, share))
        if parts is None:
            return "two tensors are wanted. Hint: return train, test."
        rows = [as_table(part) for part in parts]
        if rows[0] is None or rows[1] is None or rows[0].ndim != 1 or rows[1].ndim != 1:
            return "two tensors of row numbers are wanted. Hint: torch.cat makes one of a list of tensors."
        if problem := _split_problem(rows[0].tolist(), rows[1].tolist(), y, share):
            return problem
        if not torch.equal(given, y):
            return "y has changed after the call. Hint: only read it."
    y, share = cases[0]
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append({int(row) for row in call(function, y.clone(), share)[1]})
    if drawn[0] == drawn[2]:
        return "two seeds give the same test rows: nothing is drawn. Hint: rows[torch.randperm(len(rows))], before the cut."
    if drawn[0] != drawn[1]:
        return "after the same torch.manual_seed, another split comes out. Hint: draw with torch.randperm."
    return None


def _split_problem(train: list[float], test: list[float], y: torch.Tensor, share: float) -> str | None:
    every, count = set(range(len(y))), len(y)
    if len(train) == len(test) == count:
        return "both parts have an entry for each row: those are masks. Hint: return row numbers, torch.nonzero(mask).flatten()."
    if not set(train + test) <= every:
        return f"{min(set(train + test) - every):g} is no row of a table of {count}. Hint: rows[torch.randperm(len(rows))]."
    if both := set(train) & set(test):
        return f"row {min(both):g} is in both parts. Hint: rows[:n] and rows[n:], of the same shuffled rows; places within a class are not row numbers."
    if len(set(train + test)) < len(train + test):
        return "a row is there twice. Hint: go through y.unique(), each class once."
    if missing := every - set(train + test):
        return f"{len(missing)} of {count} rows are in neither part. Hint: train is all that test leaves, rows[n:]."
    if len(test) > len(train):
        return f"the test part has {len(test)} of {count} rows. Hint: return train, test, in this order; `share` is that of the test part."
    for label in y.unique().tolist():
        rows = torch.nonzero(y == label).flatten().tolist()
        found, want = sum(row in rows for row in test), round(len(rows) * share)
        if found != want:
            hint = "cut each class by itself, not the whole table"
            if abs(found - len(rows) * share) < 1:
                hint = "round(n * share), neither int() nor ceil"
            return f"of {len(rows)} rows of class {label}, {found} are in the test part, not {want}. Hint: {hint}."
    return None


@check(
    "bad_line still returns nothing. Hint: frame[column].between(low, high) says which cells are fine.",
    "That is where an editor would find it.",
)
def bad_line(function: Callable[..., Any]) -> str | None:
    """Ends, a missing cell, two bad cells, the first cell, none, and an index that is no position."""
    import pandas as pd

    def frame(values: Sequence[float]) -> Any:
        return pd.DataFrame({"id": [9.0] * len(values), "ram": values}, index=range(70, 70 + len(values)))

    def shuffled(values: Sequence[float]) -> Any:
        return frame(values).set_axis([3, 0, 3, 1, 3][: len(values)])

    cases = [
        ([256, 4000, 300, 300, 100, 500], 6, "the value 100 in the fifth row"),
        ([300, 9000, 400, 100, 300], 3, "two bad values, the first of them in the second row"),
        ([7000, 300], 2, "the value 7000 in the first row"),
    ]
    for values, want, what in cases:
        found = call(function, frame(values), "ram", 256, 4000)
        if isinstance(found, str):
            return f"it gives the text {found!r}. Hint: a number is wanted, so return the int itself."
        if hasattr(found, "__len__") and getattr(found, "shape", None) != ():
            return "one number is wanted. Hint: return the first of them, with [0]."
        try:
            number = int(found)
        except (TypeError, ValueError):
            return f"a line number is wanted, not {type(found).__name__}. Hint: an int."
        if number == want:
            continue
        said = f"for {what} it gives {number}, not {want}. Hint: "
        if number == 0 and want == 2:
            return said + "position 0 counts as False; ask len(bad) > 0, not bad.any() or `if position`."
        if number in (want - 1, want - 2):
            return said + "positions count from 0, and the header is line 1: position + 2."
        if number >= 70:
            return said + "that is from the frame's index, which may be anything; take the position, np.flatnonzero."
        if number in (2, 3) and want == 6:
            return said + "the values 256 and 4000 themselves are allowed."
        if number == 5 and want == 3:
            return said + "the first bad line is wanted."
        if number == 0:
            return said + "0 means that there is none; look at both `low` and `high`."
        return said + "find the positions of bad cells, take the first, add 2."
    if call(function, frame([300.0, math.nan, 400.0]), "ram", 256, 4000) != 3:
        return "a missing cell is not found. Hint: nan is neither below nor above; use ~between(low, high), or isna()."
    try:
        none = function(frame([300, 400]), "ram", 256, 4000)
    except (IndexError, StopIteration, ValueError):
        return "where every cell is fine it raises. Hint: return 0 if there is no bad position."
    if none is None or int(none) != 0:
        return f"where every cell is fine it gives {none}. Hint: return 0 then."
    try:
        moved = call(function, shuffled([300, 400, 300, 5000, 300]), "ram", 256, 4000)
        again = call(function, shuffled([300, 400, 5000, 300, 300]), "ram", 256, 4000)
    except (KeyError, TypeError, ValueError):
        moved = again = None
    if (moved, again) != (5, 4):
        return "with the index 3, 0, 3, 1, 3 the line is wrong. Hint: the index may be anything; np.flatnonzero."
    if call(function, frame([7, 9]), "id", 0, 8) != 2:
        return "another column is not looked at. Hint: use the arguments column, low and high."
    return None


@check(
    "importances still returns nothing. Hint: for each column, shuffle it in X.clone() and predict again.",
    "Only the columns that the model uses cost something.",
)
def importances(function: Callable[..., Any]) -> str | None:
    """A model that uses the second and, for few rows, the third of four columns; then one of three columns."""
    generator = torch.Generator().manual_seed(3)
    rows = 5 + 2 * torch.randn(2000, 4, generator=generator)

    def predict(x: torch.Tensor) -> torch.Tensor:
        return (x[:, 1] + 0.2 * x[:, 2] > 5).long()

    targets = predict(rows)
    targets[::4] = 1 - targets[::4]  # an accuracy of exactly 75%
    given = rows.clone()
    torch.manual_seed(0)
    result = call(function, predict, given, targets.clone())
    if isinstance(result, dict):
        return "a dict is returned. Hint: a list, with one number for each column in order."
    found = as_table(result)
    if found is None or found.shape != (4,):
        return "four columns should give a list of four numbers. Hint: append one for each column."
    values = " ".join(f"{value:.2f}" for value in found.tolist())
    if not torch.equal(given, rows):
        return "X has changed after the call. Hint: shuffle in a copy, X.clone(), made anew for each column."
    if found[0].abs() < 1e-9 and found[1] < -0.1:
        return f"it gives {values}: the sign is turned around. Hint: accuracy before minus accuracy after."
    for share, kind in ((0.75, "accuracies"), (0.25, "shares of errors")):
        if (found[[0, 3]] - share).abs().max() < 1e-6:
            return f"it gives {values}: those are {kind}. Hint: accuracy on X itself minus accuracy after shuffling."
    if found.max() > 1:
        return f"it gives {values}: those are no shares. Hint: means, not counts or percentages."
    if found[1].abs() < 1e-9:
        return f"it gives {values}, but the model uses column 1. Hint: X[torch.randperm(len(X)), column] is shuffled."
    if found[3] > 0.1 or found[0] > 0.1:
        return (
            f"it gives {values}, but the model does not use the first and last column. Hint: shuffle one column alone, in a "
            "fresh copy, and leave the rows' other values in place."
        )
    if not (0.17 < found[1] < 0.26 and 0 < found[2] < 0.08 and found[[0, 3]].abs().max() < 1e-9):
        hint = "compare predictions with y, not with those before, and shuffle the column, no 0 or noise in its place."
        return f"it gives {values}; about 0.00 0.21 0.03 0.00 is right. Hint: {hint}"
    return _three_columns(function)


def _three_columns(function: Callable[..., Any]) -> str | None:
    """Another number of columns, of which the last one helps when shuffled: it is always wrong."""
    rows = torch.randn(1000, 3, generator=torch.Generator().manual_seed(4))

    def predict(x: torch.Tensor) -> torch.Tensor:
        return (x[:, 2] > 0).long()

    try:
        found = as_table(call(function, predict, rows.clone(), 1 - predict(rows)))
    except IndexError:
        found = None
    if found is None or found.shape != (3,):
        return "three columns should give three numbers. Hint: for column in range(X.shape[1])."
    if found[2] > 0:
        return "a column that misleads the model costs less than nothing. Hint: keep the sign, without abs."
    if not (-0.6 < found[2] < -0.4 and found[:2].abs().max() < 1e-9):
        return (
            "on a model that is always wrong the numbers do not fit. Hint: a shuffled column, and accuracy against y."
        )
    return None
