"""Wrong answers to the exercises of notebook 07_monitoring, each with a pattern that its hint must match."""

WRONG: dict[str, dict[str, str]] = {
    "one_curve": {
        "def one_curve(events):\n    return events": "nothing was taken out",
        "def one_curve(events):\n    return sorted(events)": "sorting hides",
        "def one_curve(events):\n    return list(dict(events).items())": "a dictionary keeps them",
        "def one_curve(events):\n    return dict(events)": "it is a dictionary",
        "def one_curve(events):\n    seen, curve = set(), []\n    for step, value in events:\n        if step not in seen:\n            curve.append((step, value))\n            seen.add(step)\n    return curve": "written last counts",
        "def one_curve(events):\n    curve = []\n    for step, value in events:\n        while curve and curve[-1][0] > step:\n            curve.pop()\n        curve.append((step, value))\n    return curve": "nothing was taken out",
        "def one_curve(events):\n    curve = []\n    for step, value in events:\n        if curve and curve[-1][0] >= step:\n            curve.pop()\n        curve.append((step, value))\n    return curve": "twice|void",
        "def one_curve(events):\n    curve = []\n    for step, value in events:\n        if curve and step <= curve[-1][0]:\n            curve = []\n        curve.append((step, value))\n    return curve": "the new value counts",
        "def one_curve(events):\n    curve = []\n    for step, value in events:\n        steps = [s for s, _ in curve]\n        if step in steps:\n            curve = curve[: steps.index(step)]\n        curve.append((step, value))\n    return curve": "compare steps",
        "def one_curve(events):\n    curve = [events[0]]\n    for step, value in events[1:]:\n        while curve and curve[-1][0] >= step:\n            curve.pop()\n        curve.append((step, value))\n    return curve": "raised IndexError",
        "def one_curve(events):\n    curve = []\n    while events:\n        step, value = events.pop(0)\n        curve = [p for p in curve if p[0] < step] + [(step, value)]\n    return curve": "has changed",
        "def one_curve(events):\n    return [value for _, value in events]": "list of pairs",
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
        'diagnosis = {"A": "model too small", "B": "learning rate too low", "C": "softmax twice", "D": "leakage", "E": "sorted, unshuffled", "F": "zero_grad forgotten", "G": "dead ReLU", "H": "labels off by one", "I": "learning rate too high", "J": "exploding gradients"}': "Not yet",
        'diagnosis = dict.fromkeys("ABCDEFGHIJ", "leakage")': "Not yet",
    },
}

# Right ones of another kind than the solution.
RIGHT: dict[str, list[str]] = {
    "one_curve": [
        "def one_curve(events):\n"
        "    curve = []\n"
        "    for step, value in events:\n"
        "        curve = [pair for pair in curve if pair[0] < step] + [[step, value]]\n"
        "    return curve",
        "def one_curve(events):\n"
        "    kept, first = [], float('inf')\n"
        "    for step, value in reversed(events):\n"
        "        if step < first:\n"
        "            kept, first = [(step, value)] + kept, step\n"
        "    return kept",
    ],
    "gradient_norm": [
        "import math\n"
        "def gradient_norm(parameters):\n"
        "    total = 0.0\n"
        "    for p in parameters:\n"
        "        if p.grad is None:\n"
        "            continue\n"
        "        total += float((p.grad * p.grad).sum())\n"
        "    return math.sqrt(total)",
        "import torch\n"
        "def gradient_norm(parameters):\n"
        "    return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).norm()",
        "def gradient_norm(parameters):\n    return torch.nn.utils.clip_grad_norm_(parameters, float('inf'))",
        "def gradient_norm(parameters):\n"
        "    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])",
    ],
    "diagnosis": [
        "from checks.monitoring import LOOK, quiz_order\n"
        'diagnosis = {letter.lower(): name.upper() for letter, name in zip("ABCDEFGHIJ", quiz_order(LOOK))}',
    ],
}
