"""What dynamic batching is worth to the service, and whether it stays well under load.

    python -m benchmarks.service [--seconds 8] [--rounds 3] [--clients 64] [--minutes 10]

A real server (``python -m course_utils serve``, one thread for the model) and all clients in one other process: each
client sends one image (a PNG of 28 x 28) over a connection that stays open, waits for the answer and sends the next.
With batching (``--max-batch 64 --max-wait 5``) and without (``--max-batch 1 --max-wait 0``) take turns. Two models: a
wide MLP (784-4096-4096-10), where one image reads 80 MB of weights and 64 read them once, and the SmallCNN of the
course. Quoted is the round with the median of answers in a second, with the processor time that an answer cost the
server; before that the clients against a server that does nothing, so that one sees what they could ask.

Then onnxruntime beside PyTorch at batch 1, versions changed under load (no request may be lost), and the server's
memory under steady load.
"""

import argparse
import asyncio
import contextlib
import http.client
import io
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from PIL import Image

from benchmarks.machine import resident
from course_utils.bundles import Bundle, Description, Prepared, save_bundle
from course_utils.exporting import example_inputs, export_bundle
from course_utils.versions import use_version

SHAPE, CLASSES = (1, 28, 28), tuple(str(digit) for digit in range(10))
MODELS = {
    "MLP 784-4096-4096-10": Description(
        "MLP", {"hidden_dims": [4096, 4096]}, SHAPE, CLASSES, (0.5,), (0.5,), "made up", 0
    ),
    "SmallCNN": Description("SmallCNN", {}, SHAPE, CLASSES, (0.5,), (0.5,), "made up", 0),
}
BATCHING = {"batches": ("--max-batch=64", "--max-wait=5"), "one by one": ("--max-batch=1", "--max-wait=0")}
# Answers every request with what the service would say to one image, and does nothing else.
IDLE = """
import asyncio, sys
answer = b"HTTP/1.1 200 OK\\r\\ncontent-length: 430\\r\\n\\r\\n" + b"x" * 430
class Idle(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(answer)
async def main():
    await (await asyncio.get_running_loop().create_server(Idle, "127.0.0.1", int(sys.argv[1]))).serve_forever()
asyncio.run(main())
"""


@dataclass
class Load:
    """What the clients saw, and the seconds of processor time that it cost the server.

    Seconds to each answer, answers by status and by version of the model, and requests that got no answer.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    duration: float = 0.0
    processor: float = 0.0

    @property
    def rate(self) -> float:
        """Right answers in a second."""
        return self.statuses[200] / self.duration

    @property
    def p99(self) -> float:
        """Milliseconds within which 99 of 100 answers came."""
        return statistics.quantiles(self.seconds, n=100)[98] * 1e3

    @property
    def cost(self) -> float:
        """Milliseconds of the server's processor time for an answer."""
        return self.processor / len(self.seconds) * 1e3

    def __str__(self) -> str:
        """Return the numbers of the tables."""
        median = statistics.median(self.seconds) * 1e3
        return f"{self.rate:6.0f} /s, median {median:5.1f} ms, p99 {self.p99:5.1f} ms, processor {self.cost:.2f} ms"


class _Client(asyncio.Protocol):
    def __init__(self, request: bytes, until: float, load: Load, done: asyncio.Event) -> None:
        self.request, self.until, self.load, self.done = request, until, load, done
        self.answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.asked = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head, blank, body = self.answer.partition(b"\r\n\r\n")
        if not blank or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        now = time.perf_counter()
        self.load.seconds.append(now - self.asked)
        self.load.statuses[int(head[9:12])] += 1
        self.load.versions[body.partition(b'"model":"')[2].partition(b'"')[0].decode()] += 1
        self.answer, self.asked = b"", 0.0
        if now < self.until:
            self.ask()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.load.lost += self.asked > 0
        self.done.set()


def ask(port: int, clients: int, seconds: float) -> Load:
    """Return what so many clients see that ask for so long; those that have asked then wait for their answer."""
    content = io.BytesIO()
    Image.fromarray(torch.arange(784).remainder(256).to(torch.uint8).view(28, 28).numpy()).save(content, "PNG")
    head = f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\ncontent-length: {content.tell()}\r\n\r\n"
    request = head.encode() + content.getvalue()

    async def run() -> Load:
        load, started = Load(), time.perf_counter()
        ends = [asyncio.Event() for _ in range(clients)]
        for end in ends:
            client = partial(_Client, request, started + seconds, load, end)
            await asyncio.get_running_loop().create_connection(client, "127.0.0.1", port)
        for end in ends:
            await end.wait()
        load.duration = time.perf_counter() - started
        return load

    return asyncio.run(run())


@contextlib.contextmanager
def server(*command: str) -> Iterator[tuple[int, int]]:
    """Run a Python command with a free port as its last argument; give port and process number; end it in any case."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, *command, str(port)], env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(300):
                if process.poll() is not None:
                    raise RuntimeError(f"The server ended at once: {' '.join(command)}")
                with contextlib.suppress(OSError):
                    service = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                    service.request("GET", "/health")
                    service.getresponse()
                    break
                time.sleep(0.1)
            yield port, process.pid
        finally:
            process.kill()


def serving(folder: Path, *options: str) -> contextlib.AbstractContextManager[tuple[int, int]]:
    """Run the service for the model in ``folder``."""
    return server("-m", "course_utils", "serve", str(folder), *options, "--device=cpu", "--port")


def processor(process: int) -> float:
    """Return the seconds of processor time that a process has had (Linux)."""
    values = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


def measure(pool: Executor, server: tuple[int, int], clients: int, seconds: float) -> Load:
    """Return what the clients see of a server, after a second that warms it up."""
    port, process = server
    pool.submit(ask, port, clients, 1).result()
    before = processor(process)
    load = pool.submit(ask, port, clients, seconds).result()
    load.processor = processor(process) - before
    return load


def compare(pool: Executor, folder: Path, clients: int, seconds: float, rounds: int) -> None:
    """Print what batching gives for each model."""
    with server("-c", IDLE) as idle:
        print(f"a server that does nothing          {measure(pool, idle, clients, seconds)}")
    for model in MODELS:
        found: dict[str, list[Load]] = {name: [] for name in BATCHING}
        for _ in range(rounds):
            for name, options in BATCHING.items():
                with serving(folder / model / "v1", *options) as service:
                    found[name].append(measure(pool, service, clients, seconds))
        for name, loads in found.items():
            print(f"{model:22} {name:12}", sorted(loads, key=lambda load: load.rate)[rounds // 2])
        pairs = list(zip(*found.values(), strict=True))
        more = statistics.median(a.rate / b.rate for a, b in pairs)
        less = statistics.median(b.cost / a.cost for a, b in pairs)
        print(f"{model:22} {more:.1f} times as many answers, {less:.1f} times less processor time for each")


def milliseconds(calls: dict[str, Callable[[], object]], rounds: int = 300) -> dict[str, float]:
    """Return the median milliseconds of each call; they take turns, because a machine is not always equally fast."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            found[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) * 1e3 for name, seconds in found.items()}


def runtimes(folder: Path) -> None:
    """Print how long one image takes in PyTorch and in onnxruntime, one thread each."""
    import onnxruntime  # type: ignore[import-untyped]

    torch.set_num_threads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for name, description in MODELS.items():
        bundle = Bundle(description.build().eval(), description)
        export_bundle(bundle, folder / "model.onnx", kind="onnx")
        session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        module, inputs = Prepared(bundle.model, description).eval(), example_inputs(bundle, 1)
        array = {"inputs": inputs.numpy()}
        with torch.inference_mode():
            times = milliseconds(
                {
                    "PyTorch": partial(module, inputs),
                    "Bundle.logits": partial(bundle.logits, inputs),
                    "onnxruntime": partial(session.run, ["logits"], array),
                }
            )
        print(f"{name:22} one image:", ", ".join(f"{kind} {value:.3f} ms" for kind, value in times.items()))


def _wait(asked: "Future[Load]", every: float, do: Callable[[], object]) -> Load:
    while not asked.done():
        time.sleep(every)
        do()
    return asked.result()


def switching(pool: Executor, folder: Path, clients: int, seconds: float) -> None:
    """Print what clients see while the version in use changes every 1.5 seconds."""
    use_version(folder, "v1")
    changes = 0

    def change() -> None:
        nonlocal changes
        changes += 1
        use_version(folder, f"v{changes % 2 + 1}")

    with serving(folder) as (port, _):
        load = _wait(pool.submit(ask, port, clients, seconds), 1.5, change)
    print(f"{changes} changes of the version under load: {len(load.seconds):,} answers, of them not 200: ", end="")
    print(f"{len(load.seconds) - load.statuses[200]}, requests without an answer: {load.lost}, by version: ", end="")
    print(", ".join(f"{name} {count:,}" for name, count in sorted(load.versions.items())))


def steadiness(pool: Executor, folder: Path, clients: int, minutes: float) -> None:
    """Print the memory of the server under steady load."""
    found: list[float] = []
    with serving(folder) as (port, process):
        pool.submit(ask, port, clients, 5).result()  # warms up
        load = _wait(pool.submit(ask, port, clients, minutes * 60), 1.0, lambda: found.append(resident(process)))
    size = max(1, len(found) // 10)
    tenths = [statistics.median(found[begin : begin + size]) for begin in range(0, 10 * size, size)]
    wrong = len(load.seconds) - load.statuses[200] + load.lost
    print(f"{minutes:g} minutes of steady load: {load.rate:.0f} /s, p99 {load.p99:.1f} ms, {wrong} not right")
    print("memory of the server in each tenth of the time, MiB:", " ".join(f"{tenth:.0f}" for tenth in tenths))


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=10, help="of steady load")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as temporary,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        folder = Path(temporary)
        for model, description in MODELS.items():
            for number, version in enumerate(("v1", "v2")):
                torch.manual_seed(number)
                bundle = Bundle(description.build().eval(), description)
                save_bundle(folder / model / version, bundle, data="None.", metrics={"accuracy": 0.1}, limits="All.")
        compare(pool, folder, options.clients, options.seconds, options.rounds)
        runtimes(folder)
        switching(pool, folder / "SmallCNN", options.clients, options.seconds)
        steadiness(pool, folder / "SmallCNN" / "v1", options.clients, options.minutes)


if __name__ == "__main__":
    main()
