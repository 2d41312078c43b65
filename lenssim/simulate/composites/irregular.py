"""Irregular galaxies: clumpy ones whose size follows from their surface brightness."""

from dataclasses import replace

import numpy as np

from lenssim.simulate.columns import Columns
from lenssim.simulate.composites.clumpy import CLUMPY
from lenssim.simulate.composites.composite import Composite, Setting

__all__ = ["IRREGULAR", "half_light_radius"]

_REFERENCE = 24.0  # mag, at which the trend of the surface brightness is nothing
_SMALLEST = 0.01  # arcsec
_LARGEST = 5.0


def half_light_radius(magnitude: np.ndarray, surface_brightness: np.ndarray) -> np.ndarray:
    """Return the radius [arcsec] with half of the light, m + 2.5 log10(2 pi R^2) = mu.

    Args:
        magnitude: Magnitudes m of all light.
        surface_brightness: Mean surface brightness mu inside the radius [mag/arcsec^2].

    Example:
        >>> half_light_radius(np.array([24.0]), np.array([24.0])).round(2).tolist()
        [0.4]
    """
    area = 10 ** (0.4 * (surface_brightness - magnitude))
    return np.clip(np.sqrt(area / (2 * np.pi)), _SMALLEST, _LARGEST)


def _compose(columns: Columns, setting: Setting) -> None:
    """Put magnitude and size, and then the parts of a clumpy galaxy."""
    prefix = setting.prefix
    values = columns.values
    magnitude = values[f"{prefix}magnitude"]
    brightness = values[f"{prefix}surface_brightness"]
    trend = values[f"{prefix}surface_brightness_trend"]
    brightness = brightness + trend * (magnitude - _REFERENCE)
    if setting.lens is not None:
        log_theta_E = np.log10(np.maximum(values[f"{setting.lens}theta_E"], 1e-3))
        magnitude = magnitude + values[f"{prefix}magnitude_slope"] * log_theta_E
        magnitude = magnitude + values[f"{prefix}magnitude_curve"] * log_theta_E**2
        brightness = brightness + values[f"{prefix}brightness_slope"] * log_theta_E
    magnitude = columns.put(f"{prefix}magnitude", magnitude)
    brightness = columns.put(f"{prefix}surface_brightness", brightness)
    radius = half_light_radius(magnitude, brightness)
    radius = np.minimum(radius, values[f"{prefix}R_max"])
    columns.put(f"{prefix}R_sersic", radius)
    CLUMPY.compose(columns, setting)


IRREGULAR: Composite = replace(
    CLUMPY,
    name="irregular",
    required=("surface_brightness", "e1", "e2"),
    defaults=(
        ("magnitude_slope", 0.0),
        ("magnitude_curve", 0.0),
        ("brightness_slope", 0.0),
        ("surface_brightness_trend", 0.0),
        ("R_max", _LARGEST),
        *CLUMPY.defaults,
    ),
    compose=_compose,
)
"""A `clumpy` galaxy with a `surface_brightness` in place of a size.

`magnitude_slope` and `brightness_slope` are the changes of magnitude and surface brightness
with log10 of the lens's theta_E, and `magnitude_curve` is that of the magnitude with its
square. `surface_brightness_trend` is the change of the surface brightness with the magnitude
as it was drawn, from 24. No galaxy is larger than `R_max` [arcsec].
"""
