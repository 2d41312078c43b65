"""Denoising: images without their noise, or the light of the sources alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, override

import numpy as np

from lenssim.data.format.maps import SIGMA, check_kept, parts_of
from lenssim.data.format.spec import maps_of
from lenssim.learn.config import TrainConfig
from lenssim.learn.figures.presentations.denoising import DenoisingPresentation
from lenssim.learn.scores.task_scores import TaskScores
from lenssim.learn.tasks.denoise_config import DenoiseConfig
from lenssim.learn.tasks.task import Task, check_answers

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import MetricCollection

    from lenssim.data.streaming.dataset import Batch, ShardDataset
    from lenssim.learn.tasks.task import Data

__all__ = ["Denoise"]

_CLEAN = "clean"
_IMAGES_FOR_NOISE = 256
_COMPARED = 64  # images that non-local means are computed for
_EXAMPLES = 6
_SIGNIFICANT = 20.0  # noise of the aperture; fainter fluxes have no relative error


class Denoise(Task):
    """Images of which a network takes the noise, or the lens light too.

    A network gives images as numbers (N, C H W), in the unit of the data. The loss is the mean
    squared error in units of `noise`.
    """

    settings = DenoiseConfig
    invariant: ClassVar[bool] = False  # views turn with the image

    target: str
    shape: tuple[int, int, int]
    noise: float
    """Median noise of the training images, in the unit of the data."""

    @override
    @classmethod
    def fit(
        cls, config: TrainConfig, dataset: Data, rows: Mapping[str, np.ndarray]
    ) -> Self:
        from lenssim.learn.scores.denoising import noise_level

        assert isinstance(config, DenoiseConfig)
        check_kept(dataset.folder, dataset.config, *_maps(config.target))
        bands, height, width = dataset.image_shape
        bands //= len(parts_of(config.picture))
        images = dataset.images(rows["train"][:_IMAGES_FOR_NOISE])[:, :bands]
        noise = float(np.median(noise_level(images)))
        shape = (bands, height, width)
        return cls(target=config.target, shape=shape, noise=noise or 1.0)

    @property
    @override
    def maps(self) -> tuple[str, ...]:
        return _maps(self.target)

    @property
    @override
    def outputs(self) -> int:
        return int(np.prod(self.shape))

    @property
    @override
    def title(self) -> str:
        return {
            "arcs": "leave the light of the sources alone",
            "clean": "take the noise off images",
            "noisy": "take the noise off images, from noisy pairs",
        }[self.target]

    @property
    @override
    def gives(self) -> str:
        return "an image in the unit of the data"

    @property
    @override
    def presentation(self) -> DenoisingPresentation:
        return DenoisingPresentation()

    def pictures(self, outputs: Tensor) -> Tensor:
        """Return images (N, C, H, W) of outputs (P, N, C H W), the mean over passes."""
        return outputs.float().mean(dim=0).unflatten(1, self.shape)

    def _error(self, outputs: Tensor, truth: Tensor) -> Tensor:
        return ((outputs - truth.flatten(1)) / self.noise).square().mean()

    @override
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the mean squared error, in units of the noise."""
        from torch import randn_like

        if self.target == "arcs":
            return self._error(outputs, batch["arcs"])
        truth = batch["clean"]
        if self.target == "noisy":
            truth = truth + batch["sigma"] * randn_like(truth)
        return self._error(outputs, truth)

    @override
    def metrics(self) -> MetricCollection:
        """Return the squared error of a validation, in units of the noise."""
        from torchmetrics import MeanMetric, MetricCollection

        return MetricCollection({"mse": MeanMetric()}, compute_groups=False)

    @override
    def update(self, metrics: MetricCollection, outputs: Tensor, batch: Batch) -> None:
        metrics.update(self.loss(outputs, batch))

    @override
    def check(self, dataset: Data) -> None:
        check_kept(dataset.folder, dataset.config, self._truth)

    @property
    def _truth(self) -> str:
        """Name of the map that answers are compared with."""
        return "arcs" if self.target == "arcs" else _CLEAN

    @override
    def judge(
        self,
        outputs: Tensor,
        dataset: ShardDataset,
        rows: np.ndarray,
        resamples: int,
        seed: int,
    ) -> TaskScores:
        from lenssim.learn.scores import denoising

        answers = self.pictures(outputs).numpy()
        check_answers(answers, dataset.folder)
        noisy = dataset.images(rows)[:, : self.shape[0]]
        truth = dataset.read_map(self._truth, rows)
        noise = self._noise_maps(dataset, rows, noisy)
        peak = float(np.median(dataset.read_map(self._truth, rows).max(axis=(1, 2, 3))))
        peak = peak or float(truth.max()) or 1.0
        columns = self._columns(noisy, answers, truth, noise, peak)
        options = {"resamples": resamples, "seed": seed}
        metrics = denoising.mean_intervals(columns, **options)
        facts = {"peak": peak, "truth": self._truth, "non-local means": _COMPARED}
        table = {name: columns[name] for name in ("gain", "psnr", "ssim", "chi2")}
        arrays = {"noisy": noisy, "answer": answers, "truth": truth}
        examples = _examples(arrays, float(np.median(noise)))
        return TaskScores(metrics, facts, table, examples)

    def _columns(
        self,
        noisy: np.ndarray,
        answers: np.ndarray,
        truth: np.ndarray,
        noise: np.ndarray,
        peak: float,
    ) -> dict[str, np.ndarray]:
        """Return the scores (N,) of each image, by name."""
        from lenssim.learn.scores import denoising

        errors = {
            "answer": denoising.squared_error(answers, truth),
            "noisy": denoising.squared_error(noisy, truth),
        }
        gain = 10 * np.log10(errors["noisy"] / np.maximum(errors["answer"], 1e-300))
        flux_errors = _flux_errors(answers, truth, noise)
        return {
            "gain": gain,
            "psnr": denoising.decibels(errors["answer"], peak),
            "psnr_noisy": denoising.decibels(errors["noisy"], peak),
            "ssim": denoising.similarity(answers, truth, peak),
            "ssim_noisy": denoising.similarity(noisy, truth, peak),
            "flux_error": np.abs(flux_errors),
            "flux_bias": flux_errors,
            "chi2": self._chi2(noisy, answers, noise),
            **self._beside_nl_means(noisy, truth, gain),
        }

    def _noise_maps(
        self, dataset: ShardDataset, rows: np.ndarray, noisy: np.ndarray
    ) -> np.ndarray:
        """Return noise maps (N, C, H, W), or noise levels (N, C, 1, 1) without such maps."""
        from lenssim.learn.scores.denoising import noise_level

        if SIGMA in maps_of(dataset.config):
            return dataset.read_map(SIGMA, rows)
        return noise_level(noisy)

    def _chi2(
        self, noisy: np.ndarray, answers: np.ndarray, noise: np.ndarray
    ) -> np.ndarray:
        """Return chi2 a pixel (N,) of noisy images about the answers; NaN for arcs alone."""
        if self._truth != _CLEAN:
            return np.full(len(noisy), np.nan)
        return (((noisy - answers) / noise) ** 2).mean(axis=(1, 2, 3))

    def _beside_nl_means(
        self, noisy: np.ndarray, truth: np.ndarray, gain: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the gain of non-local means for some images, and the network's over it."""
        from lenssim.learn.scores.denoising import nl_means, squared_error

        cleaned = None
        if self._truth == _CLEAN:
            cleaned = nl_means(noisy[:_COMPARED])
        if cleaned is None:
            nothing = np.full(1, np.nan)
            return {"nl_means_gain": nothing, "over_nl_means": nothing}
        compared = slice(None, _COMPARED)
        before = squared_error(noisy[compared], truth[compared])
        after = squared_error(cleaned, truth[compared])
        bar = 10 * np.log10(before / np.maximum(after, 1e-300))
        return {"nl_means_gain": bar, "over_nl_means": gain[compared] - bar}

    @override
    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """Return total flux and peak of each answer; `pictures` gives the images."""
        images = self.pictures(outputs).numpy()
        return [
            {"flux": float(image.sum(dtype=np.float64)), "peak": float(image.max())}
            for image in images
        ]


def _examples(arrays: Mapping[str, np.ndarray], noise: float) -> dict[str, np.ndarray]:
    """Return the first band of the first images, in units of the noise."""
    return {name: array[:_EXAMPLES, 0] / noise for name, array in arrays.items()}


def _maps(target: str) -> tuple[str, ...]:
    """Return the maps that a training for a target needs."""
    return {"clean": (_CLEAN,), "arcs": ("arcs",), "noisy": (_CLEAN, SIGMA)}[target]


def _flux_errors(answers: np.ndarray, truth: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return relative errors (N,) of the aperture flux of all bands; NaN for faint ones."""
    from lenssim.learn.scores.denoising import aperture_flux

    expected = aperture_flux(truth).sum(axis=1)
    error = aperture_flux(answers).sum(axis=1) - expected
    variance = np.broadcast_to(noise, truth.shape) ** 2
    limit = _SIGNIFICANT * np.sqrt(aperture_flux(variance).sum(axis=1))
    return np.where(
        expected > limit, error / np.where(expected > limit, expected, 1), np.nan
    )
