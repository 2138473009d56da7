"""What is remembered of solved exercises: once, by all kernels, never in tests, and drawn in full."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from tests.notebook_files import NOTEBOOKS, ROOT, cells, source_cells
from tests.test_exercises import EXERCISES
from tools.notebooks import convert, execute

Check = Callable[[Any], None]


@pytest.fixture(autouse=True)
def _in_the_notebooks_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(NOTEBOOKS))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "progress.json"
    monkeypatch.setenv("COURSE_PROGRESS", str(path))
    return path


@pytest.fixture
def is_seven() -> Check:
    from checks import check

    @check("Hint: it is a number.", "That is it.")
    def is_seven(answer: int) -> str | None:
        return None if 7 // answer == 1 else "it is another number. Hint: larger."

    return is_seven


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Figure, str]]:
    """Collect figures and their text alternatives instead of displaying them."""
    plt.switch_backend("Agg")
    figures: list[tuple[Figure, str]] = []
    monkeypatch.setattr("course_utils.plots.show", lambda figure, *, alt: figures.append((figure, alt)))
    return figures


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_right_answer_is_noted_with_its_day_and_nothing_else(file: Path, is_seven: Check) -> None:
    is_seven(7)
    assert read(file) == {"test_progress.is_seven": date.today().isoformat()}
    assert {path.name for path in file.parent.iterdir()} <= {"progress.json", ".progress.json.lock"}


def test_the_first_day_stays(file: Path, is_seven: Check) -> None:
    before = {"test_progress.is_seven": "2024-02-29", "other.exercise": "2024-03-01"}
    file.write_text(json.dumps(before), encoding="utf-8")
    is_seven(7)
    is_seven(1)
    assert read(file) == before


@pytest.mark.parametrize("answer", [1, 0, None, ..., "seven"])
def test_a_wrong_answer_is_not_noted(file: Path, is_seven: Check, answer: Any) -> None:
    is_seven(answer)
    assert not file.exists()


def test_several_kernels_at_once_lose_nothing(file: Path) -> None:
    program = f"""
import pathlib, runpy, sys, time
remember = runpy.run_path({str(NOTEBOOKS / "checks" / "progress.py")!r})["remember"]
pathlib.Path(sys.argv[1] + ".ready").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.001)
for number in range(20):
    remember(f"notebook_{{sys.argv[1]}}.exercise_{{number}}")
"""
    kernels = [
        subprocess.Popen([sys.executable, "-c", program, str(kernel)], cwd=file.parent, stdout=subprocess.PIPE)
        for kernel in range(4)
    ]
    while len(list(file.parent.glob("*.ready"))) < 4 and all(kernel.poll() is None for kernel in kernels):
        pass
    (file.parent / "go").touch()
    assert [kernel.communicate(timeout=60)[0] for kernel in kernels] == [b""] * 4
    assert set(read(file)) == {f"notebook_{kernel}.exercise_{number}" for kernel in range(4) for number in range(20)}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a.b": 1}', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_is_named_and_left_alone(
    file: Path, is_seven: Check, drawn: list[Any], capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    from checks import show_progress

    file.write_bytes(content)
    is_seven(7)
    said = "progress.json is damaged: delete it to begin anew."
    assert capsys.readouterr().out == f"Correct. That is it.\n(Not remembered: {said})\n"
    assert file.read_bytes() == content
    show_progress()
    assert capsys.readouterr().out == f"{said}\n"
    assert drawn[0][1].startswith("0 of ")


def test_where_nothing_can_be_written_the_check_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_seven: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "sealed").mkdir(mode=0o500)
    sealed = tmp_path / "sealed" if os.getuid() else Path("/sys")  # root may write into a sealed folder
    for path in (tmp_path / "file" / "progress.json", tmp_path / "folder", sealed / "progress.json"):
        monkeypatch.setenv("COURSE_PROGRESS", str(path))
        is_seven(7)
        first, second = capsys.readouterr().out.splitlines()
        assert first == "Correct. That is it."
        assert second.startswith("(Not remembered: ")
        assert second.endswith(".)")


def test_nothing_is_noted_in_tests_and_builds(
    is_seven: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("checks.progress.NOTEBOOKS", tmp_path)  # where it would be noted, if it were
    is_seven(7)
    assert capsys.readouterr().out == "Correct. That is it.\n"
    assert list(tmp_path.iterdir()) == []

    monkeypatch.delenv("COURSE_PROGRESS")
    cell = convert("# %%\nfrom checks import progress\n\nprint(progress._file())\n")
    execute(cell)
    assert cell.cells[0].outputs[0].text == "None\n"

    monkeypatch.delenv("COURSE_PROGRESS")
    is_seven(7)
    assert (tmp_path / "progress.json").exists()


def test_the_file_is_ignored_by_git() -> None:
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/notebooks/progress.json", "/notebooks/.progress.json.*"} <= set(lines)


def test_all_exercises_are_found_under_their_headings() -> None:
    from checks.progress import exercises

    found = list(exercises())
    assert [(one.notebook[:2], one.name.partition(".")[2]) for one in found] == [
        (exercise.notebook[:2], exercise.name) for exercise in EXERCISES
    ]
    for one, exercise in zip(found, EXERCISES, strict=True):
        texts = [cell.source for cell in source_cells(exercise.notebook)]
        before = texts[texts.index(exercise.stub) - 1]
        assert f"### {one.heading}\n" in before or exercise.name == "diagnosis"
    assert len({one.name for one in found}) == len(found)
    assert len({(one.notebook, one.heading) for one in found}) == len(found)


def test_the_committed_picture_has_as_many_exercises() -> None:
    outputs = [output for cell in cells("00_quickstart", "code") for output in cell["outputs"]]
    alts = [output["metadata"]["image/png"]["alt"] for output in outputs if "image/png" in output.get("data", {})]
    assert alts[-1].startswith(f"0 of {len(EXERCISES)} exercises solved"), "run make notebooks ONLY=00"


def test_the_picture_shows_every_exercise_and_nothing_twice(file: Path, drawn: list[tuple[Figure, str]]) -> None:
    from checks.progress import exercises, show_progress

    every = list(exercises())
    solved = [one.name for one in every[::3]]
    file.write_text(json.dumps(dict.fromkeys([*solved, "no.longer_there"], "2026-01-01")), encoding="utf-8")
    show_progress()
    figure, alt = drawn[0]
    assert alt.startswith(f"{len(solved)} of {len(every)} exercises solved; by notebook: 00 1/2, 01 1/3, ")
    assert 20 <= len(alt) <= 400
    bar, table = figure.axes
    assert bar.get_title(loc="left") == f"{len(solved)} of {len(every)} exercises solved"
    titles = list(dict.fromkeys(one.notebook for one in every))
    assert sorted(text.get_text() for text in table.texts) == sorted(titles + [one.heading for one in every])
    marks = [line for line in table.lines if line.get_marker() == "o"]
    assert len(marks) == len(every)
    assert len(table.lines) - len(marks) == len(solved)

    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in table.texts] + [mark.get_window_extent() for mark in marks]
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
    plt.close(figure)
