"""Bounds: every number of a preset is refused by its name, or gives an image that the reference confirms."""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from error_codes import has_code
from hypothesis import given
from hypothesis import strategies as st

from lenssim.data.generation.reference_check import compare_with_reference
from lenssim.data.generation.simulation import make_plan, make_samples
from lenssim.errors import ConfigError, DataError
from lenssim.formats.yaml import parse_yaml
from lenssim.simulate.bounds import Bounds
from lenssim.simulate.darkmatter import DARK_MATTER_MODELS
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.preset import load_preset, parse_preset, preset_text
from lenssim.simulate.profiles import PARAMETERS, PROFILES
from lenssim.simulate.scenes import Component, Scenes

CONVENTIONS = Path(__file__).parents[2] / "docs" / "conventions.md"
SMALL = {"name": "hst_wfc3_f160w", "num_pix": 16, "pixel_scale": 0.3}

# Where each number of this preset stands: its name in messages, and the way to it.
NUMBERS: dict[str, tuple[Any, ...]] = {
    "z_lens": ("z_lens",),
    "z_source": ("z_source",),
    "z_source_convention": ("z_source_convention",),
    "mass": ("lens", 0, "mass"),
    "e1": ("lens", 0, "e1"),
    "e2": ("lens", 0, "e2"),
    "gamma1": ("lens", 1, "gamma1"),
    "gamma2": ("lens", 1, "gamma2"),
    "source_magnitude": ("source", 0, "magnitude"),
    "source_R_sersic": ("source", 0, "R_sersic"),
    "source_n_sersic": ("source", 0, "n_sersic"),
    "source_e1": ("source", 0, "e1"),
    "source_center_x": ("source", 0, "center_x"),
    "pixel_scale": ("instrument", "pixel_scale"),
    "zero_point": ("instrument", "zero_point"),
    "exposure_time": ("instrument", "exposure_time"),
    "fwhm": ("instrument", "psf", "fwhm"),
    "radius": ("classes", "cdm", "radius"),
    "log10_m_axion": ("classes", "axion", "log10_m_axion"),
    "H0": ("cosmology", "H0"),
    "Om0": ("cosmology", "Om0"),
}


def document() -> dict[str, Any]:
    """A preset of three classes on a small stamp."""
    whole = parse_yaml(preset_text("III"), "III")
    instrument = {**load_preset("III").instrument.model_dump(mode="json"), **SMALL}
    return {**whole, "name": "mine", "instrument": instrument}


def with_numbers(numbers: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(document())
    for name, value in numbers.items():
        *way, key = NUMBERS[name]
        place: Any = changed
        for step in way:
            place = place[step]
        place[key] = value
    return changed


INSIDE = {  # where most images can be made
    "z_lens": (0.01, 20),
    "z_source": (0.01, 25),
    "z_source_convention": (0.01, 25),
    "mass": (1, 1e17),
    "source_magnitude": (-5, 60),
    "source_R_sersic": (1e-3, 1e3),
    "source_n_sersic": (0.2, 15),
    "source_center_x": (-1e4, 1e4),
    "pixel_scale": (1e-4, 100),
    "zero_point": (-10, 50),
    "exposure_time": (1e-3, 1e8),
    "fwhm": (1e-4, 5),
    "radius": (1e-6, 1e4),
    "log10_m_axion": (-26, 0),
    "H0": (1, 1000),
    "Om0": (0.05, 1),
}


@st.composite
def some_numbers(draw_from: st.DrawFn) -> dict[str, float]:
    """One to three numbers: absurd ones now and then, or anywhere in their bounds, small ones as often as large."""
    names = draw_from(
        st.lists(st.sampled_from(sorted(NUMBERS)), min_size=1, max_size=3, unique=True)
    )
    numbers = {}
    for name in names:
        low, high = INSIDE.get(name, (-1, 1))
        place = draw_from(st.floats(0, 1))
        if draw_from(st.integers(0, 9)) == 0:
            sign = draw_from(st.sampled_from([-1, 1]))
            numbers[name] = sign * 10.0 ** (600 * place - 300)
        elif low > 0:
            numbers[name] = low * (high / low) ** place
        else:
            numbers[name] = low + (high - low) * place
    return numbers


@given(numbers=some_numbers())
def test_any_number_is_refused_by_name_or_gives_an_image_that_the_reference_confirms(
    numbers,
):
    refusal = ""
    try:
        preset = parse_preset(with_numbers(numbers), "preset mine")
        samples, found = make_samples(make_plan(preset, 3, noise="none"), range(3))
    except ConfigError as error:
        refusal = str(error)
    if refusal:
        assert any(name in refusal for name in (*numbers, "single precision")), (
            numbers,
            refusal,
        )
    else:
        assert np.isfinite(samples.images).all(), numbers
        assert found.peak < 1e-4


@pytest.mark.parametrize("name", sorted(set(NUMBERS) - {"e2"}))
@pytest.mark.parametrize("value", [-1e300, 1e300])
def test_absurd_numbers_are_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=name):
        parse_preset(with_numbers({name: value}), "preset mine").check()


@pytest.mark.parametrize(
    "value", [{"uniform": [-1e9, 1e9]}, {"log10_uniform": [20, 30]}, {"shared": -1e9}]
)
def test_distributions_that_leave_the_bounds_are_refused_before_anything_is_drawn(value):
    for name in ("mass", "source_R_sersic", "radius", "z_lens"):
        with pytest.raises(ConfigError, match=name, check=has_code("out-of-bounds")):
            parse_preset(with_numbers({name: value}), "preset mine").check()


def test_what_is_drawn_without_ends_is_refused_with_its_sample():
    preset = parse_preset(with_numbers({"source_n_sersic": {"normal": [1.0, 0.4]}}))
    preset.check()
    expected = r"^sample 67: source_n_sersic must lie in \[0.2, 15\], got .*; a truncated_normal has ends, or a uniform"
    with pytest.raises(ConfigError, match=expected, check=has_code("out-of-bounds")):
        draw(preset, range(640), seed=3)
    draw(preset, [67], seed=3, fixed={"source_n_sersic": 1.0})


@pytest.mark.parametrize(
    ("key", "value", "refused"),
    [
        ("z_source_convention", 0.4, True),
        ("z_source_convention", 0.5, True),
        ("z_source_convention", {"uniform": [0.4, 0.6]}, True),
        ("z_source_convention", {"normal": [0.3, 0.01]}, True),
        ("z_source_convention", 0.50001, True),  # deflections would be scaled by 20,000
        ("z_source_convention", 0.6, False),
        ("z_source", 0.5, True),
        ("z_source", {"uniform": [0.4, 1.0]}, True),
        ("z_source", {"uniform": [0.6, 1.0]}, False),
        ("z_lens", {"truncated_normal": [0.5, 0.2, 0.1, 1.2]}, True),
        ("z_lens", 0.0, True),
        ("z_source", 26.0, True),
    ],
)
def test_every_source_lies_behind_its_lens(key, value, refused):
    preset = parse_preset(with_numbers({key: value}))
    if not refused:
        make_plan(preset, 3)
        assert (draw(preset, range(64), seed=0).deflection_scale() > 0).all()
        return
    with pytest.raises(ConfigError, match=key):
        make_plan(preset, 3, folder=Path("nowhere"))


def test_the_redshift_of_masses_lies_behind_the_lens():
    changed = {**document(), "masses": {"distances": "luminosity", "z_source": 0.4}}
    with pytest.raises(
        ConfigError,
        match=r"masses\.z_source must lie behind z_lens",
        check=has_code("lens-planes", name="masses.z_source"),
    ):
        parse_preset(changed).check()


def test_scenes_by_hand_are_checked():
    one = np.ones(1)
    params = {"z_lens": 0.5 * one, "theta_E": one, "e1": 0 * one, "e2": 0 * one}
    params |= {"center_x": 0 * one, "center_y": 0 * one}
    lens = (Component("lens", "sie"),)
    assert len(Scenes(lens, {**params, "z_source": one})) == 1
    for wrong in (
        {"z_source": 0.4 * one},
        {"z_source": one, "z_source_convention": 0.2 * one},
    ):
        with pytest.raises(
            ConfigError, match="behind z_lens", check=has_code("out-of-bounds")
        ):
            Scenes(lens, {**params, **wrong})


def test_what_single_precision_cannot_hold_is_told_apart_from_a_fault():
    preset = parse_preset(with_numbers({}))
    scenes = draw(preset, [0], seed=0)
    double = engine("batched", precision="float64", kernels="eager")
    expected = 1.001 * double.render(scenes, preset.instrument)
    question = (double, expected, scenes, preset.instrument, 1)
    with pytest.raises(
        ConfigError,
        check=has_code("precision-lost"),
    ):
        compare_with_reference(*question, 1e-4, np.array([7]), is_single=True)
    with pytest.raises(DataError, match="report it", check=has_code("reference-differs")):
        compare_with_reference(*question, 1e-8, np.array([7]))


def test_bounds_say_where_numbers_may_lie():
    bounds = Bounds(0, 3, "arcsec", open_low=True, reason="by law")
    assert bounds.outside(np.array([0, 1, 3, math.nan, math.inf, 4])).tolist() == [
        True,
        False,
        False,
        True,
        True,
        True,
    ]
    with pytest.raises(
        ConfigError,
        match=r"^x must lie in \(0, 3\] arcsec \(by law\), got 0$",
        check=has_code("out-of-bounds"),
    ):
        bounds.check("x", np.array([1.0, 0.0]))
    whole = Bounds(0, 3, whole=True)
    assert whole.outside(np.array([1.0, 1.5])).tolist() == [False, True]


def test_every_parameter_has_its_bounds_in_the_documents():
    text = CONVENTIONS.read_text()
    for name, parameter in PARAMETERS.items():
        assert f"| `{name}` | {parameter.bounds} |" in text, f"{name}: {parameter.bounds}"
    for model in DARK_MATTER_MODELS.values():
        for name, bounds in model.bounds.items():
            assert f" `{name}` | {bounds} |" in text, (model.__name__, name, str(bounds))


def test_every_parameter_of_a_profile_has_bounds():
    assert {name for profile in PROFILES.values() for name in profile.parameters} <= set(
        PARAMETERS
    )
    for model in DARK_MATTER_MODELS.values():
        assert set(model.bounds) <= set(model.model_fields)
