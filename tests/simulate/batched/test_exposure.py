"""Noise on the device of the engine: the bits of numpy, through the same code on every device."""

import numpy as np
import pytest
import torch

from lenssim.simulate.draw import draw
from lenssim.simulate.engines.batched.engine import Batched
from lenssim.simulate.engines.batched.exposure import deviates, exposed
from lenssim.simulate.engines.batched.steps import RAYS_A_STEP, rays_of_card
from lenssim.simulate.noise import NoiseIdentity
from lenssim.simulate.noise.deviates import normal_deviates
from lenssim.simulate.noise.philox import philox_key
from lenssim.simulate.observe import observe
from lenssim.simulate.preset import load_preset

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
NUMBERS = np.array([0, 5, 3, 1 << 40])
OPTIONS = {"seed": 9, "split": "test"}


@pytest.fixture(params=DEVICES)
def device(request) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no card here")
    return request.param


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 2, 3), (1, 17, 31), (3, 64, 64)])
def test_the_deviates_have_the_bits_of_numpy(device, shape):
    expected = normal_deviates("philox", NUMBERS, shape, **OPTIONS)
    key = philox_key(**OPTIONS)
    for band in range(shape[0]):
        drawn = deviates(NUMBERS, band, shape[1:], key, device).cpu().numpy()
        assert drawn.tobytes() == np.ascontiguousarray(expected[:, band]).tobytes()


def test_they_need_no_numbers_of_the_device():
    """On a device without memory: nothing waits for an answer of a card."""
    assert deviates(NUMBERS, 0, (8, 8), (1, 2), "meta").shape == (4, 8, 8)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("model", ["III", "I"])
def test_images_are_exposed_as_the_pipeline_observes_them(device, model, precision):
    preset = load_preset(model)
    numbers = np.arange(2, 7)
    scenes = draw(preset, numbers, **OPTIONS)
    renderer = Batched(precision=precision, device=device, kernels="eager")
    identity = NoiseIdentity(numbers, OPTIONS["seed"], OPTIONS["split"])
    expected, observed = exposed(renderer, scenes, preset.instrument, identity)
    assert expected.tobytes() == renderer.render(scenes, preset.instrument).tobytes()
    assert observed.dtype == np.float32
    noisy = observe(
        expected, scenes, preset.instrument, "nominal", numbers=numbers, **OPTIONS
    )
    np.testing.assert_array_equal(observed, noisy)


def test_batches_fit_the_card():
    sizes = [rays_of_card(gibibytes << 30) for gibibytes in (1, 4, 16, 80, 140)]
    assert sizes == sorted(sizes)
    assert sizes[1] == RAYS_A_STEP
