"""Draw the picture of docs/sources.md: clumpy galaxies, spirals, and light of lens galaxies.

python docs/light.py [PICTURE.png]
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lenssim.learn.figures.style import save
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.preset import Preset, load_preset, parse_preset

COLUMNS = 6
SHAPE = {
    "e1": {"uniform": [-0.3, 0.3]},
    "e2": {"uniform": [-0.3, 0.3]},
}
CLUMPY = {
    "profile": "clumpy",
    "magnitude": 21.0,
    "R_sersic": {"uniform": [0.3, 0.6]},
    **SHAPE,
}
SPIRAL = {
    "profile": "spiral",
    "magnitude": 20.0,
    "R_sersic": {"uniform": [0.4, 0.7]},
    "n_sersic": 1.0,
    "arms": 2,
    "arm_strength": {"uniform": [0.4, 0.9]},
    "winding": {"uniform": [3.0, 7.0]},
    "arm_phase": {"uniform": [0.0, 6.283]},
    **SHAPE,
}


def unlensed(source: dict[str, Any]) -> Preset:
    """Return hst-acs without lens and lens light, and with another source."""
    document = load_preset("hst-acs").model_dump(mode="json")
    shear = {"profile": "shear", "gamma1": 0.0, "gamma2": 0.0}
    changes = {"lens": [shear], "lens_light": [], "source": [source]}
    return parse_preset(document | changes)


def images(preset: Preset) -> np.ndarray:
    """Render the first samples of a preset (N, H, W), without noise."""
    scenes = draw(preset, np.arange(COLUMNS), seed=3)
    return engine("lenstronomy").render(scenes, preset.instrument, supersampling=2)[:, 0]


def main(picture: Path) -> None:
    """Draw a row of each kind of light."""
    rows = {
        "clumpy": images(unlensed(CLUMPY)),
        "spiral": images(unlensed(SPIRAL)),
        "elliptical, clumpy": images(load_preset("hst-acs")),
    }
    figure = Figure(figsize=(9, 4.7), layout="constrained")
    axes = figure.subplots(len(rows), COLUMNS)
    for of_row, (name, stamps) in zip(axes, rows.items(), strict=True):
        for axis, stamp in zip(of_row, stamps, strict=True):
            axis.imshow(np.arcsinh(stamp / 0.02), origin="lower", cmap="gray")
            axis.set_xticks([])
            axis.set_yticks([])
        of_row[0].set_ylabel(name)
    save(figure, picture)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1] if len(sys.argv) == 2 else "light.png"))
