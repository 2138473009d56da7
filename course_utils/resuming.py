"""Everything that decides how a training goes on: saved, and put back so that it ends in the very same weights."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from course_utils.checkpoints import (
    CheckpointError,
    add_name,
    checkpoint_name,
    latest_checkpoint,
    prepare_folder,
    remove_old,
    save_checkpoint,
)
from course_utils.distributed import by_first, gather, rank, unwrap, world_size
from course_utils.divided import largest, own_part
from course_utils.history import History
from course_utils.metrics import Metrics
from course_utils.progress import length
from course_utils.random_state import generators_of, random_state, set_random_state
from course_utils.totals import EpochResult, Totals
from course_utils.weights import check_weights


class Saver:
    """Saves a training of ``fit`` after each epoch and inside it, and takes it up again.

    Args:
        folder: where the checkpoints are kept; :func:`prepare_folder` says what can be wrong with it.
        parts: what has a ``state_dict``, by name; ``"model"`` and ``"optimizer"`` are among them.
        train_loader: the training data; its generator decides in which order it comes.
        val_loader: the validation data.
        metrics: the extra metrics, whose sums belong to a checkpoint inside an epoch.
        accumulate: how many batches make up one optimizer step.
        every: how many optimizer steps lie between two checkpoints inside an epoch; None for no such checkpoints.
        keep_last: how many checkpoints to keep.
        resume: whether checkpoints may be there already, to be taken up.
    """

    def __init__(
        self,
        folder: Path,
        *,
        parts: dict[str, Any],
        train_loader: Iterable[Any],
        val_loader: Iterable[Any],
        metrics: Metrics | None,
        accumulate: int,
        every: int | None,
        keep_last: int,
        resume: bool,
    ) -> None:
        by_first(lambda: prepare_folder(folder, resume=resume))
        loaders = (train_loader, val_loader)
        if any(getattr(loader, "persistent_workers", False) for loader in loaders):
            warnings.warn(
                "A loader has persistent_workers: their random numbers cannot be saved, so a resumed training repeats "
                "an uninterrupted one only without random augmentation; leave persistent_workers out.",
                stacklevel=3,  # the call of fit
            )
        named = dict(metrics.items()) if metrics is not None else {}
        for name, metric in named.items():
            if every is not None and not hasattr(metric, "load_state_dict"):
                raise ValueError(
                    f"The metric {name!r} has no state_dict and load_state_dict, so a checkpoint inside an epoch "
                    "cannot hold its sums: use one of torchmetrics, or leave out checkpoint_every."
                )
        self._folder = folder.absolute()  # the program may change its folder
        self._parts = {**parts, "model": unwrap(parts["model"])}  # so that one process can load it, too
        self._loader = train_loader
        self._every = every
        self._accumulate = accumulate
        self._keep_last = keep_last
        self._generators = generators_of(loaders)
        self._batches = largest(gather(length(train_loader)))
        # What must be the same when the training is taken up, apart from the model's weights.
        self._setup: dict[str, Any] = {name: type(part).__name__ for name, part in parts.items() if name != "model"}
        self._setup |= {
            "the number of batches": self._batches,
            "accumulate": accumulate,
            "the list of metrics": list(named),
            "the number of seeded generators": len(self._generators),
            "the number of processes": world_size(),
        }
        self._built_with = self._learning_rates()  # before schedulers and checkpoints changed them
        self._inside: dict[str, Any] | None = None  # the checkpoint inside an epoch that is being resumed

    def resume(self, history: History, epochs: int) -> str | None:
        """Put everything back as the last good checkpoint has it, fill ``history``, and return the file's name.

        None means that there is no checkpoint, and the training starts.

        Raises:
            CheckpointError: no checkpoint can be read, or the last one belongs to another training or is beyond
                ``epochs``. Nothing has been changed then.
        """
        found = by_first(lambda: latest_checkpoint(self._folder))
        if found is None:
            return None
        path, state = found
        if rank() > 0 and "other_processes" in state:
            state |= state["other_processes"][rank() - 1]
        self._check(path, state, epochs)
        reached = [float(group["lr"]) for group in state["optimizer"]["param_groups"]]
        if self._built_with not in (state["built_with"], reached):
            warnings.warn(
                f"The learning rate was {state['built_with']} when the training in {self._folder} began and is "
                f"{self._built_with} now: the checkpoint's is used. For another one, give another checkpoint_dir.",
                stacklevel=3,  # the call of fit
            )
        self._built_with = state["built_with"]
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        for parameter, learns in zip(self._parts["model"].parameters(), state["requires_grad"], strict=True):
            parameter.requires_grad_(learns)  # a callback may have thawed a layer
        for own, results in ((history.train, state["history"]["train"]), (history.val, state["history"]["val"])):
            own[:] = [EpochResult(**result) for result in results]
        history.learning_rates[:] = state["history"]["learning_rates"]
        history.stopped = state["history"]["stopped"]
        # Inside an epoch, too: its batches are read from the start again.
        for generator, saved in zip(self._generators, state["epoch_start"]["generators"], strict=True):
            generator.set_state(saved)
        set_random_state(state["epoch_start"]["random"])
        if state["batches"]:
            self._inside = state
        elif history.best_epoch == len(history):  # the program may have been killed before the file got this name
            by_first(lambda: add_name(path, "best.pt"))
        return path.name

    def begin_epoch(self, history: History, totals: Totals) -> tuple[Iterable[Any], Callable[[int, Any], None] | None]:
        """Return the batches to train on, and what to call after each optimizer step.

        The batches are all those of the training data, or the ones after the checkpoint that is being resumed; then
        ``totals`` gets the sums of those before it.
        """
        batches = self._loader
        epoch_start = self._random_numbers()
        if self._inside is not None:
            totals.load_state_dict(self._inside["totals"])
            batches = _Rest(batches, self._inside["batches"], self._inside["random"])
            self._inside = None
        every = self._every
        if every is None:
            return batches, None

        def save_inside(step: int, _loss: torch.Tensor) -> None:
            last = totals.batches == self._batches or totals.batches % self._accumulate != 0
            if step % every == 0 and not last:  # after the last step comes the checkpoint of the whole epoch
                state = {"totals": totals.state_dict(), "epoch_start": epoch_start, "random": random_state()}
                self._save(history, totals.batches, state)

        return batches, save_inside

    def save_epoch(self, history: History) -> None:
        """Save a checkpoint after an epoch, also under the name ``best.pt`` if the epoch is the best so far."""
        self._save(history, 0, {"epoch_start": self._random_numbers()})

    def _save(self, history: History, batches: int, more: dict[str, Any]) -> None:
        parts = {name: part.state_dict() for name, part in self._parts.items()}
        epoch = len(history)
        state = {**parts, "setup": self._setup, "history": asdict(history), "epoch": epoch, "batches": batches, **more}
        if world_size() > 1:  # each process has random numbers and sums of its own
            state["other_processes"] = gather(more)[1:]
        state["built_with"] = self._built_with
        state["requires_grad"] = [parameter.requires_grad for parameter in self._parts["model"].parameters()]
        best = batches == 0 and history.best_epoch == epoch
        by_first(lambda: self._write(self._folder / checkpoint_name(epoch, batches), state, best))

    def _write(self, path: Path, state: dict[str, Any], best: bool) -> None:
        save_checkpoint(path, state)
        if best:
            add_name(path, "best.pt")
        remove_old(self._folder, self._keep_last)

    def _learning_rates(self) -> list[float]:
        return [float(group["lr"]) for group in self._parts["optimizer"].param_groups]

    def _random_numbers(self) -> dict[str, Any]:
        return {"random": random_state(), "generators": [generator.get_state() for generator in self._generators]}

    def _check(self, path: Path, state: dict[str, Any], epochs: int) -> None:
        """Raise unless the checkpoint belongs to this training: before anything is changed."""
        if not {"model", "optimizer", "setup", "history", "epoch_start", "built_with"} <= state.keys():
            raise CheckpointError(
                f"{path} was not written by fit, so a training cannot be resumed from it: take it out of the folder, "
                "or give another checkpoint_dir."
            )
        check_weights(self._parts["model"], state["model"], path)
        there, here = state["setup"], self._setup
        for name in {**there, **here}:
            if there.get(name) != here.get(name):
                raise CheckpointError(
                    f"{path} belongs to another training: {name} was {there.get(name)} there and is {here.get(name)} "
                    "here; set up the same training, or give another checkpoint_dir."
                )
        groups = [len(group["params"]) for group in state["optimizer"]["param_groups"]]
        own = [len(group["params"]) for group in self._parts["optimizer"].param_groups]
        if groups != own:
            raise CheckpointError(
                f"{path} belongs to another training: the optimizer held {groups} parameters in its groups there and "
                f"holds {own} here; set up the same training, or give another checkpoint_dir."
            )
        reached = state["epoch"] + bool(state["batches"])
        if reached > epochs:
            raise CheckpointError(
                f"{path} is of epoch {reached}, but epochs is {epochs}: it counts all epochs, those before the "
                "interruption too; give at least as many."
            )


class _Rest:
    """The batches of ``loader`` after the first ``skip``.

    Those are read again and passed over: it is the only way to have the workers' random numbers, and those of any
    sampler, where they were. Before the first batch that counts, the global random numbers are set to ``random``.
    """

    def __init__(self, loader: Iterable[Any], skip: int, random: dict[str, Any]) -> None:
        self._loader = loader
        self._skip = skip
        self._random = random
        self.last: Any = None  # that was skipped

    @property
    def dataset(self) -> Any:
        return getattr(self._loader, "dataset", None)

    def __len__(self) -> int:  # for the progress bar, which starts after those that are skipped
        return len(self._loader)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        batches = iter(own_part(self._loader))
        for _ in range(self._skip):
            self.last = next(batches, self.last)
        set_random_state(self._random)
        yield from batches
