"""Hand-made features of a lens: what a network has to beat.

For each band and ring about the centre: the light, how uneven it is along the ring, how asymmetric,
and whether its edges follow the ring, as those of arcs do.
"""

from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter

from lenssim.learn.scores.denoising import noise_level

__all__ = ["hand_made_features"]

_RINGS = 8
_SMOOTHING = 1.0  # pixels, of the residual
_FAINT = 3.0  # noise
_IMAGES_PER_CHUNK = 256
_TINY = 1e-12


def hand_made_features(images: np.ndarray) -> np.ndarray:
    """Return features (N, k) of images (N, C, H, W), in units of their noise.

    Args:
        images: The images, in any unit.

    Returns:
        Ten numbers for each band and ring, from the centre outwards.

    Example:
        >>> hand_made_features(np.random.default_rng(0).normal(size=(3, 2, 32, 32))).shape
        (3, 160)
    """
    starts = range(0, len(images), _IMAGES_PER_CHUNK)
    chunks = [_features(images[start : start + _IMAGES_PER_CHUNK]) for start in starts]
    return np.concatenate(chunks)


def _features(images: np.ndarray) -> np.ndarray:
    """Return the features of a few images."""
    noise = noise_level(images)
    light = images / np.where(noise > 0, noise, 1)
    edges = np.concatenate([light[..., 0], light[..., -1]], axis=-1)
    light = light - np.median(edges, axis=-1)[..., None, None]
    y, x, rings = _rings(*light.shape[-2:])
    residual = light.copy()
    for ring in rings:  # what differs from the rest of its ring
        residual[..., ring] -= np.median(light[..., ring], axis=-1, keepdims=True)
    smooth = gaussian_filter(residual, (0, 0, _SMOOTHING, _SMOOTHING))
    asymmetry = light - light[..., ::-1, ::-1]
    gradient_y, gradient_x = np.gradient(smooth, axis=(-2, -1))
    radius = np.maximum(np.hypot(x, y), 0.5)
    radial = (gradient_x * x + gradient_y * y) / radius
    tangential = (gradient_y * x - gradient_x * y) / radius
    columns = []
    angle = np.arctan2(y, x)
    for ring in rings:
        columns += _of_ring(
            light[..., ring],
            smooth[..., ring],
            asymmetry[..., ring],
            radial[..., ring],
            tangential[..., ring],
            angle[ring],
        )
    stacked = np.stack(columns, axis=-1)
    return np.arcsinh(stacked.reshape(len(images), -1))


def _rings(height: int, width: int) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return the positions (H, W) about the centre, and masks of rings of equal ratios."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    y -= (height - 1) / 2
    x -= (width - 1) / 2
    radius = np.hypot(x, y)
    outermost = min(height, width) / 2
    ends = np.r_[0.5, np.geomspace(2.0, outermost, _RINGS)]  # the centre has no angle
    pairs = pairwise(ends)
    return y, x, [(radius >= low) & (radius < high) for low, high in pairs]


def _of_ring(
    light: np.ndarray,
    smooth: np.ndarray,
    asymmetry: np.ndarray,
    radial: np.ndarray,
    tangential: np.ndarray,
    angle: np.ndarray,
) -> list[np.ndarray]:
    """Return ten features (N, C) of the pixels (N, C, P) of a ring at their angles (P,)."""
    radial_power = (radial**2).mean(-1)
    tangential_power = (tangential**2).mean(-1)
    waves = [np.abs((smooth * np.exp(1j * m * angle)).mean(-1)) for m in (1, 2, 4)]
    return [
        light.mean(-1),
        light.std(-1),
        smooth.max(-1),
        (smooth > _FAINT).mean(-1) * 100,
        np.abs(asymmetry).mean(-1),
        10 * np.log((radial_power + _TINY) / (tangential_power + _TINY)),
        radial_power,
        *waves,
    ]
