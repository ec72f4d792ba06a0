"""A thin layer for PyTorch: pictures with targets, heads, losses, and whether they help.

`dataset` joins pictures with targets; `luab` puts heads beside a backbone's own, `losses` teaches
them; `evaluation` judges. `abpipe.experiment` has a loop to read or to use.
"""

from abpipe.errors import NeedsLibrary

try:
    from abpipe.targets.crops import CenterCrop, RandomCrop
    from abpipe.training.dataset import ByproductDataset, WithByproducts, collate
    from abpipe.training.evaluation import accuracy, background_gap, localization, shift_accuracy
    from abpipe.training.losses import class_loss, luab_loss, point_loss, where_loss
    from abpipe.training.luab import AttentionPool, Luab, Output, luab, plain
except ModuleNotFoundError as err:
    raise NeedsLibrary(str(err.name)) from err

__all__ = [
    "AttentionPool",
    "ByproductDataset",
    "CenterCrop",
    "Luab",
    "Output",
    "RandomCrop",
    "WithByproducts",
    "accuracy",
    "background_gap",
    "class_loss",
    "collate",
    "localization",
    "luab",
    "luab_loss",
    "plain",
    "point_loss",
    "shift_accuracy",
    "where_loss",
]
