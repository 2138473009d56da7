"""Checks of notebook 06."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import nn

from checks import Untouched, call, check


def _model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


@check(
    "snapshot still returns nothing. Hint: which method gives the weights, and which one copies a tensor?",
    "Weights that stay what they were.",
)
def snapshot(function: Callable[..., Any]) -> str | None:
    """Weights and buffers, unchanged by what happens to the model afterwards, and loadable."""
    model = _model()
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    kept = call(function, model)
    if isinstance(kept, nn.Module):
        return "this is a model, not its weights. Hint: model.state_dict() gives the dictionary."
    if not isinstance(kept, dict):
        return f"this is a {type(kept).__name__}, not a dictionary. Hint: start from model.state_dict()."
    if missing := [name for name in expected if name not in kept]:
        hint = "the running statistics count too; take model.state_dict()" if "running" in missing[0] else "all names"
        return f"{missing[0]} is missing. Hint: {hint}."
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor += 1
    changed = [name for name, tensor in expected.items() if not torch.equal(tensor, torch.as_tensor(kept[name]))]
    if len(changed) == len(expected):
        return "the snapshot changed when the model was trained on. Hint: its tensors are the model's; clone each."
    if changed:
        return f"{changed[0]} changed when the model was trained on. Hint: clone every tensor, buffers too."
    _model().load_state_dict(kept)
    return None


class _Stopped(BaseException):
    """The program is killed here."""


@check(
    "write_safely writes nothing yet. Hint: write a second file beside the first, then os.replace.",
    "Whenever it is killed, one whole file is there.",
)
def write_safely(function: Callable[..., Any]) -> str | None:
    """The old file is whole until the moment of the rename; the new one after it; nothing else is left."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.pt"
        path.write_bytes(b"old")
        renamed: list[tuple[Path, bytes, bytes]] = []

        def look(rename: Callable[..., None], source: Any, target: Any, **options: Any) -> None:
            there = path.read_bytes() if path.exists() else b""
            renamed.append((Path(os.path.abspath(source)), Path(source).read_bytes(), there))
            rename(source, target, **options)

        def looking(rename: Callable[..., None]) -> Callable[..., None]:
            return lambda source, target, **options: look(rename, source, target, **options)

        with mock.patch("os.replace", looking(os.replace)), mock.patch("os.rename", looking(os.rename)):
            function(path, b"new content")
        content = path.read_bytes() if path.exists() else None
        if content == b"old" and not renamed and len(os.listdir(name)) == 1:
            raise Untouched
        if not renamed:
            if content == b"old":
                return (
                    "the new content is in another file, and path still has the old one. Hint: os.replace at the end."
                )
            return "you write over the old file, so a kill in between loses it. Hint: write to another name, then os.replace."
        source, written, there = renamed[0]
        if there != b"old":
            return "the old file is gone before the new one has its name. Hint: os.replace alone removes the old one, in one step."
        if written != b"new content":
            return "the new file gets its name before it is written. Hint: write first, os.replace last."
        if source.parent != Path(os.path.abspath(path)).parent:
            return "the second file is in another folder, perhaps on another disk. Hint: path.with_name(path.name + '.part')."
        if content != b"new content":
            return f"in the end, path holds {content!r}. Hint: os.replace(part, path), in this order."
        if len(os.listdir(name)) != 1:
            return "a second file is left behind. Hint: rename it, do not copy it."
        (Path(name) / "other.pt").write_bytes(b"other")
        function(Path(name) / "third.pt", b"3")
        if sorted(os.listdir(name)) != ["model.pt", "other.pt", "third.pt"]:
            return (
                "where no file was before, or others lie beside it, it fails. Hint: use path's own name, nothing else."
            )
    return None


@check(
    "load_what_fits still returns nothing. Hint: keep the tensors that fit, then load_state_dict(..., strict=False).",
    "And the list says what is still to be learned.",
)
def load_what_fits(function: Callable[..., Any]) -> str | None:
    """A last layer of another size, names that do not exist, and names with a prefix."""
    torch.manual_seed(0)
    source, model = _model(), _model()
    model[2] = nn.Linear(4, 5)
    weights = {**source.state_dict(), "extra": torch.zeros(1)}
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    try:
        result = call(function, model, weights)
    except RuntimeError as error:
        if "size mismatch" in str(error):
            return "load_state_dict refused a shape; strict=False does not forgive those. Hint: leave out what has another shape."
        return (
            "load_state_dict refused a name. Hint: strict=False, or leave out the names that the model does not have."
        )
    after = model.state_dict()
    if not torch.equal(after["0.weight"], weights["0.weight"]):
        return "0.weight fits, but was not copied. Hint: load_state_dict(what fits, strict=False)."
    if not torch.equal(after["2.weight"], before["2.weight"]):
        return "2.weight has another shape, but it changed. Hint: copy only where both shapes are equal."
    if not isinstance(result, (list, tuple, set)) or hasattr(result, "missing_keys"):
        return f"a {type(result).__name__} came back. Hint: return its missing_keys, a list of names."
    names = sorted(map(str, result))
    if names == ["2.bias", "2.weight"]:
        model = _model()
        prefixed = {f"module.{name}": tensor for name, tensor in weights.items()}
        # PyTorch fills a missing num_batches_tracked by itself.
        expected = {name for name in model.state_dict() if not name.endswith("num_batches_tracked")}
        if expected - set(function(model, prefixed)):
            return "with a prefix before every name nothing fits, but the list does not name everything. Hint: compare with the names of the model."
        return None
    if "extra" in names:
        return "extra is in the weights, not in the model. Hint: the names in the model that were not filled."
    if not names:
        return "the list is empty, but 2.weight and 2.bias were not filled. Hint: missing_keys, of the call with only what fits."
    return f"the list is {names}, but not filled were 2.bias and 2.weight. Hint: missing_keys of load_state_dict."
