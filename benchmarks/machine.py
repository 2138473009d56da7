"""What the benchmarks ask the machine (Linux)."""

import platform
import resource
from pathlib import Path


def resident(process: int | str = "self") -> float:
    """Return the MiB of memory that a process holds."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def forget_peak() -> None:
    """Let the peak of this process begin at what it holds now."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """Return the most MiB that this process has held.

    Not ru_maxrss, which a process inherits from the one that started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
