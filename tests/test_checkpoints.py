"""Checkpoint files: written whole or not at all, and every damage noticed."""

import os
import pickle
import random
import resource
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from course_utils import CheckpointError, load_checkpoint, save_checkpoint
from course_utils.checkpoints import (
    FORMAT,
    checkpoint_name,
    latest_checkpoint,
    list_checkpoints,
    prepare_folder,
    remove_old,
)
from tests.kill_and_resume import differences


def make_state() -> dict[str, Any]:
    model = nn.Linear(20, 30)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 20)).sum().backward()
    optimizer.step()
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "plain": {"name": "digits", "losses": [0.5, float("inf")], "best": None, "shape": (1, 28, 28), "done": True},
    }


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    state = make_state()
    save_checkpoint(tmp_path / "one.pt", state)
    assert differences(state, load_checkpoint(tmp_path / "one.pt")) == []
    assert os.listdir(tmp_path) == ["one.pt"]
    assert "format" not in state


def test_torch_load_reads_it_too(tmp_path: Path) -> None:
    save_checkpoint(str(tmp_path / "one.pt"), make_state())
    model = nn.Linear(20, 30)
    model.load_state_dict(torch.load(tmp_path / "one.pt", weights_only=True)["model"])


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_no_more_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "one.pt"
    state = make_state()
    save_checkpoint(path, state)
    with file_size_limit(4096), pytest.raises(CheckpointError, match=r"one\.pt could not be written \(.+\): make room"):
        save_checkpoint(path, {"model": {"weight": torch.zeros(10_000)}})
    assert differences(state, load_checkpoint(path)) == []
    assert os.listdir(tmp_path) == ["one.pt"]


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """/dev/full answers every write as a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    monkeypatch.setattr("secrets.token_hex", lambda _: "0")
    (tmp_path / "one.pt.0.part").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match="No space left on device"):
        save_checkpoint(tmp_path / "one.pt", make_state())
    assert os.listdir(tmp_path) == []


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write anywhere: become somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder that can be read by all and written by nobody, with a good checkpoint in it."""
    folder = Path(tempfile.mkdtemp())
    save_checkpoint(folder / "epoch_0001.pt", make_state())
    (folder / "epoch_0001.pt").chmod(0o444)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_folder_is_refused_before_training(read_only_folder: Path) -> None:
    with as_nobody():
        with pytest.raises(CheckpointError, match="give a folder that you may write to"):
            prepare_folder(read_only_folder, resume=True)
        with pytest.raises(CheckpointError, match="Permission denied"):
            save_checkpoint(read_only_folder / "epoch_0001.pt", make_state())
        assert load_checkpoint(read_only_folder / "epoch_0001.pt")["plain"]["name"] == "digits"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="Checkpoints cannot be written to"):
        prepare_folder(tmp_path / "file" / "folder", resume=False)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "one.pt"
    save_checkpoint(path, make_state())
    return path.read_bytes()


def error_of(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


def test_an_empty_file(tmp_path: Path) -> None:
    assert "is empty" in error_of(tmp_path / "one.pt", b"")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.pt cannot be read \(No such file or directory\)"):
        load_checkpoint(tmp_path / "none.pt")


def test_every_truncation_is_noticed(content: bytes, tmp_path: Path) -> None:
    for size in {1, 2, 100, len(content) // 2, len(content) - 1, *random.Random(0).sample(range(len(content)), 60)}:
        assert "damaged" in error_of(tmp_path / "one.pt", content[:size])


def test_every_flipped_bit_is_noticed_or_harmless(content: bytes, tmp_path: Path) -> None:
    """PyTorch itself loads a file with a flipped weight without a word. Padding between the parts may change."""
    path = tmp_path / "one.pt"
    path.write_bytes(content)
    state = load_checkpoint(path)
    noticed = 0
    for bit in random.Random(1).sample(range(8 * len(content)), 500):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            assert differences(state, load_checkpoint(path)) == [], bit
        except CheckpointError:
            noticed += 1
    assert noticed > 200


def test_a_flipped_weight_is_noticed_where_torch_load_does_not(content: bytes, tmp_path: Path) -> None:
    weight = torch.load(tmp_path_with(content, tmp_path), weights_only=True)["model"]["weight"]
    flipped = bytearray(content)
    flipped[content.index(weight.numpy().tobytes()) + 100] ^= 8
    path = tmp_path_with(bytes(flipped), tmp_path)
    assert not torch.equal(torch.load(path, weights_only=True)["model"]["weight"], weight)
    assert "does not fit its checksum" in error_of(path, bytes(flipped))


def tmp_path_with(content: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "one.pt"
    path.write_bytes(content)
    return path


def test_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "one.pt"
    assert "is no checkpoint" in error_of(path, b"epoch,loss\n1,0.5\n")
    assert "is no checkpoint" in error_of(path, pickle.dumps({"model": 1}))
    torch.save(nn.Linear(1, 1).state_dict(), path)
    assert "a file of PyTorch's, but no checkpoint" in error_of(path, path.read_bytes())
    torch.save([1, 2], path)
    assert "a file of PyTorch's, but no checkpoint" in error_of(path, path.read_bytes())
    shutil.make_archive(str(tmp_path / "archive"), "zip", tmp_path, "one.pt")
    assert "is damaged" in error_of(path, (tmp_path / "archive.zip").read_bytes())


class Trap:
    """Unpickling it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_nothing_in_a_file_runs(tmp_path: Path) -> None:
    torch.save({"format": FORMAT, "model": Trap(tmp_path / "sprung")}, tmp_path / "one.pt")
    assert "could run code" in error_of(tmp_path / "one.pt", (tmp_path / "one.pt").read_bytes())
    assert not (tmp_path / "sprung").exists()


def test_names_sort_by_progress(tmp_path: Path) -> None:
    steps = [(0, 8), (1, 0), (1, 120), (2, 0), (9999, 0), (9999, 7), (10000, 0)]
    for step in random.Random(0).sample(steps, len(steps)):
        (tmp_path / checkpoint_name(*step)).touch()
    for name in ("best.pt", "epoch_0002.pt.part", "epoch_last.pt", "my_epoch_0002.pt"):
        (tmp_path / name).touch()
    assert [path.name for path in list_checkpoints(tmp_path)] == [checkpoint_name(*step) for step in steps]
    assert checkpoint_name(3) == "epoch_0003.pt"
    assert checkpoint_name(3, 120) == "epoch_0004_batch_000120.pt"


def test_old_ones_are_removed_kind_by_kind(tmp_path: Path) -> None:
    for step in [(0, 8), (1, 0), (1, 8), (2, 0), (3, 0), (3, 4), (3, 8), (3, 12)]:
        (tmp_path / checkpoint_name(*step)).touch()
    (tmp_path / "best.pt").touch()
    remove_old(tmp_path, keep_last=2)
    left = [(2, 0), (3, 0), (3, 8), (3, 12)]
    assert [path.name for path in list_checkpoints(tmp_path)] == [checkpoint_name(*step) for step in left]
    assert (tmp_path / "best.pt").exists()


def test_a_damaged_last_one_is_passed_over_with_a_warning(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "epoch_0001.pt").write_bytes(content)
    (tmp_path / "epoch_0002.pt").write_bytes(content[:-5])
    (tmp_path / "epoch_0003.pt").write_bytes(b"")
    with pytest.warns(RuntimeWarning) as caught:
        found = latest_checkpoint(tmp_path)
    assert found is not None
    assert found[0].name == "epoch_0001.pt"
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["epoch_0001.pt", "epoch_0002.pt.damaged", "epoch_0003.pt.damaged"]
    assert [
        ("epoch_0003.pt is empty" in str(w.message), "epoch_0002.pt is damaged" in str(w.message)) for w in caught
    ] == [
        (True, False),
        (False, True),
    ]


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None


@pytest.mark.filterwarnings("ignore:.*Looking for the checkpoint before it")
def test_none_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "epoch_0001.pt").touch()
    with pytest.raises(CheckpointError, match=r"No checkpoint in .+ another folder\. .+epoch_0001\.pt is empty"):
        latest_checkpoint(tmp_path)


def test_leftovers_of_a_killed_write_are_cleared(tmp_path: Path) -> None:
    for name in ("epoch_0001.pt.part", "epoch_0002_batch_000010.pt.1a2b.part", "best.pt.part", "mine.pt.part"):
        (tmp_path / name).touch()
    prepare_folder(tmp_path, resume=False)
    assert os.listdir(tmp_path) == ["mine.pt.part"]


def test_other_checkpoints_are_not_overwritten(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "epoch_0007.pt").write_bytes(content)
    with pytest.raises(FileExistsError, match=r"up to epoch_0007\.pt: pass resume=True"):
        prepare_folder(tmp_path, resume=False)
    prepare_folder(tmp_path, resume=True)


@pytest.mark.parametrize("resume", [True, False])
def test_a_best_one_that_stands_alone_is_not_overwritten(resume: bool, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "best.pt").write_bytes(content)
    with pytest.raises(FileExistsError, match=r"holds a best\.pt, but no checkpoint to go on from.+ move it away"):
        prepare_folder(tmp_path, resume=resume)


def test_the_name_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is killed before the rename still has the old file, and the new one beside it is complete."""
    path, state = tmp_path / "one.pt", make_state()
    save_checkpoint(path, state)
    seen: list[Any] = []

    def interrupted(self: Path, target: Path) -> None:
        seen.extend([torch.load(self, weights_only=True)["model"], load_checkpoint(target)])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {"model": {"weight": torch.zeros(3)}})
    assert differences(seen, [{"weight": torch.zeros(3)}, state]) == []
    assert os.listdir(tmp_path) == ["one.pt"]


def test_what_is_written_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    save_checkpoint(tmp_path / "one.pt", {})
    assert len(synced) == 2  # the file, and the folder with its name


def test_a_state_that_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"one\.pt was not written.+ a part of the state cannot be saved"):
        save_checkpoint(tmp_path / "one.pt", {"rule": lambda step: step})
    with pytest.raises(ValueError, match="give this part of the state another name"):
        save_checkpoint(tmp_path / "one.pt", {"format": "rgb"})
    assert os.listdir(tmp_path) == []


def test_a_state_with_numpy_numbers_names_them(tmp_path: Path) -> None:
    import numpy as np

    said = r"holds numpy\S+, no tensor .+ turn NumPy's numbers into float\(\)"
    with pytest.raises(CheckpointError, match=r"one\.pt was not written: the state " + said):
        save_checkpoint(tmp_path / "one.pt", {"rate": np.float64(0.1)})
    assert os.listdir(tmp_path) == []
    torch.save({"format": "course_utils checkpoint 1", "rate": np.float64(0.1)}, tmp_path / "one.pt")
    with pytest.raises(CheckpointError, match=r"one\.pt " + said):
        load_checkpoint(tmp_path / "one.pt")


def test_two_programs_that_write_the_same_file_at_once(tmp_path: Path) -> None:
    path, wrong = tmp_path / "one.pt", []

    def write(number: int) -> None:
        try:
            for _ in range(20):
                save_checkpoint(path, {"number": torch.full((5000,), number)})
                found = load_checkpoint(path)["number"]
                assert found.eq(found[0]).all()
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert os.listdir(tmp_path) == ["one.pt"]


def test_a_checkpoint_of_another_version(tmp_path: Path) -> None:
    torch.save({"format": "course_utils checkpoint 2"}, tmp_path / "one.pt")
    with pytest.raises(CheckpointError, match=r"is a course_utils checkpoint 2, .+ use the version that wrote it"):
        load_checkpoint(tmp_path / "one.pt")


def test_an_old_file_that_cannot_be_deleted_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for epoch in (1, 2):
        (tmp_path / checkpoint_name(epoch)).touch()

    def in_use(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError("in use")

    monkeypatch.setattr(Path, "unlink", in_use)
    remove_old(tmp_path, keep_last=1)
    assert len(list_checkpoints(tmp_path)) == 2
