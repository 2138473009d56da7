"""Wrong answers to the exercises of notebook 04_evaluation, each with a pattern that its hint must match."""

WRONG: dict[str, dict[str, str]] = {
    "exact_accuracy": {
        "def exact_accuracy(batches):\n"
        "    return sum((a.argmax(1) == b).float().mean().item() for a, b in batches) / len(batches)": "mean of the batches",
        "def exact_accuracy(batches):\n"
        "    for logits, targets in batches:\n"
        "        accuracy = (logits.argmax(1) == targets).float().mean()\n    return accuracy": "last batch",
        "def exact_accuracy(batches):\n    return sum((a.argmax(1) == b).sum() for a, b in batches)": "divide by the number of samples",
        "def exact_accuracy(batches):\n"
        "    return 100 * sum((a.argmax(1) == b).sum() for a, b in batches) / sum(len(b) for a, b in batches)": "percentage",
        "def exact_accuracy(batches):\n    return sum((a.argmax(1) == b).sum() for a, b in batches) / len(batches)": "not by the batches",
        "def exact_accuracy(batches):\n"
        "    size = len(batches[0][1])\n"
        "    return sum((a.argmax(1) == b).sum() for a, b in batches) / (size * len(batches))": r"add up len\(targets\)",
        "def exact_accuracy(batches):\n"
        "    return sum((a.argmax(1) != b).sum() for a, b in batches) / sum(len(b) for a, b in batches)": "share of wrong",
        "def exact_accuracy(batches):\n"
        "    return sum((a.argmin(1) == b).sum() for a, b in batches) / sum(len(b) for a, b in batches)": "dim=1",
        "def exact_accuracy(batches):\n"
        "    return sum((a.argmax(0) == b).sum() for a, b in batches) / sum(len(b) for a, b in batches)": "raised RuntimeError",
        "def exact_accuracy(batches):\n    return [(a.argmax(1) == b).sum() for a, b in batches]": "one number",
        "def exact_accuracy(batches):\n"
        "    right = samples = 0\n"
        "    for a, b in batches:\n"
        "        right += (a.argmax(1) == b).sum()\n        samples += len(b)\n"
        "        return right / samples": "inside the loop",
        "def exact_accuracy(batches):\n"
        "    return sum((a.argmax(1) == b).sum() for a, b in batches[:1]) / len(batches[0][1])": "the first batch alone",
        "def exact_accuracy(batches):\n"
        "    return sum((a.argmax(1) == b).sum() for a, b in batches[:-1]) / 16": "short last batch counts too",
        "def exact_accuracy(batches):\n"
        "    a, b = torch.cat([a for a, _ in batches]).argmax(1), torch.cat([b for _, b in batches])\n"
        "    return sum((a == b)[b == c].float().mean() for c in b.unique()) / len(b.unique())": "mean over the classes",
        "def exact_accuracy(batches):\n    return float('nan')": "nan",
        "def exact_accuracy(batches):\n"
        "    return sum((a.argmax(1) == b).sum() for a, b in batches) // sum(len(b) for a, b in batches)": "not with //",
        "def exact_accuracy(batches):\n"
        "    right = sum((a.argmax(1) == b).sum().item() for a, b in batches)\n"
        "    return round(right / sum(len(b) for a, b in batches), 4)": "0.7778, that is 14 / 18 rounded",
        "def exact_accuracy(batches):\n"
        "    right = samples = 0\n"
        "    while batches:\n"
        "        a, b = batches.pop()\n        right += (a.argmax(1) == b).sum()\n        samples += len(b)\n"
        "    return right / samples": "not the same after the call",
    },
    "images_needed": {
        "def images_needed(accuracy, half_width, z=1.96):\n"
        "    return int(z**2 * accuracy * (1 - accuracy) / half_width**2)": "one image fewer",
        "def images_needed(accuracy, half_width, z=1.96):\n"
        "    return z**2 * accuracy * (1 - accuracy) / half_width**2": r"math\.ceil",
        "import math\ndef images_needed(accuracy, half_width, z=1.96):\n"
        "    return math.ceil(z**2 * accuracy * (1 - accuracy) / (2 * half_width) ** 2)": "half of the interval",
        "import math\ndef images_needed(accuracy, half_width, z=1.96):\n"
        "    return math.ceil(accuracy * (1 - accuracy) / half_width**2)": "not left out",
        "import math\ndef images_needed(accuracy, half_width, z=1.96):\n"
        "    return math.ceil(z * accuracy * (1 - accuracy) / half_width**2)": "square both sides",
        "import math\ndef images_needed(accuracy, half_width, z=1.96):\n"
        "    return math.ceil(z * (accuracy * (1 - accuracy)) ** 0.5 / half_width)": "square both sides",
        "import math\ndef images_needed(accuracy, half_width, z=1.96):\n"
        "    return math.ceil(z**2 * 0.25 / half_width**2)": "largest value",
        "import math\ndef images_needed(accuracy, half_width, z=1.96):\n"
        "    return math.ceil(1.96**2 * accuracy * (1 - accuracy) / half_width**2)": "a fixed 1.96",
        "def images_needed(accuracy, half_width, z=1.96):\n    return accuracy, half_width": "one number",
        "def images_needed(accuracy, half_width, z=1.96):\n"
        "    return int(z**2 * accuracy * (1 - accuracy) / half_width**2) + 1": r"not \+ 1",
        "def images_needed(accuracy, half_width, z=1.96):\n"
        "    return round(z**2 * accuracy * (1 - accuracy) / half_width**2 + 0.49)": "one image fewer",
    },
    "calibration_error": {
        "def calibration_error(confidence, right, bins=10):\n"
        "    n = torch.bucketize(confidence, torch.linspace(0, 1, bins + 1)[1:-1])\n"
        "    gaps = [(confidence[n == i].mean() - right[n == i].float().mean()).abs() for i in range(bins)]\n"
        "    return sum(g * (n == i).sum() for i, g in enumerate(gaps)) / len(right)": "empty bin",
        "def calibration_error(confidence, right, bins=10):\n"
        "    n = torch.bucketize(confidence, torch.linspace(0, 1, bins + 1)[1:-1])\n"
        "    gaps = [(confidence[n == i].mean() - right[n == i].float().mean()).abs() for i in n.unique()]\n"
        "    return sum(gaps) / len(gaps)": "weigh each gap by its samples",
        "def calibration_error(confidence, right, bins=10):\n"
        "    n = torch.bucketize(confidence, torch.linspace(0, 1, bins + 1)[1:-1])\n"
        "    return sum((confidence[n == i] - right[n == i].float()).sum() for i in n.unique()) / len(right)": "cancel out",
        "def calibration_error(confidence, right, bins=10):\n"
        "    return (confidence.mean() - right.float().mean()).abs()": "cancel out",
        "def calibration_error(confidence, right, bins=10):\n"
        "    return (confidence - right.float()).abs().mean()": "gap of each sample",
        "def calibration_error(confidence, right, bins=10):\n"
        "    n = torch.bucketize(confidence, torch.linspace(0, 1, bins + 1)[1:-1])\n"
        "    return max((confidence[n == i].mean() - right[n == i].float().mean()).abs() for i in n.unique())": "largest gap",
        "def calibration_error(confidence, right, bins=10):\n"
        "    n = torch.bucketize(confidence, torch.linspace(0, 1, bins + 1)[1:-1])\n"
        "    return sum((confidence[n == i] - right[n == i].float()).sum().abs() for i in n.unique())": "number of all samples",
        "def calibration_error(confidence, right, bins=10):\n"
        "    n = torch.bucketize(confidence, torch.linspace(0, 1, 11)[1:-1])\n"
        "    return sum((confidence[n == i] - right[n == i].float()).sum().abs() for i in n.unique()) / len(right)": "argument bins",
        "def calibration_error(confidence, right, bins=10):\n"
        "    n = (confidence * bins).long()\n"
        "    return sum((confidence[n == i] - right[n == i].float()).sum().abs() for i in range(bins)) / len(right)": "exactly 1",
        "def calibration_error(confidence, right, bins=10):\n"
        "    edges, error = torch.linspace(0, 1, bins + 1), 0\n"
        "    for low, high in zip(edges[:-1], edges[1:]):\n"
        "        inside = (confidence >= low) & (confidence <= high)\n"
        "        error += (confidence[inside] - right[inside].float()).sum().abs()\n"
        "    return error / len(right)": "counted twice",
        "def calibration_error(confidence, right, bins=10):\n"
        "    n = torch.bucketize(confidence, torch.linspace(0, 1, bins + 1)[1:-1])\n"
        "    return sum((confidence[n == i] - right[n == i].float()).sum().abs() for i in range(bins)) / bins": "not by that of the bins",
        "def calibration_error(confidence, right, bins=10):\n"
        "    n = torch.bucketize(confidence, torch.linspace(0, 1, bins + 1)[1:-1])\n"
        "    return sum((confidence[n == i] - right[n == i].float()).sum().abs() for i in range(1, bins)) / len(right)": "starts at 0",
        "def calibration_error(confidence, right, bins=10):\n"
        "    n = torch.bucketize(confidence, torch.linspace(0, 1, bins + 1)[1:-1])\n"
        "    middle = (n + 0.5) / bins\n"
        "    return sum((middle[n == i] - right[n == i].float()).sum().abs() for i in range(bins)) / len(right)": "not the middle",
        "def calibration_error(confidence, right, bins=10):\n"
        "    n = torch.bucketize(confidence, torch.linspace(0, 1, bins + 1)[1:-1])\n"
        "    confidence -= right.float()\n"
        "    return sum(confidence[n == i].sum().abs() for i in n.unique()) / len(right)": "have changed",
    },
}
