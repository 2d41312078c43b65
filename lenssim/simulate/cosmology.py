"""Distances, and the angles on the sky that correspond to masses and redshifts."""

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, model_validator

from lenssim.record import Record

# astropy.cosmology takes a second to import, so distances are computed here
if TYPE_CHECKING:
    from astropy.cosmology import FlatLambdaCDM
    from scipy.interpolate import CubicSpline

__all__ = [
    "ARCSEC_PER_RADIAN",
    "Cosmology",
    "G",
    "MassConvention",
    "critical_surface_density",
]

_PUBLISHED_ARCSEC_PER_RADIAN = 206265.0  # rounded as in the published scripts
ARCSEC_PER_RADIAN = 206264.80624709636
G = 4.30091727e-6  # kpc (km/s)^2 / Msun
C = 299792.458  # km/s
_HUBBLE_MPC = 299792458.0  # of H0 = 1 km/s/Mpc: 1000 times the Hubble distance [Mpc]
_FOUR_G_MSUN = 1.914166336635137e-19  # Mpc: 4 G Msun / c^2 of CODATA 2018 and IAU 2015
_HUBBLE_GYR = 977.7922216807891  # Gyr of a Hubble time at H0 = 1 km/s/Mpc


class Cosmology(Record):
    """A flat Lambda-CDM cosmology: H0 in km/s/Mpc, matter and baryon densities today.

    Example:
        >>> cosmology = Cosmology(H0=70, Om0=0.3, Ob0=0.05)
        >>> round(float(cosmology.age(0.0)), 2)
        13.47
    """

    H0: float = Field(ge=1, le=1000)
    Om0: float = Field(ge=0.01, le=1)
    Ob0: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _baryons_are_matter(self) -> "Cosmology":
        if self.Ob0 > self.Om0:
            raise ValueError(
                "baryons are part of matter: Ob0 must not exceed Om0, "
                f"got {self.Ob0:g} and {self.Om0:g}"
            )
        return self

    def astropy(self) -> "FlatLambdaCDM":
        """Return the same cosmology as an astropy object."""
        return _astropy(self)

    def comoving_distance(self, z: np.ndarray) -> np.ndarray:
        """Return the comoving distance [Mpc] to redshifts `z` up to 25, of the same shape.

        It is interpolated to 1e-9.
        """
        return _distances(self)(np.log1p(z))

    def kpc_per_arcsec(self, z: np.ndarray) -> np.ndarray:
        """Return the physical kpc that one arcsec spans at redshifts `z`, of the same shape."""
        return self.comoving_distance(z) / (1 + np.asarray(z)) * 1000 / ARCSEC_PER_RADIAN

    def critical_density(self, z: np.ndarray) -> np.ndarray:
        """Return the critical density 3 H(z)^2 / (8 pi G) [Msun / kpc^3], of the shape of `z`."""
        expansion = self.Om0 * (1 + np.asarray(z)) ** 3 + 1 - self.Om0
        return 3 * (self.H0 / 1000) ** 2 * expansion / (8 * np.pi * G)

    def age(self, z: np.ndarray | float) -> np.ndarray:
        """Return the age of the universe [Gyr] at redshifts `z`, without radiation."""
        dark = 1 - self.Om0
        if dark == 0:
            return 2 / 3 * (1 + np.asarray(z)) ** -1.5 * _HUBBLE_GYR / self.H0
        root = np.sqrt(dark / self.Om0) * (1 + np.asarray(z)) ** -1.5
        return 2 / (3 * np.sqrt(dark)) * np.arcsinh(root) * _HUBBLE_GYR / self.H0

    def deflection_scale(
        self, z_lens: np.ndarray, z_source: np.ndarray, z_convention: np.ndarray
    ) -> np.ndarray:
        """Return the factor from deflections for a source at `z_convention` to those at `z_source`.

        (D_ls / D_s)(z_source) / (D_ls / D_s)(z_convention), angular-diameter distances; 1
        where both redshifts agree.

        Args:
            z_lens: Redshifts of the lenses.
            z_source: Redshifts of the sources.
            z_convention: Redshifts that deflections are stated for.

        Returns:
            Factors, of the common shape of the arguments.
        """
        triples = np.stack(np.broadcast_arrays(z_lens, z_source, z_convention), axis=-1)
        unique, inverse = _distinct(triples.reshape(-1, 3))
        scales = np.array(
            [_deflection_scale(self, *map(float, triple)) for triple in unique]
        )
        return scales[inverse].reshape(triples.shape[:-1])

    def distance_ratio(self, z_lens: np.ndarray, z_source: np.ndarray) -> np.ndarray:
        """Return D_ls / D_s, angular-diameter distances; exactly astropy's.

        Args:
            z_lens: Redshifts of the lenses.
            z_source: Redshifts of the sources.

        Returns:
            Ratios, of the common shape of the arguments.
        """
        pairs = np.stack(np.broadcast_arrays(z_lens, z_source), axis=-1)
        unique, inverse = _distinct(pairs.reshape(-1, 2))
        ratios = np.array([_distance_ratio(self, *map(float, pair)) for pair in unique])
        return ratios[inverse].reshape(pairs.shape[:-1])


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows (K, c) of rows (N, c), and which of them each row is."""
    if len(rows) and (rows == rows[0]).all():  # saves sorting
        return rows[:1], np.zeros(len(rows), np.int64)
    unique, inverse = np.unique(rows, axis=0, return_inverse=True)
    return unique, inverse.ravel()


def critical_surface_density(
    cosmology: Cosmology, z_lens: np.ndarray, z_source: np.ndarray
) -> np.ndarray:
    """Return c^2 D_s / (4 pi G D_l D_ls) [Msun / kpc^2], physical, at the lens.

    Args:
        cosmology: The cosmology.
        z_lens: Redshifts of the lenses.
        z_source: Redshifts of the sources, of the same shape.
    """
    lens, source = (cosmology.comoving_distance(z) * 1000 for z in (z_lens, z_source))
    return (
        C**2
        / (4 * np.pi * G)
        * source
        * (1 + np.asarray(z_lens))
        / (lens * (source - lens))
    )


class MassConvention(Record):
    """How a mass becomes an Einstein radius: theta_E = sqrt(4 G M / c^2 * D_ls / (D_l D_s)).

    `distances: luminosity` is the convention of the published DeepLense scripts, with D_ls
    = D_s - D_l, in a cosmology of its own and for a source at its own redshift.
    `angular_diameter` is the physics.
    """

    distances: Literal["luminosity", "angular_diameter"] = "angular_diameter"
    cosmology: Cosmology | None = None
    z_source: float | None = Field(default=None, gt=0, le=25)

    def solar_einstein_radius(
        self, z_lens: np.ndarray, z_source: np.ndarray, cosmology: Cosmology
    ) -> np.ndarray:
        """Return the Einstein radius (N,) [arcsec] of one solar mass; mass M has sqrt(M) times it.

        Args:
            z_lens: Redshifts (N,) of the lenses.
            z_source: Redshifts (N,) of the sources, unless the convention has its own.
            cosmology: The cosmology, unless the convention has its own.
        """
        cosmology = self.cosmology or cosmology
        if self.z_source is not None:
            z_source = np.full_like(z_lens, self.z_source)
        pairs, inverse = _distinct(np.stack([z_lens, z_source], axis=-1))
        radii = [
            _solar_einstein_radius(cosmology, self.distances, *map(float, pair))
            for pair in pairs
        ]
        return np.array(radii)[inverse]


@lru_cache
def _astropy(cosmology: Cosmology) -> "FlatLambdaCDM":
    from astropy.cosmology import FlatLambdaCDM

    return FlatLambdaCDM(H0=cosmology.H0, Om0=cosmology.Om0, Ob0=cosmology.Ob0)


def _comoving_distance(cosmology: Cosmology, z: np.ndarray | float) -> np.ndarray:
    """Return the comoving distance [Mpc] to redshifts `z`, of the same shape, to the last bit.

    Without radiation it is a hypergeometric function (Baes et al. 2017, MNRAS 468, 927). The
    order of products is astropy's, and so are the bits: data sets depend on them.
    """
    from scipy.special import hyp2f1

    hubble_distance = _HUBBLE_MPC / cosmology.H0 * 1e-3
    observer, redshifts = np.broadcast_arrays(0.0, z)
    if cosmology.Om0 == 1:
        return 2 * hubble_distance * ((observer + 1.0) ** -0.5 - (redshifts + 1.0) ** -0.5)

    def integral(x: np.ndarray) -> np.ndarray:
        return 2 * np.sqrt(x) * hyp2f1(1 / 6, 1 / 2, 7 / 6, -(x**3))

    ratio = ((1 - cosmology.Om0) / cosmology.Om0) ** (1 / 3)
    scale = hubble_distance / np.sqrt(ratio * cosmology.Om0)
    return scale * (
        integral(ratio / (observer + 1.0)) - integral(ratio / (redshifts + 1.0))
    )


@lru_cache
def _distances(cosmology: Cosmology) -> "CubicSpline":
    from scipy.interpolate import CubicSpline

    log_1z = np.linspace(0, np.log(26.0), 2000)
    return CubicSpline(log_1z, _comoving_distance(cosmology, np.expm1(log_1z)))


@lru_cache(maxsize=65536)
def _deflection_scale(
    cosmology: Cosmology, z_lens: float, z_source: float, z_convention: float
) -> float:
    if z_source == z_convention:
        return 1.0
    lens, source, convention = (
        _comoving_distance(cosmology, z) for z in (z_lens, z_source, z_convention)
    )
    # in a flat universe D_ls / D_s is a ratio of comoving distances
    return float(((source - lens) / source) / ((convention - lens) / convention))


@lru_cache(maxsize=65536)
def _distance_ratio(cosmology: Cosmology, z_lens: float, z_source: float) -> float:
    flat = cosmology.astropy()
    lens, source = (flat.comoving_distance(z).to_value("Mpc") for z in (z_lens, z_source))
    # in a flat universe D_ls / D_s is a ratio of comoving distances
    return float((source - lens) / source)


@lru_cache(maxsize=65536)
def _solar_einstein_radius(
    cosmology: Cosmology, distances: str, z_lens: float, z_source: float
) -> float:
    lens = _comoving_distance(cosmology, z_lens)
    source = _comoving_distance(cosmology, z_source)
    if distances == "luminosity":
        d_lens = (z_lens + 1.0) * lens
        d_source = (z_source + 1.0) * source
        d_between = d_source - d_lens
    else:
        d_lens = lens / (z_lens + 1.0)
        d_source = source / (z_source + 1.0)
        d_between = d_source - d_lens * (1 + z_lens) / (1 + z_source)  # flat
    return float(
        _PUBLISHED_ARCSEC_PER_RADIAN
        * np.sqrt(_FOUR_G_MSUN * d_between / (d_lens * d_source))
    )
