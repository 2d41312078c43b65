"""Columns being drawn: the parameters of n systems, in the order in which they come to be known."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lenssim.simulate.bounds import Bounds, OutOfBoundsError
from lenssim.simulate.distributions import has_tails, sample

__all__ = ["Columns", "Fixed"]

Fixed = float | np.ndarray
"""What a column is set to: one number, or numbers (n,)."""


@dataclass
class Columns:
    """Float64 columns (n,) of `n` systems; a name in `fixed` keeps what is given there instead of its draw.

    Random numbers are spent on fixed columns all the same, so that the others stay what they were. `laws` says what
    columns were drawn from; those that follow from others are not in it. `numbers` are the sample numbers of the
    systems, for messages.
    """

    n: int
    rng: np.random.Generator
    fixed: Mapping[str, Fixed] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    laws: dict[str, Any] = field(default_factory=dict)
    numbers: np.ndarray | None = None

    def draw(self, name: str, value: Any, bounds: Bounds) -> np.ndarray:
        """Draw a column (n,) from a number or distribution.

        Raises:
            OutOfBoundsError: A number lies outside of `bounds`; the error names its sample.
        """
        self.laws[name] = value
        column = self.put(name, sample(value, self.rng, self.n))
        hint = ""
        if has_tails(value) and name not in self.fixed:
            hint = "; a truncated_normal has ends, or a uniform"
        with self.naming_samples():
            bounds.check(name, column, hint)
        return column

    @contextmanager
    def naming_samples(self, owner: np.ndarray | None = None) -> Iterator[None]:
        """Add the sample number to errors about one of the systems, or of what `owner` (M,) says is theirs."""
        try:
            yield
        except OutOfBoundsError as error:
            if self.numbers is None or error.row is None or self._is_set_by_hand:
                raise  # what is set by hand is the same in all samples
            row = error.row if owner is None else owner[error.row]
            raise error.of_sample(int(self.numbers[row])) from None

    def follow(self, table: Mapping[str, np.ndarray]) -> None:
        """Put what a table states and nothing draws; what a table states has no law.

        Args:
            table: Columns (n,), which are in `fixed` too.
        """
        for name in table:
            self.laws.pop(name, None)
            if name not in self.values:
                self.put(name, np.empty(self.n))  # `fixed` has the numbers

    @property
    def _is_set_by_hand(self) -> bool:
        return any(np.ndim(value) == 0 for value in self.fixed.values())

    def put(self, name: str, column: np.ndarray) -> np.ndarray:
        """Set a column that follows from others."""
        if name in self.fixed:
            column = np.full(self.n, self.fixed[name], dtype=np.float64)
        self.values[name] = column
        return column
