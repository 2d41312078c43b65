"""Lenses, their twins without a source, and distractors; see docs/finding.md.

python docs/finding_sheet.py [PICTURE.png]
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lenssim.learn.figures.style import save
from lenssim.simulate.composites.distractor import KINDS
from lenssim.simulate.pipeline import Exposure, simulate
from lenssim.simulate.preset import load_preset
from lenssim.simulate.spec import SimulationSpec

SHOWN = 8
SAMPLES = 192
SOFTENING = 3.0  # sigma
BRIGHTEST = 33.0  # of the softening
ROWS_OF_CHALLENGE = ("lens", "its twin", "non-lens")


def show(ax: Axes, image: np.ndarray, sigma: float, title: str) -> None:
    """Draw an image (H, W), all with the same stretch in units of the background."""
    limits = np.arcsinh([-1.0, BRIGHTEST])
    stretched = np.arcsinh(image / sigma / SOFTENING)
    ax.imshow(stretched, origin="lower", cmap="gray", vmin=limits[0], vmax=limits[1])
    ax.set_title(title, fontsize=7)
    ax.axis("off")


def exposures(model: str) -> tuple[Exposure, float]:
    """Return simulated images, and the rms of their background."""
    preset = load_preset(model)
    maps = ("twin",)
    exposure = simulate(SimulationSpec.of(preset, seed=1, maps=maps), np.arange(SAMPLES))
    return exposure, float(preset.instrument.instruments[0].background())


def main(picture: Path) -> None:
    """Draw the picture."""
    figure = Figure(figsize=(SHOWN * 1.35, 8.6), layout="constrained")
    axes = figure.subplots(3 + (len(KINDS) + 3) // 4 + 1, SHOWN)
    exposure, sigma = exposures("challenge-space")
    lenses = np.flatnonzero(exposure.labels == 1)[:SHOWN]
    others = np.flatnonzero(exposure.labels == 0)[:SHOWN]
    pictures = (exposure.observed, exposure.maps["twin"], exposure.observed)
    chosen = (lenses, lenses, others)
    rows = zip(axes[:3], pictures, chosen, ROWS_OF_CHALLENGE, strict=True)
    for row, images, numbers, title in rows:
        for ax, number in zip(row, numbers, strict=True):
            radius = exposure.scenes.params["theta_E"][number]
            show(ax, images[number, 0], sigma, f'{title}, {radius:.2f}"')
    exposure, sigma = exposures("survey-lenses")
    kinds = exposure.scenes.params["kind"]
    places = axes[3:].ravel()
    groups = [("lens", np.flatnonzero(kinds < 0)[:SHOWN])]
    groups += [
        (kind, np.flatnonzero(kinds == number)[:2]) for number, kind in enumerate(KINDS)
    ]
    images = [(kind, number) for kind, numbers in groups for number in numbers]
    for ax in places:
        ax.axis("off")
    for ax, (kind, number) in zip(places, images, strict=False):
        show(ax, exposure.observed[number, 0], sigma, kind)
    save(figure, picture)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images/finding.png"))
