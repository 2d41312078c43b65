"""Whole runs of detectors and of methods without labels: resume to the bit, start, probe, commands."""

import json

import numpy as np
import pytest
import torch
import yaml

import lenssim as package
from lenssim.learn.methods import METHODS
from lenssim.learn.methods.detectors import DETECTORS
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train

STEPS = [  # adaptations have a law of their own
    name
    for name, kind in METHODS.items()
    if kind.has_steps and kind.tasks and len(kind.sources) == 1
]
SHORT = {"batch_size": 16, "epochs": 2, "schedule": "constant"}
SMALL = {"components": 8, "latent": 16, "core": 64, "neighbours": 3}


def settings_of(name: str, data) -> dict:
    kind = METHODS[name]
    small = {key: value for key, value in SMALL.items() if key in kind.model_fields}
    settings = {"task": kind.tasks[0], "data": str(data), "method": name, **SHORT}
    if name in DETECTORS:
        settings["detector"] = name
    return settings | {"method_settings": small}


def weights(folder) -> dict[str, torch.Tensor]:
    path = folder / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True)["state_dict"]


@pytest.mark.thorough
@pytest.mark.parametrize("name", STEPS)
def test_a_method_resumes_in_mid_epoch_to_the_bit(name, tiny_dataset, tmp_path):
    from lightning.pytorch.callbacks import Callback

    from lenssim.learn.training.callbacks import steps_taken

    class Kill(Callback):
        def on_train_batch_start(self, trainer, *_):
            if steps_taken(trainer) == 3:
                raise MemoryError

    settings = settings_of(name, tiny_dataset)
    if name in DETECTORS:
        settings["batch_size"] = 8  # a third of the images
    train(parse_config(settings), tmp_path / "whole")
    config = parse_config({**settings, "checkpoint_steps": 1})
    with pytest.raises(MemoryError):
        train(config, tmp_path / "killed", callbacks=[Kill()])
    train(config, tmp_path / "killed", resume=True)
    expected = weights(tmp_path / "whole")
    for key, value in weights(tmp_path / "killed").items():
        assert torch.equal(value, expected[key]), key


def test_a_detector_by_commands(lenssim, tiny_dataset, tmp_path):
    options = ("--data", tiny_dataset, "--components", 8, "--out", "r", "--json")
    done = lenssim("train", "anomaly", "--detector", "pca", *options)
    assert done.code == 0, done.err
    assert json.loads(done.out)["config"]["method_settings"] == {"components": 8}
    assert "train with 1980 no_sub or more" in done.err
    done = lenssim("evaluate", "r", "--data", tiny_dataset, "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["metrics"]["auc_all"]["value"] > 0.6
    answered = document["n"] * (1 - document["foreign_noise"])
    assert sum(document["counts"].values()) == pytest.approx(answered)
    assert {"roc.png", "alarms.png", "examples.png"} <= set(document["figures"])
    assert (tmp_path / document["folder"] / "examples.png").is_file()
    np.save("image.npy", np.random.default_rng(0).normal(size=(32, 32)))
    done = lenssim("predict", "r", "image.npy")
    assert "not answered" in done.out
    assert "noise that is not that of the training" in done.err
    again = lenssim("train", "anomaly", "--detector", "pca", *options, "--resume")
    assert again.code == 0, again.err
    refused = lenssim("train", "anomaly", "--detector", "pcs", *options)
    assert refused.code == 2
    assert "did you mean 'pca'?" in refused.err


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name in DETECTORS if name != "chi2"])
def test_a_run_of_a_detector_answers_as_it_was_trained(name, tiny_dataset, tmp_path):
    settings = settings_of(name, tiny_dataset)
    run = train(parse_config(settings), tmp_path / "run")
    opened = package.load_run(tmp_path / "run")
    images = package.open(tiny_dataset).images(range(8))
    model = run.model().eval()
    with torch.inference_mode():
        outputs = model(torch.as_tensor(images))[None]
    answers = opened.predict(images)
    np.testing.assert_allclose(answers["score"], run.record.task.scores(outputs), rtol=1e-5)
    scores = opened.evaluate(tiny_dataset)
    assert scores.document["n"] == 64


@pytest.mark.thorough
def test_a_representation_starts_others_and_is_probed(lenssim, tiny_dataset, tmp_path):
    options = ("--data", tiny_dataset, "--epochs", 1, "--batch-size", 32)
    done = lenssim("train", "represent", *options, "--out", "s")
    assert done.code == 0, done.err
    done = lenssim("train", "represent", "--method", "mae", *options, "--out", "m")
    assert done.code == 0, done.err
    for start, task in (("s", "classify"), ("m", "classify"), ("s", "cluster")):
        done = lenssim(
            "train", task, *options, "--start", start, "--out", f"{task}-{start}"
        )
        assert done.code == 0, done.err
    done = lenssim("evaluate", "cluster-s", "--data", tiny_dataset)
    assert "share of the most frequent class" in done.out
    done = lenssim("evaluate", "s", "--data", tiny_dataset)
    assert "AUC of a linear layer" in done.out
    done = lenssim("probe", "s", "--data", tiny_dataset, "--shots", "1,2", "--draws", 3)
    assert done.code == 0, done.err
    assert "prototypes, AUC" in done.out
    assert list((tmp_path / "s").glob("probe-*/few_shot.png"))
    refused = lenssim("probe", "s", "--data", tiny_dataset, "--shots", "x")
    assert refused.code == 2


def test_images_and_residuals_are_seen_together(lenssim, tmp_path):
    """Maps that are joined become bands, in files as in data sets."""
    from lenssim.data.generation.simulation import generate, make_plan
    from lenssim.simulate.preset import parse_preset, preset_text

    document = yaml.safe_load(preset_text("III"))
    document["instrument"]["num_pix"] = 24
    plan = make_plan(
        parse_preset(document),
        256,
        seed=1,
        noise="nominal",
        truth=("clean",),
        shard_size=256,
    )
    generate(tmp_path / "D", plan)
    options = ("--data", "D", "--picture", "image+clean", "--components", 8, "--out", "r")
    done = lenssim("train", "anomaly", *options, "--json")
    assert done.code == 0, done.err
    record = json.loads(done.out)
    assert record["images"]["shape"] == [2, 24, 24]
    assert record["config"]["normalise"] == "band_max"
    assert lenssim("evaluate", "r", "--data", "D").code == 0
    answers = []
    for place in ("D", next((tmp_path / "D").rglob("*.h5"))):
        done = lenssim("predict", "r", place, "--json")
        answers.append([row["score"] for row in json.loads(done.out)["predictions"]])
    assert len(answers[0]) == 256
    assert answers[0] == answers[1]
    refused = lenssim(
        "train", "anomaly", "--data", "D", "--picture", "image+hr", "--out", "s"
    )
    assert refused.code == 2
