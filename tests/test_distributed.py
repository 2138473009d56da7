"""Two processes under torchrun do what one does; nothing is counted twice, and a killed one comes back."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from course_utils import load_checkpoint
from course_utils.__main__ import main
from course_utils.bundles import load_bundle

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this PyTorch has no gloo"
)
ROOT = Path(__file__).parents[1]
CHECKS = re.findall(r"^def (check_\w+)", (ROOT / "tests" / "two_processes.py").read_text(encoding="utf-8"), re.M)


@contextlib.contextmanager
def torchrun(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Start two processes, which choose a free port; end them whatever happens (torchrun ends its own on SIGTERM)."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", *arguments]
    # Without the second, workers that are started again may read addresses of those before them (PyTorch issue 135712).
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                process.kill()


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    with torchrun("-m", "tests.two_processes", str(folder)) as process:
        (folder / "said").write_text(process.communicate(timeout=150)[0])
    return folder


@pytest.mark.parametrize("name", CHECKS)
def test_two_processes(name: str, checked: Path) -> None:
    for rank in (0, 1):
        said = checked / f"{name}.{rank}"
        assert said.exists(), (checked / "said").read_text()[-3000:]
        assert said.read_text() == "ok", said.read_text()


def test_a_killed_process_is_started_again_and_the_weights_are_those_of_an_uninterrupted_training(
    checked: Path, tmp_path: Path
) -> None:
    with torchrun("--max-restarts", "1", "-m", "tests.elastic_worker", str(tmp_path), "12") as process:
        said = process.communicate(timeout=100)[0]
    assert process.returncode == 0, said[-3000:]
    whole, killed = (load_checkpoint(folder / "end.pt") for folder in (checked / "not_killed", tmp_path))
    assert (whole["restarts"], killed["restarts"]) == (0, 1)
    assert whole["losses"] == killed["losses"]
    for name, value in whole["model"].items():
        assert torch.equal(value, killed["model"][name])


def test_the_command_line_trains_with_two_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = ["train", "--model", "MLP", "--epochs", "2", "--device", "cpu", "--out"]
    with torchrun("-m", "course_utils", *train, str(tmp_path / "two")) as process:
        two = process.communicate(timeout=100)[0]
    assert process.returncode == 0, two
    assert main([*train, str(tmp_path / "one")]) == 0
    one = capsys.readouterr().out
    assert two.count("Saved in") == 1
    assert "on cpu, 2 processes" in two
    numbers = re.compile(r"(epoch \d/\d .*?) +[0-9.]+ s$", re.M)
    assert numbers.findall(one) == numbers.findall(two)
    weights = [load_bundle(tmp_path / name).model.state_dict() for name in ("one", "two")]
    for name, value in weights[0].items():
        assert torch.allclose(value, weights[1][name], atol=1e-5), name
