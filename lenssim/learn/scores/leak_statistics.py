"""Image statistics that a leak audit uses instead of a network."""

from collections.abc import Callable
from itertools import product

import numpy as np
from scipy.ndimage import laplace

from lenssim.errors import DataError

__all__ = ["EDGE", "STATISTICS", "statistics"]


def _grid(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    axes = [np.arange(side) - (side - 1) / 2 for side in images.shape[-2:]]
    y, x = np.meshgrid(*axes, indexing="ij")
    return x, y


def _flux(images: np.ndarray) -> np.ndarray:
    return np.stack([images.sum((1, 2)), images.max((1, 2))], axis=1)


def _ring(images: np.ndarray) -> np.ndarray:
    """Return mean radius and radial width of the light about the centre, in pixels."""
    radius = np.hypot(*_grid(images))
    light = np.maximum(images, 0)
    total = light.sum((1, 2)) + 1e-30
    mean = (light * radius).sum((1, 2)) / total
    variance = (light * radius**2).sum((1, 2)) / total - mean**2
    return np.stack([mean, np.sqrt(np.maximum(variance, 0))], axis=1)


def _moments(images: np.ndarray) -> np.ndarray:
    """Return centroid and second moments of the light, in pixels."""
    x, y = _grid(images)
    light = np.maximum(images, 0)
    total = light.sum((1, 2)) + 1e-30
    centre_x = (light * x).sum((1, 2)) / total
    centre_y = (light * y).sum((1, 2)) / total
    second = [(light * a * b).sum((1, 2)) / total for a, b in ((x, x), (x, y), (y, y))]
    return np.stack([centre_x, centre_y, *second], axis=1)


def _noise(images: np.ndarray) -> np.ndarray:
    """Return noise (median difference of neighbours) and median of the corners."""
    side = max(2, min(images.shape[1:]) // 8)
    ends = (slice(side), slice(-side, None))
    corners = np.concatenate(
        [images[:, rows, columns] for rows, columns in product(ends, ends)], axis=2
    )
    difference = np.abs(np.diff(corners, axis=1)).reshape(len(images), -1)
    return np.stack(
        [np.median(difference, axis=1), np.median(corners, axis=(1, 2))], axis=1
    )


def _layout(images: np.ndarray) -> np.ndarray:
    """Return traces of the number format: shares of zeros, integers and maxima, and the minimum."""
    flat = images.reshape(len(images), -1)
    return np.stack(
        [
            (flat == 0).mean(1),
            (flat == np.round(flat)).mean(1),
            flat.min(1),
            (flat == flat.max(1)[:, None]).mean(1),
        ],
        axis=1,
    )


def _edges(images: np.ndarray) -> np.ndarray:
    """Return the sharpness relative to the peak.

    It is the tails of second and of fourth differences, which point masses and beads raise.
    """
    second = np.stack([laplace(image) for image in images])
    fourth = np.abs(np.stack([laplace(image) for image in second])).reshape(len(images), -1)
    tails = np.quantile(
        second.reshape(len(images), -1), [0, 0.001, 0.01, 0.1, 0.9, 0.99, 0.999, 1], axis=1
    )
    sharp = np.quantile(fourth, [0.5, 0.9, 0.99, 0.999, 1], axis=1)
    features = np.concatenate([tails, sharp, fourth.mean(1)[None]])
    return (features / (images.max((1, 2)) + 1e-30)).T


STATISTICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "flux": _flux,
    "ring": _ring,
    "moments": _moments,
    "noise": _noise,
    "layout": _layout,
}
"""What a network could use instead of substructure: functions of images (N, H, W) to features (N, k)."""

EDGE = "edges"
"""The statistic that depends on substructure too, as a careless network would: kept apart from `STATISTICS`."""


def statistics(images: np.ndarray) -> dict[str, np.ndarray]:
    """Return all statistics of images.

    Args:
        images: Images (N, C, H, W).

    Returns:
        Features (N, C k) by name, those of each band in turn.

    Raises:
        DataError: Pixels are NaN or infinite.

    Example:
        >>> statistics(np.ones((2, 1, 16, 16)))["flux"].tolist()
        [[256.0, 1.0], [256.0, 1.0]]
    """
    bands = np.moveaxis(np.asarray(images, dtype=np.float64), 1, 0)
    bad = int((~np.isfinite(bands).all((0, 2, 3))).sum())
    if bad:
        raise DataError(
            f"{bad} images hold NaN or infinite pixels; lenssim verify names their shards",
            code="images-not-finite",
        )
    functions = {**STATISTICS, EDGE: _edges}
    return {
        name: np.concatenate([function(band) for band in bands], axis=1)
        for name, function in functions.items()
    }
