"""A network trained on `sie`, asked about SLACS lenses: theta_E beside the published value; see docs/slacs.md.

python docs/slacs_network.py FOLDER RUN [PICTURE.png]     FOLDER holds published.csv and NAME/{image,noise}.fits
"""

import csv
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter, map_coordinates

from lenssim.learn.compute.device import pick_device
from lenssim.learn.evaluation.ensemble import Ensemble
from lenssim.learn.figures.style import save
from lenssim.learn.runs.run import open_run
from lenssim.learn.scores.novelty import read_novelty
from lenssim.simulate.conventions import angle_from_coolest, ellipticity

PIXEL = 0.05  # arcsec
MASKED = 1e7  # noise above it
CORE = 0.35  # arcsec: within, the lens's own photons are noisier than any arc
FIELD = 2.6  # arcsec: beyond, neighbours and the arms of spirals
BLUR = 1.0  # pixels: HST's F814W is sharper than the seeing of the training data


def lens_light(image: np.ndarray, good: np.ndarray) -> np.ndarray:
    """A smooth elliptical galaxy about the middle of the image (S, S), blind to what lies on one side only.

    At each radius a constant and cos and sin of 2, 4 and 6 phi are fitted to the good pixels, those above thrown out
    five times over; arcs stand above, so that they are left in what remains.
    """
    middle = (len(image) - 1) / 2
    y, x = np.indices(image.shape) - middle
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    rings, phi = (
        np.arange(0, middle * 1.5, 0.5),
        np.linspace(0, 2 * np.pi, 240, endpoint=False),
    )
    at = [middle + rings[:, None] * np.sin(phi), middle + rings[:, None] * np.cos(phi)]
    light = map_coordinates(image, at, order=3, mode="nearest")
    known = map_coordinates(good.astype(float), at, order=0, mode="constant") > 0.5
    terms = _terms(phi)
    found = np.zeros((len(rings), terms.shape[-1]))
    for k in range(len(rings)):
        kept = known[k].copy()
        for _ in range(6):
            if kept.sum() < 40:
                break
            found[k] = np.linalg.lstsq(terms[kept], light[k, kept], rcond=None)[0]
            off = light[k] - terms @ found[k]
            scatter = 1.4826 * np.median(np.abs(off[kept] - np.median(off[kept])))
            kept = known[k] & (off < 1.5 * scatter) & (off > -4 * scatter)
    own = np.stack([np.interp(radius, rings, column) for column in found.T], axis=-1)
    return (own * _terms(angle)).sum(-1)


def _terms(phi: np.ndarray) -> np.ndarray:
    return np.stack(
        [
            np.ones_like(phi),
            *(wave(m * phi) for m in (2, 4, 6) for wave in (np.cos, np.sin)),
        ],
        axis=-1,
    )


def resampled(image: np.ndarray, side: int, pixel: float) -> np.ndarray:
    """An image (S, S) of `PIXEL` in `side` x `side` pixels of `pixel` [arcsec] about its middle, by overlap."""
    old = (np.arange(len(image) + 1) - len(image) / 2) * PIXEL
    new = (np.arange(side + 1) - side / 2) * pixel
    low, high = np.maximum(new[:-1, None], old[:-1]), np.minimum(new[1:, None], old[1:])
    overlap = np.clip(high - low, 0, None) / PIXEL
    return overlap @ image @ overlap.T


def prepared(folder: Path, side: int, pixel: float) -> np.ndarray:
    """What the network is shown of a lens, (side, side): lens light taken off, blurred and resampled.

    Masked pixels, the core and what lies beyond the field are noise of the sky's size, as blank sky would be.
    """
    image, noise = (
        fits.getdata(folder / f"{kind}.fits").astype(float) for kind in ("image", "noise")
    )
    good = noise < MASKED
    y, x = np.indices(image.shape) - (len(image) - 1) / 2
    radius = np.hypot(x, y) * PIXEL
    sky = np.random.default_rng(0).normal(
        scale=np.quantile(noise[good], 0.1), size=image.shape
    )
    left = np.where(
        good & (radius > CORE) & (radius < FIELD), image - lens_light(image, good), sky
    )
    return resampled(gaussian_filter(left, BLUR), side, pixel)


def main(folder: Path, run_folder: Path, picture: Path) -> None:
    """Print the table and write the picture."""
    run = open_run(run_folder)
    (_, side, _), pixel = run.record.image_shape, run.record.images.pixel_scale
    with (folder / "published.csv").open() as file:
        lenses = list(csv.DictReader(file))
    images = np.stack([prepared(folder / lens["name"], side, pixel) for lens in lenses])[
        :, None
    ].astype(np.float32)
    task, outputs = Ensemble([run], pick_device("cpu"))(images)
    posterior, p = task.posterior(outputs), read_novelty(run.folder).p_values(images)
    at = {name: k for k, name in enumerate(task.columns)}
    theta, sigma = posterior.mean[:, at["theta_E"]], posterior.sigma[:, at["theta_E"]]
    shape, errors = (
        posterior.mean[:, [at["e1"], at["e2"]]],
        posterior.sigma[:, [at["e1"], at["e2"]]],
    )
    truth = np.array([float(lens["theta_E_SIE"]) for lens in lenses])
    print(
        "| lens | published | theta_E | off, sigma | e1, published | e1 | e2, published | e2 | unlike (p) |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for k, lens in enumerate(lenses):
        e = ellipticity(float(lens["q_SIE"]), angle_from_coolest(float(lens["PA_SIE_deg"])))
        look = (
            f"{'yes' if p[k] <= read_novelty(run.folder).threshold else 'no'} ({p[k]:.3f})"
        )
        shown = [f"{e[j]:+.2f} | {shape[k, j]:+.2f} +- {errors[k, j]:.2f}" for j in (0, 1)]
        off = f"{(theta[k] - truth[k]) / sigma[k]:+.1f}"
        own = f"{theta[k]:.2f} +- {sigma[k]:.2f}"
        print(
            f"| {lens['name']} | {truth[k]:.2f} | {own} | {off} | {' | '.join(shown)} | {look} |"
        )
    off = theta - truth
    print(
        f"theta_E: median |off| {np.median(np.abs(off)):.3f} arcsec, mean {off.mean():+.3f}, within 0.1: "
        f"{(np.abs(off) < 0.1).sum()} of {len(off)}; within 1, 2, 3 sigma: "
        f"{', '.join(str((np.abs(off) < n * sigma).sum()) for n in (1, 2, 3))}"
    )
    figure = Figure(figsize=(11, 11.6), dpi=110, layout="constrained")
    figure.suptitle(
        "SLACS, as the network sees them. Circles: theta_E, published (white, dashed) and of the network (orange)"
    )
    half = side * pixel / 2
    for k, ax in enumerate(figure.subplots(4, 4).ravel()):
        ax.set_axis_off()
        if k >= len(lenses):
            continue
        top = np.quantile(images[k], 0.995)
        shown = np.arcsinh(10 * np.clip(images[k, 0] / top, -0.1, 1))
        ax.imshow(shown, origin="lower", extent=(-half, half, -half, half), cmap="viridis")
        phi = np.linspace(0, 2 * np.pi, 100)
        ax.plot(
            truth[k] * np.cos(phi),
            truth[k] * np.sin(phi),
            color="white",
            linestyle="--",
            linewidth=1,
        )
        ax.plot(
            theta[k] * np.cos(phi), theta[k] * np.sin(phi), color="#E69F00", linewidth=1
        )
        ax.set_title(
            f"{lenses[k]['name']}: {truth[k]:.2f}, {theta[k]:.2f} ± {sigma[k]:.2f}",
            fontsize=9,
        )
    save(figure, picture)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        Path(sys.argv[3] if len(sys.argv) == 4 else "slacs_network.png"),
    )
