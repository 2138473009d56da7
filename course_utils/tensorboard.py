"""The log of a training for TensorBoard: a callback for ``fit``.

TensorBoard, scikit-learn and matplotlib are imported when they are first needed, not with this module.
"""

import math
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import RandomSampler

from course_utils.class_figures import add_classes
from course_utils.device import device_of, move_to
from course_utils.distributed import rank, unwrap
from course_utils.history import History
from course_utils.modes import modes_kept
from course_utils.predicting import predict
from course_utils.progress import length
from course_utils.random_state import generators_of, random_state, set_random_state

EVENTS = "events.out.tfevents.*"


class TensorBoard:
    """Writes what a training gives into ``folder``: ``fit(..., callbacks=[TensorBoard("runs/first", model)])``.

    After each epoch: loss, accuracy and extra metrics of both parts, the learning rate, the seconds, and the mean and
    largest norm of the gradients (as the optimizer got them: after ``clip_norm``). With ``val_loader``, once: the
    graph. With ``every``, too: precision, recall and F1 of each class, its precision-recall curve, the confusion matrix
    and the mistakes. When training has ended: ``hparams`` with the best epoch's result. The training does not notice.

    One folder is one run. The log of another training in ``folder`` is moved aside when a new one begins, to
    ``<folder>-1`` and so on; a training that ``fit`` resumes goes on with its curves, each epoch once. Look at them
    with ``tensorboard --logdir runs``. In a process group the first process writes.

    Args:
        folder: where to write; made if it is not there.
        model: the model that is trained.
        val_loader: the validation data, not shuffled.
        class_names: one name for each class.
        images: pictures for the grid of mistakes (samples, channels, height, width), in the order of ``val_loader``:
            ``data.val.images``. Without them there is no grid.
        every: how many epochs lie between two looks at the classes; 0 for none. With more than 20 classes, only the 20
            with the lowest F1 get a precision-recall curve.
        hparams: what this run is to be compared by, as names and numbers, strings, bools or None.

    Raises:
        ValueError: an argument is missing or does not fit the data: some at once, some when training begins.
        OSError: the folder cannot be written to, when training begins.
    """

    def __init__(
        self,
        folder: str | Path,
        model: nn.Module,
        *,
        val_loader: Iterable[Any] | None = None,
        class_names: Sequence[str] = (),
        images: torch.Tensor | None = None,
        every: int = 0,
        hparams: Mapping[str, Any] | None = None,
    ) -> None:
        if every < 0:
            raise ValueError(
                f"every is {every}, but it counts epochs: give 1 or more, or 0 for no look at the classes."
            )
        if every > 0 and (val_loader is None or not class_names):
            raise ValueError(
                "every asks for a look at the classes, which needs data and names: give val_loader and class_names."
            )
        if images is not None and isinstance(getattr(val_loader, "sampler", None), RandomSampler):
            raise ValueError(
                "val_loader shuffles, so images would stand beside the answers for others: give one in order."
            )
        self._hparams: dict[str, Any] = {}
        for name, value in (hparams or {}).items():
            plain = value.item() if hasattr(value, "item") else "None" if value is None else value
            if not isinstance(plain, (bool, int, float, str)):
                kind = type(value).__name__
                raise ValueError(
                    f"hparams[{name!r}] is a {kind}, which TensorBoard cannot compare: give a number or a str."
                )
            self._hparams[name] = plain
        self._folder, self._model, self._val_loader = Path(folder).absolute(), unwrap(model), val_loader
        self._names, self._images, self._every = list(class_names), images, every
        self._forget()

    def _forget(self) -> None:
        self._writer: Any = None
        self._epochs = 0  # those that are written
        self._graph = False
        self._norms: list[torch.Tensor] = []  # the sum, the largest, the number of the epoch's gradient norms

    def begin(self) -> None:
        """Begin a new log, and move another one in the folder aside."""
        if self._writer is not None:  # of a training that ended without a word
            self._writer.close()
        self._forget()
        if self._every and self._val_loader is not None:
            self._check_classes(self._val_loader)
        if rank() > 0:  # the first process writes
            return
        if others := sorted(self._folder.glob(EVENTS)):
            number = 1
            while (aside := self._folder.with_name(f"{self._folder.name}-{number}")).exists():
                number += 1
            aside.mkdir()
            for file in others:
                file.rename(aside / file.name)
        self._open()

    def on_step(self, step: int, loss: torch.Tensor) -> None:
        """Take the norm of all gradients together, without waiting for the device."""
        if rank() > 0:
            return
        gradients = [p.grad for p in self._model.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        finite = norm.isfinite()  # a GradScaler leaves out the others, and looks for a better scale
        norm = torch.where(finite, norm, 0)
        total, largest, count = self._norms or (torch.zeros_like(norm),) * 3
        self._norms = [total + norm, torch.maximum(largest, norm), count + finite]

    def __call__(self, history: History) -> None:
        """Write the last epoch of ``history``."""
        epoch, val_loader = len(history), self._val_loader
        rows = None
        if self._every and epoch % self._every == 0 and val_loader is not None:
            with self._unnoticed():  # every process gives its part of the rows
                rows = predict(self._model, val_loader, progress=False)
        if rank() > 0:
            self._epochs = epoch
            return
        writer = self._open()
        for part, result in (("train", history.train[-1]), ("val", history.val[-1])):
            values = {**result.metrics, "loss": result.loss, "accuracy": result.accuracy}
            for name, value in values.items():
                if not (name == "accuracy" and math.isnan(value)):  # as in regression
                    writer.add_scalar(f"{name}/{part}", value, epoch)
        writer.add_scalar("training/learning_rate", history.learning_rates[-1], epoch)
        writer.add_scalar("training/seconds", history.train[-1].seconds + history.val[-1].seconds, epoch)
        if self._norms:
            total, largest, count = torch.stack(self._norms).tolist()  # the one look at the device
            writer.add_scalar("gradient_norm/mean", total / max(count, 1), epoch)
            writer.add_scalar("gradient_norm/max", largest, epoch)
            self._norms = []
        if not self._graph and val_loader is not None:
            self._add_graph(writer, val_loader)
        if rows is not None:
            logits, targets = rows
            add_classes(writer, epoch, logits=logits, targets=targets, class_names=self._names, images=self._images)
        self._epochs = epoch
        writer.flush()  # before a checkpoint says that this epoch is done

    def finish(self, history: History) -> None:
        """Write the hyperparameters beside the result of the best epoch, and close the files."""
        if rank() > 0 or (self._writer is None and (not self._hparams or self._is_finished())):
            return  # nothing was trained: the run had been finished before
        writer = self._open()
        if self._hparams and len(history) > 0:
            best = history.val[history.best_epoch - 1]
            result = {"hparam/best_epoch": history.best_epoch, "hparam/val_loss": best.loss}
            result |= {} if math.isnan(best.accuracy) else {"hparam/val_accuracy": best.accuracy}
            self._add_hparams(writer, result, len(history))
        writer.close()
        self._writer = None

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs to go on with the curves."""
        return {"epochs": self._epochs, "graph": self._graph, "norms": [norm.cpu() for norm in self._norms]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on after the epoch that :meth:`state_dict` was called in; later ones are purged from the log."""
        device = device_of(self._model)
        self._epochs, self._graph = state["epochs"], state["graph"]
        self._norms = [norm.to(device) for norm in state["norms"]]

    def _check_classes(self, val_loader: Iterable[Any]) -> None:
        """Raise now what would end the training after its first epochs."""
        with self._unnoticed(), modes_kept(self._model), torch.no_grad():
            inputs, _ = next(iter(val_loader))
            logits = self._model.eval()(move_to(inputs, device_of(self._model)))
        count = len(self._names)
        if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or logits.shape[1] != count:
            shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
            raise ValueError(
                f"class_names has {count} names, but the model's output is {shape}, not (batch, {count}): give one "
                "name for each class, or leave out every."
            )
        samples = length(getattr(val_loader, "dataset", iter(())))
        if self._images is not None and samples not in (None, len(self._images)):
            raise ValueError(
                f"There are {len(self._images)} images for {samples} validation samples: give one for each."
            )

    def _open(self) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            while any(self._folder.glob(f"{EVENTS[:-1]}{int(time.time()):010d}.*")):
                time.sleep(0.05)  # files are read by name, and within one second names do not tell their order
            self._writer = SummaryWriter(self._folder, purge_step=self._epochs + 1)
            charts = {name: ["Multiline", [f"^{name}/"]] for name in ("loss", "accuracy", "gradient_norm")}
            charts |= {name: ["Multiline", [f"^{name}/"]] for name in ("precision", "recall", "f1") if self._every}
            self._writer.add_custom_scalars({"Together": charts})
        return self._writer

    def _is_finished(self) -> bool:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        return (
            self._folder.is_dir()
            and "hparam/val_loss" in EventAccumulator(str(self._folder)).Reload().Tags()["scalars"]
        )

    def _add_hparams(self, writer: Any, result: dict[str, Any], epoch: int) -> None:
        """Write what ``SummaryWriter.add_hparams`` writes, but into the run's own file: it would begin a second one."""
        from torch.utils.tensorboard.summary import hparams

        for summary in hparams(self._hparams, result):
            writer.file_writer.add_summary(summary, epoch)
        for tag, value in result.items():
            writer.add_scalar(tag, value, epoch)

    def _add_graph(self, writer: Any, val_loader: Iterable[Any]) -> None:
        self._graph, problem = True, ""
        device = device_of(self._model)
        with self._unnoticed(), modes_kept(self._model), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing speaks of itself
            inputs, _ = next(iter(val_loader))
            try:
                with redirect_stdout(StringIO()):  # SummaryWriter prints what it raises
                    writer.add_graph(self._model.eval(), (move_to(inputs, device),))
            except Exception as error:
                problem = " ".join(str(error).split())[:200]
        if problem:
            kind = type(self._model).__name__
            warnings.warn(f"The graph of {kind} is left out of the log, it cannot be traced: {problem}", stacklevel=4)

    @contextmanager
    def _unnoticed(self) -> Iterator[None]:
        """Leave the random numbers, those of the validation loader too, as they were."""
        generators = generators_of([self._val_loader] if self._val_loader is not None else [])
        random, states = random_state(), [generator.get_state() for generator in generators]
        try:
            yield
        finally:
            set_random_state(random)
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)
