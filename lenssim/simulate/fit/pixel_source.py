"""A source on pixels: its inversion through a lens, and the fit of the mass by it."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import cho_solve
from torch import Tensor

from lenssim.simulate.fit.evidence import Inversion, curvature, invert
from lenssim.simulate.fit.marquardt import bounded
from lenssim.simulate.fit.projection import Prior
from lenssim.simulate.fit.stamps import Stamps, filtered
from lenssim.simulate.fit.tracing import MASS, mass_of, trace, trace_slopes

__all__ = ["PixelFit", "PixelSource"]

SIDE = 32  # pixels of the source a side
_RAYS = 2
_CHUNK = 64  # columns that are blurred at once
_STRENGTHS = 10.0 ** np.arange(-3.5, 2.01, 0.5)
_STEPS = 7
_TRIALS = 5
_MIN_GAIN = 1.0


@dataclass(frozen=True)
class PixelFit:
    """A lens with a source on pixels.

    Attributes:
        values: Parameters (22,), of which the mass was fitted.
        chi2: With the noise of the search.
        log_evidence: Of the source on pixels, with the priors of the mass.
        brightness: The source (SIDE, SIDE).
    """

    values: Tensor
    chi2: float
    log_evidence: float
    brightness: np.ndarray


@dataclass(frozen=True)
class _State:
    inversion: Inversion
    columns: Tensor
    rays: tuple[Tensor, ...]
    objective: float


class PixelSource:
    """Chi2 of one lens as a function of its mass, with a source of SIDE x SIDE pixels.

    Args:
        stamps: One lens (1, P).
        light: Weighted columns of lens light and sky (K, P), whose amplitudes are free.
        prior: Priors of the parameters, one row.
        centre: Centre of the source's pixels [arcsec].
        half: Half side of the source's pixels [arcsec]. Evidences of lenses compare only if
            these are equal.
    """

    def __init__(
        self,
        stamps: Stamps,
        light: Tensor,
        prior: Prior,
        centre: tuple[float, float],
        half: float,
    ) -> None:
        lengths = light.square().sum(1, keepdim=True).sqrt().clamp(min=1e-300)
        self.stamps = stamps
        self.light = (light / lengths).to(torch.float32)
        self.prior = prior
        self.centre = centre
        self.step = 2 * half / (SIDE - 1)
        self.regular = curvature(SIDE)
        self.log_det = float(np.linalg.slogdet(self.regular)[1])
        self.x, self.y = stamps.rays(_RAYS)
        self.data = stamps.data[0].to(torch.float32)
        self.norm2 = float(stamps.data.square().sum())

    def fit(self, values: Tensor, free: list[int]) -> PixelFit:
        """Return the mass with the least chi2, penalty and prior, from a start (22,)."""
        state = self._state(values)
        damping = 1e-2
        for step in range(_STEPS):
            if step == 3:
                state = self._state(values)
            hessian, gradient = self._system(values, state, free)
            gain = -1.0
            for _ in range(_TRIALS):
                proposed = _moved(values, free, hessian, gradient, damping)
                trial = self._state(proposed, state.inversion.strength)
                gain = state.objective - trial.objective
                if gain > 0:
                    break
                damping *= 8
            if gain <= 0:
                break
            values, state = proposed, trial
            damping = max(damping * 0.15, 1e-6)
            if gain < _MIN_GAIN and step >= 3:
                break
        final = self._state(values)
        pulls = float(self.prior.pulls(values[None]).square().sum())
        source = final.inversion.amplitudes[len(self.light) :].reshape(SIDE, SIDE)
        evidence = final.inversion.log_evidence - 0.5 * pulls
        return PixelFit(values, final.inversion.chi2, evidence, source)

    def _state(self, values: Tensor, strength: float | None = None) -> _State:
        """Return the inversion at a mass; without a strength that of the best evidence."""
        rays = trace(self.x, self.y, mass_of(values[None]))
        columns = torch.cat([self.light, self._columns(rays)])
        gram = (columns @ columns.T).to(torch.float64).numpy()
        projection = (columns @ self.data).to(torch.float64).numpy()
        source = gram[len(self.light) :, len(self.light) :]
        scale = np.trace(source) / np.trace(self.regular)
        strengths = [strength] if strength is not None else list(_STRENGTHS * scale)
        inversions = [
            invert(gram, projection, self.norm2, self.regular, self.log_det, value)
            for value in strengths
        ]
        best = max(inversions, key=lambda inversion: inversion.log_evidence)
        pulls = float(mass_of(self.prior.pulls(values[None])).square().sum())
        return _State(best, columns, rays, best.chi2 + best.penalty + pulls)

    def _cells(self, rays: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the cells of rays, their places in them (0 to 1), and which have a cell."""
        middle = (SIDE - 1) / 2
        u = (rays[0][0] - self.centre[0]) / self.step + middle
        v = (rays[1][0] - self.centre[1]) / self.step + middle
        column = u.floor()
        row = v.floor()
        is_inside = (column >= 0) & (column < SIDE - 1) & (row >= 0) & (row < SIDE - 1)
        column = torch.where(is_inside, column, 0.0)
        row = torch.where(is_inside, row, 0.0)
        return column.long(), row.long(), u - column, v - row, is_inside

    def _columns(self, rays: tuple[Tensor, ...]) -> Tensor:
        """Return the image of every source pixel (SIDE^2, P), blurred and weighted."""
        column, row, u, v, is_inside = self._cells(rays)
        pixels = torch.arange(len(u)) // _RAYS**2
        total = torch.zeros(SIDE * SIDE, self.data.shape[0], dtype=torch.float32)
        corners = (
            (0, 0, (1 - u) * (1 - v)),
            (1, 0, u * (1 - v)),
            (0, 1, (1 - u) * v),
            (1, 1, u * v),
        )
        for right, up, share in corners:
            cell = (row + up) * SIDE + column + right
            weight = torch.where(is_inside, share / _RAYS**2, 0.0).to(torch.float32)
            total.index_put_((cell, pixels), weight, accumulate=True)
        for start in range(0, len(total), _CHUNK):
            part = slice(start, start + _CHUNK)
            total[part] = self._blurred(total[part])
        return total

    def _blurred(self, images: Tensor) -> Tensor:
        """Return images (M, P) through the PSF, weighted."""
        size = self.stamps.size
        transform = self.stamps.transform[0].to(torch.complex64)
        planes = images.to(torch.float32).unflatten(-1, (size, size))
        weights = self.stamps.weights[0].to(torch.float32)
        return filtered(planes, transform).flatten(-2) * weights

    def _system(
        self, values: Tensor, state: _State, free: list[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return Hessian and gradient of the mass, with the source projected out."""
        inversion = state.inversion
        source = torch.from_numpy(inversion.amplitudes[len(self.light) :].copy())
        gradient_x, gradient_y = self._gradient(source.reshape(SIDE, SIDE), state.rays)
        _, _, slopes_x, slopes_y = trace_slopes(self.x, self.y, mass_of(values[None]))
        rows = [min(number, len(MASS)) for number in free]  # the slope follows the mass
        rays = gradient_x * slopes_x[0, rows] + gradient_y * slopes_y[0, rows]
        slopes = self._blurred(rays.unflatten(-1, (-1, _RAYS**2)).mean(-1))
        amplitudes = torch.from_numpy(inversion.amplitudes).to(torch.float32)
        residual = self.data - amplitudes @ state.columns
        along = (state.columns @ slopes.T).to(torch.float64).numpy()
        hessian = (slopes @ slopes.T).to(torch.float64).numpy()
        hessian -= along.T @ cho_solve((inversion.lower, True), along)
        width = self.prior.width[0, free].numpy()
        pulls = self.prior.pulls(values[None])[0, free].numpy()
        gradient = (slopes @ residual).to(torch.float64).numpy() - pulls / width
        return hessian + np.diag(width**-2.0), gradient

    def _gradient(self, source: Tensor, rays: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Return the derivatives (R,) of the source's brightness along x and y."""
        column, row, u, v, is_inside = self._cells(rays)
        low_left = source[row, column]
        low_right = source[row, column + 1]
        high_left = source[row + 1, column]
        high_right = source[row + 1, column + 1]
        along_x = (low_right - low_left) * (1 - v) + (high_right - high_left) * v
        along_y = (high_left - low_left) * (1 - u) + (high_right - low_right) * u
        scale = is_inside / self.step
        return along_x * scale, along_y * scale


def _moved(
    values: Tensor,
    free: list[int],
    hessian: np.ndarray,
    gradient: np.ndarray,
    damping: float,
) -> Tensor:
    """Return values after Marquardt's step."""
    diagonal = np.diag(np.maximum(np.diag(hessian), 1e-12))
    step = np.linalg.solve(hessian + damping * diagonal, gradient)
    proposed = values.clone()
    proposed[free] += torch.from_numpy(step)
    return bounded(proposed[None])[0]
