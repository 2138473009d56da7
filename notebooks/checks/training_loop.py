"""Checks of notebook 03."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from checks import Untouched, call, check, pair


@check(
    "epoch_numbers still returns nothing. Hint: add up, then divide once.",
    "Exact, whatever the size of the last batch.",
)
def epoch_numbers(function: Callable[..., Any]) -> str | None:
    """Three batches, the last one short; then other sizes."""
    found = pair(call(function, [(1.0, 32, 32), (2.0, 16, 32), (9.0, 0, 11)]))
    if found is None:
        return "two numbers are wanted. Hint: return loss, accuracy."
    loss, accuracy = map(float, found)
    if abs(loss - 4) < 1e-6:
        return "4 is the mean of the batch means: the 11 samples count as much as 32. Hint: multiply by samples first."
    if abs(loss - 48 / 75) < 1e-6 and abs(accuracy - 195 / 75) < 1e-6:
        return "they are the wrong way round. Hint: return loss, accuracy."
    if abs(loss - 9) < 1e-6:
        return "9 is the loss of the last batch. Hint: add up the losses of all batches."
    if abs(loss - 195 / 75) > 1e-6:
        return f"the loss is 195 / 75 = 2.6, not {loss:g}. Hint: the sum of mean_loss * samples, over all samples."
    if abs(accuracy - 0.5) < 1e-6:
        return "0.5 is the mean of the batches' accuracies. Hint: add up the right answers, divide once."
    if abs(accuracy - 64) < 1e-6:
        return "64 is a percentage. Hint: return the share from 0 to 1."
    if abs(accuracy - 48 / 75) > 1e-6:
        return f"48 of 75 answers are right, but the accuracy is {accuracy:g}. Hint: divide by all samples."
    again = pair(call(function, [(0.5, 1, 1), (2.0, 5, 7)]))
    if again is None or abs(float(again[0]) - 14.5 / 8) > 1e-6 or abs(float(again[1]) - 6 / 8) > 1e-6:
        return f"for [(0.5, 1, 1), (2.0, 5, 7)] it gives {again}, not (1.8125, 0.75). Hint: take all numbers from the triples."
    return None


class _Watched(nn.Linear):
    """A linear layer that remembers in which mode it was asked."""

    def __init__(self) -> None:
        super().__init__(2, 1)
        self.load_state_dict({"weight": torch.tensor([[0.5, -0.5]]), "bias": torch.zeros(1)})
        self.modes: list[bool] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return (batch, 1) for inputs (batch, 2)."""
        self.modes.append(self.training)
        return super().forward(inputs)


@check(
    "one_step is None. Hint: run the cell with the function first.",
    "Cleared, forward, loss, backward, step.",
)
def one_step(function: Callable[..., Any]) -> str | None:
    """Two steps, compared with the same two steps done right; the model starts in evaluation mode."""
    inputs = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]])
    targets = torch.tensor([[1.0], [0.0], [2.0]])
    model, expected = _Watched(), _Watched()
    start = model.weight.detach().clone()
    optimizer, right = (torch.optim.SGD(module.parameters(), lr=0.1) for module in (model, expected))
    for number in (1, 2):
        model.eval()
        try:
            found = call(function, model, inputs, targets, nn.MSELoss(), optimizer)
        except Untouched:
            return "one_step returned nothing. Hint: is the return missing?"
        right.zero_grad()
        loss = nn.MSELoss()(expected(inputs), targets)
        loss.backward()
        right.step()
        if not torch.allclose(model.weight, expected.weight, atol=1e-6):
            if number == 2:
                return "the second step went wrong: it added the first one's gradients. Hint: clear them before backward()."
            if not torch.equal(model.weight.detach(), start):
                return "the first step went somewhere else. Hint: one forward, one backward, one step."
            if model.weight.grad is None:
                return "after one step the weights did not move: the gradients were cleared too late. Hint: zero_grad() first."
            return "after one step the weights are what they were. Hint: step() uses what backward() has computed."
        if not all(model.modes):
            return "the model was asked in evaluation mode. Hint: model.train() comes first, Dropout needs it."
        if isinstance(found, torch.Tensor):
            return "the loss is still a tensor, with its whole graph. Hint: return loss.item()."
        if abs(found - loss.item()) > 1e-6:
            return f"it returned {found:g}, but the loss of this step is {loss.item():g}. Hint: the loss before step()."
    return None


@check(
    "momentum_step still returns nothing. Hint: the new velocity is momentum * velocity + gradient.",
    "The same as torch.optim.SGD with momentum.",
)
def momentum_step(function: Callable[..., Any]) -> str | None:
    """Steps with changing learning rate and momentum, against torch.optim.SGD."""
    weight, velocity = torch.ones(2), torch.zeros(2)
    parameter = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    steps = (([1.0, -1.0], 0.1, 0.9), ([0.5, 2.0], 0.1, 0.9), ([-1.0, 0.5], 0.3, 0.9), ([1.0, 1.0], 0.3, 0.5))
    for number, (values, lr, momentum) in enumerate(steps, start=1):
        gradient = torch.tensor(values)
        found = pair(call(function, weight.clone(), gradient.clone(), velocity.clone(), lr=lr, momentum=momentum))
        if found is None:
            return "a pair is wanted. Hint: return the new weight, the new velocity."
        before = weight
        weight, velocity = (torch.as_tensor(part) for part in found)
        parameter.grad = gradient.clone()
        optimizer.param_groups[0].update(lr=lr, momentum=momentum)
        optimizer.step()
        expected = optimizer.state[parameter]["momentum_buffer"]
        if torch.allclose(weight, parameter.detach(), atol=1e-6):
            if torch.allclose(velocity, expected, atol=1e-6):
                continue
            return f"the velocity after step {number} is {velocity.tolist()}, not {expected.tolist()}. Hint: return the *new* velocity, without lr in it."
        if torch.allclose(velocity, parameter.detach(), atol=1e-6) and torch.allclose(weight, expected, atol=1e-6):
            return "they are the wrong way round. Hint: return the new weight, the new velocity."
        if torch.allclose(velocity, (1 - momentum) * gradient, atol=1e-6):
            return "the gradient was multiplied by 1 - momentum, as Adam does it. Hint: here it is added as it is."
        if number == 1 and torch.allclose(weight, before):
            return "the first step went nowhere. Hint: the weight moves along the *new* velocity."
        if torch.allclose(weight - before, before - parameter.detach(), atol=1e-6):
            return "the weight went up the slope. Hint: subtract lr * velocity."
        if lr != 0.1 or momentum != 0.9:
            return f"step {number} has lr={lr} and momentum={momentum}. Hint: use the arguments, not fixed numbers."
        return f"step {number} differs from torch's. Hint: old velocities fade by momentum, the new gradient is added."
    return None
