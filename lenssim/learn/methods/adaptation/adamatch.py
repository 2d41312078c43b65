"""AdaMatch: pseudo labels whose classes are as frequent as the source's (Berthelot et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, override

from pydantic import Field

from lenssim.learn.methods.adaptation.adaptation import (
    SOURCE,
    TARGET,
    Adaptation,
    model_of,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.inputs.augment import Augmentation
    from lenssim.learn.methods.method import Networks, TrainingSetup
    from lenssim.learn.tasks import Task

__all__ = ["AdaMatch"]


class AdaMatch(Adaptation):
    """Sure answers to weakly changed images of the target are labels of strongly changed ones.

    The strong change adds white noise to the weak one.
    """

    laid_out: ClassVar[bool] = True
    tasks: ClassVar[tuple[str, ...]] = ("classify", "find")

    adamatch_threshold: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="adamatch: least probability of a label, over the source's mean",
    )
    adamatch_noise: float = Field(
        default=0.1,
        ge=0,
        description="adamatch: noise of the strong change, over the image's scatter",
    )

    @override
    def views(
        self, batch: Batch, augment: Augmentation, generator: torch.Generator
    ) -> tuple[Batch, ...]:
        import torch

        (weak,) = super().views(batch, augment, generator)
        (strong,) = super().views(batch, augment, generator)
        images = strong["image"]
        noise = torch.randn(images.shape, generator=generator).to(images.device)
        scatter = images.std(dim=(1, 2, 3), keepdim=True)
        strong["image"] = images + self.adamatch_noise * scatter * noise
        return weak, strong

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        import torch

        task = setup.task
        source = views[SOURCE][0]
        images = [source["image"], *(view["image"] for view in views[TARGET])]
        sizes = [len(stack) for stack in images]
        together = model_of(networks)(torch.cat(images))
        beside, weak, strong = together.split(sizes)
        alone = model_of(networks, SOURCE)(source["image"])
        share = torch.rand_like(alone)  # random interpolation of both
        outputs = share * beside + (1 - share) * alone
        loss = task.loss(outputs, source)
        matching = self.matching(*(_logits(task, part) for part in (outputs, weak, strong)))
        return loss + self.rise(setup.progress) * matching

    def matching(self, source: Tensor, weak: Tensor, strong: Tensor) -> Tensor:
        """Return the cross entropy of strong views, for logits (N, K), with sure labels."""
        from torch.nn.functional import cross_entropy

        from lenssim.learn.methods.adaptation.losses import aligned

        of_source = source.detach().softmax(1)
        of_weak = weak.detach().softmax(1)
        probabilities = aligned(of_weak, of_source.mean(0), of_weak.mean(0))
        confidence, labels = probabilities.max(1)
        sure = confidence >= self.adamatch_threshold * of_source.amax(1).mean()
        return (sure * cross_entropy(strong, labels, reduction="none")).mean()

    def rise(self, progress: float) -> float:
        """Return the weight of the target, which rises from 0 to 1 in the first half.

        Example:
            >>> AdaMatch().rise(0.5)
            1.0
        """
        return 0.5 - math.cos(min(math.pi, 2 * math.pi * progress)) / 2


def _logits(task: Task, outputs: Tensor) -> Tensor:
    """Return the logits of the classes."""
    logits = task.class_logits(outputs)
    assert logits is not None
    return logits
