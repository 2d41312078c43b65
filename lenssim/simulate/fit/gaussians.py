"""Elliptical Gaussians: the squared radius, its derivatives, and their brightness."""

import torch
from torch import Tensor

__all__ = ["clump_slopes", "gaussians", "radius_squared", "radius_squared_slopes"]

_MAX_EXPONENT = 80.0


def radius_squared(dx: Tensor, dy: Tensor, e1: Tensor, e2: Tensor) -> Tensor:
    """Return the squared elliptical radius, q u^2 + v^2 / q with the long axis along u.

    Args:
        dx: Offsets (N, R) from the centre [arcsec].
        dy: Offsets, as `dx`.
        e1: Ellipticities (N, 1).
        e2: Ellipticities, as `e1`.

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> float(radius_squared(one, 0 * one, 0.0 * one, 0.0 * one))
        1.0
    """
    ee = e1 * e1 + e2 * e2
    a = dx * dx - dy * dy
    b = 2 * dx * dy
    return ((1 + ee) * (dx * dx + dy * dy) - 2 * e1 * a - 2 * e2 * b) / (1 - ee)


def radius_squared_slopes(
    dx: Tensor, dy: Tensor, e1: Tensor, e2: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return `radius_squared` and its derivatives by dx, dy, e1 and e2, all (N, R)."""
    ee = e1 * e1 + e2 * e2
    factor = 1 / (1 - ee)
    z2 = dx * dx + dy * dy
    a = dx * dx - dy * dy
    b = 2 * dx * dy
    radius2 = ((1 + ee) * z2 - 2 * e1 * a - 2 * e2 * b) * factor
    by_x = (2 * (1 + ee) * dx - 4 * e1 * dx - 4 * e2 * dy) * factor
    by_y = (2 * (1 + ee) * dy + 4 * e1 * dy - 4 * e2 * dx) * factor
    by_e1 = (2 * e1 * z2 - 2 * a + 2 * e1 * radius2) * factor
    by_e2 = (2 * e2 * z2 - 2 * b + 2 * e2 * radius2) * factor
    return radius2, by_x, by_y, by_e1, by_e2


def gaussians(radius2: Tensor, variances: Tensor) -> Tensor:
    """Return the brightness of Gaussians, exp(-R^2 / 2 s^2) / s^2.

    Args:
        radius2: Squared radii (N, R) [arcsec^2].
        variances: s^2 (K,) [arcsec^2].

    Returns:
        (N, K, R).
    """
    exponent = radius2[:, None] / (2 * variances[:, None])
    return torch.exp(-exponent.clamp(max=_MAX_EXPONENT)) / variances[:, None]


def clump_slopes(dx: Tensor, dy: Tensor, clumps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the brightness of round Gaussians, and its derivatives by dx and dy.

    Args:
        dx: Offsets (N, R) from the centre of the source [arcsec].
        dy: Offsets, as `dx`.
        clumps: x, y and standard deviation (N, C, 3) [arcsec]; NaN: there is none.

    Returns:
        Three times (N, C, R), 0 where there is no clump.
    """
    exists = clumps[..., 2:].isfinite()
    x, y, sigma = torch.where(exists, clumps, 1.0).split(1, dim=2)
    variance = sigma**2
    u = dx[:, None] - x
    v = dy[:, None] - y
    exponent = (u * u + v * v) / (2 * variance)
    brightness = torch.exp(-exponent.clamp(max=_MAX_EXPONENT)) / variance
    brightness = torch.where(exists, brightness, 0.0)
    return brightness, -u / variance * brightness, -v / variance * brightness
