"""A batch of images that augmentations change, with its targets, and what they draw for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lenssim.learn.inputs.symmetry import Moves
from lenssim.simulate.instruments import AnyCamera

__all__ = [
    "AugmentedBatch",
    "Step",
    "amounts_of",
    "coins_of",
    "device_generator_of",
    "peak_of",
]


@dataclass(frozen=True)
class AugmentedBatch:
    """Images with their targets.

    Attributes:
        images: Images (N, C, H, W).
        targets: Targets (N, T).
        moves: The rules by which targets follow images.
        camera: The camera of the images, if it is known.
    """

    images: Tensor
    targets: Tensor
    moves: Moves
    camera: AnyCamera | None = None

    def with_images(self, images: Tensor) -> "AugmentedBatch":
        """Return the batch with other images (N, C, H, W)."""
        return replace(self, images=images)

    def where(self, chosen: Tensor, images: Tensor, targets: Tensor) -> "AugmentedBatch":
        """Replace the `chosen` (N,) images, and all targets: `targets` has moved only the chosen."""
        images = torch.where(chosen[:, None, None, None], images, self.images)
        return replace(self, images=images, targets=targets)


Step = Callable[[AugmentedBatch, float, torch.Generator], AugmentedBatch]


def coins_of(batch: AugmentedBatch, generator: torch.Generator) -> Tensor:
    """Choose each image with probability 1/2, bool (N,)."""
    coins = torch.randint(2, (len(batch.images),), generator=generator, dtype=torch.bool)
    return coins.to(batch.images.device)


def amounts_of(batch: AugmentedBatch, maximum: float, generator: torch.Generator) -> Tensor:
    """Draw amounts (N, 1, 1, 1), uniform in 0 ... `maximum`."""
    uniform = torch.rand((len(batch.images), 1, 1, 1), generator=generator)
    return maximum * uniform.to(batch.images)


def device_generator_of(
    batch: AugmentedBatch, generator: torch.Generator
) -> torch.Generator:
    """Return a generator on the device of the images, seeded by the one on the CPU."""
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.Generator(batch.images.device).manual_seed(seed)


def peak_of(images: Tensor) -> Tensor:
    """Return the peak (N, C, 1, 1) of each band of each image."""
    return images.amax((2, 3), keepdim=True).clamp(min=torch.finfo(images.dtype).tiny)
