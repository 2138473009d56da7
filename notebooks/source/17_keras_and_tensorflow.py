# %% [markdown]
# # 17 · Keras and TensorFlow: the same training in the other language
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/17_keras_and_tensorflow.ipynb)
#
# **After this notebook you can**
# - read a Keras training and say which PyTorch line stands beside each of its lines;
# - build the same data pipeline and the same network in both, and get the same numbers, to within 0.0001;
# - carry trained weights from one framework into the other, and know what breaks silently on the way;
# - name the defaults that differ, and what each of them does to a training;
# - save a Keras model in its three formats, and train a Keras model with `train_epoch`.
#
# **Time:** 75 minutes. **Builds on:** [03 · The training loop](03_training_loop.ipynb),
# [04 · Evaluation](04_evaluation.ipynb) and [06 · Saving and resuming](06_saving_and_resuming.ipynb).
#
# You will meet Keras code: in a paper's repository, in a job, in a tutorial. It does what you know by now, under other
# names and with other defaults. A twin is the best way to learn it: the same data, the same weights and the same batches
# must give the same losses. Where they do not, something is different, and this lesson finds out what.

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
import inspect
import os
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch._dynamo  # before TensorFlow: it loads a compiler that crashes when it comes second
from torch import nn

from checks import keras_twin
from course_utils import evaluate, fit, get_device, load_dataset, make_loader, make_loaders
from course_utils import EarlyStopping, predict, seed_everything, train_epoch
from course_utils.plots import show

seed_everything(42)
device = get_device()
data = load_dataset(os.environ.get("COURSE_DATASET", "digits"))
print(
    len(data.train), "training images,", len(data.val), "to choose by, of shape", data.input_shape
)

# %% [markdown]
# TensorFlow is large, and no other lesson uses it, so it is not among the requirements of the course. Where it is missing,
# the next cell says how to get it, and the notebook ends there.
#
# The four settings must be made before the import. They make TensorFlow say less, leave out kernels that round differently
# from processor to processor, take GPU memory as it is needed (by default TensorFlow takes all at once, and PyTorch gets
# none), and choose the engine under Keras. Since version 3, Keras is a language over three engines: TensorFlow, PyTorch and JAX.

# %%
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"  # errors only
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
os.environ["KERAS_BACKEND"] = "tensorflow"
try:
    import keras
    import tensorflow as tf
except ModuleNotFoundError:
    raise keras_twin.TensorFlowIsMissing from None
tf.get_logger().setLevel("ERROR")
layers = keras.layers
print("Keras", keras.__version__.split(".")[0], "on", keras.backend.backend())
print("GPUs that TensorFlow sees:", len(tf.config.list_physical_devices("GPU")))

# %%
if device.type == "cuda":
    # Both libraries round products of float32 on newer GPUs; not here, where outputs are compared.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    tf.config.experimental.enable_tensor_float_32_execution(False)
else:
    print("no GPU: PyTorch and TensorFlow both compute on the processor")

# %% [markdown]
# ## The same data
#
# A PyTorch image is (channels, height, width), *channels first*; a Keras image is (height, width, channels), *channels
# last*. To go from one to the other, move the axis with `permute`. A `reshape` has the right shape too, and takes the image
# apart: for one channel nothing happens, and with three channels the colours are strewn over the picture.


# %%
def as_arrays(part):
    """Return all images of a part, normalised and channels last, and their labels."""
    images, labels = next(iter(make_loader(part, batch_size=len(part))))
    return images.permute(0, 2, 3, 1).contiguous().numpy(), labels.numpy()


x_train, y_train = as_arrays(data.train)
x_val, y_val = as_arrays(data.val)
channels, height, width = data.input_shape
colour = torch.arange(2 * 2 * 3).reshape(3, 2, 2)  # three channels of two by two pixels
print("Keras gets", x_train.shape[1:], " PyTorch gets", data.input_shape)
print("permute, first pixel:", colour.permute(1, 2, 0)[0, 0].tolist(), " (its three channels)")
print(
    "reshape, first pixel:",
    colour.reshape(2, 2, 3)[0, 0].tolist(),
    " (three pixels of one channel)",
)

# %% [markdown]
# Where PyTorch has a `DataLoader`, TensorFlow has a `tf.data.Dataset`: a chain of steps, each of which wraps the one before
# it. `batch(64)` beside `batch_size=64`, and `drop_remainder=True` would be `drop_last=True`. Without shuffling, the two
# give the same batches, the short last one included:

# %%
loader = make_loader(data.train, batch_size=64)
pipeline = tf.data.Dataset.from_tensor_slices((x_train, y_train)).batch(64)
same = []
for (images, labels), (x, y) in zip(loader, pipeline, strict=True):
    same.append(np.array_equal(images.permute(0, 2, 3, 1), x) and np.array_equal(labels, y))
print(f"{sum(same)} of {len(loader)} batches are equal; the last one has {len(y)} images")

# %% [markdown]
# ### Mistake: a small shuffle buffer
# A DataLoader shuffles the numbers of all samples. `tf.data` cannot know all samples, because they may come from a file
# that is still being read. It fills a *buffer*, and each time it gives away a random one of those in it. What stands at the
# end of the data can never come first. Take 1,000 samples that are sorted by class, ten classes, as files in folders are,
# and look at the classes of the first batch of 64, for a buffer of 100 and one that holds all:

# %%
positions = {}
for buffer in (100, 1000):
    shuffled = tf.data.Dataset.range(1000).shuffle(buffer, seed=0)
    positions[buffer] = np.array(list(shuffled.as_numpy_iterator()))
    classes = sorted(set((positions[buffer][:64] // 100).tolist()))
    print(f"buffer of {buffer:4}: the first batch has the classes {classes}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(7, 3.3), sharex=True, sharey=True)
for axis, (buffer, order) in zip(axes, positions.items(), strict=True):
    axis.scatter(range(1000), order, s=3)
    axis.set(title=f"shuffle({buffer})", xlabel="position in the epoch")
axes[0].set_ylabel("position in the data")
show(
    figure,
    alt="Two scatter plots of a sample's position in the data against its position in the epoch. "
    "With a buffer of 100 they lie along the diagonal, with one of 1000 they fill the square.",
)

# %% [markdown]
# On the left, the epoch walks through the classes in their order, and a batch holds only a few of them. So:
# `shuffle(len(data))`, *before* `batch`. After `batch` it would mix whole batches, whose members never change:

# %%
numbers = tf.data.Dataset.range(6)
for name, chain in {
    "shuffle, then batch": numbers.shuffle(6, seed=1).batch(2),
    "batch, then shuffle": numbers.batch(2).shuffle(3, seed=1),
}.items():
    epochs = [[batch.tolist() for batch in chain.as_numpy_iterator()] for _ in range(2)]
    print(f"{name}: {epochs[0]} and then {epochs[1]}")

# %% [markdown]
# As with a shuffled DataLoader, each epoch has an order of its own.
#
# ### Prefetch
# `prefetch(n)` prepares up to n batches while the model still computes, which in PyTorch is the work of `num_workers` and
# `prefetch_factor`. `tf.data.AUTOTUNE` in place of a number lets TensorFlow choose, and in `map(...,
# num_parallel_calls=AUTOTUNE)` it chooses the threads. Here, each element that is prepared leaves a note. We take one, and
# look whether more were prepared. (TensorFlow likes to prefetch even if nobody asks; that is switched off for the
# comparison.)


# %%
import time


def prepared(prefetch):
    """Take one element; return how many were prepared, after up to five seconds."""
    notes, options = [], tf.data.Options()
    options.experimental_optimization.inject_prefetch = False  # else TensorFlow adds its own

    def note(number):
        notes.append(int(number))
        return number

    elements = tf.data.Dataset.range(20).map(lambda n: tf.py_function(note, [n], tf.int64))
    elements = elements.prefetch(prefetch) if prefetch else elements
    iterator = iter(elements.with_options(options))
    next(iterator)
    end = time.monotonic() + (5 if prefetch else 0.2)
    while len(notes) < 5 and time.monotonic() < end:
        time.sleep(0.01)
    return len(notes)


print("1 taken, 5 or more prepared, without prefetch:", prepared(0) >= 5)
print("1 taken, 5 or more prepared, with prefetch(4):", prepared(4) >= 5)

# %% [markdown]
# The whole chain, as you will find it everywhere:

# %%
keras.utils.set_random_seed(42)  # Python, NumPy and TensorFlow, as seed_everything does
slices = tf.data.Dataset.from_tensor_slices
train_set = slices((x_train, y_train)).shuffle(len(x_train)).batch(64).prefetch(tf.data.AUTOTUNE)
val_set = slices((x_val, y_val)).batch(64).prefetch(tf.data.AUTOTUNE)
loaders = make_loaders(data, batch_size=64)
print(len(train_set), "batches in TensorFlow,", len(loaders.train), "in PyTorch")

# %% [markdown]
# ## The same model
#
# Side by side, a network with two convolutions. Two differences meet the eye: Keras takes the size of the input once, in
# `keras.Input`, and works out the others, and `padding="same"` is a word. Both networks end with plain logits.


# %%
def torch_net():
    return nn.Sequential(
        nn.Conv2d(channels, 8, kernel_size=3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, kernel_size=3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * (height // 4) * (width // 4), data.num_classes),
    ).to(device)


# %%
def keras_net(momentum=0.9, epsilon=1e-5):
    return keras.Sequential(
        [
            keras.Input((height, width, channels)),
            layers.Conv2D(8, kernel_size=3, padding="same"),
            layers.BatchNormalization(momentum=momentum, epsilon=epsilon),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, kernel_size=3, padding="same"),
            layers.BatchNormalization(momentum=momentum, epsilon=epsilon),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(data.num_classes),
        ]
    )


net, model = torch_net(), keras_net()
learned = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
print("PyTorch learns", sum(p.numel() for p in net.parameters()), "numbers, Keras", learned)
print("Keras counts", model.count_params(), "in all: with the running statistics of BatchNorm")

# %% [markdown]
# The two arguments of `BatchNormalization` are PyTorch's defaults in Keras' words. Keras' own are others, and they have a
# section of their own below.
#
# ### Mistake: no Flatten
# A tutorial that leaves `Flatten` out between a convolution and the last layer meets two very different fates. Both
# libraries apply the layer to the last axis alone. PyTorch stops because you wrote the number of inputs, and it does not fit
# (`nn.Linear(26, 10)` would go through); Keras works the number out itself, so it never stops:

# %%
images, labels = next(iter(loader))
try:
    nn.Sequential(nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.Linear(32 * 26 * 26, 10))(images)
except RuntimeError as error:
    print("PyTorch:", str(error).split("(")[0])
fits = nn.Sequential(nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.Linear(26, 10))
print("        ", tuple(fits(images).shape)[1:], "with Linear(26, 10)")
first = [keras.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu")]
print("Keras:  ", keras.Sequential([*first, layers.Dense(10)]).output_shape)
print("wanted: ", keras.Sequential([*first, layers.Flatten(), layers.Dense(10)]).output_shape)

# %% [markdown]
# Ten numbers for each of 26 x 26 places, and no error before the loss compares shapes. `model.output_shape` and
# `model.summary()` are where to look.
#
# Older code has no `keras.Input`, but `input_shape=` in the first layer. It works and warns. Older code also writes
# `tf.keras`, which is the same library under TensorFlow's name. The `ImageDataGenerator` of the old tutorials' augmentation
# is no longer in `keras`; `tf.keras` still has it for them. Random flips and rotations are layers now:

# %%
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    keras.Sequential([layers.Conv2D(32, 3, input_shape=(28, 28, 1))])
print(str(caught[0].message).split(". ")[0])
print("the same Sequential:", tf.keras.Sequential is keras.Sequential)
for library in (keras, tf.keras):
    print("ImageDataGenerator:", hasattr(library.preprocessing.image, "ImageDataGenerator"))
print(
    "layers.RandomFlip, RandomRotation:",
    hasattr(layers, "RandomFlip"),
    hasattr(layers, "RandomRotation"),
)

# %% [markdown]
# ## The same weights
#
# To compare the two, they must start alike. Each framework stores the same numbers in another order:
#
# | | PyTorch | Keras |
# |---|---|---|
# | convolution | (out, in, height, width) | (height, width, in, out) |
# | dense layer | (out, in) | (in, out) |
# | BatchNorm | weight, bias, running_mean, running_var | gamma, beta, moving_mean, moving_variance |
#
# So a convolution needs a permutation and a dense layer a transposition, and the shapes fit. A first attempt:


# %%
def keras_order(layer):
    """Return the arrays of a PyTorch layer in Keras' order; none for a layer without weights."""
    if isinstance(layer, nn.Conv2d):
        tensors = [layer.weight.permute(2, 3, 1, 0), layer.bias]
    elif isinstance(layer, nn.Linear):
        tensors = [layer.weight.T, layer.bias]
    elif isinstance(layer, nn.BatchNorm2d):
        tensors = [layer.weight, layer.bias, layer.running_mean, layer.running_var]
    else:
        tensors = []
    return [tensor.detach().cpu().numpy().copy() for tensor in tensors]


def naive(net, model):
    for ours, theirs in zip(net, model.layers, strict=True):
        theirs.set_weights(keras_order(ours))


# %% [markdown]
# To see mistakes in the statistics of BatchNorm too, the PyTorch net first trains for an epoch. Then its logits on the
# validation part stand beside those of the Keras model that has got its weights:

# %%
seed_everything(42)
loss_fn = nn.CrossEntropyLoss()
train_epoch(net, loaders.train, loss_fn, torch.optim.AdamW(net.parameters(), lr=3e-3))
wanted = predict(net, loaders.val).logits.numpy()
naive(net, model)
wrong = model.predict(x_val, verbose=0)
print(
    "shapes fit:",
    wrong.shape == wanted.shape,
    "  outputs agree:",
    np.allclose(wrong, wanted, atol=1e-4),
)
print(
    "half of the right answers or more are lost:",
    2 * (wrong.argmax(1) == y_val).mean() < (wanted.argmax(1) == y_val).mean(),
)

# %% [markdown]
# ### Mistake: the order behind Flatten
# No error, and a model that guesses. Up to `Flatten` all is right. But `Flatten` reads its block of numbers as it is stored:
# PyTorch all of channel 0, then all of channel 1; Keras all channels of the first pixel, then of the second. So the columns
# of the first dense layer after a `Flatten` must be put into the other order, and no shape will ever tell you. By hand, for
# two channels of two by two pixels, named c0p0 to c1p3:

# %%
# A second model, which ends at layer 7 and has the same weights.
before_flatten = keras.Model(model.inputs[0], model.layers[7].output)(x_val)
wanted_before = predict(net[:8], loaders.val).logits.permute(0, 2, 3, 1)
print("equal before Flatten:", np.allclose(before_flatten, wanted_before, atol=1e-4))
names = np.array([[f"c{c}p{p}" for p in range(4)] for c in range(2)]).reshape(2, 2, 2)
print("PyTorch's Flatten:", " ".join(names.flatten()))
print("Keras' Flatten:   ", " ".join(names.transpose(1, 2, 0).flatten()))


# %%
def to_keras(net, model):
    """Copy all weights of a PyTorch Sequential into the Keras model with the same layers."""
    shape = None  # of what goes into the last Flatten, without the batch
    for ours, theirs in zip(net, model.layers, strict=True):
        arrays = keras_order(ours)
        if isinstance(ours, nn.Flatten):
            shape = theirs.input.shape[1:]  # height, width, channels
        elif isinstance(ours, nn.Linear) and shape is not None:
            h, w, c = shape
            arrays[0] = arrays[0].reshape(c, h, w, -1).transpose(1, 2, 0, 3).reshape(c * h * w, -1)
            shape = None  # the next dense layer needs no new order
        theirs.set_weights(arrays)


to_keras(net, model)
right = model.predict(x_val, verbose=0)
print("equal to within 0.0001:", np.allclose(right, wanted, atol=1e-4))
print("same class for every image:", np.array_equal(right.argmax(1), wanted.argmax(1)))

# %%
figure, axes = plt.subplots(1, 2, figsize=(7, 3.5), sharex=True, sharey=True)
for axis, found, name in zip(
    axes, (wrong, right), ("transposed only", "reordered, too"), strict=True
):
    axis.scatter(wanted.ravel(), found.ravel(), s=3, alpha=0.4)
    axis.axline((0, 0), slope=1, color="#717581", linewidth=1, linestyle=":")
    axis.set(title=name, xlabel="logit in PyTorch")
axes[0].set_ylabel("logit in Keras")
show(
    figure,
    alt="Two scatter plots of Keras' logits against PyTorch's for the validation images. With the "
    "dense layer only transposed they form a cloud; with its rows reordered, a diagonal line.",
)

# %% [markdown]
# The way back is the same, backwards. It starts from a net with other weights, and must end with the outputs above:


# %%
def to_torch(model, net):
    """Copy all weights of a Keras Sequential into the PyTorch Sequential with the same layers."""
    shape = None
    for theirs, ours in zip(model.layers, net, strict=True):
        tensors = [torch.tensor(array) for array in theirs.get_weights()]
        if isinstance(ours, nn.Flatten):
            shape = theirs.input.shape[1:]
        elif isinstance(ours, nn.Conv2d):
            tensors[0] = tensors[0].permute(3, 2, 0, 1)
        elif isinstance(ours, nn.Linear):
            if shape is not None:
                tensors[0] = tensors[0].reshape(*shape, -1).permute(2, 0, 1, 3).flatten(0, 2)
            tensors[0], shape = tensors[0].T, None
        own = [t for name, t in ours.state_dict().items() if name != "num_batches_tracked"]
        for target, tensor in zip(own, tensors, strict=True):
            target.copy_(tensor)


# %%
returned = torch_net()
to_torch(model, returned)
back = predict(returned, loaders.val).logits.numpy()
print("and back, equal to within 0.0001:", np.allclose(back, wanted, atol=1e-4))
equal = [
    torch.equal(returned.state_dict()[k], v)
    for k, v in net.state_dict().items()
    if "tracked" not in k
]
print(f"tensors that came back bit for bit: {sum(equal)} of {len(equal)}")

# %% [markdown]
# ### Mistake: "same" is not always the same
# One more trap lies in convolutions with a stride. With a stride of 2 and an image of even size, `padding="same"` pads a row
# below and a column on the right, `padding=1` pads all round. The shapes agree, the numbers do not, and here it is PyTorch
# that has to be told. With an odd size `"same"` pads all round, too: what is right depends on the image.

# %%
small = torch.arange(36.0).view(1, 1, 6, 6)
ones = layers.Conv2D(1, 3, strides=2, padding="same", kernel_initializer="ones", use_bias=False)
kernel = torch.ones(1, 1, 3, 3)
below = nn.functional.pad(small, (0, 1, 0, 1))  # left, right, top, bottom
print("Keras, same:       ", ones(small.permute(0, 2, 3, 1).numpy())[0, :, :, 0].numpy().tolist())
print(
    "PyTorch, padding=1:", nn.functional.conv2d(small, kernel, stride=2, padding=1)[0, 0].tolist()
)
print("padded by hand:    ", nn.functional.conv2d(below, kernel, stride=2)[0, 0].tolist())
odd = torch.arange(49.0).view(1, 1, 7, 7)
same = ones(odd.permute(0, 2, 3, 1).numpy())[0, :, :, 0].numpy()
all_round = nn.functional.conv2d(odd, kernel, stride=2, padding=1)[0, 0]
print("7 x 7: same is padding=1:", np.allclose(same, all_round))

# %% [markdown]
# ## The loss, and from_logits
#
# PyTorch's `CrossEntropyLoss` takes logits, always. Keras' cross-entropy takes *probabilities*, unless you say
# `from_logits=True`; and the short name that most tutorials use, `loss="sparse_categorical_crossentropy"`, means
# probabilities. ("Sparse" says that targets are class numbers; without it, they are one-hot rows.) There are two kinds of
# outputs and two settings. Three logits and a target of class 0:

# %%
logits = np.array([[2.0, 1.0, -1.0]], dtype="float32")
probabilities = torch.tensor(logits).softmax(dim=1).numpy()
target = np.array([0])
cross_entropy = keras.losses.SparseCategoricalCrossentropy
print(
    f"PyTorch:                           {loss_fn(torch.tensor(logits), torch.tensor(target)):.4f}"
)
for name, outputs in {"logits": logits, "probabilities": probabilities}.items():
    for flag in (True, False):
        loss = float(cross_entropy(from_logits=flag)(target, outputs))
        print(f"{name:13}, from_logits={flag!s:5}:  {loss:.4f}")

# %% [markdown]
# The first and the last are right. Logits taken for probabilities are cut to the range from 0 to 1, after which 2.0 and 1.0
# are the same, and then divided by their sum: 1/2, 1/2 and 0, so the loss is log 2 = 0.6931. Whatever was cut has no gradient.
# Here that is all three, so nothing would be learned:

# %%
for flag in (True, False):
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = cross_entropy(from_logits=flag)(target, variable)
    found = tape.gradient(loss, variable).numpy()[0] + 0.0  # no -0.0
    print(f"from_logits={flag!s:5}: gradient {[round(float(g), 4) for g in found]}")

# %% [markdown]
# Probabilities taken for logits go through softmax twice. Then even
# a perfect answer, 1 for the right class and 0 for the others, has a loss. For ten classes:

# %%
perfect = np.eye(10, dtype="float32")[:1]
floor = float(cross_entropy(from_logits=True)(target, perfect))
print(f"a perfect answer, from_logits=True:  {floor:.4f}")
print(f"by hand, log(e + 9) - 1:             {np.log(np.e + 9) - 1:.4f}")

# %% [markdown]
# What does a training make of that? Four small networks, five epochs each: right with logits, right with softmax, and the two
# mistakes. `compile` takes what you would hand to `train_epoch`; the next section looks at it more closely.


# %%
def small_net(*last):
    sizes = [keras.Input((height, width, channels)), layers.Flatten(), layers.Dense(64, "relu")]
    return keras.Sequential([*sizes, *last])


def train_small(flag, *last, seed=0):
    """Train a small network with the loss's from_logits; return the history and the warnings."""
    keras.utils.set_random_seed(seed)
    small = small_net(*last)
    small.compile(optimizer="adam", loss=cross_entropy(from_logits=flag), metrics=["accuracy"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = small.fit(
            x_train, y_train, batch_size=64, epochs=5, validation_data=val_set, verbose=0
        )
    return history.history, [str(warning.message) for warning in caught]


# %% tags=["nbval-ignore-output"]
classes = data.num_classes
flags = {
    "logits, from_logits=True": train_small(True, layers.Dense(classes)),
    "softmax, from_logits=False": train_small(False, layers.Dense(classes, "softmax")),
    "logits, from_logits=False": train_small(False, layers.Dense(classes)),
    "softmax, Reshape, from_logits=True": train_small(
        True, layers.Dense(classes, "softmax"), layers.Reshape((classes,))
    ),
}
for name, (history, _) in flags.items():
    accuracy = history["val_accuracy"][-1]
    print(f"{name:35} loss {history['loss'][-1]:.3f}, validation accuracy {accuracy:.3f}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.4))
for (name, (history, _)), style in zip(flags.items(), ("-", "--", "-", "-"), strict=True):
    axes[0].plot(range(1, 6), history["loss"], style, label=name)
    axes[1].plot(range(1, 6), history["val_accuracy"], style)
axes[0].set(title="Training loss", xlabel="epoch", ylabel="reported loss (log scale)", yscale="log")
axes[1].set(title="Validation accuracy", xlabel="epoch", ylabel="accuracy", ylim=(0, 1))
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
show(
    figure,
    alt="Training loss and validation accuracy over five epochs for four settings. The two right "
    "ones agree. Logits without from_logits stay at a low accuracy; softmax twice learns more "
    "slowly, and its loss stays above 1.4.",
)

# %% [markdown]
# In the figure, the blue and the dashed line are the right ways. In words:

# %%
final = {
    name: (history["loss"][-1], history["val_accuracy"][-1]) for name, (history, _) in flags.items()
}
(right_loss, right_accuracy), (_, softmax_accuracy), (_, cut), (twice, slowly) = final.values()
print("the two right ways are within 5 points:", abs(right_accuracy - softmax_accuracy) < 0.05)
print("logits without from_logits: less than half the accuracy:", cut < right_accuracy / 2)
print("softmax twice: a lower accuracy than the right way:", slowly < right_accuracy - 0.03)
print("and the loss stays above its floor:", twice > np.log(np.e + classes - 1) - 1 > right_loss)

# %% [markdown]
# No error in either case. The first mistake ruins the training. The second is milder: the network still learns, more slowly
# (how much more depends on the seed), with a loss that cannot fall below its floor.
#
# Why the `Reshape`? Because Keras notices the plain case. If the layer before the loss is a softmax, its TensorFlow engine
# goes back to the logits and warns. Then the result is right, for the wrong reason; with any layer in between, as above, or
# an array in place of a tensor, there is neither rescue nor warning:

# %%
history, messages = train_small(True, layers.Dense(classes, "softmax"))
print(
    "rescued:",
    history["loss"][-1] < twice - 1,
    "  warned:",
    any("from_logits=True" in m for m in messages),
)
print(
    "warned with a Reshape in between:",
    any("from_logits" in m for m in flags["softmax, Reshape, from_logits=True"][1]),
)

# %% [markdown]
# So take the habit from PyTorch: end with logits, say `from_logits=True`, and apply softmax where a person reads the
# probabilities.
#
# ## compile, fit, evaluate, predict
#
# `compile` stores optimizer, loss and metrics in the model. `fit` is the loop of notebook 03. Both networks have the same
# weights by now, and get the same batches in the same order, with plain SGD. One epoch in each:

# %%
to_keras(net, model)
sgd = torch.optim.SGD(net.parameters(), lr=0.01)
model.compile(
    optimizer=keras.optimizers.SGD(learning_rate=0.01),
    loss=cross_entropy(from_logits=True),
    metrics=["accuracy"],
)
ours = train_epoch(net, loader, loss_fn, sgd)
theirs = model.fit(pipeline, epochs=1, shuffle=False, verbose=0).history
print("training losses agree to within 0.001:", abs(ours.loss - theirs["loss"][0]) < 1e-3)
print("and the accuracies to within 1 in 100:", abs(ours.accuracy - theirs["accuracy"][0]) < 0.01)

# %% [markdown]
# (`shuffle=False` because a `tf.data` pipeline shuffles by itself: `fit`, whose default is `shuffle=True`, ignores that for
# a pipeline and warns. Arrays it does shuffle.)
#
# `evaluate` returns loss and metrics, `predict` the outputs of all samples, here logits. As in PyTorch, `predict` knows
# nothing of classes:

# %%
ours = evaluate(net, loaders.val, loss_fn)
loss, accuracy = model.evaluate(val_set, verbose=0)
outputs = model.predict(val_set, verbose=0)
print("validation losses agree to within 0.001:", abs(ours.loss - loss) < 1e-3)
print(
    "logits agree to within 0.01:",
    np.allclose(outputs, predict(net, loaders.val).logits, atol=0.01),
)
print("predict gives", outputs.shape, "and argmax gives", outputs.argmax(axis=1).shape)
print(
    "its accuracy is the one of evaluate:",
    np.isclose((outputs.argmax(1) == y_val).mean(), accuracy),
)

# %% [markdown]
# ## The five steps, with a GradientTape
#
# What `fit` does can be written out here as well. TensorFlow records what happens inside a `GradientTape` and differentiates
# it afterwards, where PyTorch records into the tensors themselves. There is nothing to set to zero: each tape is new.
#
# | PyTorch | TensorFlow |
# |---|---|
# | `optimizer.zero_grad()` | a new `tf.GradientTape()` |
# | `outputs = net(images)` | `outputs = model(x, training=True)` |
# | `loss = loss_fn(outputs, labels)` | `loss = loss_fn(y, outputs)`, targets first |
# | `loss.backward()` | `gradients = tape.gradient(loss, model.trainable_variables)` |
# | `optimizer.step()` | `optimizer.apply_gradients(zip(gradients, variables))` |

# %%
x, y = next(iter(pipeline))
to_keras(net, model)
with tf.GradientTape() as tape:
    loss = cross_entropy(from_logits=True)(y, model(x, training=True))
gradients = tape.gradient(loss, model.trainable_variables)

net.train()
net.zero_grad()
loss_fn(net(images.to(device)), labels.to(device)).backward()
expected = net[0].weight.grad.permute(2, 3, 1, 0).cpu().numpy()
print(
    "gradient of the first convolution, equal to within 0.0001:",
    np.allclose(gradients[0], expected, atol=1e-4),
)
before = model.get_weights()[0]
keras.optimizers.SGD(0.01).apply_gradients(zip(gradients, model.trainable_variables, strict=True))
print(
    "the step is -0.01 times it:",
    np.allclose(model.get_weights()[0] - before, -0.01 * expected, atol=1e-5),
)

# %% [markdown]
# ### Mistake: training=True forgotten
# `net.train()` is a state, `training=True` is an argument, and a model that is called without it is in *inference* mode, also
# inside a tape. Dropout does nothing, and the statistics of BatchNorm stay where they are. PyTorch's default is the other
# way round: a new module is in training mode.

# %%
statistics = model.layers[1].moving_mean
for flag in (None, True):
    old = statistics.numpy().copy()
    model(x) if flag is None else model(x, training=flag)
    print(
        f"called with training={flag!s:4}: the running mean moved:",
        not np.array_equal(old, statistics.numpy()),
    )
print("a new PyTorch module is in training mode:", nn.Dropout().training)

# %% [markdown]
# ### Is TensorFlow static?
# You will read that TensorFlow builds a static graph and PyTorch a dynamic one. That was true of TensorFlow 1. Since version
# 2 it computes line by line, as the cells above did. The graph is an option: `tf.function` traces a Python function into one,
# and `fit` uses it inside. The Python code then runs only while it is traced, once for each kind of input. Count it:

# %%
traced = []


@tf.function
def compiled(x, y):
    traced.append(x.shape[0])  # plain Python: seen while tracing, not while running
    return cross_entropy(from_logits=True)(y, model(x))


calls = [compiled(x, y) for _ in range(2) for x, y in pipeline]
print("line by line by default:", tf.executing_eagerly())
print(f"{len(calls)} calls, {len(traced)} traces, for batches of {traced}")

# %% [markdown]
# Two traces: one for full batches, one for the short last batch. A `print` or a `list.append` in such a function is a
# classic surprise, and PyTorch's `torch.compile` has the same one.
#
# ## What the reported numbers mean
#
# Notebook 04 was strict about averages. Is Keras? The test: 75 samples in batches of 32, 32 and 11, where the last batch is
# far harder than the others, in a model that hands its inputs through. The mean over the batches would be wrong:

# %%
rng = np.random.default_rng(0)
hard, answers = rng.normal(size=(75, 3)).astype("float32"), rng.integers(0, 3, size=75)
hard[64:] *= 100
through = keras.Sequential([keras.Input((3,)), layers.Identity()])
through.compile(loss=cross_entropy(from_logits=True), metrics=["accuracy"])
per_batch = [
    through.evaluate(hard[i : i + 32], answers[i : i + 32], verbose=0)[0] for i in (0, 32, 64)
]
whole, ragged = (through.evaluate(hard, answers, batch_size=n, verbose=0)[0] for n in (75, 32))
print(f"the whole set in one batch:      {whole:.3f}")
print(f"Keras, batches of 32, 32 and 11: {ragged:.3f}")
print(f"mean of the three batch means:   {np.mean(per_batch):.3f}")

# %% [markdown]
# `evaluate` is exact: it weights each batch by its size. The number of `fit` is a running mean *while the weights change*,
# as `train_epoch` reports it, too; its name, `loss`, does not tell. In the first epoch the two are far apart:

# %% tags=["nbval-ignore-output"]
keras.utils.set_random_seed(1)
fresh = small_net(layers.Dense(classes))
fresh.compile(optimizer="adam", loss=cross_entropy(from_logits=True), metrics=["accuracy"])
reported = fresh.fit(x_train, y_train, batch_size=64, epochs=1, verbose=0).history
afterwards = fresh.evaluate(x_train, y_train, verbose=0, return_dict=True)
for key in ("loss", "accuracy"):
    print(f"{key}: fit reported {reported[key][0]:.3f}, evaluate finds {afterwards[key]:.3f}")

# %%
print(
    "after the first epoch, evaluate finds less than 0.7 of the loss:",
    afterwards["loss"] < 0.7 * reported["loss"][0],
)
print(
    "and an accuracy at least 5 points higher:",
    afterwards["accuracy"] > reported["accuracy"][0] + 0.05,
)

# %% [markdown]
# Two more things hide in the number. A `kernel_regularizer` is part of Keras' loss, in training and in *validation*, while
# PyTorch's `weight_decay` lives in the optimizer and shows up in no loss. And sample weights: Keras divides the weighted sum
# by the number of samples. PyTorch's losses know no sample weights; with class weights they divide by the sum of the weights.

# %%
regular = keras.Sequential(
    [keras.Input((3,)), layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.1))]
)
regular.set_weights([2 * np.eye(3), np.zeros(3)])
regular.compile(loss=cross_entropy(from_logits=True))
plain = float(loss_fn(torch.tensor(2 * hard[:64]), torch.tensor(answers[:64])))
print(f"reported {regular.evaluate(hard[:64], answers[:64], verbose=0):.3f}", end=", ")
print(f"cross-entropy {plain:.3f}, plus 0.1 times the squares {plain + 0.1 * 12:.3f}")

# %%
weights = np.array([1, 1, 1, 7.0], dtype="float32")
each = nn.functional.cross_entropy(
    torch.tensor(hard[:4]), torch.tensor(answers[:4]), reduction="none"
).numpy()
found = float(cross_entropy(from_logits=True)(answers[:4], hard[:4], sample_weight=weights))
print(f"Keras {found:.3f}: weighted sum / 4 samples = {(weights * each).sum() / 4:.3f}")
print(f"a weighted mean would be: weighted sum / 10 = {(weights * each).sum() / 10:.3f}")
class_weights = torch.tensor([1.0, 1.0, 7.0])
given = torch.tensor(hard[:4]), torch.tensor(answers[:4])
by_class_weights = nn.functional.cross_entropy(*given, weight=class_weights)
of_each = class_weights[given[1]].numpy()
is_mean = np.isclose(by_class_weights, (of_each * each).sum() / of_each.sum())
print("PyTorch, class weights: weighted sum / sum of weights:", is_mean)

# %% [markdown]
# ## validation_data and validation_split
#
# `fit(validation_split=0.2)` looks convenient. It takes the *last* fifth of the arrays, before any shuffling. If the data is
# sorted by class, the model is judged by classes that it has never seen:

# %%
by_class = np.argsort(y_train, kind="stable")
fifth = int(len(y_train) * 0.8)
print("classes of the first 80%:", np.unique(y_train[by_class][:fifth]).tolist())
print("classes of the last 20%: ", np.unique(y_train[by_class][fifth:]).tolist())


# %% tags=["nbval-ignore-output"]
def validated(**options):
    """Train the small network on images sorted by class; return two accuracies: Keras' and ours."""
    keras.utils.set_random_seed(0)
    small = small_net(layers.Dense(classes))
    small.compile(optimizer="adam", loss=cross_entropy(from_logits=True), metrics=["accuracy"])
    given = x_train[by_class], y_train[by_class]
    shown = small.fit(*given, epochs=3, verbose=0, **options).history["val_accuracy"][-1]
    return shown, small.evaluate(x_val, y_val, verbose=0)[1]


(by_split, of_split), (by_data, of_data) = (
    validated(validation_split=0.2),
    validated(validation_data=(x_val, y_val)),
)
print(f"validation_split shows {by_split:.3f}; on the stratified validation part {of_split:.3f}")
print(f"validation_data shows  {by_data:.3f}; on the stratified validation part {of_data:.3f}")

# %%
print("validation_split shows less than a third of the other's accuracy:", by_split < by_data / 3)
print("and its model is worse by at least 5 points:", of_split < of_data - 0.05)

# %% [markdown]
# Both go wrong. The number judges the model almost only by classes that it has hardly seen, and the model never learns those
# classes, because their images were taken from its training. Split the data yourself, stratified, as in notebook 01, and
# pass `validation_data`. And pass the validation part there, never the test part: `fit` shows it after each epoch, and you
# will choose by it.
#
# ## Callbacks: the learning rate
#
# `LearningRateScheduler` is called at the start of an epoch with its number, from 0, and the present rate. What it returns
# *is* the rate. PyTorch's `LambdaLR` returns a factor of the first rate. Halved after each epoch, in both:

# %%
tiny = x_train[:64], y_train[:64]


def rates_of(schedule, epochs=6):
    """Train a small network for a few epochs of one batch; return the rate of each epoch."""
    small = small_net(layers.Dense(classes))
    small.compile(optimizer=keras.optimizers.SGD(0.1), loss=cross_entropy(from_logits=True))
    scheduler = keras.callbacks.LearningRateScheduler(schedule)
    history = small.fit(*tiny, batch_size=64, epochs=epochs, callbacks=[scheduler], verbose=0)
    return [float(rate) for rate in history.history["learning_rate"]]


# %%
in_keras = rates_of(lambda epoch, rate: 0.1 * 0.5**epoch)
batch = [(images, labels)]
throwaway = torch_net()
sgd = torch.optim.SGD(throwaway.parameters(), lr=0.1)
halving = torch.optim.lr_scheduler.LambdaLR(sgd, lambda epoch: 0.5**epoch)
in_torch = fit(
    throwaway, batch, batch, loss_fn, sgd, epochs=6, scheduler=halving, verbose=False
).learning_rates
print("Keras:  ", [f"{rate:.5f}" for rate in in_keras])
print("PyTorch:", [f"{rate:.5f}" for rate in in_torch], " equal:", np.allclose(in_keras, in_torch))

# %% [markdown]
# ### Mistake: the rate compounds
# The second argument is the *present* rate, which already holds all earlier factors. Multiply it by `0.5**epoch`, and the
# powers pile up: 0.5 to the power of 0 + 1 + 2 + ... The other way to be wrong is a schedule object in the optimizer, which
# counts batches, not epochs:

# %%
compounded = rates_of(lambda epoch, rate: rate * 0.5**epoch)
print("compounded:", [f"{rate:.5f}" for rate in compounded])
by_steps = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=1, decay_rate=0.5)
steps = len(train_set)
print(f"ExponentialDecay, {steps} batches of an epoch, decay_steps=1: {float(by_steps(steps)):.1e}")
by_epochs = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=steps, decay_rate=0.5)
print(f"the same with decay_steps={steps}: {float(by_epochs(steps)):.1e}")

# %%
figure, axis = plt.subplots(figsize=(6.2, 3.1))
axis.semilogy(range(6), in_torch, linewidth=6, alpha=0.35, label="PyTorch, LambdaLR")
axis.semilogy(range(6), in_keras, "o-", label="Keras, 0.1 * 0.5**epoch")
axis.semilogy(range(6), compounded, "s-", label="Keras, rate * 0.5**epoch")
axis.set(
    title="Halving the learning rate", xlabel="epoch, from 0", ylabel="learning rate (log scale)"
)
axis.legend(loc="lower left")
show(
    figure,
    alt="Learning rates of six epochs on a logarithmic scale. PyTorch's and Keras' halving rates "
    "lie on one straight line; the compounded rate bends down and ends a thousand times lower.",
)

# %% [markdown]
# ## Callbacks: early stopping
#
# Keras' `EarlyStopping` stops when the validation loss has not improved for `patience` epochs. By default the model then keeps
# the weights of its *last* epoch, which are `patience` epochs past the best. To see it exactly, we play a training whose
# validation losses are known, and write the epoch's number into a weight:

# %%
losses = [1.0, 0.7, 0.5, 0.55, 0.52, 0.6, 0.4]
one_weight = keras.Sequential([keras.Input((1,)), layers.Dense(1, use_bias=False)])


def play(**options):
    """Show EarlyStopping the losses; return the epoch it stops after and the weight it leaves."""
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=3, **options)
    one_weight.stop_training = False
    stop.set_model(one_weight)
    stop.on_train_begin()
    for epoch, loss in enumerate(losses, start=1):
        one_weight.set_weights([np.array([[epoch]])])
        stop.on_epoch_end(epoch - 1, {"val_loss": loss})  # Keras counts from 0
        if one_weight.stop_training:
            break
    stop.on_train_end()
    return epoch, int(one_weight.get_weights()[0].item())


# %%
from course_utils import EpochResult, History

for name, options in {
    "default": {},
    "restore_best_weights": {"restore_best_weights": True},
}.items():
    epoch, left = play(**options)
    print(f"Keras, {name}: stopped after epoch {epoch}, weights of epoch {left}")
linear, past = nn.Linear(1, 1, bias=False), History()
stop = EarlyStopping(linear, patience=3)
for epoch, loss in enumerate(losses, start=1):
    linear.weight.data.fill_(epoch)
    past.val.append(EpochResult(loss, float("nan"), 0.0, 1, 1))
    if stop(past):
        break
stop.finish(past)
left = int(linear.weight.item())
print(f"the course's EarlyStopping: stopped after epoch {epoch}, weights of epoch {left}")

# %% [markdown]
# Epoch 3 is the best of those seen. Neither of them can know that epoch 7 would have been better; a larger patience could.
# Now in a real training that overfits, 100 images and a large rate, twice from the same seed:


# %% tags=["nbval-ignore-output"]
def overfit(restore):
    """Train on 100 images until it stops; return its validation losses and that of what is left."""
    keras.utils.set_random_seed(0)
    small = small_net(layers.Dense(classes))
    small.compile(optimizer=keras.optimizers.Adam(0.01), loss=cross_entropy(from_logits=True))
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=restore)
    few = {"batch_size": 10, "epochs": 40, "validation_data": (x_val, y_val), "verbose": 0}
    history = small.fit(x_train[:100], y_train[:100], callbacks=[stop], **few)
    return history.history["val_loss"], small.evaluate(x_val, y_val, verbose=0)


seen, last = overfit(restore=False)
again, best = overfit(restore=True)
print("validation losses:", [f"{loss:.3f}" for loss in seen])
print(f"left by default: {last:.3f}   with restore_best_weights=True: {best:.3f}")

# %%
print("both stopped early:", max(len(seen), len(again)) < 40)
print("the default leaves the last epoch's loss:", np.isclose(last, seen[-1], rtol=1e-3))
print("restore_best_weights leaves the lowest:", np.isclose(best, min(again), rtol=1e-3))
print("which is lower than the last:", min(again) < again[-1])

# %% [markdown]
# ## Defaults that differ
#
# Two people train "the same" model in two frameworks and get different results. The usual reason is a default. Here they
# are, read from the libraries themselves:


# %%
def default(function, name):
    """Return the default of an argument, as the function's signature has it."""
    found = inspect.signature(function).parameters[name].default
    return "(none)" if found is inspect.Parameter.empty else str(found)


optimizers, optim = keras.optimizers, torch.optim
pairs = [
    (layers.BatchNormalization, "momentum", nn.BatchNorm2d, "momentum"),
    (layers.BatchNormalization, "epsilon", nn.BatchNorm2d, "eps"),
    (layers.LayerNormalization, "epsilon", nn.LayerNorm, "eps"),
    (layers.Dropout, "rate", nn.Dropout, "p"),
    (layers.LeakyReLU, "negative_slope", nn.LeakyReLU, "negative_slope"),
    (optimizers.SGD, "learning_rate", optim.SGD, "lr"),
    (optimizers.Adam, "epsilon", optim.Adam, "eps"),
    (optimizers.AdamW, "weight_decay", optim.AdamW, "weight_decay"),
    (optimizers.RMSprop, "learning_rate", optim.RMSprop, "lr"),
    (optimizers.RMSprop, "rho", optim.RMSprop, "alpha"),
]

# %%
rows = [
    (f"{a.__name__}, {name}", default(a, name), f"{b.__name__}, {other}", default(b, other))
    for a, name, b, other in pairs
]
print(pd.DataFrame(rows, columns=["Keras", "is", "PyTorch", "is "]).to_string(index=False))

# %% [markdown]
# Now what they do, one by one.
#
# **Initial weights.** Keras draws a dense layer's weights by Glorot's rule, uniform with a standard deviation of
# sqrt(2 / (in + out)), and sets the biases to 0. PyTorch draws both between -1 and 1 over sqrt(in): a standard deviation of
# 1 / sqrt(3 in).

# %%
keras.utils.set_random_seed(0)
seed_everything(0)
dense, linear = layers.Dense(128), nn.Linear(784, 128)
dense.build((None, 784))
print(
    f"Keras:   {dense.kernel.numpy().std():.3f}, by the rule {np.sqrt(2 / (784 + 128)):.3f}",
    end="   ",
)
print("biases all 0:", not dense.bias.numpy().any())
print(f"PyTorch: {linear.weight.std():.3f}, by the rule {1 / np.sqrt(3 * 784):.3f}", end="   ")
print("biases all 0:", not linear.bias.any().item())

# %% [markdown]
# **BatchNorm's momentum** is the share of the *old* value in Keras, of the *new* one in PyTorch. So Keras' 0.99 is PyTorch's
# 0.01, ten times slower than PyTorch's default. And the variance that goes into the average is divided by n in Keras, by
# n - 1 in PyTorch. One batch of four samples, both by hand, starting from a mean of 0 and a variance of 1:

# %%
four = np.array([[1.0], [2.0], [4.0], [9.0]], dtype="float32")
theirs, ours = layers.BatchNormalization(momentum=0.9), nn.BatchNorm1d(1, momentum=0.1)
theirs(four, training=True)
ours(torch.tensor(four))
means = theirs.moving_mean, ours.running_mean
variances = theirs.moving_variance, ours.running_var
print("mean:     Keras {:.3f}, PyTorch {:.3f}".format(*(float(mean[0]) for mean in means)), end="")
print(f", by hand {0.1 * four.mean():.3f}")
print("variance: Keras {:.3f}, PyTorch {:.3f}".format(*(float(v[0]) for v in variances)), end="")
print(f", by hand {0.9 + 0.1 * four.var():.3f} / n, {0.9 + 0.1 * four.var(ddof=1):.3f} / (n - 1)")

# %% [markdown]
# The variances hardly differ for real batches. The momentum does. After the 18 batches of an epoch of `digits`, 0.99**18 =
# 83% of Keras' average is still its start, mean 0 and variance 1. Training is fine, because it uses the batch's own
# statistics; validation uses the average, and looks broken for some epochs. (The pipeline is made anew for each, with a seed
# of its own: `set_random_seed` does not bring back the order of one that exists.)

# %% tags=["nbval-ignore-output"]
slow_and_fast = {}
for momentum in (0.99, 0.9):
    keras.utils.set_random_seed(0)
    twin = keras_net(momentum=momentum)
    twin.compile(
        keras.optimizers.AdamW(3e-3), cross_entropy(from_logits=True), metrics=["accuracy"]
    )
    options = {"epochs": 4, "validation_data": val_set, "shuffle": False, "verbose": 0}
    again = slices((x_train, y_train)).shuffle(len(x_train), seed=0).batch(64)
    slow_and_fast[momentum] = twin.fit(again, **options).history
    print(momentum, [f"{loss:.3f}" for loss in slow_and_fast[momentum]["val_loss"]])
model = twin  # that with 0.9, trained well: it is saved and carried below

# %%
slow, fast = slow_and_fast.values()
print(f"left of the start after {steps} batches: {0.99**steps:.2f} and {0.9**steps:.2f}")
print("the same training losses:", np.allclose(slow["loss"], fast["loss"], rtol=1e-3))
print(
    "validation loss of epoch 3, more than twice as high with 0.99:",
    slow["val_loss"][2] > 2 * fast["val_loss"][2],
)

# %%
figure, axis = plt.subplots(figsize=(6.4, 3.3))
for momentum, colour in ((0.99, "#e76300"), (0.9, "#3f90da")):
    history = slow_and_fast[momentum]
    axis.plot(
        range(1, 5), history["val_loss"], color=colour, label=f"momentum {momentum}, validation"
    )
    axis.plot(
        range(1, 5), history["loss"], ":", color=colour, label=f"momentum {momentum}, training"
    )
axis.set(title="BatchNorm's momentum in Keras", xlabel="epoch", ylabel="loss", xticks=range(1, 5))
axis.legend()
show(
    figure,
    alt="Training and validation loss over four epochs with BatchNorm's momentum at 0.99 and 0.9. "
    "The training curves coincide; the validation loss with 0.99 stays far above.",
)

# %% [markdown]
# **Adam's epsilon** is 1e-7 in Keras and 1e-8 in PyTorch, and it is added at another place: PyTorch corrects the second
# moment first and then adds; Keras adds before the correction, so that in the first step its epsilon counts 1 / sqrt(0.001)
# = 32 times. For ordinary gradients nothing changes. For tiny ones it does. First steps with a rate of 0.01:

# %%
for g in (1e-2, 1e-6, 1e-8):
    variable = keras.Variable([0.0])
    keras.optimizers.Adam(0.01).apply([tf.constant([g])], [variable])
    weight = torch.zeros(1, requires_grad=True)
    weight.grad = torch.tensor([g])
    torch.optim.Adam([weight], lr=0.01).step()
    moved, by_hand = -float(variable[0]), 0.01 * g / (g + 1e-7 / np.sqrt(1 - 0.999))
    print(f"gradient {g:.0e}: PyTorch {-weight.item():.5f}", end=", ")
    print(f"Keras {moved:.5f}, by hand {by_hand:.5f}")

# %% [markdown]
# **Dropout** means the same in both, the share that is dropped, and the rest is scaled up. (In TensorFlow 1 the number was the
# share that is kept; old code must be turned round.)

# %%
many = np.ones((1, 10_000), dtype="float32")
in_keras = layers.Dropout(0.2, seed=0)(many, training=True).numpy()
in_torch = nn.Dropout(0.2)(torch.tensor(many)).numpy()
for name, dropped in {"Keras": in_keras, "PyTorch": in_torch}.items():
    share = (dropped == 0).mean()
    print(f"{name:8} about 0.2 dropped: {abs(share - 0.2) < 0.02}, the others {dropped.max():.2f}")

# %% [markdown]
# ## Three formats
#
# A PyTorch file holds a state_dict, and you need the code to load it into. Keras' own format, `.keras`, holds the layers, the
# weights, what `compile` was told, and the optimizer's state, so that training can go on:

# %%
folder = Path(tempfile.mkdtemp())
wanted = model.predict(x_val, verbose=0)
model.save(folder / "model.keras")
loaded = keras.models.load_model(folder / "model.keras")
print("outputs equal:", np.array_equal(loaded.predict(x_val, verbose=0), wanted))
print("steps that its optimizer remembers:", int(loaded.optimizer.iterations))
loaded.fit(train_set.take(3), epochs=1, shuffle=False, verbose=0)
print("and after three more batches:      ", int(loaded.optimizer.iterations))

# %% [markdown]
# It refuses a Python function that was stored as code, as a `Lambda` layer has it. (Still load only files that you trust; and
# write a small `keras.Layer` in place of a `Lambda`.)

# %%
doubling = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: 2 * x)])
doubling.save(folder / "doubling.keras")
try:
    keras.models.load_model(folder / "doubling.keras")
except ValueError as error:
    print(str(error).split(". ")[0] + ".")

# %% [markdown]
# **SavedModel** is TensorFlow's format for deployment: a graph in a folder, for servers, as `torch.export` and ONNX
# in [notebook 14](14_export_and_serving.ipynb). `save` without an ending no longer writes it; `export` does. It computes the
# same, but it is no Keras model any more:

# %%
try:
    model.save(folder / "exported")
except ValueError as error:
    print(str(error).split(". ")[0] + ".")
model.export(folder / "exported", verbose=False)
served = tf.saved_model.load(str(folder / "exported"))
print("outputs equal to within 0.0001:", np.allclose(served.serve(x_val), wanted, atol=1e-4))
print(
    "fit:",
    hasattr(served, "fit"),
    "  files:",
    sorted(path.name for path in (folder / "exported").iterdir()),
)

# %%
try:
    keras.models.load_model(folder / "exported")
except ValueError as error:
    print("load_model:", str(error).split(":")[0])
layer = layers.TFSMLayer(folder / "exported", call_endpoint="serve")
print("as a layer of a new model, equal:", np.allclose(layer(x_val), wanted, atol=1e-4))

# %% [markdown]
# **.h5** is what most tutorials save. It still works, and Keras calls it legacy, in a message that it logs:

# %%
from unittest import TestCase

with TestCase().assertLogs("absl") as logs:
    model.save(folder / "model.h5")
    legacy = keras.models.load_model(folder / "model.h5")
print(logs.records[0].getMessage().split(". ")[1] + ".")
print("outputs equal:", np.array_equal(legacy.predict(x_val, verbose=0), wanted))
print(
    "both hold the optimizer's steps:",
    int(legacy.optimizer.iterations) == int(model.optimizer.iterations),
)

# %% [markdown]
# Use `.keras` for work in progress and `export` for deployment, and convert an old `.h5` by loading and saving it.
#
# ## The bridge: Keras on PyTorch
#
# With `KERAS_BACKEND=torch`, set before the import, a Keras model *is* an `nn.Module`. (Its running statistics are parameters
# that need no gradient, not buffers, so count with `p.requires_grad`.) The engine cannot be changed in a running program, so
# this runs in a second one, which loads the `.keras` file that TensorFlow's engine has written:

# %%
import subprocess
import sys

loading = """
import sys, keras, numpy as np, torch
from course_utils import evaluate, load_dataset, make_loader, train_epoch
folder, name = sys.argv[1:]
model = keras.models.load_model(folder + "/model.keras")
print("an nn.Module:", isinstance(model, torch.nn.Module))
print("TensorFlow loaded:", "tensorflow" in sys.modules)
data, loss_fn = load_dataset(name), torch.nn.CrossEntropyLoss()
device = next(model.parameters()).device

class Batches:  # channels last, and shuffled anew in each epoch
    def __init__(self, part, shuffle=False):
        self.loader = make_loader(part, batch_size=64, shuffle=shuffle)
    def __iter__(self):
        return ((x.permute(0, 2, 3, 1), y) for x, y in self.loader)

val = Batches(data.val)
logits = torch.cat([model(x.to(device)).detach().cpu() for x, y in val]).numpy()
wanted = np.load(folder + "/wanted.npy")
print("same outputs as on TensorFlow, to within 0.001:", np.allclose(logits, wanted, atol=1e-3))
"""

# %% [markdown]
# ### Mistake: train() is not heard
# `train_epoch` can train such a model, and there is a trap. `train_epoch` calls `model.train()`, as all PyTorch code does,
# while the layers of Keras look at their argument `training`, which nobody passes. So Dropout and BatchNorm stay in inference
# mode during the whole training. A module of five lines passes it on. The second half of the program:

# %%
training = """
class WithModes(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
    def forward(self, x):
        return self.inner(x, training=self.training)

def moves(module):
    mean = lambda: model.layers[1].moving_mean.value.detach().clone()
    start = mean()
    module.train()(next(iter(val))[0].to(device))
    return not torch.equal(start, mean())

print("after train(), the running mean moves:", moves(model))
print("with WithModes:", moves(WithModes(model)))
keras.utils.set_random_seed(0)
module = WithModes(keras.models.clone_model(model)).to(device)
optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
train = Batches(data.train, shuffle=True)
losses = [train_epoch(module, train, loss_fn, optimizer).loss for _ in range(3)]
print("train_epoch trains it, the loss falls by more than half:", losses[-1] < losses[0] / 2)
print("evaluate finds an accuracy above 0.8:", evaluate(module, val, loss_fn).accuracy > 0.8)
"""


# %%
def run(script):
    """Run a Python script with Keras on PyTorch; return what it printed."""
    paths = os.pathsep.join([str(Path("..").resolve()), os.environ.get("PYTHONPATH", "")])
    settings = os.environ | {"KERAS_BACKEND": "torch", "PYTHONPATH": paths}
    command = [sys.executable, "-c", script, str(folder), data.name]
    done = subprocess.run(command, env=settings, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout


np.save(folder / "wanted.npy", wanted)
print(run(loading + training), end="")

# %% [markdown]
# So you can use a Keras model in a PyTorch project, with everything that `course_utils` and PyTorch offer.
#
# ## TensorFlow Datasets
#
# `tensorflow_datasets` is to `tf.data` what `torchvision.datasets` is to the DataLoader: data sets by name, downloaded at the
# first use. Where it is installed, the next cell writes 100 of our images in its format and reads them back, without a
# network. `tfds.load("mnist", split="train", as_supervised=True)` would fetch the real MNIST in the same way.

# %%
import importlib.util

if importlib.util.find_spec("tensorflow_datasets") is None:
    print("tensorflow_datasets is not installed: pip install tensorflow-datasets to see it.")
else:
    import tensorflow_datasets as tfds

    kinds = {
        "image": tfds.features.Image(shape=(height, width, channels)),
        "label": tfds.features.ClassLabel(num_classes=classes),
    }
    raw = data.train.images[:100].permute(0, 2, 3, 1).numpy()
    parts = {"train": slices({"image": raw, "label": y_train[:100]})}
    options = {"data_dir": folder, "features": tfds.features.FeaturesDict(kinds)}
    write = tfds.dataset_builders.store_as_tfds_dataset
    write("course_digits", "1.0.0", split_datasets=parts, **options)
    stored = tfds.load("course_digits", split="train", data_dir=folder)
    found = sorted(int(example["label"]) for example in stored)
    print(len(found), "images, with the same labels:", found == sorted(y_train[:100].tolist()))

# %% [markdown]
# ## One model, three ways to run it, one test
#
# The test part has waited until now. The Keras model with momentum 0.9 goes to PyTorch by `to_torch`, and all test images
# through both, and through the exported graph:

# %%
x_test, y_test = as_arrays(data.test)
to_torch(model, returned)
answers = {
    "Keras on TensorFlow": model.predict(x_test, verbose=0),
    "carried to PyTorch": predict(returned, loaders.test).logits.numpy(),
    "SavedModel": served.serve(x_test).numpy(),
}
classes_found = [logits.argmax(axis=1) for logits in answers.values()]
print(
    "the same class for every test image:",
    all(np.array_equal(classes_found[0], found) for found in classes_found),
)
print("accuracy above 0.85:", (classes_found[0] == y_test).mean() > 0.85)

# %% tags=["nbval-ignore-output"]
correct = int((classes_found[0] == y_test).sum())
print(f"{correct} of {len(y_test)} test images: {correct / len(y_test):.1%}")

# %% [markdown]
# ## A dictionary
#
# | PyTorch and this course | Keras and TensorFlow |
# |---|---|
# | `Dataset`, `DataLoader(batch_size=64, shuffle=True)` | `tf.data.Dataset`, `.shuffle(len(data)).batch(64)` |
# | `num_workers`, `prefetch_factor` | `.map(f, num_parallel_calls=AUTOTUNE)`, `.prefetch(AUTOTUNE)` |
# | `drop_last=True` | `.batch(64, drop_remainder=True)` |
# | channels first, (N, C, H, W) | channels last, (N, H, W, C) |
# | `nn.Sequential`, `nn.Module` with `forward` | `keras.Sequential`, `keras.Model` with `call` |
# | `nn.Linear`, `nn.Conv2d`, `nn.BatchNorm2d` | `Dense`, `Conv2D`, `BatchNormalization` |
# | `weight`, `bias` | `kernel`, `bias` |
# | parameters, buffers | trainable, non-trainable weights |
# | `net.train()`, `net.eval()` | `training=True`, `training=False` in the call |
# | `nn.CrossEntropyLoss()` | `SparseCategoricalCrossentropy(from_logits=True)` |
# | `loss.backward()` | `tf.GradientTape` |
# | `optimizer` and `loss_fn` as arguments | `model.compile(optimizer, loss, metrics)` |
# | `fit(net, train_loader, val_loader, ...)` | `model.fit(train_set, validation_data=val_set, shuffle=False)` |
# | `evaluate`, `predict` | `model.evaluate`, `model.predict` |
# | `weight_decay` of AdamW | `weight_decay` of AdamW; `kernel_regularizer` is in the loss |
# | `clip_norm=1.0` | `Adam(global_clipnorm=1.0)`; `clipnorm` is for each weight alone |
# | `StepLR`, `LambdaLR` | `LearningRateScheduler`, or a schedule in the optimizer |
# | `EarlyStopping(net)` | `EarlyStopping(restore_best_weights=True)` |
# | `torch.save(net.state_dict())` | `model.save_weights("w.weights.h5")` |
# | `torch.export`, ONNX | `model.export` (SavedModel) |
# | `torch.compile` | `tf.function`, `jit_compile=True` |
# | `seed_everything` | `keras.utils.set_random_seed` |

# %% [markdown]
# ## Your turn
#
# ### 1. When is BatchNorm ready?
# In Keras' words, the average keeps the share `momentum` of itself in each step. Return the smallest number of steps after
# which at least the share `share` of the average comes from batches, not from its start value.


# %% tags=["exercise"]
def steps_until(momentum, share):
    # your code here
    ...


# %% tags=["check"]
keras_twin.steps_until(steps_until)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def steps_until(momentum, share):
#     steps, left = 0, 1.0
#     while 1 - left < share:
#         left, steps = left * momentum, steps + 1
#     return steps
# ```
#
# Or `math.ceil(math.log(1 - share) / math.log(momentum))`. With Keras' 0.99 it takes 230 batches until nine tenths of the
# statistics are the data's: more than twelve epochs of `digits`. With 0.9 it takes 22.
# </details>

# %% [markdown]
# ### 2. Keras' cross-entropy
# Outputs as a float tensor of shape (samples, classes), targets as class numbers, and the flag. Return the mean loss, as a
# number: from logits if `from_logits` is true, else from probabilities. It must survive logits of 1000.


# %% tags=["exercise"]
def cross_entropy_by_hand(outputs, targets, from_logits):
    # your code here
    ...


# %% tags=["check"]
keras_twin.cross_entropy(cross_entropy_by_hand)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def cross_entropy_by_hand(outputs, targets, from_logits):
#     log_probabilities = outputs.log_softmax(dim=1) if from_logits else outputs.log()
#     return -log_probabilities[range(len(targets)), targets].mean().item()
# ```
#
# `outputs.softmax(dim=1).log()` is the same on paper. With logits of 1000, the softmax is exactly 0 and its log infinite.
# </details>

# %% [markdown]
# ### 3. Carry a dense layer
# The kernel of a Keras `Dense` layer that follows a `Flatten`, as a tensor of shape (height * width * channels, units). Return
# the weight for `nn.Linear`, of shape (units, channels * height * width), in the order of `nn.Flatten`.


# %% tags=["exercise"]
def dense_to_linear(kernel, channels, height, width):
    # your code here
    ...


# %% tags=["check"]
keras_twin.dense_to_linear(dense_to_linear)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def dense_to_linear(kernel, channels, height, width):
#     blocks = kernel.reshape(height, width, channels, -1)
#     return blocks.permute(3, 2, 0, 1).flatten(start_dim=1)
# ```
#
# The rows get back the sizes that they had before Keras' `Flatten`, then the axes go where PyTorch has them.
# </details>

# %% [markdown]
# ## Recap
#
# - Same data, same weights, same batches: the same losses in both frameworks. If yours differ, look for a default.
# - Channels first against channels last; the first dense layer behind a `Flatten` needs its rows in the other order, and
#   no shape complains.
# - End with logits and say `from_logits=True`. The short string means probabilities.
# - `shuffle(len(data))` before `batch`; `validation_data`, not `validation_split`; `restore_best_weights=True`.
# - BatchNorm: momentum 0.99 in Keras is 0.01 in PyTorch, ten times slower than PyTorch's default.
# - A model call is inference unless you say `training=True`, and Keras on PyTorch does not hear `train()`.
# - `.keras` to go on, `export` to deploy, `.h5` only to read old files.
#
# This was the last lesson. What to take home is small: exact numbers, a validation part for choices, a test part for the end,
# and a check wherever something could fail in silence.
#
# **Next:** [the map of the course](../README.md#the-course), for what you want to read again.
