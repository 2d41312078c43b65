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
    entries = []
    if stamps is not None:
        figures = _figures(folder, stamps, table["number"][:count])
        entries = [_entry(table, place, name) for place, name in enumerate(figures)]
    template = resources.files("lenssim.learn.evaluation.search").joinpath(_TEMPLATE)
    text = template.read_text(encoding="utf-8")
    values = {
        "title": escape(f"Search of {field}"),
        "summary": _summary(count, len(table["name"])),
        "key": _script(f"lenssim {field} {folder.resolve().name}"),
        "entries": _script(entries),
    }
    for name, value in values.items():
        text = text.replace("{{" + name + "}}", value)
    path = folder / PAGE
    write(path, text.encode())
    return path


def _script(value: Any) -> str:
    """Return a value as a script of a page takes it."""
    return json.dumps(value).replace("<", "\\u003c")


def _figures(folder: Path, stamps: ShardDataset, numbers: list[int]) -> list[str]:
    """Draw the stamps of some sample numbers, unless they are drawn; return the files."""
    make_folder(folder / _FIGURES)
    rows = {number: row for row, number in enumerate(stamps.index.tolist())}
    names = []
    for number in numbers:
        name = f"{_FIGURES}/{number:06d}.png"
        names.append(name)
        if not (folder / name).exists():
            image = stamps.images(np.array([rows[number]]))[0]
            write(folder / name, _picture(image), durable=False)
    return names


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
