"""What a long list of images costs to open: ``ImageTxtDataset`` against a Python list of pairs.

    python -m benchmarks.image_list [--lines 1000000]

Each reads the same list in a process of its own. Quoted are the seconds of the processor, and by how much the resident
memory has grown at its peak and in the end, beside the size of the list. The list is written once, to a temporary
folder; no image is opened.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

READERS = ("pairs", "dataset")


def read(reader: str, path: Path) -> None:
    """Read the list in this process and print seconds, peak and growth in MB."""
    from benchmarks.machine import peak, resident
    from course_utils import ImageTxtDataset

    before = resident() * 2**20
    started = time.process_time()
    if reader == "pairs":
        rows = [line.rsplit(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines()]
        table: object = [(name, int(label)) for name, label in rows]
        del rows
    else:
        table = ImageTxtDataset(path)
    seconds = time.process_time() - started
    print(seconds, (peak() * 2**20 - before) / 1e6, (resident() * 2**20 - before) / 1e6)
    del table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--reader", choices=READERS, help=argparse.SUPPRESS)
    parser.add_argument("--list", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reader:
        read(options.reader, options.list)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"train/class_{i % 1000:04d}/image_{i:08d}.jpg {i % 1000}\n" for i in range(options.lines))
        size = path.stat().st_size
        print(
            f"{options.lines:,} lines, {size / 1e6:.0f} MB; text and table {(size + 28 * options.lines) / 1e6:.0f} MB"
        )
        print(f"{'':<10}{'seconds':>9}{'peak MB':>10}{'kept MB':>10}")
        for reader in READERS:
            command = [sys.executable, "-m", "benchmarks.image_list", "--reader", reader, "--list", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds, peak, kept = map(float, done.stdout.split())
            print(f"{reader:<10}{seconds:>9.2f}{peak:>10.0f}{kept:>10.0f}")


if __name__ == "__main__":
    main()
