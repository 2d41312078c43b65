"""Residual figures: where engines differ, one row a class and one column an engine."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lenssim.drawing import plain_style, png_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["residual_figure"]

_STRETCH = 8  # of the asinh; larger shows fainter parts
_DECADES = 1e-4  # of the logarithmic scale of residuals
_MIN_RESIDUAL = 1e-17  # of the peak; equal images have none


@plain_style()
def residual_figure(
    worst: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]], title: str
) -> bytes:
    """Draw the image with the largest residual for every engine and class.

    Images have an asinh stretch. Residuals are in units of the image's peak, on a
    logarithmic scale. y points upwards.

    Args:
        worst: An image (H, W) and its residual (H, W), by engine and class.
        title: The title of the figure.

    Returns:
        A PNG file.
    """
    from matplotlib.figure import Figure

    engines = list(dict.fromkeys(engine for engine, _ in worst))
    classes = list(dict.fromkeys(name for _, name in worst))
    columns = 1 + len(engines)
    size = (2.7 * columns, 2.5 * len(classes) + 0.5)
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    figure.suptitle(title, fontsize=10)
    axes = figure.subplots(len(classes), columns, squeeze=False)
    for row, name in enumerate(classes):
        image, _ = worst[engines[0], name]
        _draw_image(axes[row, 0], image, f"{name}, worst of {engines[0]}")
        for column, engine in enumerate(engines, start=1):
            _draw_residual(figure, axes[row, column], engine, *worst[engine, name])
    for axis in axes.ravel():
        axis.set_xticks([])
        axis.set_yticks([])
    return png_bytes(figure, dpi=120)


def _draw_image(axis: "Axes", image: np.ndarray, title: str) -> None:
    """Draw an image (H, W)."""
    stretched = np.arcsinh(_STRETCH * image / np.abs(image).max())
    axis.imshow(stretched, origin="lower", cmap="magma")
    axis.set_title(title, fontsize=7, pad=2)


def _draw_residual(
    figure: "Figure", axis: "Axes", engine: str, image: np.ndarray, residual: np.ndarray
) -> None:
    """Draw a residual (H, W) in units of its image's peak, with a colour bar."""
    from matplotlib.colors import LogNorm

    size = np.abs(residual) / np.abs(image).max()
    top = max(float(size.max()), _MIN_RESIDUAL)
    bottom = top * _DECADES
    mappable = axis.imshow(
        np.maximum(size, bottom),
        origin="lower",
        cmap="viridis",
        norm=LogNorm(bottom, top),
    )
    axis.set_title(f"{engine} - lenstronomy, max {top:.1e}", fontsize=7, pad=2)
    bar = figure.colorbar(mappable, ax=axis, shrink=0.8, format="{x:.0e}")
    bar.ax.tick_params(labelsize=6)
