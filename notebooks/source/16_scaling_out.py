# %% [markdown]
# # 16 · Scaling out: more processes, the same training
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/16_scaling_out.ipynb)
#
# **After this notebook you can**
# - compile a model, say what that costs and what it saves, and see where the graph breaks;
# - start several processes with `torchrun`, and have them take the very steps that one process would take;
# - recognise the classic mistakes by their numbers: wrong means, samples counted twice, leaks, forgotten epochs;
# - write checkpoints once, resume them in all processes, and survive a process that is killed;
# - stream a table that does not fit into memory, each row read once, whoever reads;
# - say, before you rent them, what several machines would bring; and divide a model among processes.
#
# **Time:** 80 minutes. **Builds on:** [03 · The training loop](03_training_loop.ipynb),
# [06 · Saving and resuming](06_saving_and_resuming.ipynb) and
# [10 · Project: phone prices](10_project_phone_prices.ipynb).
#
# Everything so far ran in one process. More of them are worth having only if the result stays the same; so this lesson
# compares, tensor by tensor, and all of it runs on a laptop with two processes. On GPUs the commands are the same.

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
import importlib
import math
import os
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from course_utils import evaluate, fit, get_device, load_dataset, make_loader
from course_utils import seed_everything, train_epoch
from course_utils.plots import plt, show

device = get_device()
data = load_dataset(os.environ.get("COURSE_DATASET", "digits"))
loss_fn = nn.CrossEntropyLoss()
workplace = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
folder = Path(workplace.name)
print(len(data.train), "images to train on,", len(data.val), "to choose by")

# %% [markdown]
# ## One process first
#
# Before you add processes, know what one does in a second. If it waits for its data, a second one will wait beside it:
# more workers in the loader are the remedy (notebook 01). Here are the seconds of a step, after a few to warm up.

# %% tags=["nbval-ignore-output"]
from course_utils import SmallCNN, count_parameters

seed_everything(0)
cnn = SmallCNN(data.input_shape, data.num_classes).to(device)
sgd = torch.optim.SGD(cnn.parameters(), lr=0.01)
batches = list(make_loader(data.train, drop_last=True))
train_epoch(cnn, batches[:3], loss_fn, sgd)
begin = time.perf_counter()
read = sum(len(labels) for _, labels in make_loader(data.train))
reading = time.perf_counter() - begin
result = train_epoch(cnn, batches, loss_fn, sgd)
step_seconds = result.seconds / result.batches
print(
    f"{1000 * step_seconds:.1f} ms a step, {result.samples / result.seconds:,.0f} images a second"
)
print(f"reading the same images alone takes {reading / result.seconds:.0%} of that time")

# %%
gradient_bytes = 4 * count_parameters(cnn)
print(f"{count_parameters(cnn):,} parameters: gradients of {gradient_bytes / 1e6:.2f} MB a step")
print("a step takes longer than reading its images:", reading < result.seconds)

# %% [markdown]
# Remember the two numbers, the time of a step and the bytes of its gradients. At the end they decide how many machines are
# worth having.
#
# ## Eager and compiled
#
# You may read that TensorFlow has a static graph and PyTorch a dynamic one. That is out of date: both run eagerly, and
# both compile. *Eager* means that each operation runs when Python comes to it. Look at this activation function, an
# approximation of GELU: nine operations, and each of them reads a whole tensor and writes a new one.


# %%
def activation(x):
    return 0.5 * x * (1 + torch.tanh(0.79788 * (x + 0.044715 * x * x * x)))


# %% [markdown]
# `torch.compile` watches the function once, writes down the operations as a *graph*, and gives that to a *backend*, which
# returns something that can be called instead. A backend is a function, so you can write one: this one shows what it
# got, counts, and runs the graph as it is.

# %%
graphs = []


def watching(graph, inputs):
    """A backend that compiles nothing: it keeps the operations it is asked to compile."""
    graphs.append(
        [node.target.__name__ for node in graph.graph.nodes if node.op == "call_function"]
    )
    return graph.forward


x = torch.linspace(-3, 3, 1001)
watched = torch.compile(activation, backend=watching)
print("the same numbers:", torch.equal(watched(x), activation(x)))
print(len(graphs), "graph of", len(graphs[0]), "operations:", " ".join(graphs[0]))

# %% [markdown]
# The default backend, Inductor, writes one loop over all of these operations, as C++ for a CPU and Triton for a GPU, and
# calls a compiler. Without a C++ compiler (a bare Windows, say) it cannot, and the cell below then falls back to
# `"eager"`, which like ours only takes the graph. The numbers are those of the plain function, up to rounding.

# %%
import logging
import shutil

logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it looks for CUDA
os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "inductor")  # nothing compiled before counts
has_compiler = device.type == "cuda" or any(map(shutil.which, ("g++", "clang++", "cl")))
backend = "inductor" if has_compiler else "eager"
trust = {"cpp.vec_isa_ok": True} if has_compiler else None  # saves trial compilations
compiled = torch.compile(activation, backend=backend, options=trust)
x = torch.linspace(-3, 3, 2_000_000, device=device)
begin = time.perf_counter()
first = compiled(x)
first_call = time.perf_counter() - begin
print("equal to 1e-6:", torch.allclose(first, activation(x), atol=1e-6))

# %% [markdown]
# That first call compiled. Here is what it cost, and what the later ones take, the two versions taking turns.


# %% tags=["nbval-ignore-output"]
def seconds_of(function):
    begin = time.perf_counter()
    function(x)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


pairs = [(seconds_of(activation), seconds_of(compiled)) for _ in range(31)]
eager_call, compiled_call = (sorted(column)[15] for column in zip(*pairs, strict=True))
print(f"first call {first_call:.1f} s; then {1000 * compiled_call:.2f} ms instead of", end=" ")
calls = first_call / (eager_call - compiled_call)
print(f"{1000 * eager_call:.2f} ms: worth it after {calls:,.0f} calls")

# %%
print("the first call takes as long as 50 later ones:", first_call > 50 * compiled_call)
print("compiled is faster once it is compiled:", compiled_call < eager_call or not has_compiler)

# %% [markdown]
# So compile what runs many thousand times, on a GPU above all, and not a training of a minute.
#
# ### What breaks a graph
# A graph holds operations on tensors. Where Python must *look* at a value to go on, an `if` on a tensor, `.item()`, `print`,
# the graph ends, Python decides, and another graph begins. `explain` counts them:


# %%
def clipped(x):
    y = 2 * x
    if y.sum() > 0:  # a number that only the running program knows
        y = y - y.mean()
    return y + 1


def unclipped(x):
    y = 2 * x
    return torch.where(y.sum() > 0, y - y.mean(), y) + 1


small = torch.tensor([1.0, 2.0, 4.0])
for function in (clipped, unclipped):
    found = torch._dynamo.explain(function)(small)
    print(f"{function.__name__:9}: {found.graph_count} graphs, {found.graph_break_count} breaks")
print("the same result:", torch.equal(clipped(small), unclipped(small)))

# %% [markdown]
# A break is no error, only slow. With `fullgraph=True` it becomes one, which is how you find it:

# %%
try:
    torch.compile(clipped, backend="eager", fullgraph=True)(small)
except torch._dynamo.exc.Unsupported as error:
    print(type(error).__name__, "-", str(error).splitlines()[0])

# %% [markdown]
# ### What compiles again
# A graph is made for the shapes that were seen. The last batch of an epoch is shorter; then the function is compiled a
# second time, now for batches of any size but 1, which is always a case of its own. `drop_last=True` saves even that.

# %%
torch._dynamo.reset()
graphs.clear()
watched = torch.compile(activation, backend=watching)
for size in (64, 64, 53, 20, 1, 7):
    watched(torch.zeros(size))
    print(f"batch of {size}: {len(graphs)} compilations so far")

# %% [markdown]
# ### Mistake: weights with other names
# A compiled model is a wrapper, and its weights are called after it. A checkpoint of the wrapper does not fit the plain
# model. `model.compile()` compiles in place and leaves the names alone; `course_utils` saves what is inside the wrapper.

# %%
from course_utils.distributed import unwrap


def build():
    seed_everything(0)
    width = math.prod(data.input_shape)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, data.num_classes)
    )


wrapped, plain = torch.compile(build(), backend="eager"), build()
print(list(wrapped.state_dict())[:2], "instead of", list(plain.state_dict())[:2])
try:
    plain.load_state_dict(wrapped.state_dict())
except RuntimeError as error:
    print("RuntimeError:", str(error).splitlines()[0])
plain.load_state_dict(unwrap(wrapped).state_dict())
plain.compile(backend="eager")
print("after plain.compile():", list(plain.state_dict())[:2])

# %% [markdown]
# `train_epoch` does not mind: it is the same training, with the same weights in the end.

# %%
ends = []
for model in (build(), torch.compile(build(), backend="eager")):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train_epoch(model, make_loader(data.train, shuffle=True), loss_fn, optimizer)
    ends.append(list(model.parameters()))
far = max((a - b).abs().max().item() for a, b in zip(*ends, strict=True))
print("eager and compiled, trained for an epoch: equal to 1e-5:", far < 1e-5)

# %% [markdown]
# ## Several GPUs: not with DataParallel
#
# `nn.DataParallel(model)` is one line, and that is all that speaks for it. One process, with one Python interpreter, drives
# all GPUs. In *each step* it copies all weights from the first GPU to the others, cuts the batch, collects the outputs on
# the first, and adds the gradients there. With `DistributedDataParallel`, each GPU has a process and keeps its weights;
# only gradients travel, around a ring in which all links work at once. The traffic of the busiest GPU, for n of them:

# %%
megabytes = 100  # of weights, and so of gradients
print("GPUs  DataParallel  DistributedDataParallel   (MB through the busiest GPU, each step)")
for gpus in (2, 4, 8):
    star = 2 * (gpus - 1) * megabytes  # weights out, gradients in
    ring = 2 * (gpus - 1) / gpus * 2 * megabytes  # two rounds, each sends and receives
    print(f"{gpus:4}  {star:12.0f}  {ring:23.0f}")

# %% [markdown]
# The star grows with every GPU, the ring hardly. And one process cannot reach a second machine. On a machine with several
# GPUs, the next cell shows that DataParallel at least gives the same outputs; PyTorch's own documentation
# [advises against it](https://docs.pytorch.org/docs/stable/generated/torch.nn.DataParallel.html).

# %%
if device.type == "cuda" and torch.cuda.device_count() > 1:
    images = next(iter(make_loader(data.val)))[0].to(device)
    outputs = nn.DataParallel(cnn.eval())(images)
    print("the same outputs:", torch.allclose(outputs, cnn(images), atol=1e-4))
else:
    print("Fewer than two GPUs here: nothing for DataParallel to do.")

# %% [markdown]
# ## Two processes
#
# `torchrun` starts a program several times and tells each process, in environment variables, how many there are
# (`WORLD_SIZE`) and which one it is (`RANK`, from 0). `init_process_group` reads them and connects the processes. From
# then on they run the same program side by side, and talk only where the program says so.
#
# Starting them takes some seconds. So this lesson starts two once, and lets them wait for work: whenever a function
# arrives in a folder, both run it and write down what it returned. This is their whole program.

# %%
beginning = """
import os, sys, threading, time
from datetime import timedelta
from pathlib import Path
import torch
import torch.distributed as dist
def end_with_the_notebook():
    os.read(0, 1)  # comes back when the notebook closes the standard input, or dies
    os._exit(0)
def main():
    threading.Thread(target=end_with_the_notebook, daemon=True).start()
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))  # "nccl" for GPUs
"""

# %%
loop = """
    names = {}
    for job in (Path(sys.argv[1], f"job_{number}") for number in range(10_000)):
        while not job.exists():
            time.sleep(0.005)
        try:
            exec(job.read_text(), names)
            answer = True, names["answer"]
        except Exception as error:
            answer = False, f"{type(error).__name__}: {error}"
        torch.save(answer, f"{job}.part_{dist.get_rank()}")
        os.replace(f"{job}.part_{dist.get_rank()}", f"{job}.answer_{dist.get_rank()}")
if __name__ == "__main__":  # the workers of a loader may read this file, too
    main()
"""
print(len((beginning + loop).splitlines()), "lines for each of the processes")

# %% [markdown]
# And this is the notebook's side. `torchrun` is short for `python -m torch.distributed.run`; `--standalone` finds a free port
# by itself; one thread each, because two processes with two threads each would quarrel about two cores. Both end when this
# notebook closes their standard input, or ends itself. If they have ended, run this cell again.

# %%
import subprocess
import sys
from itertools import count

torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
_ = (folder / "pair.py").write_text(beginning + loop)
jobs, numbers = Path(tempfile.mkdtemp(dir=folder)), count()
environment = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": os.path.abspath(".."),
    "CUDA_VISIBLE_DEVICES": "",  # the pair computes on the CPU, also where there is a GPU
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # see "A process dies"
}
log = (folder / "pair.log").open("w")
pair = subprocess.Popen(
    [*torchrun, str(folder / "pair.py"), str(jobs)],
    env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log,
)  # fmt: skip
print("started, with the options", *torchrun[3:])

# %% [markdown]
# What the functions need is imported in all three places: here, and by a text in both processes.

# %%
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset, random_split

from course_utils import MLP, load_checkpoint, make_loaders
from course_utils.distributed import gather, rank, world_size

imports = """
import math, os, time
from pathlib import Path
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset, random_split
from course_utils import *
from course_utils.distributed import gather, rank, unwrap, world_size
if "data" not in globals():
    data = load_dataset(os.environ.get("COURSE_DATASET", "digits"))
    loss_fn = nn.CrossEntropyLoss()
"""

# %% [markdown]
# Two decorators do the sending. A function under `@everywhere` can be used here and in both processes; one under
# `@in_both` runs there when it is called, and gives a list with the answer of each.

# %%
import inspect

sent = {"imports": imports}


def everywhere(function):
    lines = inspect.getsource(function).splitlines()
    sent[function.__name__] = "\n".join(lines[1:])  # without the decorator
    return function


# %%
from functools import wraps


def in_both(function):
    @wraps(function)
    def run(*arguments, seconds=100):
        job, call = jobs / f"job_{next(numbers)}", f"{function.__name__}{arguments!r}"
        job.with_suffix(".part").write_text("\n\n".join([*sent.values(), f"answer = {call}"]))
        job.with_suffix(".part").rename(job)
        files, end = [Path(f"{job}.answer_{rank}") for rank in (0, 1)], time.time() + seconds
        while not all(file.exists() for file in files):
            if time.time() > end or pair.poll() is not None:
                pair.stdin.close()  # which ends both
                raise RuntimeError((folder / "pair.log").read_text()[-1000:])
            time.sleep(0.005)
        answers = [torch.load(file) for file in files]
        for good, answer in answers:
            if not good:
                raise RuntimeError(f"in the pair: {answer}")
        return [answer for _, answer in answers]

    everywhere(function)
    return run


# %% [markdown]
# Who are you?


# %%
@in_both
def who():
    return f"process {rank()} of {world_size()}, {torch.get_num_threads()} thread"


for answer in who():
    print(answer)

# %% [markdown]
# ### All-reduce
# All of this lesson rests on one operation. In `all_reduce`, every process gives a tensor, and afterwards every process has
# the sum of them.


# %%
@in_both
def add_up():
    mine = torch.tensor([1.0, 10.0]) * (rank() + 1)
    before = mine.tolist()
    dist.all_reduce(mine)  # in place, SUM if you name nothing else
    return before, mine.tolist()


for number, (before, after) in enumerate(add_up()):
    print(f"process {number} gave {before} and has {after}")

# %% [markdown]
# The rule that comes with it: *all* processes must come to the same `all_reduce`. If one of them takes another turn, the
# rest waits, here for 60 seconds, by default for half an hour with gloo and ten minutes with nccl. That is why the code
# under `if rank == 0:` must be short and talk to nobody.
#
# ## The gradient of a whole batch
#
# Data parallel training is this: every process has the same weights, computes the gradient on its part of the batch, and
# the mean of these gradients is the gradient of the batch. Take a model that fits on a line: `prediction = w * x` with one
# weight, and four samples.


# %%
@everywhere
def gradient(xs, ys):
    """The gradient of the mean squared error at w = 0."""
    w = torch.zeros(1, requires_grad=True)
    nn.functional.mse_loss(w * torch.tensor(xs), torch.tensor(ys)).backward()
    return w.grad


@in_both
def mean_gradient(xs, ys, parts):
    begin, end = parts[rank()]
    grad = gradient(xs[begin:end], ys[begin:end])
    own = grad.item()
    dist.all_reduce(grad)
    return own, (grad / world_size()).item()


xs, ys = [1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 6.0]
print("whole batch, one process:", gradient(xs, ys).item())
for parts in ([(0, 2), (2, 4)], [(0, 3), (3, 4)]):
    (first, mean), (second, _) = mean_gradient(xs, ys, parts)
    print(f"parts {parts}: {first:g} and {second:g}, mean {mean:g}")

# %% [markdown]
# Two and two samples give -6, as they should. Three and one give -8: the single sample of the second process counts as much
# as the three of the first. It is the mistake of notebook 03, the mean of means, and it happens in every last batch that does
# not divide. The remedy is the same: weigh each part by its samples.


# %%
@in_both
def weighed_gradient(xs, ys, parts):
    begin, end = parts[rank()]
    samples = torch.tensor([float(end - begin)])
    grad = gradient(xs[begin:end], ys[begin:end]) * samples
    dist.all_reduce(grad)
    dist.all_reduce(samples)
    return (grad / samples).item()


print("three and one, weighed:", weighed_gradient(xs, ys, [(0, 3), (3, 4)]))

# %% [markdown]
# ## Two processes equal one
#
# Now a real model, and the promise of this lesson: two processes that read halves of each batch end with the weights of one
# process that reads whole batches. First the one process, here in the notebook. Its last batch is short, and odd.

# %%
sent["build"] = inspect.getsource(build)  # the function from above, for both
alone = build()
optimizer = torch.optim.SGD(alone.parameters(), lr=0.02, momentum=0.9)
loader = make_loader(data.train, batch_size=64, shuffle=True)
alone_results = [train_epoch(alone, loader, loss_fn, optimizer) for _ in range(3)]
sizes = [len(labels) for _, labels in loader]
print(len(sizes), "steps an epoch, the last one with", sizes[-1], "images")

# %% [markdown]
# By hand in two processes: the same loop as in notebook 03, and between `backward` and `step` the gradients are added.
# `make_loader` gives each process its part of every batch, once there is a process group. The loop works because both have
# equally many batches; with a last batch of one image it would wait for ever, which `train_epoch` sees to.


# %%
@in_both
def by_hand():
    model = build()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    loader = make_loader(data.train, batch_size=64, shuffle=True)
    for _ in range(3):
        for images, labels in loader:
            optimizer.zero_grad()
            (loss_fn(model(images), labels) * len(labels)).backward()
            samples = torch.tensor(float(len(labels)))
            dist.all_reduce(samples)
            for parameter in model.parameters():
                dist.all_reduce(parameter.grad)
                parameter.grad /= samples
            optimizer.step()
    return [len(labels) for _, labels in loader], model.state_dict()


# %%
@everywhere
def distance(one, other):
    """The largest difference between two sets of weights."""
    pairs = zip(one.values(), other.values(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


(sizes_0, state_0), (sizes_1, state_1) = by_hand()
print("images in the last batches:", sizes_0[-2:], "and", sizes_1[-2:])
print("both processes end with the same weights:", distance(state_0, state_1) == 0)
print("those of the one process, to 1e-5:", distance(state_0, alone.state_dict()) < 1e-5)

# %% [markdown]
# Not to the last bit: a sum of halves is rounded differently from a sum of the whole.
#
# `DistributedDataParallel` does the adding for you. It wraps the model, copies the weights of the first process to all,
# and hooks into `backward`: as soon as the gradients of the last layers are there, they travel, while the first
# layers are still being computed. It takes the plain mean. `train_epoch` sees the wrapper and multiplies each loss so that
# uneven parts count right; it is called as always.


# %%
@in_both
def two_processes(norm=False, epochs=3, batch_size=64):
    model = build()
    if norm:
        model.insert(2, nn.BatchNorm1d(64))
    model = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    loader = make_loader(data.train, batch_size=batch_size, shuffle=True)
    results = [train_epoch(model, loader, loss_fn, optimizer) for _ in range(epochs)]
    numbers = [(result.loss, result.accuracy, result.samples) for result in results]
    return numbers, unwrap(model).state_dict()


(numbers_0, state_0), (numbers_1, state_1) = two_processes()
for name, value in alone.state_dict().items():
    equal = torch.allclose(value, state_0[name], rtol=0, atol=1e-5)
    print(f"{name:8} {tuple(value.shape)!s:10} equal to 1e-5: {equal}")
print("both processes report the same numbers:", numbers_0 == numbers_1)
print("on", numbers_0[0][2], "images, each counted once")
same = [abs(n[0] - r.loss) < 1e-5 for n, r in zip(numbers_0, alone_results, strict=True)]
print("the losses are those of one process:", all(same))

# %% [markdown]
# ### BatchNorm is the exception
# A BatchNorm layer takes mean and variance over the batch it sees, and each process sees its part. With 32 images instead of
# 64 the statistics are others, so two processes are no longer one.


# %%
norm = build()
norm.insert(2, nn.BatchNorm1d(64))
optimizer = torch.optim.SGD(norm.parameters(), lr=0.02, momentum=0.9)
loader = make_loader(data.train, batch_size=64, shuffle=True)
for _ in range(3):
    train_epoch(norm, loader, loss_fn, optimizer)
(_, norm_0), (_, norm_1) = two_processes(True)
print("with BatchNorm, two equal one to 1e-5:", distance(norm_0, norm.state_dict()) < 1e-5)
print("further apart than 1e-3:", distance(norm_0, norm.state_dict()) > 1e-3)
print("but the two agree with each other:", distance(norm_0, norm_1) == 0)

# %% [markdown]
# It is no error, as long as the parts are not tiny. The running statistics that all of them keep are those of process 0, from
# its part alone. On GPUs `nn.SyncBatchNorm.convert_sync_batchnorm(model)` takes the
# statistics over all parts, at the price of two more exchanges in each layer; LayerNorm and GroupNorm look at one sample at a
# time and do not have the problem at all.

# %% [markdown]
# ## Who reads what
#
# PyTorch's own way to divide the data is a `DistributedSampler`, which gives each process every n-th sample. It is easy to get
# wrong, and nothing fails then. Let both processes write down what they read in two epochs: 16 samples, in four ways.


# %%
@in_both
def read_two_epochs(way):
    seed_everything(42)
    samples = TensorDataset(torch.arange(16))
    sampler = DistributedSampler(samples) if "Distributed" in way else None
    loader = DataLoader(samples, batch_size=4, shuffle=sampler is None, sampler=sampler)
    if way == "make_loader":
        loader = make_loader(samples, batch_size=8, shuffle=True)
    epochs = []
    for epoch in range(2):
        if "and set_epoch" in way:
            sampler.set_epoch(epoch)
        epochs.append(torch.cat([batch for (batch,) in loader]).tolist())
    return epochs


ways = [
    "no sampler", "DistributedSampler alone", "DistributedSampler and set_epoch", "make_loader",
]  # fmt: skip
orders = {way: read_two_epochs(way) for way in ways}
for way, (zero, one) in orders.items():
    print(f"{way:33} read twice in an epoch: {len(set(zero[0]) & set(one[0])):2}", end="   ")
    print("both epochs in one order:", zero[0] == zero[1])

# %%
from matplotlib.colors import ListedColormap

names = [f"epoch {epoch}, process {process}" for epoch in (1, 2) for process in (0, 1)]
colors = ListedColormap(["white", "#92dadd", "#ffa90e"])
figure, axes = plt.subplots(2, 2, figsize=(9, 3.8), sharex=True, sharey=True)
for axis, (way, found) in zip(axes.flat, orders.items(), strict=True):
    table = torch.zeros(4, 16)
    for row in range(4):
        for step, sample in enumerate(found[row % 2][row // 2]):
            table[row, sample] = row % 2 + 1
            axis.text(sample, row, step + 1, ha="center", va="center", fontsize=7)
    axis.imshow(table, cmap=colors, vmin=0, vmax=2, aspect="auto")
    axis.set_yticks(range(4), names, fontsize=8)
    axis.set(title=way, xticks=range(0, 16, 5))
    axis.grid(False)
for axis in axes[1]:
    axis.set_xlabel("sample; the number says when it is read")
show(
    figure,
    alt="Four tables of which process reads which of 16 samples, and when. Without a sampler both "
    "read all, in the same order as each other. DistributedSampler alone repeats the first epoch "
    "in the second. With set_epoch and with make_loader each is read once, in a new order.",
)

# %% [markdown]
# - **No sampler**: both processes read everything, even in the same order. Twice the electricity, for the training of one
#   process.
# - **A sampler without `set_epoch`**: divided, but the second epoch is the first one again.
# - **`set_epoch` before each epoch**: right. `fit` does it for you.
# - **`make_loader`**: right, too. Process 0 has the first half of each batch of 8 and process 1 the second; so the batches
#   are those of one process, as they are not with the sampler.
#
# The first mistake is so expensive that `train_epoch` refuses it, where a loader has one of the usual samplers:


# %%
@in_both
def without_sampler():
    model = DistributedDataParallel(build())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    try:
        train_epoch(model, DataLoader(data.train, 64, shuffle=True), loss_fn, optimizer)
    except ValueError as error:
        return str(error)


print(without_sampler()[0])

# %% [markdown]
# ### Mistake: samples counted twice
# A `DistributedSampler` gives every process the same number of samples. Where they do not divide, it *pads*: it gives some
# of them twice. For training that hardly matters; for an accuracy it is wrong. Nine samples, of which the model gets the
# first one wrong:


# %%
@in_both
def nine_samples():
    targets = torch.tensor([1, 0, 1, 0, 1, 0, 1, 0, 1])
    logits = nn.functional.one_hot(targets, 2).float()
    logits[0] = torch.tensor([9.0, 0.0])  # the wrong answer
    whole = TensorDataset(logits, targets)
    sampler = DistributedSampler(whole, shuffle=False)
    loaders = {"sampler": DataLoader(whole, sampler=sampler), "make_loader": make_loader(whole)}
    answers = {}
    for name, loader in loaders.items():
        right = [(out.argmax(1) == y).float() for out, y in loader]
        own = torch.cat(right).mean().item()
        mean = torch.tensor(own)
        dist.all_reduce(mean)
        exact = evaluate(nn.Identity(), loader, loss_fn, device="cpu")
        answers[name] = own, mean.item() / world_size(), exact.accuracy, exact.samples
    return list(sampler), answers


# %%
(read_0, answers_0), (read_1, answers_1) = nine_samples()
print("the sampler gives", read_0, "and", read_1)
for name in answers_0:
    own, mean, exact, samples = answers_0[name]
    print(f"{name:11}: {own:.3f} and {answers_1[name][0]:.3f}, mean {mean:.3f};", end=" ")
    print(f"evaluate: {exact:.3f} on {samples} samples")
print("8 of 9 are", round(8 / 9, 3))

# %% [markdown]
# The sampler's ten samples hold the wrong one twice: 0.8. Parts without padding, four samples and five, have accuracies of
# 0.75 and 1, and their mean is wrong again, because the parts are not of one size. `evaluate` adds up right answers
# and samples over all processes, without those that were given twice; every process gets 8 of 9.
#
# ### Mistake: each process splits for itself
# `random_split` draws from the global random numbers. If those differ between processes, for the sake of dropout, say, then
# each process has another validation part:


# %%
@in_both
def split(different):
    seed_everything(42 + rank() * different)
    train, val = random_split(range(1000), [800, 200])
    trained = set().union(*gather(list(train.indices)))  # of all processes
    return len(trained & set(val.indices))


for different in (False, True):
    leaked = split(different)
    print(f"different seeds: {different!s:5}  validation samples that were trained on: {leaked}")

# %% [markdown]
# About 160 of 200 leak, four of five, and validation looks splendid. So: one seed for everything that must be alike (split,
# first weights, order), and only *after* that a seed for each process, for what must differ. The opposite mistake is
# quieter: with one seed to the end, all processes drop the same units.


# %%
@in_both
def masks():
    model, kept = nn.Dropout(0.5), []
    for seed in (42, 42 + rank()):
        seed_everything(seed)
        kept.append("".join("#" if value else "." for value in model(torch.ones(24))))
    return kept


for name, both in zip(("one seed", "seed + rank"), zip(*masks(), strict=True), strict=True):
    print(f"{name:12} {both[0]}  {both[1]}  the same: {both[0] == both[1]}")

# %% [markdown]
# ### Mistake: another batch size than you think
# With a `DistributedSampler` and `batch_size=64` in each of two processes, a step sees 128 samples, and an epoch has half
# as many steps. That is another training, and at the same learning rate a slower one in epochs. `make_loader` takes
# `batch_size` as that of the step, whatever the number of processes, so nothing changes until you change it. If you do, to
# keep many GPUs busy, raise the learning rate with it (in proportion is a start, with warm-up: notebook 08) and tune it anew.

# %% tags=["nbval-ignore-output"]
curves = {"1 process, 64": [result.loss for result in alone_results]}
curves["2 processes, 64"] = [loss for loss, _, _ in numbers_0]
for name, rate in {"128": 0.02, "128, doubled rate": 0.04}.items():
    model = build()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    loader = make_loader(data.train, batch_size=128, shuffle=True)
    curves[name] = [train_epoch(model, loader, loss_fn, optimizer).loss for _ in range(3)]
for name, losses in curves.items():
    print(f"{name:18}", [f"{loss:.3f}" for loss in losses])

# %%
print("steps an epoch:", len(make_loader(data.train, batch_size=64)), "and", len(loader))
slow, faster = curves["128"][1], curves["128, doubled rate"][1]
print("after two epochs, half of the steps learned less:", slow > 1.3 * curves["1 process, 64"][1])
print("a doubled rate makes up for some of it:", faster < 0.85 * slow)

# %%
figure, axis = plt.subplots(figsize=(6.4, 3.1))
axis.plot([1, 2, 3], curves["1 process, 64"], label="one process, batches of 64")
axis.plot(
    [1, 2, 3], curves["2 processes, 64"], "o", color="black", label="two processes, 64 together"
)
axis.plot([1, 2, 3], curves["128"], "--", label="64 each: batches of 128")
axis.plot([1, 2, 3], curves["128, doubled rate"], ":", label="128, doubled learning rate")
axis.set(title="Two processes, one training", xlabel="epoch", ylabel="training loss")
axis.set_xticks([1, 2, 3])
axis.set_ylim(0)
axis.legend()
show(
    figure,
    alt="Training loss over three epochs: the points of two processes lie on the line of one "
    "process. Batches of 128 start higher, and less so with a doubled learning rate.",
)

# %% [markdown]
# ## Checkpoints: written once, read by all
#
# All processes have the same weights, so one of them writes. If all do, to the same file, one day a process reads what
# another has half written. Here process 1 is slow at its disk, and process 0 looks at the wrong moment:


# %%
@in_both
def all_write(path):
    if rank() == 0:
        torch.save(build().state_dict(), path)
    dist.barrier()
    if rank() == 1:
        content = Path(path).read_bytes()
        with open(path, "wb") as file:  # the same file once more,
            file.write(content[: len(content) // 2])  # and only half of it so far
    dist.barrier()
    try:
        torch.load(path)
    except Exception as error:
        return type(error).__name__


print("loading the checkpoint raises", all_write(str(folder / "torn.pt")))

# %% [markdown]
# `fit` has the first process write, in one atomic step, and all processes read when they resume. A `barrier`, by the way, is
# where each waits until all are there. The weights in the file have their plain names, although DistributedDataParallel
# puts `module.` in front of each: so one process can load it, without knowing how many wrote it.


# %%
@in_both
def fit_in_both(place, epochs, resume):
    model = DistributedDataParallel(build().insert(3, nn.Dropout(0.2)))
    seed_everything(42 + rank())  # from here on, each drops its own units
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    train_loader = make_loader(data.train, shuffle=True)
    history = fit(
        model, train_loader, make_loader(data.val), loss_fn, optimizer,
        epochs=epochs, checkpoint_dir=place, resume=resume, verbose=False,
    )  # fmt: skip
    names = list(model.state_dict())[:1]
    return names, history.val[-1].accuracy, unwrap(model).state_dict()


whole = fit_in_both(str(folder / "whole"), 4, False)
fit_in_both(str(folder / "parts"), 2, False)
parts = fit_in_both(str(folder / "parts"), 4, True)
print("files:", sorted(path.name for path in (folder / "parts").iterdir()))
print("resumed equals uninterrupted, bit for bit:", distance(parts[0][2], whole[0][2]) == 0)

# %%
state = load_checkpoint(folder / "parts" / "epoch_0004.pt")["model"]
print("in the model:", whole[0][0], " in the file:", list(state)[:1])
model = build().insert(3, nn.Dropout(0.2))
model.load_state_dict(state)
result = evaluate(model, make_loader(data.val), loss_fn)
print("one process finds the accuracy that the two reported:", result.accuracy == whole[0][1])

# %% [markdown]
# ## A process dies
#
# On many machines for many days, some process will be killed: a full memory, a machine that is taken back. The others then
# wait in an `all_reduce` for somebody who will not come. `torchrun` notices, ends all of them, and with `--max-restarts` it
# starts them again. What they do then is your program's business: with `resume=True`, they go on from the last checkpoint.
#
# Here is a complete training program. To see it fail, process 1 kills itself in the third epoch, but only the first time.

# %%
accident = """
import os, signal, sys, torch
import torch.distributed as dist
from course_utils import *
from course_utils.distributed import rank
class Killer:
    epochs = 0
    def on_step(self, step, loss):
        first = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
        if first and self.epochs == 2 and step == 4 and rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
    def __call__(self, history):
        self.epochs = len(history)
"""

# %%
training = """
dist.init_process_group("gloo")
data = load_dataset(os.environ.get("COURSE_DATASET", "digits"))
seed_everything(0)
model = torch.nn.parallel.DistributedDataParallel(MLP(data.input_shape, data.num_classes))
loaders = make_loaders(data)
fit(model, loaders.train, loaders.val, torch.nn.CrossEntropyLoss(),
    torch.optim.AdamW(model.parameters(), lr=0.003), epochs=3, callbacks=[Killer()],
    checkpoint_dir=sys.argv[1], resume=True, verbose=rank() == 0)
dist.destroy_process_group()
"""
_ = (folder / "train.py").write_text(accident + training)
place = folder / "killed"
command = [*torchrun, "--max-restarts", "1", str(folder / "train.py"), str(place)]
done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
if not place.exists():
    raise RuntimeError(done.stderr[-1000:])
print("checkpoints:", sorted(path.name for path in place.iterdir()))

# %% tags=["nbval-ignore-output"]
print("torchrun ended with", done.returncode)
print(done.stdout.replace(str(folder), "FOLDER"))

# %% [markdown]
# Two epochs, then a death in the third; a second start that finds the checkpoint of epoch 2, and the rest. And the weights?
# The two processes of this lesson train the same model without any accident:


# %%
@in_both
def train_without_accident():
    seed_everything(0)
    model = DistributedDataParallel(MLP(data.input_shape, data.num_classes))
    loaders, optimizer = make_loaders(data), torch.optim.AdamW(model.parameters(), lr=0.003)
    fit(model, loaders.train, loaders.val, loss_fn, optimizer, epochs=3, verbose=False)
    return unwrap(model).state_dict()


uninterrupted = train_without_accident()[0]
survived = load_checkpoint(place / "epoch_0003.pt")["model"]
print("started", 1 + done.stdout.count("resumed from"), "times; resumed from", end=" ")
print(done.stdout.partition("resumed from ")[2].split()[0].rpartition("/")[2])
print("the weights of an uninterrupted run, bit for bit:", distance(survived, uninterrupted) == 0)

# %% [markdown]
# One trap: in recent versions of PyTorch the restarted processes of a run with the c10d rendezvous, which `--standalone` uses,
# too, may read addresses of their predecessors and wait for the dead
# ([issue 135712](https://github.com/pytorch/pytorch/issues/135712)).
# `TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1` in the environment prevents it; look at the cell that started the pair.
#
# ## The command line
#
# The course's command line joins the process group when `torchrun` starts it, and otherwise does what it always did. In a
# terminal (without `--device cpu` on a machine with two GPUs or more):
#
# ```
# torchrun --nproc_per_node 2 -m course_utils train --model MLP --epochs 2 --device cpu --out runs/both
# ```

# %%
import contextlib
import io

from course_utils.__main__ import main
from course_utils.bundles import load_bundle

options = ["train", "--model", "MLP", "--epochs", "2", "--device", "cpu", "--dataset", data.name]
command = [*torchrun, "-m", "course_utils", *options, "--out", str(folder / "both")]
done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
with contextlib.redirect_stdout(io.StringIO()):  # its output is known from notebook 00
    main([*options, "--out", str(folder / "one")])
print("\n".join(done.stdout.splitlines()[:2]))
one, both = (load_bundle(folder / name).model.cpu() for name in ("one", "both"))
close = distance(one.state_dict(), both.state_dict()) < 1e-4
print("saved once:", done.stdout.count("Saved in") == 1, "  one and two processes agree:", close)

# %% [markdown]
# ## Data larger than memory
#
# A DataLoader asks its data set for sample number 4,711; that needs a quick way to any row. Larger tables come as many
# files, and are *streamed*: read from the beginning, a little at a time, and forgotten. PyTorch's class for that is
# `IterableDataset`, and it has only `__iter__`. Here are the phones of notebook 10, as six Parquet files with row groups of
# 100 rows (pieces of a file that can be read alone), and one more file to validate on. The column `row` is there to see who
# has read what.

# %%
import pandas as pd

phones = pd.read_csv("../data/phones.csv").sample(frac=1, random_state=0, ignore_index=True)
features = [name for name in phones.columns if name != "price_range"]
phones["row"] = range(len(phones))
shards, begin = [], 0
for number, size in enumerate([330, 250, 410, 120, 300, 190, 400]):
    shards.append(folder / f"phones_{number}.parquet")
    phones.iloc[begin : begin + size].to_parquet(shards[-1], row_group_size=100, index=False)
    begin += size
train_shards, val_shards = shards[:6], shards[6:]
print(sum(len(pd.read_parquet(path)) for path in train_shards), "rows in 6 files to train on")

# %% [markdown]
# A first version, by hand. It lives in a file, because worker processes import their classes (notebook 01).

# %%
naive = """
import torch
from pyarrow import parquet
from torch.utils.data import IterableDataset, get_worker_info
from course_utils.distributed import rank, world_size
class Naive(IterableDataset):
    def __init__(self, files):
        self.files = files
    def __iter__(self):
        for file in self.files:
            for batch in parquet.ParquetFile(file).iter_batches(64, columns=["row"]):
                yield torch.tensor(batch["row"].to_pylist())
"""

# %%
divided = """
class Divided(Naive):
    def __init__(self, files):
        super().__init__(files)
        self.rank, self.world_size = rank(), world_size()
    def __iter__(self):
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        reader, readers = self.rank * workers + worker, self.world_size * workers
        for number, rows in enumerate(super().__iter__()):
            if number % readers == reader:  # the others' turn otherwise
                yield rows
"""
_ = (folder / "by_hand_streams.py").write_text(naive + divided)
sys.path.insert(0, str(folder))
streams = importlib.import_module("by_hand_streams")

for kind in (streams.Naive, streams.Divided):
    for workers in (0, 2):
        rows = torch.cat(list(DataLoader(kind(train_shards), batch_size=None, num_workers=workers)))
        print(f"{kind.__name__:7} with {workers} workers: {len(rows)} rows", end=", ")
        print(len(rows.unique()), "different")

# %% [markdown]
# Each worker has its own copy of the data set and iterates over all of it: with two workers, everything comes twice, and an
# epoch silently is two. `Divided` counts batches and takes each n-th, where n counts the workers of *all*
# processes. (Rank and world size are noted when the data set is made, because a worker that is started afresh knows of no
# process group.) It is right, and wasteful: each reader still decodes everything and throws most of it away.
#
# `course_utils.streaming.ParquetStream` knows from the files' metadata how many rows there are, gives each reader an equal
# stretch of them, and opens no row group that it does not need. It yields whole batches (so `batch_size=None` in the
# DataLoader, which `loader()` sees to): taking a table apart row by row to put it together again costs far more.

# %%
from course_utils.streaming import ParquetStream

stream = ParquetStream(train_shards, inputs=["row"], target="price_range", batch_size=64)
print(stream.rows, "rows, says the metadata")
for workers in (0, 1, 2):
    rows = torch.cat([inputs for inputs, _ in stream.loader(num_workers=workers)])
    print(f"{workers} workers: {len(rows)} rows, {len(rows.unique())} different")

# %% [markdown]
# In two processes, with two workers each, there are four readers:


# %%
@in_both
def read_stream(shards, shuffle, workers):
    from course_utils.streaming import ParquetStream

    stream = ParquetStream(
        shards, inputs=["row"], target="price_range", shuffle=shuffle, buffer=200
    )
    loader = stream.loader(num_workers=workers)
    epochs = 2 if workers == 0 else 1
    return [torch.cat([x for x, _ in loader])[:, 0].long().tolist() for _ in range(epochs)]


names = [str(path) for path in train_shards]
first, second = read_stream(names, True, 2)
print("rows of each process:", len(first[0]), "and", len(second[0]))
print("read by both:", len(set(first[0]) & set(second[0])), end="  ")
print("read by none:", stream.rows - len(set(first[0]) | set(second[0])))
first, second = read_stream(names, True, 0)
print("the second epoch in the order of the first:", first[0] == first[1])

# %% [markdown]
# ### How random is a shuffled stream?
# A stream cannot shuffle what it has not read. It does two things instead: the row groups come in a random order, and
# the rows pass through a *buffer*; each new row takes the place of a random one, which goes out. Look at the order in
# which one process reads 1,600 rows:

# %%
kinds = {"in order": (False, 1), "row groups, buffer of 1": (True, 1), "buffer of 400": (True, 400)}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.1), sharey=True)
for axis, (name, (shuffle, buffer)) in zip(axes, kinds.items(), strict=True):
    settings = {"inputs": ["row"], "target": "price_range", "shuffle": shuffle, "buffer": buffer}
    mixed = torch.cat([x[:, 0] for x, _ in ParquetStream(train_shards, **settings).loader()])
    together = (mixed[1:] - mixed[:-1] == 1).float().mean().item()
    print(f"{name:24} rows that follow their neighbour in the file: {together:.0%}")
    axis.plot(mixed, ".", markersize=2)
    axis.set(title=name, xlabel="position in reading order")
axes[0].set_ylabel("row in the files")
show(
    figure,
    alt="Row number against reading order, three panels: a straight line when read in order; short "
    "slanted pieces when only row groups are shuffled; with a buffer of 400 rows, bands "
    "that start sharply and thin out, one for each row group.",
)

# %% [markdown]
# The buffer mixes mostly a handful of row groups. So a file that is sorted by class stays half sorted: shuffle the
# rows once, when you write the files, as was done above.
#
# ### The memory it needs
# pyarrow counts the bytes it holds. Here is a larger file, a million rows in 64 row groups, streamed:

# %%
import numpy as np
import pyarrow as pa
from pyarrow import parquet

random = np.random.default_rng(0)
columns = {f"x{number}": random.standard_normal(1_000_000) for number in range(8)}
big = pa.table({**columns, "y": random.integers(0, 4, 1_000_000)})
parquet.write_table(big, folder / "big.parquet", row_group_size=1_000_000 // 64)
size = big.nbytes
del big
stream = ParquetStream([folder / "big.parquet"], inputs=list(columns), target="y", batch_size=512)
before, most, rows = pa.total_allocated_bytes(), 0, 0
for inputs, _ in stream.loader():
    rows += len(inputs)
    most = max(most, pa.total_allocated_bytes() - before)
print(f"{rows:,} rows, a table of {size / 2**20:.0f} MiB in memory")
print("between batches pyarrow held less than a tenth of that:", most < size / 10)

# %% [markdown]
# `benchmarks/processes.py` measures the same as the operating system sees it, with ten times as much data as its limit.
#
# ### Training on a stream, in two processes
# A stream says `divided = True`, so `train_epoch` and `evaluate` know that each process has its own part. Processes may
# have one batch more or less: who runs out waits for the rest, taking part in their steps without counting. BatchNorm at
# the entrance standardises the features.


# %%
@everywhere
def phone_model():
    seed_everything(0)
    layers = nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 4)
    return nn.Sequential(nn.BatchNorm1d(20), *layers)


# %%
@in_both
def train_on_stream(train_shards, val_shards, features):
    from course_utils.streaming import ParquetStream

    model = DistributedDataParallel(phone_model())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    settings = {"inputs": features, "target": "price_range", "batch_size": 32}
    train, val = (
        ParquetStream(train_shards, shuffle=True, **settings),
        ParquetStream(val_shards, **settings),
    )
    history = fit(model, train.loader(), val.loader(), loss_fn, optimizer, epochs=4, verbose=False)
    last = history.train[-1].samples, history.val[-1].samples, history.val[-1].accuracy
    return last, unwrap(model).state_dict()


(seen, state), (other, _) = train_on_stream(names, [str(path) for path in val_shards], features)
model = phone_model()
model.load_state_dict(state)
val = ParquetStream(val_shards, inputs=features, target="price_range")
result = evaluate(model, val.loader(), loss_fn)
print("samples of an epoch, of the validation:", seen[:2], "  the same in both:", seen == other)
print("more than 70% right:", seen[2] > 0.7, "  one process agrees:", result.accuracy == seen[2])

# %% [markdown]
# ## Several machines, on paper
#
# Two machines with four GPUs each: the same program, the same command on both, apart from `node_rank`. `10.0.0.1` is the
# address of the first machine, and its port 29500 must be open to the second.
#
# ```
# # on the first machine
# torchrun --nnodes 2 --node_rank 0 --nproc_per_node 4 --master_addr 10.0.0.1 --master_port 29500 train.py runs/big
# # on the second
# torchrun --nnodes 2 --node_rank 1 --nproc_per_node 4 --master_addr 10.0.0.1 --master_port 29500 train.py runs/big
# ```
#
# If machines may come and go, let them find one another: the same line on all of them, with two to four machines.
#
# ```
# TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 torchrun --nnodes 2:4 --nproc_per_node 4 --max-restarts 3 \
#     --rdzv_backend c10d --rdzv_endpoint 10.0.0.1:29500 --rdzv_id phones train.py runs/big
# ```
#
# `runs/big` must be a folder that all machines see. And in the program, `init_process_group("nccl")` in place of gloo, and
# `torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))` before it. `course_utils.distributed.start_group` does both.
#
# ### What would it bring?
# Let each of $n$ machines have a batch as large as the one machine had, so that a step sees $n$ of them. In a ring each
# sends $\frac{2(n-1)}{n}$ times the bytes of the gradients in a step, in $2(n-1)$ messages.
# With the bandwidth $b$ and the delay of a message $d$, a step takes
#
# $$t = t_{step} + \frac{2(n-1)}{n} \cdot \frac{bytes}{b} + 2(n-1)\,d$$
#
# and the *efficiency* is $t_{step} / t$: the share of the time in which a machine does what it is paid for.


# %%
def efficiency(machines, step, size, bandwidth, delay=50e-6):
    """Seconds of a step alone, bytes of gradients, bytes a second, seconds of a message."""
    traffic = 2 * (machines - 1) / machines * size / bandwidth
    return step / (step + traffic + 2 * (machines - 1) * delay)


counts = [2, 4, 8, 16, 32, 64]
networks = {"1 Gbit/s": 1e9 / 8, "10 Gbit/s": 10e9 / 8, "100 Gbit/s": 100e9 / 8}
print("a step of 100 ms, gradients of 100 MB (a ResNet-50)")
print(" " * 12 + "".join(f"{machines:>6}" for machines in counts) + "  machines")
for name, bandwidth in networks.items():
    shares = [efficiency(machines, 0.1, 100e6, bandwidth) for machines in counts]
    print(f"{name:12}" + "".join(f"{share:6.0%}" for share in shares))

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharex=True)
for name, bandwidth in networks.items():
    shares = [efficiency(machines, 0.1, 100e6, bandwidth) for machines in counts]
    axes[0].plot(counts, [100 * share for share in shares], "o-", label=name)
    speedup = [machines * share for machines, share in zip(counts, shares, strict=True)]
    axes[1].plot(counts, speedup, "o-", label=name)
axes[1].plot(counts, counts, ":", color="black", label="ideal")
axes[0].set(title="Efficiency", xlabel="machines", ylabel="% of the time", ylim=(0, 105))
axes[1].set(title="Samples a second", xlabel="machines", ylabel="times one machine")
for axis in axes:
    axis.set_xscale("log", base=2)
    axis.set_xticks(counts, counts)
axes[1].set_yscale("log", base=2)
axes[1].set_yticks([0.125, 1, 8, 64], ["1/8", "1", "8", "64"])
axes[1].legend()
show(
    figure,
    alt="Efficiency and speed against 2 to 64 machines, for networks of 1, 10 and 100 Gbit/s. At "
    "100 Gbit/s the efficiency stays above 80%; at 10 it falls below 45%; at 1 Gbit/s two "
    "machines are slower together than one alone.",
)

# %%
slowest = networks["1 Gbit/s"]
for machines in (2, 8, 16):
    speed = machines * efficiency(machines, 0.1, 100e6, slowest)
    print(f"{machines} machines at 1 Gbit/s: {speed:.2f} times as fast as one")

# %% [markdown]
# Over an office network, two machines are slower than one. The formula is pessimistic, because DistributedDataParallel
# sends the last layers' gradients while it computes the first; at best, the longer of the two times remains. More
# computation for each byte helps as well: larger batches, fewer bytes (DistributedDataParallel's `bf16_compress_hook`), or
# accumulation inside `model.no_sync()`, which `train_epoch` does not use.
#
# Now with your own numbers: the step from the beginning, and the two processes of this machine, which talk through its
# memory. Time an all-reduce of a tiny tensor for the delay and one of 40 MB for the bandwidth.


# %%
@in_both
def time_all_reduce(numbers, rounds):
    tensor, seconds = torch.zeros(numbers), []
    for _ in range(rounds):
        dist.barrier()
        begin = time.perf_counter()
        dist.all_reduce(tensor)
        seconds.append(time.perf_counter() - begin)
    return sorted(seconds)[rounds // 2]


tiny, large = max(time_all_reduce(1, 50)), max(time_all_reduce(10_000_000, 7))
print("40 MB take longer than 4 bytes:", large > tiny)

# %% tags=["nbval-ignore-output"]
own_bandwidth = 40e6 / (large - tiny)  # for two processes, 2 (n - 1) / n is 1
share = efficiency(2, step_seconds, gradient_bytes, own_bandwidth, tiny / 2)
print(f"delay {1e6 * tiny / 2:.0f} us, bandwidth {own_bandwidth / 1e9:.2f} GB/s", end=": ")
print(f"of two processes, messages alone would leave the CNN {share:.0%}")

# %% [markdown]
# That is what the messages alone would cost. Two processes on two cores also share the memory and its caches, which no
# formula knows, and the one process of the beginning may have used both cores already; `benchmarks/processes.py` measures
# what is left.
#
# ## A model in pieces
#
# With DistributedDataParallel every process holds the whole model, its gradients and the optimizer's memory: for AdamW, four
# numbers a parameter. When that no longer fits, divide it. `fully_shard` (FSDP2) leaves each process its share of every
# weight. Before a layer computes, the processes gather its weights, and forget the others' right after. (A model that no
# process can hold even once is built under `torch.device("meta")`.)


# %%
@in_both
def sharded():
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model = build()
    mesh = init_device_mesh("cpu", (world_size(),))
    for part in (model[1], model[3], model):  # gathered one layer at a time
        fully_shard(part, mesh=mesh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    loader = make_loader(data.train, batch_size=64, shuffle=True)
    results = [train_epoch(model, loader, loss_fn, optimizer) for _ in range(3)]
    whole = {name: weight.full_tensor() for name, weight in model.state_dict().items()}
    local = {name: tuple(p.to_local().shape) for name, p in model.named_parameters()}
    moment = sum(s["momentum_buffer"].to_local().numel() for s in optimizer.state.values())
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    saved = get_model_state_dict(model, options=options)
    return local, moment, whole, saved, results[-1].loss


(local_0, moment_0, whole, saved, last_loss), (local_1, moment_1, _, nothing, _) = sharded()
for name, weight in alone.state_dict().items():
    print(f"{name:8} {tuple(weight.shape)!s:10} is {local_0[name]} and {local_1[name]}")

# %%
total = count_parameters(alone)
print(f"numbers in the momentum: {moment_0} and {moment_1} of {total}")
print(
    "train_epoch, unchanged: the weights of one process to 1e-5:",
    distance(whole, alone.state_dict()) < 1e-5,
)
print("the loss, too:", abs(last_loss - alone_results[-1].loss) < 1e-5)
print("full state dict:", len(saved), "tensors in process 0,", len(nothing), "in process 1")
print("a plain model can load it:", build().load_state_dict(saved))

# %% [markdown]
# Each process held half of the weights and half of the optimizer's memory, and `train_epoch` did not notice. It costs
# traffic, because now the weights travel, too; so shard what does not fit, and nothing else. Save the *full* state dict, as
# above, if others are to load it; `fit`'s checkpoints are for whole models, and it says so.
#
# The two processes have done their work. Closing their standard input ends them.

# %%
pair.stdin.close()
print("the pair has ended:", pair.wait(60) is not None)
log.close()

# %% [markdown]
# And, once, the test part, for the model that the command line trained in two processes:

# %%
test_result = evaluate(both, make_loader(data.test), loss_fn)
print(test_result.samples, "test images, more than 85% right:", test_result.accuracy > 0.85)
workplace.cleanup()

# %% [markdown]
# ## Your turn
#
# ### 1. Uneven parts of a batch
# `samples` is a list: how many samples of one batch each process has (some may have none). Each process computes the
# gradient of *the mean loss of its samples, times a factor*, and then the plain mean of these gradients over all processes
# is taken, as `DistributedDataParallel` does it. Return the list of the factors with which that mean is the gradient of the
# mean loss of the whole batch; for a process without samples, 0.


# %% tags=["exercise"]
def loss_factors(samples):
    # a list of whole numbers; return a list of the same length
    ...


# %% tags=["check"]
from checks import scaling_out

scaling_out.loss_factors(loss_factors)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def loss_factors(samples):
#     return [count * len(samples) / sum(samples) for count in samples]
# ```
#
# `count / sum(samples)` is a process's share of the batch. The plain mean divides by the number of processes afterwards, so
# the factor brings that number along.
# </details>

# %% [markdown]
# ### 2. Each row once
# Which rows does a reader read? Divide `rows` rows among all workers of all processes: each row once, stretches without
# gaps, no reader with more than one row more than another. Return the first row, and the row after the last one.


# %% tags=["exercise"]
def own_rows(rows, rank, world_size, worker, workers):
    # five whole numbers; return (begin, end)
    ...


# %% tags=["check"]
scaling_out.own_rows(own_rows)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def own_rows(rows, rank, world_size, worker, workers):
#     reader, readers = rank * workers + worker, world_size * workers
#     return rows * reader // readers, rows * (reader + 1) // readers
# ```
#
# One reader ends where the next one begins, by the same formula, so nothing is lost or read twice. With
# `rows // readers` rows each, the remainder would never be read.
# </details>

# %% [markdown]
# ### 3. How many machines?
# Steps of `step` seconds, gradients of `size` bytes, a bandwidth in bytes a second: return the largest number of machines, up
# to 64, whose efficiency is at least `minimum`; 1 if even two are less efficient. Without a delay of the messages.


# %% tags=["exercise"]
def most_machines(step, size, bandwidth, minimum):
    # return a whole number from 1 to 64
    ...


# %% tags=["check"]
scaling_out.most_machines(most_machines)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def most_machines(step, size, bandwidth, minimum):
#     best = 1
#     for machines in range(2, 65):
#         traffic = 2 * (machines - 1) / machines * size / bandwidth
#         if step / (step + traffic) >= minimum:
#             best = machines
#     return best
# ```
#
# The traffic of a machine never exceeds twice the gradients, however large the ring; it is the delays, left out here, that
# grow with it.
# </details>

# %% [markdown]
# ## Recap
#
# - Compile what runs long. The first call pays; a look at a value breaks the graph; a new shape compiles again.
# - One process for each GPU, started by `torchrun`. DataParallel sends everything through one GPU.
# - The mean of gradients is the gradient of the batch only if each part counts by its samples. Same for every metric.
# - Divide the data: a sampler with `set_epoch`, or `make_loader`. Pads and means of means falsify an accuracy.
# - One seed for split, weights and order; then one for each process.
# - One process writes, all resume, `torchrun --max-restarts` brings the dead back.
# - A stream is divided among all workers of all processes, and is as random as its buffer is large.
# - Measure a step and the network before you rent machines. Shard a model only if it does not fit.
#
# **Next:** [17 · Keras and TensorFlow](17_keras_and_tensorflow.ipynb) tells the same story in another framework.
