"""What holds for unit tests and notebooks alike."""

import importlib.util
import os

# No progress bars: on a slow machine they would be outputs of the notebooks that the committed ones do not have.
os.environ["TQDM_DISABLE"] = "1"
# The solutions are run here, and the learner's own file (notebooks/progress.json) is neither read nor written.
os.environ["COURSE_PROGRESS"] = ""

# Run where it is there: in an environment of its own (see the Makefile).
collect_ignore = [] if importlib.util.find_spec("tensorflow") else ["notebooks/17_keras_and_tensorflow.ipynb"]
