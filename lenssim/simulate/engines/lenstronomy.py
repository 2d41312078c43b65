"""The reference engine: lenstronomy itself, in double precision, one scene at a time."""

from functools import lru_cache
from typing import Any

import numpy as np
from lenstronomy.Conf import config_loader
from lenstronomy.Data.imaging_data import ImageData
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel
from lenstronomy.LightModel.light_model import LightModel
from lenstronomy.Util.util import make_grid_with_coordtransform

from lenssim.errors import ConfigError
from lenssim.simulate.engines import check_adaptive
from lenssim.simulate.engines.lenstronomy_profiles import LINE_MASS, lens_model
from lenssim.simulate.instruments import Instrument, PixelPSF, check_sampling
from lenssim.simulate.scenes import Component, Scenes

__all__ = ["LENS_MODELS", "LIGHT_MODELS", "Lenstronomy"]

LENS_MODELS = {
    "sie": "SIE",
    "epl": "EPL",
    "shear": "SHEAR",
    "sheet": "CONVERGENCE",
    "point_mass": "POINT_MASS",
    "line_mass": LINE_MASS,
    "nfw": "NFW",
    "tnfw": "TNFW",
    "cnfw": "CNFW",
    "uldm": "ULDM",
}
LIGHT_MODELS = {"sersic": "SERSIC_ELLIPSE", "interpolated": "INTERPOL"}


class Lenstronomy:
    """Renders with lenstronomy's ImageModel; objects are reused between scenes of the same structure.

    A scene whose deflections are stated for another source redshift uses lenstronomy's own
    `deflection_scaling_list`; with one lens plane this is its multi-plane result, to rounding.
    """

    def __init__(self) -> None:
        if config_loader.conventions_conf().get("sersic_major_axis", False):
            raise ConfigError(
                "your lenstronomy configuration sets sersic_major_axis, which changes what R_sersic means; "
                "switch it off in lenstronomy's conf_default.yaml to render with this engine"
            )

    def render(
        self, scenes: Scenes, instrument: Instrument, *, supersampling: int = 1
    ) -> np.ndarray:
        """Expected images, float64 (N, 1, H, W), in e-/s per pixel."""
        check_adaptive("lenstronomy", supersampling)
        check_sampling(instrument, supersampling)
        images = np.empty((len(scenes), 1, instrument.num_pix, instrument.num_pix))
        values = [
            (component, scenes.of(component, instrument.zero_point))
            for component in scenes.components
        ]
        scale = scenes.deflection_scale()
        for i in range(len(scenes)):
            lens = _kwargs(values, "lens", i)
            models = [
                LENS_MODELS[component.profile]
                for component, _ in values
                if component.role == "lens"
            ]
            for kind, table in scenes.perturbers.items():
                own = table.of(i)
                perturbers = [
                    dict(zip(own, row, strict=True))
                    for row in zip(*own.values(), strict=True)
                ]
                models += [LENS_MODELS[kind]] * len(perturbers)
                lens += perturbers
            lights = [
                tuple(
                    LIGHT_MODELS[component.profile]
                    for component, _ in values
                    if component.role == role
                )
                for role in ("lens_light", "source")
            ]
            model = _image_model(
                instrument, supersampling, tuple(models), *lights, float(scale[i])
            )
            if (
                scenes.images is not None
            ):  # lenstronomy keeps the interpolation of the first image it is shown
                model.SourceModel.delete_interpol_caches()
                model.LensLightModel.delete_interpol_caches()
            source, lens_light = (
                _kwargs(values, role, i, scenes.images) for role in ("source", "lens_light")
            )
            image = model.image(
                kwargs_lens=lens, kwargs_source=source, kwargs_lens_light=lens_light
            )
            fine = len(image) // instrument.num_pix
            images[i, 0] = image.reshape(
                instrument.num_pix, fine, instrument.num_pix, fine
            ).sum((1, 3))
        return images


def _kwargs(
    values: list[tuple[Component, dict[str, np.ndarray]]],
    role: str,
    i: int,
    images: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    kwargs: list[dict[str, Any]] = [
        {name: float(column[i]) for name, column in columns.items()}
        for component, columns in values
        if component.role == role
    ]
    for own in kwargs:
        if "image" in own:
            own["image"] = images[int(own["image"])]
    return kwargs


@lru_cache(maxsize=64)
def _image_model(
    instrument: Instrument,
    supersampling: int,
    lens_models: tuple[str, ...],
    lens_lights: tuple[str, ...],
    sources: tuple[str, ...],
    deflection_scale: float,
) -> ImageModel:
    fine = instrument.psf.supersampling
    n, pixel = (
        instrument.num_pix * fine,
        instrument.pixel_scale / fine,
    )  # the pixels that the PSF is sampled at
    _, _, ra_at_xy_0, dec_at_xy_0, _, _, pixel_to_angle, _ = make_grid_with_coordtransform(
        n, pixel, subgrid_res=1, left_lower=False, inverse=False
    )
    data = ImageData(
        image_data=np.zeros((n, n)),
        ra_at_xy_0=ra_at_xy_0,
        dec_at_xy_0=dec_at_xy_0,
        transform_pix2angle=pixel_to_angle,
    )
    if isinstance(instrument.psf, PixelPSF):
        psf = PSF("PIXEL", kernel_point_source=instrument.psf.array())
    else:
        psf = PSF(
            "GAUSSIAN",
            fwhm=instrument.psf.fwhm,
            truncation=instrument.psf.truncation,
            pixel_size=pixel,
        )
    scaling = None if deflection_scale == 1 else [deflection_scale] * len(sources)
    return ImageModel(
        data,
        psf,
        lens_model_class=lens_model(list(lens_models)),
        source_model_class=LightModel(list(sources), deflection_scaling_list=scaling),
        lens_light_model_class=LightModel(list(lens_lights)),
        kwargs_numerics={"supersampling_factor": supersampling // fine},
    )
