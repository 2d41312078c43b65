"""What a table says of lenses: their classes, and numbers such as published Einstein radii."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lenssim.data.exchange.csv_text import Table, number_of, read_table
from lenssim.errors import DataError
from lenssim.names import is_name, printable

__all__ = ["Catalogue", "read_catalogue"]

_NAMES = ("name", "id", "file", "lens", "object", "object_id", "target", "system")
_CLASSES = ("class", "label", "is_lens")
_TRUTH = {"0": "nolens", "1": "lens"}  # of a column is_lens
_FOLDED = {"", "nan", "none", "null", "-", "--", "n/a"}  # cells without a number


@dataclass(frozen=True)
class Catalogue:
    """A table of lenses, matched with those of a folder.

    Attributes:
        rows: The row of the table for each lens that it names.
        classes: Names of the classes; none where the table has no such column.
        class_of: Class of each lens, by its name.
        columns: Numbers by column and lens.
        unmatched: Names in the table that are no lens of the folder.
        texts: Columns that hold texts, so that they are not read.
    """

    classes: tuple[str, ...]
    class_of: dict[str, str]
    columns: dict[str, dict[str, float]]
    unmatched: tuple[str, ...]
    texts: tuple[str, ...] = ()

    def values(self, column: str, names: Sequence[str]) -> np.ndarray:
        """Return the numbers (n,) of some lenses; NaN where the table has none."""
        numbers = self.columns[column]
        return np.array([numbers.get(name, math.nan) for name in names])


def read_catalogue(
    path: Path, names: Sequence[str], renamed: Mapping[str, str]
) -> Catalogue:
    """Return what a table says of the lenses of a folder.

    The column of names is called name, id, file, lens or the like; else it is the first. A
    column class, label or is_lens holds classes. All columns of numbers become parameters.

    Args:
        path: The table.
        names: Names of the lenses.
        renamed: Other names for columns.

    Raises:
        DataError: The table cannot be read, names a lens twice, or names none of them.
    """
    table = read_table(path)
    if not table.rows:
        raise _fault(path, "it has no row below its first line")
    lowered = [column.lower() for column in table.columns]
    key = next((lowered.index(name) for name in _NAMES if name in lowered), 0)
    cells = [row[key] for row in table.rows]
    if len(set(cells)) != len(cells):
        twice = next(cell for cell in cells if cells.count(cell) > 1)
        raise _fault(path, f"it has {printable(twice)!r} twice")
    _check_renamed(path, table, renamed)
    lens_of = _matches(cells, names)
    if not lens_of:
        raise _fault(
            path,
            f"none of the names in its column {printable(table.columns[key])}, such as "
            f"{printable(cells[0])!r}, is a lens of the folder, such as {printable(names[0])!r}",
        )
    rows = {
        lens_of[cell]: row
        for cell, row in zip(cells, table.rows, strict=True)
        if cell in lens_of
    }
    kind = next((lowered.index(name) for name in _CLASSES if name in lowered), None)
    classes, class_of = _classes(path, rows, kind, lowered)
    columns: dict[str, dict[str, float]] = {}
    texts = []
    for number, name in enumerate(table.columns):
        if number in (key, kind):
            continue
        numbers = _numbers(rows, number)
        if numbers:
            columns[renamed.get(name, _plain(name))] = numbers
        elif any(row[number] for row in rows.values()):
            texts.append(name)
    unmatched = tuple(cell for cell in cells if cell not in lens_of)
    return Catalogue(classes, class_of, columns, unmatched, tuple(texts))


def _fault(path: Path, words: str) -> DataError:
    return DataError(f"{printable(str(path))}: {words}", code="labels-table", path=path)


def _check_renamed(path: Path, table: Table, renamed: Mapping[str, str]) -> None:
    missing = sorted(set(renamed) - set(table.columns))
    if missing:
        raise _fault(
            path,
            f"it has no column {printable(missing[0])!r}; it has "
            f"{', '.join(map(printable, table.columns))}",
        )


def _matches(cells: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Return the lens of each cell: by its name, its last part, or the number at its end."""
    by_name = {name: name for name in names}
    for shorten in (_last_part, _end_number):
        short_names = [shorten(name) for name in names]
        for name, short in zip(names, short_names, strict=True):
            if short and short_names.count(short) == 1:
                by_name.setdefault(short, name)
    return {cell: by_name[cell] for cell in cells if cell in by_name}


def _last_part(name: str) -> str:
    return name.rpartition("/")[2]


def _end_number(name: str) -> str:
    match = re.search(r"(\d+)$", name)
    return match[1] if match else ""


def _classes(
    path: Path,
    rows: Mapping[str, tuple[str, ...]],
    kind: int | None,
    columns: Sequence[str],
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the names of the classes, and the class of each lens."""
    if kind is None:
        return (), {}
    class_of = {name: row[kind] for name, row in rows.items() if row[kind]}
    if columns[kind] == "is_lens" and set(class_of.values()) <= set(_TRUTH):
        class_of = {name: _TRUTH[cell] for name, cell in class_of.items()}
        present = set(class_of.values())
        return tuple(name for name in _TRUTH.values() if name in present), class_of
    for name in class_of.values():
        if not is_name(name):
            raise _fault(path, f"{printable(name)!r} cannot be the name of a class")
    return tuple(sorted(set(class_of.values()))), class_of


def _numbers(rows: Mapping[str, tuple[str, ...]], number: int) -> dict[str, float]:
    """Return the numbers of a column by lens; none if a cell is a text."""
    numbers = {}
    for name, row in rows.items():
        cell = row[number].strip().lower()
        if cell in _FOLDED:
            continue
        try:
            value = number_of(cell)
        except ValueError:
            return {}
        if math.isfinite(value):
            numbers[name] = value
    return numbers


def _plain(column: str) -> str:
    """Return the name of a column with letters, digits and _ alone."""
    return re.sub(r"\W+", "_", column, flags=re.ASCII).strip("_") or "column"
