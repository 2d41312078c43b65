"""Labels of a data set, for those who need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lenssim.errors import ConfigError

if TYPE_CHECKING:
    from lenssim.data.streaming.source import ImageSource

__all__ = ["labels_of"]


def labels_of(source: ImageSource) -> np.ndarray:
    """Return the labels (n,) of a source.

    Args:
        source: The source.

    Raises:
        ConfigError: Nobody knows them.
    """
    if source.labels is None:
        raise ConfigError(
            f"{source.folder} has no labels: classes can be neither learned nor judged on "
            "it; use a data set whose classes are known"
        )
    return source.labels
