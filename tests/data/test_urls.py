"""What reads a data set in a folder reads it behind a URL too, byte for byte: here from a server of S3 on this host."""

import json

import lightning.pytorch  # noqa: F401 - now, because importing it draws from the global random state
import numpy as np
import pytest

from lenssim.data.format.manifest import read_manifest
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.simulate.preset import load_preset

moto_server = pytest.importorskip("moto.server")
s3fs = pytest.importorskip("s3fs")


@pytest.fixture
def bucket(tiny_data, tmp_path, monkeypatch):
    """URL of a copy of the data set of 70 images in a bucket, and the file system that it lies in."""
    monkeypatch.setenv("LENSSIM_CACHE", str(tmp_path / "cache"))
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "anyone",
        "AWS_SECRET_ACCESS_KEY": "anything",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    if store.exists("lenses"):  # moto's memory outlives its servers
        store.rm("lenses", recursive=True)
    store.mkdir("lenses")
    store.put(str(tiny_data), "lenses/III", recursive=True)
    yield "s3://lenses/III", store
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_every_command_that_reads_a_folder_reads_a_bucket(
    tiny_data, bucket, lenssim, tmp_path
):
    url, _ = bucket
    here, there = (lenssim("info", place, "--json") for place in (tiny_data, url))
    assert there.code == 0, there.err
    assert json.loads(here.out)["fingerprint"] == json.loads(there.out)["fingerprint"]
    for options in ((), ("--fast",), ("--resimulate", 3)):
        done = lenssim("verify", url, *options)
        assert done.code == 0, done.err
    for kind, pattern in {
        "npy": "*/*.npy",
        "fits": "*.fits",
        "webdataset": "*.tar",
    }.items():
        for name, place in {"here": tiny_data, "there": url}.items():
            done = lenssim("export", place, "--to", kind, "--out", tmp_path / kind / name)
            assert done.code == 0, done.err
        own, far = (
            sorted((tmp_path / kind / name).glob(pattern)) for name in ("here", "there")
        )
        assert own, kind
        assert [path.name for path in own] == [path.name for path in far]
        assert [path.read_bytes() for path in own] == [path.read_bytes() for path in far]
    done = lenssim("repack", url, "--out", tmp_path / "packed")
    assert done.code == 0, done.err
    assert (
        read_manifest(tmp_path / "packed").fingerprint
        == read_manifest(tiny_data).fingerprint
    )
    done = lenssim("show", url, "--count", 4, "--out", tmp_path / "figures")
    assert done.code == 0, done.err
    assert (
        len(list((tmp_path / "figures").glob("*.png"))) == 4 - 1
    )  # a sheet for each class


def test_pictures_of_a_bucket_need_a_place(bucket, lenssim):
    done = lenssim("show", bucket[0])
    assert done.code == 2
    assert "--out" in done.err


def test_verify_reads_the_bucket_and_not_the_cache(tiny_data, bucket, lenssim):
    url, store = bucket
    assert lenssim("verify", url).code == 0
    data = bytearray((tiny_data / "shards/000001.h5").read_bytes())
    data[np.random.default_rng(0).integers(len(data))] ^= 1
    store.pipe_file("lenses/III/shards/000001.h5", bytes(data))
    done = lenssim("verify", url)
    assert done.code == 3
    assert "000001.h5" in done.out + done.err


def test_a_bucket_that_is_none(bucket, lenssim):
    done = lenssim("info", "s3://lenses/none")
    assert done.code == lenssim("info", "none").code
    assert "s3://lenses/none" in done.err


def test_a_run_is_judged_and_asked_behind_a_url(tiny_data, bucket, lenssim, tmp_path):
    url, store = bucket
    other = tmp_path / "other"
    generate(other, make_plan(load_preset("III"), 40, seed=6, shard_size=20))
    store.put(str(other), "lenses/other", recursive=True)
    options = (
        "--net",
        "deeplense_cnn",
        "--epochs",
        1,
        "--batch-size",
        16,
        "--device",
        "cpu",
    )
    done = lenssim("train", "classify", "--data", url, "--out", "run", *options)
    assert done.code == 0, done.err
    scores, answers = [], []
    for place in (other, "s3://lenses/other"):
        done = lenssim("evaluate", "run", "--data", place)
        assert done.code == 0, done.err
        (found,) = (tmp_path / "run").glob("evaluation-*/metrics.json")
        scores.append(json.loads(found.read_text())["metrics"])
        done = lenssim("predict", "run", place, "--json")
        assert done.code == 0, done.err
        answers.append(
            [{**answer, "file": "D"} for answer in json.loads(done.out)["predictions"]]
        )
    assert scores[0] == scores[1]
    assert answers[0] == answers[1]
