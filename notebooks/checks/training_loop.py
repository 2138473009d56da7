"""Checks of notebook 03."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from checks import call, check


@check(
    "epoch_numbers still returns nothing. Hint: add up, then divide once.",
    "Exact, whatever the size of the last batch.",
)
def epoch_numbers(function: Callable[..., Any]) -> str | None:
    """Three batches, the last one short."""
    found = call(function, [(1.0, 32, 32), (2.0, 16, 32), (9.0, 0, 11)])
    if not isinstance(found, tuple) or len(found) != 2:
        return f"{found!r} is not a pair. Hint: return loss, accuracy."
    loss, accuracy = found
    if abs(loss - 4) < 1e-6:
        return "4 is the mean of the batch means: the 11 samples count as much as 32. Hint: multiply by samples first."
    if abs(loss - 9) < 1e-6:
        return "9 is the loss of the last batch. Hint: add up the losses of all batches."
    if abs(loss - 195 / 75) > 1e-6:
        return f"the loss is 195 / 75 = 2.6, not {loss:g}. Hint: the sum of mean_loss * samples, over all samples."
    if abs(accuracy - 0.5) < 1e-6:
        return "0.5 is the mean of the batches' accuracies. Hint: add up the right answers, divide once."
    if abs(accuracy - 48 / 75) > 1e-6:
        return f"48 of 75 answers are right, but the accuracy is {accuracy:g}. Hint: divide by all samples."
    return None


@check(
    "one_step is None. Hint: run the cell with the function first.",
    "Cleared, forward, loss, backward, step.",
)
def one_step(function: Callable[..., Any]) -> str | None:
    """Two steps, compared with the same two steps done right; the model starts in evaluation mode."""
    inputs = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]])
    targets = torch.tensor([[1.0], [0.0], [2.0]])
    model, expected = nn.Linear(2, 1), nn.Linear(2, 1)
    start = {"weight": torch.tensor([[0.5, -0.5]]), "bias": torch.zeros(1)}
    losses = []
    for module in (model, expected):
        module.load_state_dict(start)
    optimizer, right = (torch.optim.SGD(module.parameters(), lr=0.1) for module in (model, expected))
    model.eval()
    for number in (1, 2):
        losses.append(call(function, model, inputs, targets, nn.MSELoss(), optimizer))
        right.zero_grad()
        loss = nn.MSELoss()(expected(inputs), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        right.step()
        if torch.allclose(model.weight, expected.weight, atol=1e-6):
            continue
        if number == 1 and torch.equal(model.weight.detach(), start["weight"]):
            return "after one step the weights are what they were. Hint: step() uses what backward() has computed."
        if number == 2:
            return "the second step went wrong: it added the first one's gradients. Hint: clear them before backward()."
        return "the first step went somewhere else. Hint: one forward, one backward, one step."
    if not model.training:
        return "the model trains in evaluation mode. Hint: model.train() comes first, Dropout needs it."
    return None


@check(
    "momentum_step still returns nothing. Hint: the new velocity is momentum * velocity + gradient.",
    "The same as torch.optim.SGD(..., momentum=0.9).",
)
def momentum_step(function: Callable[..., Any]) -> str | None:
    """Three steps against torch.optim.SGD."""
    weight, velocity = torch.ones(2), torch.zeros(2)
    parameter = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    for number, gradient in enumerate(torch.tensor([[1.0, -1.0], [0.5, 2.0], [-1.0, 0.0]]), start=1):
        found = call(function, weight, gradient, velocity, lr=0.1)
        if not isinstance(found, tuple) or len(found) != 2:
            return "a pair is wanted. Hint: return the new weight, the new velocity."
        weight, velocity = found
        parameter.grad = gradient.clone()
        optimizer.step()
        if torch.allclose(weight, parameter.detach(), atol=1e-6):
            continue
        if torch.allclose(weight, 2 - parameter.detach(), atol=1e-6):
            return "the weight went up the slope. Hint: subtract lr * velocity."
        if number == 1:
            return (
                f"after step 1 the weight is {weight.tolist()}, not {parameter.tolist()}. Hint: weight - lr * velocity."
            )
        return f"step {number} differs from torch's. Hint: the weight moves along the *new* velocity, old ones fade."
    return None
