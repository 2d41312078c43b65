import hashlib
import json
import pickle
import shutil

import h5py
import numpy as np
import pytest
import torch
from error_codes import has_code
from hypothesis import given
from hypothesis import strategies as st

from lenssim.data.format.files import read_json, write_json
from lenssim.data.format.manifest import Plan
from lenssim.data.format.shard import Samples
from lenssim.data.generation.building import build, provenance
from lenssim.data.generation.finishing import finish_shard
from lenssim.data.generation.runners import local_runner
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.data.streaming.splits import split_of
from lenssim.data.streaming.stream import stream
from lenssim.errors import ConfigError, DataError
from lenssim.simulate.streams import BLOCK, SPLITS

SHAPE = (2, 5, 4)


def make(folder, n, shard_size=100):
    """A data set of random images whose first pixel is the sample's number."""
    plan = Plan(
        n=n,
        shard_size=shard_size,
        classes=("a", "b", "c"),
        config={"kind": "test", "seed": 1},
    )

    def task(target, document, shard):
        numbers = np.array(plan.rows(shard))
        images = np.random.default_rng(shard).random(
            (len(numbers), *SHAPE), dtype=np.float32
        )
        images[:, 0, 0, 0] = numbers
        samples = Samples(
            images=images,
            labels=numbers % 3,
            index=numbers,
            params={"theta_E": numbers / 10},
            perturbers={},
            units={"theta_E": "arcsec"},
            attributes=provenance(plan),
            texts={},
        )
        return finish_shard(folder, plan, shard, samples)

    build(folder, plan, task, local_runner(0))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp("sets") / "d", 730)


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "d")


@given(st.integers(0, 10**12))
def test_split_is_a_function_of_the_block(number):
    block = number // BLOCK
    assert split_of(np.array([number])) == split_of(np.array([block * BLOCK]))
    assert split_of(np.array([number])) == split_of(np.array([number + 10 * BLOCK]))


def test_splits_are_80_10_10_and_256_samples_have_all_three():
    numbers = np.arange(10 * BLOCK)
    assert np.bincount(split_of(numbers)).tolist() == [8 * BLOCK, BLOCK, BLOCK]
    assert set(split_of(np.arange(256)).tolist()) == {0, 1, 2}


def test_splits_share_no_sample_and_growing_moves_none(folder, tmp_path):
    small, large = ShardDataset(make(tmp_path / "small", 300)), ShardDataset(folder)
    for dataset in (small, large):
        rows = [dataset.rows(split) for split in SPLITS]
        assert sorted(np.concatenate(rows).tolist()) == list(range(len(dataset)))
    for split in SPLITS:
        numbers = large.index[large.rows(split)]
        assert small.index[small.rows(split)].tolist() == numbers[numbers < 300].tolist()
    with pytest.raises(ConfigError, check=has_code("unknown-split", suggestion="test")):
        large.rows("tests")


def test_what_is_read_is_what_was_written(folder):
    dataset = ShardDataset(folder)
    assert (len(dataset), dataset.classes, dataset.image_shape) == (
        730,
        ("a", "b", "c"),
        SHAPE,
    )
    rows = np.array([729, 0, 99, 100, 5, 5])
    batch = dataset.batch(rows)
    assert batch["image"].dtype == torch.float32
    assert batch["image"][:, 0, 0, 0].tolist() == batch["index"].tolist() == rows.tolist()
    assert batch["label"].tolist() == (rows % 3).tolist()
    one = dataset[729]
    assert one["image"].shape == SHAPE
    assert torch.equal(one["image"], batch["image"][0])
    assert np.array_equal(dataset.params["theta_E"], np.arange(730) / 10)
    for i in range(3):
        with h5py.File(folder / "shards" / f"{i:06d}.h5") as shard:
            assert np.array_equal(
                dataset.images(np.arange(100 * i, 100 * i + 100)), shard["images"][...]
            )
    with pytest.raises(IndexError):
        dataset[730]


def test_real_data_open(tiny_data):
    dataset = ShardDataset(tiny_data)
    assert dataset.classes == ("no_sub", "cdm", "axion")
    assert torch.isfinite(dataset.batch(dataset.rows())["image"]).all()
    assert {"theta_E", "log10_m_axion"} <= set(dataset.params)


def test_pickle_is_small_and_reads_the_same(folder):
    dataset = ShardDataset(folder)
    dataset.images(dataset.rows())
    data = pickle.dumps(dataset)
    assert len(data) < 40_000
    assert torch.equal(pickle.loads(data)[3]["image"], dataset[3]["image"])


@pytest.mark.parametrize("workers", [0, 2])
def test_stream_order_does_not_depend_on_workers(folder, workers):
    dataset = ShardDataset(folder)
    sampler = BatchSampler(
        dataset.rows("train"), 32, seed=4, fingerprint=dataset.fingerprint
    )
    loader = stream(dataset, sampler, workers)
    state = torch.get_rng_state()
    for _ in range(2):
        seen = []
        for batch in loader:
            seen.append(batch["index"].tolist())
            expected = dataset.index[sampler.order(sampler.epoch)][32 * sampler.done :][
                : len(seen[-1])
            ].tolist()
            assert seen[-1] == expected
            sampler.advance()
        assert (
            sorted(number for batch in seen for number in batch)
            == dataset.index[dataset.rows("train")].tolist()
        )
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("workers", [0, 2])
def test_stream_resumes_in_the_middle_of_an_epoch(folder, workers):
    def start():
        dataset = ShardDataset(folder)
        return stream(dataset, BatchSampler(dataset.rows("train"), 32, seed=4), workers)

    whole, first, second = start(), start(), start()
    expected = [batch["index"].tolist() for batch in whole]
    batches = iter(first)
    got = []
    for _ in range(5):
        got.append(next(batches)["index"].tolist())
        first.batch_sampler.advance()
    second.batch_sampler.load_state_dict(first.batch_sampler.state_dict())
    assert len(second) == len(expected)
    assert got + [batch["index"].tolist() for batch in second] == expected


def spoil(folder, change):
    with h5py.File(folder / "shards/000002.h5", "r+") as shard:
        change(shard)


def replace(name, make_new):
    def change(shard):
        data = make_new(shard[name][...])
        del shard[name]
        shard.create_dataset(name, **data)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replace("images", lambda x: {"data": x, "chunks": True}), "chunked or compressed"),
        (replace("images", lambda x: {"data": x[..., :3]}), "images has shape"),
        (replace("labels", lambda x: {"data": x + 1}), "labels lie in 1..3 for 3 classes"),
        (replace("index", lambda x: {"data": x[::-1]}), "rising sample numbers 200..299"),
        (
            replace("index", lambda x: {"data": np.where(x == 250, 251, x)}),
            "rising sample numbers 200..299",
        ),
    ],
)
def test_a_shard_that_is_not_the_manifest_s_is_refused_by_name(copy, change, words):
    spoil(copy, change)
    document = read_json(copy / "manifest.json")
    record = document["shards"][2]
    record["bytes"] = (copy / "shards/000002.h5").stat().st_size
    with h5py.File(copy / "shards/000002.h5") as file:
        for name in ("labels", "index"):
            record["datasets"][name]["sha256"] = hashlib.sha256(
                file[name][...].tobytes()
            ).hexdigest()
    write_json(copy / "manifest.json", document)
    with pytest.raises(
        DataError, match=r"000002\.h5", check=has_code("shard-structure")
    ) as error:
        ShardDataset(copy)
    assert words in str(error.value)


def test_a_truncated_or_missing_shard_is_refused_by_name(copy):
    shard = copy / "shards/000003.h5"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        DataError, match=r"000003\.h5 .*truncated", check=has_code("shard-size")
    ):
        ShardDataset(copy)
    shard.write_bytes(whole + b"more")
    with pytest.raises(DataError, check=has_code("shard-size")):
        ShardDataset(copy)
    shard.unlink()
    with pytest.raises(DataError, check=has_code("no-file")):
        ShardDataset(copy)


def test_folders_that_hold_no_complete_data_set_are_refused(copy, tmp_path):
    (copy / "manifest.json").unlink()
    with pytest.raises(DataError, check=has_code("incomplete-data")):
        ShardDataset(copy)
    with pytest.raises(DataError, check=has_code("no-folder")):
        ShardDataset(tmp_path / "nowhere")


def test_a_manifest_that_does_not_add_up_is_refused(copy):
    document = read_json(copy / "manifest.json")
    write_json(copy / "manifest.json", {**document, "n": 731})
    with pytest.raises(DataError, match="add up to 731", check=has_code("manifest-wrong")):
        ShardDataset(copy)
    (copy / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(DataError, check=has_code("document-damaged")):
        ShardDataset(copy)
