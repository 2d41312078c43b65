"""Laws of presets with a class without lenses: the class switches sources on, and tells nothing else."""

import numpy as np
import pytest
from costs import without_dear
from error_codes import has_code

from lenssim.errors import ConfigError
from lenssim.simulate.arcs import render_arcs, sources_alone
from lenssim.simulate.class_order import class_name_of, number_of
from lenssim.simulate.dark_sources import DARK
from lenssim.simulate.draw import draw, labels
from lenssim.simulate.engines import engine, engine_info
from lenssim.simulate.instruments import coarsest_sampling
from lenssim.simulate.pipeline import simulate
from lenssim.simulate.preset import load_preset, parse_preset, presets
from lenssim.simulate.spec import SimulationSpec

FINDING = [name for name in presets() if load_preset(name).has_dark_sources]
NUMBERS = np.arange(128)
SMALL = 24  # pixels a side
TRUTH = ("n_images", "magnification", "npix", "flux", "contrast")


def small(name: str):
    """The preset on a small stamp, with one ray a pixel where the camera allows it."""
    document = load_preset(name).model_dump(mode="json")
    document["instrument"]["num_pix"] = SMALL
    document["supersampling"] = coarsest_sampling(load_preset(name).instrument)
    return parse_preset(document)


def of_source(preset, column: str) -> bool:
    return any(
        column == part.prefix + name
        for part in preset.components()
        if part.role == "source"
        for name in DARK
    )


def test_there_are_presets_of_the_challenge():
    assert {"challenge-space", "challenge-ground"} <= set(FINDING)


@pytest.mark.parametrize("name", FINDING)
def test_the_class_only_switches_the_source_on(name):
    """Sample by sample, a lens and its twin without a source have the same numbers otherwise."""
    preset = load_preset(name)
    lit, dark = (
        draw(preset.with_classes([class_name]), NUMBERS, seed=3)
        for class_name in ("lens", "non_lens")
    )
    drawn = draw(preset, NUMBERS, seed=3)
    of_lens = labels(preset, NUMBERS) == preset.label("lens")
    assert 0 < of_lens.sum() < len(NUMBERS)
    switched = []
    for column, values in lit.params.items():
        twin = dark.params[column]
        np.testing.assert_array_equal(
            drawn.params[column], np.where(of_lens, values, twin), err_msg=column
        )
        if not np.array_equal(values, twin):
            switched.append(column)
            if column.endswith("magnitude"):
                assert (twin == DARK["magnitude"]).all()
            else:
                assert not twin.any()
    left_over = {column for column in switched if not of_source(preset, column)}
    assert left_over <= {"source_magnitude", "n_images", "magnification"}
    assert any(of_source(preset, column) for column in switched)


@pytest.mark.parametrize("name", FINDING)
def test_a_twin_is_the_lens_less_its_arcs(name):
    preset = small(name)
    numbers = NUMBERS[labels(preset, NUMBERS) == preset.label("lens")][:6]
    lens = simulate(SimulationSpec.of(preset, engine="lenstronomy"), numbers)
    twins = preset.with_classes(["non_lens"])
    twin = simulate(SimulationSpec.of(twins, engine="lenstronomy"), numbers)
    peak = lens.expected.max()
    np.testing.assert_allclose(
        lens.expected, twin.expected + lens.arcs, rtol=0, atol=2e-7 * peak
    )
    noise = lens.observed - lens.expected
    np.testing.assert_allclose(
        noise, twin.observed - twin.expected, rtol=0, atol=0.05 * noise.std()
    )
    assert lens.arcs.max() > 0
    assert not twin.arcs.any()
    for column in TRUTH:
        assert not twin.params[column].any()


@pytest.mark.parametrize("name", FINDING)
def test_columns_say_how_well_arcs_show(name):
    preset = small(name)
    exposure = simulate(SimulationSpec.of(preset, engine="lenstronomy"), NUMBERS[:12])
    arcs = exposure.arcs[:, 0]
    band = preset.instrument.instruments[0]
    sigma = float(band.background())
    params = exposure.params
    np.testing.assert_array_equal(params["npix"], (arcs > sigma).sum((1, 2)))
    np.testing.assert_allclose(
        params["flux"], (arcs * (arcs > sigma)).sum((1, 2)) / sigma, rtol=1e-5
    )
    assert ((params["contrast"] >= 0) & (params["contrast"] <= 1)).all()
    assert ((params["n_images"] > 0) == (exposure.labels == preset.label("lens"))).all()


@pytest.mark.parametrize("name", without_dear(FINDING, ["challenge-ground"]))
@pytest.mark.parametrize("other", ["batched", "autolens"])
def test_engines_agree(name, other):
    preset = small(name)
    scenes = draw(preset, np.arange(2), seed=3)
    rays = coarsest_sampling(preset.instrument)
    options = {"precision": "float64", "kernels": "eager"} if other == "batched" else {}
    reference = engine("lenstronomy").render(scenes, preset.instrument, supersampling=rays)
    images = engine(other, **options).render(scenes, preset.instrument, supersampling=rays)
    peak = reference.max(axis=(2, 3), keepdims=True)
    assert np.abs((images - reference) / peak).max() <= engine_info(other).parity


def test_a_class_has_its_share():
    preset = load_preset("challenge-space").with_classes(["non_lens=3", "lens=1"])
    assert preset.shares == {"non_lens": 0.75, "lens": 0.25}
    for count in (64, 1000, 20_000):
        label = labels(preset, np.arange(count))
        assert abs(label.mean() - 0.25) < 2 / count + 1e-3
    again = parse_preset(preset.model_dump(mode="json"))
    assert again == preset
    numbers = [number_of(preset, 1, count) for count in range(5)]
    assert numbers == np.flatnonzero(labels(preset, np.arange(64)) == 1)[:5].tolist()
    assert [class_name_of(preset, number) for number in numbers] == ["lens"] * 5


@pytest.mark.parametrize("names", [["lens=1", "non_lens"], ["lens=0"], ["lens=much"]])
def test_impossible_shares_are_refused(names):
    with pytest.raises(ConfigError, check=has_code("class-shares")):
        load_preset("challenge-space").with_classes(names)


def test_shares_are_those_of_the_classes():
    document = load_preset("III").model_dump(mode="json")
    document["shares"] = {"cdm": 0.5, "no_sub": 0.5}
    with pytest.raises(ConfigError, match="shares are those of the classes"):
        parse_preset(document)


def test_the_map_of_arcs_is_of_the_source_alone():
    preset = small("challenge-space")
    scenes = draw(preset, NUMBERS[:8], seed=1)
    reference = engine("lenstronomy")
    rays = coarsest_sampling(preset.instrument)
    arcs = render_arcs(reference, scenes, preset.instrument, rays)
    alone = sources_alone(scenes)
    assert {part.role for part in alone.components} == {"lens", "source"}
    lit = labels(preset, NUMBERS[:8]) == preset.label("lens")
    assert (arcs.max((1, 2, 3)) > 0)[lit].any()
    assert not arcs[~lit].any()
    spec = SimulationSpec.of(load_preset("III"), engine="lenstronomy", maps=("arcs",))
    exposure = simulate(spec, [0])
    np.testing.assert_allclose(exposure.maps["arcs"], exposure.expected, rtol=1e-6)
    assert exposure.params["contrast"][0] == pytest.approx(1.0)
