"""Checks of notebook 06."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from checks import Untouched, call, check


def _model() -> nn.Sequential:
    """Return a model whose BatchNorm has seen something."""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model(torch.randn(6, 3))
    return model


def _copied(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@check(
    "snapshot still returns nothing. Hint: which method gives the weights, and which one copies a tensor?",
    "Weights that stay what they were.",
)
def snapshot(function: Callable[..., Any]) -> str | None:
    """Weights and buffers, unchanged by what happens to the model afterwards, and loadable."""
    model = _model()
    expected = _copied(model)
    kept = call(function, model)
    if isinstance(kept, nn.Module):
        return "this is a model, not its weights. Hint: model.state_dict() gives the dictionary."
    if not isinstance(kept, dict):
        return f"this is a {type(kept).__name__}, not a dictionary. Hint: start from model.state_dict()."
    if not model.training or any(not torch.equal(expected[name], t) for name, t in model.state_dict().items()):
        return "the model itself has changed. Hint: only read it."
    if missing := [name for name in expected if name not in kept]:
        hint = "the running statistics count too; take model.state_dict()" if "running" in missing[0] else "all names"
        return f"{missing[0]} is missing. Hint: {hint}."
    for name, tensor in expected.items():
        found = torch.as_tensor(kept[name])
        if found.dtype != tensor.dtype or not torch.equal(found, tensor):
            return f"{name} is not what it is in the model. Hint: clone it, and change nothing."
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


_listeners: list[Callable[[str, tuple[Any, ...]], None]] = []
_installed: list[bool] = []


@contextmanager
def _listening(listener: Callable[[str, tuple[Any, ...]], None]) -> Iterator[None]:
    """Tell ``listener`` what Python is about to do with files, whichever function is used for it."""
    if not _installed:  # an audit hook stays for good, so there is only one, and it is quiet most of the time
        sys.addaudithook(lambda event, arguments: _listeners[-1](event, arguments) if _listeners else None)
        _installed.append(True)
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def _what_happens(function: Callable[..., Any], path: Path, new: bytes) -> str | None:
    """Call the answer and return what goes wrong with ``path`` on the way, or None."""
    problems: list[str] = []
    renamed: list[Path] = []
    busy: list[bool] = []

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if busy or event not in ("open", "os.rename", "os.remove", "os.truncate"):
            return
        paths = [
            Path(os.path.abspath(os.fsdecode(a))) for a in arguments[:2] if isinstance(a, (str, bytes, os.PathLike))
        ]
        busy.append(True)
        try:
            here = Path(os.path.abspath(path))
            if event == "open" and paths and paths[0] == here and arguments[2] & (os.O_WRONLY | os.O_RDWR):
                problems.append(
                    "you write over the new file after the rename. Hint: os.replace is the last step."
                    if renamed
                    else "you write over the old file, so a kill in between loses it. Hint: write to another name, then os.replace."
                )
            elif event == "os.truncate" and paths[0] == here:
                problems.append("you empty the old file. Hint: write to another name, then os.replace.")
            elif event == "os.remove" and paths[0] == here:
                problems.append(
                    "the old file is gone before the new one has its name. Hint: os.replace alone does both, in one step."
                )
            elif event == "os.rename" and paths[0] == here:
                problems.append(
                    "the old file is moved away, and for a moment no file has the name. Hint: os.replace(part, path), in this order."
                )
            elif event == "os.rename" and paths[1] == here:
                renamed.append(paths[0])
                written = paths[0].read_bytes() if paths[0].is_file() else None
                if written is not None and written != new:
                    hint = (
                        "write it and close it before you rename it"
                        if new.startswith(written)
                        else "write content, as it is"
                    )
                    problems.append(f"the file gets its name while it holds {written!r}. Hint: {hint}.")
                elif paths[0].parent != here.parent:
                    problems.append(
                        "the second file is in another folder, perhaps on another disk. Hint: path.with_name(path.name + '.part')."
                    )
        finally:
            busy.clear()

    with _listening(listen):
        function(path, new)
    return problems[0] if problems else None


@check(
    "write_safely writes nothing yet. Hint: write a second file beside the first, then os.replace.",
    "Whenever it is killed, one whole file is there.",
)
def write_safely(function: Callable[..., Any]) -> str | None:
    """The old file is whole until the moment of the rename; the new one after it; nothing else is left."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.pt"
        path.write_bytes(b"old")
        problem = _what_happens(function, path, b"new content")
        if problem is not None:
            return problem
        content = path.read_bytes() if path.exists() else None
        if content == b"old":
            if len(os.listdir(name)) == 1:
                raise Untouched
            return "the new content is in another file, and path still has the old one. Hint: os.replace at the end."
        if content != b"new content":
            return f"in the end, path holds {content!r}. Hint: write content, as it is."
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
    """A last layer of another shape but the same size, names that do not exist, and names with a prefix."""
    source, model = _model(), _model()
    source(torch.randn(6, 3) + 1)  # other running statistics, another count
    model[2] = nn.Linear(2, 4)
    weights = {**source.state_dict(), "extra": torch.zeros(1)}
    kept, before = {name: tensor.clone() for name, tensor in weights.items()}, _copied(model)
    try:
        result = call(function, model, weights)
    except RuntimeError as error:
        if "size mismatch" in str(error):
            return "load_state_dict refused a shape; strict=False does not forgive those. Hint: leave out what has another shape."
        return (
            "load_state_dict refused a name. Hint: strict=False, or leave out the names that the model does not have."
        )
    if list(weights) != list(kept) or any(not torch.equal(kept[name], tensor) for name, tensor in weights.items()):
        return "weights was changed, but others may still need it. Hint: make a new dictionary of what fits."
    after = model.state_dict()
    for name in [name for name in before if not name.startswith("2.")]:
        if not torch.equal(after[name], weights[name]):
            return f"{name} fits, but was not copied. Hint: load_state_dict(what fits, strict=False), buffers too."
        if after[name].data_ptr() == weights[name].data_ptr():
            return f"{name} shares its memory with weights. Hint: copy the numbers, as load_state_dict does."
    if any(not torch.equal(after[name], before[name]) for name in ("2.weight", "2.bias")):
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
