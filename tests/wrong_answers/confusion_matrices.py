"""Wrong answers to the exercises of notebook 05_confusion_matrices, each with a pattern that its hint must match."""

WRONG: dict[str, dict[str, str]] = {
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
        "def confusion(y_true, y_pred, classes):\n"
        "    matrix = torch.zeros(classes, classes)\n"
        "    for a, b in zip(y_true, y_pred):\n"
        "        if a != b:\n"
        "            matrix[a, b] += 1\n"
        "    return matrix": r"add 1 to matrix\[true",
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
}

# Right ones of another kind than the solution.
RIGHT: dict[str, list[str]] = {
    "confusion": [
        "import numpy as np\n"
        "def confusion(y_true, y_pred, classes):\n"
        "    matrix = np.zeros((classes, classes), int)\n"
        "    np.add.at(matrix, (y_true.numpy(), y_pred.numpy()), 1)\n"
        "    return matrix",
        "import torch\n"
        "def confusion(y_true, y_pred, classes):\n"
        "    one = torch.nn.functional.one_hot\n"
        "    return one(y_true, classes).T @ one(y_pred, classes)",
        "def confusion(y_true, y_pred, classes):\n"
        "    return [[int(((y_true == a) & (y_pred == b)).sum()) for b in range(classes)] for a in range(classes)]",
    ],
    "macro_f1": [
        "def macro_f1(matrix):\n"
        "    tp = matrix.diagonal().double()\n"
        "    precision, recall = (tp / matrix.sum(0)).nan_to_num(), (tp / matrix.sum(1)).nan_to_num()\n"
        "    return (2 * precision * recall / (precision + recall)).nan_to_num().mean()",
        "def macro_f1(matrix):\n"
        "    total = 0\n"
        "    for c in range(len(matrix)):\n"
        "        tp = matrix[c, c].item()\n"
        "        fp, fn = matrix[:, c].sum().item() - tp, matrix[c].sum().item() - tp\n"
        "        total += 2 * tp / (2 * tp + fp + fn) if tp else 0\n"
        "    return total / len(matrix)",
    ],
    "best_threshold": [
        "import math\n"
        "def best_threshold(scores, targets, min_precision):\n"
        "    best = (0, -math.inf, math.inf)\n"
        "    for t in set(scores.tolist()):\n"
        "        hits = int(((scores >= t) & (targets == 1)).sum()); calls = int((scores >= t).sum())\n"
        "        if hits >= min_precision * calls and hits:\n"
        "            best = max(best, (hits, t, t))\n"
        "    return best[2]",
        "def best_threshold(scores, targets, min_precision):\n"
        "    from sklearn.metrics import precision_recall_curve\n"
        "    precision, recall, thresholds = precision_recall_curve(targets, scores)\n"
        "    ok = [(r, t) for p, r, t in zip(precision, recall, thresholds) if p >= min_precision and r > 0]\n"
        '    return float(max(ok)[1]) if ok else float("inf")',
    ],
}
