"""Multipoles of the mass, m = 3 and 4: lopsided, boxy and discy lenses."""

import torch
from torch import Tensor

__all__ = ["MULTIPOLES", "bent", "multipole_slopes", "unit_deflections"]

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
    unit_x, unit_y = unit_deflections(dx, dy)
    units_x = theta_E[..., None] * unit_x
    units_y = theta_E[..., None] * unit_y
    alpha_x = (terms[..., None] * units_x).sum(1)
    alpha_y = (terms[..., None] * units_y).sum(1)
    angle = torch.atan2(dy, dx)
    cos = torch.cos(angle)
    sin = torch.sin(angle)
    waves = torch.stack([_wave(angle, number)[0] for number in range(len(_ORDERS))], 1)
    kappa2 = theta_E * (terms[..., None] * waves).sum(1)  # twice the convergence times r
    by_angle = kappa2 / (dx * dx + dy * dy + _CORE2)
    own_x = torch.stack([alpha_x / theta_E, by_angle * dy * sin, -by_angle * dx * sin], 1)
    own_y = torch.stack([alpha_y / theta_E, -by_angle * dy * cos, by_angle * dx * cos], 1)
    slopes_x = torch.cat([own_x, units_x], dim=1)
    slopes_y = torch.cat([own_y, units_y], dim=1)
    return alpha_x, alpha_y, slopes_x, slopes_y


def bent(
    x: Tensor,
    y: Tensor,
    mass: Tensor,
    terms: Tensor,
    beta_x: Tensor,
    beta_y: Tensor,
    slopes_x: Tensor,
    slopes_y: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return rays and their derivatives with the deflection of multipoles added.

    Args:
        x: Positions (R,) [arcsec].
        y: Positions, as `x`.
        mass: Parameters (N, 7), in the order of `tracing.MASS`.
        terms: Multipoles (N, 4).
        beta_x: Where rays end (N, R) without multipoles [arcsec].
        beta_y: As `beta_x`.
        slopes_x: Derivatives (N, 7 or 8, R) of `beta_x` by the mass and perhaps its slope.
        slopes_y: As `slopes_x`.

    Returns:
        Where rays end, and derivatives by mass, multipoles and slope, in this order.
    """
    dx = x - mass[:, 3:4]
    dy = y - mass[:, 4:5]
    alpha_x, alpha_y, by_x, by_y = multipole_slopes(dx, dy, mass[:, :1], terms)
    changed = []
    for slopes, by in ((slopes_x, by_x), (slopes_y, by_y)):
        of_mass = slopes[:, :7].clone()
        of_mass[:, 0] -= by[:, 0]
        of_mass[:, 3:5] += by[:, 1:3]
        changed.append(torch.cat([of_mass, -by[:, 3:], slopes[:, 7:]], dim=1))
    return beta_x - alpha_x, beta_y - alpha_y, changed[0], changed[1]


def unit_deflections(dx: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
    """Return the deflections of multipoles of amplitude 1, for theta_E of 1 arcsec.

    The potential is r cos(m phi) / (1 - m^2), or the same with a sine: Chu et al. (2013).

    Args:
        dx: Positions (N, R) from the centre of the lens [arcsec].
        dy: Positions, as `dx`.

    Returns:
        Deflections in x and y (N, 4, R), in the order of `MULTIPOLES`.
    """
    angle = torch.atan2(dy, dx)
    cos = torch.cos(angle)
    sin = torch.sin(angle)
    unit_x = []
    unit_y = []
    for number, order in enumerate(_ORDERS):
        wave, turned = _wave(angle, number)
        radial = wave / (1 - order**2)
        tangential = order * turned / (1 - order**2)
        unit_x.append(radial * cos - tangential * sin)
        unit_y.append(radial * sin + tangential * cos)
    return torch.stack(unit_x, dim=1), torch.stack(unit_y, dim=1)


def _wave(angle: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Return the wave of a multipole, and its derivative by the angle over its order."""
    order = _ORDERS[number]
    cosine = torch.cos(order * angle)
    sine = torch.sin(order * angle)
    return (sine, cosine) if number % 2 else (cosine, -sine)
