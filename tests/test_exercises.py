"""Every exercise three ways: the folded solution passes, the stub gets its hint, wrong answers get other hints."""

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.notebook_files import NAMES, NOTEBOOKS, source_cells
from tests.wrong_answers import RIGHT, WRONG


@dataclass(frozen=True)
class Exercise:
    notebook: str
    name: str
    stub: str
    check: str
    solution: str


def read_exercises() -> list[Exercise]:
    """Find stub, check and solution of each exercise: two tagged cells and the folded text after them."""
    exercises = []
    for notebook in NAMES:
        cells = source_cells(notebook)
        for index, cell in enumerate(cells):
            if "exercise" in cell.metadata.get("tags", []):
                check, folded = cells[index + 1], cells[index + 2]
                solution = re.search(r"<summary>Solution</summary>\n\n```python\n(.*?)```", folded.source, re.DOTALL)
                assert solution is not None, (notebook, folded.source)
                name = re.search(r"\.(\w+)\(\w+\)\s*$", check.source)
                assert name is not None, (notebook, check.source)
                exercises.append(Exercise(notebook, name[1], cell.source, check.source, solution[1]))
    return exercises


EXERCISES = read_exercises()


def imports(notebook: str) -> str:
    """Return all import statements of a notebook: what a learner has at hand at its end."""
    code = [cell.source for cell in source_cells(notebook) if cell.cell_type == "code"]
    nodes = [node for text in code for node in ast.parse(text).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return "\n".join(ast.unparse(node) for node in nodes)


@pytest.fixture(autouse=True)
def _in_the_notebooks_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(NOTEBOOKS)
    monkeypatch.syspath_prepend(str(NOTEBOOKS))


def verdict(exercise: Exercise, answer: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run an answer and its check as the notebook would; return what the learner reads."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    module = exercise.check.partition(".")[0].split()[-1] if "import" not in exercise.check else ""
    prelude = imports(exercise.notebook) + (f"\nfrom checks import {module}" if module else "")
    exec(prelude, namespace)
    exec(answer, namespace)
    capsys.readouterr()
    exec(exercise.check, namespace)
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: f"{exercise.notebook[:2]}-{exercise.name}")
def test_solution_passes_and_is_remembered(
    exercise: Exercise, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "progress.json"))
    said = verdict(exercise, exercise.solution, capsys)
    assert said.startswith("Correct. ")
    assert "\n" not in said
    (solved,) = json.loads((tmp_path / "progress.json").read_text(encoding="utf-8"))
    assert f"{solved}(" in "\n".join(cell.source for cell in source_cells(exercise.notebook))
    assert solved.partition(".")[2] == exercise.name


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: f"{exercise.notebook[:2]}-{exercise.name}")
def test_other_right_answers_pass(exercise: Exercise, capsys: pytest.CaptureFixture[str]) -> None:
    for answer in RIGHT[exercise.notebook[3:]].get(exercise.name, []):
        assert verdict(exercise, answer, capsys).startswith("Correct. "), answer


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: f"{exercise.notebook[:2]}-{exercise.name}")
def test_stub_gets_its_hint(exercise: Exercise, capsys: pytest.CaptureFixture[str]) -> None:
    said = verdict(exercise, exercise.stub, capsys)
    assert said.startswith("Not yet: ")
    assert "Hint: " in said


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: f"{exercise.notebook[:2]}-{exercise.name}")
def test_wrong_answers_get_another_hint(exercise: Exercise, capsys: pytest.CaptureFixture[str]) -> None:
    untouched = verdict(exercise, exercise.stub, capsys)
    answers = WRONG[exercise.notebook[3:]][exercise.name]
    assert len(answers) >= 2
    for answer, expected in answers.items():
        said = verdict(exercise, answer, capsys)
        assert said.startswith("Not yet: "), (answer, said)
        assert said != untouched, answer
        assert re.search(expected, said), (answer, said)
        assert "\n" not in said


def test_every_answer_belongs_to_an_exercise_and_every_exercise_has_both_kinds() -> None:
    for answers in (WRONG, RIGHT):
        written = {(notebook, name) for notebook, exercises in answers.items() for name in exercises}
        assert written == {(exercise.notebook[3:], exercise.name) for exercise in EXERCISES}
