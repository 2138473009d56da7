# %% [markdown]
# # 00 · Quickstart: the whole workflow on one page
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/00_quickstart.ipynb)
#
# **After this notebook you can**
# - name the steps that every training run consists of, in their order;
# - train an image classifier on real handwriting, test it once, save it and load it again;
# - read its loss and accuracy curves, and look at what it gets wrong.
#
# **Time:** 5 minutes. **Builds on:** nothing but Python.
#
# The steps are always the same: data, model, training, evaluation, saving. Every later notebook takes one of them
# apart and rebuilds it by hand; here you see them work together.

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

# %% [markdown]
# ## Data
#
# `digits` is the set of 1,797 handwritten digits that scikit-learn ships. They are real scans, and they need no
# network. To run this notebook on other images, write `mnist`, `fashion_mnist` or `cifar10` in place of `digits` below.

# %%
import os

DATASET = os.environ.get("COURSE_DATASET", "digits")

# %% [markdown]
# A loader hands out the data in batches: small stacks of images that the model sees at once. We fix the seed first,
# so that the same run can be repeated.

# %%
from course_utils import load_dataset, make_loaders, seed_everything

seed_everything(42)
data = load_dataset(DATASET)
loaders = make_loaders(data, batch_size=64)

# %%
parts = {"training": data.train, "validation": data.val, "the final test": data.test}
print("images for", ", ".join(f"{name}: {len(part)}" for name, part in parts.items()))
images, labels = next(iter(loaders.train))
print("one batch:", tuple(images.shape), images.dtype)
print("its labels:", tuple(labels.shape), labels.dtype)

# %% [markdown]
# The shape of a batch of `digits` reads: 64 images, 1 channel (grey), 28 rows, 28 columns. Always look at the data before you train on it.

# %%
from course_utils.plots import plot_images

names = [data.class_names[label] for label in labels[:16]]
plot_images(
    images[:16],
    names,
    title="The first training images",
    alt=f"Sixteen small images: {', '.join(names)}.",
)

# %% [markdown]
# ## Model
#
# A small convolutional network. It takes its input and output sizes from the data set, so nothing has to be counted
# by hand. `get_device` finds a GPU if there is one; without one, everything here runs on the processor.

# %% tags=["nbval-ignore-output"]
from course_utils import SmallCNN, get_device

device = get_device()
model = SmallCNN(data.input_shape, data.num_classes).to(device)
print("training on", device)

# %%
from course_utils import count_parameters

print(f"{count_parameters(model):,} numbers to learn")

# %% [markdown]
# Before training it knows nothing. Guessing among ten classes finds about one in ten; an untrained model is not even a
# random guesser, it often gives one and the same answer.

# %% tags=["nbval-ignore-output"]
from torch import nn

from course_utils import evaluate

loss_fn = nn.CrossEntropyLoss()
untrained = evaluate(model, loaders.val, loss_fn)
print(f"validation accuracy before training: {untrained.accuracy:.1%}")

# %% [markdown]
# ## Training
#
# The loss function says how wrong the answers are; the optimizer changes the model's numbers so that they become less
# wrong. `fit` goes through the training data five times (five *epochs*) and looks at the validation data after each.
# The validation images are never trained on, so their accuracy is honest, as long as nothing is chosen by it. (To start
# over, run the notebook again from *Model*: a second run of this cell trains the same model on.)

# %% tags=["nbval-ignore-output"]
import torch

from course_utils import fit

optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
history = fit(model, loaders.train, loaders.val, loss_fn, optimizer, epochs=5)

# %%
first, last = history.val[0], history.val[-1]
print(f"Better than before training? {last.accuracy > untrained.accuracy + 0.2}")
print(f"Did the validation loss fall? {last.loss < first.loss}")
print(f"Does the training loss end lower still? {history.train[-1].loss < last.loss}")
print(f"Is the accuracy far above guessing? {last.accuracy > 3 / data.num_classes}")

# %%
from course_utils.plots import plot_history

plot_history(history)

# %% [markdown]
# Read it from left to right. Both losses fall: the model learns. The training loss ends below the validation loss:
# the model knows the images it has seen a little better than new ones. That gap is normal; a validation loss that
# *rises* while the training loss falls would say that more epochs do harm.

# %% [markdown]
# ## Evaluation
#
# The test set has not been touched. It is used once, now, after every decision has been made.

# %% tags=["nbval-ignore-output"]
test = evaluate(model, loaders.test, loss_fn)
print(f"test accuracy {test.accuracy:.1%} on {test.samples} images, loss {test.loss:.4f}")

# %%
print(f"Every test image counted once? {test.samples == len(data.test)}")
print(f"Within 10 points of validation? {abs(test.accuracy - last.accuracy) < 0.1}")

# %% [markdown]
# A number says how often the model is wrong, not how. So we look at the images it is least sure about. `predict`
# returns the outputs (*logits*) and the right answers of one pass in one order; softmax turns logits into shares
# that add up to 1.

# %%
from course_utils import predict

logits, targets = predict(model, loaders.test)
confidence, predicted = logits.softmax(dim=1).max(dim=1)
print("logits:", tuple(logits.shape), " targets:", tuple(targets.shape))

# %%
unsure = confidence.argsort()[:16]
wrong = (predicted != targets)[unsure].tolist()
titles = []
for answer, right, sure in zip(predicted[unsure], targets[unsure], confidence[unsure], strict=True):
    name, truth = data.class_names[answer], data.class_names[right]
    titles.append((name if answer == right else f"{name}, not {truth}") + f"\n{sure:.0%} sure")
plot_images(
    data.test.images[unsure],
    titles,
    wrong=wrong,
    title="What the model is least sure about (a cross: wrong)",
    alt=f"The sixteen least certain test images; {sum(wrong)} of them are classified wrongly.",
)

# %% [markdown]
# ## Saving and loading
#
# Save the numbers, not the object: a `state_dict` is a dictionary of tensors. To load it, build the same model and
# fill it. `weights_only=True` refuses to run any code that a file might contain, and `map_location` brings a model
# from a GPU to a machine that has none.

# %%
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
torch.save(model.state_dict(), folder / "model.pt")
print(sorted(path.name for path in folder.iterdir()))

# %%
loaded = SmallCNN(data.input_shape, data.num_classes)
loaded.load_state_dict(torch.load(folder / "model.pt", weights_only=True, map_location="cpu"))
again = predict(loaded, loaders.test)
print(f"Same answers as before saving? {torch.allclose(again.logits, logits, atol=1e-3)}")

# %% [markdown]
# ## Your turn
#
# ### 1. Accuracy by hand
# Write a function that takes logits, a float tensor (samples, classes), and targets, a tensor of class numbers
# (samples,), and returns the share of right answers, from 0 to 1. Run the cell, then the check below it; change it and
# run both again until it is correct.


# %% tags=["exercise"]
def accuracy(logits, targets):
    # your code here
    ...


# %% tags=["check"]
from checks import quickstart

quickstart.accuracy(accuracy)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def accuracy(logits, targets):
#     return (logits.argmax(dim=1) == targets).float().mean().item()
# ```
#
# The largest logit of each row is the answer: `dim=1` goes along the classes.
# </details>

# %% [markdown]
# ### 2. The name of one image
# Write a function that takes a trained model, **one** image, a tensor (C, H, W), and the list of class names, and
# returns the name of the class the model finds, a string.


# %% tags=["exercise"]
def name_of(model, image, class_names):
    # your code here
    ...


# %% tags=["check"]
quickstart.name_of(name_of)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# import torch
#
# def name_of(model, image, class_names):
#     model.eval()
#     with torch.no_grad():
#         logits = model(image.unsqueeze(0))
#     return class_names[logits.argmax(dim=1).item()]
# ```
#
# Models take batches, so one image becomes a batch of one with `unsqueeze(0)`. `eval()` sets the layers to evaluation,
# `no_grad()` only keeps PyTorch from preparing a `backward`: they are two different things.
# </details>

# %% [markdown]
# ### How far are you?
# An answer that was correct once is remembered, from every notebook: its name and the day, in the file `progress.json`
# beside the notebooks, which never leaves this machine (on Colab it lasts as long as the runtime). To begin anew, delete
# that file. The call below, in any notebook after its setup cell, draws all exercises of the course, and fills the marks
# of those you have solved.

# %%
from checks import show_progress

show_progress()

# %% [markdown]
# ## Recap
#
# - Data comes in batches of shape (batch, channels, height, width), with one class number for each image.
# - A model turns a batch into logits, a loss function turns logits and targets into one number, an optimizer lowers it.
# - Train on the training part, decide by the validation part, and use the test part once.
# - A saved model is a dictionary of tensors.
#
# **Next:** [01 · Data loading](01_data_loading.ipynb) opens the first box: where the batches come from.
