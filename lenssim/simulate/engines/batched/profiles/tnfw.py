"""Truncated Navarro-Frenk-White halo."""

import math

import torch
from torch import Tensor

from lenssim.simulate.engines.batched.profiles.projection import (
    NFW_AT_RS,
    inner_and_local,
    inner_and_mean,
)

__all__ = ["convergence", "deflection", "far_field"]

# smallest R / Rs, lenstronomy's: the deflection is linear inside and the convergence constant
MIN_X = 1e-3


def deflection(
    x: Tensor,
    y: Tensor,
    Rs: Tensor,
    alpha_Rs: Tensor,
    r_trunc: Tensor,
    center_x: Tensor,
    center_y: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the deflection [arcsec] of an NFW halo times r_trunc^2 / (r^2 + r_trunc^2).

    Radii are in arcsec, and alpha_Rs [arcsec] is the deflection at Rs without the
    truncation. This is equation A.18 of Baltz, Marshall & Oguri 2009 (arXiv:0705.0682) with
    S = sqrt(x^2 + tau^2), d = S / tau - 1 and F and h of `projection`::

        alpha ~ tau^2 / (tau^2 + 1)^2 (x, y) [2 F - pi / (S + tau)
                + (tau^2 - 1) (h - ((1 + d) ln(1 + d / 2) - d ln(x / (2 tau))) / x^2)]

    for x = R / Rs and tau = r_trunc / Rs. It is rearranged so that it does not cancel as x
    -> 0, where single precision would lose all digits.
    """
    x = x - center_x
    y = y - center_y
    scaled, tau, root = _scaled(x, y, Rs, r_trunc)
    inner, mean = inner_and_mean(scaled)
    per_x2 = 1 / (tau * (root + tau))
    excess = scaled**2 * per_x2
    logs = (
        per_x2 * (torch.log(0.5 * scaled) - torch.log(tau))
        - (1 + excess) * torch.log1p(0.5 * excess) / scaled**2
    )
    bracket = (tau**2 - 1) * (mean + logs) + 2 * inner - math.pi * tau * per_x2
    slope = alpha_Rs / (NFW_AT_RS * Rs) * _truncation(tau) * bracket
    return slope * x, slope * y


def convergence(
    x: Tensor,
    y: Tensor,
    Rs: Tensor,
    alpha_Rs: Tensor,
    r_trunc: Tensor,
    center_x: Tensor,
    center_y: Tensor,
) -> Tensor:
    """Return the convergence, equation A.8 of Baltz, Marshall & Oguri 2009."""
    scaled, tau, root = _scaled(x - center_x, y - center_y, Rs, r_trunc)
    inner, local = inner_and_local(scaled)
    logs = (tau**2 - 1) / (tau * root) * -torch.asinh(tau / scaled)
    bracket = (tau**2 + 1) * local + 2 * inner - math.pi / root + logs
    return alpha_Rs / (2 * NFW_AT_RS * Rs) * _truncation(tau) * bracket


def far_field(
    Rs: Tensor, alpha_Rs: Tensor, r_trunc: Tensor, error: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the softened point mass that the halo is from afar.

    Far out the mass within R is M (1 - s^2 / R^2 + ...). Here M / (4 pi rho_s Rs^3) is

        m(tau) = tau^2 / (tau^2 + 1)^2 ((tau^2 - 1) ln tau + pi tau - tau^2 - 1)

    (Baltz, Marshall & Oguri 2009, equation A.4). The density, rho_s tau^2 / x^5 (1 - 2 / x
    + (3 - tau^2) / x^2 ...), gives s^2 = Rs^2 tau^2 / (3 m). The softened point theta_E^2 /
    (R^2 + s^2) has both terms. Beyond `reach` the next two leave it less than `error`
    [arcsec] off.

    Returns:
        theta_E^2, softening^2 [arcsec^2] and reach [arcsec].
    """
    tau = r_trunc / Rs
    mass = _truncation(tau) * ((tau**2 - 1) * torch.log(tau) + math.pi * tau - tau**2 - 1)
    strength = alpha_Rs * Rs / NFW_AT_RS * mass
    third = strength.abs() * math.pi / 8 * tau**2 / mass * Rs**3
    fourth = (
        strength.abs()
        * tau**2
        / mass
        * (2 / 15 * (tau**2 + 3) + tau**2 / (9 * mass))
        * Rs**4
    )
    reach = torch.maximum((2 * third / error) ** 0.25, (2 * fourth / error) ** 0.2)
    return strength, Rs**2 * tau**2 / (3 * mass), torch.maximum(reach, 2 * r_trunc)


def _scaled(
    x: Tensor, y: Tensor, Rs: Tensor, r_trunc: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    scaled2 = ((x**2 + y**2) * (1 / Rs**2)).clamp(min=MIN_X**2)
    tau = r_trunc / Rs
    return scaled2.sqrt(), tau, (scaled2 + tau**2).sqrt()


def _truncation(tau: Tensor) -> Tensor:
    return (tau / (tau**2 + 1)) ** 2
