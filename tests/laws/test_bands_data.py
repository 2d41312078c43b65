"""The law of bands on disk and in learning: two bands go through every command."""

import json
import shutil
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
import torch
from costs import without_dear
from error_codes import has_code
from torch.utils.data import DataLoader

import lenssim as package
from lenssim.data import ShardDataset
from lenssim.data.format.files import read_json, write_json
from lenssim.data.format.manifest import read_manifest
from lenssim.data.inspection.resimulation import resimulate
from lenssim.data.inspection.verification import verify
from lenssim.data.streaming.live import LiveDataset
from lenssim.errors import ConfigError, DataError
from lenssim.learn.inputs.augment import AUGMENTATIONS, augmentation
from lenssim.learn.scores.leak_statistics import statistics
from lenssim.simulate.engines import ENGINES
from lenssim.simulate.engines.batched.fit import SmoothFit
from lenssim.simulate.fit.bands import with_band_amplitudes
from lenssim.simulate.pipeline import simulate
from lenssim.simulate.preset import load_preset
from lenssim.simulate.spec import SimulationSpec

HERE = Path(__file__).parent
PRESET = HERE / "toy.yaml"
BANDS = ("g", "r")
SIDE = 16
NOISES = ("gaussian", "poisson", "drizzle")  # augmentations that differ from band to band


@pytest.fixture(scope="session")
def two_bands(tmp_path_factory) -> Path:
    """256 images of two bands, and a run that was trained on them for an epoch."""
    import lightning.pytorch  # noqa: F401 - now, because importing it draws a random number

    folder = tmp_path_factory.mktemp("bands")
    with chdir(folder):
        data = package.generate(PRESET, 256, "toy", workers=0, shard_size=128)
        package.train(
            "classify",
            data,
            out="run",
            epochs=1,
            batch_size=32,
            net="compact",
            normalise="band_standard",
        )
        package.evaluate("run", data)
    return folder


@pytest.mark.parametrize("engine", ENGINES)
def test_shards_hold_all_bands(lenssim, tmp_path, engine):
    done = lenssim(
        *("generate", "--model", PRESET, "-n", 5, "--out", "D", "--engine", engine),
        *("--workers", 0, "--noise", "published"),
    )
    assert done.code == 0, done.err
    assert "5 images of 2 x 16 x 16, bands g, r" in done.out
    manifest = read_manifest(tmp_path / "D")
    assert (manifest.image_shape, manifest.bands) == ((2, SIDE, SIDE), BANDS)
    report = verify(tmp_path / "D")
    assert (report.samples, report.problems) == (5, [])
    assert resimulate(tmp_path / "D", 5) == ([0, 1, 2, 3, 4], [])
    facts = json.loads(lenssim("info", "D", "--json").out)
    assert facts["bands"] == list(BANDS)
    assert "| bands | g, r |" in (tmp_path / "D" / "card.md").read_text()


@pytest.mark.parametrize(
    "storage", without_dear(["float16", "int16"], ["float16", "int16"])
)
def test_maps_storage_and_detectability_of_all_bands(tmp_path, storage):
    data = package.generate(
        *(PRESET, 4, tmp_path / "D"),
        workers=0,
        storage=storage,
        maps="clean,kappa,residual",
        detectability=True,
    )
    rows = range(4)
    assert data.images(rows, "clean").shape == (4, 2, SIDE, SIDE)
    assert data.images(rows, "kappa").shape == (4, 1, SIDE, SIDE)
    residual = data.images(rows, "residual")
    assert residual.shape == (4, 2, SIDE, SIDE)
    of_smooth_lenses = residual[::2].std(axis=(0, 2, 3))
    assert (abs(of_smooth_lenses - 1) < 0.15).all()
    both = data.params["delta_chi2_fixed"][1::2]
    assert (data.params["delta_chi2"][1::2] <= both * (1 + 1e-6)).all()
    difference = (data.images(rows) - data.images(rows, "clean")).std(axis=(0, 2, 3))
    assert difference[1] > 5 * difference[0]  # the noise of r is larger
    assert verify(tmp_path / "D").problems == []
    assert resimulate(tmp_path / "D", 2)[1] == []
    assert ShardDataset(tmp_path / "D", picture="kappa").bands == ()
    sheets = package.show(tmp_path / "D", count=2, picture="residual")
    assert list(sheets) == ["residual-no_sub", "residual-cdm"]


def test_light_starts_with_the_amplitudes_of_every_band():
    """A search knows one band; the others follow from linear least squares."""
    preset = load_preset(PRESET).with_classes(("no_sub",))
    exposure = simulate(SimulationSpec.of(preset, device="cpu", noise="none"), [0, 1])
    options = {"rays": 2, "kernels": "eager"}
    fit = SmoothFit(exposure.expected, exposure.scenes, preset.instrument, **options)
    lights = [part for part in exposure.scenes.components if part.role != "lens"]
    names = [part.prefix + "amp" for part in lights]
    truth = [[view.params[name].copy() for name in names] for view, _ in fit.views]
    for view, _ in fit.views:
        view.params.update(zip(names, truth[0], strict=True))
    started = with_band_amplitudes(fit)
    for band, (view, _) in enumerate(started.views):
        for name, amplitude in zip(names, truth[band], strict=True):
            np.testing.assert_allclose(view.params[name], amplitude, rtol=0.05)


def test_detectability_of_bands_adds_up(tmp_path):
    """With the smooth model fixed, delta chi2 of two bands is the sum of that of each."""
    from lenssim.simulate.bands import band_views
    from lenssim.simulate.draw import draw
    from lenssim.simulate.engines.batched.detectability import detectability

    preset = load_preset(PRESET)
    scenes = draw(preset, [1, 3], seed=2)
    options = {"supersampling": 2, "precision": "float64"}
    together = detectability(scenes, preset.instrument, **options)
    apart = [
        detectability(*view, **options) for view in band_views(scenes, preset.instrument)
    ]
    total = sum(columns["delta_chi2_fixed"] for columns in apart)
    np.testing.assert_allclose(together["delta_chi2_fixed"], total, rtol=1e-6)
    free = sum(columns["delta_chi2"] for columns in apart)
    assert (
        together["delta_chi2"] >= free * (1 - 1e-6)
    ).all()  # one lens explains both bands


def test_streams_give_all_bands(two_bands):
    data = package.open(two_bands / "toy")
    assert (data.bands, data.image_shape) == (BANDS, (2, SIDE, SIDE))
    assert repr(data).count("256 images of 2 x 16 x 16, bands g, r") == 1
    assert data[0]["image"].shape == (2, SIDE, SIDE)
    batch = next(iter(DataLoader(ShardDataset(two_bands / "toy"), batch_size=8)))
    assert batch["image"].shape == (8, 2, SIDE, SIDE)
    ours = next(iter(data.loader("train", 8)))
    assert ours["image"].shape == (8, 2, SIDE, SIDE)
    assert data.params.units["source_colour_g"] == "mag"
    np.testing.assert_array_equal(data.params["lens_light_colour_g"], 1.5)


def test_live_data_have_all_bands(two_bands):
    from lenssim.data.format.manifest import read_plan

    data = package.open(two_bands / "toy")
    live = LiveDataset(read_plan(two_bands / "toy"))
    assert (live.bands, live.image_shape) == (BANDS, (2, SIDE, SIDE))
    np.testing.assert_array_equal(live.images(np.arange(3)), data.images(range(3)))


@pytest.mark.parametrize("name", sorted(set(AUGMENTATIONS) - {"telescope"}))
def test_augmentations_keep_bands_together(name):
    """Two bands that are copies of each other stay so, but for noise."""
    image = torch.rand((16, 1, 12, 12), generator=torch.Generator().manual_seed(1))
    change = augmentation(name)
    changed, _ = change(image.repeat(1, 2, 1, 1), torch.Generator().manual_seed(7))
    if name in NOISES:
        assert not torch.equal(changed[:, 0], changed[:, 1])
        faint = torch.cat([image, 1e-3 * image], dim=1)
        noisy, _ = change(faint, torch.Generator().manual_seed(7))
        spread = (noisy - faint).std(dim=(0, 2, 3))
        assert 0.5e-3 < spread[1] / spread[0] < 2e-3  # noise is relative to the band
        return
    torch.testing.assert_close(changed[:, 0], changed[:, 1], rtol=1e-6, atol=1e-6)


def test_a_run_knows_its_bands(two_bands, lenssim):
    run = package.load_run(two_bands / "run")
    assert run.record.images.bands == BANDS
    assert (
        "2 x 16 x 16 (bands x rows x columns, bands g, r)"
        in (two_bands / "run" / "card.md").read_text()
    )
    done = lenssim("evaluate", two_bands / "run", "--data", two_bands / "toy")
    assert done.code == 0, done.err
    assert "macro AUC" in done.out or "AUC" in done.out


def test_predictions_take_two_bands(two_bands, lenssim, tmp_path):
    data = package.open(two_bands / "toy")
    run = package.load_run(two_bands / "run")
    images = data.images(range(3))
    from_array = run.predict(images)
    np.save(tmp_path / "stack.npy", images)
    np.save(tmp_path / "one.npy", images[0])
    done = lenssim("predict", two_bands / "run", "stack.npy", "one.npy", "--json")
    assert done.code == 0, done.err
    predictions = json.loads(done.out)["predictions"]
    assert [prediction["image"] for prediction in predictions] == [0, 1, 2, 0]
    assert predictions[0]["probabilities"] == pytest.approx(
        predictions[3]["probabilities"], abs=1e-5
    )
    assert len(from_array["predicted"]) == 3
    assert len(run.predict(images[0])["predicted"]) == 1
    test = data.split("test")
    assert len(run.predict(test)["predicted"]) == len(test)


@pytest.mark.parametrize("shape", [(SIDE, SIDE), (3, SIDE, SIDE), (4, 1, SIDE, SIDE)])
def test_another_number_of_bands_is_refused_by_name(two_bands, lenssim, tmp_path, shape):
    images = np.random.default_rng(0).random(shape)
    run = package.load_run(two_bands / "run")
    with pytest.raises(DataError, match="bands g, r", check=has_code("image-shape")):
        run.predict(images)
    np.save(tmp_path / "wrong.npy", images)
    done = lenssim("predict", two_bands / "run", "wrong.npy")
    assert done.code == 1
    assert "wrong.npy" in done.err
    assert "bands g, r" in done.err


def test_other_bands_are_refused_by_name(two_bands, lenssim, tmp_path):
    text = PRESET.read_text().replace("toy_camera.yaml", "swapped.yaml")
    (tmp_path / "preset.yaml").write_text(text.replace("name: toy\n", "name: swapped\n"))
    camera = (HERE / "toy_camera.yaml").read_text()
    head, g, r = camera.partition("  g:")[0], *_bands_of(camera)
    (tmp_path / "swapped.yaml").write_text(head + r + g)
    done = lenssim(
        "generate", "--model", "preset.yaml", "-n", 4, "--out", "D", "--workers", 0
    )
    assert done.code == 0, done.err
    for command in ("evaluate", "predict"):
        arguments = ("--data", "D") if command == "evaluate" else ("D",)
        done = lenssim(command, two_bands / "run", *arguments)
        assert done.code == 1
        assert "its bands are r, g, but the run takes g, r" in done.err


def _bands_of(camera: str) -> tuple[str, str]:
    """The text of each band of the toy camera."""
    _, mark, rest = camera.partition("  g:")
    g, mark_of_r, r = rest.partition("  r:")
    return mark + g, mark_of_r + r


def test_pictures_show_all_bands(two_bands, lenssim, tmp_path):
    from matplotlib.image import imread

    done = lenssim("show", two_bands / "toy", "--out", "figures", "--count", 4)
    assert done.code == 0, done.err
    sheet = imread(tmp_path / "figures" / "contact-cdm.png")
    assert (sheet[..., 0] != sheet[..., 2]).any()
    for name in ("a.png", "a.fits", "a.npy"):
        done = lenssim("render", "--model", PRESET, "--out", name, "--noise", "none")
        assert done.code == 0, done.err
    assert np.load(tmp_path / "a.npy").shape == (2, SIDE, SIDE)
    from astropy.io import fits

    header = fits.getheader(tmp_path / "a.fits")
    assert [header["BAND1"], header["BAND2"], header["NAXIS3"]] == ["g", "r", 2]
    assert (header["MAGZ1"], header["EXPT1"], header["EXPT2"]) == (25.0, 1000.0, 90.0)
    exposure = package.render(PRESET, source_colour_g=1.0)
    assert (exposure.bands, exposure.observed.shape) == (BANDS, (1, 2, SIDE, SIDE))
    assert "2 x 16 x 16, bands g, r" in repr(exposure)


@pytest.mark.thorough
def test_exports_and_imports_keep_all_bands(two_bands, lenssim, tmp_path):
    data = package.open(two_bands / "toy")
    for layout in ("npy", "fits", "webdataset", "cutouts"):
        done = lenssim("export", two_bands / "toy", "--to", layout, "--out", layout)
        assert done.code == 0, done.err
    done = lenssim("import", "deeplense", "npy", "--out", "again", "--bands", "g,r")
    assert done.code == 0, done.err
    again = package.open(tmp_path / "again")
    assert (again.bands, again.image_shape) == (BANDS, (2, SIDE, SIDE))
    np.testing.assert_array_equal(
        again.images(range(256)).sum(axis=(0, 2, 3)),
        data.images(range(256)).sum(axis=(0, 2, 3)),
    )
    assert "--bands g,r" in (tmp_path / "again" / "card.md").read_text()
    done = lenssim("evaluate", two_bands / "run", "--data", "again")
    assert "are left out" in done.err or done.code == 0, done.err
    from astropy.io import fits

    with fits.open(tmp_path / "fits" / "000000.fits") as units:
        np.testing.assert_array_equal(units[0].data, data.images(range(128)))
        assert units[0].header["BAND2"] == "r"
    with fits.open(tmp_path / "cutouts" / "0000003.fits") as units:
        np.testing.assert_array_equal(units["R_SCI"].data, data.images([3])[0, 1])
    import tarfile

    with tarfile.open(tmp_path / "webdataset" / "000000.tar") as tar:
        member = tar.extractfile("000000000.json")
        assert member is not None
        assert json.load(member)["bands"] == list(BANDS)


@pytest.mark.parametrize("bands", ["g,G", "g,", "0", "g/r,i"])
def test_bands_that_cannot_be_are_refused(two_bands, lenssim, tmp_path, bands):
    (tmp_path / "published" / "cdm").mkdir(parents=True)
    np.save(
        tmp_path / "published" / "cdm" / "1.npy", np.random.default_rng(0).random((2, 8, 8))
    )
    done = lenssim("import", "deeplense", "published", "--out", "D", "--bands", bands)
    assert (done.code, (tmp_path / "D").exists()) == (2, False)
    assert "--bands" in done.err


def test_a_manifest_that_names_other_bands_is_refused(two_bands, tmp_path):
    shutil.copytree(two_bands / "toy", tmp_path / "D")
    path = tmp_path / "D" / "manifest.json"
    document = read_json(path)
    assert document["bands"] == list(BANDS)
    for bands, message in ((["g", "i"], "names the bands g, i"), (["g"], "1 bands")):
        write_json(path, document | {"bands": bands})
        with pytest.raises(DataError, match=message):
            ShardDataset(tmp_path / "D")


@pytest.mark.dask
@pytest.mark.thorough
def test_a_report_shows_two_bands(two_bands, lenssim, tmp_path):
    (tmp_path / "recipe.yaml").write_text(
        f"""title: Two bands
generate:
  toy: {{model: {PRESET}, n: 256}}
train:
  small: {{data: toy, net: compact, epochs: 1, batch_size: 32}}
evaluate:
  - {{run: small, data: toy}}
"""
    )
    done = lenssim("run", "recipe.yaml", "--out", "R")
    assert done.code == 0, done.err
    assert "missing" not in done.err
    report = (tmp_path / "R" / "report.html").read_text()
    assert "Two bands" in report
    assert "this figure could not be drawn" not in report


def test_leak_statistics_are_those_of_each_band(two_bands):
    images = package.open(two_bands / "toy").images(range(8))
    together = statistics(images)
    apart = [statistics(images[:, [band]]) for band in range(2)]
    for name, features in together.items():
        expected = np.concatenate([columns[name] for columns in apart], axis=1)
        np.testing.assert_array_equal(features, expected)


def test_bridges_say_that_they_know_one_band():
    from lenssim.simulate.bridges import to_coolest
    from lenssim.simulate.draw import draw

    preset = load_preset(PRESET)
    scenes = draw(preset, [0], seed=0)
    with pytest.raises(ConfigError, match="COOLEST", check=has_code("several-bands")):
        to_coolest(scenes, 0, preset.instrument)
    document = to_coolest(scenes.in_band("r"), 0, preset.instrument.band("r"))
    assert document["observation"]["mag_zero_point"] == 26.5
