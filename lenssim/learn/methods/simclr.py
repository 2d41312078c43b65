"""SimCLR: two views of an image lie near each other, and far from all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, override

from pydantic import Field

from lenssim.learn.methods.method import MODEL, Method

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.inputs.augment import Augmentation
    from lenssim.learn.methods.method import Networks, TrainingSetup

__all__ = ["SimClr", "contrast"]

_PROJECTOR = "projector"
_SEED = 0  # of the views of validation images


class SimClr(Method):
    """Contrastive learning without labels (Chen et al. 2020).

    A projector stands behind the embedding during the training, and is left out afterwards.
    """

    tasks: ClassVar[tuple[str, ...]] = ("represent",)
    temperature: float = Field(
        default=0.2, gt=0, description="Temperature of the similarities of simclr"
    )
    projection: int = Field(
        default=64, ge=2, le=2**14, description="Numbers that simclr compares"
    )

    @override
    def networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        from torch import nn

        size = setup.task.outputs
        projector = nn.Sequential(
            nn.Linear(size, size), nn.ReLU(), nn.Linear(size, self.projection)
        )
        return {**super().networks(setup), _PROJECTOR: projector}

    @override
    def views(
        self, batch: Batch, augment: Augmentation, generator: torch.Generator
    ) -> tuple[Batch, ...]:
        """Return two augmented views."""
        views = [super(SimClr, self).views(batch, augment, generator) for _ in range(2)]
        return tuple(view for (view,) in views)

    def _loss(self, networks: Networks, views: tuple[Batch, ...]) -> Tensor:
        pair = [networks[_PROJECTOR](networks[MODEL](view["image"])) for view in views]
        return contrast(pair[0], pair[1], self.temperature)

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        return self._loss(networks, views["data"])

    @override
    def validation_step(
        self, networks: Networks, batch: Batch, setup: TrainingSetup
    ) -> tuple[Tensor, Tensor]:
        """Return embeddings, and the loss of two views that are the same in every epoch."""
        from torch import Generator

        from lenssim.learn.inputs.augment import augmentation

        augment = augmentation(setup.config.augment, (), setup.images)
        views = self.views(batch, augment, Generator().manual_seed(_SEED))
        return networks[MODEL](batch["image"]), self._loss(networks, views)


def contrast(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the normalised cross entropy of pairs among all numbers of a batch (NT-Xent).

    Args:
        first: Numbers (N, D) of one view.
        second: Numbers (N, D) of the other view.
        temperature: Temperature of the cosine similarities.
    """
    import torch
    from torch.nn.functional import cross_entropy, normalize

    numbers = normalize(torch.cat([first, second]), dim=1)
    similarities = numbers @ numbers.T / temperature
    similarities = similarities.fill_diagonal_(-torch.inf)
    count = len(first)
    partners = torch.arange(2 * count, device=first.device).roll(count)
    return cross_entropy(similarities, partners)
