"""Laws of lenssim fit: the same bits however work is cut, and an answer for every image."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.io import fits
from error_codes import has_code

import lenssim as package
from lenssim.data.format.manifest import read_manifest
from lenssim.data.inspection.verification import verify
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError, DataError, IncompleteError
from lenssim.simulate.bridges.coolest import from_coolest
from lenssim.simulate.fit.scan import Candidate, ScanGrid
from lenssim.simulate.fit.settings import Search
from lenssim.simulate.sources.sersic import unit_flux
from lenssim.sky.models import modelling
from lenssim.sky.models.columns import columns_of
from lenssim.sky.models.guesses import guessed_starts, read_guesses
from lenssim.sky.models.modelling import fit_plan
from lenssim.sky.models.request import FitRequest
from lenssim.sky.models.results import fit_dataset
from lenssim.sky.models.work import Work

QUICK = ScanGrid((0.8, 1.0, 1.25, 1.6), 3)


@pytest.fixture(autouse=True)
def small_search(monkeypatch):
    """Fewer starts: these tests look at how work is cut, not at how lenses are found."""

    def search(**options):
        return Search(**options, grid=QUICK, fine_grid=QUICK, starts=3, minima=2)

    monkeypatch.setattr(modelling, "Search", search)


@pytest.fixture(scope="module")
def lenses(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lenses") / "arcs"
    package.generate("hst-arcs", 5, folder, workers=0)
    return ShardDataset(folder)


@pytest.fixture(scope="module")
def fitted(lenses, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fits") / "all"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            modelling,
            "Search",
            lambda **options: Search(
                **options, grid=QUICK, fine_grid=QUICK, starts=3, minima=2
            ),
        )
        table = fit_dataset(folder, lenses, FitRequest())
    return folder, table


def test_a_resumed_fit_has_the_same_bits(lenses, fitted, tmp_path, monkeypatch):
    monkeypatch.setitem(modelling._SHARD_ROWS, "mge", 2)
    stops = iter([False, True])
    with pytest.raises(IncompleteError, check=has_code("stopped")):
        fit_dataset(tmp_path, lenses, FitRequest(), Work(stop=lambda: next(stops)))
    fit_dataset(tmp_path, lenses, FitRequest())
    folder, _ = fitted
    prints = [read_manifest(place / "pictures").fingerprint for place in (folder, tmp_path)]
    assert prints[0] == prints[1], "shards of 4 rows in one go, of 2 rows in two goes"
    for name in ("models.csv", "covariances.json", "index.html"):
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()


def test_a_lens_does_not_depend_on_those_before_it(lenses, fitted):
    part = modelling.Lenses(lenses, FitRequest())
    plan = modelling.fit_plan(lenses, FitRequest())
    samples = modelling.fit_rows(part, plan, np.array([3]))
    _, table = fitted
    for name in columns_of(FitRequest()):
        np.testing.assert_array_equal(samples.params[name][0], table[name][3])


def test_the_table_holds_what_the_data_set_holds(fitted):
    folder, table = fitted
    with (folder / "models.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    assert list(rows[0]) == list(table)
    assert float(rows[2]["theta_E"]) == pytest.approx(table["theta_E"][2], rel=1e-8)
    assert [row["class"] for row in rows[:2]] == ["no_sub", "cdm"]


def test_radii_are_near_the_truth(fitted):
    _, table = fitted
    np.testing.assert_allclose(table["theta_E"], table["true_theta_E"], rtol=0.05)


def test_the_pictures_are_a_data_set(lenses, fitted):
    folder, _ = fitted
    assert verify(folder / "pictures").problems == []
    models = ShardDataset(folder / "pictures", picture="residual")
    assert models.image_shape == (1, 64, 64)
    np.testing.assert_array_equal(models.labels, lenses.labels)
    rows = np.arange(5)
    residual = models.images(rows)
    whole = models.read_map("model", rows)
    parts = models.read_map("lens_light", rows) + models.read_map("source", rows)
    np.testing.assert_allclose(whole, parts, atol=1e-5 * np.abs(whole).max())
    assert 0.8 < residual[residual != 0].std() < 2


def test_covariances_are_those_of_the_errors(fitted):
    folder, table = fitted
    document = json.loads((folder / "covariances.json").read_text())
    covariance = np.array(document["1"]["formal"])
    row = document["1"]["names"].index("theta_E")
    assert np.sqrt(covariance[row, row]) == pytest.approx(table["theta_E_sigma"][1])
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)


def test_documents_are_of_the_standard(fitted):
    folder, table = fitted
    scenes = from_coolest(folder / "coolest" / "000002.json")
    assert scenes.params["theta_E"][0] == pytest.approx(table["theta_E"][2])
    document = json.loads((folder / "coolest" / "000002.json").read_text())
    redshifts = document["meta"]["lenssim"]["known_redshifts"]
    assert redshifts == {name: scenes.params[name][0] for name in ("z_lens", "z_source")}


def test_the_page_has_a_row_for_each_lens(fitted):
    folder, _ = fitted
    text = (folder / "index.html").read_text()
    assert text.count("<img") == 5
    assert len(list((folder / "figures").iterdir())) == 5


def write_lens(folder, name, image, sigma=0.02):
    place = folder / name
    place.mkdir(parents=True)
    header = fits.Header({"PIXSCALE": 0.08})
    axis = np.arange(7) - 3
    psf = np.exp(-(axis[:, None] ** 2 + axis**2) / 2)
    fits.writeto(place / "image.fits", image.astype(np.float32), header)
    noise = np.full(image.shape, sigma, np.float32)
    fits.writeto(place / "noise.fits", noise)
    fits.writeto(place / "psf.fits", (psf / psf.sum()).astype(np.float32))


def test_every_file_gets_an_answer(tmp_path):
    """A lens, blank sky, and an image of which hardly anything was seen."""
    y, x = np.mgrid[-32:32, -32:32] + 0.5
    radius = np.hypot(x, y) * 0.08
    noise = np.random.default_rng(0).normal(0, 0.02, (3, 64, 64))
    ring = np.exp(-((radius - 1.2) ** 2) / 0.02) + 3 * np.exp(-radius / 0.15)
    dead = np.full((64, 64), np.nan)
    dead[:10, :10] = noise[2, :10, :10]
    for name, image in zip("abc", (ring + noise[0], noise[1], dead), strict=True):
        write_lens(tmp_path / "files", name, image)
    data = package.import_data(
        "fits", tmp_path / "files", tmp_path / "data", native_scale=0.08
    )
    models = package.fit(data, tmp_path / "fit", workers=0)
    flags = dict(zip(models["name"].tolist(), models["flags"].tolist(), strict=True))
    assert "no-lens" not in flags["a"]
    assert "no-arcs" in flags["b"]
    assert flags["c"] == "unusable"
    assert "pixels are usable" in models["problem"][2]
    assert np.isnan(models["theta_E"][2])
    assert models["theta_E"][0] == pytest.approx(1.2, rel=0.05)


def test_a_data_set_without_a_pixel_scale_is_refused(tmp_path):
    (tmp_path / "files").mkdir()
    np.save(tmp_path / "files" / "a.npy", np.eye(32, dtype=np.float32))
    data = package.import_data("folder", tmp_path / "files", tmp_path / "data")
    with pytest.raises(DataError, check=has_code("no-pixel-scale")):
        package.fit(data, tmp_path / "fit", workers=0)


def test_files_without_a_pixel_scale_are_sent_to_the_import(tmp_path):
    write_lens(tmp_path / "files", "a", np.eye(32))
    fits.delval(tmp_path / "files" / "a" / "image.fits", "PIXSCALE")
    with pytest.raises(DataError, check=has_code("no-pixel-scale")) as refused:
        package.fit(tmp_path / "files", tmp_path / "fit", workers=0)
    assert f"lenssim import fits {tmp_path / 'files'} --out D" in str(refused.value)
    assert refused.value.fields == {"lens": "a"}


def test_a_band_that_is_not_there_is_refused(lenses, tmp_path):
    with pytest.raises(ConfigError, check=has_code("unknown-band")):
        fit_dataset(tmp_path, lenses, FitRequest(band="z"))


@pytest.mark.parametrize("place", [".", "fit"])
def test_a_fit_does_not_lie_in_its_data_set(lenses, place):
    before = sorted(lenses.folder.rglob("*"))
    with pytest.raises(ConfigError, check=has_code("same-folder")):
        fit_dataset(lenses.folder / place, lenses, FitRequest())
    assert sorted(lenses.folder.rglob("*")) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a card")
def test_a_missing_card_is_told_before_any_work(lenses, tmp_path):
    with pytest.raises(ConfigError, check=has_code("no-device")):
        fit_dataset(tmp_path / "fit", lenses, FitRequest(device="cuda"))
    assert not (tmp_path / "fit").exists()


BAD_GUESSES = {
    "no theta_E": "name\na\n",
    "no number": "name,theta_E\na,x\n",
    "negative": "name,theta_E\na,-1\n",
    "infinite": "name,theta_E\na,inf\n",
    "too large": "name,theta_E\na,1e300\n",
    "too small": "name,theta_E\na,1e-300\n",
    "no ellipse": "name,theta_E,e1,e2\na,1,0.8,0.8\n",
    "no shear": "name,theta_E,gamma1\na,1,1e10\n",
    "twice": "name,theta_E\na,1\na,2\n",
    "unknown": "name,theta_E\na,1\nnobody,1\n",
}


@pytest.mark.parametrize("fault", BAD_GUESSES)
def test_bad_guesses_are_refused(tmp_path, fault):
    path = tmp_path / "guesses.csv"
    path.write_text(BAD_GUESSES[fault])
    with pytest.raises(DataError, check=has_code("bad-guesses")):
        read_guesses(path, ["a", "b"])


@pytest.mark.parametrize("text", ["", "name,theta_E\na\n", 'name,theta_E\n"a,1\n'])
def test_guesses_that_are_no_table_are_refused(tmp_path, text):
    path = tmp_path / "guesses.csv"
    path.write_text(text)
    with pytest.raises(DataError, check=has_code("file-invalid")):
        read_guesses(path)


def test_guesses_may_come_from_a_spreadsheet(tmp_path):
    path = tmp_path / "guesses.csv"
    path.write_text("name;theta_E;e1\r\na;1,25;\r\n", "utf-8-sig")
    assert read_guesses(path)["a"] == Candidate(1.25, 0.0, 0.0, 0.0, 0.0)


def test_other_guesses_need_another_folder(lenses, tmp_path):
    path = tmp_path / "guesses.csv"
    plans = [fit_plan(lenses, FitRequest())]
    for radius in (1.3, 1.2):
        path.write_text(f"name,theta_E\n0,{radius}\n")
        plans.append(fit_plan(lenses, FitRequest(), guessed_starts(path)))
    assert len({plan.config_hash for plan in plans}) == 3


def test_guesses_of_unknown_lenses_are_refused_before_any_work(lenses, tmp_path):
    path = tmp_path / "guesses.csv"
    path.write_text("name,theta_E\nnobody,1\n")
    with pytest.raises(DataError, check=has_code("bad-guesses")):
        fit_dataset(tmp_path / "fit", lenses, FitRequest(guesses=path))
    assert not (tmp_path / "fit").exists()


def test_a_guess_is_one_more_start(lenses, tmp_path):
    path = tmp_path / "guesses.csv"
    path.write_text("name,theta_E,e1\n0,1.3,0.1\n")
    starts = read_guesses(path)
    assert starts["0"].theta_E == 1.3
    table = fit_dataset(tmp_path / "fit", lenses, FitRequest(guesses=path, n=1))
    assert np.isfinite(table["theta_E"][0])


def test_other_options_need_another_folder(lenses, fitted):
    folder, _ = fitted
    with pytest.raises(ConfigError, check=has_code("config-differs")):
        fit_dataset(folder, lenses, replace_request(lens_light="yes"))


def test_a_quick_fit_searches_less_and_needs_another_folder(lenses, monkeypatch):
    searches = []
    monkeypatch.setattr(modelling, "Search", Search)
    monkeypatch.setattr(
        modelling, "fit_lens", lambda lens, search, **_: searches.append(search)
    )
    for request in (FitRequest(), FitRequest(quick=True)):
        part = modelling.Lenses(lenses, request)
        modelling._searched(part, part.observation(0), modelling.NO_STARTS)
    slow, quick = searches
    assert (quick.starts, quick.minima) < (slow.starts, slow.minima)
    assert not quick.escalates
    assert not replace(quick, has_light=True).adds
    plans = [
        fit_plan(lenses, FitRequest()),
        fit_plan(lenses, FitRequest(quick=True)),
    ]
    assert plans[0].config_hash != plans[1].config_hash


def replace_request(**changes):
    return FitRequest().model_copy(update=changes)


def test_the_equivalent_source_has_the_flux_of_the_true_one(lenses, fitted):
    """R_sersic, n_sersic and amp of the growth curve, against what was drawn."""
    _, table = fitted
    scenes = modelling.ShardDataset(lenses.folder).params
    zero_point = lenses.spec.preset.instrument.zero_point
    flux = np.array(table["source_amp"]) * unit_flux(
        np.array(table["source_R_sersic"]), np.array(table["source_n_sersic"])
    )
    magnitude = zero_point - 2.5 * np.log10(flux)
    np.testing.assert_allclose(magnitude, scenes["source_magnitude"], atol=0.6)
