"""A population of haloes in and around the main lens.

Cold, warm, fuzzy and self-interacting dark matter share it.
"""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import scipy  # its modules are imported when they are used

from lenssim.errors import ConfigError
from lenssim.simulate.columns import Columns
from lenssim.simulate.darkmatter.halo_model import HaloModel, SubhaloDraws
from lenssim.simulate.halos.halos import Halos
from lenssim.simulate.halos.mass_function import (
    PIVOT,
    host_scaling,
    power_law_integral,
    power_law_mass,
)
from lenssim.simulate.plane import LensPlane, put_truth
from lenssim.simulate.scenes import Perturbers

__all__ = ["HaloPopulation"]

_MAX_HALOES = 2e7  # subhaloes drawn at once, some gigabytes
_QUADRATURE_HALOES = 256  # haloes a system in the quadrature of the mean mass


class HaloPopulation(HaloModel):
    """Subhaloes of the main lens and haloes along the line of sight, as truncated NFW profiles.

    The subhalo mass function is equation 5 of Gilman et al. 2020 (arXiv:1908.06983):

    d^2N / dm dA = Sigma_sub / m0 (m / m0)^slope F(M_host, z), m0 = 1e8 Msun.

    It holds between the ends of `mass` [Msun, M_200c at infall]. F has the exponents
    `host_scaling` and `redshift_scaling`. Instead of `Sigma_sub` [1 / kpc^2] a preset may give
    `f_sub`, the fraction of the mass at the Einstein radius that fell in as such haloes. Their
    mean surface density is then f_sub Sigma_crit / 2.

    Numbers are Poisson. Positions fill a disc of `radius` arcsec evenly (default: the circle
    around the stamp), or follow a host with a core (`places: host`). `line_of_sight` is the
    amount of haloes in the field; 1 stands for that of Sheth & Tormen.

    With `conserve_mass` a sheet of minus the haloes' mean convergence takes their mass from the
    host. The mean mass inside the Einstein radius is then that of the smooth lens.
    """

    kinds: ClassVar[tuple[str, ...]] = ("tnfw", "sheet")
    reports_truth: ClassVar[bool] = True
    units: ClassVar[dict[str, str]] = {
        "Sigma_sub": "kpc^-2",
        "f_sub": "",
        "shmf_slope": "",
        "host_mass": "Msun",
        "line_of_sight": "",
        "n_subhaloes": "",
        "n_field_haloes": "",
        "substructure_mass": "Msun",
        "kappa_sub": "",
    }

    def draw_matter(self, columns: Columns, plane: LensPlane) -> None:
        """Draw the columns of this kind of dark matter; cold dark matter has none."""

    def tables(
        self, columns: Columns, plane: LensPlane, halos: Halos
    ) -> dict[str, Perturbers]:
        """Return the profiles of haloes, which are in the order of the n systems."""
        return {"tnfw": halos.tnfw(len(plane))}

    def perturb(self, columns: Columns, plane: LensPlane) -> dict[str, Perturbers]:
        """Draw the haloes of n systems, and the sheet that takes away their mean mass.

        Args:
            columns: The systems' columns (n,), to which those of `units` are added.
            plane: The lens plane of the systems.

        Returns:
            Perturbers by profile: those of `tables`, and "sheet".

        Raises:
            ConfigError: Numbers are out of bounds, or there are too many haloes for memory.
        """
        self._draw_numbers(columns)
        self._put_normalisation(columns, plane)
        self.draw_matter(columns, plane)
        kappa = columns.put("kappa_sub", self.mean_convergence(columns, plane))
        subhalos = self._subhalos(columns, plane)
        field = self._field(columns, plane)
        for name, table in (("n_subhaloes", subhalos), ("n_field_haloes", field)):
            counts = np.bincount(table.owner, minlength=len(plane))
            columns.put(name, counts.astype(np.float64))
        halos = Halos.concatenate([subhalos, field]).by_owner()
        total = np.bincount(halos.owner, weights=halos.mass, minlength=len(plane))
        columns.put("substructure_mass", total)
        put_truth(columns, plane, halos.owner, halos.mass, halos.x, halos.y)
        sheet = -kappa
        if not self.conserve_mass:
            sheet = np.zeros(len(plane))
        counts = np.ones(len(plane), np.int64)
        sheets = Perturbers.from_counts(counts, kappa=sheet)
        return {**self.tables(columns, plane, halos), "sheet": sheets}

    def mean_convergence(self, columns: Columns, plane: LensPlane) -> np.ndarray:
        """Return the mean convergence of the truncated haloes inside the Einstein radius.

        Haloes inside the ring lie deeper in the host than those of the whole disc, and tides
        truncate them more. So the mean is theirs. Mass that large haloes spill over the edge of
        the disc does not count.

        Returns:
            Convergences (n,), by quadrature to 1 %.
        """
        grid = _evenly(_QUADRATURE_HALOES, 6)
        mass, radius, angle, depth, infall, scatter = (
            np.tile(row, len(plane)) for row in grid
        )
        owner = np.repeat(np.arange(len(plane)), _QUADRATURE_HALOES)
        normal = scipy.special.ndtri(scatter)
        draws = SubhaloDraws(owner, mass, radius, angle, depth, infall, normal)
        ring = np.minimum(plane.theta_E[owner], 0.9 * self.disc(plane))
        distance = ring * np.sqrt(draws.angle)  # points that fill the ring evenly
        kappa = self._mean_subhalo_convergence(columns, plane, draws, distance)
        if not columns.values["line_of_sight"].any():
            return kappa
        return kappa + self._mean_field_convergence(columns, plane, grid, draws, distance)

    def _mean_subhalo_convergence(
        self,
        columns: Columns,
        plane: LensPlane,
        quantiles: SubhaloDraws,
        distance: np.ndarray,
    ) -> np.ndarray:
        owner = quantiles.owner
        slope = columns.values["shmf_slope"]
        disc = self.disc(plane)
        # masses are spaced by the mass that haloes bring
        mass = power_law_mass(slope[owner] + 1, *self.mass, quantiles.mass)
        radius = quantiles.radius * self.share_in_ring(columns, plane)[owner]
        draws = replace(quantiles, mass=mass, radius=radius)
        subhalos = self.subhalos_of(columns, plane, draws)
        bound = (
            self.survival(columns, owner, mass, field=False)
            * subhalos.mass_seen(disc, distance)
            / mass
        )
        share = np.bincount(owner, weights=bound) / _QUADRATURE_HALOES
        surface = (
            self.mean_density(columns, plane)
            * PIVOT
            * power_law_integral(slope, *self.mass, moment=1)
        )
        kappa = surface * share / plane.sigma_crit
        ring = np.minimum(plane.theta_E, disc)
        return kappa * self.share_in_ring(columns, plane) * (disc / ring) ** 2

    def _mean_field_convergence(
        self,
        columns: Columns,
        plane: LensPlane,
        grid: np.ndarray,
        draws: SubhaloDraws,
        distance: np.ndarray,
    ) -> np.ndarray:
        disc = self.disc(plane)
        field, weight = self.cone(columns, plane).quadrature(grid[1], grid[0])
        halos = self.field_halos_of(
            columns, plane, field, draws.radius, draws.angle, draws.scatter
        )
        weight = weight * self.survival(columns, draws.owner, halos.mass, field=True)
        per_arcsec2 = np.bincount(
            draws.owner,
            weights=weight * halos.mass_seen(disc, distance) / halos.sigma_crit,
        )
        return per_arcsec2 / (np.pi * disc**2)

    def _draw_numbers(self, columns: Columns) -> None:
        limits = self.limits()
        for name in ("Sigma_sub", "f_sub"):
            value = getattr(self, name)
            if value is not None:
                columns.draw(name, value, limits[name])
        columns.draw("shmf_slope", self.slope, limits["slope"])
        columns.draw("host_mass", self.host_mass, limits["host_mass"])
        columns.draw("line_of_sight", self.line_of_sight, limits["line_of_sight"])

    def _put_normalisation(self, columns: Columns, plane: LensPlane) -> None:
        """Put Sigma_sub or f_sub, whichever follows from the other."""
        slope = columns.values["shmf_slope"]
        host = columns.values["host_mass"]
        scaling = host_scaling(host, plane.z_lens, self.host_scaling, self.redshift_scaling)
        # Msun for one halo at 1e8 Msun
        per_mass = PIVOT * power_law_integral(slope, *self.mass, moment=1)
        ratio = scaling * per_mass * 2 / plane.sigma_crit
        if self.f_sub is None:
            columns.values["f_sub"] = columns.values["Sigma_sub"] * ratio
            with columns.naming_samples():
                name = (
                    "the share of the mass at the Einstein radius that Sigma_sub puts into "
                    "subhaloes"
                )
                hint = "; give less of them, or a smaller range of masses"
                self.bounds["f_sub"].check(name, columns.values["f_sub"], hint)
        else:
            columns.values["Sigma_sub"] = columns.values["f_sub"] / ratio

    def _subhalos(self, columns: Columns, plane: LensPlane) -> Halos:
        rng = columns.rng
        expected = self.mean_number(columns, plane)
        if expected.sum() > _MAX_HALOES:
            raise ConfigError(
                f"{expected.max():.3g} subhaloes are expected in an image, more than memory "
                f"should be asked for: raise the lower end of mass ({self.mass[0]:g} Msun), or "
                "give a smaller radius",
                code="too-many-haloes",
            )
        counts = rng.poisson(expected)
        owner = np.repeat(np.arange(len(plane)), counts)
        mass_quantile, radius, angle, depth, infall = rng.uniform(size=(5, len(owner)))
        scatter = rng.standard_normal(len(owner))
        chance = rng.uniform(size=len(owner))
        slope = columns.values["shmf_slope"][owner]
        mass = power_law_mass(slope, *self.mass, mass_quantile)
        surviving = chance < self.survival(columns, owner, mass, field=False)
        draws = SubhaloDraws(owner, mass, radius, angle, depth, infall, scatter)
        return self.subhalos_of(columns, plane, draws.take(surviving))

    def _field(self, columns: Columns, plane: LensPlane) -> Halos:
        rng = columns.rng
        cone = self.cone(columns, plane)
        if cone.mean.sum() > _MAX_HALOES:
            raise ConfigError(
                f"{cone.mean.sum(axis=1).max():.3g} haloes of the field are expected in an "
                "image, more than memory should be asked for: raise the lower end of mass "
                f"({self.mass[0]:g} Msun), or give less line_of_sight",
                code="too-many-haloes",
            )
        field = cone.draw(rng)
        radius, angle, chance = rng.uniform(size=(3, len(field.owner)))
        scatter = rng.standard_normal(len(field.owner))
        halos = self.field_halos_of(columns, plane, field, radius, angle, scatter)
        survival = self.survival(columns, field.owner, field.mass, field=True)
        return halos.take(np.flatnonzero(chance < survival))


def _evenly(count: int, dimensions: int) -> np.ndarray:
    """Return `count` points (dimensions, count) that fill the unit cube evenly.

    Roberts' additive recurrence: its root solves x^(d + 1) = x + 1.
    """
    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / (dimensions + 1))
    steps = root ** -np.arange(1.0, dimensions + 1)
    return (0.5 + steps[:, None] * np.arange(1, count + 1)) % 1
