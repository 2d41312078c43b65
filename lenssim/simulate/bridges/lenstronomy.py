"""Scenes as lenstronomy's model lists and keyword arguments, and these as a scene."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.bridges.structure import Piece, scene_of
from lenssim.simulate.conventions import scaled
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.engines.lenstronomy import LENS_MODELS, LIGHT_MODELS
from lenssim.simulate.engines.lenstronomy_profiles import lens_model
from lenssim.simulate.instruments import Instrument, PixelPSF, check_sampling
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Component, Scenes

__all__ = ["LenstronomyScene", "from_lenstronomy", "to_lenstronomy"]

_MASSES = {model: name for name, model in LENS_MODELS.items()} | {
    "SIS": "sie",
    "PEMD": "epl",
}
_LIGHTS = {model: name for name, model in LIGHT_MODELS.items()} | {"SERSIC": "sersic"}
_LISTS = (
    ("lens", "lens_model_list", _MASSES),
    ("lens_light", "lens_light_model_list", _LIGHTS),
    ("source", "source_light_model_list", _LIGHTS),
)
_MACRO = (
    "sie",
    "epl",
    "shear",
    "sheet",
)  # what a lens is made of unless said otherwise; the rest perturbs it


class LenstronomyScene(NamedTuple):
    """One system as lenstronomy takes it: the arguments of `FittingSequence`, `create_im_sim` and the like."""

    kwargs_model: dict[str, Any]
    kwargs_params: dict[str, list[dict[str, Any]]]
    kwargs_data: dict[str, Any]
    kwargs_psf: dict[str, Any]
    kwargs_numerics: dict[str, Any]

    def image_model(self) -> Any:
        """lenstronomy's ImageModel, LINE_MASS included, which it does not know: call `image(**kwargs_params)` of it."""
        from lenstronomy.Data.imaging_data import ImageData
        from lenstronomy.Data.psf import PSF
        from lenstronomy.ImSim.image_model import ImageModel
        from lenstronomy.LightModel.light_model import LightModel

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
            source_model_class=LightModel(model["source_light_model_list"]),
            lens_light_model_class=LightModel(model["lens_light_model_list"]),
            kwargs_numerics=self.kwargs_numerics,
        )


def to_lenstronomy(
    scenes: Scenes, i: int, instrument: Instrument, supersampling: int = 1
) -> LenstronomyScene:
    """System `i`: model lists, parameters, and the instrument's data, PSF and numerics.

    Deflections stated for a source at another redshift are scaled by lenstronomy itself, from z_lens, z_source,
    z_source_convention and cosmo of `kwargs_model`. `ConfigError` for a PSF sampled finer than the pixels, unless
    supersampled likewise.
    """
    check_sampling(instrument, supersampling)
    fine = instrument.psf.supersampling
    if fine > 1 and supersampling != fine:
        raise ConfigError(
            f"lenstronomy convolves at the supersampling of its PSF, here {fine}; give supersampling {fine}, "
            f"got {supersampling}"
        )
    scene = scenes.take(slice(i, i + 1))
    models: dict[str, list[str]] = {"lens": [], "lens_light": [], "source": []}
    params: dict[str, list[dict[str, Any]]] = {"lens": [], "lens_light": [], "source": []}
    for component in scene.components:
        values = {
            name: float(column[0])
            for name, column in scene.of(component, instrument.zero_point).items()
        }
        if "image" in values:
            values["image"] = scene.images[int(values["image"])]
        names = LENS_MODELS if component.role == "lens" else LIGHT_MODELS
        models[component.role].append(names[component.profile])
        params[component.role].append(values)
    for kind, table in scene.perturbers.items():
        own = table.of(0)
        models["lens"] += [LENS_MODELS[kind]] * len(table.columns[next(iter(own))])
        params["lens"] += [
            dict(zip(own, map(float, row), strict=True))
            for row in zip(*own.values(), strict=True)
        ]
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
    return LenstronomyScene(
        kwargs_model,
        {f"kwargs_{role}": own for role, own in params.items()},
        _data(instrument),
        _psf(instrument),
        {
            "supersampling_factor": supersampling,
            "supersampling_convolution": fine > 1,
        },
    )


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
    if isinstance(psf, PixelPSF):
        return {
            "psf_type": "PIXEL",
            "kernel_point_source": psf.array(),
            "point_source_supersampling_factor": psf.supersampling,
        }
    return {
        "psf_type": "GAUSSIAN",
        "fwhm": psf.fwhm,
        "truncation": psf.truncation,
        "pixel_size": instrument.pixel_scale,
    }


def from_lenstronomy(
    kwargs_model: Mapping[str, Any],
    kwargs_params: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    components: Sequence[Component] | None = None,
) -> Scenes:
    """The scene of one system from lenstronomy's `kwargs_model` and `kwargs_params` (kwargs_lens, kwargs_source, ...).

    sie, epl, shear and sheet become components, point and line masses and haloes perturbers; `components` says
    otherwise: the first of each list are these, in order. `kwargs_model` must name z_lens and z_source.
    `ConfigError` for models that a scene cannot say, several lens planes, and lists of different lengths.
    """
    redshifts = _redshifts(kwargs_model)
    factor = _scaling(kwargs_model)
    pieces: list[Piece] = []
    for role, listed, known in _LISTS:
        models = list(kwargs_model.get(listed) or ())
        values = list(kwargs_params.get(f"kwargs_{role}") or ())
        if len(models) != len(values):
            raise ConfigError(
                f"{listed} holds {len(models)} models, but kwargs_{role} {len(values)} sets of parameters"
            )
        named = [component for component in components or () if component.role == role]
        for k, (model, own) in enumerate(zip(models, values, strict=True)):
            profile = _profile(model, known)
            name = ""
            if k < len(named):
                name = named[k].prefix + profile
                if named[k].profile != profile:
                    raise ConfigError(
                        f"component {k} of the {role} is {named[k].profile!r}, but {listed} holds {model}"
                    )
            elif role == "lens" and (components is not None or profile not in _MACRO):
                name = f"{profile}_{k}"
            values_k = _values(model, profile, own)
            pieces.append(
                Piece(
                    role,
                    profile,
                    scaled(profile, values_k, factor) if role == "lens" else values_k,
                    name,
                )
            )
    return scene_of(pieces, redshifts, _cosmology(kwargs_model))


def _profile(model: str, known: Mapping[str, str]) -> str:
    if model not in known:
        raise ConfigError(
            f"a scene has no counterpart of lenstronomy's {model}; it has those of {', '.join(sorted(known))}. Replace "
            f"the model by one of these, or render it with lenstronomy itself"
        )
    return known[model]


def _values(model: str, profile: str, own: Mapping[str, Any]) -> dict[str, Any]:
    values = {
        name: value
        for name, value in own.items()
        if not (name in ("ra_0", "dec_0") and value == 0)
    }
    if model in ("SIS", "SERSIC"):
        values = {"e1": 0.0, "e2": 0.0, **values}
    unknown = [name for name in values if name not in PROFILES[profile].parameters]
    missing = [name for name in PROFILES[profile].required if name not in values]
    if unknown or missing:
        parts = [f"without {', '.join(missing)}"] * bool(missing) + [
            f"with {', '.join(unknown)}"
        ] * bool(unknown)
        raise ConfigError(
            f"lenstronomy's {model} {' and '.join(parts)}: a scene's {profile!r} cannot be made of it"
        )
    return values


def _redshifts(kwargs_model: Mapping[str, Any]) -> dict[str, float]:
    planes = {float(z) for z in kwargs_model.get("lens_redshift_list") or ()}
    sources = {float(z) for z in kwargs_model.get("source_redshift_list") or ()}
    if len(planes) > 1 or len(sources) > 1:
        raise ConfigError(
            f"a scene has one lens plane and one source plane; these models are at redshifts "
            f"{', '.join(map(str, sorted(planes)))} and {', '.join(map(str, sorted(sources))) or 'one source'}"
        )
    found = {
        "z_lens": kwargs_model.get("z_lens", next(iter(planes), None)),
        "z_source": next(iter(sources), kwargs_model.get("z_source")),
        "z_source_convention": kwargs_model.get("z_source_convention"),
    }
    for name in ("z_lens", "z_source"):
        if found[name] is None:
            raise ConfigError(
                f"kwargs_model needs {name}, as lenstronomy's own multi-plane models do"
            )
    return {name: float(value) for name, value in found.items() if value is not None}


def _scaling(kwargs_model: Mapping[str, Any]) -> float:
    factors = {
        float(factor)
        for factor in kwargs_model.get("source_deflection_scaling_list") or (1.0,)
    }
    if len(factors) > 1:
        raise ConfigError(
            f"a scene has one source plane; source_deflection_scaling_list holds {sorted(factors)}"
        )
    return factors.pop()


def _cosmology(kwargs_model: Mapping[str, Any]) -> Cosmology:
    cosmo = kwargs_model.get("cosmo")
    if cosmo is None:
        return Cosmology(H0=70, Om0=0.3, Ob0=0.05)
    if type(cosmo).__name__ != "FlatLambdaCDM":
        raise ConfigError(
            f"a scene's cosmology is flat Lambda-CDM; got astropy's {type(cosmo).__name__}"
        )
    return Cosmology(H0=cosmo.H0.value, Om0=float(cosmo.Om0), Ob0=float(cosmo.Ob0 or 0.0))
