"""Every profile of a scene in PyAutoLens's terms, and back: classes and arguments."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate import conventions as c
from lenssim.simulate.engines.autolens_profiles import (
    CoredNFW,
    InterpolatedImage,
    LineMass,
    Soliton,
)
from lenssim.simulate.engines.autolens_spiral import (
    SpiralSersic,
    arm_arguments,
    arm_values,
)
from lenssim.simulate.engines.pyauto import al

__all__ = ["TERMS", "Terms", "profile_from_autolens", "profile_to_autolens"]

Values = Mapping[str, Any]  # parameters of one profile of one scene, by lenssim's names


@dataclass(frozen=True)
class Terms:
    """PyAutoLens's class of one profile, and the conversions of parameters.

    Attributes:
        type: The class.
        arguments: Function of a profile's values and the pixel scale [arcsec]; it returns
            the arguments of the class.
        values: Function of an object of the class and the pixel scale; it returns the
            profile's values.
    """

    type: type
    arguments: Callable[[Values, float], dict[str, Any]]
    values: Callable[[Any, float], dict[str, Any]]


def _centre(values: Values) -> dict[str, Any]:
    return {"centre": c.centre_to_autolens(values["center_x"], values["center_y"])}


def _center(profile: Any) -> dict[str, float]:
    return dict(
        zip(("center_x", "center_y"), c.centre_from_autolens(profile.centre), strict=True)
    )


def _ellipse(values: Values) -> dict[str, Any]:
    return {
        **_centre(values),
        "ell_comps": c.ellipticity_to_autolens(values["e1"], values["e2"]),
    }


def _ellipticity(profile: Any) -> dict[str, float]:
    return {
        **dict(
            zip(("e1", "e2"), c.ellipticity_from_autolens(profile.ell_comps), strict=True)
        ),
        **_center(profile),
    }


def _isothermal(v: Values, pixel: float) -> dict[str, Any]:
    radius = c.einstein_radius_to_autolens(v["theta_E"], c.axis_ratio(v["e1"], v["e2"]))
    return {**_ellipse(v), "einstein_radius": radius}


def _sie(profile: Any, pixel: float) -> dict[str, float]:
    shape = _ellipticity(profile)
    q = c.axis_ratio(shape["e1"], shape["e2"])
    return {"theta_E": c.einstein_radius_from_autolens(profile.einstein_radius, q), **shape}


def _power_law(v: Values, pixel: float) -> dict[str, Any]:
    radius = c.einstein_radius_to_autolens(
        v["theta_E"], c.axis_ratio(v["e1"], v["e2"]), v["gamma"]
    )
    return {**_ellipse(v), "einstein_radius": radius, "slope": v["gamma"]}


def _epl(profile: Any, pixel: float) -> dict[str, float]:
    shape = _ellipticity(profile)
    gamma = profile.slope
    q = c.axis_ratio(shape["e1"], shape["e2"])
    return {
        "theta_E": c.einstein_radius_from_autolens(profile.einstein_radius, q, gamma),
        "gamma": gamma,
        **shape,
    }


def _nfw_arguments(v: Values, pixel: float) -> dict[str, Any]:
    return {
        **_centre(v),
        "kappa_s": c.nfw_kappa_s(v["alpha_Rs"], v["Rs"]),
        "scale_radius": v["Rs"],
    }


def _nfw(profile: Any, pixel: float) -> dict[str, float]:
    Rs = profile.scale_radius
    return {"Rs": Rs, "alpha_Rs": c.nfw_alpha_Rs(profile.kappa_s, Rs), **_center(profile)}


def _cnfw_arguments(v: Values, pixel: float) -> dict[str, Any]:
    kappa_s = c.cnfw_kappa_s(v["alpha_Rs"], v["Rs"], v["r_core"])
    return {
        **_centre(v),
        "kappa_s": kappa_s,
        "scale_radius": v["Rs"],
        "core_radius": v["r_core"],
    }


def _cnfw(profile: Any, pixel: float) -> dict[str, float]:
    Rs = profile.scale_radius
    core = profile.core_radius
    return {
        "Rs": Rs,
        "alpha_Rs": c.cnfw_alpha_Rs(profile.kappa_s, Rs, core),
        "r_core": core,
        **_center(profile),
    }


def _line_arguments(v: Values, pixel: float) -> dict[str, Any]:
    angle = c.angle_to_autolens(v["angle"])
    return {
        **_centre(v),
        "einstein_radius": v["theta_E"],
        "half_length": v["half_length"],
        "position_angle": angle,
    }


def _line(profile: Any, pixel: float) -> dict[str, float]:
    angle = c.angle_from_autolens(profile.position_angle)
    return {
        "theta_E": profile.einstein_radius,
        "half_length": profile.half_length,
        "angle": angle,
        **_center(profile),
    }


def _sersic_arguments(v: Values, pixel: float) -> dict[str, Any]:
    intensity, radius = c.sersic_to_autolens(v["amp"], v["R_sersic"], v["n_sersic"], pixel)
    return {
        **_ellipse(v),
        "intensity": intensity,
        "effective_radius": radius,
        "sersic_index": v["n_sersic"],
    }


def _sersic(profile: Any, pixel: float) -> dict[str, float]:
    n = profile.sersic_index
    amp, radius = c.sersic_from_autolens(
        profile.intensity, profile.effective_radius, n, pixel
    )
    return {"amp": amp, "R_sersic": radius, "n_sersic": n, **_ellipticity(profile)}


def _spiral_arguments(v: Values, pixel: float) -> dict[str, Any]:
    return {**_sersic_arguments(v, pixel), **arm_arguments(v)}


def _spiral(profile: Any, pixel: float) -> dict[str, float]:
    return arm_values(profile, _sersic(profile, pixel))


def _image_arguments(v: Values, pixel: float) -> dict[str, Any]:
    return {
        **_centre(v),
        "image": v["image"],
        "pixel_scale": v["scale"],
        "position_angle": c.angle_to_autolens(v["phi_G"]),
        "intensity": c.intensity_to_autolens(v["amp"], pixel),
    }


def _image(profile: Any, pixel: float) -> dict[str, Any]:
    return {
        "image": np.asarray(profile.image, dtype=np.float64),
        "scale": profile.pixel_scale,
        "amp": c.intensity_from_autolens(profile.intensity, pixel),
        "phi_G": c.angle_from_autolens(profile.position_angle),
        **_center(profile),
    }


def _sheet(profile: Any, pixel: float) -> dict[str, float]:
    if tuple(profile.centre) != (0.0, 0.0):
        raise ConfigError(
            f"a MassSheet centred at {tuple(profile.centre)} shifts the source besides magnifying "
            "it, which a 'sheet' cannot say; centre it at (0, 0) and move the source by kappa "
            "times its old centre",
            code="no-counterpart",
            profile="MassSheet",
        )
    return {"kappa": profile.kappa}


TERMS = {
    "sie": Terms(al.mp.Isothermal, _isothermal, _sie),
    "epl": Terms(al.mp.PowerLaw, _power_law, _epl),
    "shear": Terms(
        al.mp.ExternalShear,
        lambda v, pixel: {"gamma_1": v["gamma1"], "gamma_2": v["gamma2"]},
        lambda profile, pixel: {"gamma1": profile.gamma_1, "gamma2": profile.gamma_2},
    ),
    "sheet": Terms(al.mp.MassSheet, lambda v, pixel: {"kappa": v["kappa"]}, _sheet),
    "point_mass": Terms(
        al.mp.PointMass,
        lambda v, pixel: {**_centre(v), "einstein_radius": v["theta_E"]},
        lambda profile, pixel: {"theta_E": profile.einstein_radius, **_center(profile)},
    ),
    "line_mass": Terms(LineMass, _line_arguments, _line),
    "nfw": Terms(al.mp.NFWSph, _nfw_arguments, _nfw),
    "tnfw": Terms(
        al.mp.NFWTruncatedSph,
        lambda v, pixel: {**_nfw_arguments(v, pixel), "truncation_radius": v["r_trunc"]},
        lambda profile, pixel: {
            **_nfw(profile, pixel),
            "r_trunc": profile.truncation_radius,
        },
    ),
    "cnfw": Terms(CoredNFW, _cnfw_arguments, _cnfw),
    "uldm": Terms(
        Soliton,
        lambda v, pixel: {
            **_centre(v),
            "kappa_0": v["kappa_0"],
            "core_radius": v["theta_c"],
            "slope": v["slope"],
        },
        lambda profile, pixel: {
            "kappa_0": profile.kappa_0,
            "theta_c": profile.core_radius,
            "slope": profile.slope,
            **_center(profile),
        },
    ),
    "sersic": Terms(al.lp.Sersic, _sersic_arguments, _sersic),
    "spiral": Terms(SpiralSersic, _spiral_arguments, _spiral),
    "interpolated": Terms(InterpolatedImage, _image_arguments, _image),
}


def _intermediate(profile: Any, pixel: float) -> dict[str, float]:
    return {
        "theta_E": profile.einstein_radius,
        "gamma": profile.slope,
        **_ellipticity(profile),
    }


def _round_nfw(profile: Any, pixel: float) -> dict[str, float]:
    if any(profile.ell_comps):
        raise ConfigError(
            "an elliptical NFW has no counterpart in a scene: make it an NFWSph, or a PowerLaw of "
            "the same Einstein radius, or render its Tracer with PyAutoLens itself",
            code="no-counterpart",
            profile="NFW",
        )
    return _nfw(profile, pixel)


# Further classes of PyAutoLens with a counterpart.
_EQUIVALENTS: dict[type, tuple[str, Callable[[Any, float], dict[str, Any]]]] = {
    al.mp.IsothermalSph: ("sie", _sie),
    al.mp.PowerLawSph: ("epl", _epl),
    al.mp.PowerLawIntermediate: ("epl", _intermediate),
    al.mp.NFW: ("nfw", _round_nfw),
    al.mp.cNFWSph: ("cnfw", _cnfw),
    al.lp.SersicSph: ("sersic", _sersic),
    al.lp.Exponential: ("sersic", _sersic),
    al.lp.ExponentialSph: ("sersic", _sersic),
    al.lp.DevVaucouleurs: ("sersic", _sersic),
    al.lp.DevVaucouleursSph: ("sersic", _sersic),
}
_FROM = {terms.type: (name, terms.values) for name, terms in TERMS.items()} | _EQUIVALENTS


def profile_to_autolens(
    name: str, values: Values, pixel_scale: float, types: Mapping[str, type] | None = None
) -> Any:
    """Return the PyAutoLens profile of a scene's profile.

    Args:
        name: lenssim's name of the profile.
        values: Its parameters.
        pixel_scale: Side of the pixels that intensities refer to [arcsec].
        types: Classes to use instead, by profile.

    Raises:
        ConfigError: The profile has no counterpart, or |e| is above PyAutoLens's 0.999.
    """
    if name not in TERMS:
        raise ConfigError(
            f"PyAutoLens has no counterpart of {name!r} (it has {', '.join(TERMS)}); render with "
            "--engine lenstronomy or batched, or add it to "
            "lenssim/simulate/engines/autolens_terms.py",
            code="no-counterpart",
            profile=name,
        )
    e = float(np.hypot(values.get("e1", 0.0), values.get("e2", 0.0)))
    if e > c.MAX_ELLIPTICITY_AUTOLENS:
        raise ConfigError(
            f"{name}: an ellipticity of {e:.6g}; PyAutoLens treats all above "
            f"{c.MAX_ELLIPTICITY_AUTOLENS} alike. Make it rounder, or render with --engine "
            "lenstronomy",
            code="ellipticity",
            name=name,
        )
    terms = TERMS[name]
    return (types or {}).get(name, terms.type)(**terms.arguments(values, pixel_scale))


def profile_from_autolens(profile: Any, pixel_scale: float) -> tuple[str, dict[str, Any]]:
    """Return lenssim's name and values of a PyAutoLens profile.

    Args:
        profile: The profile.
        pixel_scale: Side of the pixels that intensities refer to [arcsec].

    Raises:
        ConfigError: A scene has no counterpart.
    """
    if type(profile) not in _FROM:
        names = ", ".join(sorted(type_.__name__ for type_ in _FROM))
        raise ConfigError(
            f"a scene has no counterpart of PyAutoLens's {type(profile).__name__}; it has those "
            f"of {names}. Replace the profile by one of these, or render the Tracer with "
            "PyAutoLens itself",
            code="no-counterpart",
            profile=type(profile).__name__,
            names=names,
        )
    name, values = _FROM[type(profile)]
    return name, values(profile, pixel_scale)
