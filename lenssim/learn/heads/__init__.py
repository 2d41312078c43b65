"""What a regressor says of k targets, one a file: a new head is a subclass of `Head` and its line in `HEADS`."""

from lenssim.errors import unknown
from lenssim.learn.heads.base import NORMAL, Base
from lenssim.learn.heads.diagonal import Diagonal
from lenssim.learn.heads.flow import Flow
from lenssim.learn.heads.full import Full
from lenssim.learn.heads.head import Head
from lenssim.learn.heads.mixture import Mixture
from lenssim.learn.heads.point import Point

__all__ = ["HEADS", "NORMAL", "Base", "Head", "head"]

HEADS: dict[str, type[Head]] = {
    "point": Point,
    "diagonal": Diagonal,
    "full": Full,
    "mixture": Mixture,
    "flow": Flow,
}


def head(name: str, targets: int, base: Base = NORMAL) -> Head:
    """The head of that name for a number of targets; `ConfigError` for an unknown one."""
    if name not in HEADS:
        raise unknown("head", name, HEADS)
    return HEADS[name](targets, base)
