"""What a method is: a way to train one or more networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from lenssim.record import Record

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.compute.optimisers import Weights
    from lenssim.learn.config import TrainConfig
    from lenssim.learn.inputs.augment import Augmentation
    from lenssim.learn.inputs.description import ImageDescription
    from lenssim.learn.nets.model import Model
    from lenssim.learn.tasks import Task
    from lenssim.learn.tasks.task import Data
    from lenssim.simulate.instruments import AnyCamera

    Networks = Mapping[str, nn.Module]

__all__ = ["MODEL", "Method", "TrainingSetup"]

MODEL = "model"
"""Name of the network that evaluation and prediction use. A later training may start from it."""


@dataclass(frozen=True)
class TrainingSetup:
    """What a method may know about the training that it takes part in.

    Args:
        config: Settings of the training.
        task: The task, fitted to the training data.
        images: Description of the training images, such as their shape.
        samples: Number of training samples.
        steps: Number of steps in the whole training.
        through: Net from images to images that stands before the network, if any.
        camera: Camera of the training images, if they are simulated ones in e-/s.
        step: Number of batches that were learned from before.
        target_has_truth: Whether the labels or parameters of the second data set are known.
    """

    config: TrainConfig
    task: Task
    images: ImageDescription
    samples: int
    steps: int
    through: str | None = None
    step: int = 0
    target_has_truth: bool = False
    camera: AnyCamera | None = None

    @property
    def progress(self) -> float:
        """Share of the training that is over, from 0 to 1."""
        return min(1.0, self.step / max(1, self.steps))


class Method(Record, ABC):
    """A way to train networks. The fields of a subclass are its settings.

    A training calls `networks` once, then `views` and `step` for every batch. Random numbers
    in a step must come from torch's default generators, which are seeded for every batch.
    """

    sources: ClassVar[tuple[str, ...]] = ("data",)
    """Names of the data sets. A step gets a batch of each.

    The second one is `--target`; it never runs out of batches. Validation scores, the task
    and its calibration are those of the first one.
    """
    tasks: ClassVar[tuple[str, ...]] = ()
    """Names of the tasks that the method serves; empty for all."""
    has_steps: ClassVar[bool] = True
    """Whether weights are found in steps; if not, `begin` finds them all."""
    reads_target_truth: ClassVar[bool] = False
    """Whether batches of the second data set keep their labels."""
    answers_for_source: ClassVar[str] = MODEL
    """Name of the network that answers for images of the first data set."""
    laid_out: ClassVar[bool] = False
    """Whether losses depend on the length of the training, which then cannot change."""
    criterion: ClassVar[str] = "val_loss"
    """Column of metrics.csv; the epoch in which it is least is kept."""

    def check(self, setup: TrainingSetup) -> None:
        """Raise `ConfigError` if the method cannot train this task; by default it can."""

    def networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        """Return the untrained networks by name; one of them is `MODEL`.

        They are built under the seed of the training. Checkpoints keep weights under the
        names of their networks.
        """
        from lenssim.learn.methods.networks import fresh_model

        outputs = setup.task.outputs
        return {MODEL: fresh_model(setup.config, setup.images, outputs, setup.through)}

    def fresh_networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        """Return `networks` with first weights that depend only on the seed of the training."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(setup.config.seed)
            return self.networks(setup)

    def target_rows(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of the second data set to learn from; by default all of (N,)."""
        return rows

    def started(self, networks: Networks, setup: TrainingSetup) -> None:
        """Go on from the first weights of `MODEL`, which another run may have given.

        By default nothing is to do. A method with copies of the network makes them here.
        """

    def views(
        self, batch: Batch, augment: Augmentation, generator: torch.Generator
    ) -> tuple[Batch, ...]:
        """Return what a step sees of a batch: by default one augmented view.

        Maps beside the images are moved with them.

        Args:
            batch: Images, with their labels and targets.
            augment: Augmentation of the training.
            generator: Generator, on the CPU, of the random numbers of the views.
        """
        from torch import cat

        from lenssim.data.format.maps import TRUTHS

        columns: dict[str, Any] = dict(batch)
        names = [name for name in ("image", *TRUTHS) if name in columns]
        pictures = {name: columns[name] for name in names}
        stacked = batch["image"]
        if len(pictures) > 1:
            stacked = cat(list(pictures.values()), dim=1)
        moved, targets = augment(stacked, generator, batch.get("target"))
        parts = moved.split([picture.shape[1] for picture in pictures.values()], dim=1)
        view = columns | dict(zip(names, parts, strict=True)) | {"target": targets}
        return (cast("Batch", view),)

    def optimisers(self, networks: Networks) -> dict[str, Weights]:
        """Return the weights that each optimiser changes, by the name of the optimiser.

        By default one optimiser trains all networks. Several optimisers take `turns`.
        """
        from lenssim.learn.methods.networks import weight_groups

        return {MODEL: weight_groups(networks.values())}

    def turns(self, networks: Networks) -> tuple[str, ...]:
        """Return the names of the optimisers in the order of their steps for one batch.

        By default each takes one step. A name may occur several times. Each step has a loss
        of its own.
        """
        return tuple(self.optimisers(networks))

    def learning_rate(self, config: TrainConfig, turn: str) -> float:
        """Return the learning rate of an optimiser; by default that of the training."""
        return config.learning_rate

    def begin(
        self, networks: Networks, dataset: Data, rows: np.ndarray, setup: TrainingSetup
    ) -> None:
        """Set what follows from the training images at once, before the first step.

        A resumed training does so again, and then takes the weights of its checkpoint.

        Args:
            networks: The networks, by name, which are changed in place.
            dataset: The data set.
            rows: Its training rows (N,).
            setup: What the training depends on.
        """

    @abstractmethod
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        """Return the scalar loss that one optimiser lowers.

        Args:
            networks: The networks, by name.
            views: For each of `sources`, the views of one of its batches.
            setup: What the training depends on.
            turn: Name of the optimiser whose turn it is.
        """

    def validation_step(
        self, networks: Networks, batch: Batch, setup: TrainingSetup
    ) -> tuple[Tensor, Tensor]:
        """Return the outputs (N, K) for a batch of validation images, and the scalar loss."""
        outputs = networks[self.answers_for_source](batch["image"])
        return outputs, setup.task.loss(outputs, batch)

    def observe(
        self, networks: Networks, batch: Batch, source: str, setup: TrainingSetup
    ) -> dict[str, Tensor]:
        """Return what `criteria` needs of a validation batch of one of several data sets.

        Args:
            networks: The networks, by name.
            batch: The batch; that of the second data set comes with its labels, for scores
                that are marked as such.
            source: Name of the data set.
            setup: What the training depends on.

        Returns:
            Tensors (N, ...), which are joined over all batches. By default none.
        """
        return {}

    def criteria(
        self,
        observed: Mapping[str, Mapping[str, Tensor]],
        val_loss: Tensor,
        setup: TrainingSetup,
    ) -> dict[str, Tensor]:
        """Return scalars of an epoch, which metrics.csv keeps as `val_` and their names.

        Args:
            observed: What `observe` has returned, joined, by data set.
            val_loss: Mean loss of the validation images of the first data set.
            setup: What the training depends on.
        """
        return {}

    def starting(self, networks: Networks) -> Model:
        """Return the network that takes the weights of another run; by default the exported."""
        return self.export(networks)

    def export(self, networks: Networks) -> Model:
        """Return the trained network that evaluation and prediction use."""
        from lenssim.learn.nets.model import Model

        model = networks[MODEL]
        assert isinstance(model, Model)
        return model
