"""Methods, one a file: a new one is a subclass of `Method` and its line in `METHODS`."""

from functools import partial

from pydantic import ValidationError

from lenssim.errors import ConfigError, from_validation, unknown
from lenssim.learn.config import TrainConfig, explain
from lenssim.learn.methods.detectors import DETECTORS
from lenssim.learn.methods.method import MODEL, Method, TrainingSetup
from lenssim.learn.methods.supervised import Supervised

__all__ = ["METHODS", "MODEL", "Method", "TrainingSetup", "method_of"]

METHODS: dict[str, type[Method]] = {"supervised": Supervised, **DETECTORS}


def method_of(config: TrainConfig) -> Method:
    """Return the method of a training with its settings; `ConfigError` for wrong ones."""
    name = config.method
    if name not in METHODS:
        raise unknown("method", name, METHODS, code="unknown-method")
    kind = METHODS[name]
    if kind.tasks and config.task not in kind.tasks:
        raise ConfigError(
            f"the method {name} serves lenssim train {' or '.join(kind.tasks)}, "
            f"not {config.task}",
            code="method-task",
            method=name,
            task=config.task,
        )
    try:
        return kind.model_validate(config.method_settings)
    except ValidationError as error:
        where = f"method {name}"
        raise from_validation(error, where, explain=partial(explain, kind=kind)) from None
