"""The log of predictions: what went in comes out, it stays small, and nothing is ever half written."""

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from course_utils.prediction_log import PredictionLog

INPUTS = torch.randint(0, 256, (6, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS, PROBABILITIES = list("abcabc"), [0.5, 0.25, 0.75, 0.5, 1.0, 0.125]
WRITER = """
import sys, torch
from course_utils.prediction_log import PredictionLog
log = PredictionLog(sys.argv[1], keep=int(sys.argv[3]))
print("ready", flush=True)
for number in range(int(sys.argv[2])):
    log.append(f"v{number}", ["a"] * 7, [0.5] * 7, torch.full((7, 5), float(number)))
"""


def write(path: Path, calls: int, keep: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), str(calls), str(keep)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_what_went_in_comes_out(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.db")
    before = time.time()
    ids = log.append("v1", LABELS[:4], PROBABILITIES[:4], INPUTS[:4])
    between = time.time()
    ids += log.append("v2", LABELS[4:], PROBABILITIES[4:], INPUTS[4:])
    log.close()
    log = PredictionLog(tmp_path / "log.db")
    logged = log.read()
    assert list(logged.ids) == ids == [1, 2, 3, 4, 5, 6]
    assert logged.labels == tuple(LABELS)
    assert logged.probabilities == tuple(PROBABILITIES)
    assert logged.versions == ("v1",) * 4 + ("v2",) * 2
    assert torch.equal(logged.inputs, INPUTS)
    assert before <= logged.times[0] <= between <= logged.times[-1] <= time.time()
    assert log.read(version="v2").ids == log.read(since=between).ids == (5, 6)
    assert torch.equal(log.read(version="v2").inputs, INPUTS[4:])
    assert log.read(version="v3").inputs.shape == (0, 1, 4, 4)


def test_rows_of_a_table(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.db")
    assert log.read().inputs.shape == (0, 0)
    assert log.append("v1", [], [], torch.zeros(0, 3)) == []
    rows = torch.tensor([[0.1, -2.0, float("inf")]])
    log.append("v1", ["dear"], [0.9], rows)
    assert torch.equal(log.read().inputs, rows)


def test_numbers_of_numpy_and_torch_are_plain_ones_when_they_come_back(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.db")
    ids = log.append(
        "v1", np.array(["a", "b"]), np.array([0.5, 0.25], dtype=np.float32), torch.ones(2, 3).requires_grad_()
    )  # type: ignore[arg-type]
    assert log.add_truth({np.int64(ids[0]): np.str_("b")}) == 1  # type: ignore[dict-item]
    logged = log.read()
    assert (logged.labels, logged.probabilities, logged.truths) == (("a", "b"), (0.5, 0.25), ("b", None))


def test_what_is_deleted_is_gone_when_the_log_is_closed(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.db", keep=10)
    secret = torch.tensor([list(b"a person's data" * 4)], dtype=torch.uint8)
    for _ in range(20):
        log.append("v1", ["a"], [0.5], secret)
    for _ in range(10):
        log.append("v1", ["a"], [0.5], torch.zeros_like(secret))
    log.close()
    assert not any(b"a person's data" in file.read_bytes() for file in tmp_path.iterdir())


def test_truths_come_later_and_reach_their_samples_alone(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.db", keep=4)
    log.append("v1", LABELS, PROBABILITIES, INPUTS)
    assert log.add_truth({1: "x", 4: "b", 6: "c", 99: "x"}) == 2
    logged = log.read()
    assert dict(zip(logged.ids, logged.truths, strict=True)) == {3: None, 4: "b", 5: None, 6: "c"}


def test_it_keeps_the_newest_and_the_file_stops_growing(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = PredictionLog(path, keep=300)

    def fill(calls: int) -> int:
        for _ in range(calls):
            log.append("v1", ["a"] * 50, [0.5] * 50, torch.zeros(50, 784, dtype=torch.uint8))
        return sum(part.stat().st_size for part in tmp_path.iterdir())

    full = fill(100)
    assert fill(400) <= full + 1_000_000
    assert path.stat().st_size < 3 * 300 * 784
    assert log.read().ids == tuple(range(25_000 - 299, 25_001))


def test_ids_are_never_used_twice(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.db", keep=1)
    first = log.append("v1", ["a"], [0.5], INPUTS[:1])
    with sqlite3.connect(tmp_path / "log.db") as database:
        database.execute("DELETE FROM predictions")
    assert log.append("v1", ["a"], [0.5], INPUTS[:1]) == [first[0] + 1]


def test_threads_and_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    writers = [write(path, 30, 10_000) for _ in range(2)]
    log = PredictionLog(path, keep=10_000)

    def append() -> None:
        for number in range(30):
            log.append(f"v{number}", ["b"] * 3, [0.5] * 3, torch.full((3, 5), float(number)))

    threads = [threading.Thread(target=append) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [writer.wait(60) for writer in writers] == [0, 0]
    logged = log.read()
    assert (logged.labels.count("b"), logged.labels.count("a")) == (270, 420)
    assert all(float(row[0]) == int(version[1:]) for row, version in zip(logged.inputs, logged.versions, strict=True))


def test_killed_in_the_middle_it_holds_whole_calls(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    for rest in (0.05, 0.12):
        writer = write(path, 1_000_000, 500)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(rest)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        logged = PredictionLog(path, keep=500).read()
        versions = {version: logged.versions.count(version) for version in logged.versions[3:]}  # 500 is no 7 calls
        assert versions
        assert list(versions.values())[-1] == 7
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_wrong_input_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.db")
    log.append("v1", LABELS, PROBABILITIES, INPUTS)
    with pytest.raises(ValueError, match=r"There are 5 labels, 6 probabilities and 6 inputs"):
        log.append("v1", LABELS[:5], PROBABILITIES, INPUTS)
    with pytest.raises(ValueError, match=r"inputs of type uint8 and shape \(1,4,4\), these are float32 \(1,4,4\)"):
        log.append("v1", LABELS, PROBABILITIES, INPUTS.float())
    with pytest.raises(ValueError, match=r"The inputs are torch.int64: give torch.uint8 or torch.float32."):
        log.append("v1", LABELS, PROBABILITIES, INPUTS.long())
    for wrong in (float("nan"), -0.1, 1.5):
        with pytest.raises(ValueError, match=r"A probability is .*: give numbers from 0 to 1."):
            log.append("v1", LABELS, [*PROBABILITIES[:5], wrong], INPUTS)
    assert len(log.read().ids) == 6


def test_other_files_are_refused_and_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"keep is 0, but a log keeps at least 1 prediction"):
        PredictionLog(tmp_path / "log.db", keep=0)
    with pytest.raises(OSError, match=r"log.db failed \(unable to open database file\)"):
        PredictionLog(tmp_path / "absent" / "log.db")
    text = tmp_path / "notes.txt"
    text.write_text("no database, but as long as the header of one; " * 40)
    with pytest.raises(ValueError, match=r"notes.txt is no log of predictions"):
        PredictionLog(text)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE mine (x)")
    before = other.read_bytes()
    with pytest.raises(ValueError, match=r"other.db is another program's database"):
        PredictionLog(other)
    assert other.read_bytes() == before
