"""The networks that a training begins with, and their weights for an optimiser."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from lenssim.learn.compute.optimisers import Weights
from lenssim.learn.config import TrainConfig
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.dropout import Concrete
from lenssim.learn.nets.model import Model

__all__ = ["fresh_model", "weight_groups"]


def fresh_model(
    config: TrainConfig,
    images: ImageDescription,
    outputs: int,
    through: str | None = None,
) -> Model:
    """Return the untrained network that a training with these settings begins with.

    Args:
        config: Settings of the training.
        images: Description of its images.
        outputs: Number of outputs of the network.
        through: Net from images to images that stands before it.
    """
    return Model(
        config.net,
        config.normalise,
        images,
        outputs,
        config.seed,
        dropout=config.dropout,
        draws=config.draws,
        through=through,
    )


def weight_groups(networks: Iterable[nn.Module]) -> Weights:
    """Return the weights of networks for one optimiser.

    Learned rates of a dropout form a group of their own: weight decay would pull them to
    a half.
    """
    modules = nn.ModuleList(networks)
    rates: list[nn.Parameter] = [
        module.logit for module in modules.modules() if isinstance(module, Concrete)
    ]
    trained = [weight for weight in modules.parameters() if weight.requires_grad]
    if not rates:
        return trained
    identities = set(map(id, rates))
    weights = [weight for weight in trained if id(weight) not in identities]
    groups: list[dict[str, Any]] = [{"params": weights}]
    return [*groups, {"params": rates, "weight_decay": 0.0}]
