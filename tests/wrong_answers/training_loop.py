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
    },
}
