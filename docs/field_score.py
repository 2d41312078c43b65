"""Scores an extraction of a mosaic: which lens galaxies were found, and which were split.

uv run python docs/field_score.py FIELD.truth.csv D/catalogue.csv PIXEL_SCALE
"""

import csv
import sys
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

FAINTEST = 23.0  # mag, of lens galaxies
NEAR = 0.3  # arcsec: a galaxy was found
EXPLAINED = (0.5, 25.5)  # arcsec and mag: an entry is another galaxy of the truth


def columns(path: str) -> dict[str, np.ndarray]:
    """Return the columns of a table; empty cells of numbers are NaN."""
    with Path(path).open() as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def numbers(column: np.ndarray) -> np.ndarray:
    """Return a column of texts as numbers."""
    return np.array([float(cell or "nan") for cell in column])


def main(truth_path: str, catalogue_path: str, pixel_scale: float) -> None:
    """Print the shares of lens galaxies that were found and split."""
    truth = columns(truth_path)
    catalogue = columns(catalogue_path)
    places = np.stack([numbers(truth["x"]), numbers(truth["y"])], axis=1) * pixel_scale
    entries = np.stack([numbers(catalogue["x"]), numbers(catalogue["y"])], axis=1)
    entries = entries * pixel_scale
    magnitude = numbers(truth["magnitude"])
    theta_E = numbers(truth["theta_E"])
    is_lens = truth["kind"] == "lens"
    others = cKDTree(places[~is_lens & (magnitude < EXPLAINED[1])])
    tree = cKDTree(entries)
    chosen = np.flatnonzero(is_lens & (magnitude < FAINTEST))
    distance, match = tree.query(places[chosen])
    split = 0
    for lens, entry in zip(chosen.tolist(), match.tolist(), strict=True):
        around = tree.query_ball_point(places[lens], 1.5 * theta_E[lens] + NEAR)
        parts = [number for number in around if number != entry]
        explained = others.query(entries[parts])[0] < EXPLAINED[0] if parts else [True]
        split += not np.all(explained)
    count = len(chosen)
    print(f"{count} lens galaxies brighter than {FAINTEST:g} mag")
    for reach in (NEAR, 1.0):
        print(f"found within {reach:g} arcsec: {(distance < reach).mean():.1%}")
    print(f"split: {split / count:.1%}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
