"""Fits in several processes, and fits that were killed: the same bits."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

import lenssim as package
from lenssim.data.format.manifest import read_manifest

pytestmark = pytest.mark.thorough
FILES = ("models.csv", "covariances.json", "index.html")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lenses") / "D"
    package.generate("hst-arcs", 10, folder, workers=0, device="cpu")
    return folder


@pytest.fixture(scope="module")
def fitted(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fits") / "R"
    package.fit(data, folder, workers=0)
    return folder


def assert_same(folder, other):
    """The same bits in all that a fit writes."""
    prints = [read_manifest(place / "pictures").fingerprint for place in (folder, other)]
    assert prints[0] == prints[1]
    for name in FILES:
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name


def command(data, out, *words):
    return [sys.executable, "-m", "lenssim", "fit", str(data), "--out", str(out), *words]


def test_two_workers_give_the_same_bits(data, fitted, tmp_path):
    done = subprocess.run(
        command(data, tmp_path / "R", "--workers", "2"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert_same(fitted, tmp_path / "R")


def test_a_killed_fit_goes_on_to_the_same_bits(data, fitted, tmp_path):
    """The process dies by SIGKILL once a shard is safe, with others still to make."""
    words = command(data, tmp_path / "R", "--workers", "0")
    process = subprocess.Popen(words, stderr=subprocess.PIPE)
    shards = tmp_path / "R" / "pictures" / "shards"
    end = time.monotonic() + 300
    while not list(shards.glob("*.json")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "R" / "models.csv").exists()
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_same(fitted, tmp_path / "R")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a card")
def test_a_card_that_is_not_there_is_refused(data, tmp_path):
    done = subprocess.run(
        command(data, tmp_path / "R", "--device", "cuda"), capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "--device cpu" in done.stderr
    assert not (tmp_path / "R").exists()
