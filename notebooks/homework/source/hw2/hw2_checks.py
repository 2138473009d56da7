"""The checks of homework 2. Each compares an answer on data made from a seed, and raises AssertionError with a hint.

Computed in float64, so that a difference of 1e-6 is a difference in method and not in rounding.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

import course_utils
from course_utils.totals import Totals

Batches = list[tuple[torch.Tensor, torch.Tensor]]
TrainEpoch = Callable[..., Any]

TOLERANCE = 1e-6
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD with momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=0.01),
}


def make_batches(seed: int, sizes: tuple[int, ...], features: int = 8, classes: int = 3) -> Batches:
    """Return batches of these sizes; the last one is the hardest."""
    numbers = torch.Generator().manual_seed(seed)
    inputs = torch.randn(sum(sizes), features, generator=numbers, dtype=torch.float64)
    targets = torch.randint(0, classes, (sum(sizes),), generator=numbers)
    inputs[-sizes[-1] :] *= 5
    return list(zip(inputs.split(list(sizes)), targets.split(list(sizes)), strict=True))


def make_model(
    seed: int, *, features: int = 8, classes: int = 3, dropout: float = 0.0, norm: bool = False
) -> nn.Module:
    """Return a small network in training mode."""
    torch.manual_seed(seed)
    layers = [nn.Linear(features, 16), nn.BatchNorm1d(16) if norm else nn.Identity(), nn.ReLU()]
    return nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(16, classes)).double()


def steps(train_epoch: TrainEpoch, seed: int = 0, classes: int = 3, dropout: float = 0.0) -> None:
    """One epoch changes the weights as course_utils.train_epoch does."""
    batches = make_batches(seed, (16, 16, 16), classes=classes)
    for name, make_optimizer in OPTIMIZERS.items():
        start = make_model(seed, classes=classes, dropout=dropout)
        ours, theirs, never_zeroed = deepcopy(start), deepcopy(start), deepcopy(start)
        torch.manual_seed(seed)
        _call(train_epoch, ours, batches, nn.CrossEntropyLoss(), make_optimizer(ours.parameters()))
        torch.manual_seed(seed)
        course_utils.train_epoch(theirs, batches, nn.CrossEntropyLoss(), make_optimizer(theirs.parameters()))
        if _distance(ours, theirs) < TOLERANCE:
            continue
        torch.manual_seed(seed)
        optimizer = make_optimizer(never_zeroed.parameters())
        for inputs, targets in batches:
            nn.functional.cross_entropy(never_zeroed(inputs), targets).backward()
            optimizer.step()
        assert _distance(ours, start) > 0, "the weights did not move. Hint: loss.backward(), then optimizer.step()."
        assert _distance(ours, never_zeroed) > TOLERANCE, (
            "the gradients of all batches so far are added up. Hint: optimizer.zero_grad() for each batch."
        )
        raise AssertionError(
            f"with {name}, the weights after an epoch are off by {_distance(ours, theirs):.2g}. "
            "Hint: zero_grad, forward, loss, backward, step: once for each batch, in this order."
        )


def mode(train_epoch: TrainEpoch, seed: int = 0) -> None:
    """The model trains in training mode and gets back the mode in which it came."""
    for training in (False, True):
        model = make_model(seed, dropout=0.5, norm=True).train(training)
        seen: list[bool] = []
        for layer in model.children():
            layer.register_forward_hook(partial(_note_mode, seen))
        _call(train_epoch, model, make_batches(seed, (16, 8)), nn.CrossEntropyLoss(), _sgd(model))
        assert seen, "the model was not called. Hint: logits = model(inputs)."
        assert all(seen), "Dropout and BatchNorm were in evaluation mode while training. Hint: model.train()."
        assert all(layer.training == training for layer in model.modules()), (
            f"the model came in {'training' if training else 'evaluation'} mode and did not get it back. "
            "Hint: keep model.training before, model.train(that) afterwards."
        )


def _note_mode(seen: list[bool], layer: nn.Module, _inputs: Any, _outputs: Any) -> None:
    seen.append(layer.training)


def mean(train_epoch: TrainEpoch, seed: int = 0, sizes: tuple[int, ...] = (32, 32, 11), classes: int = 3) -> None:
    """Loss and accuracy are exact means over the samples, as floats."""
    losses: list[float] = []
    right: list[int] = []

    def watched(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss = nn.functional.cross_entropy(outputs, targets)
        losses.append(loss.item())
        right.append(int((outputs.argmax(dim=1) == targets).sum()))
        return loss

    model = make_model(seed, classes=classes)
    loss, accuracy = _call(train_epoch, model, make_batches(seed, sizes, classes=classes), watched, _sgd(model))
    assert len(losses) == len(sizes), (
        f"{len(sizes)} batches, but loss_fn was called {len(losses)} times. Hint: once each."
    )
    samples = sum(sizes)
    loss_sum = sum(value * size for value, size in zip(losses, sizes, strict=True))
    for name, value in (("loss", loss), ("accuracy", accuracy)):
        assert type(value) is float, f"the {name} is a {type(value).__name__}, not a float. Hint: .item(), at the end."
    if abs(loss - loss_sum / samples) > TOLERANCE:
        for wrong, hint in (
            (losses[-1], "that is the loss of the last batch. Hint: add up over all batches"),
            (
                sum(losses) / len(losses),
                "that is the mean of the batches' means. Hint: weigh each by its batch's size",
            ),
            (loss_sum, "that is the sum. Hint: divide by the number of samples"),
            (
                loss_sum / len(sizes),
                "the sum over samples was divided by the number of batches. Hint: by the samples",
            ),
            (
                sum(losses) / samples,
                "each batch's loss is a mean already. Hint: multiply it by the batch's size first",
            ),
        ):
            assert abs(loss - wrong) > TOLERANCE, f"the loss is {loss:.6f}, not {loss_sum / samples:.6f}: {hint}."
        raise AssertionError(f"the loss is {loss:.6f}, not {loss_sum / samples:.6f}. Hint: loss x batch size, summed.")
    exact = sum(right) / samples
    if abs(accuracy - exact) > TOLERANCE:
        hint = "count the right answers of every batch, divide once, by the samples"
        if abs(accuracy - 100 * exact) < 1e-3:
            hint = "a share from 0 to 1, not percent"
        raise AssertionError(f"the accuracy is {accuracy:.6f}, not {exact:.6f}. Hint: {hint}.")


def schedule(train_epoch: TrainEpoch, seed: int = 0, batches: int = 4) -> None:
    """The scheduler steps after each step of the optimizer."""
    model = make_model(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    rates: list[float] = []
    optimizer.register_step_pre_hook(lambda *_: rates.append(optimizer.param_groups[0]["lr"]))
    _call(
        train_epoch,
        model,
        make_batches(seed, (8,) * batches),
        nn.CrossEntropyLoss(),
        optimizer,
        scheduler=scheduler,
    )
    rates.append(optimizer.param_groups[0]["lr"])
    wanted = [0.5**step for step in range(batches + 1)]
    if rates != wanted:
        hint = "scheduler.step() after each optimizer.step()"
        if rates == [1.0] * (batches + 1):
            hint = "call scheduler.step() where there is a scheduler"
        elif rates == [1.0] * batches + [0.5]:
            hint = "once for each batch, not once for the epoch"
        elif rates[0] == 0.5:
            hint = "the optimizer's step comes first"
        raise AssertionError(f"the learning rates of the steps were {rates}, not {wanted}. Hint: {hint}.")


def memory(train_epoch: TrainEpoch, seed: int = 0, batches: int = 12) -> None:
    """No more than the graph of one batch is alive at any time."""
    graphs: list[weakref.ref[Any]] = []
    alive: list[int] = []

    class Watched(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, loss: torch.Tensor) -> torch.Tensor:
            graphs.append(weakref.ref(ctx))
            return loss.clone()

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            return gradient

    def watched(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        alive.append(sum(graph() is not None for graph in graphs))
        loss: torch.Tensor = Watched.apply(nn.functional.cross_entropy(outputs, targets))
        return loss

    model = make_model(seed)
    result = _call(train_epoch, model, make_batches(seed, (4,) * batches), watched, _sgd(model))
    assert len(alive) == batches, f"{batches} batches, but loss_fn was called {len(alive)} times. Hint: once for each."
    assert max(alive) <= 1, (
        f"at the last batch, the graphs of {alive[-1]} earlier batches are still in memory. "
        "Hint: add up loss.detach() or loss.item(), and keep no list of outputs."
    )
    assert not any(isinstance(value, torch.Tensor) and value.requires_grad for value in result), (
        "what is returned still carries its graph. Hint: return floats."
    )


def agreement(train_epoch: TrainEpoch, seed: int = 0, sizes: tuple[int, ...] = (32, 32, 11), classes: int = 3) -> None:
    """All at once: Dropout, BatchNorm, a ragged last batch, a scheduler, a model that comes in evaluation mode."""
    batches = make_batches(seed, sizes, classes=classes)
    loss_fn = nn.CrossEntropyLoss()
    for name, make_optimizer in OPTIMIZERS.items():
        ours = make_model(seed, classes=classes, dropout=0.3, norm=True).eval()
        theirs = deepcopy(ours)
        optimizer, scheduler = _scheduled(make_optimizer, ours, seed)
        loss, accuracy = _call(train_epoch, ours, batches, loss_fn, optimizer, scheduler=scheduler)
        optimizer, scheduler = _scheduled(make_optimizer, theirs, seed)
        right = course_utils.train_epoch(theirs, batches, loss_fn, optimizer, scheduler=scheduler)
        where = f"with {name}, Dropout, BatchNorm, a scheduler and batches of {', '.join(map(str, sizes))}"
        apart = _distance(ours, theirs)
        assert apart < TOLERANCE, (
            f"{where}, the weights differ by {apart:.2g}. Hint: do the checks before this one pass?"
        )
        assert abs(loss - right.loss) < TOLERANCE, f"{where}, the loss is {loss}, not {right.loss}."
        assert abs(accuracy - right.accuracy) < TOLERANCE, f"{where}, the accuracy is {accuracy}, not {right.accuracy}."


def _scheduled(
    make_optimizer: Callable[[Any], torch.optim.Optimizer], model: nn.Module, seed: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    torch.manual_seed(seed)  # for Dropout
    optimizer = make_optimizer(model.parameters())
    return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)


def clipping(train_in_groups: TrainEpoch, seed: int = 0, clip_norm: float = 0.3) -> None:
    """With clip_norm and groups of one, as course_utils.train_epoch does."""
    apart, unclipped = _in_groups(train_in_groups, seed, (16, 16, 16), accumulate=1, clip_norm=clip_norm)
    assert apart < TOLERANCE or unclipped > TOLERANCE, "the gradients are not clipped. Hint: clip_grad_norm_."
    assert apart < TOLERANCE, (
        f"with clip_norm={clip_norm} the weights are off by {apart:.2g}. "
        "Hint: the norm of all gradients together, after backward and before the step."
    )


def groups(train_in_groups: TrainEpoch, seed: int = 0, accumulate: int = 2, count: int = 4) -> None:
    """Batches of equal size in full groups: the step is that of one large batch."""
    apart, _ = _in_groups(train_in_groups, seed, (16,) * count, accumulate=accumulate, clip_norm=None)
    assert apart < TOLERANCE, (
        f"{count} batches in groups of {accumulate}: the weights are off by {apart:.2g}. "
        "Hint: one zero_grad and one step for each group; the gradient of a mean is not the sum of the gradients."
    )


def ragged_groups(
    train_in_groups: TrainEpoch,
    seed: int = 0,
    sizes: tuple[int, ...] = (16, 16, 16, 5, 16),
    accumulate: int = 2,
    clip_norm: float | None = None,
) -> None:
    """Batches of unequal size, and a last group that is short."""
    apart, _ = _in_groups(train_in_groups, seed, sizes, accumulate=accumulate, clip_norm=clip_norm)
    assert apart < TOLERANCE, (
        f"batches of {', '.join(map(str, sizes))} in groups of {accumulate}, clip_norm={clip_norm}: the weights are off by "
        f"{apart:.2g}. Hint: each sample counts the same, and the last, short group makes a step, too."
    )


def _in_groups(
    function: TrainEpoch,
    seed: int,
    sizes: tuple[int, ...],
    *,
    accumulate: int,
    clip_norm: float | None,
) -> tuple[float, float]:
    """Return how far the answer's weights are from course_utils' and from those of a training without clipping."""
    batches = make_batches(seed, sizes)
    start = make_model(seed)
    ours, theirs, unclipped = deepcopy(start), deepcopy(start), deepcopy(start)
    loss_fn = nn.CrossEntropyLoss()
    _call(function, ours, batches, loss_fn, _sgd(ours), accumulate=accumulate, clip_norm=clip_norm)
    options = {"accumulate": accumulate, "clip_norm": clip_norm}
    course_utils.train_epoch(theirs, batches, loss_fn, _sgd(theirs), **options)  # type: ignore[arg-type]
    course_utils.train_epoch(unclipped, batches, loss_fn, _sgd(unclipped), accumulate=accumulate)
    assert _distance(ours, start) > 0, "the weights did not move. Hint: is there a step?"
    return _distance(ours, theirs), _distance(ours, unclipped)


def _call(function: TrainEpoch, *arguments: Any, **options: Any) -> Any:
    """Call the answer, which must do without course_utils; return its loss and accuracy."""
    with _without_course_utils():
        result = function(*arguments, **options)
    assert isinstance(result, tuple) and len(result) == 2, (
        f"the function returned {'nothing' if result is None else f'a {type(result).__name__}'}. "
        "Hint: return loss, accuracy."
    )
    return result


@contextmanager
def _without_course_utils() -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the answer calls course_utils. Hint: write the loop yourself.")

    with patch.object(Totals, "__init__", refuse):
        yield


def _sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def _distance(model: nn.Module, other: nn.Module) -> float:
    """Return the largest difference between any two weights; infinite if one is no number."""
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    found = max(float((a - b).detach().abs().max()) for a, b in pairs)
    return found if found == found else float("inf")
