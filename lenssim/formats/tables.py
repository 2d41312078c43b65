"""Tables of numbers: CSV files with a header, and FITS tables."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lenssim.formats.fits import open_fits
from lenssim.formats.limits import Refused, check_bytes, open_regular, refusing

__all__ = ["read_table", "table_text"]

_MOST_COLUMNS = 1000
_FITS_NAMES = (".fits", ".fit", ".fits.gz", ".fit.gz")
_NUMBER = 8  # bytes


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


def _csv_columns(path: Path) -> dict[str, np.ndarray]:
    with open_regular(path) as (file, size):
        check_bytes(size)
        data = file.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused("it is no text in UTF-8") from None
    lines = [line for line in csv.reader(io.StringIO(text)) if line]
    if not lines:
        raise Refused("it is empty: its first line names its columns")
    names = [name.strip() for name in lines[0]]
    _check_names(names)
    rows = lines[1:]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise Refused(
                f"line {number} has {len(row)} fields, and the first line {len(names)} names"
            )
    columns = {
        name: _numbers([row[place] for row in rows]) for place, name in enumerate(names)
    }
    return _checked({name: col for name, col in columns.items() if col is not None})


def _numbers(fields: list[str]) -> np.ndarray | None:
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
