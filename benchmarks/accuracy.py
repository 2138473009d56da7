"""Time to accuracy: the recipes of three tutorials as written, and the course's on the same data.

    python -m benchmarks.accuracy [--root FOLDER] [--images FOLDER] [--seeds 3] [--alexnet-images 320]

A recipe's time is that of the whole recipe, with reading the data and its look at the validation data after each epoch.
The course's is the time at which its validation accuracy first reaches what the recipe ends with, with the same things
in it. Small grey images get one thread, of which more would mostly wait, image files all cores.

FOLDER holds data sets as ``load_dataset`` keeps them, or image files with a list train.txt; without it the real ones
are taken where the course has downloaded them, else stand-ins.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from benchmarks.image_recipes import kaiming, resnet
from benchmarks.make_data import distorted_digits, write_idx
from benchmarks.report import Goal, Section, machine_line, number, save_figure, table
from course_utils import (
    ImageDataset,
    ImageTxtDataset,
    SmallCNN,
    fit,
    load_dataset,
    make_loader,
    make_loaders,
    seed_everything,
)
from course_utils.augmenting import RandomShift
from course_utils.data import READERS, channel_statistics, data_root
from course_utils.decoding import decode_images

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def processor_seconds() -> float:
    """Return the seconds of the processor of this process and of its workers that have ended."""
    return sum(os.times()[:4])


@dataclass
class Run:
    """A training: at which seconds, on the wall and of the processor, the validation accuracy was what."""

    seed: int
    points: list[tuple[float, float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        seed_everything(self.seed)
        self._wall, self._processor = time.perf_counter(), processor_seconds()

    def note(self, accuracy: float) -> None:
        """Note the accuracy now."""
        now = time.perf_counter() - self._wall, processor_seconds() - self._processor
        self.points.append((*now, accuracy))

    def reaching(self, accuracy: float) -> tuple[float, float, float]:
        """Return the first point with that accuracy, or infinite seconds."""
        return next((point for point in self.points if point[2] >= accuracy), (float("inf"), float("inf"), accuracy))


def split(labels: torch.Tensor) -> list[torch.Tensor]:
    """Return the indices of the training and the validation part, as ``load_dataset`` draws them."""
    parts: list[torch.Tensor] = train_test_split(
        torch.arange(len(labels)), test_size=0.2, random_state=42, stratify=labels
    )
    return parts


def tutorial(
    run: Run, model: nn.Module, train: Iterable[Any], val: Iterable[Any], optimizer: torch.optim.Optimizer, epochs: int
) -> None:
    """Train as the tutorials do, and look at the validation data after each epoch."""
    loss_fn = nn.CrossEntropyLoss()
    for _ in range(epochs):
        model.train()
        running_loss = 0.0
        for inputs, targets in train:
            loss = loss_fn(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        model.eval()
        correct, total = 0.0, 0
        with torch.no_grad():
            for inputs, targets in val:
                correct += (model(inputs).argmax(1) == targets).type(torch.float).sum().item()
                total += len(targets)
        run.note(correct / total)


def wide_mlp() -> nn.Module:
    """Return the network of the FashionMNIST tutorial."""
    layers = nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    return nn.Sequential(nn.Flatten(), *layers)


def simple_net() -> nn.Module:
    """Return the network of the MNIST tutorial."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


def fashion_recipe(seed: int, root: Path) -> Run:
    """FashionMNIST, 784-512-512-10, SGD 0.001, batches of 64, no shuffling, five epochs."""
    from torchvision import datasets, transforms

    run = Run(seed)
    data = datasets.FashionMNIST(root / "fashion_mnist_files", train=True, transform=transforms.ToTensor())
    train, val = (DataLoader(Subset(data, rows.tolist()), batch_size=64) for rows in split(data.targets))
    model = wide_mlp()
    tutorial(run, model, train, val, torch.optim.SGD(model.parameters(), lr=1e-3), 5)
    return run


def mnist_recipe(seed: int, root: Path) -> Run:
    """MNIST, 784-128-10, SGD 0.01 with momentum 0.9, batches of 64, two workers, ten epochs."""
    from torchvision import datasets, transforms

    run = Run(seed)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    data = datasets.MNIST(root / "mnist_files", train=True, transform=transform)
    rows, val_rows = (part.tolist() for part in split(data.targets))
    train = DataLoader(Subset(data, rows), batch_size=64, shuffle=True, num_workers=2)
    val = DataLoader(Subset(data, val_rows), batch_size=64, shuffle=False, num_workers=2)
    model = simple_net()
    tutorial(run, model, train, val, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9), 10)
    return run


class ListedImages(Dataset[Any]):
    """Images that a list names, opened by PIL each time, as the CIFAR-10 tutorial's class."""

    def __init__(self, listed: Path, transform: Callable[[Any], torch.Tensor]) -> None:
        lines = [line.rsplit(maxsplit=1) for line in listed.read_text(encoding="utf-8").splitlines()]
        self.images = [(listed.parent / name, int(label)) for name, label in lines]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        path, label = self.images[index]
        return self.transform(Image.open(path).convert("RGB")), label


def alexnet_recipe(seed: int, folder: Path, limit: int) -> Run:
    """Image files resized to 256x256, mirrored, AlexNet, SGD 0.01, batches of 64, ten epochs."""
    from torchvision import transforms
    from torchvision.models import alexnet

    run = Run(seed)
    last = [transforms.ToTensor(), transforms.Normalize(*IMAGENET)]
    resize = transforms.Resize((256, 256))
    train_data = ListedImages(
        folder / "train.txt", transforms.Compose([resize, transforms.RandomHorizontalFlip(), *last])
    )
    val_data = ListedImages(folder / "train.txt", transforms.Compose([resize, *last]))
    rows, val_rows = parts(torch.tensor([label for _, label in train_data.images]), limit)
    train = DataLoader(Subset(train_data, rows.tolist()), batch_size=64, shuffle=True)
    val = DataLoader(Subset(val_data, val_rows.tolist()), batch_size=64)
    model = alexnet(num_classes=10)
    tutorial(run, model, train, val, torch.optim.SGD(model.parameters(), lr=0.01), 10)
    return run


def parts(labels: torch.Tensor, limit: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first ``limit`` training rows and a quarter as many validation rows."""
    rows, val_rows = split(labels)
    return rows[:limit], val_rows[: max(1, limit // 4)]


def course(
    run: Run, model: nn.Module, train: DataLoader[Any], val: DataLoader[Any], rate: float, epochs: int, decay: float
) -> Run:
    """Train with AdamW and OneCycleLR, as notebooks 08 and 11 do."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=epochs * len(train))

    def note(history: Any) -> None:
        run.note(history.val[-1].accuracy)

    fit(
        model,
        train,
        val,
        nn.CrossEntropyLoss(),
        optimizer,
        epochs=epochs,
        scheduler=scheduler,
        callbacks=[note],
        verbose=False,
        progress=False,
    )
    return run


def course_grey(seed: int, root: Path, name: str, make: Callable[[], nn.Module], rate: float, epochs: int) -> Run:
    """Train on a data set of grey images, normalised by its own statistics, kept in memory as bytes."""
    run = Run(seed)
    loaders = make_loaders(load_dataset(name, root=root), batch_size=128, seed=seed)
    return course(run, make(), loaders.train, loaders.val, rate, epochs, 0.01)


def course_colour(seed: int, folder: Path, limit: int, epochs: int) -> Run:
    """Train notebook 11's ResNet on image files, decoded once at 32x32, normalised by their own statistics, shifted."""
    run = Run(seed)
    files = ImageTxtDataset(folder / "train.txt")
    images = decode_images(files, size=(32, 32))
    rows, val_rows = parts(files.labels, limit)
    mean, std = channel_statistics(images[rows])
    train = ImageDataset(images[rows], files.labels[rows], mean=mean, std=std, augment=RandomShift(3))
    val = ImageDataset(images[val_rows], files.labels[val_rows], mean=mean, std=std)
    loaders = make_loader(train, batch_size=32, shuffle=True, seed=seed), make_loader(val, batch_size=256)
    return course(run, small_resnet(), *loaders, 0.01, epochs, 0.05)


def small_resnet() -> nn.Module:
    """Return notebook 11's ResNet."""
    model = resnet(3, 10)
    model(torch.zeros(2, 3, 32, 32))
    kaiming(model)
    return model


Recipes = dict[str, list[Run]]


def compare(title: str, found: Recipes) -> tuple[str, list[float]]:
    """Return the table of one data set, its first row the tutorial's, and the ratios of the wall's seconds to that."""
    recipe = next(iter(found.values()))
    lines, ratios = [], []
    for name, runs in found.items():
        whole = runs is recipe
        ends = [run.points[-1] for run in runs]
        # Each run of the course against what the recipe ended with: for the same seed, where it has one.
        pairs = zip(runs, cycle(recipe), strict=False)
        reached = ends if whole else [run.reaching(end.points[-1][2]) for run, end in pairs]
        wall = statistics.median(point[0] for point in reached)
        ratios.append(wall / statistics.median(run.points[-1][0] for run in recipe))
        seconds = [point[0] for point in reached]
        lines.append(
            [
                name,
                f"{number(wall)} ({number(min(seconds))} to {number(max(seconds))})",
                number(statistics.median(point[1] for point in reached)),
                f"{ratios[-1]:.3f}",
                f"{statistics.median(end[2] for end in ends):.1%}",
                number(statistics.median(end[0] for end in ends)),
                str(len(runs)),
            ]
        )
    columns = [title, "s to the recipe's accuracy", "s of the processor", "x recipe", "accuracy at the end"]
    return table([*columns, "s to its own end", "seeds"], lines), ratios


def draw(found: dict[str, Recipes]) -> str:
    """Draw validation accuracy over seconds."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter, StrMethodFormatter

    plt.style.use("course_utils.course")
    figure, axes = plt.subplots(1, len(found), figsize=(8.6, 3.6), sharey=True)
    for axis, (title, recipes) in zip(axes, found.items(), strict=True):
        for place, runs in enumerate(recipes.values()):
            for run in runs:
                walls, _, accuracies = zip(*run.points, strict=True)
                axis.plot(walls, accuracies, f"C{place}", marker="o", markersize=3, linewidth=1)
        axis.set(title=title, xscale="log", xlabel="seconds (logarithmic)", ylim=(0, 1))
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("validation accuracy")
    axes[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    names = ("tutorial", "course, the tutorial's network (of image files: ResNet)", "course, SmallCNN")
    lines = [Line2D([], [], color=f"C{place}", marker="o", markersize=3) for place in range(len(names))]
    figure.legend(lines, names, loc="outside lower center", ncols=3, fontsize=8)
    alt = "Validation accuracy over seconds, for each data set: the course's runs beside the tutorials' recipes."
    return save_figure(figure, "accuracy", alt)


def prepare(root: Path | None, temporary: Path, counts: dict[str, int]) -> tuple[dict[str, Path], list[str]]:
    """Return a folder for each data set of grey images, and a sentence for each that is a stand-in."""
    folders, said = {}, []
    for number_, (name, count) in enumerate(counts.items()):
        folder = data_root(root)
        if not (folder / f"{name}_files").is_dir():
            folder = temporary / name
            test = distorted_digits(100, seed=number_ + 100)
            bold = name == "fashion_mnist"
            write_idx(folder / f"{name}_files", distorted_digits(count, seed=number_, bold=bold), test)
            said.append(
                f"{READERS[name]} is not downloaded: in its place {count:,} {'bold ' if bold else ''}distorted digits "
                "(make_data.py)."
            )
        folders[name] = folder
    return folders, said


def run(
    seeds: int = 3,
    fashion: int = 60_000,
    mnist: int = 12_000,
    alexnet_images: int = 320,
    root: Path | None = None,
    images: Path | None = None,
    epochs: int = 20,
) -> Section:
    with tempfile.TemporaryDirectory() as temporary:
        folders, said = prepare(root, Path(temporary), {"fashion_mnist": fashion, "mnist": mnist})
        colour = images or load_dataset("photo_digits").folder
        many, threads = range(seeds), torch.get_num_threads()
        torch.set_num_threads(1)
        found: dict[str, Recipes] = {}
        place = folders["fashion_mnist"]
        found["FashionMNIST"] = {
            "tutorial: 784-512-512-10, SGD 0.001, 5 epochs": [fashion_recipe(seed, place) for seed in many],
            "course, same network: 3 epochs": [
                course_grey(seed, place, "fashion_mnist", wide_mlp, 1e-3, 3) for seed in many
            ],
            "course, SmallCNN: 1 epoch": [
                course_grey(seed, place, "fashion_mnist", lambda: SmallCNN((1, 28, 28), 10), 1e-2, 1) for seed in many
            ],
        }
        place = folders["mnist"]
        found["MNIST"] = {
            "tutorial: 784-128-10, SGD 0.01, 10 epochs": [mnist_recipe(seed, place) for seed in many],
            "course, same network: 10 epochs": [
                course_grey(seed, place, "mnist", simple_net, 1e-2, 10) for seed in many
            ],
            "course, SmallCNN: 3 epochs": [
                course_grey(seed, place, "mnist", lambda: SmallCNN((1, 28, 28), 10), 1e-2, 3) for seed in many
            ],
        }
        torch.set_num_threads(threads)
        found["Image files"] = {
            "tutorial: AlexNet at 256x256, SGD 0.01, 10 epochs": [alexnet_recipe(0, colour, alexnet_images)],
            f"course, ResNet at 32x32, {epochs} epochs": [
                course_colour(seed, colour, alexnet_images, epochs) for seed in many
            ],
        }
    compared = {title: compare(title, recipes) for title, recipes in found.items()}
    recipe = next(iter(found["Image files"].values()))[0].points[-1]
    # The first row of the course's: on grey images its recipe with the tutorial's own network, so that no other network
    # explains the difference.
    goals = [
        Goal(
            "Time to the recipe's accuracy on FashionMNIST-like data, same network", compared["FashionMNIST"][1][1], 0.2
        ),
        Goal(
            "Time to the recipe's accuracy on CIFAR-like image files, ResNet",
            compared["Image files"][1][1],
            0.2,
            more=f"the recipe ends at {recipe[2]:.0%}, {'near' if recipe[2] < 0.2 else 'above'} the 10% of guessing",
        ),
    ]
    text = (
        f"{' '.join(said)} Image files: {alexnet_images} training images of {colour.name}. Validation data is a fifth "
        "of the training files, split as load_dataset splits them. Grey images with one thread, image files with all "
        "cores. In brackets the range over the seeds.\n\n"
        + "\n".join(text for text, _ in compared.values())
        + "\n"
        + draw(found)
    )
    return Section("Time to accuracy", text, goals, machine_line(torch.get_num_threads()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--alexnet-images", type=int, default=320)
    options = parser.parse_args()
    section = run(options.seeds, alexnet_images=options.alexnet_images, root=options.root, images=options.images)
    print(section.machine, section.text, *(goal.row() for goal in section.goals), sep="\n")


if __name__ == "__main__":
    main()
