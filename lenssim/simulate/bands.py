"""Bands: what each band of a camera sees of the same scenes."""

from collections.abc import Callable

import numpy as np

from lenssim.simulate.instruments import AnyCamera, Instrument
from lenssim.simulate.scenes import Scenes

__all__ = ["BandView", "band_views", "render_bands"]

BandView = tuple[Scenes, Instrument]
"""Scenes with the magnitudes of one band, and the band as an instrument."""


def band_views(scenes: Scenes, camera: AnyCamera) -> list[BandView]:
    """Return what each band sees, in the order of the bands.

    Args:
        scenes: N scenes.
        camera: The camera. One without named bands sees the scenes as they are.

    Returns:
        Scenes and instrument of each band. Lens, perturbers and shapes are the same in all.

    Example:
        >>> from lenssim.simulate.draw import draw
        >>> from lenssim.simulate.preset import load_preset
        >>> preset = load_preset("III")
        >>> views = band_views(draw(preset, [0], seed=0), preset.instrument)
        >>> [instrument.name for _, instrument in views]
        ['hst_wfc3_f160w']
    """
    if isinstance(camera, Instrument):
        return [(scenes, camera)]
    return [
        (scenes.in_band(name, number), instrument)
        for number, (name, instrument) in enumerate(
            zip(camera.band_names, camera.instruments, strict=True)
        )
    ]


def render_bands(
    render: Callable[[Scenes, Instrument], np.ndarray], scenes: Scenes, camera: AnyCamera
) -> np.ndarray:
    """Render the bands of a camera one after another.

    Args:
        render: Returns the images (N, 1, H, W) of one band.
        scenes: N scenes.
        camera: The camera.

    Returns:
        Images (N, bands, H, W).
    """
    images = [render(*view) for view in band_views(scenes, camera)]
    if len(images) == 1:
        return images[0]
    return np.concatenate(images, axis=1)
