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
    "snapshot": {
        "def snapshot(model):\n    return model.state_dict()": "clone each",
        "def snapshot(model):\n    return dict(model.state_dict())": "clone each",
        "def snapshot(model):\n    return model.state_dict().copy()": "clone each",
        "import copy\ndef snapshot(model):\n    return copy.deepcopy(model)": r"model\.state_dict\(\) gives the dictionary",
        "def snapshot(model):\n    return {n: p.detach().clone() for n, p in model.named_parameters()}": "running statistics",
        "def snapshot(model):\n    return {n: t.half() for n, t in model.state_dict().items()}": "change nothing",
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
        "    os.replace(part, path)\n    path.write_bytes(content)\n    return path": "before you rename it",
        "import os\ndef write_safely(path, content):\n"
        "    part = path.with_name('part')\n    part.write_bytes(content)\n"
        "    os.replace(part, path)\n    path.write_bytes(content)\n    return path": "the last step",
        "from os import replace\ndef write_safely(path, content):\n"
        "    part = path.with_name('part')\n    part.write_bytes(content)\n"
        "    replace(path, part)\n    return path": "in this order",
        "import os\ndef write_safely(path, content):\n"
        "    part = path.with_name('part')\n    file = part.open('wb')\n    file.write(content)\n"
        "    os.replace(part, path)\n    file.close()\n    return path": "close it before",
        "import os\ndef write_safely(path, content):\n"
        "    part = path.with_name('part')\n    part.write_text(str(content))\n"
        "    os.replace(part, path)\n    return path": "as it is",
        "import os, tempfile, pathlib\ndef write_safely(path, content):\n"
        "    part = pathlib.Path(tempfile.mkdtemp()) / 'part'\n    part.write_bytes(content)\n"
        "    os.replace(part, path)\n    return path": "another folder",
        "import os\ndef write_safely(path, content):\n"
        "    os.replace(path, path.with_name('old'))\n    path.write_bytes(content)\n    return path": "no file has the name",
    },
    "load_what_fits": {
        "def load_what_fits(model, weights):\n    return model.load_state_dict(weights).missing_keys": "refused a",
        "def load_what_fits(model, weights):\n"
        "    own = dict(model.named_parameters())\n"
        "    fit = {n: t for n, t in weights.items() if n in own and t.shape == own[n].shape}\n"
        "    model.load_state_dict(fit, strict=False)\n"
        "    return ['2.weight', '2.bias']": "buffers too",
        "def load_what_fits(model, weights):\n"
        "    own = model.state_dict()\n"
        "    for n in list(weights):\n"
        "        if n not in own or weights[n].shape != own[n].shape:\n            weights.pop(n)\n"
        "    return model.load_state_dict(weights, strict=False).missing_keys": "a new dictionary",
        "def load_what_fits(model, weights):\n"
        "    own = model.state_dict()\n"
        "    fit = {n: t for n, t in weights.items() if n in own and t.numel() == own[n].numel()}\n"
        "    return model.load_state_dict(fit, strict=False).missing_keys": "refused a shape",
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
        "def confusion(y_true, y_pred, classes):\n"
        "    matrix = torch.zeros(classes, classes)\n"
        "    for a, b in zip(y_true, y_pred):\n        matrix[a, b] += 1\n        return matrix": "only one sample",
        "def confusion(y_true, y_pred, classes):\n"
        "    return sklearn_matrix(y_true, y_pred, labels=range(classes), normalize='pred')": "shares",
        "def confusion(y_true, y_pred, classes):\n"
        "    return 100 * sklearn_matrix(y_true, y_pred, labels=range(classes), normalize='true')": "shares",
        "def confusion(y_true, y_pred, classes):\n"
        "    y_true *= classes\n"
        "    return torch.bincount(y_true + y_pred, minlength=classes**2).view(classes, classes)": "have changed",
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
        "def macro_f1(matrix):\n"
        "    return (2 * matrix.diagonal() / (matrix.sum(0) + matrix.sum(1)).clamp_min(1)).median()": "median",
        "def macro_f1(matrix):\n"
        "    return (2 * matrix.diagonal() / (matrix.sum(0) + matrix.sum(1) + 1e-3)).mean()": "changes every F1",
        "def macro_f1(matrix):\n"
        "    rows, columns = matrix.nonzero(as_tuple=True)\n"
        "    times = matrix[rows, columns]\n"
        "    true, predicted = rows.repeat_interleave(times), columns.repeat_interleave(times)\n"
        "    return f1_score(true, predicted, average='macro', zero_division=0)": r"labels=range\(len\(matrix\)\)",
        "def macro_f1(matrix):\n"
        "    both = (matrix.sum(0) + matrix.sum(1)).clamp_min(1)\n"
        "    right = matrix.diagonal().clone()\n    matrix.fill_diagonal_(0)\n"
        "    return (2 * right / both).mean()": "has changed",
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
        "def best_threshold(scores, targets, min_precision):\n"
        "    best, most = float('inf'), 0\n"
        "    for i in range(100, -1, -1):\n"
        "        called = scores >= i / 100\n        hits = targets[called].sum()\n"
        "        if called.any() and hits / called.sum() >= min_precision and hits > most:\n"
        "            best, most = i / 100, hits\n    return best": "none of the scores",
        "def best_threshold(scores, targets, min_precision):\n    return 0": "position",
        "def best_threshold(scores, targets, min_precision):\n"
        "    best, most = float('inf'), 0\n"
        "    for t in scores.unique().flip(0).tolist():\n"
        "        hits = targets[scores >= t].sum()\n"
        "        if hits / (scores >= t).sum() >= min_precision and hits > most:\n"
        "            best, most = t, hits\n"
        "    scores.zero_()\n    return best": "have changed",
    },
    "warmup_then_cosine": {
        "import math\ndef warmup_then_cosine(step, warmup, total):\n"
        "    if step < warmup:\n        return step / warmup\n"
        "    share = (step - warmup) / (total - warmup)\n"
        "    return 0.5 * (1 + math.cos(math.pi * min(1, share)))": r"count from 1: \(step \+ 1\)",
        "import math\ndef warmup_then_cosine(step, warmup, total):\n"
        "    return 0.5 * (1 + math.cos(math.pi * min(1, step / total)))": "the warm-up is missing",
        "import math\ndef warmup_then_cosine(step, warmup, total):\n"
        "    if step < warmup:\n        return (step + 1) / warmup\n"
        "    return 0.5 * (1 + math.cos(math.pi * step / total))": "the fall begins at step warmup",
        "import math\ndef warmup_then_cosine(step, warmup, total):\n"
        "    if step < warmup:\n        return (step + 1) / warmup\n"
        "    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / total))": "lasts total - warmup steps",
        "def warmup_then_cosine(step, warmup, total):\n"
        "    if step < warmup:\n        return (step + 1) / warmup\n"
        "    return max(0.0, (total - step) / (total - warmup))": "a straight line",
        "import math\ndef warmup_then_cosine(step, warmup, total):\n"
        "    if step < warmup:\n        return (step + 1) / warmup\n"
        "    return math.cos(math.pi * (step - warmup) / (total - warmup))": "from 1 to -1",
        "import math\ndef warmup_then_cosine(step, warmup, total):\n"
        "    if step < warmup:\n        return (step + 1) / warmup\n"
        "    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))": r"at most 1: min",
        "import math\ndef warmup_then_cosine(step, warmup, total):\n"
        "    rise = (step + 1) / warmup\n"
        "    share = min(1, max(0, step - warmup) / (total - warmup))\n"
        "    return min(rise, 0.5 * (1 + math.cos(math.pi * share)))": "divides by zero",
        "def warmup_then_cosine(step, warmup, total):\n    return min(1.0, (step + 1) / warmup)": "it must fall",
        "def warmup_then_cosine(step, warmup, total):\n    return [step]": "one number",
        "def warmup_then_cosine(step, warmup, total):\n    return cos(step)": "raised NameError",
    },
    "parameter_groups": {
        "def parameter_groups(model, weight_decay):\n"
        "    return [{'params': [p for p in model.parameters() if p.ndim >= 2], 'weight_decay': weight_decay},\n"
        "            {'params': [p for p in model.parameters() if p.ndim < 2], 'weight_decay': 0.0}]": "is frozen and still there",
        "def parameter_groups(model, weight_decay):\n"
        "    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]\n"
        "    return [{'params': [p for n, p in named if 'bias' not in n], 'weight_decay': weight_decay},\n"
        "            {'params': [p for n, p in named if 'bias' in n], 'weight_decay': 0.0}]": "scale of a norm layer",
        "def parameter_groups(model, weight_decay):\n"
        "    ps = [p for p in model.parameters() if p.requires_grad]\n"
        "    return [{'params': [p for p in ps if p.ndim == 2], 'weight_decay': weight_decay},\n"
        "            {'params': [p for p in ps if p.ndim != 2], 'weight_decay': 0.0}]": "conv.weight has 4 dimensions",
        "def parameter_groups(model, weight_decay):\n"
        "    ps = [p for p in model.parameters() if p.requires_grad]\n"
        "    return [{'params': [p for p in ps if p.ndim >= 2], 'weight_decay': weight_decay},\n"
        "            {'params': [p for p in ps if p.ndim < 2]}]": "give it 0.0",
        "def parameter_groups(model, weight_decay):\n"
        "    ps = [p for p in model.parameters() if p.requires_grad]\n"
        "    return [{'params': [p for p in ps if p.ndim >= 2], 'weight_decay': 0.01},\n"
        "            {'params': [p for p in ps if p.ndim < 2], 'weight_decay': 0.0}]": "pass the argument on",
        "def parameter_groups(model, weight_decay):\n"
        "    ps = [p for p in model.parameters() if p.requires_grad]\n"
        "    return [{'params': [p for p in ps if p.ndim >= 2], 'weight_decay': weight_decay},\n"
        "            {'params': [p for p in ps if p.ndim == 1], 'weight_decay': 0.0}]": "scale is in no group",
        "def parameter_groups(model, weight_decay):\n"
        "    ps = [p for p in model.parameters() if p.requires_grad]\n"
        "    return [{'params': [p for p in ps if p.ndim < 2], 'weight_decay': 0.0},\n"
        "            {'params': [p for p in ps if p.ndim >= 2], 'weight_decay': weight_decay}]": "wrong way round",
        "def parameter_groups(model, weight_decay):\n"
        "    ps = [p for p in model.parameters() if p.requires_grad]\n"
        "    return [{'params': [p for p in ps if p.ndim >= 2], 'weight_decay': weight_decay},\n"
        "            {'params': ps, 'weight_decay': 0.0}]": "in both groups",
        "def parameter_groups(model, weight_decay):\n"
        "    ps = [p for p in model.parameters() if p.requires_grad]\n"
        "    return [p for p in ps if p.ndim >= 2], [p for p in ps if p.ndim < 2]": "two dicts",
        "def parameter_groups(model, weight_decay):\n"
        "    return [{'params': list(model.state_dict().values()), 'weight_decay': weight_decay}, {'params': []}]": "no parameter of the model",
    },
    "clip_by_hand": {
        "def clip_by_hand(gradients, max_norm):\n"
        "    return [g * min(1.0, max_norm / (g.norm().item() + 1e-9)) for g in gradients]": "own norm",
        "def clip_by_hand(gradients, max_norm):\n    return [g.clamp(-max_norm, max_norm) for g in gradients]": "cut off at max_norm",
        "def clip_by_hand(gradients, max_norm):\n"
        "    norm = sum((g ** 2).sum() for g in gradients) ** 0.5\n"
        "    return [g * max_norm / norm for g in gradients]": "only scale if the norm is larger",
        "def clip_by_hand(gradients, max_norm):\n"
        "    norm = sum((g ** 2).sum() for g in gradients)\n"
        "    return [g * min(1.0, max_norm / norm) for g in gradients]": "square of the norm",
        "def clip_by_hand(gradients, max_norm):\n"
        "    norm = sum(g.norm() for g in gradients)\n"
        "    return [g * min(1.0, max_norm / norm) for g in gradients]": "sum of the tensors' norms",
        "def clip_by_hand(gradients, max_norm):\n"
        "    norm = sum((g ** 2).sum() for g in gradients) ** 0.5\n"
        "    return [g / norm for g in gradients]": "the norm is now 1",
        "def clip_by_hand(gradients, max_norm):\n"
        "    norm = sum((g ** 2).sum() for g in gradients) ** 0.5\n"
        "    for g in gradients:\n        g.mul_(min(1.0, max_norm / norm))\n"
        "    return gradients": "changes the tensors it was given",
        "def clip_by_hand(gradients, max_norm):\n"
        "    g = torch.cat([g.flatten() for g in gradients])\n"
        "    return g * min(1.0, max_norm / g.norm())": "list of tensors",
        "def clip_by_hand(gradients, max_norm):\n"
        "    g = torch.cat([g.flatten() for g in gradients])\n"
        "    return [g * min(1.0, max_norm / g.norm())]": "one for each gradient",
        "def clip_by_hand(gradients, max_norm):\n    return gradients": "nothing was scaled",
    },
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
