"""Cored Navarro-Frenk-White halo."""

import torch
from torch import Tensor

from lenssim.simulate.engines.batched.profiles.projection import (
    inner_and_local,
    inner_and_mean,
)

__all__ = ["convergence", "deflection"]

MIN_RADIUS = 1e-3  # arcsec, lenstronomy's: the deflection is linear inside
MIN_X = 1e-6  # smallest R / Rs and r_core / Rs
WINDOW = 5e-4  # |r_core / Rs - 1| below which the closed form is extrapolated


def deflection(
    x: Tensor,
    y: Tensor,
    Rs: Tensor,
    alpha_Rs: Tensor,
    r_core: Tensor,
    center_x: Tensor,
    center_y: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the deflection [arcsec] of a halo with density ~ 1 / ((r_core + r) (Rs + r)^2).

    Radii are in arcsec, and alpha_Rs [arcsec] is the deflection at Rs of this halo, core
    included. With b = r_core / Rs and the h of `projection`::

        alpha = alpha_Rs / Rs m(R / Rs) / m(1) (x, y)
        m(x) = ((1 - x^2 / b^2) h(x / b) + (1 - 2 b + b x^2) h(x)
                + (1 - b) ln(x / 2) - ln b) / (1 - b)^2

    This is lenstronomy's CNFW, rearranged so that digits do not cancel as x -> 0. On
    purpose it lacks lenstronomy's jumps at R = r_core (near 1 % of the deflection, 1e-3 of
    the convergence). It also keeps its digits towards r_core = Rs, within 1e-6 of the
    largest value; lenstronomy's loses 1e-3 of the deflection at b = 1.0001 and all of it at
    b = 1. The division by (1 - b)^2 needs more digits than float32 has, so the inside is in
    double precision for all inputs.
    """
    x = x - center_x
    y = y - center_y
    radius = (x.double() ** 2 + y.double() ** 2).clamp(min=MIN_RADIUS**2).sqrt()
    b, step = _core(r_core, Rs)
    ratio = _mean((radius / Rs).clamp(min=MIN_X), b, step) / _mean(
        torch.ones_like(b), b, step
    )
    slope = alpha_Rs / Rs * ratio.to(x.dtype)
    return slope * x, slope * y


def convergence(
    x: Tensor,
    y: Tensor,
    Rs: Tensor,
    alpha_Rs: Tensor,
    r_core: Tensor,
    center_x: Tensor,
    center_y: Tensor,
) -> Tensor:
    """Return the convergence.

    alpha_Rs / (2 Rs m(1)) ((1 - b x^2) k(x) + b - F(x / b)) / (1 - b)^2, in the terms of
    `deflection`.
    """
    x = x - center_x
    y = y - center_y
    scaled2 = (x.double() ** 2 + y.double() ** 2) / Rs**2
    b, step = _core(r_core, Rs)
    ratio = _local(scaled2.clamp(min=MIN_X**2).sqrt(), b, step) / _mean(
        torch.ones_like(b), b, step
    )
    return 0.5 * alpha_Rs / Rs * ratio.to(x.dtype)


def _core(r_core: Tensor, Rs: Tensor) -> tuple[Tensor, Tensor]:
    # The closed form is 0 / 0 at b = 1 but smooth, so inside the window it is a tangent at the
    # window's rim.
    core = (r_core.double() / Rs).clamp(min=MIN_X)
    rim = torch.where(core < 1, 1 - WINDOW, 1 + WINDOW).double()
    b = torch.where((core - 1).abs() < WINDOW, rim, core)
    return b, core - b


def _mean(x: Tensor, b: Tensor, step: Tensor) -> Tensor:
    core = x / b
    _, (mean, mean_core) = inner_and_mean(_pair(x, core))
    log = torch.log(0.5 * x)
    log_core = torch.log(0.5 * core)
    value = (1 - core**2) * mean_core + (1 - 2 * b + b * x**2) * mean + log_core - b * log
    slope = ((2 - core**2) * mean_core + log_core) / b - (2 - x**2) * mean - log
    return _tangent(value, slope, b - 1, step)


def _local(x: Tensor, b: Tensor, step: Tensor) -> Tensor:
    (_, inner_core), (local, local_core) = inner_and_local(_pair(x, x / b))
    value = (1 - b * x**2) * local + b - inner_core
    slope = 1 - x**2 * local + (local_core - inner_core) / b
    return _tangent(value, slope, b - 1, step)


def _pair(x: Tensor, core: Tensor) -> Tensor:
    # Both at once make the compiled kernel, and the time to compile it, eight times smaller.
    return torch.stack([x.expand_as(core), core])


def _tangent(value: Tensor, slope: Tensor, gap: Tensor, step: Tensor) -> Tensor:
    """Return value / gap^2 a step further on, for a value with that slope in gap."""
    return (value + step * (slope - 2 * value / gap)) / gap**2
