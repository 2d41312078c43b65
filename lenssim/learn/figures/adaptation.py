"""Features of two domains before the last layer, in the plane of their largest variance."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from lenssim.drawing import plain_style
from lenssim.learn.figures.style import axes_of

__all__ = ["embedding_figure", "plane_of"]

_MARKERS = ("o", "x")
_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")


def plane_of(features: np.ndarray) -> np.ndarray:
    """Return features (N, D) in the plane (N, 2) of their largest variance.

    Example:
        >>> plane_of(np.eye(3)).shape
        (3, 2)
    """
    centred = features - features.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return centred @ axes[:2].T


@plain_style()
def embedding_figure(
    features: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray | None],
    classes: Sequence[str],
    title: str,
) -> Figure:
    """Draw the features of both domains twice: coloured by domain, and by class.

    Args:
        features: Features (N, D), by the name of the domain.
        labels: Labels (N,), by domain; None where nobody knows them.
        classes: Names of the classes.
        title: Title of the figure.
    """
    plane = plane_of(np.concatenate(list(features.values())))
    ends = np.cumsum([len(part) for part in features.values()])[:-1]
    parts = dict(zip(features, np.split(plane, ends), strict=True))
    figure, axes = axes_of(title, "first component", "second component", columns=2)
    for k, (domain, points) in enumerate(parts.items()):
        marker = _MARKERS[k % len(_MARKERS)]
        axes[0].scatter(
            points[:, 0], points[:, 1], s=8, marker=marker, color=_COLOURS[k], label=domain
        )
        truth = labels[domain]
        if truth is None:
            axes[1].scatter(
                points[:, 0], points[:, 1], s=8, marker=marker, color="0.7", label=domain
            )
            continue
        for number, name in enumerate(classes):
            colour = _COLOURS[number % len(_COLOURS)]
            chosen = points[truth == number]
            label = f"{name}, {domain}"
            axes[1].scatter(
                chosen[:, 0], chosen[:, 1], s=8, marker=marker, color=colour, label=label
            )
    for ax in axes:
        ax.legend(fontsize=7)
    return figure
