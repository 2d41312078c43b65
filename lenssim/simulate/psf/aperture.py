"""Apertures of telescopes, and the errors of a wave front over them."""

from functools import lru_cache

import numpy as np

__all__ = ["PUPIL_SIDE", "aperture", "ring_count", "wave_front"]

PUPIL_SIDE = 256  # points across the aperture
_STRUT_WIDTH = 0.015  # of the diameter
_GAP = 0.005  # between segments, of their width
_SLOPE = -1.5  # of the amplitudes of a wave front by spatial frequency
_SCREENS = 91  # spawn key of the wave fronts' random numbers


def ring_count(segments: int) -> int:
    """Return in how many rings hexagons lie around a middle one that is missing.

    Raises:
        ValueError: So many hexagons fill no rings; 6, 18, 36 and 60 do.

    Example:
        >>> ring_count(18)
        2
    """
    rings = round((np.sqrt(9 + 12 * segments) - 3) / 6)
    if segments < 6 or 3 * rings * (rings + 1) != segments:
        raise ValueError(
            f"segments must fill rings of hexagons, such as 6, 18 or 36, got {segments}"
        )
    return rings


@lru_cache(maxsize=32)
def aperture(obscuration: float, struts: int, segments: int) -> np.ndarray:
    """Return where light passes, bool (P, P); the diameter spans the array.

    Args:
        obscuration: Diameter of the dark middle, of the whole diameter.
        struts: Number of struts that hold the secondary mirror.
        segments: Number of hexagons around a missing middle one; 0 for a disc.
    """
    y, x = _coordinates()
    transparent = np.hypot(x, y) <= 0.5
    if segments:
        transparent = _hexagons(x, y, ring_count(segments))
    transparent &= np.hypot(x, y) >= obscuration / 2
    for strut in range(struts):
        angle = np.pi / 2 + 2 * np.pi * strut / struts
        along = x * np.cos(angle) + y * np.sin(angle)
        across = -x * np.sin(angle) + y * np.cos(angle)
        transparent &= (np.abs(across) > _STRUT_WIDTH / 2) | (along < 0)
    transparent.flags.writeable = False
    return transparent


def wave_front(transparent: np.ndarray, rms: float, screen: int) -> np.ndarray:
    """Return a random error of the wave front, (P, P), in the unit of `rms`.

    Its amplitudes fall with spatial frequency f as f^-1.5. Piston and tilts are left out, so
    that the image stays in the middle.

    Args:
        transparent: Where light passes, (P, P).
        rms: Its rms over the aperture.
        screen: Number of the draw; the same number is always the same wave front.
    """
    if rms == 0:
        return np.zeros(transparent.shape)
    sequence = np.random.SeedSequence(screen, spawn_key=(_SCREENS,))
    rng = np.random.Generator(np.random.SFC64(sequence))
    side = len(transparent)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal(transparent.shape)) * frequency**_SLOPE
    error = np.fft.irfft2(spectrum, transparent.shape)
    y, x = _coordinates()
    modes = np.stack([np.ones(transparent.sum()), x[transparent], y[transparent]], axis=1)
    values = error[transparent]
    values = values - modes @ np.linalg.lstsq(modes, values, rcond=None)[0]
    error = np.zeros(transparent.shape)
    error[transparent] = values * (rms / values.std())
    return error


def _coordinates() -> tuple[np.ndarray, np.ndarray]:
    """Return y (P, 1) and x (P,) of the points, in diameters."""
    x = (np.arange(PUPIL_SIDE) + 0.5) / PUPIL_SIDE - 0.5
    y = x[:, None]
    return y * np.ones_like(x), x * np.ones_like(y)


def _hexagons(x: np.ndarray, y: np.ndarray, rings: int) -> np.ndarray:
    """Return which points lie in hexagons of some rings, flat sides up; x, y (P, P)."""
    width = 1 / (2 * rings + 1)  # between flat sides
    transparent = np.zeros(x.shape, dtype=bool)
    for q in range(-rings, rings + 1):
        for r in range(-rings, rings + 1):
            if abs(q + r) > rings or (q, r) == (0, 0):
                continue
            centre_x = width * np.sqrt(3) / 2 * q
            centre_y = width * (r + q / 2)
            transparent |= _hexagon(x - centre_x, y - centre_y, width * (1 - _GAP))
    return transparent


def _hexagon(x: np.ndarray, y: np.ndarray, width: float) -> np.ndarray:
    """Return which points lie in a hexagon of a width between its flat sides."""
    slanted = np.maximum(
        np.abs(np.sqrt(3) / 2 * x + y / 2), np.abs(np.sqrt(3) / 2 * x - y / 2)
    )
    return np.maximum(np.abs(y), slanted) <= width / 2
