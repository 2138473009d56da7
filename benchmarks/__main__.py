"""Measure, and write benchmarks/RESULTS.md: python -m benchmarks [SECTION ...].

Each section runs in a process of its own, one after the other; without names all of them. Sections that are not named
stay as they were measured last.
"""

import argparse
import importlib
import os
import subprocess
import sys
import time

from benchmarks.report import FOLDER, Section, machine_line, save, write_page

MEASURED = ("loops", "pipelines", "files", "tables", "accuracy", "memory", "growth", "gpu")
# Shown as they print: the title, and the arguments that keep them short.
PRINTED = {
    "checkpoint": ("Checkpoints", "--rounds", "8"),
    "tensorboard": ("TensorBoard", "--rounds", "8"),
    "large_files": ("Large tables", "--rows", "500000"),
    "image_list": ("Long lists of images",),
    "image_recipes": ("Recipes in the same seconds", "--seconds", "8", "--seeds", "2"),
    "processes": ("Two processes, and a stream of Parquet files", "--rounds", "20"),
    "service": ("The service", "--seconds", "4", "--rounds", "2", "--minutes", "0.5"),
    "import_time": ("Import time",),
}
NAMES = (*MEASURED, *PRINTED)
ONE_THREAD = {"loops", "pipelines", "files", "tables", "memory", "growth", "tensorboard"}


def measure(name: str) -> None:
    """Measure one section, in this process, and keep what it found."""
    if name in MEASURED:
        section: Section = importlib.import_module(f"benchmarks.{name}").run()
    else:
        import torch

        title, *arguments = PRINTED[name]
        command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        shown = " ".join(["python -m", f"benchmarks.{name}", *arguments])
        section = Section(title, f"```\n$ {shown}\n{output.rstrip()}\n```\n", [], machine_line(torch.get_num_threads()))
    save(name, section)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(NAMES))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := [name for name in options.sections if name not in NAMES]:
        parser.error(f"there is no section {', '.join(unknown)}: choose from {', '.join(NAMES)}")
    if options.here:
        measure(*options.sections)
        return 0
    failed = []
    for name in options.sections or NAMES:
        environment = {**os.environ, "MPLBACKEND": "agg"}
        if name in ONE_THREAD:
            # One arena, or the memory that each thread of a benchmark happens to get would decide.
            environment |= {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
        started = time.perf_counter()
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks", "--here", name]
        done = subprocess.run(command, env=environment, check=False)
        failed += [name] if done.returncode else []
        print(f"{name}: {'FAILED' if done.returncode else 'done'} in {time.perf_counter() - started:.0f} s", flush=True)
        write_page(NAMES)
    print(f"{FOLDER / 'RESULTS.md'} is written.")
    if failed:
        print(f"These failed, and stand there as they were measured before: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
