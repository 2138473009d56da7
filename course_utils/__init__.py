"""Helpers for the PyTorch training workflow: plain functions over plain PyTorch objects.

Everything here is taught by hand in the notebooks first. ``course_utils.plots`` is imported on its own,
because it brings matplotlib; what stands here needs only torch and NumPy to be imported.
"""

from course_utils.callbacks import EarlyStopping, WeightAverage
from course_utils.cards import write_model_card
from course_utils.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from course_utils.confusion import ConfusedPair, confusion_matrix, most_confused
from course_utils.data import ImageData, load_dataset
from course_utils.device import get_device, move_to, seed_everything
from course_utils.fitting import fit
from course_utils.history import History
from course_utils.image_dataset import ImageDataset
from course_utils.image_list import ImageTxtDataset
from course_utils.loaders import Loaders, make_loader, make_loaders
from course_utils.models import MLP, SmallCNN, count_parameters, summarize
from course_utils.predicting import Predictions, predict
from course_utils.totals import EpochResult, NonFiniteLossError
from course_utils.training import evaluate, train_epoch

__all__ = [
    "MLP",
    "CheckpointError",
    "ConfusedPair",
    "EarlyStopping",
    "EpochResult",
    "History",
    "ImageData",
    "ImageDataset",
    "ImageTxtDataset",
    "Loaders",
    "NonFiniteLossError",
    "Predictions",
    "SmallCNN",
    "WeightAverage",
    "confusion_matrix",
    "count_parameters",
    "evaluate",
    "fit",
    "get_device",
    "load_checkpoint",
    "load_dataset",
    "make_loader",
    "make_loaders",
    "most_confused",
    "move_to",
    "predict",
    "save_checkpoint",
    "seed_everything",
    "summarize",
    "train_epoch",
    "write_model_card",
]
