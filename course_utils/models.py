"""The models of the first lessons, and a table of what a model is made of."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from course_utils.modes import modes_kept


class MLP(nn.Module):
    """A multilayer perceptron for images: flatten, then Linear, ReLU (and Dropout) for each hidden layer, Linear.

    Takes float32 (batch, *input_shape), returns logits (batch, num_classes).
    ``MLP((1, 28, 28), 10)`` is the 784-128-10 network; ``hidden_dims=()`` leaves a linear classifier.

    Args:
        input_shape: shape of one input, without the batch: ``data.input_shape``.
        num_classes: number of outputs: ``data.num_classes``.
        hidden_dims: width of each hidden layer.
        dropout_p: probability of dropping a hidden activation in training; 0 adds no Dropout layers.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        *,
        hidden_dims: Sequence[int] = (128,),
        dropout_p: float = 0.0,
    ) -> None:
        super().__init__()
        self.input_shape = tuple(input_shape)
        layers: list[nn.Module] = [nn.Flatten()]
        width = math.prod(input_shape)
        for hidden in hidden_dims:
            layers += [nn.Linear(width, hidden), nn.ReLU()]
            if dropout_p > 0:
                layers.append(nn.Dropout(dropout_p))
            width = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(width, num_classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, num_classes) for ``images`` (batch, *input_shape)."""
        _check_shape(self, images)
        logits: torch.Tensor = self.layers(images)
        return logits


class SmallCNN(nn.Module):
    """Two blocks of convolution, BatchNorm, ReLU and pooling, then one Linear layer.

    Takes float32 (batch, *input_shape), returns logits (batch, num_classes). For 1x28x28 images the activations go
    1x28x28, 16x14x14, 32x7x7, 1568, 10.

    Args:
        input_shape: (C, H, W) of one image, at least 4x4 pixels: ``data.input_shape``.
        num_classes: number of outputs: ``data.num_classes``.
        dropout_p: probability of dropping a feature before the last layer in training.
    """

    def __init__(self, input_shape: Sequence[int], num_classes: int, *, dropout_p: float = 0.0) -> None:
        super().__init__()
        self.input_shape = tuple(input_shape)
        channels, height, width = input_shape
        self.features = nn.Sequential(_block(channels, 16), _block(16, 32))
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Dropout(dropout_p), nn.Linear(32 * (height // 4) * (width // 4), num_classes)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, num_classes) for ``images`` (batch, *input_shape)."""
        _check_shape(self, images)
        logits: torch.Tensor = self.classifier(self.features(images))
        return logits


def _block(channels_in: int, channels_out: int) -> nn.Sequential:
    """Return a block that keeps the image's size in the convolution and halves it in the pooling."""
    return nn.Sequential(
        # No bias: BatchNorm takes off the mean, and any constant with it.
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


def _check_shape(model: MLP | SmallCNN, images: torch.Tensor) -> None:
    expected = model.input_shape
    if images.shape[1:] == expected:
        return
    name = type(model).__name__
    if images.shape == expected:
        raise ValueError(
            f"{name} takes batches, but got one input of shape {tuple(images.shape)}: add the batch dimension "
            "with images.unsqueeze(0)."
        )
    raise ValueError(
        f"{name} was built for inputs of shape {expected} after the batch dimension, but got a batch of shape "
        f"{tuple(images.shape)}: build it with input_shape=data.input_shape of the same data."
    )


def count_parameters(model: nn.Module) -> int:
    """Return how many numbers ``model`` learns: those in parameters with ``requires_grad``."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def summarize(model: nn.Module, inputs: torch.Tensor) -> list[dict[str, Any]]:
    """Run ``model`` once on ``inputs`` and return a row for each layer, in the order they ran.

    A layer is a module that has parameters of its own, or no modules inside. Each row has the layer's name, its type,
    the shape of its output and how many parameters it learns; ``pandas.DataFrame(rows)`` makes a table of them. A layer
    that runs twice has two rows, the parameters in the first; one whose parameters are used without calling it comes
    last, without a shape. So the parameters add up to those of the model. The model runs in evaluation mode and gets
    its mode back.
    """
    rows: list[dict[str, Any]] = []
    counted: set[int] = set()

    def note(name: str, layer: nn.Module, output: Any) -> None:
        new = {id(p): p.numel() for p in layer.parameters(recurse=False) if p.requires_grad and id(p) not in counted}
        counted.update(new)
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else None
        rows.append({"layer": name, "type": type(layer).__name__, "output": shape, "parameters": sum(new.values())})

    layers = {
        name: module
        for name, module in model.named_modules()
        if any(True for _ in module.parameters(recurse=False)) or not list(module.children())
    }
    hooks = [
        module.register_forward_hook(lambda layer, _inputs, output, name=name: note(name, layer, output))
        for name, module in layers.items()
    ]
    try:
        with modes_kept(model), torch.no_grad():
            model.eval()
            model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    for name in [name for name in layers if name not in {row["layer"] for row in rows}]:
        note(name, layers[name], None)
    return rows
