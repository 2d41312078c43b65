"""Laws of the cameras of several bands: each band is the instrument it is like, and its light has its colours."""

import json
from pathlib import Path

import numpy as np
import pytest
from error_codes import has_code

from lenssim.errors import ConfigError
from lenssim.formats.yaml import parse_yaml
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine, engine_info
from lenssim.simulate.instruments import extended, instrument, instruments
from lenssim.simulate.instruments.facts import sigma_magnitude
from lenssim.simulate.pipeline import simulate
from lenssim.simulate.preset import parse_preset
from lenssim.simulate.sources.colours import GALAXY_TYPES, colour, filters
from lenssim.simulate.spec import SimulationSpec

FOLDER = Path(__file__).parents[2] / "lenssim/simulate/instruments"
PAGE = Path(__file__).parents[2] / "docs/cameras.md"
CAMERAS = [name for name in instruments() if instrument(name).band_names]
SIDE = 32
SMALL = {"R_sersic": 0.1, "n_sersic": 1.0, "e1": 0.0, "e2": 0.0}


def of_camera(name: str, **changes):
    """Faint lenses in front of a source of a spectrum, with a galaxy that fits the mass."""
    scale = instrument(name).pixel_scale
    document = {
        "name": "law",
        "instrument": {"name": name, "num_pix": SIDE},
        "noise": ["telescope", "none"],
        "cosmology": {"H0": 70, "Om0": 0.3, "Ob0": 0.05},
        "z_lens": 0.5,
        "z_source": {"uniform": [1.0, 2.0]},
        "lens": [{"profile": "sie", "theta_E": 6 * scale, "e1": 0.1, "e2": 0.0}],
        "lens_light": [{"profile": "elliptical"}],
        "source": [
            {
                "profile": "clumpy",
                "magnitude": 23.0,
                "magnitude_band": instrument(name).band_names[-1],
                "spectrum": ["Sbc", "Scd", "Im"],
                "R_sersic": 3 * scale,
                "e1": 0.1,
                "e2": 0.0,
                "clumps": 2,
            }
        ],
        "classes": {"no_sub": {"model": "no_sub"}},
    }
    return parse_preset(document | changes)


def lone_source(name: str):
    """A camera's preset with a point-like source alone, whose lens deflects next to nothing."""
    scale = instrument(name).pixel_scale
    lens = [{"profile": "shear", "gamma1": 0.0, "gamma2": 0.0}]
    source = {
        "profile": "sersic",
        "magnitude": 22.0,
        "spectrum": "Im",
        **SMALL,
        "R_sersic": 0.3 * scale,
    }
    stamp = {"name": name, "num_pix": 96}
    return of_camera(name, instrument=stamp, lens=lens, lens_light=[], source=[source])


def test_the_cameras_are_those_of_the_surveys():
    assert {"euclid_mer", "kids", "cfhtls", "des", "hsc", "nircam", "roman"} <= set(CAMERAS)
    assert {"rubin", "rubin_y1", "rubin_y10", "challenge_ground"} <= set(CAMERAS)


@pytest.mark.parametrize("name", CAMERAS)
def test_a_band_has_the_numbers_of_its_instrument(name):
    camera = instrument(name)
    stated = parse_yaml((FOLDER / f"{name}.yaml").read_text(), name)["bands"]
    for band, of_band in zip(camera.band_names, camera.instruments, strict=True):
        alone = instrument(stated[band]["like"])
        assert of_band.filter in filters()
        same = ("zero_point", "exposure_time", "num_exposures", "sky_brightness", "native")
        assert [getattr(of_band, key) for key in same] == [
            getattr(alone, key) for key in same
        ]
        area = 5 * np.log10(alone.pixel_scale / of_band.pixel_scale)
        assert sigma_magnitude(of_band) == pytest.approx(
            sigma_magnitude(alone) + area / 2, abs=1e-9
        )
        if alone.pixel_scale == camera.pixel_scale:
            assert of_band.psf == alone.psf
            assert of_band.depth == alone.depth


@pytest.mark.parametrize("name", CAMERAS)
def test_the_page_lists_it(name):
    assert f"`{name}`" in PAGE.read_text()


@pytest.mark.parametrize("name", CAMERAS)
def test_flux_has_the_colours_of_the_spectrum(name):
    preset = lone_source(name)
    scenes = draw(preset, np.arange(3), seed=1)
    images = engine("lenstronomy").render(scenes, preset.instrument, supersampling=5)
    bands = preset.instrument.instruments
    for number, band in enumerate(bands):
        shift = colour(scenes.params["z_source"], "Im", band.filter, bands[0].filter)
        expected = 10 ** (-0.4 * (22.0 + shift - band.zero_point))
        np.testing.assert_allclose(images[:, number].sum((1, 2)), expected, rtol=0.03)


@pytest.mark.parametrize("name", CAMERAS)
@pytest.mark.parametrize("other", ["batched", "autolens"])
def test_engines_agree_in_every_band(name, other):
    preset = of_camera(name)
    scenes = draw(preset, np.arange(1), seed=3)
    options = {"precision": "float64", "kernels": "eager"} if other == "batched" else {}
    reference = engine("lenstronomy").render(scenes, preset.instrument, supersampling=1)
    images = engine(other, **options).render(scenes, preset.instrument, supersampling=1)
    peak = reference.max(axis=(2, 3), keepdims=True)
    assert np.abs((images - reference) / peak).max() <= engine_info(other).parity


@pytest.mark.parametrize("name", CAMERAS)
def test_each_band_has_its_own_correlated_noise(name):
    preset = of_camera(name)
    spec = SimulationSpec.of(preset, seed=2, supersampling=1, engine="lenstronomy")
    exposure = simulate(spec, np.arange(24))
    residual = (exposure.observed - exposure.expected) / exposure.sigma
    for number, band in enumerate(preset.instrument.instruments):
        of_band = residual[:, number]
        taps = band.taps
        expected = (taps[1:] * taps[:-1]).sum() / (taps**2).sum()
        neighbours = (of_band[:, 1:] * of_band[:, :-1]).mean() / of_band.var()
        assert neighbours == pytest.approx(expected, abs=0.05)
        assert of_band.std() == pytest.approx(band.pixel_loss, rel=0.15)
        if number:
            assert abs(np.corrcoef(of_band.ravel(), residual[:, 0].ravel())[0, 1]) < 0.1


@pytest.mark.parametrize("name", CAMERAS)
def test_spectra_are_columns_and_documents(name):
    preset = of_camera(name)
    assert parse_preset(preset.model_dump(mode="json")) == preset
    values = draw(preset, np.arange(64), seed=4).params
    kinds = values["source_spectrum"].astype(int)
    assert {GALAXY_TYPES[kind] for kind in kinds} == {"Sbc", "Scd", "Im"}
    bands = preset.instrument.band_names
    reference = instrument(name).instruments[-1].filter
    for band, of_band in zip(bands[:-1], instrument(name).instruments[:-1], strict=True):
        column = values[f"source_colour_{band}"]
        for part in ("disc_", "clump1_", "clump2_"):
            np.testing.assert_array_equal(column, values[f"source_{part}colour_{band}"])
        irregular = kinds == GALAXY_TYPES.index("Im")
        shift = colour(values["z_source"][irregular], "Im", of_band.filter, reference)
        np.testing.assert_array_equal(column[irregular], shift)
    assert f"source_colour_{bands[-1]}" not in values
    fixed = draw(preset, np.arange(2), seed=4, fixed={"source_spectrum": 1.0}).params
    assert set(fixed["source_spectrum"]) == {1.0}


def test_spectra_move_no_other_number():
    preset = of_camera("des")
    document = preset.model_dump(mode="json")
    for key in ("spectrum", "magnitude_band"):
        del document["source"][0][key]
    plain = draw(parse_preset(document), np.arange(8), seed=1).params
    colourful = draw(preset, np.arange(8), seed=1).params
    for name, column in plain.items():
        np.testing.assert_array_equal(column, colourful[name], err_msg=name)


def test_real_galaxies_keep_the_spectrum(tmp_path):
    y, x = np.mgrid[-16:16, -16:16]
    light = np.exp(-(x**2 + y**2) / 20)
    np.save(tmp_path / "galaxies.npy", np.stack([light * (1 + k) for k in range(12)]))
    preset = of_camera("kids").with_galaxies(tmp_path / "galaxies.npy")
    assert preset.source[0].spectrum == ("Sbc", "Scd", "Im")
    assert preset.source[0].magnitude_band == "i"


@pytest.mark.parametrize("name", CAMERAS)
def test_the_command_prints_each_band(lenssim, name):
    done = lenssim("instruments", name)
    assert done.code == 0, done.err
    for band in instrument(name).band_names:
        assert f"band {band}" in done.out
    numbers = json.loads(lenssim("instruments", name, "--json").out)
    assert list(numbers) == list(instrument(name).band_names)


def test_a_band_on_other_pixels_has_native_ones():
    band = extended({"pixel_scale": 0.1, "bands": {"g": {"like": "des_g"}}})["bands"]["g"]
    assert band["native_scale"] == 0.263
    assert "depth" not in band
    assert not {"name", "pixel_scale", "like", "summary"} & set(band)


@pytest.mark.parametrize(
    ("band", "code"),
    [({"like": "no_such"}, "unknown-instrument"), ({"like": "kids"}, "several-bands")],
)
def test_a_band_is_like_an_instrument_of_one_band(band, code):
    with pytest.raises(ConfigError, check=has_code(code)):
        extended({"pixel_scale": 0.1, "bands": {"g": band}})


def source(**changes):
    return [{"profile": "sersic", "magnitude": 22, **SMALL, **changes}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": source(spectrum="S0")}, "unknown spectrum"),
        ({"source": source(spectrum=[])}, "spectrum is one of"),
        ({"source": source(spectrum="E", colours={"g": 1})}, "without colours"),
        ({"source": source(magnitude_band="g")}, "goes with a spectrum"),
        ({"source": source(spectrum="E", magnitude_band="w")}, "unknown band"),
        (
            {"source": source(spectrum="E"), "instrument": "hst_acs_f814w"},
            "colours need a camera with bands",
        ),
    ],
)
def test_spectra_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ConfigError, check=has_code("settings-invalid")) as refused:
        of_camera("kids", **changes)
    assert message in str(refused.value)
