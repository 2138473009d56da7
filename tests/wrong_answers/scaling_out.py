"""Wrong answers to the exercises of notebook 16_scaling_out, each with a pattern that its hint must match."""

WRONG = {
    "loss_factors": {
        "def loss_factors(samples):\n    return [count / sum(samples) for count in samples]": "those are the shares",
        "def loss_factors(samples):\n    return samples": "divide by all of them",
        "def loss_factors(samples):\n    return [1.0 for _ in samples]": "a mean of means",
        "def loss_factors(samples):\n    return [sum(samples) / len(samples) / count for count in samples]": "upside down",
        "def loss_factors(samples):\n    return [sum(samples) / count for count in samples]": "share of the batch",
        "def loss_factors(samples):\n    return [count / max(samples) for count in samples]": "not by the largest",
        "def loss_factors(samples):\n    return [2 * count / sum(samples) for count in samples]": "not always two",
        "def loss_factors(samples):\n    return [count * len([c for c in samples if c]) / sum(samples) for count in samples]": "number of processes",
        "def loss_factors(samples):\n    return sum(samples) / len(samples)": "one factor for each",
        "def loss_factors(samples):\n    return [count * len(samples) / sum(samples) for count in samples if count]": "3 numbers are wanted",
        "def loss_factors(samples):\n    total = sum(samples)\n    for i, count in enumerate(samples):\n        samples[i] = count * len(samples) / total\n    return samples": "has changed",
        "def loss_factors(samples):\n    return [count * len(samples) // sum(samples) for count in samples]": "share of the batch",
    },
    "own_rows": {
        "def own_rows(rows, rank, world_size, worker, workers):\n    reader, readers = rank * workers + worker, world_size * workers\n    size = rows // readers\n    return reader * size, (reader + 1) * size\n": r"rows are read by nobody.*left over",
        "def own_rows(rows, rank, world_size, worker, workers):\n    return rows * rank // world_size, rows * (rank + 1) // world_size\n": r"workers of a process read the same",
        "def own_rows(rows, rank, world_size, worker, workers):\n    return rows * worker // workers, rows * (worker + 1) // workers\n": r"the processes read the same",
        "def own_rows(rows, rank, world_size, worker, workers):\n    return 0, rows\n": r"all readers get the same stretch",
        "def own_rows(rows, rank, world_size, worker, workers):\n    reader, readers = rank * workers + worker, world_size * workers\n    return rows * reader / readers, rows * (reader + 1) / readers\n": r"whole, so divide with //",
        "def own_rows(rows, rank, world_size, worker, workers):\n    reader, readers = rank * workers + worker, world_size * workers\n    return rows * reader // readers, rows * (reader + 1) // readers - 1\n": r"row \*after\* the last one",
        "def own_rows(rows, rank, world_size, worker, workers):\n    reader, readers = rank * workers + worker, world_size * workers\n    size = -(-rows // readers)\n    return reader * size, (reader + 1) * size\n": r"somebody reads row",
        "def own_rows(rows, rank, world_size, worker, workers):\n    reader, readers = rank * workers + worker, world_size * workers\n    size = rows // readers\n    return reader * size, rows if reader == readers - 1 else (reader + 1) * size\n": r"one reader has",
        "def own_rows(rows, rank, world_size, worker, workers):\n    reader, readers = rank + worker, world_size * workers\n    return rows * reader // readers, rows * (reader + 1) // readers\n": r"read twice|read by nobody",
        "def own_rows(rows, rank, world_size, worker, workers):\n    return rows // world_size\n": r"two numbers are wanted",
    },
    "most_machines": {
        "def most_machines(step, size, bandwidth, minimum):\n    for n in range(2, 65):\n        if step / (step + 2 * (n - 1) / n * size / bandwidth) < minimum:\n            return n\n    return 64\n": r"not the first that is not",
        "def most_machines(step, size, bandwidth, minimum):\n    for n in range(2, 65):\n        if step / (step + 2 * (n - 1) / n * size / bandwidth) >= minimum:\n            return n\n    return 1\n": r"the largest is wanted",
        "def most_machines(step, size, bandwidth, minimum):\n    best = 1\n    for n in range(2, 65):\n        if step / (step + (n - 1) / n * size / bandwidth) >= minimum:\n            best = n\n    return best\n": r"sends the gradients twice",
        "def most_machines(step, size, bandwidth, minimum):\n    best = 2\n    for n in range(2, 65):\n        if step / (step + 2 * (n - 1) / n * size / bandwidth) >= minimum:\n            best = n\n    return best\n": r"start from 1",
        "def most_machines(step, size, bandwidth, minimum):\n    best = 1\n    for n in range(2, 64):\n        if step / (step + 2 * (n - 1) / n * size / bandwidth) >= minimum:\n            best = n\n    return best\n": r"range\(2, 65\)",
        "def most_machines(step, size, bandwidth, minimum):\n    best = 1\n    for n in range(2, 65):\n        if step / (step + 2 * (n - 1) / n * size / (bandwidth / 8)) >= minimum:\n            best = n\n    return best\n": r"in bytes a second already|1 is right only",
        "def most_machines(step, size, bandwidth, minimum):\n    best = 1\n    for n in range(2, 1000):\n        if step / (step + 2 * (n - 1) / n * size / bandwidth) >= minimum:\n            best = n\n    return best\n": r"64 machines at most",
        "def most_machines(step, size, bandwidth, minimum):\n    return step / (step + 2 * size / bandwidth)\n": r"a whole number",
        "def most_machines(step, size, bandwidth, minimum):\n"
        "    best = 1\n"
        "    for n in range(2, 65):\n"
        "        if step / (step + 2 * (n - 1) / n * size / bandwidth) > minimum:\n"
        "            best = n\n"
        "    return best": "an efficiency of exactly the minimum is enough",
        "def most_machines(step, size, bandwidth, minimum):\n"
        "    best = 1\n"
        "    for n in range(2, 65):\n"
        "        if step / n / (step / n + 2 * (n - 1) / n * size / bandwidth) >= minimum:\n"
        "            best = n\n"
        "    return best": "a step takes as long as before on each machine",
    },
}

# Right ones of another kind than the solution.
RIGHT: dict[str, list[str]] = {
    "loss_factors": [
        "import torch\n"
        "def loss_factors(samples):\n"
        "    samples = torch.tensor(samples, dtype=torch.float32)\n"
        "    return samples / samples.mean()",
    ],
    "own_rows": [
        "def own_rows(rows, rank, world_size, worker, workers):\n"
        "    size, rest = divmod(rows, world_size * workers)\n"
        "    n = rank * workers + worker\n"
        "    begin = n * size + min(n, rest)\n"
        "    return begin, begin + size + (n < rest)",
        "import numpy as np\n"
        "def own_rows(rows, rank, world_size, worker, workers):\n"
        "    edges = np.linspace(0, rows, world_size * workers + 1).round().astype(int)\n"
        "    n = worker * world_size + rank\n"
        "    return edges[n], edges[n + 1]",
        "def own_rows(rows, rank, world_size, worker, workers):\n"
        "    a, b = rows * rank // world_size, rows * (rank + 1) // world_size\n"
        "    n = b - a\n"
        "    return a + n * worker // workers, a + n * (worker + 1) // workers",
    ],
    "most_machines": [
        "def most_machines(step, size, bandwidth, minimum):\n"
        "    return max([1] + [n for n in range(2, 65) if step >= minimum * (step + 2 * (n - 1) / n * size / bandwidth)])",
        "import math\n"
        "def most_machines(step, size, bandwidth, minimum):\n"
        "    n = 1\n"
        "    while n < 64 and step / (step + 2 * n / (n + 1) * size / bandwidth) >= minimum:\n"
        "        n += 1\n"
        "    return n",
    ],
}
