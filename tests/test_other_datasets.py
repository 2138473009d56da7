"""Notebooks 00 to 09 run on other images by changing one name, colour images included."""

from pathlib import Path

import pytest
from nbclient import NotebookClient

from tests.image_files import write_cifar10_archive
from tests.notebook_files import NAMES, NOTEBOOKS
from tools.notebooks import convert

ANY_IMAGES = [name for name in NAMES if name < "10"]  # the later ones are about data of their own
STAND_INS = "\nimport torchvision.datasets.cifar as cifar\ncifar.check_integrity = lambda *arguments: True"


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack 600 small colour images where load_dataset looks for CIFAR-10."""
    import tarfile

    served, root = tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("data")
    write_cifar10_archive(served)
    with tarfile.open(served / "cifar-10-python.tar.gz") as archive:
        archive.extractall(root / "cifar10_files", filter="data")
    return root


@pytest.mark.parametrize("name", ANY_IMAGES)
def test_runs_on_colour_images(name: str, cifar10: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_DATASET", "cifar10")
    monkeypatch.setenv("COURSE_DATA", str(cifar10))
    notebook = convert((NOTEBOOKS / "source" / f"{name}.py").read_text(encoding="utf-8"))
    # torchvision compares CIFAR-10's files with their checksums; ours are stand-ins, also in a script.
    notebook.cells[1].source += STAND_INS
    for cell in notebook.cells:
        if cell.source.startswith("SCRIPT = "):
            cell.source = cell.source.replace("\nimport torch\n", f"\nimport torch{STAND_INS}\n")
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOKS)}})
    client.execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
