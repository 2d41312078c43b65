"""Tables as notebooks show them: columns by name, with units."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from lenssim.rows import row_numbers

__all__ = ["Table"]

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


def _text(value: Any) -> str:
    """Return a cell as it is shown."""
    return f"{value:.4g}" if isinstance(value, np.floating) else str(value)
