"""The page of a search: ranked stamps that a person looks through and marks."""

import json
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.files import make_folder, write
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.drawing import colour_image, plain_style, png_bytes, stretched

__all__ = ["PAGE", "write_page"]

PAGE = "index.html"
_FIGURES = "figures"
_TEMPLATE = "page.html"
_SIZE = 2.0  # inches: side of the picture of a stamp
_DPI = 96


def write_page(
    folder: Path,
    table: dict[str, list[Any]],
    stamps: ShardDataset | None,
    top: int,
    field: str,
) -> Path:
    """Write index.html with the best stamps, and a picture of each.

    Marks stay in the browser, and are saved as a table.

    Args:
        folder: The folder of the search.
        table: The catalogue, the best first.
        stamps: The data set of stamps; None where the field has none.
        top: How many stamps are shown.
        field: Name of the field.
    """
    count = min(top, len(table["name"]))
    rows = np.zeros(0, np.int64)
    if stamps is not None:
        make_folder(folder / _FIGURES)
        places = {number: row for row, number in enumerate(stamps.index.tolist())}
        rows = np.array([places[number] for number in table["number"][:count]], np.int64)
    entries = []
    for position, row in enumerate(rows.tolist()):
        assert stamps is not None
        name = f"{_FIGURES}/{row:06d}.png"
        if not (folder / name).exists():
            write(folder / name, _picture(stamps.images(np.array([row]))[0]), durable=False)
        entries.append(_entry(table, position, name))
    template = resources.files("lenssim.learn.search").joinpath(_TEMPLATE)
    total = len(table["name"])
    text = (
        template.read_text(encoding="utf-8")
        .replace("{{title}}", escape(f"Search of {field}"))
        .replace("{{summary}}", _summary(count, total))
        .replace("{{key}}", json.dumps(f"lenssim {field} {folder.resolve().name}"))
        .replace("{{entries}}", json.dumps(entries).replace("<", "\\u003c"))
    )
    path = folder / PAGE
    write(path, text.encode())
    return path


def _summary(count: int, total: int) -> str:
    if not total:
        return "The field has no galaxy with a stamp."
    shown = (
        f"The best {count} of {total} galaxies" if count < total else f"{total} galaxies"
    )
    return f"{shown}, the highest score first. catalogue.csv has all."


def _entry(table: dict[str, list[Any]], position: int, figure: str) -> dict[str, Any]:
    """Return what the page knows of a stamp."""
    entry: dict[str, Any] = {"figure": figure, "rank": position + 1}
    entry["name"] = table["name"][position]
    for name, digits in (("ra", 6), ("dec", 6), ("score", 4), ("x", 1), ("y", 1)):
        if name in table:
            value = float(table[name][position])
            entry[name] = round(value, digits) if np.isfinite(value) else None
    magnitudes = [name for name in table if name.startswith("mag")]
    if magnitudes:
        value = float(table[magnitudes[-1]][position])
        entry["mag"] = round(value, 2) if np.isfinite(value) else None
    return entry


@plain_style()
def _picture(image: np.ndarray) -> bytes:
    """Draw a stamp (C, H, W): one band in grey, several in colours."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_SIZE, _SIZE))
    axis = figure.add_axes((0, 0, 1, 1))
    if len(image) == 1:
        axis.imshow(stretched(image[0]), origin="lower", cmap="gray")
    else:
        axis.imshow(colour_image(image), origin="lower")
    axis.set_axis_off()
    return png_bytes(figure, dpi=_DPI)
