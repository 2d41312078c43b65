"""SCAN: an image and its nearest neighbours belong to one cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, override

from pydantic import Field

from lenssim.learn.methods.method import MODEL, Method

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.methods.method import Networks, TrainingSetup
    from lenssim.learn.nets.neighbours import Neighbours
    from lenssim.learn.tasks.task import Data

__all__ = ["Scan", "agreement"]

_NEIGHBOURS = "neighbours"
_SEED = 0  # of the views of validation images
_TINY = 1e-8


class Scan(Method):
    """Clusters images by the neighbours of a representation (Van Gansbeke et al. 2020).

    `--start` gives the representation, such as that of a run of simclr.
    """

    tasks: ClassVar[tuple[str, ...]] = ("cluster",)
    neighbours: int = Field(
        default=20, ge=1, le=1000, description="Nearest neighbours of an image for scan"
    )
    balance: float = Field(
        default=5.0, ge=0, description="Weight with which scan holds clusters alike in size"
    )

    @override
    def networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        from lenssim.learn.nets.neighbours import Neighbours

        count = min(self.neighbours, setup.samples - 1)
        return {**super().networks(setup), _NEIGHBOURS: Neighbours(setup.samples, count)}

    @override
    def begin(
        self, networks: Networks, dataset: Data, rows: np.ndarray, setup: TrainingSetup
    ) -> None:
        """Find the neighbours of all training images in the features of the first weights."""
        import torch

        from lenssim.learn.nets.features import network_features

        images = dataset.images(rows)
        features = network_features(self.export(networks), images, torch.device("cpu"))
        numbers = torch.as_tensor(dataset.index[rows])
        self._neighbours(networks).set(
            numbers, torch.as_tensor(images), torch.as_tensor(features).float()
        )

    def _neighbours(self, networks: Networks) -> Neighbours:
        from lenssim.learn.nets.neighbours import Neighbours

        neighbours = networks[_NEIGHBOURS]
        assert isinstance(neighbours, Neighbours)
        return neighbours

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        """Return the disagreement of images and neighbours, and how unequal clusters are."""
        (batch,) = views["data"]
        neighbours = self._neighbours(networks).draw(batch["index"]).to(batch["image"])
        model = networks[MODEL]
        return agreement(model(batch["image"]), model(neighbours), self.balance)

    @override
    def validation_step(
        self, networks: Networks, batch: Batch, setup: TrainingSetup
    ) -> tuple[Tensor, Tensor]:
        """Return logits, and the loss of images and views of them."""
        from torch import Generator

        from lenssim.learn.inputs.augment import augmentation

        augment = augmentation(setup.config.augment, (), setup.images)
        (view,) = self.views(batch, augment, Generator().manual_seed(_SEED))
        outputs = networks[MODEL](batch["image"])
        return outputs, agreement(outputs, networks[MODEL](view["image"]), self.balance)


def agreement(first: Tensor, second: Tensor, balance: float) -> Tensor:
    """Return the loss of SCAN for logits (N, K) of images and of their neighbours.

    It is the negative logarithm of the chance of one cluster, less the weighted entropy of the
    clusters' mean shares.
    """
    shares = first.softmax(1)
    shared = (shares * second.softmax(1)).sum(1)
    mean = shares.mean(0)
    entropy = -(mean * (mean + _TINY).log()).sum()
    return -(shared + _TINY).log().mean() - balance * entropy
