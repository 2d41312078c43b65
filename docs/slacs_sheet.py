"""SLACS lenses beside images of the preset `hst-acs`; see docs/presets.md.

python docs/slacs_sheet.py FOLDER [PICTURE.png]     FOLDER holds published.csv and NAME/{image,noise}.fits
"""

import csv
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter
from scipy.stats import ks_2samp

import lenssim as ls
from lenssim.learn.figures.style import save

PIXEL = 0.05  # arcsec
ZERO_POINT = 25.94
MASKED = 1e7  # noise above it
SIDE = 120  # pixels
SIMULATED = 256
SHOWN = 16
FOCUS = 1.5  # pixels: rms of the Gaussian that arcs are smoothed with

Stamp = tuple[np.ndarray, np.ndarray, float]  # image, noise map, theta_E


def real_stamps(folder: Path) -> list[Stamp]:
    """Read the middle of each image, masked pixels as 0."""
    stamps = []
    with (folder / "published.csv").open() as table:
        rows = list(csv.DictReader(table))
    for row in rows:
        image, noise = (
            fits.getdata(folder / row["name"] / f"{name}.fits").astype(float)
            for name in ("image", "noise")
        )
        bad = noise > MASKED
        image[bad] = 0
        noise[bad] = np.median(noise[~bad])
        start = (len(image) - SIDE) // 2
        cut = slice(start, start + SIDE)
        stamps.append((image[cut, cut], noise[cut, cut], float(row["theta_E_SIE"])))
    return stamps


def simulated_stamps(count: int) -> list[Stamp]:
    """Simulate images of the preset."""
    exposure = ls.expose("hst-acs", count, seed=1)
    radii = exposure.scenes.params["theta_E"]
    return [
        (image[0].astype(float), sigma[0].astype(float), float(radius))
        for image, sigma, radius in zip(
            exposure.observed, exposure.sigma, radii, strict=True
        )
    ]


def statistics(image: np.ndarray, noise: np.ndarray, theta_E: float) -> dict[str, float]:
    """Measure brightness, noise and arcs of one stamp."""
    y, x = (np.indices(image.shape) - (len(image) - 1) / 2) * PIXEL
    radius = np.hypot(x, y)
    light = image - np.median(image[(radius > 2.7) & (radius < 3.0)])
    smooth = gaussian_filter(image, FOCUS)
    arcs = (smooth - np.minimum(smooth, np.rot90(smooth)))[(radius > 0.5) & (radius < 2.3)]
    level = noise.mean() / (2 * np.sqrt(np.pi) * FOCUS)
    ring = np.median(image[np.abs(radius - theta_E) < 0.1])
    whole = magnitude(light[radius < 2.5].sum())
    return {
        "largest signal to noise of a pixel": float((image / noise).max()),
        "magnitude within 2.5 arcsec": whole,
        "the same, less that within 0.5 arcsec": whole
        - magnitude(light[radius < 0.5].sum()),
        "median of the noise map, 0.001 e-/s": float(1e3 * np.median(noise)),
        "surface brightness at theta_E": magnitude(ring / PIXEL**2),
        "surface brightness of the arcs": magnitude(np.sort(arcs)[-80:].mean() / PIXEL**2),
        "magnitude of the arcs": magnitude(arcs[arcs > 2 * level].sum()),
    }


def magnitude(flux: float) -> float:
    """Return the AB magnitude of a flux in e-/s."""
    return float(ZERO_POINT - 2.5 * np.log10(max(flux, 1e-3)))


def print_table(real: list[Stamp], simulated: list[Stamp]) -> None:
    """Print percentiles of each statistic as rows of Markdown."""
    tables = [[statistics(*stamp) for stamp in stamps] for stamps in (real, simulated)]
    for name in tables[0][0]:
        columns = [[row[name] for row in table] for table in tables]
        cells = [
            ", ".join(f"{value:.4g}" for value in np.percentile(column, [16, 50, 84]))
            for column in columns
        ]
        print(f"| {name} | {' | '.join(cells)} | {ks_2samp(*columns).pvalue:.2f} |")


def sheet(real: list[Stamp], simulated: list[Stamp]) -> Figure:
    """Draw both at the same stretch: asinh of half the signal to noise."""
    figure = Figure(figsize=(16, 8.4), layout="constrained")
    axes = figure.subplots(4, 8).ravel()
    labels = ["SLACS"] * SHOWN + ["simulated"] * SHOWN
    stamps = real[:SHOWN] + simulated[:SHOWN]
    for axis, label, (image, noise, radius) in zip(axes, labels, stamps, strict=True):
        stretched = np.arcsinh(image / noise.mean() / 2)
        axis.imshow(stretched, origin="lower", cmap="gray", vmin=-1, vmax=4.2)
        axis.set_title(f'{label}, {radius:.2f}"', fontsize=9)
        axis.axis("off")
    return figure


def main(folder: Path, picture: Path) -> None:
    """Print the table, and draw the picture."""
    real = real_stamps(folder)
    simulated = simulated_stamps(SIMULATED)
    print_table(real, simulated)
    save(sheet(real, simulated), picture)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) == 3 else "slacs_sheet.png"))
