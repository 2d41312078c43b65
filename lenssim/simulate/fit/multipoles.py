"""Multipoles of the mass, m = 3 and 4: lopsided, boxy and discy lenses."""

import torch
from torch import Tensor

__all__ = ["MULTIPOLES", "multipole_slopes"]

MULTIPOLES = ("a3_cos", "a3_sin", "a4_cos", "a4_sin")
_ORDERS = (3, 3, 4, 4)
_CORE2 = 1e-10  # arcsec^2


def multipole_slopes(
    dx: Tensor, dy: Tensor, theta_E: Tensor, terms: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the deflection of multipoles, and its derivatives.

    Their convergence is a share of that of a round isothermal lens,
    kappa = theta_E / (2 r) (a_cos cos(m phi) + a_sin sin(m phi)), as in Xu et al. (2015).

    Args:
        dx: Positions (N, R) from the centre of the lens [arcsec].
        dy: Positions, as `dx`.
        theta_E: Einstein radii (N, 1) [arcsec].
        terms: Shares (N, 4), in the order of `MULTIPOLES`.

    Returns:
        Deflections in x and y (N, R), and their derivatives (N, 7, R) by theta_E, dx, dy and
        the four terms.

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> terms = torch.tensor([[0.0, 0.0, 0.01, 0.0]], dtype=torch.float64)
        >>> round(float(multipole_slopes(one, 0 * one, one, terms)[0]), 6)
        -0.000667
    """
    radius2 = dx * dx + dy * dy + _CORE2
    angle = torch.atan2(dy, dx)
    cos = torch.cos(angle)
    sin = torch.sin(angle)
    unit_x = []
    unit_y = []
    kappa2 = torch.zeros_like(dx)  # twice the convergence times the radius
    for number, order in enumerate(_ORDERS):
        wave = torch.cos(order * angle)
        turned = -torch.sin(order * angle)
        if number % 2:
            wave, turned = -turned, wave
        radial = theta_E * wave / (1 - order**2)
        tangential = theta_E * order * turned / (1 - order**2)
        unit_x.append(radial * cos - tangential * sin)
        unit_y.append(radial * sin + tangential * cos)
        kappa2 = kappa2 + theta_E * terms[:, number : number + 1] * wave
    units_x = torch.stack(unit_x, dim=1)
    units_y = torch.stack(unit_y, dim=1)
    alpha_x = (terms[..., None] * units_x).sum(1)
    alpha_y = (terms[..., None] * units_y).sum(1)
    by_angle = kappa2 / radius2
    own_x = torch.stack([alpha_x / theta_E, by_angle * dy * sin, -by_angle * dx * sin], 1)
    own_y = torch.stack([alpha_y / theta_E, -by_angle * dy * cos, by_angle * dx * cos], 1)
    slopes_x = torch.cat([own_x, units_x], dim=1)
    slopes_y = torch.cat([own_y, units_y], dim=1)
    return alpha_x, alpha_y, slopes_x, slopes_y
