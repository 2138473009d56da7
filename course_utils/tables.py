"""Tables from CSV, Parquet, JSON or a database, and a check of every cell that names the row it refuses."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from course_utils import table_sources

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Column:
    """What a column of a table may hold.

    Args:
        kind: "int" (whole numbers of 64 bits; 3.0 is one, True is not), "float" (finite numbers, kept as float32: 7
            digits, up to 3.4e38) or "category" (labels, compared as text).
        minimum: the smallest value allowed, itself included.
        maximum: the largest value allowed, itself included.
        labels: the labels of a category, in the order of its codes. All others are unseen, and refused.
        missing: whether cells may be empty.

    Raises:
        ValueError: kind is something else, a category has no labels or one of them twice, or a range is upside down or
            no numbers of that kind.
    """

    kind: Literal["int", "float", "category"]
    minimum: float | None = None
    maximum: float | None = None
    labels: tuple[str, ...] = ()
    missing: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("int", "float", "category"):
            raise ValueError(f"kind is {self.kind!r}: give 'int', 'float' or 'category'.")
        if (self.kind == "category") != bool(self.labels):
            raise ValueError(f"A column of kind {self.kind!r} with labels {self.labels}: give a category its labels.")
        if not isinstance(self.labels, tuple) or len(set(self.labels)) < len(self.labels):
            raise ValueError(f"labels is {self.labels!r}: give a tuple of different texts.")
        largest = 2**63 - 1 if self.kind == "int" else float(np.finfo(np.float32).max)
        for name, value in (("minimum", self.minimum), ("maximum", self.maximum)):
            if value is not None and not -largest <= value <= largest:
                raise ValueError(
                    f"{name} is {value}, which a column of kind {self.kind!r} cannot hold: give a smaller one."
                )
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}: swap them.")


def read_table(
    source: str | Path, columns: Mapping[str, Column] | None = None, *, table: str | None = None
) -> "pd.DataFrame":
    """Read a table; with ``columns``, check every cell while reading, see :func:`check_table`.

    A CSV file, a Parquet file or a table of a database is read piece by piece, so with ``columns`` the memory needed is
    that of the result, one column and one piece. JSON is read whole.

    Args:
        source: a file that ends in .csv (UTF-8, commas, a header), .parquet, .json (a list of objects) or .jsonl (an
            object a line), or the URL of a database for SQLAlchemy: "sqlite:///phones.db",
            "postgresql+psycopg://user:password@host/name".
        columns: what to expect, by name. Without it, types are pandas' guess.
        table: the name of the table, for a database. Its rows come in the order of its primary key, if it has one.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the source is empty, not a table or of an unknown kind, or a cell is refused.
    """
    import pandas as pd

    kinds = None if columns is None else {name: column.kind for name, column in columns.items()}
    name, pieces = table_sources.open_table(source, table, kinds)
    kept: list[Any] = []
    start = 0
    for piece in pieces:
        if columns is not None:
            piece = _checked(piece, columns, name, table_sources.place_namer(source, start))
        kept.append({column: piece[column] for column in piece})
        start += len(piece)
    if start == 0:
        raise ValueError(f"{name} has no rows: give a table with a header and at least one row.")
    # Column by column, and letting go of the pieces: otherwise everything would be in memory twice.
    joined = {name: pd.concat([part.pop(name) for part in kept], ignore_index=True) for name in list(kept[0])}
    return pd.DataFrame(joined, copy=False)


def check_table(frame: "pd.DataFrame", columns: Mapping[str, Column], *, source: str = "the table") -> "pd.DataFrame":
    """Return ``frame`` with the columns in the order of ``columns``, each in its narrowest type, or refuse it.

    Args:
        frame: any data frame. Its index is not looked at: the first row is row 1.
        columns: what to expect, by name; no column may be missing, and none may be left over.
        source: what to call the table in an error.

    Raises:
        ValueError: a column is missing, left over or there twice, or a cell is missing, not a number, not finite, not
            whole, out of range or an unseen label. The sentence names source, row, column and value.
    """
    return _checked(frame, columns, source, lambda position: f"row {position + 1}")


def _checked(
    frame: "pd.DataFrame", columns: Mapping[str, Column], source: str, where: Callable[[int], str]
) -> "pd.DataFrame":
    import pandas as pd

    table_sources.check_names(list(map(str, frame.columns)), list(columns), source)
    result: dict[str, Any] = {}
    for name, column in columns.items():
        convert = _labels if column.kind == "category" else _numbers
        values, problem = convert(frame[name], column)
        if problem is not None:
            position, text = problem
            raise ValueError(f"{source}, {where(position)}, column {name!r}: {text}{'' if text.endswith('?') else '.'}")
        result[name] = values
    return pd.DataFrame(result, copy=False)


Problem = tuple[int, str] | None


def _first(bad: NDArray[np.bool_]) -> int | None:
    return int(bad.argmax()) if bad.any() else None


def _numbers(given: "pd.Series[Any]", column: Column) -> tuple[NDArray[Any], Problem]:
    """Return a column of numbers in its narrowest type, or the position and the words of the first problem."""
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(given):  # text, or a mixture
        given = given.astype(object)
    if given.dtype.kind == "c" and len(given):
        return given.to_numpy(), (0, f"{given.iloc[0]} is a complex number: give its parts columns of their own")
    empty = given.isna().to_numpy()
    if not column.missing and (at := _first(empty)) is not None:
        return given.to_numpy(), (at, "the cell is empty, or not a number: fill it in, or allow missing values")
    is_bool = np.full(len(given), pd.api.types.is_bool_dtype(given))
    if given.dtype == object:
        is_bool = given.map(lambda value: isinstance(value, (bool, np.bool_))).to_numpy(dtype=bool)
    dtype = np.float64 if empty.any() else None
    numbers = pd.to_numeric(given, errors="coerce").to_numpy(dtype=dtype, na_value=np.nan)
    no_number = pd.isna(numbers) & ~empty
    low = -(2**63) if column.minimum is None and column.kind == "int" else column.minimum
    high = 2**63 - 1 if column.maximum is None and column.kind == "int" else column.maximum
    with np.errstate(invalid="ignore"):
        tests: list[tuple[NDArray[np.bool_], str]] = [
            (is_bool, "is true or false, not a number: write 1 or 0"),
            (no_number, "is not a number: correct it, or leave the cell empty"),
            (np.isinf(numbers), "is not finite: correct it"),
        ]
        if column.kind == "float":
            tests.append((np.abs(numbers) > np.finfo(np.float32).max, "is too large for float32: correct it"))
        elif numbers.dtype.kind == "f":  # where 2**63 - 1 is rounded to 2**63
            tests.append((np.abs(numbers) >= 2.0**63, "is too large for 64 bits: correct it"))
        if column.kind == "int" and numbers.dtype.kind == "f":
            tests.append((~empty & (numbers != np.floor(numbers)), "is not a whole number: correct it"))
        if low is not None:
            tests.append((numbers < low, f"is below the smallest value allowed, {low}: correct it"))
        if high is not None:
            tests.append((numbers > high, f"is above the largest value allowed, {high}: correct it"))
    found = [(at, words) for bad, words in tests if (at := _first(bad)) is not None]
    if found:
        at, words = found[0]
        value = given.iloc[at]
        return numbers, (at, f"{repr(value) if isinstance(value, str) else value} {words}")
    return numbers.astype(_dtype(column)), None


def _dtype(column: Column) -> type[np.generic] | np.dtype[Any]:
    """Return the narrowest type for all numbers that are allowed. Missing ones are nan, which only floats have."""
    if column.kind == "float":
        return np.float32
    if column.missing:
        return np.float64
    if column.minimum is None or column.maximum is None:
        return np.int64
    return np.result_type(*(np.min_scalar_type(min(-1, int(end))) for end in (column.minimum, -column.maximum - 1)))


def _labels(given: "pd.Series[Any]", column: Column) -> tuple[Any, Problem]:
    """Return a column of labels as categories, or the position and the words of the first problem."""
    import pandas as pd

    empty = given.isna().to_numpy()
    if not column.missing and (at := _first(empty)) is not None:
        return given, (at, "the cell is empty: fill it in, or allow missing values")
    text = given.astype(object).where(~empty, None).map(str, na_action="ignore")
    if (at := _first(~empty & ~text.isin(column.labels).to_numpy())) is not None:
        close = difflib.get_close_matches(text.iloc[at], column.labels, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(map(repr, column.labels))[:200]}"
        return given, (at, f"{text.iloc[at]!r} is an unseen label: {hint}")
    return pd.Categorical(text, categories=pd.Index(column.labels, dtype=object)), None
