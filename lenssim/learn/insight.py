"""What a network looks at: examples of the data, its first features, and the pixels that speak for a class."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lenssim.learn.model import Model

__all__ = ["attributions_figure", "examples_figure", "features_figure", "first_features", "integrated_gradients"]

_STEPS = 32
_MAPS = 16
_GREY = "#777777"


def _panels(count: int, columns: int, title: str) -> tuple[Figure, list]:
    rows = -(-count // columns)
    figure = Figure(figsize=(1.45 * columns, 1.6 * rows + 0.35), dpi=130, layout="constrained")
    figure.suptitle(title, fontsize=9, color=_GREY)
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for ax in axes:
        ax.set_axis_off()
    return figure, axes[:count]


def _shown(image: np.ndarray) -> np.ndarray:
    """An image (C, H, W) for the eye: the mean of its bands, faint light brought up."""
    grey = image.mean(axis=0)
    span = grey.max() - grey.min()
    return np.arcsinh(10 * (grey - grey.min()) / (span if span > 0 else 1))


def examples_figure(images: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """Images (N, C, H, W) with their names."""
    figure, axes = _panels(len(images), 8, title)
    for ax, image, name in zip(axes, images, names, strict=True):
        ax.imshow(_shown(image), cmap="gray", origin="lower")
        ax.set_title(name, fontsize=8)
    return figure


def first_features(model: Model, image: Tensor) -> Tensor | None:
    """Features (K, h, w) behind the first convolution for an image (C, H, W); None for a net without one."""
    first = next((module for module in model.net.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None:
        return None
    kept: list[Tensor] = []
    handle = first.register_forward_hook(lambda _, __, features: kept.append(features))
    try:
        with torch.inference_mode():
            model.eval()(image[None])
    finally:
        handle.remove()
    return kept[0][0] if kept and kept[0].ndim == 4 else None


def features_figure(features: Tensor, title: str) -> Figure:
    """The first sixteen of features (K, h, w)."""
    figure, axes = _panels(min(len(features), _MAPS), 8, title)
    for k, ax in enumerate(axes):
        ax.imshow(features[k].float().cpu().numpy(), cmap="viridis", origin="lower")
        ax.set_title(str(k), fontsize=7)
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


def attributions_figure(images: np.ndarray, shares: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """Images (N, C, H, W) above what each pixel adds (N, C, H, W): red speaks for the output, blue against it."""
    figure, axes = _panels(2 * len(images), len(images), title)
    for k, (image, share, name) in enumerate(zip(images, shares, names, strict=True)):
        axes[k].imshow(_shown(image), cmap="gray", origin="lower")
        axes[k].set_title(name, fontsize=7)
        added = share.sum(axis=0)
        end = np.quantile(np.abs(added), 0.995) or 1
        axes[len(images) + k].imshow(added, cmap="RdBu_r", origin="lower", vmin=-end, vmax=end)
    return figure
