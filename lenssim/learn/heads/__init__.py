"""Heads: how a network's outputs are read as a probability of its targets, one head a file.

A new head is a subclass of `Head` and its line in `HEADS`.
"""

from lenssim.errors import unknown
from lenssim.learn.heads.base import NORMAL, RadialBase
from lenssim.learn.heads.diagonal import Diagonal
from lenssim.learn.heads.flow import Flow
from lenssim.learn.heads.full import Full
from lenssim.learn.heads.head import Head
from lenssim.learn.heads.mixture import Mixture
from lenssim.learn.heads.point import Point

__all__ = ["HEADS", "NORMAL", "Head", "RadialBase", "head"]

HEADS: dict[str, type[Head]] = {
    "point": Point,
    "diagonal": Diagonal,
    "full": Full,
    "mixture": Mixture,
    "flow": Flow,
}


def head(name: str, targets: int, base: RadialBase = NORMAL) -> Head:
    """Return the head of that name for a number of targets.

    Args:
        name: A name in `HEADS`.
        targets: Number k of targets.
        base: Distribution of the head's inner numbers.

    Returns:
        The head.

    Raises:
        ConfigError: The name is unknown.

    Example:
        >>> head("full", targets=6).outputs
        27
    """
    if name not in HEADS:
        raise unknown("head", name, HEADS, code="unknown-head")
    return HEADS[name](targets, base)
