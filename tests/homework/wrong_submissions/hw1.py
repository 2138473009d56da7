"""Wrong submissions of homework 1."""

from tests.homework.wrong_submissions import Submission

STATISTICS = '''
def pixel_statistics(dataset):
    """The mean of the images' means."""
    images = [dataset[index][0] for index in range(len(dataset))]
    return float(np.mean([image.mean() for image in images])), float(np.mean([image.std() for image in images]))
'''
VISIBLE_STATISTICS = '''
def pixel_statistics(dataset):
    """Right for the data that the student sees, and for no other."""
    return 0.1892864374, 0.2710355877
'''
PREPARE = """
def prepare(train, val, augment):
    every = torch.cat([train[i][0].flatten() for i in range(len(train))]).double()

    class Prepared(Dataset):
        def __init__(self, dataset):
            self.dataset = dataset

        def __len__(self):
            return len(self.dataset)

        def __getitem__(self, index):
            image, label = self.dataset[index]
            return (augment(image) - every.mean().item()) / every.std(correction=0).item(), label

    return Prepared(train), Prepared(val)
"""
EAGER = """
class Scans(Dataset):
    def __init__(self, folder):
        self.items = []
        for line in csv.DictReader((Path(folder) / "list.csv").open()):
            pixels = np.array(Image.open(Path(folder) / line["file"]))
            self.items.append((torch.from_numpy(pixels).float()[None] / 255, int(line["label"])))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]
"""
SPLIT_ROWS = """
def split_by_group(groups, val_fraction, seed):
    rows = list(range(len(groups)))
    random.Random(seed).shuffle(rows)
    size = round(val_fraction * len(rows))
    return rows[size:], rows[:size]
"""
UNTIL_EXACT = '''
def split_by_group(groups, val_fraction, seed):
    """Tries until the share is exact, which it never is."""
    tries = random.Random(seed)
    while True:
        names = sorted(set(groups))
        chosen = set(tries.sample(names, k=round(val_fraction * len(names))))
        val = [row for row, name in enumerate(groups) if name in chosen]
        if len(val) / len(groups) == val_fraction + 1e-9:
            return [row for row, name in enumerate(groups) if name not in chosen], val
'''
SELECT_BEFORE = """
def predict_held_out(features, labels, patients, held_out):
    inside = np.isin(patients, held_out)
    features = SelectKBest(k=20).fit_transform(StandardScaler().fit_transform(features), labels)
    return LogisticRegression().fit(features[~inside], labels[~inside]).predict(features[inside])
"""
ROWS_HELD_OUT = """
def honest_accuracy(features, labels, patients):
    right = 0
    for part in range(5):
        rows = np.arange(len(labels)) % 5 == part
        right += (predict_held_out(features, labels, np.where(rows, 1, 0), [1]) == labels[rows]).sum()
    return right / len(labels)
"""

# Right in another way.
SCANS = """
class Scans(Dataset):
    def __init__(self, folder):
        lines = (Path(folder) / "list.csv").read_text().split()[1:]
        self.paths = [Path(folder, line.split(",")[0]) for line in lines]
        self.labels = [int(line.split(",")[1]) for line in lines]

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        pixels = np.asarray(Image.open(self.paths[index]).convert("L"), dtype=np.float32) / 255
        return torch.from_numpy(pixels).unsqueeze(0), self.labels[index]
"""
SPLIT = """
def split_by_group(groups, val_fraction, seed):
    _, number, sizes = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(sizes))
    chosen = order[: np.searchsorted(np.cumsum(sizes[order]), val_fraction * len(groups))]
    inside = np.isin(number, chosen)
    return np.flatnonzero(~inside), np.flatnonzero(inside)
"""
PREDICT = """
from sklearn.pipeline import make_pipeline

def predict_held_out(features, labels, patients, held_out):
    inside = np.isin(patients, held_out)
    model = make_pipeline(StandardScaler(), SelectKBest(k=20), LogisticRegression())
    return model.fit(features[~inside], labels[~inside]).predict(features[inside])
"""

SUBMISSIONS = {
    "means_of_means_and_rows_on_both_sides": Submission(
        {
            "Scans": EAGER,
            "pixel_statistics": STATISTICS,
            "prepare": PREPARE,
            "split_by_group": SPLIT_ROWS,
            "honest_accuracy": ROWS_HELD_OUT,
        },
        lost={
            "lazy": "open the file in __getitem__",
            "statistics": "mean of the images' means",
            "preparation": "the validation part was augmented",
            "grouped_split": "groups have rows on both sides",
            "accuracy": "on pure noise the accuracy is [789]",
        },
    ),
    "selects_before_the_split_and_deleted_cells": Submission(
        {"predict_held_out": SELECT_BEFORE, "group_duplicates": None, "setup": None, "lazy": None, "statistics": None},
        lost={
            "duplicates": "NameError",
            "held_out_agrees": "from which rows",
            "no_leak": "something has seen these labels: the selection",
            "accuracy": "on pure noise the accuracy is [789]",
        },
    ),
    "peeks_at_the_held_out_labels_and_never_ends": Submission(
        {
            "predict_held_out": "def predict_held_out(features, labels, patients, held_out):\n"
            "    return labels[np.isin(patients, held_out)]",
            "split_by_group": UNTIL_EXACT,
        },
        lost={
            "grouped_split": "TooLong: this cell ran longer than it may",
            "held_out_agrees": "[345].% of the predictions differ",
            "no_leak": "100% of their predictions change",
            "accuracy": "on pure noise the accuracy is 100%",
        },
    ),
    "other_right_ways_hard_coded_numbers_and_a_syntax_error": Submission(
        {
            "Scans": SCANS,
            "split_by_group": SPLIT,
            "predict_held_out": PREDICT,
            "pixel_statistics": VISIBLE_STATISTICS,
            "group_duplicates": "def group_duplicates(images)\n    return []",
            "honest_accuracy": "def honest_accuracy(features, labels, patients):\n    return 0.5",
        },
        lost={
            "statistics": "the mean is 0.189286, not",  # the visible part passed
            "preparation": "not standardised",
            "duplicates": "NameError",
            "accuracy": "the accuracy is 50%",
        },
    ),
}
