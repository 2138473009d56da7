"""What holds for unit tests and notebooks alike."""

import os

# No progress bars: on a slow machine they would be outputs of the notebooks that the committed ones do not have.
os.environ["TQDM_DISABLE"] = "1"
