"""The reference engine: lenstronomy itself, in double precision, one scene at a time."""

from functools import lru_cache, partial
from typing import Any

import numpy as np
from lenstronomy.Conf import config_loader
from lenstronomy.Data.imaging_data import ImageData
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel
from lenstronomy.Util.util import make_grid_with_coordtransform

from lenssim.errors import ConfigError
from lenssim.simulate.bands import render_bands
from lenssim.simulate.engines import check_adaptive
from lenssim.simulate.engines.lenstronomy_profiles import (
    LINE_MASS,
    SPIRAL,
    lens_model,
    light_model,
)
from lenssim.simulate.instruments import (
    AnyCamera,
    GaussianPSF,
    Instrument,
    Supersampling,
    check_sampling,
)
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
LIGHT_MODELS = {"sersic": "SERSIC_ELLIPSE", "spiral": SPIRAL, "interpolated": "INTERPOL"}

ComponentColumns = list[tuple[Component, dict[str, np.ndarray]]]


class Lenstronomy:
    """Renders with lenstronomy's ImageModel; objects are reused for scenes of the same structure.

    A scene with deflections for another source redshift uses lenstronomy's own
    `deflection_scaling_list`. With one lens plane this is its multi-plane result, to
    rounding.
    """

    def __init__(self) -> None:
        if config_loader.conventions_conf().get("sersic_major_axis", False):
            raise ConfigError(
                "your lenstronomy configuration sets sersic_major_axis, which changes what R_sersic "
                "means; switch it off in lenstronomy's conf_default.yaml to render with this engine",
                code="lenstronomy-settings",
            )

    def render(
        self, scenes: Scenes, instrument: AnyCamera, *, supersampling: Supersampling = 1
    ) -> np.ndarray:
        """Return expected images, float64 (N, bands, H, W), in e-/s per pixel.

        Args:
            scenes: N scenes.
            instrument: The camera.
            supersampling: Rays a side of a pixel.

        Raises:
            ConfigError: The sampling is adaptive, or does not fit the PSF.
        """
        check_adaptive("lenstronomy", supersampling)
        check_sampling(instrument, supersampling)
        render = partial(_render_band, supersampling=int(supersampling))
        return render_bands(render, scenes, instrument)


def _render_band(
    scenes: Scenes, instrument: Instrument, *, supersampling: int
) -> np.ndarray:
    """Return the images (N, 1, H, W) of one band."""
    images = np.empty((len(scenes), 1, instrument.num_pix, instrument.num_pix))
    values = [
        (component, scenes.of(component, instrument.zero_point))
        for component in scenes.components
    ]
    scale = scenes.deflection_scale()
    for i in range(len(scenes)):
        lens_models, lens = _lens(scenes, values, i)
        model = _image_model(
            instrument.of_image(scenes.params, i),
            supersampling,
            lens_models,
            _light_models(scenes, "lens_light"),
            _light_models(scenes, "source"),
            float(scale[i]),
        )
        # lenstronomy stores the interpolation of the first image that it renders
        if scenes.images is not None:
            model.SourceModel.delete_interpol_caches()
            model.LensLightModel.delete_interpol_caches()
        image = model.image(
            kwargs_lens=lens,
            kwargs_source=_kwargs(values, "source", i, scenes.images),
            kwargs_lens_light=_kwargs(values, "lens_light", i, scenes.images),
        )
        images[i, 0] = _binned(image, instrument.num_pix)
    return images


def _binned(image: np.ndarray, size: int) -> np.ndarray:
    """Return the sums (size, size) over the fine pixels of each pixel."""
    fine = len(image) // size
    return image.reshape(size, fine, size, fine).sum((1, 3))


def _light_models(scenes: Scenes, role: str) -> tuple[str, ...]:
    return tuple(
        LIGHT_MODELS[component.profile]
        for component in scenes.components
        if component.role == role
    )


def _lens(
    scenes: Scenes, values: ComponentColumns, i: int
) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """Return the lens models of scene `i`, perturbers included, and their parameters."""
    kwargs = _kwargs(values, "lens", i)
    models = [
        LENS_MODELS[component.profile]
        for component in scenes.components
        if component.role == "lens"
    ]
    for kind, table in scenes.perturbers.items():
        columns = table.of(i)
        for row in zip(*columns.values(), strict=True):
            models.append(LENS_MODELS[kind])
            kwargs.append(dict(zip(columns, row, strict=True)))
    return tuple(models), kwargs


def _kwargs(
    values: ComponentColumns, role: str, i: int, images: np.ndarray | None = None
) -> list[dict[str, Any]]:
    """Return the parameters of the components of a role in scene `i`."""
    kwargs: list[dict[str, Any]] = [
        {name: float(column[i]) for name, column in columns.items()}
        for component, columns in values
        if component.role == role
    ]
    for parameters in kwargs:
        if "image" in parameters and images is not None:
            parameters["image"] = images[int(parameters["image"])]
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
    # the pixels that the PSF is sampled at
    n = instrument.num_pix * fine
    pixel = instrument.pixel_scale / fine
    _, _, ra_at_xy_0, dec_at_xy_0, _, _, pixel_to_angle, _ = make_grid_with_coordtransform(
        n, pixel, subgrid_res=1, left_lower=False, inverse=False
    )
    data = ImageData(
        image_data=np.zeros((n, n)),
        ra_at_xy_0=ra_at_xy_0,
        dec_at_xy_0=dec_at_xy_0,
        transform_pix2angle=pixel_to_angle,
    )
    scaling = None
    if deflection_scale != 1:
        scaling = [deflection_scale] * len(sources)
    return ImageModel(
        data,
        _psf(instrument, pixel),
        lens_model_class=lens_model(list(lens_models)),
        source_model_class=light_model(sources, deflection_scaling_list=scaling),
        lens_light_model_class=light_model(lens_lights),
        kwargs_numerics={"supersampling_factor": supersampling // fine},
    )


def _psf(instrument: Instrument, pixel: float) -> PSF:
    psf = instrument.psf
    if isinstance(psf, GaussianPSF):
        return PSF("GAUSSIAN", fwhm=psf.fwhm, truncation=psf.truncation, pixel_size=pixel)
    kernel = psf.kernel_at(instrument.pixel_scale)
    return PSF("PIXEL", kernel_point_source=kernel)
