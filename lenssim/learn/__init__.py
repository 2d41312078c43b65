"""What is learned: networks, tasks, training, evaluation and prediction.

    >>> from pathlib import Path
    >>> from lenssim.learn import open_run
    >>> open_run(Path("runs/cnn")).record.config.net
    'cnn'

The names below are imported when they are used: reading a run's record imports no Lightning.
"""

from typing import TYPE_CHECKING

from lenssim.lazy import lazy_exports

if TYPE_CHECKING:
    from lenssim.learn.config import TrainConfig
    from lenssim.learn.evaluation.ensemble import Ensemble
    from lenssim.learn.evaluation.evaluation import evaluate
    from lenssim.learn.evaluation.prediction import Prediction, predict
    from lenssim.learn.heads.head import Head
    from lenssim.learn.nets.model import Model
    from lenssim.learn.runs.run import Run, RunRecord, open_run
    from lenssim.learn.scores.posterior import Posterior
    from lenssim.learn.tasks import Task, parse_config
    from lenssim.learn.training.training import train

__all__ = [
    "Ensemble",
    "Head",
    "Model",
    "Posterior",
    "Prediction",
    "Run",
    "RunRecord",
    "Task",
    "TrainConfig",
    "evaluate",
    "open_run",
    "parse_config",
    "predict",
    "train",
]

_MODULES = {
    "config": ("TrainConfig",),
    "evaluation.ensemble": ("Ensemble",),
    "evaluation.evaluation": ("evaluate",),
    "evaluation.prediction": ("Prediction", "predict"),
    "heads.head": ("Head",),
    "nets.model": ("Model",),
    "runs.run": ("Run", "RunRecord", "open_run"),
    "scores.posterior": ("Posterior",),
    "tasks": ("Task", "parse_config"),
    "training.training": ("train",),
}
_SOURCES = {
    name: f"lenssim.learn.{module}" for module, names in _MODULES.items() for name in names
}

__getattr__, __dir__ = lazy_exports(__name__, _SOURCES)
