"""Tallies: how many lenses there are and how many are found, in bins of their properties."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["BINS", "NETWORK_BINS", "Tally"]

BINS = {
    "theta_E": np.array([0, 0.2, 0.35, 0.5, 0.7, 0.9, 1.2, 1.6, 2.2, 4.0]),
    "source_magnitude": np.array([15, 22, 23, 24, 24.5, 25, 25.5, 26, 26.5, 27, 27.5, 30]),
    "z_source": np.array([0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0]),
    "z_lens": np.array([0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 2.0]),
}
"""Edges of the bins of a survey's completeness, by column [arcsec, mag]."""

NETWORK_BINS = BINS | {"snr": np.array([0, 10, 20, 30, 45, 70, 120, 250, 1e9])}
"""Edges of the bins of a network's selection function."""


_PLACE = "drawn_area"  # the same for all sources of a deflector


@dataclass
class Tally:
    """Numbers of ideal and of found lenses, in all and by bin.

    Attributes:
        bins: Edges of the bins, by column.
        ideal: Number of all lenses.
        found: Number of those that are found.
        double: Number of deflectors with two sources that are found, or more.
        ideal_counts: Numbers of all lenses in each bin, by column.
        found_counts: Numbers of those that are found.

    Example:
        >>> lenses = {name: np.array([1.0, 1.1]) for name in BINS}
        >>> tally = Tally()
        >>> tally.add(lenses, np.array([True, False]))
        >>> tally.ideal, tally.found
        (2, 1)
    """

    bins: Mapping[str, np.ndarray] = field(default_factory=lambda: BINS)
    ideal: int = 0
    found: int = 0
    double: int = 0
    ideal_counts: dict[str, np.ndarray] = field(init=False)
    found_counts: dict[str, np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        self.ideal_counts = self._zeros()
        self.found_counts = self._zeros()

    def _zeros(self) -> dict[str, np.ndarray]:
        return {
            name: np.zeros(len(edges) - 1, np.int64) for name, edges in self.bins.items()
        }

    def add(self, lenses: Mapping[str, np.ndarray], accepted: np.ndarray) -> None:
        """Count lenses.

        Args:
            lenses: Columns (N,), among them those of `bins`.
            accepted: Which of them (N,) are found.
        """
        self.ideal += len(accepted)
        self.found += int(accepted.sum())
        if _PLACE in lenses:
            _, sources = np.unique(lenses[_PLACE][accepted], return_counts=True)
            self.double += int((sources > 1).sum())
        for name, edges in self.bins.items():
            self.ideal_counts[name] += np.histogram(lenses[name], edges)[0]
            self.found_counts[name] += np.histogram(lenses[name][accepted], edges)[0]

    def merge(self, document: Mapping[str, Any]) -> None:
        """Add what another tally counted, from its `document`."""
        self.ideal += document["ideal"]
        self.found += document["found"]
        self.double += document.get("double", 0)
        for name in self.bins:
            self.ideal_counts[name] += np.array(document["by"][name]["ideal"])
            self.found_counts[name] += np.array(document["by"][name]["found"])

    def document(self) -> dict[str, Any]:
        """Return the tally as JSON holds it."""
        return {
            "ideal": self.ideal,
            "found": self.found,
            "double": self.double,
            "by": {
                name: {
                    "edges": edges.tolist(),
                    "ideal": self.ideal_counts[name].tolist(),
                    "found": self.found_counts[name].tolist(),
                }
                for name, edges in self.bins.items()
            },
        }
