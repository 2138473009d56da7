"""Devices and seeds."""

import random
from collections import namedtuple

import numpy as np
import torch
from torch import nn

from course_utils import get_device, move_to, seed_everything
from course_utils.device import device_of


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), torch.rand(()).item()  # noqa: NPY002


def test_one_seed_for_three_libraries() -> None:
    seed_everything(3)
    first = draw()
    assert draw() != first
    seed_everything(3)
    assert draw() == first
    seed_everything(4)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_deterministic_kernels_on_request() -> None:
    seed_everything(3)
    assert not torch.are_deterministic_algorithms_enabled()
    seed_everything(3, deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()


def test_device_of() -> None:
    assert device_of(nn.Linear(2, 2)) == torch.device("cpu")
    assert device_of(nn.Linear(2, 2, device="meta")) == torch.device("meta")
    assert device_of(nn.ReLU()) == torch.device("cpu")
    assert get_device().type in ("cpu", "cuda", "mps")


def test_move_to_keeps_the_structure() -> None:
    Pair = namedtuple("Pair", "left right")
    tensor = torch.zeros(2)
    batch = {"a": [tensor, "text"], "b": (tensor, {"c": tensor}), "d": Pair(tensor, 1)}
    moved = move_to(batch, torch.device("meta"))
    assert moved["a"][0].device.type == moved["b"][1]["c"].device.type == moved["d"].left.device.type == "meta"
    assert moved["a"][1] == "text"
    assert isinstance(moved["b"], tuple)
    assert isinstance(moved["d"], Pair)
