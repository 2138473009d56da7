"""Grading planted submissions as nbgrader grades them, for the tests of the homework."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.homework.wrong_submissions import Submission
from tools.homework import HOMEWORK, grade, make, open_course, source_notebook

os.environ["A_SECRET"] = "a token"  # set before any kernel or fork server starts; none may have it


def marked(notebook: Any) -> list[Any]:
    """Return the cells with nbgrader's marks."""
    return [cell for cell in notebook.cells if "nbgrader" in cell.metadata]


def students(wrong: dict[str, Submission]) -> pytest.MarkDecorator:
    """Parametrise a test by who hands in what: the solution, the untouched release, and all of ``wrong``."""
    return pytest.mark.parametrize(
        ("student", "submission"), [("solved", Submission({})), ("untouched", None), *wrong.items()]
    )


class Course:
    """A course in a folder of its own, with one assignment, which tests hand in and grade."""

    def __init__(self, root: Path, name: str, *, sources: Path = HOMEWORK / "source", timeout: int = 8) -> None:
        self.root, self.name = root, name
        shutil.copytree(sources / name, root / "source" / name, ignore=shutil.ignore_patterns("*.ipynb"))
        self.api = open_course(root)
        self.api.config.Execute.timeout = timeout
        make(self.api, name)
        self.source = source_notebook((root / "source" / name / f"{name}.py").read_text(encoding="utf-8"))
        self.release = root / "release" / name / f"{name}.ipynb"
        marks = [cell.metadata.nbgrader for cell in marked(self.source)]
        self.points = {mark["grade_id"]: mark["points"] for mark in marks if mark["grade"]}

    def submit(self, student: str, submission: Submission | None) -> None:
        """Hand in for a student; the release as it is where ``submission`` is None."""
        notebook = nbformat.read(self.release, as_version=4)
        if submission is not None:
            self._fill(notebook, submission)
        folder = self.root / "submitted" / student / self.name
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / self.release.name)

    def _fill(self, notebook: Any, submission: Submission) -> None:
        answers = {cell.metadata.nbgrader["grade_id"]: cell.source for cell in marked(self.source)}
        assert set(submission.cells) <= set(answers), "there are no such cells"
        cells = []
        for cell in notebook.cells:
            if "nbgrader" in cell.metadata:
                mark = cell.metadata.nbgrader
                given = answers[mark["grade_id"]] if mark["solution"] else cell.source
                text = submission.cells.get(mark["grade_id"], given)
                if text is None:
                    continue
                cell.source = text
            cells.append(cell)
            if submission.extra and cell.metadata.get("nbgrader", {}).get("grade_id") == "imports":
                cells.append(nbformat.v4.new_code_cell(submission.extra, id="added"))
        notebook.cells = cells

    def grade(self, student: str) -> tuple[str, dict[str, float]]:
        """Return what stood in the way and the points of each test, as the gradebook has them."""
        note = grade(self.api, student, self.name)
        with self.api.gradebook as gradebook:
            submission = gradebook.find_submission(self.name, student)
            return note, {grade.name: grade.score for notebook in submission.notebooks for grade in notebook.grades}

    def graded(self, student: str) -> dict[str, str]:
        """Return what each cell wrote, errors included, by its grade_id."""
        notebook = nbformat.read(self.root / "autograded" / student / self.name / self.release.name, as_version=4)
        return {
            cell.metadata.nbgrader["grade_id"]: "".join(
                output.get("text", "") or f"{output.get('ename')}: {output.get('evalue')}" for output in cell.outputs
            )
            for cell in marked(notebook)
            if cell.cell_type == "code"
        }

    def expected(self, submission: Submission | None) -> dict[str, float]:
        """Return the points that each test must give."""
        lost = set(self.points) if submission is None else set(submission.lost)
        assert lost <= set(self.points), "there are no such tests"
        return {test: 0.0 if test in lost else value for test, value in self.points.items()}

    def check(self, student: str, submission: Submission | None) -> None:
        """Hand in and grade, and assert what every test gave and what those that gave nothing said."""
        self.submit(student, submission)
        assert self.grade(student) == ("", self.expected(submission))
        lost = dict.fromkeys(self.points, "NotImplementedError") if submission is None else submission.lost
        said = self.graded(student)
        for test, reason in lost.items():
            assert re.search(reason, said[test]), said[test][-500:]
