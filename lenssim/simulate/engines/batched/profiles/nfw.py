"""Navarro-Frenk-White halo."""

from torch import Tensor

from lenssim.simulate.engines.batched.profiles.projection import (
    NFW_AT_RS,
    inner_and_local,
    inner_and_mean,
)

__all__ = ["convergence", "deflection"]

MIN_X = 1e-6  # smallest R / Rs in the deflection, which is linear inside
MIN_X_KAPPA = 1e-7  # where lenstronomy evaluates the convergence of the centre


def deflection(
    x: Tensor, y: Tensor, Rs: Tensor, alpha_Rs: Tensor, center_x: Tensor, center_y: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the deflection [arcsec] of a halo that deflects by alpha_Rs [arcsec] at Rs [arcsec].

    alpha = alpha_Rs h(R / Rs) / ((1 - ln 2) Rs) (x, y), Bartelmann 1996 (astro-ph/9602053).
    """
    x = x - center_x
    y = y - center_y
    _, mean = inner_and_mean(_scaled_radius(x, y, Rs, MIN_X))
    slope = alpha_Rs / (NFW_AT_RS * Rs) * mean
    return slope * x, slope * y


def convergence(
    x: Tensor, y: Tensor, Rs: Tensor, alpha_Rs: Tensor, center_x: Tensor, center_y: Tensor
) -> Tensor:
    """Return the convergence alpha_Rs k(R / Rs) / (2 (1 - ln 2) Rs)."""
    _, local = inner_and_local(_scaled_radius(x - center_x, y - center_y, Rs, MIN_X_KAPPA))
    return alpha_Rs / (2 * NFW_AT_RS * Rs) * local


def _scaled_radius(x: Tensor, y: Tensor, Rs: Tensor, floor: float) -> Tensor:
    return ((x**2 + y**2) * (1 / Rs**2)).clamp(min=floor**2).sqrt()
