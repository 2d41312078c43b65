"""The base of a head: normal numbers with changed radii, for errors with the correct tails."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
import torch
from scipy.special import gammaincinv, ndtr, ndtri
from torch import Tensor

__all__ = ["NORMAL", "RadialBase"]

_MAX_KNOTS = 16
_SAMPLES_BEYOND = 16  # samples above the last knot
_MIN_SLOPE = 1e-3
_VARIANCE_RADII = 4096  # radii that a variance is averaged over


@dataclass(frozen=True)
class RadialBase:
    """An isotropic distribution of z: it has the direction of normal u and the radius g(|u|).

    The function g is linear between `knots` (radius of u, radius of z) and the origin. Beyond the
    last knot it is proportional to the radius. Without knots z is normal.

    Example:
        >>> RadialBase().variance(3)
        1.0
        >>> round(RadialBase(((1.0, 2.0),)).variance(3), 3)
        4.0
    """

    knots: tuple[tuple[float, float], ...] = ()

    @classmethod
    def fit(cls, radii: np.ndarray, targets: int) -> Self:
        """Fit a base through quantiles of radii.

        The base has 16 knots with at least 16 samples beyond the last. It has fewer for few
        samples.

        Args:
            radii: Radii (N,) of z.
            targets: Number k of targets.

        Returns:
            The base.
        """
        knots = min(_MAX_KNOTS, len(radii) // (4 * _SAMPLES_BEYOND))
        if not knots:
            return cls()
        edge = -ndtri(_SAMPLES_BEYOND / len(radii))
        levels = np.array([0.5])
        if knots > 1:
            levels = ndtr(np.linspace(-edge, edge, knots))
        normal = np.sqrt(2 * gammaincinv(targets / 2, levels))
        steps = np.diff(np.quantile(radii, levels), prepend=0.0)
        min_steps = _MIN_SLOPE * np.diff(normal, prepend=0.0)
        fitted = np.maximum(steps, min_steps).cumsum()
        return cls(tuple(zip(normal.tolist(), fitted.tolist(), strict=True)))

    @classmethod
    def mean(cls, bases: Sequence[Self]) -> Self:
        """Return the base with the mean radius of several."""
        finest = max(bases, key=lambda base: len(base.knots))
        normal = torch.tensor([radius for radius, _ in finest.knots], dtype=torch.float64)
        mean_radii = torch.stack([base.radius(normal) for base in bases]).mean(0)
        return cls(tuple(zip(normal.tolist(), mean_radii.tolist(), strict=True)))

    def radius(self, normal: Tensor) -> Tensor:
        """Return the radii of z (...) for radii of u (...)."""
        return self._line(normal)[0]

    def normal_radius(self, radius: Tensor) -> Tensor:
        """Return the radii of u (...) for radii of z (...)."""
        return self._line(radius, invert=True)[0]

    def warp(self, u: Tensor) -> Tensor:
        """Return z (..., k) for u (..., k)."""
        if not self.knots:
            return u
        radius = u.norm(dim=-1, keepdim=True)
        return u * (self.radius(radius) / radius.clamp_min(torch.finfo(u.dtype).tiny))

    def log_prob(self, z: Tensor) -> Tensor:
        """Return the logarithm (...) of the density at z (..., k)."""
        normal = torch.distributions.Normal(0.0, 1.0, validate_args=False)
        if not self.knots:
            return normal.log_prob(z).sum(-1)
        radius = z.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(z.dtype).tiny)
        normal_radius, slope = self._line(radius, invert=True)
        ratio = normal_radius / radius
        volume = (z.shape[-1] - 1) * ratio.log() + slope.log()
        return normal.log_prob(z * ratio).sum(-1) + volume[..., 0]

    def variance(self, targets: int) -> float:
        """Return the variance of each of k numbers z."""
        if not self.knots:
            return 1.0
        return _variance(self, targets)

    def _line(self, x: Tensor, invert: bool = False) -> tuple[Tensor, Tensor]:
        """Return g(x), or its inverse, and its slope."""
        if not self.knots:
            return x, torch.ones_like(x)
        knots = torch.tensor(
            [(0.0, 0.0), *self.knots], dtype=x.dtype, device=x.device
        ).T.contiguous()
        if invert:
            knots = knots.flip(0)
        x_knots, y_knots = knots
        slopes = torch.cat([y_knots.diff() / x_knots.diff(), y_knots[-1:] / x_knots[-1:]])
        insertion = torch.searchsorted(x_knots, x.detach().contiguous(), right=True)
        interval = (insertion - 1).clamp_min(0)
        slope = slopes[interval]
        return y_knots[interval] + slope * (x - x_knots[interval]), slope


@cache
def _variance(base: RadialBase, targets: int) -> float:
    levels = (np.arange(_VARIANCE_RADII) + 0.5) / _VARIANCE_RADII
    normal = torch.from_numpy(np.sqrt(2 * gammaincinv(targets / 2, levels)))
    return float((base.radius(normal) ** 2).mean()) / targets


NORMAL = RadialBase()
"""The standard normal base: a head before calibration."""
