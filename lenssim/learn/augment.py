"""Augmentations by name: symmetries of the sky, drawn for each image and applied where the images are."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lenssim.errors import unknown

__all__ = ["AUGMENTATIONS", "augmentation", "batch_seed", "dihedral", "flips", "none", "symmetries"]

_BATCH = 17  # spawn key of these streams, apart from those of the order and the simulation

Augmentation = Callable[[Tensor, torch.Generator], Tensor]


def batch_seed(seed: int, epoch: int, batch: int, rank: int = 0) -> int:
    """Seed of all that is random in one process's training step, a function of its place: resuming repeats it."""
    place = (_BATCH, epoch, batch, *([rank] if rank else []))
    state = np.random.SeedSequence(seed, spawn_key=place).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def _where(images: Tensor, changed: Tensor, generator: torch.Generator) -> Tensor:
    """`changed` for a random half of the images (N, C, H, W)."""
    coins = torch.randint(2, (len(images), 1, 1, 1), generator=generator, dtype=torch.bool)
    return torch.where(coins.to(images.device), changed, images)


def none(images: Tensor, generator: torch.Generator) -> Tensor:
    """The images as they are."""
    return images


def flips(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrored in x, in y, both or neither."""
    images = _where(images, images.flip(-1), generator)
    return _where(images, images.flip(-2), generator)


def dihedral(images: Tensor, generator: torch.Generator) -> Tensor:
    """One of the eight symmetries of the square: flips and rotations by 90 degrees (flips alone if not square)."""
    images = flips(images, generator)
    square = images.shape[-1] == images.shape[-2]
    return _where(images, images.transpose(-1, -2), generator) if square else images


AUGMENTATIONS: dict[str, Augmentation] = {"none": none, "flips": flips, "dihedral": dihedral}


def augmentation(name: str) -> Augmentation:
    """The augmentation of that name; `ConfigError` with a suggestion for an unknown one."""
    if name not in AUGMENTATIONS:
        raise unknown("augmentation", name, AUGMENTATIONS)
    return AUGMENTATIONS[name]


def _flipped(images: Tensor) -> tuple[Tensor, ...]:
    return images, images.flip(-1), images.flip(-2), images.flip((-1, -2))


def _views(number: int) -> Callable[[Tensor], Tensor]:
    """View `number` of a square image among its eight: the four flips, and those of its transpose."""
    return lambda images: _flipped(images.transpose(-1, -2) if number >= 4 else images)[number % 4]


_VIEWS = {"none": 1, "flips": 4, "dihedral": 8}


def symmetries(name: str) -> list[Callable[[Tensor], Tensor]]:
    """Every change of images (N, C, H, W) that the augmentation of that name may make; the first makes none.

    `ConfigError` for an augmentation that is not a choice among a few.
    """
    if name not in _VIEWS:
        raise unknown("augmentation with few symmetries", name, _VIEWS)
    return [_views(number) for number in range(_VIEWS[name])]
