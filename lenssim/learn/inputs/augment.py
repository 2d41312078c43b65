"""Augmentations by name, drawn for each image where the images are: symmetries, shifts, worse seeing, noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lenssim.errors import ConfigError, unknown
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.inputs.symmetry import Moves

__all__ = ["AUGMENTATIONS", "Augmentation", "augmentation", "batch_seed", "symmetries"]

_BATCH = 17  # spawn key of these streams, apart from those of the order and the simulation


def batch_seed(seed: int, epoch: int, batch: int, rank: int = 0) -> int:
    """Seed of all that is random in one process's training step, a function of its place: resuming repeats it."""
    place = (_BATCH, epoch, batch, *([rank] if rank else []))
    state = np.random.SeedSequence(seed, spawn_key=place).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


@dataclass(frozen=True)
class _Sky:
    """Images (N, C, H, W), their targets (N, T), and how these move."""

    images: Tensor
    targets: Tensor
    moves: Moves

    def with_images(self, images: Tensor) -> "_Sky":
        return _Sky(images, self.targets, self.moves)

    def chosen(self, chosen: Tensor, images: Tensor, targets: Tensor) -> "_Sky":
        """`images` and `targets` where `chosen` (N,)."""
        return _Sky(
            torch.where(chosen[:, None, None, None], images, self.images),
            targets,
            self.moves,
        )


_Step = Callable[[_Sky, float, torch.Generator], _Sky]


def _coins(sky: _Sky, generator: torch.Generator) -> Tensor:
    """A random half of the images, (N,)."""
    return torch.randint(2, (len(sky.images),), generator=generator, dtype=torch.bool).to(
        sky.images.device
    )


def _amounts(sky: _Sky, most: float, generator: torch.Generator) -> Tensor:
    """Uniform in 0..`most`, (N, 1, 1, 1)."""
    return most * torch.rand((len(sky.images), 1, 1, 1), generator=generator).to(sky.images)


def _there(sky: _Sky, generator: torch.Generator) -> torch.Generator:
    """A generator where the images are, which goes on from the one here."""
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.Generator(sky.images.device).manual_seed(seed)


def _peak(images: Tensor) -> Tensor:
    return images.amax((1, 2, 3), keepdim=True).clamp(min=torch.finfo(images.dtype).tiny)


def _none(sky: _Sky, amount: float, generator: torch.Generator) -> _Sky:
    return sky


def _flips(sky: _Sky, amount: float, generator: torch.Generator) -> _Sky:
    """Mirrored in x, in y, both or neither."""
    for axis, dim in (("x", -1), ("y", -2)):
        coins = _coins(sky, generator)
        sky = sky.chosen(
            coins, sky.images.flip(dim), sky.moves.mirrored(sky.targets, coins, axis)
        )
    return sky


def _dihedral(sky: _Sky, amount: float, generator: torch.Generator) -> _Sky:
    """One of the eight symmetries of the square: flips and rotations by 90 degrees (flips alone if not square)."""
    sky = _flips(sky, amount, generator)
    if sky.images.shape[-1] != sky.images.shape[-2]:
        return sky
    coins = _coins(sky, generator)
    return sky.chosen(
        coins, sky.images.transpose(-1, -2), sky.moves.transposed(sky.targets, coins)
    )


def _recentre(sky: _Sky, amount: float, generator: torch.Generator) -> _Sky:
    """Moved by whole pixels, up to `amount` in x and y; what leaves on one side comes in on the other, noise and all.

    An edge filled with zeros would tell the network how far the image was moved.
    """
    most, (height, width) = int(amount), sky.images.shape[-2:]
    x, y = torch.randint(-most, most + 1, (2, len(sky.images)), generator=generator).to(
        sky.images.device
    )
    rows = (torch.arange(height, device=x.device) - y[:, None]) % height
    columns = (torch.arange(width, device=x.device) - x[:, None]) % width
    image = torch.arange(len(sky.images), device=x.device)
    moved = sky.images[image[:, None, None], :, rows[:, :, None], columns[:, None]].permute(
        0, 3, 1, 2
    )
    return _Sky(moved, sky.moves.shifted(sky.targets, x, y), sky.moves)


def _psf(sky: _Sky, amount: float, generator: torch.Generator) -> _Sky:
    """Blurred once more, by a Gaussian of up to `amount` pixels; the image's own noise becomes correlated."""
    sigma = _amounts(sky, amount, generator)[:, 0].clamp(min=1e-3)
    images = sky.images
    for dim in (-1, -2):
        at = torch.arange(images.shape[dim], device=images.device, dtype=images.dtype)
        weights = torch.exp(-0.5 * ((at[:, None] - at) / sigma) ** 2)
        weights = (weights / weights.sum(-1, keepdim=True))[:, None]
        images = weights @ images if dim == -2 else images @ weights.mT
    return sky.with_images(images)


def _poisson(sky: _Sky, amount: float, generator: torch.Generator) -> _Sky:
    """Photons counted: their noise at the peak is up to `amount` of it: 1 / amount^2 counts there, or more."""
    share = _amounts(sky, amount, generator)
    counts, peak = share.clamp(min=1e-6) ** -2, _peak(sky.images)
    expected = sky.images.clamp(min=0)
    drawn = torch.poisson(expected * (counts / peak), generator=_there(sky, generator)) * (
        peak / counts
    )
    return sky.with_images(
        torch.where(share > 1e-6, sky.images - expected + drawn, sky.images)
    )


def _gaussian(sky: _Sky, amount: float, generator: torch.Generator) -> _Sky:
    """Noise of up to `amount` of the peak in every pixel."""
    sigma = _amounts(sky, amount, generator) * _peak(sky.images)
    noise = torch.randn(
        sky.images.shape,
        generator=_there(sky, generator),
        dtype=sky.images.dtype,
        device=sky.images.device,
    )
    return sky.with_images(sky.images + sigma * noise)


def _mask(sky: _Sky, amount: float, generator: torch.Generator) -> _Sky:
    """A disc of pixels, of a radius up to `amount`, without light: their value becomes 0."""
    radius = _amounts(sky, amount, generator)[:, 0]
    height, width = sky.images.shape[-2:]
    y, x = torch.rand((2, len(sky.images), 1, 1), generator=generator).to(sky.images)
    rows = torch.arange(height, device=x.device)[:, None] - y * (height - 1)
    columns = torch.arange(width, device=x.device) - x * (width - 1)
    return sky.with_images(
        torch.where((rows**2 + columns**2 < radius**2)[:, None], 0, sky.images)
    )


AUGMENTATIONS: dict[str, tuple[_Step, float | None]] = {
    "none": (_none, None),
    "flips": (_flips, None),
    "dihedral": (_dihedral, None),
    "recentre": (_recentre, 2.0),
    "psf": (_psf, 1.0),
    "poisson": (_poisson, 0.1),
    "gaussian": (_gaussian, 0.05),
    "mask": (_mask, 3.0),
}
"""What is done, and by how much at most unless a number is given; None: it takes none."""
_VIEWS = {"none": 1, "flips": 4, "dihedral": 8}


@dataclass(frozen=True)
class Augmentation:
    """Steps in turn, each with its largest amount; `moves` says how targets follow."""

    steps: tuple[tuple[str, float], ...]
    moves: Moves = field(default_factory=Moves)

    def __call__(
        self, images: Tensor, generator: torch.Generator, targets: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Changed images (N, C, H, W), and targets (N, T) that changed with them; none in, none out: (N, 0)."""
        sky = _Sky(
            images,
            images.new_zeros((len(images), 0)) if targets is None else targets,
            self.moves,
        )
        for name, amount in self.steps:
            sky = AUGMENTATIONS[name][0](sky, amount, generator)
        return sky.images, sky.targets


def augmentation(
    text: str, targets: Sequence[str] = (), images: ImageDescription | None = None
) -> Augmentation:
    """The augmentation written as `dihedral`, `dihedral+recentre=2+psf`: names of `AUGMENTATIONS`, with amounts.

    `ConfigError` for an unknown name, with a suggestion, an impossible amount, and `targets` that cannot follow; how
    far they are shifted is known once the `images` are.
    """
    moves, steps = Moves(targets, images and images.pixel_scale), []
    for part in text.split("+"):
        name, given, number = part.partition("=")
        if name not in AUGMENTATIONS:
            raise unknown("augmentation", name, AUGMENTATIONS)
        most = AUGMENTATIONS[name][1]
        if given and most is None:
            raise ConfigError(f"augment: {name} takes no amount, got {part!r}")
        steps.append((name, _amount(part, number) if given else most or 0.0))
        if name in ("flips", "dihedral"):
            moves.check_turns(name, transposes=name == "dihedral")
        if name == "recentre" and images is not None:
            moves.check_shifts(name)
    return Augmentation(tuple(steps), moves)


def _amount(part: str, number: str) -> float:
    try:
        amount = float(number)
    except ValueError:
        amount = -1.0
    if not 0 <= amount < np.inf:
        raise ConfigError(
            f"augment: {part!r}: an amount is a number of at least 0, such as psf=1.5"
        )
    return amount


def _flipped(images: Tensor) -> tuple[Tensor, ...]:
    return images, images.flip(-1), images.flip(-2), images.flip((-1, -2))


def _views(number: int) -> Callable[[Tensor], Tensor]:
    """View `number` of a square image among its eight: the four flips, and those of its transpose."""
    return lambda images: _flipped(images.transpose(-1, -2) if number >= 4 else images)[
        number % 4
    ]


def symmetries(text: str) -> list[Callable[[Tensor], Tensor]]:
    """Every mirror image and rotation of images (N, C, H, W) that an augmentation may make; the first makes none."""
    names = [name for name, _ in augmentation(text).steps]
    return [_views(number) for number in range(max(_VIEWS.get(name, 1) for name in names))]
