"""Elliptical power law."""

import torch
from torch import Tensor

from lenssim.simulate.engines.batched.profiles.ellipticity import (
    bounded,
    elliptical_coordinates,
)

__all__ = ["convergence", "deflection"]

FLOOR = 1e-9  # arcsec, smallest radius
TERMS = {torch.float32: 16, torch.float64: 26}


def deflection(
    x: Tensor,
    y: Tensor,
    theta_E: Tensor,
    gamma: Tensor,
    e1: Tensor,
    e2: Tensor,
    center_x: Tensor,
    center_y: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the deflection [arcsec] of an elliptical power law.

    theta_E is the Einstein radius [arcsec], gamma the slope in 1..3. In complex notation,
    with t = gamma - 1, w = z - e z* and R = |w| / sqrt(1 - |e|^2)::

        alpha = (theta_E / R)^t w 2F1(1, t / 2; 2 - t / 2; -e* w / w*)

    These are equations 13 and 23 of Tessore & Metcalf 2015 (arXiv:1507.01819) without the
    rotation to the axes. In double precision the fixed number of terms is good to 1e-13 for
    q > 0.2, 1e-9 for q > 0.1 and 1e-5 for q > 0.05; in single precision to 1e-6 for q >
    0.15 and to 1e-5 for q > 0.1.
    """
    u, v, radius2, e1, e2 = _frame(x - center_x, y - center_y, e1, e2)
    square = (u**2 - v**2) / radius2
    cross = 2 * u * v / radius2
    f_x, f_y = _hypergeometric(
        -(e1 * square + e2 * cross), e2 * square - e1 * cross, 0.5 * (gamma - 1)
    )
    norm = (1 - e1**2 - e2**2).sqrt() * _power_law(radius2, theta_E, gamma)
    return norm * (u * f_x - v * f_y), norm * (u * f_y + v * f_x)


def convergence(
    x: Tensor,
    y: Tensor,
    theta_E: Tensor,
    gamma: Tensor,
    e1: Tensor,
    e2: Tensor,
    center_x: Tensor,
    center_y: Tensor,
) -> Tensor:
    """Return the convergence (3 - gamma) / 2 (theta_E / R)^(gamma - 1).

    R^2 = q x^2 + y^2 / q on the axes.
    """
    _, _, radius2, _, _ = _frame(x - center_x, y - center_y, e1, e2)
    return 0.5 * (3 - gamma) * _power_law(radius2, theta_E, gamma)


def _frame(
    x: Tensor, y: Tensor, e1: Tensor, e2: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    e1, e2 = bounded(e1, e2)
    u, v = elliptical_coordinates(x, y, e1, e2)
    return u, v, (u**2 + v**2).clamp(min=FLOOR**2), e1, e2


def _power_law(radius2: Tensor, theta_E: Tensor, gamma: Tensor) -> Tensor:
    # without mass there is no deflection and no NaN
    log = torch.log(theta_E.clamp(min=torch.finfo(theta_E.dtype).tiny))
    return torch.exp((gamma - 1) * (log - 0.5 * torch.log(radius2)))


def _hypergeometric(x: Tensor, y: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return 2F1(1, b; 2 - b; x + i y) inside the unit circle, real and imaginary part.

    The power series in zeta = (1 - sqrt(1 - z)) / (1 + sqrt(1 - z)) needs a third of the
    terms of that in z. Its coefficients follow from z (1 - z) F' + (1 - b - b z) F = 1 - b.
    They are real, so the sum takes a real recurrence (Knuth, TAOCP 2, 4.6.4).
    """
    modulus = ((1 - x) ** 2 + y**2).sqrt()
    root_x = (0.5 * (modulus + 1 - x)).sqrt()
    norm = 1 / (1 + 2 * root_x + modulus)
    zeta_x = (1 - modulus) * norm
    zeta_y = y / root_x * norm
    twice = 2 * zeta_x
    squared = zeta_x**2 + zeta_y**2
    *coefficients, penultimate, ultimate = _coefficients(b, TERMS[x.dtype])
    head = penultimate + twice * ultimate
    tail = ultimate
    for coefficient in reversed(coefficients):
        head, tail = coefficient + twice * head - squared * tail, head
    return head - zeta_x * tail, zeta_y * tail


def _coefficients(b: Tensor, terms: int) -> list[Tensor | float]:
    previous: Tensor | float = 0.0
    current: Tensor | float = 1.0
    coefficients = [current]
    for n, binomial in zip(range(1, terms), (2, 1, *[0] * terms), strict=False):
        following = (6 * b - 2) * current + (n - 3 + b) * previous + (1 - b) * binomial
        previous = current
        current = following / (n + 1 - b)
        coefficients.append(current)
    return coefficients
