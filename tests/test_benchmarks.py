"""What the benchmarks write and compare; the seconds themselves are nobody's test."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from benchmarks import loops, peers, report
from benchmarks.__main__ import MEASURED, NAMES, PRINTED, main
from benchmarks.make_data import distorted_digits, write_idx
from benchmarks.measure import interleaved, ratio
from course_utils import MLP
from course_utils.checkpoints import CheckpointError

CHECKOUT = Path(report.__file__).parent.parent


@pytest.fixture(autouse=True)
def threads() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def section(title: str, measured: float = 1.0) -> report.Section:
    return report.Section(title, f"{title} is fast.\n", [report.Goal(title, measured, 2.0)], "a machine")


def test_there_is_a_section_for_every_benchmark() -> None:
    modules = {path.stem for path in (CHECKOUT / "benchmarks").glob("*.py")}
    helpers = {"__init__", "__main__", "machine", "make_data", "measure", "peers", "report"}
    assert modules - helpers == set(NAMES)


@pytest.mark.skipif(not (CHECKOUT / "benchmarks" / "RESULTS.md").exists(), reason="nothing has been measured yet")
def test_the_page_has_every_section_and_its_figures() -> None:
    page = (CHECKOUT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    for name in NAMES:
        found = report.load(name)
        if found is None:
            assert f'Not measured yet: `make bench ONLY="{name}"`.' in page
            continue
        assert f"\n## {found.title}\n\n`{name}`. {found.machine}\n" in page
        assert found.text in page
        for goal in found.goals:
            assert " | ".join(goal.row()) in page
    for part in page.split("](figures/")[1:]:
        assert (CHECKOUT / "benchmarks" / "figures" / part.split(")")[0]).is_file()
    assert "![](" not in page


def test_sections_are_merged(tmp_path: Path) -> None:
    report.save("loops", section("Loops"), tmp_path)
    report.save("gpu", section("GPU"), tmp_path)
    report.save("loops", section("Loops", 3.0), tmp_path)
    report.write_page(("loops", "files", "gpu"), tmp_path)
    page = (tmp_path / "RESULTS.md").read_text()
    assert "| Loops | at most 2x | 3.00x | **missed** |" in page
    assert "| GPU | at most 2x | 1.00x | reached |" in page
    assert page.index("## Loops") < page.index('make bench ONLY="files"') < page.index("## GPU")
    assert report.load("loops", tmp_path) == section("Loops", 3.0)


def test_nothing_is_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report.save("gpu", section("GPU"), tmp_path)
    report.write_page(["gpu"], tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("course_utils.checkpoints.os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        report.save("gpu", section("GPU", 5.0), tmp_path)
    with pytest.raises(CheckpointError, match="No space left"):
        report.write_page(["gpu"], tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_goal_is_judged_by_what_was_measured() -> None:
    assert report.Goal("x", 1.02, 1.02).reached
    assert not report.Goal("x", 1.021, 1.02).reached
    assert not report.Goal("x", 19.9, 20, at_least=True).reached
    row = report.Goal("x", 0.9, 0.7, why="loading alone takes 0.8x", more="noise 0.01").row()
    assert row[1:] == ["at most 0.7x", "0.9x", "**missed**: loading alone takes 0.8x; noise 0.01"]
    assert report.Goal("x", 0.5, 0.7, why="loading alone takes 0.8x").row()[3] == "reached"


def test_ratios_are_taken_within_rounds() -> None:
    assert ratio([1, 20, 300], [1, 10, 100]) == 2
    calls: list[str] = []
    ways = {name: lambda name=name: calls.append(name) for name in "abc"}
    found = interleaved(ways, 4, warm_up=2)
    assert {name: len(times) for name, times in found.items()} == dict.fromkeys("abc", 4)
    assert all(sorted(calls[begin : begin + 3]) == list("abc") for begin in range(0, 18, 3))


def test_all_loops_do_the_same_and_another_order_is_noticed() -> None:
    made = loops.trainings(lambda: MLP((1, 28, 28), 10), 200)
    loops.check(made)
    wrong = loops.trainings(lambda: MLP((1, 28, 28), 10), 200)
    wrong[loops.OURS].task.loader.generator.manual_seed(2)
    with pytest.raises(AssertionError, match="train_epoch: other weights"):
        loops.check(wrong)


def test_a_loop_that_counts_something_else_is_noticed() -> None:
    def batch_means(task: peers.Task, after_epoch: peers.AfterEpoch) -> None:
        peers.bare(task, lambda *_: after_epoch(2.0, 0.1))

    made = loops.trainings(lambda: MLP((1, 28, 28), 10), 200)
    task = made[loops.TUTORIAL].task
    made[loops.TUTORIAL] = loops.Held(batch_means, task)
    with pytest.raises(AssertionError, match="tutorial loop counts"):
        loops.check(made)


def test_a_loop_that_fails_says_so() -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("broken")

    with pytest.raises(ZeroDivisionError, match="broken"):
        loops.Held(broken, peers.Task(nn.Linear(1, 1), [], 1))()


def test_stand_ins_are_read_by_torchvision(tmp_path: Path) -> None:
    from torchvision.datasets import FashionMNIST

    images, labels = distorted_digits(50)
    write_idx(tmp_path, (images, labels), (images[:5], labels[:5]))
    read = FashionMNIST(tmp_path, train=True)
    assert torch.equal(read.data, images.squeeze(1))
    assert torch.equal(read.targets, labels)
    assert len(set(labels.tolist())) == 10
    again, _ = distorted_digits(50)
    assert torch.equal(images, again)


def test_sections_run_in_a_tiny_form(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import matplotlib as mpl

    from benchmarks import files, gpu, pipelines, tables

    mpl.use("agg")
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    monkeypatch.setattr(peers, "installed", dict)
    loaders = DataLoader.__init__

    def without_workers(self: Any, *arguments: Any, num_workers: int = 0, **options: Any) -> None:
        loaders(self, *arguments, **options)  # starting them takes longer than all the rest

    monkeypatch.setattr(DataLoader, "__init__", without_workers)
    looped = loops.run(rounds=1, samples=130, mid_samples=70)
    assert "| ignite | not installed |" in looped.text
    for found in (
        looped,
        pipelines.run(rounds=1, count=200),
        files.run(rounds=1, count=40),
        tables.run(rounds=1, count=100),
        gpu.run(rounds=1, count=200),
    ):
        assert found.text.endswith("\n")
        assert "torch " in found.machine
        assert found.title == "GPU" or found.text.count("| ---") >= 1
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"loops.png", "pipelines.png", "files.png"}


def test_an_unknown_section_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "lops"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "there is no section lops: choose from loops" in capsys.readouterr().err


def test_every_printed_section_has_a_command() -> None:
    for name in PRINTED:
        assert hasattr(__import__(f"benchmarks.{name}", fromlist=["main"]), "main")
    for name in MEASURED:
        assert hasattr(__import__(f"benchmarks.{name}", fromlist=["run"]), "run")
