"""Plausible wrong answers to the exercises of notebook 12."""

WRONG: dict[str, dict[str, str]] = {
    "masked_mean": {
        "def masked_mean(states, keep):\n    return states.mean(dim=1)": "plain mean",
        "def masked_mean(states, keep):\n    return (states * keep[..., None]).mean(dim=1)": "padded length",
        "def masked_mean(states, keep):\n    return (states * keep[..., None]).sum(dim=1)": "that is the sum",
        "def masked_mean(states, keep):\n    return states.sum(dim=1) / keep.sum(dim=1, keepdim=True)": "padding is in the sum",
        "def masked_mean(states, keep):\n"
        "    return (states * keep[..., None]).sum(dim=1) / keep.sum(dim=1, keepdim=True)": "0 times nan",
        "def masked_mean(states, keep):\n    return (states * keep[..., None]).sum(dim=1) / keep.sum()": "of the batch",
        "def masked_mean(states, keep):\n    return (states * keep[..., None]).sum(dim=1) / keep.sum(dim=1)": "keepdim",
        "def masked_mean(states, keep):\n    return states[keep].mean(dim=0)": "shape",
        "def masked_mean(states, keep):\n    pad = ~keep[..., None]\n"
        "    return (states * pad).sum(dim=1) / pad.sum(dim=1)": "mean of the padding",
        "def masked_mean(states, keep):\n    return (states * keep).sum(dim=1)": "raised RuntimeError",
        "def masked_mean(states, keep):\n    states *= keep[..., None]\n"
        "    return states.sum(dim=1) / keep.sum(dim=1, keepdim=True)": "have changed",
        "import torch\ndef masked_mean(states, keep):\n"
        "    return torch.stack([s[:int(k.sum())].mean(0) for s, k in zip(states, keep)])": "a mask, not a length",
        "def masked_mean(states, keep):\n    s = states.masked_fill(~keep[..., None], 0)\n"
        "    return s.sum(1) // keep.sum(1, keepdim=True)": "not with //",
        "def masked_mean(states, keep):\n    s = states.masked_fill(~keep[..., None], 0)\n"
        "    return s.sum(1) / (s != 0).any(-1).sum(1, keepdim=True)": "a word all the same",
        "import torch\ndef masked_mean(states, keep):\n"
        "    return torch.tensor([s[k].mean(0).tolist() for s, k in zip(states, keep)])": "gradients do not flow",
    },
    "vocabulary": {
        "def vocabulary(sentences, min_count):\n"
        "    return ['<pad>', '<unk>'] + sorted({t for s in sentences for t in s})": "less than min_count",
        "from collections import Counter\n"
        "def vocabulary(sentences, min_count):\n    c = Counter(t for s in sentences for t in s)\n"
        "    return ['<pad>', '<unk>'] + [w for w, n in c.most_common() if n >= min_count]": "alphabetical",
        "from collections import Counter\n"
        "def vocabulary(sentences, min_count):\n    c = Counter(t for s in sentences for t in s)\n"
        "    return ['<pad>', '<unk>'] + sorted((w for w in c if c[w] > min_count), key=lambda w: (-c[w], w))": ">=",
        "from collections import Counter\n"
        "def vocabulary(sentences, min_count):\n    c = Counter(t for s in sentences for t in s)\n"
        "    return ['<pad>', '<unk>'] + sorted(w for w in c if c[w] >= min_count)": "most frequent word",
        "from collections import Counter\n"
        "def vocabulary(sentences, min_count):\n    c = Counter(t for s in sentences for t in s)\n"
        "    return sorted((w for w in c if c[w] >= min_count), key=lambda w: (-c[w], w))": "starts with",
        "from collections import Counter\n"
        "def vocabulary(sentences, min_count):\n    c = Counter(t for s in sentences for t in s)\n"
        "    return ['<unk>', '<pad>'] + sorted((w for w in c if c[w] >= min_count), key=lambda w: (-c[w], w))": "number 0",
        "from collections import Counter\n"
        "def vocabulary(sentences, min_count):\n    c = Counter(t for s in sentences for t in s)\n"
        "    words = ['<pad>', '<unk>'] + sorted((w for w in c if c[w] >= min_count), key=lambda w: (-c[w], w))\n"
        "    return {w: i for i, w in enumerate(words)}": "it is a dict",
        "from collections import Counter\n"
        "def vocabulary(sentences, min_count):\n    c = Counter(t for s in sentences for t in s)\n"
        "    return ['<pad>', '<unk>'] + sorted((w for w in c if c[w] >= 2), key=lambda w: (-c[w], w))": "argument|>=",
        "from collections import Counter\n"
        "def vocabulary(sentences, min_count):\n    c = Counter(t for s in sentences for t in s)\n"
        "    return ['<pad>', '<unk>'] + [p for p in c.most_common() if p[1] >= min_count]": "without their counts",
        "from collections import Counter\n"
        "def vocabulary(sentences, min_count):\n    c = Counter(t.lower() for s in sentences for t in s)\n"
        "    return ['<pad>', '<unk>'] + sorted((w for w in c if c[w] >= min_count), key=lambda w: (-c[w], w))": "are two",
        "from collections import Counter\n"
        "def vocabulary(sentences, min_count):\n    c = Counter(t for s in sentences for w in s for t in w)\n"
        "    return ['<pad>', '<unk>'] + sorted((w for w in c if c[w] >= min_count), key=lambda w: (-c[w], w))": "whole tokens",
    },
    "clipped_precision": {
        "def clipped_precision(candidate, reference, n):\n"
        "    a = [tuple(candidate[i:i + n]) for i in range(len(candidate) - n + 1)]\n"
        "    b = [tuple(reference[i:i + n]) for i in range(len(reference) - n + 1)]\n"
        "    return sum(g in b for g in a) / max(1, len(a))": "not clipped",
        "def clipped_precision(candidate, reference, n):\n"
        "    a = {tuple(candidate[i:i + n]) for i in range(len(candidate) - n + 1)}\n"
        "    b = {tuple(reference[i:i + n]) for i in range(len(reference) - n + 1)}\n"
        "    return len(a & b) / max(1, len(a))": "counts once",
        "from collections import Counter\n"
        "def clipped_precision(candidate, reference, n):\n"
        "    a = Counter(tuple(candidate[i:i + n]) for i in range(len(candidate) - n + 1))\n"
        "    b = Counter(tuple(reference[i:i + n]) for i in range(len(reference) - n + 1))\n"
        "    return (a & b).total() / max(1, b.total())": "recall",
        "from collections import Counter\n"
        "def clipped_precision(candidate, reference, n):\n"
        "    a = Counter(tuple(candidate[i:i + n]) for i in range(len(candidate) - n + 1))\n"
        "    b = Counter(tuple(reference[i:i + n]) for i in range(len(reference) - n + 1))\n"
        "    return (a & b).total() / a.total()": "0 / 0",
        "from collections import Counter\n"
        "def clipped_precision(candidate, reference, n):\n"
        "    a = Counter(tuple(candidate[i:i + n]) for i in range(len(candidate) - n + 1))\n"
        "    b = Counter(tuple(reference[i:i + n]) for i in range(len(reference) - n + 1))\n"
        "    return (a & b).total()": "number of common",
        "from collections import Counter\n"
        "def clipped_precision(candidate, reference, n):\n"
        "    a, b = Counter(candidate), Counter(reference)\n"
        "    return (a & b).total() / a.total()": "single words",
        "from collections import Counter\n"
        "def clipped_precision(candidate, reference, n):\n"
        "    a = Counter(tuple(candidate[i:i + n]) for i in range(len(candidate) - n + 1))\n"
        "    b = Counter(tuple(reference[i:i + n]) for i in range(len(reference) - n + 1))\n"
        "    return (a & b).total() / len(candidate)": "number of tokens",
        "from collections import Counter\n"
        "def clipped_precision(candidate, reference, n):\n"
        "    a = Counter(tuple(candidate[i:i + n]) for i in range(len(candidate) - n))\n"
        "    b = Counter(tuple(reference[i:i + n]) for i in range(len(reference) - n))\n"
        "    return (a & b).total() / max(1, a.total())": "it gives",
        "from collections import Counter\n"
        "def clipped_precision(candidate, reference, n):\n"
        "    a = Counter(''.join(candidate[i:i + n]) for i in range(len(candidate) - n + 1))\n"
        "    b = Counter(''.join(reference[i:i + n]) for i in range(len(reference) - n + 1))\n"
        "    return (a & b).total() / max(1, a.total())": "not joined text",
        "from collections import Counter\n"
        "def clipped_precision(candidate, reference, n):\n"
        "    a = Counter(frozenset(candidate[i:i + n]) for i in range(len(candidate) - n + 1))\n"
        "    b = Counter(frozenset(reference[i:i + n]) for i in range(len(reference) - n + 1))\n"
        "    return (a & b).total() / max(1, a.total())": "order inside",
        "from collections import Counter\n"
        "def clipped_precision(candidate, reference, n):\n"
        "    a = Counter(tuple(candidate[i:i + n]) for i in range(len(candidate) - n + 1))\n"
        "    b = Counter(tuple(reference[i:i + n]) for i in range(len(reference) - n + 1))\n"
        "    return round((a & b).total() / max(1, a.total()), 2)": "do not round",
        "from collections import Counter\n"
        "def clipped_precision(candidate, reference, n):\n"
        "    a = Counter(tuple(candidate[i:i + n]) for i in range(len(candidate) - n + 1))\n"
        "    b = Counter(tuple(reference[i:i + n]) for i in range(len(reference) - n + 1))\n"
        "    return (a & b).total() / a.total() if a else 1": "fewer than n tokens",
        "from collections import Counter\n"
        "def clipped_precision(candidate, reference, n):\n"
        "    a = Counter(tuple(candidate[i:i + n]) for i in range(len(candidate) - n + 1))\n"
        "    b = Counter(tuple(reference[i:i + n]) for i in range(len(reference) - n + 1))\n"
        "    return (a & b).total() / a.total() if a else None": "returns nothing there",
    },
}

# Right ones of another kind than the solution.
RIGHT: dict[str, list[str]] = {
    "vocabulary": [
        "def vocabulary(sentences, min_count):\n"
        "    counts = {}\n"
        "    for s in sentences:\n"
        "        for w in s:\n"
        "            counts[w] = counts.get(w, 0) + 1\n"
        "    words = sorted(counts)\n"
        "    words.sort(key=counts.get, reverse=True)\n"
        '    return ["<pad>", "<unk>", *[w for w in words if counts[w] >= min_count]]',
    ],
    "masked_mean": [
        "import torch\n"
        "def masked_mean(states, keep):\n"
        "    return torch.stack([row[mask].mean(dim=0) for row, mask in zip(states, keep)])",
        "import torch\n"
        "def masked_mean(states, keep):\n"
        "    return torch.where(keep.unsqueeze(-1), states, torch.nan).nanmean(dim=1)",
        "import torch\n"
        "def masked_mean(states, keep):\n"
        "    weights = keep / keep.sum(1, keepdim=True)\n"
        '    return torch.einsum("bl,blw->bw", weights, states.nan_to_num())',
    ],
    "clipped_precision": [
        "def clipped_precision(candidate, reference, n):\n"
        "    mine = [tuple(candidate[i:i + n]) for i in range(len(candidate) - n + 1)]\n"
        "    theirs = [tuple(reference[i:i + n]) for i in range(len(reference) - n + 1)]\n"
        "    total = len(mine)\n"
        "    hits = 0\n"
        "    for gram in mine:\n"
        "        if gram in theirs:\n"
        "            theirs.remove(gram)\n"
        "            hits += 1\n"
        "    return hits / total if total else 0.0",
    ],
}
