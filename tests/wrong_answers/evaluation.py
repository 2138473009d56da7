"""Wrong answers to the exercises of notebook 04_evaluation, each with a pattern that its hint must match."""

WRONG: dict[str, dict[str, str]] = {
    "ask": {
        "def ask(model, images):\n    with torch.no_grad():\n        return model(images)": "evaluation mode",
        "def ask(model, images):\n    model.eval()\n    return model(images)": "no_grad",
        "def ask(model, images):\n    model.eval()\n    with torch.no_grad():\n        return model(images)": "the model itself is in evaluation mode",
        "def ask(model, images):\n    model.eval()\n    with torch.no_grad():\n        logits = model(images)\n    model.train()\n    return logits": "the model itself is in training mode",
        "def ask(model, images):\n    mode = model.training\n    model.eval()\n    with torch.no_grad():\n        logits = model(images)\n    model.train(mode)\n    return logits": "part '1' is in training mode",
        "def ask(model, images):\n    modes = [part.training for part in model.children()]\n    mode = model.training\n    model.eval()\n    with torch.no_grad():\n        logits = model(images)\n    for part, m in zip(model.children(), modes):\n        part.train(m)\n    model.train(mode)\n    return logits": "part '1' is in training mode",
        "def ask(model, images):\n    modes = [(part, part.training) for part in model.modules()]\n    model.eval()\n    torch.set_grad_enabled(False)\n    logits = model(images)\n    for part, mode in modes:\n        part.training = mode\n    return logits": "switched off for good",
        "def ask(model, images):\n    modes = [(part, part.training) for part in model.modules()]\n    model.eval().requires_grad_(False)\n    logits = model(images)\n    for part, mode in modes:\n        part.training = mode\n    return logits": "lost requires_grad",
        "def ask(model, images):\n    modes = [(part, part.training) for part in model.modules()]\n    with torch.no_grad():\n        model(images)\n        logits = model.eval()(images)\n    for part, mode in modes:\n        part.training = mode\n    return logits": "statistics|evaluation mode",
        "def ask(model, images):\n    model.eval()\n    with torch.no_grad():\n        return model(images).softmax(dim=1)": "probabilities",
        "def ask(model, images):\n    model.eval()\n    with torch.no_grad():\n        return model(images).argmax(dim=1)": "all of them",
        "def ask(model, images):\n    model.eval()\n    with torch.no_grad():\n        return model(images).tolist()": "a tensor",
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
        "import math\n"
        "def images_needed(accuracy, half_width, z=1.96):\n"
        "    return math.ceil(z**2 * accuracy / half_width**2)": r"n = z\*\*2 \* accuracy \*",
        "import math\n"
        "def images_needed(accuracy, half_width, z=1.96):\n"
        "    return math.ceil(z**2 * accuracy * (1 - accuracy) / half_width**2) + 1": r"n = z\*\*2 \* accuracy \*",
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
        "def calibration_error(confidence, right, bins=10):\n"
        "    n = torch.bucketize(confidence, confidence.quantile(torch.linspace(0, 1, bins + 1)[1:-1]))\n"
        "    return sum((confidence[n == i] - right[n == i].float()).sum().abs() for i in range(bins)).item() / len(right)": "in each bin",
    },
}

# Right ones of another kind than the solution.
RIGHT: dict[str, list[str]] = {
    "images_needed": [
        "import math\n"
        "def images_needed(accuracy, half_width, z=1.96):\n"
        "    n = 1\n"
        "    while z * math.sqrt(accuracy * (1 - accuracy) / n) > half_width:\n"
        "        n += 1\n"
        "    return n",
        "import math\n"
        "def images_needed(accuracy, half_width, z=1.96):\n"
        "    return math.ceil(accuracy * (1 - accuracy) * (z / half_width) ** 2)",
    ],
    "ask": [
        "import copy\n"
        "import torch\n"
        "def ask(model, images):\n"
        "    with torch.no_grad():\n"
        "        return copy.deepcopy(model).eval()(images)",
        "import torch\n"
        "@torch.inference_mode()\n"
        "def ask(model, images):\n"
        "    modes = {name: part.training for name, part in model.named_modules()}\n"
        "    try:\n"
        "        return model.eval()(images)\n"
        "    finally:\n"
        "        for name, part in model.named_modules():\n"
        "            part.train(modes[name])",
        "from course_utils.modes import modes_kept\n"
        "def ask(model, images):\n"
        "    with modes_kept(model), torch.no_grad():\n"
        "        model.eval()\n"
        "        return model(images)",
    ],
    "calibration_error": [
        "import numpy as np\n"
        "def calibration_error(confidence, right, bins=10):\n"
        "    c, r = confidence.double().numpy(), right.numpy().astype(float)\n"
        "    place = np.minimum((c * bins).astype(int), bins - 1)\n"
        "    return np.abs(np.bincount(place, c - r, minlength=bins)).sum() / len(c)",
        "def calibration_error(confidence, right, bins=10):\n"
        "    from torchmetrics.functional.classification import binary_calibration_error\n"
        "    edges, error = torch.linspace(0, 1, bins + 1), 0\n"
        "    for low, high in zip(edges[:-1], edges[1:]):\n"
        "        inside = (confidence > low) & (confidence <= high)\n"
        "        if inside.sum() > 0:\n"
        "            error += inside.float().mean() * (confidence[inside].mean() - right[inside].float().mean()).abs()\n"
        "    return error",
    ],
}
