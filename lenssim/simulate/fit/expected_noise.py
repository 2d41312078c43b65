"""Expected noise: that of a model's light, where a noise map was made from the image itself."""

import numpy as np

__all__ = ["expected_noise"]

_LEAST = 0.5  # of the variance that the map states
_MOST = 2.0


def expected_noise(images: np.ndarray, sigma: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Return noise maps without what they took over from the noise of their images.

    The Poisson variance of a pixel is that of its expected light. A map that was made from
    the image has the observed light in its place, so pixels with negative noise weigh too
    much: light comes out too faint (Neyman's chi2). How much a map knows of its own noise is
    measured: it is the coefficient s of image - model in the regression of sigma^2 on a
    constant, the model and image - model. A map of another origin has s near 0 and stays.

    Args:
        images: Images (N, H, W).
        sigma: Noise maps (N, H, W), infinite where a pixel is masked.
        model: Expected images (N, H, W), near the best ones.

    Returns:
        sigma^2 - s (image - model), rooted; between 0.5 and 2 times sigma^2.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> light = rng.uniform(1, 9, (1, 50, 50))
        >>> image = rng.normal(light, np.sqrt(0.5 + light / 100))
        >>> found = expected_noise(image, np.sqrt(0.5 + image.clip(0) / 100), light)
        >>> bool(np.abs(found**2 / (0.5 + light / 100) - 1).max() < 0.05)
        True
    """
    noise = np.array(sigma, np.float64)
    for row, (image, plane, light) in enumerate(zip(images, sigma, model, strict=True)):
        seen = np.isfinite(plane)
        variance = plane[seen] ** 2
        noise_seen = (image - light)[seen]
        noise[row][seen] = np.sqrt(_without(variance, light[seen], noise_seen))
    return noise


def _without(variance: np.ndarray, light: np.ndarray, noise_seen: np.ndarray) -> np.ndarray:
    """Return variances (P,) less what they have of the noise `noise_seen` (P,)."""
    terms = np.stack([np.ones_like(light), light, noise_seen], axis=1)
    lengths = np.sqrt((terms**2).sum(0))
    if not (lengths > 0).all():
        return variance
    coefficients, *_ = np.linalg.lstsq(terms / lengths, variance, rcond=None)
    share = coefficients[2] / lengths[2]
    return (variance - share * noise_seen).clip(_LEAST * variance, _MOST * variance)
