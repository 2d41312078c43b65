"""What a network looks at: examples of the data, its first features, and the pixels that speak for a class."""

from collections.abc import Sequence
from typing import Any, override

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lenssim.drawing import plain_style
from lenssim.learn.nets.model import Model

__all__ = [
    "attributions_figure",
    "examples_figure",
    "features_figure",
    "first_features",
    "integrated_gradients",
]

_STEPS = 32
_MAPS = 15
_FINEST = 4  # pixels a side, below which a map of features shows nothing
_BLUR = 1.0  # pixels
_GREY = "#777777"


def _panels(count: int, columns: int, title: str) -> tuple[Figure, list]:
    rows = -(-count // columns)
    figure = Figure(
        figsize=(1.45 * columns, 1.6 * rows + 0.35), dpi=130, layout="constrained"
    )
    figure.suptitle(title, fontsize=9, color=_GREY)
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for ax in axes:
        ax.set_axis_off()
    return figure, axes[:count]


def _signed(image: np.ndarray) -> bool:
    """Whether an image (C, H, W) is no light but something that is above zero as often as below."""
    return bool(image.min() < -image.max() / 2)


def _shown(image: np.ndarray) -> np.ndarray:
    """An image (C, H, W) for the eye: the mean of its bands, faint light brought up, below zero too if need be."""
    grey = image.mean(axis=0)
    if _signed(image):
        return np.arcsinh(grey)
    span = grey.max() - grey.min()
    return np.arcsinh(10 * (grey - grey.min()) / (span if span > 0 else 1))


@plain_style()
def examples_figure(images: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """Images (N, C, H, W) with their names."""
    figure, axes = _panels(len(images), 8, title)
    for ax, image, name in zip(axes, images, names, strict=True):
        ax.imshow(_shown(image), cmap="gray", origin="lower")
        ax.set_title(name, fontsize=8)
    return figure


class _FirstConvolution(TorchFunctionMode):
    """Keeps what the first convolution gives, whichever module asks for it."""

    features: Tensor | None = None

    @override
    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        given = func(*args, **(kwargs or {}))
        if func is nn.functional.conv2d and self.features is None:
            self.features = given
        return given


def first_features(model: Model, image: Tensor) -> Tensor | None:
    """Features (K, h, w) behind the first convolution for an image (C, H, W).

    None for a net without one, or whose first convolution cuts the image into less than four by four patches.
    """
    with torch.inference_mode(), _FirstConvolution() as first:
        model.eval()(image[None])
    found = first.features
    return None if found is None or min(found.shape[-2:]) < _FINEST else found[0]


@plain_style()
def features_figure(image: np.ndarray, features: Tensor, title: str) -> Figure:
    """An image (C, H, W) and the first fifteen of its features (K, h, w), each on its own scale."""
    shown = features[:_MAPS].float().cpu().numpy()
    figure, axes = _panels(1 + len(shown), 8, title)
    axes[0].imshow(_shown(image), cmap="gray", origin="lower")
    axes[0].set_title("image", fontsize=8)
    for k, one in enumerate(shown):
        axes[k + 1].imshow(one, cmap="viridis", origin="lower")
        axes[k + 1].set_title(str(k), fontsize=8)
    return figure


def integrated_gradients(model: Model, images: Tensor, outputs: Tensor) -> Tensor:
    """What each pixel adds to an output of the net, (N, C, H, W) as the normalised images (Sundararajan et al. 2017).

    The path leads from an image of zeros; `outputs` (N,) says which output. Summed over an image they are the output's
    difference between image and zeros.
    """
    seen = model.eval().normalise(images)
    total = torch.zeros_like(seen)
    for step in range(_STEPS):
        path = (seen * ((step + 0.5) / _STEPS)).detach().requires_grad_()
        chosen = model.net(path).gather(1, outputs[:, None]).sum()
        total += torch.autograd.grad(chosen, path)[0]
    return (seen * total / _STEPS).detach()


@plain_style()
def attributions_figure(
    images: np.ndarray, shares: np.ndarray, names: Sequence[str], title: str
) -> Figure:
    """Images (N, C, H, W) above what each pixel adds (N, C, H, W): red speaks for the output, blue against it.

    What pixels add is shown smoothed by a Gaussian of one pixel: from one to the next its sign often changes.
    """
    figure, axes = _panels(2 * len(images), len(images), title)
    for k, (image, share, name) in enumerate(zip(images, shares, names, strict=True)):
        axes[k].imshow(_shown(image), cmap="gray", origin="lower")
        axes[k].set_title(name, fontsize=8)
        added = gaussian_filter(share.sum(axis=0), _BLUR)
        end = np.quantile(np.abs(added), 0.995) or 1
        below = axes[len(images) + k]
        below.imshow(added, cmap="RdBu_r", origin="lower", vmin=-end, vmax=end)
        if not _signed(image):  # noise has no outline
            below.contour(_shown(image), levels=2, colors=_GREY, linewidths=0.5)
    return figure
