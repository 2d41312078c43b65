"""Pages of single lenses: the model, what a classifier says of its residual, and sensitivity."""

import csv
import io
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
from lenssim.simulate.fit.flags import FLAGS
from lenssim.simulate.fit.sensitivity import Sensitivity
from lenssim.sky.models.page import model_figure
from lenssim.sky.models.table import model_texts

__all__ = ["LensPage", "write_lens_pages"]

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
_STYLE = """body{font:15px/1.5 sans-serif;margin:2em;max-width:60em}
table{border-collapse:collapse}td,th{padding:.2em .9em .2em 0;text-align:left;vertical-align:top}
tr{border-top:1px solid #ccc}img{max-width:100%}.warn{color:#a00}"""
_CAUTION = (
    "A probability of the classifier holds for lenses like those it was trained on. Of a "
    "residual that is unlike those it means nothing. The sensitivity is an upper limit: the "
    "source is a Sersic profile, and a source with more freedom absorbs more. Nothing here is "
    "a detection of a halo: first compare models with and without it on this lens."
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
            figure = _sensitivity_figure(models, page.row, page.sensitivity)
            write(folder / f"{stem}-sensitivity.png", figure)
        text = _page(page, row, flags[page.row], stem, models)
        write(folder / f"{stem}.html", text.encode())
    write(folder / "lenses.csv", _csv(rows))
    index = folder / "index.html"
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
    name = escape(str(row["name"]))
    numbers = [(column, _number(models, column, page.row)) for column in _NUMBERS]
    rows = [(column, f"{value:.4g}") for column, value in numbers if np.isfinite(value)]
    meanings = [f"{flag}: {FLAGS[flag]}" for flag in flags.split() if flag in FLAGS]
    parts = [
        f"<p><a href='index.html'>all lenses</a></p><h1>{name}</h1>",
        *(f"<p class='warn'>{escape(meaning)}</p>" for meaning in meanings),
        f"<img src='{stem}.png' alt='image less lens light, lensed source, residual'>",
        "<p>Image less lens light, lensed source, residual in sigma.</p>",
        "<h2>Model</h2>",
        _table(rows),
        "<h2>Classifier of the residual</h2>",
        _answer(page.answer),
        "<h2>Sensitivity</h2>",
        _sensitivity(page.sensitivity, row, stem),
        f"<p>{_CAUTION}</p>",
    ]
    return _document(str(row["name"]), parts)


def _answer(answer: Prediction | None) -> str:
    if answer is None:
        return "<p>It was not asked: there is no residual.</p>"
    probabilities = answer.answer.get("probabilities", {})
    rows = [(label, f"{float(value):.3f}") for label, value in probabilities.items()]
    text = _table(rows)
    if answer.novelty is not None:
        text += (
            f"<p>Novelty: {answer.novelty:.3f} of the validation images look at least as "
            "unlike the training data.</p>"
        )
    if answer.unlike:
        text += "<p class='warn'>This residual is unlike those of the training.</p>"
    return text


def _sensitivity(result: Sensitivity | None, row: dict[str, Any], stem: str) -> str:
    if result is None:
        return "<p>There is no complete model.</p>"
    pairs = zip(result.masses, result.best, np.median(result.delta_chi2, 1), strict=True)
    rows = [
        (
            f"{mass:.0e} Msun",
            f"{best:.1f} in the best place, {middle:.1f} in the median one",
        )
        for mass, best, middle in pairs
    ]
    limits = [
        f"<p>{escape(name)}: {_mass(value)}</p>"
        for name, value in row.items()
        if name.startswith("mass of")
    ]
    return (
        "<p>Expected delta chi2 of one subhalo on the arcs, after mass, shear, light and "
        f"multipoles have adapted:</p>{_table(rows)}{''.join(limits)}"
        f"<img src='{stem}-sensitivity.png' alt='sensitivity'>"
    )


def _mass(value: float) -> str:
    return f"{value:.2g} Msun" if np.isfinite(value) else "above the largest mass tried"


def _table(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(text)}</td></tr>" for name, text in rows
    )
    return f"<table>{cells}</table>"


def _document(title: str, parts: Sequence[str]) -> str:
    return (
        f"<!doctype html><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style>{''.join(parts)}\n"
    )


def _index(rows: Sequence[dict[str, Any]], pages: Sequence[LensPage]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    lines = []
    for row, page in zip(rows, pages, strict=True):
        cells = [escape(_cell(row.get(name))) for name in columns]
        cells[0] = f"<a href='{page.row:06d}.html'>{cells[0]}</a>"
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    table = f"<table><tr>{head}</tr>{''.join(lines)}</table>"
    return _document("Lenses", ["<h1>Lenses</h1>", f"<p>{_CAUTION}</p>", table])


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
    figure = Figure(figsize=(4.6, 3.6), facecolor="white", layout="constrained")
    axis = figure.add_subplot()
    extent = (-half_x, half_x, -half_y, half_y)
    axis.imshow(stretched(source), origin="lower", cmap="Greys", extent=extent)
    x, y = result.positions.T
    points = axis.scatter(x, y, c=result.delta_chi2[number], s=28, cmap="viridis")
    reach = 1.3 * float(np.abs(result.positions).max()) + 0.2
    axis.set_xlim(-min(reach, half_x), min(reach, half_x))
    axis.set_ylim(-min(reach, half_y), min(reach, half_y))
    axis.set_xlabel("x [arcsec]")
    axis.set_ylabel("y [arcsec]")
    figure.colorbar(points, label=f"delta chi2 of {result.masses[number]:.0e} Msun")
    return png_bytes(figure, dpi=90)
