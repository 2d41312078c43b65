"""Surveys on disk: catalogue, rates, images, page; by area and by number, interrupted, refused."""

import json
import tracemalloc

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table as FitsTable
from error_codes import has_code

import lenssim as ls
from lenssim.errors import ConfigError, IncompleteError
from lenssim.formats.tables import read_table, table_text
from lenssim.intervals import wilson
from lenssim.simulate.survey import load_survey
from lenssim.sky.surveys.catalogue import draw_catalogue
from lenssim.sky.surveys.request import SurveyRequest
from lenssim.sky.surveys.summary import Rate
from lenssim.sky.surveys.tables import join_tables, write_fits
from lenssim.sky.surveys.tally import BINS, Tally


@pytest.fixture(autouse=True, scope="module")
def _small_parts():
    """The sky is drawn in parts of one square degree."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lenssim.sky.surveys.catalogue._DEGREES", 1)
        yield


def drawn(folder, stop=lambda: False, name="euclid", **options):
    model = load_survey(name)
    return draw_catalogue(
        folder, model, SurveyRequest(**options), report=lambda done, total: None, stop=stop
    )


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Half a square degree of Euclid with all ideal lenses, and its images."""
    folder = tmp_path_factory.mktemp("survey") / "euclid"
    return ls.survey("euclid", folder, area=0.4, seed=4, all=True, workers=0)


def test_a_survey_is_catalogue_data_set_and_page(survey):
    assert len(survey.data) == survey.rows == survey.rates[0].number
    params = survey.data.params
    for name in ("theta_E", "snr", "magnification", "source_magnitude"):
        assert (params[name] == survey[name]).all()
    files = {path.name for path in survey.folder.iterdir()}
    assert {"catalogue.csv", "catalogue.fits", "survey.json", "survey.html"} <= files
    assert "survey-parts" not in files
    page = (survey.folder / "survey.html").read_text()
    assert "ideal lenses" in page
    for name in ("population", "completeness", "ranked"):
        assert (survey.folder / "figures" / f"{name}.png").stat().st_size > 10_000


def test_both_tables_say_the_same(survey):
    csv = read_table(survey.folder / "catalogue.csv")
    fits = read_table(survey.folder / "catalogue.fits")
    assert list(csv) == list(fits)
    for name, column in csv.items():
        assert np.array_equal(column, fits[name], equal_nan=True)


def test_a_survey_is_made_again_to_the_bit(survey):
    report = ls.verify(survey.folder, resimulate=3)
    assert report.resimulated == 3
    again = ls.survey("euclid", survey.folder, area=0.4, seed=4, all=True, workers=0)
    assert again.data.manifest.fingerprint == survey.data.manifest.fingerprint


def test_columns_say_why_a_lens_is_found(survey):
    clear = (survey["snr"] > 20) & (survey["magnification"] > 3)
    found = clear & (survey["resolved"] > 0) & (survey["separated"] > 0)
    assert (found == (survey["found"] > 0)).all()
    assert found.any()
    assert 0 < survey["resolved"].mean() < 1
    assert 0 < survey["separated"].mean() < 1


def test_found_lenses_are_those_that_the_rule_accepts(survey, tmp_path):
    found = ls.survey(
        "euclid", tmp_path / "f", area=0.4, seed=4, catalogue_only=True, workers=0
    )
    accepted = survey["found"] > 0
    assert found.rows == accepted.sum() == found.rates[1].number
    assert (found["theta_E"] == survey["theta_E"][accepted]).all()
    assert not (tmp_path / "f" / "plan.json").exists()


def test_parts_make_the_same_catalogue_as_one(survey, tmp_path):
    parts = [tmp_path / f"{number}.csv" for number in range(2)]
    for path, rows in zip(parts, (slice(0, 30), slice(30, None)), strict=True):
        path.write_text(table_text({name: col[rows] for name, col in survey.items()}))
    join_tables(tmp_path / "joined.csv", parts)
    expected = (survey.folder / "catalogue.csv").read_bytes()
    assert (tmp_path / "joined.csv").read_bytes() == expected


def test_a_catalogue_is_a_table_of_astropys(survey):
    table = FitsTable.read(survey.folder / "catalogue.fits")
    assert len(table) == survey.rows
    assert str(table["theta_E"].unit) == "arcsec"
    assert (np.asarray(table["snr"]) == survey["snr"]).all()
    with fits.open(survey.folder / "catalogue.fits") as units:
        units.verify("exception")


@pytest.mark.thorough
def test_memory_does_not_grow_with_the_catalogue(tmp_path):
    """Five times the rows take no more memory."""
    table = {f"x{k}": np.arange(1000.0) + 0.123456789 for k in range(6)}
    part = tmp_path / "part.csv"
    part.write_text(table_text(table))
    peaks = []
    for number in (20, 100):
        tracemalloc.start()
        join_tables(tmp_path / "all.csv", [part] * number)
        write_fits(tmp_path / "all.fits", tmp_path / "all.csv")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_a_number_of_lenses_is_an_area(survey, tmp_path):
    few = drawn(tmp_path / "n", n=2, seed=4)
    assert few["found"] == 2
    area = drawn(tmp_path / "a", area=few["drawn_area"], seed=4)
    assert area["found"] == 2
    assert area["ideal"] == few["ideal"]
    tables = [read_table(tmp_path / name / "catalogue.csv") for name in "na"]
    assert (tables[0]["theta_E"] == tables[1]["theta_E"]).all()


def test_an_interrupted_survey_goes_on(tmp_path):
    calls = iter([False, True])
    with pytest.raises(IncompleteError, check=has_code("survey-unfinished")):
        drawn(tmp_path / "a", stop=lambda: next(calls), area=1.3, seed=5)
    assert not (tmp_path / "a" / "catalogue.csv").exists()
    with pytest.raises(ConfigError, check=has_code("folder-in-use")):
        drawn(tmp_path / "a", area=1.3, seed=6)
    drawn(tmp_path / "a", area=1.3, seed=5)
    drawn(tmp_path / "b", area=1.3, seed=5)
    for name in ("catalogue.csv", "survey.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.thorough
def test_second_sources_are_shown(tmp_path):
    options = {"area": 0.6, "seed": 1, "all": True, "noise": "none", "workers": 0}
    double = ls.survey("euclid", tmp_path / "d", double_sources=True, **options)
    single = ls.survey("euclid", tmp_path / "s", **options)
    assert [str(rate) for rate in double.rates] == [str(rate) for rate in single.rates]
    rows = np.flatnonzero(double["n_sources"] > 1)
    assert len(rows)
    row = rows[np.argmin(double["source2_magnitude"][rows])]
    place = single["drawn_area"] == double["drawn_area"][row]
    main = np.flatnonzero(place & (single["z_source"] == double["z_source"][row]))
    image = double.data.images(np.array([row]))
    without = single.data.images(main)
    camera = load_survey("euclid").detection_camera
    magnitude = double["source2_magnitude"][row]
    flux = 10 ** (-0.4 * (magnitude - camera.zero_point))
    added = (image - without).sum() / flux / double["source2_magnification"][row]
    assert added == pytest.approx(1, abs=0.1)  # but for light outside of the stamp
    assert ls.verify(double.folder, resimulate=2).resimulated == 2


@pytest.mark.thorough
def test_dark_matter_sits_in_the_lenses(tmp_path):
    lenses = ls.survey(
        "euclid",
        tmp_path / "d",
        n=3,
        seed=4,
        dark_matter="no_sub,vortex",
        detectability=True,
        workers=0,
    )
    assert lenses.data.class_counts == {"no_sub": 2, "vortex": 1}
    assert 0 <= lenses.seen <= 1
    assert lenses.data.params["delta_chi2"].shape == (3,)


@pytest.mark.thorough
def test_bands_have_the_colours_of_galaxies(tmp_path):
    lenses = ls.survey("roman", tmp_path / "r", n=2, seed=1, workers=0, noise="none")
    assert lenses.data.image_shape[0] == 4
    assert (lenses["lens_light_colour_f184"] < 0).all()  # ellipticals are red


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "settings-invalid"),
        ({"area": 1, "n": 3}, "settings-invalid"),
        ({"area": -1}, "settings-invalid"),
        ({"area": 0.1, "rule": "theta_E"}, "rule"),
        ({"area": 0.1, "rule": "theta_E > 50"}, "no-survey-lenses"),
        ({"area": 20_000}, "option-range"),
        ({"area": 0.2, "split": "other"}, "unknown-split"),
        ({"area": 0.2, "all": True, "dark_matter": "nothing"}, "unknown-class"),
        ({"n": 1, "rule": "theta_E > 50"}, "no-survey-lenses"),
        ({"area": 1e-6}, "no-survey-lenses"),
        ({"n": 1, "double_sources": True, "detectability": True}, "settings-invalid"),
        ({"n": 1, "detectability": True}, "settings-invalid"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, monkeypatch, options, code):
    monkeypatch.setattr("lenssim.sky.surveys.catalogue._HOPELESS", 1)
    with pytest.raises(ConfigError, check=has_code(code)):
        ls.survey("euclid", tmp_path / "x", workers=0, **options)
    assert not (tmp_path / "x" / "plan.json").exists()
    assert not (tmp_path / "x" / "survey-parts").exists()


def test_limits_where_no_lens_can_be_are_refused_at_once(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("like: euclid\nname: mine\ndeflectors: {sigma_v: [399.9999, 400]}\n")
    with pytest.raises(ConfigError, check=has_code("no-survey-lenses")):
        ls.survey(path, tmp_path / "x", n=3, workers=0)
    assert not (tmp_path / "x").exists()


def test_a_finished_survey_is_not_replaced(survey):
    with pytest.raises(ConfigError, check=has_code("folder-in-use")):
        ls.survey("euclid", survey.folder, area=0.5, seed=4, all=True, workers=0)


def test_a_tally_counts_in_bins():
    lenses = {
        name: np.repeat(0.5 * (edges[1:] + edges[:-1]), 2) for name, edges in BINS.items()
    }
    count = min(len(column) for column in lenses.values())
    lenses = {name: column[:count] for name, column in lenses.items()}
    tally = Tally()
    tally.add(lenses, np.arange(count) % 2 == 0)
    other = Tally()
    other.merge(json.loads(json.dumps(tally.document())))
    assert other.document() == tally.document()
    assert tally.document()["by"]["theta_E"]["found"][0] == 1


def test_intervals_are_wilsons():
    from scipy.stats import binomtest

    found = np.array([0, 3, 50])
    total = np.array([10, 10, 60])
    low, high = wilson(found / total, total, 1.959964)
    for k, n, a, b in zip(found, total, low, high, strict=True):
        interval = binomtest(int(k), int(n)).proportion_ci(method="wilson")
        assert (a, b) == pytest.approx((interval.low, interval.high), abs=1e-6)


def test_a_rate_has_the_error_of_its_count():
    rate = Rate("lenses", 100, 20.0, 15_000.0)
    assert (rate.density, rate.error) == (5.0, 0.5)
    none = str(Rate("lenses", 0, 20.0, 15_000.0))
    assert none == "lenses: none, so below 0.15 a square degree (95 %)"
    assert str(rate) == ("lenses: 5 +- 0.5 a square degree, 75,000 in the survey's 15,000")
