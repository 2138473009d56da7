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
