"""A vortex of an axion condensate: a line of mass, or a chain of point masses.

DeepLense Models I-III have the chain.
"""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from lenssim.errors import ConfigError
from lenssim.simulate.bounds import LOG10_M_AXION, Bounds
from lenssim.simulate.columns import Columns
from lenssim.simulate.darkmatter.model import DarkMatterModel
from lenssim.simulate.distributions import Value
from lenssim.simulate.plane import LensPlane, put_truth
from lenssim.simulate.scenes import Perturbers

__all__ = ["BeadVortex", "LineVortex"]

_BOUNDS = {
    "mass": Bounds(0.0, 1e17, "Msun"),
    "log10_m_axion": LOG10_M_AXION,
}


class BeadVortex(DarkMatterModel):
    """`beads` equal point masses on a line through the centre, of total `mass` [Msun].

    The line runs from -L to L, and L = 0.06" / 2 * (1e-22 eV / m) follows the de Broglie
    wavelength of an axion of mass m. The angle of the line is uniform. As published
    (DeepLenseSim `make_vortex`): 3e10 Msun in 100 beads, log10(m / eV) uniform in -24..-22.
    """

    kinds: ClassVar[tuple[str, ...]] = ("point_mass",)
    bounds: ClassVar[dict[str, Bounds]] = _BOUNDS
    units: ClassVar[dict[str, str]] = {
        "log10_m_axion": "dex(eV)",
        "vortex_half_length": "arcsec",
        "vortex_angle": "rad",
        "substructure_mass": "Msun",
    }

    model: Literal["vortex_beads"]
    beads: int = Field(default=100, ge=2, le=100_000)
    mass: Value
    log10_m_axion: Value

    def perturb(self, columns: Columns, plane: LensPlane) -> dict[str, Perturbers]:
        """Draw the beads of n systems.

        Args:
            columns: The systems' columns (n,), to which those of `units` are added.
            plane: The lens plane, with its Einstein radius of one solar mass.

        Returns:
            Perturbers under "point_mass".
        """
        log10_m = columns.draw(
            "log10_m_axion", self.log10_m_axion, self.bounds["log10_m_axion"]
        )
        mass = columns.draw("substructure_mass", self.mass, self.bounds["mass"])
        half_length = columns.put("vortex_half_length", 0.06 / 2 * 10 ** (-22 - log10_m))
        angle = columns.put("vortex_angle", columns.rng.uniform(0, 2 * np.pi, columns.n))
        along = np.linspace(-1, 1, self.beads) * half_length[:, None]
        bead = plane.solar_einstein_radius * np.sqrt(mass / self.beads)
        x = (along * np.cos(angle)[:, None]).ravel()
        y = (along * np.sin(angle)[:, None]).ravel()
        owner = np.repeat(np.arange(columns.n), self.beads)
        put_truth(columns, plane, owner, (mass / self.beads)[owner], x, y)
        return {
            "point_mass": Perturbers.from_counts(
                np.full(columns.n, self.beads),
                theta_E=np.repeat(bead, self.beads),
                center_x=x,
                center_y=y,
            )
        }


class LineVortex(DarkMatterModel):
    """A line of `mass` [Msun], with its centre and angle drawn.

    Its half length is L = 0.06" / 2 * (1e-22 eV / m). It is the limit of `vortex_beads` for
    many beads, and has no lumps of its own. Centres fill a disc of `radius` arcsec evenly
    (default: the circle around the stamp). With `conserve_mass` a sheet of minus the mean
    convergence of all possible lines takes their mass from the host: exact within `radius`
    less L.

    Vortices: Rindler-Daller & Shapiro 2012 (arXiv:1106.1256). Their lensing: Alexander et
    al. 2020 (arXiv:1909.07346).
    """

    kinds: ClassVar[tuple[str, ...]] = ("line_mass", "sheet")
    bounds: ClassVar[dict[str, Bounds]] = _BOUNDS
    units: ClassVar[dict[str, str]] = {
        **BeadVortex.units,
        "vortex_x": "arcsec",
        "vortex_y": "arcsec",
        "kappa_sub": "",
    }

    reports_truth: ClassVar[bool] = True

    model: Literal["vortex"]
    mass: Value
    log10_m_axion: Value
    radius: float | None = Field(default=None, ge=1e-3, le=1e4)
    conserve_mass: bool = True

    def perturb(self, columns: Columns, plane: LensPlane) -> dict[str, Perturbers]:
        """Draw one line a system, and its sheet.

        Raises:
            ConfigError: A line does not fit into the frame.
        """
        n = columns.n
        disc = self.radius or float(np.sqrt(2)) * plane.frame
        log10_m = columns.draw(
            "log10_m_axion", self.log10_m_axion, self.bounds["log10_m_axion"]
        )
        mass = columns.draw("substructure_mass", self.mass, self.bounds["mass"])
        half_length = columns.put("vortex_half_length", 0.06 / 2 * 10 ** (-22 - log10_m))
        _check_length(half_length, log10_m, plane.frame)
        angle = columns.put("vortex_angle", columns.rng.uniform(0, 2 * np.pi, n))
        radius = disc * np.sqrt(columns.rng.uniform(size=n))
        phi = columns.rng.uniform(0, 2 * np.pi, n)
        x = columns.put("vortex_x", radius * np.cos(phi))
        y = columns.put("vortex_y", radius * np.sin(phi))
        theta_E = np.sqrt(mass / (np.pi * plane.sigma_crit_arcsec))
        kappa = columns.put("kappa_sub", (theta_E / disc) ** 2)
        put_truth(columns, plane, np.arange(n), mass, x, y)
        line = {"theta_E": theta_E, "half_length": half_length, "angle": angle}
        sheet = -kappa
        if not self.conserve_mass:
            sheet = 0 * kappa
        counts = np.ones(n, np.int64)
        return {
            "line_mass": Perturbers.from_counts(counts, **line, center_x=x, center_y=y),
            "sheet": Perturbers.from_counts(counts, kappa=sheet),
        }


def _check_length(half_length: np.ndarray, log10_m: np.ndarray, frame: float) -> None:
    if (half_length > frame).any():
        raise ConfigError(
            f"the vortex of an axion of 10^{log10_m.min():.3g} eV is "
            f"{2 * half_length.max():.3g} arcsec long, more than the frame's "
            f"{2 * frame:.3g}; choose a larger log10_m_axion or a larger stamp",
            code="axion-wave",
        )
