"""Tests that cost much: laws over a registry, of which some members run among the thorough tests."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest

__all__ = ["without_dear"]


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
