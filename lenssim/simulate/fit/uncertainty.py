"""Uncertainties: the formal covariance, and one that knows correlated noise."""

import numpy as np

from lenssim.simulate.fit.preparation import Noise

__all__ = ["formal_covariance", "sandwich_covariance"]

_SMALL = 1e-12


def formal_covariance(slopes: np.ndarray, prior: np.ndarray | None = None) -> np.ndarray:
    """Return the covariance (K, K) of parameters, with the noise map as it is.

    Args:
        slopes: Derivatives of the model over sigma (K, P).
        prior: Inverse variances of the priors (K,).

    Example:
        >>> formal_covariance(np.array([[3.0, 4.0]])).tolist()
        [[0.04]]
    """
    return _inverse(_information(slopes, prior))


def sandwich_covariance(
    slopes: np.ndarray, size: int, noise: Noise, prior: np.ndarray | None = None
) -> np.ndarray:
    """Return the covariance (K, K) of parameters under correlated noise, H^-1 G H^-1.

    H is the information of a fit that takes the noise as white, and G the scatter of its
    gradient under the noise that was measured: its variance, and the correlation of pixels
    that share a side or a corner.

    Args:
        slopes: Derivatives of the model over sigma (K, P), 0 where a pixel is masked.
        size: Pixels in a row of the image.
        noise: The noise in the corners of the image.
        prior: Inverse variances of the priors (K,).

    Example:
        >>> white = Noise(1.0, 0.0, 0.0)
        >>> sandwich_covariance(np.array([[3.0, 4.0, 0.0, 0.0]]), 2, white).tolist()
        [[0.04]]
    """
    images = slopes.reshape(len(slopes), -1, size)
    straight = _shifted(images, 0, 1) + _shifted(images, 1, 0)
    diagonal = _shifted(images, 1, 1) + _shifted(images, 1, -1)
    correlated = images + noise.neighbours * straight + noise.diagonals * diagonal
    scatter = noise.variance * slopes @ correlated.reshape(slopes.shape).T
    if prior is not None:
        scatter = scatter + np.diag(prior)
    inverse = _inverse(_information(slopes, prior))
    return inverse @ scatter @ inverse


def _information(slopes: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
    information = slopes @ slopes.T
    if prior is not None:
        information = information + np.diag(prior)
    return information


def _shifted(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return the sum of images moved by an offset and by its opposite, 0 beyond the edge."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    height, width = images.shape[1:]
    ahead = padded[:, 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]
    behind = padded[:, 1 - rows : 1 - rows + height, 1 - columns : 1 - columns + width]
    return ahead + behind


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of an information matrix; infinite variances where it has none."""
    lengths = np.sqrt(np.diag(matrix))
    if not np.isfinite(matrix).all() or (lengths <= _SMALL).any():
        return np.full_like(matrix, np.nan)
    scaled = matrix / np.outer(lengths, lengths)
    return np.linalg.pinv(scaled, rcond=1e-12, hermitian=True) / np.outer(lengths, lengths)
