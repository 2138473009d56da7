"""Every source gives the same frame, and every kind of bad cell is refused by name and row."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from course_utils import table_sources
from course_utils.tables import Column, check_table, read_table

COLUMNS = {
    "ram": Column("int", 256, 4000),
    "depth": Column("float", 0.1, 1.0),
    "brand": Column("category", labels=("Ada", "Bell", "NA")),
    "year": Column("int", missing=True),
}
GOOD = "ram,depth,brand,year\n256,0.1,Ada,2020\n300,0.5,NA,\n4000,1,Bell,2021\n"


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    return write(tmp_path, GOOD)


def write(folder: Path, text: str, name: str = "phones.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def refused(source: Any, **options: Any) -> str:
    with pytest.raises(ValueError, match=r"\S") as caught:
        read_table(source, COLUMNS, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_types_are_narrow_and_labels_are_not_taken_for_missing(csv_file: Path) -> None:
    frame = read_table(csv_file, COLUMNS)
    assert [str(dtype) for dtype in frame.dtypes] == ["int16", "float32", "category", "float64"]
    assert frame["brand"].tolist() == ["Ada", "NA", "Bell"]
    assert frame["brand"].cat.codes.tolist() == [0, 2, 1]
    assert frame["year"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("minimum", "maximum", "dtype"),
    [
        (0, 127, "int8"),
        (0, 128, "int16"),
        (-129, 0, "int16"),
        (0, 32768, "int32"),
        (None, 5, "int64"),
        (0, 2**31, "int64"),
    ],
)
def test_the_narrowest_type_holds_both_ends(minimum: int | None, maximum: int, dtype: str) -> None:
    ends = [maximum if minimum is None else minimum, maximum]
    frame = check_table(pd.DataFrame({"a": ends}), {"a": Column("int", minimum, maximum)})
    assert str(frame["a"].dtype) == dtype
    assert frame["a"].tolist() == ends


def test_every_source_gives_the_same_frame(tmp_path: Path, csv_file: Path) -> None:
    frame = read_table(csv_file, COLUMNS)
    plain = frame.astype({"brand": str})
    plain.to_parquet(tmp_path / "phones.parquet")
    plain.to_json(tmp_path / "phones.json", orient="records")
    plain.to_json(tmp_path / "phones.jsonl", orient="records", lines=True)
    url = f"sqlite:///{tmp_path / 'phones.db'}"
    engine = sa.create_engine(url)
    plain.to_sql("phones", engine, index=False)
    engine.dispose()
    for name in ("phones.parquet", "phones.json", "phones.jsonl"):
        pd.testing.assert_frame_equal(read_table(tmp_path / name, COLUMNS), frame)
    pd.testing.assert_frame_equal(read_table(url, COLUMNS, table="phones"), frame)


def test_many_pieces_are_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "ram,depth,brand,year\n" + "".join(f"{300 + n},0.5,Ada,\n" for n in range(10))
    whole = read_table(write(tmp_path, text), COLUMNS)
    monkeypatch.setattr(table_sources, "ROWS", 3)
    pd.testing.assert_frame_equal(read_table(tmp_path / "phones.csv", COLUMNS), whole)
    assert whole["ram"].tolist() == list(range(300, 310))
    bad = write(tmp_path, text + "\n9,0.5,Ada,\n")  # an empty line before it counts
    assert "phones.csv, line 13, column 'ram': 9 is below the smallest value allowed, 256" in refused(bad)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("many,0.5,Ada,1", "column 'ram': 'many' is not a number: correct it"),
        ("True,0.5,Ada,1", "column 'ram': 'True' is not a number"),
        ("300.5,0.5,Ada,1", "column 'ram': 300.5 is not a whole number"),
        ("255,0.5,Ada,1", "column 'ram': 255 is below the smallest value allowed, 256"),
        ("4001,0.5,Ada,1", "column 'ram': 4001 is above the largest value allowed, 4000"),
        (",0.5,Ada,1", "column 'ram': the cell is empty, or not a number: fill it in"),
        ("NA,0.5,Ada,1", "column 'ram': the cell is empty, or not a number: fill it in"),
        ("300,inf,Ada,1", "column 'depth': inf is not finite"),
        ("300,-inf,Ada,1", "column 'depth': -inf is not finite"),
        ("300,0.5,Bel,1", "column 'brand': 'Bel' is an unseen label: did you mean 'Bell'?"),
        ("300,0.5,Zuse,1", "column 'brand': 'Zuse' is an unseen label: known are 'Ada', 'Bell', 'NA'"),
        ("300,0.5,,1", "column 'brand': the cell is empty"),
        ("300,0.5,Ada,99999999999999999999", "column 'year': 99999999999999999999 is too large for 64 bits"),
        ("300", "column 'depth': the cell is empty"),
    ],
)
def test_a_bad_cell_is_named(tmp_path: Path, row: str, said: str) -> None:
    message = refused(write(tmp_path, GOOD + row + "\n"))
    assert message.startswith(f"{tmp_path / 'phones.csv'}, line 5, {said}"), message


def test_whole_numbers_may_be_written_with_a_point(tmp_path: Path) -> None:
    frame = read_table(write(tmp_path, GOOD + "300.0,0.5,Ada,2020.0\n"), COLUMNS)
    assert frame["ram"].tolist()[-1] == 300
    assert str(frame["ram"].dtype) == "int16"


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    text = '\ufeffram,depth,brand,year,note\n300,0.5,Ada,1,"two\nlines"\n\n9,0.5,Ada,1,\n'
    columns = {**COLUMNS, "note": Column("category", labels=("two\nlines", "x"), missing=True)}
    with pytest.raises(ValueError, match=r"line 5, column 'ram': 9 is below"):
        read_table(write(tmp_path, text), columns)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty: give a table"),
        ("ram,depth,brand,year\n", "has no rows: give a table"),
        ("ram,depth,brand,ram\n1,2,3,4\n", "has more than one column 'ram'"),
        ("RAM ,depth,brand,year\n1,2,3,4\n", "has no column 'ram': did you mean its column 'RAM '? Rename it"),
        ("depth,brand,year\n1,2,3\n", "has no column 'ram': add it (found: depth, brand, year)"),
        ("ram;depth;brand;year\n1;2;3;4\n", "has no column 'ram': its header has no commas"),
        ("ram,depth,brand,year,price\n1,2,3,4,5\n", "has a column 'price' that nobody expects: drop it"),
        (GOOD + "300,0.5,Ada,1,7\n", "is not a table that can be read"),
        ("ram,depth,brand,year\n300,0.5,Ada,1,7\n", "is not a table that can be read"),
    ],
)
def test_a_file_that_is_not_this_table(tmp_path: Path, text: str, said: str) -> None:
    assert refused(write(tmp_path, text)).startswith(f"{tmp_path / 'phones.csv'} {said}")


def test_other_files_that_are_not_tables(tmp_path: Path) -> None:
    (tmp_path / "phones.csv").write_bytes("ram,depth,brand,year\n300,0.5,Zoë,1\n".encode("latin-1"))
    assert "is not text in UTF-8" in refused(tmp_path / "phones.csv")
    assert "ends in '.xlsx', which is no kind of table here" in refused(write(tmp_path, "x", "phones.xlsx"))
    assert "is not a table that can be read" in refused(write(tmp_path, "no parquet", "phones.parquet"))
    assert "is not a table that can be read" in refused(write(tmp_path, '{"a": 1}', "phones.json"))
    with pytest.raises(FileNotFoundError, match=r"There is no file nowhere\.csv: give the path"):
        read_table("nowhere.csv", COLUMNS)


def test_in_other_sources_the_row_is_named(tmp_path: Path) -> None:
    path = write(
        tmp_path, '{"ram":300,"depth":0.5,"brand":"Ada","year":null}\n{"ram":true,"depth":1,"brand":"Ada"}\n', "p.jsonl"
    )
    assert refused(path) == f"{path}, row 2, column 'ram': True is true or false, not a number: write 1 or 0."
    url = f"sqlite:///{tmp_path / 'phones.db'}"
    with pytest.raises(FileNotFoundError, match="There is no database file"):
        read_table(url, COLUMNS, table="phones")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE phones (id INTEGER PRIMARY KEY, ram INTEGER)"))
        connection.execute(sa.text("INSERT INTO phones VALUES (7, 300), (3, 'many')"))
    engine.dispose()
    columns = {"id": Column("int"), "ram": COLUMNS["ram"]}
    with pytest.raises(
        ValueError, match=r"table 'phones', row 1, column 'ram': 'many' is not a number"
    ):  # in the key's order
        read_table(url, columns, table="phones")
    assert "has no table 'phone': give one of 'phones' as table" in refused(url, table="phone")
    assert "No database can be opened so" in refused("nothing://x", table="phones")


def test_a_password_is_never_said(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = sa.create_engine("sqlite://")
    engine.url = sa.make_url("postgresql://me:secret@host/name")
    monkeypatch.setattr(engine.dialect, "name", "postgresql")
    monkeypatch.setattr(sa, "create_engine", lambda url: engine)
    nothing = {"get_table_names": lambda self: [], "get_view_names": lambda self: []}
    monkeypatch.setattr(sa, "inspect", lambda engine: type("Tables", (), nothing)())
    message = refused("postgresql://me:secret@host/name", table="phones")
    assert "secret" not in message
    assert "me:***@host" in message


TRUES = [True, False]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([300, True], "True is true or false"),
        (TRUES, "True is true or false"),
        ([300, np.nan], "the cell is empty"),
        ([300, None], "the cell is empty"),
        ([300, "x"], "'x' is not a number"),
        ([300, np.inf], "inf is not finite"),
        (pd.Categorical(["300", "x"]), "'x' is not a number"),
        ([300 + 0j, 1 + 2j], "(300+0j) is a complex number"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "2020-01-01 00:00:00 is not a number"),
    ],
)
def test_a_frame_of_any_origin_is_checked(values: Any, said: str) -> None:
    frame = pd.DataFrame({"ram": values}, index=[10, 20])
    row = (
        1 if said.startswith(("True", "2020", "(300")) and not (isinstance(values[0], int) and values[0] == 300) else 2
    )
    with pytest.raises(ValueError, match="my frame") as caught:
        check_table(frame, {"ram": COLUMNS["ram"]}, source="my frame")
    assert str(caught.value).startswith(f"my frame, row {row}, column 'ram': {said}")


def test_the_frame_that_is_given_stays_as_it_is() -> None:
    frame = pd.DataFrame({"ram": [300.0, 400.0]})
    checked = check_table(frame, {"ram": COLUMNS["ram"]})
    assert frame["ram"].dtype == np.float64
    assert checked["ram"].dtype == np.int16


def test_without_columns_pandas_guesses(csv_file: Path) -> None:
    assert read_table(csv_file)["ram"].dtype == np.int64
    with pytest.raises(ValueError, match="more than one column 'a'"):
        read_table(write(csv_file.parent, "a,a\n1,2\n"))


def test_a_column_that_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="kind is 'text'"):
        Column("text")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="give a category its labels"):
        Column("category")
    with pytest.raises(ValueError, match="minimum 5 is above maximum 1"):
        Column("int", 5, 1)
    for labels in ("xy", ("x", "y", "x")):
        with pytest.raises(ValueError, match="give a tuple of different texts"):
            Column("category", labels=labels)  # type: ignore[arg-type]
    for kind, value in (("int", float("nan")), ("int", 2**63), ("float", 1e39), ("float", float("inf"))):
        with pytest.raises(ValueError, match="cannot hold: give a smaller one"):
            Column(kind, maximum=value)  # type: ignore[arg-type]


def test_numbers_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"row 2, column 'a': 1e\+300 is too large for float32"):
        check_table(pd.DataFrame({"a": [1.0, 1e300]}), {"a": Column("float")})
    with pytest.raises(ValueError, match=r"row 2, column 'a': .* is too large for 64 bits"):
        check_table(pd.DataFrame({"a": [1.0, 2.0**63]}), {"a": Column("int")})
    assert check_table(pd.DataFrame({"a": [2**63 - 1]}), {"a": Column("int")})["a"].tolist() == [2**63 - 1]


def test_a_view_and_a_file_that_is_no_database(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'phones.db'}")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE phones (ram INTEGER)"))
        connection.execute(sa.text("INSERT INTO phones VALUES (300), (400)"))
        connection.execute(sa.text("CREATE VIEW large AS SELECT ram FROM phones WHERE ram > 350"))
    engine.dispose()
    columns = {"ram": COLUMNS["ram"]}
    assert read_table(f"sqlite:///{tmp_path / 'phones.db'}", columns, table="large")["ram"].tolist() == [400]
    (tmp_path / "text.db").write_text("not a database, only some text that is long enough to look like one" * 20)
    said = refused(f"sqlite:///{tmp_path / 'text.db'}", table="phones")
    assert "cannot be read" in said
    assert "\n" not in said
    assert "No database can be opened so" in refused("postgresql://host:port/name", table="phones")


def test_a_very_long_field_does_not_hide_the_line(tmp_path: Path) -> None:
    columns = {"ram": COLUMNS["ram"], "note": Column("category", labels=("x",))}
    text = 'ram,note\n300,x\n9,"' + "y" * 200_000 + '"\n'
    with pytest.raises(ValueError, match="line 3, column 'ram': 9 is below"):
        read_table(write(tmp_path, text), columns)


def test_memory_does_not_grow_with_what_is_read(tmp_path: Path) -> None:
    """The peak above the start is the table, 2 bytes a cell, with a column and a piece."""
    path = tmp_path / "large.csv"
    row = ",".join(["1998"] * 20) + "\n"
    path.write_text(",".join(f"c{n}" for n in range(20)) + "\n" + row * 400_000)
    code = (
        "import sys, tracemalloc, pandas\n"
        "from course_utils.tables import Column, read_table\n"
        "columns = {f'c{n}': Column('int', 0, 1998) for n in range(20)}\n"
        "tracemalloc.start()\n"
        "frame = read_table(sys.argv[1], columns)\n"
        "table = int(frame.memory_usage(index=False).sum())\n"
        "print(table, tracemalloc.get_traced_memory()[1] - table)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    table, more = map(int, done.stdout.split())
    assert table == 400_000 * 20 * 2
    assert more < 4 * table  # pieces of 50,000 rows
