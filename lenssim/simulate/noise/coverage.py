"""The layer of lost pixels: cosmic rays and dead pixels, and the exposures that are left."""

from typing import TYPE_CHECKING

import numpy as np

from lenssim.simulate.instruments import Instrument

if TYPE_CHECKING:
    from lenssim.simulate.instruments.detector import CosmicRays

__all__ = ["exposure_share", "has_losses", "lost_share", "track_pixels"]

_MAX_EXPOSURES = 64  # drawn one by one; of more, hits of a pixel are independent
_STEP = 0.5  # of a track, in pixels


def has_losses(instrument: Instrument) -> bool:
    """Return whether pixels of an instrument lose exposures."""
    return (
        instrument.cosmic_rays is not None
        or instrument.dead_pixels > 0
        or instrument.exposure_map is not None
    )


def exposure_share(
    instrument: Instrument, exposure_time: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw the share of the exposures that saw each pixel of an image.

    Each exposure loses its dead pixels, which dithers put elsewhere each time, and what cosmic
    rays hit. The pipeline finds and leaves out both. A pixel of the image stands for the
    native pixels on it.

    Args:
        instrument: The camera.
        exposure_time: Single exposure in s.
        rng: Generator of random numbers.

    Returns:
        Shares, float32 (H, W), from 0 (masked) to 1.
    """
    side = instrument.num_pix
    count = instrument.num_exposures
    rays = instrument.cosmic_rays
    if count > _MAX_EXPOSURES:
        share = lost_share(instrument, exposure_time)
        return _mapped(1 - rng.binomial(count, share, (side, side)) / count, instrument)
    lost = np.zeros((side, side), np.int32)
    scale = instrument.native / instrument.pixel_scale
    for _ in range(count):
        hit = rng.random((side, side)) < instrument.dead_pixels
        if rays is not None:
            expected = _hits_a_pixel(rays) * exposure_time * (side / scale) ** 2
            y, x = track_pixels(rays, int(rng.poisson(expected)), side, scale, rng)
            hit[y, x] = True
        lost += hit
    return _mapped(1 - lost / count, instrument)


def _mapped(share: np.ndarray, instrument: Instrument) -> np.ndarray:
    """Return shares (H, W) of what the camera's exposure map leaves, float32."""
    shares = instrument.exposure_shares()
    if shares is not None:
        share = share * shares
    return share.astype(np.float32)


def lost_share(instrument: Instrument, exposure_time: float) -> float:
    """Return the share of the pixels that one exposure loses, in the mean.

    Args:
        instrument: The camera.
        exposure_time: Single exposure in s.

    Example:
        >>> from lenssim.simulate.instruments import instrument
        >>> lost_share(instrument("hst_acs_f814w"), 550.0)
        0.0
    """
    rays = instrument.cosmic_rays
    if rays is None:
        return instrument.dead_pixels
    hits = _hits_a_pixel(rays) * exposure_time
    return float(1 - (1 - instrument.dead_pixels) * np.exp(-hits * _mean_length(rays)))


def track_pixels(
    rays: "CosmicRays", count: int, side: int, scale: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the pixels that tracks of cosmic rays cross.

    Args:
        rays: Their numbers.
        count: How many tracks begin in the image.
        side: Pixels a side of the image.
        scale: Pixels of the image a side of a native one.
        rng: Generator of random numbers.

    Returns:
        Rows and columns of the pixels, each as often as it is met.
    """
    start = rng.random((2, count)) * side
    angle = rng.random(count) * 2 * np.pi
    length = _lengths(rays, rng.random(count)) / rays.pixel_size * scale
    steps = (length / _STEP).astype(np.int64) + 1
    track = np.repeat(np.arange(count), steps)
    first = np.repeat(np.cumsum(steps) - steps, steps)
    along = (np.arange(steps.sum()) - first) * _STEP
    y = np.floor(start[0, track] + along * np.sin(angle[track])).astype(np.int64)
    x = np.floor(start[1, track] + along * np.cos(angle[track])).astype(np.int64)
    inside = (y >= 0) & (y < side) & (x >= 0) & (x < side)
    return y[inside], x[inside]


def _hits_a_pixel(rays: "CosmicRays") -> float:
    """Return the hits per s of a native pixel."""
    return rays.rate * (rays.pixel_size * 1e-4) ** 2


def _lengths(rays: "CosmicRays", uniform: np.ndarray) -> np.ndarray:
    """Return lengths in micrometres of a power law, by inversion of its distribution."""
    power = rays.slope + 1
    low = rays.shortest**power
    high = rays.longest**power
    return (low + uniform * (high - low)) ** (1 / power)


def _mean_length(rays: "CosmicRays") -> float:
    """Return the mean number of native pixels that a track crosses."""
    lengths = _lengths(rays, (np.arange(1000) + 0.5) / 1000)
    return float(1 + lengths.mean() / rays.pixel_size)
