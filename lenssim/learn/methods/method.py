"""What a method is: how the weights of networks are found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lenssim.record import Record

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.compute.optimisers import Weights
    from lenssim.learn.config import TrainConfig
    from lenssim.learn.inputs.augment import Augmentation
    from lenssim.learn.inputs.description import ImageDescription
    from lenssim.learn.nets.model import Model
    from lenssim.learn.tasks import Task

    Networks = Mapping[str, nn.Module]

__all__ = ["MODEL", "Method", "TrainingSetup"]

MODEL = "model"
"""Name of the network that answers. Other trainings may start from its weights."""


@dataclass(frozen=True)
class TrainingSetup:
    """What the steps of a training depend on.

    Args:
        config: Settings of the training.
        task: The task, fitted to the training data.
        images: Description of the images.
        samples: Number of training samples.
        steps: Number of steps in the whole training.
    """

    config: TrainConfig
    task: Task
    images: ImageDescription
    samples: int
    steps: int


class Method(Record, ABC):
    """How the weights of networks are found. The fields of a subclass are its settings.

    A training calls `networks` once, then `views` and `step` for every batch. All that is
    random in a step has to follow from torch's own generator, which is seeded for it.
    """

    sources: ClassVar[tuple[str, ...]] = ("data",)
    """Names of the data sets that a step takes a batch of."""

    def networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        """Return the untrained networks by name; one of them is `MODEL`.

        They are built under the seed of the training. Checkpoints keep weights under the
        names of their networks.
        """
        from lenssim.learn.methods.networks import fresh_model

        return {MODEL: fresh_model(setup.config, setup.images, setup.task.outputs)}

    def fresh_networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        """Return `networks`, drawn from the seed of the training alone."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(setup.config.seed)
            return self.networks(setup)

    def views(
        self, batch: Batch, augment: Augmentation, generator: torch.Generator
    ) -> tuple[Batch, ...]:
        """Return what a step sees of a batch: by default one augmented view.

        Args:
            batch: ImageDescription, labels and targets.
            augment: Augmentation of the training.
            generator: Generator of all that is random in the view.
        """
        images, targets = augment(batch["image"], generator, batch.get("target"))
        return ({**batch, "image": images, "target": targets},)

    def optimisers(self, networks: Networks) -> dict[str, Weights]:
        """Return the weights of each optimiser, by the name of its turn.

        By default one optimiser trains all networks. A step is taken in each turn.
        """
        from lenssim.learn.methods.networks import weight_groups

        return {MODEL: weight_groups(networks.values())}

    @abstractmethod
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        """Return the scalar loss that the optimiser of a turn lowers.

        Args:
            networks: The networks, by name.
            views: Views of one batch, by the name of its source.
            setup: What the training depends on.
            turn: Name of the optimiser.
        """

    def validation_step(
        self, networks: Networks, batch: Batch, setup: TrainingSetup
    ) -> tuple[Tensor, Tensor]:
        """Return outputs (N, K) for a batch of validation images, and their scalar loss."""
        outputs = networks[MODEL](batch["image"])
        return outputs, setup.task.loss(outputs, batch)

    def export(self, networks: Networks) -> Model:
        """Return the trained network that evaluation and prediction use."""
        from lenssim.learn.nets.model import Model

        model = networks[MODEL]
        assert isinstance(model, Model)
        return model
