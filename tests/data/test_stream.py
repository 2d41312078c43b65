"""Reading ahead by threads: what is read, what goes wrong, and what is left running."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from error_codes import has_code

from lenssim.data.streaming import reader_cache
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.data.streaming.stream import PrefetchLoader, stream
from lenssim.errors import DataError


@pytest.fixture
def dataset(tmp_path, pieces) -> ShardDataset:
    pieces.make(tmp_path / "D", 120, 8)
    return ShardDataset(tmp_path / "D")


def test_leaving_in_the_middle_of_an_epoch_ends_the_threads(dataset):
    before = set(threading.enumerate())
    batches = iter(stream(dataset, BatchSampler(dataset.rows(), 4), 3))
    assert isinstance(stream(dataset, BatchSampler(dataset.rows(), 4), 3), PrefetchLoader)
    next(batches)
    own = set(threading.enumerate()) - before
    assert len(own) == 3
    batches.close()
    assert not own & set(threading.enumerate())


def test_an_epoch_that_is_over_leaves_no_thread(dataset):
    """A thread that drops its last tensor while the interpreter ends aborts the process."""
    before = set(threading.enumerate())
    for _ in range(20):
        assert len(list(stream(dataset, BatchSampler(dataset.rows(), 40), 3))) == 3
        assert set(threading.enumerate()) == before


def test_what_reading_raises_is_raised_by_name(dataset):
    """A shard that loses its end while it is read: batches before it come, then the error names it."""
    path = dataset.location.path(14)
    os.truncate(path, dataset.manifest.shards[14].datasets["images"].offset + 40)
    sampler = BatchSampler(dataset.rows(), 4, shuffle=False)
    seen: list[int] = []
    with pytest.raises(
        DataError,
        match=r"000014\.h5 ends within its images",
        check=has_code("unreadable-shard"),
    ):
        seen.extend(
            number
            for batch in stream(dataset, sampler, 2)
            for number in batch["index"].tolist()
        )
    assert seen == list(range(112))


def test_more_shards_than_files_may_be_open(tmp_path, pieces, monkeypatch):
    monkeypatch.setattr(reader_cache, "_MAX_OPEN_FILES", 3)
    pieces.make(tmp_path / "D", 120, 8)
    dataset = ShardDataset(tmp_path / "D")

    def open_shards() -> int:
        links = (
            os.path.realpath(link)  # it may be gone already
            for link in Path("/proc/self/fd").iterdir()
        )
        return sum(link.startswith(str(tmp_path)) for link in links)

    rows = np.random.default_rng(0).permutation(120)
    np.testing.assert_array_equal(dataset.images(rows)[:, 0, 0, 0], rows)
    assert open_shards() == 3
    del dataset
    assert open_shards() == 0


def test_no_row_is_read_that_is_none(dataset):
    for rows in ([120], [-1], [5, 120]):
        with pytest.raises(
            IndexError,
            match="there are 120 rows, counted from 0",
            check=has_code("sample-numbers", what="rows"),
        ):
            dataset.images(np.array(rows))
