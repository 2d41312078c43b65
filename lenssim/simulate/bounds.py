"""Bounds: where a number of a scene may lie, and the one error for a number that lies elsewhere."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.distributions import has_tails, support

__all__ = ["Bounds", "OutOfBoundsError"]


class OutOfBoundsError(ConfigError):
    """A number lies outside of its bounds.

    Attributes:
        complaint: What is wrong, without the sample.
        row: Which of the column's numbers it is; None for a number of a preset.
        hint: How to mend it.
    """

    def __init__(
        self,
        complaint: str,
        row: int | None = None,
        hint: str = "",
        sample: int | None = None,
    ) -> None:
        self.complaint = complaint
        self.row = row
        self.hint = hint
        place = "" if sample is None else f"sample {sample}: "
        super().__init__(place + complaint + hint)

    def of_sample(self, sample: int) -> "OutOfBoundsError":
        """The same error, which names the sample."""
        return OutOfBoundsError(self.complaint, self.row, self.hint, sample)


@dataclass(frozen=True)
class Bounds:
    """The interval of a number, in `unit`; its ends belong to it but for `open_low` and `open_high`.

    `whole` leaves whole numbers alone in it; `reason` is added to messages.

    Example:
        >>> str(Bounds(0, 1, open_low=True)), Bounds(0, 1).outside(np.array([0.0, 2.0])).tolist()
        ('(0, 1]', [False, True])
    """

    low: float
    high: float
    unit: str = ""
    open_low: bool = False
    open_high: bool = False
    whole: bool = False
    reason: str = ""

    def __str__(self) -> str:
        left = "(" if self.open_low else "["
        right = ")" if self.open_high else "]"
        return f"{left}{self.low:.6g}, {self.high:.6g}{right}" + (
            f" {self.unit}" if self.unit else ""
        )

    def outside(self, column: np.ndarray) -> np.ndarray:
        """Which numbers of a column (n,) lie outside, NaN among them."""
        above = column > self.low if self.open_low else column >= self.low
        below = column < self.high if self.open_high else column <= self.high
        inside = above & below
        return ~(inside & (column == np.round(column))) if self.whole else ~inside

    def check(self, name: str, column: np.ndarray, hint: str = "") -> None:
        """`OutOfBoundsError` with the row of the first number of a column (n,) that lies outside."""
        outside = self.outside(column)
        if outside.any():
            row = int(np.argmax(outside))
            raise OutOfBoundsError(self._complaint(name, column[row]), row, hint)

    def check_value(self, name: str, value: Any) -> None:
        """`OutOfBoundsError` if a number or distribution of a preset is sure to leave the bounds.

        A distribution without ends, such as a normal one, is judged by what is drawn.
        """
        if has_tails(value):
            return
        for end in support(value):
            touches = (self.open_low and end == self.low) or (
                self.open_high and end == self.high
            )
            drawn = support(value)[0] < support(value)[1]
            if drawn and (touches or self.whole):
                continue  # an end of a continuous distribution is never drawn; whole numbers are judged when drawn
            if self.outside(np.array([end])).any():
                raise OutOfBoundsError(self._complaint(name, end))

    def _complaint(self, name: str, number: float) -> str:
        kind = "a whole number in" if self.whole else "in"
        verb = "must be" if self.whole else "must lie"
        reason = f" ({self.reason})" if self.reason else ""
        return f"{name} {verb} {kind} {self}{reason}, got {number:.6g}"
