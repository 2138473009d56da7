# %% [markdown]
# # Homework 1 · Data: a Dataset of your own, and a leak to find
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/homework/release/hw1/hw1.ipynb)
#
# **After this homework you can**
# - write a Dataset for files of any size, which reads them when they are asked for;
# - standardise and augment without letting the validation part into the training;
# - split data that comes in groups, and find and repair an analysis that fools itself.
#
# **Points:** 20. **Time:** 100 minutes. **Builds on:** notebook 01, Data loading.
# **Allowed imports:** `torch`, `numpy`, `PIL`, `sklearn` and Python's standard library.
#
# Below each task stand its tests: the part you see has hints, and you can run it as often as you like. When your work is
# graded, the same tests run with other data. Keep the cells where they are; add as many of your own as you want. Hand in
# this file, `hw1.ipynb`.

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
    os.chdir("course/notebooks/homework/release/hw1")
if not os.path.isfile("hw1_checks.py"):
    raise FileNotFoundError("hw1_checks.py is missing: fetch the whole folder hw1.")

# %% nbgrader={"grade_id": "imports", "locked": true}
import csv
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, train_test_split
from sklearn.preprocessing import StandardScaler
from torch.utils.data import Dataset

import hw1_checks

# %% [markdown]
# ## 1. Scans in a folder
#
# Somebody scanned handwritten digits. The scans are grey PNG files of unequal size, and `list.csv` says what is on them:

# %% nbgrader={"grade_id": "look", "locked": true}
with TemporaryDirectory() as folder:
    hw1_checks.write_scans(Path(folder), seed=0)
    print(Path(folder, "list.csv").read_text()[:60])
    for path in sorted(Path(folder).glob("*.png"))[:3]:
        print(path.name, "has width and height", Image.open(path).size)

# %% [markdown]
# Write the Dataset `Scans`. It takes the folder. Item `i` is the scan in line `i` of the list (the first line with a file
# is item 0): a pair of the image, float32 of shape (1, height, width) with values from 0 to 1, where 1 is a byte of 255;
# and the label, an `int`. A file is opened when its item is asked for, not before.


# %% nbgrader={"grade_id": "Scans", "solution": true}
class Scans(Dataset):
    """Grey images in a folder, with the labels of its list.csv."""

    def __init__(self, folder):
        ### BEGIN SOLUTION
        self.folder = Path(folder)
        with (self.folder / "list.csv").open(newline="") as file:
            self.lines = list(csv.DictReader(file))
        ### END SOLUTION

    def __len__(self):
        ### BEGIN SOLUTION
        return len(self.lines)
        ### END SOLUTION

    def __getitem__(self, index):
        ### BEGIN SOLUTION
        line = self.lines[index]
        with Image.open(self.folder / line["file"]) as image:
            pixels = np.array(image)
        return torch.from_numpy(pixels).float()[None] / 255, int(line["label"])
        ### END SOLUTION


# %% [markdown]
# **Items (3 points).** Number, order, type, shape, range, label.

# %% nbgrader={"grade_id": "items", "grade": true, "points": 3}
hw1_checks.items(Scans)
### BEGIN HIDDEN TESTS
hw1_checks.items(Scans, seed=6101, count=37)
try:
    hw1_checks.items(lambda folder: [], seed=6101)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **Only when asked for (1 point).** A million scans do not fit into memory.

# %% nbgrader={"grade_id": "lazy", "grade": true, "points": 1}
hw1_checks.lazy(Scans)
### BEGIN HIDDEN TESTS
hw1_checks.lazy(Scans, seed=6102)
try:
    hw1_checks.lazy(lambda folder: [(torch.zeros(1, 8, 8), 0)] * 5, seed=6102)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Mean and spread of all pixels
#
# Write `pixel_statistics`: mean and standard deviation over all pixels of all images of a Dataset, as two floats. The
# images have unequal sizes, and each pixel counts the same. The standard deviation divides by the number of pixels
# (`correction=0`). Read each image once; the next Dataset may be on a slow disk and will not fit into memory.


# %% nbgrader={"grade_id": "pixel_statistics", "solution": true}
def pixel_statistics(dataset):
    """Return mean and standard deviation of all pixels."""
    ### BEGIN SOLUTION
    total, squares, pixels = 0.0, 0.0, 0
    for index in range(len(dataset)):
        image = dataset[index][0].double()
        total += image.sum().item()
        squares += (image**2).sum().item()
        pixels += image.numel()
    mean = total / pixels
    return mean, (squares / pixels - mean**2) ** 0.5
    ### END SOLUTION


# %% [markdown]
# **Statistics (3 points).**

# %% nbgrader={"grade_id": "statistics", "grade": true, "points": 3}
hw1_checks.statistics(pixel_statistics)
### BEGIN HIDDEN TESTS
hw1_checks.statistics(pixel_statistics, seed=6103, count=25)
try:
    hw1_checks.statistics(lambda dataset: (0.5, 0.25), seed=6103)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Ready for training
#
# Write `prepare`. It takes the training and the validation Dataset and a function `augment`, and returns two Datasets of
# the same lengths and labels. Their images are standardised, `(image - mean) / std`, with mean and standard deviation of
# the training part for both. A training image goes through `augment` first, anew each time it is asked for; a validation
# image never does. (The statistics are those of the images without augmentation. Writing a class of your own is the
# simplest way.)


# %% nbgrader={"grade_id": "prepare", "solution": true}
def prepare(train, val, augment):
    """Return the training and the validation Dataset, standardised, the first one augmented."""
    ### BEGIN SOLUTION
    mean, std = pixel_statistics(train)

    class Prepared(Dataset):
        def __init__(self, dataset, augment=None):
            self.dataset, self.augment = dataset, augment

        def __len__(self):
            return len(self.dataset)

        def __getitem__(self, index):
            image, label = self.dataset[index]
            if self.augment is not None:
                image = self.augment(image)
            return (image - mean) / std, label

    return Prepared(train, augment), Prepared(val)
    ### END SOLUTION


# %% [markdown]
# **Preparation (3 points).**

# %% nbgrader={"grade_id": "preparation", "grade": true, "points": 3}
hw1_checks.preparation(prepare)
### BEGIN HIDDEN TESTS
hw1_checks.preparation(prepare, seed=6104)
try:
    hw1_checks.preparation(lambda train, val, augment: (train, val), seed=6104)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Splits that keep together what belongs together
#
# Several scans come from one writer, several recordings from one patient. If some of them train a model and others test
# it, the model is asked about people it knows.
#
# Write `split_by_group`. `groups` is a list with the group of each row: numbers or names, in any order. Return two lists
# of row numbers, training and validation. Each row is in one of them; no group is in both. Validation holds about
# `val_fraction` of the *rows*: off by no more than the largest group. `seed` decides which groups they are, the same seed
# gives the same split, and the global random numbers are left alone.


# %% nbgrader={"grade_id": "split_by_group", "solution": true}
def split_by_group(groups, val_fraction, seed):
    """Return the row numbers of the training and of the validation part."""
    ### BEGIN SOLUTION
    names = sorted(set(groups))
    random.Random(seed).shuffle(names)
    rows = {name: [] for name in names}
    for row, name in enumerate(groups):
        rows[name].append(row)
    val = []
    while names and len(val) < val_fraction * len(groups):
        val += rows[names.pop()]
    return [row for name in names for row in rows[name]], val
    ### END SOLUTION


# %% [markdown]
# **Split (3 points).**

# %% nbgrader={"grade_id": "grouped_split", "grade": true, "points": 3}
hw1_checks.grouped_split(split_by_group)
### BEGIN HIDDEN TESTS
hw1_checks.grouped_split(split_by_group, seed=6105)
hw1_checks.grouped_split(split_by_group, seed=6106, names=True)
try:
    hw1_checks.grouped_split(lambda groups, val_fraction, seed: ([], []), seed=6105)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# A data set that was collected from the web holds some images twice, and a copy of a training image in the validation part
# is a leak, too. Write `group_duplicates`: it takes images (uint8, N x 1 x H x W) and returns a list of N numbers. Two
# images have the same number exactly if all their pixels are equal. With `split_by_group`, copies then stay together.


# %% nbgrader={"grade_id": "group_duplicates", "solution": true}
def group_duplicates(images):
    """Return a number for each image, the same for copies."""
    ### BEGIN SOLUTION
    numbers = {}
    return [numbers.setdefault(image.numpy().tobytes(), len(numbers)) for image in images]
    ### END SOLUTION


# %% [markdown]
# **Copies (2 points).**

# %% nbgrader={"grade_id": "duplicates", "grade": true, "points": 2}
hw1_checks.duplicates(group_duplicates)
### BEGIN HIDDEN TESTS
hw1_checks.duplicates(group_duplicates, seed=6107, count=45)
try:
    hw1_checks.duplicates(lambda images: list(range(len(images))), seed=6107)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# ## 5. An analysis that fools itself
#
# 120 patients, six measurements of each, 300 columns, and the question whether a patient is ill. A colleague is proud of
# this result:


# %% nbgrader={"grade_id": "leaky", "locked": true}
def leaky_accuracy(features, labels, patients):
    features = StandardScaler().fit_transform(features)
    features = SelectKBest(k=20).fit_transform(features, labels)
    train, test = train_test_split(np.arange(len(labels)), test_size=0.25, random_state=0)
    model = LogisticRegression().fit(features[train], labels[train])
    return (model.predict(features[test]) == labels[test]).mean()


features, labels, patients = hw1_checks.make_patients(seed=0)
print("rows and columns:", features.shape, " patients:", len(set(patients.tolist())))
print(f"accuracy: {leaky_accuracy(features, labels, patients):.0%}")

# %% [markdown]
# But these data are generated, and the labels were drawn by lot: nothing in the columns has anything to do with them. No
# honest analysis gets more than about 50%. There are three leaks in these five lines. Find them before you go on.
#
# Write `predict_held_out`. `held_out` is an array of patient numbers. Scale (`StandardScaler()`), select
# (`SelectKBest(k=20)`) and train (`LogisticRegression()`), and return the predicted labels for the rows of the held-out
# patients, in the order of the rows, as if these patients had only come in tomorrow.


# %% nbgrader={"grade_id": "predict_held_out", "solution": true}
def predict_held_out(features, labels, patients, held_out):
    """Return predictions for the rows of the held-out patients."""
    ### BEGIN SOLUTION
    inside = np.isin(patients, held_out)
    scaler = StandardScaler().fit(features[~inside])
    scaled = scaler.transform(features[~inside])
    selection = SelectKBest(k=20).fit(scaled, labels[~inside])
    model = LogisticRegression().fit(selection.transform(scaled), labels[~inside])
    return model.predict(selection.transform(scaler.transform(features[inside])))
    ### END SOLUTION


# %% [markdown]
# **Predictions (1 point).** Those of the three steps, each fitted on the other patients.

# %% nbgrader={"grade_id": "held_out_agrees", "grade": true, "points": 1}
hw1_checks.held_out_agrees(predict_held_out)
### BEGIN HIDDEN TESTS
hw1_checks.held_out_agrees(predict_held_out, seed=6108, signal=0.0)
try:
    hw1_checks.held_out_agrees(lambda features, labels, *others: labels[:120], seed=6108)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# **No leak (2 points).** A leak can be *shown*: change something that the training must not know, and see whether
# anything moves.

# %% nbgrader={"grade_id": "no_leak", "grade": true, "points": 2}
hw1_checks.no_leak(predict_held_out)
### BEGIN HIDDEN TESTS
hw1_checks.no_leak(predict_held_out, seed=6109)
try:
    hw1_checks.no_leak(lambda features, labels, *others: labels[:180], seed=6109)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# Now the accuracy. Write `honest_accuracy`: hold out each patient once, in five parts (`GroupKFold` of scikit-learn, or
# `split_by_group` of your own), and return the share of all rows that were predicted right.


# %% nbgrader={"grade_id": "honest_accuracy", "solution": true}
def honest_accuracy(features, labels, patients):
    """Return the share of rows predicted right, each while its patient was held out."""
    ### BEGIN SOLUTION
    right = 0
    for _, rows in GroupKFold(5).split(features, labels, patients):
        held_out = np.unique(patients[rows])
        found = predict_held_out(features, labels, patients, held_out)
        right += (found == labels[np.isin(patients, held_out)]).sum()
    return right / len(labels)
    ### END SOLUTION


# %% [markdown]
# **Accuracy (2 points).** About half for noise, and the truth where there is something to find.

# %% nbgrader={"grade_id": "accuracy", "grade": true, "points": 2}
hw1_checks.accuracy(honest_accuracy)
### BEGIN HIDDEN TESTS
hw1_checks.accuracy(honest_accuracy, seed=6110, signal=0.3)
hw1_checks.accuracy(honest_accuracy, seed=6112, signal=0.7)
try:
    hw1_checks.accuracy(lambda features, labels, patients: 0.5, seed=6112, signal=0.7)
except AssertionError:
    pass
else:
    raise AssertionError("the checks were changed")
### END HIDDEN TESTS

# %% [markdown]
# Before you hand in: *Kernel, Restart Kernel and Run All Cells*. Every test that runs without an error here has its
# visible part right; a cell that says `NotImplementedError` is one you have not written yet.
