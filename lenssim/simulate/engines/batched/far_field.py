"""What masses are from afar: softened points, and the radius where they begin.

A set of kinds has a name, which data sets state: with more kinds in it, the last digits of
images change.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lenssim.simulate.engines.batched.rays import FAR_FIELD

__all__ = ["far_fields", "soliton_far_field"]

FarField = Callable[..., tuple[Tensor, Tensor, Tensor]]


def soliton_far_field(
    kappa_0: Tensor, theta_c: Tensor, slope: Tensor, error: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the softened point mass that a soliton is from afar.

    With a and p of `uldm.deflection` its deflection is S (1 - (1 + a (r / theta_c)^2)^-p) / r,
    S = kappa_0 theta_c^2 / (a p). So S is theta_E^2 of the point, and the rest falls with r
    to the power of -2 p - 1. Beyond `reach` it is less than half of `error` [arcsec]. The
    softening takes the other half: a point without one would be large near its middle,
    where it is subtracted again.

    Args:
        kappa_0: Central convergence (M,); it may be negative.
        theta_c: Core radius (M,) [arcsec].
        slope: Slope (M,) of the density.
        error: Largest error [arcsec] of the deflection beyond the reach.

    Returns:
        theta_E^2, softening^2 [arcsec^2] and reach [arcsec].
    """
    a = torch.expm1(math.log(2) / slope)
    p = slope - 1.5
    strength = kappa_0 * theta_c**2 / (a * p)
    size = strength.abs().clamp(min=torch.finfo(strength.dtype).tiny)
    rest = (2 * size / (error * theta_c)) ** (1 / p)
    reach = theta_c * ((rest - 1).clamp(min=0) / a).sqrt().clamp(min=1)
    softening = torch.minimum(theta_c**2, error / 2 * reach**3 / size)
    return strength, softening, reach


_FAR_FIELDS: dict[str, dict[str, FarField]] = {
    "haloes": dict(FAR_FIELD),
    "solitons": {**FAR_FIELD, "uldm": soliton_far_field},
}


def far_fields(name: str) -> dict[str, FarField]:
    """Return the far fields of a set, by kind of mass."""
    return _FAR_FIELDS[name]
