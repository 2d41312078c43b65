"""CNNs that commute with rotations and reflections: group convolutions over regular representations.

Cohen & Welling (2016) for the group convolution, Weiler & Cesa (2019) for filters that are rotated by any angle: sums
of circular harmonics on rings, sampled at turned pixels. What is exact: quarter turns, and in D4 reflections, which map
the pixel grid onto itself. Eighth turns of C8 are exact for the filters but not for the pixels of an image.
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
    """Elements of the group as matrices (n, 2, 2) that act on (x, y): rotations, then the same after y -> -y."""
    rotations, reflections = GROUPS[group]
    angles = 2 * np.pi * np.arange(rotations) / rotations
    turns = np.moveaxis(
        np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]),
        -1,
        0,
    )
    return np.concatenate([turns, turns @ np.diag([1, -1])]) if reflections else turns


def harmonics(group: str, size: int = _KERNEL) -> np.ndarray:
    """Filters (n, B, size, size): a basis of circular harmonics, turned by each element of the group.

    Gaussian rings around r = 0, 1, ... pixels, each with angular frequencies up to 2 r, which its pixels can hold.
    """
    axis = np.arange(size) - (size - 1) / 2
    grid = np.stack(np.meshgrid(axis, -axis))  # y points up
    filters = []
    for element in matrices(group):
        x, y = np.tensordot(element.T, grid, axes=1)  # the inverse of an orthogonal matrix
        radius, angle = np.hypot(x, y), np.arctan2(y, x)
        basis = []
        for ring in range((size + 1) // 2):
            profile = np.exp(-0.5 * ((radius - ring) / _RING_WIDTH) ** 2)
            for m in range(2 * ring + 1):
                at_centre = (
                    profile * (radius > 0.5) if m else profile
                )  # a direction has no value at the centre
                basis += [at_centre * np.cos(m * angle)] + (
                    [at_centre * np.sin(m * angle)] if m else []
                )
        filters.append([one / np.linalg.norm(one) for one in basis])
    return np.array(filters)


def _quotients(group: str) -> np.ndarray:
    """Index (n, n) of g^-1 h, for each g and h."""
    elements = matrices(group)
    products = np.einsum("gji,hjk->ghik", elements, elements)
    return np.linalg.norm(products[:, :, None] - elements, axis=(-2, -1)).argmin(-1)


class Lifting(nn.Module):
    """Images (N, C, H, W) to regular fields (N, K, n, H, W): the same filters, turned by each element."""

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
        return nn.functional.conv2d(images, filters, padding="same").unflatten(
            1, (-1, len(self.basis))
        )


class GroupConvolution(nn.Module):
    """Regular fields (N, K, n, H, W) to regular fields (N, L, n, H, W)."""

    def __init__(self, group: str, before: int, fields: int) -> None:
        super().__init__()
        self.register_buffer(
            "basis", torch.tensor(harmonics(group), dtype=torch.float32), persistent=False
        )
        self.register_buffer("quotients", torch.tensor(_quotients(group)), persistent=False)
        n, functions = self.basis.shape[:2]
        self.weight = nn.Parameter(
            torch.randn(fields, before, n, functions)
            * math.sqrt(2 / (before * n * functions))
        )

    @override
    def forward(self, features: Tensor) -> Tensor:
        turned = self.weight[:, :, self.quotients]  # (L, K, g, h, B)
        filters = (
            torch.einsum("lkghb,gbyx->lgkhyx", turned, self.basis)
            .flatten(2, 3)
            .flatten(0, 1)
        )
        convolved = nn.functional.conv2d(features.flatten(1, 2), filters, padding="same")
        return convolved.unflatten(1, (-1, len(self.basis)))


class Halve(nn.Module):
    """Fields at half the resolution, low-pass filtered first (Zhang 2019), the same from whichever side one counts."""

    @override
    def forward(self, features: Tensor) -> Tensor:
        flat = features.flatten(0, 2)[:, None]
        for axis in (2, 3):
            taps = [1.0, 3.0, 3.0, 1.0] if flat.shape[axis] % 2 == 0 else [1.0, 2.0, 1.0]
            kernel = flat.new_tensor(taps).unflatten(0, (-1, 1) if axis == 2 else (1, -1))[
                None, None
            ] / sum(taps)
            step, edge = ((2, 1), (1, 0)) if axis == 2 else ((1, 2), (0, 1))
            flat = nn.functional.conv2d(flat, kernel, stride=step, padding=edge)
        return flat[:, 0].unflatten(0, features.shape[:3])


class _Invariants(nn.Module):
    """Fields (N, K, n, H, W) to (N, 2 K): the largest over the group, then mean and maximum over the stamp."""

    @override
    def forward(self, features: Tensor) -> Tensor:
        pooled = features.amax(2)
        return torch.cat([pooled.mean((2, 3)), pooled.amax((2, 3))], dim=1)


def build(images: ImageDescription, outputs: int, group: str) -> nn.Module:
    """Answers that do not change when the image is turned or, in D4, mirrored. Any number of channels."""
    fields = [total // len(matrices(group)) for total in _CHANNELS]
    layers: list[nn.Module] = []
    for k, after in enumerate(fields):
        convolution = (
            GroupConvolution(group, fields[k - 1], after)
            if k
            else Lifting(group, images.shape[0], after)
        )
        layers += [convolution, nn.BatchNorm3d(after), nn.ReLU()]
        if k in _POOLED:
            layers.append(Halve())
    head = nn.Linear(2 * fields[-1], _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, outputs)
    return nn.Sequential(*layers, _Invariants(), *head)
