from collections import Counter

import numpy as np
import pytest
from error_codes import has_code
from hypothesis import given
from hypothesis import strategies as st

from lenssim.data.streaming.balanced import BalancedSampler
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.errors import ConfigError

sizes = st.tuples(st.integers(1, 300), st.integers(1, 12), st.integers(1, 5), st.booleans())


def ranks(n, batch, world, drop_last, **options):
    rows = np.arange(1000, 1000 + n)
    return [
        BatchSampler(rows, batch, drop_last=drop_last, rank=rank, world=world, **options)
        for rank in range(world)
    ]


@given(sizes)
def test_every_row_comes_once_an_epoch(size):
    n, share, world, drop_last = size
    batch = share * world
    drop_last = drop_last or (world > 1 and n % batch != 0)
    samplers = ranks(n, batch, world, drop_last, seed=3)
    seen = [[list(b) for b in sampler] for sampler in samplers]
    assert (
        [len(batches) for batches in seen]
        == [len(sampler) for sampler in samplers]
        == [len(samplers[0])] * world
    )
    counts = Counter(row for batches in seen for b in batches for row in b)
    assert set(counts.values()) <= {1}
    assert sum(counts.values()) == (n // batch * batch if drop_last else n)


@given(sizes, st.integers(0, 3))
def test_order_is_that_of_one_process_for_any_world_size(size, epoch):
    n, share, world, _ = size
    batch = share * world
    alone = BatchSampler(np.arange(n), batch, drop_last=True, seed=1)
    together = [
        BatchSampler(np.arange(n), batch, drop_last=True, seed=1, rank=r, world=world)
        for r in range(world)
    ]
    for sampler in (alone, *together):
        sampler.epoch = epoch
    merged = [
        np.stack(parts, axis=1).ravel().tolist() for parts in zip(*together, strict=True)
    ]
    assert merged == list(alone)


@given(sizes, st.integers(0, 100))
def test_resuming_gives_what_an_undisturbed_run_gives(size, stop):
    n, batch, _, drop_last = size
    options = {"seed": 7, "drop_last": drop_last and n >= batch}
    whole = BatchSampler(np.arange(n), batch, **options)
    expected = []
    for _ in range(3):
        for one in list(whole):
            expected.append(one)
            whole.advance()
    first = BatchSampler(np.arange(n), batch, **options)
    stop = min(stop, len(expected))
    got = []
    while len(got) < stop:
        for one in list(first)[: stop - len(got)]:
            got.append(one)
            first.advance()
    second = BatchSampler(np.arange(n), batch, **options)
    second.load_state_dict(first.state_dict())
    while len(got) < len(expected):
        for one in list(second):
            got.append(one)
            second.advance()
    assert got == expected


def test_order_is_a_function_of_seed_and_epoch():
    rows = np.arange(100)
    orders = {
        (s, e): tuple(BatchSampler(rows, 10, seed=s).order(e))
        for s in range(3)
        for e in range(3)
    }
    assert len(set(orders.values())) == 9
    assert all(sorted(order) == rows.tolist() for order in orders.values())
    assert tuple(BatchSampler(rows, 25, seed=1).order(2)) == orders[1, 2]
    assert next(iter(BatchSampler(rows, 30, shuffle=False))) == rows[:30].tolist()


def test_batches_fetched_but_not_used_come_again():
    sampler = BatchSampler(np.arange(20), 4, seed=2)
    fetched = list(sampler)
    sampler.advance()
    again = BatchSampler(np.arange(20), 4, seed=2)
    again.load_state_dict(sampler.state_dict())
    assert list(again) == fetched[1:]


def test_a_place_of_another_order_is_refused():
    sampler = BatchSampler(np.arange(20), 4, seed=2, fingerprint="aa")
    other = BatchSampler(np.arange(24), 6, seed=3, fingerprint="bb")
    with pytest.raises(ConfigError, check=has_code("order-differs")) as error:
        other.load_state_dict(sampler.state_dict())
    for words in (
        "samples: 20 saved, 24 now",
        "batch_size: 4 saved, 6 now",
        "fingerprint: aa saved, bb now",
    ):
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("batch", "options"),
    [(0, {}), (5, {"world": 2}), (4, {"world": 2, "rank": 2}), (4, {"world": 0})],
)
def test_batches_that_cannot_be_shared_are_refused(batch, options):
    with pytest.raises(ConfigError, check=has_code("batch-indivisible")):
        BatchSampler(np.arange(20), batch, **options)


def test_a_part_of_a_batch_is_not_shared():
    with pytest.raises(ConfigError, match="drop_last", check=has_code("batch-indivisible")):
        BatchSampler(np.arange(21), 4, world=2)
    assert len(BatchSampler(np.arange(21), 4, world=2, drop_last=True)) == 5


@given(sizes, st.integers(1, 299), st.integers(0, 3))
def test_half_of_a_balanced_batch_is_chosen(size, count, epoch):
    n, share, world, _ = size
    batch = share * world
    chosen = np.arange(n) < count
    if chosen.all() or batch < 2:
        return
    options = {"seed": 5, "world": 1}
    balanced = BalancedSampler(np.arange(n), batch, chosen, **options)
    plain = BatchSampler(np.arange(n), batch, drop_last=True, **options)
    balanced.epoch = epoch
    batches = list(balanced)
    assert len(batches) == len(plain) == n // batch
    for one in batches:
        assert len(one) == batch
        assert chosen[one].sum() == batch // 2
    used = Counter(row for one in batches for row in one if chosen[row])
    assert not used or max(used.values()) - min(used.values()) <= 1


def test_a_balanced_order_goes_on_and_is_no_other_order():
    rows = np.arange(40)
    balanced = BalancedSampler(rows, 6, rows % 4 == 0, seed=2)
    expected = list(balanced)
    balanced.advance()
    again = BalancedSampler(rows, 6, rows % 4 == 0, seed=2)
    again.load_state_dict(balanced.state_dict())
    assert list(again) == expected[1:]
    with pytest.raises(ConfigError, check=has_code("order-differs")):
        again.load_state_dict(BatchSampler(rows, 6, drop_last=True, seed=2).state_dict())
