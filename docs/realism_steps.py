"""Which parts of preset hst-acs make its images like real ones; see docs/results/realism.md.

python docs/realism_steps.py REAL [IMAGES]     REAL is a data set of `lenssim import fits`
"""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

import lenssim as ls
from lenssim.simulate.preset import parse_preset, preset_text

Document = dict[str, Any]
NOISE_OF_CORNERS = ("rms / noise map", "rho(1,0)", "rho(1,1)", "skew")


def without_lens_light(document: Document) -> None:
    """Leave the lens galaxy out, and its neighbours stay."""
    document["lens_light"] = document["lens_light"][1:]
    document["lens_light"] = document["lens_light"] or []


def gaussian_psf(document: Document) -> None:
    """Give the camera a Gaussian PSF of its width."""
    document["instrument"]["psf"] = {"fwhm": 0.087}


def white_noise(document: Document) -> None:
    """Leave the noise of neighbouring pixels uncorrelated."""
    document["instrument"]["resampling"] = {"kernel": "none"}


def one_exposure(document: Document) -> None:
    """Give all images the exposure of an orbit."""
    document["exposure_time"] = 550.0


def smooth_source(document: Document) -> None:
    """Leave the clumps out of the sources."""
    keys = ("magnitude", "R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y")
    source = document["source"][0]
    document["source"] = [{"profile": "sersic"} | {key: source[key] for key in keys}]


def without_neighbours(document: Document) -> None:
    """Leave galaxies on the line of sight out."""
    document["lens_light"] = [
        light
        for light in document["lens_light"]
        if "neighbour" not in light.get("name", "")
    ]


STEPS: dict[str, Callable[[Document], None]] = {
    "light of the lens galaxy": without_lens_light,
    "optical PSFs": gaussian_psf,
    "drizzled noise": white_noise,
    "clumpy sources": smooth_source,
    "neighbours": without_neighbours,
    "exposures of snapshots to orbits": one_exposure,
}


def main(real: Path, images: int) -> None:
    """Print a table: what is added, and how well the images are told from real ones."""
    names = ["arcs of smooth sources, white noise, Gaussian PSF", *STEPS]
    print("| step | all statistics | untrained network | betraying | p of the corners |")
    print("|---|---|---|---|---|")
    for number, name in enumerate(names):
        document = yaml.safe_load(preset_text("hst-acs"))
        for spoil in list(STEPS.values())[number:]:
            spoil(document)
        if not document["lens_light"]:
            del document["lens_light"]
        with TemporaryDirectory() as folder:
            preset = parse_preset(document)
            options = {"noise": "telescope", "seed": 11, "maps": ["sigma", "mask"]}
            data = ls.generate(preset, images, Path(folder) / "data", workers=0, **options)
            table = ls.audit(data, real=real)
        print(_row(name, table), flush=True)


def _row(name: str, table: Any) -> str:
    areas = [
        f"{row['auc']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        for row in table.document["separations"]
    ]
    p = dict(zip(table["statistic"].tolist(), table["p"].tolist(), strict=True))
    corners = ", ".join(f"{p[key]:.2g}" for key in NOISE_OF_CORNERS)
    return f"| {name} | {' | '.join(areas)} | {table['betrays'].sum()} of {table.rows} | {corners} |"


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 400)
