"""Brightness along rays, and the deflections of perturbers, as pure batched torch functions.

Work comes in rows: a row is one scene and `P` of its rays. Kernels take any number of rows,
and a row's result does not depend on its neighbours.
"""

from collections.abc import Callable, Sequence

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
    spiral,
    tnfw,
    uldm,
)
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Component

__all__ = [
    "FAR_FIELD",
    "LIGHT",
    "MASS",
    "POINT_COLUMNS",
    "Deflect",
    "SummedPoints",
    "SurfaceBrightness",
]

# Functions of the profiles of scenes. A new profile is a file in profiles/ and a line here.
MASS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
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
LIGHT: dict[str, Callable[..., Tensor]] = {
    "sersic": sersic.surface_brightness,
    "spiral": spiral.surface_brightness,
    "interpolated": interpolated.surface_brightness,
}


# Functions that return the softened points that masses are from afar. Their arguments are
# columns and an error in arcsec.
FAR_FIELD: dict[str, Callable[..., tuple[Tensor, Tensor, Tensor]]] = {
    "tnfw": tnfw.far_field
}
# arguments of `point_mass.summed_deflection`
POINT_COLUMNS = ("strength", "softening", "center_x", "center_y")


class SummedPoints(nn.Module):
    """Summed deflection of softened points."""

    def forward(self, rays: Tensor, parameters: Tensor) -> Tensor:
        """Return the summed deflection of softened points.

        Args:
            rays: Rays (R, 2, P) [arcsec].
            parameters: Points (R, K, `POINT_COLUMNS`), K even.

        Returns:
            Deflection (R, 2, P) [arcsec].
        """
        x = rays[:, None, 0]
        y = rays[:, None, 1]
        columns = [parameters[:, :, i, None] for i in range(len(POINT_COLUMNS))]
        return torch.stack(point_mass.summed_deflection(x, y, *columns), dim=1)


class Deflect(nn.Module):
    """Summed deflection of perturbers of one kind.

    With `less_points`, the deflection by the points that they are from afar is subtracted.
    """

    def __init__(self, kind: str, less_points: bool = False) -> None:
        super().__init__()
        self.kind = kind
        self.columns = PROFILES[kind].columns
        self.less_points = less_points

    def forward(self, rays: Tensor, parameters: Tensor) -> Tensor:
        """Return the summed deflection of perturbers.

        Args:
            rays: Rays (R, 2, P) [arcsec].
            parameters: Perturbers (R, K, columns).

        Returns:
            Deflection (R, 2, P) [arcsec].
        """
        x = rays[:, None, 0]
        y = rays[:, None, 1]
        values = {name: parameters[:, :, i, None] for i, name in enumerate(self.columns)}
        alpha_x, alpha_y = MASS[self.kind](x, y, **values)
        if self.less_points:
            strength, softening = (
                parameters[:, :, len(self.columns) + i, None] for i in range(2)
            )
            x = x - values["center_x"]
            y = y - values["center_y"]
            slope = strength / (x * x + (y * y + softening))
            alpha_x = alpha_x - slope * x
            alpha_y = alpha_y - slope * y
        return torch.stack([alpha_x.sum(1), alpha_y.sum(1)], dim=1)


class SurfaceBrightness(nn.Module):
    """Surface brightness along rays: lens light in front, the source behind all deflections."""

    def __init__(self, components: tuple[Component, ...]) -> None:
        super().__init__()
        self.components = components

    def forward(
        self, rays: Tensor, alpha: Tensor, parameters: Tensor, *images: Tensor
    ) -> Tensor:
        """Return the brightness (R, P) [e-/s/arcsec^2] along rays.

        Args:
            rays: Rays (R, 2, P) [arcsec].
            alpha: Deflection (R, 2, P) by the perturbers [arcsec].
            parameters: Deflection scale, then the columns of each component in turn, (R, 1
                + columns).
            images: Images (R, H, W) of each interpolated component in turn.
        """
        scale = parameters[:, :1]
        values = self._values(parameters, images)
        x, y = rays.unbind(1)
        alpha_x, alpha_y = alpha.unbind(1)
        for component, value in zip(self.components, values, strict=True):
            if component.role == "lens":
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
        if not light:
            return torch.zeros_like(source_x)
        total = 0 + light[0]
        for brightness in light[1:]:
            total = total + brightness
        return total

    def _values(
        self, parameters: Tensor, images: Sequence[Tensor]
    ) -> list[dict[str, Tensor]]:
        """Return the parameters of each component by name."""
        values = []
        start = 1
        remaining = list(images)
        for component in self.components:
            names = PROFILES[component.profile].columns
            columns = {name: parameters[:, start + i, None] for i, name in enumerate(names)}
            start += len(names)
            if component.profile == "interpolated":
                columns["image"] = remaining.pop(0)
            values.append(columns)
        return values
