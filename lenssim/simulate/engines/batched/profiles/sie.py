"""Singular isothermal ellipsoid."""

import torch
from torch import Tensor

from lenssim.simulate.engines.batched.profiles.ellipticity import (
    bounded,
    elliptical_coordinates,
    rotated,
)

__all__ = ["convergence", "deflection"]

CORE = 1e-10  # arcsec, lenstronomy's: its SIE is a NIE with this core
ROUND = 1e-3  # |e| below which the series in e replaces the closed form, which is 0 / 0 at q = 1


def deflection(
    x: Tensor,
    y: Tensor,
    theta_E: Tensor,
    e1: Tensor,
    e2: Tensor,
    center_x: Tensor,
    center_y: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the deflection [arcsec] of an isothermal ellipsoid.

    theta_E is the Einstein radius [arcsec].

    On the axes, with f^2 = 1 - q^2, R^2 = q x^2 + y^2 / q, core s and psi^2 = q (R^2 +
    s^2)::

        alpha_x = theta_E sqrt(q) / f * arctan(f x / (psi + s / sqrt(q)))
        alpha_y = theta_E sqrt(q) / f * artanh(f y / (psi + q^2 s / sqrt(q)))

    Keeton & Kochanek 1998 (astro-ph/9705194), equation 8 and below. At q = 1 this is the
    sphere; lenstronomy has q = 0.99999999 there, 1e-8 off.
    """
    x = x - center_x
    y = y - center_y
    e1, e2 = bounded(e1, e2)
    u, v = elliptical_coordinates(x, y, e1, e2)
    radius = (u**2 + v**2 + CORE**2).sqrt()
    nearly_round = e1**2 + e2**2 < ROUND**2
    closed_x, closed_y = _closed_form(
        x,
        y,
        radius,
        torch.where(nearly_round, ROUND, e1),
        torch.where(nearly_round, 0.0, e2),
    )
    series_x, series_y = _series(u, v, radius, e1, e2)
    return (
        theta_E * torch.where(nearly_round, series_x, closed_x),
        theta_E * torch.where(nearly_round, series_y, closed_y),
    )


def convergence(
    x: Tensor,
    y: Tensor,
    theta_E: Tensor,
    e1: Tensor,
    e2: Tensor,
    center_x: Tensor,
    center_y: Tensor,
) -> Tensor:
    """Return the convergence theta_E / (2 sqrt(R^2 + s^2)), R^2 = q x^2 + y^2 / q on the axes."""
    u, v = elliptical_coordinates(x - center_x, y - center_y, *bounded(e1, e2))
    return 0.5 * theta_E * (u**2 + v**2 + CORE**2).rsqrt()


def _closed_form(
    x: Tensor, y: Tensor, radius: Tensor, e1: Tensor, e2: Tensor
) -> tuple[Tensor, Tensor]:
    modulus = (e1**2 + e2**2).sqrt()
    cos, sin = _square_root(e1, e2, modulus)  # of the major axis, times sqrt(|e|)
    q = (1 - modulus) / (1 + modulus)
    root_q = q.sqrt()
    f = 2 / (1 + modulus)  # sqrt(1 - q^2) over sqrt(|e|)
    major, minor = rotated(x, y, f * cos, f * sin)
    psi = root_q * radius
    core = CORE / root_q
    alpha_major = torch.atan(major / (psi + core))
    # artanh(a / b) = ln(1 + 2 a (a + b) / (b^2 - a^2)) / 2 for a > 0; in this form of
    # b^2 - a^2 no digits cancel.
    side = torch.where(minor < 0, -1.0, 1.0).to(minor)
    a = side * minor
    b = psi + q**2 * core
    difference = q**2 * (x**2 + y**2 + core * (2 * psi + (1 + q**2) * core))
    alpha_minor = 0.5 * side * torch.log1p(2 * a * (a + b) / difference)
    back = root_q / (f * modulus)
    return rotated(alpha_major, alpha_minor, back * cos, -back * sin)


def _square_root(e1: Tensor, e2: Tensor, modulus: Tensor) -> tuple[Tensor, Tensor]:
    """Return one of the two square roots of e1 + i e2; either gives the same deflection."""
    larger = (0.5 * (modulus + e1.abs())).sqrt()
    smaller = 0.5 * e2 / larger
    return torch.where(e1 < 0, smaller, larger), torch.where(e1 < 0, larger, smaller)


def _series(
    u: Tensor, v: Tensor, radius: Tensor, e1: Tensor, e2: Tensor
) -> tuple[Tensor, Tensor]:
    # In complex notation the closed form is sqrt(1 - |e|^2) p arctan(r) / r with
    # p = (u + i v) / radius and r^2 = e* p^2. It is even in r: these are its first terms, and the
    # next is r^6 / 7 with |r|^2 = |e|.
    p_x = u / (radius + CORE)
    p_y = v / (radius + CORE)
    square = p_x**2 - p_y**2
    cross = 2 * p_x * p_y
    w_x = e1 * square + e2 * cross
    w_y = e1 * cross - e2 * square
    norm = (1 - e1**2 - e2**2).sqrt()
    sum_x = norm * (1 - w_x / 3 + (w_x**2 - w_y**2) / 5)
    sum_y = norm * w_y * (0.4 * w_x - 1 / 3)
    return p_x * sum_x - p_y * sum_y, p_x * sum_y + p_y * sum_x
