"""What a network is told of the images that it will see."""

from dataclasses import dataclass

import numpy as np

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.live import LiveDataset
from lenssim.simulate.draw import draw
from lenssim.simulate.preset import parse_preset

__all__ = ["Images", "describe"]

_SCENES = 256  # drawn to see how large the rings are


@dataclass(frozen=True)
class Images:
    """Shape (C, H, W) of a data set's images and, where known, what their pixels and rings measure.

    `pixel_scale` is in arcsec a pixel; `theta_E` the smallest and the largest Einstein radius, in arcsec, as it shows
    in the images: for the source at its own redshift.
    """

    shape: tuple[int, int, int]
    pixel_scale: float | None = None
    theta_E: tuple[float, float] | None = None


def describe(dataset: ShardDataset | LiveDataset) -> Images:
    """The images of a data set; pixel scale and Einstein radii are known of simulated ones.

    Radii are those of the first 256 samples, of the first lens that has one.
    """
    config = dataset.config
    if config.get("kind") != "simulated":
        return Images(dataset.image_shape)
    preset = parse_preset(config["preset"], f"the preset of {dataset.folder}")
    scenes = draw(
        preset,
        np.asarray(dataset.index[:_SCENES]),
        seed=config["seed"],
        split=config["split"],
    )
    names = [
        component.prefix + "theta_E"
        for component in scenes.components
        if component.role == "lens"
    ]
    radii = next((scenes.params[name] for name in names if name in scenes.params), None)
    if radii is not None:
        radii = radii * scenes.deflection_scale()
    return Images(
        dataset.image_shape,
        preset.instrument.pixel_scale,
        None if radii is None else (float(radii.min()), float(radii.max())),
    )
