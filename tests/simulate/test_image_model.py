"""The reference engine puts lenstronomy's parts together as lenstronomy's ImageModel does: to the bit."""

import numpy as np
import pytest
from costs import DEAR_PRESETS, without_dear
from lenstronomy.Data.imaging_data import ImageData
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel

from lenssim.simulate.bands import band_views
from lenssim.simulate.bridges.lenstronomy import to_lenstronomy
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.engines.lenstronomy_profiles import lens_model, light_model
from lenssim.simulate.instruments import coarsest_sampling
from lenssim.simulate.preset import load_preset, presets


def image_model_image(scenes, i: int, camera, supersampling: int) -> np.ndarray:
    """Render one scene with ImageModel, at one plane with scaled deflections."""
    fine = camera.psf.supersampling
    side = camera.num_pix * fine
    pixel = camera.pixel_scale / fine
    scene = to_lenstronomy(scenes, i, camera, supersampling=fine)
    sources = scene.kwargs_model["source_light_model_list"]
    scale = float(scenes.deflection_scale()[i])
    psf = scene.kwargs_psf
    if psf["psf_type"] == "PIXEL":
        psf.pop("point_source_supersampling_factor")
    edge = -(side - 1) / 2 * pixel
    data = ImageData(
        image_data=np.zeros((side, side)),
        ra_at_xy_0=edge,
        dec_at_xy_0=edge,
        transform_pix2angle=np.eye(2) * pixel,
    )
    model = ImageModel(
        data,
        PSF(**psf),
        lens_model_class=lens_model(scene.kwargs_model["lens_model_list"]),
        source_model_class=light_model(
            sources, deflection_scaling_list=None if scale == 1 else [scale] * len(sources)
        ),
        lens_light_model_class=light_model(scene.kwargs_model["lens_light_model_list"]),
        kwargs_numerics={"supersampling_factor": supersampling // fine},
    )
    image = model.image(**scene.kwargs_params)
    return image.reshape(camera.num_pix, fine, camera.num_pix, fine).sum((1, 3))


@pytest.mark.parametrize("name", without_dear(presets(), DEAR_PRESETS))
def test_images_are_those_of_image_model(name):
    preset = load_preset(name)
    scenes = draw(preset, range(min(3, len(preset.classes))), seed=2)
    rays = coarsest_sampling(preset.instrument)
    images = engine("lenstronomy").render(scenes, preset.instrument, supersampling=rays)
    for band, (of_band, instrument) in enumerate(band_views(scenes, preset.instrument)):
        for i in range(len(scenes)):
            camera = instrument.of_image(of_band.params, i)
            expected = image_model_image(of_band, i, camera, rays)
            np.testing.assert_array_equal(images[i, band], expected)
