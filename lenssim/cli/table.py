"""Tables on stdout: folded on a terminal, tab-separated in a pipe, in characters the stream can hold."""

import random
import sys
from collections.abc import Iterable, Sequence
from typing import Literal

from lenssim.names import printable

__all__ = ["print_table"]


def print_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()
) -> None:
    """Print a table without lines; in a pipe with tabs between its columns.

    Args:
        head: Names of the columns.
        rows: Cells of each row, in the order of `head`.
        right: Names of the columns whose cells stand at the right, as numbers do.
    """
    if not sys.stdout.isatty():
        _print_tabbed(head, rows)
        return
    state = random.getstate()
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    random.setstate(state)  # rich draws numbers when it is imported
    console = Console()
    table = Table(box=None, pad_edge=False, show_header=any(head), header_style="")
    numbers = set(right)
    for name in head:
        justify: Literal["left", "right"] = "left"
        if name in numbers:
            justify = "right"
        table.add_column(Text(_shown(name)), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(cell)) for cell in row))
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        print(line.rstrip())


def _print_tabbed(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a line for each row, which `cut` and spreadsheets can read."""
    lines = [head, *rows] if any(head) else rows
    for line in lines:
        print("\t".join(_shown(cell).replace("\t", " ") for cell in line))


def _shown(text: str) -> str:
    encoding = sys.stdout.encoding or "utf-8"
    return printable(text).encode(encoding, "backslashreplace").decode(encoding)
