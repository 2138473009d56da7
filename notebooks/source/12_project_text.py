# %% [markdown]
# # 12 · Project: text, from sentences to sequences
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/pytorch-workflow-course/pytorch-workflow-course/blob/main/notebooks/12_project_text.ipynb)
#
# **After this notebook you can**
# - build a corpus from files, split it so that nothing leaks, and turn it into numbers with a vocabulary of your own;
# - pad, pack and mask batches of unequal sentences, and prove that the padding changes nothing;
# - train an LSTM and a Transformer encoder, and say honestly what they add to a bag of words;
# - write scaled dot-product attention by hand, and look at it in a picture;
# - train an encoder-decoder, and decode greedily and with a beam;
# - compute BLEU and ROUGE by hand, and know what they do not see.
#
# **Time:** 90 minutes. **Builds on:** [03 · The training loop](03_training_loop.ipynb),
# [08 · Training well](08_training_well.ipynb).
#
# Older tutorials begin with `torchtext`. Its development stopped in 2024, and not much is missing without it: a tokenizer and
# a vocabulary are a few lines each, and this notebook writes them.

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
import copy
import math
import random
import re
import tempfile
from collections import Counter
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from course_utils import evaluate, fit, get_device, predict, seed_everything, train_epoch

seed_everything(42)
device = get_device()
folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A corpus that everybody has
#
# Every Python library explains itself in English, between triple quotes. We collect these sentences from four libraries
# that are installed with the course: NumPy, pandas, SciPy and scikit-learn. That is real prose, written by many
# people, and no download. We keep sentences of at least six words that consist of nothing but words and commas.


# %%
import importlib.util

PROSE = re.compile(r"(?:^|(?<=\. ))([A-Z][a-z]*(?:,? [A-Za-z][a-z'-]*){5,28}\.)(?=\s|$)")


def sentences_of(library):
    """Yield (library, file, sentence) for the docstrings of an installed library."""
    home = Path(importlib.util.find_spec(library).origin).parent
    files = [file for file in home.rglob("*.py") if "tests" not in file.relative_to(home).parts]
    for file in sorted(files, key=lambda file: file.relative_to(home).parts):
        name = file.relative_to(home.parent).as_posix()
        for text in re.findall(r'"""(.*?)"""', file.read_text(encoding="utf-8"), flags=re.DOTALL):
            for paragraph in re.split(r"\n\s*\n", text):
                for sentence in PROSE.findall(" ".join(paragraph.split())):
                    yield library, name, sentence


libraries = ("numpy", "pandas", "scipy", "sklearn")
found = [row for library in libraries for row in sentences_of(library)]

# %% [markdown]
# Projects start from a file, so we write one, and from here on we know only that file. Text belongs into files with a
# named encoding, and sentences contain commas: leave the quoting to pandas.

# %%
corpus_file = folder / "corpus.csv"
columns = ["library", "file", "sentence"]
pd.DataFrame(found, columns=columns).to_csv(corpus_file, index=False, encoding="utf-8")

everything = pd.read_csv(corpus_file, encoding="utf-8")
print(f"{len(everything):,} sentences from {everything['file'].nunique()} files")
for row in everything.iloc[[100, 5000, 9000, 14000]].itertuples():
    print(f"{row.library:8}{row.sentence}")

# %% [markdown]
# Before anything is learned: how often does the same sentence occur? Documentation is copied from one function to the
# next, and so are product descriptions, news and legal texts.

# %%
copies = everything["sentence"].str.lower().duplicated()
corpus = everything[~copies].reset_index(drop=True)
often = everything["sentence"].value_counts()
print(f"{copies.mean():.0%} of the sentences are copies; {len(corpus):,} remain")
print(f"the most frequent occurs {often.iloc[0]} times: {often.index[0]!r}")
print(corpus["library"].value_counts().to_dict())

# %% [markdown]
# ## Split by file, not by sentence
#
# Sentences of the same file resemble each other, even when no two are equal. If some of them are trained on and others
# tested on, the test asks about a file the model has already read. A user will come with a new file. So whole files go
# into one part. What difference does that make? We measure it with a first task, "which library is this sentence from?",
# and the plainest model there is: a *bag of words* (TF-IDF weights and logistic regression, both from scikit-learn).
# TF-IDF counts the words of a sentence, and a word counts less the more sentences it is in.


# %%
def split(keys, shares=(0.7, 0.15), seed=0):
    """Return for each key its part; equal keys get the same part."""
    groups = sorted(set(keys))
    random.Random(seed).shuffle(groups)
    edges = (shares[0] * len(groups), sum(shares) * len(groups))
    parts = {
        g: ("train", "val", "test")[(i >= edges[0]) + (i >= edges[1])] for i, g in enumerate(groups)
    }
    return pd.Series([parts[key] for key in keys])


by_file = split(corpus["file"])
files = corpus.groupby(by_file)["file"].agg(set)
print("sentences:", by_file.value_counts().to_dict())
print(
    "files in two parts:", len(files["train"] & files["val"]) + len(files["train"] & files["test"])
)

# %%
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline


def topic_score(table, part):
    """Train a bag of words on the training part; return it and its validation accuracy."""
    bag = make_pipeline(TfidfVectorizer(min_df=2), LogisticRegression(C=5, max_iter=500))
    train, val = table[(part == "train").values], table[(part == "val").values]
    bag.fit(train["sentence"], train["library"])
    return bag, bag.score(val["sentence"], val["library"])


# %% [markdown]
# Three splits, the same model:

# %% tags=["nbval-ignore-output"]
bag, honest = topic_score(corpus, by_file)
_, by_sentence = topic_score(corpus, split(range(len(corpus))))
_, with_copies = topic_score(everything, split(range(len(everything))))
ways = {"whole files": honest, "sentences": by_sentence, "sentences, copies left in": with_copies}
for name, score in ways.items():
    print(f"split by {name:26} accuracy {score:.0%}")

# %%
print("by sentences it looks at least 4 points better:", by_sentence > honest + 0.04)
print("with the copies at least 8 points better:", with_copies > honest + 0.08)

# %% [markdown]
# The same kind of model and the same text, and many points of the reported accuracy come from how it was split. The lowest
# number, about 60%, depending on which files are held out, is the one that a user will see.
#
# ### What a bag cannot see
# A bag of words counts. Shuffle the words of every sentence, and it answers the same. For this task that does little harm: a
# sentence with "Krylov" in it, like the one printed above, is from SciPy wherever the word stands.

# %%
val_rows = corpus[(by_file == "val").values]
draw = random.Random(42)
shuffled = [" ".join(draw.sample(s.split(), len(s.split()))) for s in val_rows["sentence"]]
print("shuffled:", shuffled[0])
same = bag.predict(shuffled) == bag.predict(val_rows["sentence"])
print(f"answers that stay the same when words are shuffled: {same.mean():.0%}")
guess = val_rows["library"].value_counts(normalize=True).iloc[0]
print(
    f"always the most frequent library: {guess:.0%}, the bag 20 points more:", honest > guess + 0.2
)

# %% [markdown]
# ## A task where order matters
#
# We take one small word out of a sentence, and the model says which of six it was. The labels are free and true, and
# people do this exercise in every language course. A sentence with several of these words gives several exercises.

# %%
CHOICES = ("of", "in", "to", "for", "with", "from")
MOST_FOR_TRAINING, MOST_FOR_OTHERS = 2000, 400


def tokenize(text):
    """Split into lower-case words; commas and full stops are tokens of their own."""
    return re.findall(r"[a-z]+(?:['-][a-z]+)*|[.,]", text.lower())


def exercises(sentences, most, seed=0):
    """Return (tokens, answer) pairs in random order, at most `most` for each answer."""
    pairs = []
    for tokens in map(tokenize, sentences):
        for place, word in enumerate(tokens):
            if word in CHOICES and len(tokens) <= 24:
                pairs.append(
                    ([*tokens[:place], "<gap>", *tokens[place + 1 :]], CHOICES.index(word))
                )
    random.Random(seed).shuffle(pairs)
    seen = Counter()
    return [pair for pair in pairs if not seen.update([pair[1]]) and seen[pair[1]] <= most]


# %%
gaps = {}
for part in ("train", "val", "test"):
    most = MOST_FOR_TRAINING if part == "train" else MOST_FOR_OTHERS
    gaps[part] = exercises(corpus["sentence"][(by_file == part).values], most)
answers = {part: torch.tensor([answer for _, answer in pairs]) for part, pairs in gaps.items()}
for part, y in answers.items():
    print(f"{part:5} {len(y):5,} exercises", dict(zip(CHOICES, y.bincount().tolist(), strict=True)))
for tokens, answer in gaps["train"][:3]:
    print(f"{CHOICES[answer]:>5}:", " ".join(tokens))

# %% [markdown]
# ### Three baselines
# The most frequent answer; a bag of all words of the sentence; and a stronger one that is told where the gap is and how
# far to look: the two words before and the two after the gap, with their places, and pairs of them (*n-grams*). To make up
# features like these is what people did before networks, and it still works well.


# %%
def near_the_gap(tokens):
    """Return the neighbours of the gap as strings: each with its place, and in pairs."""
    place = tokens.index("<gap>") + 2
    padded = ["<s>", "<s>", *tokens, "</s>", "</s>"]
    a, b, _, c, d = padded[place - 2 : place + 3]
    return [f"-2 {a}", f"-1 {b}", f"+1 {c}", f"+2 {d}", f"{a} {b} _", f"{b} _ {c}", f"_ {c} {d}"]


def gap_score(features):
    """Train on what `features` finds in the tokens; return model and validation accuracy."""
    bag = TfidfVectorizer(analyzer=features, min_df=2)
    model = make_pipeline(bag, LogisticRegression(C=5, max_iter=500))
    model.fit([tokens for tokens, _ in gaps["train"]], answers["train"])
    return model, model.score([tokens for tokens, _ in gaps["val"]], answers["val"])


# %% tags=["nbval-ignore-output"]
frequent = answers["train"].mode().values
scores = {"most frequent": (answers["val"] == frequent).double().mean().item()}
bag_model, scores["bag of all words"] = gap_score(list)
ngram_model, scores["n-grams at the gap"] = gap_score(near_the_gap)
for name, score in scores.items():
    print(f"{name:19} {score:.1%}")

# %%
gain = scores["n-grams at the gap"] - scores["bag of all words"]
print("the bag of all words beats the most frequent answer by 10 points or more:", end=" ")
print(scores["bag of all words"] > scores["most frequent"] + 0.1)
print("the n-grams add another 10 points or more:", gain > 0.1)

# %% [markdown]
# The difference between the last two is what order is worth here. The networks get the whole sentence; they are told where
# the gap is, but not how far to look, nor which words go together. All choices are made on the validation part.
#
# ## From words to numbers
#
# A *vocabulary* numbers the words of the training part. Two numbers are taken: 0 is padding, 1 is any word that is not in it.
# Words that occur fewer than three times in the exercises are left out: they teach little, and without them the model also
# meets `<unk>` while it learns.

# %%
PAD, UNK = 0, 1
counts = Counter(word for tokens, _ in gaps["train"] for word in tokens)
words = ["<pad>", "<unk>", *sorted(w for w, count in counts.items() if count >= 3)]
number_of = {word: number for number, word in enumerate(words)}
GAP = number_of["<gap>"]


def encode(tokens):
    return torch.tensor([number_of.get(token, UNK) for token in tokens])


def decode(numbers):
    return [words[number] for number in numbers if number != PAD]


print(f"{len(counts):,} different words, {len(words):,} in the vocabulary")

# %%
tokens = next(tokens for tokens, _ in gaps["val"] if any(t not in number_of for t in tokens))
print("tokens: ", " ".join(tokens))
print("numbers:", encode(tokens).tolist())
print("back:   ", " ".join(decode(encode(tokens))))
known = [t for t, _ in gaps["val"] if all(token in number_of for token in t)]
print("round trip where all words are known:", all(decode(encode(t)) == t for t in known))

# %% [markdown]
# ### Mistake: a vocabulary from all parts
# It hides what will happen to a user. With words from the validation part in it, nothing is unknown any more, yet nobody
# trained the vectors of the new words: they are the random numbers they started from.

# %%
for name, parts in (("training", ["train"]), ("training and validation", ["train", "val"])):
    known_words = {word for part in parts for tokens, _ in gaps[part] for word in tokens}
    tokens_seen = [word in known_words for tokens, _ in gaps["val"] for word in tokens]
    unknown = 1 - sum(tokens_seen) / len(tokens_seen)
    print(f"words from {name}: {unknown:.1%} of the validation tokens are unknown")
share = sum(word not in number_of for t, _ in gaps["val"] for word in t) / len(tokens_seen)
print(f"and with the rare words left out: {share:.1%}")

# %% [markdown]
# ## Batches of unequal length
#
# A batch is one rectangle, sentences are not. `pad_batch` fills up with 0 to the longest of the batch. It is the
# `collate_fn` of a DataLoader.

# %%
from torch.nn.utils.rnn import pad_sequence


def pad_batch(pairs):
    """Return tokens (batch, longest), padded with PAD, and answers (batch,)."""
    tokens = [encode(tokens) for tokens, _ in pairs]
    return pad_sequence(tokens, batch_first=True, padding_value=PAD), torch.tensor(
        [y for _, y in pairs]
    )


few = sorted(gaps["train"][:4], key=lambda pair: len(pair[0]))
batch, _ = pad_batch(few)
print("shape:", tuple(batch.shape), " lengths:", (batch != PAD).sum(dim=1).tolist())

# %% [markdown]
# Much of a batch may be padding, and padding costs as much time as words. If sentences of similar length are put
# together (*buckets*), there is less. A sampler decides that: it shuffles, cuts into pools of 20 batches, sorts
# inside each pool, and shuffles the batches. So the order is still different in each epoch.


# %%
class Buckets(torch.utils.data.Sampler):
    """Batches of indices; sentences of a batch have similar lengths."""

    def __init__(self, lengths, batch_size, seed=0):
        self.lengths, self.batch_size, self.random = lengths, batch_size, random.Random(seed)

    def __len__(self):
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self):
        order, pool = list(range(len(self.lengths))), 20 * self.batch_size
        self.random.shuffle(order)
        pools = [order[i : i + pool] for i in range(0, len(order), pool)]
        order = [i for part in pools for i in sorted(part, key=lambda i: self.lengths[i])]
        batches = [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        self.random.shuffle(batches)
        yield from batches


# %%
def padding_share(batches):
    cells = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    return 1 - sum(lengths[i] for batch in batches for i in batch) / cells


def typical(batches):
    """Return the batch whose share of padding is nearest to that of all."""
    share = padding_share(batches)
    best = min(batches, key=lambda batch: abs(padding_share([batch]) - share))
    return sorted(best, key=lambda i: lengths[i])


lengths = [len(tokens) for tokens, _ in gaps["train"]]
order = list(range(len(lengths)))
random.Random(0).shuffle(order)
plain = [order[i : i + 128] for i in range(0, len(order), 128)]
buckets = list(Buckets(lengths, 128))
shares = padding_share(plain), padding_share(buckets)
print(f"padding in shuffled batches: {shares[0]:.0%}, in buckets: {shares[1]:.0%}")
print("every sentence once:", sorted(i for b in buckets for i in b) == list(range(len(lengths))))
print("all of them hold 128, but one:", sorted(Counter(len(b) for b in buckets).items()))

# %%
import matplotlib.pyplot as plt

from course_utils.plots import show

figure, axes = plt.subplots(1, 2, figsize=(8.6, 2.9), sharex=True)
rows = {"Shuffled": typical(plain), "From a bucket": typical(buckets)}
for axis, (name, members) in zip(axes, rows.items(), strict=True):
    padded, _ = pad_batch([gaps["train"][i] for i in members])
    axis.imshow(
        padded == PAD, aspect="auto", cmap="Blues", vmin=-0.3, vmax=1.3, interpolation="nearest"
    )
    share = (padded == PAD).float().mean()
    axis.set(title=f"{name}: {share:.0%} padding (dark)", xlabel="token")
    axis.grid(visible=False)
axes[0].set_ylabel("sentence of the batch")
axes[0].set_xlim(-0.5, max(lengths) - 0.5)  # of both: the axis is shared
show(
    figure,
    alt="Two batches of 128 sentences as rectangles, padding dark. The shuffled batch is dark "
    "over much of its right side; the one from a bucket is shorter and has hardly any padding.",
)

# %% [markdown]
# On the left a third of the work or more would be spent on nothing. The loaders put both together:

# %%
from torch.utils.data import DataLoader


def gap_loader(part, batch_size=128):
    """Training part: buckets in random order. Other parts: as they stand."""
    pairs = gaps[part]
    if part == "train":
        sampler = Buckets([len(tokens) for tokens, _ in pairs], batch_size)
        return DataLoader(pairs, batch_sampler=sampler, collate_fn=pad_batch)
    return DataLoader(pairs, batch_size=batch_size, collate_fn=pad_batch)


loaders = {part: gap_loader(part) for part in gaps}
tokens, y = next(iter(loaders["val"]))
print("tokens:", tuple(tokens.shape), tokens.dtype, " answers:", tuple(y.shape))

# %% [markdown]
# ## An LSTM and its padding
#
# An LSTM reads word by word and carries a state along. If it reads on through the padding, its last state is that of
# the padding. That is the classic mistake, and it raises no error. Here is the last state of four sentences: each one
# alone, then in a padded batch.

# %%
torch.manual_seed(0)
embedding = nn.Embedding(len(words), 16, padding_idx=PAD)
lstm = nn.LSTM(16, 16, batch_first=True)
sizes = (batch != PAD).sum(dim=1)
with torch.no_grad():
    alone = []
    for row, size in zip(batch, sizes, strict=True):
        _, (last, _) = lstm(embedding(row[:size])[None])
        alone.append(last[-1, 0])
    _, (naive, _) = lstm(embedding(batch))
for size, one, many in zip(sizes.tolist(), alone, naive[-1], strict=True):
    same = torch.allclose(one, many, atol=1e-6)
    print(f"{size:2} tokens, the batch has {batch.shape[1]}: same state {same}")

# %% [markdown]
# Only the longest sentence is right. `pack_padded_sequence` tells the LSTM the lengths. It stops each sentence at its own
# end, and computes nothing for padding. That need not be faster, because packing has its own cost: the buckets save the
# time, packing makes it right. (The lengths have to be on the CPU, also when you train on a GPU.)

# %%
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

with torch.no_grad():
    packed = pack_padded_sequence(
        embedding(batch), sizes.cpu(), batch_first=True, enforce_sorted=False
    )
    outputs, (last, _) = lstm(packed)
    outputs, _ = pad_packed_sequence(outputs, batch_first=True)
print("same as each sentence alone:", torch.allclose(last[-1], torch.stack(alone), atol=1e-6))
print(f"steps computed: {len(packed.data)} in place of {batch.numel()}")
print("outputs in the padding are 0:", bool((outputs[batch == PAD] == 0).all()))

# %% [markdown]
# ### The model
# It reads in both directions, and at the gap it has two states: one that has read everything before, one that has read
# everything after. A linear layer chooses a word from these two. Tokens go in, so that the padding can be seen from them: no
# lengths need to travel along, and `fit` works as it always does.


# %%
def pack(vectors, tokens):
    """Pack vectors (batch, length, width) by the lengths of the tokens they belong to."""
    lengths = (tokens != PAD).sum(dim=1).cpu()
    return pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)


class GapLSTM(nn.Module):
    """Takes tokens (batch, length); returns logits (batch, choices)."""

    def __init__(self, width=64):
        super().__init__()
        self.embedding = nn.Embedding(len(words), width, padding_idx=PAD)
        self.lstm = nn.LSTM(width, width, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.3)
        self.output = nn.Linear(2 * width, len(CHOICES))

    def forward(self, tokens):
        packed = pack(self.dropout(self.embedding(tokens)), tokens)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        gap = (tokens == GAP).int().argmax(dim=1)
        return self.output(self.dropout(states[torch.arange(len(gap), device=gap.device), gap]))


# %% tags=["nbval-ignore-output"]
loss_fn = nn.CrossEntropyLoss()


def train(model, rate, epochs):
    """Train with a one-cycle schedule; return the history."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    steps = epochs * len(loaders["train"])
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=steps)
    options = {"scheduler": scheduler, "epochs": epochs, "clip_norm": 1.0}
    return fit(model, loaders["train"], loaders["val"], loss_fn, optimizer, **options)


seed_everything(42)
lstm_model = GapLSTM().to(device)
lstm_history = train(lstm_model, rate=0.01, epochs=4)
scores["LSTM"] = lstm_history.val[-1].accuracy

# %%
bag_score, ngram_score = scores["bag of all words"], scores["n-grams at the gap"]
print(
    "the LSTM beats the bag of all words, by 8 points or more:", scores["LSTM"] > bag_score + 0.08
)
half = (bag_score + ngram_score) / 2
print("it makes up more than half of the way from the bag to the n-grams:", scores["LSTM"] > half)
print("the n-grams are not beaten by 2 points:", scores["LSTM"] < ngram_score + 0.02)

# %% [markdown]
# Both are worth saying. Order is worth much: the LSTM was told where the gap is, but not how far to look, nor which words go
# together. But on a few thousand sentences, a list of hand-made features and a linear model, trained in a second, are a
# little better. With
# far more text, or with weights that were trained on it before, that changes; a notebook of a minute cannot show it.
#
# ## Attention by hand
#
# A Transformer does not carry a state along. Each word asks all others a question (*query*), each word has a label
# that says what it offers (*key*), and what it gives (*value*). How well a query fits a key is a dot product. Softmax
# turns these scores into weights that add up to 1, and the answer is the weighted sum of the values:
#
# $$\text{attention}(Q, K, V) = \text{softmax}\left(QK^\top / \sqrt{d}\right) V$$
#
# In a network, three linear layers make queries, keys and values from the same words, and they learn what to ask.
#
# Why the root? The dot product of two random vectors of `d` numbers has a standard deviation of √d. With large scores,
# softmax picks one word and lets no gradient through to the others.

# %%
from torch.nn import functional as F


def attention(queries, keys, values, mask=None):
    """Return (..., queries, d) and the weights; `mask` is True where a key may be looked at."""
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=-1)
    return weights @ values, weights


torch.manual_seed(0)
q, k, v = torch.randn(3, 2, 5, 64, dtype=torch.float64)  # 2 sentences of 5 words
ours, weights = attention(q, k, v)
print("equal to PyTorch's:", torch.allclose(ours, F.scaled_dot_product_attention(q, k, v)))
print(
    "weights of each word add up to 1:", torch.allclose(weights.sum(-1), torch.ones(2, 5).double())
)
raw = q @ k.transpose(-2, -1)
print(f"largest weight, on average: {weights.amax(-1).mean():.2f}, without the root", end=" ")
print(f"{raw.softmax(-1).amax(-1).mean():.2f}")

# %% [markdown]
# ### Mistake: attention to padding
# Padding has a key and a value like any word, so words look at it, unless they are told not to. Then what a sentence
# means depends on the company it is batched with. `nn.TransformerEncoder` has an argument for that, and its
# `src_key_padding_mask` is **True where padding is**, the opposite of the mask above (and of the one that
# `scaled_dot_product_attention` takes). We look at one short sentence alone, and in a batch with longer ones.

# %%
torch.manual_seed(0)
layer = nn.TransformerEncoderLayer(16, nhead=2, dim_feedforward=32, batch_first=True)
encoder = nn.TransformerEncoder(layer, num_layers=1, enable_nested_tensor=False).eval()
size = sizes[0].item()  # the shortest
with torch.no_grad():
    vectors = embedding(batch)
    alone = encoder(vectors[:1, :size])[0]
    unmasked = encoder(vectors)[0, :size]
    masked = encoder(vectors, src_key_padding_mask=batch == PAD)[0, :size]
    swapped = encoder(vectors, src_key_padding_mask=batch != PAD)
print("without a mask it changes with the company:", not torch.allclose(unmasked, alone, atol=1e-2))
print("with the mask it is the same as alone:", torch.allclose(masked, alone, atol=1e-5))
upside_down = not torch.allclose(swapped[0, :size], alone, atol=1e-2)
print("with the mask upside down it is another one again:", upside_down)
print("and nan where there is no padding:", bool(swapped[sizes == batch.shape[1]].isnan().all()))

# %% [markdown]
# ### Mistake: the mean over padding
# To get one vector for a whole sentence, people take the mean over its words, with `x.mean(dim=1)`. That divides by the
# padded length, and adds whatever stands in the padding. A *masked mean* adds up the words and divides by their number
# (the second exercise below).

# %%
with torch.no_grad():
    states = encoder(vectors, src_key_padding_mask=batch == PAD)
keep = (batch != PAD)[..., None]
masked_mean = (states * keep).sum(dim=1) / keep.sum(dim=1)
print(
    "plain mean equals that of the sentence alone: ",
    torch.allclose(states.mean(1)[0], alone.mean(0), atol=1e-2),
)
print(
    "masked mean equals that of the sentence alone:",
    torch.allclose(masked_mean[0], alone.mean(0), atol=1e-5),
)

# %% [markdown]
# ### Without positions, a bag of words
# Nothing in the formula says where a word stands. Shuffle the words, and each one gets the same vector as before: a
# Transformer without positions is an expensive bag of words. So each word is told its place, by a vector that is added to
# it. These are the waves of the first Transformer paper ([Vaswani and others, 2017](https://arxiv.org/abs/1706.03762)).


# %%
def positions(places, width):
    """Return (..., width): sines and cosines of the places, from fast waves to slow ones."""
    rates = 10_000 ** (-torch.arange(0, width, 2, device=places.device) / width)
    angles = places[..., None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


torch.manual_seed(1)
order = torch.randperm(size)
x = embedding(batch[:1, :size]).detach()
places = positions(torch.arange(size), 16)
with torch.no_grad():
    bare = torch.allclose(encoder(x)[0, order], encoder(x[:, order])[0], atol=1e-5)
    told = torch.allclose(
        encoder(x + places)[0, order], encoder(x[:, order] + places)[0], atol=1e-2
    )
print("words shuffled, same vectors without positions:", bare)
print("words shuffled, same vectors with positions:   ", told)

# %%
figure, axis = plt.subplots(figsize=(7, 2.9))
sines = positions(torch.arange(-12, 13), 64)[:, 0::2]
style = {"aspect": "auto", "cmap": "RdBu", "interpolation": "nearest"}
image = axis.imshow(sines.T, extent=(-12.5, 12.5, 32, 0), **style)
axis.set(
    title="Positional encoding: the sines",
    xlabel="place of the word (0 is the gap)",
    ylabel="wave, from fast to slow",
)
axis.grid(visible=False)
figure.colorbar(image, label="value")
show(
    figure,
    alt="The 32 sine waves of the positional encoding for places from minus 12 to 12: the first "
    "rows change from one place to the next, the last ones hardly change at all.",
)

# %% [markdown]
# Each column is a place, and no two columns are alike. (The cosines, left out of the picture, look the same, a little
# shifted.) Usually places are counted from the start of the sentence. Here
# the question is always "what stands beside the gap", so we count from the gap: the word before it is at -1 in every
# sentence, and the model need not learn to subtract. The waves are where training starts; it may change them.


# %%
class GapTransformer(nn.Module):
    """Takes tokens (batch, length); returns logits (batch, choices)."""

    def __init__(self, width=64, layers=1):
        super().__init__()
        self.words = nn.Embedding(len(words), width, padding_idx=PAD)
        nn.init.normal_(self.words.weight, std=0.2)
        waves = positions(torch.arange(-24, 25), width)
        self.places = nn.Embedding.from_pretrained(0.2 * waves, freeze=False)
        self.dropout, norm = nn.Dropout(0.1), nn.LayerNorm(width)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, norm, enable_nested_tensor=False)
        self.output = nn.Linear(width, len(CHOICES))
        self.masked = True

    def forward(self, tokens):
        gap = (tokens == GAP).int().argmax(dim=1)
        places = torch.arange(tokens.shape[1], device=tokens.device) - gap[:, None]
        x = self.dropout(self.words(tokens) + self.places(places + 24))
        states = self.encoder(x, src_key_padding_mask=tokens == PAD if self.masked else None)
        return self.output(self.dropout(states[torch.arange(len(gap), device=gap.device), gap]))


# %% tags=["nbval-ignore-output"]
seed_everything(42)
transformer = GapTransformer().to(device)
transformer_history = train(transformer, rate=0.006, epochs=4)
scores["Transformer"] = transformer_history.val[-1].accuracy

# %% [markdown]
# Does the mask matter in a trained model, too? We ask the same model the same questions twice, in batches of 1 (no padding)
# and of 256, first with the mask, then without.

# %%
changed = {}
for transformer.masked in (True, False):
    small, _ = predict(transformer, gap_loader("val", batch_size=1))
    large, _ = predict(transformer, gap_loader("val", batch_size=256))
    changed[transformer.masked] = (small.argmax(1) != large.argmax(1)).double().mean().item()
transformer.masked = True
print("with the mask, answers do not depend on the batch:", changed[True] < 0.001)
print("without it, more than one in a hundred changes:", changed[False] > 0.01)
print(
    "the Transformer beats the bag of all words by 5 points or more:",
    scores["Transformer"] > bag_score + 0.05,
)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), width_ratios=(3, 2))
names = list(scores)
left.barh(names, [100 * score for score in scores.values()], color=["C4"] * 3 + ["C0", "C1"])
left.invert_yaxis()
left.bar_label(left.containers[0], fmt="%.0f%%", padding=3)
left.set(title="Which word is missing?", xlabel="validation accuracy (%)", xlim=(0, 80))
left.grid(visible=False, axis="y")
for name, history in {"LSTM": lstm_history, "Transformer": transformer_history}.items():
    right.plot(
        range(1, len(history) + 1), [100 * r.accuracy for r in history.val], "o-", label=name
    )
right.axhline(100 * bag_score, color="C4", linestyle=":", label="bag of all words")
right.set(title="While training", xlabel="epoch", ylabel="validation accuracy (%)", ylim=(35, 79))
right.set_xticks(range(1, 1 + max(len(lstm_history), len(transformer_history))))
right.legend(loc="upper left", fontsize=8)
show(
    figure,
    alt="Validation accuracy of five models. The most frequent answer is lowest, then the bag of "
    "all words, then the Transformer; the n-grams at the gap and the LSTM are highest. On the "
    "right, both networks pass the bag of words while they train.",
)

# %% [markdown]
# A Transformer has to learn from the data that neighbours matter; an LSTM is built that way. In this run the LSTM is ahead;
# with other seeds they come within a point. Both have begun to overfit by epoch 4. Which words are confused?

# %%
from course_utils.plots import plot_confusion_matrix

logits, y = predict(lstm_model, loaders["val"])
plot_confusion_matrix(
    y_true=y,
    y_pred=logits.argmax(dim=1),
    class_names=CHOICES,
    normalize="true",
    title="LSTM, validation part",
)

# %% [markdown]
# The rare ones: of the *from* only few are found, of the *with* a third; their places go to *of*, *in*, *to* and *for*.

# %%
right = logits.argmax(dim=1) == y
bag_right = torch.from_numpy(bag_model.predict([t for t, _ in gaps["val"]])) == y
only = (right & ~bag_right).nonzero().flatten().tolist()
print(
    "the LSTM alone is right more often than the bag alone is:",
    len(only) > (bag_right & ~right).sum().item(),
)

# %% [markdown]
# A look at a few of these, with both answers:

# %% tags=["nbval-ignore-output"]
for i in only[:4]:
    tokens, answer = gaps["val"][i]
    said = bag_model.predict([tokens])[0]
    print(f"{CHOICES[answer]} (the bag: {CHOICES[said]}):", " ".join(tokens))

# %% [markdown]
# ### The test part, once, and a model card
# Of the two networks we keep the LSTM. By the validation part the n-grams would be chosen, and a real project should. We
# report the score of the LSTM on the test part, beside the baselines.

# %% tags=["nbval-ignore-output"]
from course_utils import write_model_card

result = evaluate(lstm_model, loaders["test"], loss_fn)
test_tokens = [tokens for tokens, _ in gaps["test"]]
metrics = {
    "test accuracy": result.accuracy,
    "bag of all words": bag_model.score(test_tokens, answers["test"]),
    "n-grams at the gap": ngram_model.score(test_tokens, answers["test"]),
}
weights_file = folder / "gap_lstm.pt"
saved = {"words": words, "choices": CHOICES, "state": lstm_model.state_dict()}
torch.save(saved, weights_file)
card = write_model_card(
    weights_file,
    lstm_model,
    title="Which small word is missing?",
    purpose="Takes a sentence with one gap, gives a logit for each of six words. For a lesson.",
    data=f"{len(gaps['train'])} gaps in docstrings of four libraries; split by file, test once.",
    class_names=CHOICES,
    metrics=metrics,
    limits="English documentation only. No better than n-grams with logistic regression.",
)
print(card.read_text())

# %%
print(
    "beats the bag of all words on the test part:",
    metrics["test accuracy"] > metrics["bag of all words"] + 0.05,
)
saved = torch.load(weights_file, weights_only=True)
again = GapLSTM().to(device)
print(again.load_state_dict(saved["state"]))
before, _ = predict(lstm_model, loaders["val"])
after, _ = predict(again, loaders["val"])
print("loaded, it gives the same answers:", torch.equal(before, after))
print("words and choices are in the file:", saved["words"] == words, saved["choices"] == CHOICES)

# %% [markdown]
# Weights without their vocabulary are worthless: number 17 must mean the same word again, and output 3 the same
# choice. So all three go into one file.
#
# ## From sequence to sequence
#
# The output may be a sequence as well, of another length: a translation, a summary. Our example is small enough to
# understand everything. People write dates in many ways, a table wants `2021-03-04`. The data is **generated**, with
# Python's own calendar: eight ways of writing, and one problem that is real. Of the dates with slashes, six in ten are
# written by Europeans, day first, the others by Americans, month first, and nobody says who wrote which.

# %%
from datetime import date, timedelta

MONTHS = ["January", "February", "March", "April", "May", "June", "July"]
MONTHS += ["August", "September", "October", "November", "December"]


def ordinal(day):
    return (
        f"{day}th"
        if 10 <= day <= 20
        else f"{day}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th') }"
    )


# %%
def written(day, rng):
    """Return the date as some person would write it."""
    name = rng.choice([MONTHS[day.month - 1], MONTHS[day.month - 1][:3]])
    european = f"{day.day}/{day.month}/{day.year}"
    american = f"{day.month}/{day.day}/{day.year}"
    ways = [
        f"{day.day} {name} {day.year}",
        f"{name} {day.day}, {day.year}",
        f"{ordinal(day.day)} of {MONTHS[day.month - 1]} {day.year}",
        f"{day.day}.{day.month}.{day.year}",
        european if rng.random() < 0.6 else american,
        european if rng.random() < 0.6 else american,
    ]
    return rng.choice(ways)


# %%
days = [date(1990, 1, 1) + timedelta(days=i) for i in range(14_600)]
random.Random(0).shuffle(days)
rng = random.Random(1)
dates_file = folder / "dates.csv"
rows = [(written(day, rng), day.isoformat()) for day in days[:4000]]
pd.DataFrame(rows, columns=["written", "iso"]).to_csv(dates_file, index=False)

table = pd.read_csv(dates_file, dtype=str)
pairs = list(zip(table["written"], table["iso"], strict=True))
date_parts = {"train": pairs[:3000], "val": pairs[3000:3500], "test": pairs[3500:]}
for source, target in pairs[:6]:
    print(f"{source:22} {target}")
print("every day occurs once, so no answer is in two parts:", table["iso"].is_unique)

# %% [markdown]
# Tokens are characters here. Two more special ones are needed: `<bos>` begins an answer and `<eos>` ends it.

# %%
BOS, EOS = 1, 2
characters = [
    "<pad>",
    "<bos>",
    "<eos>",
    *sorted({c for s, t in date_parts["train"] for c in s + t}),
]
code_of = {character: number for number, character in enumerate(characters)}


def codes(text):
    return torch.tensor([code_of[character] for character in text])


def text_of(numbers):
    """Return the characters up to <eos>."""
    numbers = list(map(int, numbers))
    return "".join(characters[n] for n in numbers[: numbers.index(EOS) if EOS in numbers else None])


def pad_dates(pairs):
    """Return (source, answer so far) and the answer wanted: the same, shifted by one."""
    source = pad_sequence([codes(s) for s, _ in pairs], batch_first=True, padding_value=PAD)
    whole = torch.stack(
        [torch.cat([torch.tensor([BOS]), codes(t), torch.tensor([EOS])]) for _, t in pairs]
    )
    return (source, whole[:, :-1]), whole[:, 1:]


# %%
(source, given), wanted = pad_dates(date_parts["train"][:1])
print("given: ", [characters[n] for n in given[0]])
print("wanted:", [characters[n] for n in wanted[0]])

# %% [markdown]
# While training, the decoder is given the right answer so far and predicts the next character, at all places at once
# (*teacher forcing*). So the input of the decoder is the answer **shifted by one**: at each place it sees everything before
# the character it has to predict, and not that character.
#
# The encoder reads the date in both directions. Both parts are GRUs: like an LSTM, with one state in place of two. The
# decoder carries a state, and at each character it looks back at the encoder's states with the attention that we wrote
# above. (Real translation needs the padding of targets masked too, with `ignore_index=PAD`; our answers all have ten
# characters.)


# %%
class DateTranslator(nn.Module):
    """Takes (source, answer so far); returns logits (batch, characters, length)."""

    def __init__(self, width=64):
        super().__init__()
        self.embedding = nn.Embedding(len(characters), width, padding_idx=PAD)
        self.encoder = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.decoder = nn.GRU(width, width, batch_first=True)
        self.output = nn.Linear(2 * width, len(characters))

    def encode(self, source):
        states, last = self.encoder(pack(self.embedding(source), source))
        memory, _ = pad_packed_sequence(states, batch_first=True)
        return (memory, source != PAD), torch.cat([last[0], last[1]], dim=1)[None]

    def decode(self, answer, memory, state):
        states, state = self.decoder(self.embedding(answer), state)
        seen, weights = attention(states, memory[0], memory[0], memory[1][:, None])
        return self.output(torch.cat([states, seen], dim=-1)), state, weights

    def forward(self, inputs):
        source, answer = inputs
        return self.decode(answer, *self.encode(source))[0].transpose(1, 2)


# %%
date_loaders = {
    part: DataLoader(
        pairs,
        64,
        shuffle=part == "train",
        collate_fn=pad_dates,
        generator=torch.Generator().manual_seed(0),
    )
    for part, pairs in date_parts.items()
}
source_and_answer, _ = next(iter(date_loaders["val"]))
print("source and answer so far:", [tuple(part.shape) for part in source_and_answer])

# %% tags=["nbval-ignore-output"]
seed_everything(42)
translator = DateTranslator().to(device)
optimizer = torch.optim.AdamW(translator.parameters(), lr=5e-3)


def train_dates(model, optimizer, epochs, **options):
    loaders = date_loaders["train"], date_loaders["val"]
    return fit(model, *loaders, loss_fn, optimizer, epochs=epochs, clip_norm=1.0, **options)


date_history = train_dates(translator, optimizer, epochs=2)
half_trained = copy.deepcopy(translator).eval()
falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)
date_history = train_dates(translator, optimizer, epochs=8, scheduler=falling)

# %% [markdown]
# ### Greedy decoding
# In use there is no right answer to be given. The decoder starts from `<bos>`, takes its most probable character, is given
# that one, and so on, until `<eos>`. The accuracy in the lines above counts single characters, each predicted after the right
# ones. What a user sees is an *exact match* of the whole date, and no help on the way.


# %%
@torch.no_grad()
def greedy(model, source, longest=14):
    """Return the numbers (batch, longest) of the most probable characters, one at a time."""
    memory, state = model.encode(source)
    last, chosen = torch.full((len(source), 1), BOS, device=source.device), []
    for _ in range(longest):
        logits, state, _ = model.decode(last, memory, state)
        last = logits.argmax(dim=-1)
        chosen.append(last)
    return torch.cat(chosen, dim=1)


def translate(model, texts):
    source = pad_sequence([codes(text) for text in texts], batch_first=True, padding_value=PAD)
    return [text_of(numbers) for numbers in greedy(model.eval(), source.to(device))]


def could_be_both(text):
    """Whether a date with slashes has two readings."""
    if "/" not in text:
        return False
    first, second, _ = text.split("/")
    return first != second and max(int(first), int(second)) <= 12


# %% tags=["nbval-ignore-output"]
val_texts, val_dates = zip(*date_parts["val"], strict=True)
hits = [a == b for a, b in zip(translate(translator, val_texts), val_dates, strict=True)]
both = [could_be_both(text) for text in val_texts]
clear_hits = [hit for hit, two in zip(hits, both, strict=True) if not two]
both_hits = [hit for hit, two in zip(hits, both, strict=True) if two]
print(f"one reading: {sum(clear_hits) / len(clear_hits):.1%} of {len(clear_hits)} exact")
print(f"two readings: {sum(both_hits) / len(both_hits):.1%} of {len(both_hits)} exact")

# %%
print("nearly all dates with one reading are right:", sum(clear_hits) > 0.9 * len(clear_hits))
print("with two readings far fewer:", sum(both_hits) < 0.75 * len(both_hits))

# %% [markdown]
# More training cannot mend the second number: nothing in "3/4/2021" says whether it is March or April.
# The best that anybody can do is the European reading every time, right in about six of ten.
#
# ### Beam search
# Greedy decoding takes the best character and forgets the others. A *beam* keeps the `width` most probable beginnings,
# lengthens each by every character, and keeps the best of all of these. The probability of a text is the product of those of
# its characters, so the logarithms are added.


# %%
@torch.no_grad()
def beam_search(model, text, width, longest=14):
    """Return up to `width` pairs (log probability, text), the best first."""
    memory, state = model.encode(codes(text)[None].to(device))
    alive, done = [(0.0, [BOS], state)], []
    while alive and len(alive[0][1]) <= longest:
        longer = []
        for total, numbers, state in alive:
            last = torch.tensor([numbers[-1:]], device=device)
            logits, after, _ = model.decode(last, memory, state)
            best = logits[0, -1].log_softmax(dim=-1).topk(width)
            for gain, number in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                longer.append((total + gain, [*numbers, number], after))
        longer = sorted(longer, key=lambda item: -item[0])[:width]
        done += [item for item in longer if item[1][-1] == EOS]
        alive = [item for item in longer if item[1][-1] != EOS]
    ranked = sorted(done + alive, key=lambda item: -item[0])[:width]
    return [(total, text_of(numbers[1:])) for total, numbers, _ in ranked]


# %% [markdown]
# A beam of width 1 is greedy decoding. A wider one also shows what else the model thought of:

# %% tags=["nbval-ignore-output"]
for text in ("7th of May 2011", "5/9/2013"):
    for total, answer in beam_search(translator, text, width=3):
        print(f"{text:16} {answer:12} {math.exp(total):.2%}")

# %%
some = val_texts[:100]
ones = [beam_search(translator, text, width=1)[0][1] for text in some]
print("width 1 is greedy decoding:", ones == translate(translator, some))
ambiguous = [text for text, two in zip(val_texts, both, strict=True) if two]
found_both = 0
for text in ambiguous:
    a, b, year = map(int, text.split("/"))
    readings = {f"{year}-{a:02}-{b:02}", f"{year}-{b:02}-{a:02}"}
    found_both += readings <= {said for _, said in beam_search(translator, text, width=5)}
print("a beam of 5 holds both readings, in 8 of 10 or more:", found_both >= 0.8 * len(ambiguous))

# %% [markdown]
# That is the honest answer to "5/9/2013": two dates, with their probabilities. A program can ask the user when the second
# one is not negligible.
#
# Does the beam find *more probable* answers than greedy decoding? We search the validation part for cases, in the trained
# model and in the one that had seen only two epochs and is still unsure.


# %% tags=["nbval-ignore-output"]
def beam_gains(model, texts):
    """Return where a beam of 5 finds a more probable answer, with both, the largest gain first."""
    gains = []
    for text in texts:
        (first, one), (best, other) = (beam_search(model, text, w)[0] for w in (1, 5))
        if best > first + 1e-3:
            gains.append((math.exp(best) - math.exp(first), text, one, first, other, best))
    return sorted(gains, reverse=True)


in_trained = beam_gains(translator, val_texts[:100])
better = beam_gains(half_trained, val_texts[:100])
gain, text, one, first, other, best = better[0]
print(f"trained: {len(in_trained)} of 100 dates, half-trained: {len(better)}. The largest gain:")
print(f"{text!r}: greedy {one} ({math.exp(first):.2%}), beam {other} ({math.exp(best):.2%})")

# %%
print("the half-trained model has 5 such cases or more:", len(better) >= 5)
print("and more of them than the trained one:", len(better) > len(in_trained))
print("there the beam's answer is another one:", one != other, " and more probable:", best > first)

# %% [markdown]
# Greedy decoding took a character that looked best and found only poor continuations. More probable is not the same as
# right, though: a beam finds what the model believes, and this model was not finished.
#
# ### What the decoder looked at
# The weights of the attention are a table: a row for each character written, a column for each character read.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 4.0), width_ratios=(22, 16))
for axis, text in zip(axes, ("September 23, 2016", "14.2.2008"), strict=True):
    answer = translate(translator, [text])[0]
    given = torch.cat([torch.tensor([BOS]), codes(answer)])[None].to(device)
    with torch.no_grad():
        _, _, weights = translator.decode(given, *translator.encode(codes(text)[None].to(device)))
    image = axis.imshow(
        weights[0, : len(answer)].cpu(), cmap="Blues", vmin=0, vmax=1, aspect="auto"
    )
    axis.set_xticks(range(len(text)), [c.replace(" ", "␣") for c in text])
    axis.set_yticks(range(len(answer)), answer)
    axis.set(title=text, xlabel="read")
    axis.grid(visible=False)
axes[0].set_ylabel("written")
figure.colorbar(image, ax=axes, label="attention weight")
show(
    figure,
    alt="Attention weights as two tables, characters read across, characters written down. For "
    "September 23, 2016 the year is written looking at its last characters, then the month at the "
    "name, then the day at 23. For 14.2.2008 it goes from right to left in the same way.",
)

# %% [markdown]
# For the year it looks at the end, for the month at the middle or the name, for the day at its number. Does it do so in
# all dates, or only in these two? We ask, for the dates with dots, where the largest weight stands.

# %%
year = day = 0
dotted = [text for text, iso in date_parts["val"] if "." in text]
for text in dotted:
    answer = translate(translator, [text])[0]
    given = torch.cat([torch.tensor([BOS]), codes(answer)])[None].to(device)
    with torch.no_grad():
        _, _, weights = translator.decode(given, *translator.encode(codes(text)[None].to(device)))
    looked = weights[0].argmax(dim=1).tolist()
    year += looked[3] >= len(text) - 4
    day += looked[9] <= text.index(".")
print("the last digit of the year: at the year, in 8 of 10 or more:", year >= 0.8 * len(dotted))
print("the last digit of the day: at the day, in 8 of 10 or more:", day >= 0.8 * len(dotted))

# %% [markdown]
# Nobody told it which part is which. The weights often stand beside the character you expect, because the encoder's state there has
# read its neighbours already. Attention shows where a model looked, not why it decided.
#
# ### The test part, and the rule
# A network is not the first thing to try on dates. `dateutil` comes with pandas and holds the rules that people have
# written down over years. And a *nearest neighbour* answers with the date of the training text that looks most alike.

# %%
from dateutil.parser import parse

test_texts, test_dates = zip(*date_parts["test"], strict=True)
train_texts, train_answers = zip(*date_parts["train"], strict=True)
letters = TfidfVectorizer(analyzer="char", ngram_range=(1, 3)).fit(train_texts)
alike = letters.transform(test_texts) @ letters.transform(train_texts).T  # cosines
by_model = {
    "nearest": [train_answers[i] for i in alike.toarray().argmax(axis=1)],
    "dateutil": [parse(text, dayfirst=True, fuzzy=True).date().isoformat() for text in test_texts],
    "network": translate(translator, test_texts),
}
clear = [not could_be_both(text) for text in test_texts]
exact = {}
for name, said in by_model.items():
    exact[name] = [a == b for a, b, one in zip(said, test_dates, clear, strict=True) if one]

# %%
for name in ("nearest", "dateutil"):
    share = sum(exact[name]) / sum(clear)
    print(f"{name:9} {share:.0%} of {sum(clear)} test dates with one reading")
print("the network: more than 90%:", sum(exact["network"]) > 0.9 * sum(clear))
no_date = "31 February 2020"
print(f"asked for {no_date}, the network answers:", len(translate(translator, [no_date])[0]) >= 8)
try:
    parse(no_date, dayfirst=True, fuzzy=True)
except ValueError as error:
    print(f"dateutil: {type(error).__name__}: {error}")
filled = parse("in May", dayfirst=True, fuzzy=True)
print('asked for "in May", dateutil says this year:', filled.year == date.today().year)

# %% tags=["nbval-ignore-output"]
print(f"{no_date}, says the network, is {translate(translator, [no_date])[0]}")

# %% [markdown]
# The rule is right every time, needs no training and can be read. The nearest neighbour can never be right, because every
# day occurs once: the network has learned to write dates that it has never seen. Such a network earns its place where
# nobody can write the rule down, as in translation. And it has no way to say "this is no date", as the rule does. But the
# rule can guess as well: `fuzzy=True` fills what is missing from today's date: check before you trust it.
#
# ## Three mistakes that a falling loss does not show
#
# ### The target is not shifted
# Give the decoder the very character it has to predict, and it learns to copy. The loss falls to 0 faster than ever.


# %% tags=["nbval-ignore-output"]
def pad_unshifted(pairs):
    (source, _), wanted = pad_dates(pairs)
    return (source, wanted), wanted


seed_everything(0)
copying = DateTranslator().to(device)
copy_loader = DataLoader(date_parts["train"], 64, shuffle=True, collate_fn=pad_unshifted)
copy_optimizer = torch.optim.AdamW(copying.parameters(), lr=5e-3)
copy_loss = [train_epoch(copying, copy_loader, loss_fn, copy_optimizer).loss for _ in range(2)][-1]
copied = translate(copying, val_texts)
print(f"loss {copy_loss:.4f}; from {val_texts[0]!r} it makes {copied[0]!r}")

# %%
print("loss near 0:", copy_loss < 0.1)
print("dates that are right:", sum(a == b for a, b in zip(copied, val_dates, strict=True)))

# %% [markdown]
# ### No causal mask, and no end
# A recurrent decoder cannot look ahead. A Transformer decoder can, unless a *causal mask* lets each place see only itself and
# what stands before it. The smallest model that shows it writes dates without reading anything. There are 14,600 days
# in our calendar, all equally likely, so the 11 characters of a date (with `<eos>`) cost at least ln(14,600) / 11 on
# average over the whole calendar: no model can give every day more than its share. **A loss below that is impossible
# without cheating.**


# %%
class DateWriter(nn.Module):
    """Takes the text so far (batch, length); returns logits (batch, characters, length)."""

    def __init__(self, causal, width=32):
        super().__init__()
        self.causal = causal
        self.embedding = nn.Embedding(len(characters), width)
        self.layer = nn.TransformerEncoderLayer(width, 4, 64, 0.0, batch_first=True)
        self.output = nn.Linear(width, len(characters))

    def forward(self, answer):
        length = answer.shape[1]
        ahead = torch.ones(length, length, device=answer.device).triu(1).bool()  # True: hidden
        x = self.embedding(answer) + positions(torch.arange(length, device=answer.device), 32)
        return self.output(self.layer(x, src_mask=ahead if self.causal else None)).transpose(1, 2)


print(torch.ones(4, 4).triu(1).bool())

# %% [markdown]
# Row by row: the first place sees itself alone, the last one everything. We train three writers: as it should be, without
# the mask, and without `<eos>` in the answers (10 characters, so the bound is ln(14,600) / 10). The loss is taken over the
# whole calendar. Then each writes 200 dates from `<bos>`, drawing character after character.


# %%
@torch.no_grad()
def write(model, times=200, longest=14):
    """Draw texts from a writer; each is cut at <eos>, if there is one."""
    text = torch.full((times, 1), BOS, device=device)
    for _ in range(longest):
        shares = model(text)[:, :, -1].softmax(dim=1)
        text = torch.cat([text, torch.multinomial(shares, 1)], dim=1)
    return [text_of(numbers) for numbers in text[:, 1:]]


def is_date(text):
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


# %% tags=["nbval-ignore-output"]
with_end = {"train": [(x[1], y) for x, y in date_loaders["train"]]}
(_, text), wanted_all = pad_dates([(day.isoformat(), day.isoformat()) for day in days])
with_end["all"] = [(text, wanted_all)]
no_end = {p: [(x[:, :-1], y[:, :-1]) for x, y in with_end[p]] for p in with_end}
ways = {"right": (True, with_end), "no mask": (False, with_end), "no <eos>": (True, no_end)}
writers = {}
for name, (causal, batches) in ways.items():
    seed_everything(0)
    model = DateWriter(causal).to(device)
    adamw = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(4):
        train_epoch(model, batches["train"], loss_fn, adamw)
    loss, texts = evaluate(model, batches["all"], loss_fn).loss, write(model.eval())
    bound = math.log(len(days)) / batches["all"][0][1].shape[1]
    writers[name] = loss / bound, sum(map(is_date, texts))
    print(f"{name:9} loss {loss:.3f} (bound {bound:.3f}),", end=" ")
    print(f"{writers[name][1]} dates of 200, for example {texts[0]!r}")

# %%
print("right: the loss stays above the bound:", writers["right"][0] > 1)
print("right: most texts are dates:", writers["right"][1] > 120)
print("no mask: a loss below half of what is possible:", writers["no mask"][0] < 0.5)
print("no mask: few dates:", writers["no mask"][1] < 0.4 * writers["right"][1])
print("no <eos>: a loss near its bound:", 1 < writers["no <eos>"][0] < 1.1, end=" ")
print(" and hardly a text that ends after ten characters:", writers["no <eos>"][1] < 10)

# %% [markdown]
# A loss that is too good to be true is the best hint there is. Estimate what is possible before you train.
#
# ## BLEU: how much of this translation stands in that one?
#
# For dates, right is right. A sentence can be translated well in many ways, so programs count common words and phrases.
# BLEU ([Papineni and others, 2002](https://aclanthology.org/P02-1040/)) asks of every n-gram of the *candidate* whether it is
# in the *reference*. Each n-gram of the reference may be used once for each time it occurs there (*clipping*). Without that,
# one frequent word would be a perfect translation:


# %%
def ngrams(tokens, n):
    """Count the runs of n tokens."""
    return Counter(zip(*(tokens[i:] for i in range(n)), strict=False))


candidate, reference = tokenize("the the the the the the the"), tokenize("the cat is on the mat")
mine, theirs = ngrams(candidate, 1), ngrams(reference, 1)
unclipped = sum(count for gram, count in mine.items() if gram in theirs)
print(f"not clipped: {unclipped} of {len(candidate)}")
print(f"clipped:     {(mine & theirs).total()} of {len(candidate)}")  # & takes the smaller count

# %% [markdown]
# Now an example to follow with a pencil. The four precisions, for n from 1 to 4:

# %%
candidate = tokenize("the model learns from the training part")
reference = tokenize("the model learns only from the training part of the data")
precisions = []
for n in range(1, 5):
    mine, theirs = ngrams(candidate, n), ngrams(reference, n)
    common = mine & theirs
    precisions.append(common.total() / mine.total())
    missing = ", ".join(" ".join(gram) for gram in mine - theirs) or "none"
    print(f"{n}-grams: {common.total()} of {mine.total()}, not in the reference: {missing}")

# %% [markdown]
# Short candidates have it easy: with four words copied from the reference, all precisions are 1. So there is a *brevity
# penalty*, exp(1 - r/c) where the candidate's c words are fewer than the reference's r. BLEU is the penalty times the
# geometric mean of the precisions.

# %%
from torchmetrics.text import BLEUScore

penalty = min(1.0, math.exp(1 - len(reference) / len(candidate)))
mean = math.prod(precisions) ** (1 / 4)
theirs = BLEUScore()([" ".join(candidate)], [[" ".join(reference)]]).item()
print("precisions:", " ".join(f"{p:.3f}" for p in precisions), f" geometric mean {mean:.3f}")
print(f"penalty exp(1 - {len(reference)}/{len(candidate)}) = {penalty:.3f}")
equal = abs(penalty * mean - theirs) < 1e-6
print(f"BLEU {penalty * mean:.4f}, torchmetrics {theirs:.4f}, equal: {equal}")

# %% [markdown]
# ### Mistake: the mean of sentence scores
# BLEU is defined for a whole corpus: add up all n-grams first, divide once. A single sentence without a common 4-gram has
# BLEU 0, and the mean of such scores is another number. (You know that mistake from notebook 03, with batches.)


# %%
def bleu(candidates, references):
    """Return the BLEU of a corpus: lists of sentences, one reference for each."""
    pairs = [(c.split(), r.split()) for c, r in zip(candidates, references, strict=True)]
    product = 1.0
    for n in range(1, 5):
        hits = sum((ngrams(c, n) & ngrams(r, n)).total() for c, r in pairs)
        product *= hits / max(1, sum(ngrams(c, n).total() for c, _ in pairs))
    c, r = (sum(len(pair[side]) for pair in pairs) for side in (0, 1))
    if c == 0:
        return 0.0
    return min(1.0, math.exp(1 - r / c)) * product**0.25


candidates = [" ".join(candidate), "the cat sat on the mat", "files are read one by one"]
references = [" ".join(reference), "the cat is on the mat", "files are read one at a time"]
single = [bleu([c], [r]) for c, r in zip(candidates, references, strict=True)]
theirs = BLEUScore()(candidates, [[r] for r in references]).item()
print("single sentences:", [round(score, 3) for score in single], f" mean {sum(single) / 3:.3f}")
print(f"the corpus: {bleu(candidates, references):.3f}, equal to torchmetrics:", end=" ")
print(abs(bleu(candidates, references) - theirs) < 1e-6)

# %% [markdown]
# ## ROUGE: how much of the reference was covered?
#
# Summaries are compared with ROUGE ([Lin, 2004](https://aclanthology.org/W04-1013/)). ROUGE-1 and ROUGE-2 count common words
# and pairs, clipped as above, and divide by the *reference's* number for recall, by the candidate's for precision. ROUGE-L
# takes the longest common subsequence in place of n-grams: words in the same order, gaps allowed. F1 sums both up.


# %%
def longest_common(a, b):
    """Return the length of the longest common subsequence, row by row of a table."""
    above = [0] * (len(b) + 1)
    for x in a:
        row = [0]
        for j, y in enumerate(b):
            row.append(above[j] + 1 if x == y else max(above[j + 1], row[j]))
        above = row
    return above[-1]


def rouge(candidate, reference):
    """Return F1 of ROUGE-1, ROUGE-2 and ROUGE-L."""
    c, r = (re.sub(r"[^a-z0-9]+", " ", text.lower()).split() for text in (candidate, reference))
    common = [(ngrams(c, n) & ngrams(r, n)).total() for n in (1, 2)] + [longest_common(c, r)]
    sizes = [len(c) + len(r), len(c) + len(r) - 2, len(c) + len(r)]
    return [2 * hits / size if size > 0 else 0.0 for hits, size in zip(common, sizes, strict=True)]


# %% [markdown]
# F1 is 2 PR / (P + R), and that is twice the common ones over both sizes together. For the pencil: 7 words against 11. All 7 are
# in the reference and in the same order, so ROUGE-1 and ROUGE-L are 14/18. Of 6 and 10 pairs 5 are common: 10/16.

# %%
from torchmetrics.text.rouge import ROUGEScore

keys = ("rouge1", "rouge2", "rougeL")
judge = ROUGEScore(rouge_keys=keys)
for c, r in zip(candidates, references, strict=True):
    theirs = judge(c, r)
    same = all(
        abs(a - theirs[f"{k}_fmeasure"].item()) < 1e-6
        for a, k in zip(rouge(c, r), keys, strict=True)
    )
    print(
        " ".join(f"{score:.3f}" for score in rouge(c, r)), f" equal to torchmetrics: {same}   {c}"
    )
print(f"14/18 = {14 / 18:.3f}, 10/16 = {10 / 16:.3f}")

# %% [markdown]
# ### What both do not see
# Four candidates for the same reference. Read them before you look at the numbers.

# %%
reference = "the new drug is safe for children and it works well"
cases = {
    "says the contrary": "the new drug is not safe for children and it works well",
    "word salad": "well works it and children for safe is drug new the",
    "a good paraphrase": "kids can take this novel medicine without risk and with benefit",
    "two words": "the new",
}
judged = {}
for name, text in cases.items():
    judged[name] = bleu([text], [reference]), *rouge(text, reference)
    print(
        f"{name:22} BLEU {judged[name][0]:.2f}  ROUGE-1, 2, L",
        *(f"{x:.2f}" for x in judged[name][1:]),
    )

# %%
figure, axis = plt.subplots(figsize=(8, 3))
kinds = ("BLEU", "ROUGE-1", "ROUGE-2", "ROUGE-L")
for place, kind in enumerate(kinds):
    heights = [judged[name][place] for name in cases]
    bars = axis.bar([i + 0.2 * place - 0.3 for i in range(4)], heights, width=0.19, label=kind)
    axis.bar_label(bars, fmt="%.2f", fontsize=7)
axis.set_xticks(range(4), ["says the\ncontrary", "word salad", "good\nparaphrase", "two words"])
axis.set(title="Four candidates, one reference", ylabel="score", ylim=(0, 1.08))
axis.grid(visible=False, axis="x")
axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
show(
    figure,
    alt="BLEU and ROUGE of four candidates. The one that says the contrary has the highest scores "
    "of all kinds but one, the word salad has a ROUGE-1 of 1, the good paraphrase is near 0.",
)

# %% [markdown]
# The dangerous sentence wins, the salad is perfect in ROUGE-1, and the good one gets next to nothing. Use these scores to
# compare versions of one system on many sentences, and let people read some of the output.

# %% [markdown]
# ## Your turn
#
# ### 1. A vocabulary
# `sentences` is a list of lists of tokens. Return the list of words: `"<pad>"`, `"<unk>"`, then every word that occurs at least
# `min_count` times, the most frequent first, equally frequent ones in alphabetical order.


# %% tags=["exercise"]
def vocabulary(sentences, min_count):
    # your code here
    ...


# %% tags=["check"]
from checks import project_text

project_text.vocabulary(vocabulary)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# from collections import Counter
#
# def vocabulary(sentences, min_count):
#     counts = Counter(token for tokens in sentences for token in tokens)
#     kept = [word for word, count in counts.items() if count >= min_count]
#     return ["<pad>", "<unk>"] + sorted(kept, key=lambda word: (-counts[word], word))
# ```
#
# The alphabetical order makes it repeatable: `set` and the order of the files would not.
# </details>

# %% [markdown]
# ### 2. The masked mean
# `states` of shape (batch, length, width), and `keep` of shape (batch, length), True at words and False at padding. Return
# the mean over the words of each sentence, of shape (batch, width). What stands in the padding must not matter, not even
# a nan.


# %% tags=["exercise"]
def masked_mean(states, keep):
    # your code here
    ...


# %% tags=["check"]
project_text.masked_mean(masked_mean)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def masked_mean(states, keep):
#     total = states.masked_fill(~keep[..., None], 0.0).sum(dim=1)
#     return total / keep.sum(dim=1, keepdim=True)
# ```
#
# `states * keep[..., None]` is right as well, unless there is a nan in the padding: 0 times nan is nan.
# </details>

# %% [markdown]
# ### 3. Clipped precision
# `candidate` and `reference` are lists of tokens. Return the share of the candidate's n-grams that are in the reference, each
# used at most as often as it occurs there. A candidate with fewer than `n` tokens has none: return 0.


# %% tags=["exercise"]
def clipped_precision(candidate, reference, n):
    # your code here
    ...


# %% tags=["check"]
project_text.clipped_precision(clipped_precision)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# from collections import Counter
#
# def clipped_precision(candidate, reference, n):
#     mine, theirs = (
#         Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
#         for tokens in (candidate, reference)
#     )
#     return (mine & theirs).total() / max(1, mine.total())
# ```
#
# `&` of two Counters takes the smaller count of each, and that is the clipping.
# </details>

# %% [markdown]
# ## Recap
#
# - Split by document, after removing copies. A split by sentence reports a number that no user will see.
# - Start with a bag of words. Where order does not matter, it is enough; where it does, n-grams are a baseline worth fearing.
# - The vocabulary comes from the training part and travels with the weights; `<pad>` is 0, `<unk>` is 1.
# - Pack what an LSTM reads, mask what attention sees, and mask the mean. Proof: a sentence alone gives the same as in a batch.
# - A decoder's input is its target shifted by one; its mask is causal; `<eos>` ends it. A loss below what is possible means
#   that the shift or the mask is missing; texts that do not stop mean that `<eos>` is.
# - Greedy is a beam of width 1. A beam finds more probable answers, and shows the second-best ones.
# - BLEU is precision with a penalty for brevity, over a corpus; ROUGE also asks for recall. Neither reads the sentence.
#
# **Next:** [13 · Project: detection](13_project_detection.ipynb) finds things in images, and where they are.
