"""A population of haloes in and around the main lens: what cold, warm, fuzzy and self-interacting matter share."""

from typing import ClassVar, Literal

import numpy as np
import pydantic
from pydantic import BaseModel, ConfigDict, FiniteFloat, model_validator
from scipy.special import ndtri

from lenssim.errors import ConfigError
from lenssim.simulate.bounds import Bounds
from lenssim.simulate.columns import Columns
from lenssim.simulate.distributions import Value
from lenssim.simulate.halos.concentration import LOWEST, concentration
from lenssim.simulate.halos.field import Field, FieldHalos
from lenssim.simulate.halos.halos import Halos, nfw_structure
from lenssim.simulate.halos.mass_function import (
    PIVOT,
    host_scaling,
    power_law_integral,
    power_law_mass,
)
from lenssim.simulate.halos.tides import (
    depth_in_host,
    infall_redshift,
    projected_radius,
    projected_share,
    roche_radius,
    whole_radius,
)
from lenssim.simulate.plane import LensPlane, put_truth
from lenssim.simulate.scenes import Perturbers

__all__ = ["HaloPopulation"]

FIELD_OVERDENSITY = (
    50  # haloes of the field end where their mean density is so many times the critical one
)
_MOST = 2e7  # subhaloes drawn at once, some gigabytes
_GRID = 256  # haloes a system in the quadrature of the mean mass


class HaloPopulation(BaseModel):
    """Subhaloes of the main lens and, on request, haloes along the line of sight, as truncated NFW profiles.

    d^2N / dm dA = Sigma_sub / m0 (m / m0)^slope F(M_host, z), m0 = 1e8 Msun, between the ends of `mass` [Msun, M_200c
    at infall]: equation 5 of Gilman et al. 2020 (arXiv:1908.06983), with F of `host_scaling` and `redshift_scaling`.
    Instead of `Sigma_sub` [1 / kpc^2] there may be `f_sub`, the fraction of the mass at the Einstein radius that
    fell in as such haloes: their mean surface density is f_sub Sigma_crit / 2. Numbers are Poisson; places fill a
    disc of `radius` arcsec (default: the circle around the stamp) evenly, or follow a host with a core (`host`).
    `line_of_sight` is the amount of haloes in the field, 1 for that of Sheth & Tormen.

    The mass that the haloes bring is taken from the host: a sheet of minus their mean convergence comes with them
    (`conserve_mass`), so that the mean mass inside the Einstein radius is that of the smooth lens.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kinds: ClassVar[tuple[str, ...]] = ("tnfw", "sheet")
    bounds: ClassVar[dict[str, Bounds]] = {
        "Sigma_sub": Bounds(0.0, 1e6, "kpc^-2"),
        "f_sub": Bounds(0.0, 1.0),
        "slope": Bounds(-3.0, 0.0),
        "host_mass": Bounds(1e3, 1e17, "Msun"),
        "line_of_sight": Bounds(0.0, 1e3),
    }
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

    Sigma_sub: Value | None = None
    f_sub: Value | None = None
    slope: Value = -1.9
    mass: tuple[FiniteFloat, FiniteFloat] = (1e6, 1e10)
    host_mass: Value = 10**13.3
    host_concentration: float = pydantic.Field(default=6.0, gt=1, le=100)
    host_scaling: float = pydantic.Field(default=0.88, ge=-10, le=10)
    redshift_scaling: float = pydantic.Field(default=1.7, ge=-20, le=20)
    concentration_scatter: float = pydantic.Field(default=0.16, ge=0, le=1)
    radius: float | None = pydantic.Field(default=None, ge=1e-3, le=1e4)
    places: Literal["uniform", "host"] = "uniform"
    depths: Literal["projected", "whole"] = "projected"
    line_of_sight: Value = 0.0
    two_halo: bool = True
    conserve_mass: bool = True

    @model_validator(mode="after")
    def _possible(self) -> "HaloPopulation":
        low, high = self.mass
        if not 1e3 <= low < high <= 1e13:
            raise ValueError(
                f"mass is [low, high] in Msun with 1e3 <= low < high <= 1e13, got {low:g} and {high:g}"
            )
        if (self.Sigma_sub is None) == (self.f_sub is None):
            raise ValueError(
                "give either Sigma_sub (per kpc^2, at 1e8 Msun) or f_sub (a fraction of the mass)"
            )
        return self

    def limits(self) -> dict[str, Bounds]:
        """`bounds`, where other numbers narrow them: a host outweighs its subhaloes, and f_sub is of a finite mass."""
        host = Bounds(
            self.mass[1],
            self.bounds["host_mass"].high,
            "Msun",
            open_low=True,
            reason="above its subhaloes",
        )
        if self.f_sub is None:
            return {**self.bounds, "host_mass": host}
        finite = Bounds(
            -2.0, 0.0, open_low=True, reason="with f_sub, a share of a finite mass"
        )
        return {**self.bounds, "host_mass": host, "slope": finite}

    # What tells the classes apart; cold dark matter is what is here.

    def draw_matter(self, columns: Columns, plane: LensPlane) -> None:
        """Draw the columns of this kind of dark matter."""

    def survival(
        self, columns: Columns, owner: np.ndarray, mass: np.ndarray, field: bool
    ) -> np.ndarray:
        """Number of haloes of `mass` (M,) over that in cold dark matter: the probability that one is kept."""
        return np.ones(len(mass))

    def shrink(self, columns: Columns, owner: np.ndarray, mass: np.ndarray) -> np.ndarray:
        """Concentration of haloes of `mass` (M,) over that in cold dark matter."""
        return np.ones(len(mass))

    def tables(
        self, columns: Columns, plane: LensPlane, halos: Halos
    ) -> dict[str, Perturbers]:
        """Profiles of haloes that stand in the order of the n systems."""
        return {"tnfw": halos.tnfw(len(plane))}

    def perturb(self, columns: Columns, plane: LensPlane) -> dict[str, Perturbers]:
        """Haloes of n systems, and the sheet that takes their mean mass away again."""
        self._draw_numbers(columns)
        self._put_other(columns, plane)
        self.draw_matter(columns, plane)
        kappa = columns.put("kappa_sub", self.mean_convergence(columns, plane))
        sub, field = self._subhalos(columns, plane), self._field(columns, plane)
        columns.put(
            "n_subhaloes", np.bincount(sub.owner, minlength=len(plane)).astype(np.float64)
        )
        columns.put(
            "n_field_haloes",
            np.bincount(field.owner, minlength=len(plane)).astype(np.float64),
        )
        halos = Halos.concatenate([sub, field]).by_owner()
        columns.put(
            "substructure_mass",
            np.bincount(halos.owner, weights=halos.mass, minlength=len(plane)),
        )
        put_truth(columns, plane, halos.owner, halos.mass, halos.x, halos.y)
        sheet = -kappa if self.conserve_mass else np.zeros(len(plane))
        return {
            **self.tables(columns, plane, halos),
            "sheet": Perturbers.from_counts(np.ones(len(plane), np.int64), kappa=sheet),
        }

    def _draw_numbers(self, columns: Columns) -> None:
        limits = self.limits()
        for name in ("Sigma_sub", "f_sub"):
            value = getattr(self, name)
            if value is not None:
                columns.draw(name, value, limits[name])
        columns.draw("shmf_slope", self.slope, limits["slope"])
        columns.draw("host_mass", self.host_mass, limits["host_mass"])
        columns.draw("line_of_sight", self.line_of_sight, limits["line_of_sight"])

    def _put_other(self, columns: Columns, plane: LensPlane) -> None:
        """The one of Sigma_sub and f_sub that follows from the other."""
        slope, host = columns.values["shmf_slope"], columns.values["host_mass"]
        scaling = host_scaling(host, plane.z_lens, self.host_scaling, self.redshift_scaling)
        per_mass = PIVOT * power_law_integral(
            slope, *self.mass, moment=1
        )  # Msun for one halo at 1e8 Msun
        ratio = scaling * per_mass * 2 / plane.sigma_crit
        if self.f_sub is None:
            columns.values["f_sub"] = columns.values["Sigma_sub"] * ratio
            with columns.naming_samples():
                name = "the share of the mass at the Einstein radius that Sigma_sub puts into subhaloes"
                hint = "; give less of them, or a smaller range of masses"
                self.bounds["f_sub"].check(name, columns.values["f_sub"], hint)
        else:
            columns.values["Sigma_sub"] = columns.values["f_sub"] / ratio

    def disc(self, plane: LensPlane) -> float:
        """Radius [arcsec] of the disc that haloes fill."""
        return self.radius or float(np.sqrt(2)) * plane.frame

    def mean_density(self, columns: Columns, plane: LensPlane) -> np.ndarray:
        """Sigma_sub F (n,) [1 / kpc^2], the amplitude of the subhalo mass function of cold dark matter at 1e8 Msun."""
        host = columns.values["host_mass"]
        scaling = host_scaling(host, plane.z_lens, self.host_scaling, self.redshift_scaling)
        return columns.values["Sigma_sub"] * scaling

    def mean_number(self, columns: Columns, plane: LensPlane) -> np.ndarray:
        """Mean number (n,) of subhaloes in the disc, in cold dark matter."""
        area = np.pi * (self.disc(plane) * plane.kpc_per_arcsec) ** 2
        return (
            self.mean_density(columns, plane)
            * area
            * power_law_integral(columns.values["shmf_slope"], *self.mass)
        )

    def _subhalos(self, columns: Columns, plane: LensPlane) -> Halos:
        rng = columns.rng
        expected = self.mean_number(columns, plane)
        if expected.sum() > _MOST:
            raise ConfigError(
                f"{expected.max():.3g} subhaloes are expected in an image, more than memory should be asked for: raise "
                f"the lower end of mass ({self.mass[0]:g} Msun), or give a smaller radius"
            )
        counts = rng.poisson(expected)
        owner = np.repeat(np.arange(len(plane)), counts)
        mass, place, turn, depth, infall = rng.uniform(size=(5, len(owner)))
        scatter, kept = rng.standard_normal(len(owner)), rng.uniform(size=len(owner))
        mass = power_law_mass(columns.values["shmf_slope"][owner], *self.mass, mass)
        own = kept < self.survival(columns, owner, mass, field=False)
        drawn = (
            column[own] for column in (owner, mass, place, turn, depth, infall, scatter)
        )
        return self._place(columns, plane, *drawn)

    def _place(
        self,
        columns: Columns,
        plane: LensPlane,
        owner: np.ndarray,
        mass: np.ndarray,
        place: np.ndarray,
        turn: np.ndarray,
        depth: np.ndarray,
        infall: np.ndarray,
        scatter: np.ndarray,
    ) -> Halos:
        """Subhaloes of `mass` [Msun], (M,), from the uniform and normal numbers that decide all the rest."""
        host = columns.values["host_mass"]
        r_host = self._host_radius(columns, plane)
        disc = (
            self.disc(plane) * plane.kpc_per_arcsec / r_host
        )  # in scale radii of the host
        x = (
            projected_radius(disc[owner], place)
            if self.places == "host"
            else disc[owner] * np.sqrt(place)
        )
        if self.depths == "whole":
            r3d = whole_radius(self.host_concentration, depth)
        else:
            r3d = depth_in_host(x, self.host_concentration, depth)
        radius, angle = x * (r_host / plane.kpc_per_arcsec)[owner], 2 * np.pi * turn
        z = infall_redshift(mass, host[owner], plane.z_lens[owner], infall)
        c = self._concentration(columns, plane, owner, mass, z, scatter)
        rho_s, r_s = nfw_structure(mass, c, z, plane.cosmology)
        return Halos(
            owner,
            mass,
            radius * np.cos(angle),
            radius * np.sin(angle),
            plane.z_lens[owner],
            z,
            c,
            roche_radius(mass, r3d * r_host[owner]),
            plane.kpc_per_arcsec[owner],
            plane.sigma_crit_arcsec[owner],
            rho_s,
            r_s,
        )

    def _host_radius(self, columns: Columns, plane: LensPlane) -> np.ndarray:
        """Scale radius (n,) of the host, kpc."""
        c_host = np.full(len(plane), self.host_concentration)
        return nfw_structure(
            columns.values["host_mass"], c_host, plane.z_lens, plane.cosmology
        )[1]

    def _concentration(
        self,
        columns: Columns,
        plane: LensPlane,
        owner: np.ndarray,
        mass: np.ndarray,
        z: np.ndarray,
        normal: np.ndarray,
    ) -> np.ndarray:
        median = concentration(mass, z, plane.cosmology) * self.shrink(columns, owner, mass)
        return np.maximum(median * 10 ** (self.concentration_scatter * normal), LOWEST)

    def _cone(self, columns: Columns, plane: LensPlane) -> Field:
        return Field(
            plane,
            mass=self.mass,
            radius=self.disc(plane),
            amount=columns.values["line_of_sight"],
            host_mass=columns.values["host_mass"],
            two_halo=self.two_halo,
        )

    def _field(self, columns: Columns, plane: LensPlane) -> Halos:
        rng = columns.rng
        cone = self._cone(columns, plane)
        if cone.mean.sum() > _MOST:
            raise ConfigError(
                f"{cone.mean.sum(axis=1).max():.3g} haloes of the field are expected in an image, more than memory "
                f"should be asked for: raise the lower end of mass ({self.mass[0]:g} Msun), or give less line_of_sight"
            )
        drawn = cone.draw(rng)
        place, turn, kept = rng.uniform(size=(3, len(drawn.owner)))
        halos = self._field_halos(
            columns, plane, drawn, place, turn, rng.standard_normal(len(drawn.owner))
        )
        return halos.take(
            np.flatnonzero(
                kept < self.survival(columns, drawn.owner, drawn.mass, field=True)
            )
        )

    def _field_halos(
        self,
        columns: Columns,
        plane: LensPlane,
        drawn: FieldHalos,
        place: np.ndarray,
        turn: np.ndarray,
        normal: np.ndarray,
    ) -> Halos:
        c = self._concentration(columns, plane, drawn.owner, drawn.mass, drawn.z, normal)
        rho_s, r_s = nfw_structure(drawn.mass, c, drawn.z, plane.cosmology)
        edge = (
            3
            * drawn.mass
            / (4 * np.pi * FIELD_OVERDENSITY * plane.cosmology.critical_density(drawn.z))
        )
        radius, angle = self.disc(plane) * np.sqrt(place), 2 * np.pi * turn
        return Halos(
            drawn.owner,
            drawn.mass,
            radius * np.cos(angle),
            radius * np.sin(angle),
            drawn.z,
            drawn.z,
            c,
            np.cbrt(edge),
            drawn.kpc_per_arcsec,
            drawn.sigma_crit,
            rho_s,
            r_s,
        )

    def mean_convergence(self, columns: Columns, plane: LensPlane) -> np.ndarray:
        """Mean convergence (n,) that the truncated haloes bring inside the Einstein radius, by quadrature, good to 1 %.

        Haloes inside the ring lie deeper in the host than those of the whole disc and tides cut them shorter, so it is
        theirs that counts; what the largest ones spill over the edge of the disc is not inside the ring either.
        """
        grid = _evenly(_GRID, 6)
        mass, place, turn, depth, infall, scatter = (
            np.tile(row, len(plane)) for row in grid
        )
        owner, normal = np.repeat(np.arange(len(plane)), _GRID), ndtri(scatter)
        slope = columns.values["shmf_slope"]
        mass = power_law_mass(
            slope[owner] + 1, *self.mass, mass
        )  # spaced by the mass that haloes bring
        disc = self.disc(plane)
        within = place * self._share_in_ring(columns, plane)[owner]
        sub = self._place(columns, plane, owner, mass, within, turn, depth, infall, normal)
        inside = np.minimum(plane.theta_E[owner], 0.9 * disc) * np.sqrt(
            turn
        )  # points that fill the ring evenly
        bound = (
            self.survival(columns, owner, mass, field=False)
            * sub.mass_seen(disc, inside)
            / mass
        )
        left = np.bincount(owner, weights=bound) / _GRID
        surface = (
            self.mean_density(columns, plane)
            * PIVOT
            * power_law_integral(slope, *self.mass, moment=1)
        )
        kappa = surface * left / plane.sigma_crit
        ring = np.minimum(plane.theta_E, disc)
        kappa = kappa * self._share_in_ring(columns, plane) * (disc / ring) ** 2
        if not columns.values["line_of_sight"].any():
            return kappa
        field, weight = self._cone(columns, plane).quadrature(grid[1], grid[0])
        halos = self._field_halos(columns, plane, field, place, turn, normal)
        weight = weight * self.survival(columns, owner, halos.mass, field=True)
        per_arcsec2 = np.bincount(
            owner, weights=weight * halos.mass_seen(disc, inside) / halos.sigma_crit
        )
        return kappa + per_arcsec2 / (np.pi * disc**2)

    def _share_in_ring(self, columns: Columns, plane: LensPlane) -> np.ndarray:
        """Share (n,) of the subhaloes of the disc whose place is inside the Einstein radius."""
        disc = self.disc(plane)
        ring = np.minimum(plane.theta_E, disc)
        if self.places == "uniform":
            return (ring / disc) ** 2
        r_host = self._host_radius(columns, plane) / plane.kpc_per_arcsec
        return projected_share(ring / r_host, disc / r_host)


def _evenly(n: int, dimensions: int) -> np.ndarray:
    """`n` points (dimensions, n) that fill the unit cube evenly: Roberts' additive recurrence, x^(d + 1) = x + 1."""
    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / (dimensions + 1))
    steps = root ** -np.arange(1.0, dimensions + 1)
    return (0.5 + steps[:, None] * np.arange(1, n + 1)) % 1
