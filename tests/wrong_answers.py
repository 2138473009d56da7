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
}
