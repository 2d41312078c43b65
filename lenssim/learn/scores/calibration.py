"""Calibration of posteriors: shrinkage, scale of the errors, and radial base."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize_scalar

from lenssim.learn.heads import RadialBase
from lenssim.learn.scores.posterior import DRAWS, Posterior

__all__ = ["recalibrated"]

_MAX_LOG_SCALE = 8.0
_ROUNDS = 2
_OUTLIER_SIGMA = 5.0
_SIGMA_OF_MEDIAN = 0.6745  # median of |x| for a standard normal x


def recalibrated(posterior: Posterior, truth: np.ndarray, seed: int = 0) -> Posterior:
    """Return posteriors calibrated on N images with known truths.

    The shrinkage of each target is the slope of the truth by the posterior mean, between 0 and 1:
    means that vary without reason vary less. Then two fits alternate. The first finds the scale of
    each target's errors for which the truth's rank among draws is most uniform (Cramer and von
    Mises' statistic). The second finds the base with the radii of all targets together. A few
    outliers change none of them, unlike the mean of chi2 in the likelihood.

    Args:
        posterior: Posteriors of N images.
        truth: True targets (N, T).
        seed: Seed of the draws.

    Returns:
        The calibrated posteriors.
    """
    uncalibrated = posterior.uncalibrated
    fitted = replace(uncalibrated, shrinkage=_fitted_shrinkage(uncalibrated, truth))
    for _ in range(_ROUNDS):
        fitted = replace(fitted, sigma_scale=np.ones(len(fitted.sigma_scale)))
        fitted = replace(fitted, sigma_scale=_fitted_sigma_scale(fitted, truth, seed))
        base = RadialBase.fit(fitted.radii(truth), truth.shape[1])
        fitted = replace(fitted, head=replace(fitted.head, base=base))
    return fitted


def _fitted_shrinkage(posterior: Posterior, truth: np.ndarray) -> np.ndarray:
    """Fit the slopes (T,) of truths by means, both from the centre, without outliers."""
    from_centre = posterior.mean - posterior.centre
    errors = posterior.mean - truth
    typical = np.median(np.abs(errors), axis=0)
    inliers = np.abs(errors) < _OUTLIER_SIGMA * typical / _SIGMA_OF_MEDIAN
    squares = (from_centre**2 * inliers).sum(0)
    excess = np.divide(
        (from_centre * errors * inliers).sum(0),
        squares,
        where=squares > 0,
        out=np.zeros(len(squares)),
    )
    return (1 - excess).clip(0, 1)


def _fitted_sigma_scale(posterior: Posterior, truth: np.ndarray, seed: int) -> np.ndarray:
    """Fit the scales (T,) of the errors by draws of posteriors with scales of one."""
    count, targets = truth.shape
    mean = posterior.mean
    chunks = [draws for _, _, draws in posterior.chunks_of_draws(truth, seed)]
    draws = np.concatenate(chunks, axis=1)
    typical = np.median(
        np.abs(truth - mean) / np.median(np.abs(draws - mean), axis=0), axis=0
    )
    start = np.log(np.maximum(typical, 1e-300)).clip(-_MAX_LOG_SCALE, _MAX_LOG_SCALE)
    ties: np.ndarray = np.random.default_rng(seed).random((count,))
    scales = []
    for k in range(targets):
        misfit = _misfit(draws[..., k], mean[:, k], truth[:, k], ties)
        bounds = (start[k] - 1, start[k] + 1)
        minimum = minimize_scalar(misfit, bounds=bounds, method="bounded")
        scales.append(float(np.exp(minimum.x)))
    return np.array(scales)


def _misfit(
    draws: np.ndarray, mean: np.ndarray, truth: np.ndarray, ties: np.ndarray
) -> Callable[[float], float]:
    """Return the deviation of a target's ranks from uniform ones, by its logarithmic scale."""
    uniform = (np.arange(len(truth)) + 0.5) / len(truth)
    errors = truth - mean
    draws = np.ascontiguousarray(draws)

    def misfit(log_scale: float) -> float:
        lower = (draws < mean + errors * np.exp(-log_scale)).sum(0)
        shares = (lower + ties) / (DRAWS + 1)
        return float(((np.sort(shares) - uniform) ** 2).sum())

    return misfit
