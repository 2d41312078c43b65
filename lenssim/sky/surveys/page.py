"""The page of a survey: rates, population, completeness, and the lenses by rank."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenssim.data.format.files import make_folder, write
from lenssim.drawing import colour_image, plain_style, png_bytes, stretched
from lenssim.pages import figure, heading, html_page, html_table
from lenssim.sky.surveys.figures import completeness_figure, population_figure
from lenssim.sky.surveys.summary import PERCENTILES, Rate, percentiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PAGE", "write_page"]

PAGE = "survey.html"
_FIGURES = "figures"
_MOST_SHOWN = 48  # lenses of the contact sheet
_A_ROW = 8
_DRAWN = (  # title, file and caption of the figures of every survey
    (
        "The population",
        "population.png",
        "Lenses of the catalogue. Above each column: median, and the distances to the 84 % "
        "and 16 % points.",
    ),
    (
        "Completeness",
        "completeness.png",
        "The share of all ideal lenses that the rule finds. Bars are 95 % intervals. Bins of "
        "fewer than eight lenses are left out.",
    ),
)


def write_page(
    folder: Path,
    document: Mapping[str, Any],
    catalogue: Mapping[str, np.ndarray],
    rates: list[Rate],
    images: np.ndarray | None,
    remarks: list[str],
) -> Path:
    """Write survey.html and its figures.

    Args:
        folder: The folder of the survey.
        document: The document of `survey.json`.
        catalogue: Columns (N,) of the lenses.
        rates: Rates of lenses.
        images: Images (K, C, H, W) of the K lenses of the largest signal to noise, if there
            are images.
        remarks: Further sentences.
    """
    parts = _figures(folder, document, catalogue, images)
    text = _document(document, rates, remarks, _table(catalogue), parts)
    path = folder / PAGE
    write(path, text.encode())
    return path


def _figures(
    folder: Path,
    document: Mapping[str, Any],
    catalogue: Mapping[str, np.ndarray],
    images: np.ndarray | None,
) -> list[str]:
    """Write the figures, and return the parts of the page that show them."""
    figures = folder / _FIGURES
    make_folder(figures)
    write(figures / "population.png", png_bytes(population_figure(catalogue)))
    write(figures / "completeness.png", png_bytes(completeness_figure(document["by"])))
    parts = [_figure(*drawn) for drawn in _DRAWN]
    if images is not None:
        write(figures / "ranked.png", png_bytes(_sheet(images)))
        parts.append(
            _figure(
                "The clearest lenses",
                "ranked.png",
                "By signal to noise, the largest first; each image in a stretch of its own.",
            )
        )
    return parts


def _figure(title: str, name: str, caption: str) -> str:
    return heading(title) + figure(f"{_FIGURES}/{name}", caption, broad=True)


def _table(catalogue: Mapping[str, np.ndarray]) -> str:
    cells = [
        {
            "percentiles": name,
            **{
                f"{percent} %": f"{value:.3g}"
                for percent, value in zip(PERCENTILES, values, strict=True)
            },
        }
        for name, values in percentiles(catalogue).items()
    ]
    return html_table(cells)


def _document(
    document: Mapping[str, Any],
    rates: list[Rate],
    remarks: list[str],
    table: str,
    parts: list[str],
) -> str:
    survey = document["survey"]
    title = f"Lenses of {survey['name']} on {document['drawn_area']:.4g} square degrees"
    lines = "".join(f"<li>{escape(str(line))}</li>" for line in [*rates, *remarks])
    summary = [
        f"<p>{escape(survey['summary'])}. {escape(survey['reference'])}.</p>",
        f"<ul>{lines}</ul>",
        "<p>The catalogue is catalogue.csv, and catalogue.fits has the same.</p>",
        table,
    ]
    return html_page(title, [*summary, *parts])


@plain_style()
def _sheet(images: np.ndarray) -> "Figure":
    """Return a contact sheet of images (K, C, H, W)."""
    from matplotlib.figure import Figure

    images = images[:_MOST_SHOWN]
    rows = -(-len(images) // _A_ROW)
    sheet = Figure(figsize=(1.4 * _A_ROW, 1.45 * rows), layout="constrained")
    axes = sheet.subplots(rows, _A_ROW, squeeze=False).ravel()
    for ax in axes:
        ax.axis("off")
    for ax, image in zip(axes, images, strict=False):
        picture = stretched(image[0]) if len(image) == 1 else colour_image(image)
        ax.imshow(picture, origin="lower", cmap="gray")
    return sheet
