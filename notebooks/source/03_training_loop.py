# %% [markdown]
# # 03 · The training loop: five steps, done right
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/03_training_loop.ipynb)
#
# **After this notebook you can**
# - write the training loop from memory and say what each of its five steps changes;
# - report a loss and an accuracy that are exact, also when the last batch is short;
# - recognise the classic mistakes by what they do to the numbers;
# - use `train_epoch`, `evaluate` and `fit`, knowing what is inside.
#
# **Time:** 50 minutes. **Builds on:** [02 · Model building](02_model_building.ipynb).
#
# Everything else in deep learning is built around one loop of five lines. It is short enough to copy, and most copies
# of it are slightly wrong.

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
import os

import torch
from torch import nn

from course_utils import MLP, get_device, load_dataset, make_loader, make_loaders, seed_everything

seed_everything(42)
device = get_device()
data = load_dataset(os.environ.get("COURSE_DATASET", "digits"))
loaders = make_loaders(data, batch_size=64)
images, labels = (tensor.to(device) for tensor in next(iter(loaders.train)))
print(f"{len(data.train)} training images in {len(loaders.train)} batches")

# %% [markdown]
# ## The loss
#
# The logits are ten numbers without limits. `CrossEntropyLoss` turns each row into log-probabilities (*log-softmax*),
# takes the one at the right class, flips its sign (*negative log-likelihood*, NLL) and averages over the batch. By
# hand, in two lines:

# %%
model = MLP(data.input_shape, data.num_classes).to(device)
loss_fn = nn.CrossEntropyLoss()
logits = model(images)

log_probabilities = logits - logits.logsumexp(dim=1, keepdim=True)
by_hand = -log_probabilities[torch.arange(len(labels)), labels].mean()
two_steps = nn.NLLLoss()(logits.log_softmax(dim=1), labels)
print("equal to CrossEntropyLoss:", torch.allclose(by_hand, loss_fn(logits, labels), atol=1e-6))
print("equal to log_softmax, then NLLLoss:", torch.allclose(by_hand, two_steps, atol=1e-6))

# %% [markdown]
# `logsumexp` is `logits.exp().sum().log()`, computed so that large numbers survive: it takes the largest logit out first.
# Written out naively, a logit of 100 already breaks it.

# %%
large = torch.tensor([[100.0, 0.0]])
naive = large - large.exp().sum(dim=1, keepdim=True).log()
print("naive:", naive.tolist(), " logsumexp:", (large - large.logsumexp(1, keepdim=True)).tolist())

# %% [markdown]
# A model that knows nothing gives every class the same chance, 1/10, and has the loss log(10) = 2.303. A first loss far
# from that number says that something is wrong before training has begun.

# %%
import math

uniform = loss_fn(torch.zeros(64, 10), torch.zeros(64, dtype=torch.int64)).item()
print(f"equal chances for ten classes: {uniform:.3f} = log(10) = {math.log(10):.3f}")
print(
    "our untrained model is near log(classes):",
    abs(loss_fn(logits, labels).item() - math.log(data.num_classes)) < 0.5,
)

# %% [markdown]
# ### Mistake: softmax twice
# `CrossEntropyLoss` contains the softmax. A model that ends in one gets it twice. Nothing fails, but the loss can no
# longer come near 0: even a perfect, certain answer costs this much.

# %%
perfect = torch.tensor([[1.0] + [0.0] * 9])  # the probabilities of a certain and right answer
print(f"loss of a perfect answer after softmax: {loss_fn(perfect, torch.tensor([0])).item():.3f}")
print(f"loss of certain logits: {loss_fn(perfect * 100, torch.tensor([0])).item():.3f}")

# %% [markdown]
# ## The five steps
#
# One step of training, with a look at what each line changes. The gradients of the step before are cleared; the model
# answers; the loss says how wrong it was. `backward` then computes for every weight how the loss would change with it,
# but changes no weight. `step` does: for plain SGD, it subtracts the learning rate times the gradient.

# %%
model = MLP(data.input_shape, data.num_classes).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
weight = model.layers[1].weight
before = weight.detach().clone()

optimizer.zero_grad()  # 1  forget the gradients of the step before
logits = model(images)  # 2  forward: ask the model
loss = loss_fn(logits, labels)  # 3  how wrong is it, in one number?
print("logits", tuple(logits.shape), " loss", tuple(loss.shape), " gradient:", weight.grad)
loss.backward()  # 4  backward: gradients
print("gradient:", tuple(weight.grad.shape), " weights unchanged:", torch.equal(weight, before))
optimizer.step()  # 5  change the weights
print("w - lr * gradient:", torch.allclose(weight, before - 0.1 * weight.grad, atol=1e-7))
print("the loss on this batch fell:", loss_fn(model(images), labels).item() < loss.item())

# %% [markdown]
# The whole loop is those five lines, for every batch. Look at what the loss does over two epochs. (`loss.item()` reads
# the number; at every step that is fine for a figure, and too slow for a long training on a GPU.)

# %% tags=["nbval-ignore-output"]
model = MLP(data.input_shape, data.num_classes).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
step_losses = []
for _ in range(2):
    for batch_images, batch_labels in loaders.train:
        batch_images, batch_labels = batch_images.to(device), batch_labels.to(device)
        optimizer.zero_grad()
        loss = loss_fn(model(batch_images), batch_labels)
        loss.backward()
        optimizer.step()
        step_losses.append(loss.item())
print(f"first batch {step_losses[0]:.2f}, last batch {step_losses[-1]:.2f}")

# %%
import matplotlib.pyplot as plt

from course_utils.plots import show

figure, axis = plt.subplots(figsize=(7, 3))
axis.plot(range(1, len(step_losses) + 1), step_losses)
axis.axhline(
    math.log(data.num_classes), color="#717581", linestyle=":", label="knows nothing: log(classes)"
)
axis.set(
    title="The loss of each batch, over two epochs", xlabel="step", ylabel="loss", ylim=(0, None)
)
axis.legend()
show(figure, alt="The loss of each batch starts near that of guessing and falls, at first quickly.")

# %%
print(
    "the mean of the last ten is below half of the first ten:",
    sum(step_losses[-10:]) < 0.5 * sum(step_losses[:10]),
)

# %% [markdown]
# ### Why zero_grad?
# `backward` *adds* to the gradients. Called twice without clearing, they are the sum of both calls.

# %%
weight = model.layers[1].weight
model.zero_grad()
loss_fn(model(images), labels).backward()
once = weight.grad.clone()
loss_fn(model(images), labels).backward()
print("a second backward without zero_grad doubles it:", torch.allclose(weight.grad, 2 * once))

# %% [markdown]
# Forgotten, this makes every step follow the sum of all batches so far, and the steps become larger and larger. Here is
# the same training, on the same batches in the same order, with and without that line.


# %% tags=["nbval-ignore-output"]
def losses_of(clear, epochs=2):
    seed_everything(0)
    net = MLP(data.input_shape, data.num_classes).to(device)
    sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    loader, losses = make_loader(data.train, shuffle=True, seed=0), []
    for batch_images, batch_labels in (batch for _ in range(epochs) for batch in loader):
        if clear:
            sgd.zero_grad()
        loss = loss_fn(net(batch_images.to(device)), batch_labels.to(device))
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    return losses


ends = {clear: sum(losses_of(clear)[-10:]) / 10 for clear in (True, False)}
print(f"mean of the last ten losses: {ends[True]:.2f} with zero_grad, {ends[False]:.2f} without")

# %%
print("forgetting zero_grad is worse:", ends[False] > 2 * ends[True])

# %% [markdown]
# Used on purpose, the same thing is *gradient accumulation*: a large batch in small pieces, for a GPU with too little
# memory. Each piece must count by its share of the samples, also the last, shorter one.

# %%
weight = model.layers[1].weight
model.zero_grad()
loss_fn(model(images), labels).backward()
large_batch = weight.grad.clone()

model.zero_grad()
for part in torch.arange(64, device=device).split(24):  # 24, 24 and 16 samples
    share = len(part) / 64
    (loss_fn(model(images[part]), labels[part]) * share).backward()
print(
    "three pieces add up to the large batch:", torch.allclose(weight.grad, large_batch, atol=1e-6)
)

# %% [markdown]
# ## Regression: MSE
#
# Where the target is a number and not a class, the loss is the mean squared error. A single `Linear` with 1,000 noisy
# points on the line y = 3x - 1 recovers slope and intercept.

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
x = torch.rand(1000, 1) * 4 - 2
y = 3 * x - 1 + 0.5 * torch.randn(1000, 1)
line = nn.Linear(1, 1)
sgd = torch.optim.SGD(line.parameters(), lr=0.1)
for _ in range(100):
    sgd.zero_grad()
    nn.MSELoss()(line(x), y).backward()
    sgd.step()
print(f"y = {line.weight.item():.2f} x + {line.bias.item():.2f}")

# %%
print(
    "slope within 0.1 of 3:",
    abs(line.weight.item() - 3) < 0.1,
    "  intercept within 0.1 of -1:",
    abs(line.bias.item() + 1) < 0.1,
)
print("MSE by hand:", torch.allclose(((line(x) - y) ** 2).mean(), nn.MSELoss()(line(x), y)))

# %%
figure, axis = plt.subplots(figsize=(5.5, 3.2))
axis.scatter(x, y, s=6, alpha=0.35, label="1,000 samples", edgecolors="none")
ends = torch.tensor([[-2.0], [2.0]])
axis.plot(ends, line(ends).detach(), color="#e76300", label="the fitted line")
axis.set(title="Slope and intercept, recovered", xlabel="x", ylabel="y")
axis.legend()
show(figure, alt="A cloud of points around a rising line; the fitted line runs through its middle.")

# %% [markdown]
# ### Mistake: shapes that broadcast
# A loader often gives targets of shape (64,), while the model's output is (64, 1). Element by element, those become a
# 64 x 64 table: every output is compared with every target. PyTorch only warns; the model learns the mean. With the
# same shapes it learns the line. `course_utils` makes an error of it.

# %% tags=["nbval-ignore-output"]
import warnings


def fitted_slope(targets):
    torch.manual_seed(0)
    net = nn.Linear(1, 1)
    sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(100):
        sgd.zero_grad()
        nn.MSELoss()(net(x), targets).backward()
        sgd.step()
    return net.weight.item()


with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    slopes = {"(1000,)": fitted_slope(y.squeeze(1)), "(1000, 1)": fitted_slope(y)}
print("PyTorch warns:", str(caught[0].message)[:130])
print({shape: round(slope, 2) for shape, slope in slopes.items()})

# %%
from course_utils import train_epoch

print("targets of shape (1000,): slope near 0:", abs(slopes["(1000,)"]) < 0.3)
try:
    train_epoch(line, [(x, y.squeeze(1))], nn.MSELoss(), sgd)
except ValueError as error:
    print(error)

# %% [markdown]
# ## Optimizers by hand
#
# An optimizer is a rule that turns a gradient into a step. Here are four, each written in a few lines and compared with
# PyTorch's on the same gradients. Notebook 08 looks at how to choose among them.


# %%
def torch_steps(make_optimizer, gradients):
    """Return where a weight that starts at 1 ends after these gradients."""
    w = torch.ones(3, dtype=torch.float64, requires_grad=True)
    optimizer = make_optimizer([w])
    for gradient in gradients:
        w.grad = gradient.clone()
        optimizer.step()
    return w.detach()


torch.manual_seed(0)
gradients = torch.randn(5, 3, dtype=torch.float64)

# %% [markdown]
# **SGD with momentum** steps along a running sum of gradients, in which old ones fade: it keeps rolling.

# %%
w, velocity = torch.ones(3, dtype=torch.float64), 0
for g in gradients:
    velocity = 0.9 * velocity + g
    w = w - 0.1 * velocity
expected = torch_steps(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), gradients)
print("SGD with momentum:", torch.allclose(w, expected, atol=1e-12))

# %% [markdown]
# **RMSprop** divides each gradient by its usual size, so that steep and flat directions get steps of similar length.

# %%
w, square = torch.ones(3, dtype=torch.float64), 0
for g in gradients:
    square = 0.99 * square + 0.01 * g**2
    w = w - 0.01 * g / (square**0.5 + 1e-8)
expected = torch_steps(lambda p: torch.optim.RMSprop(p, lr=0.01), gradients)
print("RMSprop:", torch.allclose(w, expected, atol=1e-12))

# %% [markdown]
# **Adam** does both, and corrects for the first steps, when the running means still start from 0. **AdamW** also pulls
# every weight a little towards 0 in each step (*weight decay*), apart from the gradient.


# %%
def adam_by_hand(gradients, lr=0.01, decay=0.0):
    w, mean, square = torch.ones(3, dtype=torch.float64), 0, 0
    for t, g in enumerate(gradients, start=1):
        w = w * (1 - lr * decay)
        mean = 0.9 * mean + 0.1 * g
        square = 0.999 * square + 0.001 * g**2
        w = w - lr * (mean / (1 - 0.9**t)) / ((square / (1 - 0.999**t)) ** 0.5 + 1e-8)
    return w


adam = torch_steps(lambda p: torch.optim.Adam(p, lr=0.01), gradients)
adamw = torch_steps(lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1), gradients)
print("Adam: ", torch.allclose(adam_by_hand(gradients), adam, atol=1e-12))
print("AdamW:", torch.allclose(adam_by_hand(gradients, decay=0.1), adamw, atol=1e-12))

# %% [markdown]
# How they move: a long narrow valley, steep across and flat along. With the same learning rate, plain SGD bounces from
# wall to wall, and momentum keeps the speed along the valley, so that it arrives while SGD is still on its way. Adam
# measures its steps in each direction separately: it starts straight ahead, rolls past the lowest point and comes back.


# %%
def path(make_optimizer, steps=40):
    point = torch.tensor([-4.0, 1.5], requires_grad=True)
    optimizer = make_optimizer([point])
    points = [point.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        (0.05 * point[0] ** 2 + point[1] ** 2).backward()
        optimizer.step()
        points.append(point.detach().clone())
    return torch.stack(points)


paths = {
    "SGD, lr 0.9": path(lambda p: torch.optim.SGD(p, lr=0.9)),
    "+ momentum 0.7": path(lambda p: torch.optim.SGD(p, lr=0.9, momentum=0.7)),
    "Adam, lr 0.3": path(lambda p: torch.optim.Adam(p, lr=0.3)),
}

# %%
xs, ys = torch.meshgrid(torch.linspace(-4.5, 1.5, 90), torch.linspace(-1.8, 1.8, 90), indexing="xy")
figure, axes = plt.subplots(1, 3, figsize=(9.2, 2.7), sharey=True)
for axis, (name, points) in zip(axes, paths.items(), strict=True):
    axis.contour(xs, ys, 0.05 * xs**2 + ys**2, levels=12, colors="#c8c8c8", linewidths=0.8)
    axis.plot(*points.T, marker="o", markersize=2.5, linewidth=1)
    axis.plot(0, 0, marker="*", color="#e76300", markersize=10, linestyle="none", label="lowest")
    axis.set(title=name, xlabel="flat direction", ylim=(-1.8, 1.8))
    axis.grid(visible=False)
axes[0].set_ylabel("steep direction")
axes[0].legend(loc="lower right")
show(
    figure,
    alt="Three paths to the lowest point of a narrow valley. SGD zigzags between its walls; "
    "with momentum it swings and arrives; Adam cuts across, overshoots and returns.",
)

# %%
crossings = {
    name: int((points[1:, 1] * points[:-1, 1] < 0).sum()) for name, points in paths.items()
}
left = {name: points[-1].norm().item() for name, points in paths.items()}
print(
    "plain SGD crosses the valley most often:", crossings["SGD, lr 0.9"] == max(crossings.values())
)
print("momentum ends nearer than plain SGD:", left["+ momentum 0.7"] < left["SGD, lr 0.9"])

# %% [markdown]
# ## Training mode and evaluation mode
#
# Before training, `model.train()`; before measuring, `model.eval()`. With Dropout in the model, the same image gets
# another answer each time in training mode.

# %%
net = MLP(data.input_shape, data.num_classes, dropout_p=0.5).to(device)
net.train()
print("train(): the same answer twice:", torch.equal(net(images), net(images)))
net.eval()
print("eval():  the same answer twice:", torch.equal(net(images), net(images)))

# %% [markdown]
# `torch.no_grad()` is something else: it stops PyTorch from remembering how results came about. That saves time and
# memory, and no `backward` is possible afterwards. It is *not* the evaluation switch; Dropout goes on under it.

# %%
net.train()
with torch.no_grad():
    print("train() under no_grad: the same answer twice:", torch.equal(net(images), net(images)))
    print("remembers the computation:", net(images).requires_grad)

# %% [markdown]
# ## The numbers an epoch reports
#
# Here most loops go wrong without an error. Let a model answer 75 samples in batches of 32, 32 and 11. Two common
# shortcuts: take the loss of the last batch for the epoch's, or take the mean of the batches' means. In the latter,
# each sample of the short batch counts three times as much as the others.

# %%
torch.manual_seed(1)
some_logits, some_labels = torch.randn(75, 10), torch.randint(0, 10, (75,))
some_logits[torch.arange(64), some_labels[:64]] += (
    4  # the first 64 answers are good, the last 11 are not
)
batches = list(zip(some_logits.split(32), some_labels.split(32), strict=True))

exact = loss_fn(some_logits, some_labels).item()
batch_losses = [loss_fn(a, b).item() for a, b in batches]
weighted = sum(loss * len(b) for loss, (a, b) in zip(batch_losses, batches, strict=True)) / 75
print("sizes of the batches:", [len(b) for a, b in batches])
print(f"the last batch's loss:   off by {abs(batch_losses[-1] - exact) / exact:.0%}")
print(f"mean of the batch means: off by {abs(sum(batch_losses) / 3 - exact) / exact:.0%}")
print(f"weighted by batch size:  off by {abs(weighted - exact) / exact:.0%}")

# %% [markdown]
# The rule: **add up loss x batch size and the number of right answers; divide once, by the samples seen.**
#
# ## An epoch, written out
#
# Now all together. Note what is *not* in this loop: `.item()`. On a GPU it would make the processor wait at each step;
# here the sums stay on the device until the end. (You may also meet `outputs.data` in old code; it switches off
# PyTorch's safety checks, and `detach()` is the word for what was meant.)


# %%
def epoch_by_hand(model, loader, loss_fn, optimizer):
    model.train()
    loss_sum = torch.zeros((), device=device)
    right = torch.zeros((), device=device)
    samples = 0
    for inputs, targets in loader:
        inputs, targets = inputs.to(device), targets.to(device)
        optimizer.zero_grad()
        logits = model(inputs)
        loss = loss_fn(logits, targets)
        loss.backward()
        optimizer.step()
        loss_sum = loss_sum + loss.detach() * len(targets)
        right = right + (logits.argmax(dim=1) == targets).sum()
        samples += len(targets)
    return loss_sum.item() / samples, right.item() / samples


# %% [markdown]
# `train_epoch` of `course_utils` is this function with the questions answered that come up later: a progress bar when
# an epoch takes long, clipping, accumulation, mixed precision, metrics, and errors that say what to do. From the same
# start, on the same batches, with Dropout, both give the same numbers and the same weights.


# %%
def fresh():
    seed_everything(7)
    model = MLP(data.input_shape, data.num_classes, dropout_p=0.2).to(device)
    return (
        model,
        torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        make_loader(data.train, shuffle=True, seed=7),
    )


# %%
ours, optimizer, loader = fresh()
hand_loss, hand_accuracy = epoch_by_hand(ours, loader, loss_fn, optimizer)
theirs, optimizer, loader = fresh()
result = train_epoch(theirs, loader, loss_fn, optimizer)

print(
    "last batch:",
    len(data.train) % 64,
    "samples;  samples seen:",
    result.samples == len(data.train),
)
print("same loss:    ", abs(hand_loss - result.loss) < 1e-5)
print("same accuracy:", hand_accuracy == result.accuracy)
print(
    "same weights: ",
    all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)),
)

# %% [markdown]
# `evaluate` does the same without training, in evaluation mode, and gives every part of the model its mode back. Its
# loss is that of the whole set in one single batch, whatever the batch size.

# %%
from course_utils import evaluate

theirs.train()
losses = [
    evaluate(theirs, make_loader(data.val, batch_size=size), loss_fn).loss
    for size in (7, 64, len(data.val))
]
print("batches of 7, 64 and all at once agree:", max(losses) - min(losses) < 1e-5)
print("still in training mode afterwards:", theirs.training)

# %% [markdown]
# ### More metrics
# Any metric of torchmetrics can come along, by name. It is updated batch by batch and computed once, over all. `top3`
# counts an answer as right if the right class is among the three largest logits. (The F1 score is for notebook 05; here
# it stands for any other metric.)

# %%
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

metrics = {
    "macro_f1": MulticlassF1Score(num_classes=data.num_classes),
    "top3": MulticlassAccuracy(num_classes=data.num_classes, top_k=3, average="micro"),
}
scored = evaluate(theirs, loaders.val, loss_fn, metrics=metrics)
print(
    sorted(scored.metrics),
    " top 3 at least as often right as top 1:",
    scored.metrics["top3"] >= scored.accuracy,
)

# %% [markdown]
# ## Several epochs
#
# After each epoch comes a look at the validation data; the test data stays out of it. By hand it is a loop around two
# calls:

# %% tags=["nbval-ignore-output"]
third, optimizer, loader = fresh()
for epoch in range(3):
    train = train_epoch(third, loader, loss_fn, optimizer)
    val = evaluate(third, loaders.val, loss_fn)
    print(
        f"epoch {epoch + 1}: train {train.loss:.4f}, validation {val.loss:.4f}, {val.accuracy:.1%}"
    )

# %% [markdown]
# `fit` is that loop. It returns a `History`, and it is repeatable: the same seed gives the same numbers to the last
# bit (on the same machine).

# %% tags=["nbval-ignore-output"]
from course_utils import fit

again, optimizer, loader = fresh()
history = fit(again, loader, loaders.val, loss_fn, optimizer, epochs=12)

# %%
print("after three epochs, equal to the loop by hand:", history.val[2].loss == val.loss)
print("columns:", list(history.as_dict()))

# %%
from course_utils.plots import plot_history

plot_history(history)

# %% [markdown]
# Why is the training part *worse* than the validation part in the first epoch? Because its numbers are collected while
# the weights still change, and with Dropout on; validation looks at the finished epoch, with Dropout off. Measured the
# same way, the training part is ahead:

# %%
again_train = evaluate(again, make_loader(data.train), loss_fn)
print("evaluated alike, training is ahead:", again_train.loss < history.val[-1].loss)

# %% [markdown]
# A scheduler changes the learning rate during training. `fit` steps it where it belongs: most kinds after each epoch,
# `OneCycleLR` after each batch, `ReduceLROnPlateau` with the validation loss. Here the rate halves every two epochs.

# %%
slower, optimizer, loader = fresh()
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
halved = fit(
    slower, loader, loaders.val, loss_fn, optimizer, epochs=6, scheduler=scheduler, verbose=False
)
print("learning rate of each epoch:", halved.learning_rates)

# %% [markdown]
# ### When the loss explodes
# With a learning rate that is far too large, the loss grows beyond all bounds and becomes *nan*, not a number. A bare
# loop goes on with ruined weights to the end. `train_epoch` stops and says where. (A loss that is ruined but still a
# number is not caught: that is what the curves are for.)

# %% tags=["nbval-ignore-output"]
from course_utils import NonFiniteLossError

ruined, _, loader = fresh()
too_fast = torch.optim.SGD(ruined.parameters(), lr=1e10)
try:
    fit(ruined, loader, loaders.val, loss_fn, too_fast, epochs=5)
except NonFiniteLossError as error:
    stopped = error
    print(error)

# %%
print("the error knows: in", stopped.where, "at learning rate", f"{stopped.learning_rate:g}")

# %% [markdown]
# ### Labels that do not fit
# The other classic: labels from 1 to 10 instead of 0 to 9, or of the wrong type. Both stop at the first such batch.

# %%
fourth, optimizer, _ = fresh()
cpu_images, cpu_labels = next(iter(loaders.train))
for targets in (torch.full_like(cpu_labels, data.num_classes), cpu_labels.float()):
    try:
        train_epoch(fourth, [(cpu_images, targets)], loss_fn, optimizer)
    except ValueError as error:
        print("-", error)

# %% [markdown]
# ## Your turn
#
# ### 1. Exact averages
# A list holds one triple for each batch: its mean loss, its number of right answers, its number of samples. Return the
# exact loss and accuracy of the epoch as a pair, the accuracy from 0 to 1.


# %% tags=["exercise"]
def epoch_numbers(batches):
    # each batch is a triple (mean_loss, right, samples)
    ...


# %% tags=["check"]
from checks import training_loop

training_loop.epoch_numbers(epoch_numbers)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def epoch_numbers(batches):
#     loss_sum = right_sum = sample_sum = 0
#     for mean_loss, right, samples in batches:
#         loss_sum += mean_loss * samples
#         right_sum += right
#         sample_sum += samples
#     return loss_sum / sample_sum, right_sum / sample_sum
# ```
# </details>

# %% [markdown]
# ### 2. Put the steps in order
# This function trains for one batch, or would, if its lines were in the right order and none were missing (two are). It
# returns the loss before the step, a float. The model may come to it in evaluation mode.


# %% tags=["exercise"]
def one_step(model, inputs, targets, loss_fn, optimizer):
    loss = loss_fn(model(inputs), targets)
    optimizer.step()
    loss.backward()
    return loss.item()


# %% tags=["check"]
training_loop.one_step(one_step)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def one_step(model, inputs, targets, loss_fn, optimizer):
#     model.train()
#     optimizer.zero_grad()
#     loss = loss_fn(model(inputs), targets)
#     loss.backward()
#     optimizer.step()
#     return loss.item()
# ```
# </details>

# %% [markdown]
# ### 3. Momentum by hand
# Write one step of SGD with momentum. It takes a weight, its gradient and the velocity so far, three tensors, and
# returns the new weight and the new velocity.


# %% tags=["exercise"]
def momentum_step(weight, gradient, velocity, lr, momentum=0.9):
    # your code here
    ...


# %% tags=["check"]
training_loop.momentum_step(momentum_step)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def momentum_step(weight, gradient, velocity, lr, momentum=0.9):
#     velocity = momentum * velocity + gradient
#     return weight - lr * velocity, velocity
# ```
# </details>

# %% [markdown]
# ## Recap
#
# - Five steps: `zero_grad`, forward, loss, `backward`, `step`.
# - `CrossEntropyLoss` takes logits; MSE takes outputs and targets of one shape.
# - Sums over samples, divided once. Means of means are wrong as soon as the last batch is short.
# - `train()` and `eval()` switch layers; `no_grad()` switches off what `backward` needs.
# - Look at the validation data after every epoch, at the test data once.
#
# **Next:** [04 · Evaluation](04_evaluation.ipynb) asks what the numbers of this loop are worth.
