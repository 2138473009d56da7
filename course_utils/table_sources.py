"""Where tables come from: files and databases, read piece by piece. ``tables.read_table`` is what to call."""

import csv
import difflib
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Kinds = Mapping[str, str] | None  # of the columns, by name

ROWS = 50_000  # read and checked together: what is read stays small beside what is kept
SUFFIXES = (".csv", ".parquet", ".json", ".jsonl")
NO_NUMBER = ["", "NA", "N/A", "n/a", "nan", "NaN", "NULL", "null", "None"]  # in a text file; a label may be called so


def open_table(source: str | Path, table: str | None, kinds: Kinds) -> tuple[str, Iterator["pd.DataFrame"]]:
    """Return what to call a source in an error, without a password, and its pieces; see ``read_table``."""
    if "://" in str(source):
        return _database(str(source), table)
    if not Path(source).is_file():
        raise FileNotFoundError(f"There is no file {source}: give the path of a table ({', '.join(SUFFIXES)}).")
    return str(source), _file(Path(source), kinds)


def check_names(found: list[str], wanted: list[str], source: str) -> None:
    """Refuse column names that are missing, left over or there twice."""
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise ValueError(f"{source} has more than one column {twice[0]!r}: give each column its own name.")
    missing, extra = [n for n in wanted if n not in found], [n for n in found if n not in wanted]
    if missing:
        plain = {name.strip().lower().replace(" ", "_"): name for name in extra}
        close = difflib.get_close_matches(missing[0].lower(), plain, n=1)
        if close:
            hint = f"did you mean its column {plain[close[0]]!r}? Rename it"
        elif len(found) == 1 and any(mark in found[0] for mark in ";\t|"):
            hint = "its header has no commas, so separate the fields with commas"
        else:
            hint = f"add it (found: {', '.join(found)[:200]})"
        raise ValueError(f"{source} has no column {missing[0]!r}: {hint}.")
    if extra:
        raise ValueError(f"{source} has a column {extra[0]!r} that nobody expects: drop it, or add it to the columns.")


def _file(path: Path, kinds: Kinds) -> Iterator["pd.DataFrame"]:
    """Give a file's table piece by piece, and say in one sentence what a library says in many."""
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path} ends in {suffix!r}, which is no kind of table here: give {', '.join(SUFFIXES)}.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty: give a table with a header and at least one row.")
    try:
        if suffix == ".csv":
            yield from _csv(path, kinds)
        elif suffix == ".parquet":
            from pyarrow import parquet  # type: ignore[import-untyped]

            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(ROWS):
                    yield batch.to_pandas()
        else:
            options: Any = {"orient": "records", "lines": suffix == ".jsonl", "dtype": False}
            yield pd.read_json(path, **options)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8 (byte {error.start + 1}): save it in UTF-8.") from error
    except (
        csv.Error,
        pd.errors.ParserError,
        pd.errors.ParserWarning,
        OSError,
        AttributeError,
        TypeError,
        ValueError,
    ) as error:
        if isinstance(error, ValueError) and str(error).startswith(str(path)):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is not a table that can be read ({reason}): look at it in an editor.") from error


def _csv(path: Path, kinds: Kinds) -> Iterator["pd.DataFrame"]:
    import pandas as pd

    with path.open(encoding="utf-8-sig", newline="") as file:
        names = next((row for row in csv.reader(file) if row), [])
    check_names(names, list(kinds or names), str(path))  # here, because pandas would rename a second 'ram' to 'ram.1'
    options: dict[str, Any] = {"index_col": False, "encoding": "utf-8-sig", "chunksize": ROWS}
    if kinds is not None:
        labels = [name for name, kind in kinds.items() if kind == "category"]
        options |= {"keep_default_na": False, "dtype": dict.fromkeys(labels, "str")}
        options["na_values"] = {name: [""] if name in labels else NO_NUMBER for name in kinds}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a row with more fields than the header
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)
        with pd.read_csv(path, **options) as pieces:
            yield from pieces


def place_namer(source: str | Path, start: int) -> Callable[[int], str]:
    """Return what turns a position in a piece into words: in a CSV file the line, elsewhere the row."""

    def where(position: int) -> str:
        wanted = start + position + 1
        if not str(source).lower().endswith(".csv"):
            return f"row {wanted}"
        csv.field_size_limit(2**31 - 1)  # pandas has none
        with Path(source).open(encoding="utf-8-sig", newline="") as file:
            reader, records, line = csv.reader(file), -1, 0  # the header is no record; empty lines are none, but count
            while records < wanted:
                line = reader.line_num + 1  # where the next record begins: line breaks in quotes count
                row = next(reader, None)
                if row is None:
                    break
                records += bool(row)
            return f"line {line}"

    return where


def _database(url: str, table: str | None) -> tuple[str, Iterator["pd.DataFrame"]]:
    """Return what to call a table of a database, without the password, and its pieces."""
    import sqlalchemy as sa

    try:
        engine = sa.create_engine(url)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
        raise ValueError(f"No database can be opened so ({error}): correct the URL, or install its driver.") from error
    name = engine.url.render_as_string(hide_password=True)
    database = engine.url.database
    if engine.dialect.name == "sqlite" and database and not Path(database).is_file():  # SQLite would make an empty one
        raise FileNotFoundError(f"There is no database file {database}: correct the URL {name}.")
    try:
        inspector = sa.inspect(engine)
        known = [*inspector.get_table_names(), *inspector.get_view_names()]
    except sa.exc.SQLAlchemyError as error:
        engine.dispose()
        raise ValueError(f"{name} cannot be read ({_first_line(error)}): correct the URL.") from error
    if table not in known:
        engine.dispose()
        there = f"give one of {', '.join(map(repr, known))[:200]} as table" if known else "it has none at all"
        raise ValueError(f"{name} has no table {table!r}: {there}.")
    return f"{name}, table {table!r}", _rows(engine, str(table))


def _rows(engine: Any, table: str) -> Iterator["pd.DataFrame"]:
    import pandas as pd
    import sqlalchemy as sa

    try:
        description = sa.Table(table, sa.MetaData(), autoload_with=engine)
        query = sa.select(description).order_by(*description.primary_key.columns)
        with engine.connect().execution_options(stream_results=True) as connection:
            yield from pd.read_sql_query(query, connection, chunksize=ROWS)
    except (sa.exc.SQLAlchemyError, TypeError, ValueError) as error:
        where = engine.url.render_as_string(hide_password=True)
        raise ValueError(
            f"{where}, table {table!r} cannot be read ({_first_line(error)}): look at it there."
        ) from error
    finally:
        engine.dispose()


def _first_line(error: Exception) -> str:
    return " ".join(str(error).splitlines()[0].split())[:200] if str(error) else type(error).__name__
