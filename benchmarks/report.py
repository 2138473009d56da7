"""What a benchmark found: kept as JSON beside the page, and written into RESULTS.md with all the others.

A section is Markdown and a list of goals. The page is made anew from the JSON files after every section, so that a run
of some sections leaves the others as they are.
"""

import datetime
import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.machine import processor
from benchmarks.measure import quartiles
from course_utils.checkpoints import write_file
from course_utils.whole_files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = Path(__file__).resolve().parent
PACKAGES = ("torch", "torchvision", "numpy", "pandas", "pyarrow", "pillow")


@dataclass(frozen=True)
class Goal:
    """A figure aimed at: ``measured`` must be at most ``bound``, or at least.

    ``why`` is shown where it was missed, and says by what else was measured what stands in the way; ``more`` is shown
    in either case.
    """

    what: str
    measured: float
    bound: float
    at_least: bool = False
    unit: str = "x"
    why: str = ""
    more: str = ""

    @property
    def reached(self) -> bool:
        """Whether it was."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def row(self) -> list[str]:
        """Return the goal as a row of the table at the head of the page."""
        aim = f"at {'least' if self.at_least else 'most'} {self.bound:g}{self.unit}"
        verdict = "reached" if self.reached else "**missed**"
        words = [verdict if self.reached or not self.why else f"{verdict}: {self.why}", self.more]
        return [self.what, aim, f"{number(self.measured)}{self.unit}", "; ".join(filter(None, words))]


@dataclass
class Section:
    """A part of the page: its Markdown, the goals that it measured, and on what it ran."""

    title: str
    text: str
    goals: list[Goal] = field(default_factory=list)
    machine: str = ""


def machine_line(threads: int, packages: Iterable[str] = ()) -> str:
    """Return date, processor and versions, to print with a table; ``packages`` beside those of every section."""
    found = [f"Python {platform.python_version()}"]
    for name in (*PACKAGES, *packages):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    today = datetime.datetime.now(datetime.UTC).date()
    threads_used = f"{threads} thread{'' if threads == 1 else 's'} of computation"
    return f"{today}; {processor()}, {os.cpu_count()} cores, {threads_used}; {', '.join(found)}"


def number(value: float) -> str:
    """Return three digits of ``value``, and all of a large one."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) < 1 else f"{value:#.3g}"


def spread(values: Sequence[float], scale: float = 1.0) -> str:
    """Return the median of ``values``, and in brackets the quartiles."""
    low, middle, high = (number(value * scale) for value in quartiles(values))
    return f"{middle} ({low} to {high})"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, the first column to the left and the others to the right."""
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def save_figure(figure: "Figure", name: str, alt: str) -> str:
    """Write a figure beside the page, close it, and return the Markdown that shows it."""
    import matplotlib.pyplot as plt

    path = FOLDER / "figures" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=100)
    plt.close(figure)
    return f"![{alt}](figures/{name}.png)\n"


def bars(values: dict[str, float], ours: Sequence[str], name: str, alt: str, **labels: Any) -> str:
    """Draw a bar for each value, those with one of ``ours`` in their name in the course's colour; save_figure it."""
    import matplotlib.pyplot as plt

    plt.style.use("course_utils.course")
    figure, axis = plt.subplots(figsize=(8.6, 0.5 + 0.3 * len(values)))
    colours = [f"C{int(any(part in way for part in ours))}" for way in values]
    axis.barh(range(len(values)), list(values.values()), color=colours)
    for place, value in enumerate(values.values()):
        axis.text(value, place, f" {value:,.0f}", va="center", fontsize=8)
    axis.set(yticks=range(len(values)), yticklabels=list(values), **labels)
    axis.grid(axis="y", visible=False)
    axis.margins(x=0.1)
    axis.invert_yaxis()
    return save_figure(figure, name, alt)


def save(name: str, section: Section, folder: Path = FOLDER) -> None:
    """Write a section's JSON, whole or not at all."""
    path = folder / "results" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, (json.dumps(asdict(section), indent=1, ensure_ascii=False) + "\n").encode())


def load(name: str, folder: Path = FOLDER) -> Section | None:
    """Return what was measured last, or None."""
    try:
        values: dict[str, Any] = json.loads((folder / "results" / f"{name}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Section(**{**values, "goals": [Goal(**goal) for goal in values["goals"]]})


def write_page(names: Iterable[str], folder: Path = FOLDER) -> None:
    """Write RESULTS.md from the JSON files of the sections ``names``, in that order, whole or not at all."""
    sections = {name: load(name, folder) for name in names}
    goals = [goal.row() for section in sections.values() if section for goal in section.goals]
    parts = [
        "# Results\n",
        "Written by `make bench`; [README.md](README.md) says what is measured and how. Seconds depend on the machine, "
        "ratios less. Quoted are medians, in brackets the quartiles.\n",
        f"The last measurement: {max((s.machine for s in sections.values() if s), default='none yet')}\n",
        "## Figures aimed at\n",
        table(["Figure", "Aim", "Measured", "Result"], goals),
    ]
    for name, section in sections.items():
        if section is None:
            parts.append(f'## {name}\n\nNot measured yet: `make bench ONLY="{name}"`.\n')
        else:
            parts += [f"## {section.title}\n", f"`{name}`. {section.machine}\n", section.text]
    write_file(folder / "RESULTS.md", "\n".join(parts).encode())
