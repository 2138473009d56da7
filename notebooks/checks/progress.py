"""What is solved: a small file beside the notebooks, and a picture of it.

The file is JSON. It holds the names of the solved exercises, each with the day of its first right answer, and nothing
else; nobody is told. It is ``progress.json`` beside the notebooks, where a learner finds it, copies it into another
checkout, or deletes it to begin anew. The environment variable ``COURSE_PROGRESS`` names another file, outside of the
checkout perhaps; set to nothing, as tests and builds do, nothing is kept.
"""

import json
import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from filelock import FileLock

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOTEBOOKS = Path(__file__).resolve().parent.parent
TICK = [(-0.5, 0.0), (-0.15, -0.4), (0.55, 0.45)]  # drawn, because not every font has one


class Exercise(NamedTuple):
    """One exercise: its name in the file, its notebook and its heading there."""

    name: str
    notebook: str
    heading: str


def exercises() -> Iterator[Exercise]:
    """Read all exercises, in the order of the course, from the notebooks' sources: learners write in the notebooks."""
    for source in sorted(NOTEBOOKS.glob("source/[0-9]*.py")):
        text = source.read_text(encoding="utf-8")
        title = re.search(r"^# # (\d+) · ((?:Project: )?[^:,\n]+)", text, re.MULTILINE)
        notebook = f"{title[1]}  {title[2]}" if title else source.stem
        heading = ""
        for cell in text.split("\n# %%"):
            if found := re.search(r"^# ### (\d+\. .+)", cell, re.MULTILINE):
                heading = found[1]
            if cell.startswith(' tags=["check"]') and (found := re.search(r"^(\w+\.\w+)\(", cell, re.MULTILINE)):
                yield Exercise(found[1], notebook, heading)


def remember(name: str) -> None:
    """Note that the exercise ``name`` is solved; print one sentence if that cannot be noted, and never raise."""
    path = _file()
    if path is None:
        return
    try:
        # Two notebooks may be open: a second one waits here, so that neither overwrites what the other has noted.
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=5):
            solved = _read(path)
            if name not in solved:
                part = path.with_name(f".{path.name}.part")
                solved[name] = date.today().isoformat()
                part.write_text(json.dumps(solved, indent=1) + "\n", encoding="utf-8")
                os.replace(part, path)  # in one step: killed at any moment, the old file or the new one is there
    except ValueError as error:
        print(f"(Not remembered: {error})")
    except Exception as error:  # whatever it is, the answer has been checked
        reason = getattr(error, "strerror", None) or type(error).__name__
        print(f"(Not remembered: {path.name} cannot be written, {reason}.)")


def show_progress() -> None:
    """Show which exercises are solved, notebook by notebook. To begin anew, delete progress.json beside the notebooks."""
    import matplotlib.pyplot as plt

    from course_utils.plots import show  # brings matplotlib, which the checks do without

    path = _file()
    solved: set[str] = set()
    try:
        solved = set(_read(path)) if path else solved
    except ValueError as error:
        print(error)
    rows: dict[str, list[Exercise]] = {}
    for exercise in exercises():
        rows.setdefault(exercise.notebook, []).append(exercise)
    counts = [f"{notebook[:2]} {sum(one.name in solved for one in row)}/{len(row)}" for notebook, row in rows.items()]
    total = sum(map(len, rows.values()))
    done = sum(one.name in solved for row in rows.values() for one in row)

    size, ratios = (10.4, 1 + 0.25 * len(rows)), (1, 2.4 * len(rows))
    figure, (bar, table) = plt.subplots(2, 1, figsize=size, dpi=96, height_ratios=ratios)
    bar.barh(0, total, color="#e6e6e6")
    bar.barh(0, done)
    bar.set(title=f"{done} of {total} exercises solved", xlim=(0, total))
    bar.axis("off")
    _draw(table, rows, solved)
    show(figure, alt=f"{done} of {total} exercises solved; by notebook: {', '.join(counts)}.")


def _draw(axis: "Axes", rows: dict[str, list[Exercise]], solved: set[str]) -> None:
    """Draw a line for each notebook: its title, and a mark and the heading of each exercise."""
    axis.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
    axis.axis("off")
    for line, (notebook, row) in enumerate(rows.items()):
        if line % 2 == 0:
            axis.axhspan(line - 0.5, line + 0.5, color="#f5f6f8")
        axis.text(0.005, line, notebook, va="center", fontsize=9, fontweight="bold")
        for place, exercise in enumerate(row):
            x, done = 0.215 + 0.265 * place, exercise.name in solved
            face, edge, text = ("C0", "C0", "black") if done else ("white", "#94a4a2", "#717581")
            axis.plot(x, line, "o", markersize=9, color=face, markeredgecolor=edge, markeredgewidth=1.2)
            if done:
                axis.plot(
                    x, line, marker=TICK, markersize=5, color="none", markeredgecolor="white", markeredgewidth=1.6
                )
            axis.text(x + 0.013, line, exercise.heading, va="center", fontsize=8, color=text)


def _file() -> Path | None:
    name = os.environ.get("COURSE_PROGRESS", str(NOTEBOOKS / "progress.json"))
    return Path(name).expanduser() if name else None


def _read(path: Path) -> dict[str, str]:
    """Return what is solved, by name; raise a ValueError if the file is damaged or cannot be read."""
    try:
        solved = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read, {error.strerror}.") from error
    except (ValueError, RecursionError):
        solved = None
    if not isinstance(solved, dict) or not all(isinstance(day, str) for day in solved.values()):
        raise ValueError(f"{path.name} is damaged: delete it to begin anew.")
    return solved
