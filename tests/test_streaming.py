"""A stream of Parquet files gives each row once, to whoever reads, in an order that repeats, in little memory."""

import pickle
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet
from torch import nn

from course_utils import evaluate, fit, seed_everything
from course_utils import streaming as module
from course_utils.streaming import ParquetStream

ROWS = 103
SHARDS = ((40, 17), (50, 50), (13, 5))  # rows of a file, and of its row groups: 17, 17, 6 | 50 | 5, 5, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shards")
    begin = 0
    for number, (rows, group) in enumerate(SHARDS):
        ids = np.arange(begin, begin + rows)
        columns = {"id": ids, "half": ids / 2, "label": (ids % 3).astype(np.int8), "name": ids.astype(str)}
        parquet.write_table(pa.table(columns), place / f"part_{number}.parquet", row_group_size=group)
        begin += rows
    return place


def stream(folder: Any, **options: Any) -> ParquetStream:
    return ParquetStream(folder, **{"inputs": ["id", "half"], "target": "label", "batch_size": 8, **options})


def ids(batches: Any) -> list[int]:
    return [int(row) for inputs, _ in batches for row in inputs[:, 0]]


def test_batches_hold_the_rows_in_order_as_float32_and_int64(folder: Path) -> None:
    whole = stream(folder)
    batches = list(whole)
    assert whole.rows == ROWS
    assert ids(batches) == list(range(ROWS))
    assert [len(targets) for _, targets in batches] == [8] * 12 + [7]
    inputs, targets = batches[3]
    assert (inputs.dtype, inputs.shape, targets.dtype) == (torch.float32, (8, 2), torch.int64)
    assert torch.equal(inputs[:, 1], inputs[:, 0] / 2)
    assert torch.equal(targets, inputs[:, 0].long() % 3)
    assert next(iter(stream(folder, target="half", inputs=["id"])))[1].dtype == torch.float32
    assert ids(stream([folder / "part_1.parquet"])) == list(range(40, 90))
    assert all(inputs.untyped_storage().nbytes() <= 8 * 2 * 4 for inputs, _ in batches[:-1])  # not the whole chunk


@pytest.mark.parametrize("processes", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("shuffle", [False, True])
def test_all_processes_and_workers_together_read_each_row_once(
    folder: Path, processes: int, workers: int, shuffle: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "world_size", lambda: processes)
    found, sizes = [], []
    for process in range(processes):
        monkeypatch.setattr(module, "rank", lambda process=process: process)
        for worker in range(max(1, workers)):
            info = types.SimpleNamespace(id=worker, num_workers=workers) if workers else None
            monkeypatch.setattr(module, "get_worker_info", lambda info=info: info)
            part = ids(stream(folder, shuffle=shuffle, buffer=10))
            found += part
            sizes.append(len(part))
    assert sorted(found) == list(range(ROWS))
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")
@pytest.mark.parametrize("workers", [0, 1, 3])
def test_real_workers_read_each_row_once_in_another_order_each_epoch(folder: Path, workers: int) -> None:
    loader = stream(folder, shuffle=True).loader(num_workers=workers)
    first, second = ids(loader), ids(loader)
    assert sorted(first) == sorted(second) == list(range(ROWS))
    assert first != second
    again = stream(folder, shuffle=True).loader(num_workers=workers)
    assert [ids(again), ids(again)] == [first, second]
    assert ids(stream(folder, shuffle=True, seed=1).loader(num_workers=workers)) != first
    if workers == 1:  # who reads does not matter
        assert ids(stream(folder, shuffle=True).loader()) == first


def test_a_worker_that_is_started_afresh_reads_the_part_of_its_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "rank", lambda: 1)
        patch.setattr(module, "world_size", lambda: 2)
        content = pickle.dumps(stream(folder))
    assert ids(pickle.loads(content)) == list(range(ROWS // 2, ROWS))


def test_shuffling_mixes_row_groups_and_rows_and_does_not_look_further_than_the_buffer(folder: Path) -> None:
    def pass_of(buffer: int) -> list[int]:
        return ids(stream(folder, shuffle=True, buffer=buffer))

    groups = [pass_of(1)]  # a buffer of one row changes nothing: this is the order of the row groups
    steps = [b - a for a, b in zip(groups[0], groups[0][1:], strict=False)]
    assert steps.count(1) == ROWS - 7  # seven groups
    assert groups[0] != list(range(ROWS))
    place = {row: number for number, row in enumerate(groups[0])}
    for buffer in (5, 40, 1000):
        mixed = pass_of(buffer)
        assert mixed != groups[0]
        assert sorted(mixed) == list(range(ROWS))
        early = [place[row] - number for number, row in enumerate(mixed)]
        assert max(early) <= 2 * buffer  # no row comes much before its turn


def test_a_resumed_training_reads_on_in_the_order_of_an_uninterrupted_one(folder: Path, tmp_path: Path) -> None:
    def train(name: str, epochs: int, resume: bool) -> Any:
        seed_everything(0)
        net = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 3))
        loader = stream(folder, shuffle=True, buffer=20).loader()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        history = fit(
            net,
            loader,
            stream(folder).loader(),
            nn.CrossEntropyLoss(),
            optimizer,
            epochs=epochs,
            checkpoint_dir=tmp_path / name,
            resume=resume,
            verbose=False,
        )
        assert history.train[-1].samples == ROWS
        return net.state_dict()

    whole = train("whole", 3, False)
    train("parts", 2, False)
    resumed = train("parts", 3, True)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_evaluate_of_a_stream_is_that_of_the_whole_table(folder: Path) -> None:
    net = nn.Linear(2, 3)
    rows = list(stream(folder))
    inputs, targets = torch.cat([row[0] for row in rows]), torch.cat([row[1] for row in rows])
    expected = nn.functional.cross_entropy(net(inputs), targets).item()
    result = evaluate(net, stream(folder).loader(num_workers=2), nn.CrossEntropyLoss())
    assert (result.samples, result.loss) == (ROWS, pytest.approx(expected, rel=1e-5))


def written(path: Path, **columns: Any) -> Path:
    parquet.write_table(pa.table(columns), path, row_group_size=2)
    return path


def test_what_is_wrong_with_the_files_is_said_in_one_sentence(tmp_path: Path) -> None:
    good = written(tmp_path / "good.parquet", x=[1.0, 2.0, 3.0], y=[0, 1, 0])
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and no more")
    cases: list[tuple[Any, type[Exception], str]] = [
        (tmp_path / "nowhere", FileNotFoundError, r"There is no Parquet file in .*nowhere: give a folder"),
        ([], FileNotFoundError, "There is no Parquet file in an empty list"),
        ([good, tmp_path / "gone.parquet"], FileNotFoundError, r"There is no file .*gone\.parquet: check the name"),
        ([broken], ValueError, r"broken\.parquet is no Parquet file that can be read \(.*\): write it again"),
        ([good, written(tmp_path / "a.parquet", x=[1.0])], ValueError, r"a\.parquet has no column 'y': it has x\."),
        (
            [good, written(tmp_path / "b.parquet", x=[1], y=[0])],
            ValueError,
            r"Column 'x' is int64 in .*b\.parquet and double in .*good\.parquet: write both in one type",
        ),
        (
            [written(tmp_path / "c.parquet", x=["1"], y=[0])],
            ValueError,
            r"Column 'x' of .*c\.parquet is string, not numbers",
        ),
        (
            [written(tmp_path / "d.parquet", x=pa.array([], pa.float64()), y=pa.array([], pa.int64()))],
            ValueError,
            r"d\.parquet and the other files hold no rows",
        ),
    ]
    for files, kind, said in cases:
        with pytest.raises(kind, match=said) as raised:
            ParquetStream(files, inputs=["x"], target="y")
        assert "\n" not in str(raised.value)
    empty = written(tmp_path / "e.parquet", x=[1.0, 2.0, 3.0, None], y=[0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"Column 'x' of .*e\.parquet has empty cells in row group 1: fill them"):
        list(ParquetStream([good, empty], inputs=["x"], target="y"))
    for name in ("batch_size", "buffer"):
        with pytest.raises(ValueError, match=f"{name} is 0, but it is a number of rows: give 1 or more"):
            ParquetStream([good], inputs=["x"], target="y", **{name: 0})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="inputs must name one column or more"):
        ParquetStream([good], inputs=[], target="y")


MEASURE = """
import sys
from pathlib import Path
import numpy as np, pyarrow as pa, resource, torch
from pyarrow import parquet
from course_utils.streaming import ParquetStream
folder, groups = Path(sys.argv[1]), int(sys.argv[2])
names = [f"x{i}" for i in range(16)]
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
stream = ParquetStream(folder, inputs=names, target="y", batch_size=256, shuffle=True, buffer=4096)
batches = iter(stream.loader())
for _ in range(40):
    next(batches)
before = most = resident()
rows = 0
for number, (inputs, _) in enumerate(batches):
    rows += len(inputs)
    if number % 10 == 0:
        most = max(most, resident())
print(rows, most - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
def test_memory_stays_flat_while_ten_times_its_limit_streams_by(tmp_path: Path) -> None:
    limit, groups = 16 * 2**20, 40
    rows = 10 * limit // (17 * 8) // groups
    random = np.random.default_rng(0)
    schema = pa.schema([(f"x{i}", pa.float64()) for i in range(16)] + [("y", pa.int64())])
    with parquet.ParquetWriter(tmp_path / "all.parquet", schema, compression="none", use_dictionary=False) as writer:
        for _ in range(groups):
            columns = [pa.array(random.standard_normal(rows)) for _ in range(16)]
            writer.write_table(pa.table([*columns, pa.array(random.integers(0, 4, rows))], schema=schema), rows)
    assert (tmp_path / "all.parquet").stat().st_size > 0.99 * 10 * limit
    command = [sys.executable, "-c", MEASURE, str(tmp_path), str(groups)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr[-2000:]
    seen, growth = map(int, done.stdout.split())
    assert seen == groups * rows - 40 * 256
    assert growth < limit, f"{growth / 2**20:.0f} MiB"
