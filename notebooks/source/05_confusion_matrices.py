# %% [markdown]
# # 05 · Confusion matrices: what is taken for what
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/05_confusion_matrices.ipynb)
#
# **After this notebook you can**
# - count a confusion matrix by hand, and read its rows, its columns and its diagonal;
# - compute precision, recall and F1 from it, average them three ways, and say why accuracy is none of them;
# - go from the matrix to the most confused pairs, to their images, and to a decision;
# - recognise a matrix that was drawn wrongly: two passes, swapped axes, missing classes;
# - read PR and ROC curves, compute average precision and AUC, and know what 0.5 and 1.0 mean;
# - choose a threshold by what mistakes cost, on the right part of the data.
#
# **Time:** 60 minutes. **Builds on:** [04 · Evaluation](04_evaluation.ipynb).
#
# Two models with the same accuracy can make quite different mistakes. Accuracy says how many there are. A confusion matrix
# says which, and that is where improving a model begins.

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

from course_utils import MLP, fit, get_device, load_dataset, make_loaders, predict, seed_everything

seed_everything(42)
device = get_device()
data = load_dataset(os.environ.get("COURSE_DATASET", "digits"))
loaders = make_loaders(data, batch_size=64)
print(f"{len(data.val)} validation images in {data.num_classes} classes")

# %% [markdown]
# We train a small model, and only for two epochs, so that there is something to find out. Almost everything that follows
# looks at the validation part: what we learn there will lead to decisions, and the test part is for the end.

# %% tags=["nbval-ignore-output"]
model = MLP(data.input_shape, data.num_classes).to(device)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
history = fit(model, loaders.train, loaders.val, loss_fn, optimizer, epochs=2)

# %%
logits, targets = predict(model, loaders.val)
predicted = logits.argmax(dim=1)
print("right classes:", tuple(targets.shape), " answers:", tuple(predicted.shape))
print("far above guessing:", (predicted == targets).double().mean().item() > 3 / data.num_classes)
print("and still wrong now and then:", not torch.equal(predicted, targets))

# %% [markdown]
# ## The matrix by hand
#
# First an example that fits on one line: twelve pictures of cats, dogs and birds, with their true classes and the
# answers of some model. We count how often each true class got each answer. **The row is the true class, the column the
# predicted one.** That order is a convention; scikit-learn and this course follow it, and some books do not.

# %%
names = ("cat", "dog", "bird")
true = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
answers = torch.tensor([0, 0, 0, 0, 0, 1, 0, 0, 1, 1, 0, 2])

counts = torch.zeros(3, 3, dtype=torch.int64)
for row, column in zip(true, answers, strict=True):
    counts[row, column] += 1

print("predicted: " + " ".join(f"{name:>4}" for name in names))
for name, row in zip(names, counts.tolist(), strict=True):
    print(f"{name:>9}: " + " ".join(f"{count:4}" for count in row))

# %% [markdown]
# The second row reads: of four dogs, two were taken for cats and two were recognised. Without a loop: give each pair the
# number `row * 3 + column` and count the numbers from 0 to 8. scikit-learn and `course_utils` find the same.

# %%
from sklearn.metrics import confusion_matrix as sklearn_matrix

from course_utils import confusion_matrix

bincounts = torch.bincount(true * 3 + answers, minlength=9).view(3, 3)
print("with bincount:", torch.equal(bincounts, counts))
print("scikit-learn: ", sklearn_matrix(true, answers).tolist() == counts.tolist())
ours = confusion_matrix(y_true=true, y_pred=answers, class_names=names)
print("course_utils: ", torch.equal(ours, counts))

# %% [markdown]
# Three sums are worth knowing by heart. A row adds up to the samples of that class. A column adds up to how often that
# answer was given. The diagonal adds up to the right answers; divided by all samples, it is the accuracy.

# %%
print("rows:   ", counts.sum(dim=1).tolist(), " samples of each class:", true.bincount().tolist())
print("columns:", counts.sum(dim=0).tolist(), " answers given:", answers.bincount().tolist())
accuracy = (counts.trace() / counts.sum()).item()
print(f"diagonal: {counts.trace()} of {counts.sum()} right, accuracy {accuracy:.1%}")

# %% [markdown]
# The same for our model and its classes:

# %%
matrix = confusion_matrix(y_true=targets, y_pred=predicted, class_names=data.class_names)
right_answers = (predicted == targets).sum()
print("matrix:", tuple(matrix.shape))
print("rows are the class counts:", torch.equal(matrix.sum(dim=1), data.val.labels.bincount()))
print("the diagonal counts the right answers:", torch.equal(matrix.trace(), right_answers))
print("equal to scikit-learn's:", matrix.tolist() == sklearn_matrix(targets, predicted).tolist())

# %%
from course_utils.plots import plot_confusion_matrix

plot_confusion_matrix(
    y_true=targets,
    y_pred=predicted,
    class_names=data.class_names,
    title="Validation images, counted",
)

# %% [markdown]
# What to look for: a dark cell off the diagonal is a pair that is confused. A row with many marks is a class the model does
# not recognise. A column with many marks is an answer it gives too readily. A single 1 is a single image, and no
# pattern.

# %% [markdown]
# ## Shares instead of counts
#
# Counts are hard to compare when classes differ in size. There are three things to divide by, and each answers another
# question:
# - by the **row** sum: of the true cats, what share was taken for what? The diagonal is each class's *recall*.
# - by the **column** sum: of the answers "cat", what share was really what? The diagonal is each class's *precision*.
# - by **all** samples: what share of everything is this cell? The diagonal adds up to the accuracy.

# %%
ways = {
    "true": counts / counts.sum(dim=1, keepdim=True),
    "pred": counts / counts.sum(dim=0, keepdim=True),
    "all": counts / counts.sum(),
}
for normalize, shares in ways.items():
    theirs = torch.from_numpy(sklearn_matrix(true, answers, normalize=normalize)).float()
    diagonal = " ".join(f"{share:4.0%}" for share in shares.diagonal())
    print(f"{normalize:5} diagonal {diagonal}   equal: {torch.allclose(shares, theirs)}")

# %% [markdown]
# scikit-learn also draws them. Its `ConfusionMatrixDisplay` is what our `plot_confusion_matrix` uses, with the same
# `normalize`. We name the classes twice, `labels` for the numbers and `display_labels` for the names; the reason comes
# below, among the mistakes.

# %%
import matplotlib.pyplot as plt
from sklearn.metrics import ConfusionMatrixDisplay

from course_utils.plots import show

titles = {
    "true": "Rows add up to 100%",
    "pred": "Columns add up to 100%",
    "all": "All cells add up to 100%",
}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2))
for axis, (normalize, title) in zip(axes, titles.items(), strict=True):
    options = {"labels": range(3), "display_labels": names, "normalize": normalize}
    style = {"cmap": "Blues", "colorbar": False, "values_format": ".0%", "ax": axis}
    ConfusionMatrixDisplay.from_predictions(true, answers, **options, **style)
    axis.set(title=title, xlabel="predicted class", ylabel="true class")
    axis.grid(visible=False)
show(
    figure,
    alt="The matrix of cats, dogs and birds three times, divided by the row sums, by the column "
    "sums and by all samples. For cats the diagonal shows 83%, then 62%, then 42%.",
)

# %% [markdown]
# Read the first row and the first column: 83% of the cats are found, but only 62% of the answers "cat" are right, because
# dogs and a bird are in there as well.

# %% [markdown]
# ## Precision, recall, F1
#
# Take one class, say cats, and call it positive. The diagonal cell holds the *true positives*. The rest of its row are
# cats that were missed, *false negatives*. The rest of its column are other animals called cats, *false positives*.
# - **precision** = true positives / all that were *called* so (the column): can you believe the answer?
# - **recall** = true positives / all that *are* so (the row): is the class found?
# - **F1** = the harmonic mean of the two.

# %%
from sklearn.metrics import precision_recall_fscore_support

right = counts.diagonal().double()
precision = right / counts.sum(dim=0)
recall = right / counts.sum(dim=1)
f1 = 2 * precision * recall / (precision + recall)
theirs = precision_recall_fscore_support(true, answers)

by_hand = {"precision": precision, "recall": recall, "F1": f1}
for (name, values), expected in zip(by_hand.items(), theirs[:3], strict=True):
    same = torch.allclose(values, torch.from_numpy(expected))
    shown = "  ".join(f"{n} {value:.3f}" for n, value in zip(names, values, strict=True))
    print(f"{name:9}  {shown}   equal to scikit-learn: {same}")

# %% [markdown]
# Why the harmonic mean? It stays near the smaller of the two. Where one picture in a hundred shows a cat, a model that calls
# everything a cat finds them all. That must not look half good (the last line):

# %%
for p, r in ((0.9, 0.9), (0.9, 0.5), (0.01, 1.0)):
    print(
        f"precision {p:.2f}, recall {r:.2f}: ordinary mean {(p + r) / 2:.3f}",
        f"F1 {2 * p * r / (p + r):.3f}",
        sep="   ",
    )

# %% [markdown]
# ### Accuracy is not precision
# In everyday English the two words mean the same, and translations mix them up (in Chinese, accuracy is 准确率 and
# precision 精确率). Here they are answers to different questions. Accuracy is one number for all samples; precision
# belongs to one class, and looks only at the samples that were called so.

# %%
print(f"accuracy: {counts.trace() / counts.sum():.1%} of all answers are right")
for name, value in zip(names, precision, strict=True):
    print(f"precision of {name}: {value:.1%} of the answers {name!r} are right")

# %% [markdown]
# ### One number again: macro, micro, weighted
# To compare models, three numbers for each class are too many. There are three ways to average them.
# - **macro**: the mean over the classes. Each class counts the same, however rare it is.
# - **weighted**: the mean over the classes, each weighted by its samples (its row sum, called *support*).
# - **micro**: add up the true positives, false positives and false negatives of all classes first, then divide once.

# %%
support = counts.sum(dim=1)
false_positives = counts.sum(dim=0) - right
false_negatives = counts.sum(dim=1) - right

macro = f1.mean()
weighted = (f1 * support).sum() / support.sum()
micro = 2 * right.sum() / (2 * right.sum() + false_positives.sum() + false_negatives.sum())

# %%
from sklearn.metrics import f1_score

for name, value in {"macro": macro, "weighted": weighted, "micro": micro}.items():
    same = abs(f1_score(true, answers, average=name) - value.item()) < 1e-9
    print(f"{name:8} F1 {value:.3f}   equal to scikit-learn: {same}")
print("micro F1 is the accuracy:", torch.isclose(micro, right.sum() / counts.sum()).item())
of_means = 2 / (1 / precision.mean() + 1 / recall.mean())
print(f"F1 of macro precision and macro recall is another number: {of_means:.3f}")

# %% [markdown]
# Micro F1 is nothing new: each wrong answer is one false positive (of the class that was said) and one false negative (of the
# class that was meant), so with one answer for each sample, micro precision, recall and F1 are all the accuracy. Macro
# is the one that notices when a rare class fails. scikit-learn's `classification_report` prints everything at once:

# %%
from sklearn.metrics import classification_report

print(classification_report(true, answers, target_names=names, digits=3))

# %% [markdown]
# ### A class that is never predicted
# Its column is empty, and its precision is 0 / 0. By hand that gives *nan*, which spoils every mean it gets into. scikit-learn
# counts 0 and warns; say what you want with `zero_division`. Here nobody answers "bird":

# %%
import warnings

from sklearn.metrics import precision_score

no_birds = torch.where(answers == 2, 0, answers)
lost = confusion_matrix(y_true=true, y_pred=no_birds, class_names=names)
naive = lost.diagonal() / lost.sum(dim=0)
print("precision by hand:", *(f"{value:.3f}" for value in naive), f" mean: {naive.mean():.3f}")

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    theirs = precision_score(true, no_birds, average=None)
print("scikit-learn:     ", *(f"{value:.3f}" for value in theirs), "", caught[0].category.__name__)

# %% [markdown]
# F1 can be written without precision and recall: 2 TP / (2 TP + FP + FN), and the bottom is the row sum plus the column
# sum. That is 0 only for a class that neither occurs nor is predicted. Macro F1 falls much further than the accuracy:

# %%
f1_lost = 2 * lost.diagonal() / (lost.sum(dim=0) + lost.sum(dim=1)).clamp_min(1)
theirs = f1_score(true, no_birds, average="macro", zero_division=0)
print("F1:", *(f"{value:.3f}" for value in f1_lost))
print("equal to scikit-learn:", abs(f1_lost.mean().item() - theirs) < 1e-6)
print(f"macro F1: {macro:.3f} before, {f1_lost.mean():.3f} without birds")
print(f"accuracy: {accuracy:.3f} before, {lost.trace() / lost.sum():.3f} without birds")

# %% [markdown]
# ## From the matrix to the images
#
# The largest cells off the diagonal are the most confused pairs. By hand: empty the diagonal, sort what remains, and turn
# each place back into row and column. `most_confused` does that, and also returns *which* samples they are.

# %%
from course_utils import most_confused

mistakes = counts.clone().fill_diagonal_(0)
place = mistakes.argmax().item()
print("largest:", names[place // 3], "taken for", names[place % 3])
for pair in most_confused(y_true=true, y_pred=answers, class_names=names):
    print(f"{pair.true} taken for {pair.predicted}: {pair.count} ({pair.share:.0%})", end="   ")
    print("samples", pair.indices.tolist())

# %% [markdown]
# Now for our model. The two directions of a pair are counted apart: that A is taken for B does not mean that B is taken for
# A. When one direction is much larger, the model leans towards one answer.

# %% tags=["nbval-ignore-output"]
pairs = most_confused(y_true=targets, y_pred=predicted, class_names=data.class_names)
for pair in pairs:
    print(f"{pair.true} taken for {pair.predicted}: {pair.count}, {pair.share:.0%} of its class")
in_pairs = sum(pair.count for pair in pairs)
print(f"these pairs hold {in_pairs} of {(predicted != targets).sum()} mistakes")

# %%
cells = len(pairs) / (data.num_classes * (data.num_classes - 1))
share = in_pairs / max(1, (predicted != targets).sum().item())
print("the pairs are few cells and many mistakes:", share > 3 * cells)
print("each sample of a pair is one:", all(len(pair.indices) == pair.count for pair in pairs))

# %% tags=["nbval-ignore-output"]
from course_utils.plots import plot_images

places = torch.cat([pair.indices[:8] for pair in pairs] or [torch.arange(8)])[:24]
captions = [f"{data.class_names[targets[i]]}\nas {data.class_names[predicted[i]]}" for i in places]
shown = ", ".join(f"{pair.true} as {pair.predicted}" for pair in pairs[:3])
plot_images(
    data.val.images[places],
    captions,
    title="The most confused pairs: the true class, and what it was taken for",
    alt=f"{len(places)} validation images that were classified wrongly, pair by pair: {shown}.",
)

# %% [markdown]
# Numbers cannot answer the question that matters here, you can: **would you have known?** What you see decides what to do.
# - *You would have known.* The model is not finished: train longer, take a model that sees more, look at the training
#   images of that class.
# - *You would not either.* Then the image is at its limit, and more training only learns it by heart. Let the program say
#   "unsure" and ask somebody.
# - *The model is right.* The label is wrong. Correct it; in the validation part, too.
# - *They are all of one kind* (thin, dark, turned): collect more of that kind, or augment with it.
#
# Two epochs are few, and if you can read most of these images, a better model could. So the cheapest remedy comes first:
# train on. A copy of the model goes through ten more epochs.

# %% tags=["nbval-ignore-output"]
import copy

longer = copy.deepcopy(model)
optimizer = torch.optim.AdamW(longer.parameters(), lr=1e-3)  # fresh: notebook 06 shows its price
fit(longer, loaders.train, loaders.val, loss_fn, optimizer, epochs=10, verbose=False)
later = predict(longer, loaders.val).logits.argmax(dim=1)
for pair in pairs:
    now = (later[pair.indices] != targets[pair.indices]).sum()
    print(f"{pair.true} taken for {pair.predicted}: {pair.count}, now wrong: {now}")
print(f"all mistakes: {(predicted != targets).sum()} before, {(later != targets).sum()} after")

# %%
before, after = ((answer != targets).sum().item() for answer in (predicted, later))
same = torch.cat([pair.indices for pair in pairs] or [places])
print("fewer mistakes in all:", after < 0.8 * before)
print("fewer in the old pairs:", (later != targets)[same].sum().item() < 0.8 * in_pairs)

# %% [markdown]
# Judge by *all* mistakes. The pairs were picked because they were the worst, partly by bad luck, so with any other model
# they tend to get better, while new ones appear elsewhere. What is left after training comes before the same
# question again:

# %% tags=["nbval-ignore-output"]
remaining = most_confused(y_true=targets, y_pred=later, class_names=data.class_names, top=3)
for pair in remaining:
    print(f"{pair.true} taken for {pair.predicted}: {pair.count}, images {pair.indices.tolist()}")

# %% [markdown]
# For the rest of the lesson we stay with the first model, because its mistakes leave more to see.
#
# ## Three ways to draw it wrongly
#
# ### Mistake: two passes
# The right classes are collected in one pass through the loader, the answers in another. With a loader that shuffles, each
# pass has its own order, and every answer stands beside the class of some other image. Nothing fails, and even the row sums
# are right. `predict` returns both from one pass.

# %% tags=["nbval-ignore-output"]
one_pass = torch.cat([labels for _, labels in loaders.train])  # an order
other_pass = predict(model, loaders.train).logits.argmax(dim=1)  # another order
same_logits, same_targets = predict(model, loaders.train)  # one order
same_pass = same_logits.argmax(dim=1)

chance = (one_pass == other_pass).double().mean().item()
accuracy = (same_targets == same_pass).double().mean().item()
print(f"two passes: {chance:.1%} right    one pass: {accuracy:.1%} right")

# %%
print("two passes look like chance:", abs(chance - 1 / data.num_classes) < 0.06)
print("one pass does not:", accuracy > 3 / data.num_classes)
print("the class counts are the same:", torch.equal(one_pass.bincount(), same_targets.bincount()))

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3.9))
passes = {"Two passes": (one_pass, other_pass), "One pass": (same_targets, same_pass)}
for axis, (title, (labels, found)) in zip(axes, passes.items(), strict=True):
    counted = confusion_matrix(y_true=labels, y_pred=found, class_names=data.class_names)
    scale = {"vmin": 0, "vmax": counted.sum(dim=1).max().item()}  # the same in both
    display = ConfusionMatrixDisplay(counted.numpy(), display_labels=data.class_names)
    display.plot(ax=axis, cmap="Blues", include_values=False, colorbar=False, im_kw=scale)
    axis.tick_params(axis="x", rotation=90 if len(data.class_names[0]) > 2 else 0)
    axis.set(title=title, xlabel="predicted class", ylabel="true class")
    axis.grid(visible=False)
show(
    figure,
    alt="Two confusion matrices of the training images and one model. From two passes all cells "
    "are about equally pale; from one pass the diagonal is dark and the rest nearly white.",
)

# %% [markdown]
# If a matrix looks like that on the left while the accuracy of the same model is good, look for the second pass.
#
# ### Mistake: swapped arguments
# scikit-learn wants the right classes first, PyTorch's losses want the outputs first. Mixed up, the matrix is mirrored
# along its diagonal, precision and recall change places, and neither accuracy nor macro F1 shows it.

# %%
from sklearn.metrics import accuracy_score

swapped = torch.from_numpy(sklearn_matrix(answers, true))
print("mirrored:", torch.equal(swapped, counts.T))
for average in ("accuracy", "macro F1"):
    score = accuracy_score if average == "accuracy" else lambda *a: f1_score(*a, average="macro")
    print(f"{average}: {score(true, answers):.3f}, swapped {score(answers, true):.3f}")
scores = precision_recall_fscore_support(answers, true)
print("'precision' is recall:", torch.allclose(torch.from_numpy(scores[0]), recall))
print("'recall' is precision:", torch.allclose(torch.from_numpy(scores[1]), precision))

# %% [markdown]
# That is why the functions of `course_utils.confusion` take their arguments by name only. They also refuse what cannot be
# meant, such as logits, or numbers without a name.

# %%
attempts = {
    "by position": lambda: confusion_matrix(true, answers, names),
    "logits": lambda: confusion_matrix(y_true=targets, y_pred=logits, class_names=data.class_names),
    "no name": lambda: confusion_matrix(y_true=true + 1, y_pred=answers, class_names=names),
}
for what, attempt in attempts.items():
    try:
        attempt()
    except (TypeError, ValueError) as error:
        print(f"{what}: {type(error).__name__}: {error}")

# %% [markdown]
# ### Mistake: missing classes
# Left alone, scikit-learn makes rows and columns only for the classes that occur. In a small sample one may be missing: here,
# dogs. Names taken from the full list then slip, and the birds stand under the name of the dogs. With `labels`, every class
# keeps its place.

# %%
few_true, few_answers = torch.tensor([0, 0, 2, 2]), torch.tensor([0, 2, 2, 2])
small = sklearn_matrix(few_true, few_answers)
print("without labels:", small.shape, dict(zip(names, small.tolist(), strict=False)))
whole = sklearn_matrix(few_true, few_answers, labels=range(3))
print("with labels:   ", whole.shape, dict(zip(names, whole.tolist(), strict=True)))
ours = confusion_matrix(y_true=few_true, y_pred=few_answers, class_names=names)
print("course_utils:  ", tuple(ours.shape), "equal:", ours.tolist() == whole.tolist())

# %% [markdown]
# ## When accuracy lies
#
# Of 1,000 parts from a machine, ten are broken. Three inspectors: one says "fine" to everything, one "broken" to everything,
# and a careful one finds eight of the ten and gives 30 false alarms.

# %%
broken = torch.zeros(1000, dtype=torch.int64)
broken[:10] = 1
inspectors = {name: torch.zeros_like(broken) for name in ("all fine", "all broken", "careful")}
inspectors["all broken"][:] = 1
inspectors["careful"][:8] = 1
inspectors["careful"][100:130] = 1


def report(answers):
    """Return accuracy, precision, recall, F1 of the broken parts, and balanced accuracy."""
    (tn, fp), (fn, tp) = sklearn_matrix(broken, answers, labels=(0, 1)).tolist()
    precision, recall = tp / max(1, tp + fp), tp / (tp + fn)
    f1 = 2 * tp / (2 * tp + fp + fn)
    return (tp + tn) / 1000, precision, recall, f1, (recall + tn / (tn + fp)) / 2


print(f"{'':11}accuracy  precision  recall     F1  balanced accuracy")
for name, said in inspectors.items():
    print(f"{name:11}" + "{:8.1%}   {:8.1%}{:8.1%}{:7.1%}{:19.1%}".format(*report(said)))

# %% [markdown]
# By accuracy, the one who looks at nothing wins, with 99%. Recall says what that is worth: no broken part is found. Always
# compare an accuracy with that of the most frequent answer. *Balanced accuracy* does it for you: it is the mean recall of all
# classes, and whoever always gives the same answer gets 1 / classes.

# %%
from sklearn.metrics import balanced_accuracy_score

for name, said in inspectors.items():
    same = abs(balanced_accuracy_score(broken, said) - report(said)[4]) < 1e-9
    print(f"{name:11}balanced accuracy equal to scikit-learn's: {same}")
share = (data.val.labels == 0).double().mean().item()
print(f"\nour images: 'never {data.class_names[0]}' is right for {1 - share:.1%} of them")

# %% [markdown]
# ## Scores and thresholds
#
# "Is it this class, or one of the rest?" is a question with two answers. For such a question a model gives more than an
# answer, it gives a *score*, for us the softmax share of the class. Where "yes" begins is a *threshold* that you
# choose. Ten samples, four of them positive, from the highest score down:

# %%
scores = torch.tensor([0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
positive = torch.tensor([1, 1, 0, 1, 0, 0, 1, 0, 0, 0]).bool()

for threshold in scores[:8].tolist():
    called = scores >= threshold
    hits = (called & positive).sum().item()
    print(
        f"score >= {threshold:.2f}: {hits} true, {called.sum() - hits} false positives",
        f"precision {hits / called.sum():.2f}",
        f"recall {hits / positive.sum():.2f}",
        sep="   ",
    )

# %% [markdown]
# Going down, recall can only rise. Precision goes up and down. These pairs are the **PR curve** (precision over recall).
# The **ROC curve** shows recall, there called true positive rate, over the false positive rate: the share of the negatives that
# are called positive. Both come from the same two counts at each threshold.


# %%
def hits_and_alarms(scores, positive):
    """Return each distinct score, from the highest, and true and false positives from there up."""
    thresholds = scores.unique().flip(0)
    called = scores >= thresholds.unsqueeze(1)  # (thresholds, samples)
    hits = (called & positive).sum(dim=1)
    return thresholds, hits, called.sum(dim=1) - hits


def pr_curve(scores, positive):
    _, hits, alarms = hits_and_alarms(scores, positive)
    return (hits / (hits + alarms)).double(), (hits / positive.sum()).double()


def roc_points(scores, positive):
    _, hits, alarms = hits_and_alarms(scores, positive)
    start = torch.zeros(1, dtype=torch.float64)  # above all scores: nothing is called positive
    rates = alarms / (~positive).sum(), hits / positive.sum()
    return tuple(torch.cat([start, rate.double()]) for rate in rates)


# %%
from sklearn.metrics import precision_recall_curve, roc_curve


def agree(ours, theirs):
    """Say whether two pairs of arrays hold the same numbers."""
    return all(torch.allclose(a, torch.tensor(b)) for a, b in zip(ours, theirs, strict=True))


tied = torch.tensor([0.9, 0.9, 0.7, 0.7, 0.7, 0.5, 0.5, 0.5, 0.1, 0.1])
for name, values in {"all different": scores, "with ties": tied}.items():
    from_below = precision_recall_curve(positive, values)[:2]  # with an end point
    theirs = [array[-2::-1].copy() for array in from_below]
    print(
        f"{name}: PR equal to scikit-learn: {agree(pr_curve(values, positive), theirs)}", end="   "
    )
    theirs = roc_curve(positive, values, drop_intermediate=False)[:2]
    print("ROC:", agree(roc_points(values, positive), theirs))

# %% [markdown]
# Each curve is often put into one number.
# - **Average precision (AP)**: walk along the recall, and add up each rise times the precision reached there. For the ten
#   samples, recall rises four times by 0.25: AP = 0.25 * 1 + 0.25 * 1 + 0.25 * 0.75 + 0.25 * 0.57 = 0.83.
# - **AUC**, the area under the ROC curve. It has a meaning of its own: take any positive and any negative; how often
#   does the positive have the higher score? (A tie counts half.)


# %%
def average_precision(scores, positive):
    precision, recall = pr_curve(scores, positive)
    steps = recall.diff(prepend=torch.zeros(1, dtype=torch.float64))
    return (steps * precision).sum().item()


def auc(scores, positive):
    above = scores[positive].unsqueeze(1) - scores[~positive]  # every positive with every negative
    return ((above > 0).double() + 0.5 * (above == 0)).mean().item()


# %%
from sklearn.metrics import average_precision_score, roc_auc_score

for name, values in {"all different": scores, "with ties": tied}.items():
    ap, rank = average_precision(values, positive), auc(values, positive)
    print(f"{name}: AP {ap:.3f}, AUC {rank:.3f}", end="   equal to scikit-learn: ")
    print(abs(ap - average_precision_score(positive, values)) < 1e-6, end=" ")
    print(abs(rank - roc_auc_score(positive, values)) < 1e-6)
    false_rate, true_rate = roc_points(values, positive)
    area = torch.trapezoid(true_rate, false_rate).item()
    print(f"   the area under the points is that probability: {abs(area - rank) < 1e-6}")

# %% [markdown]
# ### The 1.0 and the 0.5 case
# If every positive stands above every negative, both numbers are 1, whatever the scores themselves. If the scores know nothing,
# AUC is about 0.5, and AP is about the *share of positives*, not 0.5; if all scores are the same, exactly. An AUC far below
# 0.5 means that something is turned around. We try 4,000 samples, a tenth of them positive.

# %%
torch.manual_seed(0)
tenth = torch.arange(4000) < 400
rankings = {
    "perfect": tenth + 0.5 * torch.rand(4000),
    "random": torch.rand(4000),
    "all the same": torch.full((4000,), 0.7),
    "turned around": -(tenth + 0.5 * torch.rand(4000)),
}
for name, values in rankings.items():
    ap, rank = average_precision(values, tenth), auc(values, tenth)
    print(f"{name:14} AUC {rank:.2f}   AP {ap:.2f}")

# %% [markdown]
# ### What ROC does not see
# Now scores that know something: the positives lie two standard deviations higher. Once half of the samples are positive,
# once one in a hundred. The positives are recognised equally well, so the ROC curve is the same. But among a hundred times
# as many negatives, even a small false positive rate buries the positives, and only the PR curve shows it.

# %%
torch.manual_seed(0)
negatives = torch.randn(50_000)
mixed = {}
for name, count in {"half are positive": 50_000, "1% are positive": 505}.items():
    values = torch.cat([torch.randn(count) + 2, negatives])
    mixed[name] = (torch.arange(len(values)) < count, values)
for name, pair in mixed.items():
    print(f"{name}: AUC {roc_auc_score(*pair):.2f}, AP {average_precision_score(*pair):.2f}")

# %%
mixed["perfect, 1%"] = (mixed["1% are positive"][0], mixed["1% are positive"][0] * 1.0)
mixed["random, 1%"] = (mixed["1% are positive"][0], torch.rand(50_505))
figure, (roc_axis, pr_axis) = plt.subplots(1, 2, figsize=(8.6, 3.9))
for style, (name, pair) in zip(("-", "--", "-", "-"), mixed.items(), strict=True):
    false_rate, true_rate, _ = roc_curve(*pair)
    precisions, recalls, _ = precision_recall_curve(*pair)
    area, ap = roc_auc_score(*pair), average_precision_score(*pair)
    roc_axis.plot(false_rate, true_rate, style)
    label = f"{name}: AUC {area:.2f}, AP {ap:.2f}"
    pr_axis.step(recalls, precisions, style, where="post", label=label)
roc_axis.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate (recall)")
pr_axis.set(title="Precision and recall", xlabel="recall", ylabel="precision")
for axis in (roc_axis, pr_axis):
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
figure.legend(loc="outside lower center", ncols=2)
show(
    figure,
    alt="Left, ROC curves: the same scores with half and with 1% positives give one curve, between "
    "the perfect corner and the random diagonal. Right, their PR curves: with half positives it "
    "stays high, with 1% it falls early, and the random one lies at the bottom.",
)

# %% [markdown]
# ### One class against the rest
# For our model, every class has its own two curves: its shares are the scores, its images the positives, and all others the
# negatives.

# %% tags=["nbval-ignore-output"]
shares = logits.double().softmax(dim=1)
aps = [average_precision(shares[:, c], targets == c) for c in range(data.num_classes)]
aucs = [auc(shares[:, c], targets == c) for c in range(data.num_classes)]
hardest = sorted(range(data.num_classes), key=lambda c: aps[c])
for c in hardest[:4]:
    print(f"{data.class_names[c]}: AP {aps[c]:.3f}, AUC {aucs[c]:.3f}")

# %%
macro_auc = roc_auc_score(targets, shares, multi_class="ovr", average="macro")
print("mean AUC equal to scikit-learn's:", abs(sum(aucs) / len(aucs) - macro_auc) < 1e-9)
print(
    "AUC is the kinder one, by a point on average:",
    sum(aucs) / len(aucs) > sum(aps) / len(aps) + 0.01,
)
print("every class is ranked far better than at random:", min(aucs) > 0.8)

# %%
figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.6))
zero = torch.zeros(1, dtype=torch.float64)  # the first step begins at recall 0
for place, c in enumerate(hardest):
    look = {"color": f"C{place}"} if place < 3 else {"color": "#d5d5d5", "linewidth": 1}
    look["zorder"] = 3 - place / 10  # the hardest in front
    name = data.class_names[c] if place < 3 else "_"  # no legend for the grey ones
    of_class = shares[:, c], targets == c
    axes[0].plot(*roc_points(*of_class), **look, label=f"{name}: AUC {aucs[c]:.3f}")
    precisions, recalls = pr_curve(*of_class)
    precisions, recalls = torch.cat([precisions[:1], precisions]), torch.cat([zero, recalls])
    axes[1].step(recalls, precisions, **look, where="pre", label=f"{name}: AP {aps[c]:.3f}")
axes[0].set(title="ROC, each class against the rest", xlabel="false positive rate", ylabel="recall")
axes[1].set(title="PR, each class against the rest", xlabel="recall", ylabel="precision")
for axis in axes:
    axis.set(xlim=(-0.02, 1.02), ylim=(0, 1.03))
    axis.legend(loc="lower left" if axis is axes[1] else "lower right")
show(
    figure,
    alt="ROC and PR curves of each class against the rest on the validation images. The three "
    "classes with the lowest average precision are coloured, the others are grey.",
)

# %% [markdown]
# The ROC curves hug the corner, and look alike. The PR curves show that some classes cannot be had completely without
# accepting false alarms. Whether that is worth it, no curve can say.
#
# ## Choosing a threshold
#
# `argmax` treats all mistakes alike. Say the hardest class must be found: a miss costs 5, a false alarm costs 1 (a
# person looks at the image). Then the question is at which score "yes" should begin. **It is answered on the validation part,
# and used once on the test part.**


# %%
def cost(scores, positive, threshold, miss=5, false_alarm=1):
    called = scores >= threshold
    missed, alarms = (positive & ~called).sum().item(), (~positive & called).sum().item()
    return miss * missed + false_alarm * alarms


for threshold in (0.85, 0.65, 0.35, 0.15):
    print(f"the ten samples, threshold {threshold}: cost {cost(scores, positive, threshold)}")

# %% [markdown]
# The candidates are the scores themselves, because between two of them nothing changes, and one above all, for "never". Two
# rules, for two kinds of orders you may get: the cheapest threshold, or the one with most recall whose precision is at least
# 95%.

# %% tags=["nbval-ignore-output"]
chosen_class = hardest[0]
val_scores, val_positive = shares[:, chosen_class], targets == chosen_class
candidates = [float("inf"), *val_scores.unique().flip(0).tolist()]
costs = [cost(val_scores, val_positive, threshold) for threshold in candidates]
cheapest = candidates[costs.index(min(costs))]

precision_c, recall_c = pr_curve(val_scores, val_positive)
reached = [i for i in range(len(precision_c)) if precision_c[i] >= 0.95]
precise = candidates[1 + max(reached, key=lambda i: recall_c[i])] if reached else float("inf")
rules = {"one half": 0.5, "cheapest": cheapest, "95% precision": precise}
print(f"class {data.class_names[chosen_class]}:", {k: round(v, 3) for k, v in rules.items()})

# %%
half = cost(val_scores, val_positive, 0.5)
called = val_scores >= precise
print("on validation, the cheapest costs no more than one half does:", min(costs) <= half)
print("where misses are dear, it lies below one half:", cheapest < 0.5)
print("the other keeps its promise:", val_positive[called].double().mean().item() >= 0.95)

# %%
figure, (left, right_axis) = plt.subplots(1, 2, figsize=(8.6, 3.6), sharex=True)
left.step(candidates[1:], precision_c, where="post", label="precision")
left.step(candidates[1:], recall_c, where="post", label="recall")
right_axis.step(candidates[1:], costs[1:], where="post", color="#a96b59", label="cost")
right_axis.axhline(costs[0], color="#94a4a2", linewidth=1, label='always "no"')
for axis in (left, right_axis):
    once = {"label": "_"} if axis is right_axis else {}  # in the legend once
    axis.axvline(cheapest, **{"color": "#717581", "linestyle": "--", "label": "cheapest"} | once)
    axis.axvline(precise, **{"color": "#bd1f01", "linestyle": ":", "label": "95% precision"} | once)
    axis.set(xlabel="threshold", xlim=(0, 1))
title = f"Is it {data.class_names[chosen_class]}? (validation)"
left.set(title=title, ylabel="share", ylim=(0, 1.03))
right_axis.set(title="5 for a miss, 1 for a false alarm", ylabel="cost", ylim=(0, 1.2 * costs[0]))
figure.legend(loc="outside lower center", ncols=6)
show(
    figure,
    alt="Left, recall falls and precision mostly rises as the threshold rises. Right, the cost "
    "falls steeply, has its minimum at a low threshold and rises towards that of always saying no. "
    "Vertical lines mark the cheapest threshold and the one with 95% precision.",
)

# %% [markdown]
# The two lines on the left end at the highest score: above it nothing is called, and there is no precision. (If the
# shares were calibrated, as in notebook 04, the cheapest threshold would be known beforehand: it pays to say
# "yes" from a share of 1 / (1 + 5) on.) Both thresholds now stand. The test part is used, once:

# %% tags=["nbval-ignore-output"]
test_logits, test_targets = predict(model, loaders.test)
test_scores = test_logits.double().softmax(dim=1)[:, chosen_class]
test_positive = test_targets == chosen_class
name = data.class_names[chosen_class]
print(f"{test_positive.sum()} of {len(test_positive)} test images are {name}")
for name, threshold in rules.items():
    called = test_scores >= threshold
    hits = (called & test_positive).sum().item()
    print(
        f"{name:14} cost {cost(test_scores, test_positive, threshold):3}",
        f"precision {hits / max(1, called.sum().item()):6.1%}",
        f"recall {hits / test_positive.sum().item():6.1%}",
        sep="   ",
    )

# %% [markdown]
# The promise of 95% was kept on the few positives of the validation part, and need not hold exactly on others. An interval,
# as in notebook 04, says how far it may be off.
#
# ### Mistake: choosing on the test part
# Had we chosen there, the reported cost would be lower, or the same, and not because anything is better. To see by how much,
# we need many test sets, so we draw them: 30 positives and 270 negatives each. We choose the cheapest threshold on one set
# and use it on a fresh one, 200 times.


# %%
def draw():
    """Return the scores of 30 positives and 270 negatives, and which are positive."""
    flags = torch.arange(300) < 30
    return torch.randn(300) + 2 * flags, flags


torch.manual_seed(0)
reported = fresh = 0
for _ in range(200):
    values, flags = draw()
    thresholds, hits, alarms = hits_and_alarms(values, flags)
    every_cost = 5 * (30 - hits) + alarms
    best = every_cost.argmin()
    reported += every_cost[best].item() / 200
    fresh += cost(*draw(), thresholds[best]) / 200

on_test = min(cost(test_scores, test_positive, threshold) for threshold in candidates)
honest = cost(test_scores, test_positive, cheapest)
print("our images: choosing on the test part never looks worse:", on_test <= honest)
print(f"200 drawn sets, on average: cost reported {reported:.0f}, on a fresh set {fresh:.0f}")

# %% [markdown]
# ## Your turn
#
# ### 1. Count the matrix
# Two tensors of class numbers from 0 to `classes - 1`, both of shape (samples,). Return the confusion matrix of shape
# (classes, classes): rows are true classes, columns are predicted ones. A class may be missing in both.


# %% tags=["exercise"]
def confusion(y_true, y_pred, classes):
    # your code here
    ...


# %% tags=["check"]
from checks import confusion_matrices

confusion_matrices.confusion(confusion)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# import torch
#
# def confusion(y_true, y_pred, classes):
#     numbers = y_true * classes + y_pred
#     return torch.bincount(numbers, minlength=classes**2).view(classes, classes)
# ```
#
# A loop with `matrix[row, column] += 1` is right as well. `matrix[y_true, y_pred] += 1`, without a loop, is not: each cell
# rises once, however often its pair occurs.
# </details>

# %% [markdown]
# ### 2. Macro F1
# A confusion matrix, rows true, as a tensor of counts. Return the mean of the classes' F1, from 0 to 1. A class that is
# never predicted, or does not occur, counts as 0, not as nan.


# %% tags=["exercise"]
def macro_f1(matrix):
    # your code here
    ...


# %% tags=["check"]
confusion_matrices.macro_f1(macro_f1)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def macro_f1(matrix):
#     both = matrix.sum(dim=0) + matrix.sum(dim=1)
#     f1 = 2 * matrix.diagonal() / both.clamp_min(1)
#     return f1.mean().item()
# ```
#
# F1 is 2 TP / (2 TP + FP + FN), and the row and the column of a class hold its true positives twice, its false
# negatives once and its false positives once.
# </details>

# %% [markdown]
# ### 3. A threshold with a promise
# `scores` of shape (samples,), `targets` of the same shape, 1 for positive and 0 for negative. A sample is called positive if
# its score is at least the threshold. Among the scores as thresholds, return the one with the largest recall whose precision
# is at least `min_precision` (of several, the highest). If there is none, return `math.inf`: never say yes.


# %% tags=["exercise"]
def best_threshold(scores, targets, min_precision):
    # your code here
    ...


# %% tags=["check"]
confusion_matrices.best_threshold(best_threshold)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# import math
#
# def best_threshold(scores, targets, min_precision):
#     best, most_hits = math.inf, 0
#     for threshold in scores.unique().flip(0):  # from the highest
#         called = scores >= threshold
#         hits = targets[called].sum()
#         if hits / called.sum() >= min_precision and hits > most_hits:
#             best, most_hits = threshold.item(), hits
#     return best
# ```
#
# Do not stop at the first threshold that breaks the promise: precision comes back up.
# </details>

# %% [markdown]
# ## Recap
#
# - Rows are true classes, columns predicted ones; both from one pass, given by name, with every class in its place.
# - Recall divides by the row, precision by the column, accuracy by everything. Macro F1 notices a rare class that fails.
# - From the largest cells to their images to a decision: train on, collect, relabel, or ask a person. Then count all
#   mistakes again.
# - Always giving the most frequent answer has a high accuracy too, and a balanced accuracy of 1 / classes.
# - AUC: how often a positive stands above a negative; 0.5 is random. Average precision: random is the share of positives.
# - A threshold is chosen by costs or a promise, on the validation part, and used once on the test part.
#
# **Next:** [06 · Saving and resuming](06_saving_and_resuming.ipynb) keeps a trained model, and a training that was
# interrupted.
