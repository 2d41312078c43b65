"""Profiles that lenstronomy lacks, in its own class hierarchy, and models with them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from lenstronomy.LensModel.Profiles.base_profile import LensProfileBase
from lenstronomy.LensModel.single_plane import SinglePlane
from lenstronomy.LightModel.light_model import LightModel
from lenstronomy.LightModel.Profiles.sersic import SersicElliptic
from lenstronomy.Util.param_util import ellipticity2phi_q

if TYPE_CHECKING:
    from lenstronomy.LensModel.lens_model import LensModel

__all__ = [
    "LINE_MASS",
    "SPIRAL",
    "LineMass",
    "Spiral",
    "lens_model",
    "light_model",
    "single_plane",
]

LINE_MASS = "LINE_MASS"
SPIRAL = "SPIRAL"


class LineMass(LensProfileBase):
    """A mass of Einstein radius theta_E spread evenly on a line of half length L.

    `angle` is counter-clockwise from the x axis. With w = (z - z0) e^{-i angle}, in arcsec,
    conj(alpha) = theta_E^2 / (2 L e^{i angle}) ln((w + L) / (w - L)). This is the limit of
    N equal point masses on the line.
    """

    param_names = ["theta_E", "half_length", "angle", "center_x", "center_y"]  # noqa: RUF012 (lenstronomy's contract)
    lower_limit_default = {  # noqa: RUF012
        "theta_E": 0,
        "half_length": 1e-6,
        "angle": -np.pi,
        "center_x": -100,
        "center_y": -100,
    }
    upper_limit_default = {  # noqa: RUF012
        "theta_E": 10,
        "half_length": 100,
        "angle": np.pi,
        "center_x": 100,
        "center_y": 100,
    }

    def function(
        self,
        x: Any,
        y: Any,
        theta_E: float,
        half_length: float,
        angle: float,
        center_x: float = 0,
        center_y: float = 0,
    ) -> Any:
        """Return the lensing potential [arcsec^2]."""
        w = self._along(x, y, angle, center_x, center_y)
        ends = [(w + half_length), (w - half_length)]
        upper, lower = (end * np.log(end) - end for end in ends)
        return (theta_E**2 / (2 * half_length) * (upper - lower)).real

    def derivatives(
        self,
        x: Any,
        y: Any,
        theta_E: float,
        half_length: float,
        angle: float,
        center_x: float = 0,
        center_y: float = 0,
    ) -> tuple[Any, Any]:
        """Return the deflection (alpha_x, alpha_y) [arcsec]."""
        w = self._along(x, y, angle, center_x, center_y)
        # 2 artanh(L / w): unlike a difference of logarithms it keeps its digits far from a short line
        alpha = np.conj(
            theta_E**2 / half_length * np.arctanh(half_length / w) * np.exp(-1j * angle)
        )
        return alpha.real, alpha.imag

    def hessian(
        self,
        x: Any,
        y: Any,
        theta_E: float,
        half_length: float,
        angle: float,
        center_x: float = 0,
        center_y: float = 0,
    ) -> tuple[Any, Any, Any, Any]:
        """Return the second derivatives (f_xx, f_xy, f_yx, f_yy) of the potential.

        There is no convergence off the line.
        """
        w = self._along(x, y, angle, center_x, center_y)
        # d conj(alpha) / dz
        slope = -(theta_E**2) / (w**2 - half_length**2) * np.exp(-2j * angle)
        return slope.real, -slope.imag, -slope.imag, -slope.real

    @staticmethod
    def _along(x: Any, y: Any, angle: float, center_x: float, center_y: float) -> Any:
        return (np.asarray(x) - center_x + 1j * (np.asarray(y) - center_y)) * np.exp(
            -1j * angle
        )


def lens_model(names: Sequence[str], **options: Any) -> "LensModel":
    """Return lenstronomy's LensModel of profiles, which may include `LINE_MASS`.

    Args:
        names: lenstronomy's names of the profiles.
        options: LensModel's own options.
    """
    from lenstronomy.LensModel.lens_model import LensModel

    model = LensModel(_stand_ins(names), **options)
    _insert_line_masses(model.lens_model, names)
    model.lens_model_list[:] = names
    return model


def single_plane(names: Sequence[str]) -> SinglePlane:
    """Return lenstronomy's single lens plane of profiles, which may include `LINE_MASS`.

    It is the part of a `LensModel` that deflects rays. Unlike that, it knows no cosmology.

    Args:
        names: lenstronomy's names of the profiles.

    Example:
        >>> single_plane(["SHEAR"]).alpha(1.0, 0.0, [{"gamma1": 0.1, "gamma2": 0.0}])[0].item()
        0.1
    """
    plane = SinglePlane(_stand_ins(names))
    _insert_line_masses(plane, names)
    return plane


def _stand_ins(names: Sequence[str]) -> list[str]:
    """Return names that lenstronomy knows: it finds its profiles by name."""
    substitutes = {LINE_MASS: "POINT_MASS"}
    return [substitutes.get(name, name) for name in names]


def _insert_line_masses(plane: SinglePlane, names: Sequence[str]) -> None:
    """Replace the stand-ins by line masses."""
    line = LineMass()
    for i, name in enumerate(names):
        if name == LINE_MASS:
            plane.func_list[i] = line


class Spiral(SersicElliptic):
    """lenstronomy's elliptical Sersic light, with spiral arms.

    Times 1 + A cos(N theta + alpha ln(2 R / R_sersic) + phi), where R and theta are polar
    coordinates of the plane in which the ellipse is round.
    """

    param_names = [  # noqa: RUF012 (lenstronomy's contract)
        *SersicElliptic.param_names[:-2],
        *("arms", "arm_strength", "winding", "arm_phase", "center_x", "center_y"),
    ]
    lower_limit_default = SersicElliptic.lower_limit_default | {
        "arms": 1,
        "arm_strength": 0,
        "winding": -20,
        "arm_phase": -np.pi,
    }
    upper_limit_default = SersicElliptic.upper_limit_default | {
        "arms": 6,
        "arm_strength": 1,
        "winding": 20,
        "arm_phase": np.pi,
    }

    def function(
        self,
        x: Any,
        y: Any,
        amp: float,
        R_sersic: float,
        n_sersic: float,
        e1: float,
        e2: float,
        arms: float,
        arm_strength: float,
        winding: float,
        arm_phase: float = 0,
        center_x: float = 0,
        center_y: float = 0,
    ) -> Any:
        """Return the surface brightness, in the unit of `amp`."""
        light = super().function(
            x, y, amp, R_sersic, n_sersic, e1, e2, center_x=center_x, center_y=center_y
        )
        phi, q = ellipticity2phi_q(e1, e2)
        along = (np.asarray(x) - center_x + 1j * (np.asarray(y) - center_y)) * np.exp(
            -1j * phi
        )
        # not turned back, so that theta is counted from the x axis
        point = (along.real * np.sqrt(q) + 1j * along.imag / np.sqrt(q)) * np.exp(1j * phi)
        radius = np.maximum(np.abs(point), self._smoothing)
        angle = arms * np.angle(point) + winding * np.log(2 * radius / R_sersic) + arm_phase
        return light * (1 + arm_strength * np.cos(angle))


def light_model(names: Sequence[str], **options: Any) -> LightModel:
    """Return lenstronomy's LightModel of profiles, which may include `SPIRAL`.

    Args:
        names: lenstronomy's names of the profiles.
        options: LightModel's own options.
    """
    substitutes = {SPIRAL: "SERSIC_ELLIPSE"}
    model = LightModel([substitutes.get(name, name) for name in names], **options)
    for i, name in enumerate(names):
        if name == SPIRAL:
            model.func_list[i] = Spiral()
            model.profile_type_list[i] = SPIRAL
    return model
