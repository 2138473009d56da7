# %% [markdown]
# # 11 · Project: images in files
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/11_project_images.ipynb)
#
# **After this notebook you can**
# - read images that a text file lists, and have every bad line, missing file and broken image named with its line;
# - say which augmentations keep a label and which change it;
# - build a small AlexNet, VGG and ResNet, train them alike, and compare them in one table with two baselines;
# - say what 256x256 pixels cost, and what the statistics of ImageNet change;
# - fine-tune from a local file of weights, with the backbone really frozen;
# - check what a network looks at, and end with a model card that promises no more than was measured.
#
# **Time:** 75 minutes. **Builds on:** [08 · Training well](08_training_well.ipynb).
#
# A project begins with a folder of files that somebody else made, and a recipe that somebody else wrote. Here is the
# recipe, as many tutorials give it: resize to 256x256, flip at random, normalise with ImageNet's statistics, AlexNet, SGD
# with a rate of 0.01, batches of 64, ten epochs, measure on the test data after each, keep the best. We try it, measure its
# parts where that is cheap, and replace what does not hold.

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
import tempfile
from pathlib import Path

import torch
from torch import nn

from course_utils import ImageDataset, ImageTxtDataset, count_parameters, evaluate, fit, get_device
from course_utils import load_dataset, make_loader, predict, seed_everything, train_epoch

seed_everything(42)
device = get_device()
scratch = Path(tempfile.mkdtemp())  # what this notebook writes goes here
data = load_dataset(os.environ.get("COURSE_DATASET", "photo_digits"))
names, classes = data.class_names, data.num_classes
mode = "L" if data.input_shape[0] == 1 else "RGB"
print(f"{data.name}: {classes} classes, images {data.input_shape}")

# %% [markdown]
# ## The files
#
# `photo_digits` are the handwritten digits of the other lessons, painted in a random colour over crops of the two
# photographs that scikit-learn ships. They are made up, but made up as files: a folder of PNG images, and two text files
# that list them. If you chose another data set, the next cell writes up to 1,437 of its training images and 360 of its
# test images out in the same form, so that all that follows starts from files, too.


# %%
from PIL import Image


def write_part(folder, part, images, labels):
    """Write uint8 images (N, C, H, W) as PNG files, and the list of them."""
    lines = []
    for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        path = folder / part / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).squeeze(-1).numpy()).save(path)
        lines.append(f"{part}/{number:04d}.png {label}\n")
    (folder / f"{part}.txt").write_text("".join(lines))


folder = data.folder
if not (folder / "train.txt").exists():
    folder = scratch / "files"
    write_part(folder, "train", data.train.images[:1437], data.train.labels[:1437])
    write_part(folder, "test", data.test.images[:360], data.test.labels[:360])
del data  # from here on, there are only files
for part in ("train", "test"):
    lines = (folder / f"{part}.txt").read_text().splitlines()
    print(f"{part}.txt: {len(lines)} lines, the first is {lines[0]!r}")

# %% [markdown]
# A line is a path, a space, a class number. By hand, reading such a list takes three lines of code:

# %%
by_hand = []
for line in (folder / "train.txt").read_text().splitlines():
    path, label = line.split()
    by_hand.append((folder / path, int(label)))
print("images:", len(by_hand), " classes:", len({label for _, label in by_hand}))
print("the first image:", Image.open(by_hand[0][0]).size, Image.open(by_hand[0][0]).mode)

# %% [markdown]
# `ImageTxtDataset` from `course_utils` reads the same list. An item is the image as float32 in [0, 1], channels first,
# and its label. It remembers the lines and opens an image only when it is asked for.

# %%
files = ImageTxtDataset(folder / "train.txt", num_classes=classes, mode=mode)
print("as many:", len(files) == len(by_hand))
same = [(files.path(i), int(files.labels[i])) == by_hand[i] for i in range(len(files))]
print("the same paths and labels:", all(same))
image, label = files[0]
print(f"an item: {image.dtype} {tuple(image.shape)}, label {label}")
print("in [0, 1]:", bool(image.min() >= 0 and image.max() <= 1))

# %% [markdown]
# ### Mistake: a parser for the list you have seen
# The three lines above work for this list. Here they get seven others, as people write them: a path with a space, Windows
# line ends, a byte-order mark, a comment, an empty line, a comma in place of the space, quotes.

# %%
kinds = {
    "path with a space": b"my photos/cat 1.png 3\n",
    "Windows line ends": b"cat.png 3\r\n",
    "byte-order mark": b"\xef\xbb\xbfcat.png 3\n",
    "comment": b"# by Ann, 2024\ncat.png 3\n",
    "empty line": b"cat.png 3\n\n",
    "comma": b"cat.png,3\n",
    "quotes": b'"my photos/cat 1.png" 3\n',
}
for kind, content in kinds.items():
    try:
        rows = [line.split() for line in content.decode().splitlines()]
        said = [(path, int(label)) for path, label in rows]
    except ValueError as error:
        said = f"ValueError: {error}"
    print(f"{kind:17} {said}")

# %% [markdown]
# Windows line ends happen to work. The byte-order mark raised nothing either, but the file is called `\ufeffcat.png` now,
# and will be missing later. And where an error was raised, it names neither the list nor the line. The same lists, and one with everything at once:

# %%
kinds["all at once"] = b"".join(kinds.values()).replace(b"\xef\xbb\xbf", b"")
kinds["all at once"] = b"\xef\xbb\xbf" + kinds["all at once"]
for kind, content in kinds.items():
    (scratch / "kind.txt").write_bytes(content)
    lenient = ImageTxtDataset(scratch / "kind.txt")
    paths = sorted({lenient.path(i).relative_to(scratch).as_posix() for i in range(len(lenient))})
    print(f"{kind:17} {len(lenient)}: {', '.join(paths)}   labels {set(lenient.labels.tolist())}")

# %% [markdown]
# What is really wrong must not be read over. Four lists, each with one bad line; look at what the error names.


# %%
def outcome(lines):
    """Write a list of images and return what reading all of it says."""
    (scratch / "wrong.txt").write_text("\n".join(lines) + "\n")
    try:
        options = {"root": folder, "num_classes": classes, "mode": mode}
        wrong = ImageTxtDataset(scratch / "wrong.txt", **options)
        [wrong[i] for i in range(len(wrong))]
        return "nothing"
    except (ValueError, FileNotFoundError) as error:
        return f"{type(error).__name__}: {error}".replace(str(folder) + os.sep, "")


good = (folder / "train.txt").read_text().splitlines()[0]
broken = scratch / "broken.png"
broken.write_bytes(by_hand[0][0].read_bytes()[:200])
wrong_lines = ["photo.png", f"photo.png {classes}", "nowhere/photo.png 3", f"{broken} 3"]
for line in wrong_lines:
    print("-", outcome([good, line]).replace(str(scratch) + os.sep, ""))

# %% [markdown]
# The first two were found when the list was opened, the others when their image was asked for. To ask the file system
# for a million files, over a network, can take an hour; so it is your choice. With `check="files"` each folder is listed
# once at the start, with `check="images"` every image is opened once.
#
# One bad line in a million should not stop a night's training. `on_error="skip"` leaves such lines out, but not silently:
# there is one warning, and the whole list of problems.

# %%
import warnings

(scratch / "mixed.txt").write_text("\n".join([str(by_hand[0][0]) + " 3", *wrong_lines]))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    options = {"num_classes": classes, "mode": mode, "check": "images", "on_error": "skip"}
    mixed = ImageTxtDataset(scratch / "mixed.txt", **options)
print("images left:", len(mixed), " warnings:", len(caught), " problems:", len(mixed.problems))
for problem in mixed.problems:
    print("-", problem.replace(str(scratch) + os.sep, "").partition(": ")[0])

# %% [markdown]
# ### A long list
# In Python, a list of pairs costs more than a hundred bytes a line, and each worker process that touches it gets its own copy,
# because counting references writes into every object. `ImageTxtDataset` keeps the text as it is, with four arrays of
# numbers that say where each path begins and ends, its class and its line. It takes longer to open than pairs, and less
# than half the memory.

# %% tags=["nbval-ignore-output"]
import time
import tracemalloc

long_list = scratch / "long.txt"
long_list.write_text("".join(f"train/{i % 10}/{i:08d}.jpg {i % 10}\n" for i in range(100_000)))


def as_pairs():
    rows = (line.rsplit(maxsplit=1) for line in long_list.read_text().splitlines())
    return [(path, int(label)) for path, label in rows]


kept = {}
for name, read in {"pairs": as_pairs, "dataset": lambda: ImageTxtDataset(long_list)}.items():
    started = time.perf_counter()
    read()
    seconds = time.perf_counter() - started
    tracemalloc.start()  # in a pass of its own: it slows everything down
    listed = read()
    kept[name] = tracemalloc.get_traced_memory()[0] / len(listed)
    tracemalloc.stop()
    print(f"{name:8} {kept[name]:5.0f} bytes a line, {seconds:.2f} s for 100,000 lines")

# %%
text = long_list.stat().st_size / 100_000
print(f"the text alone: {text:.0f} bytes a line")
print("the data set keeps the text and 28 bytes:", abs(kept["dataset"] - text - 28) < 1)
print("pairs take more than twice as much:", kept["pairs"] > 2 * kept["dataset"])

# %% [markdown]
# ## A split, a look, two baselines
#
# No network and no choice sees a test image before the end. From the training list we take a fifth for choosing, stratified by class.
# Then two checks that take a second and save a project. Is a file in both lists? Are there files with equal bytes, under
# two names, in both lists, or twice in the first one, from which the validation part is taken? (A picture that somebody
# saved anew has other bytes: that they do not see.)

# %%
import hashlib

from sklearn.model_selection import train_test_split

test_files = ImageTxtDataset(folder / "test.txt", num_classes=classes, mode=mode)
train_rows, val_rows = train_test_split(
    torch.arange(len(files)), test_size=0.2, random_state=42, stratify=files.labels
)
paths = [{part.path(i) for i in range(len(part))} for part in (files, test_files)]
sums = [{hashlib.sha256(path.read_bytes()).hexdigest() for path in part} for part in paths]
print(f"{len(train_rows)} images to train with, {len(val_rows)} to choose by", end=", ")
print(len(test_files), "to test")
print(
    "files in both lists:",
    len(paths[0] & paths[1]),
    " with equal bytes:",
    len(sums[0] & sums[1]),
    " copies in the training list:",
    len(files) - len(sums[0]),
)
shares = files.labels[val_rows].bincount() / files.labels.bincount()
print("each class has a fifth in validation:", bool((shares - 0.2).abs().max() < 0.01))

# %% [markdown]
# These images fit into memory, so we decode each file once, `decode_images`, and keep the bytes. `ImageDataset` does the
# rest of notebook 01: scale, augment, normalise. Mean and standard deviation come from the training rows alone. Both ways
# give the same tensor, to the last bit:

# %%
from torchvision.transforms import v2

from course_utils.data import channel_statistics
from course_utils.decoding import decode_images

pixels = decode_images(files)
mean, std = channel_statistics(pixels[train_rows])


def part(rows, mean=mean, std=std, augment=None):
    return ImageDataset(pixels[rows], files.labels[rows], mean=mean, std=std, augment=augment)


train_set, val_set = part(train_rows), part(val_rows)
val_loader = make_loader(val_set, batch_size=256)
print("mean of each channel:", [round(value, 3) for value in mean])
normalised = ImageTxtDataset(folder / "train.txt", mode=mode, transform=v2.Normalize(mean, std))
pairs = [(normalised[int(row)], val_set[i]) for i, row in enumerate(val_rows)]
print("equal:", all(torch.equal(a, b) and x == y for (a, x), (b, y) in pairs))

# %% [markdown]
# What is that worth? Here are three epochs of reading, without any training: every file opened anew each time, and decoded
# once, with the decoding counted in the first. `cache` keeps the bytes in a file, for images that do not fit into memory
# and for the next program:

# %% tags=["nbval-ignore-output"]
import pandas as pd

decoded = scratch / "decoded.cache"


def seconds_of_epochs(make_dataset):
    seconds, loader = [], None
    for _ in range(3):
        started = time.perf_counter()
        loader = loader or make_loader(make_dataset(), batch_size=64)
        for _ in loader:
            pass
        seconds.append(time.perf_counter() - started)
    return seconds


def from_cache():
    return ImageDataset(decode_images(files, cache=decoded), files.labels, mean=mean, std=std)


ways = {
    "files, opened anew": lambda: normalised,
    "decoded into a file": from_cache,
    "the file is there": from_cache,
}
waiting = pd.DataFrame({name: seconds_of_epochs(way) for name, way in ways.items()}).T
waiting.columns = [f"epoch {number}, s" for number in (1, 2, 3)]
waiting.round(3)

# %%
opened, once = waiting.loc["files, opened anew"], waiting.loc["decoded into a file"]
print("from the second epoch on, at least ten times as fast:", once.iloc[1] * 10 < opened.iloc[1])

# %%
os.utime(files.path(0))  # a file that somebody has saved again
written = decoded.stat().st_mtime_ns
decode_images(files, cache=decoded)
print("a changed file is noticed, and all decoded anew:", decoded.stat().st_mtime_ns > written)
decoded.unlink()

# %% [markdown]
# So when are files the right answer, opened anew in every epoch and by workers? When the images are large and each epoch
# crops another part of them, so that the decoded originals would be needed. Then make two `ImageTxtDataset`s, one with
# crop and `Normalize` and one with `Normalize` alone, and give `Subset(first, train_rows.tolist())` and
# `Subset(second, val_rows.tolist())` to `make_loader`. One for both would augment the validation images, too.
#
# Now look at the images.

# %%
from course_utils.plots import plot_images, show

first = train_rows[:24]
plot_images(
    pixels[first],
    [names[label] for label in files.labels[first]],
    columns=12,
    size=0.75,
    title="Two dozen training images",
    alt="Two rows of twelve small training images, each with its class name above it; in "
    "photo_digits they are coloured digits over pieces of photographs.",
)

# %% [markdown]
# Before a network, two baselines. One always says the most frequent class. The other is logistic regression on the
# pixels: the digit is somewhere else in each image, in another colour, over another ground, so no single pixel says much.

# %%
from sklearn.linear_model import LogisticRegression

train_y, val_y = files.labels[train_rows], files.labels[val_rows]
flat = [(pixels[rows].float() / 255).flatten(1).numpy() for rows in (train_rows, val_rows)]
linear = LogisticRegression(C=0.01, max_iter=200).fit(flat[0], train_y)
baselines = {
    "majority": (val_y == train_y.bincount().argmax()).double().mean().item(),
    "logistic regression": linear.score(flat[1], val_y),
}
print(f"majority: {baselines['majority']:.1%} of the validation images")
print(
    "the linear model does better:", baselines["logistic regression"] > 1.5 * baselines["majority"]
)
print("but gets less than half right:", baselines["logistic regression"] < 0.5)

# %% [markdown]
# ## Augmentation that keeps the label
#
# The recipe flips images at random. For photographs of animals that is right: a mirrored cat is a cat. A mirrored 3 is no
# 3. Here is one image, seeded, with what four augmentations make of it in three draws each:

# %%
import matplotlib.pyplot as plt

side = pixels.shape[-1]
augmentations = {
    "crop": v2.RandomCrop(side, padding=3, padding_mode="reflect"),
    "rotate 15": v2.RandomRotation(15),
    "flip": v2.RandomHorizontalFlip(),
    "upside down": v2.RandomVerticalFlip(),
}

# %%
picture = pixels[train_rows][train_y == 2][7]
torch.manual_seed(1)
draws = [[picture] + [augment(picture) for _ in range(3)] for augment in augmentations.values()]
figure, axes = plt.subplots(2, 2, figsize=(8.6, 3))
for axis, name, images in zip(axes.flat, augmentations, draws, strict=True):
    framed = [nn.functional.pad(image, (0, 2), value=255) for image in images]
    strip = torch.cat(framed, dim=2).permute(1, 2, 0).squeeze(-1)
    axis.imshow(strip.numpy(), cmap="gray", interpolation="nearest")
    axis.axis("off")
    axis.set_title(f"{name}: the original, 3 draws", fontsize=10)
show(
    figure,
    alt="One image and three draws of each of four augmentations beside it: a crop shifts it by up "
    "to three pixels, a rotation turns it by up to 15 degrees, a flip mirrors it, the last turns "
    "it upside down.",
)

# %% [markdown]
# Crop and small rotations keep the label. For letters and digits a flip does not; what training with it costs is
# measured below. We take the crop alone, as `RandomShift`: the same change, but drawn for each image of a whole batch in
# one step (notebook 01).
#
# "The same preprocessing for training and test" is a good rule about the other thing: scaling and normalising. Augmentation
# belongs to the training part alone, so that a validation image is the same every time:

# %%
from course_utils.augmenting import RandomFlip, RandomShift

augmented = part(train_rows, augment=RandomShift(3))
print("a training image, twice:  equal", torch.equal(augmented[0][0], augmented[0][0]))
print("a validation image, twice: equal", torch.equal(val_set[0][0], val_set[0][0]))

# %% [markdown]
# ## Three networks
#
# All three are convolutions, then a head. What differs is how depth is made to work.
#
# **AlexNet** (2012): large kernels first, a few layers, and big Linear layers at the end with Dropout. The original takes
# 224 pixels and begins with 11x11 kernels in steps of 4. On 32 pixels that would leave nothing; here it is 5x5. It had a
# normalisation that nobody uses today, torchvision's version has none, and ours has BatchNorm after each convolution.


# %%
def conv(channels_in, channels_out, size=3, stride=1):
    return nn.Conv2d(channels_in, channels_out, size, stride=stride, padding=size // 2)


def alexnet(channels, norm=nn.BatchNorm2d):
    features = nn.Sequential(
        *(conv(channels, 16, 5), norm(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(conv(16, 32, 5), norm(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(conv(32, 48), norm(48), nn.ReLU(), conv(48, 32), norm(32), nn.ReLU()),
    )
    head = nn.Sequential(
        *(nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.25)),
        *(nn.LazyLinear(128), nn.ReLU(), nn.Linear(128, classes)),
    )
    return nn.Sequential(features, head)


# %% [markdown]
# **VGG** (2014): only 3x3 kernels, two after each other, then halve the picture and double the channels. Two 3x3 kernels see
# as far as one 5x5, with fewer weights and a ReLU between them. We give it BatchNorm, and the mean over the picture in
# place of the huge Linear layers, as everybody has done since.


# %%
def layer(channels_in, channels_out, stride=1):
    return nn.Sequential(
        conv(channels_in, channels_out, stride=stride), nn.BatchNorm2d(channels_out), nn.ReLU()
    )


def mean_head(channels):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def vgg(channels):
    features = nn.Sequential(
        *(layer(channels, 12), layer(12, 12), nn.MaxPool2d(2)),
        *(layer(12, 24), layer(24, 24), nn.MaxPool2d(2)),
        *(layer(24, 48), layer(48, 48)),
    )
    return nn.Sequential(features, mean_head(48))


print("weights of two 3x3 kernels:", 2 * 3 * 3, " of one 5x5:", 5 * 5)

# %% [markdown]
# **ResNet** (2015): each block adds something to its input, so that an unneeded block can do nothing, and gradients have a
# straight way back. Where size or channels change, a 1x1 convolution brings the input into shape.


# %%
class Block(nn.Module):
    def __init__(self, channels_in, channels_out, stride=1):
        super().__init__()
        last = conv(channels_out, channels_out)
        self.main = nn.Sequential(
            layer(channels_in, channels_out, stride), last, nn.BatchNorm2d(channels_out)
        )
        self.shortcut = nn.Identity()
        if stride > 1 or channels_in != channels_out:
            self.shortcut = conv(channels_in, channels_out, size=1, stride=stride)

    def forward(self, images):
        return torch.relu(self.main(images) + self.shortcut(images))


def resnet(channels):
    blocks = (layer(channels, 20, stride=2), Block(20, 20), Block(20, 40, 2), Block(40, 80, 2))
    return nn.Sequential(nn.Sequential(*blocks), mean_head(80))


# %% [markdown]
# All convolutions start with Kaiming's initialisation, which notebook 08 found necessary for deep ReLU networks. The first
# picture also tells `LazyLinear` its width, so that the networks take whatever size the images have. `channels_last` keeps
# the numbers of one pixel side by side in memory, which convolutions on most processors like. It changes no result beyond
# rounding.


# %%
def build(make, seed=0):
    """Return the network on the device, its weights drawn from the seed."""
    torch.manual_seed(seed)
    net = make(pixels.shape[1])
    net(torch.zeros(2, *pixels.shape[1:]))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
    return net.to(device, memory_format=torch.channels_last)


# %%
import copy

makers = {"AlexNet": alexnet, "VGG": vgg, "ResNet": resnet}
one_image = train_set[0][0].unsqueeze(0).to(device)
for name, make in makers.items():
    net = build(make).eval()
    shape = tuple(net[0](one_image).shape[1:])
    sizes = [count_parameters(part) for part in net]
    print(
        f"{name:8} features {shape}, parameters {sizes[0]:,} + {sizes[1]:,} in the head", end=", "
    )
    outputs = (
        net.eval()(one_image),
        copy.deepcopy(net).to(memory_format=torch.contiguous_format)(one_image),
    )
    print("same in row order:", torch.allclose(*outputs, atol=1e-4))

# %% [markdown]
# ## The recipe's training
#
# On our small AlexNet: without normalisation, with PyTorch's own initialisation, SGD with a rate of 0.01, batches of 64, for
# five epochs in place of ten. Resize, flip and statistics get sections of their own below. The loss goes to
# TensorBoard every 20 steps (the recipe says 500, which here would be never), and after each epoch the network is evaluated
# and saved under the epoch's number. One thing we do not follow: the recipe evaluates on the test data and keeps the best
# snapshot. Then the test data has chosen, and can no longer test (notebook 04). We evaluate on the validation part.

# %% tags=["nbval-ignore-output"]
from torch.utils.tensorboard import SummaryWriter

loss_fn, every = nn.CrossEntropyLoss(), 20
seen = []  # what goes to TensorBoard, to compare


class EveryFewSteps:
    def on_step(self, step, loss):
        self.steps = getattr(self, "steps", 0) + 1
        if self.steps % every == 0:
            seen.append((self.steps, loss.item()))
            writer.add_scalar("loss/step", seen[-1][1], self.steps)

    def __call__(self, history):
        writer.add_scalar("loss/val", history.val[-1].loss, len(history))
        writer.add_scalar("accuracy/val", history.val[-1].accuracy, len(history))


# %% tags=["nbval-ignore-output"]
seed_everything(0)
folder_of_run = Path(tempfile.mkdtemp(dir=scratch))  # a fresh one each time this cell runs
logs, snapshots = folder_of_run / "runs", folder_of_run / "snapshots"
writer = SummaryWriter(logs)
seen.clear()
plain = alexnet(pixels.shape[1], norm=nn.Identity)
plain(torch.zeros(2, *pixels.shape[1:]))  # tells LazyLinear its width
plain = plain.to(device)
sgd = torch.optim.SGD(plain.parameters(), lr=0.01)
loader = make_loader(train_set, batch_size=64, shuffle=True, seed=0)
options = {"callbacks": [EveryFewSteps()], "checkpoint_dir": snapshots, "keep_last": 5}
recipe = fit(plain, loader, val_loader, loss_fn, sgd, epochs=5, **options)
writer.close()

# %%
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

log = EventAccumulator(str(logs)).Reload()
steps = [(event.step, event.value) for event in log.Scalars("loss/step")]
close = [abs(a - b) < 1e-6 for (_, a), (_, b) in zip(steps, seen, strict=True)]
print("one value every 20 steps:", [step for step, _ in steps] == [step for step, _ in seen])
print("as they were:", all(close))
print("one accuracy an epoch:", [event.step for event in log.Scalars("accuracy/val")])
print("snapshots:", sorted(path.name for path in snapshots.iterdir()))
guess = 1 / classes
print("after 5 epochs it has hardly begun:", recipe.val[-1].accuracy < 2.5 * guess)

# %% [markdown]
# The files of this course's `fit` can resume a training; a file of weights alone, as the recipe has it, cannot
# (notebook 06).
#
# ## Trained alike
#
# Now the three, each with the same optimizer, schedule, epochs, batches, seed and augmentation: AdamW, OneCycleLR, eight
# epochs of batches of 32, the crop.


# %%
def train(net, training, *, epochs=8, seed=0, rate=1e-2, validation=val_loader):
    """Train for some epochs with AdamW and OneCycleLR; return the history."""
    seed_everything(seed)
    loader = make_loader(training, batch_size=32, shuffle=True, seed=seed)
    adam = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.05)
    total = epochs * len(loader)
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, max_lr=rate, total_steps=total)
    options = {"epochs": epochs, "scheduler": cycle, "verbose": False}
    return fit(net, loader, validation, loss_fn, adam, **options)


# %%
nets, histories, rows = {}, {}, []


def compare(name):
    """Train the network of that name, keep it and its history, and add a row to the table."""
    nets[name] = build(makers[name])
    histories[name] = train(nets[name], augmented)
    seconds = sum(result.seconds for result in histories[name].train)
    row = {"network": name, "accuracy": histories[name].val[-1].accuracy}
    row |= {"parameters": count_parameters(nets[name]), "seconds": seconds}
    rows.append(row | {"images a second": len(histories[name]) * len(train_set) / seconds})
    print(f"{name}: {row['accuracy']:.1%} in {seconds:.1f} s")


# %% tags=["nbval-ignore-output"]
compare("AlexNet")

# %% [markdown]
# The other two:

# %% tags=["nbval-ignore-output"]
compare("VGG")

# %% tags=["nbval-ignore-output"]
compare("ResNet")

# %% [markdown]
# All in one table, with the baselines and the recipe:

# %% tags=["nbval-ignore-output"]
others = {**baselines, "the recipe": recipe.val[-1].accuracy}
more = [{"network": name, "accuracy": value} for name, value in others.items()]
table = pd.DataFrame(rows + more).drop_duplicates("network", keep="last").set_index("network")
formats = {"accuracy": "{:.1%}", "parameters": "{:,.0f}", "seconds": "{:.1f}"}
formats["images a second"] = "{:,.0f}"
print(table.to_string(formatters={name: form.format for name, form in formats.items()}, na_rep=""))

# %%
accuracy = table["accuracy"]
ranked = table.loc[list(makers)]
best = ranked.sort_values(["accuracy", "parameters"], ascending=[False, True]).index[0]
print("each network beats both baselines:", accuracy[list(makers)].min() > max(baselines.values()))
print("each is above the recipe:", accuracy[list(makers)].min() > accuracy["the recipe"] + 0.2)
print("the best is not AlexNet:", best != "AlexNet")
print("VGG has the fewest parameters:", table["parameters"].idxmin() == "VGG")

# %% [markdown]
# Do not ask which part of the recipe was at fault: normalisation, initialisation, optimizer, batch size and epochs all
# changed at once. Who wants to know changes one at a time, for instance `norm=nn.BatchNorm2d` in the cell of the recipe. Of
# equal accuracies, the network with fewer parameters is taken.
#
# The same as pictures: how each got there, and what it cost.

# %%
from matplotlib.ticker import PercentFormatter

figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.1))
for name, history in {**histories, "the recipe": recipe}.items():
    values = [result.accuracy for result in history.val]
    axes[0].plot(range(1, len(values) + 1), values, marker="o", markersize=3, label=name)
axes[0].axhline(baselines["logistic regression"], color="#717581", linestyle=":", label="linear")
axes[0].set(title="Validation accuracy", xlabel="epoch", ylabel="right answers", ylim=(0, 1))
axes[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
axes[0].legend(fontsize=8)
for name in makers:
    axes[1].scatter(table["seconds"][name], accuracy[name], s=60, label=name)
axes[1].legend(fontsize=8, loc="lower left")
axes[1].set(title="Time and accuracy", xlabel="seconds of training", ylabel="right answers")
axes[1].set(xlim=(0, 1.5 * table["seconds"].max()), ylim=(0, 1))
axes[1].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
show(
    figure,
    alt="Left, validation accuracy by epoch of three networks, the recipe and a linear baseline: "
    "the networks rise late and steeply, the recipe stays low. Right, accuracy against seconds "
    "of training for the three networks.",
)

# %% [markdown]
# One training each is one draw, and two seeds of one network can lie 20 points apart
# ([RESULTS.md](../benchmarks/RESULTS.md), *Recipes in the same seconds*). `python -m benchmarks.image_recipes FOLDER`
# measures that on your own photographs, with every recipe given the same seconds.
#
# And now what a flip costs: the VGG again, trained alike but for a flip after the crop, on the same validation images, none
# of which is mirrored. (That a network which never saw a mirrored digit fails on one would not tell whether to train with
# them.)

# %% tags=["nbval-ignore-output"]
both = nn.Sequential(RandomShift(3), RandomFlip())
flipped = train(build(vgg), part(train_rows, augment=both)).val[-1].accuracy
print(f"crop alone {accuracy['VGG']:.1%}, crop and flip {flipped:.1%}")

# %%
print("flipping costs:", flipped < accuracy["VGG"] - 0.15)

# %% [markdown]
# ## What 256x256 costs
#
# The recipe resizes to 256x256. These images have 32x32 pixels. Enlarging adds no information: of each 8x8 square of
# equal pixels, taking one gives back the original.

# %%
small = val_set.images[:8]
large = v2.functional.resize(small, [8 * side, 8 * side], v2.InterpolationMode.NEAREST)
print("shapes:", tuple(small.shape[1:]), "to", tuple(large.shape[1:]))
print("one pixel of each 8x8 square is the original:", torch.equal(large[..., ::8, ::8], small))

# %% [markdown]
# It does add cost. The activations that backward needs grow with the pixels, and a Linear layer behind Flatten grows as
# well. Both can be counted:


# %%
def activations(net, images):
    """Count the numbers that all layers put out for one image."""
    count = 0

    def add(module, inputs, output):
        nonlocal count
        count += output[0].numel() if not list(module.children()) else 0

    hooks = [module.register_forward_hook(add) for module in net.modules()]
    with torch.no_grad():
        net.eval()(images.float().div(255).to(device))
    for hook in hooks:
        hook.remove()
    return count


for name, make in makers.items():
    counts = []
    for images in (small, large):
        net = make(small.shape[1]).to(device)
        counts.append((activations(net, images), count_parameters(net)))
    (few, weights), (many, more_weights) = counts
    print(f"{name:8} activations {few:8,} to {many:10,} ({many / few:.0f} times)", end=", ")
    print(f"parameters {weights:,} to {more_weights:,}")

# %% [markdown]
# VGG and ResNet end in a mean over the picture, so their parameters stay; AlexNet's first Linear layer grows with the
# picture. In seconds, for one step with eight images:

# %% tags=["nbval-ignore-output"]
took = {}
for images in (small, large):
    net, batch = build(vgg).train(), images.float().div(255).to(device)
    times = []
    for _ in range(4):
        started = time.perf_counter()
        loss_fn(net(batch), val_set.labels[:8].to(device)).backward()
        float(next(net.parameters()).grad.sum())  # wait for a GPU
        times.append(time.perf_counter() - started)
    took[images.shape[-1]] = min(times[1:])  # the first is to warm up
    print(f"{images.shape[-1]:3} pixels a side: {min(times[1:]):.3f} s")
few, many = took.values()
print(f"{many / few:.0f} times as long for 64 times as many pixels")

# %% [markdown]
# For images that are 32 pixels wide, all of this is spent on nothing, except that a network made for large pictures, with
# its many reductions, then has something left to look at. That is a reason to change the network's first layers, as we
# did, and a reason to resize only when you use weights that were trained on large pictures.

# %% [markdown]
# ## ImageNet's statistics
#
# `mean=[0.485, 0.456, 0.406]` and `std=[0.229, 0.224, 0.225]` are copied from tutorial to tutorial. They are the mean and
# standard deviation of the photographs in ImageNet. Here is what each channel of our training images looks like after
# them, and after our own:

# %%
imagenet_mean, imagenet_std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
if pixels.shape[1] == 1:
    imagenet_mean, imagenet_std = (0.449,), (0.226,)  # of grey images: the mean of the three
for name, statistics in {"ImageNet": (imagenet_mean, imagenet_std), "own": (mean, std)}.items():
    images = pixels[train_rows].double() / 255
    a, b = (torch.tensor(values).double().view(1, -1, 1, 1) for values in statistics)
    images = (images - a) / b
    means = [f"{round(value, 2) + 0.0:.2f}" for value in images.mean(dim=(0, 2, 3)).tolist()]
    stds = [f"{value:.2f}" for value in images.std(dim=(0, 2, 3))]
    print(f"{name:8} mean {', '.join(means)}   std {', '.join(stds)}")

# %% [markdown]
# Ours have mean 0 and standard deviation 1, by construction; with ImageNet's, they have neither. Does it matter? Not for
# what the network can express: the first convolution can undo any scale and shift. With weights divided by the ratio and
# a corrected bias, it gives the same output on the other input, away from the padding:

# %%
first_layer = conv(pixels.shape[1], 16, 5)
theirs = part(val_rows[:8], imagenet_mean, imagenet_std)
ours = torch.stack([val_set[i][0] for i in range(8)])
theirs = torch.stack([theirs[i][0] for i in range(8)])
scale = torch.tensor(imagenet_std) / torch.tensor(std)  # ours = scale * theirs + shift
shift = (torch.tensor(imagenet_mean) - torch.tensor(mean)) / torch.tensor(std)
adapted = conv(pixels.shape[1], 16, 5)
with torch.no_grad():
    adapted.weight.copy_(first_layer.weight * scale.view(1, -1, 1, 1))
    adapted.bias.copy_(first_layer.bias + (first_layer.weight.sum((2, 3)) * shift).sum(1))
    inside = (..., slice(2, -2), slice(2, -2))
    difference = (adapted(theirs)[inside] - first_layer(ours)[inside]).abs().max().item()
print("the same output:", difference < 1e-4)

# %% [markdown]
# So it can matter only for how training goes, and at the edges. AlexNet again, with ImageNet's statistics in
# training and validation:

# %% tags=["nbval-ignore-output"]
crop = RandomShift(3)
foreign = part(train_rows, imagenet_mean, imagenet_std, crop)
foreign_val = make_loader(part(val_rows, imagenet_mean, imagenet_std), batch_size=256)
other = train(build(alexnet), foreign, validation=foreign_val).val[-1].accuracy
print(f"own statistics {accuracy['AlexNet']:.1%}, ImageNet's {other:.1%}")

# %%
print("both learn:", min(other, accuracy["AlexNet"]) > baselines["logistic regression"] + 0.1)

# %% [markdown]
# One training each decides nothing here: two seeds of the same recipe may lie further apart than these two numbers.
#
# Does validation have to get what training got? The VGG that was trained with our statistics, on validation
# images prepared in four ways:

# %% tags=["nbval-ignore-output"]
zero, one = (0.0,) * len(mean), (1.0,) * len(mean)
prepared = {
    "as in training": (mean, std),
    "ImageNet's": (imagenet_mean, imagenet_std),
    "not normalised": (zero, one),
    "not divided by 255": (zero, (1 / 255,) * len(mean)),
}
mixed_up = {}
for name, statistics in prepared.items():
    others = make_loader(part(val_rows, *statistics), batch_size=256)
    mixed_up[name] = evaluate(nets["VGG"], others, loss_fn).accuracy
    print(f"{name:18} {mixed_up[name]:.1%}")

# %%
print("not normalising costs:", mixed_up["not normalised"] < accuracy["VGG"] - 0.05)
print("so does forgetting the 255:", mixed_up["not divided by 255"] < accuracy["VGG"] - 0.05)

# %% [markdown]
# ImageNet's are close enough to ours that little happens; leaving a step out costs a quarter of all images or more. And nothing raised an
# error. Take your own statistics, unless the weights were trained with others. Then take theirs,
# and everything else of their preprocessing.
#
# ## Weights from a file
#
# Suppose there are only ten labelled images of each class, but a network that was trained on something related. Here is
# that situation, made from our own data: a VGG learns the first half of the classes, its features are saved as
# safetensors, and the task is the second half, with ten labels for each.

# %% tags=["nbval-ignore-output"]
from safetensors.torch import load_file, save_file
from torch.utils.data import Subset


def save_weights(net, path):
    """Save all weights and running statistics; the file wants them in plain row order."""
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, path)


half = classes // 2
old_rows = (train_y < half).nonzero().squeeze(1).tolist()
old_val = (val_y < half).nonzero().squeeze(1).tolist()
old_loader = make_loader(Subset(val_set, old_val), batch_size=256)
source = build(vgg)
learned = train(source, Subset(augmented, old_rows), validation=old_loader)
save_weights(source[0], scratch / "features.safetensors")
print(f"on the classes {', '.join(names[:half])}: {learned.val[-1].accuracy:.1%}")

# %%
few = [(train_y == k).nonzero().squeeze(1)[:10] for k in range(half, classes)]
few_set = Subset(augmented, torch.cat(few).tolist())
new_val = Subset(val_set, (val_y >= half).nonzero().squeeze(1).tolist())
new_loader = make_loader(new_val, batch_size=256)
weights = load_file(scratch / "features.safetensors")
print(f"{len(few_set)} images to learn from, {len(new_val)} to check")
print(f"{len(weights)} tensors in the file:", ", ".join(list(weights)[:3]), "...")

# %% [markdown]
# ### Mistake: frozen, and yet it moves
# To *freeze* the features means that only the head learns. Most tutorials switch off the gradients, and leave it at that.
# But BatchNorm's running statistics are no parameters. They move with every batch in training mode:

# %%
net = build(vgg)
net[0].load_state_dict(weights)
for parameter in net[0].parameters():
    parameter.requires_grad = False
train(net, few_set, epochs=1, validation=new_loader)
after = net[0].state_dict()
print(
    "moved:",
    sorted({name.split(".")[-1] for name in weights if not after[name].cpu().equal(weights[name])}),
)

# %% [markdown]
# The features must be in evaluation mode as well. `train_epoch` calls `net.train()` only if the network as a whole is not
# in training mode; so put all of it there, then its features into evaluation mode, and they stay.


# %%
def start_from(weights, frozen, seed):
    """Return a VGG with these features and a new head."""
    net = build(vgg, seed)
    net[0].load_state_dict(weights)
    net.train()
    if frozen:
        net[0].eval().requires_grad_(False)
    return net


net = start_from(weights, frozen=True, seed=0)
train(net, few_set, epochs=1, validation=new_loader)
after = net[0].state_dict()
print("moved:", [name for name in weights if not after[name].cpu().equal(weights[name])])
print(
    "parameters that learn:", count_parameters(net), "of", sum(p.numel() for p in net.parameters())
)

# %% [markdown]
# Three ways, three seeds each, in the same 36 steps: from nothing, with frozen features, with all weights free.


# %%
def few_shots(net, seed, epochs=18, rate=1e-2):
    """Train as `train` does, but look at the new classes only at the end."""
    seed_everything(seed)
    loader = make_loader(few_set, batch_size=25, shuffle=True, seed=seed)
    learning = [parameter for parameter in net.parameters() if parameter.requires_grad]
    adam = torch.optim.AdamW(learning, lr=rate, weight_decay=0.05)
    total = epochs * len(loader)
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, max_lr=rate, total_steps=total)
    for _ in range(epochs):
        train_epoch(net, loader, loss_fn, adam, scheduler=cycle)
    return evaluate(net, new_loader, loss_fn).accuracy


# %% tags=["nbval-ignore-output"]
ways = {
    "from nothing": lambda seed: build(vgg, seed),
    "features frozen": lambda seed: start_from(weights, True, seed),
    "all fine-tuned": lambda seed: start_from(weights, False, seed),
}
scores = {}
for name, make_net in ways.items():
    scores[name] = [few_shots(make_net(seed), seed) for seed in range(3)]
    print(f"{name:16}", "  ".join(f"{score:.1%}" for score in scores[name]))

# %%
print(f"chance: {1 / (classes - half):.0%}")
mean_of = {name: sum(values) / len(values) for name, values in scores.items()}
print("frozen beats nothing:", mean_of["features frozen"] > mean_of["from nothing"] + 0.05)
print("all weights beat nothing:", mean_of["all fine-tuned"] > mean_of["from nothing"] + 0.1)
print("and beat frozen features:", mean_of["all fine-tuned"] > mean_of["features frozen"])

# %% [markdown]
# Here all weights got the same rate. Where the old features are good and the new images few, one often gives them a tenth
# of the head's rate, with two parameter groups, so that they do not forget what they know (notebook 08).

# %% [markdown]
# ### The torchvision way
# torchvision brings networks with weights from a million photographs. Getting them needs a network once, about 45 MB, so
# this cell does it only if you ask for it: set `COURSE_PRETRAINED=1` before you start Jupyter. Three things belong
# together: the weights, *their* preprocessing (`weights.transforms()`, with ImageNet's statistics and their size), and a
# new last layer.

# %%
from torchvision import models

resnet18 = models.ResNet18_Weights.IMAGENET1K_V1
print("its own preprocessing:", resnet18.transforms().resize_size, resnet18.transforms().mean)
if os.environ.get("COURSE_PRETRAINED") == "1":
    pretrained = models.resnet18(weights=resnet18)
    pretrained.fc = nn.Linear(pretrained.fc.in_features, classes)
    images = resnet18.transforms()(pixels[:2].expand(-1, 3, -1, -1))
    print("pretrained logits:", tuple(pretrained.eval()(images).shape))
else:
    print("COURSE_PRETRAINED is not set: nothing is downloaded.")

# %% [markdown]
# ## Which does it get wrong?
#
# A number says how many; what to change is in the images. Here are the answers of the best network on the validation part,
# the pairs that it confuses most often, and the mistakes of which it was surest.

# %% tags=["nbval-ignore-output"]
from course_utils import most_confused

val_logits, val_targets = predict(nets[best], val_loader)
sure, said = val_logits.softmax(dim=1).max(dim=1)
wrong = (said != val_targets).nonzero().squeeze(1)
print(f"{best}: {len(wrong)} of {len(said)} are wrong; most often:")
for pair in most_confused(y_true=val_targets, y_pred=said, class_names=names, top=3):
    print(f"{pair.count} times a {pair.true} was taken for a {pair.predicted}")

# %%
right = (said == val_targets).nonzero().squeeze(1)
surer = (sure[right] > sure[wrong].max()).double().mean()
print("most right answers are surer than the surest mistake:", bool(surer > 0.5))

# %%
worst = wrong[sure[wrong].argsort(descending=True)[:16]].tolist()
plot_images(
    val_set.images[worst],
    [f"{names[said[i]]}, not {names[val_targets[i]]}\n{sure[i]:.0%} sure" for i in worst],
    columns=8,
    size=1.1,
    title=f"Mistakes of {best} on the validation part, the surest first",
    alt="Two rows of eight validation images that the network got wrong; above each its answer, "
    "the true class and how sure it was.",
)

# %% [markdown]
# None is mislabelled. Most of these digits stand out clearly, and a person reads them; a few hardly differ from their ground.
# So it is the network that has seen too little: more images and more colours would be the next thing to try. How sure it is
# tells something, too: most right answers are surer than the surest mistake, so a person could look at the others.
#
# ## What does it look at?
#
# A network may be right for the wrong reason: the hospital's stamp on the X-ray, the snow behind the wolf. *Grad-CAM* asks
# which places raised the score of the answer. Take the last feature maps, weight each map by the mean gradient of the
# score with respect to it, add them up, and keep what is positive.


# %%
def grad_cam(net, images):
    """Return the answers and a map (N, H, W) in [0, 1] for each: what raised the answer's score."""
    net.eval()
    kept = []
    hook = net[0].register_forward_hook(lambda module, inputs, output: kept.append(output))
    logits = net(images)
    hook.remove()
    answers = logits.argmax(dim=1)
    score = logits.gather(1, answers.unsqueeze(1)).sum()
    gradient = torch.autograd.grad(score, kept[0])[0]
    maps = (gradient.mean(dim=(2, 3), keepdim=True) * kept[0]).sum(dim=1, keepdim=True).relu()
    maps = nn.functional.interpolate(maps, images.shape[-2:], mode="bilinear").squeeze(1)
    return answers, (maps / maps.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)).detach()


images = torch.stack([val_set[i][0] for i in range(len(val_set))]).to(device)
answers, maps = grad_cam(nets["VGG"], images)
print("maps:", tuple(maps.shape), " features:", tuple(nets["VGG"][0](images[:1]).shape[1:]))

# %% [markdown]
# Where a mean and one Linear layer follow the features, as in our VGG, the gradient is known without computing it: the
# weight of the answer's row, divided by the number of places.

# %%
features = nets["VGG"][0](images[:1]).detach().requires_grad_()
nets["VGG"][1](features)[0, answers[0]].backward()
row = nets["VGG"][1][2].weight[answers[0]] / features[0, 0].numel()
known = row.view(1, -1, 1, 1).expand_as(features)
print("the gradient is the weight:", torch.allclose(features.grad, known, atol=1e-6))

# %%
figure, axes = plt.subplots(2, 8, figsize=(9.2, 2.8))
for i in range(8):
    picture = val_set.images[i].permute(1, 2, 0).squeeze(-1)
    axes[0, i].imshow(picture.numpy(), cmap="gray")
    axes[1, i].imshow(picture.float().view(side, side, -1).mean(2).numpy(), cmap="gray")
    axes[1, i].imshow(maps[i].cpu().numpy(), cmap="inferno", alpha=0.6, vmin=0, vmax=1)
    said = names[int(answers[i])]
    right = int(answers[i]) == int(val_set.labels[i])
    axes[0, i].set_title(said if right else f"{said}, not {names[val_set.labels[i]]}", fontsize=9)
for axis in axes.flat:
    axis.axis("off")
figure.suptitle(
    "Answer of the VGG, and what raised its score (bright)", fontsize=11, fontweight="bold"
)
show(
    figure,
    alt="Eight validation images with the answer of the network above each, and below them the "
    "same in grey under a Grad-CAM map whose bright places raised the score of the answer.",
)

# %% [markdown]
# Such pictures persuade easily, so test them. If the bright places matter, hiding them must change more answers than hiding
# as many others. We hide a quarter of the pixels, by the mean colour, which after normalising is 0: the brightest, the
# darkest, those that are bright in *another image's map*, and a square in the middle that needs no map at all.

# %% tags=["nbval-ignore-output"]
count = side * side // 4
order = maps.flatten(1).argsort(dim=1)
square = torch.zeros(side, side, device=maps.device)
square[side // 4 : side // 4 + side // 2, side // 4 : side // 4 + side // 2] = 1
middle = square.flatten().nonzero().squeeze(1).expand(len(maps), -1)
places = {"brightest": order[:, -count:], "darkest": order[:, :count]}
places |= {"another image's map": order.roll(1, 0)[:, -count:], "centre square": middle}
stay = {}
with torch.no_grad():
    for name, where in places.items():
        shown = torch.ones_like(maps).flatten(1).scatter(1, where, 0.0).view_as(maps)
        hidden = nets["VGG"](images * shown.unsqueeze(1)).argmax(dim=1)
        stay[name] = (hidden == answers).double().mean().item()
        print(f"a quarter hidden, {name}: {stay[name]:.1%} of the answers stay")

# %%
print("bright places matter more than dark:", stay["brightest"] < stay["darkest"] - 0.2)
print("so does the centre square:", stay["centre square"] < stay["darkest"] - 0.2)
print("so does another image's map:", stay["another image's map"] < stay["darkest"] - 0.2)

# %% [markdown]
# The map finds the places that matter. But a square in the middle, which needs no map, comes near it, and another image's
# map does much of the same, because a digit is so large here that it always covers part of the middle. A map is a hint
# and no proof.

# %% [markdown]
# ## The test, once
#
# The choice was made on the validation part. Now the test list is opened, for the best network and for the linear
# baseline, and that is the last time.

# %% tags=["nbval-ignore-output"]
import math

test_pixels = decode_images(test_files)
test_set = ImageDataset(test_pixels, test_files.labels, mean=mean, std=std)
logits, targets = predict(nets[best], make_loader(test_set, batch_size=256))
test = (logits.argmax(dim=1) == targets).double().mean().item()
half_width = 1.96 * math.sqrt(test * (1 - test) / len(targets))
test_flat = (test_pixels.float() / 255).flatten(1).numpy()
linear_test = linear.score(test_flat, test_files.labels)
print(f"{best}: {test:.1%} of {len(targets)} test images, +- {half_width:.1%} (95%)")
print(f"validation said {accuracy[best]:.1%}; logistic regression {linear_test:.1%}")

# %%
print("clearly above the baseline:", test - half_width > linear_test + 0.2)
print("near what validation said:", abs(test - accuracy[best]) < 0.1)

# %% [markdown]
# Of the same answers, the confusion matrix, for whoever will use the network: which classes it can be trusted with.

# %%
from course_utils.plots import plot_confusion_matrix

options = {"class_names": names, "title": f"Test images, {best}"}
plot_confusion_matrix(y_true=targets, y_pred=logits.argmax(dim=1), **options)

# %% [markdown]
# The card goes beside the weights. Notice what it says under limits.

# %%
from course_utils import write_model_card

save_weights(nets[best], scratch / "model.safetensors")
rounded = [[round(value, 4) for value in values] for values in (mean, std)]
card = write_model_card(
    scratch / "model.safetensors",
    nets[best],
    title=f"{best} for {side}x{side} images",
    purpose=f"Takes {side}x{side} pixels in [0, 1], mean {rounded[0]}, std {rounded[1]}.",
    data=f"{len(train_set)} images; chosen on {len(val_set)}, measured on {len(targets)} others.",
    class_names=names,
    metrics={"test accuracy": test, "logistic regression": linear_test},
    limits="Trained with one seed. Not tested on other photographs, sizes or mirrored images.",
)
lines = card.read_text().splitlines()
begin = lines.index("## Limits")
print(*lines[begin : begin + 3], sep="\n")

# %% [markdown]
# Everything above ran on the GPU, where there is one. How many images a second it can classify, in bfloat16:

# %% tags=["nbval-ignore-output"]
if device.type == "cuda":
    started = time.perf_counter()
    with torch.autocast("cuda", torch.bfloat16), torch.no_grad():
        nets["ResNet"].eval()(images.repeat(8, 1, 1, 1)).sum().item()
    print(f"{8 * len(images) / (time.perf_counter() - started):,.0f} images a second")
else:
    print("no GPU here: skipped")

# %% [markdown]
# ## Your turn
#
# ### 1. How far does a unit see?
# The *receptive field* of a unit is the width of the square of input pixels that it depends on. Before the first layer it is
# 1 pixel, and two neighbours are 1 pixel apart. A layer with kernel `k` and stride `s` widens it by `k - 1` times the
# distance of its inputs, and multiplies that distance by `s`. Write `receptive_field(layers)` for a list of pairs
# `(kernel, stride)`, convolutions and poolings alike. For our VGG, it says whether the last features see a whole digit.


# %% tags=["exercise"]
def receptive_field(layers):
    """Return the width of the input square that one output depends on."""
    ...


# %% tags=["check"]
from checks import project_images

project_images.receptive_field(receptive_field)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def receptive_field(layers):
#     width, distance = 1, 1
#     for kernel, stride in layers:
#         width += (kernel - 1) * distance
#         distance *= stride
#     return width
# ```
#
# For our VGG, `[(3, 1), (3, 1), (2, 2)] * 2 + [(3, 1), (3, 1)]` gives 32: just the whole picture. At 256x256 pixels the same
# features would see an eighth of the width.
# </details>

# %% [markdown]
# ### 2. Frozen for good
# Write `freeze(net)` for a network of two parts, as ours are: `net[0]` the features, `net[1]` the head. Afterwards a
# training must not change anything in the features, and must train the head with its Dropout on. Return the parameters that
# an optimizer should get, as a list.


# %% tags=["exercise"]
def freeze(net):
    """Freeze net[0]; return the list of parameters that still learn."""
    ...


# %% tags=["check"]
project_images.freeze(freeze)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def freeze(net):
#     net.train()
#     net[0].eval()
#     for parameter in net[0].parameters():
#         parameter.requires_grad = False
#     return list(net[1].parameters())
# ```
#
# The order matters: `net.train()` after `net[0].eval()` would wake BatchNorm up again.
# </details>

# %% [markdown]
# ### 3. One line of a list
# Write `parse_line(line)`: it takes one line of a list as a str and returns `(path, label)`, or None for an empty line and
# for a comment. The path may hold spaces, or stand in double quotes. The line may end in `\r\n`. If there is no path, or the
# label is no whole number from 0, raise a ValueError whose message holds the line.


# %% tags=["exercise"]
def parse_line(line):
    """Return (path, label), or None if the line says nothing."""
    ...


# %% tags=["check"]
project_images.parse_line(parse_line)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def parse_line(line):
#     line = line.strip()
#     if not line or line.startswith("#"):
#         return None
#     path, _, label = line.rpartition(" ")
#     path = path.strip()
#     if len(path) > 1 and path[0] == path[-1] == '"':
#         path = path[1:-1]
#     if not path or not label.isdecimal():
#         raise ValueError(f"not a path and a class number: {line!r}")
#     return path, int(label)
# ```
#
# `rpartition` splits at the last space, so that the others stay in the path. The label is tested before `int` is called:
# `int` would take "-1" and "1_0".
# </details>

# %% [markdown]
# ## Recap
#
# - A list of files is data, too: read it with something that names list and line. Leave bad lines out only with a report.
# - Check that no file is in two parts, nor a copy of it. Take the statistics from the training rows, and give all parts the same.
# - Augment the training part only, with what keeps the label. A mirrored digit is another sign.
# - Baselines first. Then networks trained alike, in a table with parameters and seconds; the choice by validation, the
#   test once.
# - The famous recipe was a choice for 256-pixel photographs. Eight times the width is 64 times the numbers to compute.
# - With ten labels a class, weights from a related task beat a start from nothing in the same steps; fine-tuning all of
#   them did best here. Frozen means no gradients *and* evaluation mode.
# - Look at the mistakes on the validation part before you change anything.
# - A map of what a network looks at is a claim. Hide the bright places, and as many others, and count.
#
# **Next:** [12 · Project: text](12_project_text.ipynb).
