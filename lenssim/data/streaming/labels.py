"""Labels of a data set, for those who need them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from lenssim.errors import ConfigError

__all__ = ["labels_of"]


class _Labelled(Protocol):
    """What has labels, or might have."""

    @property
    def folder(self) -> Path:
        """Where it lies, for messages."""

    @property
    def labels(self) -> np.ndarray | None:
        """Labels (n,), None where nobody knows them."""


def labels_of(source: _Labelled) -> np.ndarray:
    """Return the labels (n,) of a source.

    Args:
        source: The source.

    Raises:
        ConfigError: Nobody knows them.
    """
    if source.labels is None:
        raise ConfigError(
            f"{source.folder} has no labels: classes can be neither learned nor judged on "
            "it; use a data set whose classes are known",
            code="no-labels",
            folder=source.folder,
        )
    return source.labels
