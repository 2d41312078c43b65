"""Where shards are made: in this process, or by dask workers. Tasks carry numbers and names, never images."""

import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from multiprocessing import forkserver
from typing import Any

from lenssim.data.failures import Outcome
from lenssim.errors import ConfigError, IncompleteError

__all__ = ["ONE_THREAD", "SCHEDULING", "Job", "Runner", "local_runner", "run_on_dask", "scheduler_runner"]

Job = Callable[[int], Outcome]  # shard number -> what became of it
Runner = Callable[[Job, Iterable[int]], Iterator[Outcome]]
Note = Callable[[str], None]

_IN_FLIGHT = 2  # tasks a worker: one at work, one waiting
ONE_THREAD = dict.fromkeys(  # a worker is one core; more threads only fight
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
SCHEDULING = {
    "distributed.scheduler.allowed-failures": 20,  # a queue may take many workers from one shard
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
}


def local_runner(
    workers: int, preload: Sequence[str] = (), *, dashboard: bool = False, note: Note = lambda text: None
) -> Runner:
    """A runner on this machine: `workers` dask processes that start with `preload` imported, or this process for 0.

    With `dashboard`, dask's own is opened on loopback and its address told to `note`.
    """
    if workers < 1:
        return _in_process
    return lambda job, shards: _on_workers(job, shards, workers, preload, note if dashboard else None)


def _in_process(job: Job, shards: Iterable[int]) -> Iterator[Outcome]:
    for shard in shards:
        yield job(shard)


def _on_workers(
    job: Job, shards: Iterable[int], workers: int, preload: Sequence[str], note: Note | None
) -> Iterator[Outcome]:
    _start_fork_server(["distributed", *preload])  # it imports while this process does
    from dask import config
    from distributed import Client, LocalCluster

    settings = {
        "distributed.worker.multiprocessing-method": "forkserver",
        "distributed.nanny.pre-spawn-environ": ONE_THREAD,
        **SCHEDULING,
    }
    with (
        config.set(settings),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs="CRITICAL",
        ) as cluster,
        Client(cluster) as client,
    ):
        if note is not None:
            note(f"dask's dashboard: {cluster.dashboard_link}")
        client.register_plugin(_deaf_plugin())
        yield from run_on_dask(client, job, shards, lambda: workers)


def _start_fork_server(modules: list[str]) -> None:
    """Import slow modules once, in the process that workers are forked from."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        forkserver.set_forkserver_preload(modules)
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _deaf_plugin() -> Any:
    from distributed import WorkerPlugin

    class Deaf(WorkerPlugin):
        """Ctrl-C reaches every process of a terminal; only the driver is to act on it."""

        name = "deaf"

        def setup(self, worker: Any) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return Deaf()


def scheduler_runner(address: str, *, dashboard: bool = False, note: Note = lambda text: None) -> Runner:
    """A runner on the workers of a dask scheduler that runs already, at an `address` such as tcp://host:8786."""
    if "://" not in address:
        raise ConfigError(f"--scheduler takes an address such as tcp://host:8786, got {address!r}")
    return lambda job, shards: _on_scheduler(job, shards, address, note if dashboard else None)


def _on_scheduler(job: Job, shards: Iterable[int], address: str, note: Note | None) -> Iterator[Outcome]:
    from dask import config
    from distributed import Client

    with config.set({"distributed.comm.timeouts.connect": "10s"}):
        try:
            client = Client(address, timeout="10s")
        except (OSError, ValueError, ImportError) as error:
            raise ConfigError(f"no dask scheduler answers at {address}: {error}") from None
        with client:
            if note is not None:
                note(f"dask's dashboard: {client.dashboard_link}")
            yield from run_on_dask(client, job, shards, lambda: sum(client.nthreads().values()))


def run_on_dask(client: Any, job: Job, shards: Iterable[int], workers: Callable[[], int]) -> Iterator[Outcome]:
    """Outcomes in the order in which they come, with at most two tasks in flight for each of `workers()`.

    Workers that die are replaced by whoever started them, and dask gives their shards to others. A shard that was there
    each time may only have waited beside the one that kills, so such shards are tried again at the end, one by one.
    `IncompleteError` if the scheduler itself is lost.
    """
    from distributed import CancelledError

    suspects = []
    try:
        for outcome, killed in _outcomes(client, job, shards, lambda: _IN_FLIGHT * max(1, workers())):
            if killed:
                suspects.append(outcome.shard)
            else:
                yield outcome
        for outcome, _ in _outcomes(client, job, suspects, lambda: 1):
            yield outcome
    except (CancelledError, OSError, StopIteration) as error:  # what dask raises when its scheduler is gone
        raise IncompleteError(
            f"the connection to dask's scheduler was lost ({type(error).__name__}); finished shards are safe, repeat "
            "the command to continue"
        ) from None


def _outcomes(
    client: Any, job: Job, shards: Iterable[int], at_once: Callable[[], int]
) -> Iterator[tuple[Outcome, bool]]:
    """Outcomes, and whether the shard was given up because workers died on it again and again."""
    from distributed import KilledWorker, as_completed

    waiting, running, shard_of = iter(shards), as_completed(), {}
    made: Counter[str] = Counter()  # samples, by worker
    began = time.monotonic()

    def fill() -> None:
        while len(shard_of) < at_once():
            shard = next(waiting, None)
            if shard is None:
                return
            future = client.submit(_labelled, job, shard, key=f"shard-{shard}-{uuid.uuid4().hex}", pure=False)
            shard_of[future.key] = shard
            running.add(future)

    fill()
    while shard_of:
        future = next(running)
        shard = shard_of.pop(future.key)
        killed = False
        try:
            outcome = future.result()
        except KilledWorker as error:
            killed = True
            outcome = Outcome(shard, 0, failure=f"shard {shard}: workers died on it again and again: {error}")
        made[outcome.worker] += outcome.rows
        yield replace(outcome, states=_states(client, shard_of, made, time.monotonic() - began)), killed
        fill()


def _labelled(job: Job, shard: int) -> Outcome:
    from distributed import get_worker

    return replace(job(shard), worker=str(get_worker().address))


def _states(client: Any, shard_of: dict[str, int], made: Counter[str], seconds: float) -> dict[str, str]:
    """What each worker has in hand, and the samples that it has made since this run began, by address."""
    held = {worker: [shard_of[key] for key in keys if key in shard_of] for worker, keys in client.processing().items()}
    return {
        worker: f"{f'shard {shards[0]}' if shards else 'idle'}, {made[worker]:,} images, "
        f"{made[worker] / max(seconds, 1e-9):,.0f} img/s"
        for worker, shards in sorted(held.items())
    }
