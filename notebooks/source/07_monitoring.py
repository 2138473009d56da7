# %% [markdown]
# # 07 · Monitoring: what a training says while it runs
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/07_monitoring.ipynb)
#
# **After this notebook you can**
# - write a running loss that is exact, every so many steps, into a log that TensorBoard reads;
# - log a whole training through one callback: curves, gradient norm, classes, figures, the graph, hyperparameters;
# - read a log back with TensorBoard's own reader, and check it;
# - find where a step's time goes with the profiler, and remove what takes it;
# - recognise ten classic faults by their loss curves.
#
# **Time:** 60 minutes. **Builds on:** [06 · Saving and resuming](06_saving_and_resuming.ipynb).
#
# A training that fails seldom says so. It goes on, and its numbers look a little odd. Whoever keeps those numbers, and has
# seen how odd ones look, stops after a minute instead of the next morning.

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
import importlib.util
import logging
import math
import os
import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn

from course_utils import MLP, SmallCNN, evaluate, fit, get_device, load_dataset, make_loaders
from course_utils import predict, seed_everything

device = get_device()
data = load_dataset(os.environ.get("COURSE_DATASET", "digits"))
loss_fn = nn.CrossEntropyLoss()
logs = Path(tempfile.mkdtemp())  # all logs of this notebook go here
print(f"{data.num_classes} classes, images {data.input_shape}")

# %% [markdown]
# ## A running loss
#
# The loss of one batch jumps about. So one shows its mean over the last few batches. A batch loss is a mean already, and
# the last batch of an epoch is often a short one, so each loss has to be weighted by its batch's samples. Here are three
# batches of 32, 32 and 8 samples:


# %%
def weighted_mean(pairs):
    """Return the mean loss of a sample, from pairs (mean loss of a batch, its samples)."""
    return sum(loss * size for loss, size in pairs) / sum(size for _, size in pairs)


pairs = [(0.9, 32), (0.8, 32), (4.0, 8)]
print(f"weighted: {weighted_mean(pairs):.2f}, plain mean: {sum(loss for loss, _ in pairs) / 3:.2f}")

# %% [markdown]
# The plain mean is twice as large, because eight samples count as much as thirty-two. On real data, with a model whose
# weights stand still, the weighted mean over the batches must be what the whole set gives in one batch.

# %%
seed_everything(42)
model = MLP(data.input_shape, data.num_classes).to(device)
loaders = make_loaders(data, batch_size=100)
pairs = []
with torch.no_grad():
    for images, labels in loaders.train:
        loss = loss_fn(model(images.to(device)), labels.to(device))
        pairs.append((loss.item(), len(labels)))
whole = loss_fn(*predict(model, loaders.train)).item()
plain = sum(loss for loss, _ in pairs) / len(pairs)
print("weighted equals the whole set:", abs(weighted_mean(pairs) - whole) < 1e-5)
print("the plain mean does:", abs(plain - whole) < 1e-5)

# %% [markdown]
# ## TensorBoard by hand
#
# TensorBoard is a program that shows logs in the browser, while they are being written. `SummaryWriter` writes them: a
# *tag* (the curve's name), a value, and the *step* it belongs to. Here it stands in the loop of notebook 03. Every ten
# steps we log the running loss, and after each epoch the loss of the epoch.

# %%
from torch.optim.lr_scheduler import ExponentialLR
from torch.utils.tensorboard import SummaryWriter


def start():
    """Return model, loaders, optimizer and scheduler, the same every time."""
    seed_everything(42)
    model = SmallCNN(data.input_shape, data.num_classes).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    return model, make_loaders(data), optimizer, ExponentialLR(optimizer, gamma=0.5)


# %%
model, loaders, optimizer, scheduler = start()
writer = SummaryWriter(logs / "by_hand")
step, recent = 0, []  # recent: what came since the last point
for epoch in range(1, 5):
    model.train()
    whole = []
    for images, labels in loaders.train:
        loss = loss_fn(model(images.to(device)), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        recent.append((loss.detach(), len(labels)))  # .item() would wait for a GPU in every step
        whole.append(recent[-1])
        if step % 10 == 0:
            writer.add_scalar("loss/running", weighted_mean(recent), step)
            recent = []
    scheduler.step()
    writer.add_scalar("loss/train", weighted_mean(whole), epoch)
    writer.add_scalar("loss/val", evaluate(model, loaders.val, loss_fn).loss, epoch)
writer.close()

# %% [markdown]
# What was written? TensorBoard brings a reader of its own (the slower of its two), so we can check a log without looking
# at a browser.

# %%
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it speaks of whatever it leaves out


def read(run):
    """Return all events of one run; size_guidance 0 means: do not leave any out."""
    everything = {"scalars": 0, "images": 0, "tensors": 0}
    return EventAccumulator(str(logs / run), size_guidance=everything).Reload()


def curve(run, tag):
    """Return steps and values of one scalar."""
    events = read(run).Scalars(tag)
    return [event.step for event in events], [event.value for event in events]


print("tags:", read("by_hand").Tags()["scalars"])
print("epochs:", curve("by_hand", "loss/val")[0])
print(
    "a point every ten steps:", curve("by_hand", "loss/running")[0] == list(range(10, step + 1, 10))
)
print("no point too many:", len(curve("by_hand", "loss/running")[0]) == step // 10)

# %% [markdown]
# ### Mistake: no step, and two trainings in one folder
# A value without a step gets step 0. And one folder is one run: train twice into the same one, and both are in its
# files. What you see then depends on the reader. TensorBoard's usual, fast one keeps only the second training and says
# nothing; its older one, which we read with here, draws one line that jumps back.

# %%
falling = {"first": [2.0, 1.2, 0.9, 0.7], "second": [2.2, 1.6, 1.4, 1.3]}
for values in falling.values():
    with SummaryWriter(logs / "mixed") as writer:
        for epoch, value in enumerate(values, start=1):
            writer.add_scalar("loss", value, epoch)
            writer.add_scalar("without_step", value)
print("two trainings, one folder:", curve("mixed", "loss")[0])
print("without a step:           ", curve("mixed", "without_step")[0])

# %%
import matplotlib.pyplot as plt

from course_utils.plots import show

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.8), sharey=True)
left.plot(*curve("mixed", "loss"), marker="o", label="runs/mixed")
for name, values in falling.items():
    right.plot(range(1, 5), values, marker="o", label=f"runs/{name}")
left.set(title="Both in one folder, older reader", xlabel="epoch", ylabel="loss")
right.set(title="A folder each", xlabel="epoch")
for axis in (left, right):
    axis.set_xticks(range(1, 5))
    axis.legend()
show(
    figure,
    alt="Left, as the older reader gives it, one line runs down to epoch 4, jumps back to epoch 1 "
    "and runs down again. Right, the same values from a folder each: two separate falling lines.",
)

# %% [markdown]
# ## The same through fit
#
# `TensorBoard` from `course_utils` is a callback for `fit`. It writes the epoch values that the loop above wrote (a curve
# every ten steps stays with the loop), and everything else this notebook talks about. Logging must not change the training,
# so the callback gives every random number back as it found it. We train twice, with and without.

# %%
from course_utils.tensorboard import TensorBoard

model, loaders, optimizer, scheduler = start()
board = TensorBoard(
    logs / "callback",
    model,
    val_loader=loaders.val,
    class_names=data.class_names,
    images=data.val.images,
    every=2,
    hparams={"model": "SmallCNN", "lr": 3e-3},
)
options = {"epochs": 4, "scheduler": scheduler, "callbacks": [board], "verbose": False}
history = fit(model, loaders.train, loaders.val, loss_fn, optimizer, **options)

silent, loaders, optimizer, scheduler = start()
options |= {"scheduler": scheduler, "callbacks": []}
fit(silent, loaders.train, loaders.val, loss_fn, optimizer, **options)
pairs = zip(model.parameters(), silent.parameters(), strict=True)
print("the same weights without the log:", all(torch.equal(a, b) for a, b in pairs))


# %%
def same(first, second):
    return all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(first, second, strict=True))


columns = history.as_dict()
for tag in ("loss/train", "loss/val"):
    print(
        f"{tag}: as by hand: {same(curve('callback', tag)[1], curve('by_hand', tag)[1])}", end=", "
    )
    print(
        "as in the history:",
        same(curve("callback", tag)[1], columns["_".join(tag.split("/")[::-1])]),
    )
print("epochs:", curve("callback", "loss/val")[0], curve("callback", "accuracy/val")[0])
rates = curve("callback", "training/learning_rate")[1]
print("learning rates:", [f"{rate:.6f}" for rate in rates])

# %% [markdown]
# And the mistake from above? `fit` tells its callbacks when a new training begins, and this one then moves another log in
# its folder aside:

# %%
board = TensorBoard(logs / "mixed", model)
board.begin()  # fit does this
board.finish(history)
print("runs/mixed is empty:", read("mixed").Tags()["scalars"] == [], end=", ")
print("the old log is in:", [path.name for path in logs.glob("mixed-*")])

# %% [markdown]
# Here is what is in the log of our training, apart from the graph and the table of hyperparameters, which come further
# down. Scalars are single numbers, tensors hold the precision-recall curves, images are figures. (The line with
# `custom_scalars` is a layout: it puts training and validation into one chart.)

# %%
groups = {}
for kind in ("scalars", "tensors", "images"):
    for tag in read("callback").Tags()[kind]:
        groups.setdefault((kind, tag.partition("/")[0]), []).append(tag.partition("/")[2])
for (kind, group), names in groups.items():
    print(f"{kind:8} {group:24}", " ".join(names[:4]), "..." if len(names) > 4 else "")

# %% [markdown]
# Three of them deserve a word.
# - The **gradient norm** is the length of all gradients together, as if they were one long vector. It is measured at
#   every step, as the optimizer gets it (after clipping, notebook 08), and the mean and the largest are written. A largest
#   one that is far above the mean is a warning.
# - The **learning rate** is in the log because a scheduler that steps in the wrong place is seen nowhere else.
# - The **seconds** show an epoch that suddenly takes longer, when a disk fills up or another program wants the GPU.

# %%
figure, axes = plt.subplots(2, 3, figsize=(9.2, 4.8))
panels = {
    "Loss": ["loss/train", "loss/val"],
    "Accuracy": ["accuracy/train", "accuracy/val"],
    "F1 of three classes": [f"f1/{name}" for name in data.class_names[:3]],
    "Learning rate": ["training/learning_rate"],
    "Gradient norm": ["gradient_norm/mean", "gradient_norm/max"],
    "Seconds an epoch": ["training/seconds"],
}
for axis, (title, tags) in zip(axes.flat, panels.items(), strict=True):
    for tag in tags:
        axis.plot(*curve("callback", tag), marker="o", markersize=3, label=tag.split("/")[1])
    axis.set(title=title, xlabel="epoch", xlim=(0.8, 4.2))
    axis.set_ylim(0, 1.08 * axis.dataLim.ymax)
    axis.set_xticks(range(1, 5))
    if len(tags) > 1:
        axis.legend()
show(
    figure,
    alt="Six panels read back from the log, by epoch: both losses fall, both accuracies and F1 "
    "rise, the learning rate halves, the gradient norm falls, and each epoch has its seconds.",
)

# %%
norms = [curve("callback", f"gradient_norm/{kind}")[1] for kind in ("mean", "max")]
print("the largest is above the mean:", all(a < b for a, b in zip(*norms, strict=True)))
print("gradients get shorter:", norms[0][-1] < 0.8 * norms[0][0])
print("classes every second epoch:", curve("callback", f"f1/{data.class_names[0]}")[0])
print("seconds above 0:", min(curve("callback", "training/seconds")[1]) > 0)

# %% [markdown]
# ### Classes
# With `every=2`, every second epoch is looked at class by class: precision, recall and F1 as in notebook 05, a
# precision-recall curve for each class (`add_pr_curve`), the confusion matrix, and a grid of the mistakes the model was
# surest of. TensorBoard has a slider that goes back through the epochs. We read the last pictures out of the log:

# %%
from io import BytesIO

figure, axes = plt.subplots(2, 1, figsize=(7.6, 9), height_ratios=(2.2, 1))
for axis, tag in zip(axes, ("classes/confusion", "classes/mistakes"), strict=True):
    events = read("callback").Images(tag)
    axis.imshow(plt.imread(BytesIO(events[-1].encoded_image_string)))
    axis.set_title(f"{tag}, epoch {events[-1].step}")
    axis.axis("off")
    print(tag, "in the epochs", [event.step for event in events])
show(
    figure,
    alt="Two pictures read back from the log of epoch 4: the confusion matrix of the validation "
    "data, and below it a grid of the wrong answers, with the right class and the confidence.",
)

# %% [markdown]
# A PR curve is stored as a table: for each of 127 thresholds the true and false positives and negatives, and from them
# precision and recall. At threshold 0.5 we can count along.

# %%
from tensorboard.util import tensor_util

logits, targets = predict(model, loaders.val)
shares = logits.softmax(dim=1)
equal, tables = [], {}
for number, name in enumerate(data.class_names):
    event = read("callback").Tensors(f"pr/{name}")[-1]
    tables[name] = tensor_util.make_ndarray(event.tensor_proto)
    called, is_so = shares[:, number] >= 0.5, targets == number
    counted = [(called & is_so).sum(), (called & ~is_so).sum()]
    equal.append(tables[name][:2, 63].tolist() == [count.item() for count in counted])
print(
    "table:",
    tables[name].shape,
    " epochs:",
    [e.step for e in read("callback").Tensors(f"pr/{name}")],
)
print("true and false positives as counted, in every class:", all(equal))

# %%
figure, axis = plt.subplots(figsize=(4.8, 3.2))
hardest = sorted(data.class_names, key=lambda name: curve("callback", f"f1/{name}")[1][-1])[:3]
for name in hardest:
    precision, recall = (row[tables[name][4] > 0][::-1] for row in tables[name][4:6])
    axis.plot([0, *recall], [precision[0], *precision], label=name)  # it begins at recall 0
axis.set(title="The classes with the lowest F1", xlabel="recall", ylabel="precision")
axis.set(xlim=(0, 1.03), ylim=(0, 1.05))
axis.legend(loc="lower left")
show(
    figure,
    alt="Precision-recall curves of the three hardest classes, read back from the log. Each begins "
    "at recall 0; precision stays near 1 up to a high recall and then falls.",
)

# %% [markdown]
# ### Graph and hyperparameters
# The graph is the model as PyTorch traced it on one batch: every operation a node. A layer that `forward` never uses is
# missing in it, and that is how you find one:


# %%
class Forgetful(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.used(x)


with SummaryWriter(logs / "forgetful") as writer, warnings.catch_warnings(action="ignore"):
    writer.add_graph(Forgetful(), torch.zeros(1, 4))  # tracing speaks of itself
names = " ".join(node.name for node in read("forgetful").Graph().node)
print("in the graph:", {layer: f"[{layer}]" in names for layer in ("used", "unused")})

# %% [markdown]
# Hyperparameters are written when the training ends, beside the result of the best epoch (`add_hparams`), so that
# TensorBoard can set runs against each other in a table. For that, we need more runs.

# %%
for lr in (1e-4, 1e-3, 1e-2):
    seed_everything(0)
    loaders = make_loaders(data)
    mlp = MLP(data.input_shape, data.num_classes).to(device)
    optimizer = torch.optim.SGD(mlp.parameters(), lr=lr)
    board = TensorBoard(logs / f"mlp_{lr}", mlp, hparams={"model": "MLP", "lr": lr})
    options = {"epochs": 3, "callbacks": [board], "verbose": False}
    fit(mlp, loaders.train, loaders.val, loss_fn, optimizer, **options)

nodes = read("callback").Graph().node
print("convolutions in the graph:", sum("conv" in node.op for node in nodes))
results = {lr: curve(f"mlp_{lr}", "hparam/val_loss")[1][0] for lr in (1e-4, 1e-3, 1e-2)}
print("of these learning rates, the best is", min(results, key=results.get))
plugins = {meta.plugin_data.plugin_name for meta in read("mlp_0.01").summary_metadata.values()}
print("TensorBoard finds the hyperparameters:", "hparams" in plugins)

# %% [markdown]
# ### After an interruption
# A log has to go on where the training does. `fit` saves the callback with its checkpoints. A resumed callback tells
# TensorBoard to forget what was written after the checkpoint (`purge_step`). Here we stop after two epochs of four, and
# pretend that a third was in the log when the power failed.

# %%
for epochs in (2, 4):
    model, loaders, optimizer, scheduler = start()
    board = TensorBoard(logs / "resumed", model)
    places = {"checkpoint_dir": logs / "checkpoints", "resume": True}
    options = {"epochs": epochs, "scheduler": scheduler, "callbacks": [board], "verbose": False}
    fit(model, loaders.train, loaders.val, loss_fn, optimizer, **options, **places)
    if epochs == 2:
        with SummaryWriter(logs / "resumed") as writer:
            writer.add_scalar("loss/train", 99.0, 3)
print("epochs:", curve("resumed", "loss/train")[0])
whole, resumed = (curve(run, "loss/train")[1] for run in ("callback", "resumed"))
print("the same numbers as without an interruption:", same(whole, resumed))

# %% [markdown]
# ### Looking at it
# In a terminal: `tensorboard --logdir runs`, and open the address it prints. Inside JupyterLab and on Colab, TensorBoard
# opens below a cell:
#
# ```
# %load_ext tensorboard
# %tensorboard --logdir runs
# ```
#
# JupyterLab, started from a virtual environment that is not activated, does not find the program `tensorboard`; so the
# next cell says where it is, also for the magic above. Then it does the same as the magic, in Python, for the logs of this
# notebook. It starts a server that goes on running, so it waits until you set `SHOW = True`. Under *Scalars*, tick a few
# runs; under *Custom scalars*, training and validation share a chart.

# %%
import shlex
import shutil
import sysconfig

# The environment's programs need not be on JupyterLab's PATH.
program = shutil.which("tensorboard", path=sysconfig.get_path("scripts")) or "tensorboard"
os.environ.setdefault("TENSORBOARD_BINARY", program)
SHOW = False

if SHOW:
    from tensorboard import notebook

    notebook.start(f"--logdir {shlex.quote(str(logs))} --reload_interval 5")
else:
    print(
        "runs in the log:",
        sorted(path.name for path in logs.iterdir() if path.name != "checkpoints"),
    )

# %% [markdown]
# ### Weights & Biases
# Logs in folders are enough for one person. Services such as Weights & Biases keep them for a team. With
# `sync_tensorboard=True`, it takes everything that `SummaryWriter` writes, so the callback stays as it is. `offline` keeps
# the run on your disk until you upload it with `wandb sync`. Where `wandb` is installed, the next cell trains two epochs
# beside it, and then looks into its file for the name of a curve, `loss/train`. Nothing else in the course needs it.

# %% tags=["nbval-ignore-output"]
import contextlib
import time

if importlib.util.find_spec("wandb") is None:
    print("wandb is not installed here: pip install wandb, then run this cell again.")
else:
    import wandb

    with contextlib.chdir(logs):  # it expects logs below the current folder
        quiet = wandb.Settings(mode="offline", silent=True)
        run = wandb.init(project="course", sync_tensorboard=True, settings=quiet)
        model, loaders, optimizer, scheduler = start()
        options |= {"epochs": 2, "scheduler": scheduler}
        options["callbacks"] = [TensorBoard(logs / "wandb_run", model)]
        fit(model, loaders.train, loaders.val, loss_fn, optimizer, **options)
        run.finish()
        file = next(Path("wandb").glob("offline-run-*/*.wandb"))
        patience = time.monotonic() + 10
        while b"loss/train" not in file.read_bytes() and time.monotonic() < patience:
            time.sleep(0.2)  # another process writes it
        print("Weights & Biases has the loss:", b"loss/train" in file.read_bytes())

# %% [markdown]
# ## Where a step's time goes
#
# Seconds an epoch say *that* it is slow. The profiler says why. Here is a data set that standardises its images. It is
# correct, and it looks harmless.

# %%
from torch.utils.data import DataLoader, Dataset


class Standardised(Dataset):
    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        pixels = self.images.float() / 255
        image = (pixels[index] - pixels.mean()) / pixels.std()
        return image, self.labels[index]


some = data.train.images[:1000], data.train.labels[:1000]
slow = DataLoader(Standardised(*some), batch_size=64)

# %% [markdown]
# `torch.profiler` notes every operation with its time. `record_function` puts our own names around them, one for each
# part of a step. One forward pass goes before, unmeasured, because the first one always takes longer. (`acc_events=True`
# keeps the events of all cycles. There is only one here, but without it some versions of PyTorch warn of a loss.)

# %%
from torch.profiler import ProfilerActivity, profile, record_function

os.environ["KINETO_LOG_LEVEL"] = "99"  # else it writes about itself below the cell


def profile_steps(loader, steps=4):
    """Return milliseconds a step for its four parts, and the profiler."""
    model, _, optimizer, _ = start()
    batches = iter(loader)
    model(next(batches)[0].to(device))
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
        for _ in range(steps):
            with record_function("part: data"):
                images, labels = (tensor.to(device) for tensor in next(batches))
            with record_function("part: forward"):
                loss = loss_fn(model(images), labels)
            with record_function("part: backward"):
                optimizer.zero_grad()
                loss.backward()
            with record_function("part: optimizer"):
                optimizer.step()
    parts = [row for row in profiler.key_averages() if row.key.startswith("part: ")]
    return {row.key[6:]: row.cpu_time_total / 1000 / steps for row in parts}, profiler


# %% tags=["nbval-ignore-output"]
before, profiler = profile_steps(slow)
for part, milliseconds in before.items():
    print(f"{part:10} {milliseconds:8.2f} ms a step")
print(f"without any model, {before['data']:.0f} of {sum(before.values()):.0f} ms would be left")
rows = [row for row in profiler.key_averages() if not row.key.startswith("part: ")]
print("operations that take longest:")
for row in sorted(rows, key=lambda row: row.self_cpu_time_total, reverse=True)[:4]:
    print(
        f"  {row.key:24} {row.self_cpu_time_total / 4000:8.2f} ms a step, {row.count / 4:.0f} calls"
    )

# %% [markdown]
# Most of the time goes into the data, before the model sees anything. The list of operations says which: standard
# deviations, divisions, sums and copies (`copy_`: the conversions), and as many calls as there are images in a batch, or
# more. Every single image converts *all* images, and computes the same two numbers again. They belong into `__init__`,
# once.


# %%
class StandardisedOnce(Standardised):
    def __init__(self, images, labels):
        super().__init__(images, labels)
        pixels = images.float() / 255
        self.mean, self.std = pixels.mean(), pixels.std()

    def __getitem__(self, index):
        return (self.images[index].float() / 255 - self.mean) / self.std, self.labels[index]


fast = DataLoader(StandardisedOnce(*some), batch_size=64)
after, _ = profile_steps(fast)
same_batch = torch.allclose(next(iter(slow))[0], next(iter(fast))[0])
print("the same images:", same_batch)
print("before, data took most of a step:", before["data"] > 0.5 * sum(before.values()))
print("the data is at least three times as fast:", before["data"] > 3 * after["data"])
print("the whole step is faster:", sum(before.values()) > sum(after.values()))

# %%
figure, axis = plt.subplots(figsize=(7, 2.4))
for name, parts in {"before": before, "after": after}.items():
    left = 0.0
    for number, (part, milliseconds) in enumerate(parts.items()):
        label = part if name == "before" else None
        axis.barh(name, milliseconds, left=left, color=f"C{number}", label=label)
        left += milliseconds
    axis.text(left, name, f"  {left:.0f} ms", va="center", fontsize=9)
axis.invert_yaxis()
axis.margins(x=0.12)
axis.grid(axis="y", visible=False)
axis.set(title="Where a step's time goes", xlabel="milliseconds a step")
axis.legend(loc="lower right", ncols=2)
show(
    figure,
    alt="Two bars. Before, a step takes long, and nearly all of it is data. After, the bar is a "
    "small part of that length.",
)

# %% [markdown]
# Always measure before you change something: here even a model that takes no time would have saved little. On a GPU the
# processor only hands out the work and is early. So there, add `ProfilerActivity.CUDA` and read `device_time_total` too,
# or call `torch.cuda.synchronize()` at the end of each part.
#
# ## Ten faults
#
# Now for reading curves. We train one small network on 512 images, and then once more for each of ten faults. It is a
# plain loop with a switch for everything that can go wrong, so that you see how little each fault is.

# %%
EPOCHS = 20


def stacked(part, count=512):
    """Return the first images of a part, as the model gets them, and their labels."""
    items = [part[index] for index in range(min(count, len(part)))]
    images, labels = torch.stack([image for image, _ in items]), part.labels[: len(items)]
    return images.to(device), labels.to(device)


def network():
    return MLP(data.input_shape, data.num_classes, hidden_dims=(64,))


train_part, val_part = stacked(data.train), stacked(data.val)
images, labels = train_part
print("as many labels as images:", len(images) == len(labels), len(val_part[0]) == len(val_part[1]))


# %%
def train_with(
    seed=0, *, train=train_part, val=val_part, build=network, lr=0.1, loss_fn=loss_fn,
    shuffle=True, zero_grad=True, broken_step=None,
):  # fmt: skip
    """Return the training loss of every step and the validation loss of every epoch."""
    torch.manual_seed(seed)
    model, steps, val_losses = build().to(device), [], []
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(EPOCHS):
        count = len(train[1])
        order = torch.randperm(count) if shuffle else torch.arange(count)
        for batch in order.split(32):
            scale = 1000 if len(steps) == broken_step else 1
            loss = loss_fn(model(scale * train[0][batch]), train[1][batch])
            if zero_grad:
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps.append(loss.item())
        with torch.no_grad():
            val_losses.append(loss_fn(model(val[0]), val[1]).item())
    return steps, val_losses


# %% [markdown]
# The faults: *Sorted, unshuffled* are two things at once: the images come class by class, and nobody shuffles them. (Only
# not to shuffle is harmless here, as these images are in no order; a cell below trains that, too.) *Softmax twice* is a
# loss that gets shares in place of logits. In *dead ReLU*, a careless start has put all hidden neurons below 0, where
# their gradient is 0. *Exploding gradients* come from one batch in the ninth epoch, whose pixels are a thousand times too
# large. In *leakage*, the validation images are training images. Three faults get a smaller learning rate, which makes
# the picture clearer.


# %%
def softmax_twice(logits, targets):
    return nn.functional.cross_entropy(logits.softmax(dim=1), targets)


def dead_network():
    model = network()
    with torch.no_grad():
        model.layers[1].bias -= 100
    return model


def tiny_network():
    """All it passes on of an image are two numbers."""
    layers = nn.Linear(math.prod(data.input_shape), 2), nn.Linear(2, data.num_classes)
    return nn.Sequential(nn.Flatten(), *layers)


by_class = labels.argsort(stable=True)
ninth = 8 * math.ceil(len(labels) / 32) + 3

# %%
faults = {
    "learning rate too high": {"lr": 20.0},
    "learning rate too low": {"lr": 0.0005},
    "sorted, unshuffled": {
        "train": (images[by_class], labels[by_class]),
        "shuffle": False,
        "lr": 0.03,
    },
    "zero_grad forgotten": {"zero_grad": False, "lr": 0.01},
    "labels off by one": {"train": (images, (labels + 1) % data.num_classes)},
    "softmax twice": {"loss_fn": softmax_twice},
    "exploding gradients": {"broken_step": ninth},
    "dead ReLU": {"build": dead_network},
    "leakage": {"val": (images[:256], labels[:256])},
    "model too small": {"build": tiny_network, "lr": 0.03},
}
gallery = {"nothing wrong": train_with()}
gallery |= {name: train_with(**options) for name, options in faults.items()}
print("trained:", "; ".join(gallery))

# %% [markdown]
# Two lines help to read the panels. The dotted one is the loss of guessing, the logarithm of the number of classes: above
# it, a model is *confidently wrong*. The dashed one is the lowest loss that softmax twice can reach. The scale is even up
# to 3, and above it goes by powers of ten.

# %%
guessing = math.log(data.num_classes)
floor = math.log(math.e + data.num_classes - 1) - 1


def draw_losses(axis, run, title):
    steps, val_losses = run
    epochs = [(index + 1) * EPOCHS / len(steps) for index in range(len(steps))]
    axis.plot(epochs, steps, linewidth=0.8, label="training, every step")
    axis.plot(range(1, EPOCHS + 1), val_losses, label="validation")
    axis.axhline(guessing, color="#717581", linewidth=1.2, linestyle=":", label="guessing")
    axis.axhline(
        floor, color="#717581", linewidth=1, linestyle="--", label="floor of softmax twice"
    )
    axis.set_yscale("symlog", linthresh=3, linscale=4)
    ticks = [0, 1, 2, 3, 10, 100, 1000, 10_000, 100_000]
    axis.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    axis.set(title=title, ylim=(0, 200_000), xlim=(0, EPOCHS))
    axis.set_xticks([0, 10, 20])


# %%
figure, axes = plt.subplots(3, 4, figsize=(9, 6.5), sharex=True, sharey=True)
for axis, (name, run) in zip(axes.flat, gallery.items(), strict=False):
    draw_losses(axis, run, name if "_" in name else name[0].upper() + name[1:])
    axis.set_title(axis.get_title("left"), fontsize=9.5)
handles, texts = axes[0, 0].get_legend_handles_labels()
axes[2, 3].axis("off")
axes[2, 3].legend(handles, texts, loc="center")
for axis in axes[:, 0]:
    axis.set_ylabel("loss")
for axis in axes[2, :3]:
    axis.set_xlabel("epoch")
axes[1, 3].tick_params(labelbottom=True)
show(
    figure,
    alt="Eleven plots of training and validation loss over twenty epochs. Too high a rate stays "
    "above guessing, too low a rate and dead ReLU are nearly flat, sorted data give a saw, a "
    "forgotten zero_grad swings wider, shifted labels part the two curves, exploding gradients are "
    "one spike; the table below has the others.",
)

# %% [markdown]
# | fault | what you see | why |
# |---|---|---|
# | nothing wrong | both fall and stay low, validation a little above training | |
# | learning rate too high | a leap at the very start, then noise above guessing | each step jumps over the valley |
# | learning rate too low | a straight line that has hardly fallen | right direction, tiny steps |
# | sorted, unshuffled | a saw, one tooth an epoch or more | each class is learned, and forgotten for the next |
# | zero_grad forgotten | falls at first, then swings more and more | old gradients are added to every step |
# | labels off by one | training perfect, validation far *above* guessing | it learned the shifted names, well |
# | softmax twice | a smooth fall that ends on the dashed line | shares cannot get further apart than 0 and 1 |
# | exploding gradients | healthy for a while, then a sudden leap by powers of ten | one huge step spoils the weights; here training finds its way back, often it does not |
# | dead ReLU | flat at guessing from the start | no gradient reaches the first layer |
# | leakage | validation as low as training: too good | the answers were known |
# | model too small | both curves level off together, well above 0 | there is no room for the rest |

# %%
last = {name: (sum(steps[-16:]) / 16, val[-1]) for name, (steps, val) in gallery.items()}
healthy = last["nothing wrong"]
spike = gallery["exploding gradients"][0]
print(
    "too high stays above guessing:",
    sum(gallery["learning rate too high"][1][-10:]) / 10 > guessing,
)
print("too low is still above half of it:", last["learning rate too low"][1] > guessing / 2)
print("sorted, it starts with a saw:", max(gallery["sorted, unshuffled"][0][:160]) > guessing + 0.5)
unsorted = train_with(shuffle=False, lr=0.03)
print("not shuffled, but not sorted, there is none:", max(unsorted[0][:160]) < guessing + 0.5)
print("no zero_grad, it comes apart:", max(gallery["zero_grad forgotten"][1][10:]) > 1.5 * guessing)
print("off by one, training is fine:", last["labels off by one"][0] < 0.5)
print("off by one, validation is not:", last["labels off by one"][1] > 2 * guessing)
print("softmax twice never gets below its floor:", min(gallery["softmax twice"][0]) > floor - 1e-3)
print("the spike is a hundred times guessing:", max(spike) > 100 * guessing)
print("and before it all was well:", sum(spike[ninth - 16 : ninth]) / 16 < 0.5 * guessing)
print("and at the end again:", last["exploding gradients"][1] < 0.5 * guessing)
print("dead ReLU stays at guessing:", abs(last["dead ReLU"][1] - guessing) < 0.1)
print("leakage looks better than healthy:", last["leakage"][1] < 0.6 * healthy[1])
print("too small levels off high:", min(last["model too small"]) > 3 * healthy[1])

# %% [markdown]
# ## Your turn
#
# ### 1. One curve after two interruptions
# `events` is a list of pairs `(step, value)`, in the order in which they were written. Whenever the training was killed, it
# was resumed from an earlier checkpoint: the steps go back, and what had been written for that step and for later ones does
# not count any more. Return the list of pairs that count, with rising steps.


# %% tags=["exercise"]
def one_curve(events):
    # your code here
    ...


# %% tags=["check"]
from checks import monitoring

monitoring.one_curve(one_curve)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def one_curve(events):
#     curve = []
#     for step, value in events:
#         while curve and curve[-1][0] >= step:
#             curve.pop()
#         curve.append((step, value))
#     return curve
# ```
#
# A dictionary with one value for each step is not enough: steps that the killed training had reached, and the resumed one not
# yet, would stay in it. This is what `purge_step` tells TensorBoard.
# </details>

# %% [markdown]
# ### 2. The norm of the gradients
# `parameters` is what `model.parameters()` gives, after `backward`. Return the length of all gradients together, as if
# they were one long vector. Some parameters may have no gradient (`None`).


# %% tags=["exercise"]
def gradient_norm(parameters):
    # your code here
    ...


# %% tags=["check"]
monitoring.gradient_norm(gradient_norm)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def gradient_norm(parameters):
#     squares = [p.grad.pow(2).sum() for p in parameters if p.grad is not None]
#     return torch.stack(squares).sum().sqrt().item()
# ```
#
# Squares add up, norms do not: the sum of the single norms would be too long.
# </details>

# %% [markdown]
# ### 3. Which fault is it?
# The ten faults again, each trained from another random start, in another order and without names. Write the name of the
# fault for each letter, as it stands in `faults`.

# %%
letters = "ABCDEFGHIJ"
order = monitoring.quiz_order(faults)
figure, axes = plt.subplots(2, 5, figsize=(9.6, 5), sharex=True, sharey=True)
for letter, name, axis in zip(letters, order, axes.flat, strict=True):
    draw_losses(axis, train_with(seed=1, **faults[name]), letter)
for axis in axes[:, 0]:
    axis.set_ylabel("loss")
for axis in axes[1]:
    axis.set_xlabel("epoch")
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
show(
    figure,
    alt="Ten plots of training and validation loss, lettered A to J, each with one of the ten "
    "faults of the table above.",
)
print("to choose from:", "; ".join(faults))

# %% tags=["exercise"]
diagnosis = {
    "A": ...,
    "B": ...,
    "C": ...,
    "D": ...,
    "E": ...,
    "F": ...,
    "G": ...,
    "H": ...,
    "I": ...,
    "J": ...,
}

# %% tags=["check"]
monitoring.diagnosis(diagnosis)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# diagnosis = {
#     "A": "model too small",
#     "B": "learning rate too high",
#     "C": "softmax twice",
#     "D": "leakage",
#     "E": "sorted, unshuffled",
#     "F": "zero_grad forgotten",
#     "G": "dead ReLU",
#     "H": "labels off by one",
#     "I": "learning rate too low",
#     "J": "exploding gradients",
# }
# ```
#
# Two of them are easy to mix up: *dead ReLU* is flat from the first step, *learning rate too low* is straight but falls.
# </details>

# %% [markdown]
# ## Recap
#
# - A running loss is weighted by samples. Log it every so many steps, with the step.
# - One folder is one run. `TensorBoard` as a callback of `fit` writes curves, classes, figures, graph and
#   hyperparameters, and goes on after an interruption.
# - A log can be read back with `EventAccumulator`, and so be tested.
# - Profile first, then change the part that takes the time. Often it is the data.
# - Look at both curves, where they start, where they end, and how rough they are. Most faults have a shape.
#
# **Next:** [08 · Training well](08_training_well.ipynb) makes a training that works better.
