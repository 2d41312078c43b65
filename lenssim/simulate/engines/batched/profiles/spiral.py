"""Elliptical Sersic light with spiral arms."""

import torch
from torch import Tensor

from lenssim.simulate.engines.batched.profiles import sersic
from lenssim.simulate.engines.batched.profiles.ellipticity import (
    bounded,
    elliptical_coordinates,
)

__all__ = ["surface_brightness"]

MAX_ARMS = 6


def surface_brightness(
    x: Tensor,
    y: Tensor,
    amp: Tensor,
    R_sersic: Tensor,
    n_sersic: Tensor,
    e1: Tensor,
    e2: Tensor,
    arms: Tensor,
    arm_strength: Tensor,
    winding: Tensor,
    arm_phase: Tensor,
    center_x: Tensor,
    center_y: Tensor,
) -> Tensor:
    """Return the Sersic brightness times 1 + A cos(N theta + alpha ln(2 R / R_sersic) + phi).

    R and theta are polar coordinates of the plane in which the ellipse is round. A is
    `arm_strength`, N is `arms` (1 to 6), alpha is `winding`, phi is `arm_phase` [rad]. The
    mean over theta is the Sersic profile, and so is the flux.
    """
    light = sersic.surface_brightness(
        x, y, amp, R_sersic, n_sersic, e1, e2, center_x, center_y
    )
    u, v = elliptical_coordinates(x - center_x, y - center_y, *bounded(e1, e2))
    squared = (u**2 + v**2).clamp(min=sersic.SMOOTHING**2)
    inverse = squared.rsqrt()
    cos, sin = _of_multiple(u * inverse, v * inverse, arms)
    radius = R_sersic.clamp(min=sersic.SMOOTHING)
    phase = winding * 0.5 * torch.log(4 * squared / radius**2) + arm_phase
    return light * (1 + arm_strength * (cos * phase.cos() - sin * phase.sin()))


def _of_multiple(cos: Tensor, sin: Tensor, arms: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of `arms` times an angle, of those of the angle.

    Powers of a complex number need no arc tangent, which a CPU rounds in two ways.
    """
    real = cos
    imaginary = sin
    chosen_real = real
    chosen_imaginary = imaginary
    for number in range(2, MAX_ARMS + 1):
        real, imaginary = real * cos - imaginary * sin, real * sin + imaginary * cos
        is_chosen = arms > number - 0.5
        chosen_real = torch.where(is_chosen, real, chosen_real)
        chosen_imaginary = torch.where(is_chosen, imaginary, chosen_imaginary)
    return chosen_real, chosen_imaginary
