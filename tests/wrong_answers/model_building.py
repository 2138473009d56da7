"""Wrong answers to the exercises of notebook 02_model_building, each with a pattern that its hint must match."""

WRONG: dict[str, dict[str, str]] = {
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
        "from torch import nn\n"
        "class Repaired(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = nn.Conv2d(1, 8, kernel_size=3)\n"
        "        self.fc = nn.Linear(8 * 26 * 26, 10)\n"
        "    def forward(self, x):\n"
        "        return self.fc(torch.relu(self.conv(x)).flatten())": "flatten everything but the batch before the line",
        "from torch import nn\n"
        "class Repaired(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = nn.Conv2d(1, 8, kernel_size=3)\n"
        "        self.fc = nn.Linear(8 * 26 * 26, 10)\n"
        "    def forward(self, x):\n"
        "        return torch.relu(self.fc(torch.relu(self.conv(x)).flatten(1)))": "ReLU stands between the layers",
    },
    "dropout_by_hand": {
        "def dropout_by_hand(x, p):\n    x[torch.rand_like(x) < p] = 0\n    return x / (1 - p)": "changes its input",
        "def dropout_by_hand(x, p):\n    return (torch.rand_like(x) >= p) / (1 - p)": "multiplied with x",
        "def dropout_by_hand(x, p):\n    return x * (torch.rand_like(x) >= p)": "divide what stays",
        "def dropout_by_hand(x, p):\n    return x * (torch.rand_like(x) < p) / (1 - p)": "keep where",
        "def dropout_by_hand(x, p):\n    return x * (torch.rand(1) >= p) / (1 - p)": "each value",
        "import torch\ndef dropout_by_hand(x, p):\n    return x[torch.rand_like(x) >= p] / (1 - p)": "set values to 0",
        "import torch\n"
        "def dropout_by_hand(x, p):\n"
        "    torch.manual_seed(0)\n"
        "    return x * (torch.rand_like(x) >= p) / (1 - p)": "draw anew in each call",
    },
}

# Right ones of another kind than the solution.
RIGHT: dict[str, list[str]] = {
    "conv_size": [
        "import torch\n"
        "def conv_size(size, kernel_size, stride=1, padding=0):\n"
        "    return torch.nn.Conv2d(1, 1, kernel_size, stride, padding)(torch.zeros(1, 1, size, size)).shape[2]",
        "def conv_size(size, kernel_size, stride=1, padding=0):\n"
        "    return len(range(0, size + 2 * padding - kernel_size + 1, stride))",
    ],
    "repaired": [
        "from torch import nn\n"
        "class Repaired(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(5408, 10))\n"
        "    def forward(self, x):\n"
        "        return self.net(x)",
    ],
    "dropout_by_hand": [
        "import torch\ndef dropout_by_hand(x, p):\n    return torch.where(torch.rand(x.shape) < p, 0.0, x / (1 - p))",
        "import torch\ndef dropout_by_hand(x, p):\n    return x * torch.bernoulli(torch.full_like(x, 1 - p)) / (1 - p)",
    ],
}
