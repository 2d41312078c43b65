"""The functions of x = R / Rs in the projections of NFW-like haloes."""

import math

import torch
from torch import Tensor

__all__ = ["NFW_AT_RS", "inner_and_local", "inner_and_mean"]

NFW_AT_RS = 1 - math.log(2)  # ln(x / 2) + F(x) at x = 1
SMALL_X = 0.5  # below it the logarithm of F is taken out; either form is exact near it
TERMS = {torch.float32: 8, torch.float64: 16}


def inner_and_mean(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return F(x) and h(x) = (ln(x / 2) + F(x)) / x^2, for x > 0.

    F(x) = arcosh(1 / x) / sqrt(1 - x^2) for x < 1 and arccos(1 / x) / sqrt(x^2 - 1) for x >
    1: equation A.5 of Baltz, Marshall & Oguri 2009 (arXiv:0705.0682). The mean convergence
    of an NFW halo within x is proportional to h. Neither cancels as x -> 0 or x -> 1, so
    float32 keeps its digits.
    """
    small, root, inner, _, log, norm, artanh = _branches(x)
    numerator = torch.where(small, -(log + 2 * norm * artanh), log + inner)
    return inner, numerator / torch.where(small, root * (1 + root), x * x)


def inner_and_local(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return F(x) and k(x) = (1 - F(x)) / (x^2 - 1), for x > 0.

    An NFW halo's convergence is proportional to k.
    """
    small, root, inner, local, *_ = _branches(x)
    return inner, torch.where(small, (inner - 1) / root**2, local)


def _branches(x: Tensor) -> tuple[Tensor, ...]:
    # With T(m) = artanh(sqrt(m)) / sqrt(m), which is analytic through m = 0,
    #   F = 2 / (1 + x) T(m), m = (1 - x) / (1 + x),
    #   T(m) = 2 / (1 + r) T(m / (1 + r)^2), r = sqrt(1 - m):
    # halving the angle once brings every x > 1/2 to |m| < 0.18, where the series
    # T = 1 + m S(m) is short. For x < 1/2,
    #   F = (-ln(x / 2) - 2 a T(a^2)) / c, c = sqrt(1 - x^2), a = (1 - c) / (3 + c) < 0.04,
    # takes the same series. The two share divisions and roots, which are the cost.
    small = x < SMALL_X
    inverse = 1 / (1 + x)
    m = (1 - x) * inverse
    root = torch.where(small, 1 - x * x, 1 - m).sqrt()
    norm = 1 / torch.where(small, 3 + root, 1 + root)
    a = (1 - root) * norm
    argument = torch.where(small, a * a, m * norm * norm)
    series: Tensor | float = 0.0
    for k in reversed(range(TERMS[x.dtype])):
        series = series * argument + 1 / (2 * k + 3)
    artanh = 1 + argument * series
    log = torch.log(0.5 * x)
    halved = norm * norm * (1 + 2 * norm * series)  # (T(m) - 1) / m
    inner = torch.where(
        small, -(log + 2 * a * artanh) / root, 2 * inverse * (1 + m * halved)
    )
    local = inverse * inverse * (1 + 2 * inverse * halved)
    return small, root, inner, local, log, norm, artanh
