"""How true parameters follow the sky when an image is mirrored, transposed or shifted."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from lenssim.errors import ConfigError

__all__ = ["Moves"]

_PLACE = re.compile(r"(.*_|)([xy])$")
_SPIN_2 = re.compile(r"(.*_|)(e|gamma)([12])$")
_ANGLE = re.compile(r"(.*_|)(phi|angle)$")


class Moves:
    """What happens to targets (N, T) named `columns`: places (..x, ..y) are vectors, e and gamma have spin 2.

    A mirror image of x changes the sign of x and of the second components; a transposition exchanges x and y and
    changes the sign of the first components. Other numbers stay. `pixel_scale` [arcsec] is for shifts.
    """

    def __init__(
        self, columns: Sequence[str] = (), pixel_scale: float | None = None
    ) -> None:
        self.columns, self.pixel_scale = tuple(columns), pixel_scale
        place = [_PLACE.match(name) for name in columns]
        spin = [_SPIN_2.match(name) for name in columns]
        self.axes = {axis: [bool(own and own[2] == axis) for own in place] for axis in "xy"}
        self.components = {k: [bool(own and own[3] == k) for own in spin] for k in "12"}
        partner = [own[1] + {"x": "y", "y": "x"}[own[2]] if own else None for own in place]
        self.order = [
            self.columns.index(other) if other in self.columns else k
            for k, other in enumerate(partner)
        ]
        self.alone = [
            name
            for name, other in zip(columns, partner, strict=True)
            if other and other not in columns
        ]

    def check_turns(self, what: str, *, transposes: bool) -> None:
        """`ConfigError` if a target cannot follow an augmentation, `what`, that mirrors or also transposes."""
        if angles := [name for name in self.columns if _ANGLE.match(name)]:
            raise ConfigError(
                f"augment: {what} turns and mirrors the image, and no one number says where {', '.join(angles)} goes: "
                "give none, or measure e1 and e2"
            )
        if transposes and self.alone:
            raise ConfigError(
                f"augment: {what} exchanges x and y, and {', '.join(self.alone)} is measured without the other: "
                "add it to the targets, or give flips"
            )

    def check_shifts(self, what: str) -> None:
        """`ConfigError` if a target is a place, and how large pixels are is not known."""
        if self.pixel_scale is None and any(self.axes["x"] + self.axes["y"]):
            raise ConfigError(
                f"augment: {what} moves places by pixels, and these data do not say how large a pixel is"
            )

    def mirrored(self, targets: Tensor, chosen: Tensor, axis: str) -> Tensor:
        """Targets of images (N,) that are `chosen` to be mirrored along `axis`, x or y."""
        odd = targets.new_tensor(self.axes[axis], dtype=torch.bool) | targets.new_tensor(
            self.components["2"], dtype=torch.bool
        )
        return torch.where(chosen[:, None] & odd, -targets, targets)

    def transposed(self, targets: Tensor, chosen: Tensor) -> Tensor:
        """Targets of images (N,) that are `chosen` to have x and y exchanged."""
        odd = targets.new_tensor(self.components["1"], dtype=torch.bool)
        return torch.where(
            chosen[:, None], torch.where(odd, -targets, targets)[:, self.order], targets
        )

    def shifted(self, targets: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Targets of images moved by x, y (N,) pixels."""
        steps = sum(
            pixels.to(targets)[:, None] * targets.new_tensor(self.axes[axis])
            for axis, pixels in (("x", x), ("y", y))
        )
        return targets + steps * (self.pixel_scale or 0.0)
