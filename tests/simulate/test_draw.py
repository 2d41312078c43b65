"""Identity of samples: their numbers depend on (preset, seed, split, sample number) and nothing else."""

import numpy as np
import pytest
from costs import DEAR_PRESETS, without_dear
from error_codes import has_code
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy.integrate import cumulative_trapezoid
from scipy.special import ndtr
from scipy.stats import exponnorm, kstest

from lenssim.errors import ConfigError
from lenssim.simulate.distributions import Value, log_density, sample, support
from lenssim.simulate.draw import column_names, draw, labels, laws
from lenssim.simulate.preset import load_preset, presets
from lenssim.simulate.scenes import Scenes
from lenssim.simulate.streams import BLOCK, SPLITS, blocks

NUMBERS = st.lists(st.integers(0, 5 * BLOCK), min_size=1, max_size=12)
NUMBERS_OF_FEW_BLOCKS = st.lists(st.integers(0, 2 * BLOCK), min_size=2, max_size=8)


def assert_same(a: Scenes, b: Scenes) -> None:
    assert list(a.params) == list(b.params)
    for name in a.params:
        np.testing.assert_array_equal(a.params[name], b.params[name], err_msg=name)
    for kind, table in a.perturbers.items():
        np.testing.assert_array_equal(table.offset, b.perturbers[kind].offset)
        for name, column in table.columns.items():
            np.testing.assert_array_equal(
                column, b.perturbers[kind].columns[name], err_msg=f"{kind}/{name}"
            )


@pytest.mark.parametrize("model", without_dear(presets(), DEAR_PRESETS))
@settings(max_examples=4)
@given(numbers=NUMBERS_OF_FEW_BLOCKS, seed=st.integers(0, 2**63))
def test_a_sample_is_the_same_however_it_is_asked_for(model, numbers, seed):
    """The first number by itself, and the others in the opposite order."""
    preset = load_preset(model)
    together = draw(preset, numbers, seed=seed)
    positions = np.arange(len(numbers))
    for part in (positions[:1], positions[:0:-1]):
        if part.size:
            part_alone = draw(preset, np.array(numbers)[part], seed=seed)
            assert_same(together.take(part), part_alone)


@given(numbers=NUMBERS)
def test_blocks_cover_every_sample_once(numbers):
    positions = np.concatenate([p for _, p, _ in blocks(np.array(numbers))])
    assert sorted(positions) == list(range(len(numbers)))
    for block, where, rows in blocks(np.array(numbers)):
        np.testing.assert_array_equal(np.array(numbers)[where], block * BLOCK + rows)


@pytest.mark.parametrize("model", without_dear(presets(), DEAR_PRESETS))
def test_seeds_and_splits_share_nothing(model):
    preset, numbers = load_preset(model), np.arange(2 * BLOCK)
    drawn = [
        draw(preset, numbers, seed=seed, split=split) for seed in (0, 1) for split in SPLITS
    ]
    positions = np.concatenate([scenes.params["source_center_x"] for scenes in drawn])
    assert len(np.unique(positions)) == len(positions)


@pytest.mark.parametrize("model", without_dear(presets(), DEAR_PRESETS))
def test_every_prefix_is_balanced(model):
    preset = load_preset(model)
    names = list(preset.classes)
    shares = preset.shares or dict.fromkeys(names, 1 / len(names))
    expected = np.array([shares[name] for name in names]) / sum(shares.values())
    for n in (1, 2, 3, 50, 64, 100):
        counts = np.bincount(labels(preset, np.arange(n)), minlength=len(names))
        if preset.shares is None:
            assert counts.max() - counts.min() <= 1
        assert np.abs(counts - n * expected).max() < 2


def test_published_distributions():
    """The numbers that the published scripts draw from: physics of DeepLenseSim's `make_cdm` and `make_vortex`."""
    preset = load_preset("III")
    scenes = draw(preset, np.arange(6000), seed=0)
    label = labels(preset, np.arange(6000))
    assert scenes.params["theta_E"] == pytest.approx(1.281490567617296, rel=1e-14)
    assert scenes.deflection_scale() == pytest.approx(0.6343147665739448, rel=1e-12)
    counts = scenes.perturbers["point_mass"].counts
    assert set(counts[label == 0]) == {0}
    assert set(counts[label == 1]) == {25}
    assert set(counts[label == 2]) == {100}
    for axis in ("x", "y"):
        centre = scenes.params[f"source_center_{axis}"]
        assert -0.35 <= centre.min() < -0.345
        assert 0.345 < centre.max() <= 0.35
    solar = 1.281490567617296 / 1e6
    cdm = scenes.take(np.flatnonzero(label == 1)).perturbers["point_mass"].columns
    mass = (cdm["theta_E"] / solar) ** 2
    cumulative = (mass**0.1 - 1e6**0.1) / (1e10**0.1 - 1e6**0.1)  # of dN/dm ~ m^-0.9
    radius = np.hypot(cdm["center_x"], cdm["center_y"])
    for uniform in (
        cumulative,
        (radius - 0.25) / 1.75,
        np.arctan2(cdm["center_x"], cdm["center_y"]) / (2 * np.pi) + 0.5,
    ):
        deviation = np.abs(
            np.sort(uniform) - (np.arange(len(uniform)) + 0.5) / len(uniform)
        ).max()
        assert deviation < 1.63 / np.sqrt(
            len(uniform)
        )  # Kolmogorov-Smirnov, 1 % level, fixed seed
    axion = scenes.take(np.flatnonzero(label == 2))
    beads = axion.perturbers["point_mass"]
    assert (beads.columns["theta_E"] / solar) ** 2 == pytest.approx(3e8, rel=1e-12)
    reach = np.hypot(beads.columns["center_x"], beads.columns["center_y"]).reshape(-1, 100)
    half_length = 0.06 / 2 * 1e-22 / 10 ** axion.params["log10_m_axion"]
    np.testing.assert_allclose(reach[:, 0], half_length, rtol=1e-12)
    np.testing.assert_allclose(
        reach, half_length[:, None] * np.abs(np.linspace(-1, 1, 100)), rtol=1e-9, atol=1e-15
    )


def test_fixed_parameters_carry_their_consequences():
    preset = load_preset("III")
    plain, set_by_hand = (
        draw(preset, [2], seed=4, fixed=fixed)
        for fixed in ({}, {"mass": 4e12, "log10_m_axion": -23})
    )
    assert set_by_hand.params["theta_E"] == pytest.approx(
        2 * plain.params["theta_E"], rel=1e-14
    )
    assert set_by_hand.params["vortex_half_length"] == pytest.approx(0.3, rel=1e-12)
    assert set_by_hand.params["source_center_x"] == plain.params["source_center_x"]
    assert set_by_hand.params["vortex_angle"] == plain.params["vortex_angle"]


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"thetaE": 1.0}, "did you mean 'theta_E'"),
        ({"theta_E": float("nan")}, "must be a finite number"),
        ({"theta_E": -1.0}, r"^theta_E, from mass, must lie in \[0, 1000\] arcsec, got -1"),
        ({"mass": -1.0}, r"mass must lie in \[1, 1e\+17\] Msun"),
        ({"e1": 0.9, "e2": 0.9}, "the axis ratio of e1, e2 must lie in"),
        ({"z_source": 0.4}, "behind z_lens"),
        ({"n_subhaloes": 2.5}, "whole number"),
    ],
)
def test_impossible_parameters_are_refused(fixed, message):
    with pytest.raises(ConfigError, match=message):
        draw(load_preset("III"), [1], seed=0, fixed=fixed)


def test_impossible_sample_numbers_are_refused():
    for numbers in ([], [-1], [[1]]):
        with pytest.raises(ConfigError, check=has_code("sample-numbers")):
            draw(load_preset("III"), numbers, seed=0)


def test_column_names_are_those_of_the_scenes():
    preset = load_preset("I")
    assert column_names(preset) == list(draw(preset, [7], seed=9).params)


@pytest.mark.parametrize(
    ("document", "cumulative"),
    [
        (
            {"truncated_normal": [1.0, 0.5, 0.5, 2.0]},
            lambda x: (ndtr(2 * (x - 1)) - ndtr(-1)) / (ndtr(2) - ndtr(-1)),
        ),
        ({"log10_normal": [-0.7, 0.2]}, lambda x: ndtr((np.log10(x) + 0.7) / 0.2)),
        ({"normal": [1.0, 2.0]}, lambda x: ndtr((x - 1) / 2)),
        (
            {"exponential_normal": [1.0, 0.5, -0.8]},
            lambda x: exponnorm.sf(1 - x, 1.6, 0, 0.5),
        ),
        ({"uniform": [-2.0, 3.0]}, lambda x: (x + 2) / 5),
        ({"log10_uniform": [-2, 1]}, lambda x: (np.log10(x) + 2) / 3),
        (
            {"power_law": [-1.9, 1e6, 1e10]},
            lambda x: (x**-0.9 - 1e6**-0.9) / (1e10**-0.9 - 1e6**-0.9),
        ),
    ],
)
def test_distributions_have_the_cumulative_they_state(document, cumulative):
    value = TypeAdapter(Value).validate_python(document)
    drawn = sample(value, np.random.default_rng(4), 4000)
    assert kstest(drawn, cumulative).pvalue > 0.01
    grid = (
        np.geomspace(*np.quantile(drawn, [0.1, 0.9]), 4001)
        if drawn.min() > 0
        else np.linspace(-2, 3, 4001)
    )
    density = np.exp(log_density(value, grid))
    np.testing.assert_allclose(
        cumulative_trapezoid(density, grid, initial=0),
        cumulative(grid) - cumulative(grid[0]),
        atol=1e-6,
    )
    assert log_density(value, np.array([-1e6]))[0] < -1e5
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(cumulative(np.array(support(value))), [0, 1], atol=1e-12)
    assert (
        TypeAdapter(Value).validate_python(
            TypeAdapter(Value).dump_python(value, mode="json")
        )
        == value
    )


def test_quantiles_are_those_that_are_stated():
    stated = [-2.0, -1.5, 0.0, 3.0]
    value = TypeAdapter(Value).validate_python({"quantiles": stated})
    drawn = sample(value, np.random.default_rng(4), 40_000)
    probabilities = np.linspace(0, 1, len(stated))
    np.testing.assert_allclose(np.quantile(drawn, probabilities), stated, atol=0.05)
    assert kstest(drawn, lambda x: np.interp(x, stated, probabilities)).pvalue > 0.01
    middles = (np.array(stated[1:]) + np.array(stated[:-1])) / 2
    masses = np.exp(log_density(value, middles)) * np.diff(stated)
    np.testing.assert_allclose(masses, 1 / 3, rtol=1e-12)
    assert np.isneginf(log_density(value, np.array([-2.1, 3.1]))).all()
    assert support(value) == (-2.0, 3.0)
    for wrong in ([1.0], [1.0, 1.0], [2.0, 1.0]):
        with pytest.raises(ValueError, match="ascending"):
            TypeAdapter(Value).validate_python({"quantiles": wrong})


def test_shared_numbers_are_one_draw_a_block_and_move_nothing_else():
    alone, names = load_preset("hst-wdm"), ("f_sub", "slope", "log10_m_hm")
    numbers, columns = np.arange(0, 192, 7), ("f_sub", "shmf_slope", "log10_m_hm")
    plain, together = (
        draw(preset, numbers, seed=2).params for preset in (alone, alone.with_shared(names))
    )
    for name, column in together.items():
        if name in columns:
            assert [
                len(np.unique(column[numbers // 64 == block])) for block in range(3)
            ] == [1, 1, 1]
            assert len(np.unique(column)) == 3
    for name in ("theta_E", "z_lens", "source_magnitude", "host_mass"):
        np.testing.assert_array_equal(together[name], plain[name])
    assert laws(alone.with_shared(names))["f_sub"].shared == laws(alone)["f_sub"]
    with pytest.raises(
        ConfigError,
        match="log10_m_hm",
        check=has_code("unknown-target", name="log10_m_hn", suggestion="log10_m_hm"),
    ):
        alone.with_shared(["log10_m_hn"])


def test_laws_are_what_columns_were_drawn_from():
    preset = load_preset("hst-arcs")
    known = laws(preset, "wdm")
    drawn = draw(preset, np.arange(2, 1200, 6), seed=0).params  # the class wdm
    for name in ("theta_E", "Sigma_sub", "shmf_slope", "log10_m_hm", "z_lens"):
        own = np.sort(drawn[name])
        assert np.isfinite(log_density(known[name], own)).all()
        grid = np.linspace(own[0], own[-1], 4001)
        cumulative = cumulative_trapezoid(
            np.exp(log_density(known[name], grid)), grid, initial=0
        )
        assert (
            kstest(own, lambda x, g=grid, c=cumulative: np.interp(x, g, c / c[-1])).pvalue
            > 0.01
        ), name
    assert "f_sub" not in known  # it follows
    assert "Sigma_sub" not in laws(preset)  # not all classes have one
    assert laws(load_preset("sie")) == {}  # its placement chooses
