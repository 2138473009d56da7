"""Wrong answers to the exercises of notebook 08_training_well, each with a pattern that its hint must match."""

WRONG: dict[str, dict[str, str]] = {
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
        "import math\ndef warmup_then_cosine(step, warmup, total):\n"
        "    if step < warmup:\n        return (step + 1) / warmup\n"
        "    if step <= total:\n"
        "        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))": r"at step 70 of 60 .* returns nothing",
        "def warmup_then_cosine(step, warmup, total):\n"
        "    if step < warmup:\n        return (step + 1) / warmup": r"at step 10 of 60 .* returns nothing",
        "import math\ndef warmup_then_cosine(step, warmup, total):\n"
        "    if step < warmup:\n        return (step + 1) / warmup\n"
        "    if warmup == 0:\n        return 1 - min(1, step / total) \n"
        "    return 0.5 * (1 + math.cos(math.pi * min(1, (step - warmup) / (total - warmup))))": r"warmup=0, total=20 it gives 0.75 at step 5, not 0.853553",
        "import math\ndef warmup_then_cosine(step, warmup, total):\n"
        "    if warmup == 0:\n"
        "        return 0.5 * (1 + math.cos(math.pi * step / total))\n"
        "    if step < warmup:\n        return (step + 1) / warmup\n"
        "    return 0.5 * (1 + math.cos(math.pi * min(1, (step - warmup) / (total - warmup))))": "gives 0.5 at step 30, not 0",
        "import math\ndef warmup_then_cosine(step, warmup, total):\n"
        "    if step < warmup:\n        return (step + 1) / warmup\n"
        "    return 0.5 * (1 + math.cos(math.pi * min(1, (step - warmup + 1) / (total - warmup))))": r"at step \d+ of 60 \(warmup=10\) it gives 0\.5, not 0\.531395\. Hint: with share",
        "import math\ndef warmup_then_cosine(step, warmup, total):\n"
        "    if step < warmup:\n        return (step + 1) / warmup\n"
        "    return 0.5 * (1 - math.cos(math.pi * min(1, (step - warmup) / (total - warmup))))": "that rises",
        "def warmup_then_cosine(step, warmup, total):\n    return float('nan')": "gives nan",
        "import math\n"
        "def warmup_then_cosine(step, warmup, total):\n"
        "    if step <= warmup:\n"
        "        return (step + 1) / (warmup + 1)\n"
        "    return 0.5 * (1 + math.cos(math.pi * min(1, (step - warmup) / (total - warmup))))": "while step < warmup",
        "import math\n"
        "def warmup_then_cosine(step, warmup, total):\n"
        "    if step < warmup:\n"
        "        return (step + 1) / warmup\n"
        "    return max(0, 0.5 * (1 + math.cos(math.radians((step - warmup) / (total - warmup)))))": "with share =",
        "import math\n"
        "def warmup_then_cosine(step, warmup, total):\n"
        "    if step < warmup:\n"
        "        return (step + 1) / warmup\n"
        "    return max(0, 0.5 * (1 + math.cos(2 * math.pi * (step - warmup) / (total - warmup))))": "with share =",
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
        "def parameter_groups(model, weight_decay):\n"
        "    ps = [p for p in model.parameters() if p.requires_grad]\n"
        "    ps = ps + [p for module in model.children() for p in module.parameters() if p.requires_grad]\n"
        "    return [{'params': [p for p in ps if p.ndim >= 2], 'weight_decay': weight_decay},\n"
        "            {'params': [p for p in ps if p.ndim < 2], 'weight_decay': 0.0}]": r"^Not yet: conv\.weight is in one group more than once",
        "def parameter_groups(model, weight_decay):\n"
        "    ps = [p for p in model.parameters() if p.requires_grad]\n"
        "    groups = [{'params': [p for p in ps if p.ndim >= 2], 'weight_decay': weight_decay},\n"
        "              {'params': [p for p in ps if p.ndim < 2], 'weight_decay': 0.0}]\n"
        "    for p in ps:\n        p.requires_grad_(p.ndim >= 2)\n"
        "    return groups": "changes requires_grad",
        "def parameter_groups(model, weight_decay):\n"
        "    ps = [p for p in model.parameters() if p.requires_grad]\n"
        "    return [{'params': [p for p in ps if p.ndim >= 2], 'weight_decay': weight_decay, 'lr': 0.1},\n"
        "            {'params': [p for p in ps if p.ndim < 2], 'weight_decay': 0.0}]": "a group has 'lr', too",
        "def parameter_groups(model, weight_decay):\n"
        "    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]\n"
        "    return [{'params': [(n, p) for n, p in named if p.ndim == 2], 'weight_decay': weight_decay},\n"
        "            {'params': [(n, p) for n, p in named if p.ndim != 2], 'weight_decay': 0.0}]": "conv.weight has 4 dimensions",
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
        "def clip_by_hand(gradients, max_norm):\n"
        "    norm = float(sum((g ** 2).sum() for g in gradients)) ** 0.5\n"
        "    return [g * min(1.0, max_norm / norm) for g in gradients]": "for gradients of zeros it divides by zero",
        "def clip_by_hand(gradients, max_norm):\n"
        "    norm = sum((g ** 2).sum() for g in gradients) ** 0.5\n"
        "    return [g * min(1.0, max_norm / (norm + 1e-3)) for g in gradients]": r"is 2\.599800, not 2\.6\. Hint: nothing",
        "def clip_by_hand(gradients, max_norm):\n"
        "    norm = max(g.norm() for g in gradients)\n"
        "    return [g * min(1.0, max_norm / norm) for g in gradients]": "the factor is max_norm / norm",
    },
}

# Right ones of another kind than the solution.
RIGHT: dict[str, list[str]] = {
    "parameter_groups": [
        "def parameter_groups(model, weight_decay):\n"
        "    matrices, vectors = [], []\n"
        "    for p in model.parameters():\n"
        "        if p.requires_grad:\n"
        "            (matrices if p.dim() > 1 else vectors).append(p)\n"
        "    return [dict(params=matrices, weight_decay=weight_decay), dict(params=vectors, weight_decay=0)]",
        "def parameter_groups(model, weight_decay):\n"
        "    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]\n"
        "    return [{'params': [(n, p) for n, p in named if p.ndim >= 2], 'weight_decay': weight_decay},\n"
        "            {'params': [(n, p) for n, p in named if p.ndim < 2], 'weight_decay': 0.0}]",
        "def parameter_groups(model, weight_decay):\n"
        "    ps = [p for p in model.parameters() if p.requires_grad]\n"
        "    return [{'params': (p for p in ps if p.ndim >= 2), 'weight_decay': weight_decay},\n"
        "            {'params': (p for p in ps if p.ndim < 2), 'weight_decay': 0.0}]",
    ],
    "clip_by_hand": [
        "import copy\n"
        "import torch\n"
        "def clip_by_hand(gradients, max_norm):\n"
        "    leaves = [torch.zeros_like(g).requires_grad_() for g in gradients]\n"
        "    for leaf, g in zip(leaves, gradients):\n"
        "        leaf.grad = g.clone()\n"
        "    torch.nn.utils.clip_grad_norm_(leaves, max_norm)\n"
        "    return [leaf.grad for leaf in leaves]",
        "def clip_by_hand(gradients, max_norm):\n"
        "    norm = sum((g ** 2).sum() for g in gradients) ** 0.5\n"
        "    return [g * min(1.0, max_norm / (norm + 1e-6)) for g in gradients]",
    ],
    "warmup_then_cosine": [
        "import math\n"
        "def warmup_then_cosine(step, warmup, total):\n"
        "    rise = min(1.0, (step + 1) / max(1, warmup))\n"
        "    share = min(1.0, max(0, step - warmup) / (total - warmup))\n"
        "    return rise * math.cos(math.pi / 2 * share) ** 2",
        "import math\ndef warmup_then_cosine(step, warmup, total):\n"
        "    if step < warmup:\n        return (step + 1) / warmup\n"
        "    return 0.5 * (1 + math.cos(math.pi * min(1, (step - warmup) / (total - warmup))))",
    ],
}
