"""Scores of a denoiser, for images in one unit: no image is scaled by its own pixels."""

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = [
    "aperture_flux",
    "decibels",
    "mean_intervals",
    "nl_means",
    "noise_level",
    "similarity",
    "squared_error",
]

_DIFFERENCE_TO_SIGMA = 1.0484  # of the median difference of two normal deviates
_APERTURE = 0.25  # radius, of the shorter side
_NL_MEANS = {"patch_size": 5, "patch_distance": 7, "fast_mode": True}
_NL_STRENGTH = 0.8  # of the noise, as scikit-image advises for the fast algorithm
_LEVEL = (2.5, 97.5)
_AT_ONCE = (
    32  # images whose similarity is computed together: each takes 50 MB at 101 pixels
)


def noise_level(images: np.ndarray) -> np.ndarray:
    """Return the noise (N, C, 1, 1) of images (N, C, H, W), by differences of neighbours."""
    differences = np.abs(np.diff(images, axis=-1)).reshape(*images.shape[:2], -1)
    return _DIFFERENCE_TO_SIGMA * np.median(differences, axis=2)[..., None, None]


def squared_error(images: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the mean squared error (N,) of images (N, C, H, W)."""
    return ((images.astype(np.float64) - truth) ** 2).mean(axis=(1, 2, 3))


def decibels(error: np.ndarray, peak: float) -> np.ndarray:
    """Return the peak signal to noise (N,) in dB, for one peak of all images.

    Example:
        >>> decibels(np.array([0.01]), peak=1.0)
        array([20.])
    """
    return 10 * np.log10(peak**2 / np.maximum(error, 1e-300))


def similarity(images: np.ndarray, truth: np.ndarray, peak: float) -> np.ndarray:
    """Return the structural similarity (N,) of Wang et al. (2004), Gaussian weights of 1.5 px."""
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    scores = [
        structural_similarity_index_measure(
            torch.as_tensor(images[start : start + _AT_ONCE], dtype=torch.float64),
            torch.as_tensor(truth[start : start + _AT_ONCE], dtype=torch.float64),
            sigma=1.5,
            kernel_size=11,
            data_range=peak,
            reduction="none",
        )
        for start in range(0, len(images), _AT_ONCE)
    ]
    return np.concatenate([np.atleast_1d(np.asarray(part)) for part in scores])


def aperture_flux(images: np.ndarray) -> np.ndarray:
    """Return the flux (N, C) in a circle about the centre, a quarter of the side in radius."""
    height, width = images.shape[-2:]
    y = np.arange(height) - (height - 1) / 2
    x = np.arange(width) - (width - 1) / 2
    circle = np.hypot(y[:, None], x) <= _APERTURE * min(height, width)
    return images[..., circle].astype(np.float64).sum(axis=-1)


def nl_means(images: np.ndarray) -> np.ndarray | None:
    """Return images (N, C, H, W) after non-local means, or None without scikit-image.

    It is the fast algorithm of Buades et al. (2005) as scikit-image has it, and knows the noise.
    """
    try:
        from skimage.restoration import denoise_nl_means
    except ImportError:
        return None
    noise = noise_level(images)
    scaled = (images / noise).astype(np.float64)
    cleaned = [
        [denoise_nl_means(band, h=_NL_STRENGTH, sigma=1.0, **_NL_MEANS) for band in image]
        for image in scaled
    ]
    return np.asarray(cleaned) * noise


def mean_intervals(
    values: Mapping[str, np.ndarray], *, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Return means of scores over images, with 95 % bootstrap intervals.

    Args:
        values: A score (N,) of each image, by name; NaN where it is not defined.
        resamples: Number of bootstrap samples.
        seed: Seed of the bootstrap samples.

    Returns:
        `value`, `low` and `high` of each score; None where no image has it.
    """
    rng = np.random.default_rng(seed)
    scores: dict[str, dict[str, Any]] = {}
    for name, column in values.items():
        defined = column[np.isfinite(column)]
        if not len(defined):
            scores[name] = {"value": None, "low": None, "high": None}
            continue
        rows = rng.integers(len(defined), size=(resamples, len(defined)))
        low, high = np.percentile(defined[rows].mean(axis=1), _LEVEL)
        value = float(defined.mean())
        scores[name] = {"value": value, "low": float(low), "high": float(high)}
    return scores
