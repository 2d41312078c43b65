"""A graph of the objects in a stamp: what they are like, and where they lie to each other.

sep extracts objects at four heights of each image, from three times its noise up to its peak, so that
an arc that touches its galaxy is an object of its own higher up. Edge convolutions (Wang et al. 2019)
pass messages between near ones.
"""

from itertools import pairwise
from typing import override

import numpy as np
import torch
from torch import Tensor, nn

from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.unet import noise_of

__all__ = ["SMALLEST", "EdgeConvolution", "ObjectGraph", "build"]

SMALLEST = 8  # pixels a side
_HEIGHTS = 4
_LOWEST = 3.0  # sigma
_SMALLEST_AREA = 4  # pixels
_OBJECTS = 8  # of each height, the brightest
_NEIGHBOURS = 8
_WIDTH = 64
_LAYERS = 3
_SHAPES = 9  # numbers of an object, besides its bands
_TINY = 1e-6


class EdgeConvolution(nn.Module):
    """The largest message of an object's neighbours, each from both objects and where they lie.

    Args:
        inputs: Numbers of an object.
        outputs: Numbers of a message.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.message = nn.Sequential(
            nn.Linear(2 * inputs + 3, outputs),
            nn.LeakyReLU(0.1),
            nn.Linear(outputs, outputs),
        )

    @override
    def forward(self, objects: Tensor, places: Tensor, present: Tensor) -> Tensor:
        """Return messages (N, K, outputs) of objects (N, K, D) at places (N, K, 2).

        `present` (N, K) tells objects from fillings. An object is its own neighbour, too.
        """
        far = torch.cdist(places, places).masked_fill(~present[:, None], torch.inf)
        count = min(_NEIGHBOURS, objects.shape[1])
        distances, nearest = far.topk(count, dim=2, largest=False)
        rows = torch.arange(len(objects), device=objects.device)[:, None, None]
        shift = places[rows, nearest] - places[:, :, None]
        length = shift.square().sum(-1, keepdim=True).add(_TINY).sqrt()
        centre = objects[:, :, None].expand(-1, -1, count, -1)
        change = objects[rows, nearest] - centre
        messages = self.message(torch.cat([centre, change, shift, length], dim=-1))
        messages = messages.masked_fill(~torch.isfinite(distances)[..., None], -torch.inf)
        return torch.where(present[..., None], messages.amax(2), 0)


class ObjectGraph(nn.Module):
    """Objects, three edge convolutions, mean and maximum over objects, and a linear layer.

    It maps images (N, C, H, W) of at least 8 pixels a side to (N, outputs). The stamp itself is the
    first object, so that an image without objects has an answer.
    """

    def __init__(self, bands: int, outputs: int) -> None:
        super().__init__()
        widths = [_SHAPES + bands, *[_WIDTH] * _LAYERS]
        self.layers = nn.ModuleList(
            EdgeConvolution(before, after) for before, after in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(_WIDTH) for _ in range(_LAYERS))
        self.head = nn.Linear(2 * _LAYERS * _WIDTH, outputs)

    @override
    def forward(self, images: Tensor) -> Tensor:
        objects, places, present = _objects(images)
        pooled = []
        share = present[..., None] / present.sum(1)[:, None, None]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            objects = norm(layer(objects, places, present)).relu()
            pooled.append((objects * share).sum(1))
            pooled.append(objects.masked_fill(~present[..., None], 0).amax(1))
        return self.head(torch.cat(pooled, dim=1))


def _objects(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return numbers (N, K, D), places (N, K, 2) and presence (N, K) of the objects of images."""
    level = images.flatten(2).median(2).values[..., None, None]
    light = (images - level) / noise_of(images)
    masks, heights, present = _segments(light.mean(1).detach())
    weights = masks[:, :, None] * light.clamp(min=0)[:, None]
    fluxes = weights.sum((3, 4))
    shapes, places = _shapes(weights.sum(2), masks.sum((2, 3)), light)
    total = fluxes.sum(2, keepdim=True)
    shares = fluxes / (total + _TINY)
    numbers = torch.cat([shapes, heights[..., None], shares], dim=2)
    return torch.where(present[..., None], numbers, 0), places, present


def _segments(light: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return masks (N, K, H, W) of objects in images (N, H, W), their heights, and presence."""
    extracted = [_extracted(image) for image in light.cpu().numpy()]
    count = max(len(masks) for masks, _ in extracted)
    masks = np.zeros((len(extracted), count, *light.shape[1:]), np.float32)
    heights = np.zeros((len(extracted), count), np.float32)
    for row, (segments, levels) in enumerate(extracted):
        masks[row, : len(segments)] = segments
        heights[row, : len(levels)] = levels
    present = torch.as_tensor(masks).to(light).flatten(2).amax(2) > 0
    return torch.as_tensor(masks).to(light), torch.as_tensor(heights).to(light), present


def _extracted(image: np.ndarray) -> tuple[list[np.ndarray], list[float]]:
    """Return masks of the objects of an image (H, W) in sigma, and their heights from 0 to 1.

    Objects are not deblended: sep shares out faint pixels by random numbers.
    """
    import sep

    masks = [np.ones_like(image)]
    heights = [0.0]
    peak = float(image.max())
    if not peak > _LOWEST:
        return masks, heights
    pixels = np.ascontiguousarray(image, np.float32)
    options = {"minarea": _SMALLEST_AREA, "deblend_cont": 1.0, "segmentation_map": True}
    for step in range(_HEIGHTS):
        share = step / _HEIGHTS
        threshold = _LOWEST * (peak / _LOWEST) ** share
        objects, segments = sep.extract(pixels, threshold, clean=False, **options)
        brightest = np.argsort(-objects["flux"], kind="stable")[:_OBJECTS]
        masks += [(segments == number + 1).astype(np.float32) for number in brightest]
        heights += [share + 1 / _HEIGHTS] * len(brightest)
    return masks, heights


def _shapes(weights: Tensor, area: Tensor, light: Tensor) -> tuple[Tensor, Tensor]:
    """Return numbers (N, K, 8) and places (N, K, 2) of objects.

    Args:
        weights: Light of each object above the background, (N, K, H, W) in sigma.
        area: Pixels (N, K) of each object.
        light: The images, (N, C, H, W).
    """
    height, width = weights.shape[-2:]
    y = torch.linspace(-1, 1, height).to(weights)[:, None]
    x = torch.linspace(-1, 1, width).to(weights)[None]
    flux = weights.sum((2, 3))
    unit = weights / (flux + _TINY)[..., None, None]
    middle = [(unit * axis).sum((2, 3)) for axis in (x, y)]
    from_x = x - middle[0][..., None, None]
    from_y = y - middle[1][..., None, None]
    xx, yy, xy = ((unit * m).sum((2, 3)) for m in (from_x**2, from_y**2, from_x * from_y))
    size = xx + yy + _TINY
    e1 = (xx - yy) / size
    e2 = 2 * xy / size
    radius = middle[0].square().add(middle[1].square()).add(_TINY)
    # 1 for an object that is stretched across the line to the middle of the stamp, as arcs are
    radial_1 = (middle[0] ** 2 - middle[1] ** 2) / radius
    radial_2 = 2 * middle[0] * middle[1] / radius
    tangential = -(e1 * radial_1 + e2 * radial_2)
    numbers = [
        flux.add(1).log() / 10,
        (area / (height * width)).sqrt(),
        *middle,
        radius.sqrt(),
        size.sqrt(),
        torch.hypot(e1, e2 + _TINY),
        tangential,
    ]
    return torch.stack(numbers, dim=2), torch.stack(middle, dim=2)


def build(images: ImageDescription, outputs: int) -> nn.Module:
    """Build the network.

    Args:
        images: The images, with any number of bands.
        outputs: Number of outputs.

    Returns:
        A network from images (N, C, H, W) to (N, outputs).
    """
    return ObjectGraph(images.shape[0], outputs)
