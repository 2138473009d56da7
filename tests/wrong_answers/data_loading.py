"""Wrong answers to the exercises of notebook 01_data_loading, each with a pattern that its hint must match."""

WRONG: dict[str, dict[str, str]] = {
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
        "class Pictures(Dataset):\n"
        "    def __init__(self, images, labels, transform=None):\n"
        "        self.images, self.labels, self.transform = images, labels, transform\n"
        "    def __len__(self):\n"
        "        return self.images.numel()\n"
        "    def __getitem__(self, i):\n"
        "        return self.transform(self.images[i] / 255), int(self.labels[i])": "return len",
        "class Pictures(Dataset):\n"
        "    def __init__(self, images, labels, transform=None):\n"
        "        self.images, self.labels = images / 255, labels\n"
        "        if transform is not None:\n"
        "            self.images = torch.stack([transform(image) for image in self.images])\n"
        "    def __len__(self):\n        return len(self.images)\n"
        "    def __getitem__(self, i):\n        return self.images[i], int(self.labels[i])": "in __getitem__",
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
        "def standardise(train, test):\n"
        "    m, s = train.mean(0), train.std(0)\n"
        "    train -= m\n"
        "    train /= s\n"
        "    return train": "return the standardised train and test",
    },
}

# Right ones of another kind than the solution.
RIGHT: dict[str, list[str]] = {
    "count_batches": [
        "def count_batches(samples, batch_size, drop_last=False):\n"
        "    full, rest = divmod(samples, batch_size)\n"
        "    return full + (rest > 0 and not drop_last)",
    ],
    "pictures": [
        "import torch\n"
        "class Pictures(torch.utils.data.Dataset):\n"
        "    def __init__(self, images, labels, transform=None):\n"
        "        self.data = torch.utils.data.TensorDataset(images, labels)\n"
        "        self.transform = transform or (lambda x: x)\n"
        "    def __len__(self):\n"
        "        return len(self.data)\n"
        "    def __getitem__(self, i):\n"
        "        x, y = self.data[i]\n"
        "        return self.transform(x / 255), y.item()",
    ],
    "standardise": [
        "def standardise(train, test):\n"
        "    from sklearn.preprocessing import StandardScaler\n"
        "    scaler = StandardScaler().fit(train.numpy())\n"
        "    return scaler.transform(train.numpy()), scaler.transform(test.numpy())",
    ],
}
