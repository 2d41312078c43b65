"""How true parameters follow an image that is mirrored, transposed or shifted."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from lenssim.errors import ConfigError

__all__ = ["Moves"]

_POSITION = re.compile(r"(.*_|)([xy])$")
_SPIN_2 = re.compile(r"(.*_|)(e|gamma)([12])$")
_ANGLE = re.compile(r"(.*_|)(phi|angle)$")
_OTHER_AXIS = {"x": "y", "y": "x"}


class Moves:
    """How targets (N, T) follow images: positions (..x, ..y) are vectors, e and gamma have spin 2.

    A mirror image of x changes the sign of x and of the second components. A transposition
    exchanges x and y and changes the sign of the first components. Other parameters stay.

    Example:
        >>> moves = Moves(["e1", "e2", "center_x"])
        >>> moves.mirrored(torch.ones(1, 3), torch.tensor([True]), "x")
        tensor([[ 1., -1., -1.]])
    """

    def __init__(
        self, columns: Sequence[str] = (), pixel_scale: float | None = None
    ) -> None:
        """Args: the names of the targets, and the size of a pixel in arcsec, which shifts need."""
        self.columns = tuple(columns)
        self.pixel_scale = pixel_scale
        axes = [_axis(name) for name in columns]
        components = [_component(name) for name in columns]
        partners = [_partner(name) for name in columns]
        self.axes = {name: [axis == name for axis in axes] for name in "xy"}
        self.components = {
            name: [component == name for component in components] for name in "12"
        }
        self.order = [
            self.columns.index(partner) if partner in self.columns else k
            for k, partner in enumerate(partners)
        ]
        self.unpaired = [
            name
            for name, partner in zip(columns, partners, strict=True)
            if partner and partner not in columns
        ]

    def check_turns(self, augmentation: str, *, transposes: bool) -> None:
        """Check that all targets can follow an augmentation that mirrors or also transposes.

        Args:
            augmentation: Its name.
            transposes: Whether it exchanges x and y.

        Raises:
            ConfigError: A target cannot follow.
        """
        angles = [name for name in self.columns if _ANGLE.match(name)]
        if angles:
            raise ConfigError(
                f"augment: {augmentation} turns and mirrors the image, and no one number says where "
                f"{', '.join(angles)} goes: give none, or measure e1 and e2",
                code="augment-target",
                augmentation=augmentation,
            )
        if transposes and self.unpaired:
            raise ConfigError(
                f"augment: {augmentation} exchanges x and y, and {', '.join(self.unpaired)} is "
                "measured without the other: add it to the targets, or give flips",
                code="augment-target",
                augmentation=augmentation,
            )

    def check_shifts(self, augmentation: str) -> None:
        """Check that all targets can follow an augmentation that shifts.

        Args:
            augmentation: Its name.

        Raises:
            ConfigError: A target is a position, and the size of a pixel is unknown.
        """
        if self.pixel_scale is None and any(self.axes["x"] + self.axes["y"]):
            raise ConfigError(
                f"augment: {augmentation} moves places by pixels, and these data do not say how "
                "large a pixel is",
                code="augment-target",
                augmentation=augmentation,
            )

    def mirrored(self, targets: Tensor, chosen: Tensor, axis: str) -> Tensor:
        """Return the targets (N, T) of images of which some are mirrored.

        Args:
            targets: Targets (N, T).
            chosen: Whether each image is mirrored, bool (N,).
            axis: The axis, x or y.
        """
        on_axis = targets.new_tensor(self.axes[axis], dtype=torch.bool)
        odd = on_axis | targets.new_tensor(self.components["2"], dtype=torch.bool)
        return torch.where(chosen[:, None] & odd, -targets, targets)

    def transposed(self, targets: Tensor, chosen: Tensor) -> Tensor:
        """Return the targets (N, T) of images of which some have x and y exchanged.

        Args:
            targets: Targets (N, T).
            chosen: Whether each image is transposed, bool (N,).
        """
        odd = targets.new_tensor(self.components["1"], dtype=torch.bool)
        transposed = torch.where(odd, -targets, targets)[:, self.order]
        return torch.where(chosen[:, None], transposed, targets)

    def shifted(self, targets: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the targets (N, T) of images that are moved by x, y (N,) pixels."""
        steps = sum(
            pixels.to(targets)[:, None] * targets.new_tensor(self.axes[axis])
            for axis, pixels in (("x", x), ("y", y))
        )
        return targets + steps * (self.pixel_scale or 0.0)


def _axis(name: str) -> str | None:
    """Return x or y for a position."""
    match = _POSITION.match(name)
    if match is None:
        return None
    return match[2]


def _component(name: str) -> str | None:
    """Return 1 or 2 for a component of spin 2."""
    match = _SPIN_2.match(name)
    if match is None:
        return None
    return match[3]


def _partner(name: str) -> str | None:
    """Return the name of the other coordinate of a position."""
    match = _POSITION.match(name)
    if match is None:
        return None
    return match[1] + _OTHER_AXIS[match[2]]
