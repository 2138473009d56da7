"""Rows a second of a table: taken out of a pandas frame one by one, or read at once, or streamed."""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from benchmarks.make_data import write_tables
from benchmarks.measure import interleaved
from benchmarks.pipelines import BATCH, consume, rows
from benchmarks.report import Section, machine_line, table
from course_utils import make_loader
from course_utils.streaming import ParquetStream
from course_utils.tables import read_table

TARGET = "price_range"


class FrameRows(Dataset[Any]):
    """A row of a frame at a time, as in most tutorials."""

    def __init__(self, frame: Any) -> None:
        self.frame = frame

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        inputs = self.frame.iloc[index, :-1].to_numpy(dtype="float32")
        return torch.from_numpy(inputs), int(self.frame.iloc[index, -1])


def by_row(frame: Any) -> Iterable[Any]:
    """Return the loader of most tutorials."""
    return DataLoader(FrameRows(frame), BATCH, shuffle=True)


def in_memory(frame: Any) -> TensorDataset:
    """Return the table as tensors."""
    inputs = torch.tensor(frame.drop(columns=TARGET).to_numpy(), dtype=torch.float32)
    return TensorDataset(inputs, torch.tensor(frame[TARGET].to_numpy(), dtype=torch.int64))


def at_once(frame: Any) -> Iterable[Any]:
    """Return the course's loader of a table in memory."""
    return make_loader(in_memory(frame), batch_size=BATCH, shuffle=True)


def stream(path: Path) -> Iterable[Any]:
    """Return the course's loader of a table on the disk."""
    import pandas as pd

    names = [name for name in pd.read_csv(path.with_suffix(".csv"), nrows=0).columns if name != TARGET]
    return ParquetStream([path], inputs=names, target=TARGET, batch_size=BATCH, shuffle=True).loader()


def run(rounds: int = 3, count: int = 20_000) -> Section:
    import pandas as pd

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder), count)
        csv, parquet = Path(folder) / "phones.csv", Path(folder) / "phones.parquet"
        frame_rows, loader = by_row(pd.read_csv(csv)), at_once(read_table(parquet))
        plain = DataLoader(in_memory(read_table(parquet)), BATCH, shuffle=True)
        ways: dict[str, Callable[[], Iterable[Any]]] = {
            "CSV, pandas row by row, first epoch": lambda: by_row(pd.read_csv(csv)),
            "Parquet, pandas row by row, first epoch": lambda: by_row(pd.read_parquet(parquet)),
            "pandas row by row, later epochs": lambda: frame_rows,
            "CSV, read_table and make_loader, first epoch": lambda: at_once(read_table(csv)),
            "Parquet, read_table and make_loader, first epoch": lambda: at_once(read_table(parquet)),
            "TensorDataset, plain DataLoader, later epochs": lambda: plain,
            "make_loader, later epochs": lambda: loader,
            "ParquetStream, every epoch": lambda: stream(parquet),
        }
        found = interleaved({name: lambda make=make: consume(make()) for name, make in ways.items()}, rounds)  # type: ignore[misc]
    lines = rows(found, count, lambda _: "pandas row by row, later epochs")
    text = (
        f"{count:,} rows of 21 columns, batches of {BATCH}, shuffled; {rounds} rounds. A first epoch includes reading "
        f"the file.\n\n{table(['table', 'rows/s', 'x row by row'], lines)}"
    )
    return Section("Input pipelines: tables", text, [], machine_line(1))
