"""Packed runs answer as the run did; those that come with lenssim keep what their cards say."""

import json

import numpy as np
import pytest
from error_codes import has_code

import lenssim as package
from lenssim.errors import ConfigError, DataError

RADIUS_ERROR = {"hst-acs": 0.0689}  # arcsec: mean absolute error on 640 images of seed 977


@pytest.fixture(scope="module")
def packed(workplace, tmp_path_factory):
    """A run, and the same run packed."""
    run = package.load_run(workplace / "runs/cnn")
    return run, package.pack(run, tmp_path_factory.mktemp("packed") / "cnn")


@pytest.fixture(scope="module")
def data(workplace):
    return package.open(workplace / "data/III")


def test_a_packed_run_answers_as_the_run_does(packed, data):
    run, copy = packed
    images = data.images(range(64))
    before = run.predict(images)
    after = copy.predict(images)
    for name in ("no_sub", "cdm", "axion"):
        np.testing.assert_allclose(before[name], after[name], atol=5e-3)
    np.testing.assert_allclose(before["novelty"], after["novelty"])
    size = (copy.folder / "checkpoints" / "best.safetensors").stat().st_size
    assert size < 0.52 * 4 * run.record.parameters + 20_000


def test_nothing_in_it_says_where_it_was_trained(packed):
    _, copy = packed
    record = json.loads((copy.folder / "run.json").read_text())
    assert record["config"]["data"] == "III"


def test_a_training_starts_from_it_and_none_resumes(packed, data, tmp_path):
    _, copy = packed
    started = package.train(
        "classify",
        data,
        start=str(copy.folder),
        epochs=1,
        limit=64,
        out=tmp_path / "again",
    )
    assert started.record.start is not None
    with pytest.raises((ConfigError, DataError)):
        package.train("classify", data, resume=True, epochs=9, out=copy.folder)


def test_a_damaged_file_is_named(packed, data, tmp_path):
    run, _ = packed
    copy = package.pack(run, tmp_path / "damaged")
    weights = copy.folder / "checkpoints" / "best.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"best\.safetensors"):
        copy.predict(data.images(range(2)))


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, check=has_code("unknown-pretrained")):
        package.load_run("pretrained:hst-asc")


@pytest.mark.thorough
@pytest.mark.parametrize("name", RADIUS_ERROR)
def test_what_a_card_says_holds_on_fresh_images(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    data = package.generate("hst-acs", 256, "fresh", seed=20_977, workers=0)
    run = package.load_run(f"pretrained:{name}")
    scores = run.evaluate(data).document["metrics"]
    error = scores["targets"]["theta_E"]["mae"]
    assert error["low"] < RADIUS_ERROR[name] < error["high"]
    assert scores["within_1"]["low"] < 0.6827 < scores["within_1"]["high"]


def test_every_network_that_ships_has_a_figure_to_keep():
    assert set(RADIUS_ERROR) == set(package.pretrained())
