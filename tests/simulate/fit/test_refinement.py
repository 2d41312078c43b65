"""The last fit: peaked sources, noise maps made from their image, and lenses alone or in a batch."""

from dataclasses import replace

import numpy as np
import pytest

from lenssim.simulate.draw import draw
from lenssim.simulate.engines.batched.engine import Batched
from lenssim.simulate.fit.expected_noise import expected_noise
from lenssim.simulate.fit.lens_model import fit_lens
from lenssim.simulate.fit.observation import Observation
from lenssim.simulate.fit.power_law import with_power_law
from lenssim.simulate.fit.refinement import refine
from lenssim.simulate.fit.scan import ScanGrid
from lenssim.simulate.fit.settings import Search
from lenssim.simulate.fit.uncertainty import formal_covariance
from lenssim.simulate.noise.variance import noise_sigma
from lenssim.simulate.preset import load_preset
from lenssim.simulate.scenes import Scenes


@pytest.fixture(scope="module")
def lenses():
    """Two smooth lenses with peaked sources: scenes, camera, expected images and noise."""
    preset = load_preset("hst-arcs")
    scenes = replace(draw(preset, [0, 6], seed=3), perturbers={})
    params = scenes.params | {"source_n_sersic": np.array([2.5, 3.0])}
    scenes = replace(scenes, params=params)
    engine = Batched("float32", "cpu", "compiled")
    images = engine.render(scenes, preset.instrument, supersampling="adaptive")
    images = images.astype(np.float64)
    sigma = noise_sigma(images, scenes, preset.instrument)
    return scenes, preset.instrument, images[:, 0], sigma[:, 0]


def moved(scenes: Scenes, sign: int = 1) -> Scenes:
    """Return scenes a little off the minimum."""
    params = dict(scenes.params)
    for name, factor in (("theta_E", 1.002), ("gamma", 1.02), ("source_n_sersic", 1.1)):
        params[name] = params[name] * factor**sign
    return replace(scenes, params=params)


@pytest.mark.thorough
def test_a_peaked_source_keeps_its_index(lenses):
    """With two or four rays a side alone the index is off by more than its error."""
    scenes, camera, images, sigma = lenses
    refined = refine(images, sigma, moved(scenes), camera)
    for row, slopes in enumerate(refined.slopes):
        errors = np.sqrt(np.diag(formal_covariance(slopes)))
        for number, name in enumerate(refined.columns):
            if name in scenes.params:
                pull = refined.values[row, number] - scenes.params[name][row]
                assert abs(pull) < 0.1 * errors[number], name


@pytest.mark.thorough
def test_a_lens_is_refined_alone_as_with_others(lenses):
    scenes, camera, images, sigma = lenses
    noise = np.random.default_rng(0).normal(0, sigma)
    both = refine(images + noise, sigma, moved(scenes), camera)
    last = slice(1, 2)
    alone = refine((images + noise)[last], sigma[last], moved(scenes).take(last), camera)
    np.testing.assert_array_equal(alone.values[0], both.values[1])
    np.testing.assert_array_equal(alone.slopes[0], both.slopes[1])
    np.testing.assert_array_equal(alone.residual[0], both.residual[1])


def poisson(seed=0):
    """An image whose noise has a share from its light, and its expected variance."""
    rng = np.random.default_rng(seed)
    light = rng.uniform(0.5, 9, (1, 40, 40))
    variance = 0.1 + light / 50
    return light, variance, rng.normal(light, np.sqrt(variance))


def test_a_noise_map_made_from_its_image_gets_the_noise_of_the_model():
    light, variance, image = poisson()
    sigma = np.sqrt(0.1 + image.clip(0) / 50)
    sigma[0, :3] = np.inf
    found = expected_noise(image, sigma, light)
    np.testing.assert_allclose(found[0, 3:] ** 2, variance[0, 3:], rtol=0.02)
    assert np.isinf(found[0, :3]).all()
    assert np.abs(sigma[0, 3:] ** 2 / variance[0, 3:] - 1).max() > 0.05


@pytest.mark.parametrize("kind", ["expected", "flat", "other"])
def test_a_noise_map_of_another_origin_stays(kind):
    light, variance, image = poisson()
    other = 1 + 0.2 * np.random.default_rng(5).random(light.shape)
    maps = {"expected": np.sqrt(variance), "flat": np.ones_like(light), "other": other}
    found = expected_noise(image, maps[kind], light)
    np.testing.assert_allclose(found, maps[kind], rtol=0.05)
    if kind != "other":
        np.testing.assert_allclose(found, maps[kind], rtol=1e-6)


@pytest.mark.thorough
def test_a_good_last_fit_takes_away_the_flag_of_a_poor_search(lenses):
    """Gaussians do not explain a peaked source, and a Sersic profile does."""
    scenes, camera, images, sigma = lenses
    noise = np.random.default_rng(0).normal(0, sigma)
    psf = camera.psf.kernel_at(camera.pixel_scale)
    lens = Observation.of("a", (images + noise)[1], sigma[1], psf, camera.pixel_scale)
    grid = ScanGrid((0.8, 1.0, 1.25, 1.6), 3)
    search = Search(has_light=False, grid=grid, fine_grid=grid, starts=3, minima=2)
    found = fit_lens(lens, search)
    poor = replace(found, flags=("poor-fit", "chi2", "no-psf"))
    redshifts = {name: float(scenes.params[name][1]) for name in ("z_lens", "z_source")}
    (fitted,) = with_power_law([lens], [poor], camera, [redshifts])
    assert fitted.flags == ("no-psf",)
    assert fitted.numbers["chi2_per_pixel_search"] < 1.1
