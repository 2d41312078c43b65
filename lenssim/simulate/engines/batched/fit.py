"""The best smooth lens of an image, by Levenberg-Marquardt, and its residual."""

from dataclasses import replace

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.bands import BandView, band_views
from lenssim.simulate.engines.batched.engine import Batched
from lenssim.simulate.engines.batched.gradients import (
    band_columns,
    band_jacobian,
    regular,
)
from lenssim.simulate.engines.batched.steps import SCENES
from lenssim.simulate.instruments import AnyCamera, Instrument, Supersampling
from lenssim.simulate.noise.variance import noise_sigma
from lenssim.simulate.profiles import PROFILES, check_bounds
from lenssim.simulate.scenes import Scenes

__all__ = ["SmoothFit", "smooth_residual"]

_MAX_STEPS = 20
_MIN_GAIN = 0.01  # of chi2: a step that gains less ends the fit
_INITIAL_DAMPING = 1e-3  # Marquardt's lambda
_MIN_DAMPING = 1e-7
_MAX_DAMPING = 1e6
_SOFTER = 0.2
_HARDER = 10.0


def smooth_residual(
    images: np.ndarray,
    scenes: Scenes,
    instrument: AnyCamera,
    *,
    supersampling: Supersampling = 1,
    precision: str = "float32",
    kernels: str = "compiled",
) -> np.ndarray:
    """Return the residuals of the best lens without perturbers, in sigma.

    All parameters of lens, lens light and source are free; light has an amplitude of its own
    in each band. The fit starts at the scenes'
    own and so finds the minimum of chi2 next to the truth. sigma is the nominal noise as
    the observed image shows it (`noise_sigma` of its positive part). Adaptive images are
    fitted on a regular grid of at least two rays a pixel side. Marquardt (1963), without
    bounds; a step out of a profile's bounds is rejected like one that makes chi2 larger.

    Args:
        images: Observed images (N, C, H, W) [e-/s per pixel].
        scenes: Their N scenes.
        instrument: The camera.
        supersampling: Rays a side of a pixel, or "adaptive".
        precision: "float32" or "float64".
        kernels: "compiled" or "eager".

    Returns:
        (observed - model) / sigma, float32 (N, C, H, W).
    """
    residuals = np.empty(images.shape, np.float32)
    # steps bound the memory: derivatives are many images a scene
    for start in range(0, len(scenes), SCENES):
        part = slice(start, start + SCENES)
        fit = SmoothFit(
            images[part],
            scenes.take(part),
            instrument,
            regular(instrument, supersampling),
            precision,
            kernels,
        )
        residuals[part] = fit.residual().reshape(images[part].shape)
    return residuals


class SmoothFit:
    """Chi2 of observed images (N, C, H, W) as a function of values (N, K) of `columns`.

    Args:
        images: Observed images (N, C, H, W).
        scenes: Scenes of their structure, whose values are the start.
        instrument: The camera.
        rays: Rays a pixel side.
        precision: "float32" or "float64".
        kernels: "compiled" or "eager".
        sigma: Noise (N, C, H, W), infinite where a pixel does not count; None: the nominal
            noise of the images.
        sampling: Rays a pixel side of the images that are compared, or "adaptive"; None:
            `rays`, which derivatives always have.
    """

    def __init__(
        self,
        images: np.ndarray,
        scenes: Scenes,
        instrument: AnyCamera,
        rays: int,
        precision: str = "float32",
        kernels: str = "compiled",
        sigma: np.ndarray | None = None,
        sampling: Supersampling | None = None,
    ) -> None:
        self.rays = rays
        self.sampling = rays if sampling is None else sampling
        self.precision = precision
        self.kernels = kernels
        self.engine = Batched(precision, "cpu", kernels)
        self.views = [
            (_in_columns(*view), view[1]) for view in band_views(scenes, instrument)
        ]
        self.columns = band_columns(scenes.components, len(self.views))
        if sigma is None:
            sigma = noise_sigma(images.astype(np.float64), scenes, instrument)
        self.sigma = _flat(sigma)
        self.observed = _flat(images) / self.sigma

    def residual(self) -> np.ndarray:
        """Return (observed - model) / sigma (N, pixels) at the minimum."""
        return self.minimum()[1]

    @property
    def start(self) -> np.ndarray:
        """The values (N, K) of the scenes."""
        initial = [self.views[band or 0][0].params[name] for name, band in self.columns]
        return np.stack(initial, axis=1)

    def minimum(self, max_steps: int = _MAX_STEPS) -> tuple[np.ndarray, np.ndarray]:
        """Return the values (N, K) and (observed - model) / sigma (N, pixels) at the minimum.

        Args:
            max_steps: Steps that a row may take.
        """
        values = self.start
        residual = self.residual_of(np.arange(len(values)), values)
        damping = np.full(len(values), _INITIAL_DAMPING)
        todo = np.arange(len(values))
        for _ in range(max_steps):
            slopes = self.slopes(todo, values[todo])
            proposed = values[todo] + _step(slopes, residual[todo], damping[todo])
            valid = np.flatnonzero(self.exist(proposed))
            gain = np.full(len(todo), -np.inf)
            proposed_residual = self.residual_of(todo[valid], proposed[valid])
            chi2 = (residual[todo[valid]] ** 2).sum(1)
            gain[valid] = chi2 - (proposed_residual**2).sum(1)
            better = gain > 0
            values[todo[better]] = proposed[better]
            residual[todo[better]] = proposed_residual[better[valid]]
            factor = np.where(better, _SOFTER, _HARDER)
            damping[todo] = np.maximum(damping[todo] * factor, _MIN_DAMPING)
            todo = todo[np.where(better, gain > _MIN_GAIN, damping[todo] < _MAX_DAMPING)]
            if not len(todo):
                break
        return values, residual

    def at(self, rows: np.ndarray, values: np.ndarray) -> list[BandView]:
        """Return the smooth scenes `rows` with other values (N, K), as each band sees them."""
        views = []
        for band, (scenes, instrument) in enumerate(self.views):
            part = scenes.take(rows)
            params = part.params | self.named(values, band)
            views.append((replace(part, params=params), instrument))
        return views

    def named(self, values: np.ndarray, band: int) -> dict[str, np.ndarray]:
        """Return the columns (N,) of a band by name, of values (N, K)."""
        return {
            name: column
            for (name, owner), column in zip(self.columns, values.T, strict=True)
            if owner in (None, band)
        }

    def residual_of(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return (observed - model) / sigma (N, pixels)."""
        if not len(rows):
            return np.empty((0, self.sigma.shape[1]))
        bands = [
            _flat(self.engine.render(*view, supersampling=self.sampling))
            for view in self.at(rows, values)
        ]
        expected = np.concatenate(bands, axis=1)
        return self.observed[rows] - expected / self.sigma[rows]

    def slopes(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the derivatives of the model over sigma, (N, K, pixels)."""
        slopes = band_jacobian(
            self.at(rows, values),
            self.columns,
            supersampling=self.rays,
            precision=self.precision,
            kernels=self.kernels,
        )
        slopes = slopes.reshape(len(rows), len(self.columns), -1)
        return slopes / self.sigma[rows, None]

    def exist(self, values: np.ndarray) -> np.ndarray:
        """Return where (N,) all profiles exist in all bands."""
        valid = np.ones(len(values), bool)
        for band in range(len(self.views)):
            columns = self.named(values, band)
            for row in np.flatnonzero(valid):
                parameters = {name: column[[row]] for name, column in columns.items()}
                valid[row] = self._exists(parameters)
        return valid

    def _exists(self, columns: dict[str, np.ndarray]) -> bool:
        scenes, _ = self.views[0]
        try:
            for component in scenes.components:
                profile = PROFILES[component.profile]
                values = {
                    name: columns[component.prefix + name]
                    for name in profile.columns
                    if component.prefix + name in columns
                }
                check_bounds(profile, values, component.prefix)
        except ConfigError:
            return False
        return True


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float64)


def _in_columns(scenes: Scenes, instrument: Instrument) -> Scenes:
    """Return the scenes without perturbers, with components in the engine's own columns.

    For instance, amp replaces magnitude.
    """
    params = dict(scenes.params)
    for component in scenes.components:
        for name in PROFILES[component.profile].one_of:
            params.pop(component.prefix + name, None)
        for name, column in scenes.of(component, instrument.zero_point).items():
            params[component.prefix + name] = column.astype(np.float64)
    return replace(scenes, params=params, perturbers={})


def _step(slopes: np.ndarray, residual: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """Return Marquardt's step (N, K): (J J^T + damping diag(J J^T)) step = J residual.

    By a Cholesky factor, in plain sums: the bits of a linear algebra library depend on its
    threads. Each derivative is first scaled to length 1; one that is zero, or a sum of
    others, gets no step.
    """
    lengths = np.sqrt((slopes**2).sum(2))
    lengths = np.where(lengths > 0, lengths, np.inf)
    unit = slopes / lengths[..., None]
    count = unit.shape[1]
    matrix = np.stack([(unit * unit[:, k, None]).sum(2) for k in range(count)], axis=2)
    matrix += damping[:, None, None] * np.eye(count)
    projection = (unit * residual[:, None]).sum(2)
    lower = np.zeros_like(matrix)
    for k in range(count):
        column = matrix[:, k:, k] - (lower[:, k:, :k] * lower[:, k, None, :k]).sum(2)
        pivot = np.sqrt(np.maximum(column[:, 0], 0))
        lower[:, k:, k] = column / np.where(pivot > 0, pivot, np.inf)[:, None]
    return _solved(lower, projection) / lengths


def _solved(lower: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return x (N, K) with L L^T x = target."""
    pivots = np.diagonal(lower, axis1=1, axis2=2)
    pivots = np.where(pivots > 0, pivots, np.inf)
    x = target.copy()
    size = target.shape[1]
    for k in range(size):
        x[:, k] = (x[:, k] - (lower[:, k, :k] * x[:, :k]).sum(1)) / pivots[:, k]
    for k in range(size - 1, -1, -1):
        x[:, k] = (x[:, k] - (lower[:, k + 1 :, k] * x[:, k + 1 :]).sum(1)) / pivots[:, k]
    return x
