"""Laws of mosaics: what the table says lies where it says, in the noise that the camera has."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from error_codes import has_code

from lenssim.errors import ConfigError, IncompleteError
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.instruments import instrument
from lenssim.simulate.noise.correlated import correlate
from lenssim.simulate.preset import load_preset
from lenssim.simulate.wide import noise as noise_module
from lenssim.simulate.wide.journal import Journal
from lenssim.simulate.wide.losses import FieldLosses
from lenssim.simulate.wide.mosaic import truth_path, write_mosaic
from lenssim.simulate.wide.noise import FieldNoise
from lenssim.simulate.wide.population import field_objects
from lenssim.simulate.wide.request import MosaicRequest

SIZE = 600
REQUEST = MosaicRequest(size=SIZE, lenses=4, seed=3, galaxies=10, stars=5)


@pytest.fixture(scope="module")
def mosaic(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("mosaic") / "field.fits"
    write_mosaic(path, load_preset("euclid-vis"), REQUEST)
    return path


def columns(path: Path) -> dict[str, np.ndarray]:
    table = np.genfromtxt(truth_path(path), delimiter=",", names=True, dtype=None)
    return {name: table[name] for name in table.dtype.names}


def test_the_table_and_the_header_agree_on_the_sky(mosaic):
    truth = columns(mosaic)
    header = fits.getheader(mosaic, "SCI")
    ra, dec = WCS(header).all_pix2world(truth["x"], truth["y"], 0)
    np.testing.assert_allclose(truth["ra"], ra, atol=1e-8)
    np.testing.assert_allclose(truth["dec"], dec, atol=1e-8)


def test_lenses_are_the_samples_of_the_preset(mosaic):
    """The light of the preset's own samples, taken from the image, leaves less than it."""
    truth = columns(mosaic)
    preset = load_preset("euclid-vis")
    image = fits.getdata(mosaic, "SCI").astype(np.float64)
    numbers = np.arange(REQUEST.lenses)
    first = draw(preset, numbers[:1], seed=3, split="test").params["psf_index"][0]
    scenes = draw(preset, numbers, seed=3, split="test", fixed={"psf_index": first})
    camera = preset.instrument.model_copy(update={"num_pix": 21})
    light = engine("batched").render(scenes, camera, supersampling=3)[:, 0]
    lenses = np.flatnonzero(truth["kind"] == "lens")
    assert truth["number"][lenses].tolist() == numbers.tolist()
    for row, number in zip(lenses, numbers, strict=True):
        step = SIZE / 2
        x = int((number % 2 + 0.5) * step)
        y = int((number // 2 + 0.5) * step)
        assert np.hypot(truth["x"][row] - x, truth["y"][row] - y) < 2
        cut = image[y - 10 : y + 11, x - 10 : x + 11]
        expected = light[number]
        assert np.corrcoef(cut.ravel(), expected.ravel())[0, 1] > 0.95


def test_stars_and_galaxies_have_their_flux(tmp_path):
    request = MosaicRequest(size=512, lenses=0, galaxies=0, stars=30, seed=1)
    path = tmp_path / "field.fits"
    write_mosaic(path, load_preset("euclid-vis"), request)
    truth = columns(path)
    image = fits.getdata(path, "SCI").astype(np.float64)
    zero_point = fits.getheader(path, "SCI")["MAGZERO"]
    checked = 0
    y, x = np.mgrid[:512, :512]
    for magnitude, star_x, star_y in zip(
        truth["magnitude"], truth["x"], truth["y"], strict=True
    ):
        near = np.hypot(truth["x"] - star_x, truth["y"] - star_y)
        inside = 25 < star_x < 487 and 25 < star_y < 487
        if magnitude > 21 or not inside or np.sort(near)[1] < 25:
            continue
        flux = image[np.hypot(x - star_x, y - star_y) < 15].sum()
        assert abs(zero_point - 2.5 * np.log10(flux) - magnitude) < 0.1
        checked += 1
    assert checked > 0


@pytest.mark.parametrize("name", ["euclid_vis_q1", "challenge_space"])
def test_the_noise_is_that_of_the_camera_and_has_no_seams(monkeypatch, name):
    monkeypatch.setattr(noise_module, "BLOCK_SIDE", 64)
    camera = instrument(name)
    noise = FieldNoise(camera, seed=1, split="test", columns=4)
    dark = np.zeros((64 + noise.margin,) * 2)
    field = np.block([[noise.noise(dark, r, c, 0) for c in range(4)] for r in range(4)])
    sigma = float(camera.background()) * camera.pixel_loss
    assert abs(field.std() / sigma - 1) < 0.03
    rng = np.random.default_rng(0)
    side = 256 + noise.margin
    white = rng.normal(size=(1, side, side)).astype(np.float32)
    whole = correlate(white, camera)[0]
    expected = np.corrcoef(whole[:, :-1].ravel(), whole[:, 1:].ravel())[0, 1]
    seams = np.arange(63, 255, 64)
    across = np.corrcoef(field[:, seams].ravel(), field[:, seams + 1].ravel())[0, 1]
    assert abs(across - expected) < 0.1


def test_the_noise_map_is_that_of_the_image(mosaic):
    image = fits.getdata(mosaic, "SCI").astype(np.float64)
    sigma = fits.getdata(mosaic, "ERR").astype(np.float64)
    camera = load_preset("euclid-vis").instrument
    assert sigma.min() >= float(camera.background()) * (1 - 1e-6)
    steps = np.median(np.abs(image[:, 40:] - image[:, :-40])) / 0.6745 / np.sqrt(2)
    assert abs(steps / np.median(sigma) / camera.pixel_loss - 1) < 0.1


def test_a_seed_decides_all(mosaic, tmp_path):
    again = tmp_path / "field.fits"
    write_mosaic(again, load_preset("euclid-vis"), REQUEST)
    assert again.read_bytes() == mosaic.read_bytes()
    assert truth_path(again).read_bytes() == truth_path(mosaic).read_bytes()


def test_a_larger_field_has_the_same_galaxies():
    small, large = (
        list(field_objects(replace_size(REQUEST, size), 0.1)) for size in (512, 1024)
    )
    first = next(cell for cell in large if cell.kind == "galaxy")
    assert np.array_equal(small[0].x[small[0].x < 500], first.x[first.x < 500])


def replace_size(request: MosaicRequest, size: int) -> MosaicRequest:
    return request.model_copy(update={"size": size})


def test_bands_have_an_image_each(tmp_path):
    request = MosaicRequest(size=256, lenses=0, galaxies=10, stars=2, camera="hsc")
    write_mosaic(tmp_path / "field.fits", load_preset("euclid-vis"), request)
    with fits.open(tmp_path / "field.fits") as units:
        names = [unit.name for unit in units[1:]]
    assert names[:4] == ["g_SCI", "g_ERR", "r_SCI", "r_ERR"]
    assert "z_PSF" in names


def test_too_many_lenses_are_refused(tmp_path):
    request = MosaicRequest(size=256, lenses=9)
    with pytest.raises(ConfigError, check=has_code("option-range", option="lenses")):
        write_mosaic(tmp_path / "field.fits", load_preset("euclid-vis"), request)
    assert not list(tmp_path.iterdir())


def test_a_camera_without_magnitudes_is_refused(tmp_path):
    request = MosaicRequest(size=256, lenses=0, camera="deeplense_simple")
    with pytest.raises(ConfigError, check=has_code("no-zero-point")):
        write_mosaic(tmp_path / "field.fits", load_preset("I"), request)


SMALL = MosaicRequest(size=600, lenses=2, seed=5, galaxies=3, stars=3, bad_pixels=0.01)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("small") / "field.fits"
    write_mosaic(path, load_preset("challenge-space"), SMALL)
    return path


@pytest.mark.parametrize("parts", [1, 4, 9, 12])  # lenses, galaxies and stars, noise
def test_a_stopped_mosaic_goes_on(small, tmp_path, parts):
    path = tmp_path / "field.fits"
    answers = iter([False] * parts)
    preset = load_preset("challenge-space")
    with pytest.raises(IncompleteError, check=has_code("stopped")):
        write_mosaic(path, preset, SMALL, stop=lambda: next(answers, True))
    assert not path.exists()
    write_mosaic(path, preset, SMALL)
    assert path.read_bytes() == small.read_bytes()
    assert truth_path(path).read_bytes() == truth_path(small).read_bytes()
    assert {file.name for file in tmp_path.iterdir()} == {path.name, truth_path(path).name}


def test_a_killed_mosaic_begins_anew(small, tmp_path):
    """Light is added to the file: what a killed process left may hold a part of it twice."""
    path = tmp_path / "field.fits"
    preset = load_preset("challenge-space")
    journal = Journal(path, preset, SMALL)
    journal.open()
    journal.field.write_bytes(b"half")
    write_mosaic(path, preset, SMALL)
    assert path.read_bytes() == small.read_bytes()


def test_bad_pixels_are_masked_and_glare(small):
    plain = small.with_name("plain.fits")
    whole = SMALL.model_copy(update={"bad_pixels": 0.0})
    write_mosaic(plain, load_preset("challenge-space"), whole)
    mask = fits.getdata(small, "DQ") > 0
    assert abs(mask.mean() / SMALL.bad_pixels - 1) < 0.1
    image, expected = (fits.getdata(path, "SCI") for path in (small, plain))
    np.testing.assert_array_equal(image[~mask], expected[~mask])
    sigma = fits.getdata(small, "ERR")
    excess = (image - expected)[mask] / sigma[mask]
    np.testing.assert_allclose(excess, FieldLosses.glare, rtol=1e-3)
    with fits.open(plain) as units:
        assert [unit.name for unit in units][1:] == ["SCI", "ERR", "PSF"]
