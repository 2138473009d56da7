"""What test_distributed.py runs under torchrun: each check compares two processes with one, or with each other.

python -m torch.distributed.run --standalone --nproc_per_node 2 -m tests.two_processes FOLDER
"""

import faulthandler
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, TensorDataset
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassF1Score

from course_utils import (
    EarlyStopping,
    NonFiniteLossError,
    WeightAverage,
    evaluate,
    fit,
    load_checkpoint,
    make_loader,
    predict,
    seed_everything,
    train_epoch,
)
from course_utils.checkpoints import CheckpointError, list_checkpoints
from course_utils.distributed import by_first, gather, rank
from course_utils.tensorboard import TensorBoard
from tests import elastic_worker
from tests.small_training import CLASSES, data, model

CLASS_WEIGHTS = torch.tensor([0.2, 1.0, 3.0, 0.5])


def train(net: nn.Module, loader: Any, epochs: int = 2, loss_fn: nn.Module | None = None, **options: Any) -> list[Any]:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    loss_fn = loss_fn or nn.CrossEntropyLoss()
    return [train_epoch(net, loader, loss_fn, optimizer, progress=False, **options) for _ in range(epochs)]


# 97 samples: the last batch of 16 has one, which only one of the processes gets.
STEPS: dict[str, tuple[int, dict[str, Any]]] = {
    "plain": (96, {}),
    "ragged": (103, {}),
    "one_sample_left": (97, {}),
    "accumulate": (103, {"accumulate": 3}),
    "accumulate_one_left": (97, {"accumulate": 2, "clip_norm": 0.5}),
    "weights": (103, {"loss_fn": nn.CrossEntropyLoss(weight=CLASS_WEIGHTS), "ignored": True}),
    "weights_accumulate": (
        103,
        {"loss_fn": nn.CrossEntropyLoss(weight=CLASS_WEIGHTS), "ignored": True, "accumulate": 3},
    ),
}


def run_steps(wrap: Any) -> dict[str, Any]:
    found = {}
    for name, (samples, options) in STEPS.items():
        options = dict(options)
        loader = make_loader(data(samples, ignored=options.pop("ignored", False)), batch_size=16, shuffle=True, seed=3)
        net = wrap(model())
        results = train(net, loader, **options)
        found[name] = ([p.detach().clone() for p in net.parameters()], results)
    return found


ALONE: dict[str, Any] = {}


def same(results: list[Any], expected: list[Any]) -> None:
    for one, other in zip(results, expected, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-5)
        assert one.accuracy == other.accuracy
        assert (one.samples, one.batches) == (other.samples, other.batches)


def check_two_processes_equal_one(folder: Path) -> None:
    for name, (weights, results) in run_steps(DistributedDataParallel).items():
        for ours, theirs in zip(weights, ALONE[name][0], strict=True):
            assert torch.allclose(ours, theirs, atol=2e-6, rtol=0), (name, (ours - theirs).abs().max())
        same(results, ALONE[name][1])


def check_sharded_equals_one(folder: Path) -> None:
    from torch.distributed.fsdp import fully_shard

    for name, (weights, results) in run_steps(lambda net: fully_shard(net)).items():
        for ours, theirs in zip(weights, ALONE[name][0], strict=True):
            assert torch.allclose(ours.full_tensor(), theirs, atol=2e-6, rtol=0), name
        same(results, ALONE[name][1])
    net = fully_shard(model())
    loader = make_loader(data(33), batch_size=16)
    assert evaluate(net, loader, nn.CrossEntropyLoss()).samples == 33
    assert torch.allclose(predict(net, loader).logits, predict(model(), loader).logits, atol=1e-6)


def check_compiled(folder: Path) -> None:
    net = torch.compile(DistributedDataParallel(model()), backend="eager")
    results = train(net, make_loader(data(97), batch_size=16, shuffle=True, seed=3))
    same(results, ALONE["one_sample_left"][1])


def check_results_count_each_sample_once(folder: Path) -> None:
    net = model(norm=True).eval()
    shared = DistributedDataParallel(net)
    whole = data(37)
    everything = DataLoader(whole, batch_size=5)
    inputs, targets = whole.tensors
    with torch.no_grad():
        logits = net(inputs)
    sampler = DistributedSampler(whole, shuffle=False)
    assert len(sampler) * 2 == 38  # one is there twice
    loss_fn = nn.CrossEntropyLoss()
    for loader in (
        make_loader(whole, batch_size=5),
        make_loader(whole, batch_size=36),  # one left
        make_loader(data(1), batch_size=5),
        DataLoader(whole, batch_size=6, sampler=sampler),
        DataLoader(whole, batch_size=5, sampler=DistributedSampler(whole, shuffle=False, drop_last=True)),
        everything,
    ):
        metrics = {
            "matrix": MulticlassConfusionMatrix(CLASSES),
            "f1": MulticlassF1Score(CLASSES, average="macro"),
        }
        order = list(range(37))
        if getattr(loader.sampler, "drop_last", False):
            order.remove(36)
        if len(loader.dataset) == 1:
            order = [0]
            expected_inputs, expected_targets = loader.dataset.tensors
            with torch.no_grad():
                expected = net(expected_inputs)
        else:
            expected, expected_targets = logits[order], targets[order]
        for each in (net, shared):
            result = evaluate(each, loader, loss_fn, metrics=metrics)
            assert result.samples == len(order)
            assert result.loss == pytest.approx(loss_fn(expected, expected_targets).item(), rel=1e-5)
            assert result.accuracy == pytest.approx((expected.argmax(1) == expected_targets).double().mean().item())
            for name, metric in metrics.items():
                alone = type(metric)(CLASSES, **({"average": "macro"} if name == "f1" else {}), sync_on_compute=False)
                alone.update(expected, expected_targets)
                assert torch.allclose(torch.tensor(result.metrics[name]).float(), alone.compute().float()), name
            rows = predict(each, loader)
            assert torch.allclose(rows.logits, expected, atol=1e-6)
            assert torch.equal(rows.targets, expected_targets)
    workers = make_loader(whole, batch_size=5, num_workers=1)
    assert evaluate(net, workers, loss_fn).loss == pytest.approx(loss_fn(logits, targets).item(), rel=1e-5)
    if rank() == 0:  # alone, with all of the data, it waits for nobody
        metrics = {"matrix": MulticlassConfusionMatrix(CLASSES)}
        assert evaluate(shared, everything, loss_fn, metrics=metrics).samples == 37
        assert predict(shared, everything).logits.shape == (37, CLASSES)


def check_training_with_a_distributed_sampler(folder: Path) -> None:
    whole = data(37)
    sampler = DistributedSampler(whole, shuffle=True)
    orders: list[list[int]] = []
    net = DistributedDataParallel(model())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    loader = DataLoader(whole, batch_size=8, sampler=sampler)

    def note(history: Any) -> None:
        orders.append(list(sampler))

    history = fit(
        net, loader, make_loader(whole), nn.CrossEntropyLoss(), optimizer, epochs=2, verbose=False, callbacks=[note]
    )
    assert [result.samples for result in history.train] == [37, 37]
    assert orders[0] != orders[1]  # fit tells the sampler which epoch it is
    whole_loader = DataLoader(whole, batch_size=8, shuffle=True)
    with pytest.raises(ValueError, match="Each of the 2 processes would train on all of the data"):
        train_epoch(net, whole_loader, nn.CrossEntropyLoss(), optimizer)


def check_statistics_of_batchnorm_are_shared(folder: Path) -> None:
    net = DistributedDataParallel(model(norm=True))
    train(net, make_loader(data(103), batch_size=32, shuffle=True))
    first, second = gather([buffer.tolist() for buffer in net.buffers()])
    assert first == second


class Stream(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """An own number of samples in each process."""

    divided = True

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        inputs, targets = data(40).tensors
        part = slice(0, 9) if rank() == 0 else slice(9, 40)
        yield from zip(inputs[part], targets[part], strict=True)


class OneRow(Stream):
    """Something for the first process alone."""

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        if rank() == 0:
            inputs, targets = data(1).tensors
            yield inputs[0], targets[0]


def check_streams_of_unequal_length(folder: Path) -> None:
    net = DistributedDataParallel(model())
    loader: Any = DataLoader(Stream(), batch_size=4)
    result = train(net, loader, epochs=1)[0]
    assert (result.samples, result.batches) == (40, 8)
    weights = gather([p.tolist() for p in net.parameters()])
    assert weights[0] == weights[1]
    assert evaluate(net, loader, nn.CrossEntropyLoss()).samples == 40
    with pytest.raises(ValueError, match="The samples of a stream have no common order"):
        predict(net, loader)


class Stop(Exception):
    pass


class Stopper:
    """Raises ``Stop`` after so many steps, or never."""

    def __init__(self, steps: int | None) -> None:
        self.left = steps

    def on_step(self, step: int, loss: torch.Tensor) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise Stop

    def __call__(self, history: Any) -> None:
        pass


def check_resumed_is_uninterrupted(folder: Path) -> None:
    def run(name: str, stop_after: int | None, resume: bool, every: int | None) -> tuple[Any, nn.Module]:
        net = DistributedDataParallel(model(dropout=True, norm=True))
        seed_everything(5 + rank())  # other units are dropped in each process
        assert len(set(gather(torch.rand(1).item()))) == 2
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
        metrics = {"f1": MulticlassF1Score(CLASSES, average="macro")}
        average = WeightAverage(net, decay=0.5)
        history = fit(
            net,
            make_loader(data(103), batch_size=16, shuffle=True, seed=1),
            make_loader(data(30, seed=1), batch_size=16),
            nn.CrossEntropyLoss(),
            optimizer,
            epochs=3,
            metrics=metrics,
            callbacks=[average, EarlyStopping(net, patience=5), Stopper(stop_after)],
            checkpoint_dir=folder / name,
            checkpoint_every=every,
            resume=resume,
            verbose=False,
        )
        return history, average.model

    whole, average = run("whole", None, False, None)
    for name, stop_after, every in (("between", 9, None), ("inside", 12, 2)):
        with pytest.raises(Stop):
            run(name, stop_after, False, every)
        dist.barrier()
        again, average_again = run(name, None, True, every)
        for part in ("train", "val"):
            for one, other in zip(getattr(whole, part), getattr(again, part), strict=True):
                assert (one.loss, one.accuracy, one.metrics) == (other.loss, other.accuracy, other.metrics), name
        for ours, theirs in zip(average.state_dict().values(), average_again.state_dict().values(), strict=True):
            assert torch.equal(ours, theirs), name
        last = list_checkpoints(folder / name)[-1]
        weights = load_checkpoint(last)["model"]
        model(dropout=True, norm=True).load_state_dict(weights)  # one process can use it
        expected = load_checkpoint(list_checkpoints(folder / "whole")[-1])["model"]
        assert all(torch.equal(weights[key], expected[key]) for key in expected)
        assert not list((folder / name).glob("*.part"))


def check_resumed_before_a_batch_that_only_one_process_has(folder: Path) -> None:
    """The last batch of 16 has one sample, of 97."""

    def run(name: str, last: int | None, resume: bool = False) -> nn.Module:
        net = DistributedDataParallel(model())
        fit(
            net,
            make_loader(data(97), batch_size=16, shuffle=True),
            make_loader(data(30, seed=1), batch_size=16),
            nn.CrossEntropyLoss(),
            torch.optim.SGD(net.parameters(), lr=0.1),
            epochs=2,
            callbacks=[Stopper(last)],
            checkpoint_dir=folder / name,
            checkpoint_every=6,
            resume=resume,
            verbose=False,
        )
        return net

    whole = run("lonely_whole", None)
    with pytest.raises(Stop):
        run("lonely", 7)
    dist.barrier()
    again = run("lonely", None, resume=True)
    assert all(map(torch.equal, whole.parameters(), again.parameters()))


def check_a_training_that_nobody_kills(folder: Path) -> None:
    elastic_worker.train(folder / "not_killed")  # test_distributed.py compares it with one that is killed


def check_errors_reach_all(folder: Path) -> None:
    loss_fn = nn.CrossEntropyLoss()
    inputs, targets = data(32).tensors
    broken = inputs.clone()
    broken[20] = float("nan")  # in the part of one process
    net = DistributedDataParallel(model())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    loader = make_loader(TensorDataset(broken, targets), batch_size=32)
    with pytest.raises(NonFiniteLossError, match="The loss is nan in batch 1"):
        evaluate(net, loader, loss_fn)
    with pytest.raises(NonFiniteLossError, match="The loss is nan in batch 1"):
        train_epoch(net, loader, loss_fn, optimizer, progress=False)
    file = folder / "a_file"
    by_first(file.touch)
    good = make_loader(data(32), batch_size=16)
    with pytest.raises(CheckpointError, match="Checkpoints cannot be written"):
        fit(net, good, good, loss_fn, optimizer, epochs=1, checkpoint_dir=file / "x", verbose=False)
    with pytest.raises(ValueError, match="batch_size is 1, but each of the 2 processes needs a sample of every batch"):
        make_loader(data(32), batch_size=1)
    from torch.distributed.fsdp import fully_shard

    sharded = fully_shard(model())
    optimizer = torch.optim.SGD(sharded.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="fit cannot write the checkpoints of a sharded model"):
        fit(sharded, good, good, loss_fn, optimizer, epochs=1, checkpoint_dir=folder / "sharded", verbose=False)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="Process 1 has no batch at all"):
        train_epoch(net, DataLoader(OneRow(), batch_size=4), loss_fn, optimizer, progress=False)
    padded = DataLoader(data(1), sampler=DistributedSampler(data(1), shuffle=False))
    with pytest.raises(ValueError, match="Process 1 has no batch at all"):
        train_epoch(net, padded, loss_fn, optimizer, progress=False)
    few = make_loader(data(1), batch_size=16)
    with pytest.raises(ValueError, match="Process 0 has no batch at all: use fewer processes"):
        train_epoch(net, few, loss_fn, optimizer, progress=False)


def check_tensorboard_is_written_once(folder: Path) -> None:
    net = DistributedDataParallel(model(norm=True))
    loader = make_loader(data(30, seed=1), batch_size=16)
    log = TensorBoard(folder / "log", net, val_loader=loader, class_names=list("abcd"), every=1, hparams={"a": 1})
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    train_loader = make_loader(data(103), batch_size=16, shuffle=True)
    fit(net, train_loader, loader, nn.CrossEntropyLoss(), optimizer, epochs=2, callbacks=[log], verbose=False)
    dist.barrier()
    assert len(list((folder / "log").glob("events*"))) == 1
    assert not (folder / "log-1").exists()


def main() -> None:
    folder = Path(sys.argv[1])
    faulthandler.dump_traceback_later(100, exit=True)  # where it waits, should it wait for ever
    ALONE.update(run_steps(lambda net: net))  # before the process group is there
    dist.init_process_group("gloo")
    for name, check in [(name, value) for name, value in globals().items() if name.startswith("check_")]:
        try:
            check(folder)
        except BaseException:
            (folder / f"{name}.{rank()}").write_text(traceback.format_exc())
            raise
        (folder / f"{name}.{rank()}").write_text("ok")
        dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
