"""Wrong answers to the exercises of notebook 17_keras_and_tensorflow, each with a pattern that its hint must match."""

WRONG = {
    "dense_to_linear": {
        "def dense_to_linear(kernel, channels, height, width):\n    return kernel.T": r"still in Keras' order",
        "def dense_to_linear(kernel, channels, height, width):\n    return kernel": r"Keras' own\. Hint: nn\.Linear keeps",
        """
def dense_to_linear(kernel, channels, height, width):
    return kernel.reshape(channels, height, width, -1).permute(3, 0, 1, 2).flatten(1)
""": r"still in Keras' order|as if its rows were channels first",
        """
def dense_to_linear(kernel, channels, height, width):
    return kernel.reshape(channels, height, width, -1).permute(3, 1, 2, 0).flatten(1)
""": r"not in its place|as if its rows",
        """
def dense_to_linear(kernel, channels, height, width):
    return kernel.reshape(height, width, channels, -1).permute(3, 2, 1, 0).flatten(1)
""": r"height and width are swapped",
        """
def dense_to_linear(kernel, channels, height, width):
    return kernel.reshape(-1, channels * height * width)
""": r"reshape does not transpose",
        """
def dense_to_linear(kernel, channels, height, width):
    return kernel.reshape(height, width, channels, -1).permute(3, 2, 0, 1)
""": r"has the shape \(5, 3, 2, 4\)",
        """
def dense_to_linear(kernel, channels, height, width):
    return kernel.reshape(height, width, channels, -1).permute(2, 0, 1, 3).flatten(0, 2)
""": r"Keras' own",
        """
def dense_to_linear(kernel, channels, height, width):
    return kernel.reshape(28, 28, 1, -1).permute(3, 2, 0, 1).flatten(1)
""": r"raised RuntimeError",
        """
def dense_to_linear(kernel, channels, height, width):
    kernel.mul_(1.0).add_(0.0)
    weight = kernel.reshape(height, width, channels, -1).permute(3, 2, 0, 1).flatten(1).clone()
    kernel.zero_()
    return weight
""": r"the kernel has changed",
        "def dense_to_linear(kernel, channels, height, width):\n    return 'done'": r"one tensor is wanted|has the shape",
    },
    "cross_entropy": {
        """
def cross_entropy_by_hand(outputs, targets, from_logits):
    return -outputs.log_softmax(dim=1)[range(len(targets)), targets].mean().item()
""": r"softmax was applied to probabilities",
        """
def cross_entropy_by_hand(outputs, targets, from_logits):
    return -outputs.log()[range(len(targets)), targets].mean().item()
""": r"for logits .* logits are not probabilities",
        """
def cross_entropy_by_hand(outputs, targets, from_logits):
    p = outputs.softmax(dim=1) if from_logits else outputs
    return -p.log()[range(len(targets)), targets].mean().item()
""": r"exp overflows|logits of 1000",
        """
def cross_entropy_by_hand(outputs, targets, from_logits):
    logs = outputs.log_softmax(dim=1) if from_logits else outputs.log()
    return logs[range(len(targets)), targets].mean().item()
""": r"the sign is wrong",
        """
def cross_entropy_by_hand(outputs, targets, from_logits):
    logs = outputs.log_softmax(dim=1) if from_logits else outputs.log()
    return -logs[range(len(targets)), targets].sum().item()
""": r"that is the sum",
        """
def cross_entropy_by_hand(outputs, targets, from_logits):
    logs = outputs.log_softmax(dim=1) if from_logits else outputs.log()
    return -logs[range(len(targets)), targets]
""": r"one for each sample",
        """
def cross_entropy_by_hand(outputs, targets, from_logits):
    logs = outputs.log_softmax(dim=0) if from_logits else outputs.log()
    return -logs[range(len(targets)), targets].mean().item()
""": r"log_softmax\(dim=1\)",
        """
def cross_entropy_by_hand(outputs, targets, from_logits):
    logs = outputs.log_softmax(dim=1) if not from_logits else outputs.log()
    return -logs[range(len(targets)), targets].mean().item()
""": r"logits are not probabilities",
        """
def cross_entropy_by_hand(outputs, targets, from_logits):
    logs = outputs.log_softmax(dim=1) if from_logits else outputs.log10()
    return -logs[range(len(targets)), targets].mean().item()
""": r"natural logarithm|then the entry",
        """
def cross_entropy_by_hand(outputs, targets, from_logits):
    logs = outputs.log_softmax(dim=1) if from_logits else outputs.log()
    outputs -= 1
    return -logs[range(len(targets)), targets].mean().item()
""": r"have changed after the call",
    },
    "steps_until": {
        """
import math
def steps_until(momentum, share):
    return math.log(1 - share) / math.log(momentum)
""": r"no whole number",
        """
import math
def steps_until(momentum, share):
    return math.floor(math.log(1 - share) / math.log(momentum))
""": r"not reached yet",
        """
def steps_until(momentum, share):
    steps = 0
    while 1 - momentum**steps <= share:
        steps += 1
    return steps
""": r"one step too many",
        """
def steps_until(momentum, share):
    steps = 0
    while 1 - (1 - momentum) ** steps < share:
        steps += 1
    return steps
""": r"as PyTorch means it",
        """
def steps_until(momentum, share):
    steps = 0
    while momentum**steps > share:
        steps += 1
    return steps
""": r"so much of the start value is left",
        """
def steps_until(momentum, share):
    return round(share / (1 - momentum))
""": r"of what is left",
        "def steps_until(momentum, share):\n    return 230": r"for momentum 0\.9 ",
        "def steps_until(momentum, share):\n    return 'many'": r"one number is wanted",
    },
}

RIGHT = {
    "dense_to_linear": [
        "def dense_to_linear(kernel, channels, height, width):\n"
        "    units = kernel.shape[1]\n"
        "    return kernel.T.reshape(units, height, width, channels).permute(0, 3, 1, 2).reshape(units, -1)",
        "import torch\n"
        "def dense_to_linear(kernel, channels, height, width):\n"
        "    order = torch.arange(height * width * channels).view(height * width, channels).T.flatten()\n"
        "    return kernel[order].T",
        """
import numpy as np
def dense_to_linear(kernel, channels, height, width):
    blocks = kernel.numpy().reshape(height, width, channels, -1)
    return blocks.transpose(3, 2, 0, 1).reshape(-1, channels * height * width)
""",
    ],
    "cross_entropy": [
        "import torch\n"
        "def cross_entropy_by_hand(outputs, targets, from_logits):\n"
        "    if from_logits:\n"
        "        return (outputs.logsumexp(1) - outputs.gather(1, targets[:, None])[:, 0]).mean()\n"
        "    return torch.nn.functional.nll_loss(outputs.log(), targets)",
        """
from torch.nn import functional
def cross_entropy_by_hand(outputs, targets, from_logits):
    return functional.cross_entropy(outputs, targets) if from_logits else functional.nll_loss(outputs.log(), targets)
""",
    ],
    "steps_until": [
        "import math\n"
        "def steps_until(momentum, share):\n"
        "    n = 1\n"
        "    while momentum ** n > 1 - share + 1e-12:\n"
        "        n += 1\n"
        "    return n",
        """
import math
def steps_until(momentum, share):
    return math.ceil(math.log(1 - share) / math.log(momentum))
""",
    ],
}
