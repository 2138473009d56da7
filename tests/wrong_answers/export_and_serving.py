"""Wrong answers to the exercises of notebook 14_export_and_serving, each with a pattern that its hint must match."""

QUANT = """def quantize_rows(weight, bits):
    top = 2 ** (bits - 1) - 1
    scales = {scales}
    {fix}
    return {numbers}, scales
"""
FIX = "scales = torch.where(scales == 0, 1.0, scales)"
ROUND = "(weight / scales).round().to(torch.int8)"


def quant(scales="weight.abs().amax(1, keepdim=True) / top", fix=FIX, numbers=ROUND):
    return QUANT.format(scales=scales, fix=fix, numbers=numbers)


BATCHES = """def batches_of(arrivals, most, wait):
    batches = []
    for number, time in enumerate(arrivals):
        full = not batches or len(batches[-1]) {compare}
        if full or time {over}:
            batches.append([])
        batches[-1].append({what})
    return {result}
"""


def batches(compare="== most", over="> arrivals[batches[-1][0]] + wait", what="number", result="batches"):
    return BATCHES.format(compare=compare, over=over, what=what, result=result)


STATUS = """import json

def fits(value, shape):
    if not shape:
        return {pixel}
    size, *rest = shape
    return {level} and {parts}

def status_of(body, shape, most):
    try:
        content = json.loads(body)
    except {errors}:
        return 400
    {key}
    given = content["images"]
    {images}
    if len(given) {many}:
        return 413
    return 200 if {every} else 422
"""
PARTS = {
    "pixel": "type(value) is int and 0 <= value <= 255",
    "level": "type(value) is list and len(value) == size",
    "parts": "all(fits(part, rest) for part in value)",
    "errors": "(ValueError, RecursionError)",
    "key": 'if type(content) is not dict or content.keys() != {"images"}: return 422',
    "images": "if type(given) is not list or not given: return 422",
    "many": "> most",
    "every": "all(fits(image, shape) for image in given)",
}


def status(**changes):
    return STATUS.format(**{**PARTS, **changes})


TENSOR = """import json
def status_of(body, shape, most):
    try:
        images = torch.tensor(json.loads(body)["images"])
    except {errors}:
        return {status}
    if len(images) > most:
        return 413
    return 200 if images.shape[1:] == shape and 0 <= images.min() and images.max() <= 255 else 422
"""

WRONG = {
    "quantize_rows": {
        quant(scales="weight.abs().max() / top"): "one scale for the whole matrix",
        quant(scales="weight.abs().amax(0, keepdim=True) / top"): "scale for each column",
        quant(
            scales="weight.abs().amax(1) / top", numbers="(weight / scales[:, None]).round().to(torch.int8)"
        ): "keepdim",
        quant(scales="weight.amax(1, keepdim=True) / top"): r"abs\(\) first",
        quant(fix="pass"): "row of zeros",
        quant(numbers="(weight / scales).to(torch.int8)"): "cut off towards 0",
        quant(numbers="(weight / scales).floor().to(torch.int8)"): "rounded down",
        quant(numbers="(weight / scales).round()"): "float32, not int8",
        quant(numbers="(weight / scales).round().int()"): "int32, not int8",
        quant(scales="weight.abs().amax(1, keepdim=True) / 127"): "in 4 bits, the scale is that of 8",
        quant(scales="weight.abs().amax(1, keepdim=True) / 2 ** (bits - 1)"): "128, which int8 does not hold",
        quant(scales="weight.abs().amax(1, keepdim=True) / (2 ** bits - 1)"): "half of the numbers are negative",
        "def quantize_rows(weight, bits):\n    scales = (2 ** (bits - 1) - 1) / weight.abs().amax(1, keepdim=True)\n"
        "    return (weight * scales).round().to(torch.int8), scales": "upside down",
        "def quantize_rows(weight, bits):\n    scales = weight.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)\n"
        "    return scales, (weight / scales).round().to(torch.int8)": "wrong way round",
        "def quantize_rows(weight, bits):\n    scales = weight.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)\n"
        "    return (weight / scales).round().to(torch.int8)": "two things",
        quant(numbers="weight.div_(scales).round().to(torch.int8)"): "weight has changed",
        quant(fix="scales = scales + 1e-3"): "largest magnitude / 127",
        quant(fix="scales = scales.clamp_min(1e-4)"): "only a scale of 0 is to be replaced",
        "def quantize_rows(weight, bits):\n    top, weight = 2 ** (bits - 1) - 1, weight.numpy()\n"
        "    scales = np.abs(weight).max(1, keepdims=True) / top\n    scales = np.where(scales == 0, 1, scales)\n"
        "    return (weight / scales).round().astype(np.int8), scales": "a NumPy array, not a tensor",
    },
    "batches_of": {
        "def batches_of(arrivals, most, wait):\n    batches, end = [], -1\n    for number, time in enumerate(arrivals):\n"
        "        if time > end:\n            end = time + wait\n            batches.append([])\n"
        "        elif len(batches[-1]) == most:\n            batches.append([])\n        batches[-1].append(number)\n"
        "    return batches": "also after a full one",
        batches().replace(
            "    batches = []", "    if not arrivals: return\n    batches = []", 1
        ): "returns nothing, not",
        batches(what="arrivals.index(time)"): "enumerate, not index",
        batches(over="> arrivals[batches[-1][-1]] + wait"): "from the first of the batch, not from the last",
        batches(over=">= arrivals[batches[-1][0]] + wait"): "exactly when the wait ends",
        batches(compare="> most"): "at most `most`",
        batches(result="[[arrivals[number] for number in batch] for batch in batches]"): "not their times",
        batches(what="number + 1"): "count from 0",
        batches(result="batches[:-1]"): "last batch is missing",
        batches(result="[[]] + batches"): "empty batch",
        batches(over="< 0"): "when the wait of the first is over",
        batches(over="// wait != arrivals[batches[-1][0]] // wait if wait else False"): "not at multiples of `wait`",
        "def batches_of(arrivals, most, wait):\n    return [list(range(len(arrivals)))[i:i + most] for i in range(0, len(arrivals), most)]": "wait of the first is over",
        "def batches_of(arrivals, most, wait):\n    return len(arrivals)": "no list of lists",
        "def batches_of(arrivals, most, wait):\n    batches, number = [], 0\n    while arrivals:\n"
        "        first, batch = arrivals[0], []\n        while arrivals and len(batch) < most and arrivals[0] <= first + wait:\n"
        "            arrivals.pop(0)\n            batch.append(number)\n            number += 1\n        batches.append(batch)\n"
        "    return batches": "arrivals have changed",
    },
    "status_of": {
        status(errors="ValueError"): "200,000 opening brackets it raises RecursionError",
        status(
            key='if not isinstance(content, (dict, list)) or "images" not in content or len(content) != 1: return 422',
        ): r'the list \["images"\] it raises TypeError',
        "def status_of(body, shape, most):\n    return '200'": "it gives '200', not 200",
        status(pixel="isinstance(value, int) and 0 <= value <= 255"): "type\\(value\\) is int",
        status(pixel="0 <= value <= 255"): "whole numbers only",
        status(pixel="value == int(value) and 0 <= value <= 255"): "7.0 is a float",
        status(pixel="type(value) is int"): "0 to 255",
        status(pixel="type(value) is int and 0 <= value < 255"): "this one is right",
        status(level="len(value) == size"): "each level is a list",
        status(level="type(value) is list"): "each level with its size|check every row",
        status(parts="fits(value[0], rest)"): "check every row|0 to 255",
        status(errors="json.JSONDecodeError"): "UnicodeDecodeError",
        status(many=">= most"): "`most` images are allowed",
        status(every="fits(given[0], shape)"): "every image, not the first",
        status(images="if not given: return 422"): "is it a list",
        status(images="if type(given) is not list: return 422"): "at least one image",
        status(key='if "images" not in content: return 422'): "is it a dict",
        status(key='if type(content) is not dict or "images" not in content: return 422'): "nothing else may be in it",
        status(key="pass"): "the type before",
        TENSOR.format(errors="Exception", status=400): "not 422",
        TENSOR.format(errors="ValueError", status=400): "raises",
        "def status_of(body, shape, most):\n    return 200": "not 400",
    },
}
RIGHT = {
    "quantize_rows": [
        quant(scales="(weight.abs().amax(dim=1, keepdim=True) / top).clamp_min(1e-12)", fix="pass"),
        "import torch\n"
        "def quantize_rows(weight, bits):\n"
        "    top = 2 ** (bits - 1) - 1\n"
        "    scales = (weight.abs().max(dim=1, keepdim=True).values / top)\n"
        "    scales[scales == 0] = 1e-8\n"
        "    return torch.round(weight / scales).clamp(-top, top).type(torch.int8), scales",
        "import torch\n"
        "def quantize_rows(weight, bits):\n"
        "    top = (1 << (bits - 1)) - 1\n"
        "    numbers, scales = [], []\n"
        "    for row in weight:\n"
        "        scale = float(row.abs().max()) / top or 1.0\n"
        "        scales.append([scale])\n"
        "        numbers.append([round(float(v) / scale) for v in row])\n"
        "    return torch.tensor(numbers, dtype=torch.int8), torch.tensor(scales)",
    ],
    "status_of": [
        "import json\n"
        "import numpy as np\n"
        "def status_of(body, shape, most):\n"
        "    try:\n"
        '        content = json.loads(body.decode("utf-8"))\n'
        "    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):\n"
        "        return 400\n"
        '    if not isinstance(content, dict) or list(content) != ["images"] or not isinstance(content["images"], list):\n'
        "        return 422\n"
        '    images = content["images"]\n'
        "    if len(images) > most:\n"
        "        return 413\n"
        "    if not images:\n"
        "        return 422\n"
        "    for image in images:\n"
        "        if not isinstance(image, list) or len(image) != shape[0]:\n"
        "            return 422\n"
        "        for channel in image:\n"
        "            if not isinstance(channel, list) or len(channel) != shape[1]:\n"
        "                return 422\n"
        "            for row in channel:\n"
        "                if not isinstance(row, list) or len(row) != shape[2]:\n"
        "                    return 422\n"
        "                for pixel in row:\n"
        "                    if isinstance(pixel, bool) or not isinstance(pixel, int) or pixel not in range(256):\n"
        "                        return 422\n"
        "    return 200",
        status(errors="Exception").replace("json.loads(body)", "json.loads(body, parse_constant=lambda name: 1 / 0)"),
    ],
    "batches_of": [
        "def batches_of(arrivals, most, wait):\n"
        "    batches, number = [], 0\n"
        "    while number < len(arrivals):\n"
        "        end = number\n"
        "        while end < len(arrivals) and end - number < most and arrivals[end] - arrivals[number] <= wait:\n"
        "            end += 1\n"
        "        batches.append(list(range(number, end)))\n"
        "        number = end\n"
        "    return batches",
        "def batches_of(arrivals, most, wait):\n"
        "    batch, start = [], None\n"
        "    for number, time in enumerate(arrivals):\n"
        "        if batch and (len(batch) >= most or time - start > wait):\n"
        "            yield batch\n"
        "            batch = []\n"
        "        if not batch:\n"
        "            start = time\n"
        "        batch.append(number)\n"
        "    if batch:\n"
        "        yield batch",
    ],
}
