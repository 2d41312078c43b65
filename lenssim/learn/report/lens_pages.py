"""Pages of single lenses: the model, what a classifier says of its residual, and sensitivity."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.files import write
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.drawing import plain_style, png_bytes, stretched
from lenssim.learn.evaluation.prediction import Prediction
from lenssim.learn.runs.folders import make_folder
from lenssim.pages import figure, heading, html_page, html_table
from lenssim.simulate.fit.flags import FLAGS
from lenssim.simulate.fit.sensitivity import Sensitivity
from lenssim.sky.models.page import model_figure
from lenssim.sky.models.table import model_texts

__all__ = ["INDEX", "LensPage", "write_lens_pages"]

INDEX = "index.html"

_NUMBERS = (
    "theta_E",
    "theta_E_effective",
    "e1",
    "e2",
    "gamma1",
    "gamma2",
    "magnification",
    "chi2_per_pixel",
    "chi2_per_pixel_expected",
)
_CAUTION = (
    "A probability of the classifier holds for lenses like those it was trained on. Of a "
    "residual that is unlike those it means nothing. The sensitivity is an upper limit: the "
    "source is a Sersic profile, and a source with more freedom absorbs more. Nothing here is "
    "a detection of a halo: first compare models with and without it on this lens."
)
_REPORT = (
    "<p><a href='../../report.html'>The report of the recipe</a> says how often the "
    "classifier is right on simulated lenses.</p>"
)


@dataclass(frozen=True)
class LensPage:
    """What a page says of a lens.

    Attributes:
        row: Row of the lens in the data set of models.
        answer: What the classifier says of its residual; None: it was not asked.
        sensitivity: Which subhaloes would have been seen; None: there is no complete model.
    """

    row: int
    answer: Prediction | None
    sensitivity: Sensitivity | None


def write_lens_pages(
    folder: Path, models: ShardDataset, pages: Sequence[LensPage], threshold: float
) -> Path:
    """Write a page for each lens, a page that lists them, and lenses.csv.

    Args:
        folder: Where to write.
        models: The data set of models.
        pages: What is said of each lens.
        threshold: The delta chi2 that counts as a detection.

    Returns:
        The page that lists the lenses.
    """
    make_folder(folder)
    names = model_texts(models, "name")
    flags = model_texts(models, "flags")
    rows = []
    for page in pages:
        row = _row(page, names[page.row], flags[page.row], models, threshold)
        rows.append(row)
        stem = f"{page.row:06d}"
        write(folder / f"{stem}.png", model_figure(models, page.row))
        if page.sensitivity is not None:
            picture = _sensitivity_figure(models, page.row, page.sensitivity)
            write(folder / f"{stem}-sensitivity.png", picture)
        text = _page(page, row, flags[page.row], stem, models)
        write(folder / f"{stem}.html", text.encode())
    write(folder / "lenses.csv", _csv(rows))
    index = folder / INDEX
    write(index, _index(rows, pages).encode())
    return index


def _row(
    page: LensPage, name: str, flags: str, models: ShardDataset, threshold: float
) -> dict[str, Any]:
    """Return the line of a lens in lenses.csv."""
    row: dict[str, Any] = {"name": name, "flags": flags}
    row["theta_E"] = _number(models, "theta_E", page.row)
    if page.answer is not None:
        row["class"] = page.answer.answer.get("predicted", "")
        for label, probability in page.answer.answer.get("probabilities", {}).items():
            row[f"probability of {label}"] = float(probability)
        row["novelty"] = page.answer.novelty
        row["unlike the training"] = page.answer.unlike
    if page.sensitivity is not None:
        for mass, cost in zip(page.sensitivity.masses, page.sensitivity.best, strict=True):
            row[f"delta chi2 of {mass:.0e} Msun"] = float(cost)
        row[f"mass of delta chi2 {threshold:g}"] = page.sensitivity.least_mass(threshold)
    return row


def _number(models: ShardDataset, name: str, row: int) -> float:
    return float(models.params[name][row]) if name in models.params else float("nan")


def _page(
    page: LensPage, row: dict[str, Any], flags: str, stem: str, models: ShardDataset
) -> str:
    numbers = [(column, _number(models, column, page.row)) for column in _NUMBERS]
    rows = [(column, f"{value:.4g}") for column, value in numbers if np.isfinite(value)]
    meanings = [f"{flag}: {FLAGS[flag]}" for flag in flags.split() if flag in FLAGS]
    parts = [
        "<p><a href='index.html'>all lenses</a></p>",
        *(f"<p class=warn>{escape(meaning)}</p>" for meaning in meanings),
        figure(f"{stem}.png", "Image less lens light, lensed source, residual in sigma."),
        heading("Model"),
        html_table([dict(rows)]),
        heading("Classifier of the residual"),
        _answer(page.answer),
        heading("Sensitivity"),
        _sensitivity(page.sensitivity, row, stem),
        f"<p class=note>{_CAUTION}</p>",
    ]
    return html_page(str(row["name"]), parts)


def _answer(answer: Prediction | None) -> str:
    if answer is None:
        return "<p>It was not asked: there is no residual.</p>"
    probabilities = answer.answer.get("probabilities", {})
    text = html_table([{k: f"{float(value):.3f}" for k, value in probabilities.items()}])
    if answer.novelty is not None:
        text += (
            f"<p>Novelty: {answer.novelty:.3f} of the validation images look at least as "
            "unlike the training data.</p>"
        )
    if answer.unlike:
        text += "<p class=warn>This residual is unlike those of the training.</p>"
    return text


def _sensitivity(result: Sensitivity | None, row: dict[str, Any], stem: str) -> str:
    if result is None:
        return "<p>There is no complete model.</p>"
    pairs = zip(result.masses, result.best, np.median(result.delta_chi2, 1), strict=True)
    rows = [
        {
            "mass [Msun]": f"{mass:.0e}",
            "in the best place": f"{best:.1f}",
            "in the median place": f"{middle:.1f}",
        }
        for mass, best, middle in pairs
    ]
    limits = [
        f"<p>{escape(name)}: {_mass(value)}</p>"
        for name, value in row.items()
        if name.startswith("mass of")
    ]
    return (
        "<p>Expected delta chi2 of one subhalo on the arcs, after mass, shear, light and "
        f"multipoles have adapted:</p>{html_table(rows)}{''.join(limits)}"
        + figure(f"{stem}-sensitivity.png", "Sensitivity over the lensed source.")
    )


def _mass(value: float) -> str:
    return f"{value:.2g} Msun" if np.isfinite(value) else "above the largest mass tried"


def _index(rows: Sequence[dict[str, Any]], pages: Sequence[LensPage]) -> str:
    table = html_table(
        [{name: _cell(value) for name, value in row.items()} for row in rows]
    )
    for row, page in zip(rows, pages, strict=True):
        name = escape(_cell(row["name"]))
        link = f"<td><a href='{page.row:06d}.html'>{name}</a></td>"
        table = re.sub(f"<td[^>]*>{re.escape(name)}</td>", link, table, count=1)
    return html_page("Lenses", [f"<p>{_CAUTION}</p>", _REPORT, table])


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = io.StringIO()
    writer = csv.DictWriter(lines, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return lines.getvalue().encode()


@plain_style()
def _sensitivity_figure(models: ShardDataset, row: int, result: Sensitivity) -> bytes:
    """Draw the delta chi2 of the middle mass, place by place, over the lensed source."""
    from matplotlib.figure import Figure

    source = models.read_map("source", np.array([row]))[0, 0]
    scale = models.pixel_scale or 1.0
    half_x, half_y = (side * scale / 2 for side in source.shape[::-1])
    number = len(result.masses) // 2
    drawing = Figure(figsize=(4.6, 3.6), facecolor="white", layout="constrained")
    axis = drawing.add_subplot()
    extent = (-half_x, half_x, -half_y, half_y)
    axis.imshow(stretched(source), origin="lower", cmap="Greys", extent=extent)
    x, y = result.positions.T
    points = axis.scatter(x, y, c=result.delta_chi2[number], s=28, cmap="viridis")
    reach = 1.3 * float(np.abs(result.positions).max()) + 0.2
    axis.set_xlim(-min(reach, half_x), min(reach, half_x))
    axis.set_ylim(-min(reach, half_y), min(reach, half_y))
    axis.set_xlabel("x [arcsec]")
    axis.set_ylabel("y [arcsec]")
    drawing.colorbar(points, label=f"delta chi2 of {result.masses[number]:.0e} Msun")
    return png_bytes(drawing, dpi=90)
