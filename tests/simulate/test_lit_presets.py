"""Laws of the presets with a lens galaxy: its light fits its mass, and the camera's noise is a telescope's."""

import json

import numpy as np
import pytest
from costs import DEAR_PRESETS, without_dear

from lenssim.data.format.manifest import read_manifest, read_plan
from lenssim.data.generation.planning import make_plan
from lenssim.data.generation.request import GenerationRequest
from lenssim.data.generation.simulation import generate
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine, engine_info
from lenssim.simulate.instruments import coarsest_sampling
from lenssim.simulate.pipeline import simulate
from lenssim.simulate.preset import (
    former_preset,
    load_preset,
    parse_preset,
    presets,
)
from lenssim.simulate.spec import SimulationSpec

LIT = [
    name
    for name in presets()
    if load_preset(name).lens_light and not load_preset(name).has_dark_sources
]
ARCS = {"hst": "hst-arcs", "euclid": "euclid-arcs"}
SMALL = 32  # pixels a side


def smooth(name: str):
    """The preset without substructure, on a small stamp."""
    document = load_preset(name).model_dump(mode="json")
    document["classes"] = {"no_sub": {"model": "no_sub"}}
    document.pop("shares", None)
    document["instrument"]["num_pix"] = SMALL
    return parse_preset(document)


def test_the_survey_presets_have_a_lens_galaxy():
    assert {"hst", "euclid", "hst-acs", "euclid-vis"} <= set(LIT)
    for arcs in ARCS.values():
        assert not load_preset(arcs).lens_light


@pytest.mark.parametrize("name", without_dear(LIT, DEAR_PRESETS))
def test_brighter_galaxies_are_the_heavier_ones(name):
    preset = load_preset(name)
    scenes = draw(preset, np.arange(640), seed=1)
    values = scenes.params
    slope = np.corrcoef(
        np.log10(values["lens_light_sigma_v"]), values["lens_light_absolute_magnitude"]
    )[0, 1]
    assert slope < -0.5
    offset = values["lens_light_part1_e1"] - values["e1"]
    assert 0 < offset.std() < 0.5 * values["e1"].std()
    np.testing.assert_array_equal(values["lens_light_part1_center_x"], values["center_x"])
    assert any(choice.profile == "shear" for choice in preset.lens)
    assert any((choice.name or "").startswith("neighbour") for choice in preset.lens_light)


@pytest.mark.parametrize("name", without_dear(LIT, DEAR_PRESETS))
def test_the_noise_is_a_telescopes_and_psfs_vary(name):
    preset = load_preset(name)
    assert preset.noise[0] == "telescope"
    exposure = simulate(SimulationSpec.of(smooth(name), seed=2), np.arange(64))
    bands = preset.instrument.instruments
    for number, band in enumerate(bands):
        residual = (exposure.observed - exposure.expected)[:, number]
        residual = residual / exposure.sigma[:, number]
        assert residual.std() == pytest.approx(band.pixel_loss, rel=0.05)
        neighbours = (residual[:, 1:] * residual[:, :-1]).mean() / residual.var()
        taps = band.taps
        expected = (taps[1:] * taps[:-1]).sum() / (taps**2).sum()
        assert neighbours == pytest.approx(expected, abs=0.03)
        assert band.psf.column is not None
    columns = [name for name in exposure.scenes.params if name.startswith("psf_")]
    assert len(columns) == len(bands)
    for column in columns:
        assert len(np.unique(exposure.scenes.params[column])) >= 10


@pytest.mark.parametrize("name", without_dear(LIT, DEAR_PRESETS))
@pytest.mark.parametrize("other", ["batched", "autolens"])
def test_engines_agree(name, other):
    preset = smooth(name)
    scenes = draw(preset, np.arange(2), seed=3)
    rays = coarsest_sampling(preset.instrument)
    options = {"precision": "float64", "kernels": "eager"} if other == "batched" else {}
    reference = engine("lenstronomy").render(scenes, preset.instrument, supersampling=rays)
    images = engine(other, **options).render(scenes, preset.instrument, supersampling=rays)
    peak = reference.max(axis=(2, 3), keepdims=True)
    assert np.abs((images - reference) / peak).max() <= engine_info(other).parity


@pytest.mark.parametrize("name", without_dear(LIT, DEAR_PRESETS))
def test_galaxies_stand_for_its_sources(tmp_path, name):
    y, x = np.mgrid[-16:16, -16:16]
    light = np.exp(-(x**2 + y**2) / 20)
    np.save(tmp_path / "galaxies.npy", np.stack([light * (1 + k) for k in range(12)]))
    preset = smooth(name).with_galaxies(tmp_path / "galaxies.npy")
    assert [choice.profile for choice in preset.source] == ["interpolated"]
    exposure = simulate(SimulationSpec.of(preset), [0, 1])
    assert exposure.expected.min() >= 0


@pytest.mark.parametrize("name", presets())
def test_a_camera_is_read_again_as_it_was_stated(name):
    camera = load_preset(name).instrument
    assert smooth(name).instrument == camera.model_copy(update={"num_pix": SMALL})


@pytest.mark.parametrize("name", ARCS)
def test_what_version_0_1_simulated_is_the_arcs_preset(name):
    former = former_preset(name)
    assert former is not None
    arcs = load_preset(ARCS[name])
    assert former == arcs.model_copy(update={"name": name})
    assert former != load_preset(name)
    assert former_preset(ARCS[name]) is None


def test_euclid_has_a_name_that_says_what_its_lenses_are_like():
    assert load_preset("euclid-bright") == load_preset("euclid")


@pytest.mark.parametrize("name", presets())
def test_a_preset_says_where_its_lenses_come_from(name):
    assert load_preset(name).reference


def test_a_data_set_of_a_former_preset_goes_on(tmp_path):
    former = former_preset("hst").with_classes(("no_sub",))
    folder = tmp_path / "D"
    generate(
        folder, make_plan(former, 4, seed=1, engine_name="lenstronomy", supersampling=2)
    )
    request = GenerationRequest(
        model="hst", n=6, seed=1, classes=["no_sub"], engine="lenstronomy", supersampling=2
    )
    longer = request.plan(folder)
    generate(folder, longer)
    assert read_manifest(folder).n == 6
    assert read_plan(folder).config["preset"] == former.model_dump(mode="json")
    fresh = request.plan(tmp_path / "E")
    assert json.dumps(fresh.config["preset"]) != json.dumps(longer.config["preset"])
    assert fresh.config["preset"]["lens_light"]
