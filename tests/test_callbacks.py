"""Callbacks that look after the weights: they do what they say, and survive an interruption."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from course_utils import EpochResult, History, evaluate, load_checkpoint, save_checkpoint, train_epoch
from course_utils.callbacks import EarlyStopping, WeightAverage
from tests.kill_and_resume import differences
from tests.test_resuming import BATCHES, Interrupted, Training


def result(loss: float) -> EpochResult:
    return EpochResult(loss=loss, accuracy=0.5, samples=1, batches=1, seconds=0.1, metrics={})


def run(stopping: EarlyStopping, model: nn.Linear, losses: list[float]) -> tuple[int, History]:
    """Act as fit does on these validation losses; the bias is the number of the epoch. Return the last epoch."""
    history = History()
    stopping.begin()
    for epoch, loss in enumerate(losses, start=1):
        with torch.no_grad():
            model.bias.fill_(epoch)
        history.val.append(result(loss))
        if stopping(history):
            break
    stopping.finish(history)
    return len(history), history


@pytest.mark.parametrize(
    ("losses", "patience", "min_delta", "last", "best"),
    [
        ([5, 4, 3, 3.5, 3.2, 3.1, 1], 3, 0.0, 6, 3),
        ([5, 4, 3, 3.5, 3.2, 2.9, 4, 4, 4, 1], 3, 0.0, 9, 6),  # an improvement starts the count anew
        ([5, 4, 3, 3.5, 1], 1, 0.0, 4, 3),
        ([3, 3, 3, 1], 2, 0.0, 3, 1),  # equal is no improvement, and the first of equals is kept
        ([1, 2, 3, 0], 3, 0.0, 4, 4),  # it is better just before the count is full
        ([5, 4.95, 4.92, 4.91, 1], 3, 0.1, 4, 4),  # too little to go on for, but the lowest all the same
        ([5, 4.96, 4.92, 4.88, 4.84, 4.8], 3, 0.1, 6, 6),  # small steps add up to an improvement
        ([5, 4, 3, 2], 3, 0.0, 4, 4),  # ended without it
        ([math.nan, 2, 3, 3], 2, 0.0, 4, 2),
    ],
)
def test_stops_where_it_should(losses: list[float], patience: int, min_delta: float, last: int, best: int) -> None:
    model = nn.Linear(2, 1)
    stopping = EarlyStopping(model, patience=patience, min_delta=min_delta)
    assert stopping.best_epoch is None
    assert run(stopping, model, losses)[0] == last
    assert stopping.best_epoch == best
    assert model.bias.item() == best


def test_a_second_training_starts_anew() -> None:
    model = nn.Linear(2, 1)
    stopping = EarlyStopping(model, patience=2)
    assert run(stopping, model, [1, 2, 3, 4])[0] == 3
    assert run(stopping, model, [9, 8, 7, 8, 9])[0] == 5
    assert (stopping.best_epoch, model.bias.item()) == (3, 3)


def test_without_an_epoch_nothing_is_put_back() -> None:
    model = nn.Linear(2, 1)
    before = model.weight.clone()
    EarlyStopping(model).finish(History())
    assert torch.equal(model.weight, before)


@pytest.mark.parametrize("patience", [1, 99])
def test_the_best_weights_are_back_bit_for_bit(patience: int) -> None:
    """Also when it did not end the training, and with BatchNorm's statistics."""
    training = Training()
    states: list[dict[str, torch.Tensor]] = []

    def keep(_history: History) -> None:
        states.append({name: value.clone() for name, value in training.model.state_dict().items()})

    stopping = EarlyStopping(training.model, patience=patience)
    history = training.fit(None, epochs=12, callbacks=[keep, stopping])
    assert history.stopped == (patience == 1)
    assert stopping.best_epoch == history.best_epoch < len(history)
    assert differences(states[history.best_epoch - 1], dict(training.model.state_dict())) == []
    assert (
        evaluate(training.model, training.val, nn.CrossEntropyLoss()).loss == history.val[history.best_epoch - 1].loss
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_best_weights_are_back_after_an_error(error: type[BaseException]) -> None:
    training = Training()
    stopping = EarlyStopping(training.model, patience=99)

    def spoil(history: History) -> None:
        if len(history) == 3:
            with torch.no_grad():
                for parameter in training.model.parameters():
                    parameter.fill_(math.nan)
            raise error

    with pytest.raises(error):
        training.fit(None, epochs=12, callbacks=[stopping, spoil])
    assert stopping.best_epoch is not None
    assert all(parameter.isfinite().all() for parameter in training.model.parameters())


def test_an_average_begins_anew_with_each_training() -> None:
    training = Training()
    average = WeightAverage(training.model, decay=0.5)
    training.fit(None, epochs=2, callbacks=[average])
    with torch.no_grad():
        for parameter in training.model.parameters():
            parameter.fill_(1000.0)
    average.begin()
    average.on_step(1, torch.tensor(0.0))
    for found, wanted in zip(average.model.parameters(), training.model.parameters(), strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": 0}, "patience is 0, but it counts epochs .+: give 1 or more"),
        ({"min_delta": -0.1}, "min_delta is -0.1, .+: give 0 or more"),
        ({"min_delta": math.nan}, "min_delta is nan, .+: give 0 or more"),
        ({"min_delta": math.inf}, "min_delta is inf, .+: give 0 or more"),
    ],
)
def test_wrong_arguments_of_early_stopping(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EarlyStopping(nn.Linear(2, 1), **options)


@pytest.mark.parametrize("decay", [-0.1, 1.0, 1.5, math.nan])
def test_wrong_decay(decay: float) -> None:
    with pytest.raises(ValueError, match="it is the share of the average that stays: give 0 to below 1"):
        WeightAverage(nn.Linear(2, 1), decay=decay)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_average_is_the_formula(decay: float) -> None:
    training = Training()
    average = WeightAverage(training.model, decay=decay)
    expected: list[torch.Tensor] = []

    def by_hand(_step: int, _loss: torch.Tensor) -> None:
        weights = [parameter.detach().double().clone() for parameter in training.model.parameters()]
        pairs = zip(expected or weights, weights, strict=True)
        expected[:] = [decay * old + (1 - decay) * new for old, new in pairs]

    def hook(step: int, loss: torch.Tensor) -> None:
        by_hand(step, loss)
        average.on_step(step, loss)

    train_epoch(training.model, training.loader, nn.CrossEntropyLoss(), training.optimizer, on_step=hook)
    for found, wanted in zip(average.model.parameters(), expected, strict=True):
        assert torch.allclose(found.double(), wanted, atol=1e-6)
    same = [torch.equal(a, b) for a, b in zip(average.model.parameters(), training.model.parameters(), strict=True)]
    assert all(same) == (decay == 0)
    for found, wanted in zip(average.model.buffers(), training.model.buffers(), strict=True):
        assert torch.equal(found, wanted)


def test_averaging_does_not_change_the_training() -> None:
    plain = Training()
    expected = plain.outcome(plain.fit(None))
    averaged = Training()
    average = WeightAverage(averaged.model, decay=0.9)
    assert differences(expected, averaged.outcome(averaged.fit(None, callbacks=[average]))) == []
    assert evaluate(average.model, averaged.val, nn.CrossEntropyLoss()).samples == 30


Made = Callable[[nn.Module], Any]


@pytest.mark.parametrize(
    "make", [lambda m: EarlyStopping(m, patience=2, min_delta=0.05), lambda m: WeightAverage(m, decay=0.9)]
)
@pytest.mark.parametrize(("at", "every"), [(BATCHES + 1, None), (2 * BATCHES + 4, None), (BATCHES + 5, 2), (4, 2)])
def test_resumed_is_uninterrupted(make: Made, at: int, every: int | None, tmp_path: Path) -> None:
    """Same epochs, same weights at the end, same state of the callback."""
    options: dict[str, Any] = {"epochs": 12}
    whole = Training()
    wanted = make(whole.model)
    expected = whole.outcome(whole.fit(None, callbacks=[wanted], **options))
    assert expected["history"]["epoch"][-1] >= 3

    first = Training(at)
    with pytest.raises(Interrupted):
        first.fit(tmp_path, callbacks=[make(first.model)], checkpoint_every=every, **options)
    for _ in range(2):  # resumed, and once more after its end
        second = Training()
        found = make(second.model)
        outcome = second.outcome(second.fit(tmp_path, callbacks=[found], checkpoint_every=every, **options))
        assert differences(expected, outcome) == []
        assert differences(wanted.state_dict(), found.state_dict()) == []


@pytest.mark.parametrize("make", [EarlyStopping, WeightAverage])
def test_the_state_loads_with_weights_only(make: Made, tmp_path: Path) -> None:
    training = Training()
    callback = make(training.model)
    training.fit(None, epochs=2, callbacks=[callback])
    save_checkpoint(tmp_path / "state.pt", callback.state_dict())
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert differences(callback.state_dict(), {name: state[name] for name in callback.state_dict()}) == []
    other = make(Training().model)
    other.load_state_dict(load_checkpoint(tmp_path / "state.pt") if make is EarlyStopping else callback.state_dict())
    assert differences(callback.state_dict(), other.state_dict()) == []


def test_a_kept_state_does_not_move() -> None:
    """What was loaded is a copy: going on with one does not change the other."""
    model = nn.Linear(2, 1)
    stopping = EarlyStopping(model)
    history = History(val=[result(1.0)])
    stopping(history)
    state = stopping.state_dict()
    other = EarlyStopping(model)
    other.load_state_dict(state)
    with torch.no_grad():
        state["weights"]["bias"].fill_(7)
    other.finish(history)
    assert model.bias.item() != 7
