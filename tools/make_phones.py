"""Generate data/phones.csv, a table of phones that do not exist.

    python -m tools.make_phones                              the course's table: 2,000 phones, seed 42
    python -m tools.make_phones --noise 0.4 --out other.csv  a harder one

It has the columns, types, ranges and dependencies of the mobile price table on Kaggle
(https://www.kaggle.com/datasets/iabhishekofficial/mobile-price-classification), and is hard in the same way: the price
class depends almost linearly on four of the twenty columns, on ram most of all. No row of that table is in it.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PHONES = Path(__file__).resolve().parent.parent / "data" / "phones.csv"
# How far the score of a phone moves from the poorest to the best value of a column.
WEIGHTS = {"ram": 1.0, "battery_power": 0.24, "px_width": 0.13, "px_height": 0.15}
NOISE = 0.003  # standard deviation of what no column explains


def make_phones(rows: int = 2000, *, seed: int = 42, noise: float = NOISE) -> dict[str, NDArray[np.generic]]:
    """Return the table by column: arrays of ``rows`` ints (whole numbers) or floats (clock_speed, m_dep).

    The classes 0 to 3 of ``price_range`` are the quarters of the score, so they are of one size if ``rows`` is a
    multiple of 4.
    """
    random = np.random.default_rng(seed)

    def whole(low: int, high: int) -> NDArray[np.int64]:
        return random.integers(low, high, rows, endpoint=True)

    def part_of(limit: NDArray[np.int64]) -> NDArray[np.int64]:
        return (random.random(rows) * (limit + 1)).astype(np.int64)

    table: dict[str, NDArray[np.generic]] = {
        "battery_power": whole(501, 1998),  # mAh
        "blue": whole(0, 1),
        "clock_speed": whole(5, 30) / 10,  # GHz
        "dual_sim": whole(0, 1),
        "fc": np.zeros(rows, np.int64),  # megapixels of the front camera: at most those of the other, below
        "four_g": np.zeros(rows, np.int64),  # only with 3G, below
        "int_memory": whole(2, 64),  # GB
        "m_dep": whole(1, 10) / 10,  # cm
        "mobile_wt": whole(80, 200),  # g
        "n_cores": whole(1, 8),
        "pc": whole(0, 20),  # megapixels of the main camera
        "px_height": np.zeros(rows, np.int64),  # at most px_width, below
        "px_width": whole(500, 1998),
        "ram": whole(256, 3998),  # MB
        "sc_h": whole(5, 19),  # cm
        "sc_w": np.zeros(rows, np.int64),  # at most sc_h, below
        "talk_time": whole(2, 20),  # hours
        "three_g": (random.random(rows) < 0.76).astype(np.int64),
        "touch_screen": whole(0, 1),
        "wifi": whole(0, 1),
    }
    table["fc"] = np.minimum(part_of(table["pc"].astype(np.int64)), 19)
    table["px_height"] = np.minimum(part_of(table["px_width"].astype(np.int64)), 1960)
    table["sc_w"] = np.minimum(part_of(table["sc_h"].astype(np.int64)), 18)
    table["four_g"] = table["three_g"].astype(np.int64) * (random.random(rows) < 0.69)
    score = noise * random.standard_normal(rows)
    for name, weight in WEIGHTS.items():
        column = table[name].astype(np.float64)
        score += weight * (column - column.min()) / (column.max() - column.min())
    table["price_range"] = np.argsort(np.argsort(score)) * 4 // rows
    return table


def main() -> None:
    """Write the table as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--noise", type=float, default=NOISE, help="spread of what no column explains (%(default)s)")
    parser.add_argument("--out", type=Path, default=PHONES)
    options = parser.parse_args()
    table = make_phones(options.rows, seed=options.seed, noise=options.noise)
    with options.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(zip(*(column.tolist() for column in table.values()), strict=True))
    print(f"{options.out}: {options.rows} generated phones")


if __name__ == "__main__":
    main()
