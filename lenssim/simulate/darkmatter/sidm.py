"""Self-interacting dark matter: haloes with cores, and haloes whose cores have collapsed."""

from typing import ClassVar, Literal

import numpy as np

from lenssim.simulate.bounds import Bounds
from lenssim.simulate.columns import Columns
from lenssim.simulate.cosmology import G
from lenssim.simulate.darkmatter.population import HaloPopulation
from lenssim.simulate.distributions import Value
from lenssim.simulate.halos.halos import Halos, merge_tables, tnfw_mass
from lenssim.simulate.halos.soliton import soliton_mass
from lenssim.simulate.plane import LensPlane
from lenssim.simulate.scenes import Perturbers

__all__ = ["SelfInteractingDarkMatter", "collapse_time", "core_evolution"]

SLOPE = 2.5  # of the core's density, (1 + a (r / theta_c)^2)^-2.5: a Plummer sphere
# With HOLLOW core radii hollowed out, the core has the density of the NFW halo at its radius.
HOLLOW = 1.8  # radius that is hollowed out, in core radii
FILL = 0.7  # radius of half density of what fills it, in radii hollowed out
COLLAPSED_HOLLOW = 0.6  # radius hollowed out of a collapsed halo, in scale radii
COLLAPSED_CORE = 0.03  # radius of half density of a collapsed core, in scale radii
_CM2_PER_G = 2.08908e-10  # kpc^2 / Msun
_KPC_S_PER_KM_GYR = 0.9777922  # Gyr of a kpc at 1 km/s
_FORMATION_REDSHIFT = 10.0


class SelfInteractingDarkMatter(HaloPopulation):
    """`HaloPopulation` in which particles scatter.

    sigma / m = `cross_section` / (1 + (V_max / w)^2)^2 [cm^2/g], with w = `velocity_scale`
    [km/s].

    A halo of age t since redshift 10 has reached tau = t / t_c, with t_c of
    `collapse_time`. Up to tau = 1 it has a core of radius r_s f(tau) (`core_evolution`);
    afterwards its core has collapsed. In both cases mass only moves within the halo: a
    truncated NFW halo less one of the same centre truncated at h, plus a Plummer sphere of
    the same mass and of half-density radius theta_c.

    With a core, h = 1.8 r_c and theta_c = 0.7 h. This joins a flat core of about the
    density that the halo had at r_c to the unchanged outside. Collapsed, h = 0.6 r_s and
    theta_c = 0.03 r_s. The mass of the inner halo is then in a compact core, as in
    simulations of collapsed subhaloes, with a slope steeper than isothermal. h stays below
    half the truncation radius. At cross section 0 haloes are those of cold dark matter, one
    by one.
    """

    kinds: ClassVar[tuple[str, ...]] = ("tnfw", "uldm", "sheet")
    bounds: ClassVar[dict[str, Bounds]] = {
        **HaloPopulation.bounds,
        "cross_section": Bounds(0.0, 1e6, "cm^2/g"),
        "velocity_scale": Bounds(1e-2, 1e5, "km/s"),
    }
    units: ClassVar[dict[str, str]] = {
        **HaloPopulation.units,
        "cross_section": "cm^2/g",
        "velocity_scale": "km/s",
        "n_collapsed": "",
    }

    model: Literal["sidm"]
    cross_section: Value
    velocity_scale: Value = 30.0

    def draw_matter(self, columns: Columns, plane: LensPlane) -> None:
        """Draw the cross section and its velocity scale."""
        for name in ("cross_section", "velocity_scale"):
            columns.draw(name, getattr(self, name), self.bounds[name])

    def tables(
        self, columns: Columns, plane: LensPlane, halos: Halos
    ) -> dict[str, Perturbers]:
        """Return haloes, the inner mass removed from them, and the cores made of that mass."""
        n = len(plane)
        tau = self._age(columns, plane, halos)
        collapsed = tau > 1
        counts = np.bincount(halos.owner[collapsed], minlength=n)
        columns.put("n_collapsed", counts.astype(np.float64))
        cored = HOLLOW * core_evolution(np.minimum(tau, 1.0))
        hollow = np.where(collapsed, COLLAPSED_HOLLOW, cored) * halos.r_s
        hollow = np.minimum(hollow, 0.5 * halos.r_trunc)
        core = np.where(collapsed, COLLAPSED_CORE / COLLAPSED_HOLLOW, FILL) * hollow
        rows = np.flatnonzero(hollow > 1e-3 * halos.r_s)
        evolved = halos.take(rows)
        hollow = hollow[rows]
        core = core[rows]
        hollow_mass = tnfw_mass(evolved.rho_s, evolved.r_s, hollow)
        central = hollow_mass / soliton_mass(1.0, core, SLOPE)
        removed = evolved.tnfw(n, -1.0)
        removed.columns["r_trunc"] = hollow / evolved.kpc_per_arcsec
        return {
            "tnfw": merge_tables(halos.tnfw(n), removed),
            "uldm": evolved.solitons(n, central, core, SLOPE),
        }

    def _age(self, columns: Columns, plane: LensPlane, halos: Halos) -> np.ndarray:
        """Return the ages (M,) of haloes in units of their collapse time."""
        owner = halos.owner
        v_max = 1.64 * np.sqrt(G * halos.rho_s) * halos.r_s
        slowed = (1 + (v_max / columns.values["velocity_scale"][owner]) ** 2) ** -2
        age = plane.cosmology.age(halos.z) - plane.cosmology.age(_FORMATION_REDSHIFT)
        cross_section = columns.values["cross_section"][owner] * slowed
        return age / collapse_time(cross_section, halos.rho_s, halos.r_s)


def collapse_time(
    cross_section: np.ndarray, rho_s: np.ndarray, r_s: np.ndarray
) -> np.ndarray:
    """Return the gravothermal time (M,) [Gyr] of haloes, infinite at cross section 0.

    t_c = 150 / (0.75 sigma/m rho_s r_s) (4 pi G rho_s)^(-1/2): Essig et al. 2019
    (arXiv:1809.01144).

    Args:
        cross_section: sigma / m [cm^2/g].
        rho_s: NFW densities [Msun / kpc^3].
        r_s: Scale radii [kpc].
    """
    # km/s/kpc
    rate = 0.75 * cross_section * _CM2_PER_G * rho_s * r_s * np.sqrt(4 * np.pi * G * rho_s)
    with np.errstate(divide="ignore"):
        return 150 / rate * _KPC_S_PER_KM_GYR


def core_evolution(tau: np.ndarray) -> np.ndarray:
    """Return r_c / r_s at tau in 0..1 of a core like (r^4 + r_c^4)^(1/4).

    Yang et al. 2024 (arXiv:2305.16176).

    Example:
        >>> round(float(core_evolution(np.array(1.0))), 4)
        0.1073
    """
    return (
        2.555 * np.sqrt(tau)
        - 3.632 * tau
        + 2.131 * tau**2
        - 1.415 * tau**3
        + 0.4683 * tau**4
    )
