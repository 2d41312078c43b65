"""Ellipticity: |e| = (1 - q) / (1 + q) for an axis ratio q, along twice the position angle."""

from torch import Tensor

__all__ = ["MAX_ELLIPTICITY", "bounded", "elliptical_coordinates", "rotated"]

MAX_ELLIPTICITY = 0.9999  # as in lenstronomy's ellipticity2phi_q: q of at least 5e-5


def bounded(e1: Tensor, e2: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same direction with |e| of at most `MAX_ELLIPTICITY`."""
    shrink = ((e1**2 + e2**2) / MAX_ELLIPTICITY**2).clamp(min=1).rsqrt()
    return e1 * shrink, e2 * shrink


def elliptical_coordinates(
    x: Tensor, y: Tensor, e1: Tensor, e2: Tensor
) -> tuple[Tensor, Tensor]:
    """Return coordinates in which the ellipse is a circle of the same area, not rotated.

    u + i v = (z - e z*) / sqrt(1 - |e|^2) with z = x + i y and e = e1 + i e2. So on the
    axes (x', y') of the ellipse, u^2 + v^2 = q x'^2 + y'^2 / q. No angle occurs, so this is
    smooth through q = 1.
    """
    scale = (1 - e1**2 - e2**2).rsqrt()
    cross = e2 * scale
    return (scale - e1 * scale) * x - cross * y, (scale + e1 * scale) * y - cross * x


def rotated(x: Tensor, y: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Return coordinates along axes turned counter-clockwise by the angle of a cosine and sine."""
    return x * cos + y * sin, y * cos - x * sin
