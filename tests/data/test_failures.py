"""What goes wrong is tried again, recorded with seeds and tracebacks, and stops nobody else."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from error_codes import has_code

from lenssim.data.format.files import write
from lenssim.data.format.manifest import MANIFEST, read_manifest
from lenssim.data.generation import simulation as generating
from lenssim.data.generation.building import build
from lenssim.data.generation.failures import read_failures
from lenssim.data.generation.progress import Progress
from lenssim.data.generation.runners import local_runner
from lenssim.data.generation.simulation import generate, make_plan, share
from lenssim.data.inspection.verification import verify
from lenssim.errors import ConfigError, IncompleteError, StorageError, SurroundingsError
from lenssim.simulate import pipeline
from lenssim.simulate.preset import load_preset

PIECES = Path(__file__).with_name("pieces.py")


@pytest.fixture
def stumble(monkeypatch):
    """Makes the observation of one sample fail, the first `times` times."""
    whole = pipeline.observe

    def fail(number: int, times: int = 10**9, value: float | None = None):
        left = [times]

        def observe(expected, *args, numbers, **options):
            images = whole(expected, *args, numbers=numbers, **options)
            if number in numbers and left[0] > 0:
                left[0] -= 1
                if value is None:
                    raise ValueError("the sky fell down")
                images[list(numbers).index(number)] = value
            return images

        monkeypatch.setattr(pipeline, "observe", observe)

    fail.mend = lambda: monkeypatch.setattr(pipeline, "observe", whole)
    return fail


def plan(n: int = 12, **options):
    return make_plan(load_preset("III"), n, seed=7, shard_size=4, **options)


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "ValueError: the sky fell down"), (np.nan, r"samples \[6\] hold NaN")],
)
def test_a_failing_sample_is_recorded_and_the_rest_is_made(tmp_path, stumble, value, words):
    stumble(6, value=value)
    seen: list[Progress] = []
    with pytest.raises(
        IncompleteError,
        match=rf"1 of 3 shards failed(?s:.*)000001.h5, sample 6: (?s:.*){words}",
        check=has_code("shards-failed"),
    ) as error:
        generate(tmp_path / "D", plan(), report=seen.append)
    assert "8 of 12 samples are done and safe; repeat the command" in str(error.value)
    assert error.value.exit_code == 4
    assert (seen[-1].done, seen[-1].failed, seen[-1].retried) == (8, 4, 1)
    (failure,) = read_failures(tmp_path / "D")
    (sample,) = failure.samples
    assert (failure.shard, failure.tries) == (1, 2)
    assert (sample.number, sample.seed, sample.split, sample.class_name) == (
        6,
        7,
        "train",
        "no_sub",
    )
    assert "Traceback" in sample.traceback
    assert "make_samples" in sample.traceback
    assert not (tmp_path / "D" / MANIFEST).exists()
    stumble.mend()
    found = generate(tmp_path / "D", plan()).fingerprint
    assert found == generate(tmp_path / "E", plan()).fingerprint
    assert read_failures(tmp_path / "D") == []
    assert verify(tmp_path / "D").problems == []


def test_a_failure_that_passes_is_only_counted(tmp_path, stumble):
    stumble(6, times=1)
    seen: list[Progress] = []
    generate(tmp_path / "D", plan(), report=seen.append)
    assert (seen[-1].done, seen[-1].failed, seen[-1].retried) == (12, 0, 1)
    assert read_failures(tmp_path / "D") == []


@pytest.mark.dask
def test_a_display_hears_what_each_worker_has_in_hand_and_has_made(tmp_path, pieces):
    seen: list[Progress] = []
    build(
        tmp_path / "D",
        pieces.plan_of(60, 5),
        pieces.slow_task(0.05),
        local_runner(2),
        seen.append,
    )
    for progress in seen[1:]:
        states = [state.split(", ") for state in progress.workers.values()]
        assert len(states) == 2
        assert (
            sum(int(made.removesuffix(" images")) for _, made, _ in states) == progress.done
        )
        assert all(rate.endswith(" img/s") for *_, rate in states)
        assert all(
            hand == "idle" or hand.removeprefix("shard ") in map(str, range(12))
            for hand, *_ in states
        )
    assert any("shard" in state for state in seen[1].workers.values())
    assert all(state.startswith("idle") for state in seen[-1].workers.values())


@pytest.mark.parametrize(
    ("gone", "words"),
    [("D", "D is gone"), ("D/shards", "0 of 40 samples"), ("one", "5 of 40")],
)
def test_what_is_said_to_be_safe_lies_on_disk(tmp_path, pieces, gone, words):
    """Somebody deletes the folder, or parts of it, during the run."""
    folder = tmp_path / "D"

    def delete(progress: Progress) -> None:
        if progress.done != 10:
            return
        if gone == "one":
            (folder / "shards/000001.json").unlink()
        else:
            shutil.rmtree(tmp_path / gone)

    def task(target, document, shard):
        if shard == 2 and gone == "one":
            raise StorageError("the disk is full")
        return innocent(target, document, shard)

    innocent = pieces.slow_task(0)
    with pytest.raises(IncompleteError) as error:
        build(folder, pieces.plan_of(40, 5), task, local_runner(0), delete)
    assert words in str(error.value)
    assert ("done and safe" in str(error.value)) == (gone != "D")


def test_a_mistake_that_meets_every_sample_ends_early(tmp_path, pieces):
    tried = []

    def task(target, document, shard):
        tried.append(shard)
        raise RuntimeError("no")

    with pytest.raises(IncompleteError, check=has_code("shards-failed")):
        build(tmp_path / "D", pieces.plan_of(100, 1), task, local_runner(0))
    assert sorted(set(tried)) == list(range(8))


@pytest.mark.parametrize("error", [ImportError, ModuleNotFoundError])
def test_a_library_that_cannot_be_loaded_is_no_samples_fault(tmp_path, pieces, error):
    calls: list[int] = []

    def task(target, document, shard):
        calls.append(shard)
        raise error("libtorch_cpu.so: failed to map segment from shared object")

    with pytest.raises(
        SurroundingsError,
        match=r"libtorch_cpu.*no sample is at fault",
        check=has_code("surroundings"),
    ):
        build(tmp_path / "D", pieces.plan_of(20, 5), task, local_runner(0))
    assert calls == [0], "what no repetition mends is not repeated"
    assert not (tmp_path / "D" / "failures").exists()


def test_the_command_line_ends_with_4(tmp_path, stumble, lenssim):
    stumble(6)
    command = (
        "generate",
        "--model",
        "III",
        "--n",
        12,
        "--seed",
        7,
        "--shard-size",
        4,
        "--workers",
        0,
        "--out",
        "D",
    )
    done = lenssim(*command)
    assert done.code == 4
    assert "sample 6: ValueError: the sky fell down" in done.err
    assert "Traceback" not in done.err
    stumble.mend()
    assert lenssim(*command).code == 0


def test_a_worker_with_other_libraries_is_refused(tmp_path, monkeypatch):
    asked = plan()
    versions = {**asked.config["versions"], "numpy": "0.1"}
    monkeypatch.setattr(generating, "current_versions", lambda name: versions)
    with pytest.raises(
        ConfigError,
        match=r"a worker has \{'numpy': '0.1'\}.*bits differ",
        check=has_code("worker-differs"),
    ):
        generate(tmp_path / "D", asked)


@pytest.mark.parametrize(
    ("text", "picked"),
    [
        ("3::8", [3, 11, 19]),
        ("0:3", [0, 1, 2]),
        ("5", [5]),
        ("18:", [18, 19]),
        ("40", []),
        ("::7", [0, 7, 14]),
    ],
)
def test_shares(text, picked):
    assert list(share(text, 20)) == picked


@pytest.mark.parametrize("text", ["", "a", "-1", "1:2:3:4", "::0", "1,2", "-3:"])
def test_shares_that_are_none(text):
    with pytest.raises(
        ConfigError, match="3::8", check=has_code("option-format", option="shards")
    ):
        share(text, 20)


def test_shares_make_the_whole_and_seal_completes_it(tmp_path, lenssim):
    command = (
        "generate",
        "--model",
        "III",
        "--n",
        12,
        "--seed",
        7,
        "--shard-size",
        4,
        "--workers",
        0,
        "--out",
        "D",
    )
    first = lenssim(*command, "--shards", "0::2")
    assert first.code == 0
    assert "D: 2 of 3 shards, 8 images" in first.out
    assert "lenssim seal D" in first.out
    early = lenssim("seal", "D")
    assert early.code == 4
    assert "1 of 3 shards are missing" in early.err
    assert lenssim(*command, "--shards", "1::2").code == 0
    sealed = lenssim("seal", "D", "--json")
    assert sealed.code == 0
    assert (
        json.loads(sealed.out)["fingerprint"]
        == generate(tmp_path / "E", plan()).fingerprint
    )
    assert lenssim("verify", "D").code == 0


def drive(folder: Path, workers: int) -> subprocess.Popen:
    command = [
        sys.executable,
        str(PIECES),
        str(folder),
        "40",
        "1",
        str(workers),
        "0.2",
        "stoppable",
    ]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("workers", "number", "group"),
    [
        (0, signal.SIGINT, True),
        (0, signal.SIGTERM, False),
        (2, signal.SIGINT, True),
        (2, signal.SIGTERM, False),
    ],
)
def test_a_signal_lets_what_is_in_hand_be_finished(
    tmp_path, pieces, workers, number, group
):
    """Ctrl-C of a terminal reaches workers too; they go on until their shard is there."""
    folder = tmp_path / "D"
    process = drive(folder, workers)
    while not list(folder.glob("shards/0*.json")) and process.poll() is None:
        time.sleep(0.01)
    (os.killpg if group else os.kill)(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert "stopping when the shards in hand are finished" in errors
    done = len(list(folder.glob("shards/0*.json")))
    assert (
        f"stopped: {done} of 40 samples are done and safe; repeat the command to continue"
        in errors
    )
    assert "Traceback" not in errors
    assert 0 < done < 40
    assert pieces.leftovers(folder) == []
    assert read_failures(folder) == []


def test_a_second_signal_stops_at_once(tmp_path, pieces):
    process = subprocess.Popen(
        [
            sys.executable,
            str(PIECES),
            str(tmp_path / "D"),
            "4",
            "1",
            "0",
            "30",
            "stoppable",
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "D/plan.json").exists():
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert "in hand" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "stopped at once; repeat the command to continue" in errors


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own, which tests may fill, lock or take away."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a disk needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], capture_output=True)


@pytest.mark.parametrize("way", ["read-only", "lost"])
def test_a_disk_that_goes_away_stops_the_run_cleanly(tmp_path, pieces, disk, way):
    """A revoked permission as a mount turned read-only, which stops root too; a lost mount as one taken away."""
    folder = disk / "D"

    def revoke(progress: Progress) -> None:
        if progress.done == 10:
            command = (
                ["mount", "-o", "remount,ro", str(disk)]
                if way == "read-only"
                else ["umount", "-l", str(disk)]
            )
            subprocess.run(command, check=True)

    words = {
        "read-only": r"Read-only file system(?s:.*)10 of 40 samples are done and safe",
        "lost": r"No such file or directory(?s:.*)D is gone",
    }
    with pytest.raises(IncompleteError, match=words[way], check=has_code("stopped")):
        build(folder, pieces.plan_of(40, 5), pieces.slow_task(0), local_runner(0), revoke)
    if way == "read-only":
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        assert len(list(folder.glob("shards/*.json"))) == 2
    again = pieces.make(folder, 40, 5)
    assert again.fingerprint == pieces.make(tmp_path / "E", 40, 5).fingerprint
    assert pieces.leftovers(disk) == []


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_whatever_the_system_refuses_leaves_nothing_behind(tmp_path, monkeypatch, call):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "file").write_bytes(b"before")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(
            StorageError,
            match="Permission denied; mend that",
            check=has_code("write-failed"),
        ):
            write(tmp_path / "file", b"after")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"before"


@pytest.mark.thorough
def test_two_generators_on_one_folder_do_no_harm(tmp_path, pieces):
    """At once, for many small shards, so that each meets the other's temporary files."""
    results, errors = [], []

    def run():
        try:
            results.append(pieces.make(tmp_path / "D", 300, 3).fingerprint)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert set(results) == {pieces.make(tmp_path / "E", 300, 3).fingerprint}
    assert verify(tmp_path / "D").problems == []
    assert read_manifest(tmp_path / "D").n == 300
