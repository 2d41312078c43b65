"""Whatever can be said of simulated images can be said wherever they are simulated."""

import numpy as np
import pytest
import yaml

from lenssim.api.options import model_options
from lenssim.data.generation.request import GenerationRequest
from lenssim.learn.config import LiveData
from lenssim.learn.recipes.recipe import GenerateStep, load_recipe
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.source import open_source
from lenssim.simulate.preset import load_preset
from lenssim.simulate.request import SimulationRequest

GALAXIES = np.random.default_rng(0).random((10, 16, 16))
VALUES = {  # another value than the default, as a command line writes it and as YAML does
    "model": ("hst", "hst"),
    "seed": (3, 3),
    "split": ("test", "test"),
    "noise": ("none", "none"),
    "classes": ("cdm,no_sub", ["cdm", "no_sub"]),
    "galaxies": ("galaxies.npy", "galaxies.npy"),
    "lenses": ("lenses.csv", "lenses.csv"),
    "shared": ("slope", ["slope"]),
    "engine": ("lenstronomy", "lenstronomy"),
    "precision": ("float64", "float64"),
    "device": ("cpu", "cpu"),
    "supersampling": ("2", 2),
    "maps": ("clean,kappa", ["clean", "kappa"]),
    "residual_from": ("search", "search"),
    "detectability": (True, True),
    "n": (5, 5),
    "shard_size": (64, 64),
    "storage": ("float16", "float16"),
    "compress": (True, True),
}
REQUESTS = (SimulationRequest, GenerationRequest, GenerateStep, LiveData)


def test_every_field_has_a_value_here():
    assert set(GenerationRequest.model_fields) == set(VALUES)


@pytest.mark.parametrize("name", sorted(SimulationRequest.model_fields))
@pytest.mark.parametrize("request_class", REQUESTS)
def test_every_field_is_heard_wherever_images_are_simulated(request_class, name):
    text, document = VALUES[name]
    required = {"model": "hst", "n": 5}
    required = {key: required[key] for key in required if key in request_class.model_fields}
    by_text = request_class.model_validate({**required, name: text})
    by_document = request_class.model_validate({**required, name: document})
    assert getattr(by_text, name) == getattr(by_document, name)
    if not request_class.model_fields[name].is_required():
        assert getattr(by_text, name) != request_class.model_fields[name].default


@pytest.mark.parametrize("name", sorted(GenerationRequest.model_fields))
def test_the_command_has_every_field_as_an_option(lenssim, name):
    done = lenssim("generate", "--help")
    assert f"--{name.replace('_', '-')}" in done.out


@pytest.mark.parametrize("name", sorted(SimulationRequest.model_fields))
def test_live_training_has_every_field_as_an_option(name):
    flags = {option.path[-1] for option in model_options(LiveData)}
    assert name in flags


@pytest.mark.parametrize("name", sorted(GenerationRequest.model_fields))
def test_a_recipe_takes_every_field(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("galaxies.npy", GALAXIES)
    (tmp_path / "lenses.csv").write_text("theta_E\n" + "1.0\n" * 5)
    step = {"model": "hst", "n": 5, name: VALUES[name][1]}
    if name in ("engine",):
        step["supersampling"] = 1
    if name == "residual_from":
        step["maps"] = ["residual"]
    recipe = {"title": "T", "generate": {"a": step}, "train": {"t": {"data": "a"}}}
    recipe["settings"] = {"task": "classify"}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    loaded = load_recipe(tmp_path / "recipe.yaml")
    assert getattr(loaded.generate["a"], name) != ()


def test_old_names_of_maps_stay():
    assert GenerateStep(model="III", n=5, truth=["clean"]).maps == ("clean",)
    assert GenerateStep(model="III", n=5, maps=["clean"]).maps == ("clean",)


def test_live_data_show_a_map_in_place_of_the_image(monkeypatch):
    monkeypatch.setenv("LENSSIM_KERNELS", "eager")
    live = LiveData(model="III", n=64, maps=("clean",), seed=2, noise="nominal")
    clean = open_source(None, live, "clean")
    plain = open_source(None, live.model_copy(update={"noise": "none", "maps": None}))
    np.testing.assert_array_equal(clean.images(np.arange(3)), plain.images(np.arange(3)))
    config = parse_config(
        {"task": "classify", "picture": "clean", "live": live.model_dump()}, "training"
    )
    assert config.live == live


def test_a_request_changes_the_preset():
    request = SimulationRequest(model="III", classes="cdm,no_sub")
    assert request.preset().class_names == ("cdm", "no_sub")
    assert request.spec().preset != load_preset("III")
