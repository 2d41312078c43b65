"""What the light of the lens galaxy alone says of theta_E, in preset `hst-acs`; see docs/slacs.md.

python docs/light_profile.py FOLDER     FOLDER holds published.csv and NAME/{image,noise}.fits
"""

import csv
import sys
from pathlib import Path

import numpy as np
import yaml
from astropy.io import fits
from sklearn.ensemble import HistGradientBoostingRegressor

import lenssim as ls
from lenssim.simulate.preset import parse_preset, preset_text

SIDE = 120  # pixels
RING = 3  # pixels wide
TRAINING = 3500
TEST = 400
SOFTENING = 0.01  # e-/s: about the noise
CHANGES = {
    "as in the preset": {},
    "0.75 mag fainter": {"luminosity_scatter": {"normal": [1.5, 0.4]}},
    "0.75 mag brighter": {"luminosity_scatter": {"normal": [0.0, 0.4]}},
    "0.25 dex smaller": {"size_scatter": {"normal": [-0.1, 0.11]}},
}


def profile(images: np.ndarray) -> np.ndarray:
    """Return asinh of the median (N, R) of each ring of images (N, SIDE, SIDE)."""
    y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    ring = np.minimum(np.hypot(x, y), SIDE / 2).astype(int) // RING
    medians = [np.median(images[:, ring == k], axis=1) for k in range(ring.max() + 1)]
    return np.arcsinh(np.stack(medians, axis=1) / SOFTENING)


def simulated(
    count: int, seed: int, light: dict[str, object], dark_source: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return profiles (N, R) and theta_E (N,) of the preset with another lens galaxy."""
    document = yaml.safe_load(preset_text("hst-acs"))
    document["lens_light"][0] |= light
    if dark_source:
        document["source"][0]["magnitude"] = 40.0
    exposure = ls.expose(parse_preset(document), count, seed=seed)
    return profile(exposure.observed[:, 0]), exposure.scenes.params["theta_E"]


def real(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return profiles (N, R) and published theta_E (N,) of lenses."""
    images = []
    radii = []
    with (folder / "published.csv").open() as table:
        for row in csv.DictReader(table):
            image = fits.getdata(folder / row["name"] / "image.fits").astype(float)
            start = (len(image) - SIDE) // 2
            images.append(image[start : start + SIDE, start : start + SIDE])
            radii.append(float(row["theta_E_SIE"]))
    return profile(np.stack(images)), np.array(radii)


def main(folder: Path) -> None:
    """Print the errors of trees that see the light profile alone."""
    profiles, theta_E = simulated(TRAINING, 21, {})
    trees = HistGradientBoostingRegressor(
        loss="absolute_error", max_iter=150, random_state=0
    )
    trees.fit(profiles, theta_E)
    tests = {name: simulated(TEST, 99, light) for name, light in CHANGES.items()}
    tests["no source"] = simulated(TEST, 99, {}, dark_source=True)
    tests["SLACS"] = real(folder)
    print("| lenses | median error | median offset |\n|---|---|---|")
    for name, (seen, truth) in tests.items():
        error = trees.predict(seen) - truth
        print(f"| {name} | {np.median(np.abs(error)):.3f} | {np.median(error):+.3f} |")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
