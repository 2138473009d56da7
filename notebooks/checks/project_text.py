"""Checks of notebook 12."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch

from checks import Untouched, as_table, call, check


@check(
    "masked_mean still returns nothing. Hint: add up the words only, then divide by how many there are.",
    "The padding no longer counts, neither above nor below the line.",
)
def masked_mean(function: Callable[..., Any]) -> str | None:
    """Two sentences of three and two words; then nan in the padding, padding in front, and gradients."""
    states = torch.tensor(
        [[[1.0, 2.0], [3.0, 4.0], [8.0, 0.0], [9.0, 9.0]], [[4.0, 6.0], [50.0, 70.0], [1.0, 1.0], [2.0, 3.0]]]
    )
    keep = torch.tensor([[True, True, True, False], [True, True, False, False]])
    given = states.clone(), keep.clone()
    want = torch.tensor([[4.0, 2.0], [27.0, 38.0]], dtype=torch.float64)
    result = call(function, *given)
    found = as_table(result)
    if found is None:
        return "a tensor is wanted. Hint: return one row of means for each sentence."
    if problem := _mean_problem(found, want, states.double(), keep):
        return problem
    if not (torch.equal(given[0], states) and torch.equal(given[1], keep)):
        return "states or keep have changed after the call. Hint: *= and functions that end in _ write into them."
    spoiled = states.masked_fill(~keep[..., None], math.nan)
    found = as_table(call(function, spoiled, keep.clone()))
    if found is None or not torch.allclose(found, want, atol=1e-5):
        return (
            "with nan in the padding the result is nan, since 0 times nan is nan. Hint: "
            "states.masked_fill(~keep[..., None], 0.0)."
        )
    return _front_problem(function) or (_gradient_problem(function) if isinstance(result, torch.Tensor) else None)


def _front_problem(function: Callable[..., Any]) -> str | None:
    """Padding at both ends, a word whose state is 0, and means that are no whole numbers (but exact in half precision)."""
    states = torch.tensor(
        [[[7.0, 7.0], [0.0, 0.0], [2.5, 1.0], [9.0, 5.0]], [[1.0, 2.0], [2.0, 4.0], [3.0, 5.5], [6.0, 2.5]]]
    )
    keep = torch.tensor([[False, True, True, False], [True, True, True, True]])
    want = torch.tensor([[1.25, 0.5], [3.0, 3.5]], dtype=torch.float64)
    found = as_table(call(function, states.clone(), keep.clone()))
    if found is not None and found.shape == want.shape and torch.allclose(found, want, atol=1e-5):
        return None
    said = f"for the words {states[0, 1:3].tolist()} with padding in front and behind it gives "
    said += "something else" if found is None or found.shape != want.shape else f"{found[0].tolist()}"
    said += f", not {want[0].tolist()}. Hint: "
    if found is None or found.shape != want.shape:
        return said + "return one row of means for each sentence."
    if torch.allclose(found, want.floor(), atol=1e-5):
        return said + "a mean need not be a whole number: divide with /, not with //."
    if torch.allclose(found[0], states[0, :2].double().mean(0), atol=1e-5):
        return said + "padding may stand in front as well: keep is a mask, not a length."
    if abs(found[0, 0].item() - 2.5) < 1e-5:
        return said + "a word whose state is 0 is a word all the same: count with keep."
    return said + "use keep alone to tell words from padding."


def _gradient_problem(function: Callable[..., Any]) -> str | None:
    states = torch.tensor([[[1.0], [3.0], [5.0]]], requires_grad=True)
    result = call(function, states * 1.0, torch.tensor([[True, True, False]]))
    if result.requires_grad:
        result.sum().backward()
    if states.grad is None or not torch.allclose(states.grad.flatten(), torch.tensor([0.5, 0.5, 0.0]), atol=1e-3):
        return (
            "the values are right, but gradients do not flow back to the states, so a model would not learn through it. "
            "Hint: stay with tensor operations, without detach, item or torch.tensor."
        )
    return None


def _mean_problem(found: torch.Tensor, want: torch.Tensor, states: torch.Tensor, keep: torch.Tensor) -> str | None:
    kept = states * keep[..., None]
    if found.shape == (2, 1, 2):
        return "it has the shape (2, 1, 2). Hint: keepdim=True belongs to the count, not to the sum of the states."
    if found.shape != want.shape:
        return (
            f"for states of shape {tuple(states.shape)} it has the shape {tuple(found.shape)}, not (2, 2). Hint: "
            "the sum runs over the words, dim=1."
        )
    if torch.allclose(found, want, atol=1e-5):
        return None
    length, counts = states.shape[1], keep.sum(1, keepdim=True)
    others = (
        (states.mean(1), "that is the plain mean, padding included. Hint: put 0 in place of the padding first."),
        (kept.sum(1) / length, "it divides by the padded length. Hint: divide by keep.sum(dim=1, keepdim=True)."),
        (states.sum(1) / counts, "the padding is in the sum. Hint: put 0 in place of it before you add up."),
        (kept.sum(1), "that is the sum. Hint: divide by keep.sum(dim=1, keepdim=True)."),
        (
            (states - kept).sum(1) / (~keep).sum(1, keepdim=True),
            "that is the mean of the padding. Hint: keep is True at words.",
        ),
        (kept.sum(1) / keep.sum(), "it divides by all words of the batch. Hint: count in each sentence, dim=1."),
        (kept.amax(1), "that is the largest value. Hint: the mean is wanted."),
        (
            kept.sum(1) / keep.sum(1),
            "each column is divided by the count of another sentence. Hint: keepdim=True in the count.",
        ),
    )
    for value, said in others:
        if torch.allclose(found, value, atol=1e-5):
            return said
    shown = ", ".join(f"{number:.2f}" for number in found[0].tolist())
    return f"the first sentence gives {shown}, not 4.00, 2.00. Hint: sum over the words / number of words."


SENTENCES = [["b", "a", "c", "a"], ["c", "d", "a"], ["b", "e", "c", "b"]]  # a, b and c three times, d and e once


@check(
    "vocabulary still returns nothing. Hint: collections.Counter counts the tokens of all sentences.",
    "The same list on every machine.",
)
def vocabulary(function: Callable[..., Any]) -> str | None:
    """Ties, a minimum that is reached exactly, and words of unequal frequency."""
    sentences = [list(tokens) for tokens in SENTENCES]
    found = call(function, sentences, 2)
    want = ["<pad>", "<unk>", "a", "b", "c"]
    if isinstance(found, dict):
        return "it is a dict. Hint: return the list of words; a word's place in it is its number."
    if not isinstance(found, (list, tuple)):
        return f"it is a {type(found).__name__}. Hint: return a list of words."
    words = list(found)
    if words != want:
        return _vocabulary_problem(words, want)
    if sentences != SENTENCES:
        return "the sentences have changed after the call. Hint: count them, and leave them as they are."
    for given, minimum, expected, hint in (
        (
            [["x", "y", "y", "z", "z"]],
            2,
            ["<pad>", "<unk>", "y", "z"],
            "a word that occurs min_count times is kept: >=.",
        ),
        (SENTENCES, 3, want, "a word that occurs min_count times is kept: >=."),
        (SENTENCES, 1, [*want, "d", "e"], "use the argument min_count, not a fixed number."),
        (
            [["x", "y", "y"], ["z", "z", "z"]],
            1,
            ["<pad>", "<unk>", "z", "y", "x"],
            "the most frequent word comes first.",
        ),
        (
            [["Data", "data", "data"], ["of", "the", "of", "."]],
            1,
            ["<pad>", "<unk>", "data", "of", ".", "Data", "the"],
            "count whole tokens as they stand: 'Data' and 'data' are two, and '.' is one.",
        ),
    ):
        again = call(function, [list(tokens) for tokens in given], minimum)
        if not isinstance(again, (list, tuple)) or list(again) != expected:
            return f"for {given} and min_count {minimum} it gives {again}, not {expected}. Hint: {hint}"
    return None


def _vocabulary_problem(words: list[Any], want: list[str]) -> str:
    said = f"for {SENTENCES} and min_count 2 it gives {words}. Hint: "
    if words == want[2:]:
        return said + "it starts with '<pad>' and '<unk>'."
    if words[:2] == ["<unk>", "<pad>"]:
        return said + "'<pad>' is number 0 and comes first, '<unk>' is number 1."
    if any(not isinstance(word, str) for word in words):
        return said + "only the words are wanted, without their counts."
    if words[:2] != want[:2]:
        return said + "it starts with '<pad>' and '<unk>', also when words are sorted."
    rest = words[2:]
    if set(rest) == set("abcde"):
        return said + "words that occur less than min_count times are left out."
    if len(rest) > len(set(rest)):
        return said + "each word stands in it once."
    if set(rest) == set("abc"):
        return said + "equally frequent words stand in alphabetical order: sort by (-count, word)."
    return said + "count the tokens of all sentences together, and keep those with min_count or more."


@check(
    "clipped_precision still returns nothing. Hint: count the n-grams of both with Counter, then take the smaller counts.",
    "Clipped, as BLEU wants it.",
)
def clipped_precision(function: Callable[..., Any]) -> str | None:
    """Repeated words, pairs, a candidate that is too short, a longer reference, and pairs that only look alike."""
    cat = ["the", "cat", "is", "on", "the", "mat"]
    cases = (
        (["the", "the", "the", "cat", "sat"], cat, 1),
        (["the", "cat", "sat", "on", "the", "mat"], cat, 2),
        (["on", "the", "mat", "the", "cat", "on", "the", "mat"], cat, 2),
        (["cat"], cat, 2),
        (["cat"], cat, 1),
        (cat, cat, 4),
        (["the", "cat"], cat, 1),
        (["the", "cat", "is", "the", "mat"], cat, 3),
        (["a", "bc"], ["ab", "c"], 2),
        (["cat", "the"], ["the", "cat"], 2),
    )
    for candidate, reference, n in cases:
        given = list(candidate), list(reference)
        try:
            result = call(function, *given, n)
        except Untouched:
            if len(candidate) >= n:
                raise
            return f"{candidate} has no {n}-gram, and it returns nothing there. Hint: return 0."
        except ZeroDivisionError:
            return f"{candidate} has no {n}-gram, and 0 / 0 raised an error. Hint: return 0 there, or divide by max(1, ...)."
        try:
            found = math.nan if isinstance(result, (bool, str)) else float(result)
        except (TypeError, ValueError):
            return "one number is wanted. Hint: return the share alone."
        if problem := _precision_problem(found, candidate, reference, n):
            return problem
        if given != (candidate, reference):
            return "candidate or reference have changed after the call. Hint: count, and leave the lists as they are."
    return None


def _grams(tokens: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def _precision_problem(found: float, candidate: list[str], reference: list[str], n: int) -> str | None:
    mine, theirs = _grams(candidate, n), _grams(reference, n)
    common = (mine & theirs).total()
    want = common / max(1, mine.total())
    if abs(found - want) < 1e-6:
        return None
    said = f"for {' '.join(candidate)!r} in {' '.join(reference)!r}, n = {n}, it gives {found:.3f}, not {want:.3f}: "
    if len(candidate) < n:
        return said + "Hint: a candidate with fewer than n tokens has no n-gram. Return 0."
    if found in (round(want, 2), round(want, 3), round(want, 4)):
        return said + "Hint: do not round."
    if candidate == ["a", "bc"]:
        return said + "these are two different pairs. Hint: use tuples of tokens, not joined text."
    if candidate == ["cat", "the"]:
        return said + "the order inside an n-gram counts. Hint: use tuples, neither sets nor sorted words."
    short = (_grams(candidate[:-1], n) & _grams(reference[:-1], n)).total() / max(1, mine.total() - 1)
    words = (_grams(candidate, 1) & _grams(reference, 1)).total() / len(candidate)
    others = (
        (
            sum(c for g, c in mine.items() if g in theirs) / max(1, mine.total()),
            "that is not clipped. Hint: an n-gram "
            "counts at most as often as it occurs in the reference: mine & theirs.",
        ),
        (common / max(1, theirs.total()), "that is the recall. Hint: divide by the number of the candidate's n-grams."),
        (
            len(set(mine) & set(theirs)) / max(1, len(mine)),
            "each n-gram counts once there. Hint: use Counter, not set.",
        ),
        (
            len(set(mine) & set(theirs)) / max(1, mine.total()),
            "each n-gram counts once there. Hint: use Counter, not set.",
        ),
        (common, "that is the number of common n-grams. Hint: divide by the number of the candidate's."),
        (100 * want, "that is a percentage. Hint: return the share from 0 to 1."),
        (common / len(candidate), "it divides by the number of tokens. Hint: there are len - n + 1 n-grams."),
        (short, "the last n-gram of each is left out. Hint: range(len(tokens) - n + 1)."),
        (words, "these are single words. Hint: runs of n tokens are wanted."),
    )
    for value, hint in others:
        if abs(found - value) < 1e-6:
            return said + hint
    return said + "Hint: common n-grams, each with the smaller of its two counts, over all n-grams of the candidate."
