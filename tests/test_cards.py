"""The model card says what it must, about the file that lies beside it."""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from course_utils import MLP, write_model_card
from course_utils.cards import git_revision

TEXTS: dict[str, Any] = {
    "title": "Digits",
    "purpose": "Takes an image, names its digit.",
    "data": "1,797 scans.",
    "metrics": {"test accuracy": 0.97531, "test loss": 0.1},
    "limits": "Not tested on photographs.",
}


def test_it_says_what_it_must(tmp_path: Path) -> None:
    weights = tmp_path / "digits.safetensors"
    weights.write_bytes(b"weights")
    card = write_model_card(weights, MLP((1, 28, 28), 10), class_names=["zero", "one"], **TEXTS)
    assert card == tmp_path / "digits.safetensors.md"
    text = card.read_text(encoding="utf-8")
    for expected in (
        "# Digits\n",
        TEXTS["purpose"],
        TEXTS["data"],
        TEXTS["limits"],
        "| test accuracy | 0.9753 |",
        "0. zero\n1. one\n",
        "`digits.safetensors`, 7 bytes",
        hashlib.sha256(b"weights").hexdigest(),
        "MLP, 101,770 parameters",
        f"PyTorch {torch.__version__}",
        "git revision",
    ):
        assert expected in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.safetensors", "digits.safetensors.md"]


def test_a_model_without_classes(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"")
    assert "## Classes" not in write_model_card(tmp_path / "w.pt", MLP((4,), 1), **TEXTS).read_text(encoding="utf-8")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="save the weights first"):
        write_model_card(tmp_path / "none.pt", MLP((4,), 2), **TEXTS)
    with pytest.raises(ValueError, match="'per class' is a list: give one number"):
        write_model_card(tmp_path / "none.pt", MLP((4,), 2), **{**TEXTS, "metrics": {"per class": [0.5]}})
    with pytest.raises(ValueError, match="limits is empty"):
        write_model_card(tmp_path / "none.pt", MLP((4,), 2), **{**TEXTS, "limits": " "})


def test_the_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert git_revision() == "unknown (not in a git repository)"
    (tmp_path / "a.txt").write_text("a")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "-m", "first"]):
        subprocess.run(["git", *command], check=True)
    clean = git_revision()
    assert len(clean) == 40
    (tmp_path / "a.txt").write_text("b")
    assert git_revision() == f"{clean} with uncommitted changes"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision().startswith("unknown")
