"""Wrong answers to the exercises of notebook 00_quickstart, each with a pattern that its hint must match."""

WRONG: dict[str, dict[str, str]] = {
    "name_of": {
        "def name_of(model, image, class_names):\n    return class_names[model.eval()(image).argmax().item()]": r"unsqueeze\(0\)",
        "def name_of(model, image, class_names):\n"
        "    return model.eval()(image.unsqueeze(0)).argmax(dim=1).item()": "index into class_names",
        "def name_of(model, image, class_names):\n"
        "    return class_names[model(image.unsqueeze(0)).argmax(dim=1).item()]": r"model\.eval\(\)",
        "def name_of(model, image, class_names):\n    return klass_names": "raised NameError",
        "def name_of(model, image, class_names):\n"
        "    model.eval()\n"
        "    return class_names[int(model(image.unsqueeze(0)).max())]": "of class .top. name_of returned .middle.",
        "def name_of(model, image, class_names):\n"
        "    model.eval()\n"
        "    return class_names[model(image.unsqueeze(0)).argmax(dim=0)[0]]": r"argmax\(dim=1\) is the class",
    },
    "accuracy": {
        "def accuracy(logits, targets):\n    return (logits.argmax(dim=1) == targets).sum()": "divide",
        "def accuracy(logits, targets):\n    return 100 * (logits.argmax(dim=1) == targets).float().mean()": "percentage",
        "def accuracy(logits, targets):\n    return (logits.argmax(dim=0) == targets).float().mean()": "shapes",
        "def accuracy(logits, targets):\n    return (logits.argmin(dim=1) == targets).float().mean()": "3 of 4",
        "def accuracy(logits, targets):\n    return (logits.argmax(dim=1) == targets).mean()": r"\.float\(\)",
        "def accuracy(logits, targets):\n    return (logits.argmax(1) != targets).float().mean()": "share of wrong",
        "def accuracy(logits, targets):\n    return 0.75": "take all sizes from the tensors",
        "def accuracy(logits, targets):\n    return [0.75]": "return the share alone",
    },
}

# Right ones of another kind than the solution.
RIGHT: dict[str, list[str]] = {
    "accuracy": [
        "def accuracy(logits, targets):\n"
        "    right = 0\n"
        "    for row, target in zip(logits, targets):\n"
        "        if row.tolist().index(max(row.tolist())) == target:\n"
        "            right += 1\n"
        "    return right / len(targets)",
        "import numpy as np\n"
        "def accuracy(logits, targets):\n"
        "    return np.mean(logits.numpy().argmax(1) == targets.numpy())",
    ],
    "name_of": [
        "def name_of(model, image, class_names):\n"
        "    was = model.training\n"
        "    model.eval()\n"
        "    answer = model(image[None]).softmax(1)[0].topk(1).indices\n"
        "    model.train(was)\n"
        "    return class_names[answer]",
    ],
}
