"""A smooth lens that lenses nothing: the class of a finder that is no lens."""

from typing import ClassVar, Literal

from lenssim.simulate.darkmatter.no_sub import NoSubstructure

__all__ = ["NoSource"]


class NoSource(NoSubstructure):
    """A smooth lens without a source behind it.

    Lens, light and neighbours are drawn as for every other class, and so is the source. Then
    the source is switched off.
    """

    has_source: ClassVar[bool] = False

    model: Literal["no_source"] = "no_source"  # type: ignore[assignment]
