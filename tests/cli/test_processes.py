"""Commands that start processes: on a system that knows less than Linux, and what they leave in TMPDIR."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(1800)]

MAC = """
import multiprocessing, os
del os.sched_getaffinity
if hasattr(os, "preadv"):
    del os.preadv
multiprocessing.set_start_method("spawn", force=True)
"""
RECIPE = """
title: two at a time
generate:
  data: {model: III, n: 512, noise: none}
settings: {epochs: 1, batch_size: 32, net: cnn}
train:
  all: {data: data, seed: [0, 1]}
"""
GENERATE = "generate --model III --n 512 --noise none --out data"
TRAIN = "train classify --net cnn --batch-size 32 --epochs 1"
LIVE = f"{TRAIN} --live III --live-n 192 --workers 2 --out live"


@pytest.fixture
def surroundings(tmp_path):
    """An environment with a TMPDIR of its own."""
    (tmp_path / "tmp").mkdir()
    return {
        **os.environ,
        "TMPDIR": str(tmp_path / "tmp"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
    }


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("system", ["linux", "mac"])
def test_processes_work_on_every_system_and_leave_nothing_in_tmpdir(
    tmp_path, surroundings, system
):
    if system == "mac":
        (tmp_path / "site").mkdir()
        (tmp_path / "site/sitecustomize.py").write_text(MAC)
        surroundings["PYTHONPATH"] = str(tmp_path / "site")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    commands = [
        GENERATE,
        f"{TRAIN} --data data --workers 2 --out run",
        LIVE,
        "run recipe.yaml --out recipe --jobs 2",
    ]
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "lenssim", *command.split()],
            cwd=tmp_path,
            env=surroundings,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert left(tmp_path) == [], command


@pytest.mark.parametrize(
    "command",
    ["generate --model III --n 20000 --shard-size 64 --workers 2 --out data", LIVE],
)
@pytest.mark.parametrize("whom", ["all", "the command"])
def test_killed_processes_leave_nothing_in_tmpdir(tmp_path, surroundings, command, whom):
    """SIGKILL in the middle of the work, for all processes of the command or its first alone."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "lenssim",
            *command.replace("--epochs 1", "--epochs 999").split(),
        ],
        cwd=tmp_path,
        env=surroundings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    signs = ["data/shards/*.json", "live/metrics.csv"]
    end = time.monotonic() + 200
    while not [path for sign in signs for path in tmp_path.glob(sign)]:
        assert process.poll() is None, "the command ended by itself"
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    if whom == "all":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    assert left(tmp_path) == []
