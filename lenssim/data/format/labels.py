"""Data sets whose samples have no known class."""

from collections.abc import Mapping
from typing import Any

__all__ = ["UNLABELLED", "is_labelled", "unlabelled_config"]

UNLABELLED = "unlabelled"  # the one class of such a data set; every label is 0


def unlabelled_config() -> dict[str, Any]:
    """Return what the config of a data set without labels states.

    Such a data set has the one class `UNLABELLED`. So releases that do not know this entry
    read, verify and export it as a data set of one class.

    Example:
        >>> is_labelled({"kind": "imported", **unlabelled_config()})
        False
    """
    return {"labelled": False}


def is_labelled(config: Mapping[str, Any]) -> bool:
    """Return whether the config of a data set says that its classes are known."""
    return config.get("labelled", True) is not False
