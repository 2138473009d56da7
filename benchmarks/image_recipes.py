"""What a recipe is worth: the one that many tutorials give against that of notebook 11, in the same seconds.

    python -m benchmarks.image_recipes [FOLDER] [--seconds 20] [--seeds 3] [--threads 1]

FOLDER holds train.txt and test.txt, lists of images as ``ImageTxtDataset`` reads them, all of one size, with class
numbers from 0; without it, the data set photo_digits. Every run gets the same seconds of processor time for training,
validation included. The tutorial's: AlexNet without normalisation, SGD with a rate of 0.01, batches of 64, no
schedule, no augmentation, for as many epochs as fit in. The others: AlexNet, VGG and ResNet, each with AdamW,
OneCycleLR over the epochs that fit in, Kaiming's initialisation, batches of 32 and random shifts (``--flip``: and
mirroring). A fifth of train.txt is for validation; test.txt is read once a run, at the end, and chooses nothing.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from sklearn.model_selection import train_test_split
from torch import nn

from course_utils import (
    ImageDataset,
    ImageTxtDataset,
    count_parameters,
    evaluate,
    load_dataset,
    make_loader,
    seed_everything,
    train_epoch,
)
from course_utils.augmenting import RandomFlip, RandomShift
from course_utils.data import channel_statistics
from course_utils.decoding import decode_images


def _conv(channels_in: int, channels_out: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, size, stride=stride, padding=size // 2)


def _layer(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_conv(channels_in, channels_out, stride=stride), nn.BatchNorm2d(channels_out), nn.ReLU())


def alexnet(channels: int, classes: int, norm: Callable[[int], nn.Module] = nn.BatchNorm2d) -> nn.Module:
    """Return notebook 11's AlexNet."""
    return nn.Sequential(
        *(_conv(channels, 16, 5), norm(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(_conv(16, 32, 5), norm(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(_conv(32, 48), norm(48), nn.ReLU(), _conv(48, 32), norm(32), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.25), nn.LazyLinear(128), nn.ReLU(), nn.Linear(128, classes)),
    )


def tutorial(channels: int, classes: int) -> nn.Module:
    """Return the same without normalisation, as torchvision's AlexNet is."""
    return alexnet(channels, classes, nn.Identity)


def vgg(channels: int, classes: int) -> nn.Module:
    """Return notebook 11's VGG."""
    return nn.Sequential(
        *(_layer(channels, 12), _layer(12, 12), nn.MaxPool2d(2), _layer(12, 24), _layer(24, 24), nn.MaxPool2d(2)),
        *(_layer(24, 48), _layer(48, 48), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, classes)),
    )


class Block(nn.Module):
    """Two convolutions whose output is added to their input."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        last = _conv(channels_out, channels_out)
        self.main = nn.Sequential(_layer(channels_in, channels_out, stride), last, nn.BatchNorm2d(channels_out))
        same = stride == 1 and channels_in == channels_out
        self.shortcut = nn.Identity() if same else _conv(channels_in, channels_out, 1, stride)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the sum, after ReLU."""
        return torch.relu(self.main(images) + self.shortcut(images))


def resnet(channels: int, classes: int) -> nn.Module:
    """Return notebook 11's ResNet."""
    return nn.Sequential(
        *(_layer(channels, 20, 2), Block(20, 20), Block(20, 40, 2), Block(40, 80, 2)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(80, classes)),
    )


def kaiming(net: nn.Module) -> None:
    """Draw the weights of all convolutions as notebook 11 does."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)


NETWORKS = {"tutorial": tutorial, "AlexNet": alexnet, "VGG": vgg, "ResNet": resnet}
Parts = tuple[ImageDataset, ImageDataset, ImageDataset, ImageDataset]


def read(folder: Path, flip: bool) -> tuple[Parts, int]:
    """Return the training part plain and augmented, the validation and the test part, and the number of classes."""
    lists = [ImageTxtDataset(folder / f"{name}.txt", check="files") for name in ("train", "test")]
    pixels = [decode_images(files) for files in lists]
    labels = lists[0].labels
    train, val = train_test_split(torch.arange(len(labels)), test_size=0.2, random_state=42, stratify=labels)
    mean, std = channel_statistics(pixels[0][train])
    augment = nn.Sequential(RandomShift(3), RandomFlip()) if flip else RandomShift(3)
    parts = (
        ImageDataset(pixels[0][train], labels[train], mean=mean, std=std),
        ImageDataset(pixels[0][train], labels[train], mean=mean, std=std, augment=augment),
        ImageDataset(pixels[0][val], labels[val], mean=mean, std=std),
        ImageDataset(pixels[1], lists[1].labels, mean=mean, std=std),
    )
    return parts, int(labels.max()) + 1


def run(name: str, parts: Parts, classes: int, seconds: float, seed: int) -> tuple[float, float, int, float, int]:
    """Train one recipe; return validation and test accuracy, epochs, seconds of the processor and parameters."""
    plain, augmented, val, test = parts
    loss_fn = nn.CrossEntropyLoss()
    seed_everything(seed)
    simple = name == "tutorial"
    net = NETWORKS[name](plain.images.shape[1], classes)
    net.eval()(plain[0][0].unsqueeze(0))
    net = net.train().to(memory_format=torch.channels_last)
    loader = make_loader(plain if simple else augmented, batch_size=64 if simple else 32, shuffle=True, seed=seed)
    val_loader = make_loader(val, batch_size=256)
    optimizer: torch.optim.Optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    scheduler = None
    if not simple:
        kaiming(net)
        epochs = max(2, int(seconds / seconds_of_an_epoch(name, parts, classes)))
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.05)
        total = epochs * len(loader)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=total)
    started, done, accuracy = time.process_time(), 0, 0.0
    while time.process_time() - started < seconds if simple else done < epochs:
        train_epoch(net, loader, loss_fn, optimizer, scheduler=scheduler, progress=False)
        accuracy = evaluate(net, val_loader, loss_fn, progress=False).accuracy
        done += 1
    used = time.process_time() - started
    final = evaluate(net, make_loader(test, batch_size=256), loss_fn, progress=False).accuracy
    return accuracy, final, done, used, count_parameters(net)


def seconds_of_an_epoch(name: str, parts: Parts, classes: int) -> float:
    """Return how long an epoch with its validation takes, by training a copy for 20 batches."""
    net = NETWORKS[name](parts[0].images.shape[1], classes)
    net(torch.stack([parts[0][0][0]] * 2))
    net = net.to(memory_format=torch.channels_last)
    loss_fn, optimizer = nn.CrossEntropyLoss(), torch.optim.AdamW(net.parameters())
    loader = make_loader(parts[1], batch_size=32, shuffle=True)
    batches = [batch for _, batch in zip(range(3), loader, strict=False)]
    train_epoch(net, batches, loss_fn, optimizer, progress=False)  # warms up
    started = time.process_time()
    count = 0
    for batch in loader:
        train_epoch(net, [batch], loss_fn, optimizer, progress=False)
        count += 1
        if count == 20:
            break
    training = (time.process_time() - started) / count * len(loader)
    started = time.process_time()
    evaluate(net, make_loader(parts[2], batch_size=256), loss_fn, progress=False)
    return training + time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--flip", action="store_true", help="also mirror images at random: not for digits")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = options.folder or load_dataset("photo_digits").folder
    parts, classes = read(folder, options.flip)
    print(f"torch {torch.__version__}, {options.threads} threads, {options.seconds:g} s a run, {options.seeds} seeds")
    print(f"{len(parts[0])} training, {len(parts[2])} validation, {len(parts[3])} test images")
    print(f"{'':<10}{'validation':>12}{'test':>9}{'spread':>9}{'epochs':>8}{'seconds':>9}{'parameters':>12}")
    for name in NETWORKS:
        runs = [run(name, parts, classes, options.seconds, seed) for seed in range(options.seeds)]
        val, test, epochs, used = (statistics.mean(values) for values in list(zip(*runs, strict=True))[:4])
        spread = max(result[1] for result in runs) - min(result[1] for result in runs)
        print(
            f"{name:<10}{val:>12.1%}{test:>9.1%}{spread:>9.1%}{epochs:>8.0f}{used:>9.1f}{runs[0][4]:>12,}", flush=True
        )


if __name__ == "__main__":
    main()
