"""Sources: the galaxies behind deflectors, drawn from luminosity functions."""

from typing import Any, Literal

import numpy as np
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from lenssim.record import Record
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.sources.colours import (
    GALAXY_TYPES,
    filters,
    magnitudes_of_types,
)
from lenssim.simulate.survey.counts import Counts
from lenssim.simulate.survey.galaxy_catalogue import GalaxyCatalogue
from lenssim.simulate.survey.luminosity import LuminosityFunction
from lenssim.simulate.survey.shapes import axis_ratios

__all__ = ["SIZES", "GalaxyPopulation", "Sources"]

_FLATTENING = 0.3  # width of the Rayleigh distribution of 1 - q, Collett 2015


def _collett2015(absolute: np.ndarray, z: np.ndarray) -> np.ndarray:
    return 10 ** (-(absolute + 18) / 4) * ((1 + z) / 1.6) ** -1.2


def _shibuya2015(absolute: np.ndarray, z: np.ndarray) -> np.ndarray:
    luminosity = 10 ** (-0.4 * (absolute + 21))
    return 6.9 * (1 + z) ** -1.2 * luminosity**0.27


SIZES = {"collett2015": (_collett2015, 0.35), "shibuya2015": (_shibuya2015, 0.2)}
"""Half-light radii [kpc] by absolute magnitude and redshift, and their scatter [dex]."""


class GalaxyPopulation(Record):
    """Galaxies of one luminosity function, whose spectra are of some types in equal shares."""

    spectrum: tuple[Literal["E", "Sbc", "Scd", "Im"], ...] = Field(
        min_length=1, max_length=4
    )
    luminosity_function: LuminosityFunction


class Sources(Record):
    """How many galaxies there are behind, how bright, how large and of which shape.

    Example:
        >>> function = LuminosityFunction(density=0.012, magnitude=-19.7, slope=-1.45)
        >>> population = GalaxyPopulation(spectrum=("Im",), luminosity_function=function)
        >>> sources = Sources(populations=(population,), faintest=26.0)
        >>> cosmology = Cosmology(H0=70, Om0=0.3, Ob0=0.05)
        >>> sorted(sources.draw(np.random.default_rng(0), 5, cosmology))
        ['R_sersic', 'absolute_magnitude', 'kind', 'q', 'z_source']
    """

    populations: tuple[GalaxyPopulation, ...] = Field(default=(), max_length=8)
    catalogue: GalaxyCatalogue | None = None
    faintest: float = Field(
        default=27.8, ge=15, le=32, description="largest apparent magnitude"
    )
    band: str = Field(default="lsst_i", description="filter of `faintest`")
    z: tuple[float, float] = Field(default=(0.02, 5.5), description="redshifts")
    sizes: Literal["collett2015", "shibuya2015"] = "collett2015"

    @model_validator(mode="after")
    def _checked(self) -> "Sources":
        low, high = self.z
        if not 0 < low < high <= 6:
            raise ValueError("z must rise and lie in 0 to 6")
        if self.band not in filters():
            raise ValueError(f"unknown filter of `band`; there are {', '.join(filters())}")
        if bool(self.populations) == (self.catalogue is not None):
            raise ValueError("state either `populations` or a `catalogue`")
        return self

    @model_serializer(mode="wrap")
    def _stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out which of populations and catalogue is not stated."""
        document: dict[str, Any] = handler(self)
        for name in ("populations", "catalogue"):
            if not getattr(self, name):
                document.pop(name)
        return document

    def counts(self, cosmology: Cosmology) -> list[tuple[str, Counts]]:
        """Return the type of galaxies and their counts on a square arcsec, by z and magnitude."""
        types: list[tuple[str, Counts]] = []
        for population in self.populations:
            function = population.luminosity_function
            share = len(population.spectrum)
            for kind in population.spectrum:
                counts = function.counts(kind, self.band, self.faintest, self.z, cosmology)
                types.append((kind, Counts(counts.x, counts.y, counts.numbers / share)))
        return types

    def density(self, cosmology: Cosmology) -> float:
        """Return how many sources there are on a square arcsec."""
        if self.catalogue is not None:
            return self.catalogue.density(self.faintest, self.z)
        return sum(counts.total for _, counts in self.counts(cosmology))

    def redshifts(self, cosmology: Cosmology) -> tuple[np.ndarray, np.ndarray]:
        """Return redshifts (Z,), and how many sources (Z,) of each are on a square arcsec."""
        if self.catalogue is not None:
            z = self.catalogue.galaxies(self.faintest, self.z)["z"]
            return z, np.full(len(z), self.catalogue.share)
        types = [counts for _, counts in self.counts(cosmology)]
        edges = types[0].x
        numbers = sum(counts.numbers.sum(axis=1) for counts in types)
        return 0.5 * (edges[1:] + edges[:-1]), np.asarray(numbers)

    def draw(
        self, rng: np.random.Generator, n: int, cosmology: Cosmology
    ) -> dict[str, np.ndarray]:
        """Draw `n` sources of a cosmology.

        Returns:
            Columns (n,): `z_source`, `absolute_magnitude` in SDSS r at rest, `kind` (the number of its
            type in `GALAXY_TYPES`), `R_sersic` [arcsec] and axis ratio `q`.
        """
        if self.catalogue is not None:
            return self._draw_rows(self.catalogue, rng, n, cosmology)
        types = self.counts(cosmology)
        totals = np.array([counts.total for _, counts in types])
        numbers = rng.multinomial(n, totals / totals.sum())
        parts = [
            counts.draw(rng, number)
            for (_, counts), number in zip(types, numbers, strict=True)
        ]
        codes = np.array([float(GALAXY_TYPES.index(kind)) for kind, _ in types])
        order = rng.permutation(n)
        z = np.concatenate([part[0] for part in parts])[order]
        absolute = np.concatenate([part[1] for part in parts])[order]
        size, scatter = SIZES[self.sizes]
        kpc = size(absolute, z) * 10 ** (scatter * rng.standard_normal(n))
        return {
            "z_source": z,
            "absolute_magnitude": absolute,
            "kind": np.repeat(codes, numbers)[order],
            "R_sersic": kpc / cosmology.kpc_per_arcsec(z),
            "q": axis_ratios(rng, np.full(n, _FLATTENING)),
        }

    def _draw_rows(
        self,
        catalogue: GalaxyCatalogue,
        rng: np.random.Generator,
        n: int,
        cosmology: Cosmology,
    ) -> dict[str, np.ndarray]:
        """Draw `n` galaxies of a catalogue, as `draw` returns them."""
        galaxies = catalogue.galaxies(self.faintest, self.z)
        rows = rng.integers(len(galaxies["z"]), size=n)
        columns = {name: column[rows] for name, column in galaxies.items()}
        kinds = rng.integers(len(catalogue.spectrum), size=n)
        codes = np.array([float(GALAXY_TYPES.index(kind)) for kind in catalogue.spectrum])
        kind = columns.get("spectrum", codes[kinds])
        dimming = magnitudes_of_types(columns["z"], kind, self.band, cosmology)
        q = axis_ratios(rng, np.full(n, _FLATTENING))
        return {
            "z_source": columns["z"],
            "absolute_magnitude": columns["magnitude"] - dimming,
            "kind": kind,
            "R_sersic": columns["R_sersic"],
            "q": columns.get("q", q),
        }
