"""Data sets whose classes nobody knows: they are read, streamed, shown and verified; no class is learned from them."""

import json
from pathlib import Path

import numpy as np
import pytest
from error_codes import has_code
from torch.utils.data import DataLoader

from lenssim import show
from lenssim.data.exchange.export import export_npy
from lenssim.data.format.labels import UNLABELLED, is_labelled, unlabelled_config
from lenssim.data.format.manifest import Plan, read_plan
from lenssim.data.format.shard import Samples
from lenssim.data.generation.building import build, provenance
from lenssim.data.generation.finishing import finish_shard
from lenssim.data.generation.runners import local_runner
from lenssim.data.inspection.repacking import repack
from lenssim.data.inspection.verification import verify
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.labels import labels_of
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.data.streaming.stream import stream
from lenssim.errors import ConfigError, IncompleteError

N = 300


def make(folder: Path, classes: tuple[str, ...] = (UNLABELLED,), label: int = 0) -> Path:
    """A data set of random images without known classes."""
    config = {"kind": "imported", "source": "survey", **unlabelled_config()}
    plan = Plan(n=N, shard_size=100, classes=classes, config=config)

    def task(target, document, shard):
        numbers = np.array(plan.rows(shard))
        rng = np.random.default_rng(shard)
        images = rng.random((len(numbers), 1, 32, 32), dtype=np.float32)
        samples = Samples(
            images=images,
            labels=np.full(len(numbers), label),
            index=numbers,
            params={},
            perturbers={},
            units={},
            attributes=provenance(plan),
            texts={},
        )
        return finish_shard(Path(target), plan, shard, samples)

    build(folder, plan, task, local_runner(0))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("sets") / "survey")


def test_nobody_knows_the_labels(folder):
    data = ShardDataset(folder)
    assert data.labels is None
    assert data.classes == ()
    assert not is_labelled(data.config)
    assert ShardDataset(folder, "train").labels is None
    with pytest.raises(ConfigError, match="has no labels", check=has_code("no-labels")):
        labels_of(data)


@pytest.mark.parametrize("workers", [0, 2])
def test_streams_and_loaders_have_no_labels(folder, workers):
    data = ShardDataset(folder)
    batches = list(stream(data, BatchSampler(data.rows(), 50, shuffle=False), workers))
    loaded = list(DataLoader(data, batch_size=50))
    assert len(batches) == len(loaded) == N // 50
    for batch, other in zip(batches, loaded, strict=True):
        assert list(batch) == list(other) == ["image", "index"]
        assert (batch["image"] == other["image"]).all()


def test_it_is_verified_shown_copied_and_exported(folder, tmp_path):
    report = verify(folder)
    assert (report.problems, report.samples) == ([], N)
    assert list(show(folder, tmp_path / "sheets", count=4)) == [f"contact-{UNLABELLED}"]
    repack(folder, tmp_path / "copy", "int16", compress=False)
    assert ShardDataset(tmp_path / "copy").labels is None
    export_npy(folder, tmp_path / "files")
    assert len(list((tmp_path / "files" / UNLABELLED).glob("*.npy"))) == N


def test_releases_that_do_not_know_it_see_one_class(folder):
    """What they read: the plan, the manifest, and labels within the number of classes."""
    plan = read_plan(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert plan.classes == (UNLABELLED,)
    assert manifest["class_counts"] == {UNLABELLED: N}


@pytest.mark.parametrize(
    ("classes", "label"), [(("a",), 0), ((UNLABELLED, "b"), 1), (("a", "b"), 0)]
)
def test_labels_of_a_data_set_without_labels_are_refused(tmp_path, classes, label):
    with pytest.raises(IncompleteError, check=has_code("shards-failed")):
        make(tmp_path / "D", classes, label)


def test_commands_take_it_and_no_class_is_learned(lenssim, folder):
    info = lenssim("info", folder)
    assert info.code == 0
    assert UNLABELLED in info.out
    assert lenssim("verify", folder).code == 0
    training = lenssim(
        "train", "classify", "--net", "cnn", "--data", folder, "--out", "run"
    )
    assert training.code == 2
    assert "has no labels" in training.err
    audit = lenssim("audit", folder)
    assert audit.code == 2
    assert "has no labels" in audit.err
