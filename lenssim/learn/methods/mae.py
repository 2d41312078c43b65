"""Masked images: an embedding of some patches tells all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, override

from pydantic import Field

from lenssim.learn.methods.method import MODEL, Method

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.methods.method import Networks, TrainingSetup

__all__ = ["Mae", "masked_patches"]

_DECODER = "decoder"
_SEED = 0  # of the masks of validation images


class Mae(Method):
    """Learns to draw masked patches of images (He et al. 2022, for nets of any kind).

    Any net serves, because the decoder sees its embedding alone, and not its tokens. So the
    embedding is a bottleneck, as in context encoders (Pathak et al. 2016).
    """

    tasks: ClassVar[tuple[str, ...]] = ("represent",)
    masked: float = Field(
        default=0.75, gt=0, lt=1, description="Share of the patches that mae masks"
    )
    patch: int = Field(
        default=8, ge=1, le=1024, description="Side of the patches of mae, in pixels"
    )

    @override
    def networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        from lenssim.learn.nets.decoder import image_decoder

        decoder = image_decoder(setup.task.outputs, setup.images.shape)
        return {**super().networks(setup), _DECODER: decoder}

    def _loss(
        self, networks: Networks, batch: Batch, generator: torch.Generator | None
    ) -> Tensor:
        """Return the mean squared error of the masked pixels of scaled images."""
        model = self.export(networks)
        scaled = model.scaled(batch["image"])
        hidden = masked_patches(scaled, self.patch, self.masked, generator)
        mean = scaled.mean((2, 3), keepdim=True)
        answer = networks[_DECODER](model.net(scaled.where(~hidden, mean)))
        return ((answer - scaled).square() * hidden).sum() / (
            hidden.sum() * scaled.shape[1]
        )

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        (batch,) = views["data"]
        return self._loss(networks, batch, None)

    @override
    def validation_step(
        self, networks: Networks, batch: Batch, setup: TrainingSetup
    ) -> tuple[Tensor, Tensor]:
        """Return embeddings, and the loss of masks that are the same in every epoch."""
        from torch import Generator

        generator = Generator().manual_seed(_SEED)
        return networks[MODEL](batch["image"]), self._loss(networks, batch, generator)


def masked_patches(
    images: Tensor, side: int, share: float, generator: torch.Generator | None
) -> Tensor:
    """Return where (N, 1, H, W) images (N, C, H, W) are masked: the same share of each.

    Args:
        images: The images.
        side: Side of the patches in pixels.
        share: Share of the patches that are masked, at least one and not all.
        generator: Generator on the CPU; None for torch's default generator.
    """
    import torch

    height, width = images.shape[-2:]
    rows = -(-height // side)
    columns = -(-width // side)
    count = rows * columns
    hidden = min(max(1, round(share * count)), max(1, count - 1))
    order = torch.rand(len(images), count, generator=generator).argsort(1).argsort(1)
    patches = (order < hidden).view(-1, 1, rows, columns).to(images.device)
    pixels = patches.repeat_interleave(side, 2).repeat_interleave(side, 3)
    return pixels[..., :height, :width]
