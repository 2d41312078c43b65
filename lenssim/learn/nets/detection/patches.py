"""Patches of a network's features, compared with those of the training images.

Roth et al. (2022): features in the middle of a network, means of 3 x 3 neighbours, and the
distance of each patch from the nearest of a core of training patches.
"""

from typing import override

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from lenssim.errors import ConfigError
from lenssim.learn.nets.detection.detector import Detector, Explanation
from lenssim.learn.nets.model import Model

__all__ = ["PatchMemory", "greedy_core"]

_STRIDES = (4, 8)  # of the features, in pixels
_PROJECTED = 64  # numbers in which the core is chosen
_TINY = 1e-12


class PatchMemory(Detector):
    """Distances of an image's patches from a core of training patches.

    Args:
        features: The network whose features are compared; its weights stay.
        shape: Bands, rows and columns of the images.
        size: Number of patches of the core.
        in_sigma: Whether the images are in units of their noise already.

    Raises:
        ConfigError: The network has no features of patches.
    """

    core: Tensor
    mean: Tensor

    def __init__(
        self,
        features: Model,
        shape: tuple[int, int, int],
        size: int,
        *,
        in_sigma: bool = False,
    ) -> None:
        super().__init__("none", in_sigma=in_sigma)
        self.features = features.requires_grad_(requires_grad=False)
        self.layers = _middle_layers(features, shape)
        with torch.no_grad():
            width = self.patches(torch.zeros(1, *shape)).shape[1]
        self.register_buffer("core", torch.zeros(size, width))
        self.register_buffer("mean", torch.zeros(shape))

    def patches(self, images: Tensor) -> Tensor:
        """Return features (N, F, h, w) of images (N, C, H, W)."""
        planes: dict[str, Tensor] = {}
        hooks = []
        for name in self.layers:
            layer = self.features.get_submodule(name)
            hooks.append(layer.register_forward_hook(_keeper(planes, name)))
        try:
            self.features.eval()
            self.features(images)
        finally:
            for hook in hooks:
                hook.remove()
        finest = planes[self.layers[0]].shape[-2:]
        smoothed = [
            avg_pool2d(planes[name], 3, 1, 1, count_include_pad=False)
            for name in self.layers
        ]
        sized = [interpolate(plane, finest, mode="bilinear") for plane in smoothed]
        return torch.cat(sized, dim=1)

    @override
    def explain(self, scaled: Tensor) -> Explanation:
        patches = self.patches(scaled)
        flat = patches.movedim(1, -1).flatten(1, 2)
        nearest = torch.stack([torch.cdist(image, self.core).amin(1) for image in flat])
        distances = nearest.unflatten(1, patches.shape[-2:])[:, None]
        where = interpolate(distances, scaled.shape[-2:], mode="bilinear")
        score = (nearest.amax(1) + _TINY).log()
        return Explanation(scaled - self.mean, score, where.expand_as(scaled))


def _keeper(planes: dict[str, Tensor], name: str):  # type: ignore[no-untyped-def]
    """Return a hook that keeps the output of a layer under its name."""

    def keep(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        planes[name] = output

    return keep


def _middle_layers(model: Model, shape: tuple[int, int, int]) -> list[str]:
    """Return the last layers whose features have strides of about four and eight pixels."""
    sides: dict[str, int] = {}

    def note(name: str):  # type: ignore[no-untyped-def]
        def keep(layer: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] > 1:
                sides[name] = min(output.shape[-2:])

        return keep

    hooks = [
        layer.register_forward_hook(note(name))
        for name, layer in model.named_modules()
        if name not in ("", "net")
    ]
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, *shape))
    finally:
        for hook in hooks:
            hook.remove()
    smallest = min(shape[1:])
    chosen = []
    for stride in _STRIDES:
        names = [name for name, side in sides.items() if side <= smallest / stride]
        if names:
            side = max(sides[name] for name in names)
            chosen.append([name for name in names if sides[name] == side][-1])
    if not chosen:
        raise ConfigError(
            f"the net {model.name} has no features of patches; take a convolutional one, "
            "such as cnn",
            code="no-features",
            net=model.name,
        )
    return list(dict.fromkeys(chosen))


def greedy_core(patches: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Return patches (size, F) of (N, F) that leave no other far from the nearest of them.

    Each is the patch that is farthest from those before it (Sener & Savarese 2018), in a random
    projection.
    """
    width = patches.shape[1]
    projected = patches
    if width > _PROJECTED:
        projected = patches @ torch.randn(width, _PROJECTED, generator=generator)
    chosen = [int(torch.randint(len(patches), (1,), generator=generator))]
    distances = torch.full((len(patches),), torch.inf)
    for _ in range(size - 1):
        step = (projected - projected[chosen[-1]]).square().sum(1)
        distances = torch.minimum(distances, step)
        chosen.append(int(distances.argmax()))
    return patches[chosen]
