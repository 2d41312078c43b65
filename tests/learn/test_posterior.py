from dataclasses import replace

import numpy as np
import pytest
import torch
from costs import without_dear
from scipy.stats import chi2, kstest

from lenssim.learn.heads import HEADS, RadialBase, head
from lenssim.learn.scores.calibration import recalibrated
from lenssim.learn.scores.posterior import Posterior
from lenssim.learn.scores.regression import uniformity

CENTRE, SPREAD = np.array([5.0, -2.0]), np.array([0.5, 3.0])
HEAVY = RadialBase(((0.5, 0.4), (1.5, 1.4), (2.5, 3.5)))


def posterior(name, n=400, passes=1, widths=(1.0, 1.0), slopes=(1.0, 1.0), seed=3):
    own = head(name, 2)
    outputs = 0.4 * torch.randn(
        passes, n, own.outputs, generator=torch.Generator().manual_seed(seed)
    )
    return Posterior(own, outputs, CENTRE, SPREAD, np.array(widths), np.array(slopes))


@pytest.mark.parametrize("passes", [1, 5])
@pytest.mark.parametrize("name", without_dear(HEADS, ["flow"]))
def test_truths_drawn_from_it_have_uniform_ranks(name, passes):
    own = posterior(name, passes=passes, widths=(2.0, 0.5))
    truth = np.stack([own.of(np.array([k])).sample(1, seed=k)[0, 0] for k in range(400)])
    below, likelier = own.ranks(truth)
    assert below.shape == (400, 2)
    assert (
        min(uniformity(below[:, 0]), uniformity(below[:, 1]), uniformity(likelier)) > 1e-3
    )


def test_ranks_find_answers_that_are_off_and_errors_too_small():
    own = posterior("full")
    truth = own.sample(1, seed=8)[0]
    off, _ = own.ranks(truth + own.sigma / 2)
    assert max(uniformity(off[:, k]) for k in (0, 1)) < 1e-6
    small = replace(own, sigma_scale=np.array([0.6, 0.6]))
    below, likelier = small.ranks(truth)
    assert max(*(uniformity(below[:, k]) for k in (0, 1)), uniformity(likelier)) < 1e-6


@pytest.mark.parametrize("name", HEADS)
def test_widths_and_slopes_scale_draws_moments_and_densities_alike(name):
    plain, wide = (
        posterior(name, n=3),
        posterior(name, n=3, widths=(2.0, 3.0), slopes=(0.5, 0.0)),
    )
    scale = np.array([2.0, 3.0])
    np.testing.assert_allclose(
        wide.mean, CENTRE + np.array([0.5, 0.0]) * (plain.mean - CENTRE)
    )
    np.testing.assert_allclose(wide.covariance, plain.covariance * np.outer(scale, scale))
    off = np.array([0.3, -1.0])
    expected = plain.log_density(plain.mean + off) - np.log(6)
    np.testing.assert_allclose(wide.log_density(wide.mean + scale * off), expected)
    np.testing.assert_allclose(
        wide.sample(9, 1) - wide.mean, scale * (plain.sample(9, 1) - plain.mean), atol=1e-12
    )


@pytest.mark.parametrize("name", HEADS)
def test_truths_drawn_from_it_are_covered(name):
    """Whatever the shape: places in central intervals are even, and normal numbers are."""
    own = replace(posterior(name, n=1500, widths=(2.0, 0.5)), head=head(name, 2, HEAVY))
    truth = own.sample(1, seed=9)[0]
    shares = own.central_probability(truth)
    assert shares.shape == truth.shape
    assert all(kstest(shares[:, k], "uniform").pvalue > 1e-3 for k in (0, 1))
    if name != "mixture":  # its normal numbers are those of one Gaussian
        assert kstest(own.chi2(truth), chi2(2).cdf).pvalue > 1e-3


@pytest.mark.parametrize("passes", [1, 3])
@pytest.mark.parametrize("name", without_dear(HEADS, ["flow"]))
def test_recalibration_finds_widths_and_radii(name, passes):
    """Of answers that are too wide in one target, too narrow in the other, and with tails that they do not tell of."""
    plain = posterior(name, n=6000, passes=passes)
    right = replace(plain, head=head(name, 2, HEAVY), sigma_scale=np.array([0.25, 4.0]))
    truth = np.concatenate(
        [right.of(slice(k, k + 100)).sample(1, seed=k)[0] for k in range(0, 6000, 100)]
    )
    fitted, judged = np.arange(0, 6000, 2), np.arange(1, 6000, 2)
    right_again = recalibrated(plain.of(fitted), truth[fitted])
    widths, base = right_again.sigma_scale, right_again.head.base
    np.testing.assert_allclose(
        widths * np.sqrt(base.variance(2) / HEAVY.variance(2)), right.sigma_scale, rtol=0.15
    )
    found = replace(right_again, outputs=plain.outputs[:, judged])
    shares = found.central_probability(truth[judged])
    assert all(kstest(shares[:, k], "uniform").pvalue > 1e-3 for k in (0, 1))
    if name != "mixture" and passes == 1:
        assert kstest(found.chi2(truth[judged]), chi2(2).cdf).pvalue > 1e-3
        assert kstest(plain.of(judged).chi2(truth[judged]), chi2(2).cdf).pvalue < 1e-9


def test_recalibration_leaves_right_answers_as_they_are():
    own = posterior("full", n=6000)
    found = recalibrated(own, own.sample(1, seed=5)[0])
    widths, base = found.sigma_scale, found.head.base
    assert found.shrinkage.min() > 0.9
    np.testing.assert_allclose(widths * np.sqrt(base.variance(2)), 1, rtol=0.05)
    at = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(
        base.radius(at) / np.sqrt(base.variance(2)), at, rtol=0.06, atol=0
    )


def test_answers_that_differ_for_no_reason_differ_less():
    """The first target's means are half noise, the second's nothing else; outliers change neither slope."""
    rng, n = np.random.default_rng(2), 8000
    told = 0.5 * rng.normal(size=n)
    said = np.stack([told + 0.5 * rng.normal(size=n), 0.1 * rng.normal(size=n)], axis=1)
    white = np.stack(
        [told + np.sqrt(0.75) * rng.normal(size=n), rng.normal(size=n)], axis=1
    )
    outputs = torch.from_numpy(np.concatenate([said, np.zeros((n, 3))], axis=1))[None]
    outputs[0, :10, :2] += 100
    plain = Posterior(head("full", 2), outputs, CENTRE, SPREAD, np.ones(2), np.ones(2))
    found = recalibrated(plain, white * SPREAD + CENTRE)
    assert found.shrinkage == pytest.approx(
        (0.5, 0), abs=0.11
    )  # 0.1 from chance, where nothing is said
    assert found.sigma[50] / SPREAD == pytest.approx((np.sqrt(0.875), 1), rel=0.03)
