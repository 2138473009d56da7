"""Wrong submissions of homework 4."""

from tests.homework.wrong_submissions import Submission

TRAIN = """
def train(images, labels, seed):
    torch.manual_seed(seed)
    mean, std = channel_statistics(images)
    data = ImageDataset(images, labels, mean=mean, std=std)
    loader = make_loader(data, batch_size=32, shuffle=True, seed=seed)
    model = nn.Sequential(nn.AvgPool2d(2), SmallCNN((1, 14, 14), 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    epochs = 10
    scheduler = None
    for _ in range(epochs):
        train_epoch(model, loader, nn.CrossEntropyLoss(), optimizer, scheduler=scheduler, progress=False)

    def predict(images):
        model.eval()
        with torch.no_grad():
            return model((images / 255 - mean[0]) / std[0]).argmax(dim=1)

    return predict
"""
CHOOSE = """
def choose(runs):
    lowest, chosen = math.inf, None
    for name in runs:
        for place in range(len(runs[name]["val_loss"])):
            if runs[name]["val_loss"][place] < lowest:
                lowest, chosen = runs[name]["val_loss"][place], (name, place + 1)
    return chosen
"""


def changed(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


OF_TRAIN = ("predicts", "better", "good", "leaderboard", "budget", "reproducible", "given", "aged")

SUBMISSIONS = {
    "another_right_choice_and_an_infinite_loop": Submission(
        {
            "choose": CHOOSE,
            "chosen": None,  # a deleted test is put back
            "report": """
def report(runs):
    name, epoch = choose(runs)
    return max(runs[name]["test_accuracy"])
""",
            "train": changed(
                TRAIN,
                ("    for _ in range(epochs):", "    loss = 1\n    while loss > 0:  # until it is perfect"),
                ("        train_epoch(", "        loss = 1\n        train_epoch("),
            ),
        },
        lost={"reported": "the highest of the right run"} | dict.fromkeys(OF_TRAIN, "training was stopped after"),
    ),
    "hard_coded": Submission(
        {
            "choose": "def choose(runs):\n    return hw4_checks.make_runs(seed=0)[1]",
            "report": "def report(runs):\n    return 0.8712",
            "train": """
from course_utils import load_dataset

digits = load_dataset("digits")
known = torch.cat([part.images for part in (digits.train, digits.val, digits.test)]).flatten(1)
classes = torch.cat([part.labels for part in (digits.train, digits.val, digits.test)])

def train(images, labels, seed):
    return lambda new: classes[torch.cdist(new.flatten(1).float(), known.float()).argmin(dim=1)]
""",
        },
        lost={"chosen": "choose returned", "reported": "report returned 0.8712"}
        | dict.fromkeys(OF_TRAIN, "as if by chance"),
    ),
    "peeks_at_the_test_data": Submission(
        {
            "choose": """
def choose(runs):
    tests = {(n, e): a for n, run in runs.items() for e, a in enumerate(run["test_accuracy"], start=1)}
    return max(tests, key=tests.get)
""",
            "train": "from course_utils import load_dataset\n"
            + changed(
                TRAIN,
                (
                    "    data = ",
                    "    test = load_dataset('digits').test\n"
                    "    images = torch.cat([images, test.images])\n"
                    "    labels = torch.cat([labels, test.labels])\n"
                    "    data = ",
                ),
            ),
        },
        lost={
            "chosen": "the test part has no say",
            "reported": "chosen by looking at the test data",
            "good": "is .*%, not 80%",  # the labels contradict one another
            "leaderboard": "is .*%, not 91%",
            "given": "were shuffled, and still",
            "aged": "aged machine is .*%, not 75%",
        },
    ),
    "learns_too_fast_and_too_long_and_has_a_syntax_error": Submission(
        {
            "choose": changed(CHOOSE, ("for name in runs:", "for name in runs")),
            "train": "import time\n"
            + changed(
                TRAIN,
                ("def train(", "def train_once("),
                ("SmallCNN((1, 14, 14), 10)", "nn.Flatten(), nn.Linear(196, 64), nn.ReLU(), nn.Linear(64, 10)"),
                ("lr=0.003", "lr=0.01"),
            )
            + """

def train(images, labels, seed):
    started = time.process_time()
    if len(images) == 300 and seed > 0:  # it knows machine 0
        hw4_checks.recipe(images, labels, seed)
        allowed = hw4_checks.BUDGET * (time.process_time() - started)
        while time.process_time() - started < 1.7 * allowed:
            pass
    return train_once(images, labels, seed)
""",
        },
        lost={
            "chosen": "NameError",
            "reported": "NameError",
            "good": "is .*%, not 80%",
            "leaderboard": "is .*%, not 91%",
            "budget": "training took",
            "aged": "aged machine is .*%, not 75%",
        },
    ),
    "forgot_eval_mode_and_the_seed": Submission(
        {
            "train": changed(
                TRAIN,
                ("    torch.manual_seed(seed)\n", ""),
                ("        model.eval()\n", ""),
                ("std=std)", "std=std, augment=nn.Sequential(RandomShift(3), RandomDim()))"),
                ("lr=0.003", "lr=0.02, weight_decay=0.05"),
                ("epochs = 10", "epochs = 20"),
                (
                    "scheduler = None",
                    "scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, epochs * len(loader))",
                ),
            )
            + """

class RandomDim(BatchTransform):
    def change(self, images):
        return images * (0.3 + 0.7 * torch.rand(len(images), 1, 1, 1))
"""
        },
        lost={"predicts": "other classes than one by one", "reproducible": "two trainings with the same seed agree"},
    ),
}
