"""The models, their shapes and their summary."""

import pytest
import torch
from torch import nn

from course_utils import MLP, SmallCNN, count_parameters, summarize


@pytest.mark.parametrize(
    ("hidden_dims", "parameters"), [((), 7_850), ((128,), 101_770), ([512, 512], 669_706), ((256, 64), 218_058)]
)
def test_parameters_as_counted_by_hand(hidden_dims: tuple[int, ...], parameters: int) -> None:
    model = MLP((1, 28, 28), 10, hidden_dims=hidden_dims, dropout_p=0.2)
    assert count_parameters(model) == parameters
    assert sum(isinstance(module, nn.Dropout) for module in model.modules()) == len(hidden_dims)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 17, 21)])
@pytest.mark.parametrize("cls", [MLP, SmallCNN])
def test_sizes_come_from_the_data(cls: type[MLP] | type[SmallCNN], shape: tuple[int, int, int]) -> None:
    logits = cls(shape, 7)(torch.randn(5, *shape))
    assert logits.shape == (5, 7)
    logits.sum().backward()


@pytest.mark.parametrize("cls", [MLP, SmallCNN])
def test_wrong_inputs_get_a_sentence(cls: type[MLP] | type[SmallCNN]) -> None:
    model = cls((1, 28, 28), 10)
    with pytest.raises(ValueError, match=rf"{cls.__name__} takes batches, but got one input.*unsqueeze\(0\)"):
        model(torch.zeros(1, 28, 28))
    with pytest.raises(ValueError, match=r"built for inputs of shape \(1, 28, 28\).*\(4, 3, 32, 32\).*input_shape"):
        model(torch.zeros(4, 3, 32, 32))


def test_frozen_parameters_do_not_count() -> None:
    model = MLP((1, 28, 28), 10)
    model.layers[1].requires_grad_(False)
    assert count_parameters(model) == 1_290


def test_summary_has_a_row_for_each_layer_and_leaves_the_model_as_it_was() -> None:
    model = SmallCNN((1, 28, 28), 10).train()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rows = summarize(model, torch.zeros(2, 1, 28, 28))
    assert [row["type"] for row in rows] == [
        *["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"] * 2,
        "Flatten",
        "Dropout",
        "Linear",
    ]
    assert (rows[0]["output"], rows[-1]["output"]) == ((2, 16, 28, 28), (2, 10))
    assert sum(row["parameters"] for row in rows) == count_parameters(model)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_summary_removes_its_hooks_after_an_error() -> None:
    model = SmallCNN((1, 28, 28), 10)
    with pytest.raises(ValueError, match="built for"):
        summarize(model, torch.zeros(2, 3, 32, 32))
    assert not any(module._forward_hooks for module in model.modules())


def test_summary_counts_every_parameter_once() -> None:
    shared = nn.Linear(8, 8)
    for model, inputs in (
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.zeros(2, 5, 8)),
        (nn.Sequential(shared, nn.ReLU(), shared), torch.zeros(2, 8)),
        (nn.Sequential(nn.Sequential(), shared), torch.zeros(2, 8)),
    ):
        assert sum(row["parameters"] for row in summarize(model, inputs)) == count_parameters(model)
