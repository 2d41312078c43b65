"""Distances of two sets of features, and other parts of losses."""

from typing import Any, override

import torch
from torch import Tensor, nn

__all__ = ["aligned", "coral", "gradient_penalty", "mmd", "reversed_gradient", "sinkhorn"]

_MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the median squared distance
_TINY = 1e-12
_SCALING = 0.9  # of the blur, from one iteration to the next


def coral(source: Tensor, target: Tensor) -> Tensor:
    """Return the distance of two covariances, |C_s - C_t|^2 / (4 D^2) (Sun & Saenko 2016).

    Args:
        source: Features (N, D).
        target: Features (M, D).

    Example:
        >>> features = torch.eye(3)
        >>> coral(features, features).item()
        0.0
    """
    difference = torch.cov(source.T) - torch.cov(target.T)
    return difference.square().sum() / (4 * source.shape[1] ** 2)


def mmd(source: Tensor, target: Tensor, scale: Tensor | None = None) -> Tensor:
    """Return the squared maximum mean discrepancy, without bias (Gretton et al. 2012, eq. 3).

    The kernel is the mean of Gaussians whose squared widths are multiples of the median
    squared distance. Its expectation is zero for two samples of one distribution.

    Args:
        source: Features (N, D).
        target: Features (M, D).
        scale: Squared width; None for the median squared distance, which has no gradient.

    Example:
        >>> a = torch.zeros(4, 2)
        >>> round(mmd(a, a + 100, torch.tensor(1.0)).item(), 6)
        2.0
    """
    features = torch.cat([source, target])
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    squares = distances.square()
    if scale is None:
        scale = squares.detach().median().clamp(min=_TINY)
    kernel = torch.stack([torch.exp(-squares / (m * scale)) for m in _MULTIPLES]).mean(0)
    n = len(source)
    within_source = _mean_off_diagonal(kernel[:n, :n])
    within_target = _mean_off_diagonal(kernel[n:, n:])
    return within_source + within_target - 2 * kernel[:n, n:].mean()


def _mean_off_diagonal(kernel: Tensor) -> Tensor:
    """Return the mean of a matrix (N, N) but for its diagonal."""
    n = len(kernel)
    return (kernel.sum() - kernel.diagonal().sum()) / (n * (n - 1))


def sinkhorn(source: Tensor, target: Tensor, blur: Tensor, iterations: int = 60) -> Tensor:
    """Return the Sinkhorn divergence without bias (Feydy et al. 2019, eq. 3).

    The cost is half the squared distance, and the temperature the square of the blur.
    Gradients are those of the converged potentials.

    Args:
        source: Features (N, D).
        target: Features (M, D).
        blur: Length below which features count as the same.
        iterations: Number of iterations at this blur.

    Example:
        >>> features = torch.eye(3)
        >>> round(sinkhorn(features, features + 1.0, torch.tensor(0.1)).item(), 4)
        1.5
    """
    f, g = _potentials(source, target, blur, iterations)
    f_source, _ = _potentials(source, source, blur, iterations)
    f_target, _ = _potentials(target, target, blur, iterations)
    return (f - f_source).mean() + (g - f_target).mean()


def _potentials(
    source: Tensor, target: Tensor, blur: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    """Return the dual potentials (N,) and (M,), whose gradients move their own features."""
    temperature = blur.detach() ** 2
    with torch.no_grad():
        cost = _half_squares(source, target)
        f, g = _converged(cost, temperature, iterations)
    cost_of_source = _half_squares(source, target.detach())
    cost_of_target = _half_squares(target, source.detach())
    return _softmin(cost_of_source, g, temperature), _softmin(
        cost_of_target, f, temperature
    )


def _converged(cost: Tensor, temperature: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Return the potentials of a cost (N, M), the temperature lowered step by step."""
    f = torch.zeros_like(cost[:, 0])
    g = torch.zeros_like(cost[0])
    present = torch.maximum(cost.max(), temperature)
    final = 0
    while final < iterations:
        # both at once: equal sets keep equal potentials
        better = _softmin(cost, g, present), _softmin(cost.T, f, present)
        f = (f + better[0]) / 2
        g = (g + better[1]) / 2
        final += int(present <= temperature)
        present = torch.maximum(present * _SCALING**2, temperature)
    return f, g


def _softmin(cost: Tensor, potential: Tensor, temperature: Tensor) -> Tensor:
    """Return the soft minimum (N,) of a cost (N, M) less a potential (M,)."""
    count = torch.tensor(float(len(potential)))
    exponents = (potential - cost) / temperature - count.log()
    return -temperature * torch.logsumexp(exponents, dim=1)


def _half_squares(a: Tensor, b: Tensor) -> Tensor:
    """Return half the squared distances (N, M) of features."""
    return (a[:, None] - b[None]).square().sum(-1) / 2


def gradient_penalty(critic: nn.Module, source: Tensor, target: Tensor) -> Tensor:
    """Return the mean of (|gradient| - 1)^2 of a critic (Gulrajani et al. 2017).

    It is taken at both sets of features and between them (Shen et al. 2018).

    Args:
        critic: A network from features (N, D) to (N, 1).
        source: Features (N, D).
        target: Features (N, D).
    """
    share = torch.rand(len(source), 1, device=source.device)
    between = share * source + (1 - share) * target
    points = torch.cat([between, source, target]).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return (gradient.norm(dim=1) - 1).square().mean()


class _Reversal(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a negative factor."""

    @staticmethod
    @override
    def forward(ctx: Any, features: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    @override
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return -ctx.strength * gradients[0], None


def reversed_gradient(features: Tensor, strength: float) -> Tensor:
    """Return features whose gradient is turned round (Ganin et al. 2016).

    Args:
        features: Features (N, D).
        strength: Factor of the gradient.
    """
    reversed_features: Tensor = _Reversal.apply(features, strength)
    return reversed_features


def aligned(target: Tensor, source_mean: Tensor, target_mean: Tensor) -> Tensor:
    """Return probabilities (N, K) whose classes are as frequent as in the source.

    Each class has its own ratio (Berthelot et al. 2022, eq. 3). One ratio for all of them
    would change nothing.

    Args:
        target: Probabilities (N, K) of the target.
        source_mean: Mean probabilities (K,) of the source.
        target_mean: Mean probabilities (K,) of the target.

    Example:
        >>> aligned(torch.tensor([[0.5, 0.5]]), torch.tensor([0.8, 0.2]), torch.tensor([0.5, 0.5]))
        tensor([[0.8000, 0.2000]])
    """
    weighted = target * source_mean / target_mean.clamp(min=_TINY)
    return weighted / weighted.sum(1, keepdim=True)
