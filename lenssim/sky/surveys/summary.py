"""Summaries of a survey: rates with their errors, and what its lenses are like."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["PERCENTILES", "Rate", "percentiles", "rates"]

PERCENTILES = (5, 16, 50, 84, 95)
_DESCRIBED = (
    *("z_lens", "z_source", "theta_E", "sigma_v", "source_magnitude", "source_R_sersic"),
    *("magnification", "snr", "lens_light_magnitude"),
)


_NONE_BELOW = 3.0  # expected, at 95 %, where none is counted


@dataclass(frozen=True)
class Rate:
    """Lenses a square degree, with the Poisson error.

    Attributes:
        name: What is counted.
        number: How many there are on the area that was drawn.
        area: That area [square degrees].
        survey_area: Area of the whole survey [square degrees].
    """

    name: str
    number: int
    area: float
    survey_area: float

    @property
    def density(self) -> float:
        """Lenses a square degree."""
        return self.number / self.area

    @property
    def error(self) -> float:
        """Poisson error of the density."""
        return float(np.sqrt(self.number)) / self.area

    def __str__(self) -> str:
        if not self.number:
            limit = _NONE_BELOW / self.area
            return f"{self.name}: none, so below {limit:.2g} a square degree (95 %)"
        expected = self.density * self.survey_area
        return (
            f"{self.name}: {self.density:.3g} +- {self.error:.2g} a square degree, "
            f"{expected:,.0f} in the survey's {self.survey_area:,.0f}"
        )


def rates(document: Mapping[str, Any]) -> list[Rate]:
    """Return the rates of ideal and found lenses, and of deflectors with two found sources.

    Args:
        document: The document of `survey.json`.
    """
    areas = (document["drawn_area"], document["survey"]["area"])
    return [
        Rate("ideal lenses", document["ideal"], *areas),
        Rate(f"found by the rule {document['survey']['rule']}", document["found"], *areas),
        Rate("double source planes, both found", document.get("double", 0), *areas),
    ]


def percentiles(columns: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    """Return the percentiles `PERCENTILES` of each property of lenses, by column."""
    return {
        name: np.percentile(columns[name], PERCENTILES).tolist()
        for name in _DESCRIBED
        if name in columns and len(columns[name])
    }
