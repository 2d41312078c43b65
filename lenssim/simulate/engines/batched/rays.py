"""Rays: where light that reaches the camera came from, and how bright it is there. Pure batched torch functions.

Work comes in rows: a row is one scene and `P` of its rays. Kernels take any number of rows, and a row's result does not
depend on its neighbours.
"""

import torch
from torch import Tensor, nn

from lenssim.simulate.engines.batched.profiles import point_mass, sersic, shear, sie
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Component

__all__ = ["LIGHT", "MASS", "Deflect", "Shine", "columns_of"]

# Profiles of scenes -> functions of this engine. A new profile is a file in profiles/ and a line here.
MASS = {"sie": sie.deflection, "shear": shear.deflection, "point_mass": point_mass.deflection}
LIGHT = {"sersic": sersic.surface_brightness}


def columns_of(profile: str) -> tuple[str, ...]:
    """Names of the parameters that the functions of a profile take, in the order of their columns."""
    spec = PROFILES[profile]
    named = (*spec.required, *(name for name, _ in spec.defaults))
    strength = {"sie": ("theta_E",), "sersic": ("amp",)}.get(profile, ())
    return (*named, *strength)


class Deflect(nn.Module):
    """Summed deflection of K perturbers of one kind."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.columns = kind, columns_of(kind)

    def forward(self, rays: Tensor, parameters: Tensor) -> Tensor:
        """Deflection (R, 2, P) [arcsec] at `rays` (R, 2, P); `parameters` (R, K, columns) of the perturbers."""
        values = {name: parameters[:, :, i, None] for i, name in enumerate(self.columns)}
        alpha_x, alpha_y = MASS[self.kind](rays[:, None, 0], rays[:, None, 1], **values)
        return torch.stack([alpha_x.sum(1), alpha_y.sum(1)], dim=1)


class Shine(nn.Module):
    """Surface brightness seen along rays: lens light in front, the source behind the deflection of all masses."""

    def __init__(self, components: tuple[Component, ...]) -> None:
        super().__init__()
        self.components = components

    def forward(self, rays: Tensor, alpha: Tensor, parameters: Tensor) -> Tensor:
        """Brightness (R, P) [e-/s/arcsec^2] at `rays` (R, 2, P) [arcsec].

        `alpha` (R, 2, P) is the deflection of the perturbers; `parameters` (R, 1 + columns) the deflection scale and
        then the columns of each component in turn.
        """
        scale, values, start = parameters[:, :1], [], 1
        for component in self.components:
            names = columns_of(component.profile)
            values.append({name: parameters[:, start + i, None] for i, name in enumerate(names)})
            start += len(names)
        (x, y), (alpha_x, alpha_y) = rays.unbind(1), alpha.unbind(1)
        for component, value in zip(self.components, values, strict=True):
            if component.role == "lens":
                own_x, own_y = MASS[component.profile](x, y, **value)
                alpha_x, alpha_y = alpha_x + own_x, alpha_y + own_y
        source_x, source_y = x - scale * alpha_x, y - scale * alpha_y
        light = torch.zeros_like(x)
        for component, value in zip(self.components, values, strict=True):
            if component.role == "source":
                light = light + LIGHT[component.profile](source_x, source_y, **value)
            elif component.role == "lens_light":
                light = light + LIGHT[component.profile](x, y, **value)
        return light
