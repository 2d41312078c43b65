"""Augmentations by name, random for each image: symmetries, shifts, worse seeing, noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from lenssim.errors import ConfigError, unknown
from lenssim.learn.inputs.augmented_batch import AugmentedBatch, Step, amounts_of, coins_of
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.inputs.noise_steps import (
    add_drizzled,
    add_gaussian,
    add_photons,
    add_telescope,
    lose_dead_pixels,
    lose_disc,
)
from lenssim.learn.inputs.symmetry import Moves
from lenssim.simulate.instruments import AnyCamera

__all__ = ["AUGMENTATIONS", "Augmentation", "augmentation", "batch_seed", "symmetries"]

# spawn key of these streams; the order of the samples and the simulation have other keys
_BATCH_KEY = 17


def batch_seed(seed: int, epoch: int, batch: int, rank: int = 0) -> int:
    """Return the seed of all that is random in one process's training step.

    It is a function of the step alone, so a resumed training repeats it.

    Args:
        seed: Seed of the training.
        epoch: Number of the epoch.
        batch: Number of the batch within the epoch.
        rank: Rank of the process.

    Returns:
        A seed below 2**63.

    Example:
        >>> batch_seed(0, epoch=1, batch=2) == batch_seed(0, epoch=1, batch=2)
        True
    """
    key: tuple[int, ...] = (_BATCH_KEY, epoch, batch)
    if rank:
        key = (*key, rank)
    state = np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def _none(
    batch: AugmentedBatch, amount: float, generator: torch.Generator
) -> AugmentedBatch:
    return batch


def _flips(
    batch: AugmentedBatch, amount: float, generator: torch.Generator
) -> AugmentedBatch:
    """Mirror in x, in y, both or neither."""
    for axis, dim in (("x", -1), ("y", -2)):
        coins = coins_of(batch, generator)
        targets = batch.moves.mirrored(batch.targets, coins, axis)
        batch = batch.where(coins, batch.images.flip(dim), targets)
    return batch


def _dihedral(
    batch: AugmentedBatch, amount: float, generator: torch.Generator
) -> AugmentedBatch:
    """Apply one of the eight symmetries of the square, or flips to images that are not square."""
    batch = _flips(batch, amount, generator)
    if batch.images.shape[-1] != batch.images.shape[-2]:
        return batch
    coins = coins_of(batch, generator)
    targets = batch.moves.transposed(batch.targets, coins)
    return batch.where(coins, batch.images.transpose(-1, -2), targets)


def _recentre(
    batch: AugmentedBatch, amount: float, generator: torch.Generator
) -> AugmentedBatch:
    """Shift by whole pixels, up to `amount` in x and y, with periodic edges.

    An edge filled with zeros would tell the network how far the image was moved.
    """
    limit = int(amount)
    images = batch.images
    height, width = images.shape[-2:]
    shifts = torch.randint(-limit, limit + 1, (2, len(images)), generator=generator)
    x, y = shifts.to(images.device)
    rows = (torch.arange(height, device=x.device) - y[:, None]) % height
    columns = (torch.arange(width, device=x.device) - x[:, None]) % width
    image_index = torch.arange(len(images), device=x.device)[:, None, None]
    shifted = images[image_index, :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)
    targets = batch.moves.shifted(batch.targets, x, y)
    return replace(batch, images=shifted, targets=targets)


def _psf(
    batch: AugmentedBatch, amount: float, generator: torch.Generator
) -> AugmentedBatch:
    """Blur by a Gaussian of up to `amount` pixels; the noise of the image becomes correlated."""
    sigma = amounts_of(batch, amount, generator)[:, 0].clamp(min=1e-3)
    images = batch.images
    for dim in (-1, -2):
        pixels = torch.arange(images.shape[dim], device=images.device, dtype=images.dtype)
        weights = torch.exp(-0.5 * ((pixels[:, None] - pixels) / sigma) ** 2)
        weights = (weights / weights.sum(-1, keepdim=True))[:, None]
        images = weights @ images if dim == -2 else images @ weights.mT
    return batch.with_images(images)


AUGMENTATIONS: dict[str, tuple[Step, float | None]] = {
    "none": (_none, None),
    "flips": (_flips, None),
    "dihedral": (_dihedral, None),
    "recentre": (_recentre, 2.0),
    "psf": (_psf, 1.0),
    "poisson": (add_photons, 0.1),
    "gaussian": (add_gaussian, 0.05),
    "mask": (lose_disc, 3.0),
    "drizzle": (add_drizzled, 0.05),
    "telescope": (add_telescope, 1.0),
    "dead": (lose_dead_pixels, 0.01),
}
"""The function of each augmentation, and its largest amount by default, or None for no amount."""
_VIEWS = {"none": 1, "flips": 4, "dihedral": 8}


@dataclass(frozen=True)
class Augmentation:
    """A chain of augmentations, applied one after another.

    Attributes:
        steps: Name and largest amount of each augmentation.
        moves: The rules by which targets follow images.
        camera: The camera of the images, if it is known.
    """

    steps: tuple[tuple[str, float], ...]
    moves: Moves = field(default_factory=Moves)
    camera: AnyCamera | None = None

    def __call__(
        self, images: Tensor, generator: torch.Generator, targets: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Augment images.

        Args:
            images: Images (N, C, H, W).
            generator: Random generator on the CPU.
            targets: Targets (N, T), if any.

        Returns:
            The changed images (N, C, H, W) and the targets (N, T), changed with them. Without
            targets, T is 0.
        """
        if targets is None:
            targets = images.new_zeros((len(images), 0))
        batch = AugmentedBatch(images, targets, self.moves, self.camera)
        for name, amount in self.steps:
            step, _ = AUGMENTATIONS[name]
            batch = step(batch, amount, generator)
        return batch.images, batch.targets


def augmentation(
    text: str,
    targets: Sequence[str] = (),
    images: ImageDescription | None = None,
    camera: AnyCamera | None = None,
) -> Augmentation:
    """Parse an augmentation such as `dihedral` or `dihedral+recentre=2+psf`.

    Args:
        text: Names of `AUGMENTATIONS` joined by `+`, with amounts.
        targets: Names of the targets that must follow.
        images: Description of the images. Its pixel scale says how far targets shift with them.
        camera: Their camera, whose noise `telescope` adds.

    Returns:
        The augmentation.

    Raises:
        ConfigError: A name is unknown, an amount is impossible, a target cannot follow the image,
            or the images have no camera that has noise.

    Example:
        >>> augmentation("flips+psf=1.5").steps
        (('flips', 0.0), ('psf', 1.5))
    """
    pixel_scale = None
    if images is not None:
        pixel_scale = images.pixel_scale
    moves = Moves(targets, pixel_scale)
    steps = []
    for part in text.split("+"):
        name, amount = _parsed_step(part)
        steps.append((name, amount))
        if name in ("flips", "dihedral"):
            moves.check_turns(name, transposes=name == "dihedral")
        if name == "recentre" and images is not None:
            moves.check_shifts(name)
        if name == "telescope" and images is not None and camera is None:
            raise ConfigError(
                "augment: telescope adds the noise of the images' camera, and these images "
                "state none in e-/s: train on simulated images, or use drizzle",
                code="augment-camera",
            )
    return Augmentation(tuple(steps), moves, camera)


def _parsed_step(part: str) -> tuple[str, float]:
    """Return name and amount of one augmentation."""
    name, equals, number = part.partition("=")
    if name not in AUGMENTATIONS:
        raise unknown("augmentation", name, AUGMENTATIONS, code="unknown-augmentation")
    _, default = AUGMENTATIONS[name]
    if not equals:
        return name, default or 0.0
    if default is None:
        raise ConfigError(
            f"augment: {name} takes no amount, got {part!r}",
            code="augment-amount",
            name=name,
            part=part,
        )
    return name, _amount(part, number)


def _amount(part: str, number: str) -> float:
    try:
        amount = float(number)
    except ValueError:
        amount = -1.0
    if not 0 <= amount < np.inf:
        raise ConfigError(
            f"augment: {part!r}: an amount is a number of at least 0, such as psf=1.5",
            code="augment-amount",
            part=part,
        )
    return amount


def _flipped(images: Tensor) -> tuple[Tensor, ...]:
    return images, images.flip(-1), images.flip(-2), images.flip((-1, -2))


def _view(number: int) -> Callable[[Tensor], Tensor]:
    """Return one of eight views: 0 to 3 flip a square image, 4 to 7 flip its transpose."""

    def view(images: Tensor) -> Tensor:
        if number >= 4:
            images = images.transpose(-1, -2)
        return _flipped(images)[number % 4]

    return view


def symmetries(text: str) -> list[Callable[[Tensor], Tensor]]:
    """Return every mirror image and rotation that an augmentation may make of images (N, C, H, W).

    Args:
        text: The augmentation, as in `augmentation`.

    Returns:
        Functions of images. The first is the identity.

    Example:
        >>> len(symmetries("dihedral+psf"))
        8
    """
    names = [name for name, _ in augmentation(text).steps]
    view_count = max(_VIEWS.get(name, 1) for name in names)
    return [_view(number) for number in range(view_count)]
