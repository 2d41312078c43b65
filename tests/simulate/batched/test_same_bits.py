"""Shortcuts of the batched engine give the bits of the long way."""

import numpy as np
import pytest
import torch

from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.engines.batched import engine as engine_module
from lenssim.simulate.engines.batched.banded import banded_blur
from lenssim.simulate.engines.batched.hoisted import common_lens
from lenssim.simulate.engines.batched.optics import banded, blur
from lenssim.simulate.engines.batched.tiles import RASTER, TILED, grid_rays, on_grid
from lenssim.simulate.instruments import GaussianPSF
from lenssim.simulate.native import is_eager
from lenssim.simulate.preset import load_preset

COUNT = 5


@pytest.fixture(scope="module")
def scenes():
    return draw(load_preset("III"), np.arange(COUNT), seed=2)


@pytest.mark.parametrize("kernels", ["compiled", "eager"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_lens_that_is_the_same_in_all_scenes(scenes, monkeypatch, kernels, precision):
    if kernels == "compiled" and is_eager():
        pytest.skip("there is no C++ compiler here")
    assert common_lens(scenes) == 0
    camera = load_preset("III").instrument
    renderer = engine("batched", precision=precision, kernels=kernels)
    images = renderer.render(scenes, camera)
    monkeypatch.setattr(engine_module, "common_lens", lambda scenes: None)
    np.testing.assert_array_equal(images, renderer.render(scenes, camera))


def test_a_lens_that_differs_is_not_common(scenes):
    assert common_lens(scenes.take(slice(0, 1))) is None
    turned = {**scenes.params, "e2": np.linspace(0, 0.1, COUNT)}
    other = type(scenes)(scenes.components, turned, scenes.perturbers)
    assert common_lens(other) is None


@pytest.mark.parametrize("fwhm", [0.02, 0.08, 0.16, 0.5])
@pytest.mark.parametrize("size", [16, 33, 64])
def test_the_blur_as_a_band(fwhm, size):
    """Where this machine's matrix products round otherwise, they serve themselves."""
    camera = load_preset("III").instrument
    camera = camera.model_copy(update={"num_pix": size, "psf": GaussianPSF(fwhm=fwhm)})
    compiled = banded(camera, COUNT)
    if compiled is None:
        pytest.skip("there is no compiler here, or no band")
    images = torch.rand(COUNT, size, size) ** 6
    images[0] = -1.5
    expected = blur(images * 0.37, camera)
    assert torch.equal(compiled(images, 0.37), expected)
    assert torch.equal(compiled(images[:2], 0.37), expected[:2])


def test_a_band_wider_than_the_stamp_is_left_to_matrix_products():
    assert banded_blur(np.full((8, 8), 0.125, np.float32), COUNT) is None


@pytest.mark.parametrize("side", [8, 20, 64, 70])
def test_rays_and_images_have_the_same_order_in_both_grids(side):
    cpu = torch.device("cpu")
    fields = []
    for grid in (TILED, RASTER):
        parts = grid_rays(side, 0.1, grid, torch.float64, cpu, 3)
        rays = torch.cat([part[:3] for part in parts], dim=2)
        fields.append([on_grid(rays[:, axis], side, grid) for axis in (0, 1)])
    for tiled, raster in zip(*fields, strict=True):
        assert tiled.shape == (3, side, side)
        assert torch.equal(tiled, raster)
