"""Statistics of images that a realism audit compares: noise, light by radius, fine structure."""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.ndimage import label, uniform_filter

from lenssim.learn.scores.masked import masked_mean, masked_median
from lenssim.learn.scores.stamps import Stamps

__all__ = ["CORNERS", "REALISM_STATISTICS", "realism_statistics"]

_OBJECT = 5.0  # sigma of the noise, of an image blurred by 3 x 3 pixels
_TINY = 1e-30


def _over_noise_map(stamps: Stamps) -> np.ndarray:
    """Return the rms of the corners in units of their noise maps; NaN without such maps."""
    if stamps.sigma is None:
        return np.full(len(stamps.images), np.nan)
    sigma = stamps.corners_of(stamps.sigma)
    sigma = np.where(np.isfinite(stamps.corners), sigma, np.nan)
    return stamps.rms / masked_median(_by_image(sigma))


def _correlation(stamps: Stamps, across: int, up: int) -> np.ndarray:
    """Return the correlation of pixels of the corners, the mean of both directions."""
    noise = stamps.corners
    variance = masked_mean(_by_image(noise**2))
    covariances = []
    for rows, columns in {(across, up), (up, across)}:
        height, width = noise.shape[2] - rows, noise.shape[3] - columns
        product = noise[:, :, :height, :width] * noise[:, :, rows:, columns:]
        covariances.append(masked_mean(_by_image(product)))
    return np.mean(covariances, axis=0) / (variance + _TINY)


def _moment(stamps: Stamps, power: int) -> np.ndarray:
    """Return a moment of the noise of the corners, in units of its rms."""
    noise = stamps.corners / (stamps.rms[None, :, None, None] + _TINY)
    return masked_mean(_by_image(noise**power))


def _by_image(corners: np.ndarray) -> np.ndarray:
    """Return corners (4, N, h, w) as (N, 4 h w)."""
    return np.moveaxis(corners, 1, 0).reshape(corners.shape[1], -1)


def _peak(stamps: Stamps) -> np.ndarray:
    return stamps.light.max((1, 2))


def _psf_width(stamps: Stamps) -> np.ndarray:
    """Return the full width at half maximum of the brightest peak, in pixels of its area."""
    core = stamps.light >= 0.5 * _peak(stamps)[:, None, None]
    return 2 * np.sqrt(core.sum((1, 2)) / np.pi)


def _radius(stamps: Stamps, share: float) -> np.ndarray:
    """Return the radius of a share of the light, in units of the stamp's half."""
    rings = (np.arange(stamps.growth.shape[1]) + 0.5) / stamps.growth.shape[1]
    ring = (stamps.growth >= share).argmax(axis=1)
    return rings[ring]


def _concentration(stamps: Stamps) -> np.ndarray:
    return _radius(stamps, 0.8) / _radius(stamps, 0.2)


def _asymmetry(stamps: Stamps) -> np.ndarray:
    """Return the difference to the image turned by 180 degrees, as a share of the light."""
    turned = stamps.light[:, ::-1, ::-1]
    total = np.abs(stamps.light).sum((1, 2))
    return np.abs(stamps.light - turned).sum((1, 2)) / (total + _TINY)


def _ellipticity(stamps: Stamps) -> np.ndarray:
    """Return the quadrupole of the light of the inner half, as a share of it."""
    inner = stamps.polar[:, : stamps.polar.shape[1] // 2]
    angle = np.arange(inner.shape[2]) * 2 * np.pi / inner.shape[2]
    quadrupole = np.abs((inner * np.exp(2j * angle)).mean((1, 2)))
    return quadrupole / (np.abs(inner.mean((1, 2))) + _TINY)


def _residual(stamps: Stamps, begin: float, end: float) -> np.ndarray:
    """Return the rms of the residual of a smooth galaxy between two radii."""
    rings = stamps.residual.shape[1]
    part = stamps.residual[:, int(begin * rings) : int(end * rings)]
    return np.sqrt((part**2).mean((1, 2)))


def _residual_skew(stamps: Stamps) -> np.ndarray:
    part = stamps.residual[:, stamps.residual.shape[1] // 8 :]
    return (part**3).mean((1, 2)) / ((part**2).mean((1, 2)) ** 1.5 + _TINY)


def _knots(stamps: Stamps) -> np.ndarray:
    """Return the share of pixels that stand far above their surroundings."""
    return (stamps.fine_structure > _OBJECT).mean((1, 2))


def _fine_structure(stamps: Stamps) -> np.ndarray:
    return np.sqrt((stamps.fine_structure**2).mean((1, 2)))


def _power_ratio(stamps: Stamps, high: int, low: int) -> np.ndarray:
    return np.log10((stamps.power[:, high] + _TINY) / (stamps.power[:, low] + _TINY))


def _radii(shape: tuple[int, ...]) -> np.ndarray:
    """Return the distance (H, W) of each pixel from the middle; the nearest edge has 1."""
    height, width = shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.hypot(x, y)


def _objects(stamps: Stamps) -> np.ndarray:
    """Return the number of objects beyond half of the way to the edge."""
    blurred = uniform_filter(stamps.fine_structure, size=(0, 3, 3))
    objects = (blurred > _OBJECT / 2) & (_radii(stamps.images.shape[1:]) > 0.5)
    return np.array([label(plane)[1] for plane in objects], dtype=float)


CORNERS = ("rms / noise map", "rho(1,0)", "rho(1,1)", "skew")
"""Statistics of the noise of the corners, which need no model of the sky."""

REALISM_STATISTICS: dict[str, Callable[[Stamps], np.ndarray]] = {
    "background rms": lambda stamps: stamps.rms,
    "background level": lambda stamps: stamps.level / (stamps.rms + _TINY),
    "rms / noise map": _over_noise_map,
    "rho(1,0)": partial(_correlation, across=1, up=0),
    "rho(1,1)": partial(_correlation, across=1, up=1),
    "rho(2,0)": partial(_correlation, across=2, up=0),
    "skew": partial(_moment, power=3),
    "kurtosis": partial(_moment, power=4),
    "flux": lambda stamps: stamps.light.sum((1, 2)),
    "peak": _peak,
    "peak / rms": lambda stamps: _peak(stamps) / (stamps.rms + _TINY),
    "width of the peak": _psf_width,
    "half-light radius": partial(_radius, share=0.5),
    "concentration": _concentration,
    "ellipticity": _ellipticity,
    "asymmetry": _asymmetry,
    "residual, inner": partial(_residual, begin=0.1, end=0.35),
    "residual, middle": partial(_residual, begin=0.35, end=0.7),
    "residual, outer": partial(_residual, begin=0.7, end=1.0),
    "residual, skew": _residual_skew,
    "fine structure": _fine_structure,
    "knots": _knots,
    "power, fine": partial(_power_ratio, high=7, low=4),
    "power, coarse": partial(_power_ratio, high=3, low=0),
    "objects": _objects,
}
"""Functions of stamps to one number (N,) an image."""


def realism_statistics(stamps: Stamps) -> dict[str, np.ndarray]:
    """Return all statistics of images.

    Args:
        stamps: The images of one band, with their noise maps if these are known.

    Returns:
        A number (N,) an image by name, NaN where an image has none.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(3, 48, 48))
        >>> realism_statistics(Stamps(noise))["background rms"].round().tolist()
        [1.0, 1.0, 1.0]
    """
    return {name: function(stamps) for name, function in REALISM_STATISTICS.items()}
