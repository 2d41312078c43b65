"""Scores of measurements: errors, coverage and calibration ranks of posteriors, with intervals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.stats import chi2, chisquare, kstest

from lenssim.learn.scores.posterior import DRAWS, LEVELS, Posterior

__all__ = ["Measured", "interval", "middle", "uniformity"]

_RANKED = 2048  # samples whose ranks are found
_GROUPS = 16  # of equal numbers of ranks
_BINS = 5  # of a target, by its quantiles
_CHUNK = 2**22  # values that are resampled at a time


def interval(
    values: np.ndarray,
    statistic: Callable[..., np.ndarray],
    resamples: int,
    seed: int,
    level: float = 0.95,
) -> dict[str, float]:
    """A statistic of values (N,), with its percentile interval over samples drawn with replacement."""
    rng, n = np.random.default_rng(seed), len(values)
    rows = max(1, _CHUNK // n)
    counts = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    drawn = np.concatenate(
        [statistic(values[rng.integers(n, size=(count, n))], axis=1) for count in counts]
    )
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return {"value": float(statistic(values)), "low": float(low), "high": float(high)}


def middle(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """What 68.3 % of the values lie below."""
    return np.quantile(values, LEVELS[1], axis=axis)


def _root(squares: np.ndarray, axis: int | None = None) -> np.ndarray:
    return np.sqrt(np.mean(squares, axis=axis))


def uniformity(ranks: np.ndarray) -> float:
    """p-value of ranks in 0 ... `DRAWS` being uniform, by chi2 over sixteen groups of ranks."""
    counts = np.bincount(ranks * _GROUPS // (DRAWS + 1), minlength=_GROUPS)
    return float(chisquare(counts).pvalue)


@dataclass(frozen=True)
class Measured:
    """A posterior and the truth (N, T) of targets by `names`; `reference` (T,) is what who knows nothing would say."""

    names: tuple[str, ...]
    posterior: Posterior
    truth: np.ndarray
    reference: np.ndarray
    seed: int = 0

    @cached_property
    def error(self) -> np.ndarray:
        """Answer less truth, (N, T)."""
        return self.posterior.mean - self.truth

    @cached_property
    def sigma(self) -> np.ndarray:
        """(N, T)."""
        return self.posterior.sigma

    @cached_property
    def distance(self) -> np.ndarray:
        """chi2 (N,) of all targets together."""
        return self.posterior.chi2(self.truth)

    @cached_property
    def shares(self) -> np.ndarray:
        """Of each posterior, in the central interval of each target that ends at the truth (N, T)."""
        return self.posterior.shares(self.truth, self.seed)

    @cached_property
    def joint_shares(self) -> np.ndarray:
        """Of chi2's distribution, below that of all targets together (N,)."""
        return chi2(len(self.names)).cdf(self.distance)

    @cached_property
    def ranks(self) -> tuple[np.ndarray, np.ndarray]:
        """Of truths among draws (n, T), and of their densities (n,), for the first 2,048 samples."""
        some = slice(_RANKED)
        return self.posterior.of(some).ranks(self.truth[some], self.seed)

    @property
    def table(self) -> dict[str, np.ndarray]:
        """Truth, answer and errors of each sample, by column."""
        parts = {
            "": self.posterior.covariance,
            "_aleatoric": self.posterior.aleatoric,
            "_epistemic": self.posterior.epistemic,
        }
        sigma = {
            part: np.sqrt(np.diagonal(own, axis1=1, axis2=2)) for part, own in parts.items()
        }
        return {
            column: values
            for k, name in enumerate(self.names)
            for column, values in {
                f"{name}_true": self.truth[:, k],
                name: self.posterior.mean[:, k],
                **{f"{name}_sigma{part}": own[:, k] for part, own in sigma.items()},
            }.items()
        }

    def scores(self, resamples: int) -> dict[str, Any]:
        """Each with its interval: over all targets, and by target, also in bins of its truth."""

        def score(values: np.ndarray, statistic: Any = np.mean) -> dict[str, float]:
            return interval(values, statistic, resamples, self.seed)

        size, spread = np.abs(self.error), self.posterior.spread
        targets = {}
        for k, name in enumerate(self.names):
            ignorant = self.truth[:, k] - self.reference[k]
            targets[name] = {
                "mae": score(size[:, k]),
                "mae_of_the_mean": score(np.abs(ignorant)),
                "rmse": score(size[:, k] ** 2, _root),
                "rmse_of_the_mean": score(ignorant**2, _root),
                "bias": score(self.error[:, k]),
                "error_68": score(size[:, k], middle),
                **{
                    f"within_{n}": score(self.shares[:, k] <= level)
                    for n, level in LEVELS.items()
                },
                "ranks_p": uniformity(self.ranks[0][:, k]),
                "by_bin": self._bins(k),
            }
        return {
            "error": score((size / spread).mean(1), middle),
            "within_1": score((self.shares <= LEVELS[1]).mean(1)),
            **{
                f"joint_{n}": score(self.joint_shares <= level)
                for n, level in LEVELS.items()
            },
            "loss": score(-self.posterior.log_density(self.truth) - np.log(spread).sum()),
            "targets": targets,
        }

    def facts(self) -> dict[str, Any]:
        """What has no interval: tests of the errors against their distributions."""
        test = kstest(self.joint_shares, "uniform")
        return {
            "chi2_ks": {"distance": float(test.statistic), "p_value": float(test.pvalue)},
            "density_ranks_p": uniformity(self.ranks[1]),
            "ranked": {"samples": len(self.ranks[1]), "draws": DRAWS},
        }

    def _bins(self, k: int) -> list[Mapping[str, float]]:
        truth, error = self.truth[:, k], self.error[:, k]
        ignorant = truth - self.reference[k]
        edges = np.unique(np.quantile(truth, np.linspace(0, 1, _BINS + 1)))
        place = np.clip(
            np.searchsorted(edges, truth, side="right") - 1, 0, max(len(edges) - 2, 0)
        )
        found = []
        for b in range(len(edges) - 1):
            if (own := place == b).any():
                found.append(
                    {
                        "from": float(edges[b]),
                        "to": float(edges[b + 1]),
                        "n": int(own.sum()),
                        "mae": float(np.abs(error[own]).mean()),
                        "mae_of_the_mean": float(np.abs(ignorant[own]).mean()),
                        "rmse": float(_root(error[own] ** 2)),
                        "rmse_of_the_mean": float(_root(ignorant[own] ** 2)),
                        "sigma": float(self.sigma[own, k].mean()),
                    }
                )
        return found
