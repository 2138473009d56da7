# %% [markdown]
# # 14 · Export and serving: the model leaves the notebook
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/14_export_and_serving.ipynb)
#
# **After this notebook you can**
# - hand over a model with everything that must not be guessed: its scale, its classes, its mode;
# - turn it into a file that runs without your code, with `torch.export` or as ONNX, for batches of any size;
# - run that file in onnxruntime and OpenVINO, prove that the answers are the same, and compare speed fairly;
# - store weights in eight bits, and say when that costs nothing and when it costs everything;
# - put the model behind HTTP so that bad requests get a sentence and simultaneous requests share one call;
# - read a Dockerfile line by line, and try its commands without Docker.
#
# **Time:** 75 minutes. **Builds on:** [06 · Saving and resuming](06_saving_and_resuming.ipynb).
#
# In a notebook, the person who calls the model is the one who trained it. From here on it is somebody else: a program,
# on another machine, next year. Whatever you knew and did not write down is lost on the way.

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
    if importlib.util.find_spec("onnx") is None:
        steps += [f"{sys.executable} -m pip install --quiet onnx onnxscript"]
    if importlib.util.find_spec("onnxruntime") is None:
        steps += [f"{sys.executable} -m pip install --quiet onnxruntime"]
    if importlib.util.find_spec("openvino") is None:
        steps += [f"{sys.executable} -m pip install --quiet openvino"]
    if importlib.util.find_spec("httpx2") is None:
        steps += [f"{sys.executable} -m pip install --quiet httpx2 fastapi uvicorn"]
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
import atexit
import contextlib
import copy
import io
import json
import logging
import os
import socket
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch
from torch import nn

from course_utils import MLP, SmallCNN, fit, get_device, predict, seed_everything
from course_utils import load_dataset, make_loaders

device = get_device()
data = load_dataset(os.environ.get("COURSE_DATASET", "digits"))
loaders = make_loaders(data)
loss_fn = nn.CrossEntropyLoss()
folder = Path(tempfile.mkdtemp())  # everything that this notebook writes goes here

# %% [markdown]
# All numbers below are of the validation part: which file to ship is a choice, and the test part is not for choices.

# %% tags=["nbval-ignore-output"]
seed_everything(42)
model = SmallCNN(data.input_shape, data.num_classes, dropout_p=0.3).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
history = fit(model, loaders.train, loaders.val, loss_fn, optimizer, epochs=4)

# %%
images, labels = data.val.images, data.val.labels  # as they are in the files: bytes, 0 to 255
print("it learned:", history.val[-1].accuracy > 0.85)
print("images:", tuple(images.shape[1:]), images.dtype)

# %% [markdown]
# ## What the weights do not say
#
# Notebook 06 saved a `state_dict` and loaded it again with three precautions: a model that was built first,
# `map_location="cpu"` for a machine without your GPU, `weights_only=True` against files that run code. There is a fourth.

# %%
torch.save(model.state_dict(), folder / "weights.pt")
weights = torch.load(folder / "weights.pt", map_location="cpu", weights_only=True)
served = SmallCNN(data.input_shape, data.num_classes, dropout_p=0.3)
print(served.load_state_dict(weights))
print("a new module is in training mode:", served.training)

# %% [markdown]
# ### Mistake: a service in training mode
# A module that was just built is in training mode, whatever its weights have been through. In that mode Dropout draws and
# BatchNorm looks at the neighbours in the batch. Here one and the same image is asked three times: alone, alone again, and
# in the company of others.


# %%
def scaled(pixels):
    """Return uint8 images (N, C, H, W) as this model was trained to see them."""
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (data.mean, data.std))
    return (pixels.float() / 255 - mean) / std


seed_everything(0)
with torch.inference_mode():
    alone, again = served(scaled(images[:1]))[0], served(scaled(images[:1]))[0]
    in_company = served(scaled(images[:8]))[0]
print("asked twice, the same answer:", torch.equal(alone, again))
print("alone and in company, the same:", torch.allclose(alone, in_company, atol=1e-3))

# %% [markdown]
# Worse, the requests now change the model. BatchNorm takes what it sees into its running statistics, `inference_mode` or
# not. Suppose a client sends 100 batches of negatives, dark ink and light paper exchanged. After that somebody notices,
# and calls `eval`.

# %%
with torch.inference_mode():
    before = (served.eval()(scaled(images)).argmax(1) == labels).float().mean().item()
    served.train()
    for _ in range(100):
        served(scaled(255 - images[:16]))
    after = (served.eval()(scaled(images)).argmax(1) == labels).float().mean().item()
print("right answers before the negatives, above 85%:", before > 0.85)
print("after them, on ordinary images, at least 10 points fewer:", after < before - 0.1)

# %% [markdown]
# Nobody trained, no error was raised, and the model is broken for everybody until it is loaded again. In evaluation mode
# none of this can happen: `eval()` belongs to loading.

# %%
served.load_state_dict(weights)
served.eval()
with torch.inference_mode():
    alone, in_company = served(scaled(images[:1]))[0], served(scaled(images[:8]))[0]
print("alone and in company, the same:", torch.allclose(alone, in_company, atol=1e-4))

# %% [markdown]
# ## The same pixels, scaled differently
#
# The commonest fault between training and serving has no error message either: the service prepares its inputs a little
# differently. It is called *training/serving skew*. Each of these is a line that somebody wrote in good faith.

# %%
mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (data.mean, data.std))
raw = images.float()
versions = {
    "as in training": scaled(images),
    "not standardised": raw / 255,
    "scaled to [-1, 1]": raw / 127.5 - 1,
    "never divided by 255": (raw - mean) / std,
    "divided by 255 twice": (raw / 255 / 255 - mean) / std,
    "rows and columns swapped": scaled(images.transpose(2, 3)),
    "a negative (255 - pixel)": scaled(255 - images),
}

# %% tags=["nbval-ignore-output"]
import pandas as pd

found = {}
for name, inputs in versions.items():
    with torch.inference_mode():
        shares = served(inputs).softmax(1)
    right = (shares.argmax(1) == labels).float().mean().item()
    found[name] = {"right": right, "mean confidence": shares.amax(1).mean().item()}
pd.DataFrame(found).T.round(3)

# %%
import matplotlib.pyplot as plt

from course_utils.plots import show

grey, blue, orange, pale = "#717581", "#3f90da", "#e76300", "#92dadd"
figure, axis = plt.subplots(figsize=(7.2, 3.4))
for place, result in enumerate(reversed(found.values())):
    axis.plot([result["right"], result["mean confidence"]], [place, place], color=pale, zorder=1)
    axis.scatter(result["right"], place, color=blue, label="right answers" if not place else None)
    claim = "how sure it says it is" if not place else None
    axis.scatter(result["mean confidence"], place, color=orange, marker="D", label=claim)
axis.set_yticks(range(len(found)), list(reversed(found)))
axis.set(
    title="Seven ways to prepare the same images",
    xlabel="share of images, or probability",
    xlim=(-0.03, 1.03),
)
axis.legend(loc="upper center", bbox_to_anchor=(0.45, -0.2), ncols=2)
show(
    figure,
    alt="For seven ways to scale the same images: the share of right answers and the mean "
    "confidence. They agree only for the scaling of training. Swapped axes are nearly always "
    "wrong and sure; pixels never divided by 255 are mostly right with a confidence of 1.",
)

# %% [markdown]
# In words. (Trained from four other seeds, all of these sentences were true, too.)

# %%
right = {name: result["right"] for name, result in found.items()}
sure = {name: result["mean confidence"] for name, result in found.items()}
print("not standardised: fewer right:", right["not standardised"] < right["as in training"] - 0.01)
print("and far less sure:", sure["not standardised"] < sure["as in training"] - 0.15)
print("divided twice: no better than guessing:", right["divided by 255 twice"] < 0.2)
print("negatives: worse than guessing:", right["a negative (255 - pixel)"] < 0.1)
swapped = "rows and columns swapped"
print("swapped: wrong and sure:", right[swapped] < 0.3 and sure[swapped] > 0.85)
never = "never divided by 255"
print("never divided: nearly as right:", right[never] > right["as in training"] - 0.05)
print("but sure of everything:", sure[never] > 0.99)

# %% [markdown]
# Look at the fourth row. Its accuracy is fine: 255 times larger pixels give about 255 times larger logits, and the
# largest stays the largest. A test of accuracy passes, and every probability that the service reports is a lie. So compare
# *logits* between training and service, not accuracy. Swapped axes are the other extreme: nearly always wrong, and sure.
#
# ### The cure: one file, pixels in, logits out
# Do not describe the scaling to those who serve: make it a part of the model. Two buffers and one line are enough. The
# module below takes what is in an image file, `uint8`, and nothing else is left to be done outside.


# %%
class WithScaling(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(data.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(data.std).view(-1, 1, 1))

    def forward(self, pixels):
        return self.model((pixels.float() / 255 - self.mean) / self.std)


whole = WithScaling(served).eval()
with torch.inference_mode():
    logits = whole(images)
training_logits = predict(served, loaders.val).logits  # scaled by the data set, as in training
print("the logits of training:", torch.allclose(logits, training_logits, atol=1e-3))
print("new in the state_dict:", [name for name in whole.state_dict() if "." not in name])

# %% [markdown]
# `course_utils` keeps all this in a *bundle*, a folder with the weights, a description (architecture, shape, class names,
# mean and std, the checksum of the weights) and the model card. `load_bundle` builds the model from it, fills it and calls
# `eval`; there is nothing to remember. `python -m course_utils train` writes the same folder.

# %%
from course_utils.bundles import Bundle, Description, load_bundle, save_bundle

description = Description(
    architecture="SmallCNN",
    options={"dropout_p": 0.3},
    input_shape=data.input_shape,
    class_names=data.class_names,
    mean=data.mean,
    std=data.std,
    dataset=data.name,
    seed=42,
)
about = f"The training part of load_dataset({data.name!r}); metrics of its validation part."
metrics = {"validation accuracy": history.val[-1].accuracy}
limits = "Tested on images of the same source alone."
save_bundle(
    folder / "first", Bundle(model, description), data=about, metrics=metrics, limits=limits
)
bundle = load_bundle(folder / "first")
print(sorted(path.name for path in (folder / "first").iterdir()))

# %%
print("the same logits as by hand:", torch.equal(bundle.logits(images), logits))
try:
    bundle.logits(images.float() / 255)  # somebody has scaled already
except ValueError as error:
    print(error)

# %% [markdown]
# Skew has become an error with a sentence. Only what looks like proper pixels gets through: a negative still does, and no
# code can know. [15 · In production](15_in_production.ipynb) watches for that.
#
# ## torch.export: the computation without the code
#
# A bundle still needs Python and `course_utils` on the other side. `torch.export` runs the model once on an example with
# placeholders in place of numbers, and writes down every operation: a graph, with the weights.

# %%
example = torch.randint(0, 256, (1, *data.input_shape), dtype=torch.uint8)
program = torch.export.export(whole, (example,))
calls = [node for node in program.graph.nodes if node.op == "call_function"]
print([node.target.__name__.partition(".")[0] for node in calls])

# %% [markdown]
# There they are: your scaling, two blocks of four, the classifier. `Module`, `Sequential`, and `if` are gone.
#
# ### Mistake: exported for one
# The example had a batch of 1. Every size that you do not declare free is nailed down.

# %%
try:
    program.module()(images[:2])
except Exception as error:
    print(type(error).__name__, "-", error)

# %% [markdown]
# Declare it with `Dim`, and give an example of *two* or more. For torch.export 0 and 1 are special, because so many
# operations treat them specially (broadcasting, above all); from an example of 1 it concludes that 1 was meant.

# %%
batch = torch.export.Dim("batch")
try:
    torch.export.export(whole, (example,), dynamic_shapes={"pixels": {0: batch}})
except Exception as error:
    print(type(error).__name__, "-", str(error).splitlines()[0].partition("!")[0])
pair = example.expand(2, -1, -1, -1)
program = torch.export.export(whole, (pair,), dynamic_shapes={"pixels": {0: batch}})
exported = program.module()
for size in (1, 2, 7, len(images)):
    print(f"batch of {size}:", torch.allclose(exported(images[:size]), logits[:size], atol=1e-4))

# %% [markdown]
# ### Mistake: exported in training mode
# The mode is a Python value, so the graph has it built in: nothing on the other side can call `eval` any more. The last
# line but one shows something else. Until it is saved, an exported program shares its tensors with the model that it came
# from, as a `state_dict` does: what changes one changes the other.

# %%
forgotten = copy.deepcopy(whole).train()
stuck = torch.export.export(forgotten, (pair,), dynamic_shapes={"pixels": {0: batch}}).module()
statistics = forgotten.model.features[0][1].running_mean
kept = statistics.clone()
with torch.no_grad():
    one, two = stuck(images[:4]), stuck(images[:4])
print("asked twice, the same answer:", torch.allclose(one, two, atol=1e-3))
print("the statistics of the model itself have stayed:", torch.equal(statistics, kept))
try:
    stuck.eval()
except NotImplementedError as error:
    print("eval() afterwards:", error)

# %% [markdown]
# ### A branch that depends on the numbers
# An `if` on a shape or on an option is decided while exporting, and that is right. An `if` on the *numbers* must be decided
# at each call. This module mends negatives: where the picture is mostly bright, it is turned round. torch.export refuses
# it. (Exporters talk a lot about themselves. `quietly` keeps that out of this page; in your own work, read it.)


# %%
@contextlib.contextmanager
def quietly():
    nowhere = io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


# %%
class Mend(nn.Module):
    def forward(self, shares):
        if shares.mean() > 0.5:
            return 1 - shares
        return shares


dark, bright = torch.full((2, 2), 0.1), torch.full((2, 2), 0.9)
try:
    with quietly():
        torch.export.export(Mend(), (dark,))
except Exception as error:
    print(type(error).__name__, "-", str(error).split(" (")[0])

# %% [markdown]
# `torch.where` computes both and takes one, and is an ordinary operation of the graph.


# %%
class MendWithWhere(nn.Module):
    def forward(self, shares):
        return torch.where(shares.mean() > 0.5, 1 - shares, shares)


mended = torch.export.export(MendWithWhere(), (dark,)).module()
print("a dark picture stays:", torch.equal(mended(dark), dark))
print("a bright one is turned:", torch.allclose(mended(bright), dark))

# %% [markdown]
# ### TorchScript, the predecessor
# You will meet `torch.jit.trace` and `torch.jit.script` in older code. Give `trace` the branch from above:

# %%
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    traced = torch.jit.trace(Mend(), dark)
print(next(str(w.message) for w in said if issubclass(w.category, FutureWarning)))
print("a bright picture is turned:", torch.allclose(traced(bright), dark))
print("it comes back as it was:", torch.equal(traced(bright), bright))

# %% [markdown]
# It kept the way that the example took, for ever, and gave a file. For a model without branches it is right, so old files
# are not wrong for being old; but PyTorch has declared it deprecated. Load them, check them, export them anew.

# %%
with quietly():
    old = torch.jit.trace(whole, pair)
    torch.jit.save(old, folder / "old.pt")
    old = torch.jit.load(folder / "old.pt", map_location="cpu")
print("without branches, the same logits:", torch.allclose(old(images), logits, atol=1e-4))

# %% [markdown]
# ### A file that needs nothing of yours
# `torch.export.save` writes a `.pt2` file. To see that it needs no class of ours, open it in another process that cannot
# even see the course (`-I` isolates Python from this folder), and compare.

# %%
import subprocess

import numpy as np

torch.export.save(program, folder / "model.pt2")
np.save(folder / "images.npy", images.numpy())
elsewhere = """
import sys, numpy, torch
program = torch.export.load("model.pt2")
logits = program.module()(torch.from_numpy(numpy.load("images.npy")))
numpy.save("logits.npy", logits.detach().numpy())
print("course_utils was imported there:", "course_utils" in sys.modules)
"""
command = [sys.executable, "-I", "-c", elsewhere]
done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
print(done.stdout.strip())
theirs = torch.from_numpy(np.load(folder / "logits.npy"))
print("the same logits:", torch.allclose(theirs, logits, atol=1e-4))

# %% [markdown]
# ## ONNX: the computation without PyTorch
#
# ONNX is a file format for such graphs that many programs read, in C++, C#, Java or a browser. `torch.onnx.export` with
# `dynamo=True` is built on `torch.export`, so everything above holds for it. (Older examples use another exporter,
# `dynamo=False` with `dynamic_axes=`, which is built on TorchScript tracing.)

# %%
import onnx

with quietly():
    torch.onnx.export(
        whole,
        (pair,),
        folder / "by_hand.onnx",
        dynamo=True,
        external_data=False,  # weights inside: one file to copy, up to 2 GB
        dynamic_shapes={"pixels": {0: batch}},
        input_names=["inputs"],
        output_names=["logits"],
    )
graph = onnx.load(folder / "by_hand.onnx").graph
print([node.op_type for node in graph.node])
sizes = [d.dim_param or d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
print(graph.input[0].name, sizes, onnx.TensorProto.DataType.Name(2))

# %% [markdown]
# Where are the BatchNorms? The exporter has multiplied them into the convolutions: in evaluation mode they are one factor
# and one shift for each channel. Dropout is gone, too.
#
# `onnxruntime` runs the file. It has never heard of PyTorch: NumPy in, NumPy out.

# %%
import onnxruntime

session = onnxruntime.InferenceSession(folder / "by_hand.onnx", providers=["CPUExecutionProvider"])
(theirs,) = session.run(["logits"], {"inputs": images.numpy()})
print(type(theirs).__name__, theirs.dtype, theirs.shape[1:])
print("within 0.001 of ours:", np.abs(theirs - logits.numpy()).max() < 1e-3)
print("the same class for every image:", (theirs.argmax(1) == logits.argmax(1).numpy()).all())

# %% [markdown]
# Not equal to the last bit: another library adds in another order. Demand what is meant, a small difference in logits
# *and* the same classes.
#
# `export_bundle` does all of this for a bundle, and writes the file whole or not at all. In a terminal:
# `python -m course_utils export runs/first --to model.onnx`.

# %%
from course_utils.exporting import export_bundle

export_bundle(bundle, folder / "model.onnx", kind="onnx")
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(folder / "model.onnx", options)
(again,) = session.run(None, {"inputs": images.numpy()})
print("the same as by hand:", np.allclose(again, theirs, atol=1e-4))

# %% [markdown]
# ### OpenVINO, and what it does unasked
# OpenVINO is Intel's runtime for its processors, and reads ONNX files, too. Compare it as it comes:

# %% tags=["nbval-ignore-output"]
import openvino

as_it_comes = openvino.compile_model(folder / "model.onnx", "CPU")
difference = np.abs(as_it_comes(images.numpy())[0] - logits.numpy()).max()
print("computes in", as_it_comes.get_property("INFERENCE_PRECISION_HINT").get_type_name())
print(f"largest difference between logits: {difference:.6f}")

# %% [markdown]
# On a processor that has instructions for `bfloat16`, it uses them without being asked: faster, with two to three
# decimal digits. On the machine that made this page the logits differ by some hundredths for that reason; on another the
# same line gives 0.00001. Say which one you want. For a comparison that holds everywhere:

# %%
exactly = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
compiled = openvino.compile_model(folder / "model.onnx", "CPU", exactly)
theirs = compiled(images.numpy())[0]
print("within 0.001 of ours:", np.abs(theirs - logits.numpy()).max() < 1e-3)
print("the same class for every image:", (theirs.argmax(1) == logits.argmax(1).numpy()).all())

# %% [markdown]
# ### Which is fastest?
# Three rules for timing. Warm up: the first calls allocate and choose. Take the median: a mean is ruined by one
# interruption. Give every engine the same number of threads, here one; by default each takes all it can get.


# %%
def milliseconds(call, repeats=40):
    """Return the median time of a call, after five that do not count."""
    times = []
    for _ in range(repeats + 5):
        started = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - started))
    return sorted(times[5:])[repeats // 2]


engines = {
    "PyTorch": (lambda x: bundle.logits(torch.from_numpy(x)).numpy(), "first/model.safetensors"),
    "torch.export": (lambda x: exported(torch.from_numpy(x)).detach().numpy(), "model.pt2"),
    "onnxruntime": (lambda x: session.run(None, {"inputs": x})[0], "model.onnx"),
    "OpenVINO": (lambda x: compiled(x)[0], "model.onnx"),
}

# %% tags=["nbval-ignore-output"]
threads = torch.get_num_threads()
torch.set_num_threads(1)
rows, pixels = {}, images.numpy()
for name, (run, file) in engines.items():
    answers = run(pixels)
    rows[name] = {
        "largest difference": np.abs(answers - logits.numpy()).max(),
        "same classes": (answers.argmax(1) == logits.argmax(1).numpy()).all(),
        "1 image, ms": milliseconds(lambda run=run: run(pixels[:1])),
        "64 images, ms": milliseconds(lambda run=run: run(pixels[:64])),
        "file, kB": (folder / file).stat().st_size / 1000,
    }
torch.set_num_threads(threads)
pd.DataFrame(rows).T

# %% [markdown]
# First the answers. A runtime is compared before it is timed: a wrong answer is always fast.

# %%
for name, row in rows.items():
    close = row["largest difference"] < 1e-3
    print(f"{name}: within 0.001: {close}; the same classes: {row['same classes']}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 2.6), sharey=True)
for axis, column, images_in_call in zip(
    axes, ["1 image, ms", "64 images, ms"], [1, 64], strict=True
):
    heights = [rows[name][column] / images_in_call for name in rows]
    bars = axis.barh(list(rows), heights, color=[grey, grey, blue, blue])
    axis.bar_label(bars, fmt="%.3f", padding=3, fontsize=9)
    axis.set(title=f"Images in a call: {images_in_call}", xlabel="ms for each image, one thread")
    axis.set_xlim(0, 1.25 * max(heights))
    axis.grid(visible=False)
axes[0].invert_yaxis()
show(
    figure,
    alt="Milliseconds for each image with PyTorch, torch.export, onnxruntime and OpenVINO: "
    "on the left in calls with one image, on the right in calls with 64.",
)

# %% [markdown]
# The order depends on model and machine, so time your own. Here the two runtimes are several times faster, in small calls
# and in large ones: their graph is shorter (BatchNorm is gone), and their convolution and pooling are written for this.
# `torch.export` alone gains next to nothing, because PyTorch runs the same operations in the end; it is a way to others.
#
# ### TensorRT, on NVIDIA's GPUs
# TensorRT compiles a graph for one kind of GPU. `torch_tensorrt` takes the exported program; it wants to know the smallest,
# the usual and the largest batch, because it tunes for them. It is a large package of its own, not part of the course.

# %%
if device.type == "cuda" and importlib.util.find_spec("torch_tensorrt"):
    import torch_tensorrt

    shapes = {
        name: (n, *data.input_shape)
        for name, n in zip(("min", "opt", "max"), (1, 16, 64), strict=True)
    }
    sizes = {f"{name}_shape": shape for name, shape in shapes.items()}
    on_gpu = copy.deepcopy(whole).cuda()
    gpu_program = torch.export.export(on_gpu, (pair.cuda(),), dynamic_shapes={"pixels": {0: batch}})
    inputs = [torch_tensorrt.Input(**sizes, dtype=torch.uint8)]
    engine = torch_tensorrt.dynamo.compile(gpu_program, inputs=inputs)
    theirs = engine(images[:64].cuda()).cpu()
    print("within 0.01 of ours:", (theirs - logits[:64]).abs().max().item() < 0.01)
else:
    print("TensorRT needs an NVIDIA GPU and the package torch_tensorrt: skipped.")

# %% [markdown]
# ## Eight bits
#
# A float32 weight takes four bytes. Divide all weights of a matrix by one number, the *scale*, so that the largest becomes
# 127; round; keep them as `int8`. One byte each, and the scale. Multiplied back, no weight is off by more than half a
# step.

# %%
weight = torch.tensor([[0.635, -1.27, 0.008], [0.02, 0.0149, -0.0201]])
scale = weight.abs().max() / 127
whole_numbers = (weight / scale).round().to(torch.int8)
restored = whole_numbers * scale
print("scale:", round(scale.item(), 4))
print(whole_numbers.tolist())
print([[round(x, 4) for x in row] for row in restored.tolist()])
print("at most half a step off:", bool(((restored - weight).abs() <= scale / 2 + 1e-7).all()))

# %% [markdown]
# Half a step is little for the first row and much for the second, which had three different numbers and has only one size
# left. That is the fault of the scale, which is large because of another row. So give each row its own:

# %%
scales = weight.abs().amax(1, keepdim=True) / 127
print((weight / scales).round().to(torch.int8).tolist())

# %% [markdown]
# *Dynamic* quantisation does the same to the inputs of each layer, with a scale measured anew in each call. Then the whole
# product is one of integers, and the scales are multiplied in at the end. (*Static* quantisation measures the inputs' scales
# once, on examples.) To try it, a network of large matrices:

# %% tags=["nbval-ignore-output"]
seed_everything(0)
mlp = MLP(data.input_shape, data.num_classes, hidden_dims=(1024, 1024)).to(device)
adam = torch.optim.AdamW(mlp.parameters(), lr=1e-3)
mlp_history = fit(mlp, loaders.train, loaders.val, loss_fn, adam, epochs=3)
mlp = mlp.cpu().eval()

# %%
layer, inputs = mlp.layers[1], scaled(images).flatten(1)
input_scale = inputs.abs().max() / 127
row_scales = layer.weight.detach().abs().amax(1, keepdim=True) / 127
input_int8 = (inputs / input_scale).round().to(torch.int8)
weight_int8 = (layer.weight.detach() / row_scales).round().to(torch.int8)
sums = input_int8.int() @ weight_int8.int().T  # int8 times int8, added up in int32
outputs = sums * input_scale * row_scales.T + layer.bias.detach()
want = layer(inputs).detach()
print(sums.dtype, tuple(sums.shape[1:]))
print("relative error below 2%:", ((outputs - want).norm() / want.norm()).item() < 0.02)

# %% [markdown]
# ### When it costs everything
# A ReLU network has a freedom that nobody sees: multiply a hidden unit's incoming weights by 300 and divide its outgoing
# ones by 300, and it computes the same function. Here that is done to one unit of 1,024 in each hidden layer. Then both
# networks are rounded to 2 to 8 bits, with one scale a matrix and with one a row.


# %%
def rounded(network, bits, per_row):
    """Return a copy whose Linear weights are rounded to so many bits."""
    network, top = copy.deepcopy(network), 2 ** (bits - 1) - 1
    for part in network.modules():
        if isinstance(part, nn.Linear):
            w = part.weight.data
            scale = (w.abs().amax(1, keepdim=True) if per_row else w.abs().max()) / top
            part.weight.data = (w / scale).round() * scale
    return network


@torch.inference_mode()
def share_right(network):
    return (network(scaled(images)).argmax(1) == labels).float().mean().item()


uneven = copy.deepcopy(mlp)
for before_it, after_it in ((1, 3), (3, 5)):  # positions of the Linear layers
    uneven.layers[before_it].weight.data[0] *= 300
    uneven.layers[before_it].bias.data[0] *= 300
    uneven.layers[after_it].weight.data[:, 0] /= 300

# %% tags=["nbval-ignore-output"]
networks = {"as trained": mlp, "one unit times 300": uneven}
costs = {
    (name, kind): [share_right(rounded(network, bits, kind == "a row")) for bits in range(2, 9)]
    for name, network in networks.items()
    for kind in ("a matrix", "a row")
}
table = pd.DataFrame(costs, index=[f"{bits} bits" for bits in range(2, 9)]).round(3)
table

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3.1), sharey=True)
for axis, name in zip(axes, networks, strict=True):
    for kind, color, marker in (("a matrix", orange, "s"), ("a row", blue, "o")):
        heights = costs[name, kind]
        axis.plot(range(2, 9), heights, color=color, marker=marker, label=f"one scale {kind}")
    axis.axhline(share_right(mlp), color=grey, linestyle=":", label="float32")
    axis.set(title=name.capitalize(), xlabel="bits for each weight", ylim=(0, 1.03))
axes[0].set_ylabel("right answers (share)")
axes[0].legend(loc="lower right")
show(
    figure,
    alt="Share of right answers against bits for each weight. Left, the network as trained: "
    "from 4 bits on as good as float32. Right, the same function with one unit 300 times "
    "larger: the same with a scale for each row, 10% at any bits with one for the matrix.",
)

# %% [markdown]
# On the left, eight bits and even four cost nothing. On the right stands the same function, and with one scale for the
# matrix it is lost at any number of bits: the scale is made for the one large unit, and all others round to 0.

# %%
with torch.inference_mode():
    same = torch.allclose(uneven(scaled(images)), mlp(scaled(images)), atol=1e-3)
full = share_right(mlp)
print("in float32 both are the same function:", same)
print(
    "8 bits, as trained, within 2 points:", abs(costs["as trained", "a matrix"][-1] - full) < 0.02
)
print(
    "8 bits, uneven, one scale a matrix: ruined:", costs["one unit times 300", "a matrix"][-1] < 0.3
)
print(
    "8 bits, uneven, one scale a row:", abs(costs["one unit times 300", "a row"][-1] - full) < 0.03
)

# %% [markdown]
# So "int8 costs half a point" is no law. It depends on how unequal the weights are, and you have to measure it on the
# network that you ship.
#
# ### The library's int8
# onnxruntime quantises an ONNX file. First the step that its documentation asks for, which simplifies the graph and infers
# shapes anew; without it, files of the current exporter are refused. `per_channel=True` is one scale a row.

# %%
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process

mlp_description = Description(
    **{**vars(description), "architecture": "MLP", "options": {"hidden_dims": [1024, 1024]}}
)
mlp_bundle = Bundle(mlp, mlp_description)
export_bundle(mlp_bundle, folder / "mlp.onnx", kind="onnx")
with quietly():
    quant_pre_process(folder / "mlp.onnx", folder / "ready.onnx")
    int8 = {"weight_type": QuantType.QInt8, "per_channel": True}
    quantize_dynamic(folder / "ready.onnx", folder / "mlp_int8.onnx", **int8)
used = {node.op_type for node in onnx.load(folder / "mlp_int8.onnx").graph.node}
print(sorted(name for name in used if "Integer" in name or "Quantize" in name))

# %% tags=["nbval-ignore-output"]
comparison, answers = {}, {}
for name in ("mlp.onnx", "mlp_int8.onnx"):
    run = onnxruntime.InferenceSession(folder / name, options).run
    answers[name] = torch.from_numpy(run(None, {"inputs": pixels})[0])
    comparison[name] = {
        "file, MB": (folder / name).stat().st_size / 1e6,
        "right": (answers[name].argmax(1) == labels).float().mean().item(),
        "1 image, ms": milliseconds(lambda run=run: run(None, {"inputs": pixels[:1]})),
        "64 images, ms": milliseconds(lambda run=run: run(None, {"inputs": pixels[:64]})),
    }
pd.DataFrame(comparison).T.round(3)

# %%
float32, eight = answers["mlp.onnx"].argmax(1), answers["mlp_int8.onnx"].argmax(1)
size = [comparison[name]["file, MB"] for name in comparison]
print("a quarter of the size:", 3.8 < size[0] / size[1] < 4.1)
print("classes that changed, at most 1 in 100:", (float32 != eight).float().mean().item() <= 0.01)

# %% [markdown]
# Count *changed answers*, not the difference of two accuracies: changes in both directions cancel there. And mind the size
# of your sample: if none of `n` answers changed, up to `3 / n` of all may still change (the rule of three, 95%).

# %%
print(f"none of {len(images)} changed would still allow {3 / len(images):.1%}")

# %% [markdown]
# ## A service, by hand
#
# Now for somebody who has no Python at all: HTTP. FastAPI turns a function into an address. `TestClient` calls it without
# a network.

# %%
from fastapi import FastAPI
from fastapi.testclient import TestClient

app = FastAPI()


@app.post("/predict")
def answer(body: dict):
    batch = torch.tensor(body["images"], dtype=torch.uint8)
    return {"labels": [data.class_names[number] for number in bundle.logits(batch).argmax(1)]}


naive = TestClient(app, raise_server_exceptions=False)
response = naive.post("/predict", json={"images": images[:5].tolist()})
wanted = [data.class_names[number] for number in bundle.logits(images[:5]).argmax(1)]
print(response.status_code, response.json()["labels"] == wanted)

# %% [markdown]
# Ten lines, and it works. Now be a careless client: a misspelt name, an image without its first two rows, no list at all. And, with
# `float`s between 0 and 1, a client that has scaled already.

# %%
careless = {
    "misspelt": {"imges": images[:1].tolist()},
    "two rows missing": {"images": images[:1, :, 2:].tolist()},
    "text": {"images": "a seven"},
    "scaled to [0, 1]": {"images": (images[:60] / 255).tolist()},
}
for name, body in careless.items():
    response = naive.post("/predict", json=body)
    print(f"{name}: {response.status_code} {response.text[:40] if response.is_error else ''}")
print("kinds of answers for 60 images:", len(set(response.json()["labels"])))

# %% [markdown]
# Status 500 says: *the service* is broken. It wakes up somebody at night for a client's typing mistake, and the client
# learns nothing. The last one is worse. `torch.tensor(..., dtype=torch.uint8)` cut every 0.7 down to 0, so all images
# became black; the answer was 200 and nonsense.
#
# ## The real one
#
# `python -m course_utils serve` is what this grows into: a few hundred lines for everything that is not the model. Run it as
# it runs in production: a process of its own, with its settings in environment variables. Here it listens on the
# *loopback* address, which only this computer can reach, at a port that is free.

# %%
import httpx2


def start(model_folder, **settings):
    """Start the service; return its process and a client, once it is healthy."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    settings = {"COURSE_MODEL": str(model_folder), "COURSE_PORT": port, **settings}
    environment = {**os.environ, "PYTHONPATH": os.path.abspath(".."), **settings}
    command, log = [sys.executable, "-m", "course_utils", "serve"], folder / f"{port}.log"
    with log.open("w") as file:
        process = subprocess.Popen(command, env=environment, stderr=file)
    atexit.register(process.kill)  # whatever happens in this notebook
    http = httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60)
    for _ in range(600):
        with contextlib.suppress(httpx2.TransportError):
            if http.get("/health").is_success:
                return process, http
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"The service did not start: {log.read_text()}")


# %%
server, client = start(folder / "first", COURSE_MAX_BATCH="64")
print(client.get("/health").json())

# %% [markdown]
# One image goes as it is in a file, PNG or JPEG, in the body of the request. In a terminal that would be
# `curl --data-binary @digit.png -H "Content-Type: image/png" http://127.0.0.1:8000/predict`.

# %%
from PIL import Image


def png(image):
    """Return a uint8 image (C, H, W) as the bytes of a PNG file."""
    array = image.permute(1, 2, 0).squeeze(2) if len(image) == 1 else image.permute(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(array.contiguous().numpy()).save(file, "PNG")
    return file.getvalue()


as_png = {"Content-Type": "image/png"}
answer = client.post("/predict", content=png(images[0]), headers=as_png).json()
local = bundle.logits(images[:1]).softmax(1)[0]
remote = torch.tensor(list(answer["predictions"][0]["probabilities"].values()))
print("model:", answer["model"], "- classes:", len(remote))
print("the probabilities of the bundle:", torch.allclose(local, remote, atol=1e-5))

# %% [markdown]
# Many go as JSON: pixels, or files in base64. Every answer names the version of the model that gave it, because one day
# you will have to know.

# %%
answers = client.post("/predict", json={"images": images[:60].tolist()}).json()["predictions"]
wanted = bundle.logits(images[:60]).argmax(1)
print(len(answers), "answers, in the order of the request:", end=" ")
print([one["label"] for one in answers] == [data.class_names[number] for number in wanted])

# %% [markdown]
# And the careless clients? A status from 400 to 499 says: *your* request is at fault. The sentence says where and how to
# mend it, and the service goes on.

# %%
careless["65 images"] = {"images": images[:1].expand(65, -1, -1, -1).tolist()}
careless["a pixel of 300"] = {
    "images": [[[[300] * s[2]] * s[1]] * s[0] for s in [data.input_shape]]
}
for name, body in careless.items():
    response = client.post("/predict", json=body)
    print(f"{name}: {response.status_code} {response.json()['detail'].split(':')[0]}")

# %%
half = png(images[0])[:60]
for name, body, kind in (
    ("half a file", half, "image/png"),
    ("no JSON", b"{'images': 7}", "application/json"),
    ("a text", b"a seven", "text/plain"),
    ("five megabytes", bytes(5_000_000), "image/png"),
):
    response = client.post("/predict", content=body, headers={"Content-Type": kind})
    sentence = response.json()["detail"].removeprefix("The body: ")
    print(f"{name}: {response.status_code} {sentence.split(' (')[0].split(':')[0]}")
print("and it still answers:", client.get("/health").json()["status"])

# %% [markdown]
# What is refused before any model runs is also what keeps a service alive: limits on bytes, on samples in a request, on
# seconds for reading and for answering. What no check can see is an image that is well formed and of another kind:

# %%
response = client.post("/predict", json={"images": (255 - images[:60]).tolist()})
given = [one["label"] for one in response.json()["predictions"]]
wrong = sum(label != data.class_names[n] for label, n in zip(given, labels[:60], strict=True))
print("negatives:", response.status_code, "- more than half wrong:", wrong > 30)

# %% [markdown]
# The other addresses are for those who run it. `/model` is the model card, `/docs` (in a browser) describes the requests,
# `/metrics` counts for Prometheus, which collects such pages every few seconds.

# %%
card = client.get("/model").text
print(card.splitlines()[0])
counted = [line for line in client.get("/metrics").text.splitlines() if "requests_total" in line]
print("\n".join(line for line in counted if "/predict" in line and not line.startswith("#")))

# %% [markdown]
# Each kind of answer is counted apart: when the 422s rise, a client has changed; when a 500 appears, look at the log.
#
# ## Requests that share a call
#
# How long does the model need for one image, and for many? Take a wide MLP of 20 million weights. It was never trained:
# speed is all that is asked of it.

# %% tags=["nbval-ignore-output"]
seed_everything(0)
wide_description = Description(
    **{**vars(description), "architecture": "MLP", "options": {"hidden_dims": [4096, 4096]}}
)
wide = Bundle(wide_description.build().eval(), wide_description)
counts = [1, 2, 4, 8, 16, 32, 64]
calls = [milliseconds(lambda n=n: wide.logits(images[:n]), repeats=7) for n in counts]
for count, call in zip(counts, calls, strict=True):
    print(f"{count:2} images: {call:5.1f} ms a call, {call / count:5.2f} ms an image")

# %%
figure, axis = plt.subplots(figsize=(6.2, 3.1))
each = [call / count for call, count in zip(calls, counts, strict=True)]
axis.loglog(counts, calls, marker="o", label="a call")
axis.loglog(counts, each, marker="s", label="each image of it")
axis.set(
    title="What a call of a wide MLP costs", xlabel="images in the call", ylabel="milliseconds"
)
axis.set_xticks(counts, counts)
axis.xaxis.minorticks_off()
axis.yaxis.set_major_formatter("{x:g}")
axis.legend(loc="lower left")
show(
    figure,
    alt="Time of a call of a wide MLP against the number of images in it, axes logarithmic: "
    "from 1 to 64 images it grows several times, so the time for each image falls steeply.",
)

# %%
numbers = sum(weight.numel() for weight in wide.model.parameters())
print(f"{numbers:,} weights, {4 * numbers / 1e6:.0f} MB")

# %% [markdown]
# For one image the processor has to fetch all these weights from memory, for one multiplication each; 64 images use them 64
# times. So the time of a call grows far more slowly than the number of images in it. But clients send one image at a time. So let requests wait a few milliseconds for company. By hand: a line, and
# somebody who takes the first of it, then more until the batch is full *or the first one has waited long enough*.

# %%
import queue
from concurrent.futures import Future, ThreadPoolExecutor


def collect(line, most, wait):
    """Take the first in the line, and those who come within `wait` seconds, up to `most`."""
    batch = [line.get()]
    deadline = time.monotonic() + wait
    while len(batch) < most:
        try:
            batch.append(line.get(timeout=max(0, deadline - time.monotonic())))
        except queue.Empty:
            break
    return batch


# %%
line, sizes = queue.Queue(), []
requests = [(image, Future()) for image in images[:40]]
for request in requests:
    line.put(request)
while not line.empty():
    batch = collect(line, most=16, wait=0.02)
    sizes.append(len(batch))
    rows = bundle.logits(torch.stack([image for image, _ in batch]))
    for (_, future), row in zip(batch, rows, strict=True):
        future.set_result(row)  # each one gets its own row, and no other
together = torch.stack([future.result() for _, future in requests])
print("40 requests in calls of", sizes)
print("everybody got the right row:", torch.allclose(together, logits[:40], atol=1e-4))

# %% [markdown]
# The bound on the wait is what makes it fair: without it the last eight would wait for eight more who may never come.
# `course_utils.batching.Batcher` is this with `asyncio`, and it refuses at once when too many wait already. (A line that may
# grow without end answers everybody too late.)

# %%
import asyncio

from course_utils.batching import Batcher, Overloaded


async def ask(count, max_waiting):
    """Ask for so many images at once; return the answers and the sizes of the calls."""
    sizes = []
    kept = {"max_batch": 16, "max_wait": 0.02, "max_waiting": max_waiting}
    batcher = Batcher(lambda x: list(bundle.logits(x)), **kept, observe=sizes.append)
    batcher.start()
    asked = [batcher.submit(image.unsqueeze(0)) for image in images[:count]]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    await batcher.stop()
    return answers, sizes


with ThreadPoolExecutor(1) as pool:  # a notebook has an event loop of its own: use another thread
    answers, sizes = pool.submit(asyncio.run, ask(40, max_waiting=1024)).result()
    crowd, _ = pool.submit(asyncio.run, ask(40, max_waiting=10)).result()
together = torch.stack([rows[0] for rows in answers])
print("calls of", sizes, "- right rows:", torch.allclose(together, logits[:40], atol=1e-4))
print("at most 10 may wait: refused", sum(isinstance(one, Overloaded) for one in crowd), "of 40")

# %% [markdown]
# Does it pay over HTTP? The same service twice: with `COURSE_MAX_BATCH=1`, and with 64. First one client alone, then 32,
# each of which sends its next image when it has the answer to the last.


# %%
def load(http, clients, each):
    """Let clients ask again and again; return the seconds of every answer, and of all together."""

    def one(number):
        seconds = []
        for turn in range(each):
            body, started = bodies[(number + turn) % len(bodies)], time.perf_counter()
            http.post("/predict", content=body, headers=as_png).raise_for_status()
            seconds.append(time.perf_counter() - started)
        return seconds

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        seconds = [second for part in pool.map(one, range(clients)) for second in part]
    return sorted(seconds), time.perf_counter() - started


def calls_of(http):
    """Return how often the model was called, from /metrics."""
    text = http.get("/metrics").text
    return next(int(float(x.split()[1])) for x in text.splitlines() if "size_count" in x)


bodies = [png(image) for image in images[:32]]
save_bundle(
    folder / "wide", wide, data="None: it was never trained.", metrics={}, limits="For timing."
)

# %% tags=["nbval-ignore-output"]
measured, called = {}, {}
for most in ("1", "64"):
    process, http = start(folder / "wide", COURSE_MAX_BATCH=most)
    try:
        load(http, clients=1, each=3)  # warm up
        for clients, each in ((1, 15), (32, 10)):
            calls_before = calls_of(http)
            measured[most, clients] = load(http, clients, each)
            called[most, clients] = calls_of(http) - calls_before
    finally:
        process.terminate()
        process.wait()
table = {
    f"{clients} clients, max batch {most}": {
        "requests a second": len(seconds) / total,
        "p50, ms": 1000 * seconds[len(seconds) // 2],
        "p99, ms": 1000 * seconds[int(0.99 * len(seconds))],
        "calls of the model": called[most, clients],
    }
    for (most, clients), (seconds, total) in measured.items()
}
pd.DataFrame(table).T.round(1)

# %%
print("max batch 1: calls for 320 requests:", called["1", 32])
print("max batch 64: fewer than half as many:", called["64", 32] < 160)
print("one client alone has no company:", called["64", 1] == 15)

# %% [markdown]
# The calls fall from one for each request to a few dozen. What the clients see of it, as the share of answers that had
# arrived after so many milliseconds:

# %%
figure, axis = plt.subplots(figsize=(6.4, 3.1))
for most, color in (("1", orange), ("64", blue)):
    seconds, _ = measured[most, 32]
    shares = [(number + 1) / len(seconds) for number in range(len(seconds))]
    axis.step([1000 * s for s in seconds], shares, color=color, label=f"at most {most} in a call")
for share in (0.5, 0.99):
    axis.axhline(share, color=grey, linewidth=0.8, linestyle=":")
    axis.text(
        axis.get_xlim()[1], share, f" p{100 * share:.0f}", va="center", color=grey, fontsize=9
    )
axis.set(
    title="32 clients at once",
    xlabel="milliseconds to the answer",
    ylabel="answered by then (share)",
)
axis.set_xlim(left=0)
axis.legend(loc="upper left")
show(
    figure,
    alt="For 32 clients at once, the share of requests answered within so many milliseconds, "
    "with one image a call and with up to 64. Sharing calls, it rises far earlier.",
)

# %% [markdown]
# Read p50 and p99, not the mean: half of the clients wait at least p50, and one in a hundred at least p99, which is what
# they will tell their friends. Two honest remarks. A lone client pays for the wait, here 5 ms, and gets nothing. And these
# clients are polite: each one waits for its answer before it asks again, so an overloaded service slows them down, and the
# numbers look better than with clients who do not care. For a small model such as our SmallCNN, HTTP itself is most of the
# time, and batching gains little: `benchmarks/service.py` of the course measures both.
#
# ## In a container
#
# A container image is the service with its Python, its packages and its settings, in one thing that runs anywhere. The
# course has a `Dockerfile`. To build and run it where Docker is installed, with the model mounted, not built in:
#
# ```
# docker build --tag course-service .
# docker run --rm --publish 8000:8000 --volume "$PWD/runs/first:/model:ro" course-service
# ```


# %%
def read_instructions(path):
    """Return the (word, rest) of each instruction of a Dockerfile."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


instructions = read_instructions(Path("../Dockerfile"))
print(" ".join(word for word, _ in instructions))

# %% [markdown]
# Five questions to ask any Dockerfile, put to this one. Are the versions pinned? Are the packages installed before the code
# is copied, so that a new line of code does not install PyTorch again? Does it run as somebody who is not root? Is `CMD`
# a list, without a shell in between, so that the signal to stop arrives? Does anything travel that should not?

# %%
words = [word for word, _ in instructions]
rest = dict(instructions)
pins = Path("../requirements-serving.txt").read_text().split("\n")
pins = [line for line in pins if line and not line.startswith("#")]
installed = next(i for i, (word, text) in enumerate(instructions) if "requirements-serving" in text)
code = next(i for i, (w, text) in enumerate(instructions) if w == "COPY" and "course_utils" in text)
print("every package pinned:", all("==" in line for line in pins))
print("packages before code:", installed < code)
print("not root:", rest["USER"].partition(":")[0] not in ("root", "0"))
print("CMD is a list:", json.loads(rest["CMD"])[:1] == ["python"])
ignored = Path("../.dockerignore").read_text().split("\n")
print("everything is left out that is not let in:", "*" in ignored)

# %% [markdown]
# Its `HEALTHCHECK` is a command that Docker runs every few seconds; if it fails three times, the container counts as ill.
# It needs no Docker to be tried. Against our service, and once it has stopped:


# %%
def healthy():
    """Run the Dockerfile's own health check against our service."""
    words = json.loads(rest["HEALTHCHECK"].partition("CMD ")[2])
    environment = {**os.environ, "COURSE_PORT": str(client.base_url.port)}
    command = [sys.executable, *words[1:]]
    return subprocess.run(command, env=environment, capture_output=True).returncode == 0


print("while it runs:", healthy())
server.terminate()  # SIGTERM, as docker stop sends it
server.wait(timeout=20)
log = (folder / f"{client.base_url.port}.log").read_text()
print("after SIGTERM it ended by itself:", "Application shutdown complete" in log)
print("when it has stopped:", healthy())

# %% [markdown]
# On SIGTERM the service takes no more requests, answers those it has begun, and ends. After ten seconds Docker would kill
# it. The course's tests run all the steps of the Dockerfile that need no Docker: its copies into a clean folder, its
# installation in a fresh environment, its command as another user, its end.

# %% [markdown]
# ## Your turn
#
# ### 1. Any number of bits
# Write a function that rounds the rows of a matrix to `bits` bits, and returns the whole numbers as `int8` together with
# the scales, of shape (rows, 1), so that `whole_numbers * scales` is close to `weight`. The largest weight of each row
# becomes `2 ** (bits - 1) - 1` or its negative. A row of zeros stays one, and its scale is not 0.


# %% tags=["exercise"]
def quantize_rows(weight, bits):
    # your code here
    ...


# %% tags=["check"]
from checks import serving

serving.quantize_rows(quantize_rows)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def quantize_rows(weight, bits):
#     top = 2 ** (bits - 1) - 1
#     scales = weight.abs().amax(1, keepdim=True) / top
#     scales = torch.where(scales == 0, 1.0, scales)
#     return (weight / scales).round().to(torch.int8), scales
# ```
#
# Without the third line, a row of zeros is 0 / 0. `to(torch.int8)` alone cuts towards 0, which doubles the error.
# </details>

# %% [markdown]
# ### 2. Who shares a call?
# `arrivals` are the times of requests in milliseconds, in order. The first who waits opens a batch. It is closed when it
# holds `most` requests, or `wait` milliseconds after the *first* of it came; who comes exactly then is still in. The next
# request opens the next batch. (The model itself takes no time here.) Return the numbers of the requests, batch by batch: `[[0, 1], [2]]`.


# %% tags=["exercise"]
def batches_of(arrivals, most, wait):
    # your code here
    ...


# %% tags=["check"]
serving.batches_of(batches_of)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def batches_of(arrivals, most, wait):
#     batches = []
#     for number, time in enumerate(arrivals):
#         full = not batches or len(batches[-1]) == most
#         if full or time > arrivals[batches[-1][0]] + wait:
#             batches.append([])
#         batches[-1].append(number)
#     return batches
# ```
#
# Counted from the *last* arrival, a steady trickle would keep the first one waiting until the batch is full.
# </details>

# %% [markdown]
# ### 3. At the door
# Write the check that the service by hand lacked. `body` are the bytes of a request, `shape` is (C, H, W). Return the status
# to answer with: 400 if it is no JSON; 413 if there are more than `most` images; 422 if it is anything else but
# `{"images": [...]}` with at least one image, each of that shape, all pixels whole numbers from 0 to 255; else 200. Nothing
# that a client sends may raise an error.


# %% tags=["exercise"]
def status_of(body, shape, most):
    # your code here
    ...


# %% tags=["check"]
serving.status_of(status_of)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# import json
#
#
# def fits(value, shape):
#     if not shape:
#         return type(value) is int and 0 <= value <= 255
#     size, *rest = shape
#     return type(value) is list and len(value) == size and all(fits(part, rest) for part in value)
#
#
# def status_of(body, shape, most):
#     try:
#         content = json.loads(body)
#     except (ValueError, RecursionError):
#         return 400
#     if type(content) is not dict or content.keys() != {"images"}:
#         return 422
#     given = content["images"]
#     if type(given) is not list or not given:
#         return 422
#     if len(given) > most:
#         return 413
#     return 200 if all(fits(image, shape) for image in given) else 422
# ```
#
# `type(value) is int` and not `isinstance`: in Python, `True` is an `int`. Bytes that are no UTF-8 raise a `ValueError`,
# too.
# </details>

# %% [markdown]
# ## Recap
#
# - Build, load with `weights_only=True` and `map_location`, `eval`. In training mode, requests change the model.
# - Scaling is a part of the model. Compare logits, not accuracy: 255 times too large is nearly as right, and sure of all.
# - `torch.export` with a `Dim` for the batch, an example of two, in evaluation mode. TorchScript is what came before.
# - ONNX runs without PyTorch. Parity is a small difference of logits and the same classes, and precision is a setting.
# - int8 with a scale for each row; count the answers that change, on the network that you ship.
# - A bad request is answered with 4xx and a sentence. Requests share a call after a *bounded* wait.
# - A container is not root, is pinned, says whether it is healthy and ends on SIGTERM.
#
# **Next:** [15 · In production](15_in_production.ipynb) watches the model while the world changes.
