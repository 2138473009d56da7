"""Wrong answers to the exercises of notebook 13."""

_IOU = """def box_overlap(a, b):
    width = {w}
    height = {h}
    shared = width * height
    area_a = (a[2] - a[0]) * (a[3] - a[1])
    area_b = (b[2] - b[0]) * (b[3] - b[1])
    return {r}"""
_W, _H = "max(0, min(a[2], b[2]) - max(a[0], b[0]))", "max(0, min(a[3], b[3]) - max(a[1], b[1]))"
_SAFE = "shared / union if (union := area_a + area_b - shared) > 0 else 0.0"
_KEEP = """def keep(overlaps, scores, labels, threshold):
    kept = []
    for number in scores.argsort(descending={d}).tolist():
        {body}
    return {r}"""
_AP = """def ap_of_list(hits, truths):
    right = [sum(hits[: place + 1]) for place in range(len(hits))]
    precision = [r / (place + 1) for place, r in enumerate(right)]
    recall = [r / {t} for r in right]
    points = [{p} for point in range({n})]
    return {r}"""
_BEST = "max((p for p, r in zip(precision, recall) if r >= point / 100), default=0.0)"

WRONG: dict[str, dict[str, str]] = {
    "box_overlap": {
        _IOU.format(w=_W[7:-1], h=_H[7:-1], r=_SAFE): "clamp each side at 0|a negative side",
        _IOU.format(w=_W, h=_H, r="shared / (area_a + area_b)"): "counted twice",
        _IOU.format(w=_W, h=_H, r="2 * shared / (area_a + area_b)"): "Dice",
        _IOU.format(w=_W, h=_H, r="shared / min(area_a, area_b)"): "smaller box|share of one box",
        _IOU.format(w=_W, h=_H, r="shared"): "shared area; divide",
        _IOU.format(w=_W, h=_H, r="shared / (area_a + area_b - shared)"): "ZeroDivisionError",
        _IOU.format(w=_W, h=_H, r="shared / max(area_a + area_b - shared, 1)"): "0 to 1 is a scale",
        _IOU.format(w=_W, h=_H, r="[shared, area_a]"): "one number",
        "def box_overlap(a, b):\n"
        "    import torch\n    from torchvision.ops import box_iou\n"
        "    return box_iou(torch.tensor([a]).float(), torch.tensor([b]).float()).item()": "without area",
        "def box_overlap(a, b):\n"
        "    w = max(0, min(a[2], b[2]) - max(a[0], b[0]) + 1)\n"
        "    h = max(0, min(a[3], b[3]) - max(a[1], b[1]) + 1)\n"
        "    area = lambda c: (c[2] - c[0] + 1) * (c[3] - c[1] + 1)\n"
        "    return w * h / (area(a) + area(b) - w * h)": r"without \+ 1",
        "def box_overlap(a, b):\n"
        "    w = max(0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))\n"
        "    h = max(0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))\n"
        "    return w * h / (a[2] * a[3] + b[2] * b[3] - w * h)": "width, height",
    },
    "keep": {
        _KEEP.format(
            d="True",
            body="if all(overlaps[number, k] <= threshold for k in kept):\n            kept.append(number)",
            r="kept",
        ): "another class",
        _KEEP.format(
            d="False",
            body="if all(overlaps[number, k] <= threshold or labels[k] != labels[number] for k in kept):\n"
            "            kept.append(number)",
            r="kept",
        ): "lowest score",
        _KEEP.format(
            d="True",
            body="if all(overlaps[number, k] < threshold or labels[k] != labels[number] for k in kept):\n"
            "            kept.append(number)",
            r="kept",
        ): "exactly the threshold",
        _KEEP.format(
            d="True",
            body="if all(overlaps[number, k] <= 0.5 or labels[k] != labels[number] for k in kept):\n"
            "            kept.append(number)",
            r="kept",
        ): "argument `threshold`",
        _KEEP.format(
            d="True",
            body="if all(overlaps[number, k] <= threshold or labels[k] != labels[number] for k in kept):\n"
            "            kept.append(number)",
            r="sorted(kept)",
        ): "best score first",
        "def keep(overlaps, scores, labels, threshold):\n"
        "    return [i for i in scores.argsort(descending=True).tolist() if not any(\n"
        "        overlaps[i, j] > threshold and labels[i] == labels[j] and scores[j] > scores[i]\n"
        "        for j in range(len(scores)))]": "dropped itself",
        "def keep(overlaps, scores, labels, threshold):\n"
        "    return [i for i in scores.argsort(descending=True).tolist() if not any(\n"
        "        overlaps[i, j] > threshold and labels[i] == labels[j] for j in range(len(scores)))]": "overlap itself",
        "def keep(overlaps, scores, labels, threshold):\n"
        "    return scores.argsort(descending=True).tolist()": "nothing was dropped",
        "def keep(overlaps, scores, labels, threshold):\n    return scores > threshold": "list of numbers",
        "def keep(overlaps, scores, labels, threshold):\n"
        "    order, kept = scores.argsort(descending=True).tolist(), []\n"
        "    while order:\n"
        "        kept.append(order.pop(0))\n"
        "        for other in order:\n"
        "            if labels[other] == labels[kept[-1]] and overlaps[other, kept[-1]] > threshold:\n"
        "                order.remove(other)\n"
        "    return kept": "list that the loop runs over",
        _KEEP.format(
            d="True",
            body="if all(overlaps[number, k] <= threshold or labels[k] != labels[number] for k in kept):\n"
            "            kept.append(number)",
            r="[k for k in kept if scores[k] > threshold]",
        ): "not for scores",
        _KEEP.format(
            d="True",
            body="if labels[number] or all(overlaps[number, k] <= threshold or labels[k] for k in kept):\n"
            "            kept.append(number)",
            r="kept",
        ): "every class",
    },
    "ap_of_list": {
        _AP.format(t="sum(hits)", p=_BEST, n=101, r="sum(points) / 101"): "hits / truths",
        _AP.format(
            t="truths",
            p="next((p for p, r in zip(precision, recall) if r >= point / 100), 0.0)",
            n=101,
            r="sum(points) / 101",
        ): "or later",
        _AP.format(t="truths", p=_BEST.replace("100", "10"), n=11, r="sum(points) / 11"): "VOC 2007",
        _AP.format(t="truths", p=_BEST, n=101, r="sum(points) / 100"): "not 100",
        _AP.format(t="truths", p=_BEST.replace("100", "99"), n=100, r="sum(points) / 100"): "100 points",
        "def ap_of_list(hits, truths):\n"
        "    import torch\n    from torch.nn import functional as F\n"
        "    if not hits:\n        return 0.0\n"
        "    right = torch.tensor(hits).double().cumsum(0)\n"
        "    precision = right / torch.arange(1, len(hits) + 1)\n"
        "    best = precision.flip(0).cummax(0).values.flip(0)\n"
        "    places = torch.searchsorted(right / truths, torch.linspace(0, 1, 101).double())\n"
        "    return F.pad(best, (0, 1))[places].mean().item()": "n / 100",
        _AP.format(t="truths", p=_BEST, n=101, r="sum(points)"): "divide the sum by 101",
        _AP.format(t="truths", p=_BEST, n=101, r="points"): "one number",
        _AP.format(t="truths", p=_BEST.replace(", default=0.0", ""), n=101, r="sum(points) / 101"): "raised ValueError",
        _AP.format(t="truths", p="0", n=1, r="sum(p for p, h in zip(precision, hits) if h) / truths"): "notebook 05",
        _AP.format(t="truths", p="0", n=1, r="sum(precision) / len(precision)"): "mean precision over the list",
        "import numpy as np\n"
        "def ap_of_list(hits, truths):\n"
        "    tp = np.cumsum(hits)\n"
        "    precision, recall = tp / np.arange(1, len(hits) + 1), tp / truths\n"
        "    return float(np.trapezoid(precision, recall)) if len(hits) else 0.0": "for each of 0",
        "def ap_of_list(hits, truths):\n"
        "    r, best = 0, []\n"
        "    for i, h in enumerate(hits, 1):\n"
        "        r += h\n"
        "        best.append((r / truths, r / i))\n"
        "    return sum(max([p for q, p in best if q > n / 100], default=0) for n in range(101)) / 101": "reached exactly counts",
        "import numpy as np\n"
        "def ap_of_list(hits, truths):\n"
        "    tp = np.cumsum(hits)\n"
        "    precision, recall = tp / np.arange(1, len(hits) + 1), tp / truths\n"
        "    return float(np.interp(np.linspace(0, 1, 101), recall, precision).mean()) if len(hits) else 0.0": "for each of 0",
    },
}

# Right ones of another kind than the solution.
RIGHT: dict[str, list[str]] = {
    "box_overlap": [
        "import torch\n"
        "def box_overlap(a, b):\n"
        "    from torchvision.ops import box_iou\n"
        "    return box_iou(torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)).nan_to_num(0)[0, 0]",
    ],
    "keep": [
        "import torch\n"
        "def keep(overlaps, scores, labels, threshold):\n"
        "    order = torch.argsort(scores, descending=True)\n"
        "    kept = []\n"
        "    alive = torch.ones(len(scores), dtype=torch.bool)\n"
        "    for i in order:\n"
        "        if alive[i]:\n"
        "            kept.append(i)\n"
        "            alive &= ~((overlaps[i] > threshold) & (labels == labels[i]))\n"
        "    return torch.tensor(kept)",
        "def keep(overlaps, scores, labels, threshold):\n"
        "    left = sorted(range(len(scores)), key=lambda i: -scores[i])\n"
        "    kept = []\n"
        "    while left:\n"
        "        best, *left = left\n"
        "        kept.append(best)\n"
        "        left = [i for i in left if labels[i] != labels[best] or overlaps[i][best] <= threshold]\n"
        "    return kept",
    ],
    "ap_of_list": [
        "import numpy as np\n"
        "def ap_of_list(hits, truths):\n"
        "    if not hits:\n"
        "        return 0.0\n"
        "    tp = np.cumsum(hits)\n"
        "    precision = np.maximum.accumulate((tp / np.arange(1, len(hits) + 1))[::-1])[::-1]\n"
        "    place = np.searchsorted(tp / truths, np.arange(101) / 100)\n"
        "    return float(np.where(place < len(hits), precision[np.minimum(place, len(hits) - 1)], 0).mean())",
        "import torch\n"
        "def ap_of_list(hits, truths):\n"
        "    total, best = 0.0, 0.0\n"
        "    found = sum(hits)\n"
        "    reach = [(sum(hits[:i]), sum(hits[:i]) / i) for i in range(1, len(hits) + 1)]\n"
        "    for point in range(101):\n"
        "        total += max([p for r, p in reach if 100 * r >= point * truths], default=0)\n"
        "    return total / 101",
    ],
}
