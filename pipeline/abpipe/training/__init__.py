"""A thin layer for PyTorch: pictures with targets, heads, losses, and whether they help.

`dataset` joins pictures with targets; `luab` puts heads beside a backbone's own, `losses` teaches
them; `evaluation` judges; `fit` is a loop to use or to read, `run` what `abpipe train` does.
"""

import abpipe.training.needs  # noqa: F401 - says which extra is missing
from abpipe.training.control import RandomPoints
from abpipe.training.crops import CenterCrop, RandomCrop, Whole
from abpipe.training.dataset import ByproductDataset, WithByproducts, collate
from abpipe.training.evaluation import accuracy, background_gap, localization, shift_accuracy
from abpipe.training.fit import Epoch, Predictions, Settings, fit, predict
from abpipe.training.losses import class_loss, luab_loss, point_loss, where_loss
from abpipe.training.luab import AttentionPool, Luab, Output, luab, plain
from abpipe.training.nets import small_net

__all__ = [
    "AttentionPool",
    "ByproductDataset",
    "CenterCrop",
    "Epoch",
    "Luab",
    "Output",
    "Predictions",
    "RandomCrop",
    "RandomPoints",
    "Settings",
    "Whole",
    "WithByproducts",
    "accuracy",
    "background_gap",
    "class_loss",
    "collate",
    "fit",
    "localization",
    "luab",
    "luab_loss",
    "plain",
    "point_loss",
    "predict",
    "shift_accuracy",
    "small_net",
    "where_loss",
]
