"""Wrong answers to the exercises of notebook 16_scaling_out, each with a pattern that its hint must match."""

WRONG = {
    "mean_of_all": {
        "def mean_of_all(means, samples):\n    return sum(means) / len(means)\n": r"mean of the means, as if",
        "def mean_of_all(means, samples):\n    return sum(m * n for m, n in zip(means, samples)) / sum(samples)\n": r"one process has no sample it gives nan.*nan \* 0 is nan",
        "def mean_of_all(means, samples):\n    return sum(m * n for m, n in zip(means, samples))\n": r"sum over all samples",
        "def mean_of_all(means, samples):\n    return sum(m * n for m, n in zip(means, samples)) / len(means)\n": r"divided by the number of processes",
        "import numpy as np\ndef mean_of_all(means, samples):\n    return np.nan_to_num(np.array(means), nan=1.0) @ np.array(samples) / (sum(samples) + 10 * (0 in samples))\n": r"its nan is no 0",
        "def mean_of_all(means, samples):\n    return [m * n for m, n in zip(means, samples)]\n": r"one number is wanted",
        "def mean_of_all(means, samples):\n    for i in range(len(means)):\n        means[i] *= samples[i]\n    return sum(means) / sum(samples)\n": r"have changed after the call",
        "def mean_of_all(means, samples):\n    return (means[0] * samples[0] + means[1] * samples[1]) / (samples[0] + samples[1])\n": r"not 1\.025. Hint: sum",
        "def mean_of_all(means, samples):\n    return sum(means) / sum(samples)\n": r"the means were added as they are",
        "def mean_of_all(means, samples):\n    return total / samples\n": r"raised NameError",
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
    },
}
