"""A training that is interrupted anywhere and resumed is the training that was not interrupted."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, SubsetRandomSampler, TensorDataset
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAUROC, MulticlassF1Score

from course_utils import (
    CheckpointError,
    History,
    NonFiniteLossError,
    evaluate,
    fit,
    load_checkpoint,
    make_loader,
    save_checkpoint,
    seed_everything,
    train_epoch,
)
from course_utils.checkpoints import list_checkpoints
from course_utils.random_state import random_state
from course_utils.totals import Totals
from tests.kill_and_resume import differences
from tests.notebook_files import ROOT
from tests.test_checkpoints import file_size_limit


class Interrupted(Exception):
    """Stands for the power cut."""


class Interrupting:
    """A loader that fails before it gives batch number ``at`` (from 1, over all epochs), or never."""

    def __init__(self, loader: DataLoader[Any], at: int | None) -> None:
        self.loader = loader
        self.at = at
        self.given: list[torch.Tensor] = []
        self.generator = loader.generator

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.loader:
            if self.at is not None and len(self.given) + 1 == self.at:
                raise Interrupted
            self.given.append(batch[0])
            yield batch


class Noisy(TensorDataset):
    """Adds noise to each input: augmentation from PyTorch's global random numbers, in workers from theirs."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        inputs, targets = super().__getitem__(index)
        return inputs + 0.1 * torch.randn_like(inputs), targets


BATCHES = 7  # in an epoch: 6 of 16 samples and one of 4


class Training:
    """A small training with dropout, BatchNorm, augmentation and a ragged last batch, made anew each time."""

    def __init__(
        self,
        at: int | None = None,
        *,
        val_at: int | None = None,
        workers: int = 0,
        hidden: int = 12,
        seeded: bool = True,
    ) -> None:
        seed_everything(3)
        inputs, targets = torch.randn(100, 8), torch.randint(0, 3, (100,))
        train = Noisy(inputs, targets)
        loader = (
            make_loader(train, batch_size=16, shuffle=True, num_workers=workers)
            if seeded
            else DataLoader(train, batch_size=16, shuffle=True, num_workers=workers)
        )
        self.loader = Interrupting(loader, at)
        val = TensorDataset(torch.randn(30, 8), torch.randint(0, 3, (30,)))
        self.val: Any = Interrupting(make_loader(val, batch_size=16), val_at)
        self.model = nn.Sequential(
            nn.Linear(8, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(0.4), nn.Linear(hidden, 3)
        )
        self.optimizer: Any = torch.optim.AdamW(self.model.parameters(), lr=0.01)
        self.scaler = torch.amp.GradScaler("cpu", growth_interval=2)  # so that its scale changes at once

    def fit(self, folder: Path | None, *, resume: bool = True, epochs: int = 3, **options: Any) -> History:
        return fit(
            self.model,
            self.loader,
            self.val,
            nn.CrossEntropyLoss(),
            self.optimizer,
            epochs=epochs,
            checkpoint_dir=folder,
            resume=resume and folder is not None,
            verbose=False,
            progress=False,
            **options,
        )

    def outcome(self, history: History) -> dict[str, Any]:
        columns = history.as_dict()
        assert all(seconds > 0 for seconds in columns.pop("seconds"))
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": columns,
            "samples": [(result.samples, result.batches) for result in history.train],
            "random": random_state(),
        }


def assert_resumes(
    folder: Path,
    at: int | None,
    options: Callable[[Training], dict[str, Any]] = lambda training: {},
    val_at: int | None = None,
    **setting: Any,
) -> Training:
    """Interrupt a training, resume it, compare with an uninterrupted one, and return the resumed one.

    ``at`` is the training batch before which it ends, or ``val_at`` that of the validation.
    """
    whole = Training(**setting)
    given = options(whole)
    given.pop("checkpoint_every", None)
    expected = whole.outcome(whole.fit(None, **given))

    first = Training(at, val_at=val_at, **setting)
    with pytest.raises(Interrupted):
        first.fit(folder, **options(first))
    assert list_checkpoints(folder), "nothing was saved, so nothing is being tested"

    second = Training(**setting)
    torch.rand(5)  # the program that resumes may have drawn other random numbers
    assert differences(expected, second.outcome(second.fit(folder, **options(second)))) == []
    assert differences(whole.loader.given[-3:], second.loader.given[-3:]) == []
    return second


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("at", [BATCHES + 1, BATCHES + 6, 2 * BATCHES + 3])
def test_from_the_end_of_an_epoch(at: int, workers: int, tmp_path: Path) -> None:
    assert_resumes(tmp_path / "new" / "folder", at, workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("at", [4, 7, BATCHES + 5])
def test_from_inside_an_epoch(at: int, workers: int, tmp_path: Path) -> None:
    assert_resumes(tmp_path, at, lambda _: {"checkpoint_every": 2}, workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_twice_inside_one_epoch(workers: int, tmp_path: Path) -> None:
    """The second checkpoint must still know where the random numbers stood when the epoch began."""
    first = Training(4, workers=workers)
    with pytest.raises(Interrupted):
        first.fit(tmp_path, checkpoint_every=2)
    assert_resumes(tmp_path, 6, lambda _: {"checkpoint_every": 2}, workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_without_a_generator_of_their_own(workers: int, tmp_path: Path) -> None:
    assert_resumes(tmp_path, BATCHES + 5, lambda _: {"checkpoint_every": 2}, workers=workers, seeded=False)


@pytest.mark.parametrize(
    ("make", "rhythm"),
    [
        (lambda o: torch.optim.lr_scheduler.StepLR(o, 2, gamma=0.3), None),
        (lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.05, total_steps=21), None),
        (lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)), "batch"),
        (lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1, 2]), None),
        (lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, threshold=1.0), None),
        (
            lambda o: torch.optim.lr_scheduler.SequentialLR(
                o,
                [
                    torch.optim.lr_scheduler.LinearLR(o, total_iters=4),
                    torch.optim.lr_scheduler.CosineAnnealingLR(o, 17),
                ],
                milestones=[4],
            ),
            "batch",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step")
def test_with_every_kind_of_scheduler(make: Callable[[Any], Any], rhythm: Any, tmp_path: Path) -> None:
    assert_resumes(
        tmp_path,
        BATCHES + 5,
        lambda training: {
            "scheduler": make(training.optimizer),
            "step_scheduler": rhythm,
            "checkpoint_every": 2,
        },
    )


def test_with_accumulation_clipping_and_a_scaler(tmp_path: Path) -> None:
    """Seven batches in groups of three leave a group of one, after which nothing is saved inside the epoch."""
    for at in (BATCHES, BATCHES + 5):
        assert_resumes(
            tmp_path / str(at),
            at,
            lambda training: {
                "accumulate": 3,
                "clip_norm": 0.5,
                "amp_dtype": torch.bfloat16,
                "scaler": training.scaler,
                "checkpoint_every": 1,
            },
        )


def test_the_sums_of_metrics_go_on(tmp_path: Path) -> None:
    """F1 keeps counts, AUROC all outputs."""
    assert_resumes(
        tmp_path,
        BATCHES + 5,
        lambda _: {
            "metrics": {"f1": MulticlassF1Score(num_classes=3), "auroc": MulticlassAUROC(num_classes=3)},
            "checkpoint_every": 2,
        },
    )


def test_interrupted_in_the_evaluation(tmp_path: Path) -> None:
    """No checkpoint inside an epoch comes after its last batch: metrics would be asked for sums they have not seen."""
    training = assert_resumes(
        tmp_path,
        None,
        lambda _: {"metrics": {"f1": MulticlassF1Score(num_classes=3)}, "checkpoint_every": 1},
        val_at=4,
    )
    assert len(training.loader.given) == 2 * BATCHES


class Unmeasured:
    """A loader that does not know how many batches it has."""

    def __init__(self, loader: Interrupting) -> None:
        self.loader = loader
        self.generator = loader.generator
        self.given = loader.given

    def __iter__(self) -> Iterator[Any]:
        return iter(self.loader)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_loaders_without_a_length(accumulate: int, tmp_path: Path) -> None:
    def unmeasured(training: Training) -> dict[str, Any]:
        training.loader = Unmeasured(training.loader)  # type: ignore[assignment]
        return {"checkpoint_every": 1, "accumulate": accumulate}

    assert_resumes(tmp_path, None, unmeasured, val_at=4)


def test_numbers_go_on() -> None:
    """Batch numbers, sums and seconds of a resumed epoch are those of the whole epoch."""
    model, cross_entropy = nn.Linear(8, 3), nn.CrossEntropyLoss()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    before = Totals(cross_entropy, None, torch.device("cpu"), "epoch 2")
    train_epoch(model, [(torch.randn(4, 8), torch.zeros(4, dtype=torch.int64))] * 5, cross_entropy, sgd, totals=before)
    state = before.state_dict() | {"seconds": 100.0}

    def resumed(*batches: Any) -> Any:
        totals = Totals(cross_entropy, None, torch.device("cpu"), "epoch 2")
        totals.load_state_dict(state)
        return train_epoch(model, list(batches), cross_entropy, sgd, totals=totals)

    result = resumed()
    assert (result.loss, result.samples, result.batches) == (before.result().loss, 20, 5)
    assert 100 < result.seconds < 200
    assert resumed((torch.randn(4, 8), torch.zeros(4, dtype=torch.int64))).samples == 24
    with pytest.raises(ValueError, match="label 7 in batch 6 of epoch 2"):
        resumed((torch.randn(4, 8), torch.full((4,), 7)))
    with pytest.raises(ValueError, match="Batch 6 of epoch 2 is a Tensor"):
        resumed(torch.zeros(4))
    with pytest.raises(NonFiniteLossError, match="batch 6 of epoch 2"):
        resumed((torch.full((4, 8), torch.nan), torch.zeros(4, dtype=torch.int64)))


def test_other_random_numbers(tmp_path: Path) -> None:
    """Python's and NumPy's too, in a loader that draws from them."""
    import random

    def drawing(training: Training) -> dict[str, Any]:
        def draw(_history: History) -> None:
            with torch.no_grad():
                training.model[0].bias += random.random() + float(np.random.normal())  # noqa: NPY002

        return {"callbacks": [draw]}

    assert_resumes(tmp_path, 2 * BATCHES + 2, drawing)


class Counting:
    """A callback with a state that ends the training after ``limit`` epochs."""

    def __init__(self, limit: int = 99) -> None:
        self.count = 0
        self.limit = limit

    def __call__(self, history: History) -> bool:
        self.count += 1
        return self.count >= self.limit

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = state["count"]


def test_the_state_of_callbacks_is_kept(tmp_path: Path) -> None:
    training = assert_resumes(tmp_path, 2 * BATCHES + 1, lambda _: {"callbacks": [Counting()]})
    counting = Counting()
    training.fit(tmp_path, epochs=5, callbacks=[counting])
    assert counting.count == 5


def test_a_state_that_could_not_be_loaded_is_refused_at_once(tmp_path: Path) -> None:
    counting = Counting()
    counting.count = Path("not a plain value")  # type: ignore[assignment]
    counting.__class__ = type("Odd", (Counting,), {"__call__": lambda self, history: False})
    with pytest.raises(CheckpointError, match=r"epoch_0001\.pt was not written: the state holds pathlib\S+, no tensor"):
        Training().fit(tmp_path, callbacks=[counting])
    assert list_checkpoints(tmp_path) == []


def test_a_training_that_a_callback_ended_stays_ended(tmp_path: Path) -> None:
    training = Training()
    ended = training.fit(tmp_path, callbacks=[Counting(2)])
    again = Training()
    counting = Counting(2)
    resumed = again.fit(tmp_path, callbacks=[counting], epochs=10)
    assert ended.stopped
    assert resumed.stopped
    assert len(resumed) == 2
    assert counting.count == 2
    assert differences(training.outcome(ended), again.outcome(resumed)) == []


def test_saving_changes_nothing(tmp_path: Path) -> None:
    plain = Training()
    expected = plain.outcome(plain.fit(None))
    saved = Training()
    assert differences(expected, saved.outcome(saved.fit(tmp_path, checkpoint_every=1))) == []


def test_more_epochs_later(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = Training()
    expected = whole.outcome(whole.fit(None, epochs=4))
    Training().fit(tmp_path, epochs=2)
    second = Training()
    assert differences(expected, second.outcome(second.fit(tmp_path, epochs=4))) == []
    again = Training()
    fit(
        again.model,
        again.loader,
        again.val,
        nn.CrossEntropyLoss(),
        again.optimizer,
        epochs=4,
        checkpoint_dir=tmp_path,
        resume=True,
    )
    assert capsys.readouterr().out == "resumed from epoch_0004.pt\n"


def test_files_and_the_best_of_them(tmp_path: Path) -> None:
    training = Training()
    history = training.fit(tmp_path, resume=False, epochs=6, keep_last=2, checkpoint_every=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "epoch_0005.pt", "epoch_0006.pt"]
    best = load_checkpoint(tmp_path / "best.pt")
    losses = [result.loss for result in history.val]
    assert best["epoch"] == history.best_epoch == 1 + losses.index(min(losses))
    assert best["history"]["val"][-1]["loss"] == min(losses)
    training.model.load_state_dict(best["model"])
    assert evaluate(training.model, training.val, nn.CrossEntropyLoss()).loss == pytest.approx(min(losses))
    last = load_checkpoint(tmp_path / "epoch_0006.pt")
    assert last["epoch"] == 6
    assert last["history"]["val"][5]["loss"] == losses[5]


def test_best_is_made_again_after_a_kill_just_before_it(tmp_path: Path) -> None:
    Training().fit(tmp_path, epochs=1)
    (tmp_path / "best.pt").unlink()
    Training().fit(tmp_path, epochs=1)
    assert load_checkpoint(tmp_path / "best.pt")["epoch"] == 1
    Training().fit(tmp_path, epochs=1)  # and once more, with both names there
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "epoch_0001.pt"]


def test_best_on_a_disk_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: Any) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", no_links)
    Training().fit(tmp_path, epochs=1)
    assert (tmp_path / "best.pt").read_bytes() == (tmp_path / "epoch_0001.pt").read_bytes()
    assert (tmp_path / "best.pt").stat().st_ino != (tmp_path / "epoch_0001.pt").stat().st_ino


def test_files_inside_an_epoch_are_kept_until_it_is_over(tmp_path: Path) -> None:
    training = Training(2 * BATCHES)
    with pytest.raises(Interrupted):
        training.fit(tmp_path, checkpoint_every=1, keep_last=2)
    names = [path.name for path in list_checkpoints(tmp_path)]
    assert names == ["epoch_0001.pt", "epoch_0002_batch_000005.pt", "epoch_0002_batch_000006.pt"]


def test_a_damaged_checkpoint_costs_time_and_nothing_else(tmp_path: Path) -> None:
    whole = Training()
    expected = whole.outcome(whole.fit(None))
    with pytest.raises(Interrupted):
        Training(2 * BATCHES + 4).fit(tmp_path)
    last = tmp_path / "epoch_0002.pt"
    last.write_bytes(last.read_bytes()[:-100])
    second = Training()
    with pytest.warns(RuntimeWarning, match=r"epoch_0002\.pt is damaged .+ use another checkpoint\. Looking for"):
        history = second.fit(tmp_path)
    assert differences(expected, second.outcome(history)) == []
    load_checkpoint(last)


def test_a_disk_that_is_full_after_the_first_epoch(tmp_path: Path) -> None:
    whole = Training()
    expected = whole.outcome(whole.fit(None))

    def fill(history: History) -> None:
        if len(history) == 2:
            limit.__enter__()

    limit = file_size_limit(2000)
    try:
        with pytest.raises(CheckpointError, match=r"could not be written \(.+\): make room, or choose another one"):
            Training().fit(tmp_path, callbacks=[fill])
    finally:
        limit.__exit__(None, None, None)
    assert {path.name for path in tmp_path.iterdir()} == {"best.pt", "epoch_0001.pt"}
    second = Training()
    assert differences(expected, second.outcome(second.fit(tmp_path))) == []


def test_a_loss_that_is_nan_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    Training().fit(tmp_path, epochs=1)
    broken = Training()
    broken.val = make_loader(TensorDataset(torch.full((30, 8), torch.nan), torch.zeros(30, dtype=torch.int64)))
    with pytest.raises(NonFiniteLossError, match="epoch 2"):
        broken.fit(tmp_path, epochs=2)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["epoch_0001.pt"]
    load_checkpoint(tmp_path / "epoch_0001.pt")


def refused(tmp_path: Path, training: Training, message: str, **options: Any) -> None:
    """Train one epoch, then let ``training`` resume it: it is refused, and nothing of it has changed."""
    Training().fit(tmp_path, epochs=1)
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    with pytest.raises(CheckpointError, match=message) as caught:
        training.fit(tmp_path, **options)
    assert "epoch_0001.pt" in str(caught.value)
    assert differences(before, dict(training.model.state_dict())) == []
    assert not training.optimizer.state
    assert [path.name for path in list_checkpoints(tmp_path)] == ["epoch_0001.pt"]


def test_another_architecture(tmp_path: Path) -> None:
    message = r"another model: 0\.weight is float32 \(12, 8\) there and float32 \(13, 8\) here; build the same model"
    refused(tmp_path, Training(hidden=13), message)


def test_another_architecture_with_other_names(tmp_path: Path) -> None:
    training = Training()
    training.model.append(nn.Linear(3, 3))
    refused(tmp_path, training, r"another model: it has no 5\.weight")
    shorter = Training()
    del shorter.model[4]
    refused(tmp_path / "2", shorter, r"another model: its 4\.weight is not in this one")


def test_another_dtype(tmp_path: Path) -> None:
    training = Training()
    training.model.double()
    refused(tmp_path, training, r"0\.weight is float32 \(12, 8\) there and float64 \(12, 8\) here")


def test_another_optimizer(tmp_path: Path) -> None:
    training = Training()
    training.optimizer = torch.optim.SGD(training.model.parameters(), lr=0.1)
    refused(tmp_path, training, "optimizer was AdamW there and is SGD here; set up the same training")


def test_other_parameter_groups(tmp_path: Path) -> None:
    training = Training()
    training.optimizer = torch.optim.AdamW([{"params": list(part.parameters())} for part in training.model[:2]])
    refused(tmp_path, training, r"the optimizer held \[6\] parameters in its groups there and holds \[2, 2\] here")


def test_another_scheduler(tmp_path: Path) -> None:
    training = Training()
    scheduler = torch.optim.lr_scheduler.StepLR(training.optimizer, 1)
    refused(tmp_path, training, "scheduler was None there and is StepLR here", scheduler=scheduler)


def test_a_scheduler_that_is_gone(tmp_path: Path) -> None:
    first = Training()
    first.fit(tmp_path, epochs=1, scheduler=torch.optim.lr_scheduler.StepLR(first.optimizer, 1))
    with pytest.raises(CheckpointError, match="scheduler was StepLR there and is None here"):
        Training().fit(tmp_path)


def test_another_accumulation(tmp_path: Path) -> None:
    refused(tmp_path, Training(), "accumulate was 1 there and is 3 here", accumulate=3)


def test_other_data(tmp_path: Path) -> None:
    training = Training()
    training.loader = Interrupting(make_loader(training.loader.loader.dataset, batch_size=20, shuffle=True), None)
    refused(tmp_path, training, "the number of batches was 7 there and is 5 here")


def test_a_loader_that_lost_its_generator(tmp_path: Path) -> None:
    refused(tmp_path, Training(seeded=False), "the number of seeded generators was 2 there and is 1 here")


def test_other_metrics(tmp_path: Path) -> None:
    metrics = {"f1": MulticlassF1Score(num_classes=3)}
    refused(tmp_path, Training(), r"the list of metrics was \[\] there and is \['f1'\] here", metrics=metrics)


def test_fewer_epochs_than_there_are(tmp_path: Path) -> None:
    Training().fit(tmp_path, epochs=2)
    with pytest.raises(CheckpointError, match="is of epoch 2, but epochs is 1"):
        Training().fit(tmp_path, epochs=1)
    with pytest.raises(Interrupted):
        Training(5).fit(tmp_path, epochs=3, checkpoint_every=2)
    with pytest.raises(CheckpointError, match=r"epoch_0003_batch_\d+\.pt is of epoch 3, but epochs is 2"):
        Training().fit(tmp_path, epochs=2, checkpoint_every=2)


def test_a_checkpoint_that_fit_did_not_write(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "epoch_0001.pt", {"model": {}})
    with pytest.raises(CheckpointError, match="was not written by fit"):
        Training().fit(tmp_path)


def test_arguments_that_do_not_go_together(tmp_path: Path) -> None:
    training = Training()
    for options in ({"resume": True}, {"checkpoint_every": 5}):
        with pytest.raises(ValueError, match="give checkpoint_dir as well"):
            fit(
                training.model,
                training.loader,
                training.val,
                nn.CrossEntropyLoss(),
                training.optimizer,
                epochs=1,
                **options,
            )
    for options in ({"checkpoint_every": 0}, {"keep_last": 0}):
        with pytest.raises(ValueError, match="is 0, but it is a count: give 1 or more"):
            training.fit(tmp_path, **options)
    training.fit(tmp_path, epochs=1)
    with pytest.raises(FileExistsError, match="pass resume=True to go on with it"):
        training.fit(tmp_path, resume=False)


class Plain:
    """A metric of one's own, without a state_dict."""

    def reset(self) -> None: ...

    def update(self, outputs: Any, targets: Any) -> None: ...

    def compute(self) -> float:
        return 1.0

    def to(self, device: Any) -> None: ...


def test_a_metric_whose_sums_cannot_be_saved(tmp_path: Path) -> None:
    Training().fit(tmp_path / "1", metrics={"plain": Plain()}, epochs=1)
    with pytest.raises(ValueError, match="'plain' has no state_dict and load_state_dict"):
        Training().fit(tmp_path / "2", metrics={"plain": Plain()}, epochs=1, checkpoint_every=2)


def test_workers_that_keep_their_random_numbers(tmp_path: Path) -> None:
    training = Training()
    training.val = DataLoader(training.val.loader.dataset, num_workers=1, persistent_workers=True)
    with pytest.warns(UserWarning, match="leave persistent_workers out"):
        training.fit(tmp_path, epochs=1)


def test_a_sampler_with_a_generator_of_its_own(tmp_path: Path) -> None:
    def run(folder: Path | None, val_at: int | None = None) -> dict[str, Any]:
        training = Training(val_at=val_at)
        sampler = SubsetRandomSampler(range(50), generator=torch.Generator().manual_seed(8))
        dataset = training.loader.loader.dataset
        if batched:
            training.loader = DataLoader(dataset, batch_sampler=BatchSampler(sampler, 16, drop_last=False))  # type: ignore[assignment]
        else:
            training.loader = DataLoader(dataset, batch_size=16, sampler=sampler)  # type: ignore[assignment]
        return training.outcome(training.fit(folder))

    for batched in (False, True):
        expected = run(None)
        with pytest.raises(Interrupted):
            run(tmp_path / str(batched), val_at=4)
        assert differences(expected, run(tmp_path / str(batched))) == []


class Learned(nn.Module):
    """A loss that learns a temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(1))

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs * self.temperature, targets)


def test_a_loss_that_learns(tmp_path: Path) -> None:
    def run(at: int | None, folder: Path | None) -> Any:
        training, loss_fn = Training(at), Learned()
        training.optimizer = torch.optim.AdamW([*training.model.parameters(), *loss_fn.parameters()], lr=0.01)
        options: dict[str, Any] = {"verbose": False, "checkpoint_dir": folder, "resume": folder is not None}
        history = fit(training.model, training.loader, training.val, loss_fn, training.optimizer, epochs=3, **options)
        return training.outcome(history), loss_fn.state_dict()

    expected = run(None, None)
    with pytest.raises(Interrupted):
        run(BATCHES + 2, tmp_path)
    assert differences(expected, run(None, tmp_path)) == []


class Twice(Metric):
    """Twice the F1 of the metric inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = MulticlassF1Score(num_classes=3)

    def update(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        self.inner.update(outputs, targets)

    def compute(self) -> torch.Tensor:
        return 2 * self.inner.compute()

    def reset(self) -> None:
        super().reset()
        self.inner.reset()


def test_metrics_inside_metrics(tmp_path: Path) -> None:
    assert_resumes(tmp_path, BATCHES + 5, lambda _: {"metrics": {"twice": Twice()}, "checkpoint_every": 2})


def test_sums_of_metrics_go_to_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torchmetrics leaves them where the checkpoint had them, which is the CPU."""
    metric = MulticlassF1Score(num_classes=3)
    totals = Totals(nn.CrossEntropyLoss(), {"f1": metric}, torch.device("cpu"), "epoch 1")
    state = totals.state_dict()
    assert metric.state_dict() == {}  # the metric itself is as it was
    moved: list[Any] = []
    monkeypatch.setattr(metric, "to", moved.append)
    totals.load_state_dict(state)
    assert moved == [torch.device("cpu")]


class OfNumpy(Plain):
    """A metric that answers with NumPy's numbers."""

    def compute(self) -> Any:
        return {"mean": np.float64(0.5), "each": np.ones(2)}


def test_numbers_of_numpy_in_metrics(tmp_path: Path) -> None:
    history = Training().fit(tmp_path, metrics={"own": OfNumpy()}, epochs=1)
    assert history.val[0].metrics == {"own_mean": 0.5, "own_each": [1.0, 1.0]}


def test_a_layer_that_a_callback_thawed(tmp_path: Path) -> None:
    def thawing(training: Training) -> dict[str, Any]:
        training.model[0].requires_grad_(False)

        def thaw(history: History) -> None:
            if len(history) == 1:
                training.model[0].requires_grad_(True)

        return {"callbacks": [thaw]}

    assert_resumes(tmp_path, 2 * BATCHES + 2, thawing)


def test_lazy_layers(tmp_path: Path) -> None:
    def lazy() -> Training:
        training = Training()
        training.model[0] = nn.LazyLinear(12)
        training.optimizer = torch.optim.SGD(training.model.parameters(), lr=0.1)
        return training

    first, second = lazy(), lazy()
    first.fit(tmp_path, epochs=1)
    second.fit(tmp_path, epochs=1)
    assert differences(dict(first.model.state_dict()), dict(second.model.state_dict())) == []


def test_another_learning_rate_is_noticed(tmp_path: Path) -> None:
    first = Training()
    scheduler = torch.optim.lr_scheduler.StepLR(first.optimizer, 1)
    first.fit(tmp_path, epochs=1, scheduler=scheduler)
    first.fit(tmp_path, epochs=2, scheduler=scheduler)  # in the same program: the rate has moved on, no warning
    second = Training()
    second.optimizer.param_groups[0]["lr"] = 0.5
    with pytest.warns(UserWarning, match=r"was \[0\.01\] .+ began and is \[0\.5\] now: the checkpoint's is used"):
        second.fit(tmp_path, epochs=2, scheduler=torch.optim.lr_scheduler.StepLR(second.optimizer, 1))
    assert second.optimizer.param_groups[0]["lr"] == pytest.approx(0.0001)


def print_nothing(_history: History) -> None:
    pass


def test_only_callbacks_with_a_state_are_counted(tmp_path: Path) -> None:
    Training().fit(tmp_path, epochs=1, callbacks=[Counting()])
    counting = Counting()
    Training().fit(tmp_path, epochs=2, callbacks=[print_nothing, counting])
    assert counting.count == 2


def test_a_foreign_file_ahead_of_the_others(tmp_path: Path) -> None:
    Training().fit(tmp_path, epochs=2, keep_last=1)
    torch.save({"x": 1}, tmp_path / "epoch_0050.pt")
    with pytest.warns(RuntimeWarning, match=r"this one is now epoch_0050\.pt\.damaged"):
        Training().fit(tmp_path, epochs=4, keep_last=1)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["epoch_0004.pt"]


def test_a_program_that_changes_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()

    def leave(_history: History) -> None:
        os.chdir(tmp_path / "elsewhere")

    Training().fit(Path("runs"), epochs=2, callbacks=[leave])
    assert len(list_checkpoints(tmp_path / "runs")) == 2


def test_killed_in_every_phase() -> None:
    """The short form of ``python -m tests.kill_and_resume``: real processes, real SIGKILL."""
    command = [sys.executable, "-m", "tests.kill_and_resume", "--count", "8"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert "8 of 8 identical" in done.stdout, done.stdout + done.stderr
    for phase in ("training", "evaluation", "checkpoint"):
        assert f"killed in {phase}: identical" in done.stdout
