import numpy as np
import pytest
import torch
from error_codes import has_code
from hypothesis import given
from hypothesis import strategies as st

from lenssim.errors import ConfigError
from lenssim.learn.inputs.normalise import NORMALISATIONS, normalisation

scaled = sorted(set(NORMALISATIONS) - {"none", "symlog"})


def images(seed, channels=1):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(
        rng.gamma(0.3, size=(5, channels, 8, 9)).astype(np.float32) + rng.normal()
    )


@pytest.mark.parametrize("name", NORMALISATIONS)
@pytest.mark.parametrize("value", [0.0, 1.0, -3.7, 0.1, 1e-30, 1e30])
def test_a_flat_image_stays_finite(name, value):
    flat = torch.full((2, 2, 6, 6), value)
    assert torch.isfinite(normalisation(name)(flat)).all()
    if name in scaled and name not in ("max", "band_max"):
        assert (normalisation(name)(flat) == 0).all()


@pytest.mark.parametrize("name", NORMALISATIONS)
@given(seed=st.integers(0, 10**6))
def test_an_image_is_scaled_by_its_own_pixels_alone(name, seed):
    batch = images(seed, channels=2)
    before = batch.clone()
    together = normalisation(name)(batch)
    assert torch.equal(batch, before)
    assert together.shape == batch.shape
    assert together.dtype == batch.dtype
    for i in range(len(batch)):
        torch.testing.assert_close(normalisation(name)(batch[i : i + 1])[0], together[i])


@pytest.mark.parametrize("name", scaled)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-6, 1e6))
def test_units_do_not_matter(name, seed, scale):
    batch = images(seed)
    torch.testing.assert_close(
        normalisation(name)(batch * scale), normalisation(name)(batch), atol=2e-4, rtol=1e-3
    )


def test_the_ranges_are_as_promised():
    batch = images(0, channels=3)
    for name in ("minmax", "asinh"):
        scaled = normalisation(name)(batch).flatten(1)
        torch.testing.assert_close(scaled.amin(1), torch.zeros(5))
        torch.testing.assert_close(scaled.amax(1), torch.ones(5))
    torch.testing.assert_close(
        normalisation("max")(batch).flatten(1).amax(1), torch.ones(5)
    )
    standard = normalisation("standard")(batch).flatten(1)
    torch.testing.assert_close(standard.mean(1), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(standard.std(1, correction=0), torch.ones(5))
    assert normalisation("none")(batch) is batch


BY_BAND = [name for name in NORMALISATIONS if name.startswith("band_")]


@pytest.mark.parametrize("name", BY_BAND)
def test_a_band_is_scaled_by_its_own_pixels(name):
    batch = images(1, channels=3) * torch.tensor([1.0, 50.0, 1e-4])[:, None, None]
    scaled = normalisation(name)(batch)
    of_one_band = normalisation(name.removeprefix("band_"))
    for band in range(3):
        torch.testing.assert_close(
            scaled[:, [band]], of_one_band(batch[:, [band]]), rtol=0, atol=0
        )


def test_symlog_keeps_units_and_signs():
    sigmas = torch.tensor([-1e4, -0.01, 0.0, 0.01, 1e4])[None, None, None]
    shown = normalisation("symlog")(sigmas)
    assert torch.equal(shown, -shown.flip(-1))
    torch.testing.assert_close(
        shown.flatten()[3:], torch.tensor([0.01, np.log(2e4)], dtype=torch.float32)
    )


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(
        ConfigError, check=has_code("unknown-normalisation", suggestion="minmax")
    ):
        normalisation("min-max")
