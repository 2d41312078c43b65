"""Tables on stdout: whole in a pipe, folded on a terminal, in characters that the stream can hold."""

import random
import sys
from collections.abc import Iterable, Sequence
from typing import Literal

from lenssim.names import printable

__all__ = ["print_table"]

_WIDE = 1_000_000  # columns: no line of a pipe is folded


def print_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()
) -> None:
    """Print a table without lines.

    Args:
        head: Names of the columns.
        rows: Cells of each row, in the order of `head`.
        right: Names of the columns whose cells stand at the right, as numbers do.
    """
    state = random.getstate()
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    random.setstate(state)  # rich draws numbers when it is imported
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
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


def _shown(text: str) -> str:
    encoding = sys.stdout.encoding or "utf-8"
    return printable(text).encode(encoding, "backslashreplace").decode(encoding)
