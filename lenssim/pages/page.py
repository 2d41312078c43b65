"""A page: its frame, its contents, and the tables and figures on it."""

import base64
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources

__all__ = ["figure", "heading", "html_page", "html_table", "picture_url"]

_META = (
    "<meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>"
)
_HEADING = re.compile(r"<h2 id='([^']*)'>(.*?)</h2>")
_FEWEST = 3  # headings for which contents are worth their place
_NUMBER = re.compile(r"^[-+]?[\d,.]+(e[-+]?\d+)?\b")


def html_page(title: str, parts: Iterable[str], *, foot: str = "") -> str:
    """Return a page that needs no other file than the pictures its parts name.

    Args:
        title: Title of the page, as text.
        parts: The HTML of its parts. Contents link to the headings among them.
        foot: HTML of the foot.

    Returns:
        The HTML document.

    Example:
        >>> page = html_page("Lenses", [heading("Rates"), "<p>12 a square degree.</p>"])
        >>> "<h1>Lenses</h1>" in page, "color-scheme: light dark" in page
        (True, True)
    """
    body = "\n".join(parts)
    text = escape(title)
    head = f"<head>{_META}<title>{text}</title><style>{_asset('page.css')}</style></head>"
    script = f"<script>{_asset('page.js')}</script>"
    ending = f"<footer>{foot}</footer>" if foot else ""
    content = f"<h1>{text}</h1>\n{_contents(body)}{body}\n{ending}{script}"
    return f"<!doctype html>\n<html lang=en>{head}<body>{content}</body></html>\n"


def _contents(body: str) -> str:
    """Return links to the headings of a body, where there are several."""
    headings = _HEADING.findall(body)
    if len(headings) < _FEWEST:
        return ""
    links = "".join(f"<li><a href='#{name}'>{text}</a></li>" for name, text in headings)
    return f"<nav aria-label=contents><ul>{links}</ul></nav>\n"


def _asset(name: str) -> str:
    return resources.files("lenssim.pages").joinpath(name).read_text(encoding="utf-8")


def heading(text: str) -> str:
    """Return a heading that the contents link to.

    Example:
        >>> heading("All runs on III")
        "<h2 id='all-runs-on-iii'>All runs on III</h2>"
    """
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return f"<h2 id='{name}'>{escape(text)}</h2>"


def html_table(cells: Sequence[Mapping[str, str]], best: int | None = None) -> str:
    """Return a table. Columns of numbers stand at the right.

    Args:
        cells: Texts of each row by column; a row may lack columns.
        best: Number of the row to be marked as the best.

    Example:
        >>> "<td class=number>0.99</td>" in html_table([{"run": "cnn", "AUC": "0.99"}])
        True
    """
    names = list(dict.fromkeys(name for row in cells for name in row))
    classes = [_class([row.get(name, "") for row in cells]) for name in names]
    head = "".join(
        f"<th{kind}>{escape(name)}</th>" for name, kind in zip(names, classes, strict=True)
    )
    rows = []
    for number, row in enumerate(cells):
        texts = [escape(row.get(name, "")) for name in names]
        columns = zip(texts, classes, strict=True)
        line = "".join(f"<td{kind}>{text}</td>" for text, kind in columns)
        rows.append(f"<tr{' class=best' if number == best else ''}>{line}</tr>")
    return f"<div class=wide><table><tr>{head}</tr>{''.join(rows)}</table></div>"


def _class(texts: Sequence[str]) -> str:
    """Return the class of a column: a number, if all its texts begin as one."""
    filled = [text for text in texts if text]
    return " class=number" if filled and all(map(_NUMBER.match, filled)) else ""


def figure(source: str, caption: str, *, broad: bool = False) -> str:
    """Return a figure that opens at its full size.

    Args:
        source: Address of the picture: a path relative to the page, or `picture_url`.
        caption: What it shows, as text; screen readers read it too.
        broad: Whether it takes the whole width.
    """
    text = escape(caption)
    image = f"<img loading=lazy src='{source}' alt='{text}'>"
    style = " class=broad" if broad else ""
    return f"<figure{style}>{image}<figcaption>{text}</figcaption></figure>"


def picture_url(png: bytes) -> tuple[str, bool]:
    """Return the address of a PNG inside a page, and whether it is more than twice as wide as high."""
    width, height = struct.unpack(">II", png[16:24])  # where a PNG has its size
    return f"data:image/png;base64,{base64.b64encode(png).decode()}", width > 2 * height
