"""Instant checks of the "Your turn" exercises, one module for each notebook.

A check looks at an answer and prints one line: that it is correct, or what is wrong and a hint. It never raises. What
is correct is noted in a file of the learner's own, see ``progress``; ``show_progress()`` shows it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import torch

from checks.progress import remember, show_progress

__all__ = ["Untouched", "as_number", "as_table", "call", "check", "pair", "show_progress"]


def check(stub_hint: str, praise: str) -> Callable[[Callable[..., str | None]], Callable[..., None]]:
    """Turn a function that returns what is wrong with an answer, or None, into a check.

    ``stub_hint`` is said while the exercise is untouched (an answer is None or ``...``), ``praise`` when all is right.
    """

    def decorate(find_problem: Callable[..., str | None]) -> Callable[..., None]:
        @wraps(find_problem)
        def checked(*answers: Any) -> None:
            try:
                untouched = any(answer is None or answer is ... for answer in answers)
                problem = stub_hint if untouched else find_problem(*answers)
            except Untouched:
                problem = stub_hint
            except (Exception, SystemExit) as error:
                problem = f"your code raised {type(error).__name__}: {error}"
            print(f"Not yet: {problem}".replace("\n", " ") if problem else f"Correct. {praise}")
            if not problem:
                remember(f"{find_problem.__module__.rpartition('.')[2]}.{find_problem.__name__}")

        return checked

    return decorate


class Untouched(Exception):
    """The learner's function still returns nothing."""


def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return what the learner's function returns, or raise Untouched if that is nothing."""
    result = function(*arguments, **options)
    if result is None or result is ...:
        raise Untouched
    return result


def pair(result: Any) -> tuple[Any, Any] | None:
    """Return a tuple or list of two as a tuple, or None if ``result`` is something else."""
    return (result[0], result[1]) if isinstance(result, (tuple, list)) and len(result) == 2 else None


def as_number(found: Any) -> float | None:
    """Return a float, tensor or array of one value as a float, or None if ``found`` is something else."""
    try:
        found = found.detach() if isinstance(found, torch.Tensor) else found
        return None if isinstance(found, (bool, str)) else float(found)
    except (TypeError, ValueError, RuntimeError):
        return None


def as_table(found: Any) -> torch.Tensor | None:
    """Return a tensor, array, data frame or nested list as float64, or None if ``found`` is something else."""
    try:
        if isinstance(found, (list, tuple)):  # of lists, tensors or arrays
            found = np.array([np.asarray(row) for row in found])
        plain = found if isinstance(found, torch.Tensor) else np.array(found)
        return torch.as_tensor(plain).detach().cpu().double()
    except (TypeError, ValueError, RuntimeError):
        return None
