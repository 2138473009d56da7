"""Plausible wrong answers to the exercises of notebook 09, each with a pattern that its hint must match."""

SPACE = """def suggest_network(trial):
    config = {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
        "optimizer": trial.suggest_categorical("optimizer", ["AdamW", "SGD"]),
    }
    if config["optimizer"] == "SGD":
        config["momentum"] = trial.suggest_float("momentum", 0.8, 0.99)
    layers = trial.suggest_int("layers", 1, 3)
    config["hidden_dims"] = [
        trial.suggest_categorical(f"width_{layer}", [64, 128, 256]) for layer in range(layers)
    ]
    return config"""

FOLDS = """import torch
def cross_validate(X, y, folds, score):
    scores = []
    for train_index, val_index in folds:
        mean = X[train_index].mean(dim=0)
        std = X[train_index].std(dim=0, unbiased=False)
        std[std == 0] = 1.0
        X_train, X_val = (X[train_index] - mean) / std, (X[val_index] - mean) / std
        scores.append(score(X_train, y[train_index], X_val, y[val_index]))
    scores = torch.tensor(scores)
    return scores.mean().item(), scores.std().item()"""

PAIRS = """import torch
def paired_difference(a, b):
    differences = torch.tensor(b) - torch.tensor(a)
    standard_error = differences.std() / len(differences) ** 0.5
    return differences.mean().item(), standard_error.item()"""


def but(text: str, *changes: tuple[str, str]) -> str:
    """Return a right answer with some of its words changed."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


WRONG: dict[str, dict[str, str]] = {
    "suggest_network": {
        but(SPACE, (", log=True", "")): "log=True",
        but(SPACE, ("1e-1", "1e-2")): "to 0.01",
        but(
            SPACE, ('    if config["optimizer"] == "SGD":\n        config', "    config")
        ): "AdamW is asked for a momentum",
        but(SPACE, ('f"width_{layer}"', '"width"')): "one name",
        but(SPACE, ("range(layers)", "range(3)")): r"range\(layers\)",
        but(SPACE, ("range(layers)", "range(1, layers + 1)")): "begin at width_1",
        but(SPACE, ('config["hidden_dims"] = [', 'config["widths"] = [')): "no 'hidden_dims'",
        but(SPACE, ('"layers", 1, 3', '"layers", 0, 3')): "both ends",
        but(SPACE, ("0.8, 0.99", "0.0, 0.99")): "0.8 to 0.99",
        but(SPACE, ("0.8, 0.99", "0.8, 0.99, log=True")): "without log",
        but(SPACE, ("[64, 128, 256]", "[64, 256]")): "64, 128 and 256",
        but(SPACE, ('        config["momentum"] = trial', "        momentum = trial")): "no 'momentum'",
        but(SPACE, ("return config", 'return config["hidden_dims"]')): "a dict is wanted",
        but(
            SPACE, ("suggest_float", "suggest_loguniform"), (", log=True", "")
        ): r"deprecated.*suggest_float\(\.\.\., log=True\)",
        but(
            SPACE,
            ('trial.suggest_float("learning_rate", 1e-4, 1e-1', '10 ** trial.suggest_float("learning_rate", -4, -1'),
        ).replace(", log=True", ""): "as an exponent",
        but(SPACE, ('"layers", 1, 3', '"layers", 1, 3, step=2')): "leaves 2 out",
        but(SPACE, ('"layers", 1, 3', '"layers", 1, 3, log=True')): "prefers few",
        but(SPACE, ("0.8, 0.99", "0.8, 0.99, step=0.01")): "without step",
        "def suggest_network(trial):\n"
        '    config = {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True), "optimizer": trial.suggest_categorical("optimizer", ["AdamW", "SGD"])}\n'
        '    config["momentum"] = trial.suggest_float("momentum", 0.8, 0.99) if config["optimizer"] == "SGD" else None\n'
        '    n = trial.suggest_int("layers", 1, 3)\n'
        '    config["hidden_dims"] = [trial.suggest_categorical(f"width_{i}", [64, 128, 256]) for i in range(n)]\n'
        "    return config": "only what belongs to this trial",
    },
    "cross_validate": {
        but(FOLDS, ("X[train_index].mean", "X.mean"), ("X[train_index].std", "X.std")): "a leak",
        but(FOLDS, ("(X[val_index] - mean) / std", "X[val_index]")): "validation rows are not standardised",
        but(FOLDS, ("X[train_index].mean", "X.mean")): "mean comes from all rows.*a leak",
        but(FOLDS, ("X[train_index].std", "X.std")): "std comes from all rows.*a leak",
        but(
            FOLDS, ("X[train_index].mean", "X.mean"), ("X[train_index].std(dim=0, unbiased=False)", "X.std(dim=0)")
        ): "a leak",
        but(
            FOLDS, ("scores.mean().item(), scores.std().item()", "scores.mean().item(), round(scores.std().item(), 4)")
        ): "rounded",
        but(
            FOLDS,
            (
                "(X[val_index] - mean) / std",
                "(X[val_index] - X[val_index].mean(0)) / X[val_index].std(0, unbiased=False).clamp_min(1e-12)",
            ),
        ): "statistics of their own",
        but(FOLDS, ("        std[std == 0] = 1.0\n", "")): "nan or infinite",
        but(FOLDS, ("for train_index, val_index in", "for val_index, train_index in")): "train_index comes first",
        but(FOLDS, (", unbiased=False", "")): "n - 1",
        but(FOLDS, ("scores.std()", "scores.std(unbiased=False)")): "minus one",
        but(FOLDS, ("scores.std()", "(scores.std() / len(scores) ** 0.5)")): "not independent",
        but(FOLDS, ("mean().item(), scores.std().item()", "std().item(), scores.mean().item()")): "wrong way round",
        but(FOLDS, ("return scores.mean().item(), scores.std().item()", "return scores.mean().item()")): "two numbers",
        but(
            FOLDS,
            (".mean(dim=0)", ".mean()"),
            (".std(dim=0, unbiased=False)", ".std(unbiased=False)"),
            ("std[std == 0] = 1.0", "pass"),
        ): "one mean for all",
        but(
            FOLDS,
            ("scores.std().item()", "0.0"),
            ("    return scores", "        return scores"),
            ("    scores = torch.tensor(scores)", "        scores = torch.tensor(scores)"),
        ): "called 1 times",
        but(FOLDS, ("y[train_index], X_val, y[val_index]", "y, X_val, y")): "labels do not belong",
        "def cross_validate(X, y, folds, score):\n"
        "    scores = []\n"
        "    for a, b in folds:\n"
        "        m, s = X[a].mean(0), X[a].std(0, unbiased=False) + 1e-2\n"
        "        scores.append(score((X[a] - m) / s, y[a], (X[b] - m) / s, y[b]))\n"
        "    return torch.tensor(scores).mean().item(), torch.tensor(scores).std().item()": "not at mean 0 and std 1",
        "def cross_validate(X, y, folds, score):\n"
        "    scores = []\n"
        "    for a, b in folds:\n"
        "        m, s = X[a].mean(0), X[a].std(0, unbiased=False)\n"
        "        s[s == 0] = 1\n"
        "        scores.append(score((X[a] - m) / s, y[a], (X[b] - m) / s, y[b]))\n"
        "    return torch.tensor(scores).mean().item(), (max(scores) - min(scores))": "the spread is 0.4500, not 0.2291",
    },
    "paired_difference": {
        but(PAIRS, ("torch.tensor(b) - torch.tensor(a)", "torch.tensor(a) - torch.tensor(b)")): "b - a",
        but(PAIRS, (" / len(differences) ** 0.5", "")): "root of their number",
        but(PAIRS, ("** 0.5", "** 1")): "root of n",
        but(PAIRS, (".std()", ".std(unbiased=False)")): "n - 1",
        but(
            PAIRS,
            (
                "differences.std() / len(differences) ** 0.5",
                "((torch.tensor(a).var() + torch.tensor(b).var()) / len(a)) ** 0.5",
            ),
        ): "std of the differences",
        but(
            PAIRS,
            ("differences.mean().item(), standard_error.item()", "standard_error.item(), differences.mean().item()"),
        ): "wrong way round",
        but(PAIRS, ("differences.mean()", "(100 * differences.mean())")): "in points",
        but(
            PAIRS, ("return differences.mean().item(), standard_error.item()", "return differences.mean().item()")
        ): "two numbers",
        but(PAIRS, ("torch.tensor(b) - torch.tensor(a)", "(torch.tensor(b) - torch.tensor(a)).abs()")): "without abs",
        but(
            PAIRS, ("torch.tensor(b) - torch.tensor(a)", "torch.tensor(sorted(b)) - torch.tensor(sorted(a))")
        ): "leave the order",
        but(PAIRS, ("differences.mean()", "differences.median()")): "the median",
        but(PAIRS, ("standard_error.item()", "round(standard_error.item(), 4)")): "rounded",
        "def paired_difference(a, b):\n    d = b - a\n    return d.mean(), d.std() / 2": "raised TypeError",
        "import torch\n"
        "def paired_difference(a, b):\n"
        "    d = torch.tensor(b) - torch.tensor(a)\n"
        "    return d.mean().item(), (d.var() / (len(d) - 1)).sqrt().item()": "root of n - 1",
        "import torch\n"
        "def paired_difference(a, b):\n"
        "    d = torch.tensor(b) - torch.tensor(a)\n"
        "    return d.mean().item(), (d.var() / len(d)).item()": "take its root",
        "import torch\n"
        "def paired_difference(a, b):\n"
        "    d = torch.tensor(b) - torch.tensor(a)\n"
        "    return d.mean().item(), 1.96 * (d.var() / len(d)).sqrt().item()": "without 1.96",
    },
}

# Right ones of another kind than the solution.
RIGHT: dict[str, list[str]] = {
    "paired_difference": [
        "import numpy as np\n"
        "def paired_difference(a, b):\n"
        "    d = np.subtract(b, a)\n"
        "    return d.mean(), d.std(ddof=1) / np.sqrt(len(d))",
        "def paired_difference(a, b):\n"
        "    from statistics import mean, stdev\n"
        "    d = [y - x for x, y in zip(a, b)]\n"
        "    return [mean(d), stdev(d) / len(d) ** 0.5]",
    ],
    "suggest_network": [
        "def suggest_network(trial):\n"
        '    name = trial.suggest_categorical("optimizer", ("SGD", "AdamW"))\n'
        '    config = dict(optimizer=name, learning_rate=trial.suggest_float("learning_rate", 0.0001, 0.1, log=True))\n'
        '    config |= {"momentum": trial.suggest_float("momentum", 0.8, 0.99)} if name == "SGD" else {}\n'
        '    config["layers"] = trial.suggest_int("layers", low=1, high=3)\n'
        '    config["hidden_dims"] = tuple(trial.suggest_categorical("width_%d" % i, choices=[128, 64, 256]) for i in range(config["layers"]))\n'
        "    return config",
    ],
    "cross_validate": [
        "import numpy as np\n"
        "def cross_validate(X, y, folds, score):\n"
        "    from sklearn.preprocessing import StandardScaler\n"
        "    scores = []\n"
        "    for a, b in folds:\n"
        "        scaler = StandardScaler().fit(X[a].numpy())\n"
        "        p, q = (torch.from_numpy(scaler.transform(X[i].numpy())) for i in (a, b))\n"
        "        scores.append(score(X_train=p, y_train=y[a], X_val=q, y_val=y[b]))\n"
        "    return np.mean(scores), np.std(scores, ddof=1)",
        "def cross_validate(X, y, folds, score):\n"
        "    from statistics import mean, stdev\n"
        "    scores = []\n"
        "    for a, b in folds:\n"
        "        m = X[a].mean(0); s = ((X[a] - m) ** 2).mean(0).sqrt()\n"
        "        s = torch.where(s > 0, s, torch.ones_like(s))\n"
        "        scores.append(score((X[a] - m) / s, y[a], (X[b] - m) / s, y[b]))\n"
        "    return mean(scores), stdev(scores)",
    ],
}
