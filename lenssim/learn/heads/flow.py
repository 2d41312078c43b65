"""A normalising flow of rational-quadratic splines (Durkan et al. 2019), as in zuko."""

from typing import override

import torch
from torch import Tensor
from zuko.transforms import MonotonicRQSTransform

from lenssim.learn.heads.full import Full
from lenssim.learn.heads.head import Head

__all__ = ["Flow"]

_SPLINE_BINS = 8
_SPLINE_OUTPUTS = 3 * _SPLINE_BINS - 1
_MAX_MIXING = 3.0  # largest share of one axis in another
_MOMENT_POINTS = 256
_SEED = 7
_ROWS_PER_CHUNK = 2**15  # targets transformed at once: more leave the processor's caches


class Flow(Head):
    """A head with z = spline(U spline(L^T (y - m))) of the base.

    m and L are those of the `Full` head, and U is unit upper triangular. All of them are network
    outputs, so each image has its own flow and any network can bear it. Outputs of zero are a
    normal distribution. The splines are the identity beyond 5 sigma. Moments are those of 256 fixed
    quasi-random points.

    Example:
        >>> Flow(targets=2).outputs
        98
    """

    @property
    @override
    def outputs(self) -> int:
        mixing = self.targets * (self.targets - 1) // 2
        return self._linear.outputs + 2 * self.targets * _SPLINE_OUTPUTS + mixing

    @property
    def _linear(self) -> Full:
        return Full(self.targets)

    def _stages(
        self, outputs: Tensor
    ) -> tuple[MonotonicRQSTransform, Tensor, MonotonicRQSTransform]:
        """Return the first spline, U (..., k, k), and the second spline."""
        k = self.targets
        start = self._linear.outputs
        end = start + 2 * k * _SPLINE_OUTPUTS
        knots = outputs[..., start:end].unflatten(-1, (2, k, _SPLINE_OUTPUTS))
        inner, outer = (_spline(knots[..., stage, :, :]) for stage in (0, 1))
        rows, columns = torch.triu_indices(k, k, offset=1, device=outputs.device)
        unit = torch.eye(k, dtype=outputs.dtype, device=outputs.device)
        mixing = unit.expand(*outputs.shape[:-1], k, k).clone()
        mixing[..., rows, columns] = _MAX_MIXING * (outputs[..., end:] / _MAX_MIXING).tanh()
        return inner, mixing, outer

    @override
    def normalised(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.forward(outputs, targets)[0]

    def forward(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return z (..., k) for targets y (..., k), and log |dz / dy| (...)."""
        inner, mixing, outer = self._stages(outputs)
        root = self._linear.root(outputs)
        u = (root.mT @ (targets - self._linear.mean(outputs))[..., None])[..., 0]
        v, inner_volume = inner.call_and_ladj(u)
        z, outer_volume = outer.call_and_ladj((mixing @ v[..., None])[..., 0])
        log_diagonal = root.diagonal(dim1=-2, dim2=-1).log()
        return z, (log_diagonal + inner_volume + outer_volume).sum(-1)

    @override
    def log_prob(self, outputs: Tensor, targets: Tensor) -> Tensor:
        z, volume = self.forward(outputs, targets)
        return self.base.log_prob(z) + volume

    def inverse(self, outputs: Tensor, z: Tensor) -> Tensor:
        """Return the targets (..., k) for z (..., k)."""
        inner, mixing, outer = self._stages(outputs)
        v = torch.linalg.solve_triangular(
            mixing, outer.inv(z)[..., None], upper=True, unitriangular=True
        )
        u = inner.inv(v[..., 0])
        root = self._linear.root(outputs)
        offset = torch.linalg.solve_triangular(root.mT, u[..., None], upper=True)[..., 0]
        return self._linear.mean(outputs) + offset

    @override
    def mean(self, outputs: Tensor) -> Tensor:
        return self._moment_points(outputs).mean(0)

    @override
    def covariance(self, outputs: Tensor) -> Tensor:
        points = self._moment_points(outputs)
        offsets = points - points.mean(0)
        return (offsets[..., None] * offsets[..., None, :]).mean(0)

    @override
    def sample(self, outputs: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        outputs = outputs.double()
        u = torch.randn(
            (draws, *outputs.shape[:-1], self.targets),
            generator=generator,
            dtype=outputs.dtype,
            device=outputs.device,
        )
        return self._inverse_in_chunks(outputs, self.base.warp(u))

    def _inverse_in_chunks(self, outputs: Tensor, z: Tensor) -> Tensor:
        """Return the targets (draws, ..., k) for z (draws, ..., k), computed in chunks of draws."""
        step = max(1, _ROWS_PER_CHUNK * self.targets // z[0].numel())
        return torch.cat([self.inverse(outputs, chunk) for chunk in z.split(step)])

    def _moment_points(self, outputs: Tensor) -> Tensor:
        """Return quasi-random targets (256, ..., k)."""
        outputs = outputs.double()
        engine = torch.quasirandom.SobolEngine(self.targets, scramble=True, seed=_SEED)
        uniform = engine.draw(_MOMENT_POINTS, dtype=outputs.dtype)
        normal = torch.special.ndtri(uniform.clamp(1e-9, 1 - 1e-9))
        z = self.base.warp(normal).to(outputs.device)
        z = z.reshape(_MOMENT_POINTS, *[1] * (outputs.ndim - 1), self.targets)
        return self._inverse_in_chunks(outputs, z.expand(-1, *outputs.shape[:-1], -1))


def _spline(knots: Tensor) -> MonotonicRQSTransform:
    widths, heights, derivatives = knots.split(
        [_SPLINE_BINS, _SPLINE_BINS, _SPLINE_BINS - 1], dim=-1
    )
    return MonotonicRQSTransform(widths, heights, derivatives)
