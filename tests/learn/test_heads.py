import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from lenssim.errors import ConfigError
from lenssim.learn.heads import HEADS, head

every_head = pytest.mark.parametrize("name", HEADS)


def drawn(name, targets, n=64, scale=1.0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(5)
    own = head(name, targets)
    outputs = scale * torch.randn((n, own.outputs), generator=draw, dtype=dtype)
    return own, outputs, torch.randn((n, targets), generator=draw, dtype=dtype)


def test_numbers_of_outputs():
    assert {name: head(name, 6).outputs for name in HEADS} == {"point": 6, "diagonal": 12, "full": 27}
    with pytest.raises(ConfigError, match="did you mean 'diagonal'"):
        head("diagnal", 6)


@every_head
@pytest.mark.parametrize("targets", [1, 2, 6])
def test_densities_are_scipy_s(name, targets):
    own, outputs, values = drawn(name, targets)
    mean, covariance = own.mean(outputs).numpy(), own.covariance(outputs).numpy()
    expected = [multivariate_normal(m, c).logpdf(y) for m, c, y in zip(mean, covariance, values.numpy(), strict=True)]
    np.testing.assert_allclose(own.log_prob(outputs, values).numpy(), expected, rtol=1e-6, atol=1e-6)


@every_head
def test_gradients_are_those_of_scipy_s_density(name):
    own, outputs, values = drawn(name, 3, n=4)
    outputs.requires_grad_(True)
    own.log_prob(outputs, values).sum().backward()
    step = 1e-5

    def density(shifted):
        pairs = zip(own.mean(shifted).numpy(), own.covariance(shifted).numpy(), values.numpy(), strict=True)
        return np.array([multivariate_normal(m, c).logpdf(y) for m, c, y in pairs])

    for k in range(own.outputs):
        shift = torch.zeros(own.outputs, dtype=torch.float64)
        shift[k] = step
        start = outputs.detach()
        slope = (density(start + shift) - density(start - shift)) / (2 * step)
        np.testing.assert_allclose(outputs.grad[:, k].numpy(), slope, rtol=1e-6, atol=1e-6)


@every_head
def test_single_precision_never_gives_nan(name):
    own, outputs, values = drawn(name, 6, n=1_000_000, scale=30, dtype=torch.float32)
    outputs.requires_grad_(True)
    loss = -own.log_prob(outputs, values)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(outputs.grad).all()


@every_head
def test_the_root_is_that_of_the_inverse_covariance(name):
    own, outputs, _ = drawn(name, 4)
    root = own.root(outputs)
    unit = torch.eye(4, dtype=torch.float64).expand(len(root), 4, 4)
    torch.testing.assert_close(own.covariance(outputs) @ (root @ root.mT), unit, rtol=0, atol=1e-6)
    assert torch.equal(root, root.tril())
