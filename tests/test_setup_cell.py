"""The setup cell: silent in a checkout; on Colab it brings the course, once, and leaves torch alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.notebook_files import NAMES, NOTEBOOKS, ROOT, cells, tags_of, text_of
from tools.notebooks import FETCH, repository

# Stands for Colab's pip: writes down what it was asked for, and makes it importable.
FAKE_PIP = """
import pathlib, sys
here = pathlib.Path(__file__).parent
with open(here / "asked.txt", "a") as asked:
    asked.write(" ".join(sys.argv[1:]) + "\\n")
for name in sys.argv[2:]:
    if not name.startswith("-"):
        (here / (name.replace("-", "_") + ".py")).touch()
"""


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment with nothing in it: no torch, no pip, no course."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / ("Scripts" if os.name == "nt" else "bin") / "python"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a git repository with the course in it, as it stands in this folder."""
    folder = tmp_path_factory.mktemp("remote") / "course.git"
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for path in [*ROOT.glob("course_utils/*.*"), *ROOT.glob("notebooks/checks/*.py"), ROOT / "pyproject.toml"]:
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "The course"]):
        subprocess.run([*git, "-C", str(folder), *command], check=True)
    return folder


class Colab:
    """A working folder with a stand-in google.colab, and the setup cell with a local address."""

    def __init__(self, python: Path, folder: Path, address: str, notebook: str = NAMES[0]) -> None:
        self.python, self.folder = python, folder
        self.packages = folder / "packages"
        (self.packages / "google" / "colab").mkdir(parents=True)
        (self.packages / "google" / "colab" / "__init__.py").touch()
        (self.packages / "pip.py").write_text(FAKE_PIP)
        self.content = folder / "content"
        self.content.mkdir()
        self.cell = text_of(cells(notebook, "code")[0]).replace(repository(), address)

    def run(self, after: str = "", *, colab: bool = True, again: bool = False) -> "subprocess.CompletedProcess[str]":
        code = "\n".join((["import google.colab"] if colab else []) + [self.cell] * (2 if again else 1) + [after])
        environment = {**os.environ, "PYTHONPATH": str(self.packages)}
        return subprocess.run(
            [str(self.python), "-c", code],
            cwd=self.content,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    @property
    def asked(self) -> list[str]:
        path = self.packages / "asked.txt"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def colab(bare_python: Path, address: Path, tmp_path: Path) -> Colab:
    return Colab(bare_python, tmp_path, str(address))


WHERE = "import importlib.util, os; print(importlib.util.find_spec('course_utils').origin); print(os.getcwd())"


def test_every_notebook_has_the_same_setup_cell() -> None:
    """But for the packages that some fetch in addition."""
    fetch = FETCH.format(module="MODULE", packages="PACKAGES")
    more = re.compile(re.escape(fetch).replace("MODULE", r"\w+").replace("PACKAGES", r"[\w ]+"))
    assert len({more.sub("", text_of(cells(name, "code")[0])) for name in NAMES}) == 1
    assert all(tags_of(cells(name, "code")[0]) == ["setup"] for name in NAMES)


def test_on_colab_it_brings_the_course(colab: Colab) -> None:
    done = colab.run(WHERE)
    assert done.returncode == 0, done.stderr
    course = colab.content / "course"
    assert done.stdout.splitlines() == [str(course / "course_utils" / "__init__.py"), str(course / "notebooks")]
    assert done.stderr == ""


def test_it_never_installs_torch(colab: Colab) -> None:
    colab.run()
    assert colab.asked == ["install --quiet --no-deps torchmetrics lightning-utilities"]


@pytest.mark.parametrize("name", [name for name in NAMES if name[:2] in ("09", "14")])
def test_it_fetches_what_colab_has_not(bare_python: Path, address: Path, tmp_path: Path, name: str) -> None:
    colab = Colab(bare_python, tmp_path, str(address), name)
    colab.run()
    service = "httpx2 fastapi uvicorn"
    wanted = {"09": ["optuna"], "14": ["onnx onnxscript", "onnxruntime", "openvino", service]}[name[:2]]
    assert colab.asked[1:] == [f"install --quiet {packages}" for packages in wanted]


def test_it_can_run_again(colab: Colab) -> None:
    done = colab.run(WHERE + "; import sys; print(sum(path.endswith('course') for path in sys.path))", again=True)
    assert done.stdout.splitlines()[-1] == "1", done.stderr
    marker = colab.content / "course" / "mine.txt"
    marker.write_text("a learner's own file")
    assert colab.run(WHERE).returncode == 0  # the kernel was restarted
    assert marker.exists()
    assert len(colab.asked) == 1


def test_an_interrupted_download_is_not_taken_for_the_course(colab: Colab) -> None:
    (colab.content / "course.part" / "course_utils").mkdir(parents=True)
    done = colab.run(WHERE)
    assert done.returncode == 0, done.stderr
    assert not (colab.content / "course.part").exists()


def test_without_network_one_sentence(bare_python: Path, tmp_path: Path) -> None:
    colab = Colab(bare_python, tmp_path, str(tmp_path / "nowhere.git"))
    done = colab.run()
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("RuntimeError: Setup failed (")
    assert last.endswith("check the connection and run it again.")
    assert not (colab.content / "course").exists()


def test_elsewhere_without_the_course_one_sentence(colab: Colab) -> None:
    done = colab.run(colab=False)
    assert done.stderr.strip().splitlines()[-1].startswith("ModuleNotFoundError: The course is not here: git clone ")


def test_in_a_checkout_it_does_nothing_visible(bare_python: Path) -> None:
    code = text_of(cells(NAMES[0], "code")[0]) + "\n" + WHERE
    done = subprocess.run([str(bare_python), "-c", code], cwd=NOTEBOOKS, capture_output=True, text=True)
    assert done.stdout.splitlines() == [str(ROOT / "course_utils" / "__init__.py"), str(NOTEBOOKS)]
    assert done.stderr == ""
    assert all(cells(name, "code")[0]["outputs"] == [] for name in NAMES)
