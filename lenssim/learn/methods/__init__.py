"""Methods, one a file: a new one is a subclass of `Method` and its line in `METHODS`."""

from functools import partial

from pydantic import ValidationError

from lenssim.errors import from_validation, unknown
from lenssim.learn.config import TrainConfig, explain
from lenssim.learn.methods.method import MODEL, Method, TrainingSetup
from lenssim.learn.methods.supervised import Supervised

__all__ = ["METHODS", "MODEL", "Method", "TrainingSetup", "method_of"]

METHODS: dict[str, type[Method]] = {"supervised": Supervised}


def method_of(config: TrainConfig) -> Method:
    """Return the method of a training with its settings; `ConfigError` for wrong ones."""
    name = config.method
    if name not in METHODS:
        raise unknown("method", name, METHODS, code="unknown-method")
    kind = METHODS[name]
    try:
        return kind.model_validate(config.method_settings)
    except ValidationError as error:
        where = f"method {name}"
        raise from_validation(error, where, explain=partial(explain, kind=kind)) from None
