"""Notebook 17 where TensorFlow is missing: it says what to do and stops, and nothing ugly follows."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.notebook_files import NOTEBOOKS, ROOT, tags_of, text_of
from tools.notebooks import convert

NAME = "17_keras_and_tensorflow"


@pytest.fixture
def _no_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide both packages from the kernel, where they are installed as well."""
    for name in ("tensorflow", "keras"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('hidden', name={name!r})\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("_no_tensorflow")
def test_without_tensorflow_the_notebook_says_what_to_do_and_stops() -> None:
    notebook = convert((NOTEBOOKS / "source" / f"{NAME}.py").read_text(encoding="utf-8"))
    client: Any = NotebookClient(
        nbformat.from_dict(notebook), timeout=120, kernel_name="python3", resources={"metadata": {"path": NOTEBOOKS}}
    )
    with pytest.raises(CellExecutionError):
        client.execute()
    code = [cell for cell in client.nb.cells if cell.cell_type == "code"]
    stopped = next(index for index, cell in enumerate(code) if "import tensorflow" in text_of(cell))
    for cell in code[:stopped]:
        assert {output.get("name") for output in cell.outputs} <= {"stdout"}, cell.outputs
    (error,) = code[stopped].outputs
    assert error.ename == "TensorFlowIsMissing"
    assert error.traceback == [error.evalue], "one sentence in place of a traceback"
    assert "pip install -r requirements-tensorflow.txt" in error.evalue
    assert not any(cell.outputs for cell in code[stopped + 1 :])
    assert "setup" in tags_of(code[0])


def test_tensorflows_requirements_leave_those_of_the_course_alone() -> None:
    pinned = [
        set(re.findall(r"^([\w.-]+)==", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE))
        for file in ("requirements.txt", "requirements-tensorflow.txt")
    ]
    assert not pinned[0] & pinned[1]
    assert {"tensorflow", "tensorflow-cpu", "keras"} <= pinned[1]
