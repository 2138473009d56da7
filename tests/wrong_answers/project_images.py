"""Wrong answers to the exercises of notebook 11."""

P = "def parse_line(line):\n"
R = "def receptive_field(layers):\n"
F = "def freeze(net):\n"
WRONG = {
    "parse_line": {
        P + "    path, label = line.split()\n    return path, int(label)": "split only once|from the right",
        P + "    path, label = line.strip().rsplit(maxsplit=1)\n    return path, label": r"still a str.*int\(label\)",
        P + "    path, label = line.strip().rsplit(maxsplit=1)\n    return path, int(label)": "quote",
        P + "    line = line.strip()\n    path, _, label = line.rpartition(' ')\n"
        "    return path.strip().strip('\"'), int(label)": "return None before you split",
        P + "    line = line.strip()\n    if not line or '#' in line:\n        return None\n"
        "    path, label = line.rsplit(maxsplit=1)\n    return path.strip('\"'), int(label)": "only a line that begins with #",
        P + "    line = line.strip()\n    if not line or line[0] == '#':\n        return None\n"
        "    path, label = line.rsplit(maxsplit=1)\n    return path.strip('\"'), int(label)": "put the line into the message",
        P + "    line = line.strip()\n    if not line or line[0] == '#':\n        return None\n"
        "    path, _, label = line.rpartition(' ')\n    try:\n        return path.strip().strip('\"'), int(label)\n"
        "    except ValueError:\n        raise ValueError(line)": "isdecimal|without a path",
        P + "    line = line.strip()\n    if not line or line[0] == '#':\n        return None\n"
        "    path, _, label = line.rpartition(' ')\n    if not label.isdecimal():\n        raise ValueError('bad line')\n"
        "    return path.strip().strip('\"'), int(label)": "put the line into the message",
        P + "    line = line.strip()\n    if not line or line[0] == '#':\n        return None\n"
        "    path, _, label = line.rpartition(' ')\n    if not label.isdecimal():\n        return None\n"
        "    return path.strip().strip('\"'), int(label)": "is bad, but gives None",
        P + "    path, label = line.strip().rsplit(maxsplit=1)\n    return Path(path), int(label)": "path as a str",
        P
        + "    path, label = line.strip().rsplit(maxsplit=1)\n    return path, torch.tensor(int(label))": "is a Tensor, not an int",
        P + "    line = line.strip()\n    if not line or line[0] == '#':\n        return None\n"
        "    *path, label = line.split()\n    return ' '.join(path).strip('\"'), int(label)": "two spaces in a path",
        P + "    line = line.strip()\n    if not line or line.startswith('# '):\n        return None\n"
        "    path, _, label = line.rpartition(' ')\n"
        "    return path.strip().strip('\"'), int(label)": "look how it begins",
        P + "    line = line.strip()\n    if not line or line[0] == '#':\n        return None\n"
        "    path, _, label = line.rpartition(' ')\n"
        "    if not path or not label.lstrip('+').isdecimal():\n        raise ValueError(line)\n"
        "    return path.strip().strip('\"'), int(label)": "take the sign",
        P + "    line = line.strip()\n    if not line or line[0] == '#':\n        return None\n"
        "    path, _, label = line.rpartition(' ')\n"
        "    if not path or not label.replace('_', '').isdecimal():\n        raise ValueError(line)\n"
        "    return path.strip().strip('\"'), int(label)": "1_0 as 10",
        P + "    line = line.strip()\n    if not line or line[0] == '#':\n        return None\n"
        "    path, _, label = line.rpartition(' ')\n"
        "    if not path or not label.isdecimal():\n        raise ValueError(line)\n"
        "    return path.strip().strip('\"'), int(label)": "between the quotes there is no path",
    },
    "receptive_field": {
        R + "    return 1 + sum(k - 1 for k, s in layers)": "further apart",
        R + "    return sum(k for k, s in layers)": "adds k - 1|start from 1",
        R
        + "    width, d = 0, 1\n    for k, s in layers:\n        width += (k - 1) * d\n        d *= s\n    return width": "not 0|start from 1",
        R
        + "    width, d = 1, 1\n    for k, s in layers:\n        d *= s\n        width += (k - 1) * d\n    return width": "widen first",
        R + "    d = 1\n    for k, s in layers:\n        d *= s\n    return d": "return the width",
        R
        + "    width = 1\n    for k, s in layers:\n        width += (k - 1) * s\n    return width": "product of all strides",
        R
        + "    width, d = 1, 1\n    for k, s in layers:\n        width += (k - 1) * d\n        d *= s\n    return width, d": "one number",
        "def receptive_field(layers):\n"
        "    width, distance = 1, 1\n"
        "    for kernel, stride in layers:\n"
        "        width *= kernel\n"
        "        distance *= stride\n"
        "    return width": r"width \+=",
    },
    "freeze": {
        F + "    net[0].requires_grad_(False)\n    return list(net[1].parameters())": "BatchNorm in the features",
        F + "    net[0].eval().requires_grad_(False)\n    return list(net[1].parameters())": "Dropout is off",
        F + "    for p in net[0].parameters():\n        p.requires_grad = False\n    net.train()\n"
        "    return list(net[1].parameters())": "BatchNorm in the features",
        F + "    net[0].eval()\n    for p in net[0].parameters():\n        p.requires_grad = False\n    net.train()\n"
        "    return list(net[1].parameters())": "BatchNorm in the features",
        F + "    net.train()\n    net[0].eval()\n    return list(net[1].parameters())": "still get gradients",
        F + "    net.eval()\n    for p in net[0].parameters():\n        p.requires_grad = False\n"
        "    return list(net[1].parameters())": "Dropout is off",
        F + "    net.train()\n    net[0].eval()\n    for p in net.parameters():\n        p.requires_grad = False\n"
        "    return list(net[1].parameters())": "head has no gradients",
        F + "    net.train()\n    net[0].eval()\n    for p in net[0].parameters():\n        p.requires_grad = False\n"
        "    return list(net.parameters())": r"those of net\[1\] only",
        F
        + "    net.train()\n    net[0].eval().requires_grad_(False)\n    return list(net[1].state_dict().values())": "state_dict",
        F + "    net.train()\n    net[0].eval().requires_grad_(False)\n"
        "    return list(net[1][-1].parameters())": "the head has 4 parameters, the list 2",
        F + "    net.train()\n    net[0].requires_grad_(False)\n    net[0][1].eval()\n"
        "    return list(net[1].parameters())": "Dropout in the features is in training mode",
        F + "    net.train()\n    net[0].eval().requires_grad_(False)\n    return net[1]": "module was returned",
        F + "    net.train()\n    net[0].eval().requires_grad_(False)\n"
        "    return [p for p in net.parameters() if not p.requires_grad]": r"those of net\[1\] only",
        "def freeze(net):\n"
        "    net.train()\n"
        "    net[0].eval()\n"
        "    for p in net[0].parameters():\n"
        "        p.requires_grad = False\n"
        "    return net[1].parameters": "a method came back",
    },
}
RIGHT = {
    "receptive_field": [
        "def receptive_field(layers):\n"
        "    width = 1\n"
        "    for kernel, stride in reversed(layers):\n"
        "        width = (width - 1) * stride + kernel\n"
        "    return width",
        R
        + "    width, d = torch.tensor(1), 1\n    for k, s in layers:\n        width = width + (k - 1) * d\n        d *= s\n"
        "    return width",
    ],
    "freeze": [
        "def freeze(net):\n"
        "    net.eval()\n"
        "    net.train()\n"
        "    net[0].train(False).requires_grad_(False)\n"
        "    return [p for p in net.parameters() if p.requires_grad]",
        "def freeze(net):\n"
        "    net.train()\n"
        "    for module in net[0].modules():\n"
        "        if isinstance(module, (torch.nn.BatchNorm2d, torch.nn.Dropout)):\n"
        "            module.eval()\n"
        "    net[0].requires_grad_(False)\n"
        "    return list(net[1].parameters())",
    ],
    "parse_line": [
        "import re\n"
        "def parse_line(line):\n"
        "    line = line.strip()\n"
        '    if line == "" or line[0] == "#":\n'
        "        return None\n"
        "    match = re.fullmatch(r'(\"?)([^\"]+)\\1\\s+([0-9]+)', line)\n"
        "    if match is None:\n"
        '        raise ValueError("bad line: " + line)\n'
        "    return match[2].strip(), int(match[3])",
        "def parse_line(line):\n"
        "    text = line.strip()\n"
        '    if not text or text.startswith("#"):\n'
        "        return None\n"
        "    parts = text.rsplit(maxsplit=1)\n"
        "    if len(parts) != 2 or not parts[1].isdigit() or not parts[0].strip('\"'):\n"
        '        raise ValueError(f"bad line {text}")\n'
        "    path = parts[0]\n"
        "    if path[0] == path[-1] == '\"':\n"
        "        path = path[1:-1]\n"
        "    return (path, int(parts[1]))",
    ],
}
