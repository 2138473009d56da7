"""fit and History."""

import math
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau, StepLR
from torchmetrics.classification import MulticlassF1Score

from course_utils import EpochResult, History, NonFiniteLossError, evaluate, fit, train_epoch
from tests.conftest import Batches
from tests.test_training import CROSS_ENTROPY, assert_same_weights, make_model, sgd


def run(batches: Batches, **options: Any) -> History:
    model = options.pop("model", None) or make_model()
    optimizer = options.pop("optimizer", None) or sgd(model)
    return fit(model, batches, batches, CROSS_ENTROPY, optimizer, **{"epochs": 3, "verbose": False, **options})


def test_equals_the_loop_by_hand(ragged: Batches) -> None:
    by_hand = make_model(dropout_p=0.3)
    optimizer = sgd(by_hand)
    torch.manual_seed(3)
    losses = []
    for _ in range(3):
        train_epoch(by_hand, ragged, CROSS_ENTROPY, optimizer)
        losses.append(evaluate(by_hand, ragged[:1], CROSS_ENTROPY).loss)
    model = make_model(dropout_p=0.3)
    torch.manual_seed(3)
    history = fit(model, ragged, ragged[:1], CROSS_ENTROPY, sgd(model), epochs=3, verbose=False)
    assert_same_weights(model, by_hand)
    assert [result.loss for result in history.val] == losses
    assert [result.samples for result in history.train] == [75, 75, 75]


@pytest.mark.parametrize(
    ("make", "options", "expected"),
    [
        (lambda o: StepLR(o, step_size=1, gamma=0.5), {}, [0.1, 0.05, 0.025]),
        (lambda o: StepLR(o, step_size=1, gamma=0.5), {"step_scheduler": "batch"}, [0.1, 0.0125, 0.0015625]),
        (lambda o: LambdaLR(o, lambda step: 1 / (1 + step)), {"step_scheduler": "batch"}, [0.1, 0.1 / 4, 0.1 / 7]),
        (lambda o: ReduceLROnPlateau(o, factor=0.5, patience=1, threshold=1e9), {}, [0.1, 0.1, 0.05]),
    ],
)
def test_schedulers_step_where_they_belong(
    ragged: Batches, make: Any, options: dict[str, Any], expected: list[float]
) -> None:
    model = make_model()
    optimizer = sgd(model)
    history = run(ragged, model=model, optimizer=optimizer, scheduler=make(optimizer), **options)
    assert history.learning_rates == pytest.approx(expected)


def test_one_cycle_is_stepped_by_batch(ragged: Batches) -> None:
    model = make_model()
    optimizer = sgd(model)
    scheduler = OneCycleLR(optimizer, max_lr=0.1, total_steps=9)
    history = run(ragged, model=model, optimizer=optimizer, scheduler=scheduler)
    assert history.learning_rates[0] < history.learning_rates[1] > history.learning_rates[2]
    assert scheduler.last_epoch == 9


def test_plateau_sees_the_validation_loss(ragged: Batches) -> None:
    model = make_model()
    optimizer = sgd(model)
    scheduler = ReduceLROnPlateau(optimizer)
    history = run(ragged, model=model, optimizer=optimizer, scheduler=scheduler)
    assert scheduler.best == pytest.approx(min(result.loss for result in history.val))


def test_callbacks_see_the_history_and_can_stop(ragged: Batches) -> None:
    lengths: list[int] = []

    def second(history: History) -> None:
        lengths.append(-len(history))

    def stop_after_two(history: History) -> bool:
        lengths.append(len(history))
        return len(history) == 2

    history = run(ragged, epochs=10, callbacks=[stop_after_two, second])
    assert len(history) == 2
    assert lengths == [1, -1, 2, -2]


def test_a_line_for_each_epoch(ragged: Batches, capsys: pytest.CaptureFixture[str]) -> None:
    history = run(ragged, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith(f"epoch 3/3   train loss {history.train[2].loss:.4f}")
    assert f"{history.val[2].accuracy:.1%}" in lines[2]
    model = nn.Linear(8, 8)
    fit(model, [(x, x) for x, _ in ragged], [(x, x) for x, _ in ragged], nn.MSELoss(), sgd(model), epochs=1)
    assert "nan" not in capsys.readouterr().out


def test_history_as_columns(ragged: Batches) -> None:
    history = run(ragged, metrics={"f1": MulticlassF1Score(num_classes=3)})
    frame = pd.DataFrame(history.as_dict())
    assert frame["epoch"].tolist() == [1, 2, 3]
    assert frame["val_f1"].tolist() == [result.metrics["f1"] for result in history.val]
    assert frame["train_loss"].iloc[-1] == history.train[-1].loss
    assert History().as_dict()["val_loss"] == []


def test_best_epoch_is_the_lowest_validation_loss_and_the_first_of_equals() -> None:
    def result(loss: float) -> EpochResult:
        return EpochResult(loss=loss, accuracy=0.5, seconds=1.0, samples=1, batches=1)

    history = History(val=[result(loss) for loss in (3.0, 1.0, 2.0, 1.0)])
    assert history.best_epoch == 2
    with pytest.raises(ValueError, match="history is empty"):
        _ = History().best_epoch


def test_errors_name_the_epoch(ragged: Batches) -> None:
    with pytest.raises(ValueError, match="epochs is 0"):
        run(ragged, epochs=0)
    once = iter(ragged)
    with pytest.raises(ValueError, match="no batches in epoch 2"):
        fit(model := make_model(), once, ragged, CROSS_ENTROPY, sgd(model), epochs=3, verbose=False)
    once = iter(ragged)
    with pytest.raises(ValueError, match="no batches in the evaluation after epoch 2"):
        fit(model := make_model(), ragged, once, CROSS_ENTROPY, sgd(model), epochs=3, verbose=False)
    model = make_model()
    with pytest.raises(NonFiniteLossError, match=r"batch \d of epoch \d, at learning rate 1e\+30"):
        run(ragged, model=model, optimizer=sgd(model, lr=1e30))
    broken = [(ragged[0][0] * math.nan, ragged[0][1])]
    with pytest.raises(NonFiniteLossError, match="nan in batch 1 of the evaluation after epoch 1"):
        fit(model := make_model(), ragged, broken, CROSS_ENTROPY, sgd(model), epochs=3, verbose=False)


def test_scheduler_options_that_cannot_be_meant(ragged: Batches) -> None:
    model = make_model()
    optimizer = sgd(model)
    with pytest.raises(ValueError, match="step_scheduler is 'step'"):
        run(ragged, model=model, optimizer=optimizer, step_scheduler="step")
    plateau = ReduceLROnPlateau(optimizer)
    with pytest.raises(ValueError, match="ReduceLROnPlateau needs the validation loss"):
        run(ragged, model=model, optimizer=optimizer, scheduler=plateau, step_scheduler="batch")


class Noting:
    """A callback with every method that fit knows."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __call__(self, history: History) -> bool:
        self.calls.append(("epoch", len(history)))
        return len(history) == 2

    def on_step(self, step: int, loss: torch.Tensor) -> None:
        self.calls.append(("step", step))
        assert loss.ndim == 0

    def finish(self, history: History) -> None:
        self.calls.append(("finish", len(history)))


def test_callbacks_see_steps_epochs_and_the_end(ragged: Batches) -> None:
    first, second = Noting(), Noting()
    model = nn.Linear(8, 3)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    callbacks = [first, second]
    fit(model, ragged, ragged, nn.CrossEntropyLoss(), sgd, epochs=5, callbacks=callbacks, accumulate=2, verbose=False)
    epoch = [("step", 1), ("step", 2)]
    assert first.calls == [*epoch, ("epoch", 1), *epoch, ("epoch", 2), ("finish", 2)]
    assert second.calls == first.calls
