"""The lens plane: the systems' properties that a dark-matter model may use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.columns import Columns
from lenssim.simulate.cosmology import Cosmology, critical_surface_density

__all__ = ["RING_WIDTH", "TRUTH_UNITS", "LensPlane", "put_truth"]

RING_WIDTH = 0.2  # arcsec: perturbers with |r - theta_E| below it count as near the ring
TRUTH_UNITS = {
    "n_in_frame": "",
    "mass_in_frame": "Msun",
    "n_near_ring": "",
    "mass_near_ring": "Msun",
}


@dataclass(frozen=True)
class LensPlane:
    """The plane of n main lenses: distances, scales and macro parameters, each (n,).

    Attributes:
        z_lens: Redshifts of the lenses.
        z_source: Redshifts that deflections are stated for.
        cosmology: The cosmology of distances.
        solar_einstein_radius: Einstein radius [arcsec] of one solar mass in the preset's
            own convention; everything else follows from angular-diameter distances.
        frame: Half the side of the stamp [arcsec].
        values: Columns of the main lens.
        truth: Whether models report how much of their mass lies where (`TRUTH_UNITS`).
    """

    z_lens: np.ndarray
    z_source: np.ndarray
    cosmology: Cosmology
    solar_einstein_radius: np.ndarray
    frame: float
    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    truth: bool = False

    def __len__(self) -> int:
        return len(self.z_lens)

    def take(self, rows: np.ndarray) -> "LensPlane":
        """Return the plane of the systems `rows`."""
        return LensPlane(
            self.z_lens[rows],
            self.z_source[rows],
            self.cosmology,
            self.solar_einstein_radius[rows],
            self.frame,
            {name: column[rows] for name, column in self.values.items()},
            self.truth,
        )

    @cached_property
    def kpc_per_arcsec(self) -> np.ndarray:
        """Physical kpc that one arcsec spans at the lens, (n,)."""
        return self.cosmology.kpc_per_arcsec(self.z_lens)

    @cached_property
    def sigma_crit(self) -> np.ndarray:
        """Critical surface density c^2 D_s / (4 pi G D_l D_ls) at the lens [Msun / kpc^2], (n,)."""
        return critical_surface_density(self.cosmology, self.z_lens, self.z_source)

    @cached_property
    def sigma_crit_arcsec(self) -> np.ndarray:
        """Critical surface density [Msun / arcsec^2], (n,).

        A mass M at distance d deflects by M / (pi Sigma d).
        """
        return self.sigma_crit * self.kpc_per_arcsec**2

    @cached_property
    def theta_E(self) -> np.ndarray:
        """Einstein radius [arcsec] of the main lens, (n,).

        Raises:
            ConfigError: The preset's lens has none.
        """
        if "theta_E" not in self.values:
            raise ConfigError(
                "this dark-matter model needs a main lens with a theta_E or a mass, and without "
                "a name",
                code="no-main-lens",
            )
        return self.values["theta_E"]


def put_truth(
    columns: Columns,
    plane: LensPlane,
    owner: np.ndarray,
    mass: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
) -> None:
    """Put the columns `TRUTH_UNITS` where the plane asks for truth.

    Published presets have no such columns.

    Args:
        columns: The systems' columns.
        plane: Their lens plane.
        owner: System of each perturber (M,).
        mass: Masses (M,) [Msun].
        x: Positions (M,) [arcsec].
        y: Positions (M,) [arcsec].
    """
    if not plane.truth:
        return
    in_frame = np.maximum(np.abs(x), np.abs(y)) < plane.frame
    near_ring = np.abs(np.hypot(x, y) - plane.theta_E[owner]) < RING_WIDTH
    for name, rows in (("in_frame", in_frame), ("near_ring", near_ring)):
        count = np.bincount(owner[rows], minlength=len(plane))
        columns.put(f"n_{name}", count.astype(np.float64))
        total = np.bincount(owner[rows], weights=mass[rows], minlength=len(plane))
        columns.put(f"mass_{name}", total)
