"""Brightness where one lens is the same in all scenes: its shape is computed once.

A lens of the table `UNIT` deflects in proportion to one of its parameters, which multiplies
last. Where its other parameters are the same in every scene, so is its deflection for a
parameter of 1. The bits are those of `SurfaceBrightness`.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, override

import numpy as np
import torch
from torch import Tensor, nn

from lenssim.simulate.engines.batched.compilation import Axis
from lenssim.simulate.engines.batched.compilers import Job
from lenssim.simulate.engines.batched.kernels import kernel
from lenssim.simulate.engines.batched.light import surface_brightness
from lenssim.simulate.engines.batched.rays import LIGHT, MASS, SurfaceBrightness
from lenssim.simulate.engines.batched.tiles import TILE
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Component, Scenes

__all__ = ["behind_lens", "brightness_job", "common_lens", "light_jobs", "unit_deflection"]

UNIT = {"sie": "theta_E"}  # the parameter that multiplies last
_SOURCE = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]


class UnitDeflection(nn.Module):
    """Deflection of a lens whose parameter in `UNIT` is 1."""

    def __init__(self, profile: str) -> None:
        super().__init__()
        self.profile = profile

    def forward(self, rays: Tensor, parameters: Tensor) -> Tensor:
        """Return the deflection (R, 2, P) [arcsec] at rays (R, 2, P), of columns (R, c)."""
        x, y = rays.unbind(1)
        names = PROFILES[self.profile].columns
        values = {name: parameters[:, i, None] for i, name in enumerate(names)}
        scale = UNIT[self.profile]
        values[scale] = torch.ones_like(values[scale])
        return torch.stack(MASS[self.profile](x, y, **values), dim=1)


class BehindLens(SurfaceBrightness):
    """`SurfaceBrightness` of scenes with the same rays and one lens of the same shape."""

    def __init__(self, components: tuple[Component, ...], lens: int) -> None:
        super().__init__(components)
        self.lens = lens

    @override
    def forward(  # type: ignore[override]
        self, rays: Tensor, alpha: Tensor, parameters: Tensor, unit: Tensor
    ) -> Tensor:
        """Return the brightness (R, P) [e-/s/arcsec^2] along rays.

        Args:
            rays: Rays (1, 2, P) [arcsec].
            alpha: Deflection (R, 2, P) by the perturbers [arcsec].
            parameters: As of `SurfaceBrightness`.
            unit: Deflection (1, 2, P) of the lens by `UnitDeflection`.
        """
        scale = parameters[:, :1]
        values = self._values(parameters, ())
        x, y = rays.unbind(1)
        unit_x, unit_y = unit.unbind(1)
        alpha_x, alpha_y = alpha.unbind(1)
        for number, component in enumerate(self.components):
            value = values[number]
            if number == self.lens:
                theta = value[UNIT[component.profile]]
                alpha_x = alpha_x + theta * unit_x
                alpha_y = alpha_y + theta * unit_y
            elif component.role == "lens":
                lens_x, lens_y = MASS[component.profile](x, y, **value)
                alpha_x = alpha_x + lens_x
                alpha_y = alpha_y + lens_y
        source_x = x - scale * alpha_x
        source_y = y - scale * alpha_y
        light = []
        for component, value in zip(self.components, values, strict=True):
            if component.role == "source":
                light.append(LIGHT[component.profile](source_x, source_y, **value))
            elif component.role == "lens_light":
                light.append(LIGHT[component.profile](x, y, **value))
        total = 0 + light[0]
        for brightness in light[1:]:
            total = total + brightness
        return total


def common_lens(scenes: Scenes) -> int | None:
    """Return the number of a component that is the same lens, up to a factor, in all scenes.

    None where there is none, where there is a single scene, and with light that the kernels
    of this module do not know.
    """
    profiles = [component.profile for component in scenes.components]
    lights = [component for component in scenes.components if component.role != "lens"]
    if len(scenes) < 2 or not lights or "interpolated" in profiles:
        return None
    for number, component in enumerate(scenes.components):
        scale = UNIT.get(component.profile)
        if component.role != "lens" or scale is None:
            continue
        names = PROFILES[component.profile].columns
        columns = [
            scenes.params[component.prefix + name] for name in names if name != scale
        ]
        if all(bool(np.all(column == column[0])) for column in columns):
            return number
    return None


def light_jobs(
    scenes: Scenes, dtype: torch.dtype, device: torch.device, compiled: bool
) -> list[Job]:
    """Return the jobs of the kernels of the brightness on grids that scenes share."""
    options = (dtype, device, compiled)
    lens = common_lens(scenes)
    if lens is None:
        return [brightness_job(scenes, *options)]
    profile = scenes.components[lens].profile
    return [
        (f"{__name__}:unit_deflection", (profile, *options)),
        (f"{__name__}:behind_lens", (scenes.components, lens, *options)),
    ]


def brightness_job(
    scenes: Scenes, dtype: torch.dtype, device: torch.device, compiled: bool
) -> Job:
    """Return the job of the kernel of the brightness on rays of any kind."""
    image_shape = () if scenes.images is None else scenes.images.shape[1:]
    arguments = (scenes.components, image_shape, dtype, device, compiled)
    return f"{surface_brightness.__module__}:surface_brightness", arguments


@lru_cache
def unit_deflection(
    profile: str, dtype: torch.dtype, device: torch.device, compiled: bool
) -> Callable[..., Any]:
    """Return the kernel of `UnitDeflection`."""
    options: Any = {"dtype": dtype, "device": device}
    rows = Axis("rows")
    example = (
        torch.zeros(3, 2, 3 * TILE, **options),
        torch.ones(3, len(PROFILES[profile].columns), **options),
    )
    dynamic = ({0: rows, 2: Axis("tiles", TILE)}, {0: rows})
    name = f"unit {profile} {_SOURCE}"
    module = UnitDeflection(profile)
    return kernel(module, example, name, dynamic, compiled=compiled, one_loop=False)


@lru_cache
def behind_lens(
    components: tuple[Component, ...],
    lens: int,
    dtype: torch.dtype,
    device: torch.device,
    compiled: bool,
) -> Callable[..., Tensor]:
    """Return the kernel of `BehindLens`."""
    options: Any = {"dtype": dtype, "device": device}
    count = 1 + sum(len(PROFILES[component.profile].columns) for component in components)
    rows = Axis("rows")
    tiles = Axis("tiles", TILE)
    example = (
        torch.zeros(1, 2, 3 * TILE, **options),
        torch.zeros(3, 2, 3 * TILE, **options),
        torch.ones(3, count, **options),
        torch.zeros(1, 2, 3 * TILE, **options),
    )
    dynamic = ({2: tiles}, {0: rows, 2: tiles}, {0: rows}, {2: tiles})
    name = f"behind {lens} {components} {_SOURCE}"
    module = BehindLens(components, lens)
    return kernel(module, example, name, dynamic, compiled=compiled, one_loop=False)
