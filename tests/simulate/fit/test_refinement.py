"""The last fit: peaked sources, noise maps made from their image, and lenses alone or in a batch."""

from dataclasses import replace

import numpy as np
import pytest

from lenssim.simulate.draw import draw
from lenssim.simulate.engines.batched.engine import Batched
from lenssim.simulate.fit.expected_noise import expected_noise
from lenssim.simulate.fit.refinement import refine
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
