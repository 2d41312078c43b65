"""Tests that cost much: laws over a registry, of which some members run among the thorough tests."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest

__all__ = ["DEAR_PRESETS", "without_dear"]

DEAR_PRESETS = (
    *(
        "challenge-ground",
        "challenge-space-test",
        "euclid",
        "euclid-vis",
        "euclid-vis-nisp",
    ),
    *("hsc", "nircam", "roman", "rubin", "survey-lenses"),
)
"""Presets that are drawn slowly. The laws run on `hst`, `hst-acs` and `challenge-space` in every suite."""


def without_dear(names: Iterable[str], dear: Collection[str]) -> list[Any]:
    """Return the parameters of a law: all names, where the dear ones are marked thorough.

    Args:
        names: Members of a registry.
        dear: Those whose tests take many seconds.
    """
    return [
        pytest.param(name, marks=pytest.mark.thorough) if name in dear else name
        for name in names
    ]
