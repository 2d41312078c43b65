"""What lenssim fit takes: files and folders, starts of a network, real images; and what it repeats."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from error_codes import has_code
from scipy.ndimage import gaussian_filter

import lenssim as package
from lenssim.api import network_starts
from lenssim.api.files_to_fit import dataset_of
from lenssim.errors import ConfigError, DataError
from lenssim.simulate.fit.scan import Candidate, ScanGrid
from lenssim.simulate.fit.settings import Search
from lenssim.simulate.pipeline import simulate
from lenssim.simulate.preset import load_preset
from lenssim.simulate.spec import SimulationSpec
from lenssim.sky.models import modelling
from lenssim.sky.models.lenses import Lenses, lens_names
from lenssim.sky.models.request import FitRequest
from lenssim.sky.models.starts import NO_STARTS, Starts

SCALE = 0.08
NAMES = ("a", "b")


@pytest.fixture(autouse=True)
def small_search(monkeypatch):
    """Fewer starts: these tests ask what goes in and comes out."""
    grid = ScanGrid((0.9, 1.2, 1.5), 3)

    def search(**options):
        return Search(**options, grid=grid, starts=2, minima=1, escalates=False)

    monkeypatch.setattr(modelling, "Search", search)


@pytest.fixture(scope="module")
def exposure():
    """Two smooth lenses without lens light, and what is true of them."""
    preset = load_preset("hst-arcs").with_classes(("no_sub",))
    return simulate(SimulationSpec.of(preset, seed=3, device="cpu"), [0, 1])


@pytest.fixture(scope="module")
def cutouts(exposure, tmp_path_factory):
    """A folder for each of them, in larger images whose middle is not the lens's."""
    home = tmp_path_factory.mktemp("cutouts")
    camera = exposure.spec.preset.instrument
    psf = camera.of_image(exposure.scenes.params, 0).psf.kernel_at(SCALE)
    for row, name in enumerate(NAMES):
        place = home / name
        place.mkdir()
        image = np.zeros((70, 70), np.float32)
        sigma = np.full((70, 70), exposure.sigma[row].min(), np.float32)
        image[1:65, 5:69] = exposure.observed[row, 0]
        sigma[1:65, 5:69] = exposure.sigma[row, 0]
        fits.writeto(place / "image.fits", image)
        fits.writeto(place / "noise.fits", sigma)
        fits.writeto(place / "psf.fits", psf.astype(np.float32))
    return home


@pytest.fixture
def options():
    return {"workers": 0, "native_scale": SCALE, "lens_light": "no"}


def test_files_and_their_folder_give_the_same_models(cutouts, tmp_path, options):
    files = sorted(cutouts.rglob("*.fits"))
    whole = package.fit(cutouts, tmp_path / "folder", **options)
    parts = package.fit(files, tmp_path / "files", **options)
    assert whole["name"].tolist() == parts["name"].tolist() == list(NAMES)
    np.testing.assert_array_equal(whole["theta_E"], parts["theta_E"])
    again = package.fit(files, tmp_path / "files", **options)
    np.testing.assert_array_equal(again["theta_E"], parts["theta_E"])


def test_a_complete_fit_may_lie_on_a_disk_that_cannot_be_written(
    cutouts, tmp_path, options, monkeypatch
):
    first = package.fit(cutouts / "a", tmp_path / "fit", **options)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("replace", "unlink", "write_bytes", "write_text"):
        monkeypatch.setattr(Path, name, refuse)
    again = package.fit(
        tmp_path / "fit" / "data", tmp_path / "fit", workers=0, lens_light="no"
    )
    np.testing.assert_array_equal(again["theta_E"], first["theta_E"])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.thorough
def test_sersic_light_on_real_images(cutouts, exposure, tmp_path, options):
    """The minimum and its numbers are those of the simulation, about the middle of the image."""
    models = package.fit(cutouts / "a", tmp_path / "fit", source="sersic", **options)
    truth = {name: column[0] for name, column in exposure.scenes.params.items()}
    shift = np.array([5.0 - 3.0, 1.0 - 3.0]) * SCALE
    for name in ("theta_E", "gamma", "e1", "e2", "gamma1", "gamma2"):
        assert abs(models[name][0] - truth[name]) < 6 * models[f"{name}_sandwich"][0]
    np.testing.assert_allclose(
        models["center_x"][0], truth["center_x"] + shift[0], atol=0.02
    )
    np.testing.assert_allclose(
        models["center_y"][0], truth["center_y"] + shift[1], atol=0.02
    )
    gamma = np.array(
        [[truth["gamma1"], truth["gamma2"]], [truth["gamma2"], -truth["gamma1"]]]
    )
    moved = shift - gamma @ shift
    place = [models[f"source_center_{axis}"][0] for axis in "xy"]
    expected = [truth[f"source_center_{axis}"] for axis in "xy"] + moved
    np.testing.assert_allclose(place, expected, atol=0.03)
    assert 0.8 < models["chi2_per_pixel"][0] < 1.25
    flux = exposure.expected[0].sum()
    zero_point = exposure.spec.preset.instrument.zero_point
    unlensed = 10 ** (-0.4 * (truth["source_magnitude"] - zero_point))
    np.testing.assert_allclose(models["magnification"][0], flux / unlensed, rtol=0.1)


@pytest.mark.parametrize(
    ("data", "code"),
    [([], "no-data"), (["gone.fits", "away.fits"], "no-file")],
)
def test_nothing_to_fit_is_said(tmp_path, data, code):
    with pytest.raises((ConfigError, DataError), check=has_code(code)):
        package.fit(data, tmp_path / "fit", workers=0)
    assert not (tmp_path / "fit").exists()


def test_a_folder_without_fits_files_is_told_from_a_data_set(tmp_path):
    (tmp_path / "notes.txt").write_text("no lenses")
    with pytest.raises(DataError, check=has_code("no-images")) as refused:
        package.fit(tmp_path, tmp_path / "fit", workers=0)
    assert refused.value.fields == {"folder": tmp_path}
    assert not (tmp_path / "fit").exists()


def test_files_that_cannot_be_used_are_left_out_if_asked(cutouts, tmp_path):
    source = tmp_path / "sky"
    shutil.copytree(cutouts, source)
    noise = fits.getdata(source / "b" / "noise.fits")
    fits.writeto(source / "b" / "noise.fits", -noise, overwrite=True)
    request = FitRequest(native_scale=SCALE)
    with pytest.raises(DataError, check=has_code("noise-values")) as refused:
        dataset_of(source, tmp_path / "fit", request)
    assert "--skip-bad" in str(refused.value)
    data = dataset_of(
        source, tmp_path / "fit", request.model_copy(update={"skip_bad": True})
    )
    assert lens_names(data) == ("a",)


@pytest.mark.parametrize("option", [{"native_scale": SCALE}, {"skip_bad": True}])
def test_a_data_set_takes_no_options_of_files(cutouts, tmp_path, option):
    data = package.import_data("fits", cutouts, tmp_path / "data", native_scale=SCALE)
    with pytest.raises(ConfigError, check=has_code("option-of-files")):
        package.fit(data, tmp_path / "fit", **option)


def write_bands(folder, exposure, blurs):
    """Write one lens as the extensions of a file: bands with noise maps and PSFs that differ."""
    camera = exposure.spec.preset.instrument
    psf = camera.of_image(exposure.scenes.params, 0).psf.kernel_at(SCALE)
    parts = [fits.PrimaryHDU()]
    for name, blur in blurs.items():
        header = fits.Header({"PIXSCALE": SCALE})
        planes = {
            "BGSUB": gaussian_filter(exposure.observed[0, 0], blur),
            "RMS": exposure.sigma[0, 0],
            "PSF": gaussian_filter(np.pad(psf, 6), blur),
        }
        parts += [
            fits.ImageHDU(plane.astype(np.float32), header, name=f"{name}_{role}")
            for role, plane in planes.items()
        ]
    folder.mkdir()
    fits.HDUList(parts).writeto(folder / "cutout.fits")


@pytest.fixture
def three_bands(exposure, tmp_path):
    """A lens in three bands, of which the second to be read is the sharpest."""
    write_bands(tmp_path / "sky", exposure, {"DES_G": 4, "VIS": 0, "DES_R": 5})
    return tmp_path / "sky"


def test_the_clearest_band_is_fitted_unless_another_is_named(three_bands, tmp_path):
    data = dataset_of(three_bands, tmp_path / "fit", FitRequest())
    lenses = Lenses(data, FitRequest())
    assert data.bands[0] != "VIS"
    assert lenses.band == data.bands.index("VIS")
    assert lenses.band_words == f"band VIS of {', '.join(data.bands)}"
    for number, name in enumerate(data.bands):
        assert Lenses(data, FitRequest(band=name)).band == number


@pytest.mark.thorough
def test_a_fit_says_which_band_it_takes(three_bands, tmp_path, capsys):
    models = package.fit(three_bands, tmp_path / "fit", workers=0, lens_light="no")
    data = package.open(tmp_path / "fit" / "data")
    assert "band VIS of" in capsys.readouterr().err
    assert "band VIS of" in (tmp_path / "fit" / "index.html").read_text()
    (image,) = data.images([0])
    np.testing.assert_array_equal(
        models.pictures.images([0])[0, 0], image[data.bands.index("VIS")]
    )


def test_a_data_set_stands_alone(cutouts, tmp_path):
    package.import_data("fits", cutouts, tmp_path / "data", native_scale=SCALE)
    with pytest.raises(ConfigError, check=has_code("data-among-files")):
        package.fit([tmp_path / "data", cutouts / "a"], tmp_path / "fit")


def test_starts_are_joined():
    one = Candidate(1.0, 0.0, 0.0, 0.0, 0.0)
    two = Candidate(2.0, 0.0, 0.0, 0.0, 0.0)
    guesses = Starts({"a": (one,)}, {"guesses_sha256": "1"})
    network = Starts({"a": (two,), "b": (two,)}, {"start_sha256": "2"})
    both = guesses.joined(network)
    assert both.of("a") == (one, two)
    assert both.of("b") == (two,)
    assert both.digests == {"guesses_sha256": "1", "start_sha256": "2"}
    assert NO_STARTS.of("a") == ()


def test_a_posterior_gives_candidates_that_can_be():
    """theta_E at its mean, and 1 and 2 sigma from it; nothing flatter or smaller than a start."""
    targets = ("e1", "theta_E", "e2")
    answer = {
        "targets": {"e1": 0.5, "theta_E": 0.3, "e2": 0.5},
        "covariance": [[0.01, 0.005, 0.0], [0.005, 0.04, 0.0], [0.0, 0.0, 0.01]],
    }
    starts = network_starts._candidates(targets, answer)
    radii = [start.theta_E for start in starts]
    np.testing.assert_allclose(radii, [0.3, 0.1, 0.5, 0.1, 0.7])
    lengths = [np.hypot(start.e1, start.e2) for start in starts]
    assert max(lengths) <= 0.6 + 1e-9
    assert starts[4].e1 > starts[1].e1, "e1 moves with theta_E"
