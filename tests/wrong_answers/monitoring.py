"""Wrong answers to the exercises of notebook 07_monitoring, each with a pattern that its hint must match."""

WRONG: dict[str, dict[str, str]] = {
    "running_mean": {
        "def running_mean(losses, sizes):\n"
        "    return [sum(losses[: i + 1]) / (i + 1) for i in range(len(losses))]": "multiply each loss by its size",
        "def running_mean(losses, sizes):\n"
        "    return sum(a * b for a, b in zip(losses, sizes)) / sum(sizes)": "a list is wanted",
        "def running_mean(losses, sizes):\n"
        "    total, out = 0, []\n"
        "    for a, b in zip(losses, sizes):\n"
        "        total += a * b\n"
        "        out.append(total)\n"
        "    return out": "divide by the samples so far",
        "def running_mean(losses, sizes):\n"
        "    total, out = 0, []\n"
        "    for a, b in zip(losses, sizes):\n"
        "        total += a * b\n"
        "        out.append(total / sum(sizes))\n"
        "    return out": "all samples from the start",
        "def running_mean(losses, sizes):\n"
        "    total, out = 0, []\n"
        "    for i, (a, b) in enumerate(zip(losses, sizes), start=1):\n"
        "        total += a * b\n"
        "        out.append(total / i)\n"
        "    return out": "number of batches",
        "def running_mean(losses, sizes):\n"
        "    out = []\n"
        "    for a, b in zip(losses, sizes):\n"
        "        total, samples = 0, 0\n"
        "        total += a * b\n"
        "        samples += b\n"
        "        out.append(total / samples)\n"
        "    return out": "before the loop",
        "def running_mean(losses, sizes):\n    return [1.0]": "append once for each batch",
        "def running_mean(losses, sizes):\n    return [0.0 for _ in losses]": "second entry",
        "def running_mean(losses, sizes):\n    return ['a' for _ in losses]": "raised ValueError",
        "def running_mean(losses, sizes):\n"
        "    out = []\n"
        "    for i in range(len(losses)):\n"
        "        j = max(0, i - 3)\n"
        "        pairs = list(zip(losses[j:i + 1], sizes[j:i + 1]))\n"
        "        out.append(sum(a * b for a, b in pairs) / sum(b for _, b in pairs))\n"
        "    return out": "the last 4 batches alone",
        "def running_mean(losses, sizes):\n"
        "    total, samples, out = 0, 0, []\n"
        "    for i, (a, b) in enumerate(zip(losses, sizes)):\n"
        "        if i % 10 == 0:\n            total, samples = 0, 0\n"
        "        total += a * b\n        samples += b\n        out.append(total / samples)\n"
        "    return out": "anew every 10 batches",
        "import numpy as np\ndef running_mean(losses, sizes):\n"
        "    return np.cumsum(losses) / np.arange(1, len(losses) + 1)": "multiply each loss by its size",
        "def running_mean(losses, sizes):\n"
        "    total, samples = 0, 0\n"
        "    for a, b in zip(losses, sizes):\n"
        "        total += a * b\n        samples += b + 0.0001\n        yield total / samples": r"entry 0 is 0\.999975, not 1,",
    },
    "gradient_norm": {
        "def gradient_norm(parameters):\n"
        "    return sum(p.grad.norm() for p in parameters if p.grad is not None)": "norms do not",
        "def gradient_norm(parameters):\n"
        "    return sum(p.grad.pow(2).sum() for p in parameters if p.grad is not None)": "take the root",
        "def gradient_norm(parameters):\n"
        "    return sum(p.grad.pow(2).sum() for p in parameters).sqrt()": "grad is None",
        "def gradient_norm(parameters):\n    return sum(p.pow(2).sum() for p in parameters).sqrt()": r"p\.grad, not p",
        "def gradient_norm(parameters):\n"
        "    return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).pow(2).mean().sqrt()": "sum, not mean",
        "def gradient_norm(parameters):\n"
        "    return max(p.grad.abs().max() for p in parameters if p.grad is not None)": "all gradients together",
        "def gradient_norm(parameters):\n"
        "    for p in parameters:\n"
        "        return p.grad.norm()": "first gradient alone",
        "def gradient_norm(parameters):\n"
        "    return sum(p.grad.abs().sum() for p in parameters if p.grad is not None)": r"not abs\(\)",
        "def gradient_norm(parameters):\n    return [p.grad.norm() for p in parameters if p.grad is not None]": "one number",
        "def gradient_norm(parameters):\n    return parameters.grad.norm()": "raised AttributeError",
        "def gradient_norm(parameters):\n"
        "    return sum(p.grad.pow_(2).sum() for p in parameters if p.grad is not None).sqrt()": "changes the gradients",
        "def gradient_norm(parameters):\n"
        "    return torch.nn.utils.clip_grad_norm_(parameters, 1.0)": "changes the gradients",
        "def gradient_norm(parameters):\n"
        "    if not any(p.grad is not None for p in parameters):\n        return 0.0\n"
        "    n = sum(1 for p in parameters)\n"
        "    return torch.stack([p.grad.norm() for p in parameters if p.grad is not None]).norm()": "go through it once",
        "def gradient_norm(parameters):\n"
        "    total = 0.0\n"
        "    for i in range(len(parameters)):\n        total += parameters[i].grad.pow(2).sum()\n"
        "    return total.sqrt()": "go through it once",
        "def gradient_norm(parameters):\n"
        "    for p in parameters:\n        last = p.grad.norm()\n"
        "    return last": "last gradient alone",
        "def gradient_norm(parameters):\n    return sum(p.grad.sum() for p in parameters)": "sum of all entries",
    },
    "diagnosis": {
        "diagnosis = {letter: 'dead ReLU' for letter in 'ABCDEFGHIJ'}": r"A is not 'dead ReLU' \(B, .* as well\)\. Hint for A",
        "diagnosis = {'G': 'dead ReLU'}": "all right so far",
        "diagnosis = {'A': 'overfitting'}": "none of the ten names",
        "diagnosis = {'K': 'leakage'}": "no panel",
        "diagnosis = ['leakage']": "a dictionary is wanted",
        "diagnosis = {'I': 'dead ReLU', 'G': 'dead relu'}": "straight line",
    },
}

# Right ones of another kind than the solution.
RIGHT: dict[str, list[str]] = {
    "running_mean": [
        "import numpy as np\ndef running_mean(losses, sizes):\n"
        "    return np.cumsum(np.array(losses) * sizes) / np.cumsum(sizes)",
        "def running_mean(losses, sizes):\n"
        "    total, samples = 0, 0\n"
        "    for a, b in zip(losses, sizes):\n"
        "        total += a * b\n        samples += b\n        yield total / samples",
    ],
    "gradient_norm": [
        "def gradient_norm(parameters):\n    return torch.nn.utils.clip_grad_norm_(parameters, float('inf'))",
        "def gradient_norm(parameters):\n"
        "    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])",
    ],
}
