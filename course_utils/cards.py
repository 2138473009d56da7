"""The page that goes with a file of weights: without it nobody knows what they are for."""

import hashlib
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from course_utils.checkpoints import write_file
from course_utils.models import count_parameters


def write_model_card(
    weights: str | Path,
    model: nn.Module,
    *,
    title: str,
    purpose: str,
    data: str,
    class_names: Sequence[str] = (),
    metrics: Mapping[str, float],
    limits: str,
) -> Path:
    """Write a model card in Markdown beside the file ``weights``, named ``<weights>.md``; return its path.

    Args:
        weights: the file that the card describes. Its checksum is in the card, so that the two cannot be mixed up.
        model: the model with these weights, for its kind and size.
        title: the first line.
        purpose: what the model takes, what it gives, and what that is good for.
        data: what it was trained on, how that was split, and on which part the metrics were measured.
        class_names: the classes in the order of the model's outputs, if it has classes.
        metrics: what was measured, one number by name.
        limits: what it was not tested on and should not be used for.

    Versions and the git revision of the current folder are added. The form follows Mitchell and others, Model Cards
    for Model Reporting (2019), https://arxiv.org/abs/1810.03993.

    Raises:
        FileNotFoundError: there is no file ``weights``.
        ValueError: title, purpose, data or limits is empty, or a metric is not one number.
        CheckpointError: the card cannot be written.
    """
    weights = Path(weights)
    for name, text in (("title", title), ("purpose", purpose), ("data", data), ("limits", limits)):
        if not text.strip():
            raise ValueError(f"{name} is empty, but a reader of the model card needs it: write a sentence.")
    for name, value in metrics.items():
        if not isinstance(value, (int, float)):
            raise ValueError(f"The metric {name!r} is a {type(value).__name__}: give one number, for example its mean.")
    if not weights.is_file():
        raise FileNotFoundError(f"There is no file {weights}: save the weights first, then describe them.")
    content = weights.read_bytes()
    classes = [f"{number}. {name}" for number, name in enumerate(class_names)]
    lines = [
        *(f"# {title}", "", purpose, ""),
        *("## Results", "", "| metric | value |", "|---|---|"),
        *(f"| {name} | {value:.4g} |" for name, value in metrics.items()),
        *("", "## Data", "", data, ""),
        *(("## Classes, in the order of the outputs", "", *classes, "") if classes else ()),
        *("## Limits", "", limits, ""),
        *("## Files and versions", ""),
        f"- weights: `{weights.name}`, {len(content):,} bytes, SHA-256 `{hashlib.sha256(content).hexdigest()}`",
        f"- model: {type(model).__name__}, {count_parameters(model):,} parameters",
        f"- Python {platform.python_version()}, PyTorch {torch.__version__}, NumPy {np.__version__}",
        f"- code: git revision {git_revision()}",
        "",
    ]
    card = weights.with_name(weights.name + ".md")
    write_file(card, "\n".join(lines).encode())
    return card


def git_revision() -> str:
    """Return the commit that is checked out in the current folder, with a word if files differ from it."""
    revision, changes = (_git("rev-parse", "HEAD"), _git("status", "--porcelain"))
    if not revision:
        return "unknown (not in a git repository)"
    return f"{revision} with uncommitted changes" if changes else revision


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):  # no git here
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
