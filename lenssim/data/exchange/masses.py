"""The table of axion masses beside the class folders, as `export` writes it and as spreadsheets change it."""

import csv
import io
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.exchange.csv_text import SEPARATORS, number_of, table_text
from lenssim.formats.limits import Refused, refusing
from lenssim.names import printable
from lenssim.simulate.bounds import LOG10_M_AXION

__all__ = ["read_masses"]

_FILE = "file"
_MASS = "log10_m_axion"


def read_masses(path: Path, files: Collection[str]) -> dict[str, float]:
    """Return log10 axion masses by file; none if there is no table.

    Columns may be separated by commas, semicolons or tabs, numbers may have decimal commas, and the text may begin
    with a byte order mark.

    Args:
        path: The table, with the columns file and log10_m_axion.
        files: The files that it may speak of, relative to the table's folder.

    Raises:
        DataError: The table cannot be read, lacks a column, or has a line without a file that is there, without a
            number, or of a file that it named before.
    """
    if not path.is_symlink() and not path.exists():
        return {}
    with refusing(path, "a table of masses"):
        return _parse(table_text(path), files)


def _table(text: str) -> tuple[Any, list[str]]:
    """Return a reader of the rows below the first line, and the columns that this names."""
    for separator in SEPARATORS:
        table = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        columns = [name.strip() for name in next(table, [])]
        if columns.count(_FILE) == 1 and columns.count(_MASS) == 1:
            return table, columns
    head = text.partition("\n")[0].strip()
    raise Refused(
        f"its first line names no columns {_FILE} and {_MASS}, separated by commas, semicolons or tabs; "
        f"it is {printable(head[:80])!r}"
    )


def _parse(text: str, files: Collection[str]) -> dict[str, float]:
    table, columns = _table(text)
    masses: dict[str, float] = {}
    for row in table:
        line = f"line {table.line_num}"
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(columns):
            raise Refused(
                f"{line} has {len(row)} cells, its first line {len(columns)} (decimal commas between commas?)"
            )
        name = row[columns.index(_FILE)].strip()
        if name not in files:
            slashes = "; write / in place of \\" if name.replace("\\", "/") in files else ""
            raise Refused(
                f"{line} speaks of {printable(name)!r}, which is no image of these class folders{slashes}"
            )
        if name in masses:
            raise Refused(f"{line} speaks of {printable(name)!r} a second time")
        masses[name] = _number(row[columns.index(_MASS)], line)
    return masses


def _number(text: str, line: str) -> float:
    try:
        number = number_of(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Refused(f"{line}: {_MASS} is {printable(text[:40])!r}, not a number")
    if LOG10_M_AXION.outside(np.array([number])).any():
        hint = ""
        if number > 0:
            hint = f"; of a mass in eV give its logarithm, {math.log10(number):.6g}"
        raise Refused(
            f"{line}: {_MASS} must lie in {LOG10_M_AXION}, got {number:.6g}{hint}"
        )
    return number
