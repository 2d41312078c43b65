"""Makes the pictures of the documents: uv run python docs/make_images.py"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lenssim.simulate.draw import draw, labels
from lenssim.simulate.engines import engine
from lenssim.simulate.observe import observe
from lenssim.simulate.preset import load_preset

IMAGES = Path(__file__).parent / "images"


def classes() -> None:
    """Three Model III lenses of each class: expected image above, with nominal noise below."""
    preset = load_preset("III")
    numbers = np.arange(60)
    scenes = draw(preset, numbers, seed=2)
    clean = engine("batched").render(scenes, preset.instrument)
    noisy = observe(clean, scenes, preset.instrument, "nominal", numbers=numbers, seed=2)
    label = labels(preset, numbers)
    chosen = np.concatenate([np.flatnonzero(label == k)[[3, 8, 12]] for k in range(3)])
    figure = Figure(figsize=(10.2, 2.75), layout="constrained", facecolor="white")
    axes = figure.subplots(2, 9)
    for column, i in enumerate(chosen):
        for row, image in enumerate((clean[i, 0], noisy[i, 0])):
            axis = axes[row, column]
            axis.imshow(np.arcsinh(image[8:-8, 8:-8] / 0.03), origin="lower", cmap="magma")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        if column % 3 == 1:
            axes[0, column].set_title(preset.class_names[label[i]], fontsize=11)
    axes[0, 0].set_ylabel("as published", fontsize=9)
    axes[1, 0].set_ylabel("with noise", fontsize=9)
    figure.savefig(IMAGES / "classes.png", dpi=110)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    classes()
