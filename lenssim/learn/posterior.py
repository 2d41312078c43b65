"""What a regressor's outputs say of targets in their own units, and whether the truth agrees."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import gammainc
from torch import Tensor

from lenssim.learn.heads import Head

__all__ = ["LEVELS", "Posterior", "chi2_distances", "fitted_widths"]

LEVELS = {k: math.erf(k / math.sqrt(2)) for k in (1, 2, 3)}
"""Shares of a normal distribution within 1, 2, 3 sigma: 68.3, 95.4, 99.7 %."""

_LEAST = 1e-12  # eigenvalue of a correlation matrix that is not rounding
_WIDEST = 8.0  # of the logarithm of a width
_CHUNK = 2**22  # numbers that are worked on at a time


@dataclass(frozen=True)
class Posterior:
    """N probabilities of T targets: passes of outputs (P, N, K) count alike, each read by a head.

    Whitened targets times `spread` plus `centre` (T,) are in their own units; errors are `widths` (T,) times what the
    outputs say, about the mean.
    """

    head: Head
    outputs: Tensor
    centre: np.ndarray
    spread: np.ndarray
    widths: np.ndarray

    def of(self, rows: slice | np.ndarray) -> "Posterior":
        """Those of some of the N."""
        return replace(self, outputs=self.outputs[:, rows])

    @cached_property
    def _means(self) -> np.ndarray:
        return self.head.mean(self.outputs.double()).numpy()

    @property
    def _scale(self) -> np.ndarray:
        return self.spread * self.widths

    @property
    def mean(self) -> np.ndarray:
        """(N, T)."""
        return self._means.mean(0) * self.spread + self.centre

    @cached_property
    def aleatoric(self) -> np.ndarray:
        """What the image leaves open, (N, T, T): the mean of the passes' covariances."""
        each = sum(self.head.covariance(one).numpy() for one in self.outputs)
        return each / len(self.outputs) * self._scale[:, None] * self._scale

    @cached_property
    def epistemic(self) -> np.ndarray:
        """What the training left open, (N, T, T): the covariance of the passes' means; zero of a single pass."""
        apart = (self._means - self._means.mean(0)) * self._scale
        return np.einsum("pni,pnj->nij", apart, apart) / len(apart)

    @property
    def covariance(self) -> np.ndarray:
        """(N, T, T), the law of total covariance: aleatoric and epistemic together."""
        return self.aleatoric + self.epistemic

    @property
    def sigma(self) -> np.ndarray:
        """(N, T)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    def log_density(self, targets: np.ndarray) -> np.ndarray:
        """Logarithm (..., N) of the density at targets (..., N, T), in the targets' own units."""
        centre = self._means.mean(0)
        white = torch.from_numpy(centre + ((targets - self.centre) / self.spread - centre) / self.widths)
        each = torch.stack([self.head.log_prob(one, white) for one in self.outputs.double()])
        return (each.logsumexp(0) - math.log(len(each))).numpy() - np.log(self._scale).sum()

    def sample(self, draws: int, seed: int = 0) -> np.ndarray:
        """Random targets (draws, N, T). A draw takes the same pass for all N."""
        draw = torch.Generator().manual_seed(seed)
        passes = torch.randint(len(self.outputs), (draws,), generator=draw)
        parts = [
            self.head.sample(one, int((passes == p).sum()), draw).numpy()
            for p, one in enumerate(self.outputs)
            if (passes == p).any()
        ]
        centre = self._means.mean(0)
        return (centre + (np.concatenate(parts) - centre) * self.widths) * self.spread + self.centre

    def ranks(self, truth: np.ndarray, draws: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """How many of `draws` lie below each truth (N, T), and how many are more probable than it (N,).

        Both are uniform in 0 ... draws if the probabilities are right: simulation-based calibration (Talts et al.
        2018), and the coverage of regions of highest density (Hermans et al. 2022).
        """
        below, likelier = [], []
        step = max(1, _CHUNK // (draws * self.outputs.shape[-1]))
        for start in range(0, len(truth), step):
            part = slice(start, start + step)
            own = self.of(part)
            drawn = own.sample(draws, seed + start)
            below.append((drawn < truth[part]).sum(0))
            likelier.append((own.log_density(drawn) > own.log_density(truth[part])).sum(0))
        return np.concatenate(below), np.concatenate(likelier)


def chi2_distances(error: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distances (N,) of errors (N, T), finite for every covariance (N, T, T) with errors above 0.

    Axes along which targets are correlated beyond what double precision resolves count with the least it does.
    """
    sigma = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    correlation = covariance / (sigma[:, :, None] * sigma[:, None, :])
    values, axes = np.linalg.eigh(correlation)
    along = np.einsum("nij,ni->nj", axes, error / sigma)
    return (along**2 / np.maximum(values, _LEAST)).sum(1)


def fitted_widths(error: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Factors (T,) of the errors of N samples that bring them closest to their distributions.

    Closest in the sum of Cramer and von Mises' statistics of each target's pulls against the normal distribution, and
    of chi2 of all targets. Unlike the mean of chi2, which the likelihood would have, a few outliers do not move it.
    """
    sigma = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    values, axes = np.linalg.eigh(covariance / (sigma[:, :, None] * sigma[:, None, :]))
    values, pulls = np.maximum(values, _LEAST), np.abs(error / sigma)
    count, targets = pulls.shape
    even = (np.arange(count) + 0.5) / count

    def misfit(shares: np.ndarray) -> float:
        return float(((np.sort(shares, axis=0) - even[:, None]) ** 2).sum())

    def off(logarithms: np.ndarray) -> float:
        widths = np.exp(np.clip(logarithms, -_WIDEST, _WIDEST))
        distance = (np.einsum("nij,ni->nj", axes, error / sigma / widths) ** 2 / values).sum(1)
        alone = gammainc(0.5, (pulls / widths) ** 2 / 2)  # of |pull|, the normal distribution function
        return misfit(alone) + misfit(gammainc(targets / 2, distance / 2)[:, None])

    start = np.log(np.maximum(np.median(pulls, axis=0), 1e-300) / 0.6745).clip(-_WIDEST, _WIDEST)
    found = minimize(off, start, method="Powell", options={"xtol": 1e-4, "ftol": 1e-6})
    return np.exp(np.clip(found.x, -_WIDEST, _WIDEST))
