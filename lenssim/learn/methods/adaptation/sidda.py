"""Sinkhorn adaptation with trained weights of the losses (SIDDA, arXiv 2501.14048)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, override

from pydantic import Field

from lenssim.learn.methods.adaptation.adaptation import SOURCE, Adaptation, Pair
from lenssim.learn.methods.method import MODEL

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lenssim.learn.compute.optimisers import Weights
    from lenssim.learn.methods.method import Networks, TrainingSetup

__all__ = ["SIDDA"]

ETAS = "etas"
_BLUR = 0.05  # of the largest distance of two features
_MIN_BLUR = 0.01
_MIN_RATIO = 0.25  # of the second eta to the first


class SIDDA(Adaptation):
    """Lowers the loss and the Sinkhorn divergence of features, whose weights are trained.

    The loss is L / (2 eta1^2) + S / (2 eta2^2) + log(eta1 eta2), with eta2 >= eta1 / 4.
    """

    laid_out: ClassVar[bool] = True

    sidda_warmup: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="sidda: share of the training on the source alone",
    )

    @override
    def networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        from torch import nn, ones

        networks = super().networks(setup)
        etas = nn.ParameterDict({"eta": nn.Parameter(ones(2))})
        return {**networks, ETAS: etas}

    @override
    def optimisers(self, networks: Networks) -> dict[str, Weights]:
        from lenssim.learn.methods.networks import weight_groups

        trained = [net for name, net in networks.items() if name not in (SOURCE, ETAS)]
        groups: list[Any] = list(weight_groups(trained))
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        etas = {"params": list(networks[ETAS].parameters()), "weight_decay": 0.0}
        return {MODEL: [*groups, etas]}

    @override
    def total(
        self, loss: Tensor, pair: Pair, networks: Networks, setup: TrainingSetup
    ) -> Tensor:
        from torch import maximum

        (etas,) = networks[ETAS].parameters()
        if setup.progress < self.sidda_warmup:
            return loss + 0 * etas.sum()
        first = etas[0].abs()
        second = maximum(etas[1].abs(), _MIN_RATIO * first)
        divergence = feature_divergence(pair)
        weighted = loss / (2 * first**2) + divergence / (2 * second**2)
        return weighted + (first * second).log()


def feature_divergence(pair: Pair) -> Tensor:
    """Return the Sinkhorn divergence of features, each normalised, with SIDDA's blur."""
    from torch import cat, cdist
    from torch.nn.functional import layer_norm

    from lenssim.learn.methods.adaptation.losses import sinkhorn

    width = pair.source_features.shape[1:]
    source = layer_norm(pair.source_features, width)
    target = layer_norm(pair.target_features, width)
    features = cat([source, target]).detach()
    blur = (_BLUR * cdist(features, features).max()).clamp(min=_MIN_BLUR)
    return sinkhorn(source, target, blur)
