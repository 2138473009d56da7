"""train_epoch, evaluate and predict: exact numbers, the loop's order, the model's mode, and errors."""

import copy
import math
import pickle
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix, MulticlassF1Score

from course_utils import NonFiniteLossError, evaluate, predict, progress, totals, train_epoch
from course_utils.totals import Totals
from tests.conftest import Batches

CROSS_ENTROPY = nn.CrossEntropyLoss()


def make_model(dropout_p: float = 0.0) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout_p), nn.Linear(16, 3))


def sgd(model: nn.Module, lr: float = 0.1, momentum: float = 0.9) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)


def whole(batches: Batches) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.cat([inputs for inputs, _ in batches]), torch.cat([targets for _, targets in batches])


def assert_same_weights(a: nn.Module, b: nn.Module, **tolerance: float) -> None:
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        torch.testing.assert_close(
            x, y, msg=lambda m, name=name: f"{name}: {m}", **(tolerance or {"rtol": 0, "atol": 0})
        )


# Exact numbers


@pytest.mark.parametrize("size", [1, 7, 32, 75, 100])
def test_evaluate_equals_the_whole_set_in_one_batch(ragged: Batches, size: int) -> None:
    model = make_model().eval()
    inputs, targets = whole(ragged)
    with torch.no_grad():
        logits = model(inputs)
    result = evaluate(model, DataLoader(TensorDataset(inputs, targets), batch_size=size), CROSS_ENTROPY)
    assert result.loss == pytest.approx(CROSS_ENTROPY(logits, targets).item(), rel=1e-6)
    assert result.accuracy == (logits.argmax(1) == targets).sum().item() / 75
    assert (result.samples, result.batches) == (75, math.ceil(75 / size))
    assert result.seconds > 0


def test_the_mean_of_batch_means_would_be_wrong_here(ragged: Batches) -> None:
    """The data of these tests can tell the two apart."""
    model = make_model().eval()
    means = [CROSS_ENTROPY(model(inputs), targets).item() for inputs, targets in ragged]
    assert abs(sum(means) / 3 - evaluate(model, ragged, CROSS_ENTROPY).loss) > 0.1


@pytest.mark.parametrize(
    "loss_fn",
    [
        nn.CrossEntropyLoss(weight=torch.tensor([0.1, 1.0, 5.0])),
        nn.CrossEntropyLoss(weight=torch.tensor([0.1, 1.0, 5.0]), label_smoothing=0.1),
        nn.CrossEntropyLoss(ignore_index=1),
        nn.CrossEntropyLoss(weight=torch.tensor([0.1, 1.0, 5.0]), ignore_index=2),
        nn.CrossEntropyLoss(label_smoothing=0.1),
    ],
)
def test_loss_with_weights_and_ignored_labels_equals_the_whole_set(ragged: Batches, loss_fn: nn.Module) -> None:
    model = make_model().eval()
    inputs, targets = whole(ragged)
    expected = loss_fn(model(inputs), targets).item()
    assert evaluate(model, ragged, loss_fn).loss == pytest.approx(expected, rel=1e-5)


def test_sequences_with_padding_equal_the_whole_set() -> None:
    """Targets (batch, length) with -100 for padding, as for text."""
    model, inputs = nn.Conv1d(4, 5, 1), torch.randn(10, 4, 6)
    targets = torch.randint(0, 5, (10, 6))
    targets[:3, 2:] = -100
    batches = list(zip(inputs.split(3), targets.split(3), strict=True))
    expected = CROSS_ENTROPY(model(inputs), targets).item()
    assert evaluate(model, batches, CROSS_ENTROPY).loss == pytest.approx(expected, rel=1e-6)


def test_padding_is_no_wrong_answer() -> None:
    inputs = torch.eye(3).T.unsqueeze(0) * 9  # three positions, each surely of its own class
    targets = torch.tensor([[0, 1, -100]])
    assert evaluate(nn.Identity(), [(inputs, targets)], CROSS_ENTROPY).accuracy == 1.0


def test_accuracy_counts_the_same_targets_above_and_below() -> None:
    """Dense targets under a loss of one's own, and a padding class that the model answers."""
    outputs, targets = torch.randn(4, 3, 5, 5), torch.randint(0, 3, (4, 5, 5))
    right = (outputs.argmax(1) == targets).float().mean().item()
    own = evaluate(nn.Identity(), [(outputs, targets)], lambda o, t: nn.functional.cross_entropy(o, t))
    assert own.accuracy == pytest.approx(right)
    padded = evaluate(nn.Identity(), [(outputs, targets)], nn.CrossEntropyLoss(ignore_index=0))
    kept = targets != 0
    assert padded.accuracy == pytest.approx((outputs.argmax(1) == targets)[kept].float().mean().item())


def test_a_batch_without_a_target_that_counts(ragged: Batches) -> None:
    """Its own mean is nan; the whole set's is not."""
    inputs, targets = whole(ragged)
    targets[:10] = -100
    model = nn.Linear(8, 3)
    batches = list(zip(inputs.split(5), targets.split(5), strict=True))
    expected = CROSS_ENTROPY(model(inputs), targets).item()
    assert evaluate(model, batches, CROSS_ENTROPY).loss == pytest.approx(expected, rel=1e-6)
    assert math.isfinite(train_epoch(model, batches, CROSS_ENTROPY, sgd(model)).loss)


def test_outputs_in_the_shape_of_a_sequence_model() -> None:
    """(batch, length, classes), flattened by a loss of one's own: no accuracy, but the loss is right."""
    outputs, targets = torch.randn(4, 7, 11), torch.randint(0, 11, (4, 7))
    result = evaluate(
        nn.Identity(), [(outputs, targets)], lambda o, t: nn.functional.cross_entropy(o.flatten(0, 1), t.flatten())
    )
    assert math.isnan(result.accuracy)
    assert result.samples == 4


def test_one_output_answers_no_question_of_class() -> None:
    """A binary model with a loss of its own: the largest of one logit says nothing."""
    outputs, targets = torch.randn(6, 1), torch.tensor([0, 1, 0, 1, 1, 1])
    binary = nn.functional.binary_cross_entropy_with_logits
    result = evaluate(nn.Identity(), [(outputs, targets)], lambda o, t: binary(o.squeeze(1), t.float()))
    assert math.isnan(result.accuracy)


def test_labels_may_be_bytes() -> None:
    outputs, targets = torch.randn(500, 200), torch.randint(0, 200, (500,), dtype=torch.uint8)
    assert (targets == 156).any()  # which is -100 among bytes
    expected = CROSS_ENTROPY(outputs, targets.long()).item()
    batches = list(zip(outputs.split(30), targets.split(30), strict=True))
    assert evaluate(nn.Identity(), batches, CROSS_ENTROPY).loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("numbers", [1, 10, 1000])
def test_counting_some_batches_together_changes_nothing(
    ragged: Batches, monkeypatch: pytest.MonkeyPatch, numbers: int
) -> None:
    expected = evaluate(make_model(), ragged * 20, CROSS_ENTROPY)
    monkeypatch.setattr(totals, "NUMBERS_ASIDE", numbers)
    result = evaluate(make_model(), ragged * 20, CROSS_ENTROPY)
    assert (result.loss, result.accuracy) == (pytest.approx(expected.loss), expected.accuracy)


def test_class_probabilities_as_targets(ragged: Batches) -> None:
    model = make_model().eval()
    inputs, targets = whole(ragged)
    soft = nn.functional.one_hot(targets, 3).float() * 0.9 + 1 / 30
    batches = list(zip(inputs.split(32), soft.split(32), strict=True))
    result = evaluate(model, batches, CROSS_ENTROPY)
    assert result.loss == pytest.approx(CROSS_ENTROPY(model(inputs), soft).item(), rel=1e-6)
    assert math.isnan(result.accuracy)


def test_regression_has_no_accuracy(ragged: Batches) -> None:
    model = nn.Linear(8, 1)
    batches = [(inputs, inputs.sum(1, keepdim=True)) for inputs, _ in ragged]
    inputs, targets = whole(batches)
    result = evaluate(model, batches, nn.MSELoss())
    assert result.loss == pytest.approx(nn.MSELoss()(model(inputs), targets).item(), rel=1e-6)
    assert math.isnan(result.accuracy)


def test_training_reports_what_each_batch_gave_before_its_step(ragged: Batches) -> None:
    model, twin = make_model(), make_model()
    optimizer, sum_of_losses, right = sgd(twin), 0.0, 0
    for inputs, targets in ragged:
        optimizer.zero_grad()
        logits = twin(inputs)
        loss = CROSS_ENTROPY(logits, targets)
        loss.backward()
        optimizer.step()
        sum_of_losses += loss.item() * len(targets)
        right += int((logits.argmax(1) == targets).sum())
    result = train_epoch(model, ragged, CROSS_ENTROPY, sgd(model))
    assert result.loss == pytest.approx(sum_of_losses / 75, rel=1e-7)
    assert result.accuracy == right / 75


# The loop


def bare_loop(model: nn.Module, batches: Batches, optimizer: torch.optim.Optimizer, scheduler: Any) -> None:
    model.train()
    for inputs, targets in batches:
        optimizer.zero_grad()
        CROSS_ENTROPY(model(inputs), targets).backward()
        optimizer.step()
        scheduler.step()


def test_equals_a_bare_loop_with_dropout_and_a_scheduler(ragged: Batches) -> None:
    runs = []
    for train in (
        lambda model, optimizer, scheduler: bare_loop(model, ragged, optimizer, scheduler),
        lambda model, optimizer, scheduler: train_epoch(model, ragged, CROSS_ENTROPY, optimizer, scheduler=scheduler),
    ):
        model = make_model(dropout_p=0.5)
        optimizer = sgd(model)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)
        torch.manual_seed(5)
        for _ in range(3):
            train(model, optimizer, scheduler)
        runs.append((model, optimizer.param_groups[0]["lr"]))
    assert_same_weights(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1] == pytest.approx(0.1 * 0.1**4)


class Reads(TorchDispatchMode):
    """Counts how often a number is read from a tensor, which makes the processor wait for a GPU."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            Reads.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("steps", [1, 40])
def test_reads_from_the_device_once_an_epoch(ragged: Batches, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    model, lists = make_model(), []
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: lists.append(self.shape) or tolist(self))
    Reads.count = 0
    with Reads():
        train_epoch(model, ragged[:1] * steps, CROSS_ENTROPY, sgd(model))
        evaluate(model, ragged[:1] * steps, CROSS_ENTROPY)
    assert Reads.count == 0
    assert len(lists) == 2


@pytest.mark.parametrize("every", [1, 2, 3])
def test_reading_in_between_changes_nothing(ragged: Batches, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    expected = evaluate(make_model(), ragged, CROSS_ENTROPY)
    monkeypatch.setattr(totals, "BATCHES_ASIDE", 1)
    monkeypatch.setattr(totals, "READ_EVERY", every)
    result = evaluate(make_model(), ragged, CROSS_ENTROPY)
    assert (result.loss, result.accuracy) == (pytest.approx(expected.loss), expected.accuracy)


@pytest.mark.parametrize("accumulate", [2, 3, 5])
@pytest.mark.parametrize("loss_fn", [CROSS_ENTROPY, nn.CrossEntropyLoss(weight=torch.tensor([0.1, 1.0, 5.0]))])
def test_accumulation_equals_the_large_batch(ragged: Batches, accumulate: int, loss_fn: nn.Module) -> None:
    """Also where batches are uneven and the last group is short."""
    batches = [*ragged, (ragged[0][0][:5], ragged[0][1][:5])]
    large = [whole(batches[start : start + accumulate]) for start in range(0, len(batches), accumulate)]
    models = [nn.Linear(8, 3) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    train_epoch(models[0], batches, loss_fn, sgd(models[0]), accumulate=accumulate, clip_norm=1.0)
    train_epoch(models[1], large, loss_fn, sgd(models[1]), clip_norm=1.0)
    assert_same_weights(*models, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_a_step_without_a_target_that_counts_moves_nothing(ragged: Batches, accumulate: int) -> None:
    batches = [(inputs, targets.clone()) for inputs, targets in ragged]
    batches[-1][1][:] = -100  # with accumulate=2 a group of its own
    models = [nn.Linear(8, 3) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    results = [
        train_epoch(model, some, CROSS_ENTROPY, sgd(model, momentum=0), accumulate=accumulate)
        for model, some in zip(models, (batches, batches[:-1]), strict=True)
    ]
    assert_same_weights(*models, rtol=1e-6, atol=1e-7)
    assert results[0].loss == pytest.approx(results[1].loss)


def test_clipping_comes_between_backward_and_step(ragged: Batches) -> None:
    model = nn.Linear(8, 3)
    before = copy.deepcopy(model.state_dict())
    train_epoch(model, ragged[2:], CROSS_ENTROPY, sgd(model, lr=1.0, momentum=0), clip_norm=0.01)
    moved = torch.cat([(model.state_dict()[key] - before[key]).flatten() for key in before])
    assert moved.norm().item() == pytest.approx(0.01, rel=1e-3)


def test_bfloat16_is_close_to_float32(ragged: Batches) -> None:
    results = []
    for amp_dtype in (None, torch.bfloat16):
        model = make_model()
        result = train_epoch(model, ragged, CROSS_ENTROPY, sgd(model, lr=0.01), amp_dtype=amp_dtype)
        assert next(model.parameters()).dtype == torch.float32
        results.append((result.loss, evaluate(model, ragged, CROSS_ENTROPY, amp_dtype=amp_dtype).loss))
    assert results[1] == pytest.approx(results[0], rel=0.03)
    assert results[1] != results[0]


@pytest.mark.parametrize("loss_fn", [nn.MSELoss(), nn.L1Loss(), nn.HuberLoss(), nn.BCEWithLogitsLoss()])
def test_elementwise_losses_in_bfloat16(ragged: Batches, loss_fn: nn.Module) -> None:
    model = nn.Linear(8, 1)
    batches = [(inputs, targets.clamp(max=1).unsqueeze(1).float()) for inputs, targets in ragged]
    expected = evaluate(model, batches, loss_fn).loss
    assert evaluate(model, batches, loss_fn, amp_dtype=torch.bfloat16).loss == pytest.approx(expected, rel=0.03)
    train_epoch(model, batches, loss_fn, sgd(model), amp_dtype=torch.bfloat16)
    assert torch.isfinite(model.weight).all()


def test_scaler_changes_no_step_and_clipping_sees_true_gradients(ragged: Batches) -> None:
    models = [make_model(), make_model()]
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    train_epoch(models[0], ragged, CROSS_ENTROPY, sgd(models[0]), clip_norm=0.1)
    train_epoch(models[1], ragged, CROSS_ENTROPY, sgd(models[1]), clip_norm=0.1, scaler=scaler)
    assert_same_weights(*models, rtol=1e-4, atol=1e-6)


def test_accumulation_in_float16_leaves_out_no_step(ragged: Batches) -> None:
    """Gradients are not multiplied by the batch size on their way through float16."""
    model = nn.Linear(8, 3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    options: dict[str, Any] = {"amp_dtype": torch.float16, "scaler": scaler, "accumulate": 2}
    train_epoch(model, ragged[:2] * 10, CROSS_ENTROPY, sgd(model, lr=0.001), **options)
    assert scaler.get_scale() == 2.0**10


def test_the_scheduler_waits_for_a_step_that_the_scaler_left_out(ragged: Batches) -> None:
    model = nn.Linear(8, 3)
    optimizer = sgd(model)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)  # the first scaled gradients overflow
    batches = [(ragged[0][0] * 1e6, ragged[0][1])]
    train_epoch(model, batches, CROSS_ENTROPY, optimizer, scheduler=scheduler, scaler=scaler)
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_models_may_return_what_the_loss_wants(ragged: Batches) -> None:
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(8, 3), nn.Linear(8, 3)

        def forward(self, inputs: torch.Tensor) -> dict[str, Any]:
            return {"a": self.first(inputs), "b": self.second(inputs)}

    def both(outputs: dict[str, torch.Tensor], targets: torch.Tensor) -> torch.Tensor:
        return CROSS_ENTROPY(outputs["a"], targets) + CROSS_ENTROPY(outputs["b"], targets)

    model = TwoHeads()
    assert train_epoch(model, ragged, both, sgd(model)).samples == 75
    with pytest.raises(ValueError, match=r"returned a dict, but predict needs one tensor"):
        predict(model, ragged)


def test_on_step_is_called_after_each_optimizer_step_with_its_gradients(ragged: Batches) -> None:
    model, calls = make_model(), []

    def on_step(step: int, loss: torch.Tensor) -> None:
        assert not loss.requires_grad
        calls.append((step, next(model.parameters()).grad is not None))

    train_epoch(model, ragged, CROSS_ENTROPY, sgd(model), on_step=on_step)
    train_epoch(model, ragged, CROSS_ENTROPY, sgd(model), on_step=on_step, accumulate=2)
    assert calls == [(1, True), (2, True), (3, True), (1, True), (2, True)]


def test_inputs_may_be_dicts_and_tuples(ragged: Batches) -> None:
    class TakesDict(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 3)

        def forward(self, inputs: dict[str, Any]) -> Any:
            return self.layer(inputs["x"] + inputs["pair"][0])

    model = TakesDict()
    batches = [({"x": inputs, "pair": (inputs, "name")}, targets) for inputs, targets in ragged]
    assert train_epoch(model, batches, CROSS_ENTROPY, sgd(model)).samples == 75


# Metrics


def test_torchmetrics_objects_agree_and_can_be_used_again(ragged: Batches) -> None:
    model = make_model()
    metrics = {
        "accuracy": MulticlassAccuracy(num_classes=3, average="micro"),
        "f1": MulticlassF1Score(num_classes=3, average=None),
        "matrix": MulticlassConfusionMatrix(num_classes=3),
    }
    before = evaluate(model, ragged, CROSS_ENTROPY, metrics=metrics)
    trained = train_epoch(model, ragged, CROSS_ENTROPY, sgd(model), metrics=metrics)
    after = evaluate(model, ragged, CROSS_ENTROPY, metrics=metrics)
    for result in (before, trained, after):
        assert result.metrics["accuracy"] == pytest.approx(result.accuracy)
        assert len(result.metrics["f1"]) == 3
        assert sum(map(sum, result.metrics["matrix"])) == 75
    assert before.metrics["matrix"] != after.metrics["matrix"]


def test_a_metric_collection(ragged: Batches) -> None:
    collection = MetricCollection(
        {"accuracy": MulticlassAccuracy(num_classes=3, average="micro"), "f1": MulticlassF1Score(num_classes=3)}
    )
    for _ in range(2):
        result = evaluate(make_model(), ragged, CROSS_ENTROPY, metrics=collection)
        assert set(result.metrics) == {"accuracy", "f1"}
        assert result.metrics["accuracy"] == pytest.approx(result.accuracy)


# The model's mode


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("training", [True, False])
def test_everything_gets_its_own_mode_back(ragged: Batches, training: bool) -> None:
    model = make_model().train(training)
    model[1].train(not training)
    before = modes(model)
    evaluate(model, ragged, CROSS_ENTROPY)
    assert modes(model) == before
    predict(model, ragged)
    assert modes(model) == before
    train_epoch(model, ragged, CROSS_ENTROPY, sgd(model))
    assert modes(model) == before
    with pytest.raises(ValueError, match="no batches"):
        evaluate(model, [], CROSS_ENTROPY)
    assert modes(model) == before


def test_evaluation_leaves_batchnorm_alone_and_training_moves_it(ragged: Batches) -> None:
    model = make_model()
    mean = model[1].running_mean
    assert isinstance(mean, torch.Tensor)
    start = mean.clone()
    evaluate(model, ragged, CROSS_ENTROPY)
    assert torch.equal(mean, start)
    train_epoch(model, ragged, CROSS_ENTROPY, sgd(model))
    assert not torch.equal(mean, start)


def test_frozen_batchnorm_stays_frozen_in_training(ragged: Batches) -> None:
    model = make_model()
    mean = model[1].eval().running_mean
    assert isinstance(mean, torch.Tensor)
    train_epoch(model, ragged, CROSS_ENTROPY, sgd(model))
    assert torch.equal(mean, torch.zeros(16))


def test_what_a_model_keeps_from_an_evaluation_can_be_trained_with(ragged: Batches) -> None:
    class Remembers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.scale = nn.Linear(8, 3), None

        def forward(self, inputs: torch.Tensor) -> Any:
            if self.scale is None:
                self.scale = inputs.std(dim=0)
            return self.layer(inputs) * self.layer(self.scale)

    model = Remembers()
    evaluate(model, ragged, CROSS_ENTROPY)
    assert train_epoch(model, ragged, CROSS_ENTROPY, sgd(model)).samples == 75


# predict


def test_predictions_and_targets_are_of_one_pass(ragged: Batches) -> None:
    inputs, _ = whole(ragged)
    numbered = TensorDataset(inputs, torch.arange(75))
    model = make_model(dropout_p=0.5)
    logits, order = predict(model, DataLoader(numbered, batch_size=32, shuffle=True))
    assert not torch.equal(order, torch.arange(75))
    model.eval()
    torch.testing.assert_close(logits, model(inputs)[order])
    assert not logits.requires_grad


# The progress bar


def test_a_bar_is_drawn_only_when_an_epoch_takes_long(
    ragged: Batches, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TQDM_DISABLE")
    evaluate(make_model(), ragged, CROSS_ENTROPY)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(progress, "BAR_AFTER", 0.0)
    train_epoch(model := make_model(), ragged, CROSS_ENTROPY, sgd(model), epoch=3)
    assert "epoch 3" in capfd.readouterr().err
    evaluate(make_model(), ragged, CROSS_ENTROPY, progress=False)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    evaluate(make_model(), ragged, CROSS_ENTROPY)
    assert capfd.readouterr().err == ""


# Bad input


def train(model: nn.Module, loader: Iterable[Any], loss_fn: Any = CROSS_ENTROPY, **options: Any) -> None:
    train_epoch(model, loader, loss_fn, sgd(model), **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32, torch.bool])
@pytest.mark.parametrize("loss_fn", [CROSS_ENTROPY, nn.functional.cross_entropy])
def test_wrong_label_dtype(ragged: Batches, dtype: torch.dtype, loss_fn: Any) -> None:
    batches = [ragged[0], (ragged[1][0], ragged[1][1].to(dtype))]
    with pytest.raises(ValueError, match=rf"int64.* batch 2 of the epoch are {dtype}.*targets\.long\(\)"):
        train(make_model(), batches, loss_fn)


@pytest.mark.parametrize("label", [3, -1])
def test_label_out_of_range(ragged: Batches, label: int) -> None:
    inputs, targets = ragged[0][0], ragged[0][1].clone()
    targets[7] = label
    with pytest.raises(ValueError, match=f"a label {label} in batch 1 of the epoch, but .* 3 outputs.* from 0 to 2"):
        train(make_model(), [(inputs, targets)])
    with pytest.raises(ValueError, match=f"label {label}"):
        evaluate(make_model(), [(inputs, targets)], CROSS_ENTROPY)


def test_output_that_does_not_fit_the_loss(ragged: Batches) -> None:
    inputs, targets = ragged[0]
    with pytest.raises(ValueError, match=r"logits of shape \(batch, classes\).*\(32, 3, 1\)"):
        train(nn.Sequential(make_model(), nn.Unflatten(1, (3, 1))), [(inputs, targets)])
    with pytest.raises(ValueError, match="targets of shape"):
        train(nn.Sequential(make_model(), nn.Flatten(0)), [(inputs, targets)])
    with pytest.raises(ValueError, match=r"MSELoss compares.*\(32, 3\).*\(32,\).*squeeze"):
        train(make_model(), [(inputs, targets.float())], nn.MSELoss())
    with pytest.raises(ValueError, match=r"BCEWithLogitsLoss compares.*\(32, 1\)"):
        train(nn.Linear(8, 1), [(inputs, targets.float())], nn.BCEWithLogitsLoss())
    with pytest.raises(ValueError, match=r"outputs' dtype torch\.float32.*torch\.int64.*targets\.float\(\)"):
        train(nn.Linear(8, 1), [(inputs, targets.clamp_max(1).unsqueeze(1))], nn.BCEWithLogitsLoss())


def test_a_model_that_returns_a_tuple(ragged: Batches) -> None:
    with pytest.raises(ValueError, match=r"returned a tuple.*only the logits"):
        train(nn.LSTM(8, 3), ragged)


@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_a_loss_that_is_no_mean(ragged: Batches, reduction: str) -> None:
    with pytest.raises(ValueError, match=r"mean over the batch.*reduction='mean'"):
        train(make_model(), ragged, nn.CrossEntropyLoss(reduction=reduction))


def test_a_loss_that_is_no_tensor(ragged: Batches) -> None:
    with pytest.raises(ValueError, match=r"mean over the batch.* it returned float"):
        train(make_model(), ragged, lambda outputs, targets: CROSS_ENTROPY(outputs, targets).item())


def test_targets_of_another_dtype_are_refused_before_backward(ragged: Batches) -> None:
    inputs, _ = ragged[0]
    with pytest.raises(ValueError, match=r"HuberLoss needs targets of the outputs' dtype.*torch\.float64"):
        train(nn.Linear(8, 1), [(inputs, inputs[:, :1].double())], nn.HuberLoss())


def test_class_numbers_where_probabilities_belong(ragged: Batches) -> None:
    inputs, targets = ragged[0]
    one_hot = nn.functional.one_hot(targets, 3)
    with pytest.raises(ValueError, match=r"class numbers of shape \(batch,\).*argmax"):
        train(make_model(), [(inputs, one_hot)])
    with pytest.raises(ValueError, match="CrossEntropyLoss needs"):
        train(nn.Sequential(nn.Linear(8, 1), nn.Flatten(0)), [(inputs, inputs[:, 0])])


def test_a_metric_without_a_name(ragged: Batches) -> None:
    with pytest.raises(TypeError, match="MulticlassAccuracy: give each metric a name"):
        evaluate(make_model(), ragged, CROSS_ENTROPY, metrics=MulticlassAccuracy(num_classes=3))  # type: ignore[arg-type]


def test_errors_of_an_unknown_loss_are_left_as_they_are(ragged: Batches) -> None:
    def broken(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        raise ValueError("my own words")

    with pytest.raises(ValueError, match="my own words"):
        train(make_model(), ragged, broken)


def test_empty_and_used_up_loaders(ragged: Batches) -> None:
    empty = DataLoader(TensorDataset(torch.zeros(3, 8), torch.zeros(3)), batch_size=4, drop_last=True)
    with pytest.raises(ValueError, match=r"gave no batches.*drop_last.*used up"):
        train(make_model(), empty)
    once = iter(ragged)
    evaluate(make_model(), once, CROSS_ENTROPY)
    for use in (lambda: evaluate(make_model(), once, CROSS_ENTROPY), lambda: predict(make_model(), once)):
        with pytest.raises(ValueError, match="gave no batches"):
            use()


def test_tensors_that_are_filled_again(ragged: Batches) -> None:
    class SameOutput(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.output = make_model(), torch.empty(32, 3)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.layer(inputs)
            return logits if torch.is_grad_enabled() else self.output[: len(inputs)].copy_(logits)

    def filled_again() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        inputs, targets = torch.empty(32, 8), torch.empty(32, dtype=torch.int64)
        for batch_inputs, batch_targets in ragged:
            count = len(batch_targets)
            yield inputs[:count].copy_(batch_inputs), targets[:count].copy_(batch_targets)

    model = SameOutput().eval()
    results = [evaluate(model, batches, CROSS_ENTROPY) for batches in (filled_again(), ragged)]
    expected = evaluate(model.layer, ragged, CROSS_ENTROPY)
    for result in results:
        assert (result.loss, result.accuracy) == (expected.loss, expected.accuracy)
    logits, targets = predict(model, filled_again())
    assert torch.equal(logits, predict(model.layer, ragged).logits)
    assert torch.equal(targets, whole(ragged)[1])


def test_a_part_of_a_large_output_does_not_keep_the_rest(ragged: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    class LastStep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 300)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            steps: torch.Tensor = self.layer(inputs).view(-1, 100, 3)
            return steps[:, -1]

    kept: list[int] = []
    add = Totals.add

    def look(self: Totals, *given: Any) -> None:
        add(self, *given)
        kept.append(sum(outputs.untyped_storage().nbytes() for _, outputs, _ in self._aside))

    monkeypatch.setattr(Totals, "add", look)
    evaluate(LastStep(), ragged, CROSS_ENTROPY)
    assert max(kept) == 75 * 3 * 4


def test_a_model_that_returns_the_loss_itself(ragged: Batches) -> None:
    class WithLoss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 3)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.layer(inputs).square().mean()

    model = WithLoss()
    result = train_epoch(model, ragged, lambda outputs, targets: outputs, sgd(model))
    assert math.isfinite(result.loss)
    assert math.isnan(result.accuracy)


def test_targets_that_are_no_tensor(ragged: Batches) -> None:
    with pytest.raises(ValueError, match="The targets of batch 1 of the epoch are one ndarray, not a tensor"):
        train(make_model(), [(inputs, targets.numpy()) for inputs, targets in ragged])


def test_a_loader_that_gives_no_pairs(ragged: Batches) -> None:
    with pytest.raises(ValueError, match=r"Batch 1 of the epoch is a Tensor, not a pair.*\(inputs, targets\)"):
        train(make_model(), [inputs for inputs, _ in ragged])


def test_arguments_mixed_up(ragged: Batches) -> None:
    model = make_model()
    with pytest.raises(TypeError, match="order is model, loader, loss_fn, optimizer"):
        train_epoch(model, ragged, sgd(model), CROSS_ENTROPY)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"class CrossEntropyLoss: make one of it, with CrossEntropyLoss\(\)"):
        train(model, ragged, nn.CrossEntropyLoss)
    inputs, targets = whole(ragged)
    with pytest.raises(ValueError, match="not a tensor for a batch: give a DataLoader, not the data set itself"):
        train(model, TensorDataset(inputs, targets))


def test_model_and_optimizer_on_different_devices(ragged: Batches) -> None:
    model = make_model()
    optimizer = sgd(model)
    elsewhere = copy.deepcopy(model).to("meta")
    with pytest.raises(ValueError, match="model is on meta, but the optimizer's parameters are on cpu: move the model"):
        train_epoch(elsewhere, ragged, CROSS_ENTROPY, optimizer)
    with pytest.raises(ValueError, match="device is meta, but the model is on cpu"):
        evaluate(model, ragged, CROSS_ENTROPY, device="meta")


def test_an_optimizer_that_asks_for_the_loss_itself(ragged: Batches) -> None:
    model = make_model()
    with pytest.raises(TypeError, match="LBFGS computes a batch's loss several times a step"):
        train_epoch(model, ragged, CROSS_ENTROPY, torch.optim.LBFGS(model.parameters()))


def test_optimizer_of_another_model(ragged: Batches) -> None:
    with pytest.raises(ValueError, match="holds no parameter of this model"):
        train_epoch(make_model(), ragged, CROSS_ENTROPY, sgd(make_model()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulate": 0}, "accumulate is 0"),
        ({"clip_norm": 0.0}, r"clip_norm is 0\.0"),
        ({"amp_dtype": torch.float16}, "needs a scaler"),
        ({"amp_dtype": torch.float16, "scaler": torch.amp.GradScaler("cpu", enabled=False)}, r"GradScaler\('cpu'\)"),
    ],
)
def test_options_out_of_range(ragged: Batches, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(make_model(), ragged, **options)


def test_a_loss_that_is_not_finite_names_batch_and_learning_rate(ragged: Batches) -> None:
    model = make_model()
    optimizer = sgd(model)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    batches = [ragged[0], ragged[1], (ragged[2][0] * math.nan, ragged[2][1]), ragged[0]]
    with pytest.raises(NonFiniteLossError, match=r"nan in batch 3 of epoch 4, at learning rate 0\.025") as caught:
        train_epoch(model, batches, CROSS_ENTROPY, optimizer, scheduler=scheduler, epoch=4)
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.batch, error.where, error.learning_rate, str(error)) == (3, "epoch 4", 0.025, str(caught.value))
    with pytest.raises(NonFiniteLossError, match="batch 3 of the evaluation: look"):
        evaluate(make_model(), batches, CROSS_ENTROPY)


def test_a_loss_that_is_not_finite_is_found_when_sums_are_read(
    ragged: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an endless epoch, too, and with the right number."""
    monkeypatch.setattr(totals, "BATCHES_ASIDE", 2)
    monkeypatch.setattr(totals, "READ_EVERY", 2)
    seen = []

    def batches() -> Any:
        for number in range(1, 100):
            seen.append(number)
            yield ragged[0][0] * (math.nan if number == 5 else 1), ragged[0][1]

    with pytest.raises(NonFiniteLossError, match="batch 5"):
        train(make_model(), batches())
    assert len(seen) == 6


# On a GPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_gpu_agrees_with_cpu_and_refuses_bad_labels_before_they_get_there(ragged: Batches) -> None:
    model = make_model()
    on_gpu = copy.deepcopy(model).to("cuda")
    expected = evaluate(model, ragged, CROSS_ENTROPY)
    result = evaluate(on_gpu, ragged, CROSS_ENTROPY)
    assert (result.loss, result.accuracy) == (pytest.approx(expected.loss, rel=1e-4), expected.accuracy)
    with pytest.raises(ValueError, match="label 3"):
        train(on_gpu, [(ragged[0][0], torch.full((32,), 3))])
    scaler = torch.amp.GradScaler()
    train(on_gpu, ragged, amp_dtype=torch.float16, scaler=scaler)
    assert predict(on_gpu, ragged).logits.device.type == "cpu"
