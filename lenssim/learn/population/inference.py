"""Inference of populations from the posteriors of many images.

It is the hierarchical inference of Foreman-Mackey, Hogg & Morton 2014 (arXiv:1406.3020) and
Wagner-Carena et al. 2023 (arXiv:2203.00690). The likelihood of an image for its parameters theta is
its posterior over the prior p_0 of the training. A head of a fixed shape cannot represent p_0 for
an uninformative image, unless p_0 has that shape: it returns the closest distribution, and over
many images the difference adds up. `AveragePosterior` is that distribution, and replaces p_0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_t

from lenssim.errors import DataError
from lenssim.learn.population.prior import Prior
from lenssim.learn.scores.average import AveragePosterior
from lenssim.learn.scores.posterior import Posterior

__all__ = [
    "Inferred",
    "Prior",
    "infer",
    "log_likelihood",
    "power",
    "scattered_log_density",
    "spread_points",
]

_POINTS_PER_PROPOSAL = 2048
_SHARED_DRAWS = 6400
_POWER_RATIO = 4  # of the powers of consecutive proposals
_PROPOSAL_VARIANCE = 2.0  # relative to that of its target
_PROPOSAL_FREEDOM = 5.0  # degrees of freedom of the t distributions
_WALKERS = 32
_STEPS = 200  # of each walker: so many are discarded, and so many count
_START_POINTS = (
    1024  # draws of the prior, of which the most probable are the walkers' starts
)
_DRAWS_PER_IMAGE = 512
_MIN_WIDTH = 0.1  # of a population, in standard deviations of the training prior
_MAX_WIDTH = 2.0
_VALUES_PER_CHUNK = 2**22


@dataclass(frozen=True)
class Inferred:
    """The posterior of a population.

    Attributes:
        draws: Draws (D, P) of the P parameters that all lenses share; for a population with
            scatter, of means and then widths.
        images: Number of images.
        effective: Effective number (Kong 1992) of the points behind the draws; with scatter, the
            smallest over the images.
    """

    draws: np.ndarray
    images: int
    effective: float

    @property
    def mean(self) -> np.ndarray:
        """Return the posterior mean, shape (P,)."""
        return self.draws.mean(0)

    @property
    def sigma(self) -> np.ndarray:
        """Return the posterior standard deviation, shape (P,)."""
        return self.draws.std(0)

    def below(self, truth: np.ndarray) -> np.ndarray:
        """Return the share (P,) of draws below truths (P,), uniform for calibrated posteriors."""
        return (self.draws < truth).mean(0)


def power(images: int, correlation: float) -> float:
    """Return the share of the images that count where their errors correlate: 1 / (1 + (N - 1) r).

    Example:
        >>> power(11, 0.1)
        0.5
    """
    return 1 / (1 + (images - 1) * correlation)


def log_likelihood(
    posterior: Posterior,
    prior: Prior,
    points: np.ndarray,
    average: AveragePosterior | None = None,
) -> np.ndarray:
    """Return the log-likelihood of parameters that N images share.

    The likelihood is the product of q_i / s over the images. q_i is the posterior of image i, and s
    the average posterior.

    Args:
        posterior: Posteriors of N images.
        prior: The prior of the training.
        points: Parameters (M, T).
        average: The average posterior, by default the prior.

    Returns:
        Logarithms (M,), up to a constant; -inf outside of the prior.
    """
    logarithms = np.full(len(points), -np.inf)
    (in_prior,) = np.nonzero(np.isfinite(prior.log_density(points)))
    images = len(posterior.mean)
    step = max(1, _VALUES_PER_CHUNK // (images * posterior.outputs.shape[-1]))
    for start in range(0, len(in_prior), step):
        rows = in_prior[start : start + step]
        shared = np.repeat(points[rows, None], images, axis=1)
        logarithms[rows] = posterior.log_density(shared).sum(-1)
    if len(in_prior):
        logarithms[in_prior] -= images * (average or prior).log_density(points[in_prior])
    return logarithms


def spread_points(
    likelihood: Callable[[np.ndarray], np.ndarray],
    prior: Prior,
    images: int,
    largest: float,
    points: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw points for importance sampling of prior times a power of a likelihood.

    Proposals are the prior and t distributions that contract as the power grows (adaptive multiple
    importance sampling, Cornuet et al. 2012).

    Args:
        likelihood: Logarithm of the likelihood, by parameters (M, T).
        prior: The prior of the training.
        images: The smallest power is 1 / `images`.
        largest: The largest power.
        points: Number of points of each proposal.
        rng: Random generator.

    Returns:
        Points (M, T), and logarithms (M,) of prior over proposal and of the likelihood.
    """
    at = prior.sample(points, rng)
    log_likelihoods = likelihood(at)
    proposals: list[Callable[[np.ndarray], np.ndarray]] = [prior.log_density]
    steps = 1 + int(np.ceil(np.log(images * largest) / np.log(_POWER_RATIO)))
    for exponent in np.geomspace(1 / images, largest, steps):
        weights = softmax(_log_weights(prior, proposals, at) + exponent * log_likelihoods)
        proposal = _proposal(at, weights)
        new = proposal.rvs(points, random_state=rng).reshape(points, -1)
        at = np.concatenate([at, new])
        log_likelihoods = np.concatenate([log_likelihoods, likelihood(new)])
        log_likelihoods[log_likelihoods == -np.inf] = 0.0  # where the prior is zero
        proposals.append(proposal.logpdf)
    return at, _log_weights(prior, proposals, at), log_likelihoods


def _log_weights(
    prior: Prior, proposals: list[Callable[[np.ndarray], np.ndarray]], at: np.ndarray
) -> np.ndarray:
    """Return the logarithm (M,) of prior over the mixture of proposals."""
    mixture = logsumexp([density(at) for density in proposals], axis=0)
    return prior.log_density(at) - (mixture - np.log(len(proposals)))


def _proposal(at: np.ndarray, weights: np.ndarray) -> Any:
    """Return a t distribution around weighted points (M, T), wider than they are."""
    mean = weights @ at
    offsets = at - mean
    shape = _PROPOSAL_VARIANCE * (weights[:, None] * offsets).T @ offsets
    return multivariate_t(mean, shape + 1e-12 * np.diag(at.var(0)), df=_PROPOSAL_FREEDOM)


def scattered_log_density(
    draws: np.ndarray, log_average: np.ndarray, mean: np.ndarray, width: np.ndarray
) -> np.ndarray:
    """Return the log-likelihood of populations N(mean, width^2), up to a constant.

    It is the product over images i of the mean over draws k of N(theta_ik; mean, width^2) /
    s(theta_ik): importance sampling of the integral over each lens's parameters.

    Args:
        draws: Draws theta_ik (K, N, T) of the images' posteriors.
        log_average: Logarithm (K, N) of the average posterior s.
        mean: Means (M, T).
        width: Standard deviations (M, T).

    Returns:
        Logarithms (M,).
    """
    return _likelihood_and_effective(draws, log_average, mean, width)[0]


def _likelihood_and_effective(
    draws: np.ndarray, log_average: np.ndarray, mean: np.ndarray, width: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-likelihood (M,), and the effective number (M, N) of draws of each image."""
    likelihood = np.empty(len(mean))
    effective = np.empty((len(mean), draws.shape[1]))
    in_prior = np.isfinite(log_average)  # posteriors are zero outside the prior
    log_weights = np.where(in_prior, -log_average, -np.inf)
    step = max(1, _VALUES_PER_CHUNK // draws.size)
    for start in range(0, len(mean), step):
        rows = slice(start, start + step)
        pulls = (draws[None] - mean[rows, None, None]) / width[rows, None, None]
        log_width = np.log(width[rows]).sum(-1)[:, None, None]
        terms = log_weights - 0.5 * (pulls**2).sum(-1) - log_width
        total = logsumexp(terms, axis=1)
        likelihood[rows] = (total - np.log(in_prior.sum(0))).sum(-1)
        effective[rows] = np.exp(2 * total - logsumexp(2 * terms, axis=1))
    return likelihood, effective


def infer(
    posterior: Posterior,
    prior: Prior,
    *,
    average: AveragePosterior | None = None,
    correlation: float = 0.0,
    scatter: bool = False,
    seed: int = 0,
) -> Inferred:
    """Infer the population behind the posteriors of N images.

    Without scatter, all lenses share their parameters, which are drawn by importance sampling
    (`spread_points`). With scatter, each lens draws its own from N(mean, width^2), cut to the
    support of the training prior. Means have the training prior, and ln width is uniform between
    0.1 and 2 of its standard deviations. They are drawn with emcee (Foreman-Mackey et al. 2013): 32
    walkers of 200 steps, after 200 that are discarded.

    Args:
        posterior: Posteriors of N images.
        prior: The prior of the training.
        average: The average posterior, by default the prior.
        correlation: Correlation of the errors within a population without scatter.
        scatter: Whether lenses differ.
        seed: Seed of the draws.

    Returns:
        The posterior of the population.

    Raises:
        DataError: The posterior of an image lies outside of the prior.
    """
    rng = np.random.default_rng(seed)
    if scatter:
        return _infer_scattered(posterior, prior, average, seed, rng)
    images = len(posterior.mean)
    likelihood = partial(log_likelihood, posterior, prior, average=average)
    exponent = power(images, correlation)
    at, log_weights, log_likelihoods = spread_points(
        likelihood, prior, images, exponent, _POINTS_PER_PROPOSAL, rng
    )
    weights = softmax(log_weights + exponent * log_likelihoods)
    draws = at[rng.choice(len(at), _SHARED_DRAWS, p=weights)]
    return Inferred(draws, images, 1 / float((weights**2).sum()))


def _infer_scattered(
    posterior: Posterior,
    prior: Prior,
    average: AveragePosterior | None,
    seed: int,
    rng: np.random.Generator,
) -> Inferred:
    """Infer means and widths of a population with scatter."""
    starts = prior.sample(_START_POINTS, rng)
    images = len(posterior.mean)
    targets = starts.shape[1]
    draws = posterior.sample(_DRAWS_PER_IMAGE, seed)
    log_average = (average or prior).log_density(draws)
    _check_inside(log_average)
    sigma = prior.sample(_START_POINTS, np.random.default_rng(0)).std(0)
    limits = np.log(sigma[:, None] * [_MIN_WIDTH, _MAX_WIDTH])
    density = partial(_scattered_density, draws, log_average, prior, limits)
    widths = rng.uniform(*limits.T, size=starts.shape)
    points = _walk(density, np.concatenate([starts, widths], axis=1), rng)
    median = np.median(points, axis=0)[None]
    _, effective = _likelihood_and_effective(
        draws, log_average, median[:, :targets], np.exp(median[:, targets:])
    )
    points[:, targets:] = np.exp(points[:, targets:])
    return Inferred(points, images, float(effective.min()))


def _check_inside(log_average: np.ndarray) -> None:
    """Raise `DataError` if all draws (S, N) of an image lie outside the training prior."""
    outside = ~np.isfinite(log_average).any(0)
    if outside.any():
        raise DataError(
            f"image {int(np.argmax(outside))} of {len(outside)} lies outside the training prior "
            "altogether; leave it out",
            code="outside-prior",
            images=len(outside),
        )


def _scattered_density(
    draws: np.ndarray,
    log_average: np.ndarray,
    prior: Prior,
    limits: np.ndarray,
    points: np.ndarray,
) -> np.ndarray:
    """Return the log-density (M,) at means and logarithms of widths (M, 2 T)."""
    _, images, targets = draws.shape
    mean = points[:, :targets]
    log_width = points[:, targets:]
    allowed = ((log_width > limits[:, 0]) & (log_width < limits[:, 1])).all(1)
    density = np.where(allowed, prior.log_density(mean), -np.inf)
    (rows,) = np.nonzero(np.isfinite(density))
    width = np.exp(log_width[rows])
    density[rows] += scattered_log_density(draws, log_average, mean[rows], width)
    density[rows] -= images * prior.log_share(mean[rows], width)
    return density


def _walk(
    density: Callable[[np.ndarray], np.ndarray],
    starts: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return draws (D, P) of a density, by walkers from the most probable of `starts`."""
    from emcee import EnsembleSampler

    best = starts[np.argsort(-density(starts), kind="stable")[:_WALKERS]]
    sampler = EnsembleSampler(_WALKERS, starts.shape[1], density, vectorize=True)
    sampler.random_state = np.random.RandomState(rng.integers(2**31)).get_state()
    sampler.run_mcmc(best, 2 * _STEPS)
    return sampler.get_chain(discard=_STEPS, flat=True)
