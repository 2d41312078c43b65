"""What a head's normal numbers become when errors are put right: numbers of the same directions and other radii."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
import torch
from scipy.special import gammaincinv, ndtr, ndtri
from torch import Tensor

__all__ = ["NORMAL", "Base"]

_KNOTS = 16
_BEYOND = 16  # samples above the last knot
_LEAST = 1e-3  # slope
_GRID = 4096  # radii of a variance


@dataclass(frozen=True)
class Base:
    """A distribution of k numbers z with no direction preferred: of radius g(|u|), where u are normal.

    g is linear between `knots` (radius of u, radius of z) and the origin, and beyond the last a multiple. Without
    knots z is normal.
    """

    knots: tuple[tuple[float, float], ...] = ()

    @classmethod
    def fit(cls, radii: np.ndarray, targets: int) -> Self:
        """Through quantiles of radii (N,) of z, 16 of them with 16 samples or more beyond the last; fewer of few."""
        count = min(_KNOTS, len(radii) // (4 * _BEYOND))
        if not count:
            return cls()
        edge = -ndtri(_BEYOND / len(radii))
        shares = ndtr(np.linspace(-edge, edge, count)) if count > 1 else np.array([0.5])
        normal = np.sqrt(2 * gammaincinv(targets / 2, shares))
        steps = np.diff(np.quantile(radii, shares), prepend=0.0)
        found = np.maximum(steps, _LEAST * np.diff(normal, prepend=0.0)).cumsum()
        return cls(tuple(zip(normal.tolist(), found.tolist(), strict=True)))

    @classmethod
    def mean(cls, bases: Sequence[Self]) -> Self:
        """That of the mean radius."""
        finest = max(bases, key=lambda base: len(base.knots))
        normal = torch.tensor([radius for radius, _ in finest.knots], dtype=torch.float64)
        found = torch.stack([base.radius(normal) for base in bases]).mean(0)
        return cls(tuple(zip(normal.tolist(), found.tolist(), strict=True)))

    def radius(self, normal: Tensor) -> Tensor:
        """Radii of z (...) of those of u."""
        return self._line(normal)[0]

    def normal_radius(self, radius: Tensor) -> Tensor:
        """Radii of u (...) of those of z."""
        return self._line(radius, back=True)[0]

    def stretched(self, u: Tensor) -> Tensor:
        """z (..., k) of u (..., k)."""
        if not self.knots:
            return u
        radius = u.norm(dim=-1, keepdim=True)
        return u * (self.radius(radius) / radius.clamp_min(torch.finfo(u.dtype).tiny))

    def log_prob(self, z: Tensor) -> Tensor:
        """Logarithm (...) of the density at z (..., k)."""
        normal = torch.distributions.Normal(0.0, 1.0, validate_args=False)
        if not self.knots:
            return normal.log_prob(z).sum(-1)
        radius = z.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(z.dtype).tiny)
        shrunk, slope = self._line(radius, back=True)
        ratio = shrunk / radius
        volume = (z.shape[-1] - 1) * ratio.log() + slope.log()
        return normal.log_prob(z * ratio).sum(-1) + volume[..., 0]

    def variance(self, targets: int) -> float:
        """Of each of k numbers z."""
        return _variance(self, targets) if self.knots else 1.0

    def _line(self, at: Tensor, back: bool = False) -> tuple[Tensor, Tensor]:
        """g, or its inverse, and its slope."""
        if not self.knots:
            return at, torch.ones_like(at)
        ends = torch.tensor(
            [(0.0, 0.0), *self.knots], dtype=at.dtype, device=at.device
        ).T.contiguous()
        x, y = ends.flip(0) if back else ends
        slopes = torch.cat([y.diff() / x.diff(), y[-1:] / x[-1:]])
        left = (torch.searchsorted(x, at.detach().contiguous(), right=True) - 1).clamp_min(
            0
        )
        return y[left] + slopes[left] * (at - x[left]), slopes[left]


@cache
def _variance(base: Base, targets: int) -> float:
    even = (np.arange(_GRID) + 0.5) / _GRID
    normal = torch.from_numpy(np.sqrt(2 * gammaincinv(targets / 2, even)))
    return float((base.radius(normal) ** 2).mean()) / targets


NORMAL = Base()
"""Of a head that nothing was put right of."""
