"""Wrong answers to the exercises of notebook 06_saving_and_resuming, each with a pattern that its hint must match."""

WRONG: dict[str, dict[str, str]] = {
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
        "def load_what_fits(model, weights):\n"
        "    own = model.state_dict()\n"
        "    good = {k: v for k, v in weights.items() if k in own and own[k].numel() == v.numel()}\n"
        "    model.load_state_dict({k: v.view(own[k].shape) for k, v in good.items()}, strict=False)\n"
        "    return [k for k in own if k not in good]": "copy only where both shapes are equal",
    },
}

# Right ones of another kind than the solution.
RIGHT: dict[str, list[str]] = {
    "snapshot": [
        "import io, torch\n"
        "def snapshot(model):\n"
        "    file = io.BytesIO()\n"
        "    torch.save(model.state_dict(), file)\n"
        "    file.seek(0)\n"
        "    return torch.load(file, weights_only=True)",
        "import copy\ndef snapshot(model):\n    return copy.deepcopy(model).state_dict()",
    ],
    "write_safely": [
        "import os, tempfile\n"
        "def write_safely(path, content):\n"
        "    fd, name = tempfile.mkstemp(dir=path.parent)\n"
        '    with os.fdopen(fd, "wb") as file:\n'
        "        file.write(content)\n"
        "        file.flush()\n"
        "        os.fsync(file.fileno())\n"
        "    os.replace(name, path)\n"
        "    return path",
        "def write_safely(path, content):\n"
        '    part = path.parent / (path.name + ".tmp")\n'
        '    with open(part, "wb") as file:\n'
        "        file.write(content)\n"
        "    return part.rename(path)",
    ],
    "load_what_fits": [
        "import torch\n"
        "def load_what_fits(model, weights):\n"
        "    missing = []\n"
        "    with torch.no_grad():\n"
        "        for name, tensor in model.state_dict().items():\n"
        "            if name in weights and weights[name].shape == tensor.shape:\n"
        "                tensor.copy_(weights[name])\n"
        "            else:\n"
        "                missing.append(name)\n"
        "    return missing",
        "def load_what_fits(model, weights):\n"
        "    own = model.state_dict()\n"
        "    good = {k: v for k, v in weights.items() if k in own and list(own[k].shape) == list(v.shape)}\n"
        "    model.load_state_dict({**own, **good})\n"
        "    return sorted(set(own) - set(good))",
    ],
}
