"""A new task, method or net is one new file and one line in its registry.

Each toy below is what such a file would hold. It is registered by one line, then used through
the command line.
"""

import json
from typing import Literal

import numpy as np
import pytest
import torch
from pydantic import Field
from torch import nn

from lenssim.learn.config import TrainConfig
from lenssim.learn.figures.presentations.presentation import Presentation
from lenssim.learn.methods import METHODS, MODEL, Method
from lenssim.learn.scores.task_scores import TaskScores
from lenssim.learn.tasks import TASKS, Task, TaskEntry


class BrightnessConfig(TrainConfig):
    task: Literal["brightness"] = Field(
        default="brightness", description="Train a network to measure the mean brightness"
    )
    power: float = Field(default=2.0, gt=0, description="Power of the error in the loss")


class BrightnessPresentation(Presentation):
    headlines = {"error": "mean error"}  # noqa: RUF012
    progress = {"mae": "mean error"}  # noqa: RUF012

    def cells(self, answer):
        return {"brightness": f"{answer['brightness']:.3f}"}


class Brightness(Task):
    settings = BrightnessConfig
    power: float

    @classmethod
    def fit(cls, config, dataset, rows):
        return cls(power=config.power)

    @property
    def outputs(self):
        return 1

    @property
    def title(self):
        return "measure the brightness"

    @property
    def gives(self):
        return "the mean brightness"

    @property
    def presentation(self):
        return BrightnessPresentation()

    def loss(self, outputs, batch):
        truth = batch["image"].mean((1, 2, 3))
        return (outputs[:, 0] - truth).abs().pow(self.power).mean()

    def metrics(self):
        from torchmetrics import MeanAbsoluteError, MetricCollection

        return MetricCollection({"mae": MeanAbsoluteError()})

    def update(self, metrics, outputs, batch):
        metrics.update(outputs[:, 0].contiguous(), batch["image"].mean((1, 2, 3)))

    def check(self, dataset):
        pass

    def judge(self, outputs, dataset, rows, resamples, seed):
        predicted = outputs.mean(0)[:, 0].numpy()
        errors = np.abs(predicted - dataset.images(rows).mean((1, 2, 3)))
        value = float(errors.mean())
        error = {"value": value, "low": value, "high": value}
        return TaskScores({"error": error}, table={"brightness": predicted})

    def answers(self, outputs):
        return [{"brightness": value} for value in outputs.mean(0)[:, 0].tolist()]


class Reconstruct(Method):
    """Two networks with an optimiser each: the second one draws images from answers."""

    share: float = Field(default=0.5, ge=0, description="Share of the reconstruction")

    def networks(self, setup):
        pixels = int(np.prod(setup.images.shape))
        decoder = nn.Linear(setup.task.outputs, pixels)
        return {**super().networks(setup), "decoder": decoder}

    def optimisers(self, networks):
        return {name: network.parameters() for name, network in networks.items()}

    def step(self, networks, views, setup, turn):
        (batch,) = views["data"]
        answers = networks[MODEL](batch["image"])
        drawn = networks["decoder"](answers).view_as(batch["image"])
        reconstruction = nn.functional.mse_loss(drawn, batch["image"])
        if turn == "decoder":
            return reconstruction
        return setup.task.loss(answers, batch) + self.share * reconstruction


@pytest.fixture
def toy_task(monkeypatch):
    entry = TaskEntry(f"{__name__}:Brightness", f"{__name__}:BrightnessConfig")
    monkeypatch.setitem(TASKS, "brightness", entry)


@pytest.fixture
def toy_method(monkeypatch):
    monkeypatch.setitem(METHODS, "reconstruct", Reconstruct)


def trained(lenssim, data, task, *options):
    done = lenssim(
        *("train", task, "--data", data, "--out", "run", "--epochs", 1),
        *("--batch-size", 32, "--json", *options),
    )
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_a_new_net(lenssim, tiny_dataset, toy_net):
    record = trained(lenssim, tiny_dataset, "classify", "--net", "toy")
    assert record["parameters"] == 16 * 3 + 3
    assert lenssim("evaluate", "run", "--data", tiny_dataset).code == 0


def test_a_new_task(lenssim, tiny_dataset, toy_task, toy_net, tmp_path):
    words = " ".join(lenssim("train", "brightness", "--help").out.split())
    assert "--power <float> Power of the error in the loss. Default: 2.0." in words
    assert "brightness" in lenssim("train", "--help").out
    record = trained(
        lenssim, tiny_dataset, "brightness", "--net", "toy", "--power", 1, "--lr", 0.1
    )
    assert record["task"]["power"] == 1
    evaluated = lenssim("evaluate", "run", "--data", tiny_dataset)
    assert evaluated.code == 0, evaluated.err
    assert "mean error" in evaluated.out
    np.save(tmp_path / "image.npy", np.random.default_rng(0).random((32, 32)))
    assert "brightness" in lenssim("predict", "run", "image.npy").out
    refused = lenssim("population", "run", "image.npy")
    assert refused.code == 2
    assert "known: nothing" in refused.err
    card = (tmp_path / "run" / "card.md").read_text()
    assert "lenssim train brightness" in card
    assert "gives the mean brightness" in card


def test_a_new_method(lenssim, tiny_dataset, toy_method, toy_net, tmp_path):
    """It takes turns between its two optimisers, resumes, and its settings are options."""
    options = ("--net", "toy", "--method", "reconstruct", "--share", 0.25)
    record = trained(lenssim, tiny_dataset, "classify", *options)
    assert record["config"]["method_settings"] == {"share": 0.25}
    assert "--share 0.25" in (tmp_path / "run" / "card.md").read_text()
    checkpoint = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert {key.split(".")[0] for key in checkpoint["state_dict"]} >= {MODEL, "decoder"}
    assert len(checkpoint["optimizer_states"]) == 2
    constant = ("--schedule", "constant", "--out", "longer")
    data = ("--data", tiny_dataset, "--batch-size", 32)
    for epochs in (1, 2):
        more = ("--resume",) if epochs > 1 else ()
        done = lenssim(
            *("train", "classify", *data, *options, *constant, "--epochs", epochs, *more)
        )
        assert done.code == 0, done.err
    whole = lenssim(
        *("train", "classify", *data, *options, "--schedule", "constant"),
        *("--out", "whole", "--epochs", 2),
    )
    assert whole.code == 0, whole.err
    states = [
        torch.load(tmp_path / run / "checkpoints/last.ckpt", weights_only=True)[
            "state_dict"
        ]
        for run in ("longer", "whole")
    ]
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key
    assert lenssim("evaluate", "longer", "--data", tiny_dataset).code == 0


def test_settings_of_another_method_are_refused(lenssim, tiny_dataset, toy_method):
    done = lenssim("train", "classify", "--data", tiny_dataset, "--share", 0.1)
    assert (done.code, done.out) == (2, "")
    assert "share" in done.err
