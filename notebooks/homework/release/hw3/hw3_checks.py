"""The checks of homework 3. Each tries an answer on data made from a seed, and raises AssertionError with a hint.

The first five are about the confusion matrix, the others look for one mistake of evaluate_wrong.py each, and for no
other: each makes data on which the other mistakes change nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from sklearn.metrics import _classification
from torch import nn

from course_utils import confusion, predicting
from course_utils.totals import Totals

Batches = list[tuple[torch.Tensor, torch.Tensor]]
Answer = Callable[..., Any]

TOLERANCE = 1e-6


def make_batches(seed: int, sizes: tuple[int, ...], classes: int, occurring: int | None = None) -> Batches:
    """Return batches of logits and targets; classes from ``occurring`` on neither occur nor are predicted."""
    numbers = torch.Generator().manual_seed(seed)
    logits = torch.randn(sum(sizes), classes, generator=numbers, dtype=torch.float64)
    logits[:, 0] += 0.5  # so that columns are not rows
    logits[:, occurring or classes :] -= 100
    targets = torch.randint(0, occurring or classes, (sum(sizes),), generator=numbers)
    return list(zip(logits.split(list(sizes)), targets.split(list(sizes)), strict=True))


def counts(confusion_matrix: Answer, seed: int = 0, classes: int = 4, sizes: tuple[int, ...] = (7, 4, 12, 1)) -> None:
    """Rows are true, columns are predicted, and every sample counts once."""
    for batch_sizes in ((classes, classes), sizes):
        batches = make_batches(seed, batch_sizes, classes)
        wanted, last = _matrix(batches, classes), _matrix(batches[-1:], classes)
        once = torch.zeros_like(wanted)
        for logits, targets in batches:
            once[targets, logits.argmax(dim=1)] += 1
        turned = [(logits.T if len(targets) == classes else logits, targets) for logits, targets in batches]
        columns = _matrix(turned, classes)
        matrix = _counted(confusion_matrix, batches, classes)
        assert matrix.dtype == torch.int64, f"the counts are {matrix.dtype}. Hint: int64, they are whole numbers."
        if torch.equal(matrix, wanted):
            continue
        for wrong, hint in (
            (wanted.T, "rows and columns are exchanged. Hint: matrix[true, predicted]"),
            (last, "that is the last batch alone. Hint: one matrix for all batches"),
            (
                once,
                "pairs that occur twice in a batch counted once, as += does at a place that is named twice. Hint: bincount",
            ),
            (columns, "those are the largest logits of each class, not of each sample. Hint: argmax(dim=1)"),
        ):
            assert not torch.equal(matrix, wrong), f"batches of {', '.join(map(str, batch_sizes))}: {hint}."
        raise AssertionError(
            f"batches of {', '.join(map(str, batch_sizes))}, {sum(batch_sizes)} samples: the matrix is "
            f"{matrix.tolist()}, not {wanted.tolist()}. Hint: one count for each sample."
        )


def all_classes(confusion_matrix: Answer, seed: int = 0, classes: int = 5, occurring: int = 3) -> None:
    """A class that neither occurs nor is predicted has its row and its column."""
    batches = make_batches(seed, (9, 9, 2), classes, occurring)
    matrix = _counted(confusion_matrix, batches, classes)
    assert int(matrix.sum()) == 20, f"{int(matrix.sum())} of 20 samples were counted. Hint: each of them once."
    unknown = matrix[occurring:].sum() + matrix[:, occurring:].sum()
    assert unknown == 0, f"classes from {occurring} on do not occur, and have counts. Hint: is class c in row c?"


def _matrix(batches: Batches, classes: int) -> torch.Tensor:
    logits, targets = (torch.cat(parts) for parts in zip(*batches, strict=True))
    names = [str(number) for number in range(classes)]
    return confusion.confusion_matrix(y_true=targets, y_pred=logits.argmax(dim=1), class_names=names)


def _counted(confusion_matrix: Answer, batches: Batches, classes: int) -> torch.Tensor:
    """Return the matrix of the answer, which gets batches that can only be looped over once."""
    with _by_hand():
        matrix = confusion_matrix(iter(batches), classes)
    assert isinstance(matrix, torch.Tensor), f"a {type(matrix).__name__} was returned. Hint: a tensor."
    assert matrix.shape == (classes, classes), (
        f"{classes} classes, and the matrix has shape {tuple(matrix.shape)}. Hint: a row and a column for every class, "
        "also for one that does not occur (bincount has minlength)."
    )
    return matrix


def make_matrix(seed: int, classes: int) -> torch.Tensor:
    """Return a confusion matrix in which every class occurs and is predicted."""
    matrix = torch.randint(1, 20, (classes, classes), generator=torch.Generator().manual_seed(seed))
    return matrix + torch.diag(torch.arange(classes) * 7)


def shares(class_figures: Answer, seed: int = 0, classes: int = 3) -> None:
    """Precision, recall and F1 of classes that all occur."""
    matrix = make_matrix(seed, classes)
    true_positives = matrix.diagonal().double()
    precision, recall = true_positives / matrix.sum(dim=0), true_positives / matrix.sum(dim=1)
    found = _figures(class_figures, matrix)
    if _apart(found[0], recall) < TOLERANCE and _apart(found[1], precision) < TOLERANCE:
        raise AssertionError("precision and recall are exchanged. Hint: precision divides by the sums of the columns.")
    wanted = {"precision": precision, "recall": recall, "F1": 2 / (1 / precision + 1 / recall)}
    for (name, values), value in zip(wanted.items(), found, strict=True):
        hint = {
            "precision": "right answers, divided by how often this answer was given",
            "recall": "right answers, divided by how often this class occurs",
            "F1": "the harmonic mean of precision and recall, for each class",
        }[name]
        assert _apart(value, values) < TOLERANCE, (
            f"matrix {matrix.tolist()}: {name} is {_rounded(value)}, not {_rounded(values)}. Hint: {hint}."
        )


def empty(class_figures: Answer, seed: int = 0, classes: int = 5) -> None:
    """One class is never predicted, one never occurs, one does neither."""
    for case, row, column in (
        ("is never predicted", False, True),
        ("does not occur", True, False),
        ("neither occurs nor is predicted", True, True),
    ):
        matrix = make_matrix(seed, classes)
        matrix[1] *= not row
        matrix[:, 1] *= not column
        found = _figures(class_figures, matrix)
        for name, values in zip(("precision", "recall", "F1"), found, strict=True):
            assert bool(values.isfinite().all()), (
                f"class 1 {case}, and its {name} is {float(values[1])}. Hint: 0 / 0 counts as 0 here."
            )
            assert abs(float(values[1])) < TOLERANCE, (
                f"class 1 {case}, and its {name} is {float(values[1]):.4f}. Hint: no answer about it was right."
            )
        right = 2 * matrix.diagonal() / (matrix.sum(dim=0) + matrix.sum(dim=1)).clamp_min(1)
        assert _apart(found[2], right) < TOLERANCE, (
            f"class 1 {case}: the F1 of the classes is {_rounded(found[2])}, not {_rounded(right)}. "
            "Hint: the others keep theirs."
        )


def _figures(class_figures: Answer, matrix: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the three tensors of the answer; the matrix must stay as it is."""
    given = matrix.clone()
    with _by_hand():
        found = class_figures(given)
    assert torch.equal(given, matrix), "the matrix was changed. Hint: work on a copy."
    assert isinstance(found, tuple) and len(found) == 3, "Hint: return precision, recall, f1."
    for value in found:
        assert isinstance(value, torch.Tensor) and value.shape == (len(matrix),), (
            f"{len(matrix)} classes: return three tensors with {len(matrix)} numbers each. "
            "Hint: one number for each class, no mean over them."
        )
    return tuple(value.double() for value in found)


def average(macro_f1: Answer, seed: int = 0, classes: int = 4) -> None:
    """The mean of F1 over the classes that occur."""
    for absent in (False, True):
        matrix = make_matrix(seed, classes)
        if absent:
            matrix[classes - 2] = 0
        f1 = 2 * matrix.diagonal().double() / (matrix.sum(dim=0) + matrix.sum(dim=1))
        support = matrix.sum(dim=1)
        right = float(f1[support > 0].mean())
        with _by_hand():
            found = macro_f1(matrix.clone())
        assert type(found) is float, f"a {type(found).__name__} was returned. Hint: a float, .item()."
        if abs(found - right) > TOLERANCE:
            for wrong, hint in (
                (float(f1.mean()), "a class that does not occur is in the mean. Hint: those with a row sum above 0"),
                (
                    float((f1 * support).sum() / support.sum()),
                    "that is the weighted mean. Hint: each class counts the same",
                ),
                (float(matrix.trace() / matrix.sum()), "that is the accuracy. Hint: the mean of the classes' F1"),
            ):
                assert abs(found - wrong) > TOLERANCE, f"macro F1 is {found:.6f}, not {right:.6f}: {hint}."
            raise AssertionError(f"macro F1 is {found:.6f}, not {right:.6f}. Hint: the mean of the classes' F1.")


def statistics(prepare: Answer, seed: int = 0, count: int = 40) -> None:
    """All parts are standardised with mean and standard deviation of the training part."""
    numbers = torch.Generator().manual_seed(seed)
    train, val, test = (
        torch.randint(low, high, (count, 1, 6, 6), generator=numbers, dtype=torch.uint8)
        for low, high in ((0, 120), (40, 200), (100, 256))
    )
    found = _prepared(prepare, train, val, test)
    others = {
        "validation": _prepared(prepare, train, 255 - val, test),
        "test": _prepared(prepare, train, val, test // 2),
    }
    for name, changed in others.items():
        assert torch.equal(changed[0], found[0]), (
            f"the {name} images were exchanged for others, and the training images changed. "
            "Hint: whose mean and standard deviation are these?"
        )
    mean, std = train.double().mean(), train.double().std()
    for name, part, images in zip(("training", "validation", "test"), (train, val, test), found, strict=True):
        own = (part.double() - part.double().mean()) / part.double().std()
        if _apart(images, (part - mean) / std) > 0.01:
            hint = "(images - mean) / std"
            if _apart(images, own) < 0.01:
                hint = "they have a mean and a standard deviation of their own; a model must see all parts the same way"
            raise AssertionError(
                f"the {name} images are not standardised with the mean and the standard deviation of the training "
                f"images. Hint: {hint}."
            )


def _prepared(prepare: Answer, *parts: torch.Tensor) -> list[torch.Tensor]:
    with _by_hand():
        found = list(prepare(*(part.clone() for part in parts)))
    assert [tuple(images.shape) for images in found] == [tuple(part.shape) for part in parts], (
        "the shapes are not those of the three parts. Hint: return the images of training, validation and test."
    )
    return found


def every_sample(make_loaders: Answer, seed: int = 0, count: int = 75, batch_size: int = 32) -> None:
    """Every validation and test sample is handed out."""
    sizes = {"training": 2 * count, "validation": count, "test": batch_size // 2}
    parts = [_numbered(size, seed) for size in sizes.values()]
    with _by_hand():
        loaders = list(make_loaders(*parts, batch_size))
    assert len(loaders) == 3, f"{len(loaders)} loaders were returned. Hint: train, val, test."
    for (name, size), (images, labels), loader in zip(sizes.items(), parts, loaders, strict=True):
        batches = list(loader)
        handed_out = [int(number) for inputs, _ in batches for number in inputs]
        targets = [target for _, batch in batches for target in batch.tolist()]
        stored = [int(number) for number in images]
        if name == "training":
            assert handed_out != stored[: len(handed_out)], (
                "the training samples come in the order they are stored in. Hint: shuffle=True."
            )
            assert len(set(handed_out)) > size - batch_size, (
                f"the training loader hands out {len(set(handed_out))} of {size} samples. Hint: all full batches."
            )
        else:
            assert sorted(handed_out) == sorted(stored), (
                f"the {name} loader hands out {len(handed_out)} of {size} samples, in batches of {batch_size}. "
                "Hint: what happens to a last batch that is not full?"
            )
        right = dict(zip(stored, labels.tolist(), strict=True))
        assert targets == [right[number] for number in handed_out], (
            f"the {name} loader hands out images with labels that are not theirs. Hint: TensorDataset keeps them together."
        )
        assert max([len(inputs) for inputs, _ in batches], default=0) <= batch_size, (
            f"the {name} loader has batches of more than {batch_size}. Hint: batch_size."
        )


def mode(evaluate: Answer, seed: int = 0) -> None:
    """Dropout and BatchNorm are in evaluation mode meanwhile, and the model gets its mode back."""
    for training in (True, False):
        model = _make_model(seed, dropout=0.5).train(training)
        seen: list[bool] = []
        for layer in model.children():
            layer.register_forward_hook(partial(_note_mode, seen))
        _evaluated(evaluate, model, _make_inputs(seed, (16, 8)))
        assert seen, "the model was not called. Hint: model(inputs)."
        assert not any(seen), (
            f"a model that came in {'training' if training else 'evaluation'} mode was measured with Dropout and BatchNorm "
            "in training mode. Hint: model.eval()."
        )
        assert model.training == training, (
            f"the model came in {'training' if training else 'evaluation'} mode and did not get it back. "
            "Hint: keep model.training before, model.train(that) afterwards, as predict does."
        )


def _note_mode(seen: list[bool], layer: nn.Module, _inputs: Any, _outputs: Any) -> None:
    seen.append(layer.training)


def graph(evaluate: Answer, seed: int = 0, batches: int = 3) -> None:
    """Nothing is kept for backward."""
    model = _make_model(seed)
    graphs: list[bool] = []

    def note(_model: nn.Module, _inputs: Any, outputs: torch.Tensor) -> None:
        graphs.append(outputs.requires_grad)

    model.register_forward_hook(note)
    found = _evaluated(evaluate, model, _make_inputs(seed, (8,) * batches))
    assert graphs, "the model was not called. Hint: model(inputs)."
    assert not any(graphs), (
        f"in {sum(graphs)} of {len(graphs)} batches the model's outputs carry a graph, which holds on to all that is "
        "needed for backward. Hint: torch.no_grad(), around the whole pass."
    )
    assert not any(isinstance(value, torch.Tensor) and value.requires_grad for value in found), "Hint: return floats."


def mean(evaluate: Answer, seed: int = 0, sizes: tuple[int, ...] = (32, 32, 11)) -> None:
    """Loss and accuracy are means over the samples, whatever the batches."""
    batches = _make_inputs(seed, sizes)
    losses: list[tuple[float, int]] = []
    outputs: list[torch.Tensor] = []

    def watched(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss = nn.functional.cross_entropy(logits, targets)
        losses.append((loss.item(), len(targets)))
        return loss

    model = _make_model(seed)
    model.register_forward_hook(lambda _model, _inputs, logits: outputs.append(logits.detach()))
    loss, accuracy = _evaluated(evaluate, model, batches, watched)
    for name, value in (("loss", loss), ("accuracy", accuracy)):
        assert type(value) is float, f"the {name} is a {type(value).__name__}, not a float. Hint: .item(), at the end."
    samples = sum(sizes)
    assert sum(size for _, size in losses) == samples, (
        f"loss_fn saw {sum(size for _, size in losses)} of {samples} samples. Hint: call it, once for each batch."
    )
    right = torch.cat(outputs).argmax(dim=1) == torch.cat([targets for _, targets in batches])
    by_batch = [float(part.double().mean()) for part in right.split(list(sizes))]
    exact = sum(value * size for value, size in losses) / samples
    for name, found, wanted, wrong in (
        ("loss", loss, exact, sum(value for value, _ in losses) / len(losses)),
        ("accuracy", accuracy, float(right.double().mean()), sum(by_batch) / len(by_batch)),
    ):
        hint = f"add up over the {samples} samples, divide once"
        if abs(found - wrong) < TOLERANCE:
            hint = "that is the mean of the batches' means, in which a sample of a short batch counts for more"
        elif abs(found - 100 * wanted) < TOLERANCE:
            hint = "a share from 0 to 1, not percent"
        assert abs(found - wanted) < TOLERANCE, (
            f"batches of {', '.join(map(str, sizes))}: the {name} is {found:.6f}, not {wanted:.6f}. Hint: {hint}."
        )


def loss_of_logits(evaluate: Answer, seed: int = 0, smoothing: float = 0.0) -> None:
    """The loss is that of the logits."""
    batches = _make_inputs(seed, (16, 16))
    model = _make_model(seed)
    loss_fn = nn.CrossEntropyLoss(label_smoothing=smoothing)
    with torch.no_grad():
        logits = model(torch.cat([inputs for inputs, _ in batches]))
    targets = torch.cat([batch for _, batch in batches])
    wanted, twice = (loss_fn(outputs, targets).item() for outputs in (logits, logits.softmax(dim=1)))
    loss, _ = _evaluated(evaluate, model, batches, loss_fn)
    hint = "loss_fn gets what the model returns"
    if abs(loss - twice) < TOLERANCE:
        hint = "CrossEntropyLoss applies softmax itself, and here it is applied twice"
    assert abs(loss - wanted) < TOLERANCE, f"the loss is {float(loss):.6f}, not {wanted:.6f}. Hint: {hint}."


def _evaluated(evaluate: Answer, model: nn.Module, batches: Batches, loss_fn: Any = None) -> tuple[Any, Any]:
    with _by_hand():
        found = evaluate(model, batches, loss_fn or nn.CrossEntropyLoss())
    assert isinstance(found, tuple) and len(found) == 2, "Hint: return loss, accuracy."
    return found


def pairs(predict: Answer, seed: int = 0, count: int = 45, batch_size: int = 8) -> None:
    """Each row of the logits stands beside its own target, whatever the order of the loader."""
    inputs, labels = _numbered(count, seed)
    loader = _Shuffled(inputs, labels, batch_size, seed)
    model = nn.Linear(1, 3).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0], [-1.0], [0.5]]))
        model.bias.zero_()
    with _by_hand():
        logits, targets = predict(model, loader)
    assert logits.shape == (count, 3) and targets.shape == (count,), (
        f"{count} samples, and the shapes are {tuple(logits.shape)} and {tuple(targets.shape)}. Hint: a row for each."
    )
    numbers, stored = logits[:, 0].round().int().tolist(), inputs[:, 0].int().tolist()
    assert sorted(numbers) == sorted(stored), "the logits are not those of the samples. Hint: each sample once."
    right = dict(zip(stored, labels.tolist(), strict=True))
    own = sum(right[number] == target for number, target in zip(numbers, targets.tolist(), strict=True))
    assert own == count, (
        f"only {own} of {count} targets belong to the logits beside them; this loader has another order in each pass. "
        "Hint: how many passes are there?"
    )


class _Shuffled:
    """A loader with another order in each pass, which no seed of the caller changes."""

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor, batch_size: int, seed: int) -> None:
        self._inputs, self._targets, self._batch_size = inputs, targets, batch_size
        self._numbers = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return -(-len(self._inputs) // self._batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = torch.randperm(len(self._inputs), generator=self._numbers)
        for rows in order.split(self._batch_size):
            yield self._inputs[rows], self._targets[rows]


def choice(train_and_test: Answer, seed: int = 0, epochs: int = 6) -> None:
    """Validation chooses the epoch, and the test part is looked at once."""
    numbers = torch.Generator().manual_seed(seed)
    levels = torch.arange(1, epochs + 1, dtype=torch.float64) / (epochs + 1)
    val = levels[torch.randperm(epochs, generator=numbers)]
    best = int(val.argmax()) + 1
    runs = []
    for peak in range(epochs):  # wherever the test accuracy has its maximum
        test = levels[torch.randperm(epochs, generator=numbers)]
        top = int(test.argmax())
        test[[peak, top]] = test[[top, peak]]
        runs.append((test, *_trained(train_and_test, val, test)))
    chosen = [epoch for _, epoch, *_ in runs]
    if chosen != [best] * epochs:
        hint = "the highest validation accuracy"
        if chosen == [int(test.argmax()) + 1 for test, *_ in runs]:
            hint = "that is always the best one on the test part, which must not choose"
        elif chosen == [best - 1] * epochs:
            hint = "epochs count from 1"
        raise AssertionError(
            f"validation accuracies {_rounded(val)}: in {epochs} trainings with other test accuracies, the epochs "
            f"{chosen} were chosen, not always {best}. Hint: {hint}."
        )
    for test, _, accuracy, looks, kept in runs:
        right = float(test[best - 1])
        assert abs(accuracy - right) < TOLERANCE, (
            f"epoch {best} was chosen, test accuracies {_rounded(test)}: {accuracy:.3f} was returned, not {right:.3f}. "
            "Hint: the test accuracy, of the weights of the chosen epoch."
        )
        assert looks == 1, (
            f"the test part was looked at {looks} times. Hint: once, when training and choosing are over."
        )
        assert kept == best, (
            f"the model is left with the weights of epoch {kept}, not of epoch {best}. Hint: load_state_dict."
        )


def _trained(train_and_test: Answer, val: torch.Tensor, test: torch.Tensor) -> tuple[int, float, int, int]:
    """Return the epoch and the accuracy of the answer, its looks at the test part, and whose weights it has kept.

    The model counts the epochs in its one weight.
    """
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    looks: list[str] = []

    def train_once() -> None:
        with torch.no_grad():
            model.weight += 1

    def accuracy_on(loader: str) -> float:
        looks.append(loader)
        epoch = int(model.weight)
        return float((val if loader == "val" else test)[epoch - 1]) if epoch else 0.0

    with _by_hand():
        epoch, accuracy = train_and_test(model, train_once, accuracy_on, "val", "test", len(val))
    return epoch, accuracy, looks.count("test"), int(model.weight)


def _numbered(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs (count, 1) that are numbers, each once, and a label for each."""
    numbers = torch.Generator().manual_seed(seed)
    inputs = torch.randperm(count, generator=numbers).double().unsqueeze(1) + 1
    return inputs, torch.randint(0, 10, (count,), generator=numbers)


def _make_inputs(seed: int, sizes: tuple[int, ...], features: int = 8, classes: int = 3) -> Batches:
    """Return batches of these sizes; the last one is another kind of data."""
    numbers = torch.Generator().manual_seed(seed)
    inputs = torch.randn(sum(sizes), features, generator=numbers, dtype=torch.float64)
    inputs[-sizes[-1] :] *= 5
    targets = torch.randint(0, classes, (sum(sizes),), generator=numbers)
    return list(zip(inputs.split(list(sizes)), targets.split(list(sizes)), strict=True))


def _make_model(seed: int, features: int = 8, classes: int = 3, dropout: float = 0.0) -> nn.Module:
    """Return a small network; with ``dropout`` it also has BatchNorm, and cares about its mode."""
    torch.manual_seed(seed)
    layers = [nn.Linear(features, 16), nn.ReLU()]
    if dropout:
        layers += [nn.BatchNorm1d(16), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(16, classes)).double()


@contextmanager
def _by_hand() -> Iterator[None]:
    """Let what course_utils and scikit-learn have for this refuse, by what all of their functions call."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the answer calls course_utils or scikit-learn. Hint: write it yourself.")

    called = (confusion, "_checked"), (predicting, "alone"), (Totals, "__init__"), (_classification, "_check_targets")
    with ExitStack() as stack:
        for owner, name in called:
            stack.enter_context(patch.object(owner, name, refuse))
        yield


def _apart(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Return the largest difference; infinite if one is no number."""
    value = float((found.double() - wanted).abs().max())
    return value if value == value else float("inf")


def _rounded(values: torch.Tensor) -> str:
    return str([round(value, 3) for value in values.tolist()])
