"""Each loss of an adaptation against an independent witness."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, softmax
from sklearn.metrics import log_loss

from lenssim.learn.methods.adaptation.adamatch import AdaMatch
from lenssim.learn.methods.adaptation.cgdm import (
    centroid_labels,
    disagreement,
    gradient_discrepancy,
)
from lenssim.learn.methods.adaptation.discriminators import domain_loss
from lenssim.learn.methods.adaptation.losses import (
    aligned,
    coral,
    gradient_penalty,
    mmd,
    reversed_gradient,
    sinkhorn,
)
from lenssim.learn.methods.adaptation.self_ensemble import SelfEnsemble
from lenssim.learn.methods.adaptation.twins import average_into, twin_of
from lenssim.learn.methods.adaptation.validators import bnm, infomax

RNG = np.random.default_rng(7)
A = RNG.normal(size=(20, 4))
B = RNG.normal(0.7, 1.3, size=(24, 4))
P = softmax(RNG.normal(size=(20, 3)), axis=1)


def tensor(array, grad=False):
    return torch.tensor(array, dtype=torch.float64, requires_grad=grad)


def entropic(a, b, temperature):
    """Entropic optimal transport, by maximising its dual with scipy."""
    cost = cdist(a, b, "sqeuclidean") / 2
    logs = -np.log(len(a)) - np.log(len(b))

    def negative_dual(potentials):
        f, g = potentials[: len(a)], potentials[len(a) :]
        plan = np.exp((f[:, None] + g - cost) / temperature + logs)
        value = f.mean() + g.mean() - temperature * (plan.sum() - 1)
        gradient = [1 / len(a) - plan.sum(1), 1 / len(b) - plan.sum(0)]
        return -value, -np.concatenate(gradient)

    start = np.zeros(len(a) + len(b))
    options = {"maxiter": 10_000, "ftol": 1e-15, "gtol": 1e-10}
    solved = minimize(negative_dual, start, jac=True, method="L-BFGS-B", options=options)
    return -solved.fun


def test_coral_is_that_of_numpy_s_covariances():
    expected = np.sum((np.cov(A.T) - np.cov(B.T)) ** 2) / (4 * 4**2)
    assert coral(tensor(A), tensor(B)).item() == pytest.approx(expected, abs=1e-12)


def test_mmd_is_gretton_s_estimator_and_has_no_bias():
    squares = [cdist(x, y, "sqeuclidean") for x, y in ((A, A), (B, B), (A, B))]
    multiples = (0.25, 0.5, 1, 2, 4)

    def kernel(values):
        return sum(np.exp(-values / (m * 3.0)) for m in multiples) / 5

    within = [
        (kernel(values).sum() - len(values)) / (len(values) * (len(values) - 1))
        for values in squares[:2]
    ]
    expected = within[0] + within[1] - 2 * kernel(squares[2]).mean()
    value = mmd(tensor(A), tensor(B), torch.tensor(3.0)).item()
    assert value == pytest.approx(expected, abs=1e-12)
    rng = np.random.default_rng(1)
    draws = [
        mmd(tensor(rng.normal(size=(10, 2))), tensor(rng.normal(size=(10, 2)))).item()
        for _ in range(400)
    ]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / 20
    assert min(draws) < 0


@pytest.mark.parametrize("blur", [0.5, 1.0])
def test_sinkhorn_is_the_dual_that_scipy_maximises(blur):
    value = sinkhorn(tensor(A), tensor(B), torch.tensor(blur), 2000).item()
    costs = [entropic(x, y, blur**2) for x, y in ((A, B), (A, A), (B, B))]
    assert value == pytest.approx(costs[0] - (costs[1] + costs[2]) / 2, abs=1e-5)
    assert sinkhorn(tensor(A), tensor(A), torch.tensor(blur)).item() == pytest.approx(0)


def test_the_gradient_of_sinkhorn_is_that_of_differences():
    a, b = tensor(A[:6], grad=True), tensor(B[:7])
    blur = torch.tensor(1.0, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(sinkhorn(a, b, blur, 2000), a)
    step = 1e-5
    moved = [tensor(A[:6]) for _ in range(2)]
    moved[0][2, 1] += step
    moved[1][2, 1] -= step
    values = [sinkhorn(x, b, blur, 2000).item() for x in moved]
    assert gradient[2, 1].item() == pytest.approx(
        (values[0] - values[1]) / (2 * step), abs=1e-5
    )


def test_the_domain_loss_is_sklearn_s():
    first, second = RNG.normal(size=(2, 9, 1))
    scores = 1 / (1 + np.exp(-np.concatenate([first, second])))
    expected = log_loss([1] * 9 + [0] * 9, scores[:, 0])
    value = domain_loss(tensor(first), tensor(second)).item()
    assert value == pytest.approx(expected, abs=1e-12)


def test_a_gradient_is_turned_round():
    a = tensor(A, grad=True)
    (gradient,) = torch.autograd.grad(reversed_gradient(a, 0.3).square().sum(), a)
    np.testing.assert_allclose(gradient.numpy(), -0.3 * 2 * A)


def test_the_penalty_of_a_linear_critic_is_that_of_its_slope():
    critic = torch.nn.Linear(4, 1).double()
    slope = critic.weight.norm().item()
    torch.manual_seed(0)
    value = gradient_penalty(critic, tensor(A), tensor(B[:20])).item()
    assert value == pytest.approx((slope - 1) ** 2, abs=1e-12)


def test_alignment_is_of_each_class():
    source = np.array([0.6, 0.3, 0.1])
    expected = P * source / P.mean(0)
    expected /= expected.sum(1, keepdims=True)
    value = aligned(tensor(P), tensor(source), tensor(P.mean(0)))
    np.testing.assert_allclose(value.numpy(), expected, atol=1e-12)
    assert abs(value.numpy() - P).max() > 0.05  # a scalar ratio would change nothing


def test_adamatch_labels_what_is_sure_alone():
    method = AdaMatch(adamatch_threshold=0.9)
    source, weak, strong = RNG.normal(size=(3, 20, 3)) * 2
    of_source, of_weak = softmax(source, axis=1), softmax(weak, axis=1)
    q = of_weak * of_source.mean(0) / of_weak.mean(0)
    q /= q.sum(1, keepdims=True)
    sure = q.max(1) >= 0.9 * of_source.max(1).mean()
    entropies = logsumexp(strong, axis=1) - strong[np.arange(20), q.argmax(1)]
    value = method.matching(tensor(source), tensor(weak), tensor(strong)).item()
    assert value == pytest.approx((sure * entropies).mean(), abs=1e-12)
    assert 0 < sure.sum() < 20
    assert [method.rise(p) for p in (0, 0.25, 1)] == pytest.approx([0, 0.5, 1])


def test_a_student_agrees_with_a_sure_teacher():
    method = SelfEnsemble(ensemble_confidence=0.6, ensemble_weight=3, ensemble_balance=0.5)
    teacher = softmax(RNG.normal(size=(20, 3)) * 3, axis=1)
    believed = teacher.max(1) > 0.6
    agreement = (believed * ((P - teacher) ** 2).sum(1)).mean()
    mean = P.mean(0)
    balance = -(np.log(mean) / 3 + np.log(1 - mean) * 2 / 3).mean()
    value = method.agreement(tensor(P), tensor(teacher)).item()
    assert value == pytest.approx(3 * agreement + 0.5 * balance, abs=1e-12)


def test_a_teacher_averages_weights_and_buffers():
    teacher, student = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    student.running_mean += 10.0
    with torch.no_grad():
        student.weight += 1.0
    average_into(teacher, student, decay=0.9)
    torch.testing.assert_close(teacher.running_mean, torch.full((2,), 1.0))
    torch.testing.assert_close(teacher.weight, torch.full((2,), 1.1), check_dtype=False)


def test_a_twin_shares_weights_and_not_statistics():
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    twin = twin_of(network)
    assert all(a is b for a, b in zip(network.parameters(), twin.parameters(), strict=True))
    twin(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)))
    assert (network[1].running_mean == 0).all()
    assert (twin[1].running_mean != 0).all()


def test_the_parts_of_cgdm_are_those_of_numpy():
    first, second = RNG.normal(size=(2, 20, 3))
    expected = abs(softmax(first, 1) - softmax(second, 1)).mean()
    value = disagreement(tensor(first), tensor(second)).item()
    assert value == pytest.approx(expected, abs=1e-12)
    directions = A / np.linalg.norm(A, axis=1, keepdims=True)
    centroids = softmax(first, 1).T @ directions
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    labels = centroid_labels(tensor(A), tensor(first)).numpy()
    assert (labels == (directions @ centroids.T).argmax(1)).all()


def test_the_gradients_of_cgdm_are_those_of_a_softmax():
    layer = torch.nn.Linear(4, 3, bias=False).double()
    labels = torch.arange(20) % 3
    losses = [
        torch.nn.functional.cross_entropy(layer(tensor(x[:20])), labels) for x in (A, B)
    ]
    weight = layer.weight.detach().numpy()
    gradients = []
    for x in (A, B[:20]):
        errors = softmax(x @ weight.T, axis=1) - np.eye(3)[labels.numpy()]
        gradients.append((errors.T @ x).ravel() / 20)
    cosine = gradients[0] @ gradients[1] / np.prod([np.linalg.norm(g) for g in gradients])
    value = gradient_discrepancy(*losses, list(layer.parameters())).item()
    assert value == pytest.approx(1 - cosine, abs=1e-10)


def test_validators_are_those_of_numpy():
    mean = P.mean(0)
    expected = -(P * np.log(P)).sum(1).mean() + (mean * np.log(mean)).sum()
    assert infomax(tensor(P)).item() == pytest.approx(expected, abs=1e-12)
    nuclear = np.linalg.norm(P, "nuc") / np.sqrt(20 * 3)
    assert bnm(tensor(P)).item() == pytest.approx(-nuclear, abs=1e-12)
