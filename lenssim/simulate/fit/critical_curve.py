"""The critical curve of a lens: its effective Einstein radius, and magnifications."""

import numpy as np
import torch
from scipy.ndimage import label
from torch import Tensor

from lenssim.simulate.fit.tracing import trace

__all__ = ["effective_radius", "image_count"]

_PIXELS = 320
_EXTENT = 2.2  # half side of the grid over theta_E
_STEP = 1e-4  # arcsec, of central differences


def effective_radius(mass: Tensor) -> float:
    """Return the radius [arcsec] of the circle with the area of the critical curve.

    With shear it differs from theta_E. Compare it with radii of models without shear.

    Args:
        mass: Parameters (7,), in the order of `tracing.MASS`.

    Example:
        >>> mass = torch.tensor([1.2, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
        >>> round(effective_radius(mass), 2)
        1.2
    """
    half = _EXTENT * float(mass[0])
    axis = (torch.arange(_PIXELS, dtype=torch.float64) + 0.5) * 2 * half / _PIXELS - half
    x = (axis[None, :] + mass[3]).expand(_PIXELS, _PIXELS).reshape(-1)
    y = (axis[:, None] + mass[4]).expand(_PIXELS, _PIXELS).reshape(-1)
    is_inside = (_determinant(x, y, mass[None])[0] < 0).reshape(_PIXELS, _PIXELS).numpy()
    areas, _ = label(is_inside)
    middle = areas[_PIXELS // 2, _PIXELS // 2]
    chosen = is_inside if middle == 0 else areas == middle
    return float(np.sqrt(chosen.sum() * (2 * half / _PIXELS) ** 2 / np.pi))


def _determinant(x: Tensor, y: Tensor, mass: Tensor) -> Tensor:
    """Return the determinant (1, R) of the Jacobian of the lens equation."""
    at_right = trace(x + _STEP, y, mass)
    at_left = trace(x - _STEP, y, mass)
    up = trace(x, y + _STEP, mass)
    down = trace(x, y - _STEP, mass)
    xx, yx = ((a - b) / (2 * _STEP) for a, b in zip(at_right, at_left, strict=True))
    xy, yy = ((a - b) / (2 * _STEP) for a, b in zip(up, down, strict=True))
    return xx * yy - xy * yx


def image_count(mass: Tensor, source_x: float, source_y: float) -> int:
    """Return how many images a point source has, without the one in the centre.

    Args:
        mass: Parameters (7,).
        source_x: Position of the source [arcsec].
        source_y: As `source_x`.

    Example:
        >>> mass = torch.tensor([1.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
        >>> image_count(mass, 0.3, 0.0), image_count(mass, 3.0, 0.0)
        (2, 1)
    """
    half = float(mass[0]) + 1.2 * (abs(source_x) + abs(source_y)) + 0.5
    side = 200
    axis = torch.linspace(-half, half, side, dtype=torch.float64)
    x = (axis[None, :] + mass[3]).expand(side, side).reshape(-1)
    y = (axis[:, None] + mass[4]).expand(side, side).reshape(-1)
    beta_x, beta_y = trace(x, y, mass[None])
    corners = torch.stack([beta_x[0] - source_x, beta_y[0] - source_y])
    corners = corners.reshape(2, side, side)
    lower_half = _holds_origin(
        corners[:, :-1, :-1], corners[:, :-1, 1:], corners[:, 1:, :-1]
    )
    upper_half = _holds_origin(corners[:, 1:, 1:], corners[:, 1:, :-1], corners[:, :-1, 1:])
    distance = torch.hypot(x - mass[3], y - mass[4]).reshape(side, side)[:-1, :-1]
    far_enough = distance > 0.1 * float(mass[0])
    return int(((lower_half | upper_half) & far_enough).sum())


def _holds_origin(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return which triangles of corners (2, ...) hold (0, 0)."""
    signs = [p[0] * q[1] - p[1] * q[0] for p, q in ((a, b), (b, c), (c, a))]
    stacked = torch.stack(signs)
    return (stacked > 0).all(0) | (stacked < 0).all(0)
