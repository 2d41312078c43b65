"""Haloes along the line of sight, stated as they act in the lens plane."""

from dataclasses import dataclass

import numpy as np

from lenssim.simulate.cosmology import (
    ARCSEC_PER_RADIAN,
    Cosmology,
    critical_surface_density,
)
from lenssim.simulate.halos.linear import DELTA_C, linear_theory
from lenssim.simulate.halos.mass_function import (
    PIVOT,
    power_law_integral,
    power_law_mass,
    sheth_tormen,
    sheth_tormen_envelope,
)
from lenssim.simulate.plane import LensPlane

__all__ = ["Field", "FieldHalos", "two_halo_boost"]

CELLS = 160  # cells in redshift
# the cone behind the lens closes to 1 - CLOSING of its width at the source, as in pyHalo
CLOSING = 0.95
STEP = 0.02  # redshift over which correlated haloes are gathered to the lens plane
_MIN_REDSHIFT = 0.01


@dataclass(frozen=True)
class FieldHalos:
    """Haloes of the field before they have profiles, each column (M,).

    Attributes:
        owner: System of each halo.
        mass: Masses M_200c [Msun].
        z: Redshifts.
        kpc_per_arcsec: Effective scale in the lens plane.
        sigma_crit: Effective critical density in the lens plane [Msun / arcsec^2].
    """

    owner: np.ndarray
    mass: np.ndarray
    z: np.ndarray
    kpc_per_arcsec: np.ndarray
    sigma_crit: np.ndarray  # Msun / arcsec^2


class Field:
    """Sheth & Tormen haloes in a double cone around the line of sight of each system.

    With `two_halo`, haloes that gather around the host are added at its redshift. The
    standard effective treatment puts all haloes in the lens plane. With beta = D_lz D_s /
    (D_z D_ls) behind the lens, beta = D_zl D_s / (D_l D_zs) in front of it, and s = 1 -
    0.95 beta: a halo behind is seen through the lens, hence larger by 1 / s. A halo in
    front deflects by s of its strength, because the lens undoes the rest. Both hold exactly
    where the lens deflects like a sheet of its Einstein radius. At the ring that is true
    along the ring but not across. Sengul et al. 2020 (arXiv:2006.07383).

    Args:
        plane: The lens plane of n systems.
        mass: Smallest and largest mass [Msun].
        radius: Radius of the cones at the lens [arcsec].
        amount: Factors (n,) on the number of haloes.
        host_mass: Masses (n,) of the hosts [Msun].
        two_halo: Whether to add the haloes around the host.
    """

    def __init__(
        self,
        plane: LensPlane,
        *,
        mass: tuple[float, float],
        radius: float,
        amount: np.ndarray,
        host_mass: np.ndarray,
        two_halo: bool,
    ) -> None:
        self.plane = plane
        self.low, self.high = mass
        self.radius = radius
        self.lens = plane.cosmology.comoving_distance(plane.z_lens)
        self.source = plane.cosmology.comoving_distance(plane.z_source)
        span = plane.z_source - 0.002 - _MIN_REDSHIFT
        edges = _MIN_REDSHIFT + span[:, None] * np.linspace(0, 1, CELLS + 1)
        volume = np.concatenate(
            [
                self._cone_volume(edges),
                self._volume_at_lens(host_mass)[:, None] * two_halo,
            ],
            axis=1,
        )
        # cells of redshift, and one more of no width at the lens for its two-halo term
        self.start = np.concatenate([edges[:, :-1], plane.z_lens[:, None]], axis=1)
        self.width = np.concatenate(
            [np.diff(edges, axis=1), np.zeros((len(plane), 1))], axis=1
        )
        slope, log_height = self._envelope(self.start + self.width / 2)
        density = np.exp(log_height) * PIVOT * power_law_integral(slope, *mass)
        self.mean = amount[:, None] * volume * density

    def _cone_volume(self, edges: np.ndarray) -> np.ndarray:
        """Return the comoving volumes (n, CELLS) [Mpc^3] of the cells between `edges`."""
        chi = self.plane.cosmology.comoving_distance(edges)
        middle = 0.5 * (chi[:, 1:] + chi[:, :-1])
        depth = np.diff(chi, axis=1)
        scale = _scale(middle, self.lens[:, None], self.source[:, None])
        behind = middle > self.lens[:, None]
        cone = self.radius * np.where(behind, scale, 1.0) / ARCSEC_PER_RADIAN
        return np.pi * (cone * middle) ** 2 * depth

    def _volume_at_lens(self, host_mass: np.ndarray) -> np.ndarray:
        """Return the volume (n,) [Mpc^3] that holds as many haloes as the two-halo term."""
        plane = self.plane
        boost = two_halo_boost(plane.z_lens, host_mass, plane.cosmology)
        return _volume_at_lens(plane, self.radius) * boost

    def _envelope(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return sheth_tormen_envelope(z, self.low, self.high, self.plane.cosmology)

    def draw(self, rng: np.random.Generator) -> FieldHalos:
        """Draw haloes, with a Poisson number in each cell of redshift."""
        flat = np.repeat(np.arange(self.mean.size), rng.poisson(self.mean).ravel())
        owner = flat // self.mean.shape[1]
        cell = flat % self.mean.shape[1]
        along, mass_quantile, chance = rng.uniform(size=(3, len(flat)))
        z = self.start[owner, cell] + along * self.width[owner, cell]
        slope, log_height = self._envelope(z)
        mass = power_law_mass(slope, self.low, self.high, mass_quantile)
        real = np.flatnonzero(chance < self._share(mass, z, slope, log_height))
        return self._effective(owner[real], mass[real], z[real])

    def quadrature(
        self, along: np.ndarray, mass: np.ndarray
    ) -> tuple[FieldHalos, np.ndarray]:
        """Return haloes at even quantiles for every system, and their weights.

        Sums of weight * f over these haloes are means of the sum of f over the haloes of
        `draw`. Masses are spaced by the mass that they bring.

        Args:
            along: Quantiles (K,) in redshift.
            mass: Quantiles (K,) in mass.

        Returns:
            n K haloes, and their weights (n K,).
        """
        n = len(self.plane)
        k = len(along)
        cell = self._cells_at(along)
        owner = np.repeat(np.arange(n), k)
        z = (
            np.take_along_axis(self.start, cell, 1)
            + 0.5 * np.take_along_axis(self.width, cell, 1)
        ).ravel()
        slope, log_height = self._envelope(z)
        masses = power_law_mass(slope + 1, self.low, self.high, np.tile(mass, n))
        number = power_law_integral(slope, self.low, self.high, 0)
        first_moment = power_law_integral(slope, self.low, self.high, 1)
        weight = (
            np.cumsum(self.mean, axis=1)[:, -1][owner]
            / k
            * first_moment
            / number
            * PIVOT
            / masses
            * self._share(masses, z, slope, log_height)
        )
        return self._effective(owner, masses, z), weight

    def _cells_at(self, along: np.ndarray) -> np.ndarray:
        """Return the cells (n, K) at the quantiles `along` (K,) of the number of haloes."""
        cumulative = np.cumsum(self.mean, axis=1)
        cell = np.stack(
            [np.searchsorted(row, along * row[-1], side="right") for row in cumulative]
        )
        return np.minimum(cell, self.mean.shape[1] - 1)

    def _share(
        self, mass: np.ndarray, z: np.ndarray, slope: np.ndarray, log_height: np.ndarray
    ) -> np.ndarray:
        """Return the number of haloes over that of the envelope."""
        envelope = np.exp(log_height + slope * np.log(mass / PIVOT))
        return sheth_tormen(mass, z, self.plane.cosmology) / envelope

    def _effective(self, owner: np.ndarray, mass: np.ndarray, z: np.ndarray) -> FieldHalos:
        cosmology = self.plane.cosmology
        scale = _scale(cosmology.comoving_distance(z), self.lens[owner], self.source[owner])
        behind = z > self.plane.z_lens[owner]
        kpc = cosmology.kpc_per_arcsec(z)
        sigma = critical_surface_density(cosmology, z, self.plane.z_source[owner]) * kpc**2
        return FieldHalos(
            owner,
            mass,
            z,
            kpc_per_arcsec=np.where(behind, kpc * scale, kpc),
            sigma_crit=np.where(behind, sigma * scale, sigma / scale),
        )


def _volume_at_lens(plane: LensPlane, radius: float) -> np.ndarray:
    """Return the comoving volume (n,) [Mpc^3] of the disc at the lens, STEP in redshift deep."""
    nearer, farther = (
        plane.cosmology.comoving_distance(plane.z_lens + step) for step in (0.0, STEP)
    )
    return np.pi * (radius / ARCSEC_PER_RADIAN * nearer) ** 2 * (farther - nearer)


def _scale(chi: np.ndarray, lens: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return s = 1 - 0.95 beta at comoving distances `chi`.

    In a flat universe beta has the same form on both sides of the lens.
    """
    nearer = np.minimum(chi, lens)
    farther = np.maximum(chi, lens)
    beta = (farther - nearer) * source / (farther * (source - nearer))
    return 1 - CLOSING * beta


def two_halo_boost(
    z: np.ndarray, host_mass: np.ndarray, cosmology: Cosmology
) -> np.ndarray:
    """Return the mean overdensity (n,) around hosts, summed over both sides.

    The mean is from 0.5 Mpc to the distance of a step of 0.02 in redshift. It is bias times
    the correlation function, plus the correction 0.1 (r / 5 r_200)^-4 of Lazar et al. 2021
    (MNRAS 502, 6064, equation 3) close to the host. The bias is that of Tinker et al. 2010
    (arXiv:1001.3162, table 2, 200 times critical).

    Args:
        z: Redshifts (n,) of the hosts.
        host_mass: Their masses (n,) [Msun].
        cosmology: The cosmology.
    """
    theory = linear_theory(cosmology)
    farther = cosmology.comoving_distance(z + STEP) - cosmology.comoving_distance(z)
    nearer = np.minimum(farther, 0.5)
    r = nearer[:, None] * (farther / nearer)[:, None] ** np.linspace(0, 1, 200)
    r_200 = np.cbrt(3 * host_mass / (800 * np.pi * cosmology.critical_density(z))) / 1000
    bias = (
        _bias(theory.peak_height(host_mass, z), theory.omega_m(z)) * theory.growth(z) ** 2
    )
    excess = (
        bias[:, None] * theory.correlation(r * theory.h)
        + 0.1 * (r / (5 * r_200[:, None])) ** -4.0
    )
    return 2 * np.trapezoid(excess, r, axis=1) / (farther - nearer)


def _bias(nu: np.ndarray, omega_m: np.ndarray) -> np.ndarray:
    y = np.log10(200 / omega_m)
    bend = np.exp(-((4 / y) ** 4))
    a = 0.44 * y - 0.88
    c = 0.019 + 0.107 * y + 0.19 * bend
    return (
        1
        - (1 + 0.24 * y * bend) * nu**a / (nu**a + DELTA_C**a)
        + 0.183 * nu**1.5
        + c * nu**2.4
    )
