"""Columns being drawn: the parameters of n systems, in the order in which they come to be known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lenssim.simulate.distributions import sample

__all__ = ["Columns"]


@dataclass
class Columns:
    """Float64 columns (n,) of `n` systems; a name in `fixed` keeps the number given there instead of its draw.

    Random numbers are spent on fixed columns all the same, so that the others stay what they were. `laws` says what
    columns were drawn from; those that follow from others are not in it.
    """

    n: int
    rng: np.random.Generator
    fixed: Mapping[str, float] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    laws: dict[str, Any] = field(default_factory=dict)

    def draw(self, name: str, value: Any) -> np.ndarray:
        """Draw a column from a number or distribution."""
        self.laws[name] = value
        return self.put(name, sample(value, self.rng, self.n))

    def put(self, name: str, column: np.ndarray) -> np.ndarray:
        """Set a column that follows from others."""
        self.values[name] = np.full(self.n, float(self.fixed[name])) if name in self.fixed else column
        return self.values[name]
