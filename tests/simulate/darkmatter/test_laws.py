"""Laws that every dark-matter model obeys. A new one is tested by a line in MODELS."""

import copy
from typing import Literal

import numpy as np
import pytest
import yaml
from error_codes import has_code

from lenssim.errors import ConfigError
from lenssim.simulate.darkmatter import DARK_MATTER_MODELS
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.plane import RING_WIDTH, TRUTH_UNITS
from lenssim.simulate.preset import parse_preset, preset_text
from lenssim.simulate.profiles import PROFILES

HALOES = {"Sigma_sub": {"uniform": [0.01, 0.03]}, "mass": [1e8, 1e10], "line_of_sight": 0.5}
MODELS = {
    "no_sub": {},
    "no_source": {},
    "cdm_point_masses": {
        "mass": {"power_law": [-0.9, 1e6, 1e10]},
        "radius": {"uniform": [0.25, 2.0]},
    },
    "vortex_beads": {"mass": 3e10, "log10_m_axion": {"uniform": [-24, -22]}},
    "cdm": HALOES,
    "wdm": {**HALOES, "log10_m_hm": {"uniform": [7, 9]}},
    "axion": {**HALOES, "log10_m_axion": {"uniform": [-22, -21]}, "max_granules": 60},
    "vortex": {
        "mass": {"log10_uniform": [8, 9]},
        "log10_m_axion": {"uniform": [-23.5, -22.5]},
    },
    "sidm": {**HALOES, "cross_section": {"uniform": [0, 200]}},
}
SMOOTH = ("no_sub", "no_source")
NEW = [name for name in MODELS if name not in (*SMOOTH, "cdm_point_masses", "vortex_beads")]


def preset_of(name: str):
    """III-corrected with this model, and beside it the smooth lens and a population that asks for truth."""
    document = copy.deepcopy(yaml.safe_load(preset_text("III-corrected")))
    document["classes"] = {
        "own": {"model": name, **MODELS[name]},
        "none": {"model": "no_sub"},
        "truthful": {"model": "vortex", **MODELS["vortex"]},
    }
    return parse_preset(document)


def test_every_model_is_under_these_laws():
    assert set(DARK_MATTER_MODELS) == set(MODELS)
    for name, model in DARK_MATTER_MODELS.items():
        assert model.model_fields["model"].annotation == Literal[name]


@pytest.mark.parametrize("name", MODELS)
def test_a_sample_depends_on_its_number_alone(name):
    preset = preset_of(name)
    whole, few = draw(preset, np.arange(70), seed=5), draw(preset, [66, 3], seed=5)
    for column in whole.params:
        np.testing.assert_array_equal(
            whole.params[column][[66, 3]], few.params[column], err_msg=column
        )
    for kind, table in whole.perturbers.items():
        for column, values in table.take(np.array([66, 3])).columns.items():
            np.testing.assert_array_equal(
                values, few.perturbers[kind].columns[column], err_msg=f"{kind}/{column}"
            )


@pytest.mark.parametrize("name", MODELS)
def test_columns_are_declared_finite_and_have_units(name):
    preset = preset_of(name)
    model = preset.classes["own"]
    scenes = draw(preset, np.arange(64), seed=2)
    own = scenes.take(np.arange(0, 64, 3))
    for column in (*model.units, *TRUTH_UNITS):
        assert np.isfinite(own.params[column]).all(), column
        assert scenes.unit(column) == {**model.units, **TRUTH_UNITS}[column]
    for kind, table in own.perturbers.items():
        assert kind in model.kinds or table.counts.sum() == 0
        assert set(table.columns) <= set(PROFILES[kind].parameters)
        assert all(np.isfinite(values).all() for values in table.columns.values())


@pytest.mark.parametrize("name", MODELS)
def test_both_engines_see_the_same(name):
    preset = preset_of(name)
    scenes = draw(preset, [0, 3], seed=9)
    images = engine("lenstronomy").render(scenes, preset.instrument)
    batched = engine("batched", precision="float64", device="cpu", kernels="eager").render(
        scenes, preset.instrument
    )
    assert np.isfinite(images).all()
    np.testing.assert_allclose(batched, images, atol=2e-6 * images.max())
    smooth = engine("lenstronomy").render(_without_perturbers(scenes), preset.instrument)
    assert (np.abs(images - smooth).max() > 1e-4 * images.max()) == (name not in SMOOTH)


def _without_perturbers(scenes):
    from dataclasses import replace

    return replace(scenes, perturbers={})


@pytest.mark.parametrize("name", MODELS)
def test_truth_counts_what_is_in_the_tables(name):
    """Numbers in the frame and near the ring are those of the tables, in every class, and 0 without substructure."""
    preset = preset_of(name)
    scenes = draw(preset, np.arange(64), seed=4)
    frame = preset.instrument.num_pix * preset.instrument.pixel_scale / 2
    rows = np.arange(0, 64, 3)
    own = scenes.take(rows)
    kind = {"sidm": "uldm", "axion": "uldm"}.get(
        name, next((k for k in own.perturbers if k in preset.classes["own"].kinds), "")
    )
    if name in SMOOTH:
        assert not any(own.params[column].any() for column in TRUTH_UNITS)
        return
    for i in range(len(own)):
        table = own.perturbers[kind].of(i)
        x, y = table["center_x"], table["center_y"]
        if name == "axion":  # haloes have a soliton each, and come before the granules
            halos = int(own.params["n_subhaloes"][i] + own.params["n_field_haloes"][i])
            x, y = x[:halos], y[:halos]
        if (
            name == "sidm"
        ):  # all haloes are in the other table, first whole and then hollowed out
            halos = int(own.params["n_subhaloes"][i] + own.params["n_field_haloes"][i])
            x, y = (
                own.perturbers["tnfw"].of(i)[axis][:halos]
                for axis in ("center_x", "center_y")
            )
        inside = np.maximum(np.abs(x), np.abs(y)) < frame
        near = np.abs(np.hypot(x, y) - own.params["theta_E"][i]) < RING_WIDTH
        assert own.params["n_in_frame"][i] == inside.sum()
        assert own.params["n_near_ring"][i] == near.sum()
        assert (own.params["mass_in_frame"][i] > 0) == inside.any()
        assert own.params["mass_near_ring"][i] <= own.params["substructure_mass"][i] * (
            1 + 1e-12
        )


def test_published_presets_keep_their_columns():
    for model in ("I", "II", "III"):
        assert not set(TRUTH_UNITS) & set(
            draw(parse_preset(yaml.safe_load(preset_text(model))), [0], seed=0).params
        )


@pytest.mark.parametrize("name", NEW)
def test_perturbers_leave_the_mean_deflection_alone(name, perturb, plane_of):
    """Over many lenses the perturbers and their sheet deflect by nothing in the mean, everywhere around the ring."""
    plane = plane_of(4096 if name == "vortex" else 512)
    document = {**MODELS[name], "conserve_mass": True}
    radii = np.array([0.5, 1.2, 1.8])
    tables, columns = perturb(plane, model=name, **document)
    inward = radial_deflection(tables, len(plane), radii)
    kappa = columns["kappa_sub"].mean()
    error = inward.std(axis=0) / np.sqrt(len(plane))
    np.testing.assert_array_less(
        np.abs(inward.mean(axis=0)), 4 * error + 0.03 * kappa * radii
    )
    without, _ = perturb(plane, model=name, **{**document, "conserve_mass": False})
    np.testing.assert_allclose(
        radial_deflection(without, len(plane), radii) - inward,
        columns["kappa_sub"][:, None] * radii,
    )
    assert (kappa * radii > 4 * error)[1]  # so that the sheet is needed


def radial_deflection(tables, n: int, radii: np.ndarray) -> np.ndarray:
    """Deflection (n, R) towards the centre [arcsec], mean over 8 points of circles."""
    import torch

    from lenssim.simulate.engines.batched.rays import MASS

    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    x, y = (
        torch.from_numpy(np.outer(radii, along(angle)).ravel())
        for along in (np.cos, np.sin)
    )
    inward = np.zeros((n, len(radii)))
    for kind, table in tables.items():
        owner = np.repeat(np.arange(n), table.counts)
        for start in range(0, len(owner), 8192):
            part = slice(start, start + 8192)
            own = {
                name: torch.from_numpy(values[part, None])
                for name, values in table.columns.items()
            }
            alpha_x, alpha_y = MASS[kind](x, y, **own)
            radial = (
                ((alpha_x * x + alpha_y * y) / torch.hypot(x, y))
                .numpy()
                .reshape(-1, len(radii), len(angle))
            )
            np.add.at(inward, owner[part], radial.mean(2))
    return inward


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"model": "cdm", "Sigma_sub": -0.01}, r"Sigma_sub must lie in \[0, "),
        ({"model": "cdm", "f_sub": 1.5}, r"f_sub must lie in \[0, 1\]"),
        (
            {"model": "cdm", "Sigma_sub": 0.01, "slope": -3.5},
            r"slope must lie in \[-3, 0\]",
        ),
        ({"model": "cdm", "f_sub": 0.01, "slope": -2.1}, "a share of a finite mass"),
        (
            {"model": "cdm", "Sigma_sub": 0.01, "mass": [1e6, 1e12], "host_mass": 1e11},
            "above its subhaloes",
        ),
        ({"model": "cdm", "Sigma_sub": 0.01, "line_of_sight": -1}, "line_of_sight"),
        (
            {"model": "cdm", "Sigma_sub": 1000},
            "mass at the Einstein radius that Sigma_sub puts",
        ),
        (
            {"model": "cdm", "Sigma_sub": 0.01, "mass": [1e3, 1e10], "radius": 3600},
            "raise the lower end of mass",
        ),
        (
            {"model": "wdm", "Sigma_sub": 0.01, "log10_m_hm": -5000},
            r"log10_m_hm must lie in \[-30, 15\]",
        ),
        (
            {"model": "wdm", "Sigma_sub": 0.01, "log10_m_hm": 300},
            r"log10_m_hm must lie in \[-30, 15\]",
        ),
        (
            {"model": "axion", "Sigma_sub": 0.01, "log10_m_axion": 5},
            r"log10_m_axion must lie in \[-26, 0\]",
        ),
        (
            {"model": "axion", "Sigma_sub": 0.01, "log10_m_axion": -24.5},
            "de Broglie length",
        ),
        (
            {
                "model": "axion",
                "Sigma_sub": 0.01,
                "log10_m_axion": -22,
                "velocity_dispersion": 0,
            },
            "velocity_dispersion",
        ),
        (
            {"model": "sidm", "Sigma_sub": 0.01, "cross_section": -1},
            r"cross_section must lie in \[0, ",
        ),
        (
            {"model": "sidm", "Sigma_sub": 0.01, "cross_section": 1, "velocity_scale": 0},
            "velocity_scale",
        ),
        (
            {"model": "vortex", "mass": -1e9, "log10_m_axion": -23},
            r"substructure_mass must lie in \[0, ",
        ),
        ({"model": "vortex", "mass": 1e9, "log10_m_axion": -25}, "more than the frame's"),
    ],
)
def test_impossible_physics_is_refused(perturb, plane, document, message):
    with pytest.raises(ConfigError, match=message):
        perturb(plane, **document)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"model": "cdm", "Sigma_sub": 0.01, "mass": [1e10, 1e6]}, "low < high"),
        ({"model": "cdm", "Sigma_sub": 0.01, "mass": [0, 1e6]}, "low < high"),
        ({"model": "cdm"}, "either Sigma_sub"),
        ({"model": "cdm", "Sigma_sub": 0.01, "f_sub": 0.01}, "either Sigma_sub"),
        ({"model": "wdm", "Sigma_sub": 0.01}, "classes.own.log10_m_hm is missing"),
        ({"model": "cdm", "Sigma_sub": 0.01, "plces": "host"}, "did you mean 'places'"),
    ],
)
def test_impossible_documents_are_refused(document, message):
    whole = yaml.safe_load(preset_text("III-corrected"))
    whole["classes"] = {"own": document}
    with pytest.raises(
        ConfigError, match=message, check=has_code("settings-invalid", where="preset")
    ):
        parse_preset(whole)


def test_a_source_in_front_of_the_lens_is_refused():
    with pytest.raises(ConfigError, match="behind z_lens", check=has_code("out-of-bounds")):
        draw(preset_of("cdm"), [0], seed=0, fixed={"z_source": 0.3})


def test_a_lens_without_einstein_radius_is_refused():
    whole = yaml.safe_load(preset_text("III-corrected"))
    whole["lens"] = [{"profile": "nfw", "Rs": 5.0, "alpha_Rs": 1.0}]
    with pytest.raises(
        ConfigError,
        match="needs a main lens with a theta_E",
        check=has_code("no-main-lens"),
    ):
        draw(parse_preset(whole), [0], seed=0)
