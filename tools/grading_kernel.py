"""The kernel in which submissions are graded: limited, in a folder of its own, and shut off from the rest.

    python tools/grading_kernel.py CONNECTION_FILE FOLDER    one kernel
    python tools/grading_kernel.py                           a fork server: a kernel for each line of its input

``nbgrader autograde`` starts it in autograded/<student>/<assignment> (see tools/grading.py). It moves to FOLDER, which
is empty and goes away afterwards, and copies there what was released beside the notebook. What else a student handed in
stays outside: it could be links.
What this stops and what it does not is said in docs/teaching.md.
"""

import ctypes
import json
import os
import shutil
import signal
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

GIB = 2**30
MEMORY = 4 * GIB  # of data, which is what tensors take
CPU_SECONDS = 600  # for one submission; one cell is stopped earlier, by Execute.timeout
FILE_SIZE = GIB // 4
PROCESSES = 4096  # of this user, all programs together
OUTPUT = 1_000_000  # characters that one cell may print: an endless loop that prints ends soon and drowns nobody

# What assignments import, and what that imports at its first use: most of a kernel's start.
PRELOADED = ("course_utils", "ipykernel.kernelapp", "numpy", "sklearn.model_selection", "torch._dynamo")
DIE_WITH_PARENT = 1  # for prctl


def limit() -> None:
    """Set what this process and its children may use; a limit that the system does not know is left out."""
    if os.name != "posix":
        return
    import resource

    for name, value in (
        ("RLIMIT_DATA", MEMORY),
        ("RLIMIT_CPU", CPU_SECONDS),
        ("RLIMIT_FSIZE", FILE_SIZE),
        ("RLIMIT_NPROC", PROCESSES),
        ("RLIMIT_CORE", 0),
    ):
        if hasattr(resource, name):
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (value, value))


def limit_output(shell: Any) -> None:
    """Let ``print`` raise in a cell that has written too much."""
    from ipykernel.iostream import OutStream

    written, write = 0, OutStream.write

    def start_again(*_: Any) -> None:
        nonlocal written
        written = 0

    def counted(self: OutStream, string: str) -> int | None:
        nonlocal written
        written += len(string)
        if written > OUTPUT:
            raise RuntimeError(f"this cell wrote more than {OUTPUT:,} characters")
        return write(self, string)

    OutStream.write = counted  # type: ignore[method-assign]
    shell.events.register("pre_run_cell", start_again)


def shut_off(connection_file: Path, folder: Path, data: Path) -> None:
    """Leave this process the libraries, the course, its ``data`` and ``folder``, and no TCP connection to anybody."""
    from tools import landlock

    if not landlock.version():
        return
    # Not all of /usr, /etc and /dev: nbgrader's exchange, the passwords and the disks are there.
    allowed = [Path("/usr", name) for name in ("bin", "include", "lib", "lib64", "libexec", "share")]
    allowed += [Path("/usr/local", name) for name in ("bin", "include", "lib")]
    allowed += [
        Path("/etc", name) for name in ("ld.so.cache", "passwd", "group", "nsswitch.conf", "localtime", "fonts")
    ]
    allowed += [Path("/proc", name) for name in ("self", "cpuinfo", "meminfo", "stat", "sys", "filesystems")]
    allowed += [Path("/dev", name) for name in ("zero", "random", "urandom")]
    allowed += [Path(name) for name in ("/bin", "/lib", "/lib64", "/sys/devices", "/sys/fs/cgroup")]
    for prefix in (sys.prefix, sys.base_prefix):
        if prefix not in ("/usr", "/usr/local"):
            allowed += [Path(prefix), Path(prefix).resolve()]
    allowed += [Path(name) for name in sys.path if name.endswith("site-packages")]  # of the course, if that is another
    connection = json.loads(connection_file.read_text(encoding="utf-8"))
    landlock.shut_in(
        read=[*allowed, data, ROOT / "data", ROOT / "course_utils", connection_file],
        write=[folder, Path("/dev/shm"), Path("/dev/null")],
        ports=[number for name, number in connection.items() if name.endswith("_port")],
    )


def main(connection_file: Path, folder: Path) -> None:
    """Prepare, shut off, and become a kernel."""
    release = Path.cwd().parents[2] / "release" / Path.cwd().name
    shutil.copytree(release, folder, ignore=shutil.ignore_patterns("*.ipynb"), dirs_exist_ok=True)
    os.chdir(folder)
    os.environ |= {"HOME": str(folder), "IPYTHONDIR": str(folder), "TMPDIR": str(folder)}
    limit()

    # Imported while the checkout can still be listed; the digits cannot be made later.
    sys.path[0] = str(ROOT)
    from course_utils.data import data_root, load_dataset

    data = data_root()
    if not (data / "digits_files").is_dir():
        load_dataset("digits")
    from ipykernel.kernelapp import IPKernelApp

    shut_off(connection_file, folder, data)
    sys.path[0] = ""
    app = IPKernelApp.instance()
    app.initialize(["-f", str(connection_file), "--HistoryManager.hist_file=:memory:"])
    shell: Any = app.shell
    limit_output(shell)
    shell.system = shell.system_raw  # for "!pip ...": the usual one needs a terminal, which is shut off
    app.start()


def serve() -> None:
    """Start a kernel for each line of the input: JSON of the submission's folder, CONNECTION_FILE and FOLDER.

    The kernel answers by its process id.
    """
    environment = dict(os.environ)
    sys.path[0] = str(ROOT)
    for name in PRELOADED:
        import_module(name)
    if len(os.listdir("/proc/self/task")) > 1:
        sys.exit("A thread is running: a fork would leave it out, and keep what it has locked.")
    os.close(os.pidfd_open(os.getpid()))  # an error on a system that has none: who asks for kernels needs it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nothing remains of kernels that have ended
    for line in sys.stdin:
        if os.fork() == 0:
            try:
                become_kernel(environment, *map(Path, json.loads(line)))
            finally:
                os._exit(0)


def become_kernel(environment: dict[str, str], submission: Path, connection_file: Path, folder: Path) -> None:
    """Keep nothing of the fork server but its modules; random numbers and temporary folders are this kernel's own."""
    import numpy as np
    import torch

    os.setsid()  # signals go to all that the kernel has started, and to nobody else
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.write(1, f"{os.getpid()}\n".encode())
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    os.close(nothing)
    np.random.seed()  # noqa: NPY002 - the one that all programs in this process share
    torch.seed()
    tempfile.tempdir = None
    os.environ.clear()
    os.environ |= environment  # torch._dynamo has written a folder into it
    os.chdir(submission)
    main(connection_file, folder)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        serve()
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
