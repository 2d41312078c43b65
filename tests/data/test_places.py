"""Data sets that are far, packed or still growing stream in the same exact order as those that lie here."""

import fcntl
import functools
import http.server
import json
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from error_codes import has_code

from lenssim.data.format.files import read_json, write_json
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.inspection.verification import verify
from lenssim.data.streaming import growing
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.locations import FOLLOW
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.data.streaming.stream import stream
from lenssim.errors import ConfigError, DataError
from lenssim.simulate.preset import load_preset

N, BATCH = 700, 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory, pieces) -> Path:
    folder = tmp_path_factory.mktemp("places") / "D"
    pieces.make(folder, N, 100)
    return folder


@pytest.fixture(scope="module")
def packed(tmp_path_factory, pieces) -> Path:
    pytest.importorskip("hdf5plugin")
    folder = tmp_path_factory.mktemp("places") / "P"
    pieces.make(folder, N, 128, storage="int16", compress="bitshuffle-lz4")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("LENSSIM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/data"


@pytest.fixture
def server(folder):
    """A web server of the data set's folder that knows no ranges, and what it was asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder.parent))
    ) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}/D", asked
        web.shutdown()
        thread.join()


def sampler_of(dataset, rank=0, world=1, seed=4, batch=BATCH) -> BatchSampler:
    options = {"fingerprint": dataset.fingerprint, "drop_last": True, **dataset.order}
    return BatchSampler(dataset.rows(), batch, seed=seed, rank=rank, world=world, **options)


def test_http_with_a_cache(folder, server, cache):
    url, asked = server
    here, far = ShardDataset(folder), ShardDataset(url)
    assert far.fingerprint == here.fingerprint
    assert far.labels.tolist() == here.labels.tolist()
    assert far.index.tolist() == here.index.tolist()
    assert not list(cache.rglob("*.h5"))  # labels and numbers came alone
    rows = np.array([5, 699, 0, 5])
    np.testing.assert_array_equal(far.images(rows), here.images(rows))
    assert sorted(path.name for path in cache.rglob("*.h5")) == ["000000.h5", "000006.h5"]
    before = len(asked)
    np.testing.assert_array_equal(ShardDataset(url).images(rows), here.images(rows))
    assert not [path for path in asked[before:] if path.endswith("000006.h5")][
        7:
    ]  # ranges of columns, no shard again
    assert far.params["theta_E"].tolist() == here.params["theta_E"].tolist()
    assert len(list(cache.rglob("*.h5"))) == 7


@pytest.mark.parametrize("scheme", ["file", "memory"])
@pytest.mark.parametrize("workers", [0, 2])
def test_urls_stream_like_folders(folder, scheme, workers, tmp_path):
    import fsspec

    if scheme == "memory":
        if workers:
            pytest.skip("memory is not shared with workers that fetch")
        fsspec.filesystem("memory").put(str(folder), "/D", recursive=True)
    url = f"file://{folder}" if scheme == "file" else "memory://D"
    far, here = ShardDataset(url), ShardDataset(folder)
    sampler = sampler_of(far)
    seen = []
    for batch in stream(far, sampler, workers):
        rows = batch["index"].numpy()
        np.testing.assert_array_equal(batch["image"].numpy(), here.images(rows))
        seen += rows.tolist()
    assert seen == sampler.order(0)[: len(seen)].tolist()


def test_a_shard_is_read_while_its_writer_still_holds_its_lock(folder):
    """It locks the file until it has closed it, which is after the renaming."""
    with (folder / "shards/000002.h5").open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert len(ShardDataset(folder).images(np.array([250]))) == 1


def test_what_is_damaged_on_the_way_is_refused(folder, tmp_path, cache):
    far = Path(shutil.copytree(folder, tmp_path / "far"))
    data = bytearray((far / "shards/000003.h5").read_bytes())
    with h5py.File(far / "shards/000003.h5") as file:
        images, labels = file["images"].id.get_offset(), file["labels"].id.get_offset()
    data[images + 9] ^= 1
    (far / "shards/000003.h5").write_bytes(data)
    dataset = ShardDataset(f"file://{far}")
    with pytest.raises(
        DataError,
        match=r"far/shards/000003.h5 is damaged: its sha256",
        check=has_code("damaged-data", name="000003.h5"),
    ):
        dataset.images(np.array([350]))
    assert not list(cache.rglob("000003.h5"))
    data[labels] ^= 1
    (far / "shards/000003.h5").write_bytes(data)
    with pytest.raises(
        DataError,
        match=r"000003.h5: dataset labels does not hold what was written",
        check=has_code("damaged-data", name="labels"),
    ):
        ShardDataset(f"file://{far}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:///nowhere/at/all", "holds no plan.json"),
        ("gopher://x/D", "cannot read gopher"),
        ("follow:/x", "no folder"),
    ],
)
def test_places_that_are_none(url, message):
    with pytest.raises(DataError, match=message):
        ShardDataset(url)


def global_batches(
    dataset: ShardDataset, workers: int, state: dict | None, world: int, count: int
) -> tuple[list[list[int]], dict]:
    """Return the first batches that `world` processes read together, and the state after them."""
    samplers = [sampler_of(dataset, rank, world) for rank in range(world)]
    for sampler in samplers:
        if state is not None:
            sampler.load_state_dict(state)
    batches: list[list[int]] = []
    while len(batches) < count:
        loaders = [iter(stream(dataset, sampler, workers)) for sampler in samplers]
        for parts in zip(*loaders, strict=True):
            merged = np.stack([part["index"].numpy() for part in parts], axis=1).ravel()
            batches.append(merged.tolist())
            for sampler in samplers:
                sampler.advance()
            if len(batches) == count:
                break
    states = [sampler.state_dict() for sampler in samplers]
    assert all(state == states[0] for state in states)
    return batches, states[0]


@pytest.mark.parametrize("kind", ["folder", "packed", "file"])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [7, 17], ids=["mid-epoch", "epoch end"])
def test_resuming_in_another_world_keeps_the_order(request, kind, workers, stop):
    """World size 1, then 2, then 1: the global batches are those of an undisturbed run, in order, unsorted."""
    place = (
        f"file://{request.getfixturevalue('folder')}"
        if kind == "file"
        else request.getfixturevalue(kind)
    )
    dataset = ShardDataset(place)

    whole = sampler_of(dataset)
    expected = []
    while len(expected) < 40:
        expected += [dataset.index[rows].tolist() for rows in list(whole)]
        for _ in range(len(whole)):
            whole.advance()
    got, state = global_batches(dataset, workers, None, 1, stop)
    for world, count in ((2, 11), (1, 9)):
        saved = json.loads(json.dumps(state))
        more, state = global_batches(dataset, workers, saved, world, count)
        got += more
    assert got == expected[: len(got)]


@pytest.mark.parametrize(("block", "mix"), [(1, 1), (64, 1), (64, 8), (100, 4), (7, 3)])
@pytest.mark.parametrize("rising", [False, True])
@pytest.mark.parametrize(
    ("n", "batch", "world"), [(700, 40, 2), (97, 10, 1), (64, 64, 4), (500, 12, 3)]
)
def test_every_row_once_an_epoch_in_any_order(block, mix, rising, n, batch, world):
    options = {"block": block, "mix": mix, "rising": rising, "drop_last": True}
    samplers = [
        BatchSampler(np.arange(n), batch, seed=1, rank=r, world=world, **options)
        for r in range(world)
    ]
    for epoch in range(3):
        order = samplers[0].order(epoch)
        assert sorted(order.tolist()) == list(range(n))
        batches = [list(sampler) for sampler in samplers]
        assert {len(one) for one in batches} == {n // batch}
        counts = Counter(row for one in batches for part in one for row in part)
        assert set(counts.values()) == {1}
        if block > 1:
            window = block * mix
            reach = [
                len(np.unique(order[i : i + window] // block)) for i in range(0, n, window)
            ]
            assert (
                max(reach) <= 2 * mix
            )  # what is read together lies in two windows at most
        for sampler in samplers:
            sampler.epoch += 1


def test_states_from_before_windows_are_understood():
    sampler = BatchSampler(np.arange(20), 4, block=2)
    state = {
        key: value
        for key, value in sampler.state_dict().items()
        if key not in ("mix", "rising")
    }
    sampler.load_state_dict({**state, "done": 3})
    assert sampler.done == 3
    with pytest.raises(
        ConfigError, match="mix: 1 saved, 8 now", check=has_code("order-differs")
    ):
        BatchSampler(np.arange(20), 4, block=2, mix=8).load_state_dict(state)


def test_a_stream_follows_a_generation_that_runs(tmp_path):
    """Training starts after the first shard; the first epoch takes shards as they come, and resuming is exact."""
    folder, plan = tmp_path / "D", make_plan(load_preset("III"), 256, seed=2, shard_size=32)
    running = threading.Event()
    first = threading.Event()

    def report(progress) -> None:
        if progress.done:
            first.set()
            running.wait(30)

    thread = threading.Thread(
        target=generate, args=(folder, plan), kwargs={"report": report}
    )
    thread.start()
    assert first.wait(60)
    dataset = ShardDataset(f"{FOLLOW}{folder}")
    assert not (folder / "manifest.json").exists()
    assert len(dataset) == 256
    sampler = sampler_of(dataset, batch=16)
    assert set(sampler.order(0)[:128].tolist()) == set(range(128))
    running.set()
    seen = list(stream(dataset, sampler))
    thread.join()
    whole = ShardDataset(folder)
    for batch in seen:
        rows = batch["index"].numpy()
        assert torch.equal(batch["image"], torch.from_numpy(whole.images(rows)))
        assert torch.equal(batch["label"], torch.from_numpy(whole.labels[rows]))
    later = ShardDataset(f"{FOLLOW}{folder}")
    assert later.fingerprint == dataset.fingerprint
    resumed = sampler_of(later, batch=16)
    resumed.load_state_dict({**sampler.state_dict(), "done": 9})
    assert [b["index"].tolist() for b in stream(later, resumed)] == [
        b["index"].tolist() for b in seen[9:]
    ]


def test_a_generation_that_stopped_is_not_waited_for(tmp_path, monkeypatch):
    folder, plan = tmp_path / "D", make_plan(load_preset("III"), 12, seed=2, shard_size=4)
    generate(folder, plan)
    (folder / "shards/000002.json").unlink()
    monkeypatch.setattr(growing, "_PATIENCE", 0.3)
    monkeypatch.setattr(growing, "_LOOK_EVERY", 0.05)
    dataset = ShardDataset(f"{FOLLOW}{folder}")
    with pytest.raises(
        DataError,
        match=r"000002.h5 is not there.*repeat the command that generates it",
        check=has_code("incomplete-data"),
    ):
        dataset.images(np.array([9]))


def test_only_simulations_are_followed(folder):
    with pytest.raises(
        ConfigError,
        match="only a simulation can be followed",
        check=has_code("not-simulated"),
    ):
        ShardDataset(f"{FOLLOW}{folder}")


def edit_manifest(folder: Path, change) -> None:
    document = read_json(folder / "manifest.json")
    change(document)
    write_json(folder / "manifest.json", document)


HOSTILE = {
    "shape": (lambda d: d.update(image_shape=[1, 10**9, 10**9]), "image_shape.1"),
    "n": (lambda d: d.update(n=2**62), "n: "),
    "rows": (lambda d: d["shards"][1].update(rows=99), "do not add up to 700"),
    "fewer": (lambda d: d.update(shards=d["shards"][:-1]), "lists 6 shards, its plan 7"),
    "hash": (
        lambda d: d["shards"][0].update(file_sha256="../../etc/passwd"),
        "file_sha256",
    ),
    "path": (
        lambda d: d["shards"][0].update(path="../../etc/passwd"),
        "path: Extra inputs",
    ),
    "shapes": (lambda d: d["shards"][2].update(image_shape=[1, 8, 9]), "several shapes"),
    "numbers": (
        lambda d: d["shards"][2].update(first=100, last=199),
        "rising sample numbers 100..199",
    ),
}


@pytest.mark.parametrize("way", HOSTILE)
def test_hostile_manifests_are_refused(folder, tmp_path, way):
    copy = Path(shutil.copytree(folder, tmp_path / "D"))
    change, words = HOSTILE[way]
    edit_manifest(copy, change)
    for place in (copy, f"file://{copy}"):
        with pytest.raises(DataError) as error:
            ShardDataset(place)
        assert words in str(error.value)
    assert verify(copy).problems


def test_numbers_that_come_twice_are_named(folder, tmp_path):
    """A shard that repeats another's samples, with hashes and records that all fit."""
    copy = Path(shutil.copytree(folder, tmp_path / "D"))
    shutil.copy(copy / "shards/000001.h5", copy / "shards/000002.h5")
    edit_manifest(copy, lambda d: d["shards"].__setitem__(2, d["shards"][1]))
    problems = verify(copy).problems
    assert any(
        "shards/000002.h5: sample number 100 comes twice" in line for line in problems
    )
    with pytest.raises(
        DataError, match="sample numbers repeat", check=has_code("manifest-wrong")
    ):
        ShardDataset(copy)


@pytest.mark.parametrize("part", ["shards/000001.h5", "shards"])
def test_links_that_leave_the_folder_are_refused(folder, tmp_path, part):
    copy = Path(shutil.copytree(folder, tmp_path / "D"))
    shutil.move(copy / part, tmp_path / "elsewhere")
    (copy / part).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(
        DataError,
        match="is a link that leaves the data set's folder",
        check=has_code("link-outside"),
    ):
        ShardDataset(copy)
    assert any("is a link that leaves" in line for line in verify(copy, fast=True).problems)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        (
            "params/theta_E",
            np.zeros(100, np.float16),
            "params/theta_E has the type float16",
        ),
        ("params/theta_E", np.array([b"x"] * 100), "params/theta_E has the type |S1"),
        ("labels", np.zeros(100, np.int8), "labels has the type int8"),
        ("index", np.zeros(100), "index has the type float64"),
        ("images", np.zeros((100, 1, 8, 8), np.complex64), "images has the type complex64"),
        ("images", np.zeros((100, 1, 8, 8), np.int16), "scale is missing"),
    ],
)
def test_wrong_types_are_named(folder, tmp_path, name, data, words):
    path = Path(shutil.copy(folder / "shards/000001.h5", tmp_path / "000001.h5"))
    with h5py.File(path, "r+") as file:
        del file[name]
        file.create_dataset(name, data=data)
    from lenssim.data.format.reading import open_shard

    with pytest.raises(
        DataError, match=r"000001\.h5", check=has_code("shard-structure")
    ) as error:
        open_shard(path)
    assert words in str(error.value)


def test_a_shard_that_is_not_there_yet_is_waited_for(tmp_path):
    folder, plan = tmp_path / "D", make_plan(load_preset("III"), 8, seed=2, shard_size=4)
    generate(folder, plan)
    record = folder / "shards/000001.json"
    kept = record.read_bytes()
    record.unlink()
    dataset = ShardDataset(f"{FOLLOW}{folder}")

    def bring() -> None:
        time.sleep(0.7)
        record.write_bytes(kept)

    thread = threading.Thread(target=bring)
    thread.start()
    assert dataset.images(np.array([7])).shape == (1, 1, 64, 64)
    thread.join()
