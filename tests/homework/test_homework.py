"""The assignments as files: releases without solutions, made from their sources, complete for students and teachers."""

import ast
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.homework.course import marked
from tools.homework import HOMEWORK, make, names, open_course, source_notebook, stamp
from tools.notebooks import repository

pytestmark = pytest.mark.filterwarnings("ignore")  # nbgrader's and SQLAlchemy's own
NAMES = names()


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def text(name: str) -> str:
    return (HOMEWORK / "source" / name / f"{name}.py").read_text(encoding="utf-8")


def released(name: str) -> Any:
    return json.loads((HOMEWORK / "release" / name / f"{name}.ipynb").read_text(encoding="utf-8"))


def first_cell(name: str) -> str:
    return str(source_notebook(text(name)).cells[0].source)


def regions(name: str, kind: str) -> list[str]:
    """Return the lines of code between ### BEGIN and ### END of a kind, SOLUTION or HIDDEN TESTS."""
    found = re.findall(rf"### BEGIN {kind}\n(.*?)### END {kind}", text(name), re.DOTALL)
    return [line.strip() for region in found for line in region.splitlines() if line.strip()]


def test_the_folders_are_those_of_the_sources() -> None:
    assert sorted(path.name for path in (HOMEWORK / "source").glob("hw?")) == NAMES
    assert sorted(path.name for path in (HOMEWORK / "release").iterdir()) == NAMES


def test_releases_are_what_the_sources_generate(tmp_path: Path) -> None:
    shutil.copytree(HOMEWORK / "source", tmp_path / "source", ignore=shutil.ignore_patterns("*.ipynb"))
    api = open_course(tmp_path)
    for name in NAMES:
        make(api, name)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "release").rglob("*.*")}
    committed = {
        path.relative_to(HOMEWORK): path.read_bytes()
        for path in (HOMEWORK / "release").rglob("*.*")
        if not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts)
    }
    assert made == committed, "run make homework"


def test_badge_and_setup_cell_are_stamped(name: str) -> None:
    assert stamp(text(name), name) == text(name), "run make homework"


def test_a_release_holds_no_solution_and_no_hidden_test(name: str) -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in (HOMEWORK / "release" / name).glob("*.*")}
    beside = {path.name for path in (HOMEWORK / "source" / name).iterdir() if path.is_file()} - {f"{name}.py"}
    assert set(files) == beside | {f"{name}.ipynb"}
    assert f"{name}_checks.py" in beside
    cells = ["".join(cell["source"]) for cell in released(name)["cells"]]
    for kind in ("SOLUTION", "HIDDEN TESTS"):
        assert not any(kind in file for file in files.values())
        lines = [line for line in regions(name, kind) if len(line) > 12]
        assert len(lines) >= 20
        given = {line.strip() for cell in cells for line in cell.splitlines()}
        assert not given & {line for line in lines if not line.startswith(("def __", "except "))}
    assert all(not cell.get("outputs") for cell in released(name)["cells"])


def test_hidden_tests_use_data_that_no_student_sees(name: str) -> None:
    seeds = set(re.findall(r"seed=(\d+)", "\n".join(regions(name, "HIDDEN TESTS"))))
    assert len(seeds) >= 5
    visible = "".join(path.read_text(encoding="utf-8") for path in (HOMEWORK / "release" / name).glob("*.*"))
    assert not [seed for seed in seeds if seed in visible]


def test_every_test_has_a_visible_and_a_hidden_part(name: str) -> None:
    for cell in marked(source_notebook(text(name))):
        if cell.metadata.nbgrader["grade"]:
            visible, _, hidden = cell.source.partition("### BEGIN HIDDEN TESTS")
            assert f"{name}_checks." in visible, cell.source
            assert "the checks were changed" in hidden, cell.source


def test_the_first_cell_says_what_a_student_must_know(name: str) -> None:
    said = first_cell(name)
    assert re.match(rf"# Homework {name[2:]} · ", said)
    assert "**After this homework you can**" in said
    assert re.search(r"\*\*Time:\*\* \d+ minutes\.", said)
    points = re.search(r"\*\*Points:\*\* (\d+)\.", said)
    assert points is not None
    cells = source_notebook(text(name)).cells
    marks = [cell.metadata.nbgrader for cell in marked(source_notebook(text(name)))]
    assert int(points[1]) == sum(mark["points"] for mark in marks if mark["grade"])
    for before, cell in itertools.pairwise(cells):  # and each test in the text above it
        if cell.metadata.get("nbgrader", {}).get("grade"):
            value = cell.metadata.nbgrader["points"]
            assert f"({value} point{'s' if value > 1 else ''})" in before.source, cell.source


def test_solutions_import_only_what_is_allowed(name: str) -> None:
    allowed = re.search(r"\*\*Allowed imports:\*\*(.*?)standard library", first_cell(name), re.DOTALL)
    assert allowed is not None
    beside = {path.stem for path in (HOMEWORK / "source" / name).glob("*.py")}
    packages = {*re.findall(r"`(\w+)`", allowed[1]), *sys.stdlib_module_names, *beside}
    for cell in marked(source_notebook(text(name))):
        if "setup" not in cell.metadata.get("tags", []):
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    found = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
                    assert {module.partition(".")[0] for module in found} <= packages, cell.source


def test_every_code_cell_is_given_or_an_answer_or_a_test(name: str) -> None:
    """A cell without a mark could be changed by a student, and would not be put back when it is missing."""
    cells = [cell for cell in source_notebook(text(name)).cells if cell.cell_type == "code"]
    assert all(cell in marked(source_notebook(text(name))) for cell in cells)
    marks = [cell.metadata.nbgrader for cell in cells]
    assert len({mark["grade_id"] for mark in marks}) == len(marks)
    assert all(mark["locked"] != mark["solution"] for mark in marks)
    assert max(len(line) for cell in cells for line in cell.source.splitlines()) <= 100


def setup_cell(name: str) -> str:
    cell = next(cell for cell in released(name)["cells"] if "setup" in cell["metadata"].get("tags", []))
    return "".join(cell["source"])


def run(code: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run ``code`` in ``folder``, in a Python without packages."""
    command = [sys.executable, "-S", "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


WHERE = "\nprint(importlib.util.find_spec('course_utils').origin); print(os.getcwd())"


def test_setup_finds_the_course_in_a_folder_above(name: str, tmp_path: Path) -> None:
    (tmp_path / "course_utils").mkdir()
    (tmp_path / "course_utils" / "__init__.py").touch()
    mine = tmp_path / "homework" / "mine"
    shutil.copytree(HOMEWORK / "release" / name, mine)
    done = run(setup_cell(name) + WHERE, mine)
    assert done.stdout.splitlines() == [str(tmp_path / "course_utils" / "__init__.py"), str(mine)], done.stderr


def test_setup_without_the_course_or_the_checks_says_one_sentence(name: str, tmp_path: Path) -> None:
    last = run(setup_cell(name), tmp_path).stderr.splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: The course is not here: pip install git+https://")
    (tmp_path / "course_utils").mkdir()
    last = run(setup_cell(name), tmp_path).stderr.splitlines()[-1]
    assert last == f"FileNotFoundError: {name}_checks.py is missing: fetch the whole folder {name}."


def test_on_colab_setup_fetches_the_course_once(name: str, tmp_path: Path) -> None:
    remote, content, google = (tmp_path / part for part in ("remote", "content", "packages/google"))
    (remote / "course_utils").mkdir(parents=True)
    (remote / "course_utils" / "__init__.py").touch()
    shutil.copytree(HOMEWORK / "release" / name, remote / "notebooks" / "homework" / "release" / name)
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "-C", str(remote)]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "The course"]):
        subprocess.run([*git, *command], check=True)
    google.mkdir(parents=True)
    (google / "colab.py").touch()
    content.mkdir()
    code = "import google.colab\n" + setup_cell(name).replace(repository(), str(remote)) + WHERE
    for _ in range(2):  # the second time after the kernel was restarted
        done = run(code, content, PYTHONPATH=str(google.parent), PATH=os.environ["PATH"])
        course = content / "course"
        assert done.stdout.splitlines() == [
            str(course / "course_utils" / "__init__.py"),
            str(course / "notebooks" / "homework" / "release" / name),
        ], done.stderr


def test_the_teachers_page_lists_every_assignment() -> None:
    page = (HOMEWORK.parent.parent / "docs" / "teaching.md").read_text(encoding="utf-8")
    for name in NAMES:
        title = first_cell(name).splitlines()[0].partition("· ")[2]
        minutes = re.search(r"\*\*Time:\*\* (\d+)", first_cell(name))
        points = re.search(r"\*\*Points:\*\* (\d+)", first_cell(name))
        assert minutes is not None
        assert points is not None
        assert f"| {name} | {title} | {points[1]} | {minutes[1]} min |" in page
