"""Correlation of the errors of a network within one population.

Posteriors that are calibrated one by one may still have common errors, where lenses with the same
parameters mislead a network in the same way. Averaging does not reduce such errors. N images whose
errors correlate by r then count as N / (1 + (N - 1) r) images (the design effect of Kish 1965), and
the combined likelihood is raised to that share of its power.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from lenssim.learn.population.inference import Prior, log_likelihood, power, spread_points
from lenssim.learn.scores.average import AveragePosterior
from lenssim.learn.scores.posterior import Posterior

__all__ = ["correlation"]

_SIZES = tuple(
    4**k for k in range(1, 16)
)  # numbers of images that the correlation is fitted to
_POINTS_PER_PROPOSAL = 512


@dataclass(frozen=True)
class _Part:
    """The first `size` images of a population.

    `log_likelihood` is the logarithm of the likelihood at the truth, and `log_evidence` a function
    of the power that the likelihood is raised to.
    """

    size: int
    log_likelihood: float
    log_evidence: Callable[[float], float]


def correlation(
    populations: Sequence[tuple[Posterior, np.ndarray]],
    prior: Prior,
    average: AveragePosterior | None = None,
    seed: int = 0,
) -> float:
    """Fit the correlation for which the shared truths of populations are most probable.

    Each population counts as a whole and by its first 4, 16, 64, ... images.

    Args:
        populations: Posteriors of the images of each population, and their shared truth (T,).
        prior: The prior of the training.
        average: The average posterior, as in `log_likelihood`.
        seed: Seed of the integration.

    Returns:
        The correlation, between 0 and 1.
    """
    rng = np.random.default_rng(seed)
    largest = max(len(posterior.mean) for posterior, _ in populations)
    parts = []
    for posterior, truth in populations:
        parts += _parts(posterior, truth, prior, average, rng)
    if not parts:
        return 0.0

    def surprise(logarithm: float) -> float:
        shared = np.expm1(logarithm) / (largest - 1)
        total = 0.0
        for part in parts:
            exponent = power(part.size, shared)
            total += exponent * part.log_likelihood - part.log_evidence(exponent)
        return -total

    bounds = (0.0, np.log(largest))
    minimum = float(minimize_scalar(surprise, bounds=bounds, method="bounded").x)
    if surprise(minimum) >= surprise(0.0):
        return 0.0
    return float(np.expm1(minimum) / (largest - 1))


def _parts(
    posterior: Posterior,
    truth: np.ndarray,
    prior: Prior,
    average: AveragePosterior | None,
    rng: np.random.Generator,
) -> list[_Part]:
    """Return the parts of a population that the correlation is fitted to."""
    count = len(posterior.mean)
    parts = []
    for size in sorted({size for size in _SIZES if size < count} | {count} - {1}):
        likelihood = partial(
            log_likelihood, posterior.of(slice(size)), prior, average=average
        )
        at_truth = float(likelihood(truth[None])[0])
        parts.append(_Part(size, at_truth, _evidence(likelihood, prior, size, rng)))
    return parts


def _evidence(
    likelihood: Callable[[np.ndarray], np.ndarray],
    prior: Prior,
    images: int,
    rng: np.random.Generator,
) -> Callable[[float], float]:
    """Return the logarithm of the integral of prior times likelihood to a power, by that power.

    The power lies between 1 / `images` and one.
    """
    _, log_weights, log_likelihoods = spread_points(
        likelihood, prior, images, 1.0, _POINTS_PER_PROPOSAL, rng
    )

    def evidence(exponent: float) -> float:
        total = logsumexp(log_weights + exponent * log_likelihoods)
        return float(total - np.log(len(log_weights)))

    return evidence
