"""Residual figures: where engines differ, one picture an engine and class."""

from collections.abc import Mapping

import numpy as np

from lenssim.drawing import plain_style, png_bytes

__all__ = ["residual_figure"]


@plain_style()
def residual_figure(
    worst: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]], title: str
) -> bytes:
    """PNG: for every (engine, class) the image (H, W) with the largest residual, and that residual, y upwards.

    Images have an asinh stretch; residuals are in units of the image's peak, on a logarithmic scale.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    engines = list(dict.fromkeys(engine for engine, _ in worst))
    classes = list(dict.fromkeys(name for _, name in worst))
    rows, columns = len(classes), 1 + len(engines)
    figure = Figure(
        figsize=(2.7 * columns, 2.5 * rows + 0.5), layout="constrained", facecolor="white"
    )
    figure.suptitle(title, fontsize=10)
    axes = figure.subplots(rows, columns, squeeze=False)
    for row, name in enumerate(classes):
        for column, engine in enumerate(engines, start=1):
            image, difference = worst[engine, name]
            size = np.abs(difference) / np.abs(image).max()
            top = max(size.max(), 1e-17)
            shown = axes[row, column].imshow(
                np.maximum(size, top * 1e-4),
                origin="lower",
                cmap="viridis",
                norm=LogNorm(top * 1e-4, top),
            )
            axes[row, column].set_title(
                f"{engine} - lenstronomy, max {top:.1e}", fontsize=7, pad=2
            )
            bar = figure.colorbar(shown, ax=axes[row, column], shrink=0.8, format="{x:.0e}")
            bar.ax.tick_params(labelsize=6)
        image = worst[engines[0], name][0]
        axes[row, 0].imshow(
            np.arcsinh(8 * image / np.abs(image).max()), origin="lower", cmap="magma"
        )
        axes[row, 0].set_title(f"{name}, worst of {engines[0]}", fontsize=7, pad=2)
    for axis in axes.ravel():
        axis.set_xticks([])
        axis.set_yticks([])
    return png_bytes(figure, dpi=120)
