"""Halos: a flat table of haloes with their physical numbers, and their way to profiles of a scene."""

from dataclasses import dataclass, fields

import numpy as np
from scipy.special import gamma

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
    """M haloes of n systems, in no order. Masses are M_200c in Msun, lengths in kpc, places in arcsec.

    `z` is where a halo is, `z_structure` when it got its structure: at infall for subhaloes. Haloes in front of the
    lens or behind it are stated as they act in the lens plane: `kpc_per_arcsec` and `sigma_crit` [Msun / arcsec^2]
    are effective ones.
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
        """The haloes `rows`."""
        return Halos(*(getattr(self, column.name)[rows] for column in fields(self)))

    @staticmethod
    def concatenate(tables: "list[Halos]") -> "Halos":
        """Several tables as one."""
        return Halos(
            *(
                np.concatenate([getattr(table, column.name) for table in tables])
                for column in fields(Halos)
            )
        )

    def by_owner(self) -> "Halos":
        """The same haloes in the order of their systems."""
        return self.take(np.argsort(self.owner, kind="stable"))

    @property
    def bound_mass(self) -> np.ndarray:
        """Mass (M,) [Msun] that tides leave: all of the truncated profile."""
        return tnfw_mass(self.rho_s, self.r_s, self.r_trunc)

    def mass_within(self, radius: np.ndarray | float) -> np.ndarray:
        """Mass (M,) [Msun] of the truncated profile inside a projected `radius` [arcsec in the lens plane]."""
        return tnfw_projected_mass(
            self.rho_s, self.r_s, self.r_trunc, radius * self.kpc_per_arcsec
        )

    def mass_seen(self, disc: float, distance: np.ndarray) -> np.ndarray:
        """Mass (M,) [Msun] of each halo inside a circle of radius `disc` whose centre is `distance` (M,) away; arcsec.

        Times the number of haloes on an area that they fill evenly out to `disc`, it is what they bring at `distance`.
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
        """Cores `central` (1 + a (r / core)^2)^-slope of the haloes, Msun/kpc^3 and kpc, as `uldm` of n systems."""
        surface = (
            central
            * core
            * np.sqrt(np.pi / (2 ** (1 / slope) - 1))
            * gamma(slope - 0.5)
            / gamma(slope)
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
        """Truncated NFW profiles of haloes in the order of `n` systems; `share` of each is left of its density."""
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
    """Density rho_s [Msun / kpc^3] and scale radius [kpc] of NFW haloes of M_200c at redshift `z`; all (M,)."""
    c = np.maximum(concentration, LOWEST)
    critical = cosmology.critical_density(z)
    r_200 = np.cbrt(3 * mass / (800 * np.pi * critical))
    return 200 / 3 * critical * c**3 / (np.log1p(c) - c / (1 + c)), r_200 / c


def deflection_at_scale_radius(
    rho_s: np.ndarray, r_s: np.ndarray, r_s_arcsec: np.ndarray, sigma_crit: np.ndarray
) -> np.ndarray:
    """alpha_Rs = 4 (1 - ln 2) rho_s r_s^3 / (Sigma_crit Rs) [arcsec], with Sigma_crit in Msun / arcsec^2."""
    return 4 * (1 - np.log(2)) * rho_s * r_s**3 / (sigma_crit * r_s_arcsec)


def tnfw_mass(rho_s: np.ndarray, r_s: np.ndarray, r_trunc: np.ndarray) -> np.ndarray:
    """Total mass [Msun] of truncated NFW haloes: equation A.4 of Baltz, Marshall & Oguri 2009 (arXiv:0705.0682).

    M = 4 pi rho_s r_s^3 tau^2 / (tau^2 + 1)^2 ((tau^2 - 1) ln tau + tau pi - (tau^2 + 1)), tau = r_trunc / r_s.
    """
    tau = r_trunc / r_s
    closed = (tau**2 - 1) * np.log(tau) + tau * np.pi - (tau**2 + 1)
    return 4 * np.pi * rho_s * r_s**3 * (tau / (tau**2 + 1)) ** 2 * closed


def tnfw_projected_mass(
    rho_s: np.ndarray, r_s: np.ndarray, r_trunc: np.ndarray, radius: np.ndarray
) -> np.ndarray:
    """Mass [Msun] of truncated NFW haloes inside projected `radius` [kpc]: A.11 of Baltz, Marshall & Oguri 2009."""
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
    """One table of the perturbers of two tables of the same systems, those of the first before those of the second."""
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
