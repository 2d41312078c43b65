import numpy as np
import pytest
import torch
from scipy.stats import chi2, kstest

from lenssim.learn.heads import HEADS, head
from lenssim.learn.measures import uniformity
from lenssim.learn.posterior import Posterior, chi2_distances, fitted_widths

CENTRE, SPREAD = np.array([5.0, -2.0]), np.array([0.5, 3.0])


def posterior(name, n=400, passes=1, widths=(1.0, 1.0), seed=3):
    own = head(name, 2)
    outputs = 0.4 * torch.randn(passes, n, own.outputs, generator=torch.Generator().manual_seed(seed))
    return Posterior(own, outputs, CENTRE, SPREAD, np.array(widths))


@pytest.mark.parametrize("passes", [1, 5])
@pytest.mark.parametrize("name", HEADS)
def test_truths_drawn_from_it_have_uniform_ranks(name, passes):
    own = posterior(name, passes=passes, widths=(2.0, 0.5))
    truth = np.stack([own.of(np.array([k])).sample(1, seed=k)[0, 0] for k in range(400)])
    below, likelier = own.ranks(truth, 255)
    assert below.shape == (400, 2)
    assert min(uniformity(below[:, 0]), uniformity(below[:, 1]), uniformity(likelier)) > 1e-3


def test_ranks_find_answers_that_are_off_and_errors_too_small():
    own = posterior("full")
    truth = own.sample(1, seed=8)[0]
    off, _ = own.ranks(truth + own.sigma / 2, 255)
    assert max(uniformity(off[:, k]) for k in (0, 1)) < 1e-6
    small = Posterior(own.head, own.outputs, CENTRE, SPREAD, np.array([0.6, 0.6]))
    below, likelier = small.ranks(truth, 255)
    assert max(*(uniformity(below[:, k]) for k in (0, 1)), uniformity(likelier)) < 1e-6


@pytest.mark.parametrize("name", HEADS)
def test_widths_scale_draws_moments_and_densities_alike(name):
    plain, wide = posterior(name, n=3), posterior(name, n=3, widths=(2.0, 3.0))
    scale = np.array([2.0, 3.0])
    np.testing.assert_allclose(wide.mean, plain.mean)
    np.testing.assert_allclose(wide.covariance, plain.covariance * np.outer(scale, scale))
    off = np.array([0.3, -1.0])
    expected = plain.log_density(plain.mean + off) - np.log(6)
    np.testing.assert_allclose(wide.log_density(wide.mean + scale * off), expected)
    np.testing.assert_allclose(wide.sample(9, 1) - wide.mean, scale * (plain.sample(9, 1) - plain.mean), atol=1e-12)


def test_distances_are_those_of_the_inverse_and_never_fail():
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(50, 4, 4))
    covariance, error = roots @ roots.mT, rng.normal(size=(50, 4))
    expected = np.einsum("ni,nij,nj->n", error, np.linalg.inv(covariance), error)
    np.testing.assert_allclose(chi2_distances(error, covariance), expected, rtol=1e-6)
    alike = np.ones((1, 4, 4)) * np.outer([1e-6, 1, 1e6, 1], [1e-6, 1, 1e6, 1])  # singular, and of mixed sizes
    assert np.isfinite(chi2_distances(error[:1], alike)).all()
    wild = head("full", 6)
    outputs = 30 * torch.randn(3000, wild.outputs, generator=torch.Generator().manual_seed(1))
    found = chi2_distances(rng.normal(size=(3000, 6)), wild.covariance(outputs).numpy())
    assert np.isfinite(found).all()


def test_fitted_widths_make_chi2_its_distribution():
    rng = np.random.default_rng(1)
    roots = 0.3 * rng.normal(size=(4000, 3, 3)) + np.eye(3)
    covariance, wrong = roots @ roots.mT, np.array([0.25, 1.0, 4.0])
    error = np.einsum("nij,nj->ni", roots, rng.normal(size=(4000, 3)))
    widths = fitted_widths(error, covariance * np.outer(1 / wrong, 1 / wrong))
    np.testing.assert_allclose(widths, wrong, rtol=0.03)
    scale = widths / wrong
    assert kstest(chi2_distances(error, covariance * np.outer(scale, scale)), chi2(3).cdf).pvalue > 0.05
