"""The page of a fit: a row for each lens, with its pictures, numbers and flags."""

from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.files import make_folder, write
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.drawing import plain_style, png_bytes
from lenssim.pages import html_page
from lenssim.simulate.fit.flags import FLAGS

__all__ = ["PAGE", "model_figure", "write_page"]

PAGE = "index.html"
_FIGURES = "figures"
_MAX_ROWS = 500  # of the page; models.csv has all
_NUMBERS = (
    "theta_E",
    "theta_E_effective",
    "e1",
    "e2",
    "gamma1",
    "gamma2",
    "magnification",
)
_SIGMAS = 4.0  # ends of the residual's colours
_STRETCH = 10.0  # of the flux over the peak of the lensed source, in asinh
_DARK = -0.6  # stretched flux that is black, below the sky


def write_page(
    folder: Path, models: ShardDataset, table: dict[str, list[Any]], title: str
) -> Path:
    """Write index.html: image less lens light, lensed source, residual, numbers and flags.

    Args:
        folder: The folder of the fit.
        models: The data set of models.
        table: The table of models.
        title: The title of the page.
    """
    make_folder(folder / _FIGURES)
    rows = []
    for row in range(min(len(models), _MAX_ROWS)):
        figure = f"{_FIGURES}/{row:06d}.png"
        write(folder / figure, model_figure(models, row))
        rows.append(_row(table, row, figure))
    text = _document(title, rows, len(models), table)
    path = folder / PAGE
    write(path, text.encode())
    return path


def _document(title: str, rows: list[str], count: int, table: dict[str, list[Any]]) -> str:
    flagged = sum(bool(flags) for flags in table["flags"])
    present = {flag for flags in table["flags"] for flag in flags.split()}
    meanings = "".join(
        f"<li><b>{name}</b>: {escape(text)}</li>"
        for name, text in FLAGS.items()
        if name in present
    )
    left_out = f"<p>The first {len(rows)} are shown.</p>" if len(rows) < count else ""
    lenses = "lens" if count == 1 else "lenses"
    parts = [
        f"<p>{count} {lenses}, {flagged} with flags. The first error of a number is the "
        "formal one, the second that under the noise of the image's corners. Errors are too small "
        "for real lenses. models.csv has all numbers.</p>",
        f"{left_out}<ul>{meanings}</ul>",
        "<div class=wide><table><tr><th>image less lens light, lensed source (one scale), "
        f"residual from -{_SIGMAS:g} sigma (blue) to {_SIGMAS:g} sigma (red)</th>"
        f"<th>model</th></tr>{''.join(rows)}</table></div>",
    ]
    return html_page(title, parts)


def _row(table: dict[str, list[Any]], row: int, figure: str) -> str:
    name = escape(str(table["name"][row]))
    flags = table["flags"][row]
    lines = [f"<b>{name}</b>"]
    if flags:
        lines.append(f"<span class=warn>{escape(flags)}</span>")
    if table["problem"][row]:
        lines.append(escape(table["problem"][row]))
    lines += [_number(table, row, column) for column in _NUMBERS]
    chi2 = table["chi2_per_pixel"][row]
    if np.isfinite(chi2):
        expected = table["chi2_per_pixel_expected"][row]
        lines.append(f"chi2 a pixel {chi2:.2f}, corners {expected:.2f}")
    return (
        f"<tr><td><img loading='lazy' src='{figure}' alt='{name}'></td>"
        f"<td>{'<br>'.join(filter(None, lines))}</td></tr>"
    )


def _number(table: dict[str, list[Any]], row: int, column: str) -> str:
    value = table[column][row]
    if not np.isfinite(value):
        return ""
    names = [f"{column}_{kind}" for kind in ("sigma", "sandwich")]
    values = [table[name][row] for name in names if name in table]
    errors = ", ".join(f"{error:.2g}" for error in values if np.isfinite(error))
    return f"{column} {value:.4f}" + f" &plusmn; {errors}" * bool(errors)


def _window(fitted: np.ndarray) -> tuple[slice, slice]:
    """Return the part of an image (H, W) that was fitted; all of it if nothing was."""
    if not fitted.any():
        fitted = np.ones_like(fitted)
    rows, columns = (np.flatnonzero(fitted.any(axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


@plain_style()
def model_figure(models: ShardDataset, row: int) -> bytes:
    """Draw a lens: image less lens light, lensed source, residual.

    Args:
        models: The data set of models.
        row: Row of the lens.
    """
    from matplotlib.figure import Figure

    rows = np.array([row])
    light = models.read_map("lens_light", rows)[0, 0]
    residual = models.read_map("residual", rows)[0, 0]
    modelled = (light != 0) | (residual != 0)
    window = _window(modelled)
    arcs = np.where(modelled, models.images(rows)[0, 0] - light, 0)[window]
    source = models.read_map("source", rows)[0, 0][window]
    residual = residual[window]
    figure = Figure(figsize=(6, 2), facecolor="white")
    colours: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -_SIGMAS, "vmax": _SIGMAS}
    magma: dict[str, Any] = {"cmap": "magma", "vmin": _DARK, "vmax": np.arcsinh(_STRETCH)}
    peak = source.max() or np.abs(arcs).max() or 1.0
    panels = [
        (np.arcsinh(_STRETCH * arcs / peak), magma),
        (np.arcsinh(_STRETCH * source / peak), magma),
        (residual, colours),
    ]
    for number, (plane, options) in enumerate(panels):
        axis = figure.add_axes((number / 3, 0, 0.33, 1))
        axis.imshow(plane, origin="lower", **options)
        axis.set_axis_off()
    return png_bytes(figure, dpi=80)
