"""Live samples are the samples of the shards, made when asked for."""

import pickle

import numpy as np
import pytest
from torch.utils.data import DataLoader

from lenssim.data.generation.simulation import make_plan
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.live import LiveDataset
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.data.streaming.splits import rows_of_split
from lenssim.simulate.preset import load_preset


@pytest.fixture(scope="module")
def live() -> LiveDataset:
    return LiveDataset(make_plan(load_preset("III"), 70, seed=5))


def test_the_samples_are_those_of_the_shards(live, tiny_data):
    shards = ShardDataset(tiny_data)
    assert (live.classes, live.image_shape, len(live)) == (
        shards.classes,
        shards.image_shape,
        len(shards),
    )
    assert live.config == shards.config
    rows = np.array([69, 3, 64, 0, 31])
    made, read = live.batch(rows), shards.batch(rows)
    for name in ("image", "label", "index"):
        np.testing.assert_array_equal(made[name].numpy(), read[name].numpy(), err_msg=name)
    for split in ("train", "validation", "test", None):
        np.testing.assert_array_equal(live.rows(split), shards.rows(split))


def test_it_has_no_end(live):
    assert live[10_000]["index"] == 10_000
    with pytest.raises(IndexError):
        live[-1]


def test_an_endless_set_gives_other_samples_of_the_same_split_every_epoch():
    plan = make_plan(load_preset("III"), 1300, seed=5)
    endless, fixed = LiveDataset(plan, endless=True), LiveDataset(plan)
    orders = [
        BatchSampler(live.rows("train"), 64, drop_last=True, **live.order)
        for live in (endless, fixed)
    ]
    first, second, third = (orders[0].order(epoch) for epoch in range(3))
    assert not set(first) & set(second)
    assert not set(second) & set(third)
    for rows in (first, second, third):
        np.testing.assert_array_equal(rows_of_split(rows, "train"), np.arange(len(rows)))
    np.testing.assert_array_equal(np.sort(orders[1].order(0)), np.sort(orders[1].order(1)))
    assert pickle.loads(pickle.dumps(endless)).endless


def test_it_travels_to_workers(live):
    again = pickle.loads(pickle.dumps(live))
    assert again.fingerprint == live.fingerprint
    np.testing.assert_array_equal(again.images(np.array([7])), live.images(np.array([7])))
    batches = [batch["index"] for batch in DataLoader(live, batch_size=35)]
    np.testing.assert_array_equal(np.concatenate(batches), np.arange(70))


def test_other_plans_are_other_data(live):
    plans = [make_plan(load_preset("III"), n, seed=seed) for n, seed in ((70, 6), (71, 5))]
    assert len({live.fingerprint, *(LiveDataset(plan).fingerprint for plan in plans)}) == 3
