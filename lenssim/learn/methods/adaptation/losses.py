"""Distances of two sets of features."""

import torch
from torch import Tensor

__all__ = ["coral", "mmd"]

_MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the median squared distance
_TINY = 1e-12


def coral(source: Tensor, target: Tensor) -> Tensor:
    """Return the distance of two covariances, |C_s - C_t|^2 / (4 D^2) (Sun & Saenko 2016).

    Args:
        source: Features (N, D).
        target: Features (M, D).

    Example:
        >>> features = torch.eye(3)
        >>> coral(features, features).item()
        0.0
    """
    difference = torch.cov(source.T) - torch.cov(target.T)
    return difference.square().sum() / (4 * source.shape[1] ** 2)


def mmd(source: Tensor, target: Tensor, scale: Tensor | None = None) -> Tensor:
    """Return the squared maximum mean discrepancy, without bias (Gretton et al. 2012, eq. 3).

    The kernel is the mean of Gaussians whose squared widths are multiples of the median
    squared distance. Its expectation is zero for two samples of one distribution.

    Args:
        source: Features (N, D).
        target: Features (M, D).
        scale: Squared width; None for the median squared distance, which has no gradient.

    Example:
        >>> a = torch.zeros(4, 2)
        >>> round(mmd(a, a + 100, torch.tensor(1.0)).item(), 6)
        2.0
    """
    features = torch.cat([source, target])
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    squares = distances.square()
    if scale is None:
        scale = squares.detach().median().clamp(min=_TINY)
    kernel = torch.stack([torch.exp(-squares / (m * scale)) for m in _MULTIPLES]).mean(0)
    n = len(source)
    within_source = _mean_off_diagonal(kernel[:n, :n])
    within_target = _mean_off_diagonal(kernel[n:, n:])
    return within_source + within_target - 2 * kernel[:n, n:].mean()


def _mean_off_diagonal(kernel: Tensor) -> Tensor:
    """Return the mean of a matrix (N, N) but for its diagonal."""
    n = len(kernel)
    return (kernel.sum() - kernel.diagonal().sum()) / (n * (n - 1))
