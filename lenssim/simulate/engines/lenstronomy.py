"""The reference engine: lenstronomy itself, in double precision, one scene at a time."""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from lenstronomy.Conf import config_loader
from lenstronomy.Data.pixel_grid import PixelGrid
from lenstronomy.Data.psf import PSF
from lenstronomy.LensModel.single_plane import SinglePlane
from lenstronomy.LightModel.light_model import LightModel
from lenstronomy.Util.util import make_grid_with_coordtransform

from lenssim.errors import ConfigError
from lenssim.lazy import import_on_use
from lenssim.simulate.bands import render_bands
from lenssim.simulate.engines import check_adaptive
from lenssim.simulate.engines.lenstronomy_profiles import (
    LINE_MASS,
    SPIRAL,
    light_model,
    single_plane,
)
from lenssim.simulate.instruments import (
    AnyCamera,
    GaussianPSF,
    Instrument,
    Supersampling,
    check_sampling,
)
from lenssim.simulate.scenes import Component, Scenes
from lenssim.simulate.source_planes import each_source_plane

import_on_use("scipy", "signal")  # lenstronomy needs it for other convolutions only
from lenstronomy.ImSim.Numerics.numerics import Numerics  # noqa: E402

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
    """Renders with lenstronomy's profiles, grid and convolution.

    They are put together as lenstronomy's ImageModel does it, with the same bits. ImageModel
    itself imports all of astropy's cosmology, which a single lens plane does not need. A
    scene with deflections for another source redshift has them scaled, as by lenstronomy's
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

    @each_source_plane
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
        image = model.image(
            lens,
            _kwargs(values, "source", i, scenes.images),
            _kwargs(values, "lens_light", i, scenes.images),
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


@dataclass(frozen=True)
class _ImageModel:
    """What lenstronomy's ImageModel computes for one lens plane, one source plane and no points."""

    numerics: Numerics
    lens: SinglePlane
    source: LightModel
    lens_light: LightModel
    deflection_scale: float

    def image(
        self,
        lens: list[dict[str, Any]],
        source: list[dict[str, Any]],
        lens_light: list[dict[str, Any]],
    ) -> np.ndarray:
        """Return the image (H, W) at the PSF's resolution, of lists of parameters."""
        # lenstronomy stores the interpolation of the first image that it renders
        self.source.delete_interpol_caches()
        self.lens_light.delete_interpol_caches()
        x, y = self.numerics.coordinates_evaluate
        source_light = self._lensed(x, y, lens, source)
        light = self.lens_light.surface_brightness(x, y, lens_light)
        convolved = self.numerics.re_size_convolve
        return convolved(source_light) + convolved(light)

    def _lensed(
        self,
        x: np.ndarray,
        y: np.ndarray,
        lens: list[dict[str, Any]],
        source: list[dict[str, Any]],
    ) -> np.ndarray:
        """Return the brightness (P,) of the sources seen at positions (P,) [arcsec]."""
        alpha_x, alpha_y = self.lens.alpha(x, y, lens)
        if self.deflection_scale == 1:
            return self.source.surface_brightness(x - alpha_x, y - alpha_y, source)
        source_x = x - alpha_x * self.deflection_scale
        source_y = y - alpha_y * self.deflection_scale
        brightness = np.zeros_like(x)
        for number in range(len(source)):
            brightness += self.source.surface_brightness(
                source_x, source_y, source, k=number
            )
        return brightness


@lru_cache(maxsize=64)
def _image_model(
    instrument: Instrument,
    supersampling: int,
    lens_models: tuple[str, ...],
    lens_lights: tuple[str, ...],
    sources: tuple[str, ...],
    deflection_scale: float,
) -> _ImageModel:
    fine = instrument.psf.supersampling
    # the pixels that the PSF is sampled at
    n = instrument.num_pix * fine
    pixel = instrument.pixel_scale / fine
    _, _, ra_at_xy_0, dec_at_xy_0, _, _, pixel_to_angle, _ = make_grid_with_coordtransform(
        n, pixel, subgrid_res=1, left_lower=False, inverse=False
    )
    grid = PixelGrid(n, n, pixel_to_angle, ra_at_xy_0, dec_at_xy_0)
    psf = _psf(instrument, pixel)
    psf.set_pixel_size(grid.pixel_width)
    return _ImageModel(
        numerics=Numerics(grid, psf, supersampling_factor=supersampling // fine),
        lens=single_plane(lens_models),
        source=light_model(sources),
        lens_light=light_model(lens_lights),
        deflection_scale=deflection_scale,
    )


def _psf(instrument: Instrument, pixel: float) -> PSF:
    psf = instrument.psf
    if isinstance(psf, GaussianPSF):
        return PSF("GAUSSIAN", fwhm=psf.fwhm, truncation=psf.truncation, pixel_size=pixel)
    kernel = psf.kernel_at(instrument.pixel_scale)
    return PSF("PIXEL", kernel_point_source=kernel)
