"""The contract of a dark-matter class."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from lenssim.record import Record
from lenssim.simulate.bounds import Bounds
from lenssim.simulate.columns import Columns
from lenssim.simulate.plane import LensPlane
from lenssim.simulate.scenes import Perturbers

__all__ = ["DarkMatterModel"]


class DarkMatterModel(Record, ABC):
    """A kind of dark matter: its fields are its keys in a preset.

    Its field `model` has the type `Literal["name"]`, the name that a preset gives. A new one
    is a file with a subclass and a line in `DARK_MATTER_MODELS`.
    """

    kinds: ClassVar[tuple[str, ...]] = ()
    """Kinds of perturbers that it draws."""
    bounds: ClassVar[dict[str, Bounds]] = {}
    """Bounds of the fields that hold a number or a distribution."""
    units: ClassVar[dict[str, str]] = {}
    """Units of its columns in /params."""
    has_source: ClassVar[bool] = True
    """Whether light comes from behind its lenses; without it nothing is lensed."""
    reports_truth: ClassVar[bool] = False
    """Whether it asks for the columns of `TRUTH_UNITS`."""

    def limits(self) -> Mapping[str, Bounds]:
        """Return the bounds of the fields, where they depend on each other."""
        return self.bounds

    @abstractmethod
    def perturb(self, columns: Columns, plane: LensPlane) -> dict[str, Perturbers]:
        """Draw the perturbers of n systems, by kind, and put the columns of `units`.

        Args:
            columns: The columns (n,) of the systems.
            plane: Their lens planes.
        """
