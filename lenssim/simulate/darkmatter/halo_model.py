"""HaloModel: the settings of a population of haloes, and the structure of each halo."""

from dataclasses import dataclass, fields
from typing import ClassVar, Literal

import numpy as np
import pydantic
from pydantic import FiniteFloat, model_validator

from lenssim.simulate.bounds import Bounds
from lenssim.simulate.columns import Columns
from lenssim.simulate.darkmatter.model import DarkMatterModel
from lenssim.simulate.distributions import Value
from lenssim.simulate.halos.concentration import LOWEST, concentration
from lenssim.simulate.halos.field import Field, FieldHalos
from lenssim.simulate.halos.halos import Halos, nfw_structure
from lenssim.simulate.halos.mass_function import host_scaling, power_law_integral
from lenssim.simulate.halos.tides import (
    depth_in_host,
    infall_redshift,
    projected_radius,
    projected_share,
    roche_radius,
    whole_radius,
)
from lenssim.simulate.plane import LensPlane

__all__ = ["HaloModel", "SubhaloDraws"]

FIELD_OVERDENSITY = (
    50  # mean density inside the edge of a field halo, over the critical density
)


@dataclass(frozen=True)
class SubhaloDraws:
    """The random draws (M,) from which M subhaloes follow.

    Attributes:
        owner: Index of the system that each subhalo belongs to, int64.
        mass: M_200c at infall [Msun].
        radius: Quantile of the projected radius, in 0..1.
        angle: Position angle in turns, in 0..1.
        depth: Quantile of the depth along the line of sight, in 0..1.
        infall: Quantile of the infall redshift, in 0..1.
        scatter: Standard normal deviate of the concentration.
    """

    owner: np.ndarray
    mass: np.ndarray
    radius: np.ndarray
    angle: np.ndarray
    depth: np.ndarray
    infall: np.ndarray
    scatter: np.ndarray

    def take(self, rows: np.ndarray) -> "SubhaloDraws":
        """Return the draws of the subhaloes `rows`."""
        return SubhaloDraws(*(getattr(self, column.name)[rows] for column in fields(self)))


class HaloModel(DarkMatterModel):
    """The settings of a population of haloes, and the structure of each halo.

    `HaloPopulation` describes the settings and draws haloes with them. A kind of dark matter
    overrides `survival` and `shrink`.
    """

    bounds: ClassVar[dict[str, Bounds]] = {
        "Sigma_sub": Bounds(0.0, 1e6, "kpc^-2"),
        "f_sub": Bounds(0.0, 1.0),
        "slope": Bounds(-3.0, 0.0),
        "host_mass": Bounds(1e3, 1e17, "Msun"),
        "line_of_sight": Bounds(0.0, 1e3),
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
    def _possible(self) -> "HaloModel":
        low, high = self.mass
        if not 1e3 <= low < high <= 1e13:
            raise ValueError(
                f"mass is [low, high] in Msun with 1e3 <= low < high <= 1e13, "
                f"got {low:g} and {high:g}"
            )
        if (self.Sigma_sub is None) == (self.f_sub is None):
            raise ValueError(
                "give either Sigma_sub (per kpc^2, at 1e8 Msun) or f_sub (a fraction of the "
                "mass)"
            )
        return self

    def limits(self) -> dict[str, Bounds]:
        """Return `bounds`, some of them narrowed by other settings.

        A host must be heavier than its subhaloes. f_sub needs a finite total mass, so with it
        the slope must lie above -2.
        """
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

    def survival(
        self, columns: Columns, owner: np.ndarray, mass: np.ndarray, field: bool
    ) -> np.ndarray:
        """Return the ratio of the number of haloes to their number in cold dark matter.

        It is also the probability with which a halo drawn for cold dark matter is retained.

        Args:
            columns: Columns (n,) of the systems.
            owner: System of each halo (M,).
            mass: Masses M_200c (M,) [Msun].
            field: True for haloes along the line of sight, False for subhaloes.

        Returns:
            Ratios (M,) in 0..1.
        """
        return np.ones(len(mass))

    def shrink(self, columns: Columns, owner: np.ndarray, mass: np.ndarray) -> np.ndarray:
        """Return the ratio (M,) of the concentration to that in cold dark matter.

        Args:
            columns: Columns (n,) of the systems.
            owner: System of each halo (M,).
            mass: Masses M_200c (M,) [Msun].
        """
        return np.ones(len(mass))

    def disc(self, plane: LensPlane) -> float:
        """Return the radius [arcsec] of the disc that haloes fill."""
        return self.radius or float(np.sqrt(2)) * plane.frame

    def mean_density(self, columns: Columns, plane: LensPlane) -> np.ndarray:
        """Return Sigma_sub F(M_host, z) (n,) [1 / kpc^2], with F of `HaloPopulation`.

        It is the amplitude of the subhalo mass function of cold dark matter at 1e8 Msun.
        """
        host = columns.values["host_mass"]
        scaling = host_scaling(host, plane.z_lens, self.host_scaling, self.redshift_scaling)
        return columns.values["Sigma_sub"] * scaling

    def mean_number(self, columns: Columns, plane: LensPlane) -> np.ndarray:
        """Return the mean number (n,) of subhaloes in the disc, in cold dark matter."""
        area = np.pi * (self.disc(plane) * plane.kpc_per_arcsec) ** 2
        return (
            self.mean_density(columns, plane)
            * area
            * power_law_integral(columns.values["shmf_slope"], *self.mass)
        )

    def cone(self, columns: Columns, plane: LensPlane) -> Field:
        """Return the distribution from which haloes along the lines of sight are drawn."""
        return Field(
            plane,
            mass=self.mass,
            radius=self.disc(plane),
            amount=columns.values["line_of_sight"],
            host_mass=columns.values["host_mass"],
            two_halo=self.two_halo,
        )

    def subhalos_of(self, columns: Columns, plane: LensPlane, draws: SubhaloDraws) -> Halos:
        """Return the M subhaloes that follow from `draws`."""
        owner = draws.owner
        mass = draws.mass
        host_scale_radius = self._host_scale_radius(columns, plane)
        x, r3d = self._radii_in_host(plane, host_scale_radius, draws)
        radius = x * (host_scale_radius / plane.kpc_per_arcsec)[owner]
        angle = 2 * np.pi * draws.angle
        host_mass = columns.values["host_mass"][owner]
        z = infall_redshift(mass, host_mass, plane.z_lens[owner], draws.infall)
        c = self._concentration(columns, plane, owner, mass, z, draws.scatter)
        rho_s, r_s = nfw_structure(mass, c, z, plane.cosmology)
        return Halos(
            owner,
            mass,
            radius * np.cos(angle),
            radius * np.sin(angle),
            plane.z_lens[owner],
            z,
            c,
            roche_radius(mass, r3d * host_scale_radius[owner]),
            plane.kpc_per_arcsec[owner],
            plane.sigma_crit_arcsec[owner],
            rho_s,
            r_s,
        )

    def field_halos_of(
        self,
        columns: Columns,
        plane: LensPlane,
        field: FieldHalos,
        radius: np.ndarray,
        angle: np.ndarray,
        scatter: np.ndarray,
    ) -> Halos:
        """Return haloes of the field with their structure and positions.

        Args:
            columns: Columns (n,) of the systems.
            plane: Their lens plane.
            field: M haloes: their masses, redshifts, and scales as seen in the lens plane.
            radius: Quantiles (M,) of the projected radius, in 0..1.
            angle: Position angles (M,) in turns, in 0..1.
            scatter: Standard normal deviates (M,) of the concentration.
        """
        c = self._concentration(columns, plane, field.owner, field.mass, field.z, scatter)
        rho_s, r_s = nfw_structure(field.mass, c, field.z, plane.cosmology)
        critical_density = plane.cosmology.critical_density(field.z)
        # Another order of these products would change the last bits of existing data sets.
        edge_cubed = 3 * field.mass / (4 * np.pi * FIELD_OVERDENSITY * critical_density)
        distance = self.disc(plane) * np.sqrt(radius)  # arcsec from the centre of the disc
        phi = 2 * np.pi * angle
        return Halos(
            field.owner,
            field.mass,
            distance * np.cos(phi),
            distance * np.sin(phi),
            field.z,
            field.z,
            c,
            np.cbrt(edge_cubed),
            field.kpc_per_arcsec,
            field.sigma_crit,
            rho_s,
            r_s,
        )

    def share_in_ring(self, columns: Columns, plane: LensPlane) -> np.ndarray:
        """Return the share (n,) of the disc's subhaloes inside the Einstein radius."""
        disc = self.disc(plane)
        ring = np.minimum(plane.theta_E, disc)
        if self.places == "uniform":
            return (ring / disc) ** 2
        host_scale_radius = self._host_scale_radius(columns, plane) / plane.kpc_per_arcsec
        return projected_share(ring / host_scale_radius, disc / host_scale_radius)

    def _radii_in_host(
        self, plane: LensPlane, host_scale_radius: np.ndarray, draws: SubhaloDraws
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return projected and three-dimensional radii (M,) in scale radii of the host."""
        disc = self.disc(plane) * plane.kpc_per_arcsec / host_scale_radius
        if self.places == "host":
            x = projected_radius(disc[draws.owner], draws.radius)
        else:
            x = disc[draws.owner] * np.sqrt(draws.radius)
        if self.depths == "whole":
            return x, whole_radius(self.host_concentration, draws.depth)
        return x, depth_in_host(x, self.host_concentration, draws.depth)

    def _host_scale_radius(self, columns: Columns, plane: LensPlane) -> np.ndarray:
        """Return the scale radius (n,) of the host [kpc]."""
        concentrations = np.full(len(plane), self.host_concentration)
        return nfw_structure(
            columns.values["host_mass"], concentrations, plane.z_lens, plane.cosmology
        )[1]

    def _concentration(
        self,
        columns: Columns,
        plane: LensPlane,
        owner: np.ndarray,
        mass: np.ndarray,
        z: np.ndarray,
        scatter: np.ndarray,
    ) -> np.ndarray:
        median = concentration(mass, z, plane.cosmology) * self.shrink(columns, owner, mass)
        return np.maximum(median * 10 ** (self.concentration_scatter * scatter), LOWEST)
