"""The TensorBoard callback: what it writes is read back with TensorBoard's own reader."""

import math
import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.classification import MulticlassF1Score

from course_utils import EpochResult, History, fit, make_loader, predict
from course_utils.tensorboard import TensorBoard
from tests.test_training import CROSS_ENTROPY, assert_same_weights

NAMES = ("cat", "T-shirt/top", "a dog")
IMAGES = torch.randint(0, 255, (40, 1, 4, 4), dtype=torch.uint8)


@pytest.fixture(autouse=True)
def _no_figures_on_a_screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "show", None)
    yield
    assert not plt.get_fignums()  # every figure was closed


class Data(torch.utils.data.TensorDataset):
    """40 small images; each is drawn with noise from the global random numbers."""

    def __getitem__(self, index: int) -> Any:
        image, label = super().__getitem__(index)
        return image + 0.01 * torch.randn(()), label


def parts() -> tuple[nn.Module, Any, Any]:
    torch.manual_seed(5)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3))
    targets = torch.arange(40) % 3
    data = Data(torch.randn(40, 1, 4, 4) + targets.view(-1, 1, 1, 1), targets)
    return model, make_loader(data, batch_size=16, shuffle=True), make_loader(data, batch_size=16)


def train(folder: Path | None, *, epochs: int = 4, more: Any = (), **options: Any) -> tuple[nn.Module, History]:
    """Train a little model; ``fit`` gets what is no option of the callback."""
    model, train_loader, val_loader = parts()
    own = {"val_loader", "class_names", "images", "every", "hparams"}
    board = {name: options.pop(name) for name in own & options.keys()}
    if board.get("every"):
        board = {"val_loader": val_loader, "class_names": NAMES, **board}
    callbacks = [] if folder is None else [TensorBoard(folder, model, **board)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    options = {"epochs": epochs, "verbose": False, "progress": False, "callbacks": [*callbacks, *more], **options}
    return model, fit(model, train_loader, val_loader, CROSS_ENTROPY, optimizer, **options)


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0}).Reload()


def curve(folder: Path, tag: str) -> dict[int, float]:
    events = read(folder).Scalars(tag)
    assert len({event.step for event in events}) == len(events), f"{tag} holds a step twice"
    return {event.step: event.value for event in events}


def test_scalars_are_those_of_the_history(tmp_path: Path) -> None:
    metrics = {"macro_f1": MulticlassF1Score(num_classes=3)}
    _, history = train(tmp_path, metrics=metrics)
    columns = history.as_dict()
    tags = {"loss": "loss", "accuracy": "accuracy", "macro_f1": "macro_f1"}
    expected = {f"{tag}/{part}": columns[f"{part}_{name}"] for tag, name in tags.items() for part in ("train", "val")}
    expected |= {"training/learning_rate": columns["learning_rate"], "training/seconds": columns["seconds"]}
    for tag, values in expected.items():
        assert curve(tmp_path, tag) == pytest.approx(dict(enumerate(values, start=1)), rel=1e-6), tag
    more = {"gradient_norm/mean", "gradient_norm/max"}
    assert set(read(tmp_path).Tags()["scalars"]) == expected.keys() | more
    assert not read(tmp_path).Tags()["images"]
    assert not read(tmp_path).Tags()["graph"]


def test_gradient_norms_are_those_of_every_step(tmp_path: Path) -> None:
    norms: list[float] = []

    class Norms:
        def __init__(self, model: nn.Module) -> None:
            self.model = model

        def on_step(self, step: int, loss: torch.Tensor) -> None:
            norms.append(sum(float(p.grad.pow(2).sum()) for p in self.model.parameters() if p.grad is not None) ** 0.5)

        def __call__(self, history: History) -> None:
            pass

    model, train_loader, val_loader = parts()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    callbacks = [TensorBoard(tmp_path, model), Norms(model)]
    fit(model, train_loader, val_loader, CROSS_ENTROPY, optimizer, epochs=2, callbacks=callbacks, verbose=False)
    means = {1: sum(norms[:3]) / 3, 2: sum(norms[3:]) / 3}
    assert curve(tmp_path, "gradient_norm/mean") == pytest.approx(means, rel=1e-5)
    assert curve(tmp_path, "gradient_norm/max") == pytest.approx({1: max(norms[:3]), 2: max(norms[3:])}, rel=1e-5)


def test_classes_are_looked_at_only_in_the_epochs_asked_for(tmp_path: Path) -> None:
    from sklearn.metrics import precision_recall_fscore_support
    from tensorboard.util import tensor_util

    kept: list[Any] = []
    model, train_loader, val_loader = parts()
    val_loader = [(images.clone(), labels) for images, labels in val_loader]  # the same noise every time
    options = {"val_loader": val_loader, "class_names": NAMES, "images": IMAGES, "every": 2}
    board = TensorBoard(tmp_path, model, **options)
    callbacks = [board, lambda history: kept.append(predict(model, val_loader))]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    fit(model, train_loader, val_loader, CROSS_ENTROPY, optimizer, epochs=5, callbacks=callbacks, verbose=False)
    events = read(tmp_path)
    for epoch in (2, 4):
        logits, targets = kept[epoch - 1]
        scores = precision_recall_fscore_support(targets, logits.argmax(1), labels=range(3), zero_division=0)
        for kind, values in zip(("precision", "recall", "f1"), scores[:3], strict=True):
            for name, value in zip(NAMES, values, strict=True):
                found = curve(tmp_path, f"{kind}/{name}")
                assert list(found) == [2, 4]
                assert found[epoch] == pytest.approx(value)
        for number, name in enumerate(NAMES):
            event = next(event for event in events.Tensors(f"pr/{name}") if event.step == epoch)
            table = tensor_util.make_ndarray(event.tensor_proto)
            called = logits.softmax(1)[:, number] >= 0.5
            assert table[0, 63] == (called & (targets == number)).sum()
            assert table[1, 63] == (called & (targets != number)).sum()
    for tag in ("classes/confusion", "classes/mistakes"):
        assert [event.step for event in events.Images(tag)] == [2, 4]
        assert min(events.Images(tag)[0].width, events.Images(tag)[0].height) > 100
    assert events.Tags()["graph"]
    assert "Linear" in str(events.Graph())


def test_no_grid_without_images_and_one_without_mistakes(tmp_path: Path) -> None:
    train(tmp_path / "without", epochs=1, every=1)
    assert read(tmp_path / "without").Tags()["images"] == ["classes/confusion"]
    model, _, val_loader = parts()
    with torch.no_grad():
        perfect = [(inputs, model.eval()(inputs).argmax(1)) for inputs, _ in list(val_loader)]
    board = TensorBoard(tmp_path / "right", model, val_loader=perfect, class_names=NAMES, images=IMAGES, every=1)
    frozen = torch.optim.SGD(model.parameters(), lr=1e-12)
    model[2].momentum = 0.0
    fit(model, perfect, perfect, CROSS_ENTROPY, frozen, epochs=1, callbacks=[board], verbose=False)
    assert "classes/mistakes" in read(tmp_path / "right").Tags()["images"]


def test_the_training_does_not_notice(tmp_path: Path) -> None:
    logged, history = train(tmp_path, every=1, images=IMAGES, hparams={"lr": 0.1})
    plain, expected = train(None)
    assert_same_weights(logged, plain)
    assert [result.loss for result in history.val] == [result.loss for result in expected.val]
    assert logged.training == plain.training


def test_parts_keep_their_modes(tmp_path: Path) -> None:
    model, train_loader, val_loader = parts()
    model.train()
    model[2].eval()  # frozen statistics
    board = TensorBoard(tmp_path, model, val_loader=val_loader, class_names=NAMES, every=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    fit(model, train_loader, val_loader, CROSS_ENTROPY, optimizer, epochs=1, callbacks=[board], verbose=False)
    assert [module.training for module in model] == [True, True, False, True, True]


class Power(RuntimeError):
    """It fails."""


@pytest.mark.parametrize("where", ["after the log, before the checkpoint", "inside the epoch"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_resumed_run_has_the_events_of_an_uninterrupted_one(tmp_path: Path, where: str) -> None:
    class Fails:
        steps = 0

        def on_step(self, step: int, loss: torch.Tensor) -> None:
            self.steps += 1
            if where == "inside the epoch" and self.steps == 9:  # the last step of epoch 3
                raise Power

        def __call__(self, history: History) -> None:
            if where != "inside the epoch" and len(history) == 3:
                raise Power

    options = {"every": 2, "hparams": {"lr": 0.1}, "checkpoint_every": 1}
    train(tmp_path / "whole", checkpoint_dir=tmp_path / "whole_checkpoints", resume=True, **options)
    places = {"checkpoint_dir": tmp_path / "checkpoints", "resume": True}
    with pytest.raises(Power):
        train(tmp_path / "parts", more=[Fails()], **places, **options)
    train(tmp_path / "parts", **places, **options)
    train(tmp_path / "parts", **places, **options)  # it is finished already
    whole, resumed = read(tmp_path / "whole"), read(tmp_path / "parts")
    assert set(whole.Tags()["scalars"]) == set(resumed.Tags()["scalars"])
    for tag in whole.Tags()["scalars"]:
        first, second = curve(tmp_path / "whole", tag), curve(tmp_path / "parts", tag)
        if tag.startswith("hparam/"):  # the interruption has a result, too
            assert list(first.items()) == list(second.items())[-1:], tag
            continue
        assert list(first) == list(second), tag
        assert tag == "training/seconds" or first == second, tag
    for tag in ("pr/cat", "classes/confusion"):
        kind = "Tensors" if tag == "pr/cat" else "Images"
        assert [event.step for event in getattr(resumed, kind)(tag)] == [2, 4]
    assert resumed.Tags()["graph"]


def test_killed_before_the_end_is_written(tmp_path: Path) -> None:
    """All epochs have their checkpoints, but the hyperparameters are missing."""

    class Fails:
        power = False

        def __call__(self, history: History) -> None:
            pass

        def finish(self, history: History) -> None:
            if not self.power:
                raise Power

    model, train_loader, val_loader = parts()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    options = {"epochs": 2, "checkpoint_dir": tmp_path / "checkpoints", "resume": True, "verbose": False}

    def run(fails: Fails) -> None:
        callbacks = [fails, TensorBoard(tmp_path / "log", model, hparams={"lr": 0.1})]
        fit(model, train_loader, val_loader, CROSS_ENTROPY, optimizer, callbacks=callbacks, **options)

    fails = Fails()
    with pytest.raises(Power):
        run(fails)
    fails.power = True
    run(fails)
    assert list(curve(tmp_path / "log", "loss/val")) == [1, 2]
    assert list(curve(tmp_path / "log", "hparam/val_loss")) == [2]


def test_a_new_run_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    train(tmp_path, epochs=4)
    _, history = train(tmp_path, epochs=2)
    assert curve(tmp_path, "loss/val") == pytest.approx({n: r.loss for n, r in enumerate(history.val, start=1)})


def test_hyperparameters_stand_beside_the_best_epoch(tmp_path: Path) -> None:
    hparams = {"lr": 0.1, "layers": 2, "name": "mlp", "augment": False}
    _, history = train(tmp_path, hparams=hparams)
    best = history.val[history.best_epoch - 1]
    assert curve(tmp_path, "hparam/val_loss") == pytest.approx({4: best.loss})
    assert curve(tmp_path, "hparam/val_accuracy") == pytest.approx({4: best.accuracy})
    assert curve(tmp_path, "hparam/best_epoch") == {4: history.best_epoch}
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    metadata = read(tmp_path).summary_metadata["_hparams_/session_start_info"]
    written = HParamsPluginData.FromString(metadata.plugin_data.content).session_start_info.hparams
    assert set(written) == set(hparams)
    assert written["lr"].number_value == 0.1
    assert written["name"].string_value == "mlp"
    assert len(os.listdir(tmp_path)) == 1  # one run, one file


def test_regression_has_no_accuracy(tmp_path: Path) -> None:
    model = nn.Linear(3, 1)
    batches = [(torch.randn(8, 3), torch.randn(8, 1))]
    board = TensorBoard(tmp_path, model, val_loader=batches, hparams={"lr": 0.1})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    fit(model, batches, batches, nn.MSELoss(), optimizer, epochs=2, callbacks=[board], verbose=False)
    assert list(curve(tmp_path, "loss/train")) == [1, 2]
    assert not [tag for tag in read(tmp_path).Tags()["scalars"] if "accuracy" in tag]


class Untraceable(nn.Module):
    """Looks at its numbers while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if torch.jit.is_tracing():
            raise RuntimeError("I am watched")
        outputs: torch.Tensor = self.layer(inputs)
        return outputs


def test_a_model_that_cannot_be_traced_loses_only_its_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = Untraceable()
    batches = [(torch.randn(8, 3), torch.arange(8) % 2)]
    board = TensorBoard(tmp_path, model, val_loader=batches)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.warns(UserWarning, match=r"graph of Untraceable is left out .*: I am watched$"):
        fit(model, batches, batches, CROSS_ENTROPY, optimizer, epochs=2, callbacks=[board], verbose=False)
    assert list(curve(tmp_path, "loss/train")) == [1, 2]
    assert not read(tmp_path).Tags()["graph"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": -1}, "every is -1"),
        ({"every": 1}, "give val_loader and class_names"),
        ({"every": 1, "val_loader": [1]}, "give val_loader and class_names"),
        ({"hparams": {"layers": [1, 2]}}, r"hparams\['layers'\] is a list"),
        ({"images": IMAGES, "val_loader": make_loader(list(range(40)), shuffle=True)}, "val_loader shuffles"),  # type: ignore[arg-type]
    ],
)
def test_errors_are_one_sentence(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        TensorBoard(tmp_path, nn.Linear(1, 1), **options)
    assert str(error.value).count(". ") == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": NAMES[:2]}, r"class_names has 2 names, but the model's output is \(16, 3\), not \(batch, 2\)"),
        ({"class_names": [*NAMES, "more"]}, r"class_names has 4 names, but the model's output is \(16, 3\)"),
        ({"images": IMAGES[:39]}, "There are 39 images for 40 validation samples: give one for each"),
    ],
)
def test_what_does_not_fit_is_said_before_the_training(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    done: list[int] = []
    with pytest.raises(ValueError, match=message):
        train(tmp_path / "log", every=4, more=[lambda history: done.append(len(history))], **options)
    assert not done
    assert not (tmp_path / "log").exists()


def test_a_folder_that_cannot_be_one_is_said_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file")
    done: list[int] = []
    with pytest.raises(OSError, match="log"):
        train(tmp_path / "log", more=[lambda history: done.append(len(history))])
    assert not done


def test_another_training_in_the_folder_is_moved_aside(tmp_path: Path) -> None:
    for epochs in (4, 3, 2):
        train(tmp_path / "log", epochs=epochs, every=1, hparams={"epochs": epochs})
    for folder, epochs in (("log-1", 4), ("log-2", 3), ("log", 2)):
        for tag in ("loss/val", "f1/cat"):
            assert list(curve(tmp_path / folder, tag)) == list(range(1, epochs + 1))


@pytest.mark.parametrize("stopped", [False, True])
def test_the_same_object_in_a_second_training(tmp_path: Path, stopped: bool) -> None:
    model, train_loader, val_loader = parts()
    board = TensorBoard(tmp_path / "log", model, val_loader=val_loader)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    class Stop:
        def on_step(self, step: int, loss: torch.Tensor) -> None:
            if stopped and step == 2:
                raise KeyboardInterrupt

        def __call__(self, history: History) -> None:
            pass

    again: dict[str, Any] = {"epochs": 2, "verbose": False}
    with pytest.raises(KeyboardInterrupt) if stopped else nullcontext():
        fit(model, train_loader, val_loader, CROSS_ENTROPY, optimizer, callbacks=[board, Stop()], **again)
    fit(model, train_loader, val_loader, CROSS_ENTROPY, optimizer, callbacks=[board], **again)
    assert list(curve(tmp_path / "log", "loss/train")) == [1, 2]
    assert curve(tmp_path / "log", "gradient_norm/max").keys() == {1, 2}
    assert read(tmp_path / "log").Tags()["graph"]


def test_steps_that_a_scaler_leaves_out_do_not_count(tmp_path: Path) -> None:
    model = nn.Linear(2, 1)
    board = TensorBoard(tmp_path, model)
    board.begin()
    for value in (math.inf, 3.0, math.nan, 1.0):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        model.bias.grad = torch.tensor([value])
        board.on_step(1, torch.tensor(0.0))
    result = EpochResult(loss=1.0, accuracy=0.5, samples=1, batches=1, seconds=0.1, metrics={})
    board(History(train=[result], val=[result], learning_rates=[0.1]))
    assert curve(tmp_path, "gradient_norm/mean") == {1: 2.0}
    assert curve(tmp_path, "gradient_norm/max") == {1: 3.0}


class Both(nn.Module):
    """Takes two tensors in a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, pair: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        outputs: torch.Tensor = self.layer(pair[0] + pair[1])
        return outputs


def test_the_graph_of_a_model_that_takes_a_tuple(tmp_path: Path) -> None:
    model = Both()
    batches = [((torch.randn(8, 3), torch.randn(8, 3)), torch.arange(8) % 2)]
    board = TensorBoard(tmp_path, model, val_loader=batches)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    fit(model, batches, batches, CROSS_ENTROPY, optimizer, epochs=1, callbacks=[board], verbose=False)
    assert read(tmp_path).Tags()["graph"]


def test_many_classes_stay_small(tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(60)]
    model = nn.Linear(4, 60)
    batches = [(torch.randn(120, 4), torch.arange(120) % 60)]
    board = TensorBoard(tmp_path, model, val_loader=batches, class_names=names, every=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    fit(model, batches, batches, CROSS_ENTROPY, optimizer, epochs=1, callbacks=[board], verbose=False)
    tags = read(tmp_path).Tags()
    assert sum(tag.startswith("pr/") for tag in tags["tensors"]) == 20
    assert sum(tag.startswith("f1/") for tag in tags["scalars"]) == 60
    (image,) = read(tmp_path).Images("classes/confusion")
    assert image.width < 2000  # 16 inches, at the dots per inch of the style in use


def test_hyperparameters_of_other_kinds(tmp_path: Path) -> None:
    train(tmp_path, epochs=1, hparams={"lr": np.float32(0.5), "layers": torch.tensor(3), "schedule": None})
    assert "hparam/val_loss" in read(tmp_path).Tags()["scalars"]
