"""Networks that tell domains apart by features."""

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.model import Model

__all__ = ["critic", "domain_loss", "feature_count"]

_HIDDEN = 256


def feature_count(model: Model, images: ImageDescription) -> int:
    """Return the number D of features that the last layer of a model sees."""
    training = model.training
    with torch.no_grad():
        features = model.eval().features(torch.zeros(2, *images.shape))
    model.train(training)
    return features.shape[1]


def critic(features: int) -> nn.Module:
    """Return a network from features (N, D) to one number each (N, 1)."""
    return nn.Sequential(
        nn.Linear(features, _HIDDEN),
        nn.ReLU(),
        nn.Linear(_HIDDEN, _HIDDEN),
        nn.ReLU(),
        nn.Linear(_HIDDEN, 1),
    )


def domain_loss(source_logits: Tensor, target_logits: Tensor) -> Tensor:
    """Return the mean cross entropy of logits for "source", over both domains.

    Example:
        >>> domain_loss(torch.zeros(2, 1), torch.zeros(2, 1)).item()
        0.6931471824645996
    """
    of_source = binary_cross_entropy_with_logits(
        source_logits, torch.ones_like(source_logits)
    )
    of_target = binary_cross_entropy_with_logits(
        target_logits, torch.zeros_like(target_logits)
    )
    return (of_source + of_target) / 2
