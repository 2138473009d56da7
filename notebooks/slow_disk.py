"""A data set on a slow disk, for notebook 01.

It lives in a file and not in a notebook cell, because worker processes import the classes they need.
"""

import time
from typing import Any

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
