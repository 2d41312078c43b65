"""Conversions between lenssim (as lenstronomy) and PyAutoLens, COOLEST and caustics.

There is one small function a conversion, in both directions, with its formula in the
docstring; docs/conventions.md is the dictionary. Numbers and arrays go in and come out.
Angles are in arcsec unless stated. Functions named `..._to_X` start from lenssim.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = [
    "MAX_ELLIPTICITY_AUTOLENS",
    "angle_from_autolens",
    "angle_from_coolest",
    "angle_to_autolens",
    "angle_to_coolest",
    "axis_ratio",
    "centre_from_autolens",
    "centre_to_autolens",
    "cnfw_alpha_Rs",
    "cnfw_kappa_s",
    "einstein_radius_from_autolens",
    "einstein_radius_to_autolens",
    "ellipticity",
    "ellipticity_from_autolens",
    "ellipticity_to_autolens",
    "flip_rows",
    "gaussian_kernel",
    "intensity_from_autolens",
    "intensity_to_autolens",
    "nfw_alpha_Rs",
    "nfw_density_from_coolest",
    "nfw_density_to_coolest",
    "nfw_kappa_s",
    "position_angle",
    "radius_from_caustics",
    "radius_to_caustics",
    "scaled",
    "sersic_b",
    "sersic_b_autolens",
    "sersic_from_autolens",
    "sersic_to_autolens",
    "shear_from_coolest",
    "shear_to_coolest",
]

Number = Any  # a float, or an array of them

# PyAutoLens treats every larger |e| as this one (autogalaxy/convert.py)
MAX_ELLIPTICITY_AUTOLENS = 0.999
_SIGMA_PER_FWHM = 1 / (2 * np.sqrt(2 * np.log(2)))
_NFW_AT_RS = 1 + np.log(0.5)  # ln 1/2 is negative: 0.30685
_CNFW_SERIES = (  # g(1 + t) in powers of t
    5 / 6 - np.log(2),
    -1 / 15,
    1 / 28,
    -13 / 630,
    5 / 396,
    -0.008103008103008103,
    0.0054195804195804196,
)
_STRENGTHS = ("theta_E", "gamma1", "gamma2", "kappa", "alpha_Rs", "kappa_0")


def centre_to_autolens(center_x: Number, center_y: Number) -> tuple[Number, Number]:
    """Swap the coordinates of a centre: (x, y) -> (y, x)."""
    return center_y, center_x


def centre_from_autolens(centre: tuple[Number, Number]) -> tuple[Number, Number]:
    """Swap the coordinates of a centre: (y, x) -> (x, y)."""
    return centre[1], centre[0]


def ellipticity_to_autolens(e1: Number, e2: Number) -> tuple[Number, Number]:
    """Return ell_comps = (e2, e1); both have |e| = (1 - q) / (1 + q)."""
    return e2, e1


def ellipticity_from_autolens(ell_comps: tuple[Number, Number]) -> tuple[Number, Number]:
    """Return (e1, e2) = (ell_comps[1], ell_comps[0])."""
    return ell_comps[1], ell_comps[0]


def axis_ratio(e1: Number, e2: Number) -> Number:
    """Return q = (1 - |e|) / (1 + |e|), the minor axis over the major one."""
    e = np.hypot(e1, e2)
    return (1 - e) / (1 + e)


def position_angle(e1: Number, e2: Number) -> Number:
    """Return phi = arctan2(e2, e1) / 2: the major axis [rad], counter-clockwise from x."""
    return 0.5 * np.arctan2(e2, e1)


def ellipticity(q: Number, phi: Number) -> tuple[Number, Number]:
    """Return (e1, e2) = (1 - q) / (1 + q) (cos 2 phi, sin 2 phi).

    phi [rad] is counter-clockwise from x.

    Example:
        >>> e1, e2 = ellipticity(0.5, 0.0)
        >>> round(float(e1), 4), round(float(axis_ratio(e1, e2)), 4)
        (0.3333, 0.5)
    """
    e = (1 - q) / (1 + q)
    return e * np.cos(2 * phi), e * np.sin(2 * phi)


def angle_to_autolens(angle: Number) -> Number:
    """Convert an angle counter-clockwise from x: radians -> degrees."""
    return np.rad2deg(angle)


def angle_from_autolens(angle: Number) -> Number:
    """Convert an angle counter-clockwise from x: degrees -> radians."""
    return np.deg2rad(angle)


def flip_rows(image: np.ndarray) -> np.ndarray:
    """Flip the rows of images (..., H, W): the smallest y first (lenssim) <-> last (PyAutoLens)."""
    return image[..., ::-1, :]


def einstein_radius_to_autolens(theta_E: Number, q: Number, gamma: Number = 2.0) -> Number:
    """Return theta_P = theta_L / sqrt(q) ((1 + q) / 2)^(1 / (gamma - 1)).

    theta_P is that of PyAutoLens's `Isothermal` and `PowerLaw`, theta_L that of sie and epl
    here and in COOLEST. `PowerLawIntermediate` takes theta_L without change.
    """
    return theta_E / np.sqrt(q) * ((1 + q) / 2) ** (1 / (gamma - 1))


def einstein_radius_from_autolens(
    einstein_radius: Number, q: Number, gamma: Number = 2.0
) -> Number:
    """Return theta_L = sqrt(q) (2 / (1 + q))^(1 / (gamma - 1)) theta_P.

    The reverse of `einstein_radius_to_autolens`.
    """
    return einstein_radius * np.sqrt(q) * (2 / (1 + q)) ** (1 / (gamma - 1))


def sersic_b(n: Number) -> Number:
    """Return b_n = 1.9992 n - 0.3271, lenstronomy's and lenssim's; not below 1e-5."""
    return np.maximum(1.9992 * n - 0.3271, 1e-5)


def sersic_b_autolens(n: Number) -> Number:
    """Return PyAutoLens's b_n = 2 n - 1/3 + 4 / (405 n) + ... up to n^-4.

    Ciotti & Bertin 1999, A&A 352, 447, equation 18.
    """
    series = 2 * n - 1 / 3 + 4 / (405 * n) + 46 / (25515 * n**2) + 131 / (1148175 * n**3)
    return series - 2194697 / (30690717750 * n**4)


def sersic_to_autolens(
    amp: Number, R_sersic: Number, n: Number, pixel_scale: float
) -> tuple[Number, Number]:
    """Return intensity [e-/s/pixel] and effective_radius of a Sersic profile.

    R' = R (b_P / b_L)^n and I' = amp pixel^2 exp(b_L - b_P). Both codes then have exp(-b (R
    / R_s)^(1/n)) with the same exponent, and the same light at every radius. Without the
    conversion an image is 0.6 to 1.3 % off.

    Args:
        amp: Brightness at R_sersic [e-/s/arcsec^2].
        R_sersic: Radius [arcsec].
        n: Sersic index.
        pixel_scale: Side of a pixel [arcsec].
    """
    ours = sersic_b(n)
    theirs = sersic_b_autolens(n)
    intensity = intensity_to_autolens(amp, pixel_scale) * np.exp(ours - theirs)
    return intensity, R_sersic * (theirs / ours) ** n


def sersic_from_autolens(
    intensity: Number, effective_radius: Number, n: Number, pixel_scale: float
) -> tuple[Number, Number]:
    """Return amp [e-/s/arcsec^2] and R_sersic of PyAutoLens's Sersic profile.

    R = R' (b_L / b_P)^n and amp = I' / pixel^2 exp(b_P - b_L); the reverse of
    `sersic_to_autolens`.
    """
    ours = sersic_b(n)
    theirs = sersic_b_autolens(n)
    amp = intensity_from_autolens(intensity, pixel_scale) * np.exp(theirs - ours)
    return amp, effective_radius * (ours / theirs) ** n


def intensity_to_autolens(amp: Number, pixel_scale: float) -> Number:
    """Return an intensity in e-/s/pixel, of e-/s/arcsec^2: amp pixel^2."""
    return amp * pixel_scale**2


def intensity_from_autolens(intensity: Number, pixel_scale: float) -> Number:
    """Return an intensity in e-/s/arcsec^2, of e-/s/pixel: intensity / pixel^2."""
    return intensity / pixel_scale**2


def nfw_kappa_s(alpha_Rs: Number, Rs: Number) -> Number:
    """Return kappa_s = alpha_Rs / (4 Rs (1 + ln 1/2)) of nfw and tnfw.

    alpha_Rs is without truncation.
    """
    return alpha_Rs / (4 * Rs * _NFW_AT_RS)


def nfw_alpha_Rs(kappa_s: Number, Rs: Number) -> Number:
    """Return alpha_Rs = 4 kappa_s Rs (1 + ln 1/2) of nfw and tnfw."""
    return 4 * kappa_s * Rs * _NFW_AT_RS


def cnfw_kappa_s(alpha_Rs: Number, Rs: Number, r_core: Number) -> Number:
    """Return kappa_s = alpha_Rs / (4 Rs g(r_core / Rs)) of PyAutoLens's `cNFWSph`.

    alpha_Rs includes the core. g(b) = [ln 2 - f(b) - (1 - b) (2 ln 2 - 1)] / (1 - b)^2 with
    f(b) = b^2 ln 2b + b sqrt(1 - b^2) arccos b, and sqrt(b^2 - 1) arcosh b with a minus
    sign for b > 1. It is the deflection of that profile at Rs, in units of 4 kappa_s Rs.
    """
    return alpha_Rs / (4 * Rs * _cnfw_at_Rs(r_core / Rs))


def cnfw_alpha_Rs(kappa_s: Number, Rs: Number, r_core: Number) -> Number:
    """Return alpha_Rs = 4 kappa_s Rs g(r_core / Rs); the reverse of `cnfw_kappa_s`."""
    return 4 * kappa_s * Rs * _cnfw_at_Rs(r_core / Rs)


def _cnfw_at_Rs(b: Number) -> Number:
    t = np.asarray(b, dtype=np.float64) - 1
    # near b = 1 the closed form is 0 / 0: its Taylor series, with a next term below 1e-16
    removable = np.abs(t) < 0.01
    series = np.polynomial.polynomial.polyval(np.where(removable, t, 0), _CNFW_SERIES)
    b = np.where(removable, 0.5, b)
    root = np.sqrt(np.abs(1 - b * b))
    arc = np.where(b < 1, np.arccos(np.minimum(b, 1)), -np.arccosh(np.maximum(b, 1)))
    f = b * b * np.log(2 * b) + b * root * arc
    closed = (np.log(2) - f - (1 - b) * (2 * np.log(2) - 1)) / (1 - b) ** 2
    return np.where(removable, series, closed)[()]


def angle_to_coolest(phi: Number) -> Number:
    """Convert an angle: radians from x -> degrees from y (east of north), in (-90, 90].

    Both are counter-clockwise.

    Example:
        >>> float(angle_to_coolest(np.pi / 2))
        0.0
    """
    degrees = np.rad2deg(phi) - 90
    return degrees - 180 * np.ceil((degrees - 90) / 180)


def angle_from_coolest(phi: Number) -> Number:
    """Convert an angle: degrees from y -> radians from x, both counter-clockwise."""
    return np.deg2rad(phi + 90)


def shear_to_coolest(gamma1: Number, gamma2: Number) -> tuple[Number, Number]:
    """Convert a shear: (gamma1, gamma2) -> (gamma_ext, phi_ext).

    They are the modulus, and half the angle as in `angle_to_coolest`.
    """
    return np.hypot(gamma1, gamma2), angle_to_coolest(0.5 * np.arctan2(gamma2, gamma1))


def shear_from_coolest(gamma_ext: Number, phi_ext: Number) -> tuple[Number, Number]:
    """Return (gamma1, gamma2) = gamma_ext (cos 2 phi, sin 2 phi), phi = phi_ext + 90 degrees."""
    phi = angle_from_coolest(phi_ext)
    return gamma_ext * np.cos(2 * phi), gamma_ext * np.sin(2 * phi)


def nfw_density_to_coolest(alpha_Rs: Number, Rs: Number, critical: Number) -> Number:
    """Return rho_c = kappa_s Sigma_cr / Rs [Msun/arcsec^3] of COOLEST's NFW.

    Sigma_cr is `critical` [Msun/arcsec^2].
    """
    return nfw_kappa_s(alpha_Rs, Rs) * critical / Rs


def nfw_density_from_coolest(rho_c: Number, Rs: Number, critical: Number) -> Number:
    """Return alpha_Rs of kappa_s = rho_c Rs / Sigma_cr.

    Units are those of `nfw_density_to_coolest`.
    """
    return nfw_alpha_Rs(rho_c * Rs / critical, Rs)


def radius_to_caustics(R_sersic: Number, q: Number) -> Number:
    """Return Re = R / sqrt(q).

    caustics measures the half-light radius on the major axis, lenssim sqrt(a b).
    """
    return R_sersic / np.sqrt(q)


def radius_from_caustics(Re: Number, q: Number) -> Number:
    """Return R = Re sqrt(q); the reverse of `radius_to_caustics`."""
    return Re * np.sqrt(q)


def gaussian_kernel(fwhm: float, truncation: float, pixel_scale: float) -> np.ndarray:
    """Return the pixel kernel (K, K) that scipy's `gaussian_filter` applies.

    It is lenstronomy's GAUSSIAN and `GaussianPSF` too: w_i ~ exp(-i^2 / (2 sigma^2)) for
    |i| <= round(truncation sigma), normalised on each axis, with sigma = fwhm / 2.35482 in
    pixels. These are samples, not integrals over pixels. Beyond the stamp its edge is
    continued (scipy's mode "nearest").

    Args:
        fwhm: Full width at half maximum [arcsec].
        truncation: Radius of the kernel in sigma.
        pixel_scale: Side of a pixel [arcsec].
    """
    sigma = fwhm * _SIGMA_PER_FWHM / pixel_scale
    radius = int(truncation * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    return np.outer(weights, weights)


def scaled(profile: str, values: Mapping[str, Number], factor: Number) -> dict[str, Number]:
    """Return the parameters of a mass profile with deflections `factor` times those of `values`.

    PyAutoLens and COOLEST state deflections for the source itself, lenssim may state them
    for one at another redshift. A strength becomes strength factor^p. p = 1 for isothermal
    theta_E, shear, kappa, alpha_Rs and kappa_0; 1/2 for theta_E of a point or line mass; 1
    / (gamma - 1) for a power law's.

    Example:
        >>> scaled("point_mass", {"theta_E": 1.0, "center_x": 0.5}, 4.0)
        {'theta_E': 2.0, 'center_x': 0.5}
    """
    power = {
        "point_mass": 0.5,
        "line_mass": 0.5,
        "epl": 1 / (values.get("gamma", 2.0) - 1),
    }.get(profile, 1.0)
    strengths = {
        name: value * factor**power for name, value in values.items() if name in _STRENGTHS
    }
    return {**values, **strengths}
