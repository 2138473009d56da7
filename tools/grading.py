"""What this course adds to nbgrader's autograder: a kernel with limits, and submissions that cannot break the grading.

notebooks/homework/nbgrader_config.py puts these into nbgrader's own steps, so that ``nbgrader autograde`` uses them.
"""

import json
import os
import select
import signal
import sys
from functools import cache, partialmethod
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from tempfile import TemporaryDirectory
from textwrap import wrap
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from nbgrader import preprocessors
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor

LAUNCHER = Path(__file__).resolve().parent / "grading_kernel.py"
OUTPUT = 5_000_000  # characters of all outputs of a cell, figures included; what comes after is dropped
PASSED_ON = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "COURSE_DATA", "LD_LIBRARY_PATH")


@cache
def fork_server(environment: tuple[tuple[str, str], ...]) -> Any:
    """Return the process that kernels of this environment are forked from; it ends with this one."""
    command = [sys.executable, str(LAUNCHER)]
    return Popen(command, env=dict(environment), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True)


class ForkedKernel:
    """What jupyter_client asks of a process that it has started, for one that the fork server has started.

    Raises:
        OSError, ValueError: the fork server has ended.
    """

    stdin = stdout = stderr = None

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        server = fork_server(tuple(sorted(environment.items())))
        print(json.dumps(arguments), file=server.stdin, flush=True)
        self.pid = int(server.stdout.readline())
        self._handle = os.fdopen(os.pidfd_open(self.pid), "rb", buffering=0)  # closed with this object
        self._ended = select.poll()
        self._ended.register(self._handle)

    def poll(self) -> int | None:
        """Return None while it runs; how it ended only its parent could say."""
        return 0 if self._ended.poll(0) else None

    wait = poll  # jupyter_client waits only for what has ended

    def send_signal(self, number: int) -> None:
        """Send a signal to the kernel alone; jupyter_client does so when its process group is gone."""
        signal.pidfd_send_signal(self._handle.fileno(), number)

    kill = terminate = partialmethod(send_signal, signal.SIGKILL)


class GradingKernelManager(AsyncKernelManager):
    """Starts tools/grading_kernel.py, each time in a new folder, with none of the grader's environment variables."""

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """Return the command; the folder goes away with this manager."""
        self._folder = TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True)
        return [sys.executable, str(LAUNCHER), str(self.connection_file), self._folder.name]

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
        """Start it. One thread: seconds and sums then depend on no other work on the machine."""
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        if "COURSE_DATA" in environment:
            environment["COURSE_DATA"] = os.path.abspath(environment["COURSE_DATA"])
        environment |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "PYTHONHASHSEED": "0"}
        environment |= {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}  # figures go into the notebook
        environment |= {"JE_ARROW_MALLOC_CONF": "background_thread:false"}  # Arrow starts one when it is imported
        quiet = {"stdout": DEVNULL, "stderr": DEVNULL}  # of compiled code; Python's goes to the notebook
        await super().start_kernel(**{**options, **quiet, "env": environment})

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        """Fork it, where that is safe; elsewhere, and where the fork server has ended, start it as any other."""
        if sys.platform == "linux":
            try:
                kernel = ForkedKernel(options["env"], os.path.abspath(options["cwd"]), *kernel_cmd[2:])
            except (OSError, ValueError):
                pass
            else:
                provisioner: Any = self.provisioner
                provisioner.process, provisioner.pid, provisioner.pgid = kernel, kernel.pid, kernel.pid
                return
        await super()._async_launch_kernel(kernel_cmd, **options)


class Execute(preprocessors.Execute):  # type: ignore[misc]
    """Runs a submission to its end: a kernel that died or does not answer costs the points from there on, not more."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "kernel_manager_class": GradingKernelManager})

    def preprocess(self, nb: Any, resources: Any = None, km: Any = None) -> Any:
        """Run all cells."""
        self._lost = ""
        return super().preprocess(nb, resources, km)

    def preprocess_cell(self, cell: Any, resources: Any, index: int) -> Any:
        """Run one cell, or write down why it could not be run."""
        self._room = OUTPUT
        if not self._lost:
            try:
                return super().preprocess_cell(cell, resources, index)
            except DeadKernelError:
                self._lost = "the kernel ended in this cell (os._exit, out of memory, or a limit of the grading)"
            except CellTimeoutError:
                self._lost = "this cell ran too long and could not be interrupted"
            reason = self._lost
            self._lost = "not run: the kernel had ended in a cell before this one"
        else:
            reason = self._lost
        if cell.cell_type == "code":
            cell.outputs.append(new_output("error", ename="NotRun", evalue=reason, traceback=[f"NotRun: {reason}"]))
        return cell, resources

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        """Take an output of the kernel, unless this cell has written too much already."""
        if msg["msg_type"] in ("stream", "display_data", "execute_result", "update_display_data"):
            self._room -= len(str(msg["content"]))
            if self._room < 0:
                return None
        return super().process_message(msg, cell, cell_index)


class RestoreCells(NbGraderPreprocessor):  # type: ignore[misc]
    """Put given cells that are missing at the start and tests that are missing at the end.

    A student who deletes a test, or whose notebook lost nbgrader's marks on its way, loses nothing by that. nbgrader's
    own ``add_missing_cells`` gives up on the whole notebook when the cell before the missing one is missing, too.
    """

    def preprocess(self, nb: Any, resources: Any) -> Any:
        """Add what is missing, in the order of the source."""
        names = resources["nbgrader"]["notebook"], resources["nbgrader"]["assignment"]
        present = {cell.metadata.get("nbgrader", {}).get("grade_id") for cell in nb.cells}
        first: list[Any] = []
        last: list[Any] = []
        with Gradebook(resources["nbgrader"]["db_url"]) as gradebook:
            source = gradebook.find_notebook(*names)
            points = {cell.name: cell.max_score for cell in source.grade_cells}
            for cell in source.source_cells:
                if not cell.locked or cell.name in present:
                    continue
                self.log.warning("Cell '%s' was missing and is put back.", cell.name)
                is_test = cell.name in points
                mark = {"grade_id": cell.name, "schema_version": 3, "checksum": cell.checksum, "locked": True}
                mark |= {"grade": is_test, "solution": False, "task": False}
                mark |= {"points": points[cell.name]} if is_test else {}
                new: Any = new_code_cell if cell.cell_type == "code" else new_markdown_cell
                (last if is_test else first).append(new(cell.source, metadata={"nbgrader": mark}))
        nb.cells = [*first, *nb.cells, *last]
        return nb, resources


class ForgiveWarnings(NbGraderPreprocessor):  # type: ignore[misc]
    """Take what was written to stderr out of the tests: nbgrader would take a warning or a progress bar for a failure.

    More than full points, which a submission could write as a test's result, are taken out as well.
    """

    def preprocess_cell(self, cell: Any, resources: Any, cell_index: int) -> Any:
        """Leave the other cells as they are: a student who reads the feedback should see the warnings."""
        if cell.metadata.get("nbgrader", {}).get("grade") and cell.cell_type == "code":
            cell.outputs = [
                output
                for output in cell.outputs
                if output.output_type == "error" or (output.output_type == "stream" and output.name == "stdout")
            ]
        return cell, resources


class ShortErrors(NbGraderPreprocessor):  # type: ignore[misc]
    """Show of a failed test its message alone: the lines of code around it would show the hidden tests."""

    def preprocess_cell(self, cell: Any, resources: Any, cell_index: int) -> Any:
        """Shorten the tracebacks of the tests."""
        if cell.metadata.get("nbgrader", {}).get("grade") and cell.cell_type == "code":
            for output in cell.outputs:
                if output.output_type == "error":
                    said = f"{output.ename}: {output.evalue}".strip(": ")
                    if output.ename == "NotImplementedError":
                        said = "There is no answer yet."
                    output.traceback = wrap(said, width=100)
        return cell, resources
