"""Presets: what they may say, and what is answered when they say something else."""

import copy

import numpy as np
import pytest
import yaml
from error_codes import has_code
from scipy.stats import ks_2samp

from lenssim.errors import ConfigError
from lenssim.simulate.draw import draw, labels
from lenssim.simulate.preset import load_preset, parse_preset, preset_text, presets

BAD = [
    (lambda d: d.update(clases={}), "did you mean 'classes'"),
    (lambda d: d["instrument"].update(num_pxi=3), "did you mean 'num_pix'"),
    (lambda d: d["lens"][0].update(e3=0.1), "unknown parameter of sie 'e3'"),
    (lambda d: d["lens"][0].update(profile="seie"), "did you mean 'sie'"),
    (
        lambda d: d["lens"][1].update(profile="point_mass"),
        "unknown parameter of point_mass 'gamma1'",
    ),
    (
        lambda d: d["lens"].append({**d["source"][0], "name": "other"}),
        "unknown mass profile 'sersic'",
    ),
    (lambda d: d["lens"][0].update(theta_E=1.0), "exactly one of theta_E, mass"),
    (lambda d: d["source"][0].pop("R_sersic"), "sersic needs R_sersic"),
    (lambda d: d["source"][0].update(amp=1.0), "exactly one of amp, magnitude"),
    (lambda d: d["source"].append(dict(d["source"][0])), "columns named twice"),
    (lambda d: d["classes"]["cdm"].update(nmber=3), "did you mean 'number'"),
    (
        lambda d: d["classes"]["cdm"].update(model="cmd_point_masses"),
        "did you mean 'cdm_point_masses'",
    ),
    (lambda d: d["classes"]["cdm"].pop("mass"), "classes.cdm.mass is missing"),
    (
        lambda d: d["classes"]["cdm"].update(mass={"power_law": [-0.9, 1e10, 1e6]}),
        "0 < low < high",
    ),
    (lambda d: d.update(classes={}), "classes: must have at least 1 item"),
    (lambda d: d.update(z_lens={"unifrom": [0, 1]}), "did you mean 'uniform'"),
    (lambda d: d.update(z_lens={"uniform": [2, 1]}), "lies above the upper end"),
    (lambda d: d.update(z_lens={"normal": [0, -1]}), "negative"),
    (lambda d: d.update(z_lens={"truncated_normal": [0, 1, 2, 1]}), "low < high"),
    (
        lambda d: d.update(z_lens={"truncated_normal": [0, 0.1, 2, 3]}),
        "more than 5 deviations",
    ),
    (lambda d: d.update(z_lens={"log10_normal": [0, -1]}), "negative"),
    (lambda d: d.update(z_lens="far"), "expected a finite number"),
    (lambda d: d.update(z_lens=True), "expected a finite number"),
    (lambda d: d.update(noise="nominal"), "noise: must be a list: [nominal]"),
    (lambda d: d.update(name=".."), "name: must match pattern"),
    (
        lambda d: d["cosmology"].update(H0=-70),
        "cosmology.H0: must be greater than or equal to 1",
    ),
    (
        lambda d: d["instrument"].update(name="hts_wfc3_f160w"),
        "did you mean 'hst_wfc3_f160w'",
    ),
    (lambda d: d["instrument"].update(num_pix=0), "instrument.num_pix"),
    (
        lambda d: d["instrument"].update(pixel_scale=1e12),
        "instrument.pixel_scale: must be less than or equal to 100",
    ),
    (
        lambda d: d["instrument"].update(psf={"kernel": [[1, 0], [0, 0]]}),
        "mine: instrument.psf: a PSF kernel must have",
    ),
    (
        lambda d: d["instrument"].update(psf={"kernel": [["a"]]}),
        "mine: instrument.psf.kernel.0.0: must be",
    ),
    (
        lambda d: d["instrument"].update(psf={"kernel": [[1.0]], "trim": 1}),
        "known are kernel, supersampling",
    ),
    (
        lambda d: d["instrument"].update(psf={"fwhm": -1}),
        "mine: instrument.psf.fwhm: must be",
    ),
    (
        lambda d: d["instrument"].update(psf={"fwhm": 0.1, "trunc": 3}),
        "did you mean 'truncation'",
    ),
    (
        lambda d: d["instrument"].update(psf={"fwhm": 0.1, "kernel": [[1.0]]}),
        "give either fwhm",
    ),
    (lambda d: d["instrument"].update(psf={"truncation": 3}), "give either fwhm"),
    (lambda d: d["instrument"].update(psf=3), "give either fwhm"),
    (
        lambda d: d.update(z_lens={"uniform": [1]}),
        "z_lens: uniform takes [low, high], finite numbers; got [1]",
    ),
    (lambda d: d.update(z_lens={"uniform": ["a", 1]}), "z_lens: uniform takes [low, high]"),
    (
        lambda d: d.update(z_lens={"shared": {"normal": [0, -1]}}),
        "z_lens: the standard deviation -1 is negative",
    ),
    (lambda d: d.update(z_lens={"power_law": [-300, 1, 2]}), "a slope in -8..8"),
    (
        lambda d: d.update(z_lens={"log10_uniform": [0, 400]}),
        "its ends must lie in -100..100",
    ),
    (lambda d: d["cosmology"].update(Ob0=0.9), "Ob0 must not exceed Om0"),
    *(
        (
            lambda d, name=name: d.update(classes={name: {"model": "no_sub"}}),
            "cannot be a name",
        )
        for name in (
            "../escaped",
            "a/b",
            "/tmp/x",
            ".hidden",
            "a\x1b[2J",
            "",
            "a\nb",
            "-rf",
            " a",
            "x" * 300,
            "\u202ea",
        )
    ),
    (lambda d: d.update(noise=["nominl"]), "did you mean 'nominal'"),
    (
        lambda d: d.update(supersampling=0),
        "supersampling: supersampling must lie in 1..12 or be adaptive, got 0",
    ),
    (lambda d: d.pop("lens"), "lens is missing"),
]


@pytest.mark.parametrize("model", presets())
def test_presets_survive_a_round_trip_through_json(model):
    preset = load_preset(model)
    assert parse_preset(preset.model_dump(mode="json")) == preset
    first = preset.class_names[:2]
    assert first in (("no_sub", "cdm"), ("no_sub",), ("wdm",), ("non_lens", "lens"))


@pytest.mark.parametrize("model", ["I", "II", "III"])
def test_corrected_presets_keep_classes_and_explain_themselves(model):
    """Every block that differs from the published preset says why, and camera and source are the same."""
    published, corrected = load_preset(model), load_preset(f"{model}-corrected")
    assert corrected.class_names == published.class_names == ("no_sub", "cdm", "axion")
    assert (corrected.instrument, corrected.source) == (
        published.instrument,
        published.source,
    )
    assert corrected.supersampling == "adaptive"
    assert corrected.noise[0] == "nominal"
    assert corrected.masses.distances == "angular_diameter"
    assert corrected.z_source_convention is None
    assert preset_text(f"{model}-corrected").count("# Corrected: ") >= 7


@pytest.mark.parametrize(
    "model",
    [
        name
        for name in presets()
        if name not in ("I", "II", "III")
        and len(load_preset(name).classes) > 1
        and not load_preset(name).has_dark_sources
    ],
)
def test_classes_differ_in_dark_matter_alone(model):
    """All classes draw macro parameters from one distribution, and no class brings mass: sheets take it away."""
    preset = load_preset(model)
    assert all(getattr(own, "conserve_mass", True) for own in preset.classes.values())
    scenes = draw(preset, np.arange(1536), seed=0)
    label = labels(preset, np.arange(1536))
    macro = [name for name, value in preset.parameters() if not isinstance(value, float)]
    assert len(macro) >= 5
    for name in macro:
        first, *others = (
            scenes.params[name][label == k] for k in range(len(preset.classes))
        )
        for other in others:
            assert ks_2samp(first, other).pvalue > 1e-4, name
    truth = [
        scenes.params["mass_near_ring"][label == k] for k in range(len(preset.classes))
    ]
    assert not truth[0].any()
    assert truth[1].any()


@pytest.mark.parametrize(("spoil", "message"), BAD)
def test_every_mistake_is_named(spoil, message):
    document = copy.deepcopy(yaml.safe_load(preset_text("III")))
    spoil(document)
    with pytest.raises(ConfigError) as caught:
        parse_preset(document, "preset mine")
    assert message in str(caught.value)
    assert "preset mine" in str(caught.value)
    assert str(caught.value).isprintable()
    assert "Input should" not in str(caught.value)


def test_presets_from_files(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(preset_text("III").replace("name: III", "name: mine"))
    assert load_preset(path).name == "mine"
    with pytest.raises(ConfigError, check=has_code("unreadable-text")):
        load_preset(tmp_path / "absent.yaml")
    for text, message in (
        ("{", "is not YAML"),
        ("- 1", r"must be a mapping of keys to values, got \[1\]"),
        ("", "must be a mapping of keys to values, got nothing"),
        ("!!python/object:os.system {}", "remove the tag"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_preset(path)


def test_unknown_model_gets_a_suggestion():
    with pytest.raises(ConfigError, check=has_code("unknown-preset", suggestion="III")):
        load_preset("IIII")


def test_some_of_a_preset_s_classes_are_those_of_the_preset():
    whole = load_preset("III")
    some = whole.with_classes(["axion", "no_sub"])
    assert some.class_names == ("axion", "no_sub")
    assert parse_preset(some.model_dump(mode="json"), "plan") == some
    numbers = np.arange(64)
    own = draw(some, numbers, seed=3)
    assert (np.isfinite(own.params["log10_m_axion"]) == (labels(some, numbers) == 0)).all()
    for name in ("source_center_x", "source_magnitude"):
        np.testing.assert_array_equal(
            own.params[name], draw(whole, numbers, seed=3).params[name]
        )
    with pytest.raises(
        ConfigError,
        match="axion",
        check=has_code("unknown-class", name="axoin", suggestion="axion"),
    ):
        whole.with_classes(["axoin"])
    with pytest.raises(ConfigError, check=has_code("class-names")):
        whole.with_classes(["cdm", "cdm"])
