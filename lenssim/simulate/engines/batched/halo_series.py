"""A truncated halo beyond its point mass: the next terms in powers of 1 / R.

A softened point has the first two terms of the halo's deflection. With the next ones in
addition it serves much closer to the halo, at a tenth of the cost of the full formula.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from lenssim.simulate.engines.batched.profiles.projection import NFW_AT_RS

__all__ = ["FIRST", "LAST", "halo_series"]

FIRST = 5  # the lowest power of 1 / R that a softened point leaves out of alpha / R
LAST = 12
_CONVERGENT = 1.5  # in units of the larger of Rs and r_trunc; the series diverges below 1


def halo_series(
    Rs: Tensor, alpha_Rs: Tensor, r_trunc: Tensor, softening: Tensor, error: float
) -> tuple[Tensor, Tensor]:
    """Return what a halo deflects beyond its softened point, from afar.

    Beyond `reach` the difference of the two is, with w = reach / R::

        alpha ~ (x, y) sum_k c_k w^k, k = FIRST..LAST

    to `error` [arcsec]. Each of the next two terms is less than a quarter of it there, and
    the terms fall by a third or faster.

    Args:
        Rs: Scale radius (M,) [arcsec].
        alpha_Rs: Deflection (M,) [arcsec] at Rs without truncation.
        r_trunc: Truncation radius (M,) [arcsec].
        softening: Softening^2 (M,) [arcsec^2] of the point, see `tnfw.far_field`.
        error: Largest error [arcsec] of the deflection beyond the reach.

    Returns:
        Coefficients (M, LAST - FIRST + 1), and the reach (M,) [arcsec]. Where numbers leave
        the range of floating point, the reach is infinite and the coefficients are 0.
    """
    tau = r_trunc / Rs
    size = alpha_Rs / (NFW_AT_RS * Rs) * (tau / (tau**2 + 1)) ** 2
    terms = _terms(tau)
    # the point's own terms, m u^2 (1 - s^2 u^2 + s^4 u^4 ...), are no part of the difference
    ratio = -softening / Rs**2
    for power in range(4, LAST + 3, 2):
        terms[power] = terms[power] - terms[2] * ratio ** (power // 2 - 1)
    reach = _CONVERGENT * torch.maximum(Rs, r_trunc)
    for power in (LAST + 1, LAST + 2):
        last = 4 / error * (size * Rs * terms[power]).abs()
        reach = torch.maximum(reach, Rs * last ** (1 / (power - 1)))
    powers = [
        size * terms[power] * (Rs / reach) ** power for power in range(FIRST, LAST + 1)
    ]
    coefficients = torch.stack(powers, dim=1)
    valid = reach.isfinite() & coefficients.isfinite().all(1)
    return (
        torch.where(valid[:, None], coefficients, 0.0),
        torch.where(valid, reach, math.inf),
    )


def _terms(tau: Tensor) -> list[Tensor]:
    """Return the coefficients of u^k, u = Rs / R, k = 0..LAST + 2, of the halo's bracket.

    It is the bracket of `tnfw.deflection`, which for x = 1 / u > 1 is::

        2 F - pi / (S + tau) + (tau^2 - 1) / x^2 (F + ln tau - S / tau arsinh(tau / x))

    Its coefficients of u^0, u^1 and u^3 vanish.
    """
    inner, root, area = _expansions()
    squares = [torch.ones_like(tau)]
    while len(squares) <= LAST // 2 + 2:
        squares.append(squares[-1] * tau**2)
    terms = []
    for power in range(LAST + 3):
        term = torch.full_like(tau, 2 * inner[power])
        half = power // 2
        if power % 2:
            term = term - math.pi * root[half] * squares[half]
        if power == 2:
            term = term + math.pi * tau + (tau**2 - 1) * torch.log(tau)
        if power >= 2:
            projected = torch.full_like(tau, inner[power - 2])
            if power % 2 == 0:
                projected = projected - area[half - 1] * squares[half - 1]
            term = term + (tau**2 - 1) * projected
        terms.append(term)
    return terms


@lru_cache
def _expansions() -> tuple[list[float], list[float], list[float]]:
    """Return the coefficients of three series.

    They are F(1 / u) in powers of u, sqrt(1 + t^2) in powers of t^2, and
    sqrt(1 + t^2) arsinh(t) / t in powers of t^2.
    """
    count = LAST + 3
    # arcsin(u) / sqrt(1 - u^2) = sum 4^n n!^2 / (2 n + 1)! u^(2 n + 1)
    arcs = [4**n * math.factorial(n) ** 2 / math.factorial(2 * n + 1) for n in range(count)]
    inner = [0.0] * (2 * count + 2)
    for n in range(count):
        inner[2 * n + 1] = math.pi / 2 * math.comb(2 * n, n) / 4**n
        inner[2 * n + 2] = -arcs[n]
    root = [1.0]
    for n in range(1, count):
        root.append(root[-1] * (1.5 - n) / n)
    signed = [(-1) ** n * arc for n, arc in enumerate(arcs)]
    area = [1.0, *(signed[n] + signed[n - 1] for n in range(1, count))]
    return inner, root, area
