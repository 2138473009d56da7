"""How long `import course_utils` takes on top of `import torch`, each in a fresh process.

python -m benchmarks.import_time [--rounds 7]
"""

import argparse
import statistics
import subprocess
import sys

CODE = """
import time, torch
started = time.perf_counter()
import course_utils
print(time.perf_counter() - started)
"""


def main() -> None:
    """Measure and print the median and the range."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    runs = [
        subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True) for _ in range(rounds)
    ]
    seconds = sorted(float(run.stdout) for run in runs)
    print(
        f"import course_utils after import torch: median {statistics.median(seconds):.3f} s "
        f"({seconds[0]:.3f} to {seconds[-1]:.3f}, {rounds} fresh processes)"
    )


if __name__ == "__main__":
    main()
