"""Rows mean what numpy means by them, or are refused: nothing is rounded, and a mask is a mask."""

from itertools import chain

import numpy as np
import pytest
import torch
from error_codes import has_code
from hypothesis import given
from hypothesis import strategies as st

from lenssim.errors import ConfigError
from lenssim.rows import RowError, row_numbers

COUNT = 7
WRITTEN = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "int8": lambda rows: np.array(rows, np.int8),
    "tensor": torch.tensor,
    "numbers of numpy": lambda rows: [np.int64(row) for row in rows],
    "numbers of torch": lambda rows: [torch.tensor(row) for row in rows],
    "generator": lambda rows: (row for row in rows),
}
WRONG = {
    "fraction": [0.5],
    "floats": np.array([1.0, 2.0]),
    "nan": [float("nan")],
    "text": "012",
    "texts": ["0"],
    "number": 3,
    "none": None,
    "nothing in it": [None],
    "two axes": [[0, 1]],
    "ragged": [[0], [1, 2]],
    "truth among numbers": [True, 2],
    "object": object(),
    "huge": [2**64],
    "outside": [COUNT],
    "before": [-COUNT - 1],
    "short mask": [True] * (COUNT - 1),
    "long mask": np.ones(COUNT + 1, bool),
    "slice of texts": slice("a", "b"),
    "step of zero": slice(0, 3, 0),
    "complex": np.array([1j]),
    "times": np.array(["2024-01-01"], "datetime64[D]"),
}


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("rows", [[0], [3, 1, 1], [6, 0]], ids=str)
def test_rows_are_the_same_however_they_are_written(write, rows):
    numbers = row_numbers(write(rows), COUNT)
    assert numbers.dtype == np.int64
    assert numbers.tolist() == rows


@given(st.lists(st.booleans(), min_size=COUNT, max_size=COUNT))
def test_a_mask_chooses_where_it_is_true(mask):
    expected = np.arange(COUNT)[np.array(mask)].tolist()
    for written in (mask, np.array(mask), torch.tensor(mask), [np.bool_(m) for m in mask]):
        assert row_numbers(written, COUNT).tolist() == expected


@given(st.slices(COUNT), st.lists(st.integers(-COUNT, COUNT - 1)))
def test_slices_and_rows_from_the_end_are_those_of_numpy(part, rows):
    every = np.arange(COUNT)
    assert row_numbers(part, COUNT).tolist() == every[part].tolist()
    expected = every[np.array(rows, dtype=int)].tolist()
    assert row_numbers(rows, COUNT, from_end=True).tolist() == expected


@pytest.mark.parametrize("rows", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("from_end", [True, False])
def test_anything_else_is_refused(rows, from_end):
    with pytest.raises(ConfigError, check=has_code("sample-numbers")) as caught:
        row_numbers(rows, COUNT, from_end=from_end)
    assert isinstance(caught.value, IndexError), "a loop of Python's ends so"
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("rows", [[-1], [2**63 - 1], [True, False], [1.5]], ids=str)
def test_sample_numbers_have_no_end_but_a_beginning(rows):
    assert row_numbers([0, 2**62], what="sample numbers").tolist() == [0, 2**62]
    with pytest.raises(
        RowError,
        match="sample numbers",
        check=has_code("sample-numbers", what="sample numbers"),
    ):
        row_numbers(rows, what="sample numbers")


def readers(folder):
    """Everything that takes rows of a data set, by name: what it reads of them."""
    from lenssim.api.dataset import Dataset
    from lenssim.data.streaming.dataset import ShardDataset

    shards = ShardDataset(folder)
    door = Dataset(folder)
    return {
        "door": door.images,
        "images": shards.images,
        "map": lambda rows: shards.read_map("image", rows),
        "targets": lambda rows: shards.targets(["theta_E"], rows),
        "digests": shards.verified_digests,
        "batch": lambda rows: shards.batch(rows)["image"].numpy(),
        "labels": lambda rows: shards.batch(rows)["label"].numpy(),
        "subset": lambda rows: np.stack([s["image"].numpy() for s in shards[rows]]),
        "samples": lambda rows: np.stack(
            [s["image"].numpy() for s in shards.__getitems__(rows)]
        ),
        "table": lambda rows: door.params.take(rows)["theta_E"],
    }


READERS = ("door", "images", "map", "targets", "digests", "batch", "labels", "subset")
READERS += ("samples", "table")


@pytest.mark.parametrize("name", READERS)
def test_every_reader_takes_masks_and_refuses_fractions(tiny_data, name):
    read = readers(tiny_data)[name]
    count = len(readers(tiny_data)["door"](slice(None)))
    mask = np.arange(count) % 2 == 0
    np.testing.assert_array_equal(read(mask), read(np.flatnonzero(mask)))
    for rows in ([0.5], [count], [10**6], mask[:-1], ["0"]):
        with pytest.raises(ConfigError, check=has_code("sample-numbers")):
            read(rows)


def test_every_whole_number_of_a_request_has_both_bounds():
    """So that no number reaches what cannot hold it: numpy, torch or the disk."""
    from lenssim.api.options import model_options
    from lenssim.data.generation.request import GenerationRequest
    from lenssim.learn.methods import METHODS
    from lenssim.learn.tasks import TASKS

    models = [GenerationRequest, *(task.settings for task in TASKS.values())]
    options = chain.from_iterable(model_options(m) for m in [*models, *METHODS.values()])
    numbers = {option.name: option for option in options if option.kind is int}
    assert {"n", "seed", "shard_size", "epochs", "live_seed", "live_n"} <= set(numbers)
    for name, option in numbers.items():
        bounds = {key for item in option.field.metadata for key in vars_of(item)}
        assert {"ge", "le"} <= bounds, name


def vars_of(item) -> list[str]:
    return [key for key in ("ge", "gt", "le", "lt") if hasattr(item, key)]
