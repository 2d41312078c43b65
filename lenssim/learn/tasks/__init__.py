"""Tasks, one a file: a new one is a subclass of `Task` and its line in `TASKS`."""

from functools import partial
from typing import Any

from pydantic import ValidationError

from lenssim.errors import ConfigError, from_validation, unknown
from lenssim.learn.config import TrainConfig, explain
from lenssim.learn.tasks.classify import Classify
from lenssim.learn.tasks.regress import Regress
from lenssim.learn.tasks.task import PosteriorReader, Task

__all__ = ["TASKS", "PosteriorReader", "Task", "parse_config", "task_class"]

TASKS: dict[str, type[Task]] = {"classify": Classify, "regress": Regress}


def task_class(name: str) -> type[Task]:
    """Return the task of that name; `ConfigError` for an unknown one."""
    if name not in TASKS:
        raise unknown("task", name, TASKS, code="unknown-task")
    return TASKS[name]


def parse_config(settings: dict[str, Any], where: str = "training") -> TrainConfig:
    """Return the checked settings of a training.

    Args:
        settings: Settings by name. Without `task` they are of `classify`.
        where: What the settings are of, for errors.

    Raises:
        ConfigError: Names all that is wrong, with a suggestion for unknown keys.
    """
    try:
        kind = task_class(settings.get("task", "classify")).settings
        return kind.model_validate(settings)
    except ValidationError as error:
        raise from_validation(error, where, explain=partial(explain, kind=kind)) from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}", code=error.code, **error.fields) from None
