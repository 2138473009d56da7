"""Wrong submissions of homework 2."""

from tests.homework.wrong_submissions import Submission

LOOP = """
def train_epoch(model, loader, loss_fn, optimizer, scheduler=None):
    was_training = model.training
    model.train()
    loss_sum, right, samples = 0.0, 0, 0
    for inputs, targets in loader:
        optimizer.zero_grad()
        logits = model(inputs)
        loss = loss_fn(logits, targets)
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        loss_sum += loss.item() * len(targets)
        right += (logits.argmax(dim=1) == targets).sum().item()
        samples += len(targets)
    model.train(was_training)
    return loss_sum / samples, right / samples
"""
GROUPS = """
def train_in_groups(model, loader, loss_fn, optimizer, accumulate, clip_norm=None):
    batches = 0
    optimizer.zero_grad()
    for inputs, targets in loader:
        (loss_fn(model(inputs), targets) / accumulate).backward()
        batches += 1
        if batches % accumulate == 0:
            if clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
            optimizer.zero_grad()
    return 0.0, 0.0
"""


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


TOGETHER = "the weights differ by .* do the checks before this one pass"
OF_EPOCH = ("steps", "mode", "mean", "schedule", "memory", "agreement")

SUBMISSIONS = {
    "another_right_way_and_an_infinite_loop": Submission(
        {
            "train_epoch": LOOP,
            "train_in_groups": changed(
                GROUPS,
                "    return 0.0",
                "    while batches % accumulate:\n        print('waiting for the rest of the group')\n    return 0.0",
            ),
        },
        lost={"ragged_groups": "this cell wrote more than 1,000,000 characters"},
    ),
    "forgot_zero_grad_and_knows_the_visible_sizes": Submission(
        {
            "train_epoch": changed(
                changed(LOOP, "        optimizer.zero_grad()\n", ""),
                "return loss_sum / samples",
                "return 1.0 if samples not in (75, 24) else loss_sum / samples",
            )
        },
        lost={"steps": "Hint: optimizer.zero_grad", "mean": "the loss is 1.000000, not", "agreement": TOGETHER},
    ),
    "forgot_train_mode_and_took_means_of_means": Submission(
        {
            "train_epoch": changed(LOOP, "    model.train()\n", "")
            .replace("loss_sum += loss.item() * len(targets)", "loss_sum += loss.item() / len(loader)")
            .replace("return loss_sum / samples", "return loss_sum"),
            "train_in_groups": GROUPS,
        },
        lost={
            "mode": "in evaluation mode while training",
            "mean": "the mean of the batches' means",
            "agreement": TOGETHER,
            "ragged_groups": "each sample counts the same",
        },
    ),
    "keeps_graphs_and_steps_the_scheduler_once": Submission(
        {
            "train_epoch": changed(LOOP, "loss_sum += loss.item()", "loss_sum = loss_sum + loss")
            .replace("return loss_sum /", "return loss_sum.item() /")
            .replace("        if scheduler is not None:\n            scheduler.step()\n", "")
            .replace(
                "    model.train(was", "    if scheduler is not None:\n        scheduler.step()\n    model.train(was"
            )
        },
        lost={
            "schedule": "once for each batch, not once for the epoch",
            "memory": "the graphs of 11 earlier batches",
            "agreement": TOGETHER,
        },
    ),
    "calls_course_utils_and_has_a_syntax_error": Submission(
        {
            "train_epoch": """
import course_utils

def train_epoch(model, loader, loss_fn, optimizer, scheduler=None):
    result = course_utils.train_epoch(model, loader, loss_fn, optimizer, scheduler=scheduler)
    return result.loss, result.accuracy
""",
            "train_in_groups": changed(GROUPS, "in loader:", "in loader"),
            "mean": None,  # a deleted test is put back
        },
        lost=dict.fromkeys(OF_EPOCH, "the answer calls course_utils")
        | dict.fromkeys(("clipping", "groups", "ragged_groups"), "NameError"),
    ),
    "replaces_the_checks": Submission(
        {"train_epoch": None},
        extra="for name in ('steps', 'mode', 'mean', 'schedule', 'memory', 'agreement'):\n"
        "    setattr(hw2_checks, name, lambda *given, **options: None)\n"
        "train_epoch = None",
        lost=dict.fromkeys(OF_EPOCH, "the checks were changed"),
    ),
}
