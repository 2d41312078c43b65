"""A smooth lens: no substructure."""

from typing import ClassVar, Literal

import numpy as np

from lenssim.simulate.columns import Columns
from lenssim.simulate.darkmatter.model import DarkMatterModel
from lenssim.simulate.plane import LensPlane, put_truth
from lenssim.simulate.scenes import Perturbers

__all__ = ["NoSubstructure"]


class NoSubstructure(DarkMatterModel):
    """No perturbers: the smooth lens that every other class is compared with."""

    units: ClassVar[dict[str, str]] = {"substructure_mass": "Msun"}

    model: Literal["no_sub"] = "no_sub"

    def perturb(self, columns: Columns, plane: LensPlane) -> dict[str, Perturbers]:
        """Return no perturbers, and put a substructure mass of 0 for each of the n systems."""
        columns.put("substructure_mass", np.zeros(columns.n))
        owner = np.zeros(0, np.int64)
        empty = np.zeros(0)
        put_truth(columns, plane, owner, empty, empty, empty)
        return {}
