"""Laws of all methods that adapt a network from a source to a target."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml
from costs import without_dear
from lightning.pytorch.callbacks import Callback
from torch import nn

from lenssim.learn.methods import METHODS
from lenssim.learn.nets import NETS
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train

PAIRED = [name for name, method in METHODS.items() if len(method.sources) > 1]
CHEAP = "wdgrl"  # several turns for a batch; the others run among the thorough tests
every_method = pytest.mark.parametrize(
    "method", without_dear(PAIRED, set(PAIRED) - {CHEAP})
)


def made(folder, n=256, seed=6, noise="nominal", num_pix=32):
    from lenssim.data.generation.simulation import generate, make_plan
    from lenssim.simulate.preset import parse_preset, preset_text

    document = yaml.safe_load(preset_text("III"))
    document["instrument"]["num_pix"] = num_pix
    generate(folder, make_plan(parse_preset(document), n, seed=seed, noise=noise))
    return folder


@pytest.fixture(scope="session")
def target_dataset(tmp_path_factory):
    """256 images of Model III of 32 x 32 pixels with noise, of another seed."""
    return made(tmp_path_factory.mktemp("laws") / "target")


@pytest.fixture(scope="session")
def few_images(tmp_path_factory):
    return made(tmp_path_factory.mktemp("laws") / "few", n=128)


@pytest.fixture(scope="session")
def other_size(tmp_path_factory):
    return made(tmp_path_factory.mktemp("laws") / "other", n=64, num_pix=30)


def build_deep(images, outputs):
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(8),
        nn.Flatten(),
        nn.Linear(64 * images.shape[0], 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Linear(16, outputs),
    )


@pytest.fixture
def deep_net(monkeypatch):
    module = ModuleType("lenssim.learn.nets.deep")
    module.build = build_deep
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(NETS, "deep", "deep")


def weights(folder):
    path = folder / "checkpoints/last.ckpt"
    return torch.load(path, weights_only=True)["state_dict"]


class Kill(Callback):
    """Stops a training as a crash would, before its sixth batch: in the second epoch."""

    def __init__(self):
        self.batches = 0

    def on_train_batch_start(self, *_):
        self.batches += 1
        if self.batches == 6:
            raise MemoryError


@pytest.fixture
def settings(tiny_dataset, target_dataset, deep_net, tmp_path):
    """A function that returns the settings of an adaptation."""

    def of(method, **options):
        document = {
            "task": "classify",
            "data": str(tiny_dataset),
            "net": "deep",
            "batch_size": 32,
            "epochs": 2,
            "checkpoint_steps": 1,
            "limit": 128,
        }
        start = tmp_path / "start"
        if getattr(METHODS[method], "needs_start", False):
            if not start.exists():
                train(parse_config({**document, "epochs": 1}), start)
            document["start"] = str(start)
        adapted = {"target": str(target_dataset), "adapt": method, **options}
        return parse_config({**document, **adapted})

    return of


@every_method
def test_a_method_resumes_to_the_bit_and_is_evaluated(
    settings, lenssim, target_dataset, tmp_path, method
):
    config = settings(method)
    with pytest.raises(MemoryError):
        train(config, tmp_path / "killed", callbacks=[Kill()])
    train(config, tmp_path / "killed", resume=True)
    train(config, tmp_path / "whole")
    resumed = weights(tmp_path / "killed")
    for key, value in weights(tmp_path / "whole").items():
        assert torch.equal(value, resumed[key]), key
    record = json.loads((tmp_path / "whole/run.json").read_text())
    assert record["config"]["method"] == method
    assert record["target"]["fingerprint"] != record["data"]["fingerprint"]
    done = lenssim("evaluate", "whole", "--data", target_dataset)
    assert done.code == 0, done.err
    epochs = (tmp_path / "whole/metrics.csv").read_text().splitlines()
    for name in ("source", "alignment", "infomax", "bnm", "criterion", "oracle_accuracy"):
        assert f"val_{name}" in epochs[0].split(",")


def test_labels_of_the_target_change_nothing(settings, target_dataset, tmp_path):
    """A copy of the target whose labels are turned round gives the same weights."""
    from lenssim.data.streaming.dataset import ShardDataset

    train(settings("coral", epochs=1), tmp_path / "labelled")
    read = ShardDataset._select_rows

    def turned(dataset):
        read(dataset)
        if dataset.folder == target_dataset:
            dataset.labels = 2 - dataset.labels

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShardDataset, "_select_rows", turned)
        train(settings("coral", epochs=1), tmp_path / "turned")
    again = weights(tmp_path / "turned")
    for key, value in weights(tmp_path / "labelled").items():
        assert torch.equal(value, again[key]), key


def test_the_command_line_adapts(lenssim, deep_net, tiny_dataset, target_dataset):
    pair = ("--data", tiny_dataset, "--target", target_dataset)
    options = ("--net", "deep", "--epochs", 1, "--batch-size", 32, "--out", "run")
    train_mmd = ("train", "classify", *pair, "--adapt", "mmd", *options)
    done = lenssim(*train_mmd, "--mmd-weight", 0.5, "--select", "bnm", "--json")
    assert done.code == 0, done.err
    config = json.loads(done.out)["config"]
    assert (config["adapt"], config["method"], config["select"]) == ("mmd", "mmd", "bnm")
    assert config["method_settings"] == {"mmd_weight": 0.5}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--adapt", "mmd"), "needs a target"),
        (("--target", "T"), "give --adapt with the target"),
        (("--target", "T", "--adapt", "adda"), "give --start"),
        (("--target", "T", "--adapt", "mmmd"), "did you mean 'mmd'"),
        (("--target", "T", "--adapt", "mmd", "--method", "coral"), "give one"),
        (("--target", "T", "--adapt", "mmd", "--batch-size", 100), "lower --batch-size"),
        (("--target", "B", "--adapt", "mmd"), "bands x rows x columns"),
    ],
)
def test_what_cannot_be_adapted_is_refused(
    lenssim, deep_net, tiny_dataset, target_dataset, few_images, other_size, options, words
):
    places = {"T": few_images, "B": other_size}
    stated = [places.get(option, option) for option in options]
    done = lenssim("train", "classify", "--data", tiny_dataset, "--net", "deep", *stated)
    assert (done.code > 0, done.out) == (True, "")
    assert words in done.err, done.err
    assert not Path("runs").exists()


def test_the_same_images_and_absent_classes_are_said(
    lenssim, deep_net, tiny_dataset, target_dataset
):
    from lenssim.data.streaming.dataset import ShardDataset

    options = ("--net", "deep", "--adapt", "adabn", "--epochs", 1, "--batch-size", 32)
    pair = ("--data", tiny_dataset, "--target", tiny_dataset)
    done = lenssim("train", "classify", *pair, *options, "--out", "same")
    assert done.code == 0
    assert "source and target hold the same images" in done.err
    read = ShardDataset._select_rows

    def without_axions(dataset):
        read(dataset)
        if dataset.folder == target_dataset:
            dataset.labels = dataset.labels.clip(max=1)

    pair = ("--data", tiny_dataset, "--target", target_dataset)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShardDataset, "_select_rows", without_axions)
        done = lenssim("train", "classify", *pair, *options, "--out", "partial")
    assert done.code == 0
    assert "its training images have no axion" in done.err


def test_a_regression_takes_what_needs_no_classes(lenssim, tiny_dataset, target_dataset):
    pair = ("--data", tiny_dataset, "--target", target_dataset, "--net", "cnn")
    command = ("train", "regress", *pair, "--targets", "source_center_x", "--out", "run")
    done = lenssim(*command, "--adapt", "adamatch")
    assert done.code == 2
    assert "serves lenssim train classify or find" in done.err
    done = lenssim(*command, "--adapt", "coral", "--select", "infomax", "--epochs", 1)
    assert done.code == 2
    assert "--select source or alignment" in done.err


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["mmd", "sidda"])
def test_a_regression_is_adapted_before_its_flow(
    lenssim, deep_net, tiny_dataset, target_dataset, tmp_path, method
):
    pair = ("--data", tiny_dataset, "--target", target_dataset, "--adapt", method)
    options = ("--targets", "source_center_x", "--head", "flow", "--net", "deep")
    sizes = ("--epochs", 2, "--batch-size", 32, "--out", "run")
    done = lenssim("train", "regress", *pair, *options, *sizes)
    assert done.code == 0, done.err
    done = lenssim("evaluate", "run", "--data", target_dataset)
    assert done.code == 0, done.err
    assert "coverage" in done.out or "68 %" in done.out
    header = (tmp_path / "run/metrics.csv").read_text().splitlines()[0].split(",")
    assert "val_alignment" in header
    assert "val_infomax" not in header
    assert any(name.startswith("val_oracle_") for name in header)


@pytest.mark.thorough
def test_a_recipe_reports_both_domains_and_the_gap(deep_net, tmp_path):
    from lenssim.learn.recipes.execution import follow
    from lenssim.learn.recipes.recipe import load_recipe
    from lenssim.simulate.preset import preset_text

    document = yaml.safe_load(preset_text("III"))
    document["instrument"]["num_pix"] = 32
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(document))
    data = {"model": str(tmp_path / "tiny.yaml"), "n": 256, "noise": "nominal"}
    recipe = {
        "title": "Tiny",
        "generate": {name: {**data, "seed": seed} for name, seed in (("s", 1), ("t", 2))},
        "settings": {"task": "classify", "net": "deep", "epochs": 1, "batch_size": 32},
        "train": {
            "plain": {"data": "s"},
            "adapted": {"data": "s", "target": "t", "adapt": ["mmd"], "seed": [0, 1]},
            "learned": {"data": "t"},
        },
        "evaluate": [
            {"run": "plain", "data": "t"},
            {"run": "adapted", "data": "t"},
            {"run": "learned", "data": "t"},
        ],
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    follow(load_recipe(path), tmp_path / "out")
    table = (tmp_path / "out/report.md").read_text()
    assert "Runs that were adapted" in table
    lines = (tmp_path / "out/adaptation.csv").read_text().splitlines()
    assert len(lines) == 1 + 3  # two seeds, and their mean
    assert {"val_infomax", "accuracy", "learning_rate"} < set(lines[0].split(","))
    page = (tmp_path / "out/report.html").read_text()
    assert "Adapted to other images" in page
    assert page.count("in their plane of most variance") >= 2
