"""What holds for unit tests and notebooks alike."""

import importlib.util
import os

# No progress bars: on a slow machine they would be outputs of the notebooks that the committed ones do not have.
os.environ["TQDM_DISABLE"] = "1"
# The solutions are run here, and the learner's own file (notebooks/progress.json) is neither read nor written.
os.environ["COURSE_PROGRESS"] = ""

# Run where it is there: in environments of their own (see the Makefile).
NEEDS = {"notebooks/17_keras_and_tensorflow.ipynb": "tensorflow", "tests/homework": "nbgrader"}
collect_ignore = [path for path, module in NEEDS.items() if importlib.util.find_spec(module) is None]


def pytest_report_header() -> list[str]:
    """Say what is left out."""
    return [f"left out: {path}, which needs {NEEDS[path]} (make test runs it)" for path in collect_ignore]
