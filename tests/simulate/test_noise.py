"""Laws of every kind of noise: a new one is tested by its line in `NOISES`."""

import numpy as np
import pytest
from error_codes import has_code

from lenssim.errors import ConfigError
from lenssim.simulate.draw import draw
from lenssim.simulate.noise import NOISES, NoiseIdentity, noise_model
from lenssim.simulate.noise.model import FLUX_UNIT
from lenssim.simulate.noise.variance import noise_sigma, pixel_variance
from lenssim.simulate.preset import load_preset

COUNT = 70  # more than a block


@pytest.fixture(params=sorted(NOISES))
def model(request):
    return NOISES[request.param]


@pytest.fixture(scope="module")
def preset():
    return load_preset("I")  # its exposure time is drawn


@pytest.fixture(scope="module")
def scenes(preset):
    return draw(preset, np.arange(COUNT), seed=0)


def flat(preset, brightness: float) -> np.ndarray:
    side = preset.instrument.num_pix
    return np.full((COUNT, 1, side, side), brightness)


def sample(model, preset, scenes, expected, numbers, seed=3, split="train"):
    numbers = np.asarray(numbers)
    return model.sample(
        expected[numbers],
        scenes.take(numbers),
        preset.instrument,
        NoiseIdentity(numbers, seed, split),
    )


def test_it_stands_under_its_name(model):
    assert noise_model(model.name) is model
    assert model.unit in (FLUX_UNIT, "e-")


@pytest.mark.parametrize("brightness", [-0.02, 0.0, 0.01, 0.5, 10.0])
def test_samples_have_the_moments_that_it_states(model, preset, scenes, brightness):
    expected = flat(preset, brightness)
    images = sample(model, preset, scenes, expected, np.arange(COUNT))
    mean = model.mean(expected, scenes, preset.instrument)
    sigma = model.sigma(expected, scenes, preset.instrument)
    assert mean.shape == sigma.shape == expected.shape
    difference = images - mean
    if not sigma.any():
        assert not difference.any()
        return
    deviates = difference / np.maximum(sigma, 1e-30)
    assert abs(deviates.mean()) < 5 / np.sqrt(deviates.size)
    assert (deviates**2).mean() == pytest.approx(1, abs=0.02)


def test_a_sample_does_not_depend_on_its_batch(model, preset, scenes):
    expected = flat(preset, 0.5)
    whole = sample(model, preset, scenes, expected, np.arange(COUNT))
    for numbers in ([0], [66, 2, 65], [COUNT - 1, 0]):
        part = sample(model, preset, scenes, expected, numbers)
        np.testing.assert_array_equal(part, whole[numbers])


def test_seed_and_split_and_number_decide_it(model, preset, scenes):
    expected = flat(preset, 0.5)
    plain = sample(model, preset, scenes, expected, [0, 1])
    other_seed = sample(model, preset, scenes, expected, [0, 1], seed=4)
    other_split = sample(model, preset, scenes, expected, [0, 1], split="test")
    is_random = bool(model.sigma(expected, scenes, preset.instrument).any())
    assert np.array_equal(plain, other_seed) is not is_random
    assert np.array_equal(plain, other_split) is not is_random
    assert np.array_equal(plain[0], plain[1]) is not is_random


def test_none_leaves_the_image_alone(preset, scenes):
    expected = flat(preset, 0.5)
    model = noise_model("none")
    np.testing.assert_array_equal(
        sample(model, preset, scenes, expected, np.arange(COUNT)), expected
    )
    assert not model.sigma(expected, scenes, preset.instrument).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_variance_is_the_same_for_every_library(preset, scenes, dtype):
    """The batched engine asks with tensors, everyone else with arrays."""
    torch = pytest.importorskip("torch")
    expected = np.linspace(-1, 10, 64).astype(dtype)
    background = np.full(64, 0.04, dtype)
    exposure = np.full(64, 700.0, dtype)
    by_numpy = pixel_variance(expected, background, exposure)
    tensors = [torch.from_numpy(array) for array in (expected, background, exposure)]
    np.testing.assert_array_equal(by_numpy, pixel_variance(*tensors).numpy())
    assert by_numpy.dtype == dtype
    images = flat(preset, 2.0)
    np.testing.assert_array_equal(
        noise_sigma(images, scenes, preset.instrument),
        noise_model("nominal").sigma(images, scenes, preset.instrument),
    )


def test_an_unknown_kind_is_named():
    with pytest.raises(ConfigError, check=has_code("unknown-noise", suggestion="nominal")):
        noise_model("nominl")
