"""train, evaluate and predict as their users type them."""

import json
import os
import signal

import numpy as np
import pytest
from lightning.pytorch.callbacks import Callback

from lenssim.data.streaming.dataset import ShardDataset


def test_from_data_to_answers(lenssim, tiny_dataset, tmp_path):
    trained = lenssim(
        "train", "classify", "--data", tiny_dataset, "--epochs", 1, "--batch-size", 32
    )
    assert trained.code == 0, trained.err
    assert trained.err.startswith("epoch 1/1: training loss ")
    assert trained.err.count("\n") == 1
    next_command = trained.out.splitlines()[-1].removeprefix("next: lenssim ").split()
    assert next_command == ["evaluate", "runs/cnn-III", "--data", str(tiny_dataset)]
    judged = lenssim(*next_command)
    assert judged.code == 0, judged.err
    assert "macro AUC" in judged.out
    assert "test blocks" in judged.err
    image = ShardDataset(tiny_dataset).images(np.array([200]))[0, 0]
    np.save(tmp_path / "image.npy", image)
    asked = lenssim("predict", "runs/cnn-III", "image.npy")
    assert asked.code == 0, asked.err
    head, line = asked.out.splitlines()
    assert head.split() == [
        "file",
        "class",
        "no_sub",
        "cdm",
        "axion",
        "unlike",
        "training",
        "data",
    ]
    assert line.split()[0] == "image.npy"
    document = json.loads(
        lenssim("predict", "runs/cnn-III", "image.npy", "image.npy", "--json").out
    )
    assert list(document["predictions"][0]["probabilities"]) == ["no_sub", "cdm", "axion"]
    assert [p["predicted"] for p in document["predictions"]] == [line.split()[1]] * 2
    assert (tmp_path / "runs/cnn-III/card.md").exists()
    assert (
        json.loads(lenssim(*next_command, "--json").out)["metrics"]["accuracy"]["value"]
        >= 0
    )
    both = lenssim(*next_command, "--with", "runs/cnn-III", "--tta", "--json")
    assert json.loads(both.out)["passes"] == {"runs": 2, "answers": 16}
    rng = np.random.default_rng(0)
    np.save("noise.npy", rng.normal(size=(32, 32)))
    assert (
        "YES"
        in lenssim(
            "predict", "runs/cnn-III", "noise.npy", "--tta", "--with", "runs/cnn-III"
        ).out
    )
    many = lenssim(
        "predict", "runs/cnn-III", tiny_dataset / "shards/000002.h5"
    ).out.splitlines()
    assert len(many) == 57
    assert many[0].split()[:2] == ["file", "image"]
    again = lenssim("train", "classify", "--data", tiny_dataset)
    assert (again.code, again.out) == (2, "")
    assert "continue it with --resume" in again.err


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        (["--data", "sets/III"], "runs/cnn-III"),
        (["--data", "sets/III", "--picture", "residual"], "runs/cnn-III-residual"),
        (["--data", "sets/III", "--net", "timm:resnet10t"], "runs/timm-resnet10t-III"),
        (["--live", "II-corrected"], "runs/cnn-II-corrected"),
        (["--live", "presets/mine.yaml"], "runs/cnn-mine"),
    ],
)
def test_a_run_is_found_under_the_name_that_its_settings_give(lenssim, given, folder):
    answer = lenssim("train", "classify", *given, "--resume")
    assert (answer.code, answer.err.split(" holds no run")[0]) == (1, f"lenssim: {folder}")


def test_interrupted_and_resumed(lenssim, tiny_dataset, tmp_path, monkeypatch):
    class Send(Callback):
        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == 5:
                os.kill(os.getpid(), signal.SIGINT)

    options = ("train", "classify", "--data", tiny_dataset, "--out", "r")
    with monkeypatch.context() as context:
        context.setattr("lenssim.learn.training.progress.progress", Send)
        stopped = lenssim(*options, "--epochs", 2, "--batch-size", 32)
    assert (stopped.code, stopped.out) == (130, "")
    assert "go on with: lenssim train classify --out r --resume" in stopped.err
    resumed = lenssim("train", "classify", "--out", "r", "--resume", "--json")
    assert resumed.code == 0, resumed.err
    record = json.loads(resumed.out)
    assert (record["config"]["batch_size"], record["result"]["epochs"]) == (32, 2)
    other = lenssim(*options, "--resume", "--net", "resnet18")
    assert other.code == 2
    assert "net: cnn there, resnet18 asked for" in other.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train", "classify", "--data", "DATA", "--net", "cmn"], 2, "did you mean 'cnn'?"),
        (["train", "classify", "--data", "gone"], 1, "gone is no folder"),
        (["train", "classify", "--data", "DATA", "--epochs", "0"], 2, "epochs"),
        (["train", "classify", "--data", "DATA", "--epochs", "many"], 2, "--epochs"),
        (["train", "classify", "--data", "DATA", "--resume"], 1, "holds no run"),
        (["evaluate", "gone", "--data", "DATA"], 1, "gone holds no run"),
        (["evaluate", "RUN", "--data", "gone"], 1, "gone is no folder"),
        (["predict", "RUN", "gone.npy"], 1, "gone.npy does not exist"),
        (["predict", "RUN", "flat.npy"], 1, "flat.npy: the image is flat"),
        (["predict", "RUN", "nan.npy"], 1, "nan.npy: 1 of its pixels are NaN"),
        (
            ["predict", "RUN", "small.npy"],
            1,
            "small.npy: images of 1 x 8 x 8, but the run takes 1 x 32 x 32",
        ),
        (["predict", "RUN"], 2, "FILE"),
    ],
)
def test_mistakes_have_their_message_and_exit_code(
    lenssim, tiny_run, tiny_dataset, tmp_path, arguments, code, words
):
    image = np.random.default_rng(0).random((32, 32))
    np.save(tmp_path / "small.npy", image[:8, :8])
    np.save(tmp_path / "flat.npy", 0 * image)
    image[3, 4] = np.nan
    np.save(tmp_path / "nan.npy", image)
    places = {"RUN": tiny_run.folder, "DATA": tiny_dataset}
    done = lenssim(*(places.get(argument, argument) for argument in arguments))
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert "Traceback" not in done.err
