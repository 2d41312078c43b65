"""Zones about masses: near the masses, more is added to the points that they are from afar."""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Zone"]


@dataclass(frozen=True)
class Zone:
    """Where a kernel adds to the points of M masses, tile by tile.

    `kernel` is the name of a kind, or one of `SUMMANDS`; `columns` (M, c) are its columns.
    It adds to tiles within `reach` (M,) [arcsec] of a mass, and not to those within
    `start` (M,). Nothing is within a reach of 0.
    """

    kernel: str
    columns: Tensor
    reach: Tensor
    start: Tensor | None = None
