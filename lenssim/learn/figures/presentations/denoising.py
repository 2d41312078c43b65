"""Words and pictures of denoising."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, override

from lenssim.learn.figures.presentations.presentation import Presentation

if TYPE_CHECKING:
    import numpy as np

    from lenssim.data.streaming.dataset import ShardDataset
    from lenssim.learn.figures.presentations.presentation import Figures
    from lenssim.learn.scores.task_scores import TaskScores

__all__ = ["DenoisingPresentation"]


@dataclass(frozen=True)
class DenoisingPresentation(Presentation):
    """Words and pictures of a network that gives images."""

    headlines = {  # noqa: RUF012 - a class variable of the base
        "gain": "gain over the noisy image, dB",
        "psnr": "PSNR, dB",
        "ssim": "SSIM",
        "flux_error": "relative error of the aperture flux",
    }
    progress = {"mse": "squared error in noise units"}  # noqa: RUF012

    captions = {  # noqa: RUF012
        "examples": "images, answers and truths, in units of the noise",
    }

    @override
    def cells(self, answer: Mapping[str, Any]) -> dict[str, str]:
        return {name: f"{value:.4g}" for name, value in answer.items()}

    @override
    def details(self, metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        names = {
            "chi2": "chi2 a pixel of the noisy image about the answer",
            "flux_bias": "mean of the relative errors of the aperture flux",
            "nl_means_gain": "gain of non-local means over the noisy image, dB",
            "over_nl_means": "gain over non-local means, dB",
            "psnr_noisy": "PSNR of the noisy image, dB",
            "ssim_noisy": "SSIM of the noisy image",
        }
        return {name: metrics[key] for key, name in names.items()}

    @override
    def figures(
        self, scores: TaskScores, dataset: ShardDataset, rows: np.ndarray, title: str
    ) -> Figures:
        from lenssim.learn.figures.denoising import examples_figure

        return {"examples": partial(examples_figure, scores.evidence, title)}
