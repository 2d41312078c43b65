"""Makes the pictures of the documents: uv run python docs/make_images.py [classes] [dark_matter]"""

import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from lenssim.simulate.draw import draw, labels
from lenssim.simulate.engines import engine
from lenssim.simulate.engines.batched.profiles import sheet, tnfw, uldm
from lenssim.simulate.observe import observe
from lenssim.simulate.preset import load_preset
from lenssim.simulate.scenes import Scenes

PROFILES = {"tnfw": tnfw, "uldm": uldm, "sheet": sheet}
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


def dark_matter() -> None:
    """A lens with each kind of dark matter of the survey presets: convergence of the perturbers, image, difference."""
    preset = load_preset("hst-arcs")
    numbers = np.arange(6)
    macro = {name: column[0] for name, column in draw(preset, [0], seed=7).params.items()}
    macro = {name: float(macro[name]) for name, _ in preset.parameters()} | {
        "z_lens": 0.25,
        "z_source": 1.0,
    }
    macro |= {
        "source_magnitude": 21.5,
        "theta_E": 1.2,
        "vortex_x": 1.0,
        "vortex_y": 0.6,
        "Sigma_sub": 0.05,
    }
    scenes = Scenes.concatenate(
        draw(preset, [i], seed=7, fixed=macro | {"log10_m_axion": mass})
        for i, mass in zip(numbers, (0, 0, 0, -22.3, -23.2, 0), strict=True)
    )
    renderer = engine("lenstronomy")
    images = renderer.render(scenes, preset.instrument, supersampling=2)[:, 0]
    kappa = np.stack([convergence(scenes, i) for i in numbers])
    figure = Figure(figsize=(11, 5.7), layout="constrained", facecolor="white")
    axes = figure.subplots(3, len(numbers))
    for i, name in enumerate(preset.class_names):
        smooth = images[i] - images[0]
        peak = images[0].max()
        for axis, picture, style in zip(
            axes[:, i],
            (kappa[i], np.arcsinh(images[i] / (0.05 * peak)), smooth / peak),
            (
                {"cmap": "RdBu_r", "vmin": -0.1, "vmax": 0.1},
                {"cmap": "magma"},
                {"cmap": "RdBu_r", "vmin": -0.1, "vmax": 0.1},
            ),
            strict=True,
        ):
            axis.imshow(picture, origin="lower", **style)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        axes[0, i].set_title(name, fontsize=11)
    for axis, label in zip(
        axes[:, 0], ("convergence, ±0.1", "image", "less the smooth one, ±0.1"), strict=True
    ):
        axis.set_ylabel(label, fontsize=9)
    figure.savefig(IMAGES / "dark_matter.png", dpi=110)


def convergence(scenes: Scenes, i: int, n: int = 128, side: float = 5.12) -> np.ndarray:
    """Convergence (n, n) of the perturbers of system `i`; the mass of a line is spread over a pixel's width."""
    edge = (np.arange(n) + 0.5) / n * side - side / 2
    x, y = (torch.from_numpy(axis.ravel()) for axis in np.meshgrid(edge, edge))
    total = np.zeros(n * n)
    for kind, table in scenes.perturbers.items():
        own = table.of(i)
        for start in range(0, len(next(iter(own.values()))), 256):
            part = {
                name: torch.from_numpy(values[start : start + 256, None])
                for name, values in own.items()
            }
            if kind == "line_mass":
                along = (
                    torch.linspace(-1, 1, 400, dtype=torch.float64)[:, None]
                    * part["half_length"]
                )
                place = (
                    part["center_x"] + along * part["angle"].cos(),
                    part["center_y"] + along * part["angle"].sin(),
                )
                width = side / n
                mass = np.pi * float(part["theta_E"]) ** 2 / 400
                blob = torch.exp(
                    -((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * width**2)
                )
                total += (mass / (2 * np.pi * width**2) * blob).sum(0).numpy()
            else:
                total += PROFILES[kind].convergence(x, y, **part).sum(0).numpy()
    return total.reshape(n, n)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for picture in sys.argv[1:] or ("classes", "dark_matter"):
        {"classes": classes, "dark_matter": dark_matter}[picture]()
