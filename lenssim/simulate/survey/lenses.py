"""Ideal lenses: deflectors that have a source inside their Einstein radius."""

import numpy as np

from lenssim.simulate.cosmology import ARCSEC_PER_RADIAN, C, Cosmology
from lenssim.simulate.survey.counts import Counts
from lenssim.simulate.survey.deflectors import Deflectors
from lenssim.simulate.survey.sources import Sources

__all__ = ["SkyModel"]


class SkyModel:
    """A model of the sky that draws the ideal lenses of one square degree after another.

    An ideal lens has the centre of a source inside its Einstein radius. Sources lie anywhere,
    so a deflector has as many of them behind it as its Einstein radius covers on average.

    Args:
        deflectors: The galaxies that may be lenses.
        sources: The galaxies behind.
        cosmology: The cosmology.
    """

    def __init__(
        self, deflectors: Deflectors, sources: Sources, cosmology: Cosmology
    ) -> None:
        self.deflectors = deflectors
        self.sources = sources
        self.cosmology = cosmology
        self._deflector_counts: Counts = deflectors.counts(cosmology)
        self._source_density = sources.density(cosmology)

    def density(self) -> float:
        """Return how many ideal lenses a square degree has in the mean."""
        deflectors = self._deflector_counts
        sigma_v = 0.5 * (deflectors.y[1:] + deflectors.y[:-1])
        area = np.pi * _largest_radius(sigma_v) ** 2
        z_source, numbers = self.sources.redshifts(self.cosmology)
        z_lens = 0.5 * (deflectors.x[1:] + deflectors.x[:-1])
        share = self._ratio(z_lens[:, None], z_source[None, :]) ** 2 @ numbers
        return float(share @ (deflectors.numbers @ area))

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw the ideal lenses of a square degree.

        Args:
            rng: Generator of random numbers.

        Returns:
            Columns (N,) in the order of `sky`, a number from 0 to 1 that is even over the square
            degree. `deflector` is its number, and `n_sources` says how many ideal sources it
            has. Angles are in arcsec, `sigma_v` in km/s.
        """
        z_lens, sigma_v = self._deflector_counts.draw(
            rng, rng.poisson(self._deflector_counts.total)
        )
        sky = rng.random(len(z_lens))
        # the Einstein radius for a source at infinity: none lies inside a larger one
        largest = _largest_radius(sigma_v)
        behind = rng.poisson(np.pi * largest**2 * self._source_density)
        owner = np.repeat(np.arange(len(z_lens)), behind)
        source = self.sources.draw(rng, len(owner), self.cosmology)
        distance = largest[owner] * np.sqrt(rng.random(len(owner)))
        angle = 2 * np.pi * rng.random(len(owner))
        theta_E = largest[owner] * self._ratio(z_lens[owner], source["z_source"])
        ideal = np.flatnonzero(distance < theta_E)
        ideal = ideal[np.argsort(sky[owner[ideal]], kind="stable")]
        owner = owner[ideal]
        z_lens = z_lens[owner]
        sigma_v = sigma_v[owner]
        shapes = self.deflectors.draw_shapes(rng, z_lens, sigma_v, self.cosmology)
        columns = {f"source_{name}": column[ideal] for name, column in source.items()}
        columns["z_source"] = columns.pop("source_z_source")
        return {
            "deflector": owner.astype(np.float64),
            "sky": sky[owner],
            "n_sources": np.bincount(owner, minlength=len(z_lens))[owner].astype(
                np.float64
            ),
            "z_lens": z_lens,
            "sigma_v": sigma_v,
            "theta_E": theta_E[ideal],
            **shapes,
            **columns,
            "source_center_x": (distance * np.cos(angle))[ideal],
            "source_center_y": (distance * np.sin(angle))[ideal],
            "source_phi": np.pi * rng.random(len(ideal)),
        }

    def _ratio(self, z_lens: np.ndarray, z_source: np.ndarray) -> np.ndarray:
        """Return D_ls / D_s, and 0 for sources in front."""
        lens = self.cosmology.comoving_distance(z_lens)
        source = self.cosmology.comoving_distance(z_source)
        return np.maximum(1 - lens / source, 0.0)


def _largest_radius(sigma_v: np.ndarray) -> np.ndarray:
    """Return the Einstein radius (N,) [arcsec] for a source at infinity."""
    return 4 * np.pi * (sigma_v / C) ** 2 * ARCSEC_PER_RADIAN
