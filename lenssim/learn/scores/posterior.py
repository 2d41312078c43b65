"""Posteriors of targets in their own units: moments, densities, draws and ranks."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from lenssim.learn.heads import NORMAL, Head
from lenssim.learn.heads.head import standardised

__all__ = ["DRAWS", "LEVELS", "Posterior"]

DRAWS = 255
"""Number of draws of each posterior that the truth is ranked among."""

LEVELS = {k: math.erf(k / math.sqrt(2)) for k in (1, 2, 3)}
"""Probabilities of a normal distribution within 1, 2, 3 sigma: 68.3, 95.4, 99.7 %."""

_VALUES_PER_CHUNK = 2**22
_MOMENT_ROWS_PER_CHUNK = 512  # a flow takes many points for the moments of each


@dataclass(frozen=True)
class Posterior:
    """N posteriors of T targets, from P passes that count alike.

    Attributes:
        head: How outputs are read, for whitened targets.
        outputs: Network outputs (P, N, K).
        centre: Centre (T,) of the targets, in their own units.
        spread: Spread (T,) of the targets. Whitened targets times `spread` plus `centre` are in own
        units.
        sigma_scale: Factor (T,) on the errors about the mean.
        shrinkage: Factor (T,) on the mean of the outputs, from the centre.

    Example:
        >>> from lenssim.learn.heads import head
        >>> ones = np.ones(2)
        >>> outputs = torch.zeros(1, 3, 2)
        >>> posterior = Posterior(head("point", 2), outputs, ones, ones, ones, ones)
        >>> posterior.sigma.shape
        (3, 2)
    """

    head: Head
    outputs: Tensor
    centre: np.ndarray
    spread: np.ndarray
    sigma_scale: np.ndarray
    shrinkage: np.ndarray

    def of(self, rows: slice | np.ndarray) -> "Posterior":
        """Return the posteriors of the selected samples."""
        return replace(self, outputs=self.outputs[:, rows])

    @property
    def uncalibrated(self) -> "Posterior":
        """Return the posteriors before calibration."""
        ones = np.ones(len(self.sigma_scale))
        return replace(self, head=self._normal_head, sigma_scale=ones, shrinkage=ones)

    @property
    def _normal_head(self) -> Head:
        return replace(self.head, base=NORMAL)

    @cached_property
    def _means(self) -> np.ndarray:
        """The whitened mean (P, N, T) of each pass."""
        means = [self._in_chunks(self.head.mean, outputs) for outputs in self.outputs]
        return np.stack(means)

    @property
    def _scale(self) -> np.ndarray:
        return self.spread * self.sigma_scale

    @property
    def uncalibrated_mean(self) -> np.ndarray:
        """Return the posterior mean before shrinkage, shape (N, T)."""
        return self._means.mean(0) * self.spread + self.centre

    @property
    def mean(self) -> np.ndarray:
        """Return the posterior mean, shape (N, T)."""
        return self._means.mean(0) * self.shrinkage * self.spread + self.centre

    @cached_property
    def aleatoric(self) -> np.ndarray:
        """Return the covariance due to the image (N, T, T): the mean of the passes' covariances."""
        covariance = self._in_chunks(self.head.covariance, self.outputs[0])
        for outputs in self.outputs[1:]:
            covariance = covariance + self._in_chunks(self.head.covariance, outputs)
        return covariance / len(self.outputs) * self._scale[:, None] * self._scale

    @cached_property
    def epistemic(self) -> np.ndarray:
        """Return the covariance due to the training (N, T, T): that of the passes' means."""
        offsets = (self._means - self._means.mean(0)) * self._scale
        return np.einsum("pni,pnj->nij", offsets, offsets) / len(offsets)

    @property
    def covariance(self) -> np.ndarray:
        """Return the total covariance (N, T, T): aleatoric plus epistemic."""
        return self.aleatoric + self.epistemic

    @property
    def sigma(self) -> np.ndarray:
        """Return the posterior standard deviations, shape (N, T)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    def log_density(self, targets: np.ndarray) -> np.ndarray:
        """Return the log-density (..., N) at targets (..., N, T), in their own units."""
        whitened = self._whitened(targets)
        densities = torch.stack(
            [self.head.log_prob(outputs, whitened) for outputs in self.outputs.double()]
        )
        mean_density = (densities.logsumexp(0) - math.log(len(densities))).numpy()
        return mean_density - np.log(self._scale).sum()

    def chi2(self, truth: np.ndarray) -> np.ndarray:
        """Return the squared sum (N,) of the normal numbers that correspond to truths (N, T).

        For one pass they are the numbers of the head itself. For several passes they follow from
        mean and covariance. The radii of a calibrated base are made normal first.
        """
        radii = torch.from_numpy(self.radii(truth))
        return self.head.base.normal_radius(radii).numpy() ** 2

    def radii(self, truth: np.ndarray) -> np.ndarray:
        """Return the size (N,) of the head's numbers for truths (N, T)."""
        if len(self.outputs) == 1:
            numbers = self._normal_head.normalised(
                self.outputs[0].double(), self._whitened(truth)
            )
        else:
            normal = replace(self, head=self._normal_head)
            numbers = standardised(
                torch.from_numpy(truth - normal.mean), torch.from_numpy(normal.covariance)
            )
        return numbers.norm(dim=-1).numpy()

    def _whitened(self, targets: np.ndarray) -> Tensor:
        """Whiten targets (..., N, T) and undo their calibration."""
        mean = self._means.mean(0)
        offset = (targets - self.centre) / self.spread - mean * self.shrinkage
        return torch.from_numpy(mean + offset / self.sigma_scale)

    def _in_chunks(self, moment: Callable[[Tensor], Tensor], outputs: Tensor) -> np.ndarray:
        """Compute a moment of outputs (N, K) in chunks of samples."""
        chunks = outputs.split(_MOMENT_ROWS_PER_CHUNK)
        return torch.cat([moment(chunk.double()) for chunk in chunks]).numpy()

    def sample(self, draws: int, seed: int = 0) -> np.ndarray:
        """Return random targets (draws, N, T). A draw takes the same pass for all N."""
        generator = torch.Generator().manual_seed(seed)
        passes = torch.randint(len(self.outputs), (draws,), generator=generator)
        parts = []
        for index, outputs in enumerate(self.outputs):
            count = int((passes == index).sum())
            if count:
                parts.append(self.head.sample(outputs, count, generator).numpy())
        mean = self._means.mean(0)
        errors = (np.concatenate(parts) - mean) * self.sigma_scale
        return (mean * self.shrinkage + errors) * self.spread + self.centre

    def ranks(self, truth: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Rank the truth among `DRAWS` draws, by value and by density.

        Both ranks are uniform in 0 ... `DRAWS` for calibrated posteriors: simulation-based
        calibration (Talts et al. 2018), and the coverage of regions of highest density (Hermans et
        al. 2022).

        Args:
            truth: True targets (N, T).
            seed: Seed of the draws.

        Returns:
            The number (N, T) of draws below each truth, and the number (N,) of draws that are more
            probable.
        """
        lower = []
        likelier = []
        for part, part_truth, draws in self.chunks_of_draws(truth, seed):
            lower.append((draws < part_truth).sum(0))
            density = part.log_density(part_truth)
            likelier.append((part.log_density(draws) > density).sum(0))
        return np.concatenate(lower), np.concatenate(likelier)

    def central_probability(self, truth: np.ndarray, seed: int = 0) -> np.ndarray:
        """Return the probability of the central interval that just contains the truth.

        It is uniform in 0 ... 1 for calibrated posteriors of any shape. A position between two
        draws is random and uniform.

        Args:
            truth: True targets (N, T).
            seed: Seed of the draws.

        Returns:
            Probabilities (N, T).
        """
        rng = np.random.default_rng(seed)
        ranks = np.concatenate(
            [
                (draws < part_truth).sum(0)
                for _, part_truth, draws in self.chunks_of_draws(truth, seed)
            ]
        )
        return np.abs(2 * (ranks + rng.random(ranks.shape)) / (DRAWS + 1) - 1)

    def chunks_of_draws(
        self, truth: np.ndarray, seed: int
    ) -> Iterator[tuple["Posterior", np.ndarray, np.ndarray]]:
        """Yield chunks of n posteriors with their truths (n, T) and draws (DRAWS, n, T)."""
        step = max(1, _VALUES_PER_CHUNK // (DRAWS * self.outputs.shape[-1]))
        for start in range(0, len(truth), step):
            rows = slice(start, start + step)
            part = self.of(rows)
            yield part, truth[rows], part.sample(DRAWS, seed + start)
