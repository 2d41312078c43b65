"""What all adaptations share: two networks with the same weights, and the choice of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, override

from lenssim.errors import ConfigError
from lenssim.learn.methods.method import MODEL, Method

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.compute.optimisers import Weights
    from lenssim.learn.methods.method import Networks, TrainingSetup
    from lenssim.learn.nets.model import Model

__all__ = ["SOURCE", "TARGET", "Adaptation", "Pair", "model_of"]

SOURCE = "source"
TARGET = "target"
OF_CLASSES = ("infomax", "bnm")
"""Validators that read the probabilities of classes."""


@dataclass(frozen=True)
class Pair:
    """A batch of the source and one of the target, as the network sees them.

    Attributes:
        source: The batch of the source, with its labels.
        target: The batch of the target.
        source_features: What the last layer sees of the source (N, D).
        target_features: What the last layer sees of the target (M, D).
        source_outputs: Outputs (N, K) for the source.
        target_outputs: Outputs (M, K) for the target.
    """

    source: Batch
    target: Batch
    source_features: Tensor
    target_features: Tensor
    source_outputs: Tensor
    target_outputs: Tensor


class Adaptation(Method):
    """Lowers the loss of the source, and a distance of the features of both domains.

    The networks `model` and `source` have the same weights. Each has its own statistics of
    batch normalisation: `model` those of the target, `source` those of the source. So
    `model` answers for images of the target.
    """

    sources: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    answers_for_source: ClassVar[str] = SOURCE
    criterion: ClassVar[str] = "val_criterion"
    needs_start: ClassVar[bool] = False
    """Whether the method begins with the weights of another run."""

    @override
    def check(self, setup: TrainingSetup) -> None:
        config = setup.config
        if self.needs_start and config.start is None:
            raise ConfigError(
                f"the method {config.method} adapts a trained network: give --start, a run "
                "that was trained on the source",
                code="adapt-needs-start",
                method=config.method,
            )

        chosen = _chosen(setup)
        if chosen in OF_CLASSES and setup.task.class_logits(_no_outputs(setup)) is None:
            raise ConfigError(
                f"{chosen} chooses epochs by the probabilities of classes, and "
                f"{config.task} has none: take --select source or alignment",
                code="select-needs-classes",
                select=chosen,
            )

    @override
    def networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        from lenssim.learn.methods.adaptation.twins import twin_of

        networks = super().networks(setup)
        networks[SOURCE] = twin_of(networks[MODEL])
        return networks

    @override
    def started(self, networks: Networks, setup: TrainingSetup) -> None:
        networks[SOURCE].load_state_dict(networks[MODEL].state_dict())

    @override
    def optimisers(self, networks: Networks) -> dict[str, Weights]:
        from lenssim.learn.methods.networks import weight_groups

        trained = [network for name, network in networks.items() if name != SOURCE]
        return {MODEL: weight_groups(trained)}

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        from lenssim.learn.nets.dropout import penalty

        pair = self.pair(networks, views)
        loss = setup.task.loss(pair.source_outputs, pair.source)
        loss = loss + penalty(model_of(networks).net) / setup.samples
        return self.total(loss, pair, networks, setup)

    def pair(self, networks: Networks, views: Mapping[str, tuple[Batch, ...]]) -> Pair:
        """Return both batches with their features and outputs."""
        source = views[SOURCE][0]
        target = views[TARGET][0]
        of_source = model_of(networks, SOURCE)
        of_target = model_of(networks)
        source_features = of_source.features(source["image"])
        target_features = of_target.features(target["image"])
        return Pair(
            source,
            target,
            source_features,
            target_features,
            of_source.head(source_features),
            of_target.head(target_features),
        )

    def total(
        self, loss: Tensor, pair: Pair, networks: Networks, setup: TrainingSetup
    ) -> Tensor:
        """Return the loss of a step, from the loss of the source; by default unchanged."""
        return loss

    @override
    def observe(
        self, networks: Networks, batch: Batch, source: str, setup: TrainingSetup
    ) -> dict[str, Tensor]:
        name = self.answers_for_source if source == SOURCE else MODEL
        model = model_of(networks, name)
        features = model.features(batch["image"])
        observed = {"features": features, "outputs": model.head(features)}
        if source == TARGET and setup.target_has_truth:
            columns: dict[str, Any] = dict(batch)
            observed |= {key: columns[key] for key in ("label", "target") if key in columns}
        return observed

    @override
    def criteria(
        self,
        observed: Mapping[str, Mapping[str, Tensor]],
        val_loss: Tensor,
        setup: TrainingSetup,
    ) -> dict[str, Tensor]:
        """Return all validators, the chosen one as `criterion`, and scores with labels.

        Scores whose names begin with `oracle_` are of the target's labels, where these are
        known. They choose nothing.
        """
        from lenssim.learn.methods.adaptation.validators import oracle, validators

        values = validators(observed[SOURCE], observed[TARGET], val_loss, setup.task)
        chosen = _chosen(setup)
        scores = {**values, "criterion": values[chosen]}
        return {**scores, **oracle(observed[TARGET], setup.task)}


def model_of(networks: Networks, name: str = MODEL) -> Model:
    """Return a network that has `features` and `head`."""
    from lenssim.learn.nets.model import Model

    model = networks[name]
    assert isinstance(model, Model)
    return model


def _chosen(setup: TrainingSetup) -> str:
    """Return the name of the validator that chooses epochs."""
    return str(getattr(setup.config, "select", SOURCE))


def _no_outputs(setup: TrainingSetup) -> Tensor:
    """Return outputs (0, K) of no image."""
    from torch import zeros

    return zeros(0, setup.task.outputs)
