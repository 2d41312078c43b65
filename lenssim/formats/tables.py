"""Tables of numbers: CSV files with a header, and FITS tables."""

import csv
import io
from collections.abc import Iterator, Mapping
from itertools import batched
from pathlib import Path
from typing import TextIO

import numpy as np

from lenssim.formats.fits import open_fits
from lenssim.formats.limits import Refused, check_bytes, open_regular, refusing

__all__ = ["read_csv_blocks", "read_table", "table_text"]

_MOST_COLUMNS = 1000
_FITS_NAMES = (".fits", ".fit", ".fits.gz", ".fit.gz")
_NUMBER = 8  # bytes
_BLOCK = 5000  # lines that are text at once


def read_table(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of numbers of a table.

    Columns of text are left out. An empty field is NaN.

    Args:
        path: A .csv file whose first line names its columns, or a FITS file with a table.

    Returns:
        Float64 columns (N,) by name.

    Raises:
        DataError: The file is no such table.
    """
    kind = "a table"
    with refusing(path, kind):
        if path.name.lower().endswith(_FITS_NAMES):
            return _fits_columns(path)
        return _csv_columns(path)


def table_text(columns: Mapping[str, np.ndarray]) -> str:
    """Return columns (N,) as the text of a CSV file, from which they are read to the bit.

    Example:
        >>> table_text({"theta_E": np.array([1.25]), "n_images": np.array([4.0])})
        'theta_E,n_images\\n1.25,4\\n'
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(columns)
    texts = [[_text(number) for number in column.tolist()] for column in columns.values()]
    rows.writerows(zip(*texts, strict=True))
    return text.getvalue()


def _text(number: float) -> str:
    """Return the shortest text that is read as the same number; NaN is an empty field."""
    if not np.isfinite(number):
        return ""
    return repr(number).removesuffix(".0")


def read_csv_blocks(path: Path) -> Iterator[dict[str, np.ndarray]]:
    """Yield the columns of a CSV file some thousand rows at a time, in little memory.

    Args:
        path: The file, whose first line names its columns.

    Yields:
        Float64 columns (n,) by name, as those of `read_table`. A column that turns out to be
        text is left out from there on.

    Raises:
        DataError: The file is no such table.
    """
    with refusing(path, "a table"), open_regular(path) as (file, size):
        check_bytes(size)
        try:
            with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
                yield from _csv_blocks(text)
        except UnicodeDecodeError:
            raise Refused("it is no text in UTF-8") from None


def _csv_columns(path: Path) -> dict[str, np.ndarray]:
    blocks = list(read_csv_blocks(path))
    if not blocks:
        return _checked({})
    return _checked(
        {name: np.concatenate([block[name] for block in blocks]) for name in blocks[-1]}
    )


def _csv_blocks(text: TextIO) -> Iterator[dict[str, np.ndarray]]:
    lines = (line for line in csv.reader(text) if line)
    names = [name.strip() for name in next(lines, [])]
    if not names:
        raise Refused("it is empty: its first line names its columns")
    _check_names(names)
    numeric = list(names)
    first = 2
    for rows in batched(lines, _BLOCK):
        _check_lengths(rows, len(names), first)
        first += len(rows)
        columns = dict(zip(names, zip(*rows, strict=True), strict=True))
        block = {name: _numbers(columns[name]) for name in numeric}
        numeric = [name for name in numeric if block[name] is not None]
        yield {name: col for name, col in block.items() if col is not None}


def _check_lengths(rows: tuple[list[str], ...], expected: int, first: int) -> None:
    for number, row in enumerate(rows, start=first):
        if len(row) != expected:
            raise Refused(
                f"line {number} has {len(row)} fields, and the first line {expected} names"
            )


def _numbers(fields: tuple[str, ...]) -> np.ndarray | None:
    """Return the numbers of a column, None if it holds other text."""
    try:
        numbers = [float(field) if field.strip() else np.nan for field in fields]
    except ValueError:
        return None
    return np.array(numbers, dtype=np.float64)


def _fits_columns(path: Path) -> dict[str, np.ndarray]:
    with open_fits(path) as units:
        tables = [unit for unit in units if getattr(unit, "columns", None) is not None]
        tables = [unit for unit in tables if unit.header.get("XTENSION") == "BINTABLE"]
        if not tables:
            raise Refused("it holds no table")
        table = tables[0]
        names = [str(name) for name in table.columns.names]
        _check_names(names)
        check_bytes(int(table.header["NAXIS2"]) * len(names) * _NUMBER)
        columns = {}
        for name in names:
            values = np.asarray(table.data[name])
            if values.ndim == 1 and values.dtype.kind in "iufb":
                columns[name] = values.astype(np.float64)
        return _checked(columns)


def _check_names(names: list[str]) -> None:
    if len(names) > _MOST_COLUMNS:
        raise Refused(f"it has {len(names)} columns, more than {_MOST_COLUMNS}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Refused(f"it names columns twice: {', '.join(twice[:5])}")


def _checked(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if not columns or not len(next(iter(columns.values()))):
        raise Refused("it holds no numbers")
    return columns
