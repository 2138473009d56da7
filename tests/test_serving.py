"""The service as a process: settings from the environment, a clean end, and the exported files."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch

from course_utils.__main__ import main
from course_utils.bundles import DESCRIPTION, Prepared, load_bundle
from course_utils.exporting import example_inputs, export_bundle
from tests.test_service import IMAGES, PIXELS, ROWS, save

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of another kind")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(folder: Path, **settings: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Run the service on a free port; end it whatever happens."""
    port = free_port()
    environment = {**os.environ, "COURSE_MODEL": str(folder), "COURSE_PORT": str(port), **settings}
    command = [sys.executable, "-m", "course_utils", "serve"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(600):
                assert process.poll() is None, process.stderr and process.stderr.read()
                with contextlib.suppress(httpx2.TransportError):
                    if httpx2.get(f"{address}/health").status_code == 200:
                        break
                time.sleep(0.05)
            yield address, process
        finally:
            process.kill()


def test_settings_come_from_the_environment_and_sigterm_loses_nothing(tmp_path: Path) -> None:
    bundle = save(tmp_path / "pets", IMAGES)
    with serving(tmp_path / "pets", COURSE_MAX_WAIT="700", COURSE_MAX_BATCH="3") as (address, process):
        answer = httpx2.post(f"{address}/predict", json={"images": PIXELS[:4].tolist()})
        assert answer.status_code == 413
        assert "at most 3 may come at once" in answer.json()["detail"]

        async def ask() -> Any:
            async with httpx2.AsyncClient() as client:
                asked = asyncio.create_task(client.post(f"{address}/predict", json={"images": PIXELS[:1].tolist()}))
                await asyncio.sleep(0.3)
                assert not asked.done()  # it waits for company
                process.send_signal(signal.SIGTERM)
                return await asked

        answer = asyncio.run(ask())
        assert answer.status_code == 200
        found = list(answer.json()["predictions"][0]["probabilities"].values())
        assert found == pytest.approx(bundle.logits(PIXELS[:1]).softmax(1)[0].tolist(), abs=1e-6)
        assert process.wait(timeout=20) == 0
        assert process.stderr is not None
        said = process.stderr.read()
        assert "Application shutdown complete" in said
        assert "Traceback" not in said


def test_without_a_model_it_says_so_and_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(tmp_path)]) == 1
    assert "has no current version" in capsys.readouterr().err


@pytest.mark.parametrize("description", [IMAGES, ROWS], ids=["images", "rows"])
def test_exported_files_give_the_same_answers(description: Any, tmp_path: Path) -> None:
    import onnxruntime

    bundle = save(tmp_path / "model", description)
    for name in ("model.onnx", "model.pt2"):
        assert main(["export", str(tmp_path / "model"), "--to", str(tmp_path / name)]) == 0
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    about = {DESCRIPTION: ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=about).module()
    names = {name: json.loads(value) for name, value in session.get_modelmeta().custom_metadata_map.items()}
    assert names == json.loads(about[DESCRIPTION])
    assert names["class_names"] == list(description.class_names)
    assert (names["columns"], names["dataset"]) == (list(description.columns), description.dataset)
    for batch in (1, 2, 7, 64):
        inputs = example_inputs(bundle, batch)
        expected = bundle.logits(inputs)
        assert torch.allclose(
            torch.from_numpy(session.run(["logits"], {"inputs": inputs.numpy()})[0]), expected, atol=1e-4
        )
        assert torch.allclose(program(inputs), expected, atol=1e-5)


def test_exporting_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    bundle = save(tmp_path / "model", IMAGES)
    bundle.model.train()
    export_bundle(bundle, tmp_path / "model.pt2", kind="pt2")
    assert bundle.model.training


def test_what_cannot_be_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = save(tmp_path / "model", IMAGES)
    with pytest.raises(ValueError, match="kind is 'h5': give 'onnx' or 'pt2'"):
        export_bundle(bundle, tmp_path / "model.h5", kind="h5")  # type: ignore[arg-type]
    assert main(["export", str(tmp_path / "model"), "--to", str(tmp_path / "model.h5")]) == 1
    assert "its name must end in .onnx" in capsys.readouterr().err
    assert not (tmp_path / "model.h5").exists()


def test_the_prepared_model_is_the_bundle(tmp_path: Path) -> None:
    save(tmp_path, IMAGES)
    bundle = load_bundle(tmp_path)
    assert torch.equal(Prepared(bundle.model, bundle.description)(PIXELS), bundle.logits(PIXELS))
