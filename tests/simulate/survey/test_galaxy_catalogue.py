"""Sources from a user's catalogue: drawn as it says, and refused where no galaxy can be."""

import numpy as np
import pytest
from error_codes import has_code

from lenssim.errors import ConfigError
from lenssim.formats.tables import table_text
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.sources.colours import magnitudes_of_types
from lenssim.simulate.survey import load_survey
from lenssim.simulate.survey.lenses import SkyModel
from lenssim.simulate.table_file import _load

COSMOLOGY = Cosmology(H0=70, Om0=0.3, Ob0=0.05)
SURVEY = """like: euclid
name: mine
sources:
  catalogue: {path: galaxies.csv, area: 0.01, columns: {z: zphot, magnitude: mag_i, R_sersic: r_half%s}}
  band: lsst_i
"""


def galaxies(count=2000):
    rng = np.random.default_rng(1)
    return {
        "zphot": rng.uniform(0.3, 4.0, count),
        "mag_i": rng.uniform(22.0, 27.5, count),
        "r_half": rng.uniform(0.05, 0.4, count),
        "ratio": rng.uniform(0.3, 1.0, count),
        "kind": rng.integers(0, 4, count).astype(float),
    }


def written(folder, columns, more="", survey=SURVEY):
    (folder / "galaxies.csv").write_text(table_text(columns))
    path = folder / "mine.yaml"
    path.write_text(survey % more)
    return load_survey(str(path))


def test_sources_are_rows_of_the_catalogue(tmp_path):
    columns = galaxies()
    survey = written(tmp_path, columns, ", q: ratio, spectrum: kind")
    drawn = survey.sources.draw(np.random.default_rng(2), 500, COSMOLOGY)
    rows = {z: row for row, z in enumerate(columns["zphot"])}
    numbers = np.array([rows[z] for z in drawn["z_source"]])
    assert (drawn["R_sersic"] == columns["r_half"][numbers]).all()
    assert (drawn["q"] == columns["ratio"][numbers]).all()
    assert (drawn["kind"] == columns["kind"][numbers]).all()
    seen = magnitudes_of_types(drawn["z_source"], drawn["kind"], "lsst_i", COSMOLOGY)
    magnitude = drawn["absolute_magnitude"] + seen
    assert magnitude == pytest.approx(columns["mag_i"][numbers], abs=1e-9)


def test_their_number_is_that_of_the_catalogues_area(tmp_path):
    survey = written(tmp_path, galaxies())
    assert survey.sources.density(COSMOLOGY) == pytest.approx(2000 / (0.01 * 3600**2))
    lenses = survey.draw_ideal(4, seed=3)
    expected = 4 * survey.ideal_density
    assert abs(len(lenses["theta_E"]) - expected) < 4 * np.sqrt(expected)


def test_limits_choose_rows(tmp_path):
    columns = galaxies()
    survey = written(tmp_path, columns, survey=SURVEY + "  faintest: 25\n  z: [1.0, 2.0]\n")
    drawn = survey.sources.draw(np.random.default_rng(2), 500, COSMOLOGY)
    assert 1 <= drawn["z_source"].min() < drawn["z_source"].max() <= 2
    rows = (columns["mag_i"] < 25) & (columns["zphot"] >= 1) & (columns["zphot"] <= 2)
    density = rows.sum() / (0.01 * 3600**2)
    assert survey.sources.density(COSMOLOGY) == pytest.approx(density)


def test_a_changed_catalogue_is_noticed(tmp_path):
    survey = written(tmp_path, galaxies())
    path = tmp_path / "galaxies.csv"
    path.write_text(path.read_text() + "1,23,0.1,0.5,0\n")
    _load.cache_clear()  # as another process has it
    with pytest.raises(ConfigError, check=has_code("table-differs")):
        survey.sources.draw(np.random.default_rng(2), 5, COSMOLOGY)


def test_documents_without_a_catalogue_are_what_they_were():
    assert "catalogue" not in load_survey("euclid").model_dump(mode="json")["sources"]


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("zphot", np.nan, "zphot"),
        ("zphot", -1.0, "zphot"),
        ("zphot", 99.0, "zphot"),
        ("mag_i", np.nan, "mag_i"),
        ("r_half", 0.0, "r_half"),
        ("r_half", np.nan, "r_half"),
    ],
)
def test_numbers_that_no_galaxy_has_are_refused(tmp_path, name, value, complaint):
    columns = galaxies(20)
    columns[name][7] = value
    with pytest.raises(ConfigError, match=rf"1 rows have no {complaint}.*row 7"):
        written(tmp_path, columns)


def test_a_column_that_is_missing_is_named(tmp_path):
    columns = galaxies(20)
    del columns["mag_i"]
    with pytest.raises(ConfigError, match=r"no column of numbers 'mag_i'.*it has zphot"):
        written(tmp_path, columns)


def test_there_are_populations_or_a_catalogue(tmp_path):
    with pytest.raises(ConfigError, check=has_code("settings-invalid")):
        written(tmp_path, galaxies(20), survey="like: euclid\nname: x\nsources: {%s}\n")


def test_sources_in_front_of_all_lenses_are_refused(tmp_path):
    columns = galaxies(50)
    columns["zphot"] = np.full(50, 0.005)
    text = SURVEY + "  z: [0.001, 5.5]\n" + "deflectors: {sigma_v: [100, 101]}\narea: 1\n"
    survey = written(tmp_path, columns, survey=text)
    with pytest.raises(ConfigError, check=has_code("no-survey-lenses")):
        survey.check_lenses()


def test_a_catalogue_without_such_galaxies_is_refused(tmp_path):
    survey = written(tmp_path, galaxies(50), survey=SURVEY + "  faintest: 20\n")
    with pytest.raises(ConfigError, check=has_code("no-survey-lenses")):
        survey.check_lenses()


def test_the_density_is_that_of_many_draws():
    survey = load_survey("euclid")
    sky = SkyModel(survey.deflectors, survey.sources, survey.cosmology)
    drawn = len(survey.draw_ideal(6, seed=3)["theta_E"])
    assert abs(drawn - 6 * sky.density()) < 4 * np.sqrt(6 * sky.density())
