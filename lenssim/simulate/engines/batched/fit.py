"""The best smooth lens of an image, by Levenberg-Marquardt, and what it leaves over."""

from dataclasses import replace

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.engines.batched.engine import SCENES, Batched
from lenssim.simulate.engines.batched.gradients import differentiable, jacobian, regular
from lenssim.simulate.instruments import Instrument, Supersampling
from lenssim.simulate.noise.variance import noise_sigma
from lenssim.simulate.profiles import PROFILES, check_bounds
from lenssim.simulate.scenes import Scenes

__all__ = ["smooth_residual"]

_STEPS = 20
_SETTLED = 0.01  # of chi2: a step that gains less is the last
_DAMPING, _LEAST, _MOST = 1e-3, 1e-7, 1e6  # Marquardt's lambda at the start, and its limits
_SOFTER, _HARDER = 0.2, 10.0


def smooth_residual(
    images: np.ndarray,
    scenes: Scenes,
    instrument: Instrument,
    *,
    supersampling: Supersampling = 1,
    precision: str = "float32",
    kernels: str = "compiled",
) -> np.ndarray:
    """What the best lens without perturbers leaves of observed `images`, in sigma, float32 (N, 1, H, W).

    All parameters of lens, lens light and source are free; the fit starts at the scenes' own and so finds the minimum
    of chi2 next to the truth. sigma is the nominal noise as the observed image shows it (`noise_sigma` of its positive
    part). Adaptive images are fitted on a regular grid of at least two rays a pixel side. Marquardt (1963); without
    bounds, but a step out of where a profile exists is taken back like one that makes chi2 larger.
    """
    residuals = np.empty(images.shape, np.float32)
    for start in range(
        0, len(scenes), SCENES
    ):  # bounds memory: derivatives are many images a scene
        part = slice(start, start + SCENES)
        fit = _Fit(
            images[part],
            scenes.take(part),
            instrument,
            regular(instrument, supersampling),
            precision,
            kernels,
        )
        residuals[part] = fit.residual().reshape(images[part].shape)
    return residuals


class _Fit:
    """Chi2 of observed images (N, 1, H, W) as a function of values (N, K) of `names`, and its minimum."""

    def __init__(
        self,
        images: np.ndarray,
        scenes: Scenes,
        instrument: Instrument,
        rays: int,
        precision: str,
        kernels: str,
    ) -> None:
        self.instrument, self.rays, self.precision, self.kernels = (
            instrument,
            rays,
            precision,
            kernels,
        )
        self.engine = Batched(precision, "cpu", kernels)
        self.scenes = _in_columns(scenes, instrument)
        self.names = differentiable(scenes.components)
        self.sigma = _flat(noise_sigma(images.astype(np.float64), scenes, instrument))
        self.observed = _flat(images) / self.sigma

    def residual(self) -> np.ndarray:
        """(observed - model) / sigma (N, pixels) at the minimum."""
        values = np.stack([self.scenes.params[name] for name in self.names], axis=1)
        residual = self.residual_of(np.arange(len(values)), values)
        damping, todo = np.full(len(values), _DAMPING), np.arange(len(values))
        for _ in range(_STEPS):
            slopes = self.slopes(todo, values[todo])
            proposed = values[todo] + _step(slopes, residual[todo], damping[todo])
            there = np.flatnonzero(self.exist(proposed))
            gain = np.full(len(todo), -np.inf)
            again = self.residual_of(todo[there], proposed[there])
            gain[there] = (residual[todo[there]] ** 2).sum(1) - (again**2).sum(1)
            better = gain > 0
            values[todo[better]] = proposed[better]
            residual[todo[better]] = again[better[there]]
            damping[todo] = np.maximum(
                damping[todo] * np.where(better, _SOFTER, _HARDER), _LEAST
            )
            todo = todo[np.where(better, gain > _SETTLED, damping[todo] < _MOST)]
            if not len(todo):
                break
        return residual

    def at(self, rows: np.ndarray, values: np.ndarray) -> Scenes:
        """The smooth scenes `rows` with other values (N, K)."""
        scenes = self.scenes.take(rows)
        return replace(
            scenes, params=scenes.params | dict(zip(self.names, values.T, strict=True))
        )

    def residual_of(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(observed - model) / sigma (N, pixels)."""
        if not len(rows):
            return np.empty((0, self.sigma.shape[1]))
        expected = self.engine.render(
            self.at(rows, values), self.instrument, supersampling=self.rays
        )
        return self.observed[rows] - _flat(expected) / self.sigma[rows]

    def slopes(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Derivatives of the model over sigma, (N, K, pixels)."""
        options = {
            "supersampling": self.rays,
            "precision": self.precision,
            "kernels": self.kernels,
        }
        found = jacobian(self.at(rows, values), self.instrument, self.names, **options)
        return found.reshape(len(rows), len(self.names), -1) / self.sigma[rows, None]

    def exist(self, values: np.ndarray) -> np.ndarray:
        """Where (N,) all profiles exist."""
        return np.array(
            [
                self._exists(dict(zip(self.names, row[:, None], strict=True)))
                for row in values
            ]
        )

    def _exists(self, columns: dict[str, np.ndarray]) -> bool:
        try:
            for component in self.scenes.components:
                profile = PROFILES[component.profile]
                own = {
                    name: columns.get(component.prefix + name) for name in profile.columns
                }
                values = {
                    name: column for name, column in own.items() if column is not None
                }
                check_bounds(profile, values, component.prefix)
        except ConfigError:
            return False
        return True


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float64)


def _in_columns(scenes: Scenes, instrument: Instrument) -> Scenes:
    """The same without perturbers, its components in the engine's own columns: amp for magnitude."""
    params = dict(scenes.params)
    for component in scenes.components:
        for name in PROFILES[component.profile].one_of:
            params.pop(component.prefix + name, None)
        own = scenes.of(component, instrument.zero_point)
        params |= {
            component.prefix + name: column.astype(np.float64)
            for name, column in own.items()
        }
    return replace(scenes, params=params, perturbers={})


def _step(slopes: np.ndarray, residual: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """Marquardt's step (N, K): (J J^T + damping diag(J J^T)) step = J residual.

    By a Cholesky factor, in plain sums: the bits of a linear algebra library depend on its threads. Each derivative is
    first brought to length 1; one that is zero, or a sum of others, gets no step.
    """
    lengths = np.sqrt((slopes**2).sum(2))
    lengths = np.where(lengths > 0, lengths, np.inf)
    unit = slopes / lengths[..., None]
    count = unit.shape[1]
    matrix = np.stack([(unit * unit[:, k, None]).sum(2) for k in range(count)], axis=2)
    matrix += damping[:, None, None] * np.eye(count)
    right = (unit * residual[:, None]).sum(2)
    lower = np.zeros_like(matrix)
    for k in range(count):
        rest = matrix[:, k:, k] - (lower[:, k:, :k] * lower[:, k, None, :k]).sum(2)
        pivot = np.sqrt(np.maximum(rest[:, 0], 0))
        lower[:, k:, k] = rest / np.where(pivot > 0, pivot, np.inf)[:, None]
    return _solved(lower, right) / lengths


def _solved(lower: np.ndarray, right: np.ndarray) -> np.ndarray:
    """x (N, K) with L L^T x = right."""
    pivots = np.diagonal(lower, axis1=1, axis2=2)
    pivots = np.where(pivots > 0, pivots, np.inf)
    x, last = right.copy(), right.shape[1] - 1
    for k in range(last + 1):
        x[:, k] = (x[:, k] - (lower[:, k, :k] * x[:, :k]).sum(1)) / pivots[:, k]
    for k in range(last, -1, -1):
        x[:, k] = (x[:, k] - (lower[:, k + 1 :, k] * x[:, k + 1 :]).sum(1)) / pivots[:, k]
    return x
