"""Build the notebooks from notebooks/source: stamp, convert, execute, write.

    python -m tools.notebooks            all of them
    python -m tools.notebooks 01 03      those whose names start so

Stamping writes the repository's address (pyproject.toml, [project.urls]) into the commands of the README and of
docs/teaching.md, and into each source: the Colab badge of its first cell and its setup cell. Converting and executing
gives notebooks/NN_name.ipynb with outputs. A notebook is replaced only when it ran to the end.
"""

import json
import os
import re
import sys
import time
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
SOURCES = NOTEBOOKS / "source"

BADGE = re.compile(r"^# \[!\[Open in Colab\].*$", re.MULTILINE)
SETUP = re.compile(r'^# %% tags=\["setup"\].*?\n.*?(?=^# %%)', re.MULTILINE | re.DOTALL)

SETUP_CELL = """# %% tags=["setup"]
# @title Setup
# In a checkout this only finds the course; on Colab it fetches it. Torch stays as it is.
import importlib.util
import os
import subprocess
import sys

REPOSITORY = "{repository}"
steps = []
if not os.path.isdir("../course_utils"):
    if "google.colab" not in sys.modules:
        raise ModuleNotFoundError(f"The course is not here: git clone {{REPOSITORY}}, then make lab.")
    if not os.path.isdir("course"):
        clone = f"git clone --quiet --depth 1 {{REPOSITORY}} course.part"
        steps += [f"rm -rf course.part && {{clone}} && mv course.part course"]
    if importlib.util.find_spec("torchmetrics") is None:
        packages = "torchmetrics lightning-utilities"
        steps += [f"{{sys.executable}} -m pip install --quiet --no-deps {{packages}}"]
{more}for step in steps:
    done = subprocess.run(step, shell=True, capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise RuntimeError(f"Setup failed ({{reason}}): check the connection and run it again.")
if not os.path.isdir("../course_utils"):
    os.chdir("course/notebooks")
if os.path.abspath("..") not in sys.path:
    sys.path.insert(0, os.path.abspath(".."))

"""

# What Colab has not, beside torchmetrics; fetched by the notebooks that import it, with what goes with it.
NOT_ON_COLAB = {
    "optuna": "optuna",
    "onnx": "onnx onnxscript",  # the second is imported by torch's exporter
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "httpx2": "httpx2 fastapi uvicorn",  # who talks to the service starts it
}
FETCH = """    if importlib.util.find_spec("{module}") is None:
        steps += [f"{{sys.executable}} -m pip install --quiet {packages}"]
"""

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    },
}


def repository() -> str:
    """Return the repository's address, which stands in pyproject.toml alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Repository"])


def stamp(text: str, name: str) -> str:
    """Return the source ``text`` of the notebook ``name`` with its badge and its setup cell up to date.

    Raises:
        ValueError: the source has no badge line or no setup cell to stamp.
    """
    more = "".join(
        FETCH.format(module=module, packages=packages)
        for module, packages in NOT_ON_COLAB.items()
        if re.search(rf"^(import|from) {module}\b", text, re.M)
    )
    return fill(text, f"notebooks/{name}.ipynb", SETUP_CELL.format(repository=repository(), more=more))


def fill(text: str, path: str, setup: str) -> str:
    """Return the source ``text`` with ``setup`` for its setup cell and the badge of the notebook at ``path``.

    Raises:
        ValueError: the source has no badge line or no setup cell.
    """
    address = repository().removeprefix("https://").replace(".com", "", 1)
    badge = (
        "# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        f"(https://colab.research.google.com/{address}/blob/main/{path})"
    )
    for pattern, what, new in ((BADGE, "Colab badge", badge), (SETUP, "setup cell", setup)):
        text, count = pattern.subn(new.replace("\\", r"\\"), text)
        if count != 1:
            raise ValueError(f"The source of {path} has {count} times a {what}, not once: see CONTRIBUTING.md.")
    return text


def stamp_readme(text: str) -> str:
    """Return a page's ``text`` with the repository's address in its commands up to date."""
    text = re.sub(r"(?<=git clone )\S+", repository(), text)
    text = re.sub(r"(?<=git\+)[^\s`]+", repository(), text)
    return re.sub(r"(?m)^cd [^/\s]+$", f"cd {repository().rpartition('/')[2]}", text)


def convert(text: str) -> Any:
    """Return the notebook that the source ``text`` describes, not executed yet. The same text gives the same bytes."""
    notebook = jupytext.reads(text, fmt="py:percent")
    notebook = nbformat.from_dict({**notebook, "nbformat": 4, "nbformat_minor": 5, "metadata": METADATA})
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        cell["metadata"] = {key: cell.metadata[key] for key in ("nbgrader", "tags") if cell.metadata.get(key)}
        if cell["metadata"].get("tags") == ["setup"]:  # folded away, in JupyterLab and on Colab
            cell["metadata"] |= {"jupyter": {"source_hidden": True}, "cellView": "form"}
    return notebook


def execute(notebook: Any) -> None:
    """Run all cells in the notebooks' folder, in a fresh kernel of this environment."""
    # --sys-prefix kernels first: a kernel of the same name elsewhere belongs to another environment.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ["TQDM_DISABLE"] = "1"  # no bars: they come and go with the speed of the machine
    os.environ["COURSE_PROGRESS"] = ""  # and nothing of what the one who builds has solved
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(NOTEBOOKS)}},
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,
    )
    client.execute()
    notebook["metadata"] = METADATA  # the kernel has written its version there


def write(notebook: Any, path: Path) -> None:
    """Write the notebook in one step: a reader finds the old file or the new one."""
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    nbformat.validate(nbformat.reads(text, as_version=4))
    temporary = path.with_suffix(".ipynb.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def build(source: Path) -> None:
    """Build one notebook from its source."""
    text = source.read_text(encoding="utf-8")
    stamped = stamp(text, source.stem)
    if stamped != text:
        source.write_text(stamped, encoding="utf-8")
    notebook = convert(stamped)
    execute(notebook)
    write(notebook, NOTEBOOKS / f"{source.stem}.ipynb")


def main(prefixes: list[str]) -> int:
    """Build the notebooks whose names start with one of ``prefixes``, or all."""
    sources = [s for s in sorted(SOURCES.glob("[0-9]*.py")) if not prefixes or s.stem.startswith(tuple(prefixes))]
    if not sources:
        print(f"No file in {SOURCES.relative_to(ROOT)} starts with {' or '.join(prefixes)}.", file=sys.stderr)
        return 1
    for page in (ROOT / "README.md", ROOT / "docs" / "teaching.md"):
        text = page.read_text(encoding="utf-8")
        if stamp_readme(text) != text:
            page.write_text(stamp_readme(text), encoding="utf-8")
    failed = 0
    for source in sources:
        if "import tensorflow" in source.read_text(encoding="utf-8") and find_spec("tensorflow") is None:
            print(f"{source.name} needs TensorFlow: make notebooks ONLY={source.stem[:2]}", file=sys.stderr)
            continue
        started = time.perf_counter()
        try:
            build(source)
        except (CellExecutionError, ValueError) as error:
            print(f"{source.name}: {error}", file=sys.stderr)
            failed += 1
        else:
            print(f"notebooks/{source.stem}.ipynb  {time.perf_counter() - started:.1f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
