"""Linear theory of structure: power spectrum, growth and the variance of mass in spheres."""

from functools import lru_cache

import numpy as np

from lenssim.simulate.cosmology import Cosmology

__all__ = ["DELTA_C", "LinearTheory", "linear_theory"]

# Planck 2018 (arXiv:1807.06209), rounded as pyHalo rounds them
N_S = 0.965
SIGMA_8 = 0.81
T_CMB = 2.7255  # K
RHO_CRIT = 2.77536627e11  # critical density today, Msun h^2 / Mpc^3
DELTA_C = 1.68647  # collapse threshold of a sphere in an Einstein-de Sitter universe
_LOG_K = np.linspace(np.log(1e-5), np.log(1e5), 6000)  # h / Mpc
_LOG_XI = np.linspace(np.log(0.05), np.log(150.0), 200)  # Mpc / h
_LOG_R = np.linspace(np.log(1e-5), np.log(60.0), 400)  # Mpc / h


class LinearTheory:
    """Linear theory of one flat cosmology.

    Lengths are in comoving Mpc / h. Masses are in Msun / h inside, and in Msun outside. The
    transfer function is that of Eisenstein & Hu 1998 (astro-ph/9709112, equations 2-24).
    The growth ignores radiation, an error of 0.1 % at redshift 1 and of 1 % at redshift 10.
    """

    def __init__(self, cosmology: Cosmology) -> None:
        self.cosmology = cosmology
        self.h = cosmology.H0 / 100
        self.rho_m = RHO_CRIT * cosmology.Om0  # Msun h^2 / Mpc^3, comoving
        k = np.exp(_LOG_K)
        self._power = k**N_S * transfer(k, self.h, cosmology.Om0, cosmology.Ob0) ** 2
        self._power *= (SIGMA_8 / self._rms(np.array([8.0]))[0]) ** 2
        self._log_sigma = np.log(self._rms(np.exp(_LOG_R)))
        self._slope = np.gradient(self._log_sigma, _LOG_R)
        self._xi = self._correlation()
        a = np.linspace(1e-4, 1, 20001)
        integrand = (a / (cosmology.Om0 + (1 - cosmology.Om0) * a**3)) ** 1.5
        growth = np.concatenate(
            [[0], np.cumsum(0.5 * (integrand[1:] + integrand[:-1]) * np.diff(a))]
        )
        growth = (growth + 0.4 * a[0] ** 2.5 / cosmology.Om0**1.5) * np.sqrt(
            cosmology.Om0 / a**3 + 1 - cosmology.Om0
        )
        self._a = a
        self._growth = growth / growth[-1]
        # growth today of a perturbation that grows as a at early times
        self._today = 2.5 * cosmology.Om0 * growth[-1]

    def _rms(self, radius: np.ndarray) -> np.ndarray:
        """Return the rms (R,) of the density today in spheres of `radius`, before normalisation."""
        k = np.exp(_LOG_K)
        step = _LOG_K[1] - _LOG_K[0]
        x = radius[:, None] * k
        window = np.where(
            x < 1e-2,
            1 - x**2 / 10,
            3 * (np.sin(x) - x * np.cos(x)) / np.maximum(x, 1e-2) ** 3,
        )
        return np.sqrt((window**2 * (self._power * k**3 / (2 * np.pi**2))).sum(1) * step)

    def growth(self, z: np.ndarray | float) -> np.ndarray:
        """Return the growth factor D(z), 1 today."""
        return np.interp(1 / (1 + np.asarray(z)), self._a, self._growth)

    def growth_rate(self, z: np.ndarray) -> np.ndarray:
        """Return the growth rate dlnD / dln a = -dlnD / dln(1 + z)."""
        z = np.asarray(z, dtype=np.float64)
        omega = self.omega_m(z)
        a = 1 / (1 + z)
        e2 = self.cosmology.Om0 * (1 + z) ** 3 + 1 - self.cosmology.Om0
        absolute = self.growth(z) * self._today
        return -1.5 * omega + 2.5 * self.cosmology.Om0 / (a**2 * e2 * absolute)

    def omega_m(self, z: np.ndarray | float) -> np.ndarray:
        """Return the matter density at z in units of the critical density."""
        matter = self.cosmology.Om0 * (1 + np.asarray(z)) ** 3
        return matter / (matter + 1 - self.cosmology.Om0)

    def radius(self, mass: np.ndarray) -> np.ndarray:
        """Return the Lagrangian radius [Mpc / h] of masses [Msun]."""
        return np.cbrt(3 * np.asarray(mass) * self.h / (4 * np.pi * self.rho_m))

    def sigma(self, mass: np.ndarray, z: np.ndarray | float = 0.0) -> np.ndarray:
        """Return the rms of the linear density in spheres of `mass` [Msun], at redshift z."""
        return np.exp(
            np.interp(np.log(self.radius(mass)), _LOG_R, self._log_sigma)
        ) * self.growth(z)

    def slope(self, mass: np.ndarray, scale: float = 1.0) -> np.ndarray:
        """Return dln sigma / dln R at `scale` times the Lagrangian radius of `mass` [Msun]."""
        return np.interp(np.log(scale * self.radius(mass)), _LOG_R, self._slope)

    def peak_height(self, mass: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Return nu = delta_c(z) / sigma(m, z), with delta_c of `collapse_threshold`."""
        return self.collapse_threshold(z) / self.sigma(mass, z)

    def collapse_threshold(self, z: np.ndarray) -> np.ndarray:
        """Return delta_c(z) = 1.686 Om(z)^0.0055, for a flat universe."""
        return DELTA_C * self.omega_m(z) ** 0.0055

    def correlation(self, r: np.ndarray) -> np.ndarray:
        """Return the correlation function of matter today at `r` [Mpc / h].

        It is within 1 % of the integral from 0.1 to 100 Mpc / h.
        """
        return np.interp(np.log(r), _LOG_XI, self._xi)

    def _correlation(self) -> np.ndarray:
        k = np.exp(_LOG_K)
        step = _LOG_K[1] - _LOG_K[0]
        x = np.exp(_LOG_XI)[:, None] * k
        damped = self._power * k**3 / (2 * np.pi**2) * np.exp(-((x / 100) ** 2))
        return (damped * np.sinc(x / np.pi)).sum(1) * step


@lru_cache(maxsize=8)
def linear_theory(cosmology: Cosmology) -> LinearTheory:
    """Return the linear theory of a cosmology, computed once a process."""
    return LinearTheory(cosmology)


def transfer(k: np.ndarray, h: float, Om0: float, Ob0: float) -> np.ndarray:
    """Return the transfer function at `k` [h / Mpc], with baryons.

    Eisenstein & Hu 1998 (astro-ph/9709112); the numbers in comments are its equations.
    """
    theta2 = (T_CMB / 2.7) ** 2
    total = Om0 * h**2
    baryon = max(Ob0, 1e-12) * h**2
    fraction = baryon / total
    k = k * h  # 1 / Mpc
    z_eq = 2.5e4 * total / theta2**2  # 2
    k_eq = 7.46e-2 * total / theta2  # 3
    b1 = 0.313 * total**-0.419 * (1 + 0.607 * total**0.674)
    b2 = 0.238 * total**0.223
    z_d = 1291 * total**0.251 / (1 + 0.659 * total**0.828) * (1 + b1 * baryon**b2)  # 4
    ratio_d, ratio_eq = (31.5e3 * baryon / theta2**2 / z for z in (z_d, z_eq))  # 5
    horizon = np.log(
        (np.sqrt(1 + ratio_d) + np.sqrt(ratio_d + ratio_eq)) / (1 + np.sqrt(ratio_eq))
    )
    s = 2 / (3 * k_eq) * np.sqrt(6 / ratio_eq) * horizon  # 6
    k_silk = 1.6 * baryon**0.52 * total**0.73 * (1 + (10.4 * total) ** -0.95)  # 7
    q = k / (13.41 * k_eq)  # 10
    a1 = (46.9 * total) ** 0.670 * (1 + (32.1 * total) ** -0.532)
    a2 = (12.0 * total) ** 0.424 * (1 + (45.0 * total) ** -0.582)
    alpha_c = a1**-fraction * a2 ** -(fraction**3)  # 11
    b1 = 0.944 / (1 + (458 * total) ** -0.708)
    beta_c = 1 / (1 + b1 * ((1 - fraction) ** ((0.395 * total) ** -0.0266) - 1))  # 12
    y = (1 + z_eq) / (1 + z_d)
    root = np.sqrt(1 + y)
    g = y * (-6 * root + (2 + 3 * y) * np.log((root + 1) / (root - 1)))  # 15
    alpha_b = 2.07 * k_eq * s * (1 + ratio_d) ** -0.75 * g  # 14

    def t0(alpha: float, beta: float) -> np.ndarray:  # 19, 20
        log = np.log(np.e + 1.8 * beta * q)
        return log / (log + (14.2 / alpha + 386 / (1 + 69.9 * q**1.08)) * q**2)

    f = 1 / (1 + (k * s / 5.4) ** 4)  # 18
    cold = f * t0(1.0, beta_c) + (1 - f) * t0(alpha_c, beta_c)  # 17
    beta_b = 0.5 + fraction + (3 - 2 * fraction) * np.sqrt((17.2 * total) ** 2 + 1)  # 24
    s_tilde = s / np.cbrt(1 + (8.41 * total**0.435 / (k * s)) ** 3)  # 22, 23
    acoustic = alpha_b / (1 + (beta_b / (k * s)) ** 3) * np.exp(-((k / k_silk) ** 1.4))
    baryons = (t0(1.0, 1.0) / (1 + (k * s / 5.2) ** 2) + acoustic) * np.sinc(
        k * s_tilde / np.pi
    )  # 21
    return fraction * baryons + (1 - fraction) * cold
