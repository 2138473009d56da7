# %% [markdown]
# # Homework 5 · Ship it: checkpoint, resume, export, serve
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/homework/release/hw5/hw5.ipynb)
#
# **After this homework you can**
# - save a training so that no moment is a bad one to be killed, and resume it to the very same weights;
# - hand over a model as one file with its preprocessing inside, for batches of any size;
# - put it behind HTTP so that no request breaks it and a wrong one is told what is wrong.
#
# **Points:** 20. **Time:** 120 minutes. **Builds on:** notebooks 06, Saving and resuming, and 14, Export and serving.
# **Allowed imports:** `torch`, `fastapi`, of `course_utils` the function `train_epoch`, and Python's standard library.
#
# Below each task stand its tests: the part you see has hints, and you can run it as often as you like. When your work is
# graded, the same tests run with other data, other stops and other requests. Keep the cells where they are; add as many
# of your own as you want. Hand in this file, `hw5.ipynb`. (Where `fastapi` is missing, as on Colab it may be:
# `%pip install fastapi httpx2`.)

# %% tags=["setup"] nbgrader={"grade_id": "setup", "locked": true}
# @title Setup
# Finds the course, in a folder above or installed; on Colab it fetches it. Torch stays as it is.
import importlib.util
import os
import subprocess
import sys

REPOSITORY = "https://github.com/pytorch-workflow-course/pytorch-workflow-course"
up = os.getcwd()
while not os.path.isdir(os.path.join(up, "course_utils")) and up != os.path.dirname(up):
    up = os.path.dirname(up)
if os.path.isdir(os.path.join(up, "course_utils")):
    sys.path.insert(0, up)
elif importlib.util.find_spec("course_utils") is None:
    if "google.colab" not in sys.modules:
        raise ModuleNotFoundError(f"The course is not here: pip install git+{REPOSITORY}.")
    if not os.path.isdir("course"):
        clone = f"rm -rf course.part && git clone --quiet --depth 1 {REPOSITORY} course.part"
        subprocess.run(f"{clone} && mv course.part course", shell=True, check=True)
    sys.path.insert(0, os.path.abspath("course"))
    os.chdir("course/notebooks/homework/release/hw5")
if not os.path.isfile("hw5_checks.py"):
    raise FileNotFoundError("hw5_checks.py is missing: fetch the whole folder hw5.")

# %% nbgrader={"grade_id": "imports", "locked": true}
import copy
import json
import math
import os
import random

import torch
from fastapi import FastAPI, HTTPException, Request
from torch import nn

from course_utils import train_epoch

import hw5_checks

# %% [markdown]
# ## 1. A checkpoint
#
# All that takes part in a training stands in one object. Its loader shuffles, with a generator of its own; its model has
# Dropout and BatchNorm; its data are a little different each time they are read, which uses Python's `random`.

# %% nbgrader={"grade_id": "look", "locked": true}
example = hw5_checks.make_training(seed=0)
print(example.model)
print(type(example.optimizer).__name__, type(example.scheduler).__name__)
print(type(example.loader).__name__, "with", type(example.loader.generator).__name__)

# %% [markdown]
# Write two functions. `save_checkpoint` writes to `path`, a `pathlib.Path`, everything that decides how `training` goes
# on, and `progress` with it. That is a dictionary of plain values, lists and tensors, for instance
# `{"epoch": 3, "best": 0.25}`. `load_checkpoint` fills the objects in `training`, which somebody has built anew, puts all
# random numbers back where they were, and returns `progress`.
#
# - **Everything.** Model, optimizer, scheduler; three kinds of random numbers: those of PyTorch (`torch.get_rng_state`),
#   of Python's `random` and of the loader's generator. All is on the processor, and NumPy draws nothing here.
# - **Safe.** The file holds tensors and plain values. A file that holds anything that could run is refused with an
#   error, whichever.
# - **Whole.** A program that is killed while it saves, at any moment, leaves at `path` the checkpoint that was there
#   before or the new one. What else it leaves in the folder does not disturb the next save.


# %% nbgrader={"grade_id": "checkpoint", "solution": true}
def save_checkpoint(path, training, progress):
    """Write all of training, and progress, to path: whole, or not at all."""
    ### BEGIN SOLUTION
    content = {
        "model": training.model.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "scheduler": training.scheduler.state_dict(),
        "order": training.loader.generator.get_state(),
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "progress": progress,
    }
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    ### END SOLUTION


def load_checkpoint(path, training):
    """Put training and all random numbers back as they were; return progress."""
    ### BEGIN SOLUTION
    content = torch.load(path, map_location="cpu", weights_only=True)
    training.model.load_state_dict(content["model"])
    training.optimizer.load_state_dict(content["optimizer"])
    training.scheduler.load_state_dict(content["scheduler"])
    training.loader.generator.set_state(content["order"])
    torch.set_rng_state(content["torch"])
    random.setstate(content["python"])
    return content["progress"]
    ### END SOLUTION


# %% [markdown]
# **Parts (1 point).** The model, with its buffers, and `progress` come back, whatever is trained in between.

# %% nbgrader={"grade_id": "parts", "grade": true, "points": 1}
hw5_checks.parts(save_checkpoint, load_checkpoint)
### BEGIN HIDDEN TESTS
hw5_checks.parts(save_checkpoint, load_checkpoint, seed=9101)
more = {"best": math.inf, "losses": [0.5, 0.25], "order": torch.Generator().get_state()}
hw5_checks.parts(save_checkpoint, load_checkpoint, seed=9102, **more)
try:
    hw5_checks.parts(lambda *given: None, lambda *given: {}, seed=9101)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Steps (2 points).** Four more steps give the same weights, to the last bit.

# %% nbgrader={"grade_id": "steps", "grade": true, "points": 2}
hw5_checks.steps(save_checkpoint, load_checkpoint)
### BEGIN HIDDEN TESTS
hw5_checks.steps(save_checkpoint, load_checkpoint, seed=9103)
hw5_checks.steps(save_checkpoint, load_checkpoint, seed=9104, adam=True)
try:
    hw5_checks.steps(lambda *given: None, lambda *given: {}, seed=9103)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Random numbers (1 point).**

# %% nbgrader={"grade_id": "random_numbers", "grade": true, "points": 1}
hw5_checks.random_numbers(save_checkpoint, load_checkpoint)
### BEGIN HIDDEN TESTS
hw5_checks.random_numbers(save_checkpoint, load_checkpoint, seed=9105)
try:
    hw5_checks.random_numbers(lambda *given: None, lambda *given: {}, seed=9105)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Safe (1 point).** Your own file can be loaded with `weights_only=True`; one into which somebody has put code is
# refused.

# %% nbgrader={"grade_id": "safe", "grade": true, "points": 1}
hw5_checks.safe(save_checkpoint, load_checkpoint)
### BEGIN HIDDEN TESTS
hw5_checks.safe(save_checkpoint, load_checkpoint, seed=9106)
try:
    hw5_checks.safe(lambda *given: None, lambda *given: {}, seed=9106)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Killed (2 points).** Copies of this program save and are killed on the way: after so many bytes, and before each time
# that they open, rename or remove a file. (On Windows, only when it is graded.)

# %% nbgrader={"grade_id": "killed", "grade": true, "points": 2}
hw5_checks.killed(save_checkpoint, load_checkpoint)
### BEGIN HIDDEN TESTS
hw5_checks.killed(save_checkpoint, load_checkpoint, seed=9107)
try:
    hw5_checks.killed(lambda *given: None, lambda *given: {}, seed=9107)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# ## 2. A training that may be stopped
#
# Write `train`. Each epoch is one call of `course_utils.train_epoch`, with the scheduler, which makes a step after each
# step of the optimizer: `train_epoch(model, loader, loss_fn, optimizer, scheduler=scheduler)`. After each epoch, `train`
# calls `validate(training.model)` once, which returns the validation loss as a float, and then saves a checkpoint at
# `path`, with your function.
#
# If there is a file at `path` when `train` is called, it goes on from there. It may be a program that was stopped at any
# moment and is started again: epochs that were completed are not trained again, the epoch in which it was stopped is
# trained from its start. `epochs` counts all of them, those before the stop too. The weights in the end are the very
# same as without the stop. `train` returns the lowest validation loss of all epochs.


# %% nbgrader={"grade_id": "train", "solution": true}
def train(training, loss_fn, validate, epochs, path):
    """Train up to so many epochs, from path on if it is there; return the best loss."""
    ### BEGIN SOLUTION
    progress = {"epoch": 0, "best": math.inf}
    if path.exists():
        progress = load_checkpoint(path, training)
    optimizer, scheduler = training.optimizer, training.scheduler
    while progress["epoch"] < epochs:
        train_epoch(training.model, training.loader, loss_fn, optimizer, scheduler=scheduler)
        best = min(progress["best"], validate(training.model))
        progress = {"epoch": progress["epoch"] + 1, "best": best}
        save_checkpoint(path, training, progress)
    return progress["best"]
    ### END SOLUTION


# %% [markdown]
# **Resumed (2 points).** Stopped in an epoch, started again.

# %% nbgrader={"grade_id": "resumed", "grade": true, "points": 2}
hw5_checks.resumed(train)
### BEGIN HIDDEN TESTS
hw5_checks.resumed(train, seed=9108, losses=(0.7, 0.8, 0.9), stop=1, adam=True)
hw5_checks.resumed(train, seed=9109, losses=(0.9, 0.8, 0.7, 0.3, 0.6), stop=2)
try:
    hw5_checks.resumed(lambda *given: 0.4, seed=9108)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# An epoch may take a day. Write `train_by_steps`, the hard part of this homework: it saves after every `every` steps of
# the optimizer, counted from the start of the training, and at no other time. When it is started again it goes on after
# the last step that was saved, inside the epoch. There is no validation, and it returns nothing. Write the loop yourself
# this time: training mode, and for each batch zero_grad, forward, loss, backward, the optimizer's step, the scheduler's.
#
# Think before you write. The order of an epoch is drawn from the loader's generator when `iter(loader)` is called, for
# the whole epoch; `load_checkpoint` puts the generator back to where it was when you saved, which is later. A loader
# cannot start in the middle, so batches that were trained on are read and passed over. And reading them draws random
# numbers. What has to be in `progress`?


# %% nbgrader={"grade_id": "train_by_steps", "solution": true}
def train_by_steps(training, loss_fn, epochs, path, every):
    """Train for so many epochs, with a checkpoint every so many steps; go on from path."""
    ### BEGIN SOLUTION
    loader = training.loader
    step, order = 0, None
    if path.exists():
        progress = load_checkpoint(path, training)
        step, order = progress["step"], progress["order"]
    training.model.train()
    while step < epochs * len(loader):
        done = step % len(loader)
        if done:
            loader.generator.set_state(order)
        order = loader.generator.get_state()
        batches = iter(loader)
        if done:
            for _ in range(done):
                next(batches)
            load_checkpoint(path, training)  # reading those has drawn random numbers
        for inputs, targets in batches:
            training.optimizer.zero_grad()
            loss_fn(training.model(inputs), targets).backward()
            training.optimizer.step()
            training.scheduler.step()
            step += 1
            if step % every == 0:
                save_checkpoint(path, training, {"step": step, "order": order})
    ### END SOLUTION


# %% [markdown]
# **Inside an epoch (3 points).** Stopped three times, the first time before there is a checkpoint.

# %% nbgrader={"grade_id": "inside", "grade": true, "points": 3}
hw5_checks.inside(train_by_steps)
### BEGIN HIDDEN TESTS
hw5_checks.inside(train_by_steps, seed=9110, every=3, stops=(4, 8, 14), adam=True)
hw5_checks.inside(train_by_steps, seed=9111, every=5, stops=(6, 10, 13))
try:
    hw5_checks.inside(lambda *given: None, seed=9110)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# ## 3. One file
#
# Write `export`. It writes to `path`, with `torch.export.save`, a program that takes what is in image files, bytes
# (`uint8`) of shape (N, *shape), and gives the probabilities of the classes, float32 of shape (N, classes). `model` takes
# images that were scaled to [0, 1] and standardised with `mean` and `std`, one number a channel, and gives logits. The
# scaling and the softmax become a part of the program. N is any number from 1 on.
#
# The program gives the answers of evaluation mode, whatever mode the model is in when it comes. The model itself stays as
# it is: its weights and buffers, and the mode of each module in it, which need not all be the same.


# %% nbgrader={"grade_id": "export", "solution": true}
def export(model, mean, std, shape, path):
    """Write model to path as a program from bytes to probabilities."""

    ### BEGIN SOLUTION
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = copy.deepcopy(model)
            self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
            self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

        def forward(self, pixels):
            return self.model((pixels.float() / 255 - self.mean) / self.std).softmax(dim=1)

    pair = torch.zeros((2, *shape), dtype=torch.uint8)
    sizes = {"pixels": {0: torch.export.Dim("batch", min=1)}}
    program = torch.export.export(Whole().eval(), (pair,), dynamic_shapes=sizes)
    torch.export.save(program, path)
    ### END SOLUTION


# %% [markdown]
# **Agreement (2 points).** For five images, to 1e-5.

# %% nbgrader={"grade_id": "agreement", "grade": true, "points": 2}
hw5_checks.agreement(export)
### BEGIN HIDDEN TESTS
hw5_checks.agreement(export, seed=9112, channels=3)
try:
    hw5_checks.agreement(lambda *given: None, seed=9112)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Any batch (1 point).** One file, batches of 1, 7 and 32.

# %% nbgrader={"grade_id": "any_batch", "grade": true, "points": 1}
hw5_checks.any_batch(export)
### BEGIN HIDDEN TESTS
hw5_checks.any_batch(export, seed=9112, channels=3, sizes=(1, 2, 7, 40))
try:
    hw5_checks.any_batch(lambda *given: None, seed=9112)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Mode (1 point).** Here the model comes in training mode, except for its first block.

# %% nbgrader={"grade_id": "mode", "grade": true, "points": 1}
hw5_checks.mode(export)
### BEGIN HIDDEN TESTS
hw5_checks.mode(export, seed=9112, channels=3)
try:
    hw5_checks.mode(lambda *given: None, seed=9112)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# ## 4. A service
#
# Write `make_app`. It returns a FastAPI app with two addresses. `predict` takes a uint8 tensor (N, *shape) and gives
# float32 probabilities (N, classes), as your exported program does; the tests bring one of their own.
#
# - `GET /health` answers `{"status": "ok"}`.
# - `POST /predict` takes `{"images": [...]}`, from 1 to `most` images, each as nested lists of whole numbers from 0 to 255
#   in the form of `shape`. It answers `{"predictions": [{"label": "seven", "probabilities": [0.1, ...]}, ...]}`: for each
#   image the name of the most probable class, out of `class_names`, and the probability of each class in their order.
#   `predict` is called once, with all images.
# - Whatever else comes is answered with a status and `{"detail": "..."}`, a sentence of up to 300 characters that ends
#   with a full stop: 400 if the body is no JSON, 413 if there are more than `most` images, 422 for all the rest. (`NaN` and
#   `Infinity` are no JSON, though Python reads them: 400 and 422 are both right.) It does not get to `predict`, and
#   nothing that a client sends leads to a status of 500.
#
# `await request.body()` gives the bytes of a request, and `raise HTTPException(422, "...")` is an answer with a status and
# a `detail`.


# %% nbgrader={"grade_id": "make_app", "solution": true}
def make_app(predict, shape, class_names, most):
    """Return the service for predict, which takes uint8 (N, *shape) and gives probabilities."""
    app = FastAPI()
    ### BEGIN SOLUTION

    def fits(value, shape):
        if not shape:
            return type(value) is int and 0 <= value <= 255
        lengths_fit = type(value) is list and len(value) == shape[0]
        return lengths_fit and all(fits(part, shape[1:]) for part in value)

    @app.get("/health")
    def health():
        return {"status": "ok"}

    @app.post("/predict")
    async def answer(request: Request):
        try:
            content = json.loads(await request.body())
        except (ValueError, RecursionError):
            raise HTTPException(400, "The body is no JSON: send an object with images.") from None
        images = content.get("images") if type(content) is dict else None
        if type(images) is not list or not images:
            raise HTTPException(422, "There are no images: send a list of at least one.")
        if len(images) > most:
            raise HTTPException(413, f"There are {len(images)} images: send {most} at most.")
        for number, image in enumerate(images):
            if not fits(image, tuple(shape)):
                wanted = f"lists of whole numbers from 0 to 255, of shape {tuple(shape)}"
                raise HTTPException(422, f"Image {number} does not fit: send {wanted}.")
        rows = predict(torch.tensor(images, dtype=torch.uint8)).tolist()
        names = [class_names[row.index(max(row))] for row in rows]
        pairs = zip(names, rows, strict=True)
        return {"predictions": [{"label": name, "probabilities": row} for name, row in pairs]}

    ### END SOLUTION
    return app


# %% [markdown]
# **Answers (1 point).** One image, as many as may come, and `/health`.

# %% nbgrader={"grade_id": "answers", "grade": true, "points": 1}
hw5_checks.answers(make_app)
### BEGIN HIDDEN TESTS
hw5_checks.answers(make_app, seed=9116, shape=(3, 4, 5), most=7)
try:
    hw5_checks.answers(lambda *given: FastAPI(), seed=9116)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Requests (1 point).** No JSON, something else than images, images of another shape.

# %% nbgrader={"grade_id": "requests", "grade": true, "points": 1}
hw5_checks.requests(make_app)
### BEGIN HIDDEN TESTS
hw5_checks.requests(make_app, seed=9117, shape=(3, 2, 2), most=9)
try:
    hw5_checks.requests(lambda *given: FastAPI(), seed=9117)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Values (1 point).** Pixels that are none.

# %% nbgrader={"grade_id": "values", "grade": true, "points": 1}
hw5_checks.values(make_app)
### BEGIN HIDDEN TESTS
hw5_checks.values(make_app, seed=9118, shape=(2, 3, 2), most=9)
try:
    hw5_checks.values(lambda *given: FastAPI(), seed=9118)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Too many (1 point).**

# %% nbgrader={"grade_id": "too_many", "grade": true, "points": 1}
hw5_checks.too_many(make_app)
### BEGIN HIDDEN TESTS
hw5_checks.too_many(make_app, seed=9119, shape=(1, 3, 3), most=11)
try:
    hw5_checks.too_many(lambda *given: FastAPI(), seed=9119)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# Before you hand in: *Kernel, Restart Kernel and Run All Cells*. Every test that runs without an error here has its
# visible part right; a cell that says `NotImplementedError` is one you have not written yet.
