"""Figures of a denoiser: the image, the answer, the truth and what remains."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from lenssim.drawing import plain_style
from lenssim.learn.figures.style import titled_figure

__all__ = ["examples_figure"]

_STRETCH = 3.0  # noise, where the stretch turns from linear to logarithmic
_RESIDUAL = 4.0  # noise, at the ends of the colours


@plain_style()
def examples_figure(examples: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw examples of a denoiser, a column each.

    Args:
        examples: `noisy`, `answer` and `truth` (N, H, W) in units of the noise.
        title: Title of the figure.

    Returns:
        The figure.
    """
    lines = dict(examples)
    lines["answer - truth"] = examples["answer"] - examples["truth"]
    count = len(examples["truth"])
    figure = titled_figure(title, 1.3 * count, 1.4 * len(lines))
    axes = figure.subplots(len(lines), count, squeeze=False)
    for line, (name, images) in zip(axes, lines.items(), strict=True):
        for ax, image in zip(line, images, strict=True):
            ax.set(xticks=[], yticks=[])
            if name == "answer - truth":
                ends = {"vmin": -_RESIDUAL, "vmax": _RESIDUAL, "cmap": "RdBu_r"}
                ax.imshow(image, origin="lower", interpolation="nearest", **ends)
                continue
            stretched = np.arcsinh(image / _STRETCH)
            ax.imshow(stretched, origin="lower", cmap="gray", interpolation="nearest")
        line[0].set_ylabel(name, fontsize=8)
    return figure
