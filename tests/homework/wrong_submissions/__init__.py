"""Submissions that must lose exactly the points they should, one module for each assignment."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Submission:
    """The reference solution with some cells replaced.

    ``cells`` gives cells by grade_id a new source, or None where the student deleted them. ``extra`` is a cell that the
    student added after the imports. ``lost`` are the tests that must give no points, each with a pattern of what it must
    say; all others must give all of theirs.
    """

    cells: dict[str, str | None]
    lost: dict[str, str] = field(default_factory=dict)
    extra: str = ""
