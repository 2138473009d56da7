"""Versions of a model side by side: one of them is in use, and changing it is one atomic step."""

import re
import secrets
from pathlib import Path

from course_utils.bundles import DESCRIPTION, load_bundle
from course_utils.checkpoints import CheckpointError, write_file
from course_utils.whole_files import sync_folder

CURRENT = "current"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def list_versions(folder: str | Path) -> list[str]:
    """Return the names of the versions in ``folder``: its subfolders with a model in them.

    A name is of letters, digits and ``._-``, up to 64 of them, and begins with a letter or digit; ``current`` is taken.
    """
    names = (path.parent.name for path in Path(folder).glob(f"*/{DESCRIPTION}"))
    return sorted(name for name in names if NAME.fullmatch(name) and name != CURRENT)


def current_version(folder: str | Path) -> str:
    """Return the name of the version in use.

    Raises:
        CheckpointError: none was chosen yet, or the file that says so is damaged.
    """
    try:
        name = (Path(folder) / CURRENT).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{folder} has no current version: choose one with use_version.") from error
    if not NAME.fullmatch(name):
        raise CheckpointError(f"{Path(folder) / CURRENT} is damaged: choose a version again with use_version.")
    return name


def use_version(folder: str | Path, name: str) -> None:
    """Make ``name`` the version in use: in one step, after it could be loaded. The same call goes back to an old one.

    Raises:
        CheckpointError: there is no such version, or it is damaged; the version in use stays.
    """
    if name not in list_versions(folder):
        known = ", ".join(list_versions(folder)) or "none"
        raise CheckpointError(f"There is no version {name!r} in {folder} (there: {known}): give one of them.")
    load_bundle(Path(folder) / name)
    chosen = Path(folder) / f"{CURRENT}.{secrets.token_hex(8)}"  # a file of its own, because others may choose, too
    write_file(chosen, f"{name}\n".encode())
    chosen.replace(Path(folder) / CURRENT)
    sync_folder(Path(folder))


def bundle_folder(folder: str | Path) -> tuple[str, Path]:
    """Return name and folder of the model to use: the current version, or ``folder`` itself if it holds a model."""
    folder = Path(folder)
    if (folder / DESCRIPTION).exists():
        return folder.resolve().name, folder
    name = current_version(folder)
    return name, folder / name
