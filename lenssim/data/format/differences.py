"""Differences of two JSON documents, in words."""

import re
from typing import Any

__all__ = ["differences"]

MAX_CHARACTERS = 60  # of a value that is shown


def differences(stored: Any, requested: Any, path: str = "") -> list[str]:
    """Return lines that name every field in which two JSON documents differ.

    Args:
        stored: The document on disk.
        requested: The document that is asked for.
        path: Where in larger documents the two stand.

    Example:
        >>> differences({"seed": 1}, {"seed": 2})
        ['seed: 1 there, 2 asked for']
    """
    if isinstance(stored, dict) and isinstance(requested, dict):
        return _differing_keys(stored, requested, path)
    are_lists = isinstance(stored, list) and isinstance(requested, list)
    if are_lists and len(stored) == len(requested):
        return _differing_entries(stored, requested, path)
    if stored == requested:
        return []
    return [f"{path.lstrip('.')}: {_short(stored)} there, {_short(requested)} asked for"]


def _differing_keys(
    stored: dict[str, Any], requested: dict[str, Any], path: str
) -> list[str]:
    """Return the lines of two objects; their keys' order counts, too."""
    lines = []
    for key in dict.fromkeys([*stored, *requested]):
        lines += differences(stored.get(key), requested.get(key), f"{path}.{key}")
    if not lines and list(stored) != list(requested):
        orders = f"{', '.join(stored)} there, {', '.join(requested)} asked for"
        return [f"{path.lstrip('.')}: order {orders}"]
    return lines


def _differing_entries(stored: list[Any], requested: list[Any], path: str) -> list[str]:
    """Return the lines of two lists of one length."""
    lines = []
    for place, pair in enumerate(zip(stored, requested, strict=True)):
        lines += differences(*pair, f"{path}[{place}]")
    return lines


def _short(value: Any) -> str:
    """Return a value as a short text."""
    if value is None:
        return "nothing"
    text = re.sub(r"\s+", " ", str(value))
    if len(text) <= MAX_CHARACTERS:
        return text
    return text[: MAX_CHARACTERS - 3] + "..."
