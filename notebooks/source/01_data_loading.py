# %% [markdown]
# # 01 · Data loading: from files to batches
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/01_data_loading.ipynb)
#
# **After this notebook you can**
# - read images, tables and MNIST's own files, and say shape, type and range of what you got;
# - scale, standardise and augment data without leaking the test set into the training;
# - write a `Dataset`, and choose what a `DataLoader` should do: batch, shuffle, drop, use workers, repeat itself.
#
# **Time:** 40 minutes. **Builds on:** [00 · Quickstart](00_quickstart.ipynb).
#
# A model never sees files. It sees batches of numbers: the right type, a known shape, a sensible range, in random
# order. Most bugs of a first project are in this step, and most of them raise no error.

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
# ## One image, two libraries
#
# scikit-learn ships two photographs, so we have a real one at hand. Pillow (`PIL`) is what torchvision uses to read
# images. We save a corner of the photograph as PNG, a format without losses, and read it back.

# %%
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from PIL import Image

folder = Path(tempfile.mkdtemp())
with as_file(files("sklearn.datasets.images") / "china.jpg") as path, Image.open(path) as photo:
    photo.crop((80, 80, 400, 320)).resize((160, 120)).save(folder / "temple.png", icc_profile=None)

with Image.open(folder / "temple.png") as opened:
    pixels = np.array(opened.convert("RGB"))
print(pixels.shape, pixels.dtype, "from", pixels.min(), "to", pixels.max())

# %% [markdown]
# Height, width, channels (HWC), in bytes. PyTorch wants channels first (CHW) and floating-point numbers.

# %%
import torch

image = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
print(tuple(image.shape), image.dtype, f"from {image.min():.1f} to {image.max():.1f}")

# %% [markdown]
# OpenCV reads the same file, but in the order blue, green, red. Nothing fails if you forget that: the shapes are
# equal, and the model trains on a world of the wrong colour.

# %%
import cv2

cv2.utils.logging.setLogLevel(
    cv2.utils.logging.LOG_LEVEL_SILENT
)  # it prints complaints past Python
bgr = cv2.imread(str(folder / "temple.png"))
rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
print("as read, equal to Pillow:  ", np.array_equal(bgr, pixels))
print("after BGR to RGB, equal:   ", np.array_equal(rgb, pixels))

# %%
from course_utils.plots import plot_images

both = torch.from_numpy(np.stack([pixels, bgr])).permute(0, 3, 1, 2)
plot_images(
    both,
    ["read as RGB", "BGR taken for RGB"],
    size=2.6,
    title="The same file, read twice",
    alt="A photograph of a temple in its own colours, and again with red and blue exchanged.",
)

# %% [markdown]
# Two ways to handle a missing file: Pillow raises, OpenCV returns `None`, and the error comes later, somewhere else.

# %%
try:
    Image.open(folder / "tempel.png")
except FileNotFoundError as error:
    print("Pillow:", type(error).__name__)
print("OpenCV:", cv2.imread(str(folder / "tempel.png")))

# %% [markdown]
# ## MNIST's files
#
# MNIST comes in four files of the *idx* format: two zero bytes, a byte for the type, a byte for the number of
# dimensions, their sizes, then the pixels. The course writes its `digits` in exactly that format, so we can open one
# and see.

# %%
import os
import struct

from course_utils import load_dataset

DATASET = os.environ.get("COURSE_DATASET", "digits")
data = load_dataset(DATASET)

digits = load_dataset("digits")  # for the file format; the rest of the notebook uses DATASET
raw = digits.folder / "MNIST" / "raw"
content = (raw / "t10k-images-idx3-ubyte").read_bytes()
print("header:", struct.unpack(">BBBBIII", content[:16]))
print("bytes after the header:", len(content) - 16, "=", 360 * 28 * 28)

# %% [markdown]
# torchvision's own `MNIST` class reads those files. It gives pairs of a Pillow image and a class number.

# %%
from torchvision.datasets import MNIST

mnist_files = MNIST(root=digits.folder, train=False)
picture, label = mnist_files[0]
print(len(mnist_files), "pairs; the first:", picture.size, picture.mode, "label", label)

# %% [markdown]
# `download=True` fetches the files where they are missing, and compares each with a checksum. With the checksum a
# damaged file is found out; without it, all that counts is that a file of that name *exists*.

# %%
from torchvision.datasets.utils import check_integrity

name, checksum = MNIST.resources[0]
(folder / name).write_bytes(b"half a file")
print("damaged file, compared with its checksum:", check_integrity(folder / name, checksum))
print("damaged file, only looked for:           ", check_integrity(folder / name))

# %% [markdown]
# And *exists* is all that torchvision asks of the unpacked files when it starts the next time. If the program is killed
# while it unpacks, half a file stays: torchvision never fetches it again, and fails with an error that does not name
# the cause.

# %%
import shutil

half = folder / "half" / "MNIST" / "raw"
shutil.copytree(raw, half)
(half / "t10k-images-idx3-ubyte").write_bytes(content[:5000])
try:
    MNIST(root=folder / "half", train=False, download=True)
except (RuntimeError, ValueError) as error:
    print(type(error).__name__, "about something else:", str(error)[:60])

# %% [markdown]
# `load_dataset` downloads into a folder beside the final one and renames it at the end, so a data set is there
# completely or not at all. Here the download fails, because we send it to a port where nobody answers.

# %%
from unittest.mock import patch

with patch.object(MNIST, "mirrors", ["http://localhost:9/"]):
    try:
        load_dataset("mnist", root=folder)
    except ConnectionError as error:
        print("ConnectionError:", str(error).split("): ")[-1])
print("left behind:", [path.name for path in folder.glob("*mnist*")])

# %%
print(
    "data sets by name:",
    data.name,
    "has",
    data.num_classes,
    "classes and images of shape",
    data.input_shape,
)
try:
    load_dataset("mnits")
except ValueError as error:
    print(error)

# %% [markdown]
# ## A table
#
# `pandas.read_csv` guesses the type of each column, and a guess can go wrong: here a missing value turns whole numbers
# into floats, the word "none" turns a whole column into text, and "yes" and "no" stay words.

# %%
import io

import pandas as pd

csv = """battery_power,ram,wifi,price_range
842,2549,yes,1
1021,,no,2
563,2603,no,2
none,1411,yes,3
1821,1208,yes,
"""
print(pd.read_csv(io.StringIO(csv)).dtypes.to_string())

# %% [markdown]
# So state the types and what counts as missing, and look for what *is* missing. `Int64` with a capital I is pandas'
# whole number that may be missing (`<NA>`).

# %%
frame = pd.read_csv(
    io.StringIO(csv),
    dtype={"battery_power": "Int64", "ram": "Int64", "price_range": "Int64"},
    na_values=["none"],
    true_values=["yes"],
    false_values=["no"],
)
print(frame.dtypes.to_string())

# %%
missing = frame.isna().sum()
print("missing values:")
print(missing[missing > 0].to_string())

# %%
frame

# %% [markdown]
# What to do about a gap is a decision: drop the row, or fill it with a value *learned from the training part*. Here we
# keep the rows that are complete.

# %%
complete = frame.dropna()
print(len(complete), "of", len(frame), "rows are complete")

# %% [markdown]
# ## NumPy arrays and types
#
# From an array to a tensor it is one call, but the type comes along. NumPy computes in float64, layers hold float32.

# %%
from torch import nn

features = complete[["battery_power", "ram"]].to_numpy(dtype=np.float64)
layer = nn.Linear(2, 3)
try:
    layer(torch.from_numpy(features))
except RuntimeError as error:
    print("float64 features:", error)

# %% [markdown]
# The loss of classification, `CrossEntropyLoss`, wants class numbers of one type as well (what it computes is for
# notebook 03):

# %%
class_numbers = complete["price_range"].to_numpy(dtype=np.int32)
logits = layer(torch.from_numpy(features).float())
try:
    nn.CrossEntropyLoss()(logits, torch.from_numpy(class_numbers))
except RuntimeError as error:
    print("int32 labels:", error)

# %% [markdown]
# The rule for classification: **features float32, class numbers int64**, decided once, where the data is loaded.

# %%
X = torch.tensor(features, dtype=torch.float32)
y = torch.tensor(class_numbers, dtype=torch.int64)
print("works:", nn.CrossEntropyLoss()(layer(X), y).shape == torch.Size([]))

# %% [markdown]
# ## A Dataset of your own
#
# A `Dataset` answers two questions: how many items (`__len__`), and which is number `i` (`__getitem__`). For arrays
# that are in memory already, `TensorDataset` does both.

# %%
from torch.utils.data import Dataset, TensorDataset

table_rows = TensorDataset(X, y)
again_X, again_y = table_rows[:]
print(
    len(table_rows),
    "rows; what went in comes out:",
    torch.equal(again_X, X),
    torch.equal(again_y, y),
)

# %% [markdown]
# For anything else you write a class. This one scales its images when they are asked for.


# %%
class Digits(Dataset):
    """Grey images in [0, 1] with their class numbers."""

    def __init__(self, images, labels):
        self.images = images
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index].float() / 255, int(self.labels[index])


# %%
dataset = Digits(data.train.images, data.train.labels)
image, label = dataset[0]
print("as many items as images:", len(dataset) == len(data.train))
print("an item:", type(image).__name__, image.dtype, "and", type(label).__name__)

# %% [markdown]
# Often you need not write one. Images that lie in a folder for each class are read by torchvision's `ImageFolder`: the
# folders in alphabetical order become the class numbers, and a transform (more of them below) makes tensors of what
# Pillow read, as RGB whatever it was. For images that a text list names, `course_utils` has `ImageTxtDataset` ([notebook
# 11](11_project_images.ipynb)).

# %%
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

for name, digit in (("two", 2), ("six", 6)):
    (folder / "digits" / name).mkdir(parents=True)
    for number, image in enumerate(digits.train.images[digits.train.labels == digit][:3]):
        Image.fromarray(image[0].numpy()).save(folder / "digits" / name / f"{number}.png")

in_folders = ImageFolder(
    folder / "digits", transform=v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
)
image, label = in_folders[0]
print(len(in_folders), "images, classes", in_folders.class_to_idx)
print("the first:", tuple(image.shape), image.dtype, "label", label)

# %% [markdown]
# ## Splits
#
# Three parts with three jobs: *training* changes the weights, *validation* decides between settings, *test* is looked
# at once, at the end. `train_test_split` with `stratify` keeps the share of each class; with `random_state` the split
# is the same every time. (`torch.utils.data.random_split` splits without a look at the classes.)

# %%
from sklearn.model_selection import train_test_split

train_labels = data.train.labels.numpy()
indices = np.arange(len(train_labels))
split = train_test_split(indices, test_size=0.2, random_state=42, stratify=train_labels)
same = train_test_split(indices, test_size=0.2, random_state=42, stratify=train_labels)
print(
    f"{len(split[0])} + {len(split[1])} = {len(train_labels)}; "
    f"repeatable: {np.array_equal(split[0], same[0])}"
)

# %%
counts = [np.bincount(train_labels[part], minlength=data.num_classes) for part in split]
shares = [count / count.sum() for count in counts]
print("a class's share differs by less than 1 point:", np.abs(shares[0] - shares[1]).max() < 0.01)

# %% [markdown]
# PyTorch can also split when it *draws*. A `DataLoader`, which has a section of its own below, hands out the items that
# its sampler names, and a `SubsetRandomSampler` names only its own indices. Two samplers on one data set must be
# disjoint and together cover everything, and that is worth a check.

# %%
from torch.utils.data import DataLoader, SubsetRandomSampler

numbered = TensorDataset(torch.arange(len(train_labels)))


def drawn_by(part):
    loader = DataLoader(numbered, batch_size=64, sampler=SubsetRandomSampler(part.tolist()))
    return {int(i) for (batch,) in loader for i in batch}


first, second = drawn_by(split[0]), drawn_by(split[1])
print("disjoint:", first.isdisjoint(second))
print("covering:", first | second == set(range(len(train_labels))))

# %% [markdown]
# ## Scaling
#
# Pixels from 0 to 255 make the first layer's sums large, and a step of the usual size goes much too far. Two remedies:
# scale to [0, 1], or standardise, `(x - mean) / std`, so that values lie around 0 with a spread of 1.

# %%
scaled = data.train.images.float() / 255
assert scaled.min() >= 0, "scaled images start at 0"
assert scaled.max() <= 1, "and end at 1"
print(f"scaled: from {scaled.min():.0f} to {scaled.max():.0f}")
mean = scaled.mean(dim=(0, 2, 3))
std = scaled.std(dim=(0, 2, 3), correction=0)
standardised = (scaled - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)
print(
    f"mean about 0: {standardised.mean().abs() < 1e-3}, "
    f"std about 1: {(standardised.std() - 1).abs() < 1e-3}"
)

# %% [markdown]
# What that is worth: the same small network, trained with each of the three. (Model and loop are those of
# [notebook 00](00_quickstart.ipynb); here it is only about the numbers that go in.)

# %% tags=["nbval-ignore-output"]
from course_utils import MLP, evaluate, fit, make_loader, make_loaders, seed_everything

scalings = {
    "bytes, 0 to 255": lambda images: images.float(),
    "scaled to [0, 1]": lambda images: images / 255,
    "standardised": lambda images: (images / 255 - mean.view(-1, 1, 1)) / std.view(-1, 1, 1),
}
learned = {}
for how, prepare in scalings.items():
    seed_everything(42)
    parts = [TensorDataset(prepare(part.images), part.labels) for part in (data.train, data.val)]
    train, val = make_loader(parts[0], batch_size=64, shuffle=True), make_loader(parts[1])
    net = MLP(data.input_shape, data.num_classes)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    history = fit(net, train, val, nn.CrossEntropyLoss(), optimizer, epochs=5, verbose=False)
    learned[how] = history.val[-1].accuracy
    print(f"{how:<18} validation accuracy {learned[how]:.1%}")

# %%
raw_bytes, *remedies = learned.values()
print("bytes: far behind:", raw_bytes < min(remedies) - 0.3)

# %% [markdown]
# You will see `Normalize((0.1307,), (0.3081,))` in every MNIST example. Those two numbers are nothing but mean and
# standard deviation of MNIST's 60,000 training images. Other data has other numbers, as ours shows: compute them, do
# not copy them. Where MNIST's own files are at hand, the last lines recompute the famous pair.

# %%
rounded = [round(float(number), 4) for number in (*mean, *std)]
print("mean and std of each channel:", rounded)
print("the same as load_dataset found:", np.allclose(rounded, [*data.mean, *data.std], atol=1e-4))
if DATASET == "mnist":
    official = MNIST(root=data.folder, train=True).data / 255
    print(f"MNIST: {official.mean():.4f} and {official.std():.4f}")

# %% [markdown]
# ### Leaks
# The numbers come from the **training part alone**. Whatever is computed from all the data carries something of the
# test set into training. With mean and standard deviation the harm is small, and invisible:

# %%
everything = torch.cat([data.train.images, data.val.images, data.test.images]).float() / 255
print(f"mean of the training part: {mean.mean():.4f}, of all images: {everything.mean():.4f}")

# %% [markdown]
# With a step that looks at the *labels* the same mistake invents results. Here is pure noise with random labels, so
# nothing better than 50% is possible. If the 20 "best" of 5,000 columns are chosen before the split, the test says
# otherwise; chosen inside a pipeline, from the training part only, the truth comes out. (The split is made five times:
# `cross_val_score` tests on each fifth in turn, with a model of the other four, so that no single split decides.)

# %% tags=["nbval-ignore-output"]
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

random = np.random.default_rng(0)
noise, coin = random.normal(size=(200, 5000)), random.integers(0, 2, size=200)

best = SelectKBest(k=20).fit_transform(noise, coin)  # has seen every label
leaky = cross_val_score(LogisticRegression(), best, coin, cv=5).mean()
honest = cross_val_score(
    make_pipeline(SelectKBest(k=20), LogisticRegression()), noise, coin, cv=5
).mean()
print(f"chosen before the split: {leaky:.0%} right;  chosen inside it: {honest:.0%} right")

# %%
print("the leak invents a result:", leaky > 0.7, "  without it, coin tossing:", 0.4 < honest < 0.6)

# %% [markdown]
# ### The same preprocessing for training and test
# What training did to the pixels must happen to every image later, with the same numbers. We train a small network on
# standardised images and show it the validation images three times: as it knows them, as bytes that nobody scaled,
# and as dark ink on white paper, which is how a scanner sees them.

# %% tags=["nbval-ignore-output"]
seed_everything(42)
loaders = make_loaders(data, batch_size=64)
model = MLP(data.input_shape, data.num_classes)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
fit(model, loaders.train, loaders.val, nn.CrossEntropyLoss(), optimizer, epochs=5, verbose=False)

val_bytes = data.val.images.float()
prepared = {
    "as in training": (val_bytes / 255 - mean.view(-1, 1, 1)) / std.view(-1, 1, 1),
    "not scaled": val_bytes,
    "dark on white": ((255 - val_bytes) / 255 - mean.view(-1, 1, 1)) / std.view(-1, 1, 1),
}
scores = {
    how: evaluate(model, make_loader(TensorDataset(images, data.val.labels)), nn.CrossEntropyLoss())
    for how, images in prepared.items()
}
pd.DataFrame(
    {how: {"accuracy": round(s.accuracy, 3), "loss": round(s.loss, 2)} for how, s in scores.items()}
).T

# %%
print(
    "not scaled: much larger loss: ", scores["not scaled"].loss > 2 * scores["as in training"].loss
)
print(
    "dark on white: much less right:",
    scores["dark on white"].accuracy < scores["as in training"].accuracy - 0.2,
)

# %% [markdown]
# Look at the middle row. Unscaled images cost a few points of accuracy and no more, because the largest logit often stays
# the largest; but the loss is enormous, so the model is wildly over-confident. Accuracy alone can hide such a bug.

# %% [markdown]
# ## Transforms
#
# torchvision's transforms (version 2) put the steps into one pipeline: to a tensor image, to floats in [0, 1], then
# standardised with the statistics of your data (here of our one photograph). `Lambda` takes any function; this one makes
# the image grey. Print the pipeline: it is the documentation of your preprocessing.

# %%
channel_mean = (pixels / 255).mean(axis=(0, 1)).round(2).tolist()
channel_std = (pixels / 255).std(axis=(0, 1)).round(2).tolist()
pipeline = v2.Compose(
    [
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(mean=channel_mean, std=channel_std),
        v2.Lambda(lambda image: image.mean(dim=0, keepdim=True)),
    ]
)
print(pipeline)

# %%
with Image.open(folder / "temple.png") as opened:
    ready = pipeline(opened)
print(tuple(ready.shape), ready.dtype, "mean about 0:", bool(ready.mean().abs() < 0.05))

# %% [markdown]
# Older code says `ToTensor()` for the first two steps. It does the same, and is kept only for such code.

# %%
from torchvision.transforms import ToTensor

first_two = v2.Compose(pipeline.transforms[:2])
print(
    "ToTensor gives the same:",
    torch.allclose(ToTensor()(Image.fromarray(pixels)), first_two(pixels)),
)

# %% [markdown]
# `scale=True` is the part that is easy to lose. Without it, `ToDtype` only changes the type, and the values stay
# between 0 and 255:

# %%
unscaled = v2.ToDtype(torch.float32)(v2.ToImage()(pixels))
print(unscaled.dtype, "up to", unscaled.max().item())

# %% [markdown]
# ### Augmentation
# Preprocessing is the same for every image, in training and ever after. Augmentation is different on purpose: a random
# change that keeps the meaning, made anew each time a *training* image is read, and never to validation or test
# images. Here is one small photograph, with two draws from each of three random transforms.

# %%
augmentations = {
    "flip": v2.RandomHorizontalFlip(p=0.5),
    "rotate": v2.RandomRotation(degrees=20),
    "crop": v2.RandomResizedCrop(size=(60, 80), scale=(0.4, 1.0)),
}
photo = v2.Resize((60, 80))(v2.ToImage()(pixels))
pictures = []
for transform in augmentations.values():
    torch.manual_seed(5)
    pictures += [photo, transform(photo), transform(photo)]
plot_images(
    torch.stack(pictures),
    [title for name in augmentations for title in ("original", name, name)],
    columns=3,
    title="Two draws of each",
    size=1.5,
    alt="Three rows, each with a photograph of a temple and two random changes of it: "
    "flips, rotations, crops.",
)

# %%
torch.manual_seed(0)
first = augmentations["rotate"](photo)
torch.manual_seed(0)
print("the same seed, the same rotation:", torch.equal(first, augmentations["rotate"](photo)))

# %% [markdown]
# Does the change keep the meaning? A temple in a mirror is a temple. A 2 in a mirror is no digit at all, a 6 upside
# down is a 9, and flipping the columns of a table is nonsense. For digits, small shifts and rotations are the ones
# that a writer could have made.

# %%
two = digits.train.images[digits.train.labels == 2][0]
six = digits.train.images[digits.train.labels == 6][0]
plot_images(
    torch.stack([two, v2.functional.horizontal_flip(two), six, v2.functional.rotate(six, 180)]),
    ["a 2", "mirrored: no digit", "a 6", "turned: a 9"],
    size=1.5,
    alt="A handwritten 2 and its mirror image, which is no digit; a 6 and, turned round, a 9.",
)

# %% [markdown]
# `load_dataset` takes the augmentation as an argument and applies it to the training part alone.

# %%
augmented = load_dataset(DATASET, augment=v2.RandomAffine(degrees=10, translate=(0.1, 0.1)))
torch.manual_seed(0)
twice = [augmented.train[0][0] for _ in range(2)]
print("a training image read twice is the same:  ", torch.equal(*twice))
print(
    "a validation image read twice is the same:",
    torch.equal(augmented.val[0][0], augmented.val[0][0]),
)

# %% [markdown]
# ## The DataLoader
#
# A `DataLoader` draws indices, fetches the items and stacks them. How many batches come out, and how large is the last
# one? That last, ragged batch is where many training loops get their averages wrong (notebook 03).

# %%
small = Digits(data.train.images[:150], data.train.labels[:150])
for drop_last in (False, True):
    loader = DataLoader(small, batch_size=64, drop_last=drop_last)
    sizes = [len(labels) for images, labels in loader]
    print(f"drop_last={drop_last}: {len(loader)} batches, {sizes} = {sum(sizes)} of {len(small)}")

# %% [markdown]
# Use `drop_last=True` where a tiny batch does harm (`BatchNorm1d` with one sample raises an error), and never for
# validation or test: those samples would silently go uncounted.
#
# ### Shuffling
# Training data must be shuffled. Plenty of examples load it in file order, and where files are sorted by class, each batch then holds one class only: the model learns to answer "1" for a while, then "2", and forgets.

# %%
order = data.train.labels.argsort()
by_class = Digits(data.train.images[order], data.train.labels[order])
for shuffle in (False, True):
    torch.manual_seed(0)
    first_images, first_labels = next(iter(DataLoader(by_class, batch_size=64, shuffle=shuffle)))
    print(
        f"shuffle={shuffle}: the first batch has {first_labels.unique().numel()} "
        f"of {data.num_classes} classes"
    )

# %% tags=["nbval-ignore-output"]
accuracies = {}
for shuffle in (False, True):
    seed_everything(42)
    model = MLP(data.input_shape, data.num_classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    part = DataLoader(
        TensorDataset(standardised[order], data.train.labels[order]), batch_size=64, shuffle=shuffle
    )
    history = fit(
        model, part, loaders.val, nn.CrossEntropyLoss(), optimizer, epochs=3, verbose=False
    )
    accuracies[shuffle] = history.val[-1].accuracy
    print(f"sorted by class, shuffle={shuffle}: validation accuracy {accuracies[shuffle]:.1%}")

# %%
print("shuffling helps:", accuracies[True] > accuracies[False] + 0.1)

# %% [markdown]
# Each epoch is shuffled anew; a generator with a seed makes the *sequence* of orders repeatable. `make_loader` of
# `course_utils` always gives a loader such a generator of its own, so that nothing else in your program that draws
# random numbers can change the order.


# %%
def orders(seed, epochs=2):
    loader = make_loader(numbered, batch_size=64, shuffle=True, seed=seed)
    return [[int(i) for (batch,) in loader for i in batch] for _ in range(epochs)]


first, second = orders(seed=1)
print("two epochs differ:      ", first != second)
print("the same seed repeats:  ", orders(seed=1) == [first, second])
print("every sample, each once:", sorted(first) == list(range(len(numbered))))

# %% [markdown]
# ### Whole batches
# For each batch, a `DataLoader` asks for 64 items one after the other, and stacks them. Our images lie side by side in
# one array of bytes already, and a list of indices takes 64 of them out in one step. So the Dataset must understand such
# a list, and the loader must ask for one. What a loader asks for is what its sampler names: a `BatchSampler` names 64
# indices at a time. What comes back is a batch already, so the loader must not collect: `batch_size=None`.

# %%
from torch.utils.data import BatchSampler, SequentialSampler


class DigitsInBatches(Digits):
    def __getitem__(self, indices):
        return self.images[indices].float() / 255, self.labels[indices]


whole = DigitsInBatches(data.val.images, data.val.labels)
lists = BatchSampler(SequentialSampler(whole), batch_size=64, drop_last=False)
first_list = next(iter(lists))
print("what the loader will ask for first:", first_list[:3], "and 61 more")
print("what it will get:", tuple(whole[first_list][0].shape))

# %%
from itertools import zip_longest

in_one_step = DataLoader(whole, sampler=lists, batch_size=None)
collected = DataLoader(Digits(whole.images, whole.labels), batch_size=64)
pairs = list(zip_longest(in_one_step, collected))
equal = [torch.equal(one[part], other[part]) for one, other in pairs for part in (0, 1)]
print(len(pairs), "batches, equal ones:", all(equal))

# %% [markdown]
# `TensorDataset` understands lists, and so does `ImageDataset` of `course_utils`, which holds the parts of `data`;
# `make_loader` asks both for lists. Here is what that is worth, in batches of 64, scaled and standardised. torchvision's
# class and ours hold the same kind of images in memory, 1,437 and (without the validation part) 1,149 of the digits:

# %% tags=["nbval-ignore-output"]
import time

to_tensor = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
normalised = v2.Compose([to_tensor, v2.Normalize([digits.mean[0]], [digits.std[0]])])
files_dataset = MNIST(root=digits.folder, train=True, transform=normalised)
loaders_to_compare = {
    "torchvision's MNIST": DataLoader(files_dataset, batch_size=64, shuffle=True),
    "torchvision's MNIST, 2 workers": DataLoader(files_dataset, 64, shuffle=True, num_workers=2),
    "ImageDataset, one by one": DataLoader(data.train, batch_size=64, shuffle=True),
    "ImageDataset, whole batches": make_loader(data.train, batch_size=64, shuffle=True),
}


def images_a_second(loader, epochs=3):
    started = time.perf_counter()
    images = sum(len(labels) for _ in range(epochs) for _, labels in loader)
    return images / (time.perf_counter() - started)


rates = {name: images_a_second(loader) for name, loader in loaders_to_compare.items()}
pd.DataFrame({"images a second": {name: int(rate) for name, rate in rates.items()}})

# %%
slow, two_workers, one_by_one, fast = rates.values()
print("whole batches, three times as fast as one by one:", fast > 3 * one_by_one)
print("and five times as fast as torchvision's class:", fast > 5 * slow)

# %% [markdown]
# torchvision makes a Pillow image of each array, and a tensor of that, one by one. Workers are no remedy for so few
# images: to start them takes longer than what they do.
#
# One thing changes with whole batches: a transform of torchvision that is given a batch draws *once*, and does the same
# to all of it. `course_utils.augmenting` has transforms that draw for each image of a batch by itself:

# %%
from course_utils.augmenting import RandomFlip

photos = photo.repeat(1000, 1, 1, 1)
torch.manual_seed(0)
for flip in (v2.RandomHorizontalFlip(), RandomFlip()):
    mirrored = (flip(photos) != photos).flatten(1).any(dim=1)
    print(f"{type(flip).__name__}: {mirrored.sum()} of 1000 mirrored")

# %% [markdown]
# `ImageDataset` sees to that: it hands a whole batch to such a transform alone, and any other one gets image by image.

# %%
from course_utils import ImageDataset


def as_batch(flip):
    labels = torch.zeros(1000, dtype=torch.int64)
    held = ImageDataset(photos, labels, mean=(0.5,) * 3, std=(0.25,) * 3, augment=flip)
    return held[list(range(1000))][0]


torch.manual_seed(0)
for flip in (v2.RandomHorizontalFlip(), RandomFlip()):
    mirrored = (as_batch(flip) != as_batch(None)).flatten(1).any(dim=1)
    print(f"{type(flip).__name__} in an ImageDataset: {mirrored.sum()} of 1000 mirrored")

# %% [markdown]
# So when is the plain `DataLoader`, item by item, the right answer? Whenever the data is *not* one array in memory: files
# that would not fit there, texts of unequal length, anything that is slow to get. For image files that would fit, the
# course has `decode_images` ([notebook 11](11_project_images.ipynb)). For the rest there are workers.

# %% [markdown]
# ### Workers
# With `num_workers=2`, two processes prepare batches while the model computes. The batches are the same ones in the
# same order.


# %%
def all_batches(num_workers):
    return list(make_loader(data.val, batch_size=64, shuffle=True, num_workers=num_workers))


alone, helped = all_batches(0), all_batches(2)
equal = [
    torch.equal(a, b) and torch.equal(c, d) for (a, c), (b, d) in zip(alone, helped, strict=True)
]
print("0 workers and 2 workers give equal batches:", all(equal))

# %% [markdown]
# When do they pay? When *getting* an item takes long: decoding photographs, a network drive. `SlowDisk` waits two
# milliseconds for each item. One worker already fetches ahead (`prefetch_factor`: 2 batches by default) while the
# training step runs; two also wait at the same time. The digits in memory come so quickly that starting processes only
# costs time: then `num_workers=0` is the right answer.

# %% tags=["nbval-ignore-output"]
from in_workers import OwnGenerator, SlowDisk


def seconds(dataset, num_workers, step=0.02):
    loader = make_loader(dataset, batch_size=32, num_workers=num_workers)
    started = time.perf_counter()
    for _ in loader:
        time.sleep(step)  # stands for the training step
    return time.perf_counter() - started


sources = {"digits in memory": data.val, "slow disk, 2 ms an item": SlowDisk(data.val)}
table = pd.DataFrame(
    {
        f"workers: {workers}": {name: seconds(source, workers) for name, source in sources.items()}
        for workers in (0, 1, 2)
    }
)
table.round(2)

# %%
print(
    "workers pay off on the slow disk:",
    table.loc["slow disk, 2 ms an item", "workers: 2"]
    < table.loc["slow disk, 2 ms an item", "workers: 0"],
)

# %% [markdown]
# Workers are started again in each epoch, unless `persistent_workers=True` keeps them.
#
# Two traps. First: on macOS and Windows (and on Linux from Python 3.14 on), workers are fresh Python processes that
# *import* the Dataset's class. A class
# that lives in a notebook cell, or in a script without `if __name__ == "__main__":`, cannot be imported. Here is what
# such a process sees when it unpacks our `Digits`:

# %%
import pickle
import subprocess
import sys

(folder / "dataset.pickle").write_bytes(pickle.dumps(small))
unpack = f"import pickle; pickle.load(open({str(folder / 'dataset.pickle')!r}, 'rb'))"
done = subprocess.run([sys.executable, "-c", unpack], capture_output=True, text=True)
print(done.stderr.splitlines()[-1])

# %% [markdown]
# So the class goes into a file, as `SlowDisk` does (`notebooks/in_workers.py`), and `ImageDataset` of `course_utils`.
# The second trap is random numbers: each worker needs its own, or all make the same augmentations. PyTorch seeds
# `torch`, `random` and NumPy's global numbers in each worker, from the loader's generator. A generator that the data set
# keeps is copied into every worker, and draws the same in all of them; `OwnGenerator`, in the same file, has one:

# %%
own = make_loader(OwnGenerator(), batch_size=1, num_workers=2)
first, second = (float(batch) for batch in own)
print(f"{first:.3f} and {second:.3f}: both workers drew the same:", first == second)

# %% [markdown]
# The augmentation of `load_dataset` draws from `torch`. Here both workers read the *same* image: worker 0 makes the first
# batch of it, worker 1 the second.

# %%
from torch.utils.data import Subset

same_image_twice = Subset(augmented.train, [0, 0])


def from_two_workers(seed):
    loader = make_loader(same_image_twice, batch_size=1, seed=seed, num_workers=2)
    return [images for images, _ in loader]


worker_0, worker_1 = from_two_workers(seed=1)
again_0, again_1 = from_two_workers(seed=1)
print("two workers augment one image alike:", torch.equal(worker_0, worker_1))
print(
    "the same seed repeats both:         ",
    torch.equal(worker_0, again_0) and torch.equal(worker_1, again_1),
)

# %% [markdown]
# ### Pinned memory
# `pin_memory=True` puts batches where a GPU can fetch them by itself, and `.to(device, non_blocking=True)` does not
# wait for it. Without a GPU it does nothing, so `make_loader` switches it on only where there is one.

# %% tags=["nbval-ignore-output"]
if torch.cuda.is_available():
    images, labels = next(iter(loaders.train))
    print("pinned:", images.is_pinned())
else:
    print("No GPU here: nothing to pin.")

# %% [markdown]
# ## Your turn
#
# ### 1. How many batches?
# Write a function that takes the number of samples, the batch size and `drop_last`, and returns how many batches a loader
# would give, an int, without making one. `drop_last=True` leaves a short last batch out.


# %% tags=["exercise"]
def count_batches(samples, batch_size, drop_last=False):
    # your code here
    ...


# %% tags=["check"]
from checks import data_loading

data_loading.count_batches(count_batches)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# import math
#
# def count_batches(samples, batch_size, drop_last=False):
#     if drop_last:
#         return samples // batch_size
#     return math.ceil(samples / batch_size)
# ```
# </details>

# %% [markdown]
# ### 2. A Dataset with a transform
# Write a `Dataset` over uint8 images (N, C, H, W) and class numbers (N,). Item `i` is the image as float32 in [0, 1],
# passed through `transform` if there is one, and the class number as an int.


# %% tags=["exercise"]
class Pictures(Dataset):
    def __init__(self, images, labels, transform=None):
        # your code here
        ...

    def __len__(self):
        # your code here
        ...

    def __getitem__(self, index):
        # your code here
        ...


# %% tags=["check"]
data_loading.pictures(Pictures)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# from torch.utils.data import Dataset
#
# class Pictures(Dataset):
#     def __init__(self, images, labels, transform=None):
#         self.images = images
#         self.labels = labels
#         self.transform = transform
#
#     def __len__(self):
#         return len(self.images)
#
#     def __getitem__(self, index):
#         image = self.images[index].float() / 255
#         if self.transform is not None:
#             image = self.transform(image)
#         return image, int(self.labels[index])
# ```
# </details>

# %% [markdown]
# ### 3. Standardise without a leak
# Write a function that takes training and test features, two float tensors (N, F) and (M, F), and returns both as a
# pair, standardised column by column, with statistics that you would have before the test data comes.


# %% tags=["exercise"]
def standardise(train, test):
    # your code here
    ...


# %% tags=["check"]
data_loading.standardise(standardise)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def standardise(train, test):
#     mean = train.mean(dim=0)
#     std = train.std(dim=0)
#     return (train - mean) / std, (test - mean) / std
# ```
#
# The test part is moved by the *training* numbers, so its own mean is not 0 afterwards, and should not be.
# </details>

# %% [markdown]
# ## Recap
#
# - Know shape, type and range at every step: HWC bytes from files, CHW float32 for the model, int64 class numbers.
# - Everything that is computed from data is computed from the training part: statistics, fill values, chosen columns.
# - Preprocessing is the same everywhere; augmentation is random and for training images only.
# - Shuffle training data, with a seeded generator; keep every sample of validation and test data.
# - Data in memory is indexed a batch at a time; workers pay when items are slow to get. Their classes live in files.
#
# **Next:** [02 · Model building](02_model_building.ipynb): what the batches go into.
