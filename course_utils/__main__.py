"""The notebooks' workflow as commands: ``python -m course_utils train | evaluate | predict | export | serve``."""

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from course_utils.bundles import ARCHITECTURES, DESCRIPTION, Bundle, Description, load_bundle, save_bundle
from course_utils.callbacks import EarlyStopping
from course_utils.data import READERS, load_dataset
from course_utils.device import get_device, seed_everything
from course_utils.distributed import by_first, rank, start_group, unwrap, world_size
from course_utils.exporting import export_bundle
from course_utils.fitting import fit
from course_utils.image_files import read_image
from course_utils.loaders import make_loader, make_loaders
from course_utils.models import count_parameters
from course_utils.prediction_log import PredictionLog
from course_utils.training import evaluate

OPTIMIZERS = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
EXAMPLES = """
examples:
  python -m course_utils train --epochs 5 --out runs/first
  python -m course_utils evaluate runs/first
  python -m course_utils predict runs/first digit.png other.png
  python -m course_utils export runs/first --to first.onnx
  python -m course_utils serve runs/first --port 8000
  torchrun --nproc_per_node 2 -m course_utils train --out runs/both
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 1 after a sentence on what is wrong."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ArithmeticError, OSError, RuntimeError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        again = " The same command with --resume goes on." if options.run is train else ""
        print(f"Stopped.{again}", file=sys.stderr)
        return 130
    return 0


def train(options: argparse.Namespace) -> None:
    """Train a model as notebook 00 does, and write it into a folder."""
    if (options.out / DESCRIPTION).exists() and not options.resume:
        raise FileExistsError(f"{options.out} holds a trained model: give another --out, or --resume to train on.")
    device, wrap = start_group(options.device)
    seed_everything(options.seed)
    data = load_dataset(options.dataset, seed=options.seed)
    loaders = make_loaders(data, batch_size=options.batch_size, seed=options.seed, num_workers=options.workers)
    settings = {"dropout_p": options.dropout}
    if options.model == "MLP":
        settings["hidden_dims"] = options.hidden_dims
    description = Description(
        architecture=options.model,
        options=settings,
        input_shape=data.input_shape,
        class_names=data.class_names,
        mean=data.mean,
        std=data.std,
        dataset=data.name,
        seed=options.seed,
    )
    model = wrap(description.build().to(device))
    if rank() > 0:
        seed_everything(options.seed + rank())  # dropout of its own; the weights are those of the first process
    extra = {"momentum": 0.9} if options.optimizer == "sgd" else {}
    optimizer = OPTIMIZERS[options.optimizer](
        model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay, **extra
    )
    say = print if rank() == 0 else lambda text: None
    say(f"{data.name}: {len(data.train)} training images, {len(data.val)} for validation")
    processes = "" if world_size() == 1 else f", {world_size()} processes"
    say(f"{options.model} with {count_parameters(model):,} parameters on {device}{processes}")
    history = fit(
        model,
        loaders.train,
        loaders.val,
        torch.nn.CrossEntropyLoss(),
        optimizer,
        epochs=options.epochs,
        callbacks=[EarlyStopping(model, patience=options.patience)] if options.patience else [],
        checkpoint_dir=options.out / "checkpoints",
        resume=options.resume,
    )
    result = history.val[history.best_epoch - 1] if options.patience else history.val[-1]
    metrics = {"validation accuracy": result.accuracy, "validation loss": result.loss}
    about = (
        f"The training part of load_dataset({data.name!r}, seed={options.seed}); the results are the validation part's."
    )
    limits = "Tested on images of the same source alone; what it says about others is a guess."
    bundle = Bundle(unwrap(model), description)
    by_first(lambda: save_bundle(options.out, bundle, data=about, metrics=metrics, limits=limits))
    say(f"Saved in {options.out}. Next: python -m course_utils evaluate {options.out}")


def evaluate_model(options: argparse.Namespace) -> None:
    """Evaluate a trained model on one part of the data it was trained for."""
    bundle = load_bundle(options.folder, device=options.device)
    data = load_dataset(bundle.description.dataset, seed=bundle.description.seed)
    part = data.test if options.part == "test" else data.val
    result = evaluate(bundle.model, make_loader(part, batch_size=options.batch_size), torch.nn.CrossEntropyLoss())
    print(f"{options.part} part of {data.name}: accuracy {result.accuracy:.4f}, loss {result.loss:.4f}", end=", ")
    print(f"{result.samples} images, {result.seconds:.2f} s")


def predict_images(options: argparse.Namespace) -> None:
    """Name what is on image files, as CSV: file, class, probability."""
    bundle = load_bundle(options.folder, device=options.device)
    names, shape = bundle.description.class_names, bundle.description.input_shape
    # All are read before the first row is written: a bad one leaves no half of a table.
    images = torch.stack([read_image(path, shape) for path in options.images])
    rows = torch.cat([bundle.logits(part) for part in images.split(256)]).softmax(dim=1)
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["file", "class", "probability"])
    for path, shares in zip(options.images, rows, strict=True):
        for number in shares.argsort(descending=True)[: options.top].tolist():
            table.writerow([path, names[number], f"{shares[number]:.4f}"])


def export(options: argparse.Namespace) -> None:
    """Write a trained model as one file for other programs."""
    kinds: dict[str, Literal["onnx", "pt2"]] = {".onnx": "onnx", ".pt2": "pt2"}
    if options.to.suffix not in kinds:
        raise ValueError(
            f"--to is {options.to}, but its name must end in .onnx (for other programs) or .pt2 (PyTorch)."
        )
    export_bundle(load_bundle(options.folder), options.to, kind=kinds[options.to.suffix])
    print(f"Wrote {options.to}: input 'inputs', output 'logits', batches of any size.")


def serve(options: argparse.Namespace) -> None:
    """Answer requests over HTTP until SIGTERM or Ctrl+C; what was begun is answered first."""
    from course_utils.service import Limits
    from course_utils.serving import run_service

    if options.folder is None:
        raise ValueError("No model is named: give its folder, or set COURSE_MODEL.")
    limits = Limits(
        body=options.max_body, batch=options.max_batch, wait=options.max_wait / 1000, seconds=options.timeout
    )
    log = PredictionLog(options.log, keep=options.log_keep) if options.log else None
    run_service(options.folder, limits, options.device, log, host=options.host, port=options.port)


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m course_utils",
        description="Train an image classifier, evaluate it, and use it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    command = commands.add_parser("train", help="train a model and write it into a folder", formatter_class=formatter)
    command.set_defaults(run=train)
    command.add_argument("--out", type=Path, required=True, help="folder for the model, its card and the checkpoints")
    command.add_argument("--dataset", choices=READERS, default="digits", help="digits needs no network")
    command.add_argument("--model", choices=ARCHITECTURES, default="SmallCNN", help="what is trained")
    command.add_argument("--hidden-dims", type=int, nargs="*", default=[128], help="widths of an MLP's hidden layers")
    command.add_argument("--dropout", type=float, default=0.0, help="probability of dropping a feature in training")
    command.add_argument("--epochs", type=_positive, default=5, help="passes over the training part")
    command.add_argument("--batch-size", type=_positive, default=64, help="images in a step")
    command.add_argument("--optimizer", choices=OPTIMIZERS, default="adamw", help="sgd has momentum 0.9")
    command.add_argument("--learning-rate", type=float, default=3e-3, help="step size of the optimizer")
    command.add_argument("--weight-decay", type=float, default=0.01, help="pull of the weights towards 0")
    command.add_argument("--patience", type=int, default=0, help="epochs without improvement before it stops; 0: never")
    command.add_argument("--seed", type=int, default=42, help="decides the split, the first weights and the order")
    command.add_argument("--workers", type=int, default=0, help="processes that read images")
    command.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")

    command = commands.add_parser("evaluate", help="accuracy and loss of a trained model", formatter_class=formatter)
    command.set_defaults(run=evaluate_model)
    command.add_argument("folder", type=Path, help="what train wrote")
    command.add_argument("--part", choices=("test", "val"), default="test", help="use test once, at the end")
    command.add_argument("--batch-size", type=_positive, default=64, help="images at a time")

    command = commands.add_parser("predict", help="name what is on image files", formatter_class=formatter)
    command.set_defaults(run=predict_images)
    command.add_argument("folder", type=Path, help="what train wrote")
    command.add_argument("images", nargs="+", help="PNG or JPEG files, in the colours of the training images")
    command.add_argument("--top", type=_positive, default=1, help="how many classes to name for each image")

    command = commands.add_parser("export", help="write a model as ONNX or .pt2", formatter_class=formatter)
    command.set_defaults(run=export)
    command.add_argument("folder", type=Path, help="what train wrote")
    command.add_argument("--to", type=Path, required=True, help="file to write: its name ends in .onnx or .pt2")

    command = commands.add_parser(
        "serve",
        help="answer requests over HTTP",
        description="POST /predict, GET /health, /model, /metrics and /docs. Settings may come from the environment.",
        formatter_class=formatter,
    )
    command.set_defaults(run=serve)
    command.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=os.environ.get("COURSE_MODEL"),
        help="what train wrote, or a folder of versions; COURSE_MODEL",
    )
    for name, kind, default, text in (
        ("host", str, "127.0.0.1", "where to listen; 0.0.0.0 for everybody"),
        ("port", int, 8000, "where to listen"),
        ("max-body", _positive, 4_000_000, "bytes in a request at most"),
        ("max-batch", _positive, 64, "samples in a request, and in a call of the model"),
        ("max-wait", float, 5.0, "milliseconds that a request waits for company; 0 for none"),
        ("timeout", float, 10.0, "seconds for reading a request, and for answering it"),
        ("log", Path, None, "SQLite file for inputs and predictions; by default nothing is kept"),
        ("log-keep", _positive, 100_000, "predictions that stay in the log"),
    ):
        variable = f"COURSE_{name.upper().replace('-', '_')}"
        value = os.environ.get(variable, default)
        command.add_argument(f"--{name}", type=kind, default=value, help=f"{text}; {variable}")

    for command in (command for name, command in commands.choices.items() if name != "export"):
        command.add_argument("--device", type=_device, default=get_device(), help="where to compute")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1")
    return int(text)


def _device(text: str) -> torch.device:
    try:
        return torch.empty(0, device=text).device
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise argparse.ArgumentTypeError(f"there is no device {text!r} here ({reason})") from error


if __name__ == "__main__":
    sys.exit(main())
