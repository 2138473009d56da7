"""Homework 3, graded by nbgrader: the solution, the untouched release, wrong submissions; and each bug on its own."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from tests.homework.course import Course, marked, students
from tests.homework.wrong_submissions import Submission
from tests.homework.wrong_submissions.hw3 import AS_IT_WAS, BUGS, SUBMISSIONS, with_bugs
from tools.homework import HOMEWORK, source_notebook

pytestmark = pytest.mark.filterwarnings("ignore")  # nbgrader's and SQLAlchemy's own


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    return Course(tmp_path_factory.mktemp("hw3"), "hw3")


@students(SUBMISSIONS)
def test_points(course: Course, student: str, submission: Submission | None) -> None:
    course.check(student, submission)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go where the script and the checks are."""
    folder = HOMEWORK / "source" / "hw3"
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    return folder


def run(folder: Path, answers: dict[str, str | None]) -> tuple[set[str], dict[str, Any]]:
    """Run the notebook here, with these answers; return the tests that fail, and all names."""
    names: dict[str, Any] = {}
    failed = set()
    for cell in marked(source_notebook((folder / "hw3.py").read_text(encoding="utf-8"))):
        mark = cell.metadata.nbgrader
        if mark["grade_id"] in ("setup", "look"):
            continue
        try:
            exec(answers.get(mark["grade_id"]) or cell.source, names)
        except AssertionError:
            assert mark["grade"]
            failed.add(mark["grade_id"])
    return failed, names


SOME = [set(), *({bug} for bug in BUGS), *(set(BUGS) - {bug} for bug in BUGS)]


@pytest.mark.parametrize("bugs", SOME, ids=lambda bugs: " ".join(sorted(bugs)))
def test_each_bug_costs_its_own_points_and_no_others(folder: Path, bugs: set[str]) -> None:
    assert run(folder, with_bugs(bugs))[0] == bugs


def report(capsys: pytest.CaptureFixture[str]) -> list[float]:
    """Return the numbers that the script prints: epoch, accuracy, loss, right answers, images."""
    importlib.import_module("evaluate_wrong").main()
    return [float(number) for number in re.findall(r"\d+\.?\d*", capsys.readouterr().out)]


def test_the_script_says_what_the_notebook_says_of_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, accuracy, loss, right, images = report(capsys)
    assert accuracy > 80
    assert loss > 1.4
    assert right / images < 0.2
    assert images == 320
    names = run(folder, {})[1]
    for name in AS_IT_WAS:
        monkeypatch.setattr(f"evaluate_wrong.{name}", names[name])
    _, accuracy, loss, right, images = report(capsys)
    assert accuracy > 90
    assert loss < 0.5
    assert accuracy == round(100 * right / images, 1)
    assert images == 360
