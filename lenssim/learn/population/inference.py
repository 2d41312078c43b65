"""Populations: posteriors of many images, each under the prior of the training, as one of what their lenses share.

Hierarchical inference of Foreman-Mackey, Hogg & Morton 2014 (arXiv:1406.3020) and Wagner-Carena et al. 2023
(arXiv:2203.00690): what an image says of its parameters theta is its posterior over the prior p_0 that the network was
trained under. A head of a fixed shape cannot say p_0 of an image that shows nothing, unless p_0 has that shape: it says
what comes closest, and over many images the difference adds up. `Averaged` is that answer, and takes the place of p_0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import logsumexp, ndtr, softmax
from scipy.stats import multivariate_t

from lenssim.errors import DataError
from lenssim.learn.scores.average import AveragePosterior
from lenssim.learn.scores.posterior import Posterior
from lenssim.simulate.distributions import log_density, sample, support

__all__ = [
    "Inferred",
    "Prior",
    "infer",
    "log_likelihood",
    "power",
    "scattered_log_density",
    "spread_points",
]

_POINTS = 2048  # of each proposal of a shared posterior
_DRAWN = 6400  # of a shared posterior
_RATIO = 4  # of the powers of proposals
_WIDER = 2.0  # a proposal than what it is meant for, in variance
_FREEDOM = 5.0  # of a proposal's tails
_WALKERS = 32
_STEPS = 200  # of each walker that are thrown away, and that are kept
_STARTS = 1024  # points of the prior among which walkers begin at the most probable
_DRAWS = 512  # of the posterior of each image
_NARROWEST, _WIDEST = (
    0.1,
    2.0,
)  # of a population's width, in standard deviations of the training prior
_CHUNK = 2**22  # numbers that are worked on at a time


@dataclass(frozen=True)
class Prior:
    """What T parameters of the training were drawn from, one law each, independently."""

    laws: tuple[Any, ...]

    def log_density(self, at: np.ndarray) -> np.ndarray:
        """Logarithm (...) of the density at (..., T); -inf where nothing was drawn."""
        return sum(log_density(law, at[..., k]) for k, law in enumerate(self.laws))

    def log_share(self, mean: np.ndarray, width: np.ndarray) -> np.ndarray:
        """Logarithm (M,) of the share of N(mean, width^2) that lies where parameters were drawn, means (M, T) there."""
        low, high = np.array([support(law) for law in self.laws]).T
        return np.log(ndtr((high - mean) / width) - ndtr((low - mean) / width)).sum(-1)

    def sample(self, draws: int, rng: np.random.Generator) -> np.ndarray:
        """(draws, T)."""
        return np.stack([sample(law, rng, draws) for law in self.laws], axis=1)


@dataclass(frozen=True)
class Inferred:
    """Draws (D, P) of the posterior of a population of `images`.

    The P numbers are those that all lenses share; of a population with scatter, means and then widths.
    `effective` is the effective number (Kong 1992) of the points that they were drawn from, with scatter the least of
    those that stood for an image.
    """

    draws: np.ndarray
    images: int
    effective: float

    @property
    def mean(self) -> np.ndarray:
        """(P,)."""
        return self.draws.mean(0)

    @property
    def sigma(self) -> np.ndarray:
        """(P,)."""
        return self.draws.std(0)

    def below(self, truth: np.ndarray) -> np.ndarray:
        """Share of the draws below truths (P,); uniform if the posterior is right."""
        return (self.draws < truth).mean(0)


def power(images: int, correlation: float) -> float:
    """Share of the images that count, where their errors correlate: 1 / (1 + (N - 1) r)."""
    return 1 / (1 + (images - 1) * correlation)


def log_likelihood(
    posterior: Posterior, prior: Prior, at: np.ndarray, said: AveragePosterior | None = None
) -> np.ndarray:
    """Logarithm (M,), up to a constant, of what N images say of points (M, T) that all share: prod_i q_i / s.

    q_i is the posterior of image i, s what is `said` of an image that shows nothing, by default the prior. -inf outside
    of the prior.
    """
    found = np.full(len(at), -np.inf)
    (inside,) = np.nonzero(np.isfinite(prior.log_density(at)))
    images = len(posterior.mean)
    step = max(1, _CHUNK // (images * posterior.outputs.shape[-1]))
    for rows in (inside[start : start + step] for start in range(0, len(inside), step)):
        found[rows] = posterior.log_density(np.repeat(at[rows, None], images, axis=1)).sum(
            -1
        )
    if len(inside):
        found[inside] -= images * (said or prior).log_density(at[inside])
    return found


def spread_points(
    likelihood: Callable[[np.ndarray], np.ndarray],
    prior: Prior,
    images: int,
    largest: float,
    points: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For importance sampling of prior times a power of a likelihood, from 1 / `images` to `largest`.

    Returns points (M, T), and logarithms (M,) of prior over proposal and of the likelihood. Proposals are the prior and
    t distributions that close in as the power grows, `points` of each (adaptive multiple importance sampling, Cornuet
    et al. 2012).
    """
    at = prior.sample(points, rng)
    found, densities = likelihood(at), [prior.log_density]

    def over_proposals() -> np.ndarray:
        proposed = logsumexp([density(at) for density in densities], axis=0) - np.log(
            len(densities)
        )
        return prior.log_density(at) - proposed

    steps = 1 + int(np.ceil(np.log(images * largest) / np.log(_RATIO)))
    for own in np.geomspace(1 / images, largest, steps):
        share = softmax(over_proposals() + own * found)
        mean = share @ at
        apart = at - mean
        shape = _WIDER * (share[:, None] * apart).T @ apart
        closer = multivariate_t(mean, shape + 1e-12 * np.diag(at.var(0)), df=_FREEDOM)
        more = closer.rvs(points, random_state=rng).reshape(points, -1)
        at, found = np.concatenate([at, more]), np.concatenate([found, likelihood(more)])
        found[found == -np.inf] = 0.0  # where the prior is zero
        densities.append(closer.logpdf)
    return at, over_proposals(), found


def scattered_log_density(
    draws: np.ndarray, log_said: np.ndarray, mean: np.ndarray, width: np.ndarray
) -> np.ndarray:
    """Logarithm (M,), up to a constant, of the likelihood of populations N(mean, width^2), both (M, T).

    prod_i 1 / K sum_k N(theta_ik; mean, width^2) / s(theta_ik), over `draws` theta_ik (K, N, T) of the images'
    posteriors, where `log_said` (K, N) is ln s, of an image that shows nothing: importance sampling of the integral
    over each lens's own theta.
    """
    return _shares(draws, log_said, mean, width)[0]


def _shares(
    draws: np.ndarray, log_said: np.ndarray, mean: np.ndarray, width: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The logarithm (M,), and the effective number (M, N) of draws of each image."""
    likelihood, effective = np.empty(len(mean)), np.empty((len(mean), draws.shape[1]))
    inside = np.isfinite(
        log_said
    )  # the posterior of an image is zero outside the prior, whatever a network says
    weight = np.where(inside, -log_said, -np.inf)
    step = max(1, _CHUNK // draws.size)
    for start in range(0, len(mean), step):
        part = slice(start, start + step)
        pulls = (draws[None] - mean[part, None, None]) / width[part, None, None]
        each = (
            weight - 0.5 * (pulls**2).sum(-1) - np.log(width[part]).sum(-1)[:, None, None]
        )
        total = logsumexp(each, axis=1)
        likelihood[part] = (total - np.log(inside.sum(0))).sum(-1)
        effective[part] = np.exp(2 * total - logsumexp(2 * each, axis=1))
    return likelihood, effective


def infer(
    posterior: Posterior,
    prior: Prior,
    *,
    said: AveragePosterior | None = None,
    correlation: float = 0.0,
    scatter: bool = False,
    seed: int = 0,
) -> Inferred:
    """The population behind the posteriors of N images; `said` of those that show nothing, by default the prior.

    All lenses share their parameters or, with `scatter`, each draws its own from N(mean, width^2), cut to where the
    training prior is not zero: means under that prior, ln width even between 0.1 and 2 of its standard deviations. What
    all share is drawn by importance (`spread_points`), populations with scatter by emcee (Foreman-Mackey et al. 2013),
    32 walkers of 200 steps after 200 that are thrown away. `DataError` if an image's posterior lies outside the prior.
    """
    rng = np.random.default_rng(seed)
    images = len(posterior.mean)
    if not scatter:
        likelihood, counted = (
            partial(log_likelihood, posterior, prior, said=said),
            power(images, correlation),
        )
        at, known, found = spread_points(likelihood, prior, images, counted, _POINTS, rng)
        share = softmax(known + counted * found)
        return Inferred(
            at[rng.choice(len(at), _DRAWN, p=share)], images, 1 / float((share**2).sum())
        )
    starts = prior.sample(_STARTS, rng)
    own = posterior.sample(_DRAWS, seed)
    known = (said or prior).log_density(own)
    if (lost := ~np.isfinite(known).any(0)).any():
        raise DataError(
            f"image {int(np.argmax(lost))} of {images} lies outside the training prior altogether; leave it out"
        )
    limits = np.log(
        prior.sample(_STARTS, np.random.default_rng(0)).std(0)[:, None]
        * [_NARROWEST, _WIDEST]
    )
    targets = starts.shape[1]

    def density(at: np.ndarray) -> np.ndarray:
        mean, logarithm = at[:, :targets], at[:, targets:]
        allowed = ((logarithm > limits[:, 0]) & (logarithm < limits[:, 1])).all(1)
        found = np.where(allowed, prior.log_density(mean), -np.inf)
        (rows,) = np.nonzero(np.isfinite(found))
        width = np.exp(logarithm[rows])
        found[rows] += scattered_log_density(own, known, mean[rows], width)
        found[rows] -= images * prior.log_share(mean[rows], width)
        return found

    widths = rng.uniform(*limits.T, size=starts.shape)
    found = _walk(density, np.concatenate([starts, widths], axis=1), rng)
    middle = np.median(found, axis=0)[None]
    _, effective = _shares(own, known, middle[:, :targets], np.exp(middle[:, targets:]))
    found[:, targets:] = np.exp(found[:, targets:])
    return Inferred(found, images, float(effective.min()))


def _walk(
    density: Callable[[np.ndarray], np.ndarray],
    starts: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draws (D, P) of a density, by walkers that begin at the most probable of the points `starts`."""
    from emcee import EnsembleSampler

    best = starts[np.argsort(-density(starts), kind="stable")[:_WALKERS]]
    sampler = EnsembleSampler(_WALKERS, starts.shape[1], density, vectorize=True)
    sampler.random_state = np.random.RandomState(rng.integers(2**31)).get_state()
    sampler.run_mcmc(best, 2 * _STEPS)
    return sampler.get_chain(discard=_STEPS, flat=True)
