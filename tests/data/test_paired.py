"""Batches of a source and a target side by side."""

from itertools import chain

import numpy as np
import pytest

from lenssim.data.streaming.paired import FollowingSampler, PairedBatches
from lenssim.data.streaming.sampler import BatchSampler


def followed(leader, epochs, n=10, **options):
    """All batches of the follower over some epochs of the leader."""
    follower = FollowingSampler(leader, np.arange(n), 4, **options)
    batches = []
    for _ in range(epochs):
        batches.append(list(follower))
        for _ in range(len(leader)):
            leader.advance()
    return batches


def test_a_target_never_runs_out_and_uses_all_its_images():
    batches = list(chain(*followed(BatchSampler(np.arange(20), 4), epochs=4)))
    assert len(batches) == 20
    for first, second in zip(batches[::2], batches[1::2], strict=True):
        assert len({*first, *second}) == 8  # an epoch of the target: no image twice
    assert {row for batch in batches for row in batch} == set(range(10))


@pytest.mark.parametrize("done", [0, 1, 4])
@pytest.mark.parametrize("order", [{}, {"block": 4, "mix": 2}])
def test_it_resumes_where_its_leader_does(done, order):
    whole = followed(BatchSampler(np.arange(20), 4), epochs=3, **order)
    leader = BatchSampler(np.arange(20), 4)
    leader.epoch = 1
    leader.done = done
    assert followed(leader, 1, **order)[0] == whole[1][done:]


def test_the_order_follows_from_the_seed():
    batches = [followed(BatchSampler(np.arange(20), 4), 2, seed=seed) for seed in (3, 3, 4)]
    assert batches[0] == batches[1] != batches[2]


def test_processes_share_the_batches_of_the_target():
    leader = BatchSampler(np.arange(20), 4)
    (whole,) = followed(leader, 1)
    shares = []
    for rank in range(2):
        follower = FollowingSampler(BatchSampler(np.arange(20), 4), np.arange(10), 4)
        follower.share(rank, 2)
        shares.append(list(follower))
    for batch, first, second in zip(whole, *shares, strict=True):
        assert sorted(batch) == sorted(first + second)


def test_pairs_have_as_many_batches_as_both():
    pairs = PairedBatches({"source": [{"a": 1}, {"a": 2}], "target": [{"a": 3}, {"a": 4}]})
    assert len(pairs) == 2
    assert [pair["target"]["a"] for pair in pairs] == [3, 4]
    with pytest.raises(ValueError, match="zip"):
        list(PairedBatches({"source": [{}, {}], "target": [{}]}))
