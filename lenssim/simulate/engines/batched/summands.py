"""Kernels of masses near rays: what they deflect more than the points that they are from afar.

Whatever depends on the mass alone comes in columns, computed once in double precision. So a
ray costs a third of what it costs in `rays.Deflect`.
"""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import override

import torch
from torch import Tensor, nn

from lenssim.simulate.engines.batched.halo_series import FIRST, LAST
from lenssim.simulate.engines.batched.profiles.point_mass import MIN_RADIUS2
from lenssim.simulate.engines.batched.profiles.projection import (
    NFW_AT_RS,
    inner_and_mean,
)
from lenssim.simulate.engines.batched.profiles.tnfw import MIN_X

__all__ = ["OUTER", "SOLITON_SLOPE", "SOURCE", "SUMMANDS", "Summand"]

SOLITON_SLOPE = 8.0  # of the density that `NearSoliton` knows
OUTER = 2.0  # Rs; where `OuterHalo` begins, twice the radius of convergence of its series
# arcsin(u) / (u sqrt(1 - u^2)) in powers of u^2; what follows is below 1e-7 at OUTER
_ARCS = [4**n * math.factorial(n) ** 2 / math.factorial(2 * n + 1) for n in range(11)]
SOURCE = hashlib.sha256(
    b"".join(
        (Path(__file__).parent / name).read_bytes()
        for name in ("summands.py", "halo_series.py")
    )
).hexdigest()[:8]


class Summand(nn.Module):
    """Summed deflection (x, y) slope(R) of masses; a subclass has the slope.

    Masses have the columns center_x, center_y and then those of the subclass. A mass whose
    columns are `null` deflects nothing.
    """

    null: Sequence[float]

    def slope(self, radius2: Tensor, columns: Sequence[Tensor]) -> Tensor:
        """Return the deflection / R at R^2 (R, K, P) [arcsec^2], of columns (R, K, 1)."""
        raise NotImplementedError

    @override
    def forward(self, rays: Tensor, parameters: Tensor) -> Tensor:
        """Return the summed deflection of masses.

        Args:
            rays: Rays (R, 2, P) [arcsec].
            parameters: Masses (R, K, columns).

        Returns:
            Deflection (R, 2, P) [arcsec].
        """
        columns = [parameters[:, :, i, None] for i in range(len(self.null))]
        x = rays[:, None, 0] - columns[0]
        y = rays[:, None, 1] - columns[1]
        slope = self.slope(x * x + y * y, columns[2:])
        return torch.stack([(slope * x).sum(1), (slope * y).sum(1)], dim=1)


class HaloSeries(Summand):
    """The series of `halo_series`."""

    null = (0.0,) * (3 + LAST - FIRST + 1)

    @override
    def slope(self, radius2: Tensor, columns: Sequence[Tensor]) -> Tensor:
        reach, *coefficients = columns
        w = reach / radius2.clamp(min=MIN_RADIUS2[radius2.dtype]).sqrt()
        series = coefficients[-1]
        for coefficient in coefficients[-2::-1]:
            series = series * w + coefficient
        square = w * w
        return series * (square * square * w)


class NearHalo(Summand):
    """A truncated halo less its point: the formula of `tnfw.deflection`."""

    null = (0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)

    @staticmethod
    def columns(
        Rs: Tensor,
        alpha_Rs: Tensor,
        r_trunc: Tensor,
        strength: Tensor,
        softening: Tensor,
    ) -> list[Tensor]:
        """Return the columns after the centre, of those of a halo and its point."""
        tau = r_trunc / Rs
        size = alpha_Rs / (NFW_AT_RS * Rs) * (tau / (tau**2 + 1)) ** 2
        columns = [1 / Rs**2, tau, torch.log(tau), 1 / tau]
        return [
            *columns,
            math.pi * size,
            (tau**2 - 1) * size,
            2 * size,
            strength,
            softening,
        ]

    @override
    def slope(self, radius2: Tensor, columns: Sequence[Tensor]) -> Tensor:
        per_scale2, tau, log_tau, per_tau, pi_size, outer, double, strength, soft = columns
        scaled2 = (radius2 * per_scale2).clamp(min=MIN_X**2)
        scaled = scaled2.sqrt()
        inner, mean = inner_and_mean(scaled)
        sum_ = 1 / ((scaled2 + tau * tau).sqrt() + tau)
        per_x2 = sum_ * per_tau
        excess = scaled2 * per_x2
        logs = (
            per_x2 * (torch.log(0.5 * scaled) - log_tau)
            - (1 + excess) * torch.log1p(0.5 * excess) / scaled2
        )
        halo = outer * (mean + logs) + double * inner - pi_size * sum_
        return halo - strength / (radius2 + soft)


class OuterHalo(Summand):
    """A truncated halo less its point, from `OUTER` scale radii on: half as dear as `NearHalo`.

    With v = 1 / x^2, s = sqrt(1 + (x / tau)^2) and F of `projection`, the bracket of
    `tnfw.deflection` is::

        2 F - pi / (tau (1 + s)) + (tau^2 - 1) v (F + ln tau - s arsinh(tau / x))
        F = pi / 2 / sqrt(x^2 - 1) - v (1 + 2 / 3 v + 8 / 15 v^2 + ...)
    """

    null = (0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)

    @staticmethod
    def columns(
        Rs: Tensor,
        alpha_Rs: Tensor,
        r_trunc: Tensor,
        strength: Tensor,
        softening: Tensor,
    ) -> list[Tensor]:
        """Return the columns after the centre, of those of a halo and its point."""
        tau = r_trunc / Rs
        size = alpha_Rs / (NFW_AT_RS * Rs) * (tau / (tau**2 + 1)) ** 2
        columns = [1 / Rs**2, 1 / tau**2, tau**2, torch.log(tau), math.pi / tau * size]
        return [*columns, (tau**2 - 1) * size, 2 * size, strength, softening]

    @override
    def slope(self, radius2: Tensor, columns: Sequence[Tensor]) -> Tensor:
        per_scale2, per_tau2, tau2, log_tau, pi_size, outer, double, strength, soft = (
            columns
        )
        scaled2 = (radius2 * per_scale2).clamp(min=OUTER)
        root = (scaled2 - 1).sqrt()
        sum_ = (scaled2 * per_tau2 + 1).sqrt() + 1
        softened = radius2 + soft
        # a division is dearer than two products
        per_both = 1 / (scaled2 * root)
        v = per_both * root
        series = _ARCS[-1] * v + _ARCS[-2]
        for term in _ARCS[-3::-1]:
            series = series * v + term
        inner = 0.5 * math.pi * (per_both * scaled2) - series * v
        area = 0.5 * torch.log(sum_ * sum_ * (tau2 * v))
        halo = double * inner + outer * v * (inner + log_tau - (sum_ - 1) * area)
        per_both = 1 / (sum_ * softened)
        return halo - per_both * (pi_size * softened + strength * sum_)


class NearSoliton(Summand):
    """A soliton of slope `SOLITON_SLOPE` less its point, by one root.

    With g = 1 / (1 + y) of `uldm.deflection`, (1 - g^6.5) / y is
    g (1 + g + ... + g^5 + g^6 / (1 + sqrt(g))), in which nothing cancels.
    """

    null = (0.0, 0.0, 1.0, 0.0, 0.0, 1.0)

    @staticmethod
    def columns(
        kappa_0: Tensor, theta_c: Tensor, strength: Tensor, softening: Tensor
    ) -> list[Tensor]:
        """Return the columns after the centre, of those of a soliton and its point."""
        per_scale2 = math.expm1(math.log(2) / SOLITON_SLOPE) / theta_c**2
        return [per_scale2, kappa_0 / (SOLITON_SLOPE - 1.5), strength, softening]

    @override
    def slope(self, radius2: Tensor, columns: Sequence[Tensor]) -> Tensor:
        per_scale2, size, strength, softening = columns
        g = 1 / (1 + radius2 * per_scale2)
        powers = g / (1 + g.sqrt()) + 1
        for _ in range(5):
            powers = powers * g + 1
        return size * g * powers - strength / (radius2 + softening)


SUMMANDS: dict[str, type[Summand]] = {
    "halo series": HaloSeries,
    "near halo": NearHalo,
    "outer halo": OuterHalo,
    "near soliton": NearSoliton,
}
