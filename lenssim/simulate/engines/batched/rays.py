"""Rays: where light that reaches the camera came from, and how bright it is there. Pure batched torch functions.

Work comes in rows: a row is one scene and `P` of its rays. Kernels take any number of rows, and a
row's result does not depend on its neighbours.
"""

import torch
from torch import Tensor, nn

from lenssim.simulate.engines.batched.profiles import (
    cnfw,
    epl,
    interpolated,
    line_mass,
    nfw,
    point_mass,
    sersic,
    shear,
    sheet,
    sie,
    tnfw,
    uldm,
)
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Component

__all__ = ["FAR_FIELD", "LIGHT", "MASS", "POINT_COLUMNS", "Deflect", "Shine", "SummedPoints"]

# Profiles of scenes -> functions of this engine. A new profile is a file in profiles/ and a line here.
MASS = {
    "sie": sie.deflection,
    "epl": epl.deflection,
    "shear": shear.deflection,
    "sheet": sheet.deflection,
    "point_mass": point_mass.deflection,
    "line_mass": line_mass.deflection,
    "nfw": nfw.deflection,
    "tnfw": tnfw.deflection,
    "cnfw": cnfw.deflection,
    "uldm": uldm.deflection,
}
LIGHT = {"sersic": sersic.surface_brightness, "interpolated": interpolated.surface_brightness}


# Masses that are softened points from afar, and the functions that say so (arguments: columns and an error in arcsec).
FAR_FIELD = {"tnfw": tnfw.far_field}
POINT_COLUMNS = ("strength", "softening", "center_x", "center_y")  # of `point_mass.summed_deflection`


class SummedPoints(nn.Module):
    """Summed deflection of softened points."""

    def forward(self, rays: Tensor, parameters: Tensor) -> Tensor:
        """Deflection (R, 2, P) [arcsec] at `rays` (R, 2, P) of points (R, K, `POINT_COLUMNS`), K even."""
        columns = (parameters[:, :, i, None] for i in range(len(POINT_COLUMNS)))
        return torch.stack(point_mass.summed_deflection(rays[:, None, 0], rays[:, None, 1], *columns), dim=1)


class Deflect(nn.Module):
    """Summed deflection of perturbers of one kind; with `less_points`, less that of the points they are from afar."""

    def __init__(self, kind: str, less_points: bool = False) -> None:
        super().__init__()
        self.kind, self.columns, self.less_points = kind, PROFILES[kind].columns, less_points

    def forward(self, rays: Tensor, parameters: Tensor) -> Tensor:
        """Deflection (R, 2, P) [arcsec] at `rays` (R, 2, P) of perturbers (R, K, columns)."""
        x, y = rays[:, None, 0], rays[:, None, 1]
        values = {name: parameters[:, :, i, None] for i, name in enumerate(self.columns)}
        alpha_x, alpha_y = MASS[self.kind](x, y, **values)
        if self.less_points:
            strength, softening = (parameters[:, :, len(self.columns) + i, None] for i in range(2))
            x, y = x - values["center_x"], y - values["center_y"]
            slope = strength / (x * x + (y * y + softening))
            alpha_x, alpha_y = alpha_x - slope * x, alpha_y - slope * y
        return torch.stack([alpha_x.sum(1), alpha_y.sum(1)], dim=1)


class Shine(nn.Module):
    """Surface brightness seen along rays: lens light in front, the source behind the deflection of all masses."""

    def __init__(self, components: tuple[Component, ...]) -> None:
        super().__init__()
        self.components = components

    def forward(self, rays: Tensor, alpha: Tensor, parameters: Tensor, *images: Tensor) -> Tensor:
        """Brightness (R, P) [e-/s/arcsec^2] at `rays` (R, 2, P) [arcsec].

        `alpha` (R, 2, P) is the deflection of the perturbers; `parameters` (R, 1 + columns) the deflection scale and
        then the columns of each component in turn; `images` (R, H, W) those of each interpolated component in turn.
        """
        scale, values, start, images = parameters[:, :1], [], 1, list(images)
        for component in self.components:
            names = PROFILES[component.profile].columns
            values.append({name: parameters[:, start + i, None] for i, name in enumerate(names)})
            start += len(names)
            if component.profile == "interpolated":
                values[-1]["image"] = images.pop(0)
        (x, y), (alpha_x, alpha_y) = rays.unbind(1), alpha.unbind(1)
        for component, value in zip(self.components, values, strict=True):
            if component.role == "lens":
                own_x, own_y = MASS[component.profile](x, y, **value)
                alpha_x, alpha_y = alpha_x + own_x, alpha_y + own_y
        source_x, source_y = x - scale * alpha_x, y - scale * alpha_y
        light = []
        for component, value in zip(self.components, values, strict=True):
            if component.role == "source":
                light.append(LIGHT[component.profile](source_x, source_y, **value))
            elif component.role == "lens_light":
                light.append(LIGHT[component.profile](x, y, **value))
        return sum(light) if light else torch.zeros_like(source_x)
