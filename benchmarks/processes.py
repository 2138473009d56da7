"""What a second process is worth, and what a stream of Parquet files needs in memory.

    python -m benchmarks.processes [--rounds 15] [--steps 20] [--limit 64]

Two processes, one thread each, are started once by torchrun. In each round the first one trains alone, with whole
batches, while the other waits; then both train together, each with half of every batch, and at last both at the same
time, but each a model of its own: more than that the machine does not give. Quoted are samples a second: medians over
the rounds, with the quartiles, and the ratios to one process within the rounds. Then a fresh process
streams files of ten times ``--limit`` MiB of numbers, uncompressed, and reads its own resident memory as it goes.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import torch
from torch import nn

from benchmarks.machine import processor, resident

GROUPS = 80
FEATURES = 16


def compare(rounds: int, steps: int, batch_size: int) -> None:
    """Be one of the two processes; the first prints."""
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    from course_utils import SmallCNN, seed_everything, train_epoch

    dist.init_process_group("gloo")
    first = dist.get_rank() == 0
    seed_everything(0)
    batches = [(torch.randn(batch_size, 1, 28, 28), torch.randint(0, 10, (batch_size,))) for _ in range(steps)]
    begin = batch_size // 2 * dist.get_rank()
    parts = [(x[begin : begin + batch_size // 2], y[begin : begin + batch_size // 2]) for x, y in batches]
    plain, apart = SmallCNN((1, 28, 28), 10), SmallCNN((1, 28, 28), 10)
    shared = DistributedDataParallel(SmallCNN((1, 28, 28), 10))
    found: dict[str, list[float]] = {"one process": [], "two processes": [], "two on their own": []}
    for number in range(rounds + 1):
        dist.barrier()
        alone = seconds(train_epoch, plain, batches) if first else 0.0
        dist.barrier()
        together = seconds(train_epoch, shared, parts)
        dist.barrier()
        each = torch.tensor(seconds(train_epoch, apart, parts))
        dist.all_reduce(each, dist.ReduceOp.MAX)
        if number > 0:  # the first is to warm up
            for times, value in zip(found.values(), (alone, together, each.item()), strict=True):
                times.append(value)
    if first:
        samples, base = batch_size * steps, found["one process"]
        print(f"batches of {batch_size}; a step of one process takes {1000 * median(base) / steps:.1f} ms")
        for name, times in found.items():
            low, middle, high = quantiles([samples / value for value in times], n=4)
            print(f"{name:<18}{middle:>9,.0f} samples a second   ({low:,.0f} to {high:,.0f})", end="")
            low, middle, high = quantiles([one / two for one, two in zip(base, times, strict=True)], n=4)
            print(f"   {middle:.2f} of one   ({low:.2f} to {high:.2f})")
    dist.destroy_process_group()


def seconds(train_epoch: object, model: nn.Module, batches: object) -> float:
    """Return how long one epoch takes, to the end of it in all processes."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    started = time.perf_counter()
    train_epoch(model, batches, nn.CrossEntropyLoss(), optimizer, progress=False)  # type: ignore[operator]
    return time.perf_counter() - started


def write(folder: Path, mebibytes: int) -> None:
    """Write files of so many MiB together, two row groups in memory at most."""
    import numpy as np
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet

    rows = mebibytes * 2**20 // (8 * (FEATURES + 1)) // GROUPS
    random = np.random.default_rng(0)
    names = [f"x{number}" for number in range(FEATURES)]
    for number in range(GROUPS):
        columns = {name: random.standard_normal(rows) for name in names}
        table = pa.table({**columns, "y": random.integers(0, 4, rows)})
        parquet.write_table(table, folder / f"{number:03}.parquet", compression="none", use_dictionary=False)


def stream(folder: Path) -> None:
    """Read all batches in this process; print rows, seconds and the resident memory at each tenth."""
    from course_utils.streaming import ParquetStream

    names = [f"x{number}" for number in range(FEATURES)]
    data = ParquetStream(folder, inputs=names, target="y", batch_size=256, shuffle=True)
    started, rows, seen, most = time.perf_counter(), 0, [resident()], 0.0
    for inputs, _ in data.loader():
        rows += len(inputs)
        if rows >= data.rows * len(seen) / 10:
            seen.append(resident())
        most = max(most, resident())
    print(f"{rows:,} rows in {time.perf_counter() - started:.1f} s; resident MiB at the start and after each tenth:")
    print(
        " ".join(f"{value:.0f}" for value in seen), f" most {most:.0f}, or {most - seen[0]:.0f} more than at the start"
    )


def run(*command: str) -> None:
    """Run a command of this benchmark with one thread a process; what it prints is shown, and its failure raised."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *command], env=environment, check=True, timeout=1800)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--limit", type=int, default=64, help="MiB; ten times as much is streamed")
    parser.add_argument("--compare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--stream", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.compare:
        compare(options.rounds, options.steps, options.batch_size)
        return
    if options.stream:
        stream(options.stream)
        return
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {processor()}, {os.cpu_count()} cores")
    sizes = ["--rounds", str(options.rounds), "--steps", str(options.steps), "--batch-size", str(options.batch_size)]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    run(*torchrun, "-m", "benchmarks.processes", "--compare", *sizes)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), 10 * options.limit)
        print(f"{10 * options.limit} MiB of numbers in {GROUPS} files, limit {options.limit} MiB")
        run("-m", "benchmarks.processes", "--stream", folder)


if __name__ == "__main__":
    main()
