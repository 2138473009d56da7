"""Make the homework, and grade what was handed in.

    python -m tools.homework make             generate all releases; with names (hw1 hw2), those
    python -m tools.homework grade FOLDER     grade FOLDER/<student>/<assignment>/<assignment>.ipynb

Both use nbgrader's own steps and database, so its commands can be mixed with these: see docs/teaching.md.
"""

import json
import os
import re
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from nbgrader.apps import NbGraderAPI
from nbgrader.plugins import CsvExportPlugin
from sqlalchemy.exc import SAWarning
from traitlets.config.loader import Config, PyFileConfigLoader

from tools import landlock
from tools.notebooks import ROOT, convert, fill, repository, write

HOMEWORK = ROOT / "notebooks" / "homework"
WANTED = "<student>/<assignment>/<assignment>.ipynb"
DEFAULTS = {"grade": False, "locked": False, "solution": False, "task": False, "schema_version": 3}

SETUP_CELL = """# %% tags=["setup"] nbgrader={{"grade_id": "setup", "locked": true}}
# @title Setup
# Finds the course, in a folder above or installed; on Colab it fetches it. Torch stays as it is.
import importlib.util
import os
import subprocess
import sys

REPOSITORY = "{repository}"
up = os.getcwd()
while not os.path.isdir(os.path.join(up, "course_utils")) and up != os.path.dirname(up):
    up = os.path.dirname(up)
if os.path.isdir(os.path.join(up, "course_utils")):
    sys.path.insert(0, up)
elif importlib.util.find_spec("course_utils") is None:
    if "google.colab" not in sys.modules:
        raise ModuleNotFoundError(f"The course is not here: pip install git+{{REPOSITORY}}.")
    if not os.path.isdir("course"):
        clone = f"rm -rf course.part && git clone --quiet --depth 1 {{REPOSITORY}} course.part"
        subprocess.run(f"{{clone}} && mv course.part course", shell=True, check=True)
    sys.path.insert(0, os.path.abspath("course"))
    os.chdir("course/notebooks/homework/release/{name}")
if not os.path.isfile("{name}_checks.py"):
    raise FileNotFoundError("{name}_checks.py is missing: fetch the whole folder {name}.")

"""


def names() -> list[str]:
    """Return the names of all assignments."""
    return sorted(path.stem for path in (HOMEWORK / "source").glob("*/hw[0-9].py"))


def stamp(text: str, name: str) -> str:
    """Return the source ``text`` of assignment ``name`` with its badge and its setup cell up to date."""
    setup = SETUP_CELL.format(repository=repository(), name=name)
    return fill(text, f"notebooks/homework/release/{name}/{name}.ipynb", setup)


def source_notebook(text: str) -> Any:
    """Return the notebook that the source ``text`` describes, with nbgrader's marks written out in full."""
    notebook = convert(text)
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata:
            mark = DEFAULTS | cell.metadata["nbgrader"]
            mark["locked"] = mark["locked"] or mark["grade"]
            cell.metadata["nbgrader"] = mark
    return notebook


def open_course(root: Path = HOMEWORK, submissions: Path | None = None) -> NbGraderAPI:
    """Return nbgrader's interface to the course in ``root``, with the settings of nbgrader_config.py."""
    config = PyFileConfigLoader("nbgrader_config.py", path=str(HOMEWORK)).load_config()
    config.merge(Config({"CourseDirectory": {"root": str(root)}}))
    if submissions is not None:
        config.CourseDirectory.submitted_directory = str(submissions)
    api = NbGraderAPI(config=config)
    api.log_level = "ERROR"
    return api


def make(api: NbGraderAPI, name: str) -> None:
    """Generate one assignment's source notebook and from it the release.

    Raises:
        RuntimeError: nbgrader refused; with what it said.
    """
    folder = Path(api.coursedir.root) / "source" / name
    source = folder / f"{name}.py"
    text = source.read_text(encoding="utf-8")
    stamped = stamp(text, name)
    if stamped != text:
        source.write_text(stamped, encoding="utf-8")
    notebook = folder / f"{name}.ipynb"
    before = (notebook.read_bytes(), notebook.stat().st_mtime_ns) if notebook.exists() else (b"", 0)
    write(source_notebook(stamped), notebook)
    if notebook.read_bytes() == before[0]:
        os.utime(notebook, ns=(before[1], before[1]))  # else all that was graded would be graded again
    done = api.generate_assignment(name, force=True)
    if not done["success"]:
        raise RuntimeError(f"nbgrader could not generate {name}: {_reason(done)}")


def grade(api: NbGraderAPI, student: str, name: str) -> str:
    """Autograde one submission and write its feedback, unless both are newer than it and than the tests.

    Returns:
        What stood in the way, as one sentence, or nothing.
    """
    folder = Path(api.coursedir.format_path(api.coursedir.submitted_directory, student, name))
    handed_in = folder / f"{name}.ipynb"
    if not handed_in.is_file():
        found = ", ".join(sorted(path.name for path in folder.glob("*.ipynb"))) or "no notebook"
        return f"not graded: there is {found} in place of {name}.ipynb"
    graded = Path(api.coursedir.format_path(api.coursedir.autograded_directory, student, name)) / f"{name}.ipynb"
    feedback = Path(api.coursedir.format_path(api.coursedir.feedback_directory, student, name)) / f"{name}.html"
    source = Path(api.coursedir.root) / "source" / name / f"{name}.ipynb"
    if feedback.is_file() and feedback.stat().st_mtime > max(p.stat().st_mtime for p in (handed_in, source)):
        return ""
    try:
        if not isinstance(json.loads(handed_in.read_text(encoding="utf-8"))["cells"], list):
            raise KeyError
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"not graded: {name}.ipynb is no notebook"
    for step in (api.autograde, api.generate_feedback):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # nbgrader's queries
            done = step(name, student, force=True)
        if not done["success"]:
            return f"not graded: {_reason(done)}"
    cells = json.loads(graded.read_text(encoding="utf-8"))["cells"]
    lost = [o["evalue"] for cell in cells for o in cell.get("outputs", []) if o.get("ename") == "NotRun"]
    return lost[0] if lost else ""


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    match arguments:
        case ["make", *chosen]:
            api = open_course()
            for name in chosen or names():
                make(api, name)
                print(f"notebooks/homework/release/{name}")
            return 0
        case ["grade", folder]:
            return _grade_all(Path(folder).resolve())
        case _:
            print("Usage: make homework, or make grade SUBMISSIONS=folder.", file=sys.stderr)
            return 2


def _grade_all(submissions: Path) -> int:
    api = open_course(submissions=submissions)
    with api.gradebook as gradebook:
        known = {assignment.name: assignment.max_score for assignment in gradebook.assignments}
    if not known:
        print("There is no gradebook yet: run make homework first.", file=sys.stderr)
        return 1
    found = sorted(path for path in submissions.glob("*/*") if path.is_dir() and path.name in known)
    if not found:
        print(f"No submission in {submissions}: wanted are {WANTED}.", file=sys.stderr)
        return 1
    if landlock.version() < 6:
        print(
            "Submissions can read your files and use the network while they are graded, because this system has no "
            "Landlock (Linux 6.12 or later): grade in a container or a virtual machine.",
            file=sys.stderr,
        )
    for path in sorted(submissions.rglob("*.ipynb")):
        if path.parent not in found and ".ipynb_checkpoints" not in path.parts:
            print(f"Not looked at: {path.relative_to(submissions)}, because it is no {WANTED}.", file=sys.stderr)
    width = max(len(path.parent.name) for path in found)
    for path in found:
        started = time.perf_counter()
        note = grade(api, path.parent.name, path.name)
        score = 0.0
        if not note.startswith("not graded"):
            with api.gradebook as gradebook:
                submission = gradebook.find_submission(path.name, path.parent.name)
                score = submission.score
                if any(mark.manual_score is not None for part in submission.notebooks for mark in part.grades):
                    note = "; ".join(filter(None, (note, "with points by hand, which stay")))
        seconds = time.perf_counter() - started
        print(f"{path.parent.name:{width}}  {path.name}  {score:5g} / {known[path.name]:g}  {seconds:4.0f} s  {note}")
    grades = HOMEWORK / "grades.csv"
    with api.gradebook as gradebook:
        CsvExportPlugin(to=str(grades)).export(gradebook)
    print(f"Grades: {grades.relative_to(ROOT)}; feedback: {HOMEWORK.relative_to(ROOT)}/feedback/<student>/")
    return 0


def _reason(done: dict[str, Any]) -> str:
    """Return the line of nbgrader's log, or of its traceback, that says what went wrong."""
    said = (done.get("log", "") + done.get("error", "")).splitlines()
    errors = [line.strip() for line in said if re.match(r"\s*[\w.]+(Error|Exception)\b", line)]
    return errors[0] if errors else "nbgrader gave no reason"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
