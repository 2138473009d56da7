WRONG = {
    "stratified": {
        "def stratified(y, share):\n    rows = torch.randperm(len(y))\n    n = round(len(y) * share)\n    return rows[n:], rows[:n]": "cut each class by itself",
        "def stratified(y, share):\n    train, test = [], []\n    for label in y.unique():\n        rows = torch.nonzero(y == label).flatten()\n        n = round(len(rows) * share)\n        test.append(rows[:n])\n        train.append(rows[n:])\n    return torch.cat(train), torch.cat(test)": "nothing is drawn",
        "def stratified(y, share):\n    train, test = [], []\n    for label in y.unique():\n        rows = torch.nonzero(y == label).flatten()\n        rows = rows[torch.randperm(len(rows))]\n        n = int(len(rows) * share)\n        test.append(rows[:n])\n        train.append(rows[n:])\n    return torch.cat(train), torch.cat(test)": "neither int",
        "def stratified(y, share):\n    train, test = [], []\n    for label in y.unique():\n        rows = torch.nonzero(y == label).flatten()\n        rows = rows[torch.randperm(len(rows))]\n        n = round(len(rows) * share)\n        test.append(rows[:n])\n        train.append(rows[n:])\n    return torch.cat(test), torch.cat(train)": "in this order",
        "def stratified(y, share):\n    train, test = [], []\n    for label in y.unique():\n        rows = torch.nonzero(y == label).flatten()\n        places = torch.randperm(len(rows))\n        n = round(len(rows) * share)\n        test.append(places[:n])\n        train.append(places[n:])\n    return torch.cat(train), torch.cat(test)": "in both parts|twice",
        "def stratified(y, share):\n    train, test = [], []\n    for label in y.unique():\n        rows = torch.nonzero(y == label).flatten()\n        n = round(len(rows) * share)\n        test.append(rows[torch.randperm(len(rows))][:n])\n        train.append(rows[torch.randperm(len(rows))][n:])\n    return torch.cat(train), torch.cat(test)": "in both parts",
        "def stratified(y, share):\n    train, test = [], []\n    for label in y.unique():\n        rows = torch.nonzero(y == label).flatten()\n        rows = rows[torch.randperm(len(rows))]\n        n = round(len(rows) * share)\n        test.append(rows[:n])\n        train.append(rows[n + 1:])\n    return torch.cat(train), torch.cat(test)": "in neither part",
        "def stratified(y, share):\n    train, test = [], []\n    for label in range(3):\n        rows = torch.nonzero(y == label).flatten()\n        rows = rows[torch.randperm(len(rows))]\n        n = round(len(rows) * share)\n        test.append(rows[:n])\n        train.append(rows[n:])\n    return torch.cat(train), torch.cat(test)": "in neither part",
        "def stratified(y, share):\n    torch.manual_seed(0)\n    train, test = [], []\n    for label in y.unique():\n        rows = torch.nonzero(y == label).flatten()\n        rows = rows[torch.randperm(len(rows))]\n        n = round(len(rows) * share)\n        test.append(rows[:n])\n        train.append(rows[n:])\n    return torch.cat(train), torch.cat(test)": "nothing is drawn",
        "def stratified(y, share):\n    from sklearn.model_selection import train_test_split\n    return train_test_split(torch.arange(len(y)), test_size=share, stratify=y)": "another split|neither int",
        "def stratified(y, share):\n    test = torch.rand(len(y)) < share\n    return ~test, test": "masks",
        "def stratified(y, share):\n    train, test = [], []\n    for label in y.unique():\n        rows = torch.nonzero(y == label).flatten()\n        rows = rows[torch.randperm(len(rows))]\n        n = round(len(rows) * share)\n        test.append(rows[:n])\n        train.append(rows[n:])\n    return train, test": "torch.cat|row numbers",
    },
    "bad_line": {
        "def bad_line(frame, column, low, high):\n    bad = np.flatnonzero(~frame[column].between(low, high))\n    return int(bad[0]) if len(bad) else 0": "position \\+ 2",
        "def bad_line(frame, column, low, high):\n    bad = np.flatnonzero(~frame[column].between(low, high))\n    return int(bad[0]) + 1 if len(bad) else 0": "position \\+ 2",
        "def bad_line(frame, column, low, high):\n    v = frame[column].to_numpy()\n    bad = np.flatnonzero((v < low) | (v > high))\n    return int(bad[0]) + 2 if len(bad) else 0": "missing cell is not found",
        "def bad_line(frame, column, low, high):\n    bad = frame.index[~frame[column].between(low, high)]\n    return int(bad[0]) + 2 if len(bad) else 0": "frame's index",
        "def bad_line(frame, column, low, high):\n    bad = np.flatnonzero(~frame[column].between(low, high))\n    return int(bad[0]) + 2": "raises. Hint: return 0",
        "def bad_line(frame, column, low, high):\n    bad = np.flatnonzero(~frame['ram'].between(low, high))\n    return int(bad[0]) + 2 if len(bad) else 0": "another column",
        "def bad_line(frame, column, low, high):\n    bad = np.flatnonzero(~frame[column].between(low, high, inclusive='neither'))\n    return int(bad[0]) + 2 if len(bad) else 0": "themselves are allowed",
        "def bad_line(frame, column, low, high):\n    bad = np.flatnonzero(~frame[column].between(low, high))\n    return [int(b) + 2 for b in bad]": "one number is wanted",
        "def bad_line(frame, column, low, high):\n    bad = np.flatnonzero(~frame[column].between(low, high))\n    return int(bad[0]) + 2 if bad.any() else 0": "position 0 counts as False",
        "def bad_line(frame, column, low, high):\n    bad = np.flatnonzero(~frame[column].between(low, high))\n    return str(bad[0] + 2) if len(bad) else 0": "the text '6'",
        "def bad_line(frame, column, low, high):\n    bad = frame.index[~frame[column].between(low, high)]\n    return bad[0] - frame.index[0] + 2 if len(bad) else 0": "index 3, 0, 3, 1, 3",
        "def bad_line(frame, column, low, high):\n    v = frame[column].reset_index(drop=True)\n    for i in v.index:\n        if not low <= v[i] <= high:\n            return list(frame.index).index(frame.index[i]) + 2\n    return 0": "index 3, 0, 3, 1, 3",
        "def bad_line(frame, column, low, high):\n"
        "    bad = (~frame[column].between(low, high)).to_numpy()\n"
        "    return int(bad.argmax()) + 2": "every cell is fine it gives 2",
    },
    "importances": {
        "def importances(predict, X, y):\n    right = (predict(X) == y).double().mean().item()\n    out = []\n    for c in range(X.shape[1]):\n        X[:, c] = X[torch.randperm(len(X)), c]\n        out.append(right - (predict(X) == y).double().mean().item())\n    return out": "X has changed",
        "def importances(predict, X, y):\n    right = (predict(X) == y).double().mean().item()\n    out, s = [], X.clone()\n    for c in range(X.shape[1]):\n        s[:, c] = X[torch.randperm(len(X)), c]\n        out.append(right - (predict(s) == y).double().mean().item())\n    return out": "one column alone",
        "def importances(predict, X, y):\n    out = []\n    for c in range(X.shape[1]):\n        s = X.clone()\n        s[:, c] = X[torch.randperm(len(X)), c]\n        out.append((predict(s) == y).double().mean().item())\n    return out": "those are accuracies",
        "def importances(predict, X, y):\n    right = (predict(X) == y).double().mean().item()\n    out = []\n    for c in range(X.shape[1]):\n        s = X.clone()\n        s[:, c] = X[torch.randperm(len(X)), c]\n        out.append((predict(s) == y).double().mean().item() - right)\n    return out": "turned around",
        "def importances(predict, X, y):\n    right = (predict(X) == y).double().mean().item()\n    out = []\n    for c in range(X.shape[1]):\n        s = X.clone()[torch.randperm(len(X))]\n        out.append(right - (predict(s) == y).double().mean().item())\n    return out": "one column alone",
        "def importances(predict, X, y):\n    right = (predict(X) == y).double().mean().item()\n    out = []\n    for c in range(X.shape[1]):\n        s = X.clone()\n        s[:, c] = 0\n        out.append(right - (predict(s) == y).double().mean().item())\n    return out[0]": "list of four numbers",
        "def importances(predict, X, y):\n    right = (predict(X) == y).sum().item()\n    out = []\n    for c in range(X.shape[1]):\n        s = X.clone()\n        s[:, c] = X[torch.randperm(len(X)), c]\n        out.append(right - (predict(s) == y).sum().item())\n    return out": "no shares",
        "def importances(predict, X, y):\n    right = (predict(X) == y).double().mean().item()\n    out = []\n    for c in range(X.shape[1]):\n        s = X.clone()\n        s[:, c] = 0\n        out.append(right - (predict(s) == y).double().mean().item())\n    return out": "no 0 or noise",
        "def importances(predict, X, y):\n    right = (predict(X) == y).double().mean().item()\n    out = []\n    for c in range(X.shape[1]):\n        s = X.clone()\n        s[:, c] = torch.randn(len(X))\n        out.append(right - (predict(s) == y).double().mean().item())\n    return out": "no 0 or noise",
        "def importances(predict, X, y):\n    right = (predict(X) == y).double().mean().item()\n    out = []\n    for c in range(X.shape[1]):\n        s = X.clone()\n        s[:, c] = X[torch.randperm(len(X)), c]\n        out.append(abs(right - (predict(s) == y).double().mean().item()))\n    return out": "keep the sign",
        "def importances(predict, X, y):\n    right = (predict(X) == y).double().mean().item()\n    out = []\n    for c in range(4):\n        s = X.clone()\n        s[:, c] = X[torch.randperm(len(X)), c]\n        out.append(right - (predict(s) == y).double().mean().item())\n    return out": "range\\(X.shape",
        "def importances(predict, X, y):\n    right = (predict(X) == y).double().mean().item()\n    out = []\n    for c in range(X.shape[1]):\n        s = X.clone()\n        s[:, c] = X[torch.randperm(len(X)), c]\n        out.append(1 - (predict(s) == y).double().mean().item())\n    return out": "shares of errors",
        "def importances(predict, X, y):\n    before, out = predict(X), []\n    for c in range(X.shape[1]):\n        s = X.clone()\n        s[:, c] = X[torch.randperm(len(X)), c]\n        out.append((predict(s) != before).double().mean().item())\n    return out": "compare predictions with y",
    },
}

# Right ones of another kind than the solution.
RIGHT: dict[str, list[str]] = {
    "stratified": [
        "import torch\n"
        "def stratified(y, share):\n"
        "    order = torch.randperm(len(y))\n"
        "    test = torch.zeros(len(y), dtype=torch.bool)\n"
        "    for label in set(y.tolist()):\n"
        "        rows = [row for row in order.tolist() if y[row] == label]\n"
        "        test[rows[: round(share * len(rows))]] = True\n"
        "    return torch.nonzero(~test).squeeze(1), torch.nonzero(test).squeeze(1)",
        "import numpy as np\n"
        "import torch\n"
        "def stratified(y, share):\n"
        "    rows = torch.randperm(len(y)).numpy()\n"
        "    left = {c: round(n * share) for c, n in zip(*np.unique(y, return_counts=True))}\n"
        "    train, test = [], []\n"
        "    for row in rows:\n"
        "        c = int(y[row])\n"
        "        (test if left[c] > 0 else train).append(int(row))\n"
        "        left[c] -= 1\n"
        "    return train, test",
    ],
    "bad_line": [
        "def bad_line(frame, column, low, high):\n"
        "    for number, value in enumerate(frame[column].tolist(), start=2):\n"
        "        if not low <= value <= high:\n"
        "            return number\n"
        "    return 0",
        "def bad_line(frame, column, low, high):\n"
        "    values = frame[column].reset_index(drop=True)\n"
        "    bad = values[(values < low) | (values > high) | values.isna()]\n"
        "    return bad.index[0] + 2 if len(bad) else 0",
    ],
    "importances": [
        "import numpy as np\n"
        "import torch\n"
        "def importances(predict, X, y):\n"
        "    base = (predict(X) == y).double().mean()\n"
        "    out = torch.zeros(X.shape[1])\n"
        "    rng = np.random.default_rng(0)\n"
        "    for c in range(X.shape[1]):\n"
        "        z = X.numpy().copy()\n"
        "        rng.shuffle(z[:, c])\n"
        "        out[c] = base - (predict(torch.from_numpy(z)) == y).double().mean()\n"
        "    return out",
    ],
}
