"""Denoising by starlets: an undecimated wavelet transform with the noise of each scale."""

from functools import lru_cache

import numpy as np

__all__ = ["correlation_of_sky", "denoised", "starlets"]

_SPLINE = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16  # cubic B-spline
_THRESHOLDS = (4.0, 3.0)  # sigma, of the finest scale and of the others
_LARGEST_LAG = 3  # pixels, of a correlation that is measured in a stamp
_ROUNDS = 4  # of projection on the significant coefficients
_FEWEST_PAIRS = 64  # of sky pixels that tell a correlation


def starlets(image: np.ndarray, scales: int) -> np.ndarray:
    """Return the starlet transform of an image (Starck & Murtagh 2006).

    Args:
        image: Image (H, W).
        scales: Number of scales J; scale j sees structures of 2^j pixels.

    Returns:
        Coefficients (J + 1, H, W), whose sum is the image. The last is the smooth rest.

    Example:
        >>> image = np.arange(64.0).reshape(8, 8)
        >>> bool(np.allclose(starlets(image, 2).sum(0), image))
        True
    """
    from scipy.ndimage import convolve1d

    smooth = np.asarray(image, dtype=np.float64)
    coefficients = []
    for scale in range(scales):
        kernel = np.zeros(4 * 2**scale + 1)
        kernel[:: 2**scale] = _SPLINE
        smoother = convolve1d(smooth, kernel, axis=0, mode="reflect")
        smoother = convolve1d(smoother, kernel, axis=1, mode="reflect")
        coefficients.append(smooth - smoother)
        smooth = smoother
    return np.stack([*coefficients, smooth])


def denoised(image: np.ndarray, sigma: float, correlation: np.ndarray) -> np.ndarray:
    """Return an image of the coefficients that stand out of its noise, nowhere negative.

    Drizzled images have correlated noise, which a method for white noise takes for
    structure. Here the threshold of each scale follows from the noise's own correlation.
    The transform is isotropic, as galaxies are, and shift-invariant, so it adds no blocks.

    Args:
        image: Image (H, W) without sky.
        sigma: Rms of a pixel's noise, in the image's unit.
        correlation: Correlation (2 L + 1, 2 L + 1) of the noise at lags -L to L.

    Returns:
        Image (H, W).
    """
    if not sigma > 0:
        return image.clip(min=0)
    scales = max(2, int(np.log2(min(image.shape))) - 2)
    rms = sigma * _rms_of_scales(correlation.tobytes(), correlation.shape[0], scales)
    levels = np.full(scales, _THRESHOLDS[1])
    levels[0] = _THRESHOLDS[0]
    significant = np.abs(starlets(image, scales)[:-1]) > (levels * rms)[:, None, None]
    result = np.zeros_like(image)
    for _ in range(_ROUNDS):
        rest = starlets(image - result, scales)
        rest[:-1] *= significant
        result = (result + rest.sum(0)).clip(min=0)
    return result


@lru_cache(maxsize=16)
def _rms_of_scales(correlation_bytes: bytes, size: int, scales: int) -> np.ndarray:
    """Return the rms (J,) of the coefficients of noise of rms 1."""
    from scipy.signal import fftconvolve

    correlation = np.frombuffer(correlation_bytes).reshape(size, size)
    side = 8 * 2**scales + size
    point = np.zeros((side, side))
    point[side // 2, side // 2] = 1
    rms = []
    for response in starlets(point, scales)[:-1]:
        spread = fftconvolve(response, correlation, mode="same")
        rms.append(np.sqrt(max(float((response * spread).sum()), 1e-12)))
    return np.array(rms)


def correlation_of_sky(image: np.ndarray, sky: np.ndarray) -> np.ndarray:
    """Return the correlation of neighbouring pixels of the sky, at lags up to 3 pixels.

    Args:
        image: Image (H, W).
        sky: Which pixels show no object, bool (H, W).

    Returns:
        Correlation (7, 7), 1 in the middle. Where few pixels show the sky, the noise
        counts as white.
    """
    size = 2 * _LARGEST_LAG + 1
    correlation = np.zeros((size, size))
    correlation[_LARGEST_LAG, _LARGEST_LAG] = 1
    if not sky.any():
        return correlation
    noise = np.where(sky, image - np.median(image[sky]), 0.0)
    variance = (noise[sky] ** 2).mean()
    if not variance > 0:
        return correlation
    for dy in range(_LARGEST_LAG + 1):
        for dx in range(-_LARGEST_LAG, _LARGEST_LAG + 1):
            if (dy, dx) <= (0, 0):
                continue
            value = _correlation_at(noise, sky, dy, dx) / variance
            correlation[_LARGEST_LAG + dy, _LARGEST_LAG + dx] = value
            correlation[_LARGEST_LAG - dy, _LARGEST_LAG - dx] = value
    return correlation


def _correlation_at(noise: np.ndarray, sky: np.ndarray, dy: int, dx: int) -> float:
    """Return the mean product of sky pixels at a lag; 0 where too few pairs exist."""
    height, width = noise.shape
    first = (slice(0, height - dy), slice(max(0, -dx), width - max(0, dx)))
    second = (slice(dy, height), slice(max(0, dx), width - max(0, -dx)))
    pairs = sky[first] & sky[second]
    if pairs.sum() < _FEWEST_PAIRS:
        return 0.0
    return float((noise[first] * noise[second])[pairs].mean())
