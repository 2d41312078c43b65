"""Scores of a regression: errors, coverage and calibration ranks of posteriors, with intervals."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.stats import chi2, chisquare, kstest

from lenssim.learn.scores.posterior import DRAWS, LEVELS, Posterior

__all__ = ["RegressionScores", "interval", "percentile_68", "uniformity"]

_RANKED_SAMPLES = 2048
_RANK_GROUPS = 16
_TRUTH_BINS = 5  # of a target, by its quantiles
_VALUES_PER_CHUNK = 2**22


def interval(
    values: np.ndarray,
    statistic: Callable[..., np.ndarray],
    resamples: int,
    seed: int,
    level: float = 0.95,
) -> dict[str, float]:
    """Return a statistic with its percentile interval over bootstrap samples.

    Args:
        values: Values (N,).
        statistic: A function of values and an axis.
        resamples: Number of bootstrap samples.
        seed: Their seed.
        level: Probability of the interval.

    Returns:
        `value`, `low` and `high`.

    Example:
        >>> interval(np.ones(10), np.mean, resamples=20, seed=0)
        {'value': 1.0, 'low': 1.0, 'high': 1.0}
    """
    rng = np.random.default_rng(seed)
    size = len(values)
    rows = max(1, _VALUES_PER_CHUNK // size)
    counts = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    resampled = np.concatenate(
        [
            statistic(values[rng.integers(size, size=(count, size))], axis=1)
            for count in counts
        ]
    )
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return {"value": float(statistic(values)), "low": float(low), "high": float(high)}


def percentile_68(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Return the value below which 68.3 % of the values lie."""
    return np.quantile(values, LEVELS[1], axis=axis)


def _root_mean(squares: np.ndarray, axis: int | None = None) -> np.ndarray:
    return np.sqrt(np.mean(squares, axis=axis))


def uniformity(ranks: np.ndarray) -> float:
    """Return the p-value of ranks in 0 ... `DRAWS` being uniform, by chi2 over 16 groups of ranks.

    Example:
        >>> uniformity(np.arange(DRAWS + 1))
        1.0
    """
    counts = np.bincount(ranks * _RANK_GROUPS // (DRAWS + 1), minlength=_RANK_GROUPS)
    return float(chisquare(counts).pvalue)


@dataclass(frozen=True)
class RegressionScores:
    """Scores of N posteriors of T targets against the truth.

    Attributes:
        names: Names of the targets.
        posterior: The posteriors.
        truth: True targets (N, T).
        baseline: Constant prediction (T,) that errors are compared with, the training mean.
        seed: Seed of draws and bootstrap samples.
    """

    names: tuple[str, ...]
    posterior: Posterior
    truth: np.ndarray
    baseline: np.ndarray
    seed: int = 0

    @cached_property
    def error(self) -> np.ndarray:
        """Return posterior mean minus truth, shape (N, T)."""
        return self.posterior.mean - self.truth

    @cached_property
    def sigma(self) -> np.ndarray:
        """Return the posterior standard deviations, shape (N, T)."""
        return self.posterior.sigma

    @cached_property
    def distance(self) -> np.ndarray:
        """Return chi2 over all targets, shape (N,)."""
        return self.posterior.chi2(self.truth)

    @cached_property
    def central_probability(self) -> np.ndarray:
        """Return the probability (N, T) of the central interval that just contains the truth.

        It is uniform in 0 ... 1 if the posteriors are calibrated.
        """
        return self.posterior.central_probability(self.truth, self.seed)

    @cached_property
    def joint_probability(self) -> np.ndarray:
        """Return the probability of a smaller chi2 over all targets, shape (N,)."""
        return chi2(len(self.names)).cdf(self.distance)

    @cached_property
    def ranks(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the ranks of the first 2,048 truths by value (n, T) and by density (n,)."""
        ranked = slice(_RANKED_SAMPLES)
        return self.posterior.of(ranked).ranks(self.truth[ranked], self.seed)

    @property
    def table(self) -> dict[str, np.ndarray]:
        """Return truth, posterior mean and errors of each sample, by column."""
        covariances = {
            "": self.posterior.covariance,
            "_aleatoric": self.posterior.aleatoric,
            "_epistemic": self.posterior.epistemic,
        }
        sigmas = {
            suffix: np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
            for suffix, covariance in covariances.items()
        }
        columns: dict[str, np.ndarray] = {}
        for k, name in enumerate(self.names):
            columns[f"{name}_true"] = self.truth[:, k]
            columns[name] = self.posterior.mean[:, k]
            for suffix, sigma in sigmas.items():
                columns[f"{name}_sigma{suffix}"] = sigma[:, k]
        return columns

    def scores(self, resamples: int) -> dict[str, Any]:
        """Return the scores with intervals: over all targets, by target, and by bin."""
        spread = self.posterior.spread
        size = np.abs(self.error)
        log_density = self.posterior.log_density(self.truth)
        targets = {
            name: self._target_scores(k, resamples) for k, name in enumerate(self.names)
        }
        within_1 = (self.central_probability <= LEVELS[1]).mean(1)
        joint = {
            f"joint_{n}": self._score(self.joint_probability <= level, resamples)
            for n, level in LEVELS.items()
        }
        return {
            "error": self._score((size / spread).mean(1), resamples, percentile_68),
            "within_1": self._score(within_1, resamples),
            **joint,
            "loss": self._score(-log_density - np.log(spread).sum(), resamples),
            "targets": targets,
        }

    def _score(
        self,
        values: np.ndarray,
        resamples: int,
        statistic: Callable[..., np.ndarray] = np.mean,
    ) -> dict[str, float]:
        return interval(values, statistic, resamples, self.seed)

    def _target_scores(self, k: int, resamples: int) -> dict[str, Any]:
        """Return the scores of target k."""
        error = self.error[:, k]
        size = np.abs(error)
        baseline_error = self.truth[:, k] - self.baseline[k]
        probability = self.central_probability[:, k]
        coverage = {
            f"within_{n}": self._score(probability <= level, resamples)
            for n, level in LEVELS.items()
        }
        return {
            "mae": self._score(size, resamples),
            "mae_of_the_mean": self._score(np.abs(baseline_error), resamples),
            "rmse": self._score(size**2, resamples, _root_mean),
            "rmse_of_the_mean": self._score(baseline_error**2, resamples, _root_mean),
            "bias": self._score(error, resamples),
            "error_68": self._score(size, resamples, percentile_68),
            **coverage,
            "ranks_p": uniformity(self.ranks[0][:, k]),
            "by_bin": self._bins(k),
        }

    def facts(self) -> dict[str, Any]:
        """Return the results without intervals: tests of the errors against their distributions."""
        test = kstest(self.joint_probability, "uniform")
        return {
            "chi2_ks": {"distance": float(test.statistic), "p_value": float(test.pvalue)},
            "density_ranks_p": uniformity(self.ranks[1]),
            "ranked": {"samples": len(self.ranks[1]), "draws": DRAWS},
        }

    def _bins(self, k: int) -> list[dict[str, float]]:
        """Return errors and sigma of target k in bins of its truth."""
        truth = self.truth[:, k]
        edges = np.unique(np.quantile(truth, np.linspace(0, 1, _TRUTH_BINS + 1)))
        bins = np.searchsorted(edges, truth, side="right") - 1
        bins = np.clip(bins, 0, max(len(edges) - 2, 0))
        scores = []
        for index in range(len(edges) - 1):
            members = bins == index
            if members.any():
                limits = {"from": float(edges[index]), "to": float(edges[index + 1])}
                scores.append(limits | self._bin_scores(k, members))
        return scores

    def _bin_scores(self, k: int, members: np.ndarray) -> dict[str, float]:
        error = self.error[members, k]
        baseline_error = self.truth[members, k] - self.baseline[k]
        return {
            "n": int(members.sum()),
            "mae": float(np.abs(error).mean()),
            "mae_of_the_mean": float(np.abs(baseline_error).mean()),
            "rmse": float(_root_mean(error**2)),
            "rmse_of_the_mean": float(_root_mean(baseline_error**2)),
            "sigma": float(self.sigma[members, k].mean()),
        }
