"""Plain statistics of images, which depend on no network."""

import numpy as np

__all__ = ["image_features"]

_RINGS = 8  # in radius, and in spatial frequency
_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
_NOISE_QUANTILES = (0.2, 0.5, 1.0)
_MIN_POWER = 1e-12  # of a power spectrum; smaller values are rounding errors


def image_features(images: np.ndarray) -> np.ndarray:
    """Return statistics of images, by band.

    They are the power spectrum, the light by radius, quantiles of the pixels, and quantiles of the
    second differences, which vanish for smooth images and so measure the noise.

    Args:
        images: Images (N, C, H, W) of at least 3 x 3 pixels.

    Returns:
        Features float64 (N, F).

    Example:
        >>> image_features(np.ones((2, 1, 8, 8))).shape
        (2, 26)
    """
    images = np.asarray(images, dtype=np.float64)
    height, width = images.shape[-2:]
    offsets = [(np.arange(side) - (side - 1) / 2) / side for side in (height, width)]
    y, x = np.meshgrid(*offsets, indexing="ij")
    frequencies = np.hypot(
        *np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    )
    contrast = images - images.mean((-2, -1), keepdims=True)
    power = np.abs(np.fft.rfft2(contrast)) ** 2 / (height * width)
    noise = _noise_quantiles(images)
    parts = [
        np.log(_ring_means(power, frequencies) + _MIN_POWER),
        _ring_means(images, np.hypot(x, y)),
        np.moveaxis(np.quantile(images, _QUANTILES, axis=(-2, -1)), 0, -1),
        np.log(noise + _MIN_POWER),
    ]
    return np.concatenate(parts, axis=-1).reshape(len(images), -1)


def _noise_quantiles(images: np.ndarray) -> np.ndarray:
    """Return quantiles of second differences, zero where an image is quadratic (Immerkaer 1996)."""
    differences = np.diff(np.diff(images, 2, axis=-1), 2, axis=-2)
    quantiles = np.quantile(np.abs(differences), _NOISE_QUANTILES, axis=(-2, -1))
    return np.moveaxis(quantiles, 0, -1)


def _ring_means(planes: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return means (..., 8) of planes (..., H, W) in rings of equal width up to a radius of 0.5."""
    ring = np.minimum((2 * radius * _RINGS).astype(int), _RINGS - 1).ravel()
    member = np.eye(_RINGS)[ring]
    flat = planes.reshape(*planes.shape[:-2], -1)
    return flat @ (member / np.maximum(member.sum(0), 1))
