"""CNNs that commute with rotations and reflections, by group convolutions.

The group convolution is that of Cohen & Welling (2016). Filters that are rotated by any angle are
those of Weiler & Cesa (2019): sums of circular harmonics on rings, sampled at turned pixels.
Quarter turns, and in D4 reflections, are exact, because they map the pixel grid onto itself. Eighth
turns of C8 are exact for the filters but not for the pixels of an image.
"""

import math
from typing import override

import numpy as np
import torch
from torch import Tensor, nn

from lenssim.learn.inputs.description import ImageDescription

__all__ = [
    "GROUPS",
    "SMALLEST",
    "GroupConvolution",
    "Halve",
    "Lifting",
    "build",
    "harmonics",
    "matrices",
]

GROUPS = {"C4": (4, False), "C8": (8, False), "D4": (4, True)}  # rotations, reflections
SMALLEST = 8  # pixels a side
_CHANNELS = (32, 64, 64, 128, 128)  # fields times the elements of the group
_POOLED = (0, 2, 4)  # convolutions that a pooling follows
_KERNEL = 5
_HIDDEN = 64
_RING_WIDTH = 0.6  # pixels


def matrices(group: str) -> np.ndarray:
    """Return the elements of a group as matrices that act on (x, y).

    Args:
        group: A name in `GROUPS`.

    Returns:
        Matrices (n, 2, 2): rotations, then the same after y -> -y if the group has reflections.

    Example:
        >>> matrices("D4").shape
        (8, 2, 2)
    """
    rotations, reflections = GROUPS[group]
    angles = 2 * np.pi * np.arange(rotations) / rotations
    cos = np.cos(angles)
    sin = np.sin(angles)
    turns = np.moveaxis(np.array([[cos, -sin], [sin, cos]]), -1, 0)
    if not reflections:
        return turns
    return np.concatenate([turns, turns @ np.diag([1, -1])])


def harmonics(group: str, size: int = _KERNEL) -> np.ndarray:
    """Return a basis of circular harmonics, turned by each element of a group.

    The functions are Gaussian rings around r = 0, 1, ... pixels. Each has angular frequencies up to
    2 r, which its pixels can hold.

    Args:
        group: A name in `GROUPS`.
        size: Pixels a side.

    Returns:
        Filters (n, B, size, size).
    """
    axis = np.arange(size) - (size - 1) / 2
    grid = np.stack(np.meshgrid(axis, -axis))  # y points up
    filters = []
    for element in matrices(group):
        x, y = np.tensordot(element.T, grid, axes=1)  # the inverse of an orthogonal matrix
        functions = _ring_functions(np.hypot(x, y), np.arctan2(y, x), (size + 1) // 2)
        filters.append([function / np.linalg.norm(function) for function in functions])
    return np.array(filters)


def _ring_functions(radius: np.ndarray, angle: np.ndarray, rings: int) -> list[np.ndarray]:
    """Return the circular harmonics on all rings, at pixels of a radius and angle."""
    functions = []
    for ring in range(rings):
        profile = np.exp(-0.5 * ((radius - ring) / _RING_WIDTH) ** 2)
        functions.append(profile * np.cos(0 * angle))
        profile = profile * (radius > 0.5)  # a direction has no value at the centre
        for m in range(1, 2 * ring + 1):
            functions.append(profile * np.cos(m * angle))
            functions.append(profile * np.sin(m * angle))
    return functions


def _quotients(group: str) -> np.ndarray:
    """Return the index (n, n) of g^-1 h, for each g and h."""
    elements = matrices(group)
    products = np.einsum("gji,hjk->ghik", elements, elements)
    return np.linalg.norm(products[:, :, None] - elements, axis=(-2, -1)).argmin(-1)


class Lifting(nn.Module):
    """A convolution of images (N, C, H, W) to regular fields (N, K, n, H, W)."""

    basis: Tensor

    def __init__(self, group: str, channels: int, fields: int) -> None:
        super().__init__()
        self.register_buffer(
            "basis", torch.tensor(harmonics(group), dtype=torch.float32), persistent=False
        )
        shape = (fields, channels, self.basis.shape[1])
        self.weight = nn.Parameter(torch.randn(shape) * math.sqrt(2 / math.prod(shape[1:])))

    @override
    def forward(self, images: Tensor) -> Tensor:
        filters = torch.einsum("kcb,gbyx->kgcyx", self.weight, self.basis).flatten(0, 1)
        convolved = nn.functional.conv2d(images, filters, padding="same")
        return convolved.unflatten(1, (-1, len(self.basis)))


class GroupConvolution(nn.Module):
    """A group convolution of regular fields (N, K, n, H, W) to regular fields (N, L, n, H, W)."""

    basis: Tensor
    quotients: Tensor

    def __init__(self, group: str, in_fields: int, fields: int) -> None:
        super().__init__()
        self.register_buffer(
            "basis", torch.tensor(harmonics(group), dtype=torch.float32), persistent=False
        )
        self.register_buffer("quotients", torch.tensor(_quotients(group)), persistent=False)
        elements, functions = self.basis.shape[:2]
        gain = math.sqrt(2 / (in_fields * elements * functions))
        weight = torch.randn(fields, in_fields, elements, functions) * gain
        self.weight = nn.Parameter(weight)

    @override
    def forward(self, features: Tensor) -> Tensor:
        turned = self.weight[:, :, self.quotients]  # (L, K, g, h, B)
        filters = torch.einsum("lkghb,gbyx->lgkhyx", turned, self.basis)
        filters = filters.flatten(2, 3).flatten(0, 1)
        convolved = nn.functional.conv2d(features.flatten(1, 2), filters, padding="same")
        return convolved.unflatten(1, (-1, len(self.basis)))


class Halve(nn.Module):
    """A pooling of fields to half their resolution after a low-pass filter (Zhang 2019).

    It commutes with reflections of the stamp.
    """

    @override
    def forward(self, features: Tensor) -> Tensor:
        flat = features.flatten(0, 2)[:, None]
        for axis in (2, 3):
            taps = [1.0, 3.0, 3.0, 1.0] if flat.shape[axis] % 2 == 0 else [1.0, 2.0, 1.0]
            kernel = flat.new_tensor(taps)[None, None, :, None] / sum(taps)
            stride = (2, 1)
            padding = (1, 0)
            if axis == 3:
                kernel = kernel.mT
                stride = (1, 2)
                padding = (0, 1)
            flat = nn.functional.conv2d(flat, kernel, stride=stride, padding=padding)
        return flat[:, 0].unflatten(0, features.shape[:3])


class _Invariants(nn.Module):
    """A pooling of fields (N, K, n, H, W) to (N, 2 K), over the group, then over the stamp."""

    @override
    def forward(self, features: Tensor) -> Tensor:
        pooled = features.amax(2)
        return torch.cat([pooled.mean((2, 3)), pooled.amax((2, 3))], dim=1)


def build(images: ImageDescription, outputs: int, group: str) -> nn.Module:
    """Build a network with outputs that do not change when the image is turned or, in D4, mirrored.

    Args:
        images: The images, with any number of bands.
        outputs: Number of outputs.
        group: A name in `GROUPS`.

    Returns:
        A network from images (N, C, H, W) to (N, outputs).
    """
    fields = [total // len(matrices(group)) for total in _CHANNELS]
    layers: list[nn.Module] = []
    for k, out_fields in enumerate(fields):
        if k == 0:
            layers.append(Lifting(group, images.shape[0], out_fields))
        else:
            layers.append(GroupConvolution(group, fields[k - 1], out_fields))
        layers += [nn.BatchNorm3d(out_fields), nn.ReLU()]
        if k in _POOLED:
            layers.append(Halve())
    head = nn.Linear(2 * fields[-1], _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, outputs)
    return nn.Sequential(*layers, _Invariants(), *head)
