"""Questions, one a file: a new one is a subclass of `Task` and its line in `TASKS`."""

from typing import Any

from pydantic import ValidationError

from lenssim.errors import ConfigError, unknown
from lenssim.learn.config import TrainConfig, explain
from lenssim.learn.tasks.classify import Classify
from lenssim.learn.tasks.regress import Regress
from lenssim.learn.tasks.task import Data, Judgement, Task

__all__ = ["TASKS", "Data", "Judgement", "Task", "parse_config", "task_class"]

TASKS: dict[str, type[Task]] = {"classify": Classify, "regress": Regress}


def task_class(name: str) -> type[Task]:
    """The task of that name; `ConfigError` for an unknown one."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]


def parse_config(settings: dict[str, Any], where: str = "training") -> TrainConfig:
    """A checked config of the task that the settings name, `classify` if none.

    `ConfigError` lists all that is wrong with the settings, with a suggestion for unknown keys.
    """
    try:
        kind = task_class(settings.get("task", "classify")).settings
        return kind.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(
            f"{where}: " + "; ".join(explain(dict(p), kind) for p in error.errors())
        ) from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
