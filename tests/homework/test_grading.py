"""The grading itself: what a submission can do to the machine, to the others and to its own points."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.homework.course import Course
from tests.homework.wrong_submissions import Submission
from tools import grading, landlock
from tools.homework import HOMEWORK, _reason, grade, make, open_course

pytestmark = pytest.mark.filterwarnings("ignore")  # nbgrader's and SQLAlchemy's own

SOURCE = """# %% [markdown]
# [![Open in Colab]()]()

# %% tags=["setup"]

# %% nbgrader={"grade_id": "imports", "locked": true}
import hw9_checks
"""
TASK = """
# %% nbgrader={{"grade_id": "{name}", "solution": true}}
def {name}():
    ### BEGIN SOLUTION
    return 1
    ### END SOLUTION

# %% nbgrader={{"grade_id": "{name}_test", "grade": true, "points": 1}}
hw9_checks.is_one({name}())
### BEGIN HIDDEN TESTS
assert {name}() == 1
### END HIDDEN TESTS
"""
TASKS = ("first", "second", "third", "fourth", "fifth")
CHECKS = """
def is_one(value):
    assert value == 1, f"it is {value}. Hint: one."
"""


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    folder = tmp_path_factory.mktemp("sources")
    (folder / "hw9").mkdir()
    (folder / "hw9" / "hw9.py").write_text(SOURCE + "".join(TASK.format(name=name) for name in TASKS))
    (folder / "hw9" / "hw9_checks.py").write_text(CHECKS)
    return Course(tmp_path_factory.mktemp("course"), "hw9", sources=folder, timeout=3)


def answer(name: str, *lines: str) -> dict[str, str | None]:
    return {name: "\n    ".join([f"def {name}():", *lines])}


def test_what_goes_wrong_costs_its_own_points_only(course: Course) -> None:
    """An infinite loop, one that floods, too much memory, warnings, an exit; all in one submission."""
    cells = (
        answer("first", "while True: pass")
        | answer("second", "while True: print('x' * 10_000)")
        | answer("third", "return len(bytearray(8 * 2**30))")
        | answer("fourth", "import sys, warnings", "warnings.warn('look')", "print(1, file=sys.stderr)", "return 1")
        | answer("fifth", "raise SystemExit(0)")
    )
    course.submit("wild", Submission(cells))
    note, points = course.grade("wild")
    assert points == {"first_test": 0, "second_test": 0, "third_test": 0, "fourth_test": 1, "fifth_test": 0}
    assert note == ""
    said = course.graded("wild")
    assert "TooLong: this cell ran longer" in said["first_test"]
    assert "this cell wrote more than" in said["second_test"]
    assert len(said["second_test"]) < 1_100_000
    assert "MemoryError" in said["third_test"]


@pytest.mark.parametrize(
    ("student", "lines", "reason"),
    [
        ("stubborn", ("import signal", "signal.signal(signal.SIGINT, signal.SIG_IGN)", "while True: pass"), "too long"),
        ("leaving", ("import os", "os._exit(0)"), "the kernel ended"),
    ],
)
def test_a_kernel_that_is_lost_costs_the_points_from_there_on(
    course: Course, student: str, lines: tuple[str, ...], reason: str
) -> None:
    course.submit(student, Submission(answer("third", *lines)))
    note, points = course.grade(student)
    assert reason in note
    assert points == {"first_test": 1, "second_test": 1, "third_test": 0, "fourth_test": 0, "fifth_test": 0}
    assert (course.root / "feedback" / student / "hw9" / "hw9.html").is_file()


def test_a_file_that_is_no_notebook_does_not_stop_the_others(course: Course) -> None:
    strange = '{"cells": [{"cell_type": "code"}], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}'
    for student, name, text in (
        ("renamed", "hw9 (1).ipynb", "{}"),
        ("empty", "hw9.ipynb", ""),
        ("other", "hw9.ipynb", '{"cells": 3}'),
        ("strange", "hw9.ipynb", strange),
    ):
        folder = course.root / "submitted" / student / "hw9"
        folder.mkdir(parents=True)
        (folder / name).write_text(text)
    assert grade(course.api, "renamed", "hw9") == "not graded: there is hw9 (1).ipynb in place of hw9.ipynb"
    assert grade(course.api, "empty", "hw9") == "not graded: hw9.ipynb is no notebook"
    assert grade(course.api, "other", "hw9") == "not graded: hw9.ipynb is no notebook"
    assert grade(course.api, "strange", "hw9").startswith("not graded: ")


def test_what_nbgrader_says_is_brought_down_to_the_first_error() -> None:
    log = "[ERROR] There was an error\n[ERROR] Traceback:\n    PermissionError: [Errno 13] alembic\n"
    done = {"log": log, "error": "Traceback:\nnbgrader.converters.base.NbGraderException: see above"}
    assert _reason(done) == "PermissionError: [Errno 13] alembic"
    assert _reason({**done, "log": ""}) == "nbgrader.converters.base.NbGraderException: see above"


def test_what_students_are_used_to_works_while_it_is_graded(course: Course) -> None:
    """Commands with an exclamation mark do no harm, and figures are there for the teacher to see."""
    draw = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    course.submit("used", Submission({"third": "!pip --version\ndef third():\n    return 1"}, extra=draw))
    assert course.grade("used") == ("", course.points)
    notebook = nbformat.read(course.root / "autograded" / "used" / "hw9" / "hw9.ipynb", as_version=4)
    shown = [set(output.get("data", ())) for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("image/png" in kinds for kinds in shown)


def ended(_: object) -> "subprocess.Popen[str]":
    """In place of the fork server: a process that does not answer any more."""
    process = subprocess.Popen(["true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.wait()
    return process


# What a submission tries, and how that must end. {root} is the course's folder, {course} the checkout.
PROBES = {
    "open({root!r} + '/gradebook.db', 'rb')": "PermissionError",
    "open({root!r} + '/source/hw9/hw9.py')": "PermissionError",
    "open({root!r} + '/autograded/{student}/hw9/hw9.ipynb')": "PermissionError",  # with the hidden tests in it
    "open({root!r} + '/submitted/neighbour_of_{student}/hw9/hw9.ipynb')": "PermissionError",
    "os.listdir({course!r})": "PermissionError",
    "os.listdir('/tmp')": "PermissionError",
    "open('/etc/shadow')": "PermissionError",
    "os.listdir('/dev')": "PermissionError",
    "open(f'/proc/{{os.getppid()}}/environ')": "PermissionError",
    "open({course!r} + '/course_utils/new.py', 'w')": "PermissionError",
    "open({course!r} + '/data/new.csv', 'w')": "PermissionError",
    "socket.create_connection(('127.0.0.1', 9), timeout=1)": "PermissionError",
    "socket.create_server(('127.0.0.1', 0))": "PermissionError",
    "os.kill(os.getppid(), 0)": "PermissionError",
    "subprocess.run(['ls', {course!r}], check=True, capture_output=True)": "CalledProcessError",
    "open('large', 'wb').write(bytes(2**28 + 2**20))": "OSError",
    "resource.setrlimit(resource.RLIMIT_DATA, (2**40, 2**40))": "ValueError",
    "os.environ['A_SECRET']": "KeyError",
    "'A_SECRET' in open('/proc/self/environ').read() or 1 / 0": "ZeroDivisionError",
    "open('own.txt', 'w').write('mine')": "nothing",
    "open({course!r} + '/course_utils/training.py').read()": "nothing",
    "open({course!r} + '/data/phones.csv').read()": "nothing",
    "subprocess.run([sys.executable, '-c', FIND], check=True, capture_output=True)": "nothing",
    "os.getpid()": "nothing",
}


@pytest.mark.skipif(landlock.version() < 6, reason="needs Landlock as of Linux 6.12")
@pytest.mark.parametrize("student", ["forked", "started"])
def test_what_the_kernel_cannot_reach(course: Course, student: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if student == "started":
        monkeypatch.setattr(grading, "fork_server", ended)
    names = {"root": str(course.root), "course": str(HOMEWORK.parent.parent), "student": student}
    probes = [probe.format(**names) for probe in PROBES]
    find = "import importlib.util; importlib.util.find_spec('course_utils').origin"
    tried = f"import os, resource, socket, subprocess, sys\nFIND = {find!r}\n" + "".join(
        f"try:\n    {probe}\n    print('nothing')\nexcept Exception as error:\n    print(type(error).__name__)\n"
        for probe in probes
    )
    course.submit(f"neighbour_of_{student}", None)
    course.submit(student, Submission({"fifth": tried}))
    assert course.grade(student)[0] == ""
    assert dict(zip(probes, course.graded(student)["fifth"].split(), strict=True)) == dict(
        zip(probes, PROBES.values(), strict=True)
    )


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
def test_forked_kernels_draw_numbers_of_their_own(course: Course) -> None:
    draws = "os.getppid(), random.random(), np.random.rand(), torch.rand(1)"
    said = []
    for student in ("lucky", "unlucky"):
        course.submit(student, Submission({"fifth": f"import os, random, numpy as np, torch\nprint({draws})"}))
        assert course.grade(student)[0] == ""
        said.append(course.graded(student)["fifth"].split())
    assert said[0][0] == said[1][0] != str(os.getpid())
    assert all(mine != others for mine, others in zip(said[0][1:], said[1][1:], strict=True))


@pytest.mark.skipif(landlock.version() < 6, reason="needs Landlock as of Linux 6.12")
@pytest.mark.parametrize("known", [1, 2, 3, 4, 5, 6])
def test_an_older_linux_refuses_files_as_well(known: int, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").touch()
    (tmp_path / "own").mkdir()
    code = f"""
from pathlib import Path
from tools import landlock
landlock.version = lambda: {known}
landlock.shut_in(read=[Path("/proc/self")], write=[Path({str(tmp_path / "own")!r}), Path("/dev/null")], ports=[5000])
Path({str(tmp_path / "own" / "mine.txt")!r}).write_text("mine")
open({str(tmp_path / "secret.txt")!r})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=HOMEWORK.parent.parent, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].startswith("PermissionError: [Errno 13]"), done.stderr
    assert (tmp_path / "own" / "mine.txt").read_text() == "mine"


def test_a_notebook_that_lost_its_marks_is_graded_all_the_same(course: Course) -> None:
    """As after a visit to an editor that drops what it does not know."""
    course.submit("elsewhere", Submission(answer("second", "return 2")))
    path = course.root / "submitted" / "elsewhere" / "hw9" / "hw9.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata = {}
    nbformat.write(notebook, path)
    assert course.grade("elsewhere") == ("", {f"{name}_test": float(name != "second") for name in TASKS})


def test_graded_again_only_after_a_change(course: Course) -> None:
    course.submit("twice", Submission({}))
    page = course.root / "feedback" / "twice" / "hw9" / "hw9.html"
    assert grade(course.api, "twice", "hw9") == ""
    written = page.stat().st_mtime_ns
    make(course.api, "hw9")  # the same source: nothing to do again
    assert grade(course.api, "twice", "hw9") == ""
    assert page.stat().st_mtime_ns == written
    (course.root / "submitted" / "twice" / "hw9" / "hw9.ipynb").touch()
    assert grade(course.api, "twice", "hw9") == ""
    assert page.stat().st_mtime_ns > written


def test_feedback_shows_the_hint_and_not_the_hidden_test(course: Course) -> None:
    html = "from IPython.display import HTML, display; display(HTML('<script>attack()</script>'))"
    course.submit("half", Submission(answer("second", "return 2") | {"third": html}))
    course.grade("half")
    page = (course.root / "feedback" / "half" / "hw9" / "hw9.html").read_text(encoding="utf-8")
    assert "it is 2. Hint: one." in page
    assert "HIDDEN" not in page
    assert "<script>attack" not in page
    assert "assert" not in page.partition("<body")[2].partition("second_test")[2].lower().replace("assertionerror", "")


def test_settings_are_those_of_nbgraders_own_commands() -> None:
    api = open_course()
    names = [step.__name__ for step in api.config.Autograde.autograde_preprocessors]
    assert names[0] == "Execute"
    assert api.config.Autograde.autograde_preprocessors[0].__module__ == "tools.grading"
