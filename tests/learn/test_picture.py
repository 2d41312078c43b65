"""Runs that look at a picture beside the image: all that is asked of them looks at the same."""

import numpy as np
import pytest
import yaml
from error_codes import has_code

from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError, DataError
from lenssim.learn.evaluation.evaluation import evaluate
from lenssim.learn.evaluation.prediction import predict
from lenssim.learn.recipes.recipe import load_recipe
from lenssim.learn.runs.model_card import card_text
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train
from lenssim.simulate.preset import parse_preset, preset_text


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """256 images of 24 x 24 pixels, with what no noise and no smooth lens leaves of them."""
    folder = tmp_path_factory.mktemp("pictures") / "D"
    document = yaml.safe_load(preset_text("III"))
    document["instrument"]["num_pix"] = 24
    generate(
        folder,
        make_plan(
            parse_preset(document), 256, seed=4, noise="nominal", truth=["clean", "kappa"]
        ),
    )
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    config = parse_config(
        {
            "data": str(data),
            "picture": "kappa",
            "normalise": "symlog",
            "epochs": 6,
            "batch_size": 16,
        }
    )
    return train(config, tmp_path_factory.mktemp("runs") / "kappa")


def test_it_learns_from_the_picture(run, data):
    """Kappa is zero in a class and only there; 256 noisy images of 24 pixels a side teach nothing of the kind."""
    document = evaluate(run, run.opened(data), resamples=50)
    assert document["metrics"]["auc"]["no_sub"]["value"] > 0.99
    assert document["data"]["picture"] == "kappa"
    assert "noise nominal, kappa" in card_text(run, [document])


def test_a_measured_chi2_is_what_a_fit_is_worth(run, data, monkeypatch):
    shown = run.opened(data)
    rng = np.random.default_rng(0)
    monkeypatch.setitem(
        shown.params, "chi2", rng.normal(size=256) + 10 * (shown.labels == 2)
    )
    fits = {
        tuple(pair["classes"]): pair["fit"]
        for pair in evaluate(run, shown, resamples=50)["pairs"]
    }
    assert fits["no_sub", "axion"] == fits["cdm", "axion"] == 1
    assert fits["no_sub", "cdm"] < 0.75


def test_evaluation_refuses_another_picture(run, data):
    with pytest.raises(
        DataError,
        match="was trained on the picture 'kappa', and is shown 'image'",
        check=has_code("map-differs", picture="kappa"),
    ):
        evaluate(run, ShardDataset(data))


def test_predictions_look_at_it_too(run, data, tmp_path):
    shown = run.opened(data)
    rows = np.flatnonzero(shown.labels[:64])  # a file of flat images is refused
    np.save(tmp_path / "kappa.npy", shown.images(rows)[:, 0])
    whole, shard = (
        [p.answer for p in predict(run, [place])]
        for place in (data, data / "shards" / "000000.h5")
    )
    assert shard == whole[: len(shard)]
    assert [p.answer for p in predict(run, [tmp_path / "kappa.npy"])] == [
        whole[row] for row in rows
    ]


def test_residuals_keep_their_unit_unless_told(data):
    assert parse_config({"data": str(data), "picture": "residual"}).normalise == "symlog"
    assert (
        parse_config(
            {"data": str(data), "picture": "residual", "normalise": "none"}
        ).normalise
        == "none"
    )
    assert parse_config({"data": str(data)}).normalise == "minmax"


def test_what_cannot_be_shown_is_refused(data, tmp_path):
    with pytest.raises(
        ConfigError,
        check=has_code("no-map", name="residual"),
    ):
        train(parse_config({"data": str(data), "picture": "residual"}), tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(
        ConfigError,
        match=r"unknown picture 'residuals'.*residual",
        check=has_code("settings-invalid", where="training"),
    ):
        parse_config({"data": str(data), "picture": "residuals"})
    with pytest.raises(
        ConfigError,
        match="live data have no 'kappa' beside their images",
        check=has_code("settings-invalid", where="training"),
    ):
        parse_config({"live": {"model": "III"}, "picture": "kappa"})


def test_runs_on_one_data_set_lie_side_by_side(data, lenssim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for picture in ("image", "clean"):
        done = lenssim(
            "train", "classify", "--data", data, "--picture", picture, "--epochs", 1
        )
        assert done.code == 0, done.err
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"cnn-D", "cnn-D-clean"}


def test_recipes_compare_pictures(tmp_path):
    text = """
title: pictures
generate:
  data: {model: III, n: 256, truth: [kappa]}
train:
  all: {data: data, net: cnn, picture: [image, kappa]}
"""
    (tmp_path / "recipe.yaml").write_text(text)
    recipe = load_recipe(tmp_path / "recipe.yaml")
    assert {name: one.settings["picture"] for name, one in recipe.trainings.items()} == {
        "all-image": "image",
        "all-kappa": "kappa",
    }
    assert recipe.generate["data"].maps == ("kappa",)
