# %% [markdown]
# # Homework 2 · The training loop from nothing
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/homework/release/hw2/hw2.ipynb)
#
# **After this homework you can**
# - write a training epoch from nothing, and show that it does what a tested one does;
# - report a loss and an accuracy that are exact, whatever the size of the last batch;
# - train with a large batch that does not fit into memory.
#
# **Points:** 20. **Time:** 90 minutes. **Builds on:** notebook 03, The training loop.
# **Allowed imports:** `torch` and Python's standard library. `course_utils` is what you are compared with, so your code must not call it.
#
# You write two functions. Below each stand its tests: the part you see has hints, and you can run it as often as you
# like. When your work is graded, the same tests run with other data, other models and other batch sizes. Keep the cells
# where they are; add as many of your own as you want. Hand in this file, `hw2.ipynb`.

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
    os.chdir("course/notebooks/homework/release/hw2")
if not os.path.isfile("hw2_checks.py"):
    raise FileNotFoundError("hw2_checks.py is missing: fetch the whole folder hw2.")

# %% nbgrader={"grade_id": "imports", "locked": true}
import torch
from torch import nn

import hw2_checks

# %% [markdown]
# ## 1. One epoch
#
# Write `train_epoch`. It trains the model on every batch of `loader` once and returns two floats. `loader` gives pairs
# `(inputs, targets)`; it may be a DataLoader or a list of batches.
#
# - **Steps.** For each batch: gradients to zero, forward, loss, backward, step.
# - **Mode.** Dropout and BatchNorm work in training mode, whatever mode the model is in when it comes. When the epoch
#   is over, the model has the mode back in which it came.
# - **Numbers.** The loss is the mean over all samples that were seen, measured on each batch before its step;
#   `loss_fn` returns the mean over its batch. The accuracy is the share of right answers, from 0 to 1. Both are
#   exact when the last batch is smaller, and both are floats.
# - **Scheduler.** If there is one, it steps after each step of the optimizer.
# - **Memory.** The graph of a batch is not kept when the next batch comes. A model that trains for one batch can train
#   for a million.


# %% nbgrader={"grade_id": "train_epoch", "solution": true}
def train_epoch(model, loader, loss_fn, optimizer, scheduler=None):
    """Train for one epoch; return the mean loss and the accuracy, two floats."""
    ### BEGIN SOLUTION
    was_training = model.training
    model.train()
    loss_sum, right, samples = 0.0, 0.0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        logits = model(inputs)
        loss = loss_fn(logits, targets)
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        loss_sum = loss_sum + loss.detach() * len(targets)
        right = right + (logits.argmax(dim=1) == targets).sum()
        samples += len(targets)
    model.train(was_training)
    return loss_sum.item() / samples, right.item() / samples
    ### END SOLUTION


# %% [markdown]
# **Steps (3 points).** The weights after an epoch are those of `course_utils.train_epoch`, for two optimizers.

# %% nbgrader={"grade_id": "steps", "grade": true, "points": 3}
hw2_checks.steps(train_epoch)
### BEGIN HIDDEN TESTS
hw2_checks.steps(train_epoch, seed=5077, classes=7, dropout=0.4)
try:
    hw2_checks.steps(lambda *given, **options: (1.0, 0.5), seed=5077)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Mode (2 points).**

# %% nbgrader={"grade_id": "mode", "grade": true, "points": 2}
hw2_checks.mode(train_epoch)
### BEGIN HIDDEN TESTS
hw2_checks.mode(train_epoch, seed=5078)
try:
    hw2_checks.mode(lambda *given, **options: (1.0, 0.5), seed=5078)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Numbers (3 points).** 75 samples in batches of 32, 32 and 11.

# %% nbgrader={"grade_id": "mean", "grade": true, "points": 3}
hw2_checks.mean(train_epoch)
### BEGIN HIDDEN TESTS
hw2_checks.mean(train_epoch, seed=5079, sizes=(20, 20, 20, 1), classes=6)
hw2_checks.mean(train_epoch, seed=5080, sizes=(9,))
try:
    hw2_checks.mean(lambda *given, **options: (1.0, 0.5), seed=5079)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Scheduler (2 points).** One that halves the rate at each step.

# %% nbgrader={"grade_id": "schedule", "grade": true, "points": 2}
hw2_checks.schedule(train_epoch)
### BEGIN HIDDEN TESTS
hw2_checks.schedule(train_epoch, seed=5081, batches=7)
try:
    hw2_checks.schedule(lambda *given, **options: (1.0, 0.5), seed=5081)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Memory (2 points).** `loss_sum += loss` looks harmless, and keeps the graph of every batch alive until the epoch is
# over.

# %% nbgrader={"grade_id": "memory", "grade": true, "points": 2}
hw2_checks.memory(train_epoch)
### BEGIN HIDDEN TESTS
hw2_checks.memory(train_epoch, seed=5082, batches=40)
try:
    hw2_checks.memory(lambda *given, **options: (1.0, 0.5), seed=5082)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **All together (2 points).** Dropout, BatchNorm, a scheduler, a short last batch and a model that comes in evaluation
# mode: weights, loss and accuracy agree with `course_utils.train_epoch` to 1e-6.

# %% nbgrader={"grade_id": "agreement", "grade": true, "points": 2}
hw2_checks.agreement(train_epoch)
### BEGIN HIDDEN TESTS
hw2_checks.agreement(train_epoch, seed=5083, sizes=(24, 24, 24, 24, 3), classes=5)
try:
    hw2_checks.agreement(lambda *given, **options: (1.0, 0.5), seed=5083)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Large batches in small pieces
#
# A batch of 1,024 images may not fit into memory; 16 batches of 64 do. Their gradients can be added up before the
# optimizer makes one step, and that step should be *the same as that of the large batch*.
#
# Write `train_in_groups`. Each `accumulate` batches form a group, and each group makes one step. The step is the one
# that a single batch with all samples of the group would have made: each sample counts the same. Batches may be of
# unequal size, and the last group may have fewer than `accumulate` batches; it makes a step as well. If `clip_norm` is
# given, the gradients of the group are clipped before the step, all together, to that norm (`nn.utils.clip_grad_norm_`).
# `loader` can only be looped over once, and a group is never held in memory as a whole. It returns the same two
# numbers as `train_epoch`; their exactness is not graded a second time.
#
# Take a piece of paper first. `loss_fn` returns a mean over a batch of $n_i$ samples, so what `backward` adds to `grad`
# is $\frac{1}{n_i}\sum g$, the sum over that batch's samples. What should `grad` hold when the group is complete?


# %% nbgrader={"grade_id": "train_in_groups", "solution": true}
def train_in_groups(model, loader, loss_fn, optimizer, accumulate, clip_norm=None):
    """Train for one epoch, one step for each group of batches; return mean loss and accuracy."""
    ### BEGIN SOLUTION
    was_training = model.training
    model.train()

    def step(group_samples):
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad /= group_samples
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        optimizer.zero_grad()

    optimizer.zero_grad()
    loss_sum, right, samples, group_samples = 0.0, 0.0, 0, 0
    for batch, (inputs, targets) in enumerate(loader, start=1):
        logits = model(inputs)
        loss = loss_fn(logits, targets)
        (loss * len(targets)).backward()
        loss_sum = loss_sum + loss.detach() * len(targets)
        right = right + (logits.argmax(dim=1) == targets).sum()
        samples += len(targets)
        group_samples += len(targets)
        if batch % accumulate == 0:
            step(group_samples)
            group_samples = 0
    if group_samples:
        step(group_samples)
    model.train(was_training)
    return loss_sum.item() / samples, right.item() / samples
    ### END SOLUTION


# %% [markdown]
# **Clipping (2 points).** Groups of one batch.

# %% nbgrader={"grade_id": "clipping", "grade": true, "points": 2}
hw2_checks.clipping(train_in_groups)
### BEGIN HIDDEN TESTS
hw2_checks.clipping(train_in_groups, seed=5084, clip_norm=0.1)
try:
    hw2_checks.clipping(lambda *given, **options: (1.0, 0.5), seed=5084)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Groups (2 points).** Batches of equal size, full groups.

# %% nbgrader={"grade_id": "groups", "grade": true, "points": 2}
hw2_checks.groups(train_in_groups)
### BEGIN HIDDEN TESTS
hw2_checks.groups(train_in_groups, seed=5085, accumulate=3, count=9)
try:
    hw2_checks.groups(lambda *given, **options: (1.0, 0.5), seed=5085)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Ragged groups (2 points).** The hard part: unequal batches, and a last group that is short.

# %% nbgrader={"grade_id": "ragged_groups", "grade": true, "points": 2}
hw2_checks.ragged_groups(train_in_groups)
hw2_checks.ragged_groups(train_in_groups, clip_norm=0.5)
### BEGIN HIDDEN TESTS
hw2_checks.ragged_groups(train_in_groups, seed=5086, sizes=(12, 3, 20, 12, 12, 1, 8), accumulate=3)
hw2_checks.ragged_groups(train_in_groups, seed=5087, sizes=(9, 2, 4), accumulate=8, clip_norm=0.2)
try:
    hw2_checks.ragged_groups(lambda *given, **options: (1.0, 0.5), seed=5086)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# Before you hand in: *Kernel, Restart Kernel and Run All Cells*. Every test that runs without an error here has its
# visible part right; a cell that says `NotImplementedError` is one you have not written yet.
