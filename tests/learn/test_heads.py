import numpy as np
import pytest
import torch
from costs import without_dear
from error_codes import has_code
from scipy.special import logsumexp
from scipy.stats import chi, cramervonmises, kstest, multivariate_normal, norm

from lenssim.errors import ConfigError
from lenssim.learn.heads import HEADS, NORMAL, RadialBase, head
from lenssim.learn.heads.gaussian import Gaussian
from lenssim.learn.heads.head import standardised

GAUSSIANS = [name for name, kind in HEADS.items() if issubclass(kind, Gaussian)]
every_head = pytest.mark.parametrize("name", HEADS)
every_gaussian = pytest.mark.parametrize("name", GAUSSIANS)
HEAVY = RadialBase(((0.5, 0.4), (1.5, 1.4), (2.5, 3.5)))
every_base = pytest.mark.parametrize("base", [NORMAL, HEAVY], ids=["normal", "heavy"])


def drawn(name, targets, n=64, scale=1.0, dtype=torch.float64, base=NORMAL):
    draw = torch.Generator().manual_seed(5)
    own = head(name, targets, base)
    outputs = scale * torch.randn((n, own.outputs), generator=draw, dtype=dtype)
    return own, outputs, torch.randn((n, targets), generator=draw, dtype=dtype)


def normal(own, outputs, values):
    """Densities by scipy of a Gaussian head's mean and covariance."""
    each = zip(
        own.mean(outputs).numpy(),
        own.covariance(outputs).numpy(),
        values.numpy(),
        strict=True,
    )
    return np.array([multivariate_normal(m, c).logpdf(y) for m, c, y in each])


def mixed(own, outputs, values):
    """Densities by scipy of three Gaussians, their outputs after the weights."""
    weights = outputs[:, :3].numpy() - logsumexp(
        outputs[:, :3].numpy(), axis=1, keepdims=True
    )
    part = head("full", own.targets)
    return logsumexp(
        weights
        + np.stack([normal(part, p, values) for p in outputs[:, 3:].chunk(3, 1)], 1),
        axis=1,
    )


def flowed(own, outputs, values):
    """Densities by scipy of z, and the determinant of the whole Jacobian that autograd finds."""

    def one(parameters, value):
        jacobian = torch.autograd.functional.jacobian(
            lambda y: own.normalised(parameters, y), value
        )
        z = own.normalised(parameters, value).numpy()
        return norm.logpdf(z).sum() + np.linalg.slogdet(jacobian.numpy())[1]

    return np.array(
        [one(parameters, value) for parameters, value in zip(outputs, values, strict=True)]
    )


WITNESS = {**dict.fromkeys(GAUSSIANS, normal), "mixture": mixed, "flow": flowed}


def test_numbers_of_outputs():
    counts = {"point": 6, "diagonal": 12, "full": 27, "mixture": 84, "flow": 318}
    assert {name: head(name, 6).outputs for name in HEADS} == counts
    with pytest.raises(ConfigError, check=has_code("unknown-head", suggestion="diagonal")):
        head("diagnal", 6)


@every_head
@pytest.mark.parametrize("targets", [1, 2, 6])
def test_densities_are_scipy_s(name, targets):
    own, outputs, values = drawn(name, targets)
    expected = WITNESS[name](own, outputs, values)
    np.testing.assert_allclose(
        own.log_prob(outputs, values).numpy(), expected, rtol=1e-6, atol=1e-6
    )


@every_head
def test_gradients_are_those_of_scipy_s_density(name):
    own, outputs, values = drawn(name, 3, n=4)
    outputs.requires_grad_(True)
    own.log_prob(outputs, values).sum().backward()
    step, start = 1e-5, outputs.detach()
    for k in range(0, own.outputs, max(1, own.outputs // 40)):
        shift = torch.zeros(own.outputs, dtype=torch.float64)
        shift[k] = step
        ahead, behind = (
            WITNESS[name](own, start + sign * shift, values) for sign in (1, -1)
        )
        np.testing.assert_allclose(
            outputs.grad[:, k].numpy(), (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize("name", without_dear(HEADS, ["flow", "mixture"]))
def test_single_precision_never_gives_nan(name):
    """A million random outputs; of two targets for the flow, whose splines take long."""
    for part in range(10):
        draw = torch.Generator().manual_seed(part)
        own = head(name, 2 if name == "flow" else 6)
        outputs = (30 * torch.randn((100_000, own.outputs), generator=draw)).requires_grad_(
            True
        )
        loss = -own.log_prob(outputs, torch.randn((100_000, own.targets), generator=draw))
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert torch.isfinite(outputs.grad).all()


@every_base
@every_head
def test_answers_to_wild_outputs_are_finite(name, base):
    own, outputs, values = drawn(name, 6, n=2000, scale=30, dtype=torch.float32, base=base)
    assert torch.isfinite(own.log_prob(outputs, values)).all()
    draws = own.sample(outputs, 8, torch.Generator().manual_seed(0))
    assert all(
        torch.isfinite(each).all()
        for each in (own.mean(outputs), own.covariance(outputs), draws)
    )


@every_base
@every_head
def test_draws_follow_the_density(name, base):
    """In one dimension, by the distribution function that integrating the density gives (Cramer-von Mises)."""
    own, outputs, _ = drawn(name, 1, n=4, scale=0.7, base=base)
    axis = torch.linspace(-60, 60, 60_001, dtype=torch.float64)
    draws = own.sample(outputs, 2000, torch.Generator().manual_seed(1))
    for k, each in enumerate(outputs):
        density = own.log_prob(each.expand(len(axis), -1), axis[:, None]).exp()
        below = torch.cumulative_trapezoid(density, axis).numpy()
        assert (
            cramervonmises(
                draws[:, k, 0].numpy(), lambda x, b=below: np.interp(x, axis[1:], b)
            ).pvalue
            > 1e-3
        )


@every_base
@every_head
def test_moments_are_those_of_the_draws(name, base):
    own, outputs, _ = drawn(name, 3, n=6, scale=0.4, base=base)
    draws = own.sample(outputs, 40_000, torch.Generator().manual_seed(2))
    assert draws.shape == (40_000, 6, 3)
    mean, covariance = own.mean(outputs), own.covariance(outputs)
    sigma = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    torch.testing.assert_close(
        (draws.mean(0) - mean) / sigma, torch.zeros_like(mean), rtol=0, atol=0.03
    )
    apart = (draws - draws.mean(0)) / sigma
    found = torch.einsum("dni,dnj->nij", apart, apart) / len(draws)
    close = (
        0.12 if name == "flow" and base.knots else 0.06
    )  # the flow's 256 points hold one in 256 of a heavy tail
    torch.testing.assert_close(
        found, covariance / (sigma[..., None] * sigma[..., None, :]), rtol=0, atol=close
    )


@every_gaussian
def test_the_root_is_that_of_the_inverse_covariance(name):
    own, outputs, _ = drawn(name, 4)
    root = own.root(outputs)
    unit = torch.eye(4, dtype=torch.float64).expand(len(root), 4, 4)
    torch.testing.assert_close(
        own.covariance(outputs) @ (root @ root.mT), unit, rtol=0, atol=1e-6
    )
    assert torch.equal(root, root.tril())


@every_base
@pytest.mark.parametrize("name", [name for name in HEADS if name != "mixture"])
def test_draws_are_of_the_base_again(name, base):
    own, outputs, _ = drawn(name, 3, n=1, scale=0.4, base=base)
    draws = own.sample(outputs, 2000, torch.Generator().manual_seed(3))
    radii = base.normal_radius(own.normalised(outputs, draws).norm(dim=-1))[:, 0]
    assert kstest(radii.numpy(), chi(3).cdf).pvalue > 1e-3


def test_distances_are_those_of_the_inverse_and_never_fail():
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(50, 4, 4))
    covariance, error = roots @ roots.mT, rng.normal(size=(50, 4))
    expected = np.einsum("ni,nij,nj->n", error, np.linalg.inv(covariance), error)
    found = standardised(torch.from_numpy(error), torch.from_numpy(covariance))
    np.testing.assert_allclose((found**2).sum(-1).numpy(), expected, rtol=1e-6)
    mixed_sizes = torch.tensor([1e-6, 1, 1e6, 1], dtype=torch.float64)
    assert (
        standardised(torch.from_numpy(error[:1]), torch.outer(mixed_sizes, mixed_sizes))
        .isfinite()
        .all()
    )
    own, outputs, values = drawn("mixture", 6, n=3000, scale=30)
    assert own.normalised(outputs, values).isfinite().all()


def test_a_base_is_a_density_of_its_radii():
    axis = torch.linspace(1e-6, 60, 600_001, dtype=torch.float64)
    z = torch.stack([axis, 0 * axis, 0 * axis], dim=1)
    at = 4 * np.pi * axis**2 * HEAVY.log_prob(z).exp()
    below = torch.cumulative_trapezoid(at, axis).numpy()
    np.testing.assert_allclose(
        below, chi(3).cdf(HEAVY.normal_radius(axis[1:]).numpy()), atol=2e-5
    )
    variance = torch.trapezoid(at * axis**2, axis) / 3
    assert HEAVY.variance(3) == pytest.approx(float(variance), rel=1e-3)
    torch.testing.assert_close(HEAVY.radius(HEAVY.normal_radius(axis)), axis)
    assert NORMAL.variance(3) == 1


def test_a_base_is_fitted_to_radii():
    rng = np.random.default_rng(4)

    def radii(count):
        """Of Student's t of three dimensions and five degrees of freedom."""
        return np.linalg.norm(rng.normal(size=(count, 3)), axis=1) / np.sqrt(
            rng.chisquare(5, count) / 5
        )

    base, other = RadialBase.fit(radii(10_000), 3), radii(2000)
    assert len(base.knots) == 16
    assert kstest(other, chi(3).cdf).pvalue < 1e-9
    assert (
        kstest(base.normal_radius(torch.from_numpy(other)).numpy(), chi(3).cdf).pvalue
        > 0.01
    )
    assert base.variance(3) == pytest.approx(5 / 3, rel=0.1)
    half = RadialBase.mean([base, NORMAL])
    at = torch.tensor([0.3, 2.0, 9.0], dtype=torch.float64)
    torch.testing.assert_close(half.radius(at), (base.radius(at) + at) / 2)
    assert RadialBase.fit(radii(30), 3) == NORMAL
    assert np.diff(RadialBase.fit(np.ones(1000), 3).knots, axis=0).min() > 0


def test_a_flow_of_zeros_is_normal_and_its_inverse_is_one():
    own, outputs, values = drawn("flow", 3)
    zeros = torch.zeros_like(outputs)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(values).sum(1)
    torch.testing.assert_close(own.log_prob(zeros, values), expected)
    z = own.normalised(outputs, values)
    torch.testing.assert_close(own.inverse(outputs, z), values, rtol=0, atol=1e-8)
