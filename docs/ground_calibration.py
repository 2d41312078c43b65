"""The preset challenge-ground beside public stamps: noise, central galaxies, neighbours, colours.

python docs/ground_calibration.py STAMPS [--model challenge-ground] [-n 320] [--seed 7]

STAMPS is what `lenssim import challenge` made of stamps from the ground. Nothing here looks at
their classes.
"""

import argparse
import warnings
from collections.abc import Sequence

import numpy as np
import sep

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.simulate.pipeline import simulate
from lenssim.simulate.preset import load_preset
from lenssim.simulate.spec import SimulationSpec

UNIT = 1e10  # stamps of the challenge have magnitude 0 for one unit, the preset 25
ZERO_POINT = 25.0
PIXEL = 0.2  # arcsec
APERTURE = 1.5  # arcsec
CENTRAL = 1.0  # arcsec from the middle
RADII = 15.0  # pixels, within which the half-light radius is sought
BANDS = ("R", "I", "G", "U")
CHUNK = 32
KERNEL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32)
PERCENTILES = (5, 25, 50, 75, 95)

Columns = dict[str, np.ndarray]


def noise(images: np.ndarray) -> np.ndarray:
    """Return the noise (N, C) of images (N, C, H, W), by differences of neighbours."""
    differences = np.abs(np.diff(images, axis=-1))
    return 1.0484 * np.median(differences, axis=(2, 3))


def magnitude(flux: np.ndarray) -> np.ndarray:
    """Return magnitudes; NaN where there is no light."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return ZERO_POINT - 2.5 * np.log10(np.where(flux > 0, flux, np.nan))


def objects(image: np.ndarray, sigma: float) -> Columns:
    """Return distance ["], magnitudes and half-light radius ["] of the objects of (C, H, W)."""
    bands = [np.ascontiguousarray(band, np.float32) for band in image]
    found = sep.extract(
        bands[0], 1.5, err=sigma, minarea=6, deblend_cont=0.005, filter_kernel=KERNEL
    )
    x, y = found["x"], found["y"]
    middle = (image.shape[-1] - 1) / 2
    radius = APERTURE / PIXEL
    fluxes = [sep.sum_circle(band, x, y, radius)[0] for band in bands]
    half = sep.flux_radius(bands[0], x, y, np.full(len(x), RADII), 0.5)[0]
    distance = PIXEL * np.hypot(x - middle, y - middle)
    columns = {"distance": distance, "half": PIXEL * half}
    return columns | dict(zip(BANDS, map(magnitude, fluxes), strict=True))


def measured(images: np.ndarray) -> Columns:
    """Return what is measured of all images: a number an image, or one a neighbour."""
    sigma = noise(images)
    values: dict[str, list[float]] = {}
    for image, level in zip(images, sigma, strict=True):
        found = objects(image, float(level[0]))
        order = np.argsort(found["distance"])
        near = order[:1][found["distance"][order[:1]] < CENTRAL]
        others = np.setdiff1d(order, near)
        values.setdefault("objects a stamp", []).append(len(order))
        for k in near:
            values.setdefault("central, R", []).append(found["R"][k])
            values.setdefault("central, R - I", []).append(found["R"][k] - found["I"][k])
            values.setdefault("central, G - R", []).append(found["G"][k] - found["R"][k])
            values.setdefault("central, half-light radius", []).append(found["half"][k])
        values.setdefault("neighbours, R", []).extend(found["R"][others])
        values.setdefault("neighbours, R - I", []).extend((found["R"] - found["I"])[others])
    columns = {f"noise {band}": sigma[:, k] for k, band in enumerate(BANDS)}
    return columns | {name: np.array(column) for name, column in values.items()}


def simulated(model: str, count: int, seed: int) -> np.ndarray:
    """Return images of a preset."""
    spec = SimulationSpec.of(load_preset(model), seed=seed)
    starts = range(0, count, CHUNK)
    parts = [simulate(spec, np.arange(k, k + CHUNK)).observed for k in starts]
    return np.concatenate(parts)


def report(real: Columns, made: Columns) -> Sequence[str]:
    """Return the lines of the page's table."""
    heads = " | ".join(f"{p} %" for p in PERCENTILES)
    lines = [
        f"| quantity | stamps, all values | simulated, {heads} |",
        "|---" * (2 + len(PERCENTILES)) + "|",
    ]
    for name, column in real.items():
        digits = 4 if name.startswith("noise") else 2
        stated = ", ".join(f"{value:.{digits}f}" for value in np.sort(column))
        cells = " | ".join(
            f"{value:.{digits}f}" for value in np.nanpercentile(made[name], PERCENTILES)
        )
        lines.append(f"| {name} | {stated} | {cells} |")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stamps")
    parser.add_argument("--model", default="challenge-ground")
    parser.add_argument("-n", type=int, default=320)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    stamps = ShardDataset(options.stamps)
    warnings.simplefilter("ignore")  # medians of nothing
    real = measured(UNIT * stamps.images(stamps.rows()))
    made = measured(simulated(options.model, options.n, options.seed))
    print("\n".join(report(real, made)))


if __name__ == "__main__":
    main()
