"""Noise: its numbers, its identity, and lenstronomy's own definition of it."""

import numpy as np
import pytest
from error_codes import has_code

from lenssim.errors import ConfigError
from lenssim.simulate.draw import draw
from lenssim.simulate.instruments import Instrument, instrument, instruments
from lenssim.simulate.observe import NOISES, noise_sigma, observe
from lenssim.simulate.preset import load_preset

PRESETS = {"none": "III", "nominal": "III", "published": "I", "telescope": "III"}


@pytest.fixture(params=sorted(NOISES))
def noise(request) -> str:
    return request.param


def flat_scenes(noise: str, n: int, brightness: float):
    preset = load_preset(PRESETS[noise])
    size = preset.instrument.num_pix
    return (
        preset,
        draw(preset, np.arange(n), seed=0),
        np.full((n, 1, size, size), brightness),
    )


def test_noise_depends_on_seed_split_and_number_alone(noise):
    preset, scenes, expected = flat_scenes(noise, 70, 0.5)

    def images(rows, **key):
        part = scenes.take(np.array(rows))
        return observe(
            expected[rows],
            part,
            preset.instrument,
            noise,
            numbers=np.array(rows),
            **{"seed": 3, **key},
        )

    whole = images(list(range(70)))
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(images([66, 2, 65]), whole[[66, 2, 65]])
    if noise != "none":
        assert not np.array_equal(images([2], seed=4), whole[[2]])
        assert not np.array_equal(images([2], split="test"), whole[[2]])
        assert not np.array_equal(whole[0], whole[1])


@pytest.mark.parametrize("brightness", [0.0, 0.5, 10.0])
def test_nominal_noise_is_lenstronomys(brightness):
    from lenstronomy.SimulationAPI.data_api import DataAPI

    preset, scenes, expected = flat_scenes("nominal", 40, brightness)
    camera = preset.instrument
    api = DataAPI(
        num_pix=64,
        pixel_scale=camera.pixel_scale,
        exposure_time=camera.exposure_time,
        num_exposures=camera.num_exposures,
        magnitude_zero_point=camera.zero_point,
        sky_brightness=camera.sky_brightness,
        read_noise=camera.read_noise,
        ccd_gain=camera.gain,
        seeing=camera.psf.fwhm,
        psf_type="GAUSSIAN",
    )
    sigma = noise_sigma(expected, scenes, camera)
    np.testing.assert_allclose(sigma[0, 0], api.estimate_noise(expected[0, 0]), rtol=1e-12)
    drawn = (
        observe(expected, scenes, camera, "nominal", numbers=np.arange(40), seed=0)
        - expected
    ) / sigma
    assert abs(drawn.mean()) < 4 / np.sqrt(drawn.size)
    assert drawn.std() == pytest.approx(1, abs=4 / np.sqrt(2 * drawn.size))


def test_published_noise_of_model_I_counts_shot_noise_twice():
    preset, scenes, expected = flat_scenes("published", 30, 2.0)
    counts = observe(
        expected, scenes, preset.instrument, "published", numbers=np.arange(30), seed=0
    )
    assert (counts == np.round(counts)).all()
    time = scenes.params["exposure_time"]
    mean, variance = (
        counts.mean(axis=(1, 2, 3)),
        counts.astype(np.float64).var(axis=(1, 2, 3)),
    )
    np.testing.assert_allclose(mean, 2 * time, rtol=4e-3)
    # Poisson of a number that itself has the variance of the first shot noise and of the background
    np.testing.assert_allclose(
        variance, 2 * time + 2 * time + (0.01 * time) ** 2, rtol=0.06
    )


def test_brighter_than_nothing_only():
    """A negative expected flux carries no shot noise."""
    preset, scenes, expected = flat_scenes("nominal", 1, -1.0)
    np.testing.assert_allclose(
        noise_sigma(expected, scenes, preset.instrument), preset.instrument.background()
    )


@pytest.mark.parametrize("name", instruments())
def test_frozen_numbers(name):
    camera = instrument(name)
    assert camera.name == name
    assert camera.source
    assert all(band.background() > 0 for band in camera.instruments)


def test_instruments_against_the_installed_lenstronomy():
    """Only a warning: lenstronomy changes its constants between releases, ours are frozen for good."""
    import warnings

    from lenstronomy.SimulationAPI.ObservationConfig.HST import HST

    theirs = HST(band="WFC3_F160W", psf_type="GAUSSIAN").kwargs_single_band()
    ours = instrument("hst_wfc3_f160w")
    pairs = {
        "pixel_scale": ours.pixel_scale,
        "magnitude_zero_point": ours.zero_point,
        "exposure_time": ours.exposure_time,
        "num_exposures": ours.num_exposures,
        "sky_brightness": ours.sky_brightness,
        "read_noise": ours.read_noise,
        "ccd_gain": ours.gain,
        "seeing": ours.psf.fwhm,
    }
    changed = {
        key: (theirs[key], value) for key, value in pairs.items() if theirs[key] != value
    }
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        if changed:
            warnings.warn(
                f"lenstronomy's HST numbers differ from ours (theirs, ours): {changed}",
                stacklevel=1,
            )


@pytest.mark.parametrize(
    "numbers",
    [
        {"sky_brightness": 22.0},
        {"zero_point": 25.0},
        {"sky_brightness": 22.0, "background_rms": 0.1},
    ],
)
def test_a_camera_needs_one_background(numbers):
    with pytest.raises(ValueError, match=r"background_rms|zero_point"):
        Instrument(
            name="mine", pixel_scale=0.1, exposure_time=1, psf={"fwhm": 0.1}, **numbers
        )


def test_unknown_noise_is_named():
    preset, scenes, expected = flat_scenes("none", 1, 1.0)
    with pytest.raises(ConfigError, check=has_code("unknown-noise", suggestion="nominal")):
        observe(
            expected, scenes, preset.instrument, "nominl", numbers=np.array([0]), seed=0
        )
    with pytest.raises(
        ConfigError,
        match="noise of preset III",
        check=has_code("unknown-noise", name="published"),
    ):
        preset.noise_kind("published")
