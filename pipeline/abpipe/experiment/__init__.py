"""Experiments with `abpipe.training`: what `abpipe train` does, and a loop for experiments.

`fit` trains and `predict` asks, by `Settings`; `run` compares methods; `control` has the control.
"""

from abpipe.errors import NeedsLibrary

try:
    from abpipe.experiment.control import RandomPoints
    from abpipe.experiment.fit import fit
    from abpipe.experiment.nets import small_net
    from abpipe.experiment.predict import Predictions, predict
    from abpipe.experiment.run import Trained, train
    from abpipe.experiment.settings import Epoch, Settings
except ModuleNotFoundError as err:
    raise NeedsLibrary(str(err.name)) from err

__all__ = [
    "Epoch",
    "Predictions",
    "RandomPoints",
    "Settings",
    "Trained",
    "fit",
    "predict",
    "small_net",
    "train",
]
