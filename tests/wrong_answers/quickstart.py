"""Wrong answers to the exercises of notebook 00_quickstart, each with a pattern that its hint must match."""

WRONG: dict[str, dict[str, str]] = {
    "name_of": {
        "def name_of(model, image, class_names):\n    return class_names[model.eval()(image).argmax().item()]": r"unsqueeze\(0\)",
        "def name_of(model, image, class_names):\n"
        "    return model.eval()(image.unsqueeze(0)).argmax(dim=1).item()": "index into class_names",
        "def name_of(model, image, class_names):\n"
        "    return class_names[model(image.unsqueeze(0)).argmax(dim=1).item()]": r"model\.eval\(\)",
        "def name_of(model, image, class_names):\n    return klass_names": "raised NameError",
    },
    "accuracy": {
        "def accuracy(logits, targets):\n    return (logits.argmax(dim=1) == targets).sum()": "divide",
        "def accuracy(logits, targets):\n    return 100 * (logits.argmax(dim=1) == targets).float().mean()": "percentage",
        "def accuracy(logits, targets):\n    return (logits.argmax(dim=0) == targets).float().mean()": "shapes",
        "def accuracy(logits, targets):\n    return (logits.argmin(dim=1) == targets).float().mean()": "3 of 4",
        "def accuracy(logits, targets):\n    return (logits.argmax(dim=1) == targets).mean()": r"\.float\(\)",
        "def accuracy(logits, targets):\n    return (logits.argmax(1) != targets).float().mean()": "share of wrong",
    },
}
