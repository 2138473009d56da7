# %% [markdown]
# # Homework 3 · Evaluation: a confusion matrix by hand, and a script to repair
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/homework/release/hw3/hw3.ipynb)
#
# **After this homework you can**
# - count a confusion matrix batch by batch, and compute precision, recall and F1 from it, with classes that are missing;
# - find out what is wrong with an evaluation that runs without an error;
# - repair it, and show of each repair that it does what it should.
#
# **Points:** 20. **Time:** 100 minutes. **Builds on:** notebooks 04, Evaluation, and 05, Confusion matrices.
# **Allowed imports:** `torch` and Python's standard library. `course_utils` and scikit-learn have functions for most of this;
# the answers must not call them.
#
# Below each task stand its tests: the part you see has hints, and you can run it as often as you like. When your work is
# graded, the same tests run with other data. Keep the cells where they are; add as many of your own as you want. Hand in
# this file, `hw3.ipynb`.

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
    os.chdir("course/notebooks/homework/release/hw3")
if not os.path.isfile("hw3_checks.py"):
    raise FileNotFoundError("hw3_checks.py is missing: fetch the whole folder hw3.")

# %% nbgrader={"grade_id": "imports", "locked": true}
import copy
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import evaluate_wrong
import hw3_checks

# %% [markdown]
# ## 1. A confusion matrix
#
# Write `confusion_matrix`. It takes batches, pairs of logits (N, classes) and targets (N,), and the number of classes.
# The batches may be of any sizes, and they can only be looped over once. It returns a tensor of whole numbers (int64,
# classes x classes): **rows are true, columns are predicted**. Entry `[i, j]` counts the samples of class `i` that were
# taken for class `j`, and every class has its row and its column.


# %% nbgrader={"grade_id": "confusion_matrix", "solution": true}
def confusion_matrix(batches, num_classes):
    """Return how often samples of each class got each answer; rows are true."""
    ### BEGIN SOLUTION
    matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    for logits, targets in batches:
        cells = targets * num_classes + logits.argmax(dim=1)
        matrix += cells.bincount(minlength=num_classes**2).view(num_classes, num_classes)
    return matrix
    ### END SOLUTION


# %% [markdown]
# **Counts (2 points).** First two batches with as many samples as there are classes, then batches of 7, 4, 12 and 1.

# %% nbgrader={"grade_id": "counts", "grade": true, "points": 2}
hw3_checks.counts(confusion_matrix)
### BEGIN HIDDEN TESTS
hw3_checks.counts(confusion_matrix, seed=8101, classes=6, sizes=(3, 40, 6, 2))
hw3_checks.counts(confusion_matrix, seed=8102, classes=2, sizes=(5,))
try:
    hw3_checks.counts(lambda batches, classes: torch.ones(classes, classes).long(), seed=8101)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **All classes (1 point).** Some do not occur in these batches.

# %% nbgrader={"grade_id": "all_classes", "grade": true, "points": 1}
hw3_checks.all_classes(confusion_matrix)
### BEGIN HIDDEN TESTS
hw3_checks.all_classes(confusion_matrix, seed=8103, classes=9, occurring=2)
try:
    hw3_checks.all_classes(lambda batches, classes: torch.ones(3, 3).long(), seed=8103)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Figures from it
#
# Write `class_figures`. It takes a confusion matrix and returns three tensors with one number for each class: precision,
# recall and F1. Some class may never be predicted, or never occur, or both. A figure that would be 0 / 0 is 0; and
# F1, which is 2 TP / (2 TP + FP + FN), is 0 as well where no sample of the class was found. The matrix stays as it is.


# %% nbgrader={"grade_id": "class_figures", "solution": true}
def class_figures(matrix):
    """Return precision, recall and F1 of each class."""
    ### BEGIN SOLUTION
    right = matrix.diagonal().double()
    predicted, occurring = matrix.sum(dim=0), matrix.sum(dim=1)
    f1 = 2 * right / (predicted + occurring).clamp_min(1)
    return right / predicted.clamp_min(1), right / occurring.clamp_min(1), f1
    ### END SOLUTION


# %% [markdown]
# **Shares (1 point).** Every class occurs and is predicted.

# %% nbgrader={"grade_id": "shares", "grade": true, "points": 1}
hw3_checks.shares(class_figures)
### BEGIN HIDDEN TESTS
hw3_checks.shares(class_figures, seed=8104, classes=7)
try:
    hw3_checks.shares(lambda matrix: (torch.ones(3), torch.ones(3), torch.ones(3)), seed=8104)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Nothing to divide by (2 points).** A *nan* in one class would spoil every mean that it gets into.

# %% nbgrader={"grade_id": "empty", "grade": true, "points": 2}
hw3_checks.empty(class_figures)
### BEGIN HIDDEN TESTS
hw3_checks.empty(class_figures, seed=8105, classes=3)
try:
    hw3_checks.empty(lambda matrix: (torch.ones(5), torch.ones(5), torch.ones(5)), seed=8105)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# Write `macro_f1`: one float, the mean of F1 over the classes that occur in the data. (How a class that does not occur should
# count is a question of convention, so it must be said. Here it is left out, since no answer about it could have
# been right; an answer that names it costs the others their recall.)


# %% nbgrader={"grade_id": "macro_f1", "solution": true}
def macro_f1(matrix):
    """Return the mean F1 of the classes that occur, a float."""
    ### BEGIN SOLUTION
    occurring = matrix.sum(dim=1)
    f1 = 2 * matrix.diagonal().double() / (matrix.sum(dim=0) + occurring)
    return f1[occurring > 0].mean().item()
    ### END SOLUTION


# %% [markdown]
# **Macro F1 (1 point).**

# %% nbgrader={"grade_id": "average", "grade": true, "points": 1}
hw3_checks.average(macro_f1)
### BEGIN HIDDEN TESTS
hw3_checks.average(macro_f1, seed=8106, classes=8)
try:
    hw3_checks.average(lambda matrix: 0.5, seed=8106)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# ## 3. A script that is wrong
#
# Somebody trains a network on the digits and reports how good it is. The script is the file `evaluate_wrong.py` beside this
# notebook:

# %% nbgrader={"grade_id": "look", "locked": true}
print(Path("evaluate_wrong.py").read_text(encoding="utf-8"))

# %% [markdown]
# Run it, in a cell of your own: `evaluate_wrong.main()`. It takes some seconds, it raises nothing, and its three lines cannot all
# be true. More than eight of ten answers are right, so the first one says; one by one, it is about one in ten. The
# loss is above 1.4, though a model that is right so often should have a loss far below 1, and one that only guesses has
# 2.3. And it counts 320 test images, but there are 360.
#
# **Eight things are wrong**: one in `prepare`, one in `make_loaders`, four in `evaluate`, one in `predict` and one in
# `train_and_test`. Some hide others: with batches that are all full, a mean over batches is exact, so one mistake can
# be seen only when another one is repaired. Read the five functions now, before you look at the tests below, and write down
# what you find and what each mistake does to the report.
#
# Then repair them. Copy each function into its cell and change what is wrong. What goes in and what comes out stays as it is. Each
# mistake has a test of its own, which sees no other.
#
# `prepare`: one mean and one standard deviation, over all pixels.


# %% nbgrader={"grade_id": "prepare", "solution": true}
def prepare(train, val, test):
    """Return the images of the three parts, standardised; they come as uint8 (N, 1, H, W)."""
    ### BEGIN SOLUTION
    mean, std = train.float().mean(), train.float().std()
    return tuple((images.float() - mean) / std for images in (train, val, test))
    ### END SOLUTION


# %% [markdown]
# **Images (2 points).** Who may have a say in these two numbers?

# %% nbgrader={"grade_id": "statistics", "grade": true, "points": 2}
hw3_checks.statistics(prepare)
### BEGIN HIDDEN TESTS
hw3_checks.statistics(prepare, seed=8107, count=25)
try:
    hw3_checks.statistics(lambda train, val, test: (train, val, test), seed=8107)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# `make_loaders`: whether the validation and the test loader shuffle is up to you; the training loader must.


# %% nbgrader={"grade_id": "make_loaders", "solution": true}
def make_loaders(train, val, test, batch_size):
    """Return a loader of each part; a part is a pair of images and labels."""
    ### BEGIN SOLUTION
    parts = [TensorDataset(images, labels) for images, labels in (train, val, test)]
    return tuple(DataLoader(part, batch_size, shuffle=part is parts[0]) for part in parts)
    ### END SOLUTION


# %% [markdown]
# **Samples (1 point).** 75 of them, in batches of 32.

# %% nbgrader={"grade_id": "every_sample", "grade": true, "points": 1}
hw3_checks.every_sample(make_loaders)
### BEGIN HIDDEN TESTS
hw3_checks.every_sample(make_loaders, seed=8108, count=50, batch_size=64)
hw3_checks.every_sample(make_loaders, seed=8109, count=21, batch_size=20)
try:
    hw3_checks.every_sample(lambda train, val, test, batch_size: ([], [], []), seed=8108)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# `evaluate`: two floats, for a model in whatever mode, and batches of whatever sizes. `loss_fn` gets outputs and targets and
# returns the mean over its batch.


# %% nbgrader={"grade_id": "evaluate", "solution": true}
def evaluate(model, loader, loss_fn):
    """Return the loss and the accuracy of a model, two floats."""
    ### BEGIN SOLUTION
    was_training = model.training
    model.eval()
    loss_sum, right, samples = 0.0, 0, 0
    with torch.no_grad():
        for inputs, targets in loader:
            logits = model(inputs)
            loss_sum += loss_fn(logits, targets).item() * len(targets)
            right += (logits.argmax(dim=1) == targets).sum().item()
            samples += len(targets)
    model.train(was_training)
    return loss_sum / samples, right / samples
    ### END SOLUTION


# %% [markdown]
# **Layers (2 points).** A model with Dropout and BatchNorm, which comes in training mode and then in evaluation mode. It goes as
# it came.

# %% nbgrader={"grade_id": "mode", "grade": true, "points": 2}
hw3_checks.mode(evaluate)
### BEGIN HIDDEN TESTS
hw3_checks.mode(evaluate, seed=8110)
try:
    hw3_checks.mode(lambda model, batches, loss_fn: (1.0, 0.5), seed=8110)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Memory (1 point).** What is computed here is never trained with, so there is nothing to keep for it.

# %% nbgrader={"grade_id": "graph", "grade": true, "points": 1}
hw3_checks.graph(evaluate)
### BEGIN HIDDEN TESTS
hw3_checks.graph(evaluate, seed=8111, batches=9)
try:
    hw3_checks.graph(lambda model, batches, loss_fn: (1.0, 0.5), seed=8111)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Means (2 points).** 75 samples, in batches of 32, 32 and 11.

# %% nbgrader={"grade_id": "mean", "grade": true, "points": 2}
hw3_checks.mean(evaluate)
### BEGIN HIDDEN TESTS
hw3_checks.mean(evaluate, seed=8112, sizes=(20, 20, 20, 1))
hw3_checks.mean(evaluate, seed=8113, sizes=(3, 17))
try:
    hw3_checks.mean(lambda model, batches, loss_fn: (1.0, 0.5), seed=8112)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Loss (1 point).** Of two full batches.

# %% nbgrader={"grade_id": "loss", "grade": true, "points": 1}
hw3_checks.loss_of_logits(evaluate)
### BEGIN HIDDEN TESTS
hw3_checks.loss_of_logits(evaluate, seed=8114, smoothing=0.2)
try:
    hw3_checks.loss_of_logits(lambda model, batches, loss_fn: (1.0, 0.5), seed=8114)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# `predict`: logits and targets of all samples; row `i` of both belongs to the same sample. The order of the rows is up to
# the loader, which may have a new one each time.


# %% nbgrader={"grade_id": "predict", "solution": true}
def predict(model, loader):
    """Return the logits of all samples, and their targets."""
    ### BEGIN SOLUTION
    was_training = model.training
    model.eval()
    with torch.no_grad():
        rows = [(model(inputs), targets) for inputs, targets in loader]
    model.train(was_training)
    return tuple(torch.cat(parts) for parts in zip(*rows, strict=True))
    ### END SOLUTION


# %% [markdown]
# **Rows (2 points).**

# %% nbgrader={"grade_id": "pairs", "grade": true, "points": 2}
hw3_checks.pairs(predict)
### BEGIN HIDDEN TESTS
hw3_checks.pairs(predict, seed=8115, count=70, batch_size=32)
try:
    hw3_checks.pairs(lambda model, loader: (torch.zeros(45, 3), torch.zeros(45)), seed=8115)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# `train_and_test`: `train_once()` trains the model for one epoch, `accuracy_on(val)` and `accuracy_on(test)` measure it as it
# is at that moment. Return the best epoch (they count from 1) and its test accuracy, and leave the model with the
# weights of that epoch.


# %% nbgrader={"grade_id": "train_and_test", "solution": true}
def train_and_test(model, train_once, accuracy_on, val, test, epochs):
    """Train; return the best epoch and its test accuracy; the model keeps its weights."""
    ### BEGIN SOLUTION
    best_epoch, best_accuracy, best_weights = 0, -1.0, None
    for epoch in range(1, epochs + 1):
        train_once()
        accuracy = accuracy_on(val)
        if accuracy > best_accuracy:
            best_epoch, best_accuracy = epoch, accuracy
            best_weights = copy.deepcopy(model.state_dict())
    model.load_state_dict(best_weights)
    return best_epoch, accuracy_on(test)
    ### END SOLUTION


# %% [markdown]
# **The test part (2 points).** Six epochs, six trainings. Only the test accuracies differ, so the same epoch is chosen. The test
# part is looked at once in each.

# %% nbgrader={"grade_id": "choice", "grade": true, "points": 2}
hw3_checks.choice(train_and_test)
### BEGIN HIDDEN TESTS
hw3_checks.choice(train_and_test, seed=8116, epochs=9)
try:
    hw3_checks.choice(lambda *given: (0, 0.5), seed=8116)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# Now the script with your functions. This is not graded, and worth a look: do the three lines agree?
#
# ```python
# for function in (prepare, make_loaders, evaluate, predict, train_and_test):
#     setattr(evaluate_wrong, function.__name__, function)
# evaluate_wrong.main()
# ```
#
# Before you hand in: *Kernel, Restart Kernel and Run All Cells*. Every test that runs without an error here has its
# visible part right; a cell that says `NotImplementedError` is one you have not written yet.
