"""Wrong answers to the exercises of notebook 03_training_loop, each with a pattern that its hint must match."""

WRONG: dict[str, dict[str, str]] = {
    "epoch_numbers": {
        "def epoch_numbers(batches):\n"
        "    n = len(batches)\n"
        "    return sum(b[0] for b in batches) / n, sum(b[1] / b[2] for b in batches) / n": "batch means",
        "def epoch_numbers(batches):\n    return batches[-1][0], batches[-1][1] / batches[-1][2]": "last batch",
        "def epoch_numbers(batches):\n"
        "    n = sum(b[2] for b in batches)\n"
        "    return sum(b[0] * b[2] for b in batches) / n, sum(b[1] / b[2] for b in batches) / 3": "batches' accuracies",
        "def epoch_numbers(batches):\n"
        "    n = sum(b[2] for b in batches)\n"
        "    return sum(b[0] for b in batches) / n, sum(b[1] for b in batches) / n": r"the sum of mean_loss \* samples",
        "def epoch_numbers(batches):\n"
        "    n = sum(b[2] for b in batches)\n"
        "    return sum(b[1] for b in batches) / n, sum(b[0] * b[2] for b in batches) / n": "wrong way round",
        "def epoch_numbers(batches):\n"
        "    for loss, right, n in batches:\n"
        "        return loss * n / n, right / n": r"the sum of mean_loss \* samples",
    },
    "one_step": {
        "def one_step(model, inputs, targets, loss_fn, optimizer):\n"
        "    model.train()\n    optimizer.zero_grad()\n    loss = loss_fn(model(inputs), targets)\n"
        "    loss.backward()\n    optimizer.step()\n    return 0.0": "the loss before step",
        "def one_step(model, inputs, targets, loss_fn, optimizer):\n"
        "    model.train()\n    optimizer.zero_grad()\n    loss = loss_fn(model(inputs), targets)\n"
        "    loss.backward()\n    optimizer.step()": "is the return missing",
        "def one_step(model, inputs, targets, loss_fn, optimizer):\n"
        "    model.train()\n    loss = loss_fn(model(inputs), targets)\n    loss.backward()\n"
        "    optimizer.zero_grad()\n    optimizer.step()\n    return loss.item()": "cleared too late",
        "def one_step(model, inputs, targets, loss_fn, optimizer):\n"
        "    model.train()\n    loss = loss_fn(model(inputs), targets)\n    loss.backward()\n"
        "    optimizer.step()\n    return loss.item()": "clear them",
        "def one_step(model, inputs, targets, loss_fn, optimizer):\n"
        "    optimizer.zero_grad()\n    loss = loss_fn(model(inputs), targets)\n    loss.backward()\n"
        "    optimizer.step()\n    optimizer.step()\n    return loss.item()": "one forward, one backward, one step",
        "def one_step(model, inputs, targets, loss_fn, optimizer):\n"
        "    optimizer.zero_grad()\n    loss = loss_fn(model(inputs), targets)\n    loss.backward()\n"
        "    optimizer.step()\n    return loss.item()": r"model\.train\(\)",
        "def one_step(model, inputs, targets, loss_fn, optimizer):\n"
        "    model.train()\n"
        "    optimizer.zero_grad()\n"
        "    loss = loss_fn(model(inputs), targets)\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
        "    return loss": "still a tensor",
    },
    "momentum_step": {
        "def momentum_step(weight, gradient, velocity, lr, momentum=0.9):\n"
        "    velocity = 0.9 * velocity + gradient\n    return weight - lr * velocity, velocity": "use the arguments",
        "def momentum_step(weight, gradient, velocity, lr, momentum=0.9):\n"
        "    velocity = momentum * velocity + gradient\n    return weight + lr * velocity, velocity": "subtract",
        "def momentum_step(weight, gradient, velocity, lr, momentum=0.9):\n"
        "    return weight - lr * velocity, momentum * velocity + gradient": "new\\* velocity",
        "def momentum_step(weight, gradient, velocity, lr, momentum=0.9):\n"
        "    return weight - lr * gradient, velocity": "velocity after step 1",
        "def momentum_step(weight, gradient, velocity, lr, momentum=0.9):\n"
        "    velocity = momentum * velocity + (1 - momentum) * gradient\n"
        "    return weight - lr * velocity, velocity": "here it is added as it is",
        "def momentum_step(weight, gradient, velocity, lr, momentum=0.9):\n"
        "    velocity = momentum * velocity + gradient\n"
        "    return velocity, weight - lr * velocity": "return the new weight",
    },
}

# Right ones of another kind than the solution.
RIGHT: dict[str, list[str]] = {
    "epoch_numbers": [
        "import numpy as np\n"
        "def epoch_numbers(batches):\n"
        "    loss, right, samples = np.array(batches).T\n"
        "    return [np.average(loss, weights=samples), right.sum() / samples.sum()]",
        "import torch\n"
        "def epoch_numbers(batches):\n"
        "    loss, right, samples = torch.tensor(batches, dtype=torch.float64).T\n"
        "    return loss @ samples / samples.sum(), right.sum() / samples.sum()",
    ],
    "one_step": [
        "def one_step(model, inputs, targets, loss_fn, optimizer):\n"
        "    model.train()\n"
        "    loss = loss_fn(model(inputs), targets)\n"
        "    optimizer.zero_grad()\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
        "    return loss.tolist()",
        "def one_step(model, inputs, targets, loss_fn, optimizer):\n"
        "    model.train()\n"
        "    loss = loss_fn(model(inputs), targets)\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
        "    model.zero_grad()\n"
        "    return loss.detach().item()",
    ],
    "momentum_step": [
        "def momentum_step(weight, gradient, velocity, lr, momentum=0.9):\n"
        "    velocity *= momentum\n"
        "    velocity += gradient\n"
        "    weight -= lr * velocity\n"
        "    return weight, velocity",
    ],
}
