"""Training on samples that are simulated while it runs."""

import hashlib

import numpy as np
import pytest
import torch
from error_codes import has_code

from lenssim.data.format.files import canonical_json
from lenssim.data.format.spec import earlier_configs
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.errors import ConfigError
from lenssim.learn.config import LiveData
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.source import open_source
from lenssim.learn.training.training import train
from lenssim.simulate.spec import SimulationSpec
from lenssim.simulate.streams import BLOCK


def test_live_training_repeats_itself_and_resumes(tmp_path):
    config = parse_config(
        {"live": {"model": "III", "n": 256, "noise": "none"}, "epochs": 1, "seed": 3}
    )
    runs = [train(config, tmp_path / name) for name in "ab"]
    a, b = (run.model().state_dict() for run in runs)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert runs[0].record.data.preset == "III"
    assert runs[0].record.samples == {"train": 128, "validation": 64}
    other = parse_config({"live": {"model": "III", "n": 256}, "epochs": 1, "seed": 3})
    with pytest.raises(ConfigError, match="live: ", check=has_code("config-differs")):
        train(other, tmp_path / "a", resume=True)


def test_one_source_of_images():
    for settings in ({}, {"data": "D", "live": {"model": "III"}}):
        with pytest.raises(
            ConfigError,
            match="give either data",
            check=has_code("settings-invalid", where="training"),
        ):
            parse_config(settings)
    with pytest.raises(
        ConfigError, match="nosie", check=has_code("settings-invalid", where="training")
    ):
        parse_config({"live": {"model": "III", "nosie": "none"}})


def test_blocks_stay_together():
    rows = np.concatenate([np.arange(64), np.arange(128, 256), np.arange(320, 340)])
    sampler = BatchSampler(rows, BLOCK, seed=1, block=BLOCK)
    order = sampler.order(0)
    assert sorted(order) == sorted(rows)
    assert not np.array_equal(order, sampler.order(1))
    runs = np.split(order, np.flatnonzero(np.diff(order) != 1) + 1)
    assert {len(run) % BLOCK for run in runs} <= {0, 20}


@pytest.mark.parametrize("model", ["III", "hst-arcs"])
def test_a_training_goes_on_with_the_images_of_its_version(model):
    """Plans of earlier versions name no noise stream and no far field."""
    live = LiveData(model=model, n=640)
    newest = open_source(None, live)
    assert open_source(None, live, fingerprint="0" * 64).fingerprint == newest.fingerprint
    earlier = list(earlier_configs(newest.config))
    assert earlier, "III and hst-arcs have nominal noise"
    for config in earlier:
        fingerprint = hashlib.sha256(canonical_json([config, 640])).hexdigest()
        source = open_source(None, live, fingerprint=fingerprint)
        assert source.fingerprint == fingerprint
        assert source.config == config
    oldest = SimulationSpec.from_config(earlier[-1])
    assert oldest.noise_stream == "sfc64"
    assert (oldest.config(), source.spec.config()) == (earlier[-1], earlier[-1])
