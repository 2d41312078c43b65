"""Rows and sample numbers as people write them: lists, ranges, slices, masks, arrays, tensors."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from lenssim.errors import ConfigError
from lenssim.names import shown

__all__ = ["RowError", "row_numbers"]

_LARGEST = 2**63 - 2**10  # a block of sample numbers that begins below stays below 2^63


class RowError(ConfigError, IndexError):
    """Rows are no whole numbers, or are not there; as an `IndexError` it ends a loop of Python's."""


def row_numbers(
    rows: Any, count: int | None = None, *, what: str = "rows", from_end: bool = False
) -> np.ndarray:
    """Return which rows are meant.

    Args:
        rows: Whole numbers, from 0; or a slice; or a mask, which is true for the rows.
        count: Number of rows there are; None where they have no end.
        what: What they are, for the message.
        from_end: Whether -1 is the last row.

    Returns:
        Rows int64 (N,), from 0.

    Raises:
        RowError: They are no list of whole numbers, lie outside, or the mask has another length.

    Example:
        >>> row_numbers([2, 0], 3).tolist(), row_numbers([True, False, True], 3).tolist()
        ([2, 0], [0, 2])
        >>> row_numbers([0.5], 3)
        Traceback (most recent call last):
        lenssim.rows.RowError: rows are a list of whole numbers, a slice or a mask, got [0.5]
    """
    if isinstance(rows, slice) and count is not None:
        return _sliced(rows, count, what)
    numbers = _array(rows, what)
    if numbers.dtype == np.int64 and _all_within(numbers, count):
        return numbers.copy()
    if numbers.dtype == bool:
        return _chosen(numbers, count, what)
    lowest = -count if from_end and count is not None else 0
    highest = _LARGEST if count is None else count - 1
    outside = numbers[(numbers < lowest) | (numbers > highest)]
    if len(outside):
        range_text = f"{what} are at least 0"
        if count is not None:
            range_text = f"there are {count:,} {what}, counted from 0"
        raise RowError(
            f"{outside[0]} is none of the {what}: {range_text}",
            code="sample-numbers",
            what=what,
        )
    numbers = numbers.astype(np.int64)
    return np.where(numbers < 0, numbers + (count or 0), numbers)


def _sliced(rows: slice, count: int, what: str) -> np.ndarray:
    try:
        return np.arange(count)[rows]
    except (TypeError, ValueError):
        raise _refused(rows, what) from None


def _all_within(numbers: np.ndarray, count: int | None) -> bool:
    """Return whether all numbers count from 0 and none lies outside."""
    highest = _LARGEST if count is None else count - 1
    return not len(numbers) or bool(numbers.min() >= 0 and numbers.max() <= highest)


def _array(rows: Any, what: str) -> np.ndarray:
    """Return an array (N,) of whole numbers or truth values."""
    if isinstance(rows, list) and _are_plain(rows):
        return np.array(rows)
    try:
        entries = rows if hasattr(rows, "__array__") else _listed(rows)
        numbers = np.asarray(entries)
    except Exception:  # whatever the class of a stranger raises
        raise _refused(rows, what) from None
    if numbers.ndim == 1 and not len(numbers):
        return np.zeros(0, np.int64)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iub":
        raise _refused(rows, what)
    if numbers.dtype != bool and isinstance(entries, list) and _mixed(entries):
        raise _refused(rows, what)
    return numbers


def _are_plain(rows: list[Any]) -> bool:
    """Return whether a list holds Python's whole numbers only, that fit into 64 bits."""
    return set(map(type, rows)) == {int} and max(map(abs, rows)) <= _LARGEST


def _listed(rows: Iterable[Any]) -> list[Any]:
    """Return the entries of what is iterated; numbers of torch or numpy as plain ones."""
    return [row.item() if hasattr(row, "item") else row for row in rows]


def _mixed(entries: list[Any]) -> bool:
    """Return whether truth values stand among numbers."""
    return any(isinstance(entry, bool) for entry in entries)


def _chosen(mask: np.ndarray, count: int | None, what: str) -> np.ndarray:
    if count is None or len(mask) != count:
        length = "have no end" if count is None else f"are {count:,}"
        raise RowError(
            f"a mask of {len(mask):,} truth values does not fit: the {what} {length}",
            code="sample-numbers",
            what=what,
        )
    return np.flatnonzero(mask)


def _refused(rows: Any, what: str) -> RowError:
    return RowError(
        f"{what} are a list of whole numbers, a slice or a mask, got {shown(rows)}",
        code="sample-numbers",
        what=what,
    )
