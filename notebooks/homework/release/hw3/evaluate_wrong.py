"""Train a small network on handwritten digits, and report how good it is.

This is the script of homework 3. It runs, and eight things in it are wrong. They are in the five functions before
``main``; ``main`` itself is right.
"""

import copy

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import course_utils


def prepare(train, val, test):
    """Return the images of the three parts, standardised; they come as uint8 (N, 1, H, W)."""
    pixels = torch.cat([train, val, test]).float()
    mean, std = pixels.mean(), pixels.std()
    return tuple((images.float() - mean) / std for images in (train, val, test))


def make_loaders(train, val, test, batch_size):
    """Return a loader of each part; a part is a pair of images and labels."""
    parts = [TensorDataset(images, labels) for images, labels in (train, val, test)]
    return tuple(DataLoader(part, batch_size, shuffle=True, drop_last=True) for part in parts)


def evaluate(model, loader, loss_fn):
    """Return the loss and the accuracy of a model, two floats."""
    losses, accuracies = [], []
    for inputs, targets in loader:
        outputs = model(inputs).softmax(dim=1)
        losses.append(loss_fn(outputs, targets))
        accuracies.append((outputs.argmax(dim=1) == targets).float().mean())
    return torch.stack(losses).mean().item(), torch.stack(accuracies).mean().item()


def predict(model, loader):
    """Return the logits of all samples, and their targets."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(inputs) for inputs, _ in loader])
    targets = torch.cat([targets for _, targets in loader])
    model.train(was_training)
    return logits, targets


def train_and_test(model, train_once, accuracy_on, val, test, epochs):
    """Train, give the model the weights of its best epoch, and return that epoch and its test accuracy.

    ``train_once()`` trains the model for one epoch, ``accuracy_on(loader)`` measures it on ``val`` or ``test``.
    """
    best_epoch, best_accuracy, best_weights = 0, -1.0, None
    for epoch in range(1, epochs + 1):
        train_once()
        accuracy = accuracy_on(test)
        if accuracy > best_accuracy:
            best_epoch, best_accuracy = epoch, accuracy
            best_weights = copy.deepcopy(model.state_dict())
    model.load_state_dict(best_weights)
    return best_epoch, best_accuracy


def main():
    """Do all of it, and print the report."""
    course_utils.seed_everything(0)
    data = course_utils.load_dataset("digits")
    parts = data.train, data.val, data.test
    images = prepare(*(part.images for part in parts))
    labels = [part.labels for part in parts]
    train, val, test = make_loaders(*zip(images, labels, strict=True), batch_size=64)

    model = course_utils.MLP(data.input_shape, data.num_classes, dropout_p=0.5)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    epoch, accuracy = train_and_test(
        model,
        train_once=lambda: course_utils.train_epoch(model, train, loss_fn, optimizer),
        accuracy_on=lambda loader: evaluate(model, loader, loss_fn)[1],
        val=val,
        test=test,
        epochs=8,
    )
    print(f"epoch {epoch} is the best; test accuracy {accuracy:.1%}")
    print(f"test loss {evaluate(model, test, loss_fn)[0]:.3f}")
    logits, targets = predict(model, test)
    right = (logits.argmax(dim=1) == targets).sum()
    print(f"the test images again, one by one: {right} of {len(targets)} right")


if __name__ == "__main__":
    main()
