"""Tables as notebooks show them: columns by name, with units."""

import io
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.errors import ConfigError
from lenssim.names import printable
from lenssim.rows import row_numbers

__all__ = ["FORMATS", "Table", "table_path"]

FORMATS = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv", ".fits": "fits"}
"""Formats of astropy by the ending of a file."""
_ROWS = 8  # of a table that are shown


class Table(dict[str, np.ndarray]):
    """Columns of equal length by name, each with a unit; `pandas.DataFrame(table)` takes it as it is.

    Args:
        columns: Arrays or lists (n,) by name.
        units: Units of the columns that have one.
        title: A line that is shown above the table.

    Example:
        >>> table = Table({"theta_E": [1.2, 1.4], "class": ["cdm", "axion"]}, {"theta_E": "arcsec"})
        >>> table
        Table of 2 rows: theta_E [arcsec], class
        >>> table["theta_E"].max()
        np.float64(1.4)
        >>> table.row(1)
        {'theta_E': 1.4, 'class': 'axion'}
    """

    def __init__(
        self,
        columns: Mapping[str, Any],
        units: Mapping[str, str] | None = None,
        title: str = "",
    ) -> None:
        super().__init__({name: np.asarray(column) for name, column in columns.items()})
        self.units = dict(units or {})
        self.title = title

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.values()), ()))

    def row(self, number: int) -> dict[str, Any]:
        """Return one row, by column.

        Args:
            number: Number of the row, counted from 0.

        Raises:
            RowError: The table has no such row.
        """
        (row,) = row_numbers([number], self.rows, from_end=True)
        return {name: column[row].item() for name, column in self.items()}

    def take(self, rows: np.ndarray | slice) -> "Table":
        """Return the table of some rows.

        Args:
            rows: Numbers (k,) of the rows, a slice, or a mask with a truth value for each row.

        Raises:
            RowError: They are no rows of the table.
        """
        chosen = row_numbers(rows, self.rows, from_end=True)
        columns = {name: column[chosen] for name, column in self.items()}
        return Table(columns, self.units, self.title)

    def save(self, path: Path | str) -> Path:
        """Write the table to a file, whole or not at all.

        Args:
            path: The file. Its ending chooses the format: .csv, .ecsv or .fits. The last two
                keep the units.

        Returns:
            The file.

        Raises:
            ConfigError: The file has another ending.

        Example:
            >>> Table({"theta_E": [1.2, 1.4]}, {"theta_E": "arcsec"}).save("radii.csv").read_text()
            'theta_E\\n1.2\\n1.4\\n'
        """
        from astropy.table import Table as AstropyTable

        from lenssim.data.format.files import write

        file = table_path(path)
        table = AstropyTable(dict(self), units=self.units)
        form = FORMATS[file.suffix.lower()]
        if form == "fits":
            content = io.BytesIO()
            table.write(content, format=form)
            write(file, content.getvalue())
        else:
            text = io.StringIO()
            table.write(text, format=form)
            write(file, text.getvalue().encode())
        return file

    def heading(self, name: str) -> str:
        """Return a column's name and, in brackets, its unit."""
        unit = self.units.get(name)
        return f"{name} [{unit}]" if unit else name

    def __repr__(self) -> str:
        names = ", ".join(self.heading(name) for name in self)
        title = f"{self.title}\n" if self.title else ""
        return f"{title}Table of {self.rows} rows: {names}"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(self.heading(name))}</th>" for name in self)
        lines = [self._html_line(number) for number in range(min(_ROWS, self.rows))]
        remark = f"<p>{escape(self.title)}</p>" if self.title else ""
        size = f"<p>{self.rows} rows, {len(self)} columns</p>"
        return f"{remark}<table><tr>{head}</tr>{''.join(lines)}</table>{size}"

    def _html_line(self, number: int) -> str:
        """Return one row as a line of an HTML table."""
        cells = [_text(column[number]) for column in self.values()]
        return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def table_path(path: Path | str) -> Path:
    """Return the path of a table's file, if its ending is that of a known format."""
    file = Path(path)
    if file.suffix.lower() not in FORMATS:
        raise ConfigError(
            f"{printable(str(file))}: a table is written as {', '.join(FORMATS)}; "
            "give the file such an ending",
            code="option-format",
            option="out",
            value=str(file),
        )
    return file


def _text(value: Any) -> str:
    """Return a cell as it is shown."""
    return f"{value:.4g}" if isinstance(value, np.floating) else str(value)
