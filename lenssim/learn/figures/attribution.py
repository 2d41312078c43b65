"""Figures of what a network sees: examples, first features, and the pixels behind an output."""

from collections.abc import Sequence
from typing import Any, override

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lenssim.drawing import plain_style
from lenssim.learn.figures.style import GREY
from lenssim.learn.nets.model import Model

__all__ = [
    "attributions_figure",
    "examples_figure",
    "features_figure",
    "first_features",
    "integrated_gradients",
]

_PATH_STEPS = 32
_MAX_FEATURES = 15
_MIN_SIDE = 4  # pixels of a map of features; smaller ones show nothing
_SMOOTHING = 1.0  # pixels
_PANEL_COLUMNS = 8


def _panels(count: int, columns: int, title: str) -> tuple[Figure, list[Axes]]:
    """Return a figure of small panels without axes."""
    rows = -(-count // columns)
    size = (1.45 * columns, 1.6 * rows + 0.35)
    figure = Figure(figsize=size, dpi=130, layout="constrained")
    figure.suptitle(title, fontsize=9, color=GREY)
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for ax in axes:
        ax.set_axis_off()
    return figure, axes[:count]


def _is_signed(image: np.ndarray) -> bool:
    """Tell whether an image (C, H, W) holds positive and negative values alike, unlike light."""
    return bool(image.min() < -image.max() / 2)


def _stretched(image: np.ndarray) -> np.ndarray:
    """Return the mean band of an image (C, H, W) with a stretch that shows faint light."""
    grey = image.mean(axis=0)
    if _is_signed(image):
        return np.arcsinh(grey)
    contrast = grey.max() - grey.min()
    if contrast <= 0:
        return np.zeros_like(grey)
    return np.arcsinh(10 * (grey - grey.min()) / contrast)


def _show_image(ax: Axes, image: np.ndarray, name: str) -> None:
    ax.imshow(_stretched(image), cmap="gray", origin="lower")
    ax.set_title(name, fontsize=8)


@plain_style()
def examples_figure(images: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """Draw images with their names.

    Args:
        images: Images (N, C, H, W).
        names: Names (N).
        title: Title of the figure.

    Returns:
        The figure.

    Example:
        >>> len(examples_figure(np.ones((2, 1, 8, 8)), ["a", "b"], "examples").axes)
        8
    """
    figure, axes = _panels(len(images), _PANEL_COLUMNS, title)
    for ax, image, name in zip(axes, images, names, strict=True):
        _show_image(ax, image, name)
    return figure


class _FirstConvolution(TorchFunctionMode):
    """Stores the output of the first convolution of a network, in whichever module."""

    features: Tensor | None = None

    @override
    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is nn.functional.conv2d and self.features is None:
            self.features = result
        return result


def first_features(model: Model, image: Tensor) -> Tensor | None:
    """Return the features behind the first convolution of a network.

    Args:
        model: The network.
        image: Image (C, H, W).

    Returns:
        Features (K, h, w). None for a network without a convolution, or whose first convolution
        leaves fewer than four by four pixels.
    """
    with torch.inference_mode(), _FirstConvolution() as convolution:
        model.eval()(image[None])
    features = convolution.features
    if features is None or min(features.shape[-2:]) < _MIN_SIDE:
        return None
    return features[0]


@plain_style()
def features_figure(image: np.ndarray, features: Tensor, title: str) -> Figure:
    """Draw an image and the first fifteen of its features, each on its own scale.

    Args:
        image: Image (C, H, W).
        features: Features (K, h, w).
        title: Title of the figure.

    Returns:
        The figure.
    """
    maps = features[:_MAX_FEATURES].float().cpu().numpy()
    figure, axes = _panels(1 + len(maps), _PANEL_COLUMNS, title)
    _show_image(axes[0], image, "image")
    for k, (ax, feature) in enumerate(zip(axes[1:], maps, strict=True)):
        ax.imshow(feature, cmap="viridis", origin="lower")
        ax.set_title(str(k), fontsize=8)
    return figure


def integrated_gradients(model: Model, images: Tensor, outputs: Tensor) -> Tensor:
    """Return the contribution of each pixel to an output of the network (Sundararajan et al. 2017).

    The path starts at an image of zeros. The sum over an image is the difference of the output
    between the image and zeros.

    Args:
        model: The network.
        images: Images (N, C, H, W).
        outputs: Index (N,) of the output of each image.

    Returns:
        Contributions (N, C, H, W) of the normalised images.
    """
    normalised = model.eval().normalise(images)
    total = torch.zeros_like(normalised)
    for step in range(_PATH_STEPS):
        path = (normalised * ((step + 0.5) / _PATH_STEPS)).detach().requires_grad_()
        chosen = model.net(path).gather(1, outputs[:, None]).sum()
        total += torch.autograd.grad(chosen, path)[0]
    return (normalised * total / _PATH_STEPS).detach()


@plain_style()
def attributions_figure(
    images: np.ndarray, shares: np.ndarray, names: Sequence[str], title: str
) -> Figure:
    """Draw images above the contributions of their pixels: red for the output, blue against it.

    Contributions are smoothed by a Gaussian of one pixel, because their sign often changes between
    neighbours.

    Args:
        images: Images (N, C, H, W).
        shares: Contributions (N, C, H, W).
        names: Names (N).
        title: Title of the figure.

    Returns:
        The figure.
    """
    count = len(images)
    figure, axes = _panels(2 * count, count, title)
    for ax, image, name in zip(axes[:count], images, names, strict=True):
        _show_image(ax, image, name)
    for ax, image, share in zip(axes[count:], images, shares, strict=True):
        smooth = gaussian_filter(share.sum(axis=0), _SMOOTHING)
        limit = np.quantile(np.abs(smooth), 0.995) or 1
        ax.imshow(smooth, cmap="RdBu_r", origin="lower", vmin=-limit, vmax=limit)
        if not _is_signed(image):  # noise has no outline
            ax.contour(_stretched(image), levels=2, colors=GREY, linewidths=0.5)
    return figure
