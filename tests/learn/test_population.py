from dataclasses import replace

import numpy as np
import pytest
import torch
from error_codes import has_code
from scipy.stats import binom, kstest, multivariate_normal

from lenssim.errors import DataError
from lenssim.learn.heads import HEADS, NORMAL, RadialBase, head
from lenssim.learn.population.inference import (
    Prior,
    infer,
    log_likelihood,
    scattered_log_density,
)
from lenssim.learn.scores.average import AveragePosterior
from lenssim.learn.scores.posterior import Posterior
from lenssim.simulate.distributions import Normal, TruncatedNormal, Uniform

MEAN, SPREAD = np.array([0.1, -1.8]), np.array([0.04, 0.08])
PRIORS = {
    "normal": Prior(tuple(Normal(normal=pair) for pair in zip(MEAN, SPREAD, strict=True))),
    "uniform": Prior(
        tuple(
            Uniform(uniform=(m - 2 * s, m + 2 * s))
            for m, s in zip(MEAN, SPREAD, strict=True)
        )
    ),
}


def shared_log_density(posterior, prior, at, said=None):
    """Of the posterior at points (M, T) that all share, up to a constant."""
    return prior.log_density(at) + log_likelihood(posterior, prior, at, said)


def exact(mean, covariance):
    """The posterior of a full head whose answers are N(mean (N, T), covariance (N, T, T)) in the targets' own units."""
    white, scale = (mean - MEAN) / SPREAD, np.outer(SPREAD, SPREAD)
    root = np.linalg.cholesky(np.linalg.inv(covariance / scale))
    parts = [white, np.log(np.diagonal(root, axis1=1, axis2=2)), root[:, 1:2, 0]]
    outputs = torch.from_numpy(np.concatenate(parts, axis=1))[None]
    return Posterior(head("full", 2), outputs, MEAN, SPREAD, np.ones(2), np.ones(2))


def observed(kind, truth, rng):
    """Normal observations of truths (N, 2): the posterior of each under a prior, and of all if they share one truth."""
    roots = SPREAD[:, None] * (0.7 * rng.normal(size=(len(truth), 2, 2)) + 1.5 * np.eye(2))
    noise = roots @ roots.mT
    seen = truth + np.einsum("nij,nj->ni", roots, rng.normal(size=truth.shape))
    prior = np.diag(SPREAD**-2.0) if kind == "normal" else np.zeros((2, 2))
    weight = np.linalg.inv(noise)
    precision = weight + prior
    mean = np.linalg.solve(
        precision,
        np.einsum("nij,nj->ni", weight, seen)[..., None] + (prior @ MEAN)[:, None],
    )[..., 0]
    whole = np.linalg.inv(weight.sum(0) + prior)
    centre = whole @ (np.einsum("nij,nj->i", weight, seen) + prior @ MEAN)
    return (
        exact(mean, np.linalg.inv(precision)),
        multivariate_normal(centre, whole),
        (seen, noise),
    )


@pytest.mark.parametrize("kind", PRIORS)
def test_normal_posteriors_become_the_exact_one(kind):
    rng = np.random.default_rng(1)
    posterior, whole, _ = observed(kind, np.tile(MEAN + SPREAD / 2, (30, 1)), rng)
    at = whole.rvs(200, rng)
    at = at[np.isfinite(PRIORS[kind].log_density(at))]
    found, expected = shared_log_density(posterior, PRIORS[kind], at), whole.logpdf(at)
    assert len(at) > 100
    np.testing.assert_allclose(found - found[0], expected - expected[0], rtol=0, atol=1e-6)


def test_nothing_is_outside_the_prior_and_images_that_say_nothing_leave_it():
    away = PRIORS["uniform"].log_density(MEAN + 3 * SPREAD)
    assert away == -np.inf
    silent = exact(np.tile(MEAN, (50, 1)), np.tile(np.diag(SPREAD**2), (50, 1, 1)))
    assert (
        shared_log_density(silent, PRIORS["uniform"], (MEAN + 3 * SPREAD)[None]) == -np.inf
    )
    at = PRIORS["normal"].sample(100, np.random.default_rng(0))
    apart = shared_log_density(silent, PRIORS["normal"], at) - PRIORS["normal"].log_density(
        at
    )
    assert np.ptp(apart) < 1e-9


@pytest.mark.parametrize("passes", [1, 3])
@pytest.mark.parametrize("name", HEADS)
def test_every_head_is_combined_and_order_does_not_matter(name, passes):
    own = head(name, 2)
    outputs = 0.4 * torch.randn(
        passes, 5, own.outputs, generator=torch.Generator().manual_seed(2)
    )
    posterior = Posterior(
        own, outputs, MEAN, SPREAD, np.array([1.2, 0.9]), np.array([0.9, 1.0])
    )
    prior, at = PRIORS["normal"], PRIORS["normal"].sample(20, np.random.default_rng(3))
    found = shared_log_density(posterior, prior, at)
    each = np.stack(
        [posterior.of(np.array([k])).log_density(at[:, None])[:, 0] for k in range(5)]
    )
    np.testing.assert_allclose(found, each.sum(0) - 4 * prior.log_density(at), rtol=1e-9)
    np.testing.assert_allclose(
        shared_log_density(posterior.of(np.arange(5)[::-1].copy()), prior, at),
        found,
        rtol=1e-9,
    )
    np.testing.assert_allclose(
        shared_log_density(posterior.of(np.array([2])), prior, at), each[2], rtol=1e-9
    )


@pytest.mark.parametrize("kind", PRIORS)
def test_draws_have_the_moments_of_the_exact_posterior(kind):
    posterior, whole, _ = observed(kind, np.tile(MEAN, (30, 1)), np.random.default_rng(5))
    found = infer(posterior, PRIORS[kind], seed=3)
    sigma = np.sqrt(np.diag(whole.cov))
    np.testing.assert_allclose(found.mean, whole.mean, rtol=0, atol=0.15 * sigma.max())
    np.testing.assert_allclose(found.sigma, sigma, rtol=0.1)
    again = infer(posterior, PRIORS[kind], seed=3)
    np.testing.assert_array_equal(found.draws, again.draws)


def test_populations_with_scatter_have_the_exact_likelihood():
    rng = np.random.default_rng(7)
    truth = MEAN + 0.7 * SPREAD * rng.normal(size=(12, 2))
    posterior, _, (seen, noise) = observed("normal", truth, rng)
    mean, width = (
        MEAN + SPREAD * rng.normal(size=(20, 2)) / 2,
        SPREAD * rng.uniform(0.4, 1.2, size=(20, 2)),
    )
    draws = posterior.sample(40_000, 1)
    found = scattered_log_density(draws, PRIORS["normal"].log_density(draws), mean, width)
    expected = [
        sum(
            multivariate_normal(m, np.diag(w**2) + own).logpdf(x)
            for x, own in zip(seen, noise, strict=True)
        )
        for m, w in zip(mean, width, strict=True)
    ]
    apart = found - expected
    assert np.ptp(apart) < 0.15  # Monte Carlo: about 1 % an image


def drawn(prior, centre, width, images, rng):
    """Parameters (images, 2) from N(centre, width^2), cut to where the prior is not zero."""
    many = centre + width * rng.normal(size=(100 * images, 2))
    return many[np.isfinite(prior.log_density(many))][:images]


def covered(kind, scatter, populations, images, seed):
    """Shares of draws below the truth, (populations, P)."""
    shares = []
    for k in range(populations):
        rng = np.random.default_rng((seed, k))
        centre = PRIORS[kind].sample(1, rng)[0]
        width = np.exp(rng.uniform(np.log(0.1), np.log(2), 2)) * SPREAD * scatter
        posterior, _, _ = observed(
            kind, drawn(PRIORS[kind], centre, width, images, rng), rng
        )
        truth = np.concatenate([centre, width]) if scatter else centre
        shares.append(infer(posterior, PRIORS[kind], scatter=scatter, seed=k).below(truth))
    return np.array(shares)


def as_it_should_be(shares):
    """Coverage at 1 and 2 sigma within what chance allows, and no rank preferred."""
    count = len(shares)
    for level in (0.683, 0.954):
        inside = (np.abs(2 * shares - 1) <= level).sum(0)
        assert (binom.cdf(inside, count, level) > 1e-3).all(), (level, inside / count)
        assert (binom.sf(inside - 1, count, level) > 1e-3).all(), (level, inside / count)
    assert all(kstest(own, "uniform").pvalue > 1e-3 for own in shares.T)


@pytest.mark.slow
@pytest.mark.parametrize("scatter", [False, True])
@pytest.mark.parametrize("kind", PRIORS)
def test_truths_of_many_populations_are_covered_as_often_as_is_said(kind, scatter):
    as_it_should_be(covered(kind, scatter, 20 if scatter else 200, 20, 13))


def test_an_image_outside_the_prior_is_named():
    mean = np.tile(MEAN, (3, 1))
    mean[1] += 40 * SPREAD
    posterior = exact(mean, np.tile(np.diag((SPREAD / 9) ** 2), (3, 1, 1)))
    with pytest.raises(DataError, match="image 1 of 3", check=has_code("outside-prior")):
        infer(posterior, PRIORS["uniform"], scatter=True)


HEAVY = RadialBase(((0.5, 0.4), (1.5, 1.4), (2.5, 3.5)))
CUT = Prior(
    (TruncatedNormal(truncated_normal=(0.1, 0.04, 0.06, 0.25)), Normal(normal=(-1.8, 0.08)))
)


def best_normal(prior):
    """What a Gaussian head learns to say of images that show nothing: the moments of the prior."""
    drawn = prior.sample(200_000, np.random.default_rng(3))
    return exact(np.tile(drawn.mean(0), (200, 1)), np.tile(np.cov(drawn.T), (200, 1, 1)))


@pytest.mark.parametrize("base", [NORMAL, HEAVY], ids=["normal", "heavy"])
def test_what_a_normal_head_says_of_nothing_is_divided_out(base):
    """Of a prior that is cut, and so not normal, 64 images that show nothing leave the prior again."""
    silent = best_normal(CUT)
    silent = replace(silent, head=replace(silent.head, base=base))
    at = CUT.sample(300, np.random.default_rng(0))
    apart = shared_log_density(
        silent.of(slice(64)), CUT, at, AveragePosterior.of(silent)
    ) - CUT.log_density(at)
    assert np.ptp(apart) < 1e-6
    without = shared_log_density(silent.of(slice(64)), CUT, at) - CUT.log_density(at)
    assert np.ptp(without) > 5  # what adds up


def test_answers_averaged_are_the_prior_of_exact_posteriors():
    rng = np.random.default_rng(2)
    truth = PRIORS["normal"].sample(20_000, rng)
    posterior, _, _ = observed("normal", truth, rng)
    said, at = AveragePosterior.of(posterior), PRIORS["normal"].sample(100, rng)
    np.testing.assert_allclose(
        said.log_density(at), PRIORS["normal"].log_density(at), rtol=0, atol=0.15
    )
    own = posterior.of(slice(30))
    found, right = (
        infer(own, PRIORS["normal"], average=said, seed=1),
        infer(own, PRIORS["normal"], seed=1),
    )
    np.testing.assert_allclose(found.mean, right.mean, rtol=0, atol=0.3 * right.sigma.max())
    np.testing.assert_allclose(found.sigma, right.sigma, rtol=0.15)
