"""Tables as spreadsheets save them: their text, and what separates their columns."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from lenssim.formats.limits import Refused, check_bytes, open_regular, refusing
from lenssim.names import printable

__all__ = ["SEPARATORS", "Table", "number_of", "read_table", "table_text"]

SEPARATORS = (",", ";", "\t")
_LARGEST_TABLE = 256 << 20  # bytes


@dataclass(frozen=True)
class Table:
    """A table: the names of its columns, and its rows of as many cells."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def number_of(cell: str) -> float:
    """Return the number of a cell; a comma may stand for the decimal point.

    Args:
        cell: The text of the cell.

    Raises:
        ValueError: It is no number.

    Example:
        >>> number_of("1,25")
        1.25
    """
    plain = cell.strip()
    if "." not in plain:
        plain = plain.replace(",", ".", 1)
    return float(plain)


def table_text(path: Path) -> str:
    """Return the text of a table in UTF-8, without a byte order mark.

    Raises:
        Refused: The file is too large or is no text.
    """
    with open_regular(path) as (file, size):
        check_bytes(size, _LARGEST_TABLE)
        data = file.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused("it is no UTF-8 text; save it as CSV in UTF-8") from None


def read_table(path: Path) -> Table:
    """Return a table whose first line names its columns.

    Commas, semicolons or tabs separate the columns. Empty lines and lines that begin with #
    are left out.

    Args:
        path: The file.

    Raises:
        DataError: It cannot be read, or a line has another number of cells than the first.
    """
    with refusing(path, "a table"):
        lines = [
            line
            for line in table_text(path).splitlines()
            if line.strip() and not line.startswith("#")
        ]
        if not lines:
            raise Refused("it is empty")
        separator = max(SEPARATORS, key=lines[0].count)
        reader = csv.reader(io.StringIO("\n".join(lines)), delimiter=separator, strict=True)
        columns, *rows = [tuple(cell.strip() for cell in row) for row in reader]
        for number, row in enumerate(rows, start=2):
            if len(row) != len(columns):
                raise Refused(
                    f"row {number} has {len(row)} cells, its first line {len(columns)}"
                )
        if len(set(columns)) != len(columns):
            raise Refused(f"it names a column twice: {printable(', '.join(columns))}")
        return Table(columns, tuple(rows))
