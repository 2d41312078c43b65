"""Training on samples that are simulated while it runs."""

import numpy as np
import pytest
import torch

from lenssim.data.streaming.sampler import BatchSampler
from lenssim.errors import ConfigError
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train
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
    with pytest.raises(ConfigError, match="live: "):
        train(other, tmp_path / "a", resume=True)


def test_one_source_of_images():
    for settings in ({}, {"data": "D", "live": {"model": "III"}}):
        with pytest.raises(ConfigError, match="give either data"):
            parse_config(settings)
    with pytest.raises(ConfigError, match="nosie"):
        parse_config({"live": {"model": "III", "nosie": "none"}})


def test_blocks_stay_together():
    rows = np.concatenate([np.arange(64), np.arange(128, 256), np.arange(320, 340)])
    sampler = BatchSampler(rows, BLOCK, seed=1, block=BLOCK)
    order = sampler.order(0)
    assert sorted(order) == sorted(rows)
    assert not np.array_equal(order, sampler.order(1))
    runs = np.split(order, np.flatnonzero(np.diff(order) != 1) + 1)
    assert {len(run) % BLOCK for run in runs} <= {0, 20}
