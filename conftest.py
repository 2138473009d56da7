"""What holds for unit tests and notebooks alike."""

import os

# tqdm reads the environment when it is imported. Here its bar stays on, because it has a test. In the notebooks'
# kernels it is off: on a slow machine a bar would be one more output than the committed ones.
os.environ.pop("TQDM_DISABLE", None)
import tqdm.auto  # noqa: F401

os.environ["TQDM_DISABLE"] = "1"
