"""Warm dark matter: fewer and fluffier small haloes."""

from typing import ClassVar, Literal

import numpy as np

from lenssim.simulate.bounds import Bounds
from lenssim.simulate.columns import Columns
from lenssim.simulate.darkmatter.population import HaloPopulation
from lenssim.simulate.distributions import Value
from lenssim.simulate.halos.concentration import power_suppression
from lenssim.simulate.halos.mass_function import suppression
from lenssim.simulate.plane import LensPlane

__all__ = ["WarmDarkMatter", "thermal_mass"]

_MIN_LOG10_M_HM = -30  # far below any mass
_MAX_LOG10_M_HM = 15  # beyond the largest haloes: none survives


class WarmDarkMatter(HaloPopulation):
    """`HaloPopulation` thinned below the half-mode mass m_hm [Msun], given as `log10_m_hm`.

    n / n_CDM = (1 + (4.2 m_hm / m)^2.5)^-0.2 for subhaloes and (1 + (2.3 m_hm / m)^0.8)^-1
    in the field: Lovell 2020 (arXiv:2003.01125, table 2). c / c_CDM = (1 + 60 m_hm /
    m)^-0.17: Bose et al. 2016 (arXiv:1507.01998, equation 17). As m_hm goes to 0 the haloes
    become those of cold dark matter, one by one. Tides depend on the mass at infall alone.
    """

    bounds: ClassVar[dict[str, Bounds]] = {
        **HaloPopulation.bounds,
        "log10_m_hm": Bounds(_MIN_LOG10_M_HM, _MAX_LOG10_M_HM, "dex(Msun)"),
    }
    units: ClassVar[dict[str, str]] = {
        **HaloPopulation.units,
        "log10_m_hm": "dex(Msun)",
        "m_thermal": "keV",
    }

    model: Literal["wdm"]
    log10_m_hm: Value

    def draw_matter(self, columns: Columns, plane: LensPlane) -> None:
        """Draw the half-mode mass, and put the mass of the corresponding thermal relic."""
        log10_m_hm = columns.draw("log10_m_hm", self.log10_m_hm, self.bounds["log10_m_hm"])
        m_hm = 10**log10_m_hm
        columns.put(
            "m_thermal", thermal_mass(m_hm, plane.cosmology.Om0, plane.cosmology.H0 / 100)
        )

    def survival(
        self, columns: Columns, owner: np.ndarray, mass: np.ndarray, field: bool
    ) -> np.ndarray:
        """Return n / n_CDM (M,) of Lovell 2020, for subhaloes or the field."""
        m_hm = 10 ** columns.values["log10_m_hm"][owner]
        if field:
            return suppression(mass, m_hm, 2.3**0.8, 0.8, -1.0)
        return suppression(mass, m_hm, 4.2**2.5, 2.5, -0.2)

    def shrink(self, columns: Columns, owner: np.ndarray, mass: np.ndarray) -> np.ndarray:
        """Return c / c_CDM (M,) of Bose et al. 2016."""
        return power_suppression(
            mass, 10 ** columns.values["log10_m_hm"][owner], 60.0, 1.0, -0.17
        )


def thermal_mass(m_hm: np.ndarray, Om0: float, h: float) -> np.ndarray:
    """Return the mass [keV] of the thermal relic of half-mode mass `m_hm` [Msun].

    Schneider et al. 2012 (arXiv:1112.0330), for a matter density Om0 and h = H0 / (100
    km/s/Mpc).

    Example:
        >>> round(float(thermal_mass(np.array(3e8), 0.25, 0.7)), 2)
        3.33
    """
    return 2.32 * (Om0 / 0.25) ** 0.4 * (h / 0.7) ** 0.8 * (m_hm / 1e9) ** -0.3
