"""Reading the course's notebooks and their sources, for the tests of them."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jupytext

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
NAMES = sorted(path.stem for path in (NOTEBOOKS / "source").glob("[0-9]*.py"))


@cache
def source_cells(name: str) -> list[Any]:
    """Return the cells of notebooks/source/NAME.py."""
    text = (NOTEBOOKS / "source" / f"{name}.py").read_text(encoding="utf-8")
    cells: list[Any] = jupytext.reads(text, fmt="py:percent").cells
    return cells


@cache
def notebook(name: str) -> Any:
    """Return notebooks/NAME.ipynb as it is committed."""
    return json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))


def cells(name: str, kind: str) -> list[Any]:
    """Return the notebook's cells of one kind, "code" or "markdown"."""
    return [cell for cell in notebook(name)["cells"] if cell["cell_type"] == kind]


def text_of(cell: Any) -> str:
    """Return a cell's source as one string."""
    return "".join(cell["source"])


def tags_of(cell: Any) -> list[str]:
    """Return a cell's tags."""
    tags: list[str] = cell["metadata"].get("tags", [])
    return tags
