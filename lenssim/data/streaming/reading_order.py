"""The order in which a data set is cheap to read."""

from typing import TypedDict

__all__ = ["ReadingOrder"]


class ReadingOrder(TypedDict, total=False):
    """Options of a `BatchSampler` in whose order a source is cheap to read.

    Attributes:
        block: This many neighbouring rows stay neighbours.
        mix: The rows of this many blocks are mixed.
        rising: The blocks come in their order in the first epoch.
        fresh: The rows of an epoch lie this many further on than those of the last.
    """

    block: int
    mix: int
    rising: bool
    fresh: int
