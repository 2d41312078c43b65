"""Scenes as lenstronomy's model lists and keyword arguments, and these as a scene."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.bridges.assembly import ProfileEntry, assemble_scene
from lenssim.simulate.conventions import scaled
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.engines.lenstronomy import LENS_MODELS, LIGHT_MODELS
from lenssim.simulate.engines.lenstronomy_profiles import lens_model, light_model
from lenssim.simulate.instruments import (
    GaussianPSF,
    Instrument,
    check_sampling,
    one_band,
)
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Component, Role, Scenes

__all__ = ["LenstronomyScene", "from_lenstronomy", "to_lenstronomy"]

_MASSES = {model: name for name, model in LENS_MODELS.items()} | {
    "SIS": "sie",
    "PEMD": "epl",
}
_LIGHTS = {model: name for name, model in LIGHT_MODELS.items()} | {"SERSIC": "sersic"}
_LISTS: tuple[tuple[Role, str, dict[str, str]], ...] = (
    ("lens", "lens_model_list", _MASSES),
    ("lens_light", "lens_light_model_list", _LIGHTS),
    ("source", "source_light_model_list", _LIGHTS),
)
# Profiles of a lens that become components by default; others become perturbers.
_MACRO = ("sie", "epl", "shear", "sheet")


class LenstronomyScene(NamedTuple):
    """One system as lenstronomy takes it: the arguments of `FittingSequence` and the like."""

    kwargs_model: dict[str, Any]
    kwargs_params: dict[str, list[dict[str, Any]]]
    kwargs_data: dict[str, Any]
    kwargs_psf: dict[str, Any]
    kwargs_numerics: dict[str, Any]

    def image_model(self) -> Any:
        """Return lenstronomy's ImageModel, with LINE_MASS and SPIRAL, which it lacks.

        Call its `image(**kwargs_params)`.
        """
        from lenstronomy.Data.imaging_data import ImageData
        from lenstronomy.Data.psf import PSF
        from lenstronomy.ImSim.image_model import ImageModel

        model = self.kwargs_model
        planes = {
            name: model[name]
            for name in ("z_lens", "z_source", "z_source_convention", "cosmo")
            if name in model
        }
        return ImageModel(
            ImageData(**self.kwargs_data),
            PSF(**self.kwargs_psf),
            lens_model_class=lens_model(model["lens_model_list"], **planes),
            source_model_class=light_model(model["source_light_model_list"]),
            lens_light_model_class=light_model(model["lens_light_model_list"]),
            kwargs_numerics=self.kwargs_numerics,
        )


def to_lenstronomy(
    scenes: Scenes, i: int, instrument: Instrument, supersampling: int = 1
) -> LenstronomyScene:
    """Return system `i` as model lists, parameters, data, PSF and numerics.

    lenstronomy itself scales deflections stated for a source at another redshift, from z_lens,
    z_source, z_source_convention and cosmo of `kwargs_model`.

    Args:
        scenes: The scene table.
        i: Row of the system.
        instrument: The camera, of one band.
        supersampling: Rays a side of a pixel.

    Raises:
        ConfigError: The PSF is sampled finer than the pixels, and `supersampling` differs.
    """
    instrument = one_band(instrument, "lenstronomy's kwargs describe")
    check_sampling(instrument, supersampling)
    instrument = instrument.of_image(scenes.params, i)
    fine = instrument.psf.supersampling
    if fine > 1 and supersampling != fine:
        raise ConfigError(
            f"lenstronomy convolves at the supersampling of its PSF, here {fine}; give "
            f"supersampling {fine}, got {supersampling}",
            code="psf-sampling",
            fine=fine,
            supersampling=supersampling,
        )
    scene = scenes.take(slice(i, i + 1))
    models, params = _models_and_params(scene, instrument)
    return LenstronomyScene(
        _kwargs_model(scene, models),
        {f"kwargs_{role}": values for role, values in params.items()},
        _data(instrument),
        _psf(instrument),
        {"supersampling_factor": supersampling, "supersampling_convolution": fine > 1},
    )


def _models_and_params(
    scene: Scenes, instrument: Instrument
) -> tuple[dict[str, list[str]], dict[str, list[dict[str, Any]]]]:
    """Return model names and parameters of each role."""
    models: dict[str, list[str]] = {"lens": [], "lens_light": [], "source": []}
    params: dict[str, list[dict[str, Any]]] = {"lens": [], "lens_light": [], "source": []}
    for component in scene.components:
        values: dict[str, Any] = {
            name: float(column[0])
            for name, column in scene.of(component, instrument.zero_point).items()
        }
        if "image" in values and scene.images is not None:
            values["image"] = scene.images[int(values["image"])]
        names = LIGHT_MODELS
        if component.role == "lens":
            names = LENS_MODELS
        models[component.role].append(names[component.profile])
        params[component.role].append(values)
    for kind, table in scene.perturbers.items():
        columns = table.of(0)
        for row in zip(*columns.values(), strict=True):
            models["lens"].append(LENS_MODELS[kind])
            params["lens"].append(dict(zip(columns, map(float, row), strict=True)))
    return models, params


def _kwargs_model(scene: Scenes, models: Mapping[str, list[str]]) -> dict[str, Any]:
    kwargs_model: dict[str, Any] = {
        "lens_model_list": models["lens"],
        "lens_light_model_list": models["lens_light"],
        "source_light_model_list": models["source"],
        "z_lens": float(scene.params["z_lens"][0]),
        "z_source": float(scene.params["z_source"][0]),
        "cosmo": scene.cosmology.astropy(),
    }
    if "z_source_convention" in scene.params:
        kwargs_model["z_source_convention"] = float(scene.params["z_source_convention"][0])
    return kwargs_model


def _data(instrument: Instrument) -> dict[str, Any]:
    n = instrument.num_pix
    pixel = instrument.pixel_scale
    edge = -(n - 1) / 2 * pixel
    return {
        "image_data": np.zeros((n, n)),
        "ra_at_xy_0": edge,
        "dec_at_xy_0": edge,
        "transform_pix2angle": np.eye(2) * pixel,
        "exposure_time": float(instrument.total_exposure()),
        "background_rms": float(instrument.background()),
    }


def _psf(instrument: Instrument) -> dict[str, Any]:
    psf = instrument.psf
    if isinstance(psf, GaussianPSF):
        return {
            "psf_type": "GAUSSIAN",
            "fwhm": psf.fwhm,
            "truncation": psf.truncation,
            "pixel_size": instrument.pixel_scale,
        }
    return {
        "psf_type": "PIXEL",
        "kernel_point_source": psf.kernel_at(instrument.pixel_scale),
        "point_source_supersampling_factor": psf.supersampling,
    }


def from_lenstronomy(
    kwargs_model: Mapping[str, Any],
    kwargs_params: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    components: Sequence[Component] | None = None,
) -> Scenes:
    """Return the scene of one system from lenstronomy's keyword arguments.

    By default sie, epl, shear and sheet become components, and point masses, line masses and
    haloes perturbers.

    Args:
        kwargs_model: Model lists, with z_lens and z_source.
        kwargs_params: kwargs_lens, kwargs_source and kwargs_lens_light.
        components: The components, in order: the first entries of each list are these.

    Raises:
        ConfigError: A model has no counterpart, there are several lens planes, or lists differ
            in length.
    """
    redshifts = _redshifts(kwargs_model)
    factor = _scaling(kwargs_model)
    entries: list[ProfileEntry] = []
    for role, list_name, counterparts in _LISTS:
        named = None
        if components is not None:
            named = [component for component in components if component.role == role]
        models = _models(kwargs_model, kwargs_params, role, list_name)
        for k, (model, values) in enumerate(models):
            profile = _profile(model, counterparts)
            name = _name(k, role, profile, named, f"{list_name} holds {model}")
            converted = _values(model, profile, values)
            if role == "lens":
                converted = scaled(profile, converted, factor)
            entries.append(ProfileEntry(role, profile, converted, name))
    return assemble_scene(entries, redshifts, _cosmology(kwargs_model))


def _models(
    kwargs_model: Mapping[str, Any],
    kwargs_params: Mapping[str, Sequence[Mapping[str, Any]]],
    role: str,
    list_name: str,
) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the models of a list with their parameters; refuse lists of other lengths."""
    models = list(kwargs_model.get(list_name) or ())
    params = list(kwargs_params.get(f"kwargs_{role}") or ())
    if len(models) != len(params):
        raise ConfigError(
            f"{list_name} holds {len(models)} models, but kwargs_{role} {len(params)} sets "
            "of parameters",
            code="kwargs-differ",
            list_name=list_name,
            role=role,
        )
    return list(zip(models, params, strict=True))


def _name(
    k: int,
    role: Role,
    profile: str,
    named: Sequence[Component] | None,
    entry: str,
) -> str:
    """Return the name of profile k of a role; the name decides what the profile becomes."""
    if k < len(named or ()):
        component = (named or ())[k]
        if component.profile != profile:
            raise ConfigError(
                f"component {k} of the {role} is {component.profile!r}, but {entry}",
                code="kwargs-differ",
                role=role,
                profile=component.profile,
            )
        return component.prefix + profile
    if role == "lens" and (named is not None or profile not in _MACRO):
        return f"{profile}_{k}"
    return ""


def _profile(model: str, counterparts: Mapping[str, str]) -> str:
    if model not in counterparts:
        raise ConfigError(
            f"a scene has no counterpart of lenstronomy's {model}; it has those of "
            f"{', '.join(sorted(counterparts))}. Replace the model by one of these, or render it "
            "with lenstronomy itself",
            code="no-counterpart",
            profile=model,
        )
    return counterparts[model]


def _values(model: str, profile: str, params: Mapping[str, Any]) -> dict[str, Any]:
    values = {
        name: value
        for name, value in params.items()
        if not (name in ("ra_0", "dec_0") and value == 0)
    }
    if model in ("SIS", "SERSIC"):
        values = {"e1": 0.0, "e2": 0.0, **values}
    unknown = [name for name in values if name not in PROFILES[profile].parameters]
    missing = [name for name in PROFILES[profile].required if name not in values]
    if unknown or missing:
        parts = []
        if missing:
            parts.append(f"without {', '.join(missing)}")
        if unknown:
            parts.append(f"with {', '.join(unknown)}")
        raise ConfigError(
            f"lenstronomy's {model} {' and '.join(parts)}: a scene's {profile!r} cannot be made "
            "of it",
            code="no-counterpart",
            model=model,
            profile=profile,
        )
    return values


def _redshifts(kwargs_model: Mapping[str, Any]) -> dict[str, float]:
    planes = {float(z) for z in kwargs_model.get("lens_redshift_list") or ()}
    sources = {float(z) for z in kwargs_model.get("source_redshift_list") or ()}
    if len(planes) > 1 or len(sources) > 1:
        raise ConfigError(
            "a scene has one lens plane and one source plane; these models are at redshifts "
            f"{', '.join(map(str, sorted(planes)))} and "
            f"{', '.join(map(str, sorted(sources))) or 'one source'}",
            code="lens-planes",
        )
    redshifts = {
        "z_lens": kwargs_model.get("z_lens", next(iter(planes), None)),
        "z_source": next(iter(sources), kwargs_model.get("z_source")),
        "z_source_convention": kwargs_model.get("z_source_convention"),
    }
    for name in ("z_lens", "z_source"):
        if redshifts[name] is None:
            raise ConfigError(
                f"kwargs_model needs {name}, as lenstronomy's own multi-plane models do",
                code="kwargs-missing",
                name=name,
            )
    return {name: float(value) for name, value in redshifts.items() if value is not None}


def _scaling(kwargs_model: Mapping[str, Any]) -> float:
    factors = {
        float(factor)
        for factor in kwargs_model.get("source_deflection_scaling_list") or (1.0,)
    }
    if len(factors) > 1:
        raise ConfigError(
            f"a scene has one source plane; source_deflection_scaling_list holds {sorted(factors)}",
            code="lens-planes",
        )
    return factors.pop()


def _cosmology(kwargs_model: Mapping[str, Any]) -> Cosmology:
    cosmo = kwargs_model.get("cosmo")
    if cosmo is None:
        return Cosmology(H0=70, Om0=0.3, Ob0=0.05)
    if type(cosmo).__name__ != "FlatLambdaCDM":
        raise ConfigError(
            f"a scene's cosmology is flat Lambda-CDM; got astropy's {type(cosmo).__name__}",
            code="cosmology",
        )
    return Cosmology(H0=cosmo.H0.value, Om0=float(cosmo.Om0), Ob0=float(cosmo.Ob0 or 0.0))
