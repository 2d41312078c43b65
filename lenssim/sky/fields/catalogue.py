"""The catalogue of a field: one row a galaxy, with its place on the sky."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lenssim.sky.fields.field import WideField
from lenssim.sky.fields.merging import hosts_of
from lenssim.sky.fields.request import ExtractRequest

__all__ = ["CATALOGUE", "Catalogue", "catalogue_of", "csv_bytes"]

CATALOGUE = "catalogue.csv"
_BLOCK = 512  # pixels: neighbours on the sky are neighbours in the catalogue
_UNITS = {"ra": "deg", "dec": "deg", "x": "pixel", "y": "pixel", "angle": "deg"} | {
    "semi_major": "arcsec",
    "semi_minor": "arcsec",
    "area": "pixel",
}
_DIGITS = {"ra": 8, "dec": 8, "x": 4, "y": 4}


@dataclass(frozen=True)
class Catalogue:
    """The galaxies of a field that get a stamp.

    Attributes:
        names: Names, from the place on the sky, or from the pixel where that is not known.
        columns: Columns (n,) of numbers by name.
        units: Their units.
        left_out: How many galaxies get no stamp, by reason.
        objects: Number of all objects, parts included.
    """

    names: list[str]
    columns: dict[str, np.ndarray]
    units: dict[str, str]
    left_out: dict[str, int]
    objects: int

    def __len__(self) -> int:
        return len(self.names)


def catalogue_of(
    objects: dict[str, np.ndarray], field: WideField, request: ExtractRequest
) -> Catalogue:
    """Return the galaxies of a field: parts joined, those without a stamp left out.

    Args:
        objects: Columns (n,) of the detected objects of all tiles.
        field: The field.
        request: What a galaxy must be.
    """
    order = np.lexsort((objects["x"], objects["y"]))
    objects = {name: column[order] for name, column in objects.items()}
    hosts = hosts_of(objects, request.merge_radius / field.pixel_scale, request.part_ratio)
    rows, left_out = _chosen_rows(objects, hosts, request)
    chosen = {name: column[rows] for name, column in objects.items()}
    chosen["parts"] = np.bincount(hosts, minlength=len(hosts))[rows].astype(np.float64)
    columns = _columns(chosen, field)
    return Catalogue(
        names=_names(columns),
        columns=columns,
        units={name: unit for name in columns if (unit := _unit(name))},
        left_out=left_out,
        objects=len(hosts),
    )


def _chosen_rows(
    objects: dict[str, np.ndarray], hosts: np.ndarray, request: ExtractRequest
) -> tuple[np.ndarray, dict[str, int]]:
    """Return the rows of galaxies that get a stamp, and how many do not, by reason."""
    reasons = {
        "parts of others": hosts != np.arange(len(hosts)),
        "fainter than --min-snr": _snr(objects) < request.min_snr,
        "saturated": objects["saturated"],
        "masked": objects["masked"] > request.max_masked,
    }
    keep = np.ones(len(hosts), bool)
    left_out = {}
    for reason, without in reasons.items():
        left_out[reason] = int((keep & without).sum())
        keep &= ~without
    rows = np.flatnonzero(keep)
    return rows[_sky_order(objects, rows)], left_out


def _columns(chosen: dict[str, np.ndarray], field: WideField) -> dict[str, np.ndarray]:
    """Return the columns of the catalogue."""
    ra, dec = field.positions(chosen["x"], chosen["y"])
    columns = {"ra": ra, "dec": dec} if field.has_sky else {}
    columns |= {"x": chosen["x"], "y": chosen["y"], "snr": _snr(chosen)}
    columns |= _fluxes(chosen, field)
    return columns | {
        "semi_major": chosen["a"] * field.pixel_scale,
        "semi_minor": chosen["b"] * field.pixel_scale,
        "angle": np.degrees(chosen["theta"]),
        "area": chosen["area"],
        "parts": chosen["parts"],
        "at_edge": chosen["at_edge"].astype(np.float64),
    }


def _unit(name: str) -> str:
    """Return the unit of a column, or ""."""
    if name.startswith(("mag", "zero_point")):
        return "mag"
    return _UNITS.get(name, "")


def _snr(objects: dict[str, np.ndarray]) -> np.ndarray:
    """Return the signal to noise in the apertures, all bands joined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        snr = np.where(objects["error"] > 0, objects["flux"] / objects["error"], 0)
    bands = (objects["error"] > 0).sum(axis=1).clip(min=1)
    return snr.sum(axis=1) / np.sqrt(bands)


def _sky_order(objects: dict[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Return the order of rows by blocks of the field, so that stamps are read block by block."""
    x, y = objects["x"][rows], objects["y"][rows]
    return np.lexsort((x, y, x // _BLOCK, y // _BLOCK))


def _fluxes(objects: dict[str, np.ndarray], field: WideField) -> dict[str, np.ndarray]:
    """Return fluxes, errors, magnitudes and zero points of each band."""
    columns = {}
    for number, name in enumerate(field.names):
        end = f"_{name}" if name and len(field.names) > 1 else ""
        flux = objects["flux"][:, number]
        columns[f"flux{end}"] = flux
        columns[f"flux_error{end}"] = objects["error"][:, number]
        zero_point = field.zero_points[number]
        if zero_point is None:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            magnitude = zero_point - 2.5 * np.log10(flux)
        columns[f"mag{end}"] = np.where(flux > 0, magnitude, np.nan)
        columns[f"zero_point{end}"] = np.full(len(flux), zero_point)
    return columns


def _names(columns: dict[str, np.ndarray]) -> list[str]:
    """Return a name for each galaxy; twins get a number."""
    if "ra" in columns:
        places = zip(columns["ra"].tolist(), columns["dec"].tolist(), strict=True)
        names = [_sky_name(*place) for place in places]
    else:
        pixels = zip(columns["x"].tolist(), columns["y"].tolist(), strict=True)
        names = [f"x{x:.1f}y{y:.1f}" for x, y in pixels]
    counts: dict[str, int] = {}
    unique = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        unique.append(name if counts[name] == 1 else f"{name}_{counts[name]}")
    return unique


def _sky_name(ra: float, dec: float) -> str:
    """Return the name of a place on the sky, cut and not rounded, as the IAU asks.

    Example:
        >>> _sky_name(187.70593, -12.39112)
        'J123049.42-122328.0'
    """
    if not (np.isfinite(ra) and np.isfinite(dec)):
        return "J_unknown"
    hundredths = int(ra / 15 * 360000 + 1e-6)
    seconds = hundredths % 6000 / 100
    tenths = int(abs(dec) * 36000 + 1e-6)
    sign = "-" if dec < 0 else "+"
    hours = f"{hundredths // 360000 % 24:02d}{hundredths // 6000 % 60:02d}{seconds:05.2f}"
    degrees = f"{tenths // 36000:02d}{tenths // 600 % 60:02d}{tenths % 600 / 10:04.1f}"
    return f"J{hours}{sign}{degrees}"


def csv_bytes(table: Mapping[str, Sequence[Any]]) -> bytes:
    """Return a table as CSV; what is not known is empty.

    Args:
        table: Columns by name, all of one length.
    """
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(table)
    names = list(table)
    for row in zip(*table.values(), strict=True):
        cells = [_cell(name, value) for name, value in zip(names, row, strict=True)]
        writer.writerow(cells)
    return lines.getvalue().encode()


def _cell(name: str, value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    if not np.isfinite(value):
        return ""
    if name in _DIGITS:
        return f"{value:.{_DIGITS[name]}f}"
    return f"{value:.7g}"
