"""Laws of all methods that adapt a network from a source to a target."""

import json

import pytest
import torch
import yaml

from lenssim.learn.methods import METHODS

PAIRED = [name for name, method in METHODS.items() if len(method.sources) > 1]
FAST = ("--net", "toy", "--batch-size", 32, "--schedule", "constant", "--lr", 0.01)


@pytest.fixture(scope="session")
def target_dataset(tmp_path_factory):
    """256 images of Model III of 32 x 32 pixels with noise, of another seed."""
    from lenssim.data.generation.simulation import generate, make_plan
    from lenssim.simulate.preset import parse_preset, preset_text

    folder = tmp_path_factory.mktemp("laws") / "target"
    document = yaml.safe_load(preset_text("III"))
    document["instrument"]["num_pix"] = 32
    generate(folder, make_plan(parse_preset(document), 256, seed=6, noise="nominal"))
    return folder


def weights(folder):
    path = folder / "checkpoints/last.ckpt"
    return torch.load(path, weights_only=True)["state_dict"]


@pytest.fixture
def adapted(lenssim, tiny_dataset, target_dataset, toy_net, tmp_path):
    """A function that trains by a method, and returns the folder of the run."""

    def train(method, out, *options, task="classify"):
        start = ()
        if getattr(METHODS[method], "needs_start", False):
            start = ("--start", "start")
            if not (tmp_path / "start").exists():
                done = lenssim(
                    *("train", task, "--data", tiny_dataset, "--epochs", 1),
                    *("--out", "start", *FAST),
                )
                assert done.code == 0, done.err
        done = lenssim(
            *("train", task, "--data", tiny_dataset, "--target", target_dataset),
            *("--adapt", method, "--out", out, *FAST, *start, *options),
        )
        assert done.code == 0, done.err
        return tmp_path / out

    return train


@pytest.mark.parametrize("method", PAIRED)
def test_a_method_trains_resumes_to_the_bit_and_is_evaluated(
    adapted, lenssim, target_dataset, method
):
    adapted(method, "longer", "--epochs", 1)
    longer = adapted(method, "longer", "--epochs", 2, "--resume")
    whole = adapted(method, "whole", "--epochs", 2)
    resumed = weights(longer)
    for key, value in weights(whole).items():
        assert torch.equal(value, resumed[key]), key
    record = json.loads((whole / "run.json").read_text())
    assert record["config"]["method"] == method
    assert record["target"]["fingerprint"] != record["data"]["fingerprint"]
    done = lenssim("evaluate", "whole", "--data", target_dataset)
    assert done.code == 0, done.err
