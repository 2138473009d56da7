"""Data sets of notebook 01 that worker processes read.

They live in a file and not in a notebook cell, because worker processes import the classes they need.
"""

import time
from typing import Any

import numpy as np
from torch.utils.data import Dataset


class SlowDisk(Dataset[Any]):
    """Gives the items of ``dataset``, each after a wait of ``seconds``, as a network drive would."""

    def __init__(self, dataset: Any, seconds: float = 0.002) -> None:
        self.dataset = dataset
        self.seconds = seconds

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        time.sleep(self.seconds)
        return self.dataset[index]


class OwnGenerator(Dataset[float]):
    """Two random numbers from a generator that the data set made once: every worker gets a copy of it."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(0)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> float:
        return self.generator.random()
