"""Presets: what they may say, and what is answered when they say something else."""

import copy

import pytest
import yaml

from lenssim.errors import ConfigError
from lenssim.simulate.preset import load_preset, parse_preset, preset_text, presets

BAD = [
    (lambda d: d.update(clases={}), "did you mean 'classes'"),
    (lambda d: d["instrument"].update(num_pxi=3), "did you mean 'num_pix'"),
    (lambda d: d["lens"][0].update(e3=0.1), "unknown parameter of sie 'e3'"),
    (lambda d: d["lens"][0].update(profile="seie"), "did you mean 'sie'"),
    (lambda d: d["lens"][1].update(profile="point_mass"), "unknown parameter of point_mass 'gamma1'"),
    (lambda d: d["lens"].append({**d["source"][0], "name": "other"}), "unknown mass profile 'sersic'"),
    (lambda d: d["lens"][0].update(theta_E=1.0), "exactly one of theta_E, mass"),
    (lambda d: d["source"][0].pop("R_sersic"), "sersic needs R_sersic"),
    (lambda d: d["source"][0].update(amp=1.0), "exactly one of amp, magnitude"),
    (lambda d: d["source"].append(dict(d["source"][0])), "columns named twice"),
    (lambda d: d["classes"]["cdm"].update(nmber=3), "did you mean 'number'"),
    (lambda d: d["classes"]["cdm"].update(model="cmd_point_masses"), "did you mean 'cdm_point_masses'"),
    (lambda d: d["classes"]["cdm"].pop("mass"), "classes.cdm.mass is missing"),
    (lambda d: d["classes"]["cdm"].update(mass={"power_law": [-0.9, 1e10, 1e6]}), "0 < low < high"),
    (lambda d: d.update(classes={}), "classes: must be"),
    (lambda d: d.update(z_lens={"unifrom": [0, 1]}), "did you mean 'uniform'"),
    (lambda d: d.update(z_lens={"uniform": [2, 1]}), "lies above the upper end"),
    (lambda d: d.update(z_lens={"normal": [0, -1]}), "negative"),
    (lambda d: d.update(z_lens="far"), "expected a finite number"),
    (lambda d: d.update(z_lens=True), "expected a finite number"),
    (lambda d: d["cosmology"].update(H0=-70), "cosmology.H0: must be greater than 0"),
    (lambda d: d["instrument"].update(name="hts_wfc3_f160w"), "did you mean 'hst_wfc3_f160w'"),
    (lambda d: d["instrument"].update(num_pix=0), "instrument.num_pix"),
    (lambda d: d.update(noise=["nominl"]), "did you mean 'nominal'"),
    (lambda d: d.update(supersampling=0), "supersampling: must be greater"),
    (lambda d: d.pop("lens"), "lens is missing"),
]


@pytest.mark.parametrize("model", presets())
def test_presets_survive_a_round_trip_through_json(model):
    preset = load_preset(model)
    assert parse_preset(preset.model_dump(mode="json")) == preset
    assert preset.class_names == ("no_sub", "cdm", "axion")


@pytest.mark.parametrize(("spoil", "message"), BAD)
def test_every_mistake_is_named(spoil, message):
    document = copy.deepcopy(yaml.safe_load(preset_text("III")))
    spoil(document)
    with pytest.raises(ConfigError) as caught:
        parse_preset(document, "preset mine")
    assert message in str(caught.value)
    assert "preset mine" in str(caught.value)


def test_presets_from_files(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(preset_text("III").replace("name: III", "name: mine"))
    assert load_preset(path).name == "mine"
    with pytest.raises(ConfigError, match="cannot read"):
        load_preset(tmp_path / "absent.yaml")
    for text, message in (
        ("{", "is not YAML"),
        ("- 1", "must be a mapping"),
        ("!!python/object:os.system {}", "not YAML"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_preset(path)


def test_unknown_model_gets_a_suggestion():
    with pytest.raises(ConfigError, match="did you mean 'III'"):
        load_preset("IIII")
