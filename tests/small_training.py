"""Data and models for tests that start processes: small, and with no more to import than they need."""

from typing import Any

import torch
from torch import nn
from torch.utils.data import TensorDataset

FEATURES, CLASSES = 6, 4


def data(samples: int, seed: int = 0, ignored: bool = False) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(samples, FEATURES, generator=generator)
    targets = (inputs @ torch.randn(FEATURES, CLASSES, generator=generator)).argmax(1)
    if ignored:
        targets[::3] = -100
    return TensorDataset(inputs, targets)


def model(**options: Any) -> nn.Module:
    torch.manual_seed(7)
    layers: list[nn.Module] = [nn.Linear(FEATURES, 16), nn.ReLU(), nn.Linear(16, CLASSES)]
    if options.get("norm"):
        layers.insert(1, nn.BatchNorm1d(16))
    if options.get("dropout"):
        layers.insert(2, nn.Dropout(0.3))
    return nn.Sequential(*layers)
