"""Specifications: their documents are those that data sets of all versions hold and hash."""

import json
import tarfile
from pathlib import Path

import pytest
from error_codes import has_code

from lenssim.data.format.files import canonical_json
from lenssim.data.format.manifest import read_plan
from lenssim.data.format.spec import GenerationSpec
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.inspection.repacking import repack
from lenssim.errors import ConfigError
from lenssim.simulate.engines import ENGINES
from lenssim.simulate.preset import load_preset, presets
from lenssim.simulate.spec import SimulationSpec

ARCHIVE = Path(__file__).parents[1] / "legacy" / "lenssim-0.1.tar.xz"


def legacy_configs() -> dict[str, dict]:
    """The configs of all simulated data sets that version 0.1 left."""
    configs = {}
    with tarfile.open(ARCHIVE) as archive:
        for member in archive.getmembers():
            if member.name.endswith("/plan.json"):
                document = json.load(archive.extractfile(member))
                configs[Path(member.name).parent.name] = document["config"]
    return configs


LEGACY = legacy_configs()
ADAPTIVE_PRESETS = {
    model for model in presets() if load_preset(model).supersampling == "adaptive"
}
NEW = [
    (model, noise, engine_name)
    for model in presets()
    for noise in load_preset(model).noise
    for engine_name, info in ENGINES.items()
    if info.adaptive or model not in ADAPTIVE_PRESETS
]


def assert_same_document(config: dict) -> None:
    """The config is read and written again byte for byte."""
    spec = GenerationSpec.from_config(config)
    assert canonical_json(spec.config()) == canonical_json(config)
    again = GenerationSpec.from_config(json.loads(canonical_json(spec.config())))
    assert again == spec


@pytest.mark.parametrize("name", sorted(LEGACY))
def test_configs_of_version_0_1_are_written_byte_for_byte(name):
    assert_same_document(LEGACY[name])


@pytest.mark.parametrize(("model", "noise", "engine_name"), NEW)
def test_configs_of_new_plans_are_written_byte_for_byte(model, noise, engine_name):
    plan = make_plan(load_preset(model), 6, seed=1, noise=noise, engine_name=engine_name)
    assert_same_document(plan.config)
    assert plan.spec.noise == noise


OPTIONS = [
    {"storage": "int16"},
    {"storage": "float16", "detectability": True, "device": "cpu"},
    {"truth": ["kappa", "clean"], "precision": "float64"},
    {"supersampling": 3, "split": "test"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options_are_written_in_the_order_that_hashes_know(options):
    config = make_plan(load_preset("III"), 6, **options).config
    assert_same_document(config)
    keys = ["kind", "preset", "seed", "split", "noise", "engine", "engine_settings"]
    keys += ["supersampling", "versions", "noise_stream"]
    keys += ["storage", "compress", "dither_stream", "detectability", "truth"]
    assert list(config) == [key for key in keys if key in config]


def test_galaxies_are_known_by_their_contents_and_old_paths_stay():
    config = LEGACY["float32"]
    galaxies = {"sha256": "0" * 64}
    named = {"path": "/somewhere", **galaxies}
    interpolated = {
        "profile": "interpolated",
        "R_half": 0.3,
        "magnitude": 22.0,
        "center_x": 0.0,
        "center_y": 0.0,
        "phi_G": 0.0,
    }
    for stated in (galaxies, named):
        preset = {
            **load_preset("hst-arcs").model_dump(mode="json"),
            "galaxies": stated,
            "source": [interpolated],
        }
        first = GenerationSpec.from_config({**config, "preset": preset})
        assert first.config()["preset"]["galaxies"] == stated
        moved = GenerationSpec.from_config(first.config(), galaxies="/elsewhere")
        assert moved.preset.galaxies.path == "/elsewhere"
    assert (
        "path"
        not in GenerationSpec.from_config(
            {**config, "preset": {**preset, "galaxies": galaxies}}, galaxies="/elsewhere"
        ).config()["preset"]["galaxies"]
    )


def test_a_repacked_data_set_keeps_the_order_of_its_keys(tmp_path):
    plan = make_plan(load_preset("III"), 6, truth=["clean"], noise="none", device="cpu")
    generate(tmp_path / "plain", plan)
    repack(tmp_path / "plain", tmp_path / "packed", storage="float16", compress=False)
    config = read_plan(tmp_path / "packed").config
    assert list(config)[-3:] == ["truth", "storage", "dither_stream"]
    assert_same_document(config)


def test_an_import_has_no_specification():
    with pytest.raises(ConfigError, check=has_code("imported-data")):
        SimulationSpec.from_config({"kind": "imported", "source": "x"})
