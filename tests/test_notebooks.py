"""The notebooks as files: what their sources say, executed in order, complete, light, and without traces."""

import io
import json
import os
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from tests.notebook_files import NAMES, NOTEBOOKS, ROOT, cells, notebook, tags_of, text_of
from tools.notebooks import convert, repository, stamp, stamp_readme

MAGICS: set[str] = set()  # those that the course may use: none yet
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def outputs(name: str) -> Iterator[tuple[Any, Any]]:
    for cell in cells(name, "code"):
        for output in cell["outputs"]:
            yield cell, output


def test_every_source_has_its_notebook_and_no_notebook_is_without_source() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(NAMES)


def test_source_and_notebook_have_the_same_content(name: str) -> None:
    text = (NOTEBOOKS / "source" / f"{name}.py").read_text(encoding="utf-8")
    expected = convert(text)
    committed = notebook(name)
    strip = ("cell_type", "id", "metadata", "source")
    assert [{key: cell[key] for key in strip} for cell in committed["cells"]] == [
        {key: cell[key] for key in strip} for cell in expected.cells
    ], "run make notebooks"
    assert committed["metadata"] == expected.metadata


def test_badge_and_setup_cell_are_stamped_with_the_repositorys_address(name: str) -> None:
    text = (NOTEBOOKS / "source" / f"{name}.py").read_text(encoding="utf-8")
    assert stamp(text, name) == text, "run make notebooks"
    address = repository()
    assert "setup" in tags_of(cells(name, "code")[0])
    assert f'REPOSITORY = "{address}"' in text_of(cells(name, "code")[0])
    assert f"/blob/main/notebooks/{name}.ipynb" in text_of(cells(name, "markdown")[0])


def test_the_address_stands_in_one_place() -> None:
    """In pyproject.toml; elsewhere only where it is stamped from there."""
    written = {
        str(path.relative_to(ROOT))
        for pattern in ("*.md", "*.toml", "*.yml", "Makefile", "*/*.md", "*/*.py", "notebooks/checks/*.py")
        for path in ROOT.glob(pattern)
        if repository() in path.read_text(encoding="utf-8")
    }
    assert written <= {"pyproject.toml", "README.md", "docs/teaching.md"}
    for page in ("README.md", "docs/teaching.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert stamp_readme(text) == text, "run make notebooks"
        assert text.count(repository()) == 2


def test_every_code_cell_was_executed_in_order(name: str) -> None:
    counts = [cell["execution_count"] for cell in cells(name, "code")]
    assert counts == list(range(1, len(counts) + 1))


def test_no_cell_escapes_the_comparison(name: str) -> None:
    """Nbval passes a cell with a bad magic; what a trailing semicolon hides, it cannot compare."""
    for cell in cells(name, "code"):
        source = text_of(cell)
        where = f"{name}, [{cell['execution_count']}]"
        assert not set(tags_of(cell)) & {"nbval-skip", "raises-exception"}, f"{where}: take the tag off"
        magics = re.findall(r"get_ipython\(\)\.\w+\('(\w+)", TransformerManager().transform_cell(source))
        assert set(magics) <= MAGICS, f"{where}: take out the magic or shell command {magics}"
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        code = [token.string for token in tokens if token.type in (tokenize.OP, tokenize.NAME, tokenize.STRING)]
        assert code[-1] != ";", f"{where}: take off the trailing semicolon"


@pytest.mark.parametrize("line", ["%time x", "!ls", "x = !ls", "x = %sx ls", "print?", "%nosuchmagic", "%%bash\nls"])
def test_the_lint_knows_every_form_of_magic(line: str) -> None:
    assert "get_ipython()" in TransformerManager().transform_cell(line)


def test_more_code_cells_are_compared_than_ignored(name: str) -> None:
    """A cell counts as compared only if it has an output to compare, images apart."""
    compared = ignored = 0
    for cell in cells(name, "code"):
        if "nbval-ignore-output" in tags_of(cell):
            ignored += 1
        elif any("text" in output or "text/plain" in output.get("data", {}) for output in cell["outputs"]):
            compared += 1
    assert compared > 2 * ignored


def test_no_error_warning_or_trace_of_a_machine(name: str) -> None:
    home = re.compile(r"/(home|root|Users|usr|tmp|var|work)/|[A-Z]:\\\\|site-packages|0x[0-9a-f]{6,}")
    for cell, output in outputs(name):
        assert output["output_type"] != "error", text_of(cell)
        assert output.get("name") != "stderr", output
        text = json.dumps({key: output[key] for key in ("text", "data") if key in output})
        text = re.sub(r'"image/png": "[^"]*"', "", text)
        assert not home.search(text), text[:500]
    assert "widgets" not in notebook(name)["metadata"]


def test_light_enough_to_load(name: str) -> None:
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size < 1_000_000
    for cell in cells(name, "code"):
        assert len(json.dumps(cell["outputs"])) < 200_000, text_of(cell)


def test_figures_have_text_alternatives_and_are_few_words_long(name: str) -> None:
    figures = 0
    for cell, output in outputs(name):
        if "image/png" in output.get("data", {}):
            figures += 1
            alt = output["metadata"].get("image/png", {}).get("alt", "")
            assert 20 <= len(alt) <= 400, text_of(cell)
    assert figures >= 3


def test_cells_are_short(name: str) -> None:
    for cell in cells(name, "code"):
        lines = [line for line in text_of(cell).splitlines() if line.strip()]
        assert len(lines) <= 22 or "setup" in tags_of(cell), text_of(cell)
        assert max(map(len, lines)) <= 100, text_of(cell)


def test_prose_comes_before_code(name: str) -> None:
    """No more than three code cells in a row: somebody is reading."""
    row = 0
    for cell in notebook(name)["cells"]:
        row = row + 1 if cell["cell_type"] == "code" else 0
        assert row <= 3, text_of(cell)


def test_a_lesson_has_all_its_parts(name: str) -> None:
    markdown = [text_of(cell) for cell in cells(name, "markdown")]
    number = name[:2]
    assert markdown[0].startswith(f"# {number} · ")
    assert "**After this notebook you can**" in markdown[0]
    assert re.search(r"\*\*Time:\*\* \d+ minutes\. \*\*Builds on:\*\* ", markdown[0])
    assert markdown[-1].startswith("## Recap")
    assert "**Next:** [" in markdown[-1]
    assert sum(text.startswith("## Your turn") for text in markdown) == 1
    exercises = [cell for cell in cells(name, "code") if "exercise" in tags_of(cell)]
    checks = [cell for cell in cells(name, "code") if "check" in tags_of(cell)]
    solutions = [text for text in markdown if "<details><summary>Solution</summary>" in text]
    assert len(exercises) == len(checks) == len(solutions) >= 2


def test_untouched_exercises_show_their_hint(name: str) -> None:
    for cell in cells(name, "code"):
        if "check" in tags_of(cell):
            assert "".join(cell["outputs"][0]["text"]).startswith("Not yet: ")


def headings(path: str) -> set[str]:
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".ipynb"):
        text = "\n".join(text_of(cell) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
    found = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def assert_links_resolve(text: str, folder: str) -> None:
    for target in LINK.findall(text):
        if target.startswith(("http://", "https://", "data:")):
            continue
        file, _, anchor = target.partition("#")
        path = os.path.normpath(os.path.join(folder, file)) if file else folder
        assert (ROOT / path).exists(), target
        if anchor:
            assert anchor in headings(path), target


def test_links_resolve(name: str) -> None:
    for cell in cells(name, "markdown"):
        assert_links_resolve(text_of(cell), "notebooks")


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "data/README.md", "docs/teaching.md"])
def test_links_of_documents_resolve(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    folder, _, file = document.rpartition("/")
    assert_links_resolve(text.replace("](#", f"]({file}#"), folder)


def test_the_readme_lists_every_notebook_with_its_time() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in NAMES:
        time = re.search(r"\*\*Time:\*\* (\d+) minutes", text_of(cells(name, "markdown")[0]))
        assert time is not None
        assert re.search(rf"\(notebooks/{name}\.ipynb\).*\b{time[1]} min\b", readme), name


def test_the_readmes_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert example is not None
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(example[1], names)
    assert names["result"].accuracy > 0.9
    assert names["logits"].shape == (360, 10)
