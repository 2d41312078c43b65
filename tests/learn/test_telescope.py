"""Noise on the training device: the same figures as the simulator's."""

import numpy as np
import pytest
from error_codes import has_code

from lenssim.errors import ConfigError, DataError
from lenssim.simulate.instruments import Instrument, instrument
from lenssim.simulate.noise.correlated import filter_by_taps as by_numpy
from lenssim.simulate.noise.variance import noise_variance

torch = pytest.importorskip("torch")

from lenssim.learn.inputs.augment import augmentation  # noqa: E402
from lenssim.learn.inputs.description import ImageDescription  # noqa: E402
from lenssim.learn.inputs.telescope import filter_by_taps, telescope_noise  # noqa: E402


def camera_with(**numbers) -> Instrument:
    return Instrument.model_validate(
        {**instrument("hst_acs_f814w").model_dump(), **numbers}
    )


def rho_of(noise, y: int, x: int) -> float:
    height, width = noise.shape[-2:]
    product = noise[..., y:, x:] * noise[..., : height - y, : width - x]
    return float(product.mean() / (noise**2).mean())


def test_a_filter_is_numpys():
    white = np.random.default_rng(0).standard_normal((5, 12, 11))
    taps = np.array([0.3, -0.2, 0.9])
    np.testing.assert_allclose(
        filter_by_taps(torch.from_numpy(white), taps).numpy(),
        by_numpy(white, taps),
        atol=1e-12,
    )


@pytest.mark.parametrize("shot", ["gaussian", "poisson"])
@pytest.mark.parametrize("flux", [-0.1, 0.0, 0.05])
def test_noise_has_the_layers_of_the_camera(shot, flux):
    camera = camera_with(shot_noise=shot)
    expected = torch.full((400, 1, 64, 64), flux, dtype=torch.float64)
    observed, sigma = telescope_noise(expected, camera, torch.Generator().manual_seed(1))
    np.testing.assert_allclose(
        sigma**2, noise_variance(expected.numpy(), camera), rtol=1e-12
    )
    noise = (observed - expected) / sigma
    assert float(noise.std()) == pytest.approx(2 / 3, abs=0.005)
    assert rho_of(noise, 0, 1) == pytest.approx(0.25, abs=0.005)
    assert rho_of(noise, 1, 1) == pytest.approx(0.0625, abs=0.005)
    assert float(noise.mean()) == pytest.approx(0, abs=0.005)


@pytest.mark.parametrize("name", ["euclid_mer", "rubin_y10", "nircam"])
def test_each_band_has_its_own_noise(name):
    camera = instrument(name)
    count = len(camera.band_names)
    expected = torch.full((60, count, 64, 64), 0.02, dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    observed, sigma = telescope_noise(expected, camera, generator)
    noise = (observed - expected) / sigma
    for number, band in enumerate(camera.instruments):
        np.testing.assert_allclose(
            sigma[:, number] ** 2,
            noise_variance(expected.numpy(), band)[:, number],
            rtol=1e-9,
        )
        assert float(noise[:, number].std()) == pytest.approx(band.pixel_loss, rel=0.05)
        if number:
            pair = torch.stack([noise[:, 0].flatten(), noise[:, number].flatten()])
            assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.03


def test_images_of_other_bands_are_refused():
    images = torch.zeros((1, 2, 8, 8))
    with pytest.raises(DataError, check=has_code("image-shape", shape=(1, 2, 8, 8))):
        telescope_noise(images, instrument("euclid_mer"), torch.Generator())


def test_lost_exposures_cost_depth():
    camera = camera_with(
        num_exposures=2, dead_pixels=0.4, cosmic_rays={}, resampling={"kernel": "none"}
    )
    expected = torch.zeros((200, 1, 32, 32), dtype=torch.float64)
    observed, sigma = telescope_noise(expected, camera, torch.Generator().manual_seed(0))
    masked = torch.isinf(sigma)
    assert float(masked.double().mean()) == pytest.approx(0.16, abs=0.03)
    assert not observed[masked].any()
    assert float((observed / sigma)[~masked].std()) == pytest.approx(1, abs=0.01)


def test_neighbours_of_lost_pixels_have_their_own_noise_alone():
    camera = camera_with(num_exposures=1, dead_pixels=0.1)
    expected = torch.zeros((200, 1, 32, 32), dtype=torch.float64)
    observed, sigma = telescope_noise(expected, camera, torch.Generator().manual_seed(0))
    noise = (observed / sigma)[~torch.isinf(sigma)]
    assert float(noise.std()) == pytest.approx(2 / 3, abs=0.01)


def test_full_pixels_are_masked():
    camera = camera_with(saturation=77_000)
    limit = float(camera.saturation_flux(camera.exposure_time))
    expected = torch.full((4, 1, 16, 16), 0.1, dtype=torch.float64)
    expected[:, :, 5, 6] = 1.01 * limit
    observed, sigma = telescope_noise(expected, camera, torch.Generator().manual_seed(0))
    lost = torch.isinf(sigma)
    assert torch.equal(lost, expected > limit)
    assert not observed[lost].any()
    assert float((observed - expected)[~lost].abs().max()) < 0.5


def test_noise_of_a_measured_correlation_has_it():
    x = np.arange(-6, 7)
    rho = np.exp(-np.hypot(x[:, None], x) / 1.5)
    measured = {"kernel": "measured", "measured": {"correlation": rho}}
    camera = camera_with(resampling=measured)
    expected = torch.zeros((300, 1, 48, 48), dtype=torch.float64)
    observed, sigma = telescope_noise(expected, camera, torch.Generator().manual_seed(0))
    noise = observed / sigma
    assert float(noise.std()) == pytest.approx(camera.pixel_loss, abs=0.01)
    for y, x in ((0, 1), (1, 1), (0, 3)):
        assert rho_of(noise, y, x) == pytest.approx(rho[6 + y, 6 + x], abs=0.02)


def test_an_exposure_map_sets_the_depth_of_each_pixel(tmp_path):
    shares = np.ones((64, 64), np.float32)
    shares[:32] = 0.25
    np.save(tmp_path / "map.npy", shares)
    camera = camera_with(exposure_map=str(tmp_path / "map.npy"))
    expected = torch.zeros((200, 1, 64, 64), dtype=torch.float64)
    observed, sigma = telescope_noise(expected, camera, torch.Generator().manual_seed(0))
    ratio = sigma[0, 0, 0, 0] / sigma[0, 0, -1, -1]
    assert float(ratio) == pytest.approx(2, rel=1e-6)
    for part in (slice(0, 30), slice(34, 64)):
        scatter = float((observed / sigma)[:, :, part].std())
        assert scatter == pytest.approx(2 / 3, abs=0.01)


@pytest.mark.parametrize("name", ["hst_acs_f814w", "euclid_mer"])
def test_the_noise_of_the_camera_is_an_augmentation(name):
    """Amounts are uniform, so that the mean variance is a third of the camera's."""
    camera = instrument(name)
    images = torch.full((500, len(camera.instruments), 24, 24), 0.02, dtype=torch.float64)
    change = augmentation("telescope=2", camera=camera)
    changed, _ = change(images, torch.Generator().manual_seed(0))
    for number, band in enumerate(camera.instruments):
        variance = noise_variance(images.numpy(), band)[0, 0, 0, 0]
        added = (changed - images)[:, number].square().mean()
        expected = 4 / 3 * variance * band.pixel_loss**2
        assert float(added) == pytest.approx(expected, rel=0.12)


def test_the_augmentation_masks_lost_pixels():
    camera = camera_with(num_exposures=1, dead_pixels=0.2)
    images = torch.ones((50, 1, 24, 24))
    generator = torch.Generator().manual_seed(0)
    changed, _ = augmentation("telescope", camera=camera)(images, generator)
    assert float((changed == 0).double().mean()) == pytest.approx(0.2, abs=0.02)


def test_the_augmentation_needs_a_camera():
    with pytest.raises(ConfigError, check=has_code("augment-camera")):
        augmentation("flips+telescope", images=ImageDescription((1, 8, 8)))


def test_the_augmentation_is_correlated():
    images = torch.zeros((300, 2, 64, 64), dtype=torch.float64)
    images[..., 32, 32] = 1
    changed, _ = augmentation("drizzle=0.1")(images, torch.Generator().manual_seed(0))
    noise = (changed - images)[..., :30, :]
    assert rho_of(noise, 0, 1) == pytest.approx(0.25, abs=0.01)
    assert float((noise.std((1, 2, 3))).max()) == pytest.approx(0.1, abs=0.01)


def test_dead_pixels_are_those_of_all_bands():
    images = torch.ones((200, 2, 32, 32))
    changed, _ = augmentation("dead=0.2")(images, torch.Generator().manual_seed(0))
    assert torch.equal(changed[:, 0], changed[:, 1])
    shares = 1 - changed.mean((1, 2, 3))
    assert 0.15 < float(shares.max()) <= 0.25
    assert float(shares.mean()) == pytest.approx(0.1, abs=0.02)
