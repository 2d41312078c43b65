"""The layer of resampling: white noise becomes noise as a drizzled image has it."""

from typing import Any

import numpy as np

from lenssim.simulate.instruments import Instrument

__all__ = ["correlate", "filter_by_taps", "resampling_margin"]

_CHUNK = 16  # images that fit into the second cache


def resampling_margin(instrument: Instrument) -> int:
    """Return how many more pixels of white noise a side of correlated noise takes."""
    if instrument.resampling.measured is not None:
        return instrument.resampling.measured.margin
    return len(instrument.taps) - 1


def correlate(white: np.ndarray, instrument: Instrument) -> np.ndarray:
    """Return white noise as the camera's resampling leaves it.

    The sum over a large area keeps its variance. So a pixel's rms falls by `pixel_loss`, to
    2/3 where pixels were drizzled on pixels of the same size.

    Args:
        white: Noise (N, H + M, W + M), independent in each pixel; M is `resampling_margin`.
        instrument: The camera.

    Returns:
        Noise (N, H, W) of the same type.

    Example:
        >>> from lenssim.simulate.instruments import instrument
        >>> camera = instrument("hst_acs_f814w")
        >>> white = np.random.default_rng(0).standard_normal((100, 65, 65))
        >>> correlate(white, camera).std().round(2)
        np.float64(0.67)
    """
    measured = instrument.resampling.measured
    margin = resampling_margin(instrument)
    if measured is not None:
        window = slice(None, white.shape[-1] - margin)
        return measured.filtered(white)[..., window, window] * measured.loss
    if margin == 0:
        return white
    loss = instrument.pixel_loss
    return filter_by_taps(white, instrument.taps * np.sqrt(loss))


def filter_by_taps(white: Any, taps: np.ndarray) -> np.ndarray:
    """Return noise filtered along both axes.

    Every sum is taken pixel by pixel, so that an image's bits do not depend on its batch.

    Args:
        white: Noise (N, H + K - 1, W + K - 1).
        taps: Weights (K,).

    Returns:
        Noise (N, H, W): sum_kl taps_k taps_l white_(y + k)(x + l).
    """
    reach = len(taps) - 1
    height = white.shape[-2] - reach
    width = white.shape[-1] - reach
    weights = [white.dtype.type(tap) for tap in taps]
    filtered = np.empty((len(white), height, width), white.dtype)
    for start in range(0, len(white), _CHUNK):
        part = white[start : start + _CHUNK]
        rows = part[:, :, :width] * weights[0]
        term = np.empty_like(rows)
        for k in range(1, len(weights)):
            np.multiply(part[:, :, k : k + width], weights[k], out=term)
            rows += term
        target = filtered[start : start + _CHUNK]
        np.multiply(rows[:, :height], weights[0], out=target)
        term = term[:, :height]
        for k in range(1, len(weights)):
            np.multiply(rows[:, k : k + height], weights[k], out=term)
            target += term
    return filtered
