"""What several tests need."""

from collections.abc import Iterator

import pytest
import torch

Batches = list[tuple[torch.Tensor, torch.Tensor]]


@pytest.fixture(autouse=True)
def _same_random_numbers() -> Iterator[None]:
    """Start every test from one seed, and leave none of its settings to the next."""
    torch.manual_seed(0)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def ragged() -> Batches:
    """75 samples of 8 features and 3 classes in batches of 32, 32 and 11; the last batch is the hardest."""
    inputs, targets = torch.randn(75, 8), torch.randint(0, 3, (75,))
    inputs[64:] *= 100
    return list(zip(inputs.split(32), targets.split(32), strict=True))
