"""Nobody can lose a shard: drivers, workers and schedulers are killed, and the data set is the undisturbed one."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lenssim.data.format.files import sweep
from lenssim.data.format.manifest import read_manifest
from lenssim.data.generation.building import build
from lenssim.data.generation.runners import local_runner, scheduler_runner
from lenssim.data.inspection.verification import verify
from lenssim.errors import IncompleteError

pytestmark = pytest.mark.thorough

PIECES = Path(__file__).with_name("pieces.py")
N, SHARD = 200, 5


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, pieces) -> str:
    return pieces.make(tmp_path_factory.mktemp("undisturbed") / "D", N, SHARD).fingerprint


def drive(folder: Path, workers: int, seconds: float) -> subprocess.Popen:
    """A driver in a group of its own, as a terminal would start it."""
    return subprocess.Popen(
        [
            sys.executable,
            PIECES,
            str(folder),
            str(N),
            str(SHARD),
            str(workers),
            str(seconds),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def shards_done(folder: Path) -> dict[str, int]:
    return {
        path.name: path.stat().st_mtime_ns
        for path in folder.glob("shards/*.json")
        if path.name[0] != "."
    }


def wait_for(condition, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("workers", "kills"), [(0, 4), (2, 1), pytest.param(2, 20, marks=pytest.mark.slow)]
)
def test_killed_drivers(tmp_path, pieces, undisturbed, workers, kills):
    """SIGKILL at random moments; nothing that was finished is made again, and nothing temporary stays."""
    chance, folder = random.Random(kills), tmp_path / "D"
    for _ in range(kills):
        before = shards_done(folder)
        process = drive(folder, workers, 0.05)
        wait_for(
            lambda process=process, before=before: (
                process.poll() is not None or len(shards_done(folder)) > len(before)
            )
        )
        time.sleep(chance.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL) if chance.random() < 0.5 else process.kill()
        process.communicate()
        after = shards_done(folder)
        assert {name: after[name] for name in before} == before
        (folder / "manifest.json").unlink(missing_ok=True)
        for record in sorted(folder.glob("shards/*.json"))[
            N // SHARD // 2 :
        ]:  # leave enough to those who follow
            record.unlink()

    def nobody_writes() -> bool:  # an orphaned worker may live for a moment
        sweep(folder / "shards")
        return not pieces.leftovers(folder)

    wait_for(nobody_writes)
    before = shards_done(folder)
    assert pieces.make(folder, N, SHARD).fingerprint == undisturbed
    after = shards_done(folder)
    assert {name: after[name] for name in before} == before
    assert pieces.leftovers(folder) == []
    assert verify(folder).problems == []


def children(process: int) -> list[int]:
    """Processes below a process, from /proc."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(status.parent.name))
    below = parents.get(process, [])
    return below + [deeper for child in below for deeper in children(child)]


def is_worker(process: int) -> bool:
    """Whether a process was forked by a fork server and listens as a dask worker does."""
    try:
        return b"forkserver" in Path(
            f"/proc/{process}/cmdline"
        ).read_bytes() and not children(process)
    except OSError:
        return False


@pytest.mark.dask
@pytest.mark.parametrize("seconds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_workers_that_die_are_replaced(tmp_path, pieces, undisturbed, seconds):
    """A worker is killed every second while the driver goes on; the run ends by itself."""
    folder = tmp_path / "D"
    process = drive(folder, 2, seconds / 10)
    killed = 0
    wait_for(lambda: shards_done(folder) or process.poll() is not None)
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        workers = [child for child in children(process.pid) if is_worker(child)]
        if workers:
            os.kill(random.Random(killed).choice(workers), signal.SIGKILL)
            killed += 1
        time.sleep(1)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert killed >= min(seconds, 10) // 2
    assert read_manifest(folder).fingerprint == undisturbed
    assert pieces.leftovers(folder) == []
    assert verify(folder).problems == []


@pytest.mark.dask
def test_a_shard_that_kills_its_workers_is_recorded_and_the_others_are_made(
    tmp_path, pieces, monkeypatch
):
    from lenssim.data.generation import runners as cluster
    from lenssim.data.generation.failures import read_failures

    monkeypatch.setitem(cluster.SCHEDULING, "distributed.scheduler.allowed-failures", 1)
    innocent = pieces.slow_task(0)

    def task(target, document, shard):
        if shard == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return innocent(target, document, shard)

    with pytest.raises(
        IncompleteError,
        match=r"1 of 4 shards failed.*(?s:.*)15 of 20 samples are done and safe",
    ):
        build(tmp_path / "D", pieces.plan_of(20, 5), task, local_runner(1))
    assert [failure.shard for failure in read_failures(tmp_path / "D")] == [2]
    assert len(pieces.make(tmp_path / "D", 20, 5).shards) == 4
    assert read_failures(tmp_path / "D") == []


@pytest.fixture
def scheduler(tmp_path):
    """Starts a dask scheduler and a worker of it, as on a cluster; (process of the scheduler, address)."""
    running = []

    def start() -> tuple[subprocess.Popen, str]:
        file = tmp_path / f"scheduler-{len(running)}.json"
        quiet = {
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "cwd": tmp_path,
        }
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
        options = [
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            str(file),
        ]
        running.append(subprocess.Popen([*command, *options], **quiet))
        wait_for(lambda: file.exists() and file.stat().st_size)
        worker = [
            sys.executable,
            "-m",
            "distributed.cli.dask_worker",
            "--nthreads",
            "1",
            "--no-dashboard",
        ]
        options = ["--scheduler-file", str(file), "--death-timeout", "5", "--no-nanny"]
        running.append(subprocess.Popen([*worker, *options], **quiet))
        return running[-2], json.loads(file.read_text())["address"]

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.mark.dask
@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_killed_schedulers(tmp_path, pieces, undisturbed, scheduler, kills):
    folder = tmp_path / "D"
    for _ in range(kills):
        process, address = scheduler()
        enough = len(shards_done(folder)) + 3

        def kill(process=process, enough=enough):
            wait_for(lambda: len(shards_done(folder)) >= enough)
            process.kill()

        thread = threading.Thread(target=kill)
        thread.start()
        with pytest.raises(
            IncompleteError,
            match=r"connection to dask's scheduler was lost(?s:.*)repeat the command",
        ):
            build(
                folder,
                pieces.plan_of(N, SHARD),
                pieces.slow_task(0.05),
                scheduler_runner(address),
            )
        thread.join()
    _, address = scheduler()
    assert pieces.make(folder, N, SHARD, scheduler=address).fingerprint == undisturbed
    assert pieces.leftovers(folder) == []
    assert verify(folder).problems == []


@pytest.mark.dask
@pytest.mark.parametrize("address", ["localhost:8786", "tcp://127.0.0.1:9"])
def test_no_scheduler_there(tmp_path, pieces, address):
    from lenssim.errors import ConfigError

    with pytest.raises(ConfigError, match="scheduler"):
        pieces.make(tmp_path / "D", 5, 5, scheduler=address)
