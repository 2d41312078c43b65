"""Rays through an ellipsoid with shear, and their derivatives, in closed form."""

import torch
from torch import Tensor

from lenssim.simulate.fit.elliptical_power_law import power_law_slopes

__all__ = ["MASS", "SLOPE", "deflection", "mass_of", "trace", "trace_slopes"]

MASS = ("theta_E", "e1", "e2", "center_x", "center_y", "gamma1", "gamma2")
SLOPE = 21  # column of gamma - 2 in tables of values (N, 22)
_ROUND = 1e-3  # smaller ellipticities are taken as this one: the formula divides by them
_CORE2 = 1e-10  # arcsec^2


def mass_of(values: Tensor) -> Tensor:
    """Return the mass (N, 7) of rows of values, or (N, 8) where one is not isothermal.

    Args:
        values: Parameters (N, 22).
    """
    slope = values[:, SLOPE:]
    if not bool(slope.any()):
        return values[:, :7]
    return torch.cat([values[:, :7], slope], dim=1)


def _axes(mass: Tensor) -> tuple[Tensor, ...]:
    """Return q, cos and sin of the position angle, and e1, e2 that are not quite round."""
    e1, e2 = mass[:, 1:3].split(1, dim=1)
    is_round = torch.hypot(e1, e2) < _ROUND
    e1 = torch.where(is_round, torch.full_like(e1, _ROUND), e1)
    e2 = torch.where(is_round, torch.zeros_like(e2), e2)
    e = torch.hypot(e1, e2)
    angle = torch.atan2(e2, e1) / 2
    return (1 - e) / (1 + e), torch.cos(angle), torch.sin(angle), e1, e2


def deflection(x: Tensor, y: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    """Return the deflection of a singular isothermal ellipsoid, without shear.

    Kormann, Schneider and Bartelmann (1994). theta_E is the radius of the circle whose area
    is that of the critical curve.

    Args:
        x: Positions (R,) or (N, R) [arcsec].
        y: Positions, as `x`.
        mass: Parameters (N, 7), in the order of `MASS`.

    Returns:
        Deflections in x and y (N, R) [arcsec].

    Example:
        >>> mass = torch.tensor([[1.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
        >>> x = torch.tensor([2.0], dtype=torch.float64)
        >>> round(float(deflection(x, torch.zeros_like(x), mass)[0]), 2)
        1.2
    """
    q, cos, sin, _, _ = _axes(mass)
    dx = x - mass[:, 3:4]
    dy = y - mass[:, 4:5]
    u = cos * dx + sin * dy
    v = cos * dy - sin * dx
    f = torch.sqrt(1 - q * q)
    psi = torch.sqrt(q * q * u * u + v * v + _CORE2)
    scale = mass[:, :1] * torch.sqrt(q) / f
    along = scale * torch.atan(f * u / psi)
    across = scale * torch.atanh(f * v / psi)
    return cos * along - sin * across, sin * along + cos * across


def trace(x: Tensor, y: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    """Return where rays end on the source plane.

    The shear acts about the centre of the lens, beta = x - alpha - Gamma (x - center).

    Args:
        x: Positions (R,) or (N, R) [arcsec].
        y: Positions, as `x`.
        mass: Parameters (N, 7), in the order of `MASS`, of isothermal lenses; or (N, 8), with
            gamma - 2 of power laws behind them.

    Returns:
        Positions beta_x and beta_y (N, R) [arcsec].
    """
    if mass.shape[1] > 7:
        beta_x, beta_y, _, _ = trace_slopes(x, y, mass)
        return beta_x, beta_y
    alpha_x, alpha_y = deflection(x, y, mass)
    dx = x - mass[:, 3:4]
    dy = y - mass[:, 4:5]
    gamma1 = mass[:, 5:6]
    gamma2 = mass[:, 6:7]
    beta_x = x - alpha_x - gamma1 * dx - gamma2 * dy
    beta_y = y - alpha_y - gamma2 * dx + gamma1 * dy
    return beta_x, beta_y


def trace_slopes(x: Tensor, y: Tensor, mass: Tensor) -> tuple[Tensor, ...]:
    """Return `trace` and its derivatives.

    Returns:
        beta_x and beta_y (N, R), and their derivatives (N, 7 or 8, R) by the parameters.
    """
    if mass.shape[1] > 7:
        return _power_law_trace(x, y, mass)
    q, cos, sin, e1, e2 = _axes(mass)
    theta_E = mass[:, :1]
    dx = x - mass[:, 3:4]
    dy = y - mass[:, 4:5]
    u = cos * dx + sin * dy
    v = cos * dy - sin * dx
    f2 = 1 - q * q
    f = torch.sqrt(f2)
    psi = torch.sqrt(q * q * u * u + v * v + _CORE2)
    scale = theta_E * torch.sqrt(q) / f
    along = scale * torch.atan(f * u / psi)
    across = scale * torch.atanh(f * v / psi)

    def on_sky(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return cos * a - sin * b, sin * a + cos * b

    alpha_x, alpha_y = on_sky(along, across)
    growth = 1 / (2 * q) + q / f2
    q_x, q_y = on_sky(
        growth * along - scale * q * u / (f * psi),
        growth * across - scale * v / (q * f * psi),
    )
    kappa2 = theta_E * torch.sqrt(q) / psi  # twice the convergence
    turn_x, turn_y = on_sky(kappa2 * v, -kappa2 * u)
    turn_x = turn_x - alpha_y
    turn_y = turn_y + alpha_x
    e = torch.hypot(e1, e2)
    q_of_e = -2 / (1 + e) ** 2
    by_e1 = (q_of_e * e1 / e, -e2 / (2 * e * e))
    by_e2 = (q_of_e * e2 / e, e1 / (2 * e * e))
    r2 = u * u + v * v + _CORE2
    shear_x, shear_y = on_sky(kappa2 * v * v / r2, -kappa2 * u * v / r2)  # by u
    cross_x, cross_y = on_sky(-kappa2 * u * v / r2, kappa2 * u * u / r2)  # by v
    gamma1 = mass[:, 5:6]
    gamma2 = mass[:, 6:7]
    zero = torch.zeros_like(u)
    slopes_x = torch.stack(
        [
            -alpha_x / theta_E,
            -(by_e1[0] * q_x + by_e1[1] * turn_x),
            -(by_e2[0] * q_x + by_e2[1] * turn_x),
            cos * shear_x - sin * cross_x + gamma1,
            sin * shear_x + cos * cross_x + gamma2,
            zero - dx,
            zero - dy,
        ],
        dim=1,
    )
    slopes_y = torch.stack(
        [
            -alpha_y / theta_E,
            -(by_e1[0] * q_y + by_e1[1] * turn_y),
            -(by_e2[0] * q_y + by_e2[1] * turn_y),
            cos * shear_y - sin * cross_y + gamma2,
            sin * shear_y + cos * cross_y - gamma1,
            zero + dy,
            zero - dx,
        ],
        dim=1,
    )
    beta_x = x - alpha_x - gamma1 * dx - gamma2 * dy
    beta_y = y - alpha_y - gamma2 * dx + gamma1 * dy
    return beta_x, beta_y, slopes_x, slopes_y


def _power_law_trace(x: Tensor, y: Tensor, mass: Tensor) -> tuple[Tensor, ...]:
    """Return `trace_slopes` of power laws (N, 8)."""
    theta_E, e1, e2, center_x, center_y, gamma1, gamma2, slope = mass.split(1, dim=1)
    dx = x - center_x
    dy = y - center_y
    alpha, slopes = power_law_slopes(dx, dy, theta_E, (e1, e2), 2 + slope)
    shear = torch.complex(gamma1, gamma2)
    offset = torch.complex(dx, dy)
    beta = torch.complex(x + 0 * dx, y + 0 * dy) - alpha - shear * offset.conj()
    by_theta_E, by_e1, by_e2, by_x, by_y, by_gamma = slopes.unbind(1)
    slopes = torch.stack(
        [
            -by_theta_E,
            -by_e1,
            -by_e2,
            by_x + shear,
            by_y - 1j * shear,
            -offset.conj(),
            -1j * offset.conj(),
            -by_gamma,
        ],
        dim=1,
    )
    return beta.real, beta.imag, slopes.real, slopes.imag
