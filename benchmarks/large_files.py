"""How long large files take to open, and how much memory that needs beside what is kept.

    python -m benchmarks.large_files [--rows 1000000]

A table of phones with 21 columns (see tools/make_phones.py) is written as CSV into a temporary folder. A fresh process
opens it with ``course_utils.tables.read_table`` and the columns to expect, so every cell is checked; another one with
``pandas.read_csv``, which checks nothing. Quoted are the seconds of the call and by how much the peak of the
process's memory rose, beside the size of the table that is kept.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.make_phones import make_phones

MEASURE = """
import sys, time
import pandas, pyarrow, torch
from benchmarks.machine import forget_peak, peak, resident
from course_utils.tables import Column, read_table
{prepare}
forget_peak()
before, started = resident(), time.perf_counter()
kept = {read}
seconds = time.perf_counter() - started
print(f"{{seconds:.2f}} s, {{peak() - before:.0f}} MiB for a table of {{kept.memory_usage().sum() / 2**20:.0f}} MiB")
"""
# Rounded up from the first rows, so that they hold for all, in one byte a cell or in two.
COLUMNS = """
head = pandas.read_csv(sys.argv[1], nrows=1000)
kinds = {n: "float" if head[n].dtype.kind == "f" else "int" for n in head}
columns = {n: Column(kinds[n], 0, 127 if head[n].max() < 100 else 4000) for n in head}
"""


def write_phones(path: Path, rows: int) -> None:
    """Write a table of ``rows`` generated phones."""
    import pandas as pd

    pd.DataFrame(make_phones(rows)).to_csv(path, index=False)


def measure(path: Path, read: str, prepare: str = "") -> str:
    """Return what a fresh process says about opening ``path``."""
    code = MEASURE.format(read=read, prepare=prepare)
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def tables(rows: int) -> None:
    """Measure and print a line for each way to open a CSV file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "phones.csv"
        write_phones(path, rows)
        print(f"CSV, {rows:,} rows of 21 columns, {path.stat().st_size / 2**20:.0f} MiB")
        print("  read_table, every cell checked:", measure(path, "read_table(sys.argv[1], columns)", COLUMNS))
        print("  pandas.read_csv:               ", measure(path, "pandas.read_csv(sys.argv[1])"))


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    tables(options.rows)


if __name__ == "__main__":
    main()
