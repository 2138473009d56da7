"""Checks of notebook 14."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from checks import Untouched, as_table, call, check, pair

EITHER = 0  # 400 or 422: NaN is no JSON, but Python reads it


@check(
    "quantize_rows still returns nothing. Hint: the scale of a row is its largest magnitude divided by the largest "
    "whole number.",
    "Every row has its own scale, and no weight is off by more than half a step.",
)
def quantize_rows(function: Callable[..., Any]) -> str | None:
    """Rows of very different sizes, in 8, 4 and 2 bits; then a row of zeros."""
    weight = torch.tensor(
        [
            [0.635, -1.27, 0.0081, 0.3333, 0.1],
            [0.02, 0.0149, -0.0201, 0.0003, -0.0111],
            [-50.0, 20.4, 33.3, -7.7, 5.5],
            [3e-6, -1e-6, 2e-6, 0.0, 1e-6],
        ]
    )
    for bits in (8, 4, 2):
        given, top = weight.clone(), 2 ** (bits - 1) - 1
        found = pair(call(function, given, bits))
        if found is None:
            return "two things are wanted. Hint: return whole_numbers, scales."
        if problem := _quantized_problem(*found, weight, bits, top):
            return problem
        if not torch.equal(given, weight):
            return "weight has changed after the call. Hint: functions that end in _ write into it."
    found = pair(call(function, torch.tensor([[0.0, 0.0], [1.0, -0.5]]), 8))
    zeros = None if found is None else as_table(found[0])
    scales = None if found is None else as_table(found[1])
    if zeros is None or scales is None or bool((zeros[0] != 0).any()) or not bool(scales.isfinite().all()):
        return "a row of zeros does not stay one: 0 / 0 is nan. Hint: put 1 where the scale is 0."
    if bool((scales == 0).any()):
        return "a row of zeros has the scale 0, and 0 / 0 is nan before it becomes an int8. Hint: put 1 where it is 0."
    if zeros.tolist()[1] != [127, -64] and zeros.tolist()[1] != [127, -63]:
        return "beside a row of zeros, another row goes wrong. Hint: change only the scales that are 0."
    return None if bool((scales * zeros)[0].eq(0).all()) else "a row of zeros does not stay one. Hint: 0 times a scale."


def _quantized_problem(found: Any, found_scales: Any, weight: torch.Tensor, bits: int, top: int) -> str | None:
    whole, scales = as_table(found), as_table(found_scales)
    said, (rows, columns) = f"in {bits} bits, ", weight.shape
    if whole is None or scales is None:
        return "two tensors are wanted. Hint: return whole_numbers, scales."
    if whole.shape == (rows, 1) and scales.shape == weight.shape:
        return "they are the wrong way round. Hint: return whole_numbers, scales."
    if whole.shape != weight.shape:
        return f"the whole numbers have the shape {tuple(whole.shape)}, not {tuple(weight.shape)}. Hint: one each."
    if scales.numel() == 1:
        return "there is one scale for the whole matrix. Hint: one for each row, amax(1, keepdim=True)."
    if scales.numel() == columns:
        return "there is a scale for each column. Hint: the largest of a row is amax(1), over the columns."
    if scales.shape != (rows, 1):
        return f"the scales have the shape {tuple(scales.shape)}, not {(rows, 1)}. Hint: keepdim=True."
    for name, part in (("whole numbers", found), ("scales", found_scales)):
        if not isinstance(part, torch.Tensor):
            kind = "NumPy array" if isinstance(part, np.ndarray) else type(part).__name__
            return f"the {name} are a {kind}, not a tensor. Hint: torch.from_numpy, torch.stack, or stay in torch."
    if found.dtype != torch.int8:
        kind = str(found.dtype).removeprefix("torch.")
        return f"the whole numbers are {kind}, not int8. Hint: .to(torch.int8) at the end."
    magnitudes = weight.double().abs().amax(1, keepdim=True)
    if torch.allclose(scales, top / magnitudes, rtol=1e-3):
        return "the scales are upside down: whole_numbers * scales is not close to weight. Hint: divide by top."
    if bits == 8 and torch.allclose(scales, magnitudes / 128, rtol=1e-3):
        return "the largest weight becomes 128, which int8 does not hold. Hint: 2 ** (bits - 1) - 1 is 127."
    if torch.allclose(scales, magnitudes / (2**bits - 1), rtol=1e-3):
        return (
            said + f"the scale is for {2**bits - 1} steps. Hint: half of the numbers are negative, so divide by {top}."
        )
    if bits < 8 and torch.allclose(scales, magnitudes / 127, rtol=1e-3):
        return said + "the scale is that of 8. Hint: use the argument, 2 ** (bits - 1) - 1."
    signed = torch.where(weight.amax(1, keepdim=True) > 0, weight.amax(1, keepdim=True), magnitudes).double()
    if torch.allclose(scales, signed / top, rtol=1e-3) and not torch.allclose(scales, magnitudes / top, rtol=1e-3):
        return "the scale is of the largest number, but a negative one may be larger in size. Hint: abs() first."
    if bool((wrong := ((scales - magnitudes / top).abs() > 1e-3 * magnitudes / top)[:, 0]).any()):
        row = int(wrong.nonzero()[0])
        said += f"the scale of row {row} is {scales[row, 0]:.4g}, not {magnitudes[row, 0] / top:.4g}. Hint: "
        if wrong.tolist() == [False, False, False, True]:
            return said + "a row of small weights needs a small scale; only a scale of 0 is to be replaced."
        return said + f"largest magnitude / {top}."
    exact = (weight / scales.float()).double()  # divided as the answer divides: 127 must not become 126.9999
    if bool((whole == exact.trunc()).all()) and not bool((whole == exact.round()).all()):
        return said + "the numbers are cut off towards 0. Hint: .round() before .to(torch.int8)."
    if bool((whole == exact.floor()).all()):
        return said + "the numbers are rounded down. Hint: .round() goes to the nearest."
    if bool(((whole - exact).abs() > 0.5 + 1e-3).any()):
        row, column = ((whole - exact).abs() > 0.5 + 1e-3).nonzero()[0].tolist()
        return (
            said
            + f"{weight[row, column]:g} became {whole[row, column]:g}, but it is {exact[row, column]:.2f} steps. Hint: "
            "(weight / scales).round()."
        )
    return None


@check(
    "batches_of still returns nothing. Hint: go through the arrivals; when does a new batch begin?",
    "Nobody waits longer than promised, and nobody waits for nothing.",
)
def batches_of(function: Callable[..., Any]) -> str | None:
    """A trickle, a crowd, an arrival at the very end of the wait, and nobody."""
    for arrivals, most, wait, want, hint in (
        ([0, 1, 20, 21, 22], 8, 5, [[0, 1], [2, 3, 4]], "a new batch begins when the wait of the first is over"),
        ([0, 0, 0, 0, 0], 2, 5, [[0, 1], [2, 3], [4]], "a batch holds at most `most`"),
        ([3, 6, 20], 8, 5, [[0, 1], [2]], "the wait begins with an arrival, not at multiples of `wait`"),
        ([0, 4, 8, 12], 8, 5, [[0, 1], [2, 3]], "the wait is counted from the first of the batch, not from the last"),
        ([0, 5, 6], 8, 5, [[0, 1], [2]], "who comes exactly when the wait ends is still in"),
        (
            [0, 1, 4, 8],
            2,
            5,
            [[0, 1], [2, 3]],
            "the wait starts anew with the first of each batch, also after a full one",
        ),
        ([0, 1, 2, 3], 3, 100, [[0, 1, 2], [3]], "the last batch counts, too, even if it is not full"),
        ([0, 0, 7], 4, 0, [[0, 1], [2]], "with a wait of 0, those who come together still share"),
        ([7], 1, 0, [[0]], "one request is a batch"),
        ([], 4, 5, [], "no requests, no batches"),
    ):
        given = list(arrivals)
        try:
            found = call(function, given, most, wait)
            plain = [[int(number) for number in batch] for batch in found]
        except Untouched:
            if arrivals == [0, 1, 20, 21, 22]:
                raise
            return (
                f"for {arrivals} it returns nothing, not {want}. Hint: every way through the function needs a return."
            )
        except (TypeError, ValueError):
            return f"for {arrivals} it gives no list of lists of numbers. Hint: [[0, 1], [2]]."
        if given != arrivals:
            return "arrivals have changed after the call. Hint: pop and remove take from the caller's list."
        said = f"for arrivals {arrivals}, most {most} and wait {wait} it gives {plain}, not {want}. Hint: "
        if plain == want:
            continue
        numbers = [number for batch in plain for number in batch]
        if len(set(arrivals)) < len(arrivals) and numbers == [arrivals.index(time) for time in arrivals]:
            return said + "those who come together have one time, but a number each: enumerate, not index."
        if [[arrivals[number] for number in batch] for batch in want] == plain:
            return said + "return the numbers of the requests, not their times."
        if [[number + 1 for number in batch] for batch in want] == plain:
            return said + "count from 0."
        if [batch for batch in plain if batch] == want:
            return said + "there is an empty batch among them; begin one only with a request."
        if plain == want[:-1]:
            return said + "the last batch is missing; it counts even if nothing comes after it."
        if any(len(batch) > most for batch in plain):
            return said + "a batch holds at most `most`."
        if sorted(numbers) != list(range(len(arrivals))):
            return said + "every request belongs into one batch, the one that opens a batch, too."
        return said + f"{hint}."
    return None


@check(
    "status_of still returns nothing. Hint: json.loads first, and 400 if it raises.",
    "Nothing gets past this door, and nothing breaks it.",
)
def status_of(function: Callable[..., Any]) -> str | None:
    """Good requests, and everything that a careless client sends."""
    shape = (1, 2, 3)
    good = [[[0, 255, 7], [1, 2, 3]]]

    def body(images: Any) -> bytes:
        return json.dumps({"images": images}).encode()

    def changed(pixel: Any) -> bytes:
        return body([good, [[[0, pixel, 7], [1, 2, 3]]]])

    cases: list[tuple[str, bytes, int, str]] = [
        ("one good image", body([good]), 200, "this one is right"),
        ("as many as may come", body([good] * 3), 200, "`most` images are allowed, one more is not"),
        ("b'no json'", b"no json", 400, "catch the error of json.loads"),
        ("bytes that are no text", b"\xff\xfe{", 400, "UnicodeDecodeError is a ValueError, as JSONDecodeError is"),
        ("an empty body", b"", 400, "catch the error of json.loads"),
        ("200,000 opening brackets", b"[" * 200_000, 400, "json.loads may raise a RecursionError, too"),
        ("one image too many", body([good] * 4), 413, "compare len(images) with `most`"),
        ("a list instead of an object", b"[1]", 422, "look at the type before you look for a key"),
        ('the list ["images"]', b'["images"]', 422, "is it a dict? A list can hold the text 'images', too"),
        ("a number instead of an object", b"7", 422, "look at the type before you look for a key"),
        ("a misspelt name", b'{"imges": []}', 422, "the key may be missing: content.get, or `in`"),
        ("a second name", json.dumps({"images": [good], "x": 1}).encode(), 422, "nothing else may be in it"),
        ("null for the images", body(None), 422, "is it a list?"),
        ("text for the images", body("abcd"), 422, "is it a list? A text has a len, too"),
        ("no image", body([]), 422, "at least one image is wanted"),
        ("a number for an image", body([7]), 422, "check that each level is a list"),
        ("an image without its channel", body(good), 422, "compare each level with its size in `shape`"),
        ("a short row", body([[[[0, 1], [1, 2, 3]]]]), 422, "check every row, not the first"),
        ("a bad second image", body([good, [[[0, 1, 2]]]]), 422, "check every image, not the first"),
        ("a pixel of 256", changed(256), 422, "0 to 255"),
        ("a pixel of -1", changed(-1), 422, "0 to 255"),
        ("a pixel of 0.5", changed(0.5), 422, "whole numbers only: somebody has scaled already"),
        ("a pixel of 7.0", changed(7.0), 422, "whole numbers only, and 7.0 is a float"),
        ("true for a pixel", changed(True), 422, "in Python True is an int; type(value) is int"),
        ("text for a pixel", changed("7"), 422, "'7' is a text"),
        ("null for a pixel", changed(None), 422, "null becomes None"),
        ("NaN for a pixel", changed(float("nan")), EITHER, "Python's json reads NaN, a float"),
    ]
    for name, content, status, hint in cases:
        wanted = (400, 422) if status == EITHER else (status,)
        want = " or ".join(map(str, wanted))
        try:
            found = call(function, content, shape, 3)
        except Untouched:
            if name == "one good image":
                raise
            return f"for {name} it returns nothing, not {want}. Hint: every way through the function needs a return."
        except Exception as error:
            return f"for {name} it raises {type(error).__name__}, but {want} is wanted. Hint: {hint}."
        if isinstance(found, bool) or found not in wanted:
            return f"for {name} it gives {found!r}, not {want}. Hint: {hint}."
    other = json.dumps({"images": [[[[1, 2]], [[3, 4]], [[5, 6]]]]}).encode()
    if (found := call(function, other, (3, 1, 2), 1)) != 200:
        return f"for a good image of another shape, (3, 1, 2), it gives {found!r}, not 200. Hint: use `shape`."
    return None
