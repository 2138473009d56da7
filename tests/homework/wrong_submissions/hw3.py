"""Wrong submissions of homework 3, and its eight bugs in all the ways in which some of them can be left."""

import ast

from tests.homework.wrong_submissions import Submission
from tools.homework import HOMEWORK

SCRIPT = (HOMEWORK / "source" / "hw3" / "evaluate_wrong.py").read_text(encoding="utf-8")
AS_IT_WAS: dict[str, str | None] = {
    node.name: ast.get_source_segment(SCRIPT, node)
    for node in ast.parse(SCRIPT).body
    if isinstance(node, ast.FunctionDef) and node.name != "main"
}

EVALUATE = """
def evaluate(model, loader, loss_fn):
    loss_sum, right, samples = 0.0, 0.0, 0
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for inputs, targets in loader:
            logits = model(inputs)
            weight = len(targets)
            loss_sum += weight * loss_fn(logits, targets)
            right += weight * (logits.argmax(dim=1) == targets).double().mean()
            samples += weight
    model.train(was_training)
    return loss_sum.item() / samples, right.item() / samples
"""
# What each bug is, by the test that finds it: the function in which it was left, or what is changed in evaluate.
LEFT = {"statistics": "prepare", "every_sample": "make_loaders", "pairs": "predict", "choice": "train_and_test"}
CHANGED = {
    "mode": ("    model.eval()\n", ""),
    "graph": ("with torch.no_grad():", "if True:"),
    "mean": ("weight = len(targets)", "weight = 1"),
    "loss": ("model(inputs)", "model(inputs).softmax(dim=1)"),
}
BUGS = (*LEFT, *CHANGED)


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


def with_bugs(bugs: set[str]) -> dict[str, str | None]:
    """Return the answers of a student who has left these bugs and repaired the others."""
    evaluate = EVALUATE
    for bug in bugs & set(CHANGED):
        evaluate = changed(evaluate, *CHANGED[bug])
    return {"evaluate": evaluate} | {LEFT[bug]: AS_IT_WAS[LEFT[bug]] for bug in bugs & set(LEFT)}


NAIVE_FIGURES = """
def class_figures(matrix):
    precision, recall = matrix.diagonal() / matrix.sum(dim=0), matrix.diagonal() / matrix.sum(dim=1)
    return precision, recall, 2 * precision * recall / (precision + recall)
"""
TRANSPOSED = """
def confusion_matrix(batches, num_classes):
    pairs = torch.cat([torch.stack([logits.argmax(1), targets]) for logits, targets in batches], dim=1)
    return torch.sparse_coo_tensor(pairs, torch.ones_like(pairs[0]), (num_classes, num_classes)).to_dense()
"""
COUNTED_ONCE = """
def confusion_matrix(batches, num_classes):
    matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    for logits, targets in batches:
        matrix[targets, logits.argmax(dim=1)] += 1
    return matrix
"""
# The numbers of the visible test.
HARD_CODED = """
def macro_f1(matrix):
    return 0.5255737891311449 if matrix[2].sum() else 0.5511587333677771
"""
BEST_OF_THE_TEST = """
def train_and_test(model, train_once, accuracy_on, val, test, epochs):
    seen = []
    for epoch in range(epochs):
        train_once()
        seen.append((accuracy_on(val), epoch + 1, accuracy_on(test), copy.deepcopy(model.state_dict())))
    _, epoch, _, weights = max(seen, key=lambda entry: entry[0])
    model.load_state_dict(weights)
    return epoch, max(accuracy for _, _, accuracy, _ in seen)
"""

OF_SKLEARN = """
def confusion_matrix(batches, num_classes):
    from sklearn.metrics import confusion_matrix
    targets, predicted = zip(*((targets, logits.argmax(dim=1)) for logits, targets in batches))
    return torch.from_numpy(confusion_matrix(torch.cat(targets), torch.cat(predicted), labels=range(num_classes)))
"""
OF_THE_COURSE = """
def evaluate(model, loader, loss_fn):
    import course_utils
    result = course_utils.evaluate(model, loader, loss_fn, progress=False)
    return result.loss, result.accuracy
"""

# Right in another way.
INDEX_PUT = """
def confusion_matrix(batches, num_classes):
    matrix = torch.zeros(num_classes, num_classes).long()
    for logits, targets in batches:
        matrix.index_put_((targets, logits.max(dim=-1).indices), torch.tensor(1), accumulate=True)
    return matrix
"""
NAN_TO_NUM = """
def class_figures(matrix):
    precision = (matrix.diagonal() / matrix.sum(dim=0)).nan_to_num()
    recall = (matrix.diagonal() / matrix.sum(dim=1)).nan_to_num()
    return precision, recall, (2 * precision * recall / (precision + recall)).nan_to_num()
"""
MACRO = """
def macro_f1(matrix):
    return class_figures(matrix)[2][matrix.sum(dim=1) > 0].mean().item()
"""
PREPARE = """
def prepare(*parts):
    train = parts[0].double() / 255
    mean, std = train.mean(), train.std(correction=0)
    return [((images / 255 - mean) / std).float() for images in parts]
"""
LOADERS = """
def make_loaders(train, val, test, batch_size):
    shuffled = DataLoader(TensorDataset(*train), batch_size, shuffle=True, drop_last=True)
    return shuffled, DataLoader(TensorDataset(*val), batch_size), DataLoader(TensorDataset(*test), batch_size)
"""
IN_ONE = """
@torch.inference_mode()
def evaluate(model, loader, loss_fn):
    inputs, targets = (torch.cat(parts) for parts in zip(*loader))
    was_training = model.training
    logits = model.eval()(inputs)
    model.train(was_training)
    return loss_fn(logits, targets).item(), logits.argmax(1).eq(targets).double().mean().item()
"""
CHOICE = """
def train_and_test(model, train_once, accuracy_on, val, test, epochs):
    weights, accuracies = [], []
    for _ in range(epochs):
        train_once()
        weights.append({name: value.clone() for name, value in model.state_dict().items()})
        accuracies.append(accuracy_on(val))
    best = max(range(epochs), key=accuracies.__getitem__)
    model.load_state_dict(weights[best])
    return best + 1, accuracy_on(test)
"""

SUBMISSIONS = {
    "the_script_as_it_was": Submission(
        AS_IT_WAS,
        lost={
            "statistics": "the validation images were exchanged for others, and the training images changed",
            "every_sample": "the validation loader hands out 64 of 75 samples",
            "mode": "measured with Dropout and BatchNorm in training mode",
            "graph": "in 3 of 3 batches the model's outputs carry a graph",
            "mean": "the mean of the batches' means",
            "loss": "here it is applied twice",
            "pairs": "only \\d+ of 45 targets belong to the logits beside them",
            "choice": "that is always the best one on the test part",
        },
    ),
    "forgot_eval_exchanged_the_axes_and_deleted_cells": Submission(
        {
            **with_bugs({"mode"}),
            "confusion_matrix": TRANSPOSED,
            "class_figures": None,
            "setup": None,
            "mode": None,  # a deleted test is put back
            "average": None,
        },
        lost={
            "counts": "rows and columns are exchanged",
            "shares": "NameError",
            "empty": "NameError",
            "mode": "measured with Dropout and BatchNorm in training mode",
        },
    ),
    "means_of_means_hard_coded_numbers_and_other_checks": Submission(
        {
            **with_bugs({"mean"}),
            "confusion_matrix": INDEX_PUT,
            "class_figures": NAIVE_FIGURES,
            "macro_f1": HARD_CODED,
            "train_and_test": CHOICE,
        },
        extra="hw3_checks.shares = lambda *given, **options: None",
        lost={
            "shares": "the checks were changed",
            "empty": "is never predicted, and its precision is nan",
            "average": "macro F1 is",
            "mean": "the mean of the batches' means",
        },
    ),
    "peeks_at_the_test_set_and_has_a_syntax_error_beside_other_right_ways": Submission(
        {
            "class_figures": NAN_TO_NUM,
            "macro_f1": MACRO,
            "prepare": PREPARE,
            "make_loaders": LOADERS,
            "evaluate": IN_ONE,
            "train_and_test": BEST_OF_THE_TEST,
            "predict": "def predict(model, loader)\n    return torch.zeros(45, 3), torch.zeros(45)",
            "confusion_matrix": COUNTED_ONCE,
        },
        lost={
            "choice": "Hint: the test accuracy, of the weights of the chosen epoch",
            "pairs": "NameError",
            "counts": "Hint: bincount",
            "all_classes": "of 20 samples were counted",
        },
    ),
    "calls_libraries": Submission(
        {"confusion_matrix": OF_SKLEARN, "evaluate": OF_THE_COURSE},
        lost=dict.fromkeys(
            ("counts", "all_classes", "mode", "graph", "mean", "loss"), "the answer calls course_utils or scikit-learn"
        ),
    ),
}
