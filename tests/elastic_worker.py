"""A training under torchrun of which one process kills itself once, for test_distributed.py.

torchrun --nproc_per_node 2 --max-restarts 1 -m tests.elastic_worker FOLDER STEP
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from course_utils import fit, make_loader, save_checkpoint, seed_everything
from course_utils.distributed import by_first, rank, unwrap
from tests.small_training import data, model


class Killer:
    """Ends the second process without a word, the first time it comes to a step."""

    def __init__(self, step: int) -> None:
        self.left = step

    def on_step(self, step: int, loss: torch.Tensor) -> None:
        self.left -= 1
        if self.left == 0 and rank() == 1 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, history: Any) -> None:
        pass


def train(folder: Path, killed_at: int | None = None) -> None:
    """Train in this process group, and leave end.pt in ``folder``."""
    net = DistributedDataParallel(model(dropout=True))
    seed_everything(5 + rank())
    history = fit(
        net,
        make_loader(data(103), batch_size=16, shuffle=True),
        make_loader(data(30, seed=1), batch_size=16),
        nn.CrossEntropyLoss(),
        torch.optim.AdamW(net.parameters(), lr=0.01),
        epochs=3,
        callbacks=[] if killed_at is None else [Killer(killed_at)],
        checkpoint_dir=folder / "checkpoints",
        checkpoint_every=2,
        resume=True,
        verbose=False,
    )
    restarts = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    losses = [result.loss for result in history.train]
    state = {"model": unwrap(net).state_dict(), "losses": losses, "restarts": restarts}
    by_first(lambda: save_checkpoint(folder / "end.pt", state))
    dist.barrier()  # the first process serves the others' store until all are done


if __name__ == "__main__":
    dist.init_process_group("gloo")
    train(Path(sys.argv[1]), int(sys.argv[2]))
    dist.destroy_process_group()
