# %% [markdown]
# # 06 · Saving and resuming: nothing is lost
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/06_saving_and_resuming.ipynb)
#
# **After this notebook you can**
# - save a model so that it can be loaded safely, elsewhere and years later;
# - save a whole training, not only its weights, and say what is missing when it does not resume exactly;
# - kill a training at any moment and end with the very same weights;
# - load a part of a model without the mistake that loads nothing;
# - hand over weights with a page that says what they are for.
#
# **Time:** 45 minutes. **Builds on:** [05 · Confusion matrices](05_confusion_matrices.ipynb).
#
# A long training will be interrupted: the power fails, Colab disconnects, a cluster stops your job. Often only the
# weights have been saved. Here you see what that leaves out, and what it costs.

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

from course_utils import SmallCNN, evaluate, fit, get_device, predict, seed_everything
from course_utils import load_dataset, make_loader, make_loaders

device = get_device()
data = load_dataset(os.environ.get("COURSE_DATASET", "digits"))
loaders = make_loaders(data)
loss_fn = nn.CrossEntropyLoss()
folder = Path(tempfile.mkdtemp())  # everything that this notebook saves goes here

# %% tags=["nbval-ignore-output"]
seed_everything(42)
model = SmallCNN(data.input_shape, data.num_classes, dropout_p=0.3).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
history = fit(model, loaders.train, loaders.val, loss_fn, optimizer, epochs=3)

# %% [markdown]
# ## What a model is made of
#
# A `state_dict` is a dictionary: the name of each tensor, and the tensor. Parameters are in it, and *buffers*, which
# are numbers that the model keeps without learning them: BatchNorm's running statistics. The code is not in it. A class
# name, the layers' order, the shape of an image: all that you must build again before you fill it.

# %%
import pandas as pd

learned = dict(model.named_parameters())
pd.DataFrame(
    [
        (name, tuple(tensor.shape), "parameter" if name in learned else "buffer")
        for name, tensor in model.state_dict().items()
    ],
    columns=["name", "shape", "kind"],
)

# %% [markdown]
# So saving and loading take two steps each: take the dictionary, write it; build the same model, fill it.
# `load_state_dict` wants every name to fit, and says which do not.

# %%
torch.save(model.state_dict(), folder / "model.pt")

again = SmallCNN(data.input_shape, data.num_classes, dropout_p=0.3).to(device)
again.load_state_dict(torch.load(folder / "model.pt", map_location="cpu", weights_only=True))
first, second = predict(model, loaders.val).logits, predict(again, loaders.val).logits
print("the same logits for every validation image:", torch.equal(first, second))

# %% [markdown]
# ### Mistake: no model to fill
# What comes back from `torch.load` is the dictionary. A model has to be there first.

# %%
try:
    torch.load(folder / "model.pt", weights_only=True).eval()
except AttributeError as error:
    print(error)

# %% [markdown]
# ### Mistake: a best model that keeps changing
# `state_dict` does not copy: its tensors *are* the weights. Put aside in a variable, the "best" weights of epoch 3 go
# on training with all others. A file is a copy; in memory, clone.

# %%
best = model.state_dict()
best_copy = {name: tensor.clone() for name, tensor in model.state_dict().items()}
with torch.no_grad():
    model.classifier[2].bias += 1  # stands for more training
name = "classifier.2.bias"
print(
    "state_dict() still holds the old weights:", torch.equal(best[name], again.state_dict()[name])
)
print("the copy does:", torch.equal(best_copy[name], again.state_dict()[name]))
model.load_state_dict(best_copy)
print("put back:", torch.equal(model.classifier[2].bias, again.classifier[2].bias))

# %% [markdown]
# ## A file that runs
#
# `torch.save` uses Python's *pickle*, and a pickle may say: call this function with these arguments. That is how it
# builds objects again. It may just as well call something harmful; here it only prints.


# %%
class Surprise:
    def __reduce__(self):
        return print, ("this file has just run a function on your computer",)


torch.save({"weights": Surprise()}, folder / "surprise.pt")
print("loading as many tutorials do:")
torch.load(folder / "surprise.pt", weights_only=False)
print("loading with weights_only=True:")
try:
    torch.load(folder / "surprise.pt", weights_only=True)
except Exception as error:
    print(type(error).__name__, "- refused, and nothing ran")

# %% [markdown]
# `weights_only=True` reads tensors and plain values and refuses everything else. Since PyTorch 2.6 it is the default;
# write it anyway, so that it can be read. On older versions it is weaker protection, because holes in it were closed
# since: read files that you do not trust with a recent PyTorch, or use safetensors (below). And save a `state_dict`,
# never the whole model: `torch.save(model)` stores the names of its class and module, and breaks when you rename one.

# %%
torch.save(model, folder / "whole_model.pt")
try:
    torch.load(folder / "whole_model.pt", weights_only=True)
except Exception as error:
    print("a whole model is refused:", "SmallCNN" in str(error))

# %% [markdown]
# ## From a GPU to a laptop
#
# A file remembers on which device each tensor was. On a computer without that device, `torch.load` fails unless
# `map_location` says where to put them. Always give it: `"cpu"` works everywhere, and `load_state_dict` copies from
# there to wherever the model is. (`"meta"` loads names and shapes alone, which is a quick way to look into a large
# file.)

# %%
for place in ("cpu", "meta"):
    weights = torch.load(folder / "model.pt", map_location=place, weights_only=True)
    print(place, {tensor.device.type for tensor in weights.values()})

# %%
if device.type == "cuda":
    weights = torch.load(folder / "model.pt", weights_only=True)
    print("without map_location:", {tensor.device.type for tensor in weights.values()})
else:
    try:  # what happens to a file from a GPU
        torch.load(folder / "model.pt", map_location="cuda", weights_only=True)
    except RuntimeError as error:
        print(str(error).split(". ")[0])

# %% [markdown]
# ## Weights are not a training
#
# Now interrupt a training and go on from its weights, as most code does. To compare, we need the training that was not
# interrupted: four epochs, with a look at the loss of each step. It runs on the processor, where the same sums are
# always added in the same order.

# %%
from course_utils import train_epoch


def start():
    """Return a model, an optimizer and a loader, always the same."""
    seed_everything(0)
    net = SmallCNN(data.input_shape, data.num_classes, dropout_p=0.3)
    adam = torch.optim.AdamW(net.parameters(), lr=0.01)
    return net, adam, make_loader(data.train, shuffle=True, seed=0)


def train(net, adam, loader, epochs):
    """Train and return the loss of each step."""
    losses = []
    for _ in range(epochs):
        train_epoch(net, loader, loss_fn, adam, on_step=lambda _, loss: losses.append(loss.item()))
    return losses


# %% [markdown]
# After the second epoch we write down everything that will decide how it goes on. Besides the weights that is the
# optimizer (AdamW keeps two running means for each weight and counts its steps), the state of the loader's generator
# (which decides the order of the images) and the state of PyTorch's random numbers (from which Dropout draws).

# %%
net, adam, loader = start()
losses = train(net, adam, loader, epochs=2)
checkpoint = {
    "model": net.state_dict(),
    "optimizer": adam.state_dict(),
    "order": loader.generator.get_state(),
    "random": torch.get_rng_state(),
}
torch.save(checkpoint, folder / "by_hand.pt")

interrupted_at = len(losses)
losses += train(net, adam, loader, epochs=2)
uninterrupted = {name: tensor.clone() for name, tensor in net.state_dict().items()}
print("kept for each weight:", list(adam.state_dict()["state"][0]))

# %% [markdown]
# Resuming is the same in reverse: build everything as at the start, then put the four states back. To see what each is
# good for, we also resume without it.


# %%
def resume(left_out=()):
    """Train the last two epochs from the checkpoint; return the losses and whether all is equal."""
    net, adam, loader = start()
    saved = torch.load(folder / "by_hand.pt", map_location="cpu", weights_only=True)
    net.load_state_dict(saved["model"])
    if "optimizer" not in left_out:
        adam.load_state_dict(saved["optimizer"])
    if "order" not in left_out:
        loader.generator.set_state(saved["order"])
    if "random" not in left_out:
        torch.set_rng_state(saved["random"])
    losses = train(net, adam, loader, epochs=2)
    final = net.state_dict()
    return losses, all(torch.equal(final[name], uninterrupted[name]) for name in final)


print("weights alone, the same in the end:", resume(left_out=("optimizer", "order", "random"))[1])
print("all but the random numbers:", resume(left_out=("random",))[1])
other_order, equal = resume(left_out=("order",))
print("all but the order:", equal)
fresh_optimizer, equal = resume(left_out=("optimizer",))
print("all but the optimizer:", equal)
everything, equal = resume()
print("everything:", equal)

# %% [markdown]
# Every bit of every weight is the same when everything is put back, and only then. Leave one state out, and it is
# another training than the one that was interrupted. With another order of the images it may be just as good. A fresh
# AdamW is worse than that: it has seen one gradient, so its first step moves every weight by the full learning rate,
# here 0.01, and the loss jumps.

# %%
import matplotlib.pyplot as plt

from course_utils.plots import show

figure, axis = plt.subplots(figsize=(8, 3.4))
steps = range(1, len(losses) + 1)
axis.plot(steps, losses, label="never interrupted")
after = steps[interrupted_at:]
axis.plot(after, fresh_optimizer, color="#e76300", label="resumed with a fresh optimizer")
axis.plot(after, other_order, color="#94a4a2", label="resumed in another order")
axis.plot(after, everything, ".", color="black", label="resumed from everything")
axis.axvline(interrupted_at + 0.5, color="#717581", linestyle=":", label="interrupted here")
axis.set(title="The loss of each step", xlabel="step", ylabel="loss")
axis.set(xlim=(0.2 * len(losses), None), ylim=(0, 3))
axis.legend(loc="upper right")
show(
    figure,
    alt="The loss of each step, from the end of the first epoch on. After the interruption, the "
    "training resumed from everything follows the uninterrupted one point by point. The one with "
    "a fresh optimizer jumps up; the one with another order of the images does not.",
)

# %%
first_steps = slice(0, 10)
print("point by point:", everything == losses[interrupted_at:])
print(
    "a fresh optimizer makes the first ten steps worse:",
    sum(fresh_optimizer[first_steps]) > 1.5 * sum(losses[interrupted_at:][first_steps]),
)

# %% [markdown]
# ## Files that survive
#
# A checkpoint is no use if the crash destroys it. Writing over the old file is dangerous from the first moment: opening
# it empties it.

# %%
path = folder / "notes.txt"
path.write_text("the only copy")
file = path.open("w")  # a program begins to save ...
print("bytes on the disk now:", path.stat().st_size)  # ... and if it is killed here, both are lost
file.close()

# %% [markdown]
# The way out is to write a second file beside the first and give it the name at the end, in one step that either
# happens or does not. (You write it yourself below.) `save_checkpoint` does that, and makes sure that the bytes have
# reached the disk before the name.
#
# The other danger is damage that nobody notices. One flipped bit in a weight, and `torch.load` loads it without a word.
# There are checksums in the file; `load_checkpoint` compares them.

# %%
from course_utils import CheckpointError, load_checkpoint, save_checkpoint


def say(error):
    """Print an error without the folder, which is another one on every computer."""
    print(f"{type(error).__name__}: {error}".replace(f"{folder}{os.sep}", ""))


path = folder / "one.pt"
save_checkpoint(path, {"model": {"weight": torch.ones(1000)}})
content = bytearray(path.read_bytes())
content[content.index(torch.ones(1000).numpy().tobytes()) + 402] ^= 0b1000
path.write_bytes(content)
weight = torch.load(path, map_location="cpu", weights_only=True)["model"]["weight"]
print("torch.load: smallest and largest weight", weight.min().item(), weight.max().item())
try:
    load_checkpoint(path)
except CheckpointError as error:
    say(error)

# %% [markdown]
# Half a file, an empty one, and one that is no checkpoint are found as well, each with a sentence that says what to do.

# %%
save_checkpoint(path, {"model": {"weight": torch.ones(1000)}})
whole_file = path.read_bytes()
for content in (whole_file[: len(whole_file) // 2], b"", b"epoch,loss\n1,0.5\n"):
    path.write_bytes(content)
    try:
        load_checkpoint(path)
    except CheckpointError as error:
        say(error)

# %% [markdown]
# ## Which files to keep
#
# A file for each epoch, the best one under a name of its own, and the old ones deleted before the disk is full. By
# hand, as a callback that saves every second epoch and keeps the last two files:


# %%
def save_every_second(history):
    """Save after epochs 2, 4, 6, ..., and whenever the validation loss is the lowest so far."""
    epoch = len(history)
    state = {"model": net.state_dict(), "epoch": epoch}
    if epoch % 2 == 0:
        save_checkpoint(folder / f"model_{epoch:02d}.pt", state)
        for old in sorted(folder.glob("model_*.pt"))[:-2]:
            old.unlink()
    if history.best_epoch == epoch:
        save_checkpoint(folder / "best_model.pt", state)


# %%
net, adam, loader = start()
options = {"callbacks": [save_every_second], "verbose": False}
history = fit(net, loader, loaders.val, loss_fn, adam, epochs=6, **options)
print(sorted(path.name for path in folder.glob("model_*.pt")))
best_epoch = load_checkpoint(folder / "best_model.pt")["epoch"]
print("best_model.pt is of the best epoch:", best_epoch == history.best_epoch)

# %% [markdown]
# `fit` does this, with whole checkpoints in place of weights: give it a folder. It keeps the last three, and the one
# with the lowest *validation* loss under the name `best.pt`. Choosing by the test set would be the mistake of [04 ·
# Evaluation](04_evaluation.ipynb).

# %%
run = folder / "run"
net, adam, loader = start()
history = fit(net, loader, loaders.val, loss_fn, adam, epochs=6, checkpoint_dir=run, verbose=False)
print(sorted(path.name for path in run.iterdir()))

val_losses = [result.loss for result in history.val]
best = load_checkpoint(run / "best.pt")
print(
    "best.pt is of the epoch with the lowest validation loss:",
    best["epoch"] == 1 + val_losses.index(min(val_losses)),
)
net.load_state_dict(best["model"])
print("and has that loss:", abs(evaluate(net, loaders.val, loss_fn).loss - min(val_losses)) < 1e-6)

# %% [markdown]
# What is in one of those files? The states of the parts, the history, and what decides how it goes on: the random
# numbers when the epoch began (`epoch_start`) and the batches done in it (0 after a whole epoch). `setup` is what has
# to be the same when you resume.

# %%
state = load_checkpoint(run / "epoch_0006.pt")
print(*(f"{name}: {type(value).__name__}" for name, value in state.items()), sep="\n")
print("random numbers of:", ", ".join(state["epoch_start"]["random"]))
print("epochs in the history:", len(state["history"]["val"]))

# %% [markdown]
# ## kill -9
#
# Now the real thing. This script trains with dropout, random rotations, a scheduler and two loader workers. It saves
# after each epoch, and inside an epoch after every fifth step. It is an ordinary script: nothing in it knows that it
# will be killed, and the same command starts it and resumes it. (Loader workers are processes that may import the
# script again: hence the last two lines.)

# %%
SCRIPT = """
import os, sys
import torch
from torchvision.transforms import v2
from course_utils import SmallCNN, fit, load_dataset, make_loaders, seed_everything

def main(checkpoints, result):
    seed_everything(0)
    data = load_dataset(os.environ.get("COURSE_DATASET", "digits"), augment=v2.RandomRotation(10))
    loaders = make_loaders(data, num_workers=2)
    model = SmallCNN(data.input_shape, data.num_classes, dropout_p=0.3)
    optimizer = torch.optim.AdamW(model.parameters())
    steps = 4 * len(loaders.train)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=steps)
    loss_fn = torch.nn.CrossEntropyLoss()
    history = fit(model, loaders.train, loaders.val, loss_fn, optimizer, epochs=4,
                  scheduler=scheduler, checkpoint_dir=checkpoints, checkpoint_every=5, resume=True)
    torch.save({"model": model.state_dict(), "history": history.as_dict()}, result)

if __name__ == "__main__":
    main(*sys.argv[1:])
"""

# %%
import subprocess
import sys
import time


script = folder / "train.py"
script.write_text(SCRIPT)


def begin(checkpoints):
    """Start the script in a process of its own."""
    command = [sys.executable, script, folder / checkpoints, folder / f"{checkpoints}.pt"]
    settings = {
        "PYTHONPATH": os.path.abspath(".."),  # where course_utils is
        "COURSE_DATA": str(data.folder.parent),
        "OMP_NUM_THREADS": "1",  # several processes share this computer
    }
    environment = os.environ | settings
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


# %% [markdown]
# Two processes side by side: one may finish. The other is watched, and as soon as it has saved a checkpoint inside its
# third epoch, it is killed. `kill` sends SIGKILL (Windows has its own way), which no program can catch: no `except`, no
# `finally`, no goodbye.

# %%
peaceful, victim = begin("peaceful"), begin("killed")
while victim.poll() is None and not list((folder / "killed").glob("epoch_0003_batch_*.pt")):
    time.sleep(0.01)
victim.kill()
victim.communicate()
peaceful.communicate()
print("the peaceful one ended well:", peaceful.returncode == 0)
print("the other did not end by itself:", victim.returncode != 0)
print("and left no result:", not (folder / "killed.pt").exists())

# %%
left = sorted(path.name for path in (folder / "killed").glob("epoch_*.pt"))
print("whole epochs:", [name for name in left if "batch" not in name])
print("inside the third:", any(name.startswith("epoch_0003_batch_") for name in left))

# %% [markdown]
# The same command again, in a new process. It finds the last checkpoint by itself.

# %% tags=["nbval-ignore-output"]
revived = begin("killed")
print(revived.communicate()[0])

# %%
whole = torch.load(folder / "peaceful.pt", map_location="cpu", weights_only=True)
resumed = torch.load(folder / "killed.pt", map_location="cpu", weights_only=True)
for name, tensor in whole["model"].items():
    print(f"{name:35} equal: {torch.equal(tensor, resumed['model'][name])}")
for column in whole["history"]:
    if column != "seconds":
        print(
            f"history, {column:26} equal: {whole['history'][column] == resumed['history'][column]}"
        )

# %% [markdown]
# Every tensor and every number of the history, to the last bit; only the seconds differ. The picture shows the two
# trainings on top of each other.

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3.1))
epochs = whole["history"]["epoch"]
for axis, column in zip(axes, ("val_loss", "val_accuracy"), strict=True):
    axis.plot(epochs, whole["history"][column], label="never interrupted")
    axis.plot(epochs, resumed["history"][column], "o", color="black", label="killed and resumed")
    axis.axvspan(2, 3, color="#e76300", alpha=0.15, label="killed in here")
    axis.set(xlabel="epoch", ylabel=column.removeprefix("val_"), xticks=epochs)
axes[0].set_title("Validation loss")
axes[1].set_title("Validation accuracy")
axes[1].yaxis.set_major_formatter("{x:.0%}")
axes[0].legend()
show(
    figure,
    alt="Validation loss and accuracy over four epochs. The points of the killed and resumed "
    "training lie exactly on the line of the uninterrupted one, before and after the kill in the "
    "third epoch.",
)

# %% [markdown]
# Inside an epoch, resuming reads the first batches again and passes over them: only so do the workers, each with random
# numbers of its own, arrive where they were. On a GPU the same holds once its kernels are told to add in a fixed order,
# with `seed_everything(deterministic=True)`.
#
# ### A damaged checkpoint
# If the last checkpoint turns out to be damaged, `fit` says so and takes the one before it. The epochs in between are
# trained again, to the same weights. Here that happens to the six epochs from above, in the folder `run`.

# %%
import warnings

before = load_checkpoint(run / "epoch_0006.pt")
(run / "epoch_0006.pt").write_bytes((run / "epoch_0006.pt").read_bytes()[:-1000])

net, adam, loader = start()
options = {"checkpoint_dir": run, "resume": True, "verbose": False}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    fit(net, loader, loaders.val, loss_fn, adam, epochs=6, **options)
say(caught[0].message)
after = net.state_dict()
print("equal again:", all(torch.equal(before["model"][name], after[name]) for name in after))

# %% [markdown]
# ### A checkpoint of something else
# It is refused before anything is changed: another architecture, another optimizer, another batch size.


# %%
def try_to_resume(model, optimizer, loader):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    options = {"checkpoint_dir": run, "resume": True}
    try:
        fit(model, loader, loaders.val, loss_fn, optimizer, epochs=9, **options)
    except CheckpointError as error:
        say(error)
    after = model.state_dict()
    print("   the model is as it was:", all(torch.equal(before[n], after[n]) for n in before))


smaller = nn.Sequential(nn.Flatten(), nn.Linear(data.train[0][0].numel(), data.num_classes))
try_to_resume(smaller, torch.optim.AdamW(smaller.parameters()), loader)
try_to_resume(net, torch.optim.SGD(net.parameters(), lr=0.1), loader)
try_to_resume(net, adam, make_loader(data.train, batch_size=100, shuffle=True))

# %% [markdown]
# More epochs are fine: `epochs` counts all of them. The learning rate comes from the checkpoint with the optimizer, so
# another one in your script has no effect. And a folder that holds checkpoints is never overwritten by accident:

# %%
try:
    fit(net, loader, loaders.val, loss_fn, adam, epochs=6, checkpoint_dir=run)
except FileExistsError as error:
    say(error)

# %% [markdown]
# ## Loading a part
#
# Often you want only some of the weights: a trained network for ten classes becomes the start of one that answers
# another question. Here: does the image belong to the first half of the classes or to the second? Only 40 labelled
# images are given. The features can stay, the last layer cannot: it has ten outputs.

# %%
from course_utils import ImageDataset

half = data.num_classes // 2
few, many = (
    ImageDataset(
        part.images[:count], (part.labels[:count] >= half).long(), mean=data.mean, std=data.std
    )
    for part, count in ((data.train, 40), (data.val, None))
)
weights = load_checkpoint(run / "best.pt")["model"]
halves = SmallCNN(data.input_shape, 2)
try:
    halves.load_state_dict(weights)
except RuntimeError as error:
    print(str(error).splitlines()[1].strip())

# %% [markdown]
# `strict=False` forgives missing names and names too many, but not shapes. So leave the last layer out, and look at
# what `load_state_dict` returns: it names what was not filled.

# %%
features = {name: tensor for name, tensor in weights.items() if name.startswith("features.")}
result = halves.load_state_dict(features, strict=False)
print("not filled:", result.missing_keys)
print("too many:", result.unexpected_keys)

# %% [markdown]
# ### Mistake: strict=False loads nothing
# Weights that were saved from a wrapped model have a prefix before each name: `module.` from `DataParallel`,
# `_orig_mod.` from `torch.compile`. Then no name fits, `strict=False` forgives them all, and you train from nothing
# without knowing. The list that it returns is the only sign. (PyTorch leaves BatchNorm's counters,
# `num_batches_tracked`, out of that list. They were not loaded either.)

# %%
prefixed = {f"module.{name}": tensor for name, tensor in features.items()}
unlucky = SmallCNN(data.input_shape, 2)
result = unlucky.load_state_dict(prefixed, strict=False)
print(
    f"no error, but {len(result.missing_keys)} of {len(unlucky.state_dict())} names were not filled"
)
mended = {name.removeprefix("module."): tensor for name, tensor in prefixed.items()}
print("mended:", halves.load_state_dict(mended, strict=False).missing_keys)

# %% [markdown]
# So the model is the untrained one, weight for weight:

# %%
seed_everything(1)
untrained = SmallCNN(data.input_shape, 2)
seed_everything(1)
unlucky = SmallCNN(data.input_shape, 2)
unlucky.load_state_dict(prefixed, strict=False)
pairs = zip(unlucky.state_dict().values(), untrained.state_dict().values(), strict=True)
print("with wrong names it is the untrained model:", all(torch.equal(a, b) for a, b in pairs))

# %% [markdown]
# What that costs shows when it is trained on the 40 images: here three times from loaded features, and three times from
# nothing, as `strict=False` had it. The gain is in speed and steadiness; in the end, a run from nothing may catch up.


# %%
def fine_tune(loaded, seed):
    """Return the validation accuracy of each epoch."""
    seed_everything(seed)
    halves = SmallCNN(data.input_shape, 2)
    halves.load_state_dict(loaded, strict=False)
    adam = torch.optim.AdamW(halves.parameters(), lr=3e-3)
    few_loader = make_loader(few, batch_size=20, shuffle=True)
    history = fit(halves, few_loader, make_loader(many), loss_fn, adam, epochs=12, verbose=False)
    return [result.accuracy for result in history.val]


runs = {
    "from loaded features": [fine_tune(features, seed) for seed in range(3)],
    "from nothing": [fine_tune(prefixed, seed) for seed in range(3)],
}

# %%
figure, axis = plt.subplots(figsize=(6.5, 3.3))
for (name, curves), color in zip(runs.items(), ("#3f90da", "#e76300"), strict=True):
    for curve in curves:
        axis.plot(range(1, 13), curve, color=color, alpha=0.3, linewidth=1)
    axis.plot(range(1, 13), torch.tensor(curves).mean(0), color=color, label=f"{name} (mean of 3)")
axis.yaxis.set_major_formatter("{x:.0%}")
axis.set(title="Fine-tuning on 40 images", xlabel="epoch", ylabel="validation accuracy")
axis.legend(loc="lower right")
show(
    figure,
    alt="Validation accuracy over twelve epochs of training on 40 images, three runs each and "
    "their means. From loaded features it rises faster and more steadily than from nothing.",
)

# %%
means = {name: torch.tensor(curves)[:, -6:].mean() for name, curves in runs.items()}
print("loaded features help:", bool(means["from loaded features"] > means["from nothing"]))

# %% [markdown]
# ## Weights to hand over
#
# For others, [safetensors](https://huggingface.co/docs/safetensors) is the better file: a list of names, shapes and
# types, then the numbers. It cannot hold code at all, other languages read it, and one tensor can be read without the
# rest. What it cannot hold is everything else: no optimizer, no history. Short texts fit in as metadata.

# %%
from safetensors import safe_open
from safetensors.torch import load_file, save_file

weights_file = folder / "classifier.safetensors"
metadata = {"class_names": ", ".join(data.class_names)}
save_file(load_checkpoint(run / "best.pt")["model"], weights_file, metadata=metadata)

shared = SmallCNN(data.input_shape, data.num_classes).to(device)
shared.load_state_dict(load_file(weights_file))
with safe_open(weights_file, framework="pt") as file:
    print("the metadata survived:", file.metadata() == metadata)
    print("one tensor, read alone:", tuple(file.get_tensor("classifier.2.bias").shape))
weights = load_checkpoint(run / "best.pt")["model"]
print("all equal:", all(torch.equal(weights[n], t.cpu()) for n, t in shared.state_dict().items()))

# %% [markdown]
# Weights without a word about them are a riddle in half a year. A *model card* says what the model is for, what it was
# trained on, how well it did, and where it should not be used. `write_model_card` puts it beside the weights, with
# their checksum, the versions and the git revision.

# %% tags=["nbval-ignore-output"]
from course_utils import write_model_card

test = evaluate(shared, loaders.test, loss_fn)
card = write_model_card(
    weights_file,
    shared,
    title=f"A small classifier for {data.name}",
    purpose="Takes standardised images, gives one logit for each class. Made for a lesson.",
    data=f"{len(data.train)} images of {data.name} to train, {len(data.val)} to choose the epoch, "
    f"{len(data.test)} to test once. Standardised with the statistics of the first.",
    class_names=data.class_names,
    metrics={"test accuracy": test.accuracy, "test loss": test.loss},
    limits="Only tested on images of the same collection; no photographs, no other sources.",
)
print(card.read_text())

# %%
import hashlib

text = card.read_text()
print("beside the weights:", sorted(path.name for path in folder.glob("classifier.*")))
print("their checksum is in it:", hashlib.sha256(weights_file.read_bytes()).hexdigest() in text)
print("every class is in it:", all(name in text for name in data.class_names))
print("version and revision are in it:", torch.__version__ in text and "git revision" in text)

# %% [markdown]
# ## Your turn
#
# ### 1. A snapshot
# Write a function that takes a model and returns a dictionary of its weights and buffers as they are now, one that
# `load_state_dict` takes and that more training does not change.


# %% tags=["exercise"]
def snapshot(model):
    # your code here
    ...


# %% tags=["check"]
from checks import saving

saving.snapshot(snapshot)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def snapshot(model):
#     return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
# ```
#
# `dict(model.state_dict())` is a new dictionary with the old tensors in it. `copy.deepcopy(model.state_dict())` is
# right, too.
# </details>

# %% [markdown]
# ### 2. All or nothing
# Write a function that writes `content` (bytes) to `path`, so that a program killed at any moment leaves either the old
# file or the new one. Python has `Path.write_bytes` and `os.replace(old_name, new_name)`.


# %% tags=["exercise"]
def write_safely(path, content):
    # your code here
    ...
    return path


# %% tags=["check"]
saving.write_safely(write_safely)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# import os
#
# def write_safely(path, content):
#     part = path.with_name(path.name + ".part")
#     part.write_bytes(content)
#     os.replace(part, path)
#     return path
# ```
#
# The second file is in the same folder, because `os.replace` is one step only within one disk. `save_checkpoint` also
# waits until the bytes are on the disk (`os.fsync`), for the day the power fails.
# </details>

# %% [markdown]
# ### 3. Load what fits
# Write a function that copies into `model` every tensor of `weights` whose name *and* shape fit, and returns the names
# in `model` that were not filled, in a list. (Whether `num_batches_tracked` is named makes no difference.)


# %% tags=["exercise"]
def load_what_fits(model, weights):
    # your code here
    ...


# %% tags=["check"]
saving.load_what_fits(load_what_fits)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def load_what_fits(model, weights):
#     own = model.state_dict()
#     fitting = {
#         name: tensor
#         for name, tensor in weights.items()
#         if name in own and tensor.shape == own[name].shape
#     }
#     return model.load_state_dict(fitting, strict=False).missing_keys
# ```
#
# Never throw that list away: it is how you notice that nothing was loaded.
# </details>

# %% [markdown]
# ## Recap
#
# - A `state_dict` holds parameters and buffers, not the code. Load it with `weights_only=True` and `map_location` into a
#   model that you built.
# - Resuming needs the weights, the optimizer, the scheduler if there is one, the order of the data and all random
#   numbers: `fit(..., checkpoint_dir=..., resume=True)`.
# - A checkpoint is written beside the old one and renamed, and its checksums are compared when it is read.
# - `strict=False` returns a list of what was not loaded. Read it.
# - Weights for others: safetensors, and a model card beside them.
#
# **Next:** [07 · Monitoring](07_monitoring.ipynb) watches a training while it runs.
