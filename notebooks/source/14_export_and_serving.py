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
print("after them, on ordinary images, at least 5 points fewer:", after < before - 0.05)

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
with torch.inference_mode():
    usual = served(versions["as in training"]).argmax(1)
    for name, inputs in versions.items():
        shares = served(inputs).softmax(1)
        given = shares.argmax(1)
        found[name] = {
            "right": (given == labels).float().mean().item(),
            "mean confidence": shares.amax(1).mean().item(),
            "same answer as row one": (given == usual).float().mean().item(),
        }
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
    xlabel="share right, or mean probability",
    xlim=(-0.03, 1.03),
)
axis.legend(loc="upper center", bbox_to_anchor=(0.45, -0.2), ncols=2)
show(
    figure,
    alt="For seven ways to scale the same images: the share of right answers and the mean "
    "confidence. They lie closest together for the scaling of training. Swapped axes are nearly "
    "always wrong and sure; pixels never divided by 255 are mostly right with a confidence of 1.",
)

# %% [markdown]
# In words, with margins that leave room for another seed:

# %%
right = {name: result["right"] for name, result in found.items()}
sure = {name: result["mean confidence"] for name, result in found.items()}
print("not standardised: far less sure:", sure["not standardised"] < sure["as in training"] - 0.15)
print("divided twice: no better than guessing:", right["divided by 255 twice"] < 0.2)
print("negatives: worse than guessing:", right["a negative (255 - pixel)"] < 0.1)
swapped = "rows and columns swapped"
print("swapped: wrong and sure:", right[swapped] < 0.3 and sure[swapped] > 0.85)
never = "never divided by 255"
print("never divided: nearly as right:", right[never] > right["as in training"] - 0.05)
print("nearly always the same answer:", found[never]["same answer as row one"] > 0.9)
print("but sure of everything:", sure[never] > 0.99)

# %% [markdown]
# Look at the fourth row. Its accuracy is fine: 255 times larger pixels give about 255 times larger logits, and the
# largest nearly always stays the largest. A test of accuracy passes, and every probability that the service reports is a
# lie. So compare *logits* between training and service, not accuracy. Swapped axes are the other extreme: nearly always
# wrong, and sure.
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
for_one = torch.export.export(whole, (example,))
calls = [node for node in for_one.graph.nodes if node.op == "call_function"]
operations = [node.target.__name__.partition(".")[0] for node in calls]
print(operations)
print("dropout is called with", calls[operations.index("dropout")].args[1:])

# %% [markdown]
# There they are: a check that the input is `uint8` and its conversion with `to`, your scaling, two blocks of four, the
# classifier. `Module`, `Sequential`, and `if` are gone. Dropout still stands there, but its last argument, `training`, is
# `False`: it hands on what it gets.
#
# ### Mistake: exported for one
# The example had a batch of 1. Every size that you do not declare free is nailed down.

# %%
try:
    for_one.module()(images[:2])
except Exception as error:
    print(type(error).__name__, "-", error)

# %% [markdown]
# Declare it with `Dim`, and give an example of *two* or more. For torch.export 0 and 1 are special, because so many
# operations treat them specially (broadcasting, above all); from an example of 1 it concludes that 1 was meant.

# %%
any_size = torch.export.Dim("batch")
try:
    torch.export.export(whole, (example,), dynamic_shapes={"pixels": {0: any_size}})
except Exception as error:
    print(type(error).__name__, "-", str(error).splitlines()[0].partition("!")[0])
pair = example.expand(2, -1, -1, -1)
program = torch.export.export(whole, (pair,), dynamic_shapes={"pixels": {0: any_size}})
exported = program.module()
for size in (1, 2, 7, len(images)):
    print(f"batch of {size}:", torch.allclose(exported(images[:size]), logits[:size], atol=1e-4))

# %% [markdown]
# ### Mistake: exported in training mode
# The mode is a Python value, so the graph has it built in: nothing on the other side can call `eval` any more. The second
# of the three lines below shows something else. Until it is saved, an exported program shares its tensors with the model
# that it came from, as a `state_dict` does: what changes one changes the other.

# %%
forgotten = copy.deepcopy(whole).train()
stuck = torch.export.export(forgotten, (pair,), dynamic_shapes={"pixels": {0: any_size}}).module()
statistics = forgotten.model.features[0][1].running_mean
kept = statistics.clone()
with torch.no_grad():
    asked, again = stuck(images[:4]), stuck(images[:4])
print("asked twice, the same answer:", torch.allclose(asked, again, atol=1e-3))
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
# `torch.export.save` writes a `.pt2` file. To see that it needs no class of ours, open it in another process in which
# `course_utils` cannot be imported (`None` in `sys.modules` forbids it), and compare.

# %%
import subprocess

import numpy as np

torch.export.save(program, folder / "model.pt2")
np.save(folder / "images.npy", images.numpy())
elsewhere = """
import sys, numpy, torch
sys.modules["course_utils"] = None
try:
    import course_utils
except ImportError as error:
    print(error)
program = torch.export.load("model.pt2")
logits = program.module()(torch.from_numpy(numpy.load("images.npy")))
numpy.save("logits.npy", logits.detach().numpy())
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
        dynamic_shapes={"pixels": {0: any_size}},
        input_names=["inputs"],
        output_names=["logits"],
    )
graph = onnx.load(folder / "by_hand.onnx").graph
print([node.op_type for node in graph.node])
taken = graph.input[0].type.tensor_type
dims = [d.dim_param or d.dim_value for d in taken.shape.dim]
print(graph.input[0].name, dims, onnx.TensorProto.DataType.Name(taken.elem_type))

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
# What is the logit at place 3? The file by hand does not say: a graph has numbers, no class names. ONNX has a place for
# such notes, its metadata, and `export_bundle` writes them there, as JSON.

# %%
by_hand = onnxruntime.InferenceSession(folder / "by_hand.onnx", options)
print("by hand:", by_hand.get_modelmeta().custom_metadata_map)
notes = session.get_modelmeta().custom_metadata_map
print("export_bundle:", sorted(notes))
print("the classes:", tuple(json.loads(notes["class_names"])) == data.class_names)

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
# Five rules for timing. Warm up: the first calls allocate and choose. Take turns: what slows the machine down for a second
# then hits all alike. Take the median: a mean is ruined by one interruption. Give every engine the same number of threads,
# here one; by default each takes all it can get. And call each as its users would: PyTorch in `inference_mode`, or it also
# notes down what `backward` would need.


# %%
def milliseconds(calls, repeats=40):
    """Return the median time of each call; they take turns, and five rounds do not count."""
    times, threads = {name: [] for name in calls}, torch.get_num_threads()
    torch.set_num_threads(1)
    for _ in range(repeats + 5):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - started))
    torch.set_num_threads(threads)
    return {name: sorted(each[5:])[repeats // 2] for name, each in times.items()}


@torch.inference_mode()
def with_torch(module, array):
    return module(torch.from_numpy(array)).numpy()


# %% [markdown]
# `partial(run, x)` is a function that calls `run(x)`.

# %% tags=["nbval-ignore-output"]
from functools import partial

engines = {
    "PyTorch": (lambda x: with_torch(whole, x), "first/model.safetensors"),
    "torch.export": (lambda x: with_torch(exported, x), "model.pt2"),
    "onnxruntime": (lambda x: session.run(None, {"inputs": x})[0], "model.onnx"),
    "OpenVINO": (lambda x: compiled(x)[0], "model.onnx"),
}
pixels = images.numpy()
speeds, once = {}, {}
for n in (1, 64):
    once[n] = milliseconds({name: partial(run, pixels[:n]) for name, (run, _) in engines.items()})
for name, (run, file) in engines.items():
    answers_of_engine = run(pixels)
    speeds[name] = {
        "largest difference": np.abs(answers_of_engine - logits.numpy()).max(),
        "same classes": (answers_of_engine.argmax(1) == logits.argmax(1).numpy()).all(),
        "1 image, ms": once[1][name],
        "64 images, ms": once[64][name],
        "file, kB": (folder / file).stat().st_size / 1000,
    }
pd.DataFrame.from_dict(speeds, orient="index").round(6)

# %% [markdown]
# First the answers. A runtime is compared before it is timed: a wrong answer is always fast.

# %%
for name, speed in speeds.items():
    close = speed["largest difference"] < 1e-3
    print(f"{name}: within 0.001: {close}; the same classes: {speed['same classes']}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 2.6), sharey=True)
for axis, column, images_in_call in zip(
    axes, ["1 image, ms", "64 images, ms"], [1, 64], strict=True
):
    heights = [speeds[name][column] / images_in_call for name in speeds]
    bars = axis.barh(list(speeds), heights, color=[grey, grey, blue, blue])
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
# The order depends on model and machine, so time your own. `torch.export` alone gains nothing, because PyTorch runs
# the same operations in the end; it is a way to others. Why are the two runtimes so much faster? Take PyTorch's call apart:

# %% tags=["nbval-ignore-output"]
parts, state = {}, scaled(images[:64])
with torch.inference_mode():
    for layer in (layer for block in served.features for layer in block):
        kind = type(layer).__name__
        spent = milliseconds({kind: partial(layer, state)}, repeats=20)
        parts[kind], state = parts.get(kind, 0) + spent[kind], layer(state)
    usual_images = scaled(images[:64])
    moved = copy.deepcopy(served).to(memory_format=torch.channels_last)
    moved_images = usual_images.to(memory_format=torch.channels_last)
    ways = {
        "together": partial(served, usual_images),
        "channels_last": partial(moved, moved_images),
    }
    spent = milliseconds(ways, repeats=20)
print({kind: f"{part:.2f} ms" for kind, part in parts.items()})
print({name: f"{part:.1f} ms" for name, part in spent.items()})
print(f"BatchNorm: {parts['BatchNorm2d'] / sum(parts.values()):.0%} of the sum")

# %% [markdown]
# Nearly all of the time is convolution and pooling. The runtimes have these two written for a memory layout in which the
# channels of a pixel lie side by side, and bring the weights into it once, while they load the file. PyTorch knows such a
# layout, too: `channels_last` is one line, and goes a part of the way. That BatchNorm is gone from their graphs hardly
# counts.
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
    bounds = {f"{name}_shape": shape for name, shape in shapes.items()}
    on_gpu = copy.deepcopy(whole).cuda()
    free = {"pixels": {0: any_size}}
    gpu_program = torch.export.export(on_gpu, (pair.cuda(),), dynamic_shapes=free)
    inputs = [torch_tensorrt.Input(**bounds, dtype=torch.uint8)]
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
# Half a step is little for the first row and much for the second: 0.0149 became 0.01, a third less. That is the fault of
# the scale, which is large because of another row. So give each row its own:

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
# ones by 300, and it computes the same function. Here that is done to one unit of 1,024 in each hidden layer, and in a third
# network to half of them. All three are rounded to 2 to 8 bits, with one scale a matrix and with one a row.


# %%
def uneven(network, units):
    """Return the same function, with these units of both hidden layers 300 times larger."""
    network = copy.deepcopy(network)
    for position, following in ((1, 3), (3, 5)):  # of the Linear layers
        network.layers[position].weight.data[units] *= 300
        network.layers[position].bias.data[units] *= 300
        network.layers[following].weight.data[:, units] /= 300
    return network


def rounded(network, bits, per_row):
    """Return a copy whose Linear weights are rounded to so many bits."""
    network, top = copy.deepcopy(network), 2 ** (bits - 1) - 1
    for part in network.modules():
        if isinstance(part, nn.Linear):
            w = part.weight.data
            step = (w.abs().amax(1, keepdim=True) if per_row else w.abs().max()) / top
            part.weight.data = (w / step).round() * step
    return network


# %% tags=["nbval-ignore-output"]
one, half = uneven(mlp, slice(1)), uneven(mlp, slice(512))
names = ("as trained", "one unit a layer times 300", "half of the units times 300")
networks = dict(zip(names, (mlp, one, half), strict=True))
with torch.inference_mode():
    full = mlp(scaled(images))
    tried = {
        (name, kind, bits): rounded(network, bits, kind == "a row")(scaled(images))
        for name, network in networks.items()
        for kind in ("a matrix", "a row")
        for bits in range(2, 9)
    }
right_after = {key: (z.argmax(1) == labels).float().mean().item() for key, z in tried.items()}
changed = {key: (z.argmax(1) != full.argmax(1)).sum().item() for key, z in tried.items()}
off = {key: ((z - full).norm() / full.norm()).item() for key, z in tried.items()}
columns = {
    "right, 8 bits": {key[:2]: value for key, value in right_after.items() if key[2] == 8},
    "changed answers, 4 bits": {key[:2]: value for key, value in changed.items() if key[2] == 4},
    "changed answers, 8 bits": {key[:2]: value for key, value in changed.items() if key[2] == 8},
    "logits off by, 8 bits": {key[:2]: value for key, value in off.items() if key[2] == 8},
}
pd.DataFrame(columns).round(3)

# %%
figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.1), sharey=True)
for axis, name in zip(axes, networks, strict=True):
    unrounded = (full.argmax(1) == labels).float().mean().item()
    axis.axhline(unrounded, color=grey, alpha=0.3, linewidth=7, label="float32", zorder=1)
    for kind, color, marker, size in (("a matrix", orange, "s", 9), ("a row", blue, "o", 4)):
        heights = [right_after[name, kind, bits] for bits in range(2, 9)]
        look = {"color": color, "marker": marker, "markersize": size, "markerfacecolor": "none"}
        axis.plot(range(2, 9), heights, linewidth=1, **look, label=f"one scale {kind}")
    axis.set(xlabel="bits for each weight", ylim=(0, 1.05))
    axis.set_title(name.capitalize(), fontsize=11)
axes[0].set_ylabel("right answers (share)")
axes[0].legend(loc="lower right")
show(
    figure,
    alt="Share of right answers against bits for each weight, in three panels. As trained: from 4 "
    "bits on as good as float32. One unit 300 times larger: 10% at any bits with one scale for the "
    "matrix, nearly float32 with one a row. Half of the units: 10% again, and a row's own scale "
    "stays a little below float32.",
)

# %% [markdown]
# As trained, eight bits and even four cost at most a few answers of 288. The second network is the same function, and with
# one scale for the matrix it is lost at any number of bits: the scale is made for the one large unit, and all others round
# to 0. A scale a row seems to save it. Look closer:

# %%
with torch.inference_mode():
    same = [torch.allclose(other(scaled(images)), full, atol=1e-3) for other in (one, half)]
print("in float32 the same function:", same)
few = max(changed["as trained", kind, bits] for kind in ("a matrix", "a row") for bits in (4, 8))
print("as trained, 4 and 8 bits: at most 3 in 100 answers changed:", few <= 0.03 * len(images))
ruined = right_after["one unit a layer times 300", "a matrix", 8] < 0.3
print("one unit, one scale a matrix: ruined:", ruined)
saved = changed["one unit a layer times 300", "a row", 8] <= 0.03 * len(images)
print("one unit, a scale a row: at most 3 in 100 changed:", saved)
eight_bits = rounded(one, 8, per_row=True)
left = [eight_bits.layers[n].weight[:, 0].count_nonzero().item() for n in (3, 5)]
print("outgoing weights of that unit that are not 0 now:", left)
far = off["half of the units times 300", "a row", 8] > 0.3
print("half of them, a scale a row: the logits are off by more than 30%:", far)

# %% [markdown]
# The unit was not saved, it was deleted. Its outgoing weights are a *column* of the next matrix, 300 times smaller than
# their neighbours in each row, so all of them became 0. Nobody misses one unit of 1,024. With half of them gone, the logits are
# three quarters off, and more answers change. A scale a row mends unequal rows, not unequal columns. (What mends both is to
# use the same freedom the other way before rounding, so that each unit's row and column are of like size; it is called
# cross-layer equalization.)
#
# So what int8 costs is no law. It depends on how unequal the weights are, and you have to measure it on the network that
# you ship.
#
# ### The library's int8
# onnxruntime quantises an ONNX file. `per_channel=True` is one scale a row. Its documentation asks for a step before that,
# which simplifies the graph and infers the shapes anew; files of the current exporter are refused without it.

# %%
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process

mlp_description = Description(
    **{**vars(description), "architecture": "MLP", "options": {"hidden_dims": [1024, 1024]}}
)
export_bundle(Bundle(mlp, mlp_description), folder / "mlp.onnx", kind="onnx")
int8 = {"weight_type": QuantType.QInt8, "per_channel": True}
try:
    with quietly():
        quantize_dynamic(folder / "mlp.onnx", folder / "mlp_int8.onnx", **int8)
except Exception as error:
    print(type(error).__name__, "-", str(error).rpartition("] ")[2])

# %%
with quietly():
    quant_pre_process(folder / "mlp.onnx", folder / "ready.onnx")
    quantize_dynamic(folder / "ready.onnx", folder / "mlp_int8.onnx", **int8)
used = {node.op_type for node in onnx.load(folder / "mlp_int8.onnx").graph.node}
print(sorted(name for name in used if "Integer" in name or "Quantize" in name))
made = onnx.defs.get_schema("DynamicQuantizeLinear").outputs
print({output.name: sorted(output.types) for output in made})

# %% [markdown]
# For the inputs of a layer it takes `uint8` where we took `int8`, with a *zero point*, the whole number that stands for 0:
# the numbers after a ReLU are never negative, so half of an `int8` would lie idle.

# %% tags=["nbval-ignore-output"]
runs = {
    name: onnxruntime.InferenceSession(folder / name, options).run
    for name in ("mlp.onnx", "mlp_int8.onnx")
}
given_by = {
    name: torch.from_numpy(run(None, {"inputs": pixels})[0]).argmax(1) for name, run in runs.items()
}
comparison = pd.DataFrame(index=list(runs))
comparison["file, MB"] = [(folder / name).stat().st_size / 1e6 for name in runs]
comparison["right"] = [(given == labels).float().mean().item() for given in given_by.values()]
first = given_by["mlp.onnx"]
comparison["changed answers"] = [(given != first).sum().item() for given in given_by.values()]
for count in (1, 64):
    some = {"inputs": pixels[:count]}
    spent = milliseconds({name: partial(run, None, some) for name, run in runs.items()})
    comparison[f"{count} image{'s' * (count > 1)}, ms"] = [spent[name] for name in runs]
comparison.round(3)

# %%
size = comparison["file, MB"]
print("a quarter of the size:", bool(3.8 < size["mlp.onnx"] / size["mlp_int8.onnx"] < 4.1))
share = (given_by["mlp.onnx"] != given_by["mlp_int8.onnx"]).float().mean().item()
print("answers that changed, at most 1 in 100:", share <= 0.01)

# %% [markdown]
# Count *changed answers*, not the difference of two accuracies: changes in both directions cancel there. And mind the size
# of your sample: if none of `n` answers changed, up to `3 / n` of all may still change (the rule of three, 95%). It is for
# none alone; if some changed, take an interval for a share, as in [04 · Evaluation](04_evaluation.ipynb).

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
def name_classes(body: dict):
    sent = torch.tensor(body["images"], dtype=torch.uint8)
    return {"labels": [data.class_names[number] for number in bundle.logits(sent).argmax(1)]}


naive = TestClient(app, raise_server_exceptions=False)
response = naive.post("/predict", json={"images": images[:5].tolist()})
wanted = [data.class_names[number] for number in bundle.logits(images[:5]).argmax(1)]
print(response.status_code, response.json()["labels"] == wanted)

# %% [markdown]
# Ten lines, and it works. Now be a careless client: a misspelt name, an image without its first two rows, no list at all.
# And, with `float`s between 0 and 1, a client that has scaled already.

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
sent = torch.tensor(body["images"], dtype=torch.uint8)
nearly = sent.count_nonzero().item() < 0.05 * sent.numel()
print("pixels that arrived:", sent.unique().tolist(), "- more than 95% of them 0:", nearly)

# %% [markdown]
# Status 500 says: *the service* is broken. It wakes up somebody at night for a client's typing mistake, and the client
# learns nothing. The last one is worse. `torch.tensor(..., dtype=torch.uint8)` cut every 0.7 down to 0; what was white is 1
# of 255 now. All images are black to the eye, the status is 200, and the answer is nonsense.
#
# ## The real one
#
# `python -m course_utils serve` is what this grows into: a few hundred lines for everything that is not the model. Run it as
# it runs in production: a process of its own, with its settings in environment variables. Here it listens on the
# *loopback* address, which only this computer can reach, at a port that is free. The one who asks is `httpx2`, a library
# for HTTP clients; `TestClient` is built on it, so its calls look the same. By default it keeps 20 connections open, too few
# for the crowd below, hence `Limits`.

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
    url, kept = f"http://127.0.0.1:{port}", httpx2.Limits(max_keepalive_connections=64)
    http = httpx2.Client(base_url=url, trust_env=False, timeout=60, limits=kept)
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
several = client.post("/predict", json={"images": images[:60].tolist()}).json()["predictions"]
wanted = [data.class_names[number] for number in bundle.logits(images[:60]).argmax(1)]
print(len(several), "answers, in the order of the request:", end=" ")
print([prediction["label"] for prediction in several] == wanted)

# %% [markdown]
# And the careless clients? A status from 400 to 499 says: *your* request is at fault. The sentence says where, and after its
# colon how to mend it; one of them is printed whole. And the service goes on.

# %%
careless["65 images"] = {"images": images[:1].expand(65, -1, -1, -1).tolist()}
careless["a pixel of 300"] = {
    "images": [[[[300] * s[2]] * s[1]] * s[0] for s in [data.input_shape]]
}
for name, body in careless.items():
    response = client.post("/predict", json=body)
    print(f"{name}: {response.status_code} {response.json()['detail'].split(':')[0]}")
print("In full:", response.json()["detail"])

# %%
torn = png(images[0])[:60]
for name, body, kind in (
    ("half a file", torn, "image/png"),
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
given = [prediction["label"] for prediction in response.json()["predictions"]]
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
wide_ms = milliseconds({n: partial(wide.logits, images[:n]) for n in counts}, repeats=11)
for count, call in wide_ms.items():
    print(f"{count:2} images: {call:5.1f} ms a call, {call / count:5.2f} ms an image")

# %%
figure, axis = plt.subplots(figsize=(6.2, 3.1))
an_image = [call / count for count, call in wide_ms.items()]
axis.loglog(counts, list(wide_ms.values()), marker="o", label="a call")
axis.loglog(counts, an_image, marker="s", label="each image of it")
axis.set(
    title="What a call of a wide MLP costs, one thread",
    xlabel="images in the call",
    ylabel="milliseconds",
)
ticks = [tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100) if tick < 1.5 * max(wide_ms.values())]
axis.set_xticks(counts, counts)
axis.set_yticks(ticks, ticks)
axis.minorticks_off()
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
# times. So the time of a call grows far more slowly than the number of images in it. The first step is the exception: two
# images cost as much as two calls, or more. With two, the matrix is multiplied by a matrix and no longer by a vector, and that
# routine first copies the weights into blocks; from there on more images cost little.
#
# But clients send one image at a time. So let requests wait a few milliseconds for company. By hand: a line, and somebody
# who takes the first of it, then more until the batch is full *or the first one has waited long enough*.

# %%
import queue
from concurrent.futures import Future, ThreadPoolExecutor


def collect(line, most, wait):
    """Take the first in the line, and those who come within `wait` seconds, up to `most`."""
    together = [line.get()]
    deadline = time.monotonic() + wait
    while len(together) < most:
        try:
            together.append(line.get(timeout=max(0, deadline - time.monotonic())))
        except queue.Empty:
            break
    return together


# %%
line, in_calls = queue.Queue(), []
requests = [(image, Future()) for image in images[:40]]
for request in requests:
    line.put(request)
while not line.empty():
    company = collect(line, most=16, wait=0.02)
    in_calls.append(len(company))
    computed = bundle.logits(torch.stack([image for image, _ in company]))
    for (_, future), row in zip(company, computed, strict=True):
        future.set_result(row)  # each one gets its own row, and no other
results = torch.stack([future.result() for _, future in requests])
print("40 requests in calls of", in_calls)
print("everybody got the right row:", torch.allclose(results, logits[:40], atol=1e-4))

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
    results = await asyncio.gather(*asked, return_exceptions=True)
    await batcher.stop()
    return results, sizes


with ThreadPoolExecutor(1) as pool:  # a notebook has an event loop of its own: use another thread
    calm, in_calls = pool.submit(asyncio.run, ask(40, max_waiting=1024)).result()
    crowd, _ = pool.submit(asyncio.run, ask(40, max_waiting=20)).result()
results = torch.stack([result[0] for result in calm])
print("calls of", in_calls, "- right rows:", torch.allclose(results, logits[:40], atol=1e-4))
refused = sum(isinstance(result, Overloaded) for result in crowd)
print("at most 20 may wait: refused", refused, "of 40")


# %% [markdown]
# Does it pay over HTTP? The same service twice, with one thread for the model: with `COURSE_MAX_BATCH=1`, and with 64. They
# take turns, in three rounds. First comes one client alone, then 32, each of which sends its next image when it has the
# answer to the last.
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
rounds, services = {}, {}
try:
    for most in ("1", "64"):
        services[most] = start(folder / "wide", COURSE_MAX_BATCH=most, OMP_NUM_THREADS="1")
        load(services[most][1], clients=32, each=2)  # warm up, with company
    for _ in range(3):
        for clients, each in ((1, 10), (32, 4)):
            for most, (_, http) in services.items():
                already = calls_of(http)
                seconds, total = load(http, clients, each)
                results = {"seconds": seconds, "total": total, "calls": calls_of(http) - already}
                rounds.setdefault((clients, most), []).append(results)
finally:
    for process, _ in services.values():
        process.terminate()
        process.wait()

# %% [markdown]
# The three rounds together. The last percent means little for few answers, so a client alone gets no p99.

# %% tags=["nbval-ignore-output"]
measured, summary = {}, {}
for (clients, most), results in rounds.items():
    seconds = sorted(second for one_round in results for second in one_round["seconds"])
    measured[clients, most] = {
        "answers a second": len(seconds) / sum(one_round["total"] for one_round in results),
        "p50, ms": 1000 * seconds[len(seconds) // 2],
        "p99, ms": 1000 * seconds[int(0.99 * len(seconds))],
        "calls of the model": sum(one_round["calls"] for one_round in results),
    }
    column = f"{clients} client{'s' * (clients > 1)}, max batch {most}"
    summary[column] = {name: f"{value:,.0f}" for name, value in measured[clients, most].items()}
summary["1 client, max batch 1"]["p99, ms"] = summary["1 client, max batch 64"]["p99, ms"] = "-"
alone, shared = measured[32, "1"], measured[32, "64"]
ratio = shared["answers a second"] / alone["answers a second"]
print(f"32 clients: {ratio:.1f} times as many answers a second with shared calls,")
print(f"and p99 is {shared['p99, ms']:.0f} ms instead of {alone['p99, ms']:.0f} ms.")
longer = measured[1, "64"]["p50, ms"] - measured[1, "1"]["p50, ms"]
print(f"A client alone waits {longer:.0f} ms longer for each answer.")
pd.DataFrame(summary).T

# %%
calls_made = {key: round(result["calls of the model"]) for key, result in measured.items()}
print("32 clients, max batch 1: calls for 384 requests:", calls_made[32, "1"])
print("max batch 64: fewer than half as many:", calls_made[32, "64"] < 192)
print("a client alone, max batch 64: calls for 30 requests:", calls_made[1, "64"])

# %% [markdown]
# The sentences above the table are the answer for the machine that made this page. The model is called far less often, and
# a client alone never shares a call. What 32 clients see of it, as the share of answers that had arrived after so many
# milliseconds:

# %%
figure, axis = plt.subplots(figsize=(6.4, 3.1))
for most, color in (("1", orange), ("64", blue)):
    seconds = sorted(second for result in rounds[32, most] for second in result["seconds"])
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
axis.legend(loc="lower right")
show(
    figure,
    alt="For 32 clients at once, the share of requests answered within so many milliseconds, "
    "with one image a call and with up to 64. The curve of the shared calls lies to the left.",
)

# %% [markdown]
# Read p50 and p99, not the mean: half of the requests take at least p50, and one in a hundred at least p99, which is what
# clients will tell their friends. Of 384 requests those are the four slowest. Of 30 it would be the slowest alone, an
# accident, so the table has none for the single client.
#
# Three honest remarks. A client alone pays for the wait, 5 ms by the service's setting, and for being woken up again after
# it, and gets nothing. These clients are polite: each one waits for its answer before it asks again, so an overloaded
# service slows them down, and the numbers look better than with clients who do not care. And they share the processor with
# the service, so both rows are worse than a machine of its own would show. For a small model such as our SmallCNN, HTTP
# itself is most of the time, and batching gains less: `benchmarks/service.py` of the course measures both, with clients that
# cost less.
#
# ## In a container
#
# A container image is the service with its Python, its packages and its settings, in one thing that runs anywhere. The
# course has a `Dockerfile`. To build and run it where Docker is installed, with the model mounted, not built in:
#
# ```
# docker build --tag course-service .
# docker run --rm --init --stop-timeout 15 --publish 127.0.0.1:8000:8000 --volume "$PWD/runs/first:/model:ro" course-service
# ```
#
# `--init` puts a small first process in front, which passes signals on. With `127.0.0.1` only this computer may ask; without
# it, the whole network.


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
print("the base image names its version:", rest["FROM"].partition(":")[2].count(".") >= 2)
print("every package named is pinned:", all("==" in line for line in pins))
print("packages before code:", installed < code)
print("not root:", rest["USER"].partition(":")[0] not in ("root", "0"))
print("CMD is a list:", json.loads(rest["CMD"])[:1] == ["python"])
ignored = Path("../.dockerignore").read_text().split("\n")
print("everything is left out that is not let in:", "*" in ignored)

# %% [markdown]
# "Named" is meant: what these packages bring along in turn is not in the list, and comes in the version of the day. A lock
# file (`pip freeze` in an environment that works) holds those, too.
#
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
# On SIGTERM the service takes no more requests, answers those it has begun, which it gives 11 seconds at most, and ends.
# Docker kills after ten seconds unless it is told otherwise, hence `--stop-timeout 15`. The course's tests run all the steps of the Dockerfile that need no Docker: its copies into a clean folder, its
# installation in a fresh environment, its command as another user, its end.

# %% [markdown]
# ## Your turn
#
# ### 1. From 2 to 8 bits
# Write a function that rounds the rows of a matrix to `bits` bits (2 to 8), and returns the whole numbers as `int8`
# together with the scales, of shape (rows, 1), so that `whole_numbers * scales` is close to `weight`. The largest weight of
# each row becomes `2 ** (bits - 1) - 1` or its negative. A row of zeros stays one, and its scale is not 0.


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
# request opens the next batch. (The model itself takes no time here.) Return the numbers of the requests, counted from 0,
# batch by batch: `[[0, 1], [2]]`.


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
# too, and 200,000 opening brackets a `RecursionError`. (`NaN` is no JSON, though Python reads it: 400 is right for it, too.)
# </details>

# %% [markdown]
# ## Recap
#
# - Build, load with `weights_only=True` and `map_location`, `eval`. In training mode, requests change the model.
# - Scaling is a part of the model. Compare logits, not accuracy: 255 times too large is nearly as right, and sure of all.
# - `torch.export` with a `Dim` for the batch, an example of two, in evaluation mode. TorchScript is what came before.
# - ONNX runs without PyTorch. Parity is a small difference of logits and the same classes, and precision is a setting.
# - int8 with a scale for each row, which mends unequal rows alone; count the answers that change, on the network that you
#   ship.
# - A bad request is answered with 4xx and a sentence. Requests share a call after a *bounded* wait.
# - A container is not root, is pinned, says whether it is healthy and ends on SIGTERM.
#
# **Next:** [15 · In production](15_in_production.ipynb) watches the model while the world changes.
