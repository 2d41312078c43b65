"""Kernels of the light along rays: its brightness, and what its sampling leaves uncertain."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from lenssim.simulate.engines.batched.adaptive import MARGIN, SamplingError
from lenssim.simulate.engines.batched.compilation import Axis
from lenssim.simulate.engines.batched.kernels import kernel
from lenssim.simulate.engines.batched.rays import SurfaceBrightness
from lenssim.simulate.engines.batched.tiles import TILE
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Component

__all__ = ["sampling_error", "surface_brightness"]


@lru_cache
def surface_brightness(
    components: tuple[Component, ...],
    image_shape: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
    compiled: bool,
) -> Callable[..., Tensor]:
    """Return the kernel of the brightness of components along rays."""
    options: Any = {"dtype": dtype, "device": device}
    count = 1 + sum(len(PROFILES[component.profile].columns) for component in components)
    image_count = sum(component.profile == "interpolated" for component in components)
    images = [torch.zeros(3, *image_shape, **options) for _ in range(image_count)]
    example = (
        torch.zeros(3, 2, 3 * TILE, **options),
        torch.zeros(3, 2, 3 * TILE, **options),
        torch.ones(3, count, **options),
        *images,
    )
    rows = Axis("rows")
    rays = {0: rows, 2: Axis("tiles", TILE)}
    dynamic: tuple[Any, ...] = (rays, rays, {0: rows})
    if images:
        dynamic = (*dynamic, tuple({0: rows} for _ in images))
    module = SurfaceBrightness(components)
    name = f"shine {components}"
    return kernel(module, example, name, dynamic, compiled=compiled, one_loop=False)


@lru_cache
def sampling_error(
    side: int, dtype: torch.dtype, device: torch.device, compiled: bool
) -> Callable[..., Any]:
    """Return the kernel of the mean of smooth pixels and its expected error."""
    rows = Axis("rows")
    size = side + 2 * MARGIN
    example = (
        torch.zeros(3, size, size, dtype=dtype, device=device),
        torch.zeros(3, 2, size - 2, size - 2, dtype=dtype, device=device),
    )
    dynamic = ({0: rows}, {0: rows})
    return kernel(
        SamplingError(), example, "doubt", dynamic, compiled=compiled, one_loop=False
    )
