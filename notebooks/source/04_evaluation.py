# %% [markdown]
# # 04 · Evaluation: what a number is worth
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/04_evaluation.ipynb)
#
# **After this notebook you can**
# - count an accuracy that is exact, and say why a mean over batches is not;
# - tell evaluation mode, `no_grad` and `inference_mode` apart by what each of them changes;
# - keep the test set honest, and show what happens to a number that something was chosen by;
# - name underfitting and overfitting from two curves;
# - put an interval around an accuracy, and say when a difference between two models means nothing;
# - check whether a model that says "95% sure" is right 95 times in 100, and look at its worst mistakes.
#
# **Time:** 60 minutes. **Builds on:** [03 · The training loop](03_training_loop.ipynb).
#
# A number such as "95% right" is the end of a chain: images were kept apart, the model was asked in a certain way, the
# answers were counted, and somebody compared the count with another one. Each link can fail without an error.

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

import torch
from torch import nn

from course_utils import MLP, SmallCNN, evaluate, fit, get_device, load_dataset, predict
from course_utils import make_loader, make_loaders, seed_everything

seed_everything(42)
device = get_device()
data = load_dataset(os.environ.get("COURSE_DATASET", "digits"))
loaders = make_loaders(data, batch_size=64)
loss_fn = nn.CrossEntropyLoss()
print("training, validation, test:", *(len(part) for part in (data.train, data.val, data.test)))

# %% [markdown]
# ## One number, counted right
#
# A classifier gives one logit for each class. Its answer is the class with the largest one, `argmax` along the classes.
# An accuracy is a count of right answers, divided once. Softmax is not needed for it: it keeps the order of the logits.

# %%
logits = torch.tensor([[2.0, 0.5, -1.0], [0.1, 0.2, 3.0], [1.5, 1.4, 0.0], [-1.0, 0.0, -2.0]])
targets = torch.tensor([0, 2, 1, 1])
right = logits.argmax(dim=1) == targets
print("answers:", logits.argmax(dim=1).tolist(), " right:", right.tolist())
print(f"{right.sum()} of {len(right)}, accuracy {right.sum().item() / len(right):.0%}")
print("the same after softmax:", torch.equal(logits.softmax(1).argmax(1), logits.argmax(1)))

# %% [markdown]
# ### Mistake: the mean over batches
# Now 75 images in batches of 32, 32 and 11, as a loader hands them out. We build the answers of two epochs of a model
# ourselves, so that we know how many are wrong in each batch: in epoch 1 it is 9, 8 and 2, in epoch 2 it is 4, 5 and 7.


# %%
def batches_with(wrong_answers, sizes=(32, 32, 11)):
    """Return batches of logits and targets, with so many wrong answers in each."""
    batches = []
    for wrong, size in zip(wrong_answers, sizes, strict=True):
        targets = torch.arange(size) % 10
        answers = targets.clone()
        answers[:wrong] = (answers[:wrong] + 1) % 10
        batches.append((3.0 * nn.functional.one_hot(answers, 10), targets))
    return batches


two_epochs = {"epoch 1": batches_with((9, 8, 2)), "epoch 2": batches_with((4, 5, 7))}
for name, batches in two_epochs.items():
    right = [(logits.argmax(1) == targets).sum().item() for logits, targets in batches]
    shares = [count / len(targets) for count, (_, targets) in zip(right, batches, strict=True)]
    print(name, "right in each batch:", right, " shares:", [round(share, 3) for share in shares])
    print(f"   exact: {sum(right)} of 75 = {sum(right) / 75:.1%}", end="   ")
    print(f"mean of the batches: {sum(shares) / 3:.1%}")

# %% [markdown]
# Epoch 2 is the better one, 59 right answers against 56. The mean of the batches says the opposite, and is 9 percentage
# points off for epoch 2 (*points* from here on): its eleven last images count about three times as much as the others.
# Whoever keeps "the best epoch" by that number keeps the wrong one.
#
# `evaluate` adds up counts. To give it our answers, we let the model be `nn.Identity()`, which hands back what it gets,
# and take the logits as its inputs. torchmetrics counts batch by batch as well (`micro`: all samples count alike; its
# default is another mean, see 05), and scikit-learn sees all answers at once.

# %%
from sklearn.metrics import accuracy_score
from torchmetrics.classification import MulticlassAccuracy

for name, batches in two_epochs.items():
    metric = MulticlassAccuracy(num_classes=10, average="micro")
    result = evaluate(nn.Identity(), batches, loss_fn, metrics={"torchmetrics": metric})
    logits, targets = predict(nn.Identity(), batches)
    sklearn = accuracy_score(targets, logits.argmax(1))
    print(f"{name}: evaluate {result.accuracy:.1%} of {result.samples} images", end=",  ")
    print(f"torchmetrics {result.metrics['torchmetrics']:.1%},  scikit-learn {sklearn:.1%}")

# %% [markdown]
# The same holds for the test loss. The loss of each batch is a mean; before adding it up, multiply it by the number of
# images in the batch.

# %%
batches = two_epochs["epoch 2"]
batch_losses = [loss_fn(logits, targets).item() for logits, targets in batches]
sizes = [len(targets) for _, targets in batches]
weighted = sum(loss * size for loss, size in zip(batch_losses, sizes, strict=True)) / sum(sizes)
print(f"all 75 in one batch:       {loss_fn(*predict(nn.Identity(), batches)).item():.3f}")
print(f"weighted by batch size:    {weighted:.3f}")
print(f"evaluate:                  {evaluate(nn.Identity(), batches, loss_fn).loss:.3f}")
print(f"mean of the batch losses:  {sum(batch_losses) / 3:.3f}")

# %% [markdown]
# ### Mistake: outputs.data
# Many loops count with `outputs.data.argmax(1)`. The `.data` is not needed, because class numbers carry no gradient.
# And it is risky: it shares its memory with `outputs`, but hides from PyTorch what you change in it. `detach()` shares
# the memory too, and PyTorch notices. `exp` keeps its *output* for `backward`, and here we set it to 0 before
# `backward` reads it. The weights are 0, and there the derivative of exp is 1.

# %%
for cut in ("data", "detach()"):
    weight = torch.zeros(3, requires_grad=True)
    outputs = weight.exp()
    alias = outputs.data if cut == "data" else outputs.detach()
    alias.zero_()
    try:
        outputs.sum().backward()
        print(f"outputs.{cut}: no error, and a wrong gradient: {weight.grad.tolist()}")
    except RuntimeError as error:
        print(f"outputs.{cut}: {type(error).__name__}: {str(error)[:70]}")

# %% [markdown]
# ## Three switches
#
# We need a model with both kinds of layers that care about the mode, Dropout and BatchNorm. After each epoch it is
# measured on the validation data.


# %% tags=["nbval-ignore-output"]
def train(model, part, *, lr, epochs, batch_size=64, seed=0, verbose=False, callbacks=()):
    """Train with AdamW, look at the validation data after each epoch, return the history."""
    loader = make_loader(part, batch_size=batch_size, shuffle=True, seed=seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    options = {"epochs": epochs, "verbose": verbose, "callbacks": callbacks}
    return fit(model, loader, loaders.val, loss_fn, optimizer, **options)


cnn = SmallCNN(data.input_shape, data.num_classes, dropout_p=0.3).to(device)
history = train(cnn, data.train, lr=3e-3, epochs=3, verbose=True)

# %% [markdown]
# What can be switched is the mode of the layers (`train()` or `eval()`) and what PyTorch notes down for `backward`
# (everything; nothing under `no_grad`; under `inference_mode` nothing, and the outputs may never be used for training).
# These are independent. So we try the combinations and ask four questions of each. For the second we look at the
# running mean in the first BatchNorm, `features[0][1]`.

# %%
import copy
from contextlib import nullcontext

ways = {
    "train()": (True, nullcontext),
    "train() and no_grad": (True, torch.no_grad),
    "eval()": (False, nullcontext),
    "eval() and no_grad": (False, torch.no_grad),
    "eval() and inference_mode": (False, torch.inference_mode),
}


def trains_a_layer(features):
    """Say whether a new layer can be trained with these outputs as its inputs."""
    try:
        nn.Linear(features.shape[1], 2).to(features.device)(features).sum().backward()
    except RuntimeError:
        return False
    return True


# %%
images = next(iter(loaders.val))[0].to(device)
columns = ("same answer twice", "statistics stay", "has a graph", "can be trained with")
print(f"{'':27}" + "".join(f"{column:19}" for column in columns).rstrip())
for name, (training, context) in ways.items():
    net = copy.deepcopy(cnn).train(training)
    before = net.features[0][1].running_mean.clone()
    with context():
        first, second = net(images), net(images)
    facts = [
        torch.allclose(first, second, atol=1e-4),
        torch.equal(before, net.features[0][1].running_mean),
        first.requires_grad,
        trains_a_layer(first),
    ]
    print(f"{name:27}" + "".join(f"{'yes' if fact else 'no':19}" for fact in facts).rstrip())

# %% [markdown]
# Read the first two columns: only `eval()` changes them. Under `no_grad` alone, Dropout still draws and BatchNorm still
# moves its statistics. The third column is about `no_grad` and `inference_mode` alone. The fourth is what sets those
# two apart: what comes out of `inference_mode` is marked, and training with it fails later, in another place.

# %%
with torch.inference_mode():
    features = cnn.eval()(images)
print(
    "marked:", features.is_inference(), " its clone, made outside:", features.clone().is_inference()
)
try:
    nn.Linear(data.num_classes, 2).to(device)(features)
except RuntimeError as error:
    print(str(error).split(".")[0])

# %% [markdown]
# That is why `evaluate` and `predict` use `no_grad`: what you keep from them can still be trained with. For a server
# that only answers, `inference_mode` is right.
#
# ### What no_grad saves
# For `backward`, PyTorch keeps what each layer needs to compute its gradient. `saved_tensors_hooks` calls a function of
# ours, here `note`, with each tensor that is kept. We add up the bytes of those that have a row for each image; the
# others are weights, and there anyway.


# %%
def megabytes_kept(model, images, context):
    """Add up what one forward pass keeps of its images for backward."""
    kept = {}

    def note(tensor):
        if tensor.shape[:1] == images.shape[:1]:
            kept[tensor.data_ptr()] = (
                tensor.nbytes
            )  # by its address: what two layers keep counts once
        return tensor

    with context(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        outputs = model(images)  # holds on to all that is kept
    return sum(kept.values()) / 1e6, outputs.requires_grad


cnn.eval()
for name in ("eval()", "eval() and no_grad", "eval() and inference_mode"):
    sizes = [megabytes_kept(cnn, images[:size], ways[name][1])[0] for size in (20, 60)]
    print(f"{name:27}{sizes[0]:4.1f} MB for 20 images, {sizes[1]:4.1f} MB for 60")

# %% [markdown]
# `eval()` alone saves nothing: what is kept grows with the batch. With `no_grad`, an intermediate
# result is freed as soon as the next layer has used it, so a batch for evaluation may be much larger than one for
# training. On a GPU, the peak tells the same.

# %%
if device.type == "cuda":
    for name in ("eval()", "eval() and no_grad"):
        torch.cuda.reset_peak_memory_stats()
        start = torch.cuda.memory_allocated()
        with ways[name][1]():
            outputs = cnn(images)
        peak = torch.cuda.max_memory_allocated() - start
        print(f"{name:27}peak {peak / 1e6:.1f} MB")
        del outputs
else:
    print("No GPU here: torch.cuda.max_memory_allocated has nothing to measure.")

# %% [markdown]
# ### Mistake: no_grad without eval
# A common validation loop has `no_grad` and no `eval()`. It has three faults. To tell them apart, we put one kind of
# layer into training mode, leave the rest in evaluation mode, and look at the logits of one image: twice in the same
# batch, and with one image beside it in place of the others.


# %%
def first_image(kind, batch):
    """Return the logits of the first image, with the layers of one kind in training mode."""
    net = copy.deepcopy(cnn).eval()
    for layer in net.modules():
        if isinstance(layer, kind):
            layer.train()
    with torch.no_grad():
        return net(batch)[0]


for name, kind in {"Dropout": nn.Dropout, "BatchNorm": nn.BatchNorm2d}.items():
    once, again, pair = (first_image(kind, batch) for batch in (images, images, images[:2]))
    print(f"{name} in training mode", end=":  ")
    print("equal twice in one batch:", torch.allclose(once, again, atol=1e-3), end=",  ")
    print("equal in another batch:", torch.allclose(once, pair, atol=1e-3))

# %% [markdown]
# Dropout draws anew each time: the same batch gets other answers. BatchNorm does not draw, but the answer for an image
# depends on the images that happen to be in the same batch. The third fault shows afterwards. We let a copy of the
# model answer all test images in that way, and measure both correctly:

# %% tags=["nbval-ignore-output"]
spoiled = copy.deepcopy(cnn).train()
with torch.no_grad():
    answers = torch.cat([spoiled(batch.to(device)).argmax(1).cpu() for batch, _ in loaders.test])
changed = (answers != predict(cnn, loaders.test).logits.argmax(1)).sum()
print(f"answers that differ from those in evaluation mode: {changed} of {len(answers)}")

before, after = (evaluate(model, loaders.test, loss_fn) for model in (cnn, spoiled))
print(f"evaluate before: {before.accuracy:.1%} right, loss {before.loss:.3f}")
print(f"evaluate after:  {after.accuracy:.1%} right, loss {after.loss:.3f}")

# %%
exact = [evaluate(cnn, make_loader(data.test, batch_size=size), loss_fn) for size in (2, 16, 64)]
print("evaluate, batches of 2, 16 and 64: one accuracy:", len({r.accuracy for r in exact}) == 1)
weights = zip(cnn.parameters(), spoiled.parameters(), strict=True)
print("no weight has changed:", all(torch.equal(a, b) for a, b in weights))
print("and still the model is another one:", abs(before.loss - after.loss) > 1e-4)

# %% [markdown]
# The last line is a leak. Nothing was trained, but the statistics in BatchNorm have moved towards those of the test
# images, and they stay in the model. The accuracy may even be higher afterwards. That does not make it right: the test
# images have changed the model that they are to judge.
#
# It is also often said that `eval()` disables BatchNorm. It does not: the layer goes on normalising, with the running
# statistics in place of the batch's. By hand:

# %%
norm = cnn.eval().features[0][1]
with torch.no_grad():
    inputs = cnn.features[0][0](images)
    mean, var, scale, shift = (
        values.view(1, -1, 1, 1)
        for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    by_hand = (inputs - mean) / (var + norm.eps).sqrt() * scale + shift
    print("running statistics, by hand:", torch.allclose(by_hand, norm(inputs), atol=1e-4))
    print("nothing done at all:", torch.allclose(inputs, norm(inputs), atol=1e-4))

# %% [markdown]
# The other half of the mistake is to forget `train()` after the validation: from the second epoch on, Dropout is off.
# `evaluate` and `predict` give each part of the model the mode it had, also where parts differ.

# %%
cnn.train()
cnn.features.eval()  # frozen statistics, for example
evaluate(cnn, loaders.val, loss_fn)
print("model, features, classifier train:", cnn.training, cnn.features.training, end=" ")
print(cnn.classifier.training)

# %% [markdown]
# ## Three parts
#
# The training part is for learning, the validation part for choosing, the test part for the one number at the end. They
# must be other images, or the number at the end is about images that the model has learned by heart:

# %%
parts = {"training": data.train, "validation": data.val, "test": data.test}
seen = {name: {image.numpy().tobytes() for image in part.images} for name, part in parts.items()}
for one, other in (("training", "validation"), ("training", "test"), ("validation", "test")):
    print(f"images in both {one} and {other}: {len(seen[one] & seen[other])}")

# %% [markdown]
# Why not choose by the test part, when it is there? Because whoever chooses the largest of many numbers chooses luck as
# well. The clearest case: a thousand "models" that toss a coin. Each answers 100 test images of two classes; none
# knows anything.

# %%
torch.manual_seed(0)
test_labels = torch.randint(0, 2, (100,))
test_answers = torch.randint(0, 2, (1000, 100))
on_test = (test_answers == test_labels).double().mean(dim=1)
best = on_test.argmax().item()

fresh_labels, fresh_answers = torch.randint(0, 2, (2, 10_000))
on_fresh = (fresh_answers == fresh_labels).double().mean().item()
print(f"mean of the thousand on the test set: {on_test.mean():.1%}")
print(f"the best on the test set: {on_test[best]:.0%}, on 10,000 fresh images: {on_fresh:.1%}")

# %%
import matplotlib.pyplot as plt
from matplotlib.ticker import PercentFormatter

from course_utils.plots import show

grey, blue, orange, pale = "#717581", "#3f90da", "#e76300", "#92dadd"
figure, axis = plt.subplots(figsize=(5.5, 3.1))
axis.hist(on_test, bins=torch.arange(0.295, 0.72, 0.01).tolist(), color=pale)
axis.axvline(on_test[best], ymax=0.75, color=orange, label="the best, on the test set")
axis.axvline(on_fresh, ymax=0.75, color=blue, linestyle="--", label="the same, on fresh images")
axis.set(title="A thousand coins", xlabel="accuracy on 100 test images", ylabel="models")
axis.set_ylim(0, 135)
axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
axis.legend(loc="upper left")
show(
    figure,
    alt="A thousand coins score around 50 percent on 100 test images, in a bell. The best stands "
    "at its far right end, and falls back to 50 percent on fresh images.",
)

# %% [markdown]
# The best coin looks like a model that has learned something. On fresh images it is a coin again. Real models are not
# coins, but when you compare epochs, seeds and settings, many of them are equally good, and what ranks them is luck. So
# now models that are all right 90% of the time, and the question how far the best of them seems to be above 90%.


# %%
def mean_excess(models, images, truth=0.9, repeats=20):
    """Return by how much the best of equal models exceeds the truth on one test set, on average."""
    right = torch.rand(repeats, models, images) < truth
    return (right.double().mean(dim=2).amax(dim=1).mean() - truth).item()


torch.manual_seed(0)
counts, sizes = (5, 20, 100), (100, 300, 1000, 3000, 10_000)
excess = {models: [mean_excess(models, size) for size in sizes] for models in counts}
for models, values in excess.items():
    print(f"best of {models:3}:", ", ".join(f"{100 * value:.1f}" for value in values), "points")

# %%
figure, axis = plt.subplots(figsize=(5.5, 3.1))
for models, values in excess.items():
    points = [100 * value for value in values]
    axis.plot(sizes, points, marker="o", label=f"best of {models}")
axis.set(title="How much too good the best looks", xscale="log", ylim=(0, None))
axis.set(xlabel="test images", ylabel="excess (points)")
axis.set_xticks([100, 1000, 10_000], ["100", "1,000", "10,000"])
axis.legend()
show(
    figure,
    alt="How far the best of equal models seems to be above the truth: several points on 100 test "
    "images, less than one on 10,000, and the more, the more models are compared.",
)

# %% [markdown]
# The excess grows with the number of models you compare, and shrinks with the number of test images: with ten thousand
# images it is below one point even for the best of a hundred. Real models are not independent, they tend to fail on the
# same images (below we count that for two of them), and so it is smaller for them. A large test set forgives a little
# peeking, a small one does not.
#
# The validation part pays this price: its best number is too good, for the same reason. That is what the test part is
# for, and why `fit` takes no test loader. A loop that measures the test set after every epoch and keeps the best
# snapshot has no test set any more. (In this notebook we look at the test part often, because it is about measuring.
# Nothing is chosen by it.)
#
# ## What the curves say
#
# Three models, trained on the data: one that sees nothing of an image but the mean brightness of its four quarters, one
# that suits the data, and a large one that gets only 100 images. Its epochs are short, so it gets more of them: all
# three take a similar number of steps. Of the large one we keep what it says about the validation images after each
# epoch.

# %%
from torch.utils.data import Subset

few = Subset(data.train, range(100))
quarters = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())  # four numbers for each channel
cases = {  # how the model is made, images, batch size, learning rate, epochs
    "Underfitting": (
        lambda: nn.Sequential(quarters, nn.Linear(4 * data.input_shape[0], data.num_classes)),
        *(data.train, 64, 0.1, 25),
    ),
    "A good fit": (lambda: MLP(data.input_shape, data.num_classes), data.train, 64, 1e-3, 25),
    "Overfitting": (
        lambda: MLP(data.input_shape, data.num_classes, hidden_dims=(256, 256, 256)),
        *(few, 16, 1e-3, 60),
    ),
}
print("numbers that the first model sees:", quarters(data.train[0][0].unsqueeze(0)).numel())

# %% tags=["nbval-ignore-output"]
models, histories, said = {}, {}, []
for name, (make_model, part, size, lr, epochs) in cases.items():
    seed_everything(0)
    model = make_model().to(device)
    note = [lambda _, model=model: said.append(predict(model, loaders.val).logits)]
    callbacks = note if name == "Overfitting" else []  # called after each epoch
    history = train(model, part, lr=lr, epochs=epochs, batch_size=size, callbacks=callbacks)
    models[name], histories[name] = model, history
    train_end, val_end = history.train[-1], history.val[-1]
    print(f"{name:13} loss {train_end.loss:.3f} training, {val_end.loss:.3f} validation", end=";  ")
    print(f"accuracy {train_end.accuracy:.1%} training, {val_end.accuracy:.1%} validation")

# %%
figure, axes = plt.subplots(2, 3, figsize=(9.2, 5), sharex="col", sharey="row")
for column, (name, history) in zip(axes.T, histories.items(), strict=True):
    values = history.as_dict()
    for axis, measure in zip(column, ("loss", "accuracy"), strict=True):
        axis.plot(values["epoch"], values[f"train_{measure}"], label="training")
        axis.plot(values["epoch"], values[f"val_{measure}"], label="validation")
        axis.axvline(history.best_epoch, color=grey, linewidth=1, linestyle=":", label="best epoch")
    column[0].set(title=name, ylim=(0, 2.5))
    column[1].set(xlabel="epoch", ylim=(0, 1.03))
axes[0, 0].set_ylabel("mean loss of a sample")
axes[1, 0].set_ylabel("accuracy")
axes[1, 0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
axes[0, 1].legend()
show(
    figure,
    alt="Loss and accuracy of three models. Underfitting: both losses fall, level out high, and "
    "stay close together. A good fit: both end low, validation a little above training. "
    "Overfitting: the training loss falls to 0, the validation loss stops falling and ends higher "
    "than its best, while the validation accuracy stays level.",
)

# %% [markdown]
# In numbers that hold on any machine:

# %%
under, good, over = histories.values()
best = over.val[over.best_epoch - 1]
steps = [sum(epoch.batches for epoch in history.train) for history in (under, good, over)]
print("steps:", steps)
print("underfitting: even the training loss stays high:", under.train[-1].loss > 1)
print("and has levelled out:", under.train[-1].loss > 0.9 * under.train[-10].loss)
print("a good fit: validation ends low:", good.val[-1].loss < 0.5 * under.val[-1].loss)
print("overfitting: training is near 0:", over.train[-1].loss < 0.1)
print("overfitting: validation has risen since its best:", over.val[-1].loss > 1.05 * best.loss)
print("its accuracy has hardly moved:", abs(over.val[-1].accuracy - best.accuracy) < 0.05)

# %% [markdown]
# | | training loss | validation loss | what to try |
# |---|---|---|---|
# | **Underfitting** | high | as high | a larger model, more epochs, another learning rate, less regularisation |
# | **A good fit** | low | a little higher, level | stop here |
# | **Overfitting** | near 0 | much higher, rising | more data or augmentation, Dropout, weight decay, a smaller model, stopping at the best epoch |
#
# The training curve says whether the model *can* learn the data, the gap between the curves whether that carries over.
# Read it at its end: a curve that still falls steeply says only that the training was too short.
#
# The last line above is worth a thought: the validation loss rises while the accuracy hardly moves. So compare what the
# large model said about the validation images after its best epoch with what it says at the end.

# %% tags=["nbval-ignore-output"]
sure = {}
for name, logits in {"best epoch": said[over.best_epoch - 1], "last epoch": said[-1]}.items():
    confidence, answers = logits.softmax(dim=1).max(dim=1)
    wrong = answers != data.val.labels
    sure[name] = confidence[wrong].mean().item()
    print(f"{name}: {wrong.sum()} wrong, with a mean softmax share of {sure[name]:.0%}")
changed = (said[over.best_epoch - 1].argmax(1) != said[-1].argmax(1)).sum().item()
print(f"answers that changed: {changed} of {len(data.val)}")

# %%
print("nine of ten answers are the same, at least:", changed < 0.1 * len(data.val))
print(
    "surer of the wrong ones, by 3 points or more:", sure["last epoch"] > sure["best epoch"] + 0.03
)

# %% [markdown]
# The model gives much the same answers, and becomes surer of them, the wrong ones included. We come back to that under
# *Calibration*.
#
# ## How sure is an accuracy?
#
# A test set is a sample. Other images of the same kind would have given another count. An *interval* says which true
# accuracies are compatible with the count: the 95% interval misses the truth for about one test set in twenty.
#
# From one test set to the next, an accuracy that is counted on n images varies by a standard deviation of
# `sqrt(accuracy * (1 - accuracy) / n)`, and about 95% of the counts lie within 1.96 of these around the truth.
# Edwin Wilson's interval (1927) asks of each possible true accuracy: would our share be within 1.96 standard deviations
# of it? Those for which it would are the interval. Solved for its two ends:

# %%
from scipy.stats import binomtest


def wilson(right, samples, z=1.959964):
    """Return the ends of the 95% interval for `right` right answers out of `samples`."""
    share = right / samples
    scale = 1 + z**2 / samples
    center = (share + z**2 / (2 * samples)) / scale
    half = z * (share * (1 - share) / samples + z**2 / (4 * samples**2)) ** 0.5 / scale
    return center - half, center + half


for right, samples in ((9, 10), (95, 100), (950, 1000), (9500, 10_000), (100, 100)):
    low, high = wilson(right, samples)
    scipy = binomtest(right, samples).proportion_ci(method="wilson")
    same = max(abs(low - scipy.low), abs(high - scipy.high)) < 1e-6
    print(f"{right:4} of {samples:5}: {low:6.1%} to {high:6.1%}   equal to SciPy's: {same}")

# %% [markdown]
# "95 of 100" may be the work of a model that is right 89% of the time. Ten times as many images make the interval about
# three times as narrow (the square root of ten). And 100 right of 100 does not prove that a model is never wrong.
#
# You will often meet a simpler formula, the share plus or minus 1.96 standard deviations. It is fine in the middle.
# Near 100%, where good models live, it misses more often than it says. We can count how often, on ten thousand test
# sets of 100 images, for a model that is right 98% of the time:

# %%
torch.manual_seed(0)
truth = 0.98
right = (torch.rand(10_000, 100) < truth).sum(dim=1).double()
low, high = wilson(right, 100)
share = right / 100
half = 1.96 * (share * (1 - share) / 100).sqrt()
ends = {"Wilson's": (low, high), "the simple": (share - half, share + half)}
for name, (left, right_end) in ends.items():
    inside = ((left < truth) & (truth < right_end)).double().mean()
    print(f"the truth lies in {name} interval for {inside:.0%} of the test sets")
perfect = half[right == 100].max().item()
print(f"for 100 of 100, the simple one says 100% plus or minus {perfect:.1f}")

# %% [markdown]
# Counts are whole, so the share is never exactly 95%; Wilson's stays near it.
#
# There is a second way that needs no formula, and works for most metrics, if there are enough mistakes: the *bootstrap*.
# Draw a new test set from your own, with replacement, compute the metric, and repeat. The middle 95% of the results are
# the interval. Here it is for the model with the good fit, once for its accuracy and once for its loss, for which there
# is no formula like Wilson's.


# %% tags=["nbval-ignore-output"]
def bootstrap(values, repeats=2000, seed=0):
    """Return the mean of `values` on each of so many resampled test sets, and their middle 95%."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(values), (repeats, len(values)), generator=generator)
    means = values.double()[drawn].mean(dim=1)
    return means, (means.quantile(0.025).item(), means.quantile(0.975).item())


logits, targets = predict(models["A good fit"], loaders.test)
right = logits.argmax(1) == targets
means, resampled = bootstrap(right)
formula = wilson(right.sum().item(), len(right))
print(f"{right.sum()} of {len(right)} right: {right.double().mean():.1%}")
for name, (low, high) in {"bootstrap": resampled, "Wilson": formula}.items():
    print(f"{name:9} {low:.1%} to {high:.1%}")
losses = nn.CrossEntropyLoss(reduction="none")(logits, targets)  # one for each image
low, high = bootstrap(losses)[1]
print(f"mean loss {losses.mean():.3f}, bootstrap {low:.3f} to {high:.3f}")

# %%
apart = max(abs(a - b) for a, b in zip(resampled, formula, strict=True))
print("bootstrap and Wilson agree within 1.5 points:", apart < 0.015)
low, high = bootstrap(torch.ones(100))[1]
print(f"for 100 of 100, the bootstrap says {low:.0%} to {high:.0%}")

# %% [markdown]
# That last line is the fault of the simple formula again: where there is no mistake to draw, each new test set is
# perfect. For the accuracy, Wilson's interval is the safer one.

# %%
step = 1 / len(right)
edges = torch.arange(means.min().item() - step / 2, means.max().item() + step, step)
figure, axis = plt.subplots(figsize=(5.5, 3.1))
axis.hist(means, bins=edges.tolist(), color=pale, label="resampled test sets")
axis.axvline(formula[0], ymax=0.68, color=orange, label="Wilson interval")
axis.axvline(formula[1], ymax=0.68, color=orange)
axis.axvline(resampled[0], ymax=0.68, color=blue, linestyle="--", label="bootstrap interval")
axis.axvline(resampled[1], ymax=0.68, color=blue, linestyle="--")
axis.set(title="Bootstrap and Wilson", xlabel="accuracy", ylabel="resampled test sets")
axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
axis.set_ylim(0, 1.55 * axis.get_ylim()[1])
axis.legend(loc="upper left")
show(
    figure,
    alt="The accuracies of the resampled test sets form a bell, and most of it lies between the "
    "two ends of the Wilson interval. The ends of the bootstrap interval are close to them.",
)

# %% [markdown]
# ### When a difference means nothing
# We train the model with the 100 images once more, from another random start. Nothing about the recipe is better or
# worse, but some answers come out differently.

# %% tags=["nbval-ignore-output"]
seed_everything(1)
twin = MLP(data.input_shape, data.num_classes, hidden_dims=(256, 256, 256)).to(device)
train(twin, few, lr=1e-3, epochs=60, batch_size=16, seed=1)

flags = []
for name, model in {"first": models["Overfitting"], "twin": twin}.items():
    logits, targets = predict(model, loaders.test)
    flags.append(logits.argmax(1) == targets)
    low, high = wilson(flags[-1].sum().item(), len(targets))
    print(f"{name:5} {flags[-1].double().mean():.1%} right, interval {low:.1%} to {high:.1%}")
first, second = flags
alone = (first & ~second).sum().item(), (second & ~first).sum().item()
both_wrong = (~first & ~second).sum().item()
print(f"only the first right: {alone[0]}, only the twin: {alone[1]}, both wrong: {both_wrong}")

# %% [markdown]
# The intervals overlap almost entirely. There is a sharper question, because both models answered *the same* images.
# Where both are right or both are wrong, nothing distinguishes them; look only at the images that one of them gets
# right alone. If the models are equally good, each of these is a coin toss. How often would fair coins come out at
# least as unevenly? That is *McNemar's exact test*, and its answer is called a p-value. Below 0.05, by custom, one
# stops believing in luck.

# %%
from math import comb


def mcnemar(only_first, only_second):
    """Return how often fair coins are at least as uneven as these two counts."""
    tosses = only_first + only_second
    tail = sum(comb(tosses, k) for k in range(min(only_first, only_second) + 1)) / 2**tosses
    return min(1.0, 2 * tail)


for counts in ((3, 3), (5, 9), (15, 40), (0, 6)):
    same = abs(mcnemar(*counts) - binomtest(counts[0], sum(counts)).pvalue) < 1e-9
    print(f"{counts}: p = {mcnemar(*counts):.4f}   equal to SciPy's: {same}")
print("luck could explain the difference of the twins (p above 0.05):", mcnemar(*alone) > 0.05)
chance = (~first).double().mean() * (~second).double().mean() * len(targets)
print("they fail on the same images, more often than by chance:", both_wrong > 1.5 * chance.item())

# %% [markdown]
# The third pair shows why pairing is worth it. Let two models answer 1,000 images, 880 of which both get right; the
# first gets 15 more, the second 40 more. Their intervals overlap, and still luck could hardly explain the difference:

# %%
for name, count in {"first": 880 + 15, "second": 880 + 40}.items():
    low, high = wilson(count, 1000)
    print(f"{name:6} {count / 1000:.1%}, interval {low:.1%} to {high:.1%}")
print(f"pairwise: p = {mcnemar(15, 40):.4f}")

# %% [markdown]
# Two warnings. A large p does not prove that two models are equal, only that these images cannot tell them apart. And
# both ways compare two trained models: to compare two *recipes*, train each several times, since a random start alone
# changes answers.
#
# ### How many images does one point take?
# The half width of the interval is about 1.96 standard deviations, `1.96 * sqrt(accuracy * (1 - accuracy) / n)` for n
# images. It falls only with the root of n.

# %%
images_seen = [100, 200, 500, 1000, 2000, 5000, 10_000]
figure, axis = plt.subplots(figsize=(5.5, 3.1))
for share in (0.8, 0.9, 0.98):
    ends = [wilson(share * n, n) for n in images_seen]
    widths = [50 * (high - low) for low, high in ends]
    axis.plot(images_seen, widths, marker="o", markersize=4, label=f"{share:.0%} right")
axis.set(title="Half the width of the interval", xscale="log", ylim=(0, None))
axis.set(xlabel="test images", ylabel="half width (points)")
axis.set_xticks([100, 1000, 10_000], ["100", "1,000", "10,000"])
axis.legend()
show(
    figure,
    alt="Half the width of the Wilson interval against the number of test images: several "
    "points at 100 images, below one point at 10,000. The nearer to 100% right, the smaller it is.",
)

# %% [markdown]
# Solved for n at 90%, an interval of plus or minus one point takes some 3,500 images. To *see* a true difference of one
# point between two models on separate test sets (with p below 0.05, four times out of five) takes about four times as
# many for each of them. We try it out, 500 times.

# %%
accuracy, point = 0.9, 0.01
spread = accuracy * (1 - accuracy)
print(f"plus or minus one point: about {1.96**2 * spread / point**2:,.0f} images")
images_each = round((1.96 + 0.84) ** 2 * 2 * spread / point**2)

torch.manual_seed(0)
shares = {}
for truth in (accuracy - point / 2, accuracy + point / 2):
    draws = torch.rand(500, images_each)
    shares[truth] = (draws < truth).double().mean(dim=1)
worse, better = shares.values()
noise = (2 * spread / images_each) ** 0.5
seen = (better - worse > 1.96 * noise).double().mean().item()
print(f"a difference of one point: {images_each:,} images each, seen {seen:.0%} of the time")

# %% [markdown]
# With a few hundred test images, a difference below a point says nothing. Report the interval, and do not rank models
# by such differences.
#
# ## Calibration
#
# Softmax turns logits into shares that add up to 1. The largest is often read as a probability: "95% sure". Is it one?
# Collect the answers of similar confidence, and compare their mean confidence with the share that is right. Our
# overfitted model is the interesting case.


# %%
def reliability(confidence, right, bins=10):
    """Return mean confidence, share of right answers and count of each bin that is not empty."""
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)[1:-1]
    number = torch.bucketize(confidence, edges)
    rows = []
    for index in range(bins):
        inside = number == index
        if inside.any():
            share = right[inside].double().mean().item()
            rows.append((confidence[inside].mean().item(), share, inside.sum().item()))
    return rows


logits, targets = predict(models["Overfitting"], loaders.test)
logits = logits.double()
confidence, predicted = logits.softmax(dim=1).max(dim=1)
right = predicted == targets
rows = reliability(confidence, right)

# %%
from sklearn.calibration import calibration_curve

share_right, mean_confidence = calibration_curve(right.numpy(), confidence.numpy(), n_bins=10)
same = [abs(row[0] - c) < 1e-9 for row, c in zip(rows, mean_confidence, strict=True)]
same += [abs(row[1] - s) < 1e-9 for row, s in zip(rows, share_right, strict=True)]
print("equal to scikit-learn's calibration_curve:", all(same))
print(f"images in all bins: {sum(count for _, _, count in rows)} of {len(data.test)}")

# %% [markdown]
# In one number: the *expected calibration error* (ECE) is the mean gap between confidence and share of right answers,
# each bin weighted by its images.


# %% tags=["nbval-ignore-output"]
def expected_gap(rows):
    samples = sum(count for _, _, count in rows)
    return sum(count * abs(sure - share) for sure, share, count in rows) / samples


print(f"on average {confidence.mean():.1%} sure, {right.double().mean():.1%} right")
print(f"expected calibration error: {expected_gap(rows):.3f}")

# %% [markdown]
# It is surer than it is right. That can be mended without training, by *temperature scaling*: divide all logits by one
# number T before the softmax. A T above 1 makes every answer less sure, and changes none of them. T is chosen, so it is
# chosen on the validation part: the one with the lowest loss.

# %% tags=["nbval-ignore-output"]
val_logits, val_targets = predict(models["Overfitting"], loaders.val)
temperatures = torch.logspace(-1, 1, 201).tolist()
losses = [loss_fn(val_logits / T, val_targets).item() for T in temperatures]
temperature = temperatures[losses.index(min(losses))]

cooler = (logits / temperature).softmax(dim=1).max(dim=1)
cooler_rows = reliability(cooler.values, cooler.indices == targets)
print(f"T = {temperature:.2f}: on average {cooler.values.mean():.1%} sure")
print(f"expected calibration error: {expected_gap(cooler_rows):.3f}")

# %%
print("surer than right, before:", confidence.mean().item() > right.double().mean().item() + 0.02)
print("the temperature is above 1:", temperature > 1)
print("every answer is the same:", torch.equal(cooler.indices, predicted))
print("the gap has shrunk:", expected_gap(cooler_rows) < 0.8 * expected_gap(rows))
losses = [loss_fn(values, targets).item() for values in (logits, logits / temperature)]
print("the test loss has fallen:", losses[1] < losses[0])

# %% [markdown]
# The *reliability diagram* shows it: each point is a bin, its height the share of right answers; below it, how many
# images there are in the bin.


# %%
def draw_reliability(above, below, rows, confidence):
    sure, share, _ = zip(*rows, strict=True)
    above.plot([0, 1], [0, 1], color=grey, linestyle=":", label="confidence = share right")
    above.plot(sure, share, marker="o", color=blue, label="the model")
    above.vlines(sure, sure, share, color=orange, linewidth=3, alpha=0.6, label="gap")
    above.set(ylim=(0, 1.03), xlim=(0, 1.03))
    below.hist(confidence, torch.linspace(0, 1, 11).tolist(), color=pale, rwidth=0.92)
    below.set_xlabel("confidence")
    for axis in (above.yaxis, below.xaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))


# %%
figure, axes = plt.subplots(2, 2, figsize=(8, 4.6), sharex=True, sharey="row", height_ratios=(3, 1))
draw_reliability(*axes[:, 0], rows, confidence)
draw_reliability(*axes[:, 1], cooler_rows, cooler.values)
axes[0, 0].set(title="As trained", ylabel="right answers")
axes[0, 1].set(title=f"Divided by T = {temperature:.1f}")
axes[1, 0].set(ylabel="images")
axes[0, 0].legend(loc="upper left")
show(
    figure,
    alt="Two reliability diagrams of the overfitted model. As trained, most bins lie below the "
    "diagonal, and almost all images are in the surest bin. After temperature scaling the points "
    "lie nearer to the diagonal, and the confidences are spread out.",
)

# %% [markdown]
# Below the diagonal means over-confident. Look at the lower row before you believe a point: a bin of five images says
# little, for the reason of the section before. A calibrated model is not a better classifier, its answers are the same.
# But its "60% sure" can be acted upon, for instance by handing such images to a person.
#
# ## The worst mistakes
#
# Back to the model with the good fit, and to single images. What we see there leads to decisions, so they are validation
# images. The loss of each image (`reduction="none"`) is largest where the model gave the right class the smallest
# share. Sort by it, and look.

# %%
from course_utils.plots import plot_images

logits, targets = predict(models["A good fit"], loaders.val)
each_loss = nn.CrossEntropyLoss(reduction="none")(logits, targets)
confidence, predicted = logits.softmax(dim=1).max(dim=1)
worst = each_loss.argsort(descending=True)[:16]
wrong = (predicted != targets)[worst].tolist()
mean_loss = loss_fn(logits, targets)
print("the mean of the single losses is the loss:", torch.allclose(each_loss.mean(), mean_loss))
print("the one on top is wrong:", wrong[0])

# %%
captions = []
for answer, truth, sure in zip(predicted[worst], targets[worst], confidence[worst], strict=True):
    name, right_name = data.class_names[answer], data.class_names[truth]
    text = name if answer == truth else f"{name}, not {right_name}"
    captions.append(f"{text}\n{sure:.0%} sure")
plot_images(
    data.val.images[worst],
    captions,
    wrong=wrong,
    title="The validation images with the highest loss (a cross: wrong)",
    alt="Sixteen validation images with the highest loss, each with the model's answer, the right "
    "class and the confidence.",
)

# %% [markdown]
# Such a grid answers what no number does: are the images hard for you as well, are labels wrong, does one pair of
# classes come up again and again? Notebook 05 counts those pairs.
#
# ### One image
# A model takes batches. For a single image, make a batch of one with `unsqueeze(0)`. Without that, some models work by
# accident: `Flatten` keeps the first dimension, and takes the channel for the batch. A grey image has one channel, so
# the result looks right. For a colour image there are three answers.

# %%
bare = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10))
for channels in (1, 3):
    image = torch.zeros(channels, 28, 28)
    print(f"one image {tuple(image.shape)}: logits {tuple(bare(image).shape)}")
try:
    models["A good fit"](data.val[0][0].to(device))
except ValueError as error:
    print(f"course_utils.MLP says: {str(error).partition(': ')[2]}")

# %% [markdown]
# Done right: into evaluation mode, normalised like the training images (the data set does that), a batch of one,
# without a graph. Beside the image stand the shares of all classes, with their names.

# %%
index = worst[0].item()
image, truth = data.val[index]
model = models["A good fit"].eval()
with torch.no_grad():
    shares = model(image.unsqueeze(0).to(device)).softmax(dim=1).squeeze(0).cpu()
answer = shares.argmax().item()
print("batch:", tuple(image.unsqueeze(0).shape), " shares:", tuple(shares.shape))
print("the same answer as in the batch before:", answer == predicted[index].item())

# %% tags=["nbval-ignore-output"]
name, true_name = data.class_names[answer], data.class_names[truth]
print(f"answer: {name}, {shares[answer]:.1%} sure; true class: {true_name}, {shares[truth]:.1%}")
figure, (left, right_axis) = plt.subplots(1, 2, figsize=(7.4, 3), width_ratios=(1, 1.6))
left.imshow(data.val.images[index].permute(1, 2, 0).squeeze(-1))
left.set_title(f"answer: {name}, true class: {true_name}")
left.axis("off")
bars = right_axis.barh(data.class_names, shares)
right_axis.bar_label(bars, fmt="{:.1%}", padding=3, fontsize=9)
right_axis.invert_yaxis()
right_axis.get_yticklabels()[truth].set(color=orange, fontweight="bold")
right_axis.grid(axis="y", visible=False)
right_axis.set(
    title="Share of each class (orange: the true class)", xlabel="softmax", xlim=(0, 1.1)
)
right_axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
show(
    figure,
    alt=f"The validation image with the highest loss, of the class {true_name}, and the "
    f"model's shares: the largest is that of {name}.",
)

# %% [markdown]
# ## Your turn
#
# ### 1. How many images?
# You expect a model to be right with the share `accuracy`, and want to report it as plus or minus `half_width` (both
# from 0 to 1). The half width is about `z * sqrt(accuracy * (1 - accuracy) / n)`. Return the smallest whole n for which
# it is not larger than you want.


# %% tags=["exercise"]
def images_needed(accuracy, half_width, z=1.96):
    # your code here
    ...


# %% tags=["check"]
from checks import evaluation

evaluation.images_needed(images_needed)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# import math
#
# def images_needed(accuracy, half_width, z=1.96):
#     return math.ceil(z**2 * accuracy * (1 - accuracy) / half_width**2)
# ```
#
# `ceil` rounds up: with one image fewer, the interval would be too wide. Half the width takes four times the images.
# </details>

# %% [markdown]
# ### 2. Ask without leaving a trace
# Write a function that takes a model and a batch of images and returns the logits, computed in evaluation mode and without
# a graph. Afterwards everything is as it was before: each part of the model has its own mode again (some may have been in
# training mode and some in evaluation mode), and whoever trains next gets gradients.


# %% tags=["exercise"]
def ask(model, images):
    # your code here
    ...


# %% tags=["check"]
evaluation.ask(ask)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# import torch
#
# def ask(model, images):
#     modes = [(part, part.training) for part in model.modules()]
#     model.eval()
#     with torch.no_grad():
#         logits = model(images)
#     for part, mode in modes:
#         part.training = mode
#     return logits
# ```
#
# `model.train()` at the end would wake up a BatchNorm that was frozen on purpose, and a model that only answers. `evaluate`
# puts the modes back in a `finally`, so that they are right after an error, too.
# </details>

# %% [markdown]
# ### 3. Calibration error
# Two tensors of shape (samples,): `confidence` from 0 to 1, and `right`, True or False. Put the samples into `bins`
# bins of equal width. Return the mean gap between confidence and share of right answers, each bin weighted by its
# samples. Bins may be empty. `torch.bucketize(confidence, torch.linspace(0, 1, bins + 1)[1:-1])` gives each sample's
# bin, from 0.


# %% tags=["exercise"]
def calibration_error(confidence, right, bins=10):
    # your code here
    ...


# %% tags=["check"]
evaluation.calibration_error(calibration_error)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# import torch
#
# def calibration_error(confidence, right, bins=10):
#     number = torch.bucketize(confidence, torch.linspace(0, 1, bins + 1)[1:-1])
#     error = 0.0
#     for index in range(bins):
#         inside = number == index
#         if inside.any():
#             gap = (confidence[inside].mean() - right[inside].float().mean()).abs().item()
#             error += gap * inside.sum().item() / len(right)
#     return error
# ```
# </details>

# %% [markdown]
# ## Recap
#
# - Count right answers, divide once by all samples. A mean of batch accuracies can rank the wrong epoch best.
# - `eval()` changes the answers, `no_grad()` and `inference_mode()` only what is kept for `backward`. For measuring you
#   want both, and afterwards `train()` again.
# - A number that something was chosen by is too good. Choose by the validation part, report the test part once.
# - Both losses level out high: underfitting. A gap that grows: overfitting.
# - An accuracy has an interval; two models on the same images are compared image by image.
# - Confidence is not a probability until somebody has checked it.
#
# **Next:** [05 · Confusion matrices](05_confusion_matrices.ipynb) asks which classes are taken for which.
