"""Files of surveys: what they may say, and what is refused."""

import pytest
from error_codes import has_code

from lenssim.errors import ConfigError
from lenssim.simulate.survey import load_survey


def write(folder, text):
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


def test_a_file_may_be_like_a_survey(tmp_path):
    survey = load_survey(write(tmp_path, "like: euclid\nname: mine\narea: 3\n"))
    assert (survey.name, survey.area) == ("mine", 3)
    assert survey.sources == load_survey("euclid").sources


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("- 1", "settings-invalid"),
        ("like: nothing\nname: mine", "unknown-survey"),
        ("name: mine", "settings-invalid"),
        ("like: euclid\nareas: 3", "settings-invalid"),
        ("like: euclid\nrule: snr >", "settings-invalid"),
        ("like: euclid\narea: -1", "settings-invalid"),
        ("like: rubin\ndetection_band: x", "settings-invalid"),
        ("like: rubin\ndetection_band: null", "settings-invalid"),
        ("like: euclid\ndeflectors: {dispersion_function: no}", "settings-invalid"),
        ("like: euclid\ndeflectors: {sigma_v: [400, 100]}", "settings-invalid"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, text, code):
    with pytest.raises(ConfigError, check=has_code(code)):
        load_survey(write(tmp_path, text))


@pytest.mark.parametrize("area", [0, -1, 1e9, float("nan")])
def test_an_area_that_cannot_be_is_refused(area):
    with pytest.raises(ConfigError, check=has_code("option-range")):
        load_survey("euclid").draw_ideal(area)


def test_an_area_without_lenses_is_refused(tmp_path):
    text = "like: euclid\ndeflectors: {sigma_v: [399.5, 400]}\n"
    with pytest.raises(ConfigError, check=has_code("no-survey-lenses")):
        load_survey(write(tmp_path, text)).draw_ideal(0.01)
