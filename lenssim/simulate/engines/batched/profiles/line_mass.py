"""Uniform line of mass: the vortex of a condensate of axions, seen from the side."""

import math

import torch
from torch import Tensor

from lenssim.simulate.engines.batched.profiles.ellipticity import rotated
from lenssim.simulate.engines.batched.profiles.point_mass import MIN_RADIUS2

__all__ = ["convergence", "deflection"]

MIN_HALF_LENGTH = 1e-7  # arcsec; a shorter line is a point mass to all digits in any pixel


def deflection(
    x: Tensor,
    y: Tensor,
    theta_E: Tensor,
    half_length: Tensor,
    angle: Tensor,
    center_x: Tensor,
    center_y: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the deflection [arcsec] of a mass of Einstein radius theta_E, evenly on a line.

    The line runs from -L to L, L = half_length. In complex notation, with w = (z - z0)
    exp(-i phi), phi = angle [rad] from the x axis and lengths in arcsec::

        alpha* = theta_E^2 / (2 L) exp(-i phi) ln((w + L) / (w - L))

    It is the point mass integrated over the line, the limit of many equal beads. It
    diverges as a logarithm at the ends. Across the line its normal part jumps by pi
    theta_E^2 / L. On the line that part is 0, the mean of both sides.
    """
    cos = angle.cos()
    sin = angle.sin()
    along, across = rotated(x - center_x, y - center_y, cos, sin)
    length = half_length.clamp(min=MIN_HALF_LENGTH)
    # The logarithm is odd in `along`: at the nearer end it is exact for short lines and close to
    # the ends.
    side = torch.where(along < 0, -1.0, 1.0).to(along)
    distance = side * along
    nearer2 = ((distance - length) ** 2 + across**2).clamp(min=MIN_RADIUS2[along.dtype])
    log_ratio = 0.5 * side * torch.log1p(4 * length * distance / nearer2)
    on_line = (across == 0) & (distance <= length)
    opening = _angle(
        torch.where(on_line, 1.0, (distance - length) * (distance + length) + across**2),
        torch.where(on_line, 0.0, 2 * length * across),
    )
    strength = theta_E**2 / (2 * length)
    return rotated(strength * log_ratio, strength * opening, cos, -sin)


def convergence(
    x: Tensor,
    y: Tensor,
    theta_E: Tensor,
    half_length: Tensor,
    angle: Tensor,
    center_x: Tensor,
    center_y: Tensor,
) -> Tensor:
    """Return zero: all mass is in the line, which no pixel resolves."""
    return torch.zeros_like(x + y + theta_E + half_length + angle + center_x + center_y)


def _angle(x: Tensor, y: Tensor) -> Tensor:
    """Return atan2(y, x) away from 0.

    Its operations give an element the same bits wherever it is in memory.
    """
    half = torch.atan(y / ((x**2 + y**2).sqrt() + x.abs()))
    return torch.where(
        x < 0, torch.copysign(torch.full_like(y, math.pi), y) - 2 * half, 2 * half
    )
