# %% [markdown]
# # 02 · Model building: layers, shapes and what they learn
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/02_model_building.ipynb)
#
# **After this notebook you can**
# - write a model as an `nn.Module`, and count its parameters and its shapes by hand;
# - read a shape error and say which layer is wrong;
# - explain what Dropout, BatchNorm and LayerNorm do in training and in evaluation;
# - choose an initialisation that keeps a deep network alive.
#
# **Time:** 40 minutes. **Builds on:** [01 · Data loading](01_data_loading.ipynb).
#
# A model is a function with numbers inside. This notebook is about the function; the next one is about how the numbers
# are found.

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

from course_utils import load_dataset, make_loaders, seed_everything

seed_everything(42)
data = load_dataset(os.environ.get("COURSE_DATASET", "digits"))
images, labels = next(iter(make_loaders(data, batch_size=64).train))
print("one batch:", tuple(images.shape))

# %% [markdown]
# ## A layer by hand
#
# `nn.Linear(784, 10)` holds a matrix of 10 x 784 weights and 10 biases. It multiplies and adds, nothing else. For
# pixels in a row it answers with ten numbers, one for each class: the *logits*.

# %%
digits = load_dataset("digits")  # shapes below are counted for 28x28 grey images
batch = torch.stack([digits.train[i][0] for i in range(64)])
rows = batch.flatten(start_dim=1)
linear = nn.Linear(784, 10)
by_hand = rows @ linear.weight.T + linear.bias
print(tuple(batch.shape), "->", tuple(rows.shape), "->", tuple(by_hand.shape))
print("the layer gives the same numbers:", torch.allclose(by_hand, linear(rows), atol=1e-5))

# %%
counted = 784 * 10 + 10
print(f"784 x 10 weights + 10 biases = {counted} = {sum(p.numel() for p in linear.parameters())}")

# %% [markdown]
# ## A model is a class
#
# A model inherits from `nn.Module`, makes its layers in `__init__` and says in `forward` what happens to the inputs.
# You call the model itself, `model(images)`, never `model.forward(images)`: the call does a little more than `forward`,
# as we shall see. Here is a network that many tutorials start with: 784-128-10.


# %%
class SimpleNet(nn.Module):
    def __init__(self, input_size=784, hidden_size=128, num_classes=10):
        super().__init__()
        self.fc1 = nn.Linear(input_size, hidden_size)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(hidden_size, num_classes)

    def forward(self, x):
        return self.fc2(self.relu(self.fc1(x)))


model = SimpleNet()
print(model)

# %%
by_hand = (784 * 128 + 128) + (128 * 10 + 10)
print("parameters by hand:", by_hand, " counted:", sum(p.numel() for p in model.parameters()))

# %% [markdown]
# Layers that simply follow one another need no class: `nn.Sequential` calls them in order. Here is a larger network,
# 784-512-512-10, with the flattening built in.

# %%
stack = nn.Sequential(
    nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
)
by_hand = (784 * 512 + 512) + (512 * 512 + 512) + (512 * 10 + 10)
print("parameters by hand:", by_hand, " counted:", sum(p.numel() for p in stack.parameters()))
print(tuple(stack(batch).shape))

# %% [markdown]
# ### Three mistakes
# A class without `forward` can be built, but not called.


# %%
class NoForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(784, 10)


try:
    NoForward()(rows)
except NotImplementedError as error:
    print(error)

# %% [markdown]
# Layers in a plain Python list are invisible to the module: the optimizer gets no parameters, `.to(device)` moves
# nothing, and saving saves nothing. `nn.ModuleList` is the list that a module sees.


# %%
class Lists(nn.Module):
    def __init__(self, container):
        super().__init__()
        self.layers = container([nn.Linear(784, 128), nn.Linear(128, 10)])


for container in (list, nn.ModuleList):
    print(
        f"{container.__name__}: {sum(p.numel() for p in Lists(container).parameters())} parameters"
    )

# %% [markdown]
# And an image that was not flattened. The error speaks of two matrices: the first is what came in (all leading
# dimensions multiplied, then the last), the second is the layer's weight. 28 is not 784: a `Flatten` is missing.

# %%
try:
    model(batch)
except RuntimeError as error:
    print(error)
print("flattened first:", tuple(model(batch.flatten(1)).shape))

# %% [markdown]
# ## Convolution
#
# A convolution slides a small window over the image and computes the same weighted sum everywhere, once for each output
# channel. A 3x3 window fits 26 times along 28 pixels, so 28x28 becomes 26x26.

# %%
conv = nn.Conv2d(in_channels=1, out_channels=32, kernel_size=3)
maps = torch.relu(conv(batch))
flat = nn.Flatten()(maps)
print(
    tuple(batch.shape[1:]),
    "->",
    tuple(maps.shape[1:]),
    "->",
    tuple(flat.shape[1:]),
    " since 32 x 26 x 26 =",
    32 * 26 * 26,
)
print("parameters:", 32 * 1 * 3 * 3 + 32, "=", sum(p.numel() for p in conv.parameters()))

# %% [markdown]
# Three more knobs change the size. `padding=1` adds a border of zeros, so that 28 stays 28; `stride=2` moves the window
# two pixels at a time; and `MaxPool2d(2)` keeps the largest value of every 2x2 square.

# %%
layers = {
    "kernel 3": nn.Conv2d(1, 1, 3),
    "kernel 3, padding 1": nn.Conv2d(1, 1, 3, padding=1),
    "kernel 3, stride 2": nn.Conv2d(1, 1, 3, stride=2),
    "MaxPool2d(2)": nn.MaxPool2d(2),
}
for name, layer in layers.items():
    print(f"{name:<20} 28 -> {layer(batch).shape[-1]}")

# %% [markdown]
# What can a 3x3 window see? Give it hand-made weights, which compare neighbours: one that compares left with right answers at vertical edges, one
# that compares top with bottom at horizontal ones. Training finds such windows by itself.

# %%
from course_utils.plots import plot_images

pictures = (
    torch.stack([digits.train.images[digits.train.labels == digit][0] for digit in (4, 7)]) / 255
)
edges = nn.Conv2d(1, 2, kernel_size=3, padding=1, bias=False)
vertical = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
with torch.no_grad():
    edges.weight.copy_(torch.stack([vertical, vertical.T]).unsqueeze(1))
    found = edges(pictures).abs() / 4
shown = torch.cat([pictures, found.clamp_max(1)], dim=1).flatten(0, 1)
plot_images(
    shown,
    ["digit", "vertical edges", "horizontal edges"] * 2,
    columns=6,
    title="What hand-made windows find",
    size=1.25,
    alt="Two handwritten digits, each followed by its vertical and its horizontal edges.",
)

# %% [markdown]
# Here is a network as you can find it in tutorials: convolution, ReLU, linear layer. The numbers are right, but nobody
# flattens, so the linear layer meets rows of 26.

# %%
without = nn.Sequential(nn.Conv2d(1, 32, 3, 1), nn.ReLU(), nn.Linear(32 * 26 * 26, 10))
try:
    without(batch)
except RuntimeError as error:
    print("without Flatten:", error)

with_flatten = nn.Sequential(
    nn.Conv2d(1, 32, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 26 * 26, 10)
)
print("with Flatten:", tuple(with_flatten(batch).shape))

# %% [markdown]
# So when does one flatten? Before every `Linear` that should see the whole image. A convolution *wants* the image
# unflattened: it is the linear layer that needs the flattening.
#
# `view(-1, 784)` also flattens, but it trusts you with the batch dimension. With the wrong number it cuts
# images up without an error; `flatten(start_dim=1)` cannot.

# %%
half_images = batch.view(-1, 392)
print(
    "64 images became",
    len(half_images),
    "rows, without an error;",
    "flatten(1) keeps",
    len(batch.flatten(1)),
)

# %% [markdown]
# ### The batch dimension
# Models take batches. One image (1, 28, 28) slips through a flattening network all the same, because its channel is
# taken for the batch. With three channels the accident ends in an error about rows that no longer fit.

# %%
print("one grey image, by accident:", tuple(stack(batch[0]).shape))
colour = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
try:
    colour(torch.zeros(3, 32, 32))
except RuntimeError as error:
    print("one colour image:", error)
print("a batch of one, on purpose:", tuple(stack(batch[0].unsqueeze(0)).shape))

# %% [markdown]
# ## Sizes from the data
#
# Counting 32 x 26 x 26 by hand is how mistakes are made. The models of `course_utils` take their sizes from the data
# set, and compare what comes in with what they were built for.

# %%
from course_utils import MLP, SmallCNN, count_parameters

mlp = MLP(data.input_shape, data.num_classes)
cnn = SmallCNN(data.input_shape, data.num_classes)
print("MLP:", tuple(mlp(images).shape), " SmallCNN:", tuple(cnn(images).shape))

# %%
digit_mlp = MLP(digits.input_shape, digits.num_classes)
for wrong in (torch.zeros(64, 3, 32, 32), torch.zeros(1, 28, 28)):
    try:
        digit_mlp(wrong)
    except ValueError as error:
        print("ValueError:", error)

# %% [markdown]
# With `hidden_dims=(128,)` it has as many parameters as `SimpleNet`; other widths and `dropout_p` make other networks.

# %%
sizes = {"(128,)": (128,), "(512, 512)": (512, 512), "()": ()}
for name, hidden_dims in sizes.items():
    print(
        f"hidden_dims={name:<11}"
        f"{count_parameters(MLP((1, 28, 28), 10, hidden_dims=hidden_dims)):>8,} parameters"
    )
print(MLP((1, 28, 28), 10, hidden_dims=(256, 64), dropout_p=0.2))

# %% [markdown]
# ### A summary
# `print(model)` shows what a model is made of, not what happens in it. A table of layers, shapes and parameters does.
# It is made with *hooks*: functions that PyTorch calls after each layer. By hand:

# %%
seen = []
hooks = [
    layer.register_forward_hook(
        lambda layer, inputs, output: seen.append((type(layer).__name__, tuple(output.shape)))
    )
    for layer in with_flatten
]
with_flatten(batch[:1])
for hook in hooks:
    hook.remove()
print(*seen, sep="\n")

# %% [markdown]
# `summarize` does that for any model, in evaluation mode, and removes its hooks again.

# %%
import pandas as pd

from course_utils import summarize

table = pd.DataFrame(summarize(SmallCNN((1, 28, 28), 10), batch[:1]))
table

# %%
print(
    "sum of the table:",
    table["parameters"].sum(),
    " count_parameters:",
    count_parameters(SmallCNN((1, 28, 28), 10)),
)
print("share in the last layer:", f"{table['parameters'].iloc[-1] / table['parameters'].sum():.0%}")

# %% [markdown]
# ## Activations
#
# Two linear layers in a row are one linear layer: a matrix times a matrix is a matrix. Only a function that is not
# linear, between them, makes the second one worth having.

# %%
first, second = nn.Linear(784, 128, bias=False), nn.Linear(128, 10, bias=False)
merged = second.weight @ first.weight
print(
    "two layers:",
    tuple(first.weight.shape),
    tuple(second.weight.shape),
    " one layer:",
    tuple(merged.shape),
)
print("the same function:", torch.allclose(second(first(rows)), rows @ merged.T, atol=1e-4))
print(
    "with ReLU between:",
    torch.allclose(second(torch.relu(first(rows))), rows @ merged.T, atol=1e-4),
)

# %% [markdown]
# ReLU cuts off what is negative. GELU, the usual choice in transformers, bends smoothly and lets a little through.

# %%
import matplotlib.pyplot as plt

from course_utils.plots import show

x = torch.linspace(-4, 4, 400)
figure, axis = plt.subplots(figsize=(5.5, 3))
axis.plot(x, torch.relu(x), label="ReLU")
axis.plot(x, nn.functional.gelu(x), label="GELU")
axis.set(title="Two activations", xlabel="input", ylabel="output")
axis.legend()
show(figure, alt="ReLU is zero left of 0 and the identity right of it; GELU follows it smoothly.")

# %%
normal = 0.5 * (1 + torch.erf(x / 2**0.5))  # the share of a normal distribution below x
print(
    "GELU(x) is x times that share:", torch.allclose(x * normal, nn.functional.gelu(x), atol=1e-6)
)
print(
    "GELU at -1:",
    round(nn.functional.gelu(torch.tensor(-1.0)).item(), 4),
    " ReLU at -1:",
    torch.relu(torch.tensor(-1.0)).item(),
)

# %% [markdown]
# ## Layers with two lives
#
# Dropout and BatchNorm do one thing in training and another in evaluation. `model.train()` and `model.eval()` switch
# between the two, and forgetting the switch is one of the most frequent bugs in PyTorch.
#
# ### Dropout
# In training it sets each value to zero with probability p and scales the others up by 1 / (1 - p), so that the mean
# stays. In evaluation it does nothing.

# %%
dropout = nn.Dropout(p=0.5)
ones = torch.ones(10_000)
torch.manual_seed(0)
trained = dropout.train()(ones)
print(
    "training: values",
    trained.unique().tolist(),
    f"  mean about 1: {abs(trained.mean().item() - 1) < 0.05}",
)
print("evaluation: unchanged", torch.equal(dropout.eval()(ones), ones))

# %%
network = MLP((1, 28, 28), 10, dropout_p=0.5)
print("train(), the same batch twice, equal:", torch.equal(network.train()(batch), network(batch)))
print("eval(),  the same batch twice, equal:", torch.equal(network.eval()(batch), network(batch)))

# %% [markdown]
# ### BatchNorm
# In training, BatchNorm standardises each channel with the mean and variance *of the current batch*. Then it multiplies
# by a learned weight and adds a learned bias, which are 1 and 0 at the start. By hand:

# %%
norm = nn.BatchNorm2d(32)
features = conv(batch).detach()
mean = features.mean(dim=(0, 2, 3), keepdim=True)
var = features.var(dim=(0, 2, 3), keepdim=True, correction=0)
by_hand = (features - mean) / (var + norm.eps).sqrt()
print("by hand equal to the layer:", torch.allclose(by_hand, norm.train()(features), atol=1e-4))
print("learned:", {name: tuple(p.shape) for name, p in norm.named_parameters()})

# %% [markdown]
# Meanwhile it keeps a running mean, one tenth of the way to the current batch each time. In evaluation it uses those
# statistics. So "`eval()` switches BatchNorm off", which you will often read, is wrong: it goes on, with other numbers.

# %%
norm = nn.BatchNorm2d(32)
before = norm.running_mean.clone()
norm.train()(features)
moved = norm.running_mean.clone()
print("running mean at the start: 0:", bool((before == 0).all()))
print(
    "after one batch: 0.1 x the batch's mean:",
    torch.allclose(moved, 0.1 * mean.flatten(), atol=1e-6),
)

# %%
evaluated = norm.eval()(features)
running = (features - moved.view(1, -1, 1, 1)) / (
    norm.running_var.view(1, -1, 1, 1) + norm.eps
).sqrt()
print("eval() leaves the inputs alone:         ", torch.allclose(evaluated, features))
print("eval() uses the running statistics:     ", torch.allclose(evaluated, running, atol=1e-4))
print("eval() does not move them:              ", torch.equal(norm.running_mean, moved))

# %% [markdown]
# A forgotten `eval()` therefore has two prices: answers that depend on who else is in the batch, and statistics that
# drift while you only wanted to look.

# %%
forgotten = nn.BatchNorm2d(32).train()
alone, together = forgotten(features[:1]), forgotten(features)[:1]
print("the same image alone and in company, equal:", torch.allclose(alone, together, atol=1e-3))
before = forgotten.running_mean.clone()
forgotten(features * 2)  # "only looking"
print("the statistics stayed where they were:     ", torch.equal(forgotten.running_mean, before))

# %% [markdown]
# For plain features there is a third price. `BatchNorm1d` with a batch of one sample sees one value for each feature, so
# there is no variance, and it refuses. (`BatchNorm2d` still has the pixels of that one image.)

# %%
try:
    nn.BatchNorm1d(10).train()(torch.zeros(1, 10))
except ValueError as error:
    print(error)

# %% [markdown]
# ### LayerNorm
# LayerNorm standardises each sample on its own, over its features. It needs no running statistics, so training and
# evaluation agree, and it works for a batch of one. Transformers use it for that reason.

# %%
layer_norm = nn.LayerNorm(784)
by_hand = (rows - rows.mean(1, keepdim=True)) / (
    rows.var(1, keepdim=True, correction=0) + layer_norm.eps
).sqrt()
print("by hand equal to the layer:  ", torch.allclose(by_hand, layer_norm(rows), atol=1e-4))
print(
    "train() and eval() agree:    ", torch.equal(layer_norm.train()(rows), layer_norm.eval()(rows))
)
print("alone and in company agree:  ", torch.allclose(layer_norm(rows[:1]), layer_norm(rows)[:1]))

# %% [markdown]
# ## Initialisation
#
# A layer adds up many terms. If its weights are too small, the signal shrinks from layer to layer; too large, and it
# explodes. Kaiming's rule, for ReLU, draws weights with variance 2 / n for n inputs; Xavier's uses 2 / (n + m), with m
# the number of outputs. What `nn.Linear` does by itself is smaller still: variance 1 / 3n. Thirty layers show the
# difference.


# %%
def signal(initialise, depth=30, width=256):
    """Return the standard deviation of the activations after each of ``depth`` layers with ReLU."""
    torch.manual_seed(0)
    x, spread = torch.randn(256, width), []
    for _ in range(depth):
        weight = torch.empty(width, width)
        initialise(weight)
        x = torch.relu(x @ weight.T)
        spread.append(x.std().item())
    return spread


schemes = {
    "normal, std 0.01": lambda weight: nn.init.normal_(weight, std=0.01),
    "normal, std 0.2": lambda weight: nn.init.normal_(weight, std=0.2),
    "nn.Linear's own": lambda weight: nn.init.kaiming_uniform_(weight, a=5**0.5),
    "Xavier": nn.init.xavier_normal_,
    "Kaiming": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
}
spreads = {name: signal(initialise) for name, initialise in schemes.items()}

# %%
figure, axis = plt.subplots(figsize=(7, 3.4))
for name, spread in spreads.items():
    axis.semilogy(range(1, 31), spread, label=name)
axis.set(
    title="The signal through 30 layers", xlabel="layer", ylabel="standard deviation (log scale)"
)
axis.legend(loc="lower left")
show(
    figure,
    alt="On a logarithmic scale, the signal stays level for Kaiming, falls for Xavier "
    "and faster for nn.Linear's own rule, collapses for 0.01 and explodes for 0.2.",
)

# %%
last = {name: spread[-1] for name, spread in spreads.items()}
print("std 0.01: the signal is gone (below 1e-20):", last["normal, std 0.01"] < 1e-20)
print("std 0.2: it has exploded (above 1e5):      ", last["normal, std 0.2"] > 1e5)
halving = (spreads["Xavier"][-1] / spreads["Xavier"][0]) ** (2 / 29)
print("Xavier: each layer about halves the variance:", 0.4 < halving < 0.6)
print("nn.Linear's own rule: smaller still:       ", last["nn.Linear's own"] < last["Xavier"])
print("Kaiming: still between 0.1 and 10:         ", 0.1 < last["Kaiming"] < 10)

# %% [markdown]
# Xavier's rule was made for activations that are straight around zero, such as tanh; ReLU throws half of the variance
# away, and the 2 / n of Kaiming's rule makes up for it. To give a whole model a rule, write a function for one layer and
# `apply` it to all. With three or four layers, or with BatchNorm between them, `nn.Linear`'s own rule is good enough.


# %%
def initialise(layer):
    if isinstance(layer, nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)


deep = MLP((1, 28, 28), 10, hidden_dims=[256] * 30)
shallow_signal = deep(batch).std().item()
deep.apply(initialise)
print(
    "the logits of a 30-layer network vary more with Kaiming:",
    deep(batch).std() > 10 * shallow_signal,
)

# %% [markdown]
# ## Device
#
# `.to(device)` moves all parameters. The same weights give the same logits on the processor and on a GPU, up to the
# rounding of a different order of additions.

# %% tags=["nbval-ignore-output"]
from course_utils import get_device

device = get_device()
if device.type == "cuda":
    cnn.eval()
    with torch.no_grad():
        on_cpu, on_gpu = cnn.cpu()(images), cnn.to(device)(images.to(device)).cpu()
    print("CPU and GPU agree:", torch.allclose(on_cpu, on_gpu, atol=1e-2))
else:
    print("No NVIDIA GPU here, so there is nothing to compare: everything runs on", device)

# %% [markdown]
# ## Your turn
#
# ### 1. The size after a convolution
# Write a function that takes the height (or width) of an image, and kernel size, stride and padding of a convolution, and
# returns the height (or width) of its output: whole numbers in, a whole number out.


# %% tags=["exercise"]
def conv_size(size, kernel_size, stride=1, padding=0):
    # your code here
    ...


# %% tags=["check"]
from checks import model_building

model_building.conv_size(conv_size)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def conv_size(size, kernel_size, stride=1, padding=0):
#     return (size + 2 * padding - kernel_size) // stride + 1
# ```
#
# The window's first position counts too: hence the + 1. What does not fill a whole stride is cut off: hence //.
# </details>

# %% [markdown]
# ### 2. Repair a network
# This network has three faults: it forgets something in `__init__`, its layers do not fit, and it turns its logits
# into probabilities, although `CrossEntropyLoss` wants logits. Repair it for images (1, 28, 28) and ten classes.


# %% tags=["exercise"]
class Repaired(nn.Module):
    def __init__(self):
        self.conv = nn.Conv2d(1, 8, kernel_size=3)
        self.fc = nn.Linear(8 * 28 * 28, 10)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        return self.fc(x).softmax(dim=1)


# %% tags=["check"]
model_building.repaired(Repaired)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# import torch
# from torch import nn
#
# class Repaired(nn.Module):
#     def __init__(self):
#         super().__init__()
#         self.conv = nn.Conv2d(1, 8, kernel_size=3)
#         self.fc = nn.Linear(8 * 26 * 26, 10)
#
#     def forward(self, x):
#         x = torch.relu(self.conv(x))
#         return self.fc(x.flatten(start_dim=1))
# ```
# </details>

# %% [markdown]
# ### 3. Dropout by hand
# Write dropout for training. It takes a float tensor of any shape and a `p` from 0 to below 1, and returns a new tensor of
# that shape: each value is 0 with probability `p`, drawn anew in each call, and the others are scaled so that the mean
# stays what it was on average.


# %% tags=["exercise"]
def dropout_by_hand(x, p):
    # your code here
    ...


# %% tags=["check"]
model_building.dropout_by_hand(dropout_by_hand)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# import torch
#
# def dropout_by_hand(x, p):
#     keep = torch.rand_like(x) >= p
#     return x * keep / (1 - p)
# ```
# </details>

# %% [markdown]
# ## Recap
#
# - A model is an `nn.Module`: layers in `__init__`, the computation in `forward`, batches in, logits out.
# - Linear layers want rows: flatten everything but the batch. Convolutions want images.
# - Take sizes from the data, and let the model say what it was built for.
# - Dropout and BatchNorm change with `train()` and `eval()`; LayerNorm does not. `eval()` does not switch BatchNorm off.
# - Weights start random, at a scale that keeps the signal level: Kaiming for ReLU.
#
# **Next:** [03 · The training loop](03_training_loop.ipynb): how the numbers inside are found.
