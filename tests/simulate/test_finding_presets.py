"""Laws of presets with a class without lenses: the class switches sources on, and tells nothing else."""

import numpy as np
import pytest
from costs import DEAR_PRESETS, without_dear
from error_codes import has_code

from lenssim.errors import ConfigError
from lenssim.simulate.arcs import render_arcs, sources_alone
from lenssim.simulate.class_order import class_name_of, number_of
from lenssim.simulate.composites.distractor import KINDS
from lenssim.simulate.dark_sources import DARK
from lenssim.simulate.draw import draw, labels
from lenssim.simulate.engines import engine, engine_info
from lenssim.simulate.instruments import coarsest_sampling
from lenssim.simulate.pipeline import simulate
from lenssim.simulate.preset import load_preset, parse_preset, presets
from lenssim.simulate.spec import SimulationSpec

FINDING = [name for name in presets() if load_preset(name).has_dark_sources]
ALIKE = [name for name in FINDING if name.startswith("challenge")]  # without distractors
NUMBERS = np.arange(64)
SMALL = 25  # pixels a side: odd, so that a ray meets the middle
TRUTH = ("n_images", "magnification", "npix", "flux", "contrast")


def small(name: str):
    """The preset on a small stamp, with one ray a pixel where the camera allows it."""
    document = load_preset(name).model_dump(mode="json")
    document["instrument"]["num_pix"] = SMALL
    document["supersampling"] = coarsest_sampling(load_preset(name).instrument)
    return parse_preset(document)


def is_switched(preset, column: str) -> bool:
    """Whether it is the light of a source, or of a distractor, which classes switch on."""
    return any(
        column == part.prefix + name
        for part in preset.components()
        if part.role == "source" or part.prefix.startswith("distractor_")
        for name in DARK
    )


def test_there_are_presets_of_the_challenge():
    assert {"challenge-space", "challenge-ground", "survey-lenses"} <= set(FINDING)


def test_non_lenses_of_the_survey_are_of_the_stated_kinds():
    """Each kind has its share, its light is on, and blue companions have that of the arcs."""
    preset = load_preset("survey-lenses")
    numbers = np.arange(256)
    values = draw(preset, numbers, seed=5).params
    lens = labels(preset, numbers) == preset.label("lens")
    assert (values["kind"][lens] == -1).all()
    (stated,) = (
        choice.parameters for choice in preset.lens_light if choice.profile == "distractor"
    )
    pieces = np.stack([values[f"distractor_{k}_magnitude"] for k in range(1, 9)])
    lit = (pieces < DARK["magnitude"]).sum(0)
    lit += values["distractor_disc_magnitude"] < DARK["magnitude"]
    for number, kind in enumerate(KINDS):
        rows = values["kind"] == number
        if kind != "plain":
            assert rows.mean() / (~lens).mean() == pytest.approx(stated[kind], abs=0.08)
        assert (lit[rows] > 0).all() == (kind != "plain")
    drawn = draw(preset.with_classes(["lens"]), numbers, seed=5).params
    blue = values["kind"] == KINDS.index("blue")
    light = (10 ** (-0.4 * pieces[:, blue])).sum(0)
    arcs = 10 ** (-0.4 * drawn["source_magnitude"][blue]) * drawn["magnification"][blue]
    np.testing.assert_allclose(light, arcs, rtol=1e-9)


@pytest.mark.parametrize("name", without_dear(FINDING, DEAR_PRESETS))
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
            if column.startswith("distractor_"):
                assert (values == DARK["magnitude"]).all()
            elif column.endswith("magnitude"):
                assert (twin == DARK["magnitude"]).all()
            elif column != "kind":
                assert not twin.any()
    left_over = {column for column in switched if not is_switched(preset, column)}
    assert left_over <= {"source_magnitude", "n_images", "magnification", "kind"}
    assert any(is_switched(preset, column) for column in switched)


@pytest.mark.parametrize("name", ALIKE)
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


@pytest.mark.parametrize("name", ALIKE)
def test_the_map_twin_is_the_twin(name):
    preset = small(name)
    numbers = NUMBERS[:6]
    spec = SimulationSpec.of(preset, engine="lenstronomy", maps=("twin",))
    exposure = simulate(spec, numbers)
    twins = preset.with_classes(["non_lens"])
    twin = simulate(SimulationSpec.of(twins, engine="lenstronomy"), numbers)
    scale = exposure.observed.max()
    np.testing.assert_allclose(
        exposure.maps["twin"], twin.observed, rtol=0, atol=1e-5 * scale
    )
    lens = exposure.labels == preset.label("lens")
    difference = np.abs(exposure.maps["twin"] - exposure.observed).max((1, 2, 3))
    assert (difference[~lens] == 0).all()
    assert difference[lens].max() > 0


@pytest.mark.parametrize("name", without_dear(FINDING, DEAR_PRESETS))
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
    shows = params["magnification"] > 0
    assert not shows[exposure.labels == preset.label("non_lens")].any()
    assert shows.any()


@pytest.mark.parametrize(
    "name",
    without_dear(FINDING, DEAR_PRESETS),
)
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


def test_bulge_and_disc_share_the_light_and_lie_along_the_lens():
    values = draw(load_preset("challenge-space"), NUMBERS, seed=2).params
    parts = [values[f"lens_light_{name}_magnitude"] for name in ("bulge", "disc")]
    total = -2.5 * np.log10(sum(10 ** (-0.4 * part) for part in parts))
    np.testing.assert_allclose(total, values["lens_light_magnitude"], atol=1e-9)
    share = 10 ** (-0.4 * (parts[0] - total))
    np.testing.assert_allclose(share, values["lens_light_bulge_share"], atol=2e-4)
    for name in ("center_x", "center_y"):
        np.testing.assert_array_equal(values[f"lens_light_disc_{name}"], values[name])
    angles = [
        0.5 * np.arctan2(values[f"{prefix}e2"], values[f"{prefix}e1"])
        for prefix in ("", "lens_light_disc_")
    ]
    tilt = np.mod(angles[1] - angles[0] + np.pi / 2, np.pi) - np.pi / 2
    wanted = np.mod(values["lens_light_tilt"] + np.pi / 2, np.pi) - np.pi / 2
    np.testing.assert_allclose(tilt, wanted, atol=1e-6)


def test_only_heavy_lenses_have_a_group():
    values = draw(load_preset("challenge-space"), np.arange(256), seed=2).params
    members = np.stack([values[f"member_{k}_magnitude"] for k in range(1, 5)])
    counts = (members < DARK["magnitude"]).sum(0)
    np.testing.assert_array_equal(counts, values["member_companions"])
    heavy = values["theta_E"] >= 2.0
    assert counts[heavy].min() >= 2
    assert not counts[~heavy].any()


def test_a_size_follows_from_magnitude_and_surface_brightness():
    preset = load_preset("challenge-space").with_classes(["lens"])
    values = draw(preset, np.arange(256), seed=2).params
    radius = values["source_R_sersic"]
    mean = values["source_magnitude"] + 2.5 * np.log10(2 * np.pi * radius**2)
    free = radius < values["source_R_max"] * (1 - 1e-9)
    assert free.mean() > 0.5
    brightness = values["source_surface_brightness"]
    np.testing.assert_allclose(mean[free], brightness[free], atol=1e-6)
    assert (mean <= brightness + 1e-6).all()
