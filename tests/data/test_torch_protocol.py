"""Data sets as torch's own tools expect them: plain loaders see the samples of the house's stream."""

import pickle

import numpy as np
import pytest
import torch
from error_codes import has_code
from torch.utils.data import ConcatDataset, DataLoader, Subset, random_split

from lenssim.data.generation.simulation import make_plan
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.live import LiveDataset
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.data.streaming.source import ImageSource, SampleDataset
from lenssim.data.streaming.stream import stream
from lenssim.errors import ConfigError
from lenssim.rows import RowError
from lenssim.simulate.preset import load_preset
from lenssim.simulate.streams import SPLITS

N = 300
SOURCES = ("contiguous", "chunked", "rounded", "url", "live")


@pytest.fixture(scope="module")
def open_source(tmp_path_factory, pieces):
    """Opens a source by name, once."""
    opened: dict[str, SampleDataset] = {}
    storages = {
        "contiguous": {},
        "chunked": {"compress": "bitshuffle-lz4"},
        "rounded": {"storage": "int16"},
    }

    def open_one(name: str) -> SampleDataset:
        if name in opened:
            return opened[name]
        if name == "live":
            source = LiveDataset(
                make_plan(load_preset("III"), 70, seed=5, engine_name="lenstronomy")
            )
        elif name == "url":
            source = ShardDataset(f"file://{open_one('contiguous').folder}")
        else:
            folder = tmp_path_factory.mktemp("sets") / name
            pieces.make(folder, N, 40, **storages[name])
            source = ShardDataset(folder)
        opened[name] = source
        return source

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LENSSIM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield open_one


@pytest.fixture(scope="module", params=SOURCES)
def source(request, open_source) -> SampleDataset:
    return open_source(request.param)


@pytest.fixture(scope="module")
def data(open_source) -> ShardDataset:
    return open_source("contiguous")


def streamed(source: SampleDataset, batch_size: int, workers: int = 0) -> list[dict]:
    sampler = BatchSampler(source.rows(), batch_size, shuffle=False)
    return list(stream(source, sampler, workers))


def assert_same(batches: list[dict], expected: list[dict]) -> None:
    assert len(batches) == len(expected)
    for batch, other in zip(batches, expected, strict=True):
        assert list(batch) == list(other)
        for name, column in other.items():
            assert batch[name].dtype == column.dtype
            assert torch.equal(batch[name], column), name


def test_a_plain_loader_gives_the_batches_of_the_stream(source):
    assert_same(list(DataLoader(source, batch_size=32)), streamed(source, 32))


def test_the_sources_keep_the_contract(source):
    contract: ImageSource = source
    assert len(contract) == len(contract.index) == len(contract.labels)
    assert contract.bands == ()
    assert contract.name
    assert contract.pixel_scale is None or contract.pixel_scale > 0
    rows = contract.rows("validation")[:3]
    batch = contract.batch(rows)
    assert batch["image"].shape == (len(rows), *contract.image_shape)
    assert batch["label"].tolist() == contract.labels[rows].tolist()
    assert batch["index"].tolist() == contract.index[rows].tolist()


def test_a_sample_is_a_row_of_a_batch(source):
    batch = source.batch([5, 2])
    for row, sample in enumerate([source[5], source[2]]):
        assert sample.keys() == batch.keys()
        for name, column in batch.items():
            assert torch.equal(sample[name], column[row])


@pytest.mark.thorough
@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.parametrize("name", ["contiguous", "chunked", "rounded", "url"])
def test_workers_give_the_samples_of_the_stream(open_source, name, context):
    source = open_source(name)
    expected = streamed(source, 32, workers=2)
    source.images(
        source.rows()[:5]
    )  # open files are in the parent before the workers start
    loader = DataLoader(
        source, batch_size=32, num_workers=2, multiprocessing_context=context
    )
    assert_same(list(loader), expected)
    train = Subset(source, source.rows("train"))
    shuffled = DataLoader(
        train,
        batch_size=32,
        shuffle=True,
        num_workers=2,
        multiprocessing_context=context,
        generator=torch.Generator().manual_seed(0),
    )
    numbers = torch.cat([batch["index"] for batch in shuffled])
    assert sorted(numbers.tolist()) == source.index[source.rows("train")].tolist()


def test_a_shuffled_loader_gives_each_sample_once(data):
    loader = DataLoader(
        data, batch_size=64, shuffle=True, generator=torch.Generator().manual_seed(0)
    )
    numbers = torch.cat([batch["index"] for batch in loader])
    assert numbers.tolist() != list(range(N))
    assert sorted(numbers.tolist()) == list(range(N))


def test_subsets_and_random_splits_give_their_rows(data):
    rows = [7, 250, 3, 3]
    (batch,) = DataLoader(Subset(data, rows), batch_size=4)
    assert_same([batch], [data.batch(rows)])
    parts = random_split(data, [0.75, 0.25], torch.Generator().manual_seed(1))
    numbers = [
        number
        for part in parts
        for batch in DataLoader(part, batch_size=50)
        for number in batch["index"].tolist()
    ]
    assert sorted(numbers) == list(range(N))
    twice = ConcatDataset([data, data])
    assert torch.equal(twice[N + 4]["image"], data[4]["image"])


def test_rows_below_zero_count_from_the_end(data):
    assert data[-1]["index"] == N - 1
    assert data[-N]["index"] == 0
    assert [sample["index"].item() for sample in Subset(data, [-2, 1])] == [N - 2, 1]
    for row in (N, -N - 1):
        with pytest.raises(
            IndexError,
            match=f"{row} is none of the rows: there are",
            check=has_code("sample-numbers", what="rows"),
        ):
            data[row]
    with pytest.raises(RowError):
        data[1.5]
    assert data[np.int64(3)]["index"] == data[torch.tensor(3)]["index"] == 3


@pytest.mark.parametrize(
    "selection",
    [slice(5), slice(-4, None), slice(None, None, 50), slice(9, 2, -3), slice(4, 4)],
)
def test_slices_are_subsets(data, selection):
    subset = data[selection]
    assert isinstance(subset, Subset)
    numbers = [sample["index"].item() for sample in subset]
    assert numbers == list(range(N))[selection]
    assert data[:8][-1]["index"] == 7


def test_lists_of_rows_are_subsets(data):
    for rows in ([4, -1], np.array([4, N - 1]), torch.tensor([4, N - 1])):
        assert [sample["index"].item() for sample in data[rows]] == [4, N - 1]
    with pytest.raises(IndexError):
        data[[0, N]]


def test_iterating_a_data_set_ends(data):
    assert [sample["index"].item() for sample in data] == list(range(N))


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_holds_the_samples_of_its_rows(data, split):
    part = ShardDataset(data.folder, split)
    rows = data.rows(split)
    assert len(part) == len(rows)
    np.testing.assert_array_equal(part.index, data.index[rows])
    np.testing.assert_array_equal(part.labels, data.labels[rows])
    np.testing.assert_array_equal(part.params["theta_E"], data.params["theta_E"][rows])
    np.testing.assert_array_equal(part.rows(split), np.arange(len(rows)))
    assert not len(part.rows("train" if split == "test" else "test"))
    expected = [data.batch(rows[start : start + 16]) for start in range(0, len(rows), 16)]
    assert_same(list(DataLoader(part, batch_size=16)), expected)
    assert_same(streamed(part, 16, workers=2), expected)
    assert (part.verified_digests(np.arange(2)) == data.verified_digests(rows[:2])).all()
    assert part.fingerprint == data.fingerprint


def test_an_unknown_split_is_refused(data):
    with pytest.raises(ConfigError, check=has_code("unknown-split", suggestion="train")):
        ShardDataset(data.folder, "trian")


def halved(image: torch.Tensor) -> torch.Tensor:
    return image[..., ::2] / 2


def test_a_transform_is_applied_to_each_image(data):
    changed = ShardDataset(data.folder, transform=halved)
    assert torch.equal(changed[3]["image"], halved(data[3]["image"]))
    plain = list(DataLoader(data, batch_size=64))
    expected = [{**batch, "image": halved(batch["image"])} for batch in plain]
    assert_same(list(DataLoader(changed, batch_size=64)), expected)
    assert_same(streamed(changed, 64), expected)
    np.testing.assert_array_equal(changed.images([3]), data.images([3]))
    again = pickle.loads(pickle.dumps(changed))
    assert torch.equal(again[3]["image"], changed[3]["image"])


def test_targets_come_along_where_they_are_asked_for(data):
    asking = ShardDataset(data.folder, targets=["theta_E"])
    assert asking[20]["target"].tolist() == [2.0]
    (batch,) = DataLoader(asking[:50], batch_size=50)
    assert batch["target"].dtype == torch.float64
    assert batch["target"].shape == (50, 1)
    assert torch.equal(
        batch["target"], data.batch(range(50), targets=["theta_E"])["target"]
    )
    assert "target" not in data.batch([0])
    assert "target" not in asking.batch([0], targets=())
    with pytest.raises(KeyError, match="theta_X"):
        ShardDataset(data.folder, targets=["theta_X"])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_may_ask_for_targets(data, workers):
    sampler = BatchSampler(data.rows(), 60)
    for batch in stream(data, sampler, workers, targets=["theta_E"]):
        np.testing.assert_allclose(batch["target"][:, 0], batch["index"] / 10)


def test_live_data_give_targets_and_keep_no_maps(open_source):
    live = open_source("live")
    batch = live.batch([1], targets=["theta_E"])
    assert batch["target"].item() == live.targets(["theta_E"], np.array([1])).item()
    with pytest.raises(ConfigError, check=has_code("no-map", name="kappa")):
        live.batch([1], maps=["kappa"])
