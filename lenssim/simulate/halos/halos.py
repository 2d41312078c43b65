"""Halos: a flat table of haloes with their physical numbers, and their conversion to profiles."""

from dataclasses import dataclass, fields

import numpy as np
import scipy  # its modules are imported when they are used

from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.halos.concentration import LOWEST
from lenssim.simulate.scenes import Perturbers

__all__ = [
    "Halos",
    "deflection_at_scale_radius",
    "merge_tables",
    "nfw_structure",
    "tnfw_mass",
    "tnfw_projected_mass",
]


@dataclass(frozen=True)
class Halos:
    """M haloes of n systems, in no order, each column (M,).

    Masses are M_200c in Msun, lengths in kpc, positions in arcsec. `z` is the redshift of a
    halo, `z_structure` that of its structure: at infall for subhaloes. Haloes in front of
    the lens or behind it are stated as they act in the lens plane: `kpc_per_arcsec` and
    `sigma_crit` [Msun / arcsec^2] are effective ones.
    """

    owner: np.ndarray  # (M,) int64
    mass: np.ndarray
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    z_structure: np.ndarray
    concentration: np.ndarray
    r_trunc: np.ndarray
    kpc_per_arcsec: np.ndarray
    sigma_crit: np.ndarray
    rho_s: np.ndarray  # Msun / kpc^3
    r_s: np.ndarray

    def __len__(self) -> int:
        return len(self.owner)

    def take(self, rows: np.ndarray) -> "Halos":
        """Return the haloes `rows`."""
        return Halos(*(getattr(self, column.name)[rows] for column in fields(self)))

    @staticmethod
    def concatenate(tables: "list[Halos]") -> "Halos":
        """Return several tables as one."""
        return Halos(
            *(
                np.concatenate([getattr(table, column.name) for table in tables])
                for column in fields(Halos)
            )
        )

    def by_owner(self) -> "Halos":
        """Return the same haloes in the order of their systems."""
        return self.take(np.argsort(self.owner, kind="stable"))

    @property
    def bound_mass(self) -> np.ndarray:
        """Mass (M,) [Msun] of the whole truncated profile."""
        return tnfw_mass(self.rho_s, self.r_s, self.r_trunc)

    def mass_within(self, radius: np.ndarray | float) -> np.ndarray:
        """Return the mass (M,) [Msun] of the truncated profile inside a projected radius.

        Args:
            radius: Radius [arcsec in the lens plane], one or (M,).
        """
        return tnfw_projected_mass(
            self.rho_s, self.r_s, self.r_trunc, radius * self.kpc_per_arcsec
        )

    def mass_seen(self, disc: float, distance: np.ndarray) -> np.ndarray:
        """Return the mass (M,) [Msun] of each halo inside a circle away from its centre.

        Multiplied by the number of haloes on an area that they fill evenly out to `disc`,
        it is the mass that they bring at `distance`.

        Args:
            disc: Radius of the circle [arcsec].
            distance: Distances (M,) of the circle's centre [arcsec].
        """
        edges = disc + distance * np.linspace(-1, 1, 9)[:, None]
        mass = np.stack([self.mass_within(edge) for edge in edges])
        middle = 0.5 * (edges[1:] + edges[:-1])
        cos = (middle**2 + distance**2 - disc**2) / (
            2 * middle * np.maximum(distance, 1e-9)
        )
        return mass[0] + (
            np.diff(mass, axis=0) * np.arccos(np.clip(cos, -1, 1)) / np.pi
        ).sum(0)

    def solitons(
        self, n: int, central: np.ndarray, core: np.ndarray, slope: float
    ) -> Perturbers:
        """Return cores of the haloes as `uldm` profiles of n systems.

        A core has the density central (1 + a (r / core)^2)^-slope, with a = 2^(1 / slope) -
        1.

        Args:
            n: Number of systems.
            central: Central densities (M,) [Msun/kpc^3].
            core: Radii (M,) of half the central density [kpc].
            slope: Exponent of the density.
        """
        surface = (
            central
            * core
            * np.sqrt(np.pi / (2 ** (1 / slope) - 1))
            * scipy.special.gamma(slope - 0.5)
            / scipy.special.gamma(slope)
        )
        return Perturbers.from_counts(
            np.bincount(self.owner, minlength=n),
            kappa_0=surface * self.kpc_per_arcsec**2 / self.sigma_crit,
            theta_c=core / self.kpc_per_arcsec,
            slope=np.full(len(self), slope),
            center_x=self.x,
            center_y=self.y,
        )

    def tnfw(self, n: int, share: np.ndarray | float = 1.0) -> Perturbers:
        """Return truncated NFW profiles of haloes that are in the order of `n` systems.

        Args:
            n: Number of systems.
            share: Factor on the density of each halo, one or (M,).
        """
        r_s = self.r_s / self.kpc_per_arcsec
        return Perturbers.from_counts(
            np.bincount(self.owner, minlength=n),
            Rs=r_s,
            alpha_Rs=share
            * deflection_at_scale_radius(self.rho_s, self.r_s, r_s, self.sigma_crit),
            r_trunc=self.r_trunc / self.kpc_per_arcsec,
            center_x=self.x,
            center_y=self.y,
        )


def nfw_structure(
    mass: np.ndarray, concentration: np.ndarray, z: np.ndarray, cosmology: Cosmology
) -> tuple[np.ndarray, np.ndarray]:
    """Return the density and scale radius (M,) of NFW haloes.

    Args:
        mass: Masses M_200c (M,) [Msun].
        concentration: Concentrations c_200c (M,).
        z: Redshifts (M,).
        cosmology: The cosmology.

    Returns:
        rho_s [Msun / kpc^3] and r_s [kpc].
    """
    c = np.maximum(concentration, LOWEST)
    critical = cosmology.critical_density(z)
    r_200 = np.cbrt(3 * mass / (800 * np.pi * critical))
    return 200 / 3 * critical * c**3 / (np.log1p(c) - c / (1 + c)), r_200 / c


def deflection_at_scale_radius(
    rho_s: np.ndarray, r_s: np.ndarray, r_s_arcsec: np.ndarray, sigma_crit: np.ndarray
) -> np.ndarray:
    """Return alpha_Rs = 4 (1 - ln 2) rho_s r_s^3 / (Sigma_crit Rs) [arcsec].

    Args:
        rho_s: Densities [Msun / kpc^3].
        r_s: Scale radii [kpc].
        r_s_arcsec: Scale radii [arcsec].
        sigma_crit: Critical surface densities [Msun / arcsec^2].
    """
    return 4 * (1 - np.log(2)) * rho_s * r_s**3 / (sigma_crit * r_s_arcsec)


def tnfw_mass(rho_s: np.ndarray, r_s: np.ndarray, r_trunc: np.ndarray) -> np.ndarray:
    """Return the total mass [Msun] of truncated NFW haloes.

    M = 4 pi rho_s r_s^3 tau^2 / (tau^2 + 1)^2 ((tau^2 - 1) ln tau + tau pi - (tau^2 + 1)),
    with tau = r_trunc / r_s: equation A.4 of Baltz, Marshall & Oguri 2009
    (arXiv:0705.0682).

    Args:
        rho_s: Densities [Msun / kpc^3].
        r_s: Scale radii [kpc].
        r_trunc: Truncation radii [kpc].
    """
    tau = r_trunc / r_s
    closed = (tau**2 - 1) * np.log(tau) + tau * np.pi - (tau**2 + 1)
    return 4 * np.pi * rho_s * r_s**3 * (tau / (tau**2 + 1)) ** 2 * closed


def tnfw_projected_mass(
    rho_s: np.ndarray, r_s: np.ndarray, r_trunc: np.ndarray, radius: np.ndarray
) -> np.ndarray:
    """Return the mass [Msun] of truncated NFW haloes inside a projected `radius` [kpc].

    Equation A.11 of Baltz, Marshall & Oguri 2009. Densities are in Msun / kpc^3, radii in
    kpc.

    Example:
        >>> halo = np.array([1e7]), np.array([1.0]), np.array([5.0])
        >>> projected = tnfw_projected_mass(*halo, np.array([1e5]))
        >>> np.allclose(projected, tnfw_mass(*halo), rtol=1e-3)
        True
    """
    tau = r_trunc / r_s
    x = radius / r_s
    beyond = x > 1
    gap = np.maximum(np.abs(x**2 - 1), 1e-12)
    arc = np.where(
        beyond, np.arccos(1 / np.maximum(x, 1)), np.arccosh(1 / np.minimum(x, 1))
    )
    inner = np.where(gap <= 1e-12, 1.0, arc / np.sqrt(gap))
    root = np.sqrt(tau**2 + x**2)
    log = np.log(x / (root + tau))
    terms = (tau**2 + 2 * x**2 - 1) * inner + tau * np.pi + (tau**2 - 1) * np.log(tau)
    terms = terms + root * ((tau**2 - 1) / tau * log - np.pi)
    return 4 * np.pi * rho_s * r_s**3 * (tau / (tau**2 + 1)) ** 2 * terms


def merge_tables(before: Perturbers, after: Perturbers) -> Perturbers:
    """Return one table of the perturbers of two tables of the same systems.

    In each system, perturbers of `before` come before those of `after`.
    """
    tables = (before, after)
    owner = np.concatenate(
        [np.repeat(np.arange(len(table)), table.counts) for table in tables]
    )
    order = np.argsort(owner, kind="stable")
    return Perturbers.from_counts(
        before.counts + after.counts,
        **{
            name: np.concatenate([table.columns[name] for table in tables])[order]
            for name in before.columns
        },
    )
