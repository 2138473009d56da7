# %% [markdown]
# # 08 · Training well: what each trick does, and whether it did anything
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/08_training_well.ipynb)
#
# **After this notebook you can**
# - say what SGD, Adam and AdamW do with a large gradient and with a small one;
# - find a learning rate, and let it rise and fall with the scheduler you meant, at the rhythm you meant;
# - start a deep network so that it learns, and keep it there with a norm layer;
# - put weight decay, clipping, label smoothing, mixed precision and accumulation where they belong;
# - stop at the best epoch and have its weights, or average the weights of many steps;
# - measure what a trick is worth on your data, with its spread, and say when you cannot tell.
#
# **Time:** 75 minutes. **Builds on:** [06 · Saving and resuming](06_saving_and_resuming.ipynb).
#
# The loop of notebook 03 trains. Around it grew a collection of tricks, each with a paper that says it helps. Most of
# them are one line of code, and most of those lines do something else when they stand one line too low.

# %% tags=["setup"]
# @title Setup
# In a checkout this only finds the course; on Colab it fetches it. Torch stays as it is.
import importlib.util
import os
import subprocess
import sys

REPOSITORY = "https://github.com/pytorch-workflow-course/pytorch-workflow-course"
steps = []
if not os.path.isdir("../course_utils"):
    if "google.colab" not in sys.modules:
        raise ModuleNotFoundError(f"The course is not here: git clone {REPOSITORY}, then make lab.")
    if not os.path.isdir("course"):
        clone = f"git clone --quiet --depth 1 {REPOSITORY} course.part"
        steps += [f"rm -rf course.part && {clone} && mv course.part course"]
    if importlib.util.find_spec("torchmetrics") is None:
        packages = "torchmetrics lightning-utilities"
        steps += [f"{sys.executable} -m pip install --quiet --no-deps {packages}"]
for step in steps:
    done = subprocess.run(step, shell=True, capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise RuntimeError(f"Setup failed ({reason}): check the connection and run it again.")
if not os.path.isdir("../course_utils"):
    os.chdir("course/notebooks")
if os.path.abspath("..") not in sys.path:
    sys.path.insert(0, os.path.abspath(".."))

# %%
import copy
import math
import os

import torch
from torch import nn

from course_utils import evaluate, fit, get_device, load_dataset, make_loader, make_loaders
from course_utils import NonFiniteLossError, seed_everything, train_epoch

seed_everything(42)
device = get_device()
data = load_dataset(os.environ.get("COURSE_DATASET", "digits"))
loaders = make_loaders(data, batch_size=64)
loss_fn = nn.CrossEntropyLoss()
images, labels = (tensor.to(device) for tensor in next(iter(loaders.train)))
print(f"{len(data.train)} training images in {len(loaders.train)} batches", end=", ")
print(f"{len(data.val)} images to choose by")

# %% [markdown]
# All choices of this notebook are made on the validation part. The test part is not touched.
#
# One function builds all models: an MLP which may have a norm layer, another activation and Dropout.


# %%
def build(hidden=(128, 128), norm=None, activation=nn.ReLU, dropout=0.0):
    """Return an MLP for the data; after each hidden Linear come norm, activation and Dropout."""
    layers, width = [nn.Flatten()], math.prod(data.input_shape)
    for size in hidden:
        layers.append(nn.Linear(width, size))
        if norm is not None:
            layers.append(norm(size))
        layers.append(activation())
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        width = size
    return nn.Sequential(*layers, nn.Linear(width, data.num_classes)).to(device)


print(build(hidden=(16,), norm=nn.LayerNorm, activation=nn.GELU, dropout=0.1)[2:])

# %% [markdown]
# ## The first step of an optimizer
#
# Notebook 03 followed the optimizers for five steps. Look at the very first one, for five weights whose gradients differ
# a hundred-thousandfold. The running means start from 0, so the formulas become short: `g` is the gradient, and Adam's
# corrections for the first steps cancel the factors 0.1 and 0.001.

# %%
w = torch.tensor([1.0, -2.0, -0.5, 3.0, -1.5], dtype=torch.float64)
g = torch.tensor([0.001, -0.1, 1.0, 100.0, 0.05], dtype=torch.float64)
lr, optim = 0.01, torch.optim
adam_step = lr * g / (g.abs() + 1e-8)
first_steps = {
    "SGD, momentum": (lambda p: optim.SGD(p, lr=lr, momentum=0.9), w - lr * g),
    "RMSprop": (lambda p: optim.RMSprop(p, lr=lr), w - lr * g / ((0.01 * g**2).sqrt() + 1e-8)),
    "Adam": (lambda p: optim.Adam(p, lr=lr), w - adam_step),
    "AdamW": (lambda p: optim.AdamW(p, lr=lr, weight_decay=0.1), w * (1 - lr * 0.1) - adam_step),
}
for name, (make, by_hand) in first_steps.items():
    weight = w.clone().requires_grad_()
    weight.grad = g.clone()
    make([weight]).step()
    steps = ", ".join(f"{step:+.5f}" for step in (weight - w).tolist())
    print(f"{name:14} by hand: {torch.allclose(weight, by_hand, atol=1e-7)}   moves by {steps}")

# %% [markdown]
# SGD moves each weight in proportion to its gradient. In its first step, Adam moves each weight by the learning rate,
# whatever the size of the gradient, and so does RMSprop, ten times as far. Later, a step of Adam is about the learning
# rate where the gradients agree, and shorter where they change sign:

# %%
for name, sign in {"agree": 1, "change sign each time": -1}.items():
    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    adam = optim.Adam([weight], lr=lr)
    for step in range(100):
        before = weight.item()
        weight.grad = torch.full_like(weight, 100.0 * sign**step)
        adam.step()
    print(f"gradients that {name}: step 100 moves by {abs(weight.item() - before):.5f}")

# %% [markdown]
# That is why a good rate for SGD says nothing about a good rate for Adam, and why multiplying the loss by 100 ruins a
# training with SGD and hardly touches one with Adam. The validation loss after three epochs, for the loss as it is and for
# a hundred times the loss:


# %% tags=["nbval-ignore-output"]
def after_three_epochs(make_optimizer, times):
    """Train on so many times the loss; return the plain validation loss."""
    seed_everything(0)
    net, loader = build(), make_loader(data.train, shuffle=True)
    optimizer = make_optimizer(net.parameters())
    try:
        for _ in range(3):
            train_epoch(net, loader, lambda out, y: times * loss_fn(out, y), optimizer)
        return evaluate(net, loaders.val, loss_fn).loss
    except NonFiniteLossError:
        return math.inf  # it exploded


makers = {"SGD": lambda p: optim.SGD(p, lr=0.05), "Adam": lambda p: optim.Adam(p, lr=0.001)}
multiplied = {}
for name, make in makers.items():
    multiplied[name] = [after_three_epochs(make, times) for times in (1, 100)]
    print(name, [f"{loss:.3f}" for loss in multiplied[name]])

# %%
print("SGD is ruined:", multiplied["SGD"][1] > 2 * multiplied["SGD"][0])
print("Adam hardly notices:", abs(multiplied["Adam"][1] / multiplied["Adam"][0] - 1) < 0.1)

# %% [markdown]
# ### Mistake: weight decay in Adam
# `Adam(weight_decay=...)` exists, and is not AdamW. It adds the decay to the gradient ("L2"), and then divides by the
# size of that sum, so that the decay is lost in it. One step by hand, with and without decay:

# %%
decay = 0.1
summed = g + decay * w
adam_l2 = w - lr * summed / (summed.abs() + 1e-8)
weight = w.clone().requires_grad_()
weight.grad = g.clone()
optim.Adam([weight], lr=lr, weight_decay=decay).step()
print("Adam with weight_decay, by hand:", torch.allclose(weight, adam_l2, atol=1e-7))
changed = {"Adam": adam_l2 - (w - adam_step), "AdamW": first_steps["AdamW"][1] - (w - adam_step)}
for name, change in changed.items():
    print(f"what the decay changed, {name:5}:", [f"{abs(x):.5f}" for x in change.tolist()])

# %% [markdown]
# AdamW takes 0.1% of each weight. In Adam the decay changed nothing for the first four: whatever is added to the gradient
# is divided out again, unless it is large enough to turn the gradient's sign. Then, as for the last weight, the whole step
# turns round. Over many steps, weights with large gradients are hardly decayed, and those with small ones far too much.
# Here are two weights whose gradients change sign in each step, so that only the decay moves them for long:

# %%
for name, make in {"Adam": optim.Adam, "AdamW": optim.AdamW}.items():
    weight = torch.ones(2, dtype=torch.float64, requires_grad=True)
    optimizer = make([weight], lr=0.01, weight_decay=0.1)
    for step in range(1000):
        weight.grad = torch.tensor([0.1, 100.0], dtype=torch.float64) * (-1) ** step
        optimizer.step()
    small, large = weight.tolist()
    print(f"{name:5}: 1.00 became {small:.2f} (small gradients) and {large:.2f} (large ones)")

# %% [markdown]
# ## The learning rate
#
# No other number matters as much. A *range test* finds its order of magnitude in one short training: let the rate grow
# from tiny to absurd, a little in each step, and look at the loss. It is flat, then it falls, then it explodes.


# %% tags=["nbval-ignore-output"]
from itertools import chain, repeat


def range_test(model, loader, low=1e-5, high=10.0, steps=100):
    """Train a copy of the model while the rate grows; return the rates and the smoothed losses."""
    net = copy.deepcopy(model)
    sgd = optim.SGD(net.parameters(), lr=low, momentum=0.9)
    growth = optim.lr_scheduler.LambdaLR(sgd, lambda step: (high / low) ** (step / (steps - 1)))
    rates, losses = [], []
    batches = chain.from_iterable(repeat(loader))  # epoch after epoch
    while len(rates) < steps and (not losses or losses[-1] < 3 * losses[0]):
        inputs, targets = next(batches)
        sgd.zero_grad()
        loss = loss_fn(net(inputs.to(device)), targets.to(device))
        loss.backward()
        rates.append(growth.get_last_lr()[0])
        losses.append(0.8 * losses[-1] + 0.2 * loss.item() if losses else loss.item())
        sgd.step()
        growth.step()
    return rates, losses


model = build()
rates, losses = range_test(model, loaders.train)
lowest = rates[losses.index(min(losses))]
print(f"the loss is lowest at a rate of {lowest:.2g}; a tenth of that is {lowest / 10:.2g}")

# %% [markdown]
# The model itself was not touched, only a copy. Where the loss is lowest, it is about to explode. The custom is to take
# about a tenth of that rate.

# %%
import matplotlib.pyplot as plt

from course_utils.plots import show

grey, blue, orange, pale = "#717581", "#3f90da", "#e76300", "#92dadd"
figure, axis = plt.subplots(figsize=(6.2, 3.1))
axis.semilogx(rates, losses)
axis.axvline(lowest, color=grey, linestyle=":", label="lowest loss")
axis.axvline(lowest / 10, color=orange, label="a tenth of it")
axis.set(title="A range test", xlabel="learning rate (log scale)", ylabel="smoothed loss")
axis.set_ylim(0, 1.6 * losses[0])
axis.legend(loc="upper left")
show(
    figure,
    alt="The loss against a growing learning rate, on a logarithmic scale: flat for tiny rates, "
    "then falling to its lowest point, then rising steeply. A line marks a tenth of the lowest.",
)

# %% [markdown]
# Is the suggestion any good? Five short trainings from the same start: with that rate, with a hundredth of it, and with
# three, ten (the lowest point itself) and a hundred times as much.


# %% tags=["nbval-ignore-output"]
def short_training(rate, epochs=2):
    """Return the validation loss after so many epochs, infinite if the loss exploded."""
    net = copy.deepcopy(model)
    sgd = optim.SGD(net.parameters(), lr=rate, momentum=0.9)
    loader = make_loader(data.train, shuffle=True)
    try:
        return (
            fit(net, loader, loaders.val, loss_fn, sgd, epochs=epochs, verbose=False).val[-1].loss
        )
    except NonFiniteLossError:
        return math.inf


found = {factor: short_training(factor * lowest / 10) for factor in (0.01, 1, 3, 10, 100)}
for factor, loss in found.items():
    print(f"{factor:6g} times the suggestion: validation loss {loss:.3f}")

# %%
print("flat at first:", abs(losses[:11][-1] - losses[0]) < 0.1 * losses[0])
print("it fell by more than half:", min(losses) < 0.5 * losses[0])
print("and rose again:", losses[-1] > 1.5 * min(losses))
print("a hundredth of the suggestion is too slow:", found[0.01] > 2 * found[1])
print("a hundred times as much is too fast:", found[100] > 2 * found[1])
print("three times as much is better still:", found[3] < found[1])

# %% [markdown]
# So the test gives an order of magnitude, no more: in these two epochs, three times its suggestion is better. Try the
# neighbours.
#
# ## Schedules
#
# Large steps at first, small ones at the end: a *scheduler* writes a new learning rate into the optimizer each time its
# `step` is called. To see what one does, no model is needed, only an optimizer and a list. Each of these starts from a
# rate of 0.1 and runs for 60 steps.


# %%
from torch.optim import lr_scheduler as schedulers


def trace(make_scheduler, steps=60):
    """Return the learning rate of each step."""
    sgd = optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    scheduler, rates = make_scheduler(sgd), []
    for step in range(steps):
        rates.append(sgd.param_groups[0]["lr"])
        sgd.step()
        if isinstance(scheduler, schedulers.ReduceLROnPlateau):
            scheduler.step(max(1.0, 3 - step / 10))  # a validation loss that falls until step 20
        else:
            scheduler.step()
    return rates


# %% [markdown]
# You will read of a "WarmupLinearDecay" scheduler. There is no such class in PyTorch. The schedule itself is good: the
# rate rises over the first steps, while Adam's running means and the norm layers are still settling, and then falls in a
# line. There are two ways to get it: chain two schedulers with `SequentialLR`, or write the factor as a function. A line
# must be stopped at 0: below it, the rate would be negative and training would climb, and PyTorch does not object.

# %%
warmup, total = 10, 60


def make_factor(warmup, total):
    """Return the factor of each step: up to 1 in `warmup` steps, down in a line to 0 at `total`."""

    def factor(step):
        if step < warmup:
            return (step + 1) / warmup  # with step / warmup, the first step would be wasted
        return 0.0 if step >= total else (total - step) / (total - warmup)

    return factor


def warm_up_then_fall(sgd):
    # from 1 / warmup at step 0 to 1 at step warmup - 1
    rising = schedulers.LinearLR(sgd, start_factor=1 / warmup, total_iters=warmup - 1)
    falling = schedulers.LinearLR(sgd, start_factor=1.0, end_factor=0.0, total_iters=total - warmup)
    return schedulers.SequentialLR(sgd, [rising, falling], milestones=[warmup])


# %%
sequential = trace(warm_up_then_fall)
by_lambda = trace(lambda sgd: schedulers.LambdaLR(sgd, make_factor(warmup, total)))
print("a class of that name:", hasattr(schedulers, "WarmupLinearDecay"))
apart = [abs(a - b) for a, b in zip(sequential, by_lambda, strict=True)]
print("the two traces are equal:", max(apart) < 1e-9)
line = trace(lambda sgd: schedulers.LambdaLR(sgd, lambda step: 1 - step / total), steps=80)
print(f"a line that is not stopped at 0, 19 steps after its end: {line[-1]:.3f}")

# %%
traces = {
    "StepLR": trace(lambda sgd: schedulers.StepLR(sgd, step_size=20, gamma=0.5)),
    "CosineAnnealingLR": trace(lambda sgd: schedulers.CosineAnnealingLR(sgd, T_max=total)),
    "ReduceLROnPlateau": trace(lambda sgd: schedulers.ReduceLROnPlateau(sgd, patience=9)),
    "SequentialLR of two LinearLR": sequential,
    "LambdaLR": by_lambda,
    "OneCycleLR": trace(lambda sgd: schedulers.OneCycleLR(sgd, max_lr=0.1, total_steps=total)),
}
cosine = [0.05 * (1 + math.cos(math.pi * step / total)) for step in range(total)]
same = [abs(a - b) < 1e-9 for a, b in zip(traces["CosineAnnealingLR"], cosine, strict=True)]
print("StepLR:", sorted(set(traces["StepLR"]), reverse=True))
print("cosine, by hand:", all(same))
dropped = [step for step, rate in enumerate(traces["ReduceLROnPlateau"]) if rate < 0.05]
print("the plateau has dropped the rate by step", dropped[0])
cycle = traces["OneCycleLR"]
print(f"OneCycleLR: {cycle[0]:.3f} at first, {max(cycle):.1f} at step {cycle.index(max(cycle))}")

# %% [markdown]
# The six traces side by side:

# %%
figure, axes = plt.subplots(2, 3, figsize=(9.2, 4.2), sharex=True, sharey=True)
for axis, (name, rates) in zip(axes.flat, traces.items(), strict=True):
    axis.step(range(total), rates, where="post")
    axis.set_title(name)
for axis in axes[:, 0]:
    axis.set_ylabel("learning rate")
for axis in axes[1]:
    axis.set_xlabel("step")
show(
    figure,
    alt="Six learning rates over 60 steps. StepLR halves twice; cosine falls in half a wave; "
    "ReduceLROnPlateau drops to a tenth at step 31 and again at 41; SequentialLR and LambdaLR rise "
    "for ten steps and fall in the same line; OneCycleLR rises and falls smoothly.",
)

# %% [markdown]
# "Step" in that figure is whatever you call `scheduler.step()` after. Most schedules are meant for epochs, warm-ups and
# OneCycleLR for batches. ReduceLROnPlateau is the odd one out: it waits until the validation loss has not improved for
# more than `patience` calls.
#
# ### Mistake: the scheduler before the optimizer
# `scheduler.step()` comes after `optimizer.step()`. The other way round, the whole schedule runs one step
# early, and its first value is skipped. PyTorch warns:

# %%
import warnings

sgd = optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
scheduler = schedulers.StepLR(sgd, step_size=2, gamma=0.1)
used = []
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(4):
        scheduler.step()
        used.append(round(sgd.param_groups[0]["lr"], 6))
        sgd.step()
print("PyTorch warns:", str(caught[0].message).split(". ")[0])
print("rates used:", used, " wanted:", [0.1, 0.1, 0.01, 0.01])

# %% [markdown]
# ### Mistake: one step an epoch where one a batch was meant
# No warning here. A factor made for all batches of three epochs wants a call after each of them. Called after each epoch,
# it sees three calls, and the training never leaves the warm-up. `fit` steps a `LambdaLR` after each epoch unless you say
# otherwise. A callback notes the rate after every step, for the next one:


# %%
class Rates:
    def __init__(self, optimizer):
        self.group = optimizer.param_groups[0]
        self.rates = [self.group["lr"]]

    def on_step(self, step, loss):
        self.rates.append(self.group["lr"])

    def __call__(self, history):
        """Nothing to do at the end of an epoch."""


# %%
calls = 3 * len(loaders.train)
for rhythm in ("epoch", "batch"):
    net = build()
    adamw = optim.AdamW(net.parameters(), lr=0.01)
    scheduler = schedulers.LambdaLR(adamw, make_factor(10, calls))
    seen = Rates(adamw)
    options = {"scheduler": scheduler, "step_scheduler": rhythm, "callbacks": [seen]}
    options |= {"epochs": 3, "verbose": False}
    history = fit(net, loaders.train, loaders.val, loss_fn, adamw, **options)
    starts = [round(rate, 4) for rate in history.learning_rates]
    print(f"a call each {rhythm}, {calls} wanted: rates at the start of each epoch {starts}")
    print(f"    of all steps, the highest {max(seen.rates):.4f}, the last {seen.rates[-1]:.4f}")

# %% [markdown]
# Plot the learning rate you really had, or you will not notice. `history.learning_rates` has the one at the start of each
# epoch; a peak inside an epoch, like this one of 0.01, only a callback with `on_step` sees.
#
# ## A start that can be learned from
#
# Notebook 02 sent a signal forward through thirty layers, and its size survived only with Kaiming's rule. Training needs
# the way back as well: `backward` multiplies by the same weights in the other direction. So we look at the variance in
# both directions. The gradient starts with variance 1 at the last layer.


# %%
def through_depth(initialise, depth=30, width=128):
    """Return the variance of outputs and of their gradients after each of `depth` ReLU layers."""
    torch.manual_seed(0)
    x = torch.randn(256, width, dtype=torch.float64)
    outputs = []
    for _ in range(depth):
        weight = torch.empty(width, width, dtype=torch.float64, requires_grad=True)
        initialise(weight)
        x = torch.relu(x @ weight.T)
        x.retain_grad()
        outputs.append(x)
    x.backward(torch.randn_like(x))
    return [out.var().item() for out in outputs], [out.grad.var().item() for out in outputs]


schemes = {
    "normal, std 0.05": lambda weight: nn.init.normal_(weight, std=0.05),
    "normal, std 0.2": lambda weight: nn.init.normal_(weight, std=0.2),
    "Xavier": nn.init.xavier_normal_,
    "Kaiming": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
}
variances = {name: through_depth(initialise) for name, initialise in schemes.items()}

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.3), sharey=True)
for name, both_ways in variances.items():
    for axis, variance in zip(axes, both_ways, strict=True):
        axis.semilogy(range(1, 31), variance, label=name)
axes[0].set(title="Forward: the signal", xlabel="layer", ylabel="variance (log scale)")
axes[1].set(title="Backward: its gradient", xlabel="layer (the way goes from right to left)")
axes[0].legend(loc="lower left")
show(
    figure,
    alt="Variance through 30 layers on a logarithmic scale, forward and backward. With Kaiming it "
    "stays level both ways. With Xavier it shrinks, with a standard deviation of 0.05 much faster, "
    "and with 0.2 it explodes.",
)

# %%
signal = {name: forward[-1] / forward[0] for name, (forward, _) in variances.items()}
gradient = {name: backward[0] / backward[-1] for name, (_, backward) in variances.items()}
print("Kaiming: both within a factor of 30:", end=" ")
print(all(1 / 30 < ratio["Kaiming"] < 30 for ratio in (signal, gradient)))
print(
    "Xavier: both shrink to less than a millionth:",
    max(signal["Xavier"], gradient["Xavier"]) < 1e-6,
)
naive = [ratio["normal, std 0.05"] for ratio in (signal, gradient)]
print("std 0.05: both below 1e-15:", max(naive) < 1e-15)
print(
    "std 0.2: both above 1e6:", min(ratio["normal, std 0.2"] for ratio in (signal, gradient)) > 1e6
)

# %% [markdown]
# What that means for training: a network of ten thin layers, started by PyTorch's own rule for `Linear`, by
# Kaiming's, and with a norm layer after each `Linear`, which brings the signal back to size 1 wherever it comes from.


# %% tags=["nbval-ignore-output"]
def kaiming(layer):
    if isinstance(layer, nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)


def deep_losses(start, norm, epochs=5):
    seed_everything(0)
    net = build(hidden=(64,) * 10, norm=norm).apply(start)
    sgd = optim.SGD(net.parameters(), lr=0.005, momentum=0.9)
    loader, losses = make_loader(data.train, shuffle=True), []
    for _ in range(epochs):
        train_epoch(net, loader, loss_fn, sgd, on_step=lambda _, loss: losses.append(loss))
    return torch.stack(losses).tolist()


def own_rule(layer):
    """Leave everything as nn.Linear made it."""


ways = {"Linear's own rule": (own_rule, None), "Kaiming": (kaiming, None)}
ways |= {"BatchNorm": (own_rule, nn.BatchNorm1d), "LayerNorm": (own_rule, nn.LayerNorm)}
deep = {name: deep_losses(*way) for name, way in ways.items()}
for name, losses in deep.items():
    print(
        f"{name:18} first loss {losses[0]:.2f}, mean of the last ten {sum(losses[-10:]) / 10:.2f}"
    )

# %%
figure, axis = plt.subplots(figsize=(6.5, 3.2))
for name, losses in deep.items():
    smooth = torch.tensor(losses).unfold(0, 5, 1).mean(dim=1)
    axis.plot(range(5, len(losses) + 1), smooth, label=name)
axis.axhline(math.log(data.num_classes), color=grey, linestyle=":", label="guessing")
axis.set(title="Ten hidden layers, SGD with momentum", xlabel="step", ylim=(0, None))
axis.set_ylabel("training loss, mean of 5 steps")
axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
show(
    figure,
    alt="Training loss of a network of ten layers. By Linear's own rule it stays at the loss of "
    "guessing. With Kaiming's start, BatchNorm or LayerNorm it falls.",
)

# %%
ends = {name: sum(losses[-10:]) / 10 for name, losses in deep.items()}
guessing = math.log(data.num_classes)
print("Linear's own rule has learned next to nothing:", ends["Linear's own rule"] > 0.9 * guessing)
for name in ("Kaiming", "BatchNorm", "LayerNorm"):
    print(f"{name} has learned:", ends[name] < 0.7 * guessing)

# %% [markdown]
# The other networks of this course have two or three layers, where the start matters less. Whether it matters at all, we
# measure at the end.
#
# ## Layers that behave differently in training
#
# Four layers that are often named together, asked three questions each. Does an answer depend on the mode? Does it
# depend on which other images are in the batch, in training, and in evaluation?

# %%
features = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
for layer in (nn.BatchNorm1d(32), nn.LayerNorm(32), nn.Dropout(0.5), nn.GELU()):
    torch.manual_seed(0)
    train_all = layer.train()(features)
    torch.manual_seed(0)
    train_few = layer(features[:32])
    eval_all, eval_few = layer.eval()(features), layer(features[:32])
    mode = not torch.allclose(train_all, eval_all, atol=1e-5)
    others = not torch.allclose(train_all[:32], train_few, atol=1e-5)
    others_eval = not torch.allclose(eval_all[:32], eval_few, atol=1e-5)
    print(f"{type(layer).__name__:11} mode: {mode!s:5}  others, training: {others!s:5}", end="  ")
    print("others, evaluation:", others_eval)

# %% [markdown]
# Only BatchNorm looks at the other images, and only in training: in evaluation it uses its running statistics (notebook
# 04 does that by hand). So it dislikes small batches; LayerNorm does not care. Dropout draws in training only. GELU is
# an activation and has no second life.
#
# ## Weight decay, on the right parameters
#
# Weight decay pulls weights towards 0. For a matrix that is a wish for a simpler function. For a bias, or for the scale
# of a norm layer, it is not: the scale should stay where it has the best effect, and its natural place is 1. With the
# usual line, `AdamW(model.parameters(), weight_decay=...)`, all are pulled alike. We set all gradients to 0, so that
# only the decay is left, and take 200 steps.


# %%
def only_decay(net, groups, steps=200):
    adamw = optim.AdamW(groups, lr=0.01, weight_decay=0.5)
    for _ in range(steps):
        for parameter in net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        adamw.step()
    return net


start = build(hidden=(16,), norm=nn.LayerNorm)
net = copy.deepcopy(start)
only_decay(net, net.parameters())
print(f"200 steps leave (1 - 0.01 * 0.5)^200 = {(1 - 0.01 * 0.5) ** 200:.3f}")
print(f"scale of the norm layer: {net[2].weight.mean().item():.3f}, it was 1")
print(f"a bias: {(net[1].bias[0] / start[1].bias[0]).item():.3f} of what it was")

# %% [markdown]
# The mending: two groups of parameters. What has two dimensions or more is a matrix or a filter and decays; vectors
# (biases, scales, shifts) do not. In the second exercise you write a function for it.

# %%
net = copy.deepcopy(start)
matrices = [parameter for parameter in net.parameters() if parameter.ndim >= 2]
vectors = [parameter for parameter in net.parameters() if parameter.ndim < 2]
only_decay(net, [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}])
print(f"a matrix: {(net[1].weight[0, 0] / start[1].weight[0, 0]).item():.3f} of what it was")
print("norm layer and biases untouched:", end=" ")
before = [parameter for parameter in start.parameters() if parameter.ndim < 2]
print(all(torch.equal(a, b) for a, b in zip(before, vectors, strict=True)))

# %% [markdown]
# ## Label smoothing
#
# Cross-entropy is never content: it falls as long as the right logit grows. `CrossEntropyLoss(label_smoothing=0.1)`
# wants 0.1 of the probability spread evenly over all classes. An answer can then be too sure. And the loss cannot reach
# 0: its minimum is that of the answer which gives exactly the wanted shares, their *entropy*.

# %%
smoothing, classes = 0.1, 10
wanted = torch.full((classes,), smoothing / classes)
wanted[0] += 1 - smoothing
minimum = -(wanted * wanted.log()).sum().item()
smoothed_loss = nn.CrossEntropyLoss(label_smoothing=smoothing)
target = torch.tensor([0])
print(f"minimum by hand: {minimum:.4f}")
print(f"the loss of exactly these shares: {smoothed_loss(wanted.log()[None], target).item():.4f}")
certain = torch.tensor([[100.0] + [0.0] * 9])
print(f"of a certain, right answer: {smoothed_loss(certain, target).item():.1f}", end=", ")
print(f"without smoothing {loss_fn(certain, target).item():.1f}")

# %% [markdown]
# The same as a curve, by how far the right logit is ahead of the others:

# %%
ahead = torch.linspace(0, 12, 121)
rows = torch.cat([ahead[:, None], torch.zeros(121, 9)], dim=1)
zeros = torch.zeros(121, dtype=torch.int64)
figure, axis = plt.subplots(figsize=(6, 3.1))
axis.plot(ahead, nn.functional.cross_entropy(rows, zeros, reduction="none"), label="plain")
smooth = nn.functional.cross_entropy(rows, zeros, reduction="none", label_smoothing=smoothing)
axis.plot(ahead, smooth, label="label smoothing 0.1")
axis.axhline(minimum, color=grey, linestyle=":", label=f"its minimum, {minimum:.2f}")
axis.set(title="What one right answer costs", ylabel="loss", ylim=(0, None))
axis.set_xlabel("lead of the right logit over the others")
axis.legend()
show(
    figure,
    alt="The loss of one right answer against the lead of its logit. Plain cross-entropy falls "
    "towards 0. With label smoothing it is lowest, about 0.5, at a lead of 4.5, and rises after.",
)
print(f"the best lead is log(0.91 / 0.01) = {math.log(0.91 / 0.01):.2f}:", end=" ")
print(abs(ahead[smooth.argmin()].item() - math.log(0.91 / 0.01)) < 0.1)

# %% [markdown]
# So a training loss of 0.6 may be excellent with smoothing and poor without. And `fit` takes the loss it was given for the
# validation data, too: by the smoothed one, `history`, `best.pt`, `EarlyStopping` and `ReduceLROnPlateau` choose.

# %%
net, options = build(), {"epochs": 1, "verbose": False}
adamw = optim.AdamW(net.parameters(), lr=1e-3)
history = fit(net, loaders.train, loaders.val, smoothed_loss, adamw, **options)
for name, function in {"smoothed": smoothed_loss, "plain": loss_fn}.items():
    measured = evaluate(net, loaders.val, function).loss
    equal = math.isclose(history.val[-1].loss, measured, rel_tol=1e-5)
    print(f"the validation loss in the history is the {name} one: {equal}")

# %% [markdown]
# Compare models with and without smoothing by `evaluate(model, loaders.val, loss_fn)` with the plain loss, or by accuracy.
#
# ## Clipping
#
# One broken batch can throw away hours. *Clipping* scales the gradient down where its norm, the length of all gradients
# as one long vector, exceeds a limit. The direction stays. Its place is between `backward` and `step`, because it
# changes what `step` will use. `clip_grad_norm_` returns the norm it found.

# %%
net = build()
net.zero_grad()
loss_fn(net(50 * images), labels).backward()
before = nn.utils.clip_grad_norm_(net.parameters(), max_norm=1.0)
after = nn.utils.clip_grad_norm_(net.parameters(), max_norm=math.inf)  # only measures
by_hand = torch.cat([parameter.grad.flatten() for parameter in net.parameters()]).norm()
print("norm before: above 5:", before.item() > 5, f"  after: {after.item():.3f}")
print("the norm is that of one long vector:", torch.allclose(after, by_hand, atol=1e-5))

# %% [markdown]
# ### Mistake: clipping after the step
# Now a training in which one batch is broken (its numbers are 200 times too large), three times: without clipping, with
# clipping in its place, and with the same line one line too low.


# %%
broken = 2 * len(loaders.train) + 4  # a step of the third epoch


def train_past_a_broken_batch(place, max_norm=1.0):
    """Return the model, and norm and loss of each step."""
    seed_everything(0)
    net = build()
    sgd = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    norms, losses = [], []
    batches = [batch for _ in range(4) for batch in make_loader(data.train, shuffle=True)]
    for step, (inputs, targets) in enumerate(batches):
        inputs = inputs * 200 if step == broken else inputs
        sgd.zero_grad()
        loss = loss_fn(net(inputs.to(device)), targets.to(device))
        loss.backward()
        limit = max_norm if place == "before the step" else math.inf
        norms.append(nn.utils.clip_grad_norm_(net.parameters(), limit).item())
        sgd.step()
        if place == "after the step":
            nn.utils.clip_grad_norm_(net.parameters(), max_norm)
        losses.append(loss.item())
    return net, norms, losses


# %% tags=["nbval-ignore-output"]
places = ("never", "before the step", "after the step")
runs = {place: train_past_a_broken_batch(place) for place in places}
for place, (_, norms, losses) in runs.items():
    print(f"clipped {place}: largest norm {max(norms):6.1f}, last loss {losses[-1]:.3f}")

# %%
pairs = zip(runs["never"][0].parameters(), runs["after the step"][0].parameters(), strict=True)
print("clipping after the step changes no weight:", all(torch.equal(a, b) for a, b in pairs))
ends = {place: sum(losses[-10:]) / 10 for place, (_, _, losses) in runs.items()}
print(f"the gradient of step {broken} is over 20 times the limit:", runs["never"][1][broken] > 20)
print("clipped in its place, training survives:", ends["before the step"] < 0.5 * ends["never"])

# %% [markdown]
# The left side shows the norm that `clip_grad_norm_` found: in an ordinary step it is a few times the limit, in the broken
# one hundreds of times. The right side shows what became of the training.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2))
for place, color, width in (("never", orange, 3), ("before the step", blue, 1.5)):
    axes[0].semilogy(runs[place][1], color=color, linewidth=width, label=f"clipped {place}")
    axes[1].semilogy(runs[place][2], color=color, linewidth=width)
axes[0].axhline(1.0, color=grey, linestyle=":", label="limit")
axes[0].set(title="Norm found, before clipping", xlabel="step", ylabel="norm (log scale)")
axes[1].set(title="Loss of each batch", xlabel="step", ylabel="loss (log scale)")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
show(
    figure,
    alt="Gradient norm and loss of each step, on logarithmic scales. At step 40 the norm jumps. "
    "Without clipping the loss stays high afterwards; with clipping it falls on as if nothing "
    "had happened.",
)

# %% [markdown]
# The place matters twice more. With *accumulation*, clip the sum, once, before the step: if each piece is clipped, a
# large and a small gradient count the same, and the direction changes. With a *GradScaler*, the gradients are multiplied
# by a large number until `unscale_` divides them again (more under *Mixed precision*): clip before that, and the limit is
# so many times too small. Here the number is 1,024; usually it starts at 65,536.

# %%
pieces = torch.tensor([[30.0, 0.0], [0.0, 1.0]])  # the gradients of two pieces of a batch


def clipped(vector, limit=1.0):
    return vector * min(1.0, limit / vector.norm().item())


right, wrong = clipped(pieces.sum(dim=0)), clipped(clipped(pieces[0]) + clipped(pieces[1]))
print("sum, then clipped: ", [round(x, 2) for x in right.tolist()])
print("clipped, then sum: ", [round(x, 2) for x in wrong.tolist()])

for order in ("clip, unscale_", "unscale_, clip"):
    sgd = optim.SGD(net.parameters(), lr=0.1)
    sgd.zero_grad()
    scaler = torch.amp.GradScaler(device.type, init_scale=1024.0)
    scaler.scale(loss_fn(net(50 * images), labels)).backward()
    for action in order.split(", "):
        if action == "unscale_":
            scaler.unscale_(sgd)
        else:
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    left = nn.utils.clip_grad_norm_(net.parameters(), math.inf).item()
    print(f"{order}: the norm that is left is {left:.4f}")

# %% [markdown]
# `train_epoch` and `fit` take `clip_norm=1.0` and do it in the right order.
#
# ## Gradient accumulation
#
# Notebook 03 added up the gradients of three pieces. Over a whole epoch, `accumulate=5` with batches of 16 must give the
# weights of an epoch with batches of 80, also where the last group is short: here it has two batches, one of them short.


# %%
def after_an_epoch(norm, size, accumulate=1):
    seed_everything(0)
    net = build(norm=norm)
    sgd = optim.SGD(net.parameters(), lr=0.05)
    loader = make_loader(data.train, batch_size=size)
    train_epoch(net, loader, loss_fn, sgd, accumulate=accumulate)
    return torch.cat([parameter.detach().flatten() for parameter in net.parameters()])


for norm in (None, nn.LayerNorm, nn.BatchNorm1d):
    large, pieces = after_an_epoch(norm, size=80), after_an_epoch(norm, size=16, accumulate=5)
    apart = (large - pieces).abs().max().item()
    name = "no norm layer" if norm is None else norm.__name__
    print(f"{name:14} equal to 1e-5: {apart < 1e-5!s:5}  apart by more than 1e-3: {apart > 1e-3}")
batches = len(make_loader(data.train, batch_size=16))
print(f"{batches} batches of 16: the last group has {batches % 5 or 5} of 5")

# %% [markdown]
# With BatchNorm it is not the same: its statistics come from each small batch. Where that hurts, use LayerNorm, and
# GroupNorm between convolutions.
#
# ## Mixed precision
#
# Half the bits are half the memory for activations, the values between the layers; and GPUs with tensor cores multiply
# such numbers faster. There are two kinds of 16-bit numbers, and they save at different ends. (A *normal* number has all
# its digits. Below the smallest normal one come the *subnormal*, which lose digits on the way to 0.)

# %%
for dtype in (torch.float32, torch.bfloat16, torch.float16):
    info = torch.finfo(dtype)
    print(f"{dtype!s:15} step above 1: {info.eps:.0e}   smallest normal: {info.tiny:.0e}", end="")
    print(f"   subnormal: {info.tiny * info.eps:.0e}   largest: {info.max:.0e}")
tiny = torch.tensor(1e-8)
print(
    "1e-8 as float16:",
    tiny.half().item(),
    " times 65,536 first:",
    (tiny * 65_536).half().item() > 0,
)
one = torch.tensor(1.0, dtype=torch.bfloat16)
print("1 + 0.001 in bfloat16:", (one + 0.001).item())

# %% [markdown]
# bfloat16 has float32's range, but only two or three digits; it needs no further care. float16 is finer, but gradients
# below half of its smallest subnormal number, about 3e-8, become 0, and so the loss is multiplied by a large factor before
# `backward` and the gradients divided by it after. That is what a `GradScaler` does, and it makes the factor smaller when
# something overflows.
#
# The last line is why the precision is *mixed*. A weight of 1 would not notice a step of 0.001. So weights, their gradients
# and the optimizer's running means stay in float32, and `autocast` computes only the expensive operations in 16 bits.
# (Turning the model itself into bfloat16 with `model.bfloat16()` loses such steps.)

# %%
net = build()
exact = net(images)
with torch.autocast(device.type, dtype=torch.bfloat16):
    rough = net(images)
    rough_loss = loss_fn(rough, labels)
rough_loss.backward()
print("outputs:", rough.dtype, " loss:", rough_loss.dtype, " weights:", net[1].weight.dtype)
print("gradients:", net[1].weight.grad.dtype)
print("logits equal to 0.02:", torch.allclose(exact, rough.float(), atol=0.02), end="   ")
print("to 1e-6:", torch.allclose(exact, rough.float(), atol=1e-6))
print("loss within 3%:", abs(rough_loss.item() / loss_fn(exact, labels).item() - 1) < 0.03)

# %% [markdown]
# A training in bfloat16 beside one in float32. Leave the `backward` outside of `autocast`; `amp_dtype` of `fit` does.

# %% tags=["nbval-ignore-output"]
results = {}
for dtype in (None, torch.bfloat16):
    seed_everything(0)
    net = build()
    adamw = optim.AdamW(net.parameters(), lr=1e-3)
    loader = make_loader(data.train, shuffle=True)
    options = {"amp_dtype": dtype, "verbose": False}
    history = fit(net, loader, loaders.val, loss_fn, adamw, epochs=5, **options)
    results[dtype] = history.val[-1]
    print(f"{dtype or torch.float32!s:15} validation loss {results[dtype].loss:.3f}", end=", ")
    print(f"accuracy {results[dtype].accuracy:.1%}")

# %%
single, brain = results.values()
print("validation losses within 0.05:", abs(single.loss - brain.loss) < 0.05)
print("accuracies within 3 points:", abs(single.accuracy - brain.accuracy) < 0.03)
if device.type == "cuda":
    net = build()
    adamw = optim.AdamW(net.parameters(), lr=1e-3)
    options = {"amp_dtype": torch.float16, "scaler": torch.amp.GradScaler("cuda"), "clip_norm": 1.0}
    result = train_epoch(net, loaders.train, loss_fn, adamw, **options)
    print("float16 with a GradScaler: the loss is a number:", math.isfinite(result.loss))
else:
    print("No GPU here: float16 with a GradScaler has nothing to gain.")

# %% [markdown]
# On a processor without instructions for it, bfloat16 may be slower than float32. Measure before you keep it.
#
# ## Early stopping
#
# When the validation loss has not improved for some epochs, stop. As a callback for `fit` that is one line:


# %%
def stop_only(history, patience=3):
    return len(history) - history.best_epoch >= patience


from course_utils import EpochResult, History

val_losses = [0.9, 0.6, 0.5, 0.45, 0.47, 0.46, 0.52, 0.40]
history = History()
for loss in val_losses:
    history.val.append(EpochResult(loss=loss, accuracy=0.0, seconds=0.0, samples=1, batches=1))
    if stop_only(history):
        break
print("stopped after epoch", len(history), " best epoch:", history.best_epoch)

# %% [markdown]
# It stopped three epochs after the best one. (Epoch 8 would have been better still. Patience is a guess.)
#
# ### Mistake: the best epoch is not the one you have
# When training stops, the model holds the weights of the *last* epoch, after `patience` epochs that were no better.
# `EarlyStopping` of `course_utils.callbacks` keeps a copy of the best weights, and puts them back at the end. The same
# losses again, with a model that is marked: its bias is the number of the epoch.

# %%
from course_utils import EarlyStopping

marked = nn.Linear(1, 1)
stopping, history = EarlyStopping(marked, patience=3), History()
for epoch, loss in enumerate(val_losses, start=1):
    nn.init.constant_(marked.bias, epoch)
    history.val.append(EpochResult(loss=loss, accuracy=0.0, seconds=0.0, samples=1, batches=1))
    if stopping(history):
        break
print(f"stopped after epoch {len(history)}, with the weights of epoch {marked.bias.item():.0f}")
stopping.finish(history)  # fit does this when training has ended
print(f"put back: the weights of epoch {marked.bias.item():.0f}; best epoch {stopping.best_epoch}")

# %% [markdown]
# (With `min_delta=0.01`, an improvement must be larger than 0.01 to count.) Now a real training on 60 images, where
# overfitting is certain, with the one line and with `EarlyStopping`:

# %% tags=["nbval-ignore-output"]
from torch.utils.data import Subset


def stopped_training(make_callback):
    seed_everything(0)
    net = build(hidden=(256, 256, 256))
    loader = make_loader(Subset(data.train, range(60)), batch_size=16, shuffle=True)
    adamw, callback = optim.AdamW(net.parameters(), lr=1e-3), make_callback(net)
    options = {"callbacks": [callback], "verbose": False}
    return net, callback, fit(net, loader, loaders.val, loss_fn, adamw, epochs=60, **options)


last_net, _, history = stopped_training(lambda net: lambda history: stop_only(history, 5))
best_net, stopping, again = stopped_training(lambda net: EarlyStopping(net, patience=5))
results = [evaluate(net, loaders.val, loss_fn) for net in (last_net, best_net)]
last, best = (result.loss for result in results)
print(f"stopped after epoch {len(history)} of 60, best epoch {history.best_epoch}")
for name, result in zip(("the model you have", "the best put back"), results, strict=True):
    print(f"{name:18}: validation loss {result.loss:.3f}, accuracy {result.accuracy:.1%}")

# %%
print("it ended before epoch 60:", history.stopped and len(history) < 60)
print("both ended after the same epoch:", len(history) == len(again))
print("that is five after the best one:", len(history) - stopping.best_epoch == 5)
print("without restoring, you have the last epoch:", last == history.val[-1].loss)
print("restored, you have the best:", best == min(result.loss for result in again.val) < last)

# %%
from matplotlib.ticker import MaxNLocator

columns = again.as_dict()
figure, axis = plt.subplots(figsize=(6.2, 3.2))
axis.plot(columns["epoch"], columns["train_loss"], label="training")
axis.plot(columns["epoch"], columns["val_loss"], label="validation")
axis.plot(stopping.best_epoch, best, "*", color="#832db6", markersize=13, label="put back")
axis.plot(len(again), last, "X", color="#bd1f01", markersize=9, label="what you would have")
axis.set(title="Stopped five epochs after the best", xlabel="epoch")
axis.set_ylabel("mean loss of a sample")
axis.xaxis.set_major_locator(MaxNLocator(integer=True))
axis.set_ylim(0, None)
axis.legend()
show(
    figure,
    alt="Training loss falls to 0. Validation loss falls, then wanders above its lowest point. A "
    "star marks that one, whose weights are put back; a cross, a bit higher, the last epoch.",
)

# %% [markdown]
# What is put back has the lower loss because it was chosen by the loss. Its accuracy need not be higher, as you see above.
#
# A callback's state is in the checkpoints of notebook 06, so a resumed training stops at the same epoch, with the same
# weights. The best loss is the smallest of many, chosen on the validation part, and so a little too good (notebook 04).
#
# ## An average of weights
#
# With a constant learning rate, the weights do not settle: they wander around a good place. Their moving average over
# the last steps is nearer to it. After each step, `average = decay * average + (1 - decay) * weights`, and the average
# is what you evaluate (an *exponential moving average*, EMA). `WeightAverage` does it with PyTorch's `AveragedModel`.

# %%
from course_utils import WeightAverage

net = build()
sgd = optim.SGD(net.parameters(), lr=0.1)
average = WeightAverage(net, decay=0.9)
by_hand = []


def by_formula(step, loss):
    weights = net[1].weight.detach().clone()
    by_hand.append(0.9 * by_hand[-1] + 0.1 * weights if by_hand else weights)
    average.on_step(step, loss)


train_epoch(net, loaders.train, loss_fn, sgd, on_step=by_formula)
print("equal to the formula:", torch.allclose(average.model[1].weight, by_hand[-1], atol=1e-6))
print("equal to the last weights:", torch.allclose(net[1].weight, by_hand[-1], atol=1e-6))

# %% [markdown]
# A decay of 0.9 averages over about ten steps, `1 / (1 - decay)`. The usual 0.999 is meant for long trainings: over a
# hundred steps it would still consist mostly of the first weights. Choose it so that the average covers a small part of
# the training. Now a training with small batches and a rate that is a bit too high, measured both ways after each epoch:

# %% tags=["nbval-ignore-output"]
seed_everything(0)
net = build()
sgd = optim.SGD(net.parameters(), lr=0.15)
average = WeightAverage(net, decay=0.98)
loader = make_loader(data.train, batch_size=16, shuffle=True)
averaged = []


def measure(history):
    averaged.append(evaluate(average.model, loaders.val, loss_fn).loss)


options = {"callbacks": [average, measure], "verbose": False}
history = fit(net, loader, loaders.val, loss_fn, sgd, epochs=10, **options)
plain = [result.loss for result in history.val]
print(
    f"mean of the last six epochs: {sum(plain[-6:]) / 6:.3f}, averaged {sum(averaged[-6:]) / 6:.3f}"
)

# %%
spread = {
    name: torch.tensor(values[-6:]).std() for name, values in (("last", plain), ("ema", averaged))
}
print("the average is better over the last six epochs:", sum(averaged[-6:]) < sum(plain[-6:]))
print("and wanders less from epoch to epoch:", bool(spread["ema"] < spread["last"]))

# %%
figure, axis = plt.subplots(figsize=(6.2, 3.1))
axis.plot(range(1, 11), plain, marker="o", markersize=4, label="weights of the last step")
axis.plot(range(1, 11), averaged, marker="o", markersize=4, label="average of weights")
axis.set(title="Constant learning rate, small batches", xlabel="epoch", ylim=(0, None))
axis.set_ylabel("validation loss")
axis.legend()
show(
    figure,
    alt="Validation loss over ten epochs. With the weights of the last step it goes up and down; "
    "with the average of weights it starts higher, and then is lower and nearly level.",
)

# %% [markdown]
# In the first epoch the average is the worse model: it still remembers the first weights.
#
# ## Which of them did anything?
#
# An *ablation* changes one thing at a time. Here: a plain baseline, and each trick alone on top of it. All get the same
# images, the same number of steps and the same five random seeds, and are measured by the plain loss on the validation
# part. With the same seed, baseline and trick see the same batches, so their difference is taken seed by seed.

# %%
from torch.utils.data import TensorDataset

picked = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))[:480]
part = Subset(data.train, picked.tolist())
few = TensorDataset(*next(iter(make_loader(part, batch_size=len(part)))))
val_batch = [next(iter(make_loader(data.val, batch_size=len(data.val))))]
epochs, seeds = 6, range(5)
total = epochs * -(-len(few) // 32)


def half_wave(step):
    return 0.5 * (1 + math.cos(math.pi * step / total))


def groups(net, decay):
    matrices = [parameter for parameter in net.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in net.parameters() if parameter.ndim < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


print(len(few), "images in batches of 32,", total, "steps,", len(seeds), "seeds")


# %%
def run(seed, layers=None, start=None, decay=0, smoothing=0, schedule=None, call=None, **options):
    """Train once; return validation loss and accuracy, and the number of steps."""
    seed_everything(seed)
    net = build(**(layers or {}))
    if start is not None:
        net.apply(start)
    adamw = optim.AdamW(groups(net, decay), lr=1e-3)
    if schedule is not None:
        options["scheduler"] = schedulers.LambdaLR(adamw, schedule)
        options["step_scheduler"] = "batch"
    callbacks = [] if call is None else [call(net)]
    options |= {"callbacks": callbacks, "epochs": epochs, "verbose": False}
    loader = make_loader(few, batch_size=32, shuffle=True, seed=seed)
    training_loss = nn.CrossEntropyLoss(label_smoothing=smoothing)
    history = fit(net, loader, val_batch, training_loss, adamw, **options)
    averaged = callbacks and isinstance(callbacks[0], WeightAverage)
    result = evaluate(callbacks[0].model if averaged else net, val_batch, loss_fn)
    return result.loss, result.accuracy, sum(epoch.batches for epoch in history.train)


# %% [markdown]
# Each trick is a name and what it changes:

# %%
tricks = {
    "baseline": {},
    "Kaiming start": {"start": kaiming},
    "BatchNorm": {"layers": {"norm": nn.BatchNorm1d}},
    "LayerNorm": {"layers": {"norm": nn.LayerNorm}},
    "GELU": {"layers": {"activation": nn.GELU}},
    "Dropout 0.2": {"layers": {"dropout": 0.2}},
    "cosine schedule": {"schedule": half_wave},
    "warm-up, linear decay": {"schedule": make_factor(10, total)},
    "weight decay 0.1": {"decay": 0.1},
    "clipping at 1": {"clip_norm": 1.0},
    "label smoothing 0.1": {"smoothing": 0.1},
    "bfloat16": {"amp_dtype": torch.bfloat16},
    "average, decay 0.9": {"call": lambda net: WeightAverage(net, decay=0.9)},
    "best epoch kept": {"call": lambda net: EarlyStopping(net, patience=epochs)},
}
print(len(tricks) - 1, "tricks beside the baseline")

# %% tags=["nbval-ignore-output"]
table = {}
for name, trick in tricks.items():
    table[name] = torch.tensor([run(seed, **trick) for seed in seeds])
loss, accuracy, steps = table["baseline"].mean(dim=0)
spread = table["baseline"][:, 0].std()
print(
    f"baseline: validation loss {loss:.3f}, spread over seeds {spread:.3f}, accuracy {accuracy:.1%}"
)

# %%
print(
    "every run had the same number of steps:",
    all((row[:, 2] == total).all() for row in table.values()),
)
again = torch.tensor(run(0))
print("the baseline is repeatable:", torch.allclose(again, table["baseline"][0], atol=1e-4))

# %% [markdown]
# Five differences give a mean and a spread. The mean of five is known up to about 2.78 times the spread, divided by the
# root of 5 (Student's 95% interval; 2.78 is its number for five runs). If that interval contains 0, these runs cannot
# tell the trick from nothing. That is not the same as "it does nothing".

# %% tags=["nbval-ignore-output"]
effects, halves = {}, {}
print(f"{'alone, against the baseline':28}{'loss':>8}{'':10}{'accuracy (points)':>18}")
for name, row in list(table.items())[1:]:
    change = row[:, :2] - table["baseline"][:, :2]
    mean, half = change.mean(dim=0), 2.78 * change.std(dim=0) / len(seeds) ** 0.5
    effects[name], halves[name] = change, half
    verdict = "" if abs(mean[0]) > half[0] else "   not told from nothing"
    print(f"{name:28}{mean[0]:+8.3f} ± {half[0]:.3f}", end="")
    print(f"{100 * mean[1]:+9.1f} ± {100 * half[1]:.1f}{verdict}")

unclear = [name for name, change in effects.items() if abs(change[:, 0].mean()) <= halves[name][0]]
print(f"for the loss, the interval contains 0 for {len(unclear)} of {len(effects)} tricks")

# %%
print("at least one trick cannot be told from nothing:", len(unclear) >= 1)
better = [name for name, c in effects.items() if c[:, 0].mean() < -halves[name][0]]
print("fewer than all of them help:", len(better) < len(effects))
moved = effects["bfloat16"][:, 0].mean().item()
print("bfloat16 moves the loss by less than 0.05:", abs(moved) < 0.05)
never_worse = bool((effects["best epoch kept"][:, 0] <= 1e-6).all())
print("the best epoch is never worse than the last, as it was chosen so:", never_worse)
print(f"decay 0.1 leaves (1 - 0.001 * 0.1)^{total} of a weight: {(1 - 1e-3 * 0.1) ** total:.3f}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.2, 4.7), sharey=True)
drawn = {}
for row, (name, change) in enumerate(effects.items()):
    for axis, column, unit in zip(axes, (0, 1), (1, 100), strict=True):
        values, half = unit * change[:, column], unit * halves[name][column].item()
        mean = values.mean().item()
        kind = "interval contains 0" if abs(mean) <= half else "interval without 0"
        color = orange if abs(mean) <= half else blue
        drawn["one seed"] = axis.scatter(values, [row] * len(values), s=14, color=grey, alpha=0.5)
        drawn[f"mean, {kind}"] = axis.errorbar(mean, row, xerr=half, color=color, fmt="D", ms=5)
for axis, title in zip(axes, ("Validation loss", "Validation accuracy"), strict=True):
    axis.axvline(0, color="black", linewidth=1)
    axis.set_title(title)
axes[0].set_yticks(range(len(effects)), effects)
axes[0].invert_yaxis()
axes[0].set_xlabel("difference to the baseline (left is better)")
axes[1].set_xlabel("difference in points (right is better)")
figure.legend(drawn.values(), drawn, loc="outside lower center", ncols=3)
alt = "For each trick the difference to the baseline in validation loss and accuracy: five dots, "
show(figure, alt=alt + "one for each seed, with their mean and its 95 percent interval.")

# %% [markdown]
# How to read it. A grey dot is one seed. Orange means: the interval contains 0, and only more seeds could say yes or no.
# Blue means: there was an effect, for better or for worse, on these images, with this model, in this short training.
# Some warnings go with it.
#
# - There are thirteen tricks and two measures, so twenty-six intervals. Of 95% intervals, one in twenty misses a true 0
#   by luck alone.
# - A trick that is "not told from nothing" here may be decisive elsewhere. Clipping waits for a broken batch, and you have
#   seen one. A weight decay of 0.1 takes less than 1% of a weight in 90 steps at this rate: it cannot do anything here.
# - All had to share one learning rate. A trick that is best with another is underrated.
# - A schedule that ends at 0 with 90 steps in all has spent many of them on a small rate. Judge it with the budget you
#   mean to use, and with a learning rate of its own.
# - Loss and accuracy may disagree. Label smoothing asks for less sure answers, and the plain loss charges for them.
# - "Best epoch kept" was chosen by the very number in the table, so its row is flattered.
#
# So begin with the plain baseline. Add what solves a problem that you can see (it explodes, it overfits, the last epochs
# are noisy), and keep it if it helps and the interval of its mean does not contain 0. Notebook 03's five steps are most of
# what works.

# %% [markdown]
# ## Your turn
#
# ### 1. Two groups of parameters
# Return a list of two dicts for an optimizer: first the parameters with two dimensions or more, with `weight_decay`;
# then all others, with 0. Frozen parameters (`requires_grad` is False) belong into neither.


# %% tags=["exercise"]
def parameter_groups(model, weight_decay):
    # [{"params": [...], "weight_decay": ...}, {"params": [...], "weight_decay": ...}]
    ...


# %% tags=["check"]
from checks import training_well

training_well.parameter_groups(parameter_groups)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def parameter_groups(model, weight_decay):
#     trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
#     matrices = [parameter for parameter in trained if parameter.ndim >= 2]
#     vectors = [parameter for parameter in trained if parameter.ndim < 2]
#     return [
#         {"params": matrices, "weight_decay": weight_decay},
#         {"params": vectors, "weight_decay": 0.0},
#     ]
# ```
#
# The rule by dimensions also catches the norm layers, whatever they are called.
# </details>

# %% [markdown]
# ### 2. Clipping by hand
# `gradients` is a list of tensors of any shapes. Return a list of new tensors: if the norm of all of them together is
# larger than `max_norm`, all are scaled by one number so that it becomes `max_norm`; otherwise they stay as they are.


# %% tags=["exercise"]
def clip_by_hand(gradients, max_norm):
    # your code here
    ...


# %% tags=["check"]
training_well.clip_by_hand(clip_by_hand)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def clip_by_hand(gradients, max_norm):
#     norm = sum((gradient**2).sum() for gradient in gradients) ** 0.5
#     if norm <= max_norm:
#         return [gradient.clone() for gradient in gradients]
#     return [gradient * (max_norm / norm) for gradient in gradients]
# ```
#
# One norm and one factor for all: that keeps the direction of the step.
# </details>

# %% [markdown]
# ### 3. Warm-up, then half a wave
# Write the factor for `LambdaLR` that rises as in the lesson, from `1 / warmup` at step 0 to 1 at step `warmup - 1`.
# From step `warmup` on it falls along half a cosine wave: 1 at step `warmup`, 0 at step `total` and after it. With
# `warmup=0` it only falls.


# %% tags=["exercise"]
def warmup_then_cosine(step, warmup, total):
    # return a number from 0 to 1
    ...


# %% tags=["check"]
training_well.warmup_then_cosine(warmup_then_cosine)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# import math
#
# def warmup_then_cosine(step, warmup, total):
#     if step < warmup:
#         return (step + 1) / warmup
#     if step >= total:
#         return 0.0
#     share = (step - warmup) / (total - warmup)
#     return 0.5 * (1 + math.cos(math.pi * share))
# ```
#
# `share` is the part of the fall that is over. Without the second `if`, the wave would rise again after `total`.
# </details>

# %% [markdown]
# ## Recap
#
# - SGD steps by rate times gradient; Adam's first step is the learning rate, and a later one about that or less, whatever
#   the size of the gradient. A rate for one says nothing about the other. Weight decay belongs into AdamW, and there on
#   matrices.
# - Find the learning rate with a range test. Plot the rate you really had; know whether your scheduler counts epochs or
#   batches.
# - Deep networks need a start that keeps the variance, or norm layers.
# - Clip between `backward` and `step`: after `unscale_`, and once for an accumulated gradient.
# - Weights stay in float32; `autocast` computes in bfloat16. float16 needs a `GradScaler`.
# - Early stopping must put the best weights back. An average of weights must fit the length of the training.
# - A trick has an effect if the interval of its mean difference over seeds does not contain 0. For many it does, on a given
#   problem; then you cannot tell.
#
# **Next:** [09 · Tuning](09_tuning.ipynb) finds the numbers that nobody can tell you: hyperparameters, honestly.
