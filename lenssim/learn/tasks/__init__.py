"""Questions, one a file: what is asked of a network, and how its answers are scored."""

from lenssim.errors import unknown
from lenssim.learn.tasks.classify import Classify

__all__ = ["TASKS", "task"]

TASKS = {"classify": Classify}


def task(name: str, classes: tuple[str, ...]) -> Classify:
    """The task of that name for a data set's classes; `ConfigError` for an unknown one."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name](classes)
