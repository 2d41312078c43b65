"""Counts on a grid of two quantities: how many objects there are, and draws of them."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Counts"]


@dataclass(frozen=True)
class Counts:
    """Expected numbers of objects in the cells of a grid, and draws that follow them.

    Attributes:
        x: Edges (X + 1,) of the first quantity.
        y: Edges (Y + 1,) of the second one.
        numbers: Expected number (X, Y) of objects in each cell.

    Example:
        >>> counts = Counts(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0]), np.array([[1.0], [0.0]]))
        >>> x, y = counts.draw(np.random.default_rng(0), 3)
        >>> float(counts.total), bool((x < 1).all())
        (1.0, True)
    """

    x: np.ndarray
    y: np.ndarray
    numbers: np.ndarray

    @property
    def total(self) -> float:
        """Expected number of all objects."""
        return float(self.numbers.sum())

    def draw(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw both quantities of `n` objects, evenly within each cell.

        Returns:
            Two columns (n,).
        """
        cumulative = np.cumsum(self.numbers.ravel())
        cells = np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")
        rows, columns = np.divmod(cells, self.numbers.shape[1])
        x = self.x[rows] + rng.random(n) * np.diff(self.x)[rows]
        y = self.y[columns] + rng.random(n) * np.diff(self.y)[columns]
        return x, y
