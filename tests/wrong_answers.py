"""Plausible wrong answers to the exercises, each with a pattern that its hint must match."""

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
    "count_batches": {
        "def count_batches(samples, batch_size, drop_last=False):\n    return samples // batch_size": "short last batch",
        "def count_batches(samples, batch_size, drop_last=False):\n    return samples // batch_size + 1": "make 2",
        "def count_batches(samples, batch_size, drop_last=False):\n    return -(-samples // batch_size)": "drop_last leaves",
        "def count_batches(samples, batch_size, drop_last=False):\n    return samples / batch_size": "not 2.34|whole number",
    },
    "pictures": {
        "class Pictures(Dataset):\n"
        "    def __init__(self, images, labels, transform=None):\n"
        "        self.images, self.labels = images, labels\n"
        "    def __len__(self):\n        return len(self.images)\n"
        "    def __getitem__(self, i):\n        return self.images[i].float(), int(self.labels[i])": "divide by 255",
        "class Pictures(Dataset):\n"
        "    def __init__(self, images, labels, transform=None):\n"
        "        self.images, self.labels = images, labels\n"
        "    def __len__(self):\n        return len(self.images)\n"
        "    def __getitem__(self, i):\n        return self.images[i].float() / 255, int(self.labels[i])": "transform",
        "class Pictures(Dataset):\n"
        "    def __init__(self, images, labels, transform=None):\n"
        "        self.images, self.labels = images, labels\n"
        "    def __len__(self):\n        return len(self.images)\n"
        "    def __getitem__(self, i):\n        return self.images[i] / 255, self.labels[i]": r"int\(self\.labels",
    },
    "standardise": {
        "def standardise(train, test):\n    return (train - train.mean(0)) / train.std(0), test": "train is right, test is not",
        "def standardise(train, test):\n"
        "    return (train - train.mean(0)) / train.std(0), (test - train.mean(0)) / test.std(0)": "both of them",
        "def standardise(train, test):\n"
        "    return (train - train.mean(0)) / train.std(0), (test - test.mean(0)) / test.std(0)": "own statistics",
        "def standardise(train, test):\n"
        "    m, s = train.mean(), train.std()\n    return (train - m) / s, (test - m) / s": "one for each column",
        "def standardise(train, test):\n"
        "    both = torch.cat([train, test])\n"
        "    m, s = both.mean(0), both.std(0)\n    return (train - m) / s, (test - m) / s": "of train alone",
        "def standardise(train, test):\n    m = train.mean(0)\n    return train - m, test - m": "std",
    },
    "conv_size": {
        "def conv_size(size, kernel_size, stride=1, padding=0):\n    return size - kernel_size": "first position",
        "def conv_size(size, kernel_size, stride=1, padding=0):\n"
        "    return (size + padding - kernel_size) // stride + 1": "both sides",
        "def conv_size(size, kernel_size, stride=1, padding=0):\n"
        "    return (size + 2 * padding - kernel_size + 1) // stride": "stride|first position",
    },
    "repaired": {
        "class Repaired(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.conv, self.fc = nn.Conv2d(1, 8, 3), nn.Linear(8 * 26 * 26, 10)\n"
        "    def forward(self, x):\n        return self.fc(self.conv(x).flatten(1))": "ReLU between",
        "class Repaired(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.conv, self.fc = nn.Conv2d(1, 8, 3), nn.Linear(8 * 26 * 26, 10)\n"
        "    def forward(self, x):\n"
        "        return self.fc(torch.relu(self.conv(x)).flatten(1)).log_softmax(1)": "log-probabilities",
        "class Repaired(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.conv, self.fc = nn.Conv2d(1, 8, 3), nn.Linear(8 * 28 * 28, 10)\n"
        "    def forward(self, x):\n        return self.fc(torch.relu(self.conv(x)).flatten(1))": "28 - 3 \\+ 1 = 26",
        "class Repaired(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.conv, self.fc = nn.Conv2d(1, 8, 3), nn.Linear(8 * 26 * 26, 10)\n"
        "    def forward(self, x):\n"
        "        return self.fc(torch.relu(self.conv(x)).flatten(1)).softmax(dim=1)": "probabilities",
        "class Repaired(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(784, 10)\n"
        "    def forward(self, x):\n        return self.fc(x.flatten(1))": "do not replace it",
    },
    "dropout_by_hand": {
        "def dropout_by_hand(x, p):\n    x[torch.rand_like(x) < p] = 0\n    return x / (1 - p)": "changes its input",
        "def dropout_by_hand(x, p):\n    return (torch.rand_like(x) >= p) / (1 - p)": "multiplied with x",
        "def dropout_by_hand(x, p):\n    return x * (torch.rand_like(x) >= p)": "divide what stays",
        "def dropout_by_hand(x, p):\n    return x * (torch.rand_like(x) < p) / (1 - p)": "keep where",
        "def dropout_by_hand(x, p):\n    return x * (torch.rand(1) >= p) / (1 - p)": "each value",
    },
    "epoch_numbers": {
        "def epoch_numbers(batches):\n"
        "    n = len(batches)\n"
        "    return sum(b[0] for b in batches) / n, sum(b[1] / b[2] for b in batches) / n": "batch means",
        "def epoch_numbers(batches):\n    return batches[-1][0], batches[-1][1] / batches[-1][2]": "last batch",
        "def epoch_numbers(batches):\n"
        "    n = sum(b[2] for b in batches)\n"
        "    return sum(b[0] * b[2] for b in batches) / n, sum(b[1] / b[2] for b in batches) / 3": "batches' accuracies",
    },
    "one_step": {
        "def one_step(model, inputs, targets, loss_fn, optimizer):\n"
        "    model.train()\n    optimizer.zero_grad()\n    loss = loss_fn(model(inputs), targets)\n"
        "    loss.backward()\n    optimizer.step()\n    return 0.0": "the loss before step",
        "def one_step(model, inputs, targets, loss_fn, optimizer):\n"
        "    model.train()\n    optimizer.zero_grad()\n    loss = loss_fn(model(inputs), targets)\n"
        "    loss.backward()\n    optimizer.step()": "is the return missing",
        "def one_step(model, inputs, targets, loss_fn, optimizer):\n"
        "    model.train()\n    loss = loss_fn(model(inputs), targets)\n    loss.backward()\n"
        "    optimizer.zero_grad()\n    optimizer.step()\n    return loss.item()": "cleared too late",
        "def one_step(model, inputs, targets, loss_fn, optimizer):\n"
        "    model.train()\n    loss = loss_fn(model(inputs), targets)\n    loss.backward()\n"
        "    optimizer.step()\n    return loss.item()": "clear them",
        "def one_step(model, inputs, targets, loss_fn, optimizer):\n"
        "    optimizer.zero_grad()\n    loss = loss_fn(model(inputs), targets)\n    loss.backward()\n"
        "    optimizer.step()\n    optimizer.step()\n    return loss.item()": "one forward, one backward, one step",
        "def one_step(model, inputs, targets, loss_fn, optimizer):\n"
        "    optimizer.zero_grad()\n    loss = loss_fn(model(inputs), targets)\n    loss.backward()\n"
        "    optimizer.step()\n    return loss.item()": r"model\.train\(\)",
    },
    "momentum_step": {
        "def momentum_step(weight, gradient, velocity, lr, momentum=0.9):\n"
        "    velocity = 0.9 * velocity + gradient\n    return weight - lr * velocity, velocity": "use the arguments",
        "def momentum_step(weight, gradient, velocity, lr, momentum=0.9):\n"
        "    velocity = momentum * velocity + gradient\n    return weight + lr * velocity, velocity": "subtract",
        "def momentum_step(weight, gradient, velocity, lr, momentum=0.9):\n"
        "    return weight - lr * velocity, momentum * velocity + gradient": "new\\* velocity",
        "def momentum_step(weight, gradient, velocity, lr, momentum=0.9):\n"
        "    return weight - lr * gradient, velocity": "velocity after step 1",
    },
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
    },
    "snapshot": {
        "def snapshot(model):\n    return model.state_dict()": "clone each",
        "def snapshot(model):\n    return dict(model.state_dict())": "clone each",
        "def snapshot(model):\n    return model.state_dict().copy()": "clone each",
        "import copy\ndef snapshot(model):\n    return copy.deepcopy(model)": r"model\.state_dict\(\) gives the dictionary",
        "def snapshot(model):\n    return {n: p.detach().clone() for n, p in model.named_parameters()}": "running statistics",
        "def snapshot(model):\n    return [t.clone() for t in model.state_dict().values()]": "not a dictionary",
        "def snapshot(model):\n"
        "    kept = model.state_dict()\n"
        "    return {n: p.clone() if 'weight' in n else p for n, p in kept.items()}": "buffers too",
    },
    "write_safely": {
        "def write_safely(path, content):\n    path.write_bytes(content)\n    return path": "write over the old file",
        "def write_safely(path, content):\n"
        "    part = path.with_name(path.name + '.part')\n    part.write_bytes(content)\n    return path": r"os\.replace at the end",
        "import os\ndef write_safely(path, content):\n"
        "    part = path.with_name('part')\n    part.write_bytes(content)\n"
        "    path.unlink()\n    os.replace(part, path)\n    return path": "in one step",
        "import shutil\ndef write_safely(path, content):\n"
        "    part = path.with_name('part')\n    part.write_bytes(content)\n"
        "    shutil.copy(part, path)\n    part.unlink()\n    return path": "write over the old file",
        "import os\ndef write_safely(path, content):\n"
        "    part = path.with_name('part')\n    part.touch()\n"
        "    os.replace(part, path)\n    path.write_bytes(content)\n    return path": "write first",
        "import os, tempfile, pathlib\ndef write_safely(path, content):\n"
        "    part = pathlib.Path(tempfile.mkdtemp()) / 'part'\n    part.write_bytes(content)\n"
        "    os.replace(part, path)\n    return path": "another folder",
        "import os\ndef write_safely(path, content):\n"
        "    os.replace(path, path.with_name('old'))\n    path.write_bytes(content)\n    return path": "raised|old one|copy|in the end|gets its name",
    },
    "load_what_fits": {
        "def load_what_fits(model, weights):\n    return model.load_state_dict(weights).missing_keys": "refused a",
        "def load_what_fits(model, weights):\n    return model.load_state_dict(weights, strict=False).missing_keys": "refused a shape",
        "def load_what_fits(model, weights):\n"
        "    own = model.state_dict()\n"
        "    fit = {n: t for n, t in weights.items() if n in own and t.shape == own[n].shape}\n"
        "    return model.load_state_dict(fit, strict=False)": "return its missing_keys",
        "def load_what_fits(model, weights):\n"
        "    own = model.state_dict()\n"
        "    fit = {n: t for n, t in weights.items() if n in own and t.shape == own[n].shape}\n"
        "    return [n for n in own if n not in fit]": r"0\.weight fits, but was not copied",
        "def load_what_fits(model, weights):\n"
        "    own = model.state_dict()\n"
        "    fit = {n: t for n, t in weights.items() if n in own and t.shape == own[n].shape}\n"
        "    model.load_state_dict(fit, strict=False)\n"
        "    return [n for n in weights if n not in fit]": "extra is in the weights",
        "def load_what_fits(model, weights):\n"
        "    own = model.state_dict()\n"
        "    fit = {n: t for n, t in weights.items() if n in own and t.shape == own[n].shape}\n"
        "    model.load_state_dict({**own, **fit})\n"
        "    return [n for n in own if n not in weights]": "the list is empty",
    },
    "confusion": {
        "def confusion(y_true, y_pred, classes):\n"
        "    return torch.bincount(y_pred * classes + y_true, minlength=classes**2).view(classes, classes)": "swapped",
        "def confusion(y_true, y_pred, classes):\n"
        "    matrix = torch.zeros(classes, classes, dtype=torch.int64)\n"
        "    matrix[y_true, y_pred] += 1\n    return matrix": "does not add up",
        "def confusion(y_true, y_pred, classes):\n"
        "    return torch.bincount(y_true * classes + y_pred, minlength=classes**2)": r"\.view\(classes, classes\)",
        "def confusion(y_true, y_pred, classes):\n"
        "    return torch.from_numpy(sklearn_matrix(y_true, y_pred))": "keeps its row",
        "def confusion(y_true, y_pred, classes):\n"
        "    return sklearn_matrix(y_true, y_pred, labels=range(classes), normalize='all').tolist()": "shares",
        "def confusion(y_true, y_pred, classes):\n"
        "    return sklearn_matrix(y_true, y_pred, labels=range(classes), normalize='true')": "shares",
        "def confusion(y_true, y_pred, classes):\n"
        "    matrix = [[0] * classes] * classes\n"
        "    for a, b in zip(y_true, y_pred):\n        matrix[a][b] += 1\n    return matrix": r"the cell \[0, 0\] says 6",
        "def confusion(y_true, y_pred, classes):\n"
        "    matrix = torch.zeros(4, 4)\n"
        "    for a, b in zip(y_true, y_pred):\n        matrix[a, b] += 1\n    return matrix": "not always the same",
        "def confusion(y_true, y_pred, classes):\n    return 'matrix'": "table of counts",
    },
    "macro_f1": {
        "def macro_f1(matrix):\n"
        "    p, r = matrix.diagonal() / matrix.sum(0), matrix.diagonal() / matrix.sum(1)\n"
        "    return (2 * p * r / (p + r)).mean()": "0 / 0",
        "def macro_f1(matrix):\n"
        "    p, r = matrix.diagonal() / matrix.sum(0), matrix.diagonal() / matrix.sum(1)\n"
        "    return (2 * p * r / (p + r)).nanmean()": "counts 0, and the mean is over 3",
        "def macro_f1(matrix):\n"
        "    p = (matrix.diagonal() / matrix.sum(0)).nan_to_num().mean()\n"
        "    r = (matrix.diagonal() / matrix.sum(1)).nan_to_num().mean()\n"
        "    return 2 * p * r / (p + r)": "F1 of mean precision",
        "def macro_f1(matrix):\n    return matrix.trace() / matrix.sum()": "accuracy",
        "def macro_f1(matrix):\n"
        "    f1 = 2 * matrix.diagonal() / (matrix.sum(0) + matrix.sum(1))\n"
        "    return (f1 * matrix.sum(1)).sum() / matrix.sum()": "weighted by the row sums",
        "def macro_f1(matrix):\n    return (2 * matrix.diagonal() / (matrix.sum(0) + matrix.sum(1))).numpy()": "mean",
        "def macro_f1(matrix):\n"
        "    return (2 * matrix.diagonal() / (matrix.sum(0) + matrix.sum(1))).mean()": "clamp_min",
        "def macro_f1(matrix):\n"
        "    return 100 * (2 * matrix.diagonal() / (matrix.sum(0) + matrix.sum(1)).clamp_min(1)).mean()": "percentage",
        "def macro_f1(matrix):\n"
        "    return (2 * matrix.diagonal() / (matrix.sum(0) + matrix.sum(1)).clamp_min(1)).sum() / 3": "from the matrix",
    },
    "best_threshold": {
        "def best_threshold(scores, targets, min_precision):\n"
        "    best = float('inf')\n"
        "    for t in scores.unique().flip(0):\n"
        "        if targets[scores >= t].float().mean() < min_precision:\n            break\n"
        "        best = t\n    return best": "comes back up",
        "def best_threshold(scores, targets, min_precision):\n"
        "    for t in scores.unique().flip(0):\n"
        "        if targets[scores >= t].float().mean() >= min_precision:\n            return t": "largest recall",
        "def best_threshold(scores, targets, min_precision):\n"
        "    for t in scores.unique():\n"
        "        if targets[scores > t].float().mean() >= min_precision:\n            return t": "equals the threshold",
        "def best_threshold(scores, targets, min_precision):\n"
        "    for t in scores.unique():\n"
        "        if targets[scores >= t].float().mean() > min_precision:\n"
        "            return t.item()\n    return float('inf')": "exactly 0.75",
        "def best_threshold(scores, targets, min_precision):\n"
        "    for t in scores.unique():\n"
        "        if targets[scores >= t].float().mean() >= min_precision:\n"
        "            return t.item()\n    return float('inf')": "find no more",
        "def best_threshold(scores, targets, min_precision):\n"
        "    best, most = None, 0\n"
        "    for t in scores.unique().flip(0):\n"
        "        called = scores >= t\n        hits = targets[called].sum()\n"
        "        if hits / called.sum() >= min_precision and hits > most:\n            best, most = t, hits\n"
        "    return best": "no threshold keeps the promise",
        "def best_threshold(scores, targets, min_precision):\n"
        "    order = scores.argsort(descending=True)\n"
        "    hits = targets[order].cumsum(0)\n"
        "    precision = hits / torch.arange(1, len(hits) + 1)\n"
        "    best, most = float('inf'), 0\n"
        "    for i in range(len(hits)):\n"
        "        if precision[i] >= min_precision and hits[i] > most:\n"
        "            best, most = scores[order[i]].item(), hits[i]\n    return best": "called together",
        "def best_threshold(scores, targets, min_precision):\n    return scores, targets": "one number",
    },
}
