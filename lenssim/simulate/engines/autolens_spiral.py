"""Sersic light with spiral arms, in PyAutoLens's class hierarchy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lenssim.simulate import conventions as c
from lenssim.simulate.engines.autolens_profiles import FlooredSersic
from lenssim.simulate.engines.pyauto import aa, ag

__all__ = ["SpiralSersic", "arm_arguments", "arm_values"]

_MIN_RADIUS = 1e-4  # arcsec, smallest radius of lenstronomy's Sersic


class SpiralSersic(FlooredSersic):
    """PyAutoLens's Sersic light times 1 + A cos(N theta + alpha ln(2 R / R_a) + phi).

    R and theta are polar coordinates of the plane in which the ellipse is round, theta from
    x. A is `arm_strength`, N is `arms`, alpha is `winding`, R_a is `arm_radius` [arcsec],
    phi is `arm_phase` [degrees].
    """

    def __init__(
        self,
        centre: tuple[float, float] = (0.0, 0.0),
        ell_comps: tuple[float, float] = (0.0, 0.0),
        intensity: float = 0.1,
        effective_radius: float = 0.6,
        sersic_index: float = 1.0,
        arms: float = 2.0,
        arm_strength: float = 0.0,
        winding: float = 0.0,
        arm_radius: float = 0.6,
        arm_phase: float = 0.0,
    ) -> None:
        super().__init__(centre, ell_comps, intensity, effective_radius, sersic_index)
        self.arms = arms
        self.arm_strength = arm_strength
        self.winding = winding
        self.arm_radius = arm_radius
        self.arm_phase = arm_phase

    @aa.over_sample
    @aa.decorators.to_array
    @ag.profiles.light.decorators.check_operated_only
    def image_2d_from(
        self, grid: Any, xp: Any = np, operated_only: bool | None = None, **kwargs: Any
    ) -> Any:
        """Return the brightness (P,) at the coordinates of `grid`."""
        e2, e1 = self.ell_comps
        y = grid.array[:, 0] - self.centre[0]
        x = grid.array[:, 1] - self.centre[1]
        point = (x + 1j * y - (e1 + 1j * e2) * (x - 1j * y)) / xp.sqrt(1 - e1**2 - e2**2)
        radius = xp.maximum(xp.abs(point), _MIN_RADIUS)
        light = self.image_2d_via_radii_from(aa.ArrayIrregular(radius), xp=xp, **kwargs)
        angle = self.arms * xp.angle(point) + xp.deg2rad(self.arm_phase)
        angle = angle + self.winding * xp.log(2 * radius / self.arm_radius)
        return light * (1 + self.arm_strength * xp.cos(angle))


def arm_arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a SpiralSersic that a Sersic does not have.

    Args:
        values: Parameters of lenssim's profile.
    """
    return {
        "arms": values["arms"],
        "arm_strength": values["arm_strength"],
        "winding": values["winding"],
        "arm_radius": values["R_sersic"],
        "arm_phase": c.angle_to_autolens(values["arm_phase"]),
    }


def arm_values(profile: SpiralSersic, sersic: Mapping[str, float]) -> dict[str, float]:
    """Return the parameters of lenssim's profile.

    Args:
        profile: The profile.
        sersic: Those that a Sersic has as well.
    """
    turn = profile.winding * np.log(sersic["R_sersic"] / profile.arm_radius)
    return {
        **sersic,
        "arms": profile.arms,
        "arm_strength": profile.arm_strength,
        "winding": profile.winding,
        "arm_phase": float(c.angle_from_autolens(profile.arm_phase)) + float(turn),
    }
