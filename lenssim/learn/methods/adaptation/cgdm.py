"""Cross-domain gradient discrepancy minimisation (Du et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, override

from pydantic import Field

from lenssim.learn.methods.adaptation.adaptation import Adaptation, model_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.compute.optimisers import Weights
    from lenssim.learn.methods.method import Networks, TrainingSetup

__all__ = ["CGDM"]

SECOND = "second"
ALL, HEADS, ENCODER = "all", "heads", "encoder"
_SMALL = 0.01  # weight of the entropy, and of the pseudo labels


class CGDM(Adaptation):
    """Two last layers find where they disagree; the network lowers that, and more.

    It also turns the gradients that both domains give to the last layers into one
    direction. Pseudo labels of the target come from centroids of its features.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classify",)

    cgdm_weight: float = Field(
        default=0.1, ge=0, description="cgdm: weight of the discrepancy of the gradients"
    )
    cgdm_steps: int = Field(
        default=2, ge=1, le=20, description="cgdm: steps of the network for each batch"
    )

    @override
    def networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        from torch import nn

        from lenssim.learn.methods.adaptation.discriminators import feature_count

        networks = super().networks(setup)
        features = feature_count(model_of(networks), setup.images)
        return {**networks, SECOND: nn.Linear(features, setup.task.outputs)}

    @override
    def optimisers(self, networks: Networks) -> dict[str, Weights]:
        from lenssim.learn.nets.cut import last_layer

        model = model_of(networks)
        heads = [*last_layer(model.net).parameters(), *networks[SECOND].parameters()]
        identities = set(map(id, heads))
        encoder = [w for w in model.parameters() if id(w) not in identities]
        return {ALL: [*encoder, *heads], HEADS: heads, ENCODER: encoder}

    @override
    def turns(self, networks: Networks) -> tuple[str, ...]:
        return (ALL, HEADS, *[ENCODER] * self.cgdm_steps)

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        from torch.nn.functional import cross_entropy

        pair = self.pair(networks, views)
        second = networks[SECOND]
        of_source = [pair.source_outputs, second(pair.source_features)]
        of_target = [pair.target_outputs, second(pair.target_features)]
        loss = _total(setup.task.loss(outputs, pair.source) for outputs in of_source)
        apart = disagreement(*of_target)
        labels = centroid_labels(pair.target_features, of_target[0])
        pseudo = _total(cross_entropy(outputs, labels) for outputs in of_target)
        if turn == ALL:
            uncertain = _total(map(_entropy, of_target))
            return loss + _SMALL * (uncertain + pseudo)
        if turn == HEADS:
            return loss - apart
        heads = self._heads(networks)
        return apart + self.cgdm_weight * gradient_discrepancy(loss, pseudo, heads)

    def _heads(self, networks: Networks) -> list[Any]:
        """Return the weights of both last layers."""
        from lenssim.learn.nets.cut import last_layer

        first = last_layer(model_of(networks).net)
        return [*first.parameters(), *networks[SECOND].parameters()]


def disagreement(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean difference of the probabilities of two sets of logits (N, K)."""
    return (first.softmax(1) - second.softmax(1)).abs().mean()


def gradient_discrepancy(
    source_loss: Tensor, target_loss: Tensor, weights: list[Any]
) -> Tensor:
    """Return 1 - cos of the gradients that two losses give to some weights."""
    from torch import cosine_similarity

    of_source = _gradient(source_loss, weights)
    of_target = _gradient(target_loss, weights)
    return 1 - cosine_similarity(of_source, of_target, dim=0)


def _gradient(loss: Tensor, weights: list[Any]) -> Tensor:
    """Return the gradient of a loss by some weights as one vector."""
    from torch import autograd, cat

    parts = autograd.grad(loss, weights, create_graph=True)
    return cat([part.flatten() for part in parts])


def _total(losses: Iterable[Tensor]) -> Tensor:
    """Return the sum of losses."""
    from torch import stack

    return stack(list(losses)).sum()


def centroid_labels(features: Tensor, logits: Tensor) -> Tensor:
    """Return labels (N,): the classes whose centroids of features (N, D) are nearest.

    A centroid is the mean of the features, weighted by the probabilities of the logits.
    """
    from torch.nn.functional import normalize

    probabilities = logits.detach().softmax(1)
    directions = normalize(features.detach(), dim=1)
    centroids = normalize(probabilities.T @ directions, dim=1)
    return (directions @ centroids.T).argmax(1)


def _entropy(logits: Tensor) -> Tensor:
    """Return the mean entropy of logits (N, K)."""
    from torch import special

    return special.entr(logits.softmax(1)).sum(1).mean()
