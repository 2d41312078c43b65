"""Bounds: the interval of a number of a scene, and the one error for a number outside it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.distributions import has_tails, support

__all__ = ["LOG10_M_AXION", "Bounds", "OutOfBoundsError"]


class OutOfBoundsError(ConfigError):
    """A number lies outside its bounds.

    Attributes:
        complaint: The message without the sample.
        row: Row of the number in its column; None for a number of a preset.
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
        message = complaint + hint
        if sample is not None:
            message = f"sample {sample}: {message}"
        super().__init__(message, code="out-of-bounds", complaint=complaint, sample=sample)

    def of_sample(self, sample: int) -> "OutOfBoundsError":
        """Return the same error with the number of the sample in its message."""
        return OutOfBoundsError(self.complaint, self.row, self.hint, sample)


@dataclass(frozen=True)
class Bounds:
    """The interval of a number, in `unit`, with its ends unless `open_low` or `open_high`.

    With `whole` it contains whole numbers only. Messages end with `reason`.

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
        opening = "["
        if self.open_low:
            opening = "("
        closing = "]"
        if self.open_high:
            closing = ")"
        interval = f"{opening}{self.low:.6g}, {self.high:.6g}{closing}"
        return f"{interval} {self.unit}".rstrip()

    def outside(self, column: np.ndarray) -> np.ndarray:
        """Return which numbers (n,) of a column (n,) lie outside; NaN does."""
        valid = (column >= self.low) & (column <= self.high)
        if self.open_low:
            valid &= column > self.low
        if self.open_high:
            valid &= column < self.high
        if self.whole:
            valid &= column == np.round(column)
        return ~valid

    def _contain(self, column: np.ndarray) -> bool:
        """Return whether all numbers surely lie inside, by the smallest and largest alone."""
        if self.whole or not len(column):
            return False
        return bool(self.low < column.min() and column.max() < self.high)

    def check(self, name: str, column: np.ndarray, hint: str = "") -> None:
        """Check the numbers of a column.

        Args:
            name: The column's name, for the message.
            column: Numbers (n,).
            hint: How to mend it, added to the message.

        Raises:
            OutOfBoundsError: A number lies outside; the error has the row of the first one.
        """
        if self._contain(column):
            return
        outside = self.outside(column)
        if outside.any():
            row = int(np.argmax(outside))
            raise OutOfBoundsError(self._complaint(name, column[row]), row, hint)

    def check_value(self, name: str, value: Any) -> None:
        """Check that a number or distribution of a preset can stay inside the bounds.

        A distribution without ends, such as a normal one, is checked when numbers are
        drawn.

        Raises:
            OutOfBoundsError: An end of the distribution lies outside.
        """
        if has_tails(value):
            return
        for end in support(value):
            touches = (self.open_low and end == self.low) or (
                self.open_high and end == self.high
            )
            continuous = support(value)[0] < support(value)[1]
            # The end of a continuous distribution is never drawn. Whether numbers are whole is
            # checked when they are drawn.
            if continuous and (touches or self.whole):
                continue
            if self.outside(np.array([end])).any():
                raise OutOfBoundsError(self._complaint(name, end))

    def _complaint(self, name: str, number: float) -> str:
        rule = f"must lie in {self}"
        if self.whole:
            rule = f"must be a whole number in {self}"
        if self.reason:
            rule += f" ({self.reason})"
        return f"{name} {rule}, got {number:.6g}"


# Lighter waves would be longer than galaxies, and those of heavier ones are too short to be seen.
LOG10_M_AXION = Bounds(-26.0, 0.0, "dex(eV)")
