"""How many galaxies there are of each velocity dispersion, and how this changes with redshift."""

from math import gamma

import numpy as np
from pydantic import Field

from lenssim.errors import unknown
from lenssim.names import printable
from lenssim.record import Record

__all__ = ["DISPERSION_FUNCTIONS", "DispersionFunction", "dispersion_function"]


class DispersionFunction(Record):
    """A velocity-dispersion function: a modified Schechter function that evolves as powers of 1 + z.

    n(s) = density (beta / Gamma(alpha / beta)) (s / scale)^alpha exp(-(s / scale)^beta) / s.

    Example:
        >>> choi = DISPERSION_FUNCTIONS["choi2007"]
        >>> (1e5 * choi.density_at(np.array([220.0]), np.array([0.3]))).round(2)
        array([0.63])
    """

    density: float = Field(gt=0, description="of all galaxies today [Mpc^-3]")
    scale: float = Field(gt=0, description="characteristic velocity dispersion [km/s]")
    alpha: float = Field(gt=0, description="slope of the faint end")
    beta: float = Field(gt=0, description="steepness of the bright end")
    density_evolution: float = Field(default=0.0, description="power of 1 + z")
    scale_evolution: float = Field(default=0.0, description="power of 1 + z")
    source: str

    def density_at(self, sigma_v: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Return the comoving density of galaxies for each km/s [Mpc^-3 (km/s)^-1].

        Args:
            sigma_v: Velocity dispersions (N,) [km/s].
            z: Redshifts, of a shape that broadcasts with that of `sigma_v`.
        """
        density = self.density * (1 + z) ** self.density_evolution
        ratio = sigma_v / (self.scale * (1 + z) ** self.scale_evolution)
        shape = ratio**self.alpha * np.exp(-(ratio**self.beta)) / sigma_v
        return density * self.beta / gamma(self.alpha / self.beta) * shape


_CHOI: dict[str, float] = {
    "density": 8.0e-3 * 0.7**3,
    "scale": 161.0,
    "alpha": 2.32,
    "beta": 2.67,
}
# Mason et al. state a power of the luminosity function: sigma_v^(1 / 0.24) is a luminosity
_MASON_POWER = 0.24
_MASON_ALPHA = (1 - 0.54) / _MASON_POWER

DISPERSION_FUNCTIONS = {
    "choi2007": DispersionFunction(
        **_CHOI, source="Choi, Park & Vogeley 2007 (ApJ 658, 884), as Collett 2015 takes it"
    ),
    "bernardi2010": DispersionFunction(
        density=2.099e-2,
        scale=113.78,
        alpha=0.94,
        beta=1.85,
        source="Bernardi et al. 2010 (MNRAS 404, 2087), all types, for H0 = 70",
    ),
    "mason2015": DispersionFunction(
        density=3.75e-3 * np.log(10) * gamma(_MASON_ALPHA * _MASON_POWER),
        scale=216.0,
        alpha=_MASON_ALPHA,
        beta=1 / _MASON_POWER,
        density_evolution=-2.46 - 0.2,
        source="Mason et al. 2015 (ApJ 805, 79)",
    ),
    "geng2021": DispersionFunction(
        **_CHOI,
        density_evolution=-1.2,
        scale_evolution=0.2,
        source="Choi et al. 2007 with the evolution of Geng et al. 2021 (MNRAS 503, 1319)",
    ),
}


def dispersion_function(name: str) -> DispersionFunction:
    """Return a velocity-dispersion function by its name.

    Raises:
        ConfigError: There is none of this name.
    """
    if name not in DISPERSION_FUNCTIONS:
        raise unknown(
            "velocity-dispersion function",
            printable(name),
            DISPERSION_FUNCTIONS,
            code="unknown-dispersion-function",
        )
    return DISPERSION_FUNCTIONS[name]
