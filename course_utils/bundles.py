"""A trained classifier as a folder: weights, and beside them all that must not be guessed when they are used."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_utils.cards import write_model_card
from course_utils.checkpoints import CheckpointError, write_file
from course_utils.device import device_of
from course_utils.models import MLP, SmallCNN
from course_utils.modes import modes_kept
from course_utils.weights import check_weights

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
FORMAT = "course_utils model 1"
ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {"SmallCNN": SmallCNN, "MLP": MLP}


@dataclass(frozen=True)
class Description:
    """What a model was built and trained with.

    ``architecture`` is ``"SmallCNN"`` or ``"MLP"``, ``options`` its keyword arguments (``{"dropout_p": 0.2}``).
    For images ``input_shape`` is (C, H, W), and ``mean`` and ``std`` are one number a channel, on the scale [0, 1]. For
    rows of a table ``columns`` names the columns in their order, ``input_shape`` is (columns,), and ``mean`` and
    ``std`` are one number a column. ``dataset`` names the data, ``seed`` is what split it and started the training.
    """

    architecture: str
    options: dict[str, Any]
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dataset: str
    seed: int
    columns: tuple[str, ...] = ()

    def build(self) -> nn.Module:
        """Return the model, not trained yet.

        Raises:
            ValueError: there is no such architecture, or it has no such options.
        """
        if self.architecture not in ARCHITECTURES:
            known = " or ".join(ARCHITECTURES)
            raise ValueError(f"There is no architecture {self.architecture!r}: give {known}.")
        try:
            return ARCHITECTURES[self.architecture](self.input_shape, len(self.class_names), **self.options)
        except TypeError as error:
            raise ValueError(f"{self.architecture} cannot be built with {self.options}: {error}.") from error


class Prepared(nn.Module):
    """A model behind the normalisation that it was trained with: takes what is in files, gives logits (batch, classes).

    That is uint8 (batch, C, H, W) for images, float32 (batch, columns) for rows of a table.
    """

    def __init__(self, model: nn.Module, description: Description) -> None:
        super().__init__()
        scale = (-1,) if description.columns else (-1, 1, 1)
        self.model = model
        self.divisor = 1.0 if description.columns else 255.0
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.tensor(description.mean).view(scale))
        self.register_buffer("std", torch.tensor(description.std).view(scale))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits for ``inputs``."""
        logits: torch.Tensor = self.model((inputs.float() / self.divisor - self.mean) / self.std)
        return logits


@dataclass(frozen=True)
class Bundle:
    """A trained model and its description: what is needed to use it, and to use it as it was trained."""

    model: nn.Module
    description: Description

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes) on the CPU for ``inputs`` as they are in files.

        Those are uint8 images (N, C, H, W), or float32 rows (N, columns). They are normalised as in training. The model
        runs in evaluation mode and gets its mode back.

        Raises:
            ValueError: the inputs have another type or shape.
        """
        shape, table = self.description.input_shape, bool(self.description.columns)
        if inputs.dtype != (torch.float32 if table else torch.uint8) or inputs.shape[1:] != shape:
            raise ValueError(
                f"This model takes {'float32 rows' if table else 'uint8 images'} of shape (N, "
                f"{', '.join(map(str, shape))}), but these are {str(inputs.dtype).removeprefix('torch.')} of shape "
                f"{tuple(inputs.shape)}: bring them to that form."
            )
        device = device_of(self.model)
        with modes_kept(self.model), torch.inference_mode():
            logits: torch.Tensor = Prepared(self.model, self.description).to(device).eval()(inputs.to(device))
        return logits.cpu()


def save_bundle(folder: str | Path, bundle: Bundle, *, data: str, metrics: Mapping[str, float], limits: str) -> None:
    """Write ``bundle`` into ``folder`` as ``model.safetensors``, a model card and ``model.json``.

    The last of them holds the checksum of the weights, so that two that do not belong together are noticed. ``data``,
    ``metrics`` and ``limits`` are for the card, see :func:`write_model_card`.

    Raises:
        CheckpointError: the files cannot be written.
    """
    from safetensors.torch import save

    folder, description = Path(folder), bundle.description
    kind = "rows" if description.columns else "images"
    folder.mkdir(parents=True, exist_ok=True)
    weights = save({name: value.contiguous() for name, value in bundle.model.state_dict().items()})
    write_file(folder / WEIGHTS, weights)
    write_model_card(
        folder / WEIGHTS,
        bundle.model,
        title=f"{description.architecture} for {description.dataset}",
        purpose=f"Takes {kind} of shape {description.input_shape}, gives one logit for each class.",
        data=data,
        class_names=description.class_names,
        metrics=metrics,
        limits=limits,
    )
    content = {"format": FORMAT, "sha256": hashlib.sha256(weights).hexdigest(), **asdict(description)}
    write_file(folder / DESCRIPTION, (json.dumps(content, indent=2) + "\n").encode())


def load_bundle(folder: str | Path, *, device: torch.device | str = "cpu") -> Bundle:
    """Return what :func:`save_bundle` wrote into ``folder``, with the model on ``device`` in evaluation mode.

    The files hold tensors and text: nothing in them can run.

    Raises:
        CheckpointError: there is no model in ``folder``, a file is damaged, or the two do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    folder = Path(folder)
    again = "train it again, or copy the whole folder again."
    try:
        content = json.loads((folder / DESCRIPTION).read_bytes())
        weights = (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"There is no trained model in {folder} ({error.strerror}: {Path(str(error.filename)).name}): give the "
            "folder that training wrote."
        ) from error
    except ValueError as error:
        raise CheckpointError(f"{folder / DESCRIPTION} is damaged ({error}): {again}") from error
    try:
        if content.pop("format") != FORMAT:
            raise ValueError("it has another format")
        checksum = content.pop("sha256")
        pairs = ("input_shape", "class_names", "mean", "std", "columns")
        description = Description(**{**content, **{name: tuple(content[name]) for name in pairs}})
        model = description.build()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / DESCRIPTION} does not describe a model ({error}): {again}") from error
    if hashlib.sha256(weights).hexdigest() != checksum:
        raise CheckpointError(f"{folder / WEIGHTS} is damaged, or belongs to another {DESCRIPTION}: {again}")
    try:
        state = load(weights)
    except SafetensorError as error:
        raise CheckpointError(f"{folder / WEIGHTS} is damaged ({error}): {again}") from error
    check_weights(model, state, folder / WEIGHTS)
    model.load_state_dict(state)
    return Bundle(model.to(device).eval(), description)
