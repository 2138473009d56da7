# mypy: disable-error-code="import-not-found"
# These libraries are in the environment of the benchmarks alone.
"""One training in each library, as its documentation shows it, with loss and accuracy counted over the epoch.

Each function trains for ``task.epochs`` epochs in one call and gives ``after_epoch`` the loss and the accuracy of each
epoch. Bars, logs, checkpoints and validation are off, as each library lets them be switched off.
"""

import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from course_utils import train_epoch

AfterEpoch = Callable[[float, float], None]
LEARNING_RATE, MOMENTUM, CLASSES = 0.001, 0.9, 10  # low, so that roundings of two libraries stay roundings


@dataclass
class Task:
    """A training: the model, what optimises it (the libraries that make their own make the same), and the batches."""

    model: nn.Module
    loader: Any
    epochs: int

    def __post_init__(self) -> None:
        self.loss_fn = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)


def bare(task: Task, after_epoch: AfterEpoch) -> None:
    """Count nothing."""
    model, loss_fn, optimizer = task.model, task.loss_fn, task.optimizer
    for _ in range(task.epochs):
        model.train()
        for inputs, targets in task.loader:
            optimizer.zero_grad()
            loss = loss_fn(model(inputs), targets)
            loss.backward()
            optimizer.step()
        after_epoch(float("nan"), float("nan"))


def tutorial(task: Task, after_epoch: AfterEpoch) -> None:
    """Read loss and right answers at every step, as most tutorials do."""
    model, loss_fn, optimizer = task.model, task.loss_fn, task.optimizer
    for _ in range(task.epochs):
        model.train()
        running_loss, correct, total = 0.0, 0, 0
        for inputs, targets in task.loader:
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = loss_fn(outputs, targets)
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * inputs.size(0)
            _, predicted = torch.max(outputs, 1)
            total += targets.size(0)
            correct += (predicted == targets).sum().item()
        after_epoch(running_loss / total, correct / total)


def course(task: Task, after_epoch: AfterEpoch) -> None:
    """Use ``course_utils.train_epoch``."""
    for _ in range(task.epochs):
        result = train_epoch(task.model, task.loader, task.loss_fn, task.optimizer, progress=False)
        after_epoch(result.loss, result.accuracy)


def ignite(task: Task, after_epoch: AfterEpoch) -> None:
    """https://docs.pytorch.org/ignite/generated/ignite.engine.create_supervised_trainer.html ."""
    from ignite.engine import Events, create_supervised_trainer
    from ignite.metrics import Accuracy, Average

    trainer = create_supervised_trainer(
        task.model,
        task.optimizer,
        task.loss_fn,
        output_transform=lambda _inputs, targets, outputs, loss: (outputs.detach(), targets, loss.detach()),
    )
    Accuracy(output_transform=lambda output: output[:2]).attach(trainer, "accuracy")
    Average(output_transform=lambda output: output[2]).attach(trainer, "loss")

    @trainer.on(Events.EPOCH_COMPLETED)  # type: ignore[untyped-decorator,unused-ignore]
    def _(engine: Any) -> None:
        after_epoch(engine.state.metrics["loss"], engine.state.metrics["accuracy"])

    trainer.run(task.loader, max_epochs=task.epochs)


def skorch(task: Task, after_epoch: AfterEpoch) -> None:
    """https://skorch.readthedocs.io/en/stable/callbacks.html, EpochScoring on the training data, from kept outputs."""
    from skorch import NeuralNetClassifier
    from skorch.callbacks import Callback, EpochScoring

    class Report(Callback):  # type: ignore[misc,unused-ignore]
        def on_epoch_end(self, net: Any, **_: Any) -> None:
            after_epoch(net.history[-1, "train_loss"], net.history[-1, "train_accuracy"])

    net = NeuralNetClassifier(
        task.model,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        lr=LEARNING_RATE,
        optimizer__momentum=MOMENTUM,
        max_epochs=task.epochs,
        iterator_train=lambda *_, **__: task.loader,
        train_split=None,
        classes=list(range(CLASSES)),
        callbacks=[("train_accuracy", EpochScoring("accuracy", on_train=True, name="train_accuracy")), Report()],
        verbose=0,
    )
    net.fit(task.loader.dataset, None)


def accelerate(task: Task, after_epoch: AfterEpoch) -> None:
    """https://huggingface.co/docs/accelerate/quicktour, with sums on the device as in its complete_cv_example.py."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model, optimizer, loader = accelerator.prepare(task.model, task.optimizer, task.loader)
    for _ in range(task.epochs):
        model.train()
        total_loss, correct, samples = torch.zeros(()), torch.zeros((), dtype=torch.int64), 0
        for inputs, targets in loader:
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = task.loss_fn(outputs, targets)
            accelerator.backward(loss)
            optimizer.step()
            total_loss += loss.detach() * len(targets)
            correct += (outputs.argmax(dim=-1) == targets).sum()
            samples += len(targets)
        after_epoch(total_loss.item() / samples, correct.item() / samples)


def lightning(task: Task, after_epoch: AfterEpoch, *, barebones: bool = False) -> None:
    """https://lightning.ai/docs/pytorch/stable/common/trainer.html: with self.log, or bare with sums of our own."""
    from lightning.pytorch import LightningModule, Trainer
    from torchmetrics.classification import MulticlassAccuracy

    class Module(LightningModule):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.model = task.model
            self.accuracy = MulticlassAccuracy(CLASSES, average="micro", validate_args=False)
            self.sums: list[Any] = []
            self.samples = 0

        def training_step(self, batch: Any, _index: int) -> torch.Tensor:
            inputs, targets = batch
            outputs = self.model(inputs)
            loss: torch.Tensor = task.loss_fn(outputs, targets)
            if barebones:  # logging is off
                right = (outputs.detach().argmax(1) == targets).sum()
                self.sums[:] = [a + b for a, b in zip(self.sums, (loss.detach() * len(targets), right), strict=True)]
                self.samples += len(targets)
            else:
                self.accuracy(outputs, targets)
                self.log("loss", loss, on_step=False, on_epoch=True)
                self.log("accuracy", self.accuracy, on_step=False, on_epoch=True)
            return loss

        def on_train_epoch_start(self) -> None:  # here, because what was logged is added up after the end
            if self.current_epoch > 0 and barebones:
                after_epoch(self.sums[0].item() / self.samples, self.sums[1].item() / self.samples)
            elif self.current_epoch > 0:
                found = self.trainer.callback_metrics
                after_epoch(found["loss"].item(), found["accuracy"].item())
            self.sums, self.samples = [0.0, 0], 0

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return task.optimizer

    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    options: dict[str, Any] = {"barebones": True} if barebones else off
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = Trainer(accelerator="cpu", devices=1, max_epochs=task.epochs + 1, **options)
    trainer.fit(Module(), task.loader)


def fastai(task: Task, after_epoch: AfterEpoch) -> None:
    """https://docs.fast.ai/examples/migrating_pytorch.html, with training metrics and without validation."""
    import fastai.callback.progress  # noqa: F401 (brings no_bar)
    from fastai.callback.core import Callback, CancelValidException
    from fastai.data.core import DataLoaders
    from fastai.learner import AvgLoss, Learner
    from fastai.metrics import accuracy
    from fastai.optimizer import OptimWrapper

    class Report(Callback):  # type: ignore[misc,unused-ignore]
        order = 60  # after the Recorder

        def before_validate(self) -> None:
            raise CancelValidException

        def after_epoch(self) -> None:
            after_epoch(*self.recorder.log[2:4])  # after the epoch's number and a smoothed loss

    learner = Learner(
        DataLoaders(task.loader, task.loader),
        task.model,
        loss_func=task.loss_fn,
        opt_func=partial(OptimWrapper, opt=torch.optim.SGD, momentum=MOMENTUM),
        lr=LEARNING_RATE,
        metrics=[AvgLoss(), accuracy],
        cbs=[Report()],
    )
    learner.recorder.train_metrics = True
    with learner.no_bar(), learner.no_logging():
        learner.fit(task.epochs)


def keras(task: Task, after_epoch: AfterEpoch) -> None:
    """https://keras.io/api/layers/backend_specific_layers/torch_module_wrapper/, compiled and fitted."""
    import keras

    shape = task.loader.dataset[0][0].shape
    model = keras.Sequential([keras.layers.Input(shape), keras.layers.TorchModuleWrapper(task.model)])
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=LEARNING_RATE, momentum=MOMENTUM),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    order = task.loader.generator.get_state()
    report = keras.callbacks.LambdaCallback(
        on_train_begin=lambda _: task.loader.generator.set_state(order),  # it has looked at a batch
        on_epoch_end=lambda _, logs: after_epoch(logs["loss"], logs["accuracy"]),
    )
    model.fit(task.loader, epochs=task.epochs, callbacks=[report], verbose=0)


# By name: the distribution, its module, and the function.
PEERS: dict[str, tuple[str, str, Callable[[Task, AfterEpoch], None]]] = {
    "ignite": ("pytorch-ignite", "ignite", ignite),
    "skorch": ("skorch", "skorch", skorch),
    "accelerate": ("accelerate", "accelerate", accelerate),
    "Lightning": ("lightning", "lightning", lightning),
    "Lightning, barebones": ("lightning", "lightning", partial(lightning, barebones=True)),
    "fastai": ("fastai", "fastai", fastai),
    "Keras on torch": ("keras", "keras", keras),
}


def installed() -> dict[str, Callable[[Task, AfterEpoch], None]]:
    """Return the peers that are installed, ready to be imported."""
    os.environ["KERAS_BACKEND"] = "torch"
    warnings.filterwarnings("ignore", module=r"lightning|fastai|torch\.jit|keras")
    return {name: train for name, (_, module, train) in PEERS.items() if find_spec(module) is not None}
