"""Workers on this machine: as many as fit, whatever the user's dask is set to, and for nobody else."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from error_codes import has_code

from lenssim.data.format.files import is_temporary, sweep
from lenssim.data.generation import runners as cluster
from lenssim.data.generation import watch
from lenssim.data.generation.certificates import certificate_files
from lenssim.data.generation.failures import Outcome
from lenssim.data.generation.runners import (
    default_workers,
    fitting_workers,
    local_runner,
    scheduler_runner,
)
from lenssim.errors import ConfigError, IncompleteError

STRANGER = Path(__file__).with_name("stranger.py")
NOBODY = "65534"


@pytest.mark.parametrize(
    ("memory", "fitting"),
    [(24 * 2**30, 49), (8 * 2**30, 15), (2 * 2**30, 2), (1.5e9, 1), (2**30, 1), (2**20, 1)],
)
def test_so_many_workers_start_as_memory_holds(monkeypatch, memory, fitting):
    monkeypatch.setattr(cluster, "available_memory", lambda: int(memory))
    monkeypatch.setattr(cluster, "available_cores", lambda: 64)
    assert fitting_workers() == fitting
    assert default_workers() == fitting
    words: list[str] = []
    local_runner(64, note=words.append)
    (word,) = words
    assert word.startswith("64 workers need more memory than there is")
    assert word.endswith(f"{fitting} are started")
    local_runner(fitting, note=words.append)
    local_runner(0, note=words.append)
    assert len(words) == 1


def test_the_default_is_one_worker_a_core(monkeypatch):
    monkeypatch.setattr(cluster, "available_memory", lambda: 2**40)
    monkeypatch.setattr(cluster, "available_cores", lambda: 3)
    assert default_workers() == 3


class Clock:
    """A clock that only the test moves."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def client_of(
    processing: dict[str, list[str]],
    statuses: dict[str, str] | None = None,
    status: str = "running",
):
    """What a watch asks of dask's client, with these workers."""
    workers = {
        worker: {"status": (statuses or {}).get(worker, "running")} for worker in processing
    }
    return SimpleNamespace(
        status=status,
        processing=lambda: processing,
        scheduler_info=lambda: {"workers": workers},
    )


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watch, "time", clock)
    return clock


def test_long_silence_is_told_with_growing_pauses(clock):
    words: list[str] = []
    client = client_of({"a": ["k1"], "b": [], "c": ["k2"]}, {"c": "paused"})
    looker = watch.Watch(client, words.append, gives_up=True)
    clock.now = 10.0
    looker.finished("a", 64)
    for second in range(1000):
        clock.now = 10.0 + second
        looker.look({"k1": 7, "k2": 8})
    assert [word.split(";")[0] for word in words] == [
        f"no shard was finished for {seconds} s" for seconds in (61, 121, 241, 481, 961)
    ]
    assert (
        "2 workers busy, 1 idle: a at work on shard 7 for 61 s; b idle for 71 s; "
        in words[0]
    )
    assert words[0].endswith("c at work on shard 8 for 71 s, paused by dask")
    looker.finished("a", 64)
    clock.now += 61
    looker.look({"k1": 7})
    assert len(words) == 6


@pytest.mark.parametrize("processing", [{}, {"a": ["k"]}])
def test_a_run_whose_workers_are_gone_ends(clock, processing):
    client = client_of(processing, dict.fromkeys(processing, "paused"))
    looker = watch.Watch(client, gives_up=True)
    clock.now = 30.0
    looker.look({"k": 1})
    clock.now = 61.0
    with pytest.raises(
        IncompleteError,
        match=r"no worker is able to work.*--workers 0",
        check=has_code("workers-lost"),
    ):
        looker.look({"k": 1})
    clock.now = 1e6
    words: list[str] = []
    patient = watch.Watch(client, words.append)  # a queue's workers may come tomorrow
    clock.now += 100.0
    patient.look({"k": 1})
    assert len(words) == 1
    with pytest.raises(OSError, match="closed"):
        watch.Watch(client_of({}, status="closed")).look({})


def test_certificates_are_private_and_go_with_the_run(tmp_path):
    with certificate_files(tmp_path) as security:
        files = sorted(tmp_path.iterdir())
        assert {str(path) for path in files} == {
            security.tls_worker_cert,
            security.tls_worker_key,
        }
        assert security.require_encryption
        assert (
            security.get_tls_config_for_role("client")["ca_file"]
            == security.tls_worker_cert
        )
        for path in files:
            assert path.stat().st_mode & 0o777 == 0o600
            assert is_temporary(path.name)
        sweep(tmp_path)  # another run on this folder
        assert sorted(tmp_path.iterdir()) == files
    assert list(tmp_path.iterdir()) == []


def test_a_scheduler_without_certificates_is_told(tmp_path, pieces):
    words: list[str] = []
    scheduler_runner("tcp://host:8786", note=words.append)
    assert words == [
        "tcp://host:8786 asks for no certificate: who reaches it can run programs in your name"
    ]
    runner = scheduler_runner("tls://127.0.0.1:9", note=words.append)
    assert len(words) == 1
    with pytest.raises(
        ConfigError,
        match=r"no dask scheduler answers at tls://.*distributed\.comm\.tls",
        check=has_code("no-scheduler"),
    ):
        list(runner(lambda shard: Outcome(shard, 1), [0]))


def strangers_answer(address: str) -> dict[str, str]:
    """What dask's scheduler tells a process without certificates, by protocol."""
    user = [NOBODY] if os.geteuid() == 0 else []
    command = [sys.executable, str(STRANGER), address.rpartition("/")[2], *user]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.dask
@pytest.mark.parametrize("secured", [True, False])
def test_no_stranger_runs_programs_through_the_scheduler(monkeypatch, secured):
    """The user's own dask is set to what would stop every worker; without certificates a stranger is answered."""
    import dask
    from distributed import LocalCluster

    if not secured:
        monkeypatch.setattr(cluster, "certificates", lambda: None)
    addresses: list[str] = []

    class Noted(LocalCluster):
        def __init__(self, **options):
            assert options["memory_limit"] == 0
            super().__init__(**options)
            addresses.append(self.scheduler_address)

    monkeypatch.setattr("distributed.LocalCluster", Noted)
    hostile = {
        "distributed.worker.memory.pause": 1e-6,
        "distributed.worker.memory.terminate": 1e-6,
        "distributed.worker.preload": ["no_such_module"],
        "distributed.nanny.preload": ["no_such_module"],
        "distributed.comm.default-scheme": "ucx",
    }
    with dask.config.set(hostile):
        outcomes = local_runner(1)(lambda shard: Outcome(shard, 1), [3, 4])
        first = next(outcomes)
        answers = strangers_answer(addresses[0])
        assert {first.shard, *(outcome.shard for outcome in outcomes)} == {3, 4}
    assert answers["tls"].startswith("refused")
    if secured:
        assert addresses[0].startswith("tls://127.0.0.1:")
        assert answers["tcp"].startswith("refused")
    else:
        assert f"'result': {os.geteuid()}" in answers["tcp"]
