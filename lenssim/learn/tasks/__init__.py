"""Tasks, one a file: a new one is a subclass of `Task` and its entry in `TASKS`.

Entries name classes without importing them: the command line reads the settings of a task,
and nothing else of it.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError

from lenssim.errors import ConfigError, from_validation, unknown
from lenssim.lazy import load
from lenssim.learn.config import TrainConfig, explain
from lenssim.learn.tasks.task import PosteriorReader, Task

__all__ = [
    "TASKS",
    "PosteriorReader",
    "Task",
    "TaskEntry",
    "parse_config",
    "task_class",
    "task_entry",
]


@dataclass(frozen=True)
class TaskEntry:
    """Where a task and its settings stand, each as "module:class".

    Attributes:
        task_path: The subclass of `Task`.
        settings_path: Its settings, a subclass of `TrainConfig`.
    """

    task_path: str
    settings_path: str

    @property
    def task(self) -> type[Task]:
        """The task."""
        task: type[Task] = load(self.task_path)
        return task

    @property
    def settings(self) -> type[TrainConfig]:
        """The settings of a training of the task."""
        settings: type[TrainConfig] = load(self.settings_path)
        return settings


TASKS = {
    "classify": TaskEntry(
        "lenssim.learn.tasks.classify:Classify",
        "lenssim.learn.tasks.classify_config:ClassifyConfig",
    ),
    "regress": TaskEntry(
        "lenssim.learn.tasks.regress:Regress",
        "lenssim.learn.tasks.regress_config:RegressConfig",
    ),
    "find": TaskEntry(
        "lenssim.learn.tasks.find:Find", "lenssim.learn.tasks.find_config:FindConfig"
    ),
    "denoise": TaskEntry(
        "lenssim.learn.tasks.denoise:Denoise",
        "lenssim.learn.tasks.denoise_config:DenoiseConfig",
    ),
    "anomaly": TaskEntry(
        "lenssim.learn.tasks.anomaly:Anomaly",
        "lenssim.learn.tasks.anomaly_config:AnomalyConfig",
    ),
    "represent": TaskEntry(
        "lenssim.learn.tasks.represent:Represent",
        "lenssim.learn.tasks.represent_config:RepresentConfig",
    ),
    "cluster": TaskEntry(
        "lenssim.learn.tasks.cluster:Cluster",
        "lenssim.learn.tasks.cluster_config:ClusterConfig",
    ),
}


def task_entry(name: str) -> TaskEntry:
    """Return the entry of a task; `ConfigError` for an unknown one."""
    if name not in TASKS:
        raise unknown("task", name, TASKS, code="unknown-task")
    return TASKS[name]


def task_class(name: str) -> type[Task]:
    """Return the task of that name; `ConfigError` for an unknown one."""
    return task_entry(name).task


def parse_config(settings: dict[str, Any], where: str = "training") -> TrainConfig:
    """Return the checked settings of a training.

    Args:
        settings: Settings by name. Without `task` they are of `classify`.
        where: What the settings are of, for errors.

    Raises:
        ConfigError: Names all that is wrong, with a suggestion for unknown keys.
    """
    try:
        kind = task_entry(settings.get("task", "classify")).settings
        return kind.model_validate(settings)
    except ValidationError as error:
        raise from_validation(error, where, explain=partial(explain, kind=kind)) from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}", code=error.code, **error.fields) from None
