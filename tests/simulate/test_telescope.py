"""The noise of telescopes: closed forms against brute force, files and real images."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from error_codes import has_code

from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError
from lenssim.simulate.draw import draw
from lenssim.simulate.instruments import Instrument, instrument
from lenssim.simulate.noise import NoiseIdentity, noise_model
from lenssim.simulate.noise.correlated import correlate, filter_by_taps, resampling_margin
from lenssim.simulate.noise.coverage import exposure_share
from lenssim.simulate.noise.shot import gaussian_shot, poisson_shot
from lenssim.simulate.noise.telescope import MASKED_SIGMA
from lenssim.simulate.pipeline import simulate
from lenssim.simulate.preset import load_preset, parse_preset
from lenssim.simulate.resampling.correlation import (
    correlation_of_taps,
    drizzle_correlation,
    drizzle_taps,
    resampling_loss,
    spline_correlation,
    spline_taps,
)
from lenssim.simulate.resampling.measured import MeasuredNoise
from lenssim.simulate.spec import SimulationSpec

REAL = Path(
    os.environ.get("LENSSIM_SHARED_DATA", Path(__file__).parents[3] / "shared/data")
)
COSMOS = REAL / "galaxies/cosmos100/acs_I_unrot_sci_20_cf.fits"
SLACS = REAL / "lenses/slacs"


def correlation(noise: np.ndarray, y: int, x: int) -> float:
    """rho(x, y) of noise (N, H, W) of mean 0."""
    height, width = noise.shape[1:]
    product = noise[:, y:, x:] * noise[:, : height - y, : width - x]
    return float(product.mean() / (noise**2).mean())


def camera_with(**numbers) -> Instrument:
    document = instrument("hst_wfc3_f160w").model_dump()
    return Instrument.model_validate({**document, **numbers})


def preset_with(**numbers):
    document = load_preset("III").model_dump(mode="json")
    camera = camera_with(**{"num_pix": 32, **numbers}).model_dump(mode="json")
    return parse_preset({**document, "instrument": camera, "noise": ["telescope", "none"]})


def sample(camera: Instrument, expected: np.ndarray, seed: int = 1) -> np.ndarray:
    scenes = draw(load_preset("III"), np.arange(len(expected)), seed=0)
    return noise_model("telescope").sample(
        expected, scenes, camera, NoiseIdentity(np.arange(len(expected)), seed, "train")
    )


# --- closed forms ---


@pytest.mark.parametrize("ratio", [0.3, 0.8, 1.0, 1.05, 4 / 3, 1.6, 2.0, 3.0])
def test_the_sum_of_the_correlation_is_fruchter_and_hooks(ratio):
    rho = drizzle_correlation(ratio)
    loss = ratio / (1 - 1 / (3 * ratio)) if ratio >= 1 else 1 / (1 - ratio / 3)
    assert 2 * rho.sum() - 1 == pytest.approx(loss, rel=1e-6)
    assert resampling_loss(drizzle_taps(ratio)) == pytest.approx(1 / loss, rel=1e-6)


@pytest.mark.parametrize("ratio", [1.0, 2.63, 3.0, 6.0])
def test_taps_have_the_correlation_that_they_stand_for(ratio):
    for taps, rho in (
        (spline_taps(ratio), spline_correlation(ratio)),
        (drizzle_taps(ratio), drizzle_correlation(ratio)),
    ):
        np.testing.assert_allclose(correlation_of_taps(taps)[: len(rho)], rho, atol=1e-6)
        assert (taps**2).sum() == pytest.approx(1, rel=1e-12)


def test_published_correlations_of_interpolated_noise():
    """Euclid's NISP on pixels of a third: .861 .741 .556 .25, and .222 of the noise map."""
    rho = spline_correlation(3.0)
    assert [rho[1], rho[1] ** 2, rho[2], rho[3]] == pytest.approx(
        [0.861, 0.741, 0.556, 0.25], abs=1e-3
    )
    assert resampling_loss(spline_taps(3.0)) == pytest.approx(0.222, abs=1e-3)


@pytest.mark.parametrize(
    ("pixfrac", "expected"), [(1.0, (0.5, 0.25, 0.03)), (0.8, (0.383, 0.147, 0.006))]
)
def test_drizzling_to_finer_pixels(pixfrac, expected):
    rho = np.append(drizzle_correlation(pixfrac * 0.05 / 0.03), [0, 0])
    assert [rho[1], rho[1] ** 2, rho[2]] == pytest.approx(expected, abs=0.01)


def test_drizzled_pixels_of_the_same_size():
    """1e7 pixels: rho .2500, .0625 and 0 within .002, rms .6667 of sigma."""
    camera = camera_with(resampling={"kernel": "drizzle"})
    rng = np.random.default_rng(0)
    white = rng.standard_normal((400, 161, 161), dtype=np.float32)
    noise = correlate(white, camera)
    assert noise.shape == (400, 160, 160)
    assert noise.std() == pytest.approx(2 / 3, abs=1e-3)
    assert correlation(noise, 0, 1) == pytest.approx(0.25, abs=0.002)
    assert correlation(noise, 1, 0) == pytest.approx(0.25, abs=0.002)
    assert correlation(noise, 1, 1) == pytest.approx(0.0625, abs=0.002)
    assert correlation(noise, 0, 2) == pytest.approx(0, abs=0.002)


def drizzled(native: np.ndarray, ratio: float, shift: tuple[float, float], side: int):
    """One native image (P, P) dropped on (side, side) pixels: area overlaps, and their sum."""

    def overlaps(offset: float) -> np.ndarray:
        starts = np.arange(len(native)) * ratio - offset
        pixels = np.arange(side)
        low = np.maximum(starts[:, None], pixels)
        high = np.minimum(starts[:, None] + ratio, pixels + 1)
        return (high - low).clip(min=0)

    rows, columns = overlaps(shift[0]), overlaps(shift[1])
    weight = rows.sum(0)[:, None] * columns.sum(0)
    return rows.T @ native @ columns, weight


@pytest.mark.parametrize("ratio", [1.0, 5 / 3])
def test_brute_force_drizzle_of_poisson_images(ratio):
    """Many dithers of native Poisson pixels have our correlation, rms and shot noise."""
    rng = np.random.default_rng(3)
    side, dithers, mean, images = 48, 64, 30.0, 60
    native_side = int(np.ceil(side / ratio)) + 3
    residuals = []
    for _ in range(images):
        total = np.zeros((side, side))
        weight = np.zeros((side, side))
        for _ in range(dithers):
            native = rng.poisson(mean, (native_side, native_side)) - mean
            part = drizzled(native, ratio, tuple(rng.random(2) * ratio), side)
            total += part[0]
            weight += part[1]
        residuals.append(total / weight)
    noise = np.array(residuals)
    # white equivalent: each output pixel has 1 / ratio^2 of the electrons of a native one
    weight_map = np.sqrt(mean / dithers) * ratio
    taps = drizzle_taps(ratio)
    rho = np.append(drizzle_correlation(ratio), [0, 0])
    assert noise.std() / weight_map == pytest.approx(resampling_loss(taps), abs=0.01)
    assert correlation(noise, 0, 1) == pytest.approx(rho[1], abs=0.01)
    assert correlation(noise, 1, 1) == pytest.approx(rho[1] ** 2, abs=0.01)
    assert correlation(noise, 2, 0) == pytest.approx(rho[2], abs=0.01)


def test_sums_over_large_areas_keep_the_noise_of_the_weight_map():
    rng = np.random.default_rng(0)
    for resampling in ({"kernel": "drizzle"}, {"kernel": "bilinear"}):
        camera = camera_with(resampling=resampling, native_scale=0.128)
        side = 120 + resampling_margin(camera)
        noise = correlate(rng.standard_normal((3000, side, side), dtype=np.float32), camera)
        inner = noise[:, 10:-10, 10:-10]
        assert inner.sum((1, 2)).std() / 100 == pytest.approx(1, abs=0.05)


def test_a_filter_is_the_sum_that_it_says():
    white = np.random.default_rng(0).standard_normal((20, 9, 8))
    taps = np.array([0.1, -0.4, 0.8])
    by_hand = sum(
        taps[k] * taps[m] * white[:, k : k + 7, m : m + 6]
        for k in range(3)
        for m in range(3)
    )
    np.testing.assert_allclose(filter_by_taps(white, taps), by_hand, atol=1e-14)
    np.testing.assert_array_equal(
        filter_by_taps(white[3:5], taps), filter_by_taps(white, taps)[3:5]
    )


# --- measured noise ---


def test_noise_of_a_measured_correlation_has_it():
    rho = np.zeros((9, 9))
    y, x = np.mgrid[-4:5, -4:5]
    rho = np.exp(-(x**2 / 4 + y**2 / 2))  # not the same along both axes
    measured = {"correlation": rho * 7}
    camera = camera_with(
        num_pix=60, resampling={"kernel": "measured", "measured": measured}
    )
    white = np.random.default_rng(0).standard_normal((1500, 64, 64))
    noise = correlate(white, camera)
    assert noise.shape == (1500, 60, 60)
    assert noise.std() == pytest.approx(camera.pixel_loss, rel=0.01)
    assert camera.pixel_loss == pytest.approx(1 / np.sqrt(rho.sum()))
    for shift in ((0, 1), (1, 0), (1, 1), (2, 1)):
        assert correlation(noise, *shift) == pytest.approx(
            rho[4 + shift[0], 4 + shift[1]], abs=0.01
        )


def test_a_power_spectrum_says_the_same(tmp_path):
    y, x = np.mgrid[-4:5, -4:5]
    rho = np.exp(-(x**2 + y**2) / 2)
    power = np.fft.fft2(np.fft.ifftshift(rho)).real
    np.save(tmp_path / "power.npy", power.clip(min=0))
    measured = MeasuredNoise(power=str(tmp_path / "power.npy"))
    np.testing.assert_allclose(measured.rho(), rho, atol=1e-6)
    assert MeasuredNoise.model_validate_json(measured.model_dump_json()) == measured


@pytest.mark.skipif(not COSMOS.is_file(), reason=f"no measured correlation at {COSMOS}")
def test_the_measured_noise_of_cosmos():
    measured = MeasuredNoise(correlation=str(COSMOS))
    rho = measured.rho()
    assert rho.sum() == pytest.approx(6.10, rel=0.02)
    white = np.random.default_rng(0).standard_normal((300, 256, 256), dtype=np.float32)
    noise = measured.filtered(white)
    for shift, value in (
        ((0, 1), 0.477),
        ((1, 1), 0.230),
        ((0, 2), 0.051),
        ((0, 3), 0.0076),
    ):
        assert correlation(noise, *shift) == pytest.approx(value, abs=0.005)


@pytest.mark.skipif(not SLACS.is_dir(), reason=f"no SLACS lenses at {SLACS}")
def test_corners_of_slacs_images_are_drizzled():
    """rho .24-.25 and .063, and 0.69 of the noise map, in the median of 16 lenses."""
    rows = []
    for path in sorted(SLACS.glob("*/image.fits")):
        image = fits.getdata(path).astype(np.float64)
        sigma = fits.getdata(path.with_name("noise.fits"))
        for corner in ((slice(0, 40), slice(0, 40)), (slice(-40, None), slice(-40, None))):
            if sigma[corner].max() > 1e6:
                continue
            part = image[corner]
            # neighbours differ by noise alone, however the sky varies
            half = [((part[:, k:] - part[:, : 40 - k]) ** 2).mean() / 2 for k in (1, 2, 4)]
            far = half[2]
            diagonal = ((part[1:, 1:] - part[:-1, :-1]) ** 2).mean() / 2
            rows.append(
                (
                    1 - half[0] / far,
                    1 - diagonal / far,
                    np.sqrt(far) / np.median(sigma[corner]),
                )
            )
    side, diagonal, rms = np.median(rows, axis=0)
    assert side == pytest.approx(0.25, abs=0.02)
    assert diagonal == pytest.approx(0.0625, abs=0.02)
    assert rms == pytest.approx(2 / 3, abs=0.04)
    assert instrument("hst_acs_f814w").pixel_loss == pytest.approx(2 / 3)


# --- shot noise ---


@pytest.mark.parametrize("mean", [0.5, 2.0, 10.0, 50.0])
def test_poisson_moments(mean):
    """Mean, variance and skewness within 1 % of theory, at 1e7 pixels for the faintest."""
    exposure = 40.0
    count = 6_000_000
    flux = np.full(count, mean / exposure)
    electrons = (poisson_shot(flux, exposure, np.random.default_rng(5)) + flux) * exposure
    assert electrons.mean() == pytest.approx(mean, rel=0.01)
    assert electrons.var() == pytest.approx(mean, rel=0.01)
    skewness = ((electrons - mean) ** 3).mean() / mean**1.5
    error = np.sqrt(6 / count) * 5
    assert skewness == pytest.approx(mean**-0.5, rel=0.01, abs=error)


def test_gaussian_shot_noise_has_the_same_variance():
    flux = np.array([-1.0, 0.0, 2.0, 50.0])[:, None] * np.ones(200_000)
    deviates = np.random.default_rng(0).standard_normal(flux.shape)
    noise = gaussian_shot(flux, 10.0, deviates)
    assert not noise[:2].any()
    np.testing.assert_allclose(noise[2:].var(1), [0.2, 5.0], rtol=0.02)


@pytest.mark.parametrize("shot", ["gaussian", "poisson"])
def test_images_have_the_noise_of_sky_and_light(shot):
    camera = camera_with(
        num_pix=32, shot_noise=shot, resampling={"kernel": "drizzle"}, native_scale=0.08
    )
    expected = np.full((600, 1, 32, 32), 0.5)
    observed = sample(camera, expected)
    sigma = np.sqrt(float(camera.background()) ** 2 + 0.5 / float(camera.total_exposure()))
    assert observed.dtype == np.float32
    assert (observed - 0.5).std() == pytest.approx(2 / 3 * sigma, rel=0.01)
    assert observed.mean() == pytest.approx(0.5, abs=0.01 * sigma)
    assert correlation((observed - 0.5)[:, 0], 0, 1) == pytest.approx(0.25, abs=0.01)


def test_layers_have_streams_of_their_own():
    """The background is the same whatever the light, its distribution and its losses."""
    numbers = {"num_pix": 16, "resampling": {"kernel": "drizzle"}}
    dark = np.zeros((3, 1, 16, 16))
    gaussian = sample(camera_with(**numbers, shot_noise="gaussian"), dark)
    poisson = sample(camera_with(**numbers, shot_noise="poisson"), dark)
    np.testing.assert_array_equal(gaussian, poisson)
    lossy = camera_with(**numbers, shot_noise="gaussian", dead_pixels=0.01)
    seen = sample(lossy, dark) != 0
    unlike = sample(lossy, dark)[seen] != gaussian[seen]
    assert unlike.mean() < 0.1  # neighbours of dead pixels alone


def test_too_much_light_is_refused():
    with pytest.raises(
        ConfigError, match="more than Poisson noise can count", check=has_code("too-bright")
    ):
        sample(camera_with(num_pix=16, shot_noise="poisson"), np.full((1, 1, 16, 16), 1e18))


# --- lost pixels ---


def test_dead_pixels_and_cosmic_rays_cost_exposures():
    camera = camera_with(num_pix=64, num_exposures=4, exposure_time=500.0, dead_pixels=0.02)
    share = exposure_share(camera, 500.0, np.random.default_rng(0))
    assert set(np.unique(share)) <= {0, 0.25, 0.5, 0.75, 1}
    assert 1 - share.mean() == pytest.approx(0.02, abs=0.005)
    rays = camera_with(num_pix=64, num_exposures=2, cosmic_rays={"pixel_size": 15.0})
    hit = [
        1 - exposure_share(rays, 1000.0, np.random.default_rng(k)).mean() for k in range(20)
    ]
    assert (
        0.015 < np.mean(hit) < 0.05
    )  # of pixels in 1000 s: published 1.5 to 3 % and tracks
    many = camera_with(num_pix=64, num_exposures=200, cosmic_rays={}, dead_pixels=0.01)
    few = camera_with(num_pix=64, num_exposures=64, cosmic_rays={}, dead_pixels=0.01)
    shares = [
        exposure_share(c, 300.0, np.random.default_rng(1)).mean() for c in (many, few)
    ]
    assert shares[0] == pytest.approx(shares[1], abs=0.005)


def test_a_lost_exposure_costs_depth_and_all_of_them_the_pixel():
    preset = preset_with(num_exposures=2, exposure_time=300.0, dead_pixels=0.3)
    spec = SimulationSpec.of(preset, engine="lenstronomy", maps=("sigma", "mask"))
    exposure = simulate(spec, range(40))
    share = exposure.coverage
    assert share is not None
    assert not exposure.observed[share == 0].any()
    np.testing.assert_array_equal(exposure.mask, share > 0)
    assert (exposure.sigma[share == 0] == MASKED_SIGMA).all()
    np.testing.assert_array_equal(exposure.maps["mask"], exposure.mask)
    np.testing.assert_allclose(exposure.maps["sigma"], exposure.sigma, rtol=1e-6)
    deviates = (exposure.observed - exposure.expected) / exposure.sigma
    for value in (0.5, 1.0):
        assert deviates[share == value].std() == pytest.approx(1, abs=0.03)


def test_saturated_pixels_are_masked():
    preset = preset_with(exposure_time=5400.0, saturation=1000.0)
    exposure = simulate(SimulationSpec.of(preset, engine="lenstronomy"), range(6))
    limit = preset.instrument.saturation_flux(5400.0)
    np.testing.assert_array_equal(exposure.mask, exposure.expected <= limit)
    assert not exposure.mask.all()


def test_a_data_set_may_hold_masked_pixels(tmp_path):
    preset = preset_with(exposure_time=5400.0, saturation=4e4)
    plan = make_plan(preset, 6, engine_name="lenstronomy", truth=("mask",))
    generate(tmp_path / "data", plan)
    data = ShardDataset(tmp_path / "data")
    masks = data.read_map("mask", np.arange(6))
    assert 0 < (masks == 0).sum() < 100
    assert (data.images(np.arange(6))[masks == 0] == 0).all()


def test_neighbours_of_masked_pixels_have_their_own_noise_alone():
    """Drizzled noise comes from neighbours too, and those that are masked have no share."""
    changes = {
        "resampling": {"kernel": "drizzle"},
        "native_scale": 0.08,
        "exposure_time": 5400.0,
    }
    preset = preset_with(saturation=4e4, **changes)
    exposure = simulate(SimulationSpec.of(preset, engine="lenstronomy"), range(6))
    residual = (exposure.observed - exposure.expected) / exposure.sigma
    assert not exposure.mask.all()
    assert np.abs(residual[exposure.mask]).max() < 6


def test_the_noise_map_is_that_of_the_weight_map():
    preset = preset_with(resampling={"kernel": "drizzle"}, native_scale=0.08)
    exposure = simulate(SimulationSpec.of(preset, engine="lenstronomy"), range(64))
    residual = (exposure.observed - exposure.expected) / exposure.sigma
    assert exposure.mask.all()
    # the chi2 per pixel of a perfect model; beside bright pixels it is higher
    assert (residual**2).mean() == pytest.approx(4 / 9, abs=0.04)


def test_an_exposure_map_sets_the_depth_of_each_pixel(tmp_path):
    shares = np.ones((32, 32))
    shares[:, :8] = 0.25
    shares[:4] = 0
    np.save(tmp_path / "map.npy", shares)
    preset = preset_with(exposure_map=str(tmp_path / "map.npy"))
    exposure = simulate(SimulationSpec.of(preset, engine="lenstronomy"), range(50))
    np.testing.assert_allclose(exposure.coverage, np.broadcast_to(shares, (50, 1, 32, 32)))
    np.testing.assert_array_equal(exposure.mask, exposure.coverage > 0)
    residual = (exposure.observed - exposure.expected) / exposure.sigma
    assert residual[exposure.coverage == 0.25].std() == pytest.approx(1, abs=0.03)
    full = preset_with()
    bright = simulate(SimulationSpec.of(full, engine="lenstronomy"), [0]).sigma
    ratio = exposure.sigma[0, 0, 4:, :8] / bright[0, 0, 4:, :8]
    np.testing.assert_allclose(ratio, 2, rtol=1e-6)
    for wrong, message in (
        (np.ones((8, 8)), "8 pixels a side"),
        (2 * shares, "0 to 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            preset_with(exposure_map=wrong)


def test_bands_have_noise_and_psfs_of_their_own():
    """Each band has its own layers, kernels and columns."""
    acs = instrument("hst_acs_f814w").model_dump(
        exclude={"name", "summary", "source", "num_pix", "pixel_scale"}
    )
    seeing = {"fwhm": {"uniform": [0.1, 0.2]}, "beta": 3.0, "truncation": 2.0}
    bands = {
        "drizzled": {**acs, "psf": {"fwhm": 0.1}, "saturation": None},
        "white": {**acs, "psf": seeing, "resampling": {}, "saturation": None},
    }
    document = load_preset("III").model_dump(mode="json")
    document["instrument"] = {
        "name": "two",
        "num_pix": 32,
        "pixel_scale": 0.05,
        "bands": bands,
    }
    preset = parse_preset({**document, "noise": ["telescope"]})
    exposure = simulate(SimulationSpec.of(preset, engine="lenstronomy"), range(40))
    assert "psf_fwhm_white" in exposure.params
    residual = (exposure.observed - exposure.expected) / exposure.sigma
    loss = [residual[:, band].std() for band in range(2)]
    assert loss == pytest.approx([2 / 3, 1], abs=0.03)
    together = (residual[:, 0] * residual[:, 1]).mean()
    assert together == pytest.approx(0, abs=0.02)
    batched = SimulationSpec.of(preset, engine="batched", precision="float64")
    ours = simulate(batched, range(6)).expected
    assert np.abs(ours - exposure.expected[:6]).max() < 1e-9 * exposure.expected.max()
