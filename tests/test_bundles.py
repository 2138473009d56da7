"""A trained model as a folder: it gives what it gave in training, and what does not fit is noticed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from course_utils import MLP, CheckpointError, ImageDataset, make_loader, predict
from course_utils.bundles import Bundle, Description, load_bundle, save_bundle

DESCRIPTION = Description(
    architecture="SmallCNN",
    options={"dropout_p": 0.5},
    input_shape=(3, 8, 12),
    class_names=("cat", "dog", "T-shirt/top"),
    mean=(0.1, 0.5, 0.3),
    std=(0.2, 0.3, 0.4),
    dataset="pets",
    seed=7,
)
IMAGES = torch.randint(0, 256, (20, 3, 8, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def saved(folder: Path, description: Description = DESCRIPTION) -> Bundle:
    torch.manual_seed(3)
    bundle = Bundle(description.build(), description)
    save_bundle(folder, bundle, data="20 pets.", metrics={"validation accuracy": 0.5}, limits="Made for a test.")
    return bundle


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    bundle = saved(tmp_path / "new" / "folder")
    found = load_bundle(tmp_path / "new" / "folder")
    assert found.description == DESCRIPTION
    assert torch.equal(found.logits(IMAGES), bundle.logits(IMAGES))
    assert not found.model.training
    card = (tmp_path / "new" / "folder" / "model.safetensors.md").read_text(encoding="utf-8")
    assert "| validation accuracy | 0.5 |" in card
    assert "2. T-shirt/top" in card


def test_it_normalises_as_training_did(tmp_path: Path) -> None:
    bundle = saved(tmp_path)
    data = ImageDataset(IMAGES, torch.zeros(20, dtype=torch.int64), mean=DESCRIPTION.mean, std=DESCRIPTION.std)
    assert torch.equal(bundle.logits(IMAGES), predict(bundle.model, make_loader(data, batch_size=20)).logits)


def test_the_mode_is_given_back_and_nothing_learns(tmp_path: Path) -> None:
    bundle = saved(tmp_path)
    bundle.model.train()
    before = {name: value.clone() for name, value in bundle.model.state_dict().items()}
    assert torch.equal(bundle.logits(IMAGES), bundle.logits(IMAGES))  # no Dropout
    assert bundle.model.training
    assert all(torch.equal(value, before[name]) for name, value in bundle.model.state_dict().items())


def test_an_mlp_with_its_options(tmp_path: Path) -> None:
    saved(tmp_path, replace(DESCRIPTION, architecture="MLP", options={"hidden_dims": [5, 4], "dropout_p": 0.1}))
    found = load_bundle(tmp_path)
    assert isinstance(found.model, MLP)
    assert found.logits(IMAGES[:1]).shape == (1, 3)


def test_rows_of_a_table(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"input_shape": (3,), "columns": ("ram", "px", "fc"), "options": {"hidden_dims": []}}
    bundle = saved(tmp_path, replace(DESCRIPTION, architecture="MLP", **columns))
    rows = torch.randn(5, 3)
    scaled = (rows - torch.tensor(DESCRIPTION.mean)) / torch.tensor(DESCRIPTION.std)
    assert torch.equal(load_bundle(tmp_path).logits(rows), bundle.model(scaled))
    for wrong in (rows.double(), rows[:, :2], rows[0]):
        with pytest.raises(ValueError, match=r"takes float32 rows of shape \(N, 3\), but these are "):
            bundle.logits(wrong)


@pytest.mark.parametrize(
    "images", [IMAGES.float(), IMAGES[0], IMAGES[:, :1], IMAGES.transpose(2, 3)], ids=["float", "one", "grey", "turned"]
)
def test_other_images_are_refused(images: torch.Tensor, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"This model takes uint8 images of shape \(N, 3, 8, 12\), but these are "):
        saved(tmp_path).logits(images)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architecture": "VGG"}, "There is no architecture 'VGG': give SmallCNN or MLP."),
        ({"options": {"depth": 3}}, "SmallCNN cannot be built with {'depth': 3}"),
    ],
)
def test_what_cannot_be_built(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(DESCRIPTION, **change).build()


def damage(folder: Path, how: str) -> None:
    weights, description = folder / "model.safetensors", folder / "model.json"
    content = json.loads(description.read_text())
    if how == "no description":
        description.unlink()
    elif how == "no weights":
        weights.unlink()
    elif how == "a flipped bit":
        data = bytearray(weights.read_bytes())
        data[-3] ^= 4
        weights.write_bytes(data)
    elif how == "half the weights":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "half a description":
        description.write_text(description.read_text()[:50])
    elif how == "a list":
        description.write_text("[]")
    elif how == "another format":
        description.write_text(json.dumps({**content, "format": "something else"}))
    elif how == "a field too few":
        description.write_text(json.dumps({name: value for name, value in content.items() if name != "mean"}))
    elif how == "another model":
        description.write_text(json.dumps({**content, "class_names": ["a", "b"]}))
    else:
        raise AssertionError(how)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no description", "There is no trained model in .*model.json.*give the folder that training wrote"),
        ("no weights", "There is no trained model in .*model.safetensors"),
        ("a flipped bit", "model.safetensors is damaged, or belongs to another model.json"),
        ("half the weights", "model.safetensors is damaged, or belongs to another model.json"),
        ("half a description", "model.json is damaged"),
        ("a list", "model.json does not describe a model"),
        ("another format", "model.json does not describe a model .it has another format"),
        ("a field too few", "model.json does not describe a model"),
        ("another model", "belongs to another model: classifier.2.weight is"),
    ],
)
def test_what_does_not_fit_is_noticed(how: str, said: str, tmp_path: Path) -> None:
    saved(tmp_path)
    damage(tmp_path, how)
    with pytest.raises(CheckpointError, match=said) as caught:
        load_bundle(tmp_path)
    assert "\n" not in str(caught.value)
