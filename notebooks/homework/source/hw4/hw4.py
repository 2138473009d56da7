# %% [markdown]
# # Homework 4 · Make it better, on a budget
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/homework/release/hw4/hw4.ipynb)
#
# **After this homework you can**
# - choose a run and an epoch by the validation data, and report a test accuracy that was not chosen;
# - make a weak training recipe better, with few images and little processor time;
# - show that a training is reproducible, and that it knows only what it was given.
#
# **Points:** 20. **Time:** 120 minutes. **Builds on:** notebooks 08, Training well, and 11, Project: images.
# **Allowed imports:** `torch`, `course_utils` and Python's standard library.
#
# Below each task stand its tests: the part you see has hints, and you can run it as often as you like. When your work is
# graded, the same tests run with other data. Keep the cells where they are; add as many of your own as you want. Hand in
# this file, `hw4.ipynb`.

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
    os.chdir("course/notebooks/homework/release/hw4")
if not os.path.isfile("hw4_checks.py"):
    raise FileNotFoundError("hw4_checks.py is missing: fetch the whole folder hw4.")

# %% nbgrader={"grade_id": "imports", "locked": true}
import math

import torch
from torch import nn

import hw4_checks
from course_utils import ImageDataset, SmallCNN, make_loader, train_epoch
from course_utils.augmenting import BatchTransform, RandomShift
from course_utils.data import channel_statistics

# %% [markdown]
# ## 1. Choose a run
#
# Somebody trained several models and kept a list for each, with one number an epoch:

# %% nbgrader={"grade_id": "look_at_runs", "locked": true}
for name, run in hw4_checks.make_runs(seed=0)[0].items():
    print(name)
    for kind, values in run.items():
        print(f"  {kind:13}", *(f"{value:6.2f}" for value in values))

# %% [markdown]
# Write `choose`. It takes such runs and returns a pair: the name of the run and the number of the epoch, counted from 1,
# whose validation loss is the lowest of all epochs of all runs. A loss that is nan is never the lowest. The test
# accuracies have no say.


# %% nbgrader={"grade_id": "choose", "solution": true}
def choose(runs):
    """Return the name and the epoch, from 1, with the lowest validation loss."""
    ### BEGIN SOLUTION
    losses = {
        (name, epoch): loss
        for name, run in runs.items()
        for epoch, loss in enumerate(run["val_loss"], start=1)
        if not math.isnan(loss)
    }
    return min(losses, key=losses.get)
    ### END SOLUTION


# %% [markdown]
# **The choice (2 points).**

# %% nbgrader={"grade_id": "chosen", "grade": true, "points": 2}
hw4_checks.choose(choose)
### BEGIN HIDDEN TESTS
hw4_checks.choose(choose, seed=732135906)
hw4_checks.choose(choose, seed=732278154, count=6)
try:
    hw4_checks.choose(lambda runs: None, seed=732135906)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# Then write `report`: the test accuracy that may stand in the report.


# %% nbgrader={"grade_id": "report", "solution": true}
def report(runs):
    """Return the test accuracy of the run and the epoch that were chosen."""
    ### BEGIN SOLUTION
    name, epoch = choose(runs)
    return runs[name]["test_accuracy"][epoch - 1]
    ### END SOLUTION


# %% [markdown]
# **The report (1 point).**

# %% nbgrader={"grade_id": "reported", "grade": true, "points": 1}
hw4_checks.report(report)
### BEGIN HIDDEN TESTS
hw4_checks.report(report, seed=732391460)
hw4_checks.report(report, seed=732406283, count=5)
try:
    hw4_checks.report(lambda runs: None, seed=732391460)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Make it better
#
# A sorting machine photographs digits on letters. The photographs are grey and noisy, and the digits lie up to three
# pixels from the middle. Of each machine there are only 300 photographs with labels. Here are some of machine 0:

# %% nbgrader={"grade_id": "look_at_draw", "locked": true}
machine = hw4_checks.draw(seed=0)
for name, tensor in machine._asdict().items():
    print(f"{name:10} {tensor.dtype} {tuple(tensor.shape)}")
print("labels:", machine.labels[:10].tolist())
hw4_checks.picture(machine.images[:10])

# %% [markdown]
# All photographs of a machine lie the same way, but some machines read the letters sideways; and each has its own
# numbers for the ten classes. What is known about digits from elsewhere does not help, only what a machine's 300
# photographs tell. The 600 new photographs of a machine are what its model is measured on.
#
# This is the recipe so far:

# %% nbgrader={"grade_id": "look_at_recipe", "locked": true}
hw4_checks.show_recipe()

# %% [markdown]
# It is right for about half of the new photographs. Write `train`, a better one, with the same arguments and the same
# result: it takes images, uint8 of shape (300, 1, 28, 28), their class numbers and a seed; and it returns a function
# that takes any number of such images and returns their class numbers, int64.
#
# - **Budget.** Training, and reading the new photographs, may take 8 times the processor seconds that the recipe takes
#   for the same, measured just before on the same computer. At 24 times it is stopped, and there is no model.
# - **Honesty.** Choose by a validation part that you split from a machine's 300 photographs, and train on all of them in
#   the end. The new photographs that you see are for the tests below. Machines have the numbers of their seeds:
#   `hw4_checks.leaderboard(train, seed=1)` tries the next one. You are graded on machine 0, which you see, and
#   on machines that you have not seen, there by the mean of two.
# - **Means.** Whatever the notebooks taught: the model, the order of the images, the optimizer and its rate, a
#   schedule, augmentation, the batch size, the number of epochs, the number of pixels. Change one thing at a time.
#
# A model that is right for less than 30% of the new photographs gets no points in any test.


# %% nbgrader={"grade_id": "train", "solution": true}
def train(images, labels, seed):
    """Train on images and labels; return a function that takes images and gives class numbers."""
    ### BEGIN SOLUTION
    epochs = 20

    class RandomDim(BatchTransform):
        def change(self, images):
            return images * torch.empty(len(images), 1, 1, 1).uniform_(0.3, 1)

    torch.manual_seed(seed)
    mean, std = channel_statistics(images)
    augment = nn.Sequential(RandomShift(3), RandomDim())
    data = ImageDataset(images, labels, mean=mean, std=std, augment=augment)
    loader = make_loader(data, batch_size=32, shuffle=True, seed=seed)
    model = nn.Sequential(nn.AvgPool2d(2), SmallCNN((1, 14, 14), 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02, weight_decay=0.05)
    steps = epochs * len(loader)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=steps)
    loss_fn = nn.CrossEntropyLoss()
    for _ in range(epochs):
        train_epoch(model, loader, loss_fn, optimizer, scheduler=scheduler, progress=False)

    def predict(images):
        model.eval()
        with torch.no_grad():
            return model((images / 255 - mean[0]) / std[0]).argmax(dim=1)

    return predict
    ### END SOLUTION


# %% [markdown]
# **Predictions (2 points).** Each photograph by itself: asked again, one by one or in another order, its class stays.

# %% nbgrader={"grade_id": "predicts", "grade": true, "points": 2}
hw4_checks.predicts(train)
### BEGIN HIDDEN TESTS
hw4_checks.predicts(train, seed=730148219)
try:
    hw4_checks.predicts(lambda images, labels, seed: None, seed=730148219)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Better (2 points).** The accuracy is at least 5 points above the recipe's.

# %% nbgrader={"grade_id": "better", "grade": true, "points": 2}
hw4_checks.better(train)
### BEGIN HIDDEN TESTS
hw4_checks.better(train, seed=730148219, draws=2)
try:
    hw4_checks.better(lambda images, labels, seed: None, seed=730148219)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Good (2 points).** The accuracy is 80% or more.

# %% nbgrader={"grade_id": "good", "grade": true, "points": 2}
hw4_checks.good(train)
### BEGIN HIDDEN TESTS
hw4_checks.good(train, seed=730148219, draws=2)
try:
    hw4_checks.good(lambda images, labels, seed: None, seed=730148219)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Leaderboard (3 points).** The accuracy is 91% or more, within the budget. Your teacher can see who has the highest.

# %% nbgrader={"grade_id": "leaderboard", "grade": true, "points": 3}
hw4_checks.leaderboard(train)
### BEGIN HIDDEN TESTS
hw4_checks.leaderboard(train, seed=730148219, draws=2)
try:
    hw4_checks.leaderboard(lambda images, labels, seed: None, seed=730148219)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Budget (2 points).** 8 times the recipe's processor seconds.

# %% nbgrader={"grade_id": "budget", "grade": true, "points": 2}
hw4_checks.budget(train)
### BEGIN HIDDEN TESTS
hw4_checks.budget(train, seed=730148219, draws=2)
try:
    hw4_checks.budget(lambda images, labels, seed: None, seed=730148219)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Reproducible (2 points).** The same seed gives the same model, whatever random numbers were drawn before. This test and the
# next train on 100 photographs.

# %% nbgrader={"grade_id": "reproducible", "grade": true, "points": 2}
hw4_checks.reproducible(train)
### BEGIN HIDDEN TESTS
hw4_checks.reproducible(train, seed=731160487)
try:
    hw4_checks.reproducible(lambda images, labels, seed: None, seed=731160487)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Only what it is given (2 points).** With shuffled labels nothing can be learned, and less than 30% of the new photographs
# are right.

# %% nbgrader={"grade_id": "given", "grade": true, "points": 2}
hw4_checks.given(train)
### BEGIN HIDDEN TESTS
hw4_checks.given(train, seed=731160487)
try:
    hw4_checks.given(lambda images, labels, seed: None, seed=731160487)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Aged (2 points).** A machine's lamp grows dim, and its rollers slip. Its model was trained before; the new photographs are
# less than half as bright, and their digits lie up to four pixels from the middle. The accuracy is still 75% or more.

# %% nbgrader={"grade_id": "aged", "grade": true, "points": 2}
hw4_checks.aged(train)
### BEGIN HIDDEN TESTS
hw4_checks.aged(train, seed=730148219, draws=2)
try:
    hw4_checks.aged(lambda images, labels, seed: None, seed=730148219)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# Before you hand in: *Kernel, Restart Kernel and Run All Cells*. Every test that runs without an error here has its
# visible part right; a cell that says `NotImplementedError` is one you have not written yet.
