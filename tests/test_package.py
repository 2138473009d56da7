"""The package as a whole: light to import, documented, typed, small."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import course_utils

PACKAGE = Path(course_utils.__file__).parent
HEAVY = {"pandas", "sklearn", "matplotlib", "tensorboard", "torchvision", "torchmetrics", "tqdm.auto", "IPython"}


def test_importing_it_imports_nothing_heavy() -> None:
    # torch may bring some of them itself; what counts is what course_utils adds.
    code = "import sys, torch; before = set(sys.modules); import course_utils; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_everything_public_is_listed_and_documented() -> None:
    for name in course_utils.__all__:
        documentation = inspect.getdoc(getattr(course_utils, name))
        assert documentation, name
        assert len(documentation) > 40, name


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_modules_are_short_and_depend_on_no_notebook(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 260
    imported = {
        name.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in node.names
    }
    assert not {module for module in imported if module and module.split(".")[0] in ("checks", "notebooks", "tests")}


def test_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
