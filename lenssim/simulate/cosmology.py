"""Distances, and what a mass and a redshift mean as angles on the sky."""

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:  # astropy.cosmology takes seconds to import: only what computes distances pays for it
    from astropy.cosmology import FlatLambdaCDM

__all__ = ["Cosmology", "MassConvention"]

_ARCSEC_PER_RADIAN = 206265.0  # rounded as in the published scripts; the exact value is 206264.806


class Cosmology(BaseModel):
    """A flat Lambda-CDM cosmology: H0 in km/s/Mpc, matter and baryon densities today."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    H0: float = Field(gt=0)
    Om0: float = Field(gt=0, le=1)
    Ob0: float = Field(ge=0, le=1)

    def astropy(self) -> "FlatLambdaCDM":
        """The same cosmology as an astropy object."""
        return _astropy(self)

    def deflection_scale(self, z_lens: np.ndarray, z_source: np.ndarray, z_convention: np.ndarray) -> np.ndarray:
        """Factor (N,) from deflections stated for a source at `z_convention` to those of one at `z_source`.

        beta = (D_ls / D_s)(z_source) / (D_ls / D_s)(z_convention), angular-diameter distances; 1 where both agree.
        """
        triples = np.stack(np.broadcast_arrays(z_lens, z_source, z_convention), axis=-1)
        unique, inverse = np.unique(triples.reshape(-1, 3), axis=0, return_inverse=True)
        scales = np.array([_deflection_scale(self, *map(float, triple)) for triple in unique])
        return scales[inverse.ravel()].reshape(triples.shape[:-1])


class MassConvention(BaseModel):
    """How a mass becomes an Einstein radius: theta_E = sqrt(4 G M / c^2 * D_ls / (D_l D_s)).

    `distances: luminosity` is what the published DeepLense scripts do (with D_ls = D_s - D_l, in a cosmology of
    its own and for a source at its own redshift); `angular_diameter` is the physics.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    distances: Literal["luminosity", "angular_diameter"] = "angular_diameter"
    cosmology: Cosmology | None = None
    z_source: float | None = Field(default=None, gt=0)

    def solar_einstein_radius(self, z_lens: np.ndarray, z_source: np.ndarray, cosmology: Cosmology) -> np.ndarray:
        """Einstein radius (N,) in arcsec of one solar mass; a mass M has sqrt(M) times it."""
        cosmology = self.cosmology or cosmology
        z_source = np.full_like(z_lens, self.z_source) if self.z_source is not None else z_source
        pairs, inverse = np.unique(np.stack([z_lens, z_source], axis=-1), axis=0, return_inverse=True)
        radii = [_solar_einstein_radius(cosmology, self.distances, *map(float, pair)) for pair in pairs]
        return np.array(radii)[inverse.ravel()]


@lru_cache
def _astropy(cosmology: Cosmology) -> "FlatLambdaCDM":
    from astropy.cosmology import FlatLambdaCDM

    return FlatLambdaCDM(H0=cosmology.H0, Om0=cosmology.Om0, Ob0=cosmology.Ob0)


@lru_cache(maxsize=65536)
def _deflection_scale(cosmology: Cosmology, z_lens: float, z_source: float, z_convention: float) -> float:
    if z_source == z_convention:
        return 1.0
    flat = cosmology.astropy()
    lens, source, convention = (flat.comoving_distance(z).to_value("Mpc") for z in (z_lens, z_source, z_convention))
    return float(((source - lens) / source) / ((convention - lens) / convention))  # flat: D_ls / D_s in comoving ones


@lru_cache(maxsize=65536)
def _solar_einstein_radius(cosmology: Cosmology, distances: str, z_lens: float, z_source: float) -> float:
    from astropy import constants, units

    flat = cosmology.astropy()
    four_g_msun = (4 * constants.G * units.M_sun / constants.c**2).to_value(units.Mpc)
    if distances == "luminosity":
        d_lens, d_source = (flat.luminosity_distance(z).to_value("Mpc") for z in (z_lens, z_source))
        d_between = d_source - d_lens
    else:
        d_lens, d_source = (flat.angular_diameter_distance(z).to_value("Mpc") for z in (z_lens, z_source))
        d_between = d_source - d_lens * (1 + z_lens) / (1 + z_source)  # flat
    return float(_ARCSEC_PER_RADIAN * np.sqrt(four_g_msun * d_between / (d_lens * d_source)))
