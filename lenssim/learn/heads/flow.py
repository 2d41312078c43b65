"""A normalising flow of rational-quadratic splines (Durkan et al. 2019), by zuko, whose numbers the network gives."""

from typing import override

import torch
from torch import Tensor
from zuko.transforms import MonotonicRQSTransform

from lenssim.learn.heads.full import Full
from lenssim.learn.heads.head import Head

__all__ = ["Flow"]

_BINS = 8
_SPLINE = 3 * _BINS - 1
_MIXING = 3.0  # largest share of one axis in another
_POINTS = 256  # of the moments
_SEED = 7
_ROWS = 2**15  # of targets that are bent at a time: more leave the processor's caches


class Flow(Head):
    """z = spline(U spline(L^T (y - m))) is of the base: m and L as in the `Full` head, U upper triangular of ones.

    All of them are outputs, so that a flow is drawn for each image and any network can bear it; outputs of zero are a
    normal distribution. The splines are the identity beyond 5 sigma. Moments are those of 256 fixed
    quasi-random points.
    """

    @property
    @override
    def outputs(self) -> int:
        return (
            self._linear.outputs
            + 2 * self.targets * _SPLINE
            + self.targets * (self.targets - 1) // 2
        )

    @property
    def _linear(self) -> Full:
        return Full(self.targets)

    def _stages(
        self, outputs: Tensor
    ) -> tuple[MonotonicRQSTransform, Tensor, MonotonicRQSTransform]:
        """The first spline, U (..., k, k), and the second spline."""
        k, start = self.targets, self._linear.outputs
        end = start + 2 * k * _SPLINE
        knots = outputs[..., start:end].unflatten(-1, (2, k, _SPLINE))
        first, second = (
            MonotonicRQSTransform(
                *knots[..., stage, :, :].split([_BINS, _BINS, _BINS - 1], dim=-1)
            )
            for stage in (0, 1)
        )
        rows, columns = torch.triu_indices(k, k, offset=1, device=outputs.device)
        unit = torch.eye(k, dtype=outputs.dtype, device=outputs.device).expand(
            *outputs.shape[:-1], k, k
        )
        mixing = unit.clone()
        mixing[..., rows, columns] = _MIXING * (outputs[..., end:] / _MIXING).tanh()
        return first, mixing, second

    @override
    def normalised(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.straightened(outputs, targets)[0]

    def straightened(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """z (..., k) of targets (..., k), and log |dz / dy| (...)."""
        first, mixing, second = self._stages(outputs)
        root = self._linear.root(outputs)
        u = (root.mT @ (targets - self._linear.mean(outputs))[..., None])[..., 0]
        v, stretched = first.call_and_ladj(u)
        z, again = second.call_and_ladj((mixing @ v[..., None])[..., 0])
        return z, (root.diagonal(dim1=-2, dim2=-1).log() + stretched + again).sum(-1)

    @override
    def log_prob(self, outputs: Tensor, targets: Tensor) -> Tensor:
        z, volume = self.straightened(outputs, targets)
        return self.base.log_prob(z) + volume

    def bent(self, outputs: Tensor, z: Tensor) -> Tensor:
        """Targets (..., k) of z (..., k)."""
        first, mixing, second = self._stages(outputs)
        v = torch.linalg.solve_triangular(
            mixing, second.inv(z)[..., None], upper=True, unitriangular=True
        )
        u = first.inv(v[..., 0])
        root = self._linear.root(outputs)
        return (
            self._linear.mean(outputs)
            + torch.linalg.solve_triangular(root.mT, u[..., None], upper=True)[..., 0]
        )

    @override
    def mean(self, outputs: Tensor) -> Tensor:
        return self._points(outputs).mean(0)

    @override
    def covariance(self, outputs: Tensor) -> Tensor:
        points = self._points(outputs)
        apart = points - points.mean(0)
        return (apart[..., None] * apart[..., None, :]).mean(0)

    @override
    def sample(self, outputs: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        own = outputs.double()
        shape = (draws, *own.shape[:-1], self.targets)
        u = torch.randn(shape, generator=generator, dtype=own.dtype, device=own.device)
        return self._all_bent(own, self.base.stretched(u))

    def _all_bent(self, outputs: Tensor, z: Tensor) -> Tensor:
        """Targets (draws, ..., k) of z (draws, ..., k), of some draws at a time."""
        step = max(1, _ROWS * self.targets // z[0].numel())
        return torch.cat([self.bent(outputs, part) for part in z.split(step)])

    def _points(self, outputs: Tensor) -> Tensor:
        """Targets (256, ..., k), evenly drawn."""
        own = outputs.double()
        even = torch.quasirandom.SobolEngine(self.targets, scramble=True, seed=_SEED).draw(
            _POINTS, dtype=own.dtype
        )
        z = self.base.stretched(torch.special.ndtri(even.clamp(1e-9, 1 - 1e-9))).to(
            own.device
        )
        return self._all_bent(
            own,
            z.reshape(_POINTS, *[1] * (own.ndim - 1), self.targets).expand(
                -1, *own.shape[:-1], -1
            ),
        )
