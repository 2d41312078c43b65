"""Distances of patches from those of the training images."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from pydantic import Field

from lenssim.learn.methods.detectors.detection import FittedDetection

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from lenssim.learn.methods.method import Networks, TrainingSetup
    from lenssim.learn.nets.detection.detector import Detector
    from lenssim.learn.nets.detection.patches import PatchMemory
    from lenssim.learn.nets.model import Model
    from lenssim.learn.tasks.task import Data

__all__ = ["PatchCore"]

_IMAGES = 512  # whose patches the core is chosen from
_PATCHES_PER_IMAGE = 32
_BATCH = 64


class PatchCore(FittedDetection):
    """Scores an image by its most unusual patch (Roth et al. 2022).

    Features are those of `--net`: from `--start`, `--pretrained` or random weights.
    """

    core: int = Field(
        default=1024, ge=2, le=2**20, description="Patches that patchcore compares with"
    )

    @override
    def detector(self, setup: TrainingSetup, *, in_sigma: bool) -> Detector:
        from lenssim.learn.nets.detection.patches import PatchMemory
        from lenssim.learn.nets.model import Model

        config = setup.config
        features = Model(config.net, config.normalise, setup.images, 1, config.seed)
        limit = min(setup.samples, _IMAGES) * _PATCHES_PER_IMAGE
        size = min(self.core, limit)
        return PatchMemory(features, setup.images.shape, size, in_sigma=in_sigma)

    def _memory(self, networks: Networks) -> PatchMemory:
        from lenssim.learn.nets.detection.patches import PatchMemory

        network = self.trained(networks)
        assert isinstance(network, PatchMemory)
        return network

    @override
    def starting(self, networks: Networks) -> Model:
        return self._memory(networks).features

    @override
    def begin(
        self, networks: Networks, dataset: Data, rows: np.ndarray, setup: TrainingSetup
    ) -> None:
        import torch

        from lenssim.learn.nets.detection.patches import greedy_core

        network = self._memory(networks)
        generator = torch.Generator().manual_seed(setup.config.seed)
        images = torch.as_tensor(dataset.images(rows[:_IMAGES]))
        with torch.no_grad():
            patches = torch.cat(
                [
                    _drawn(network.patches(batch), generator)
                    for batch in images.split(_BATCH)
                ]
            )
        network.core.copy_(greedy_core(patches, len(network.core), generator))
        network.mean.copy_(images.mean(dim=0))


def _drawn(patches: Tensor, generator: torch.Generator) -> Tensor:
    """Return some patches (K, F) of each image, from features (N, F, h, w)."""
    import torch

    flat = patches.movedim(1, -1).flatten(1, 2)
    order = torch.rand(flat.shape[:2], generator=generator).argsort(1)
    order = order[:, :_PATCHES_PER_IMAGE, None].expand(-1, -1, flat.shape[2])
    return flat.gather(1, order).flatten(0, 1)
