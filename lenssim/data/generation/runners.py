"""Where shards are made: in this process, or by dask workers. Tasks carry numbers and names, never images."""

import os
import signal
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from multiprocessing import forkserver
from queue import Empty, SimpleQueue
from typing import Any

from lenssim.data.generation.cards import in_threads, pinning_plugin
from lenssim.data.generation.certificates import certificates
from lenssim.data.generation.failures import Outcome
from lenssim.data.generation.main_module import without_main
from lenssim.data.generation.reference_process import reference_beside
from lenssim.data.generation.watch import Note, Watch
from lenssim.errors import ConfigError, IncompleteError
from lenssim.machine import available_cores, available_memory
from lenssim.scratch import scratch_folder, temporary_files

__all__ = [
    "ONE_THREAD",
    "SCHEDULING",
    "Job",
    "Runner",
    "default_workers",
    "fitting_workers",
    "local_runner",
    "run_on_dask",
    "scheduler_runner",
]

Job = Callable[[int], Outcome]  # shard number -> what became of it
Runner = Callable[[Job, Iterable[int]], Iterator[Outcome]]

_IN_FLIGHT = 2  # tasks a worker: one at work, one waiting or being written
_THREADS = 2  # of a worker: one simulates a shard while the other writes the one before
_LOOK_EVERY = 1.0  # s
# Private memory (USS) by psutil, bytes: of this process and the fork server 0.2e9 + 0.4e9, of a worker 0.25e9
# (preset III) to 0.47e9 (with all truth pictures), of a compiler at work 0.5e9.
_SHARED_MEMORY = 1.0e9
_WORKER_MEMORY = 0.5e9
ONE_THREAD = dict.fromkeys(  # a worker is one core; more threads only fight
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
SCHEDULING = {
    "distributed.scheduler.allowed-failures": 20,  # a queue may take many workers from one shard
    # a worker holds nothing that dask could spill: one that it paused would stay so for ever
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,  # of a queue's job; on this machine there is no limit
}
_UNWATCHED = {  # what only dask's dashboard shows: 3 % of a core in each process
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}


def fitting_workers() -> int:
    """Return the number of workers that fit into the memory this process may use, at least one."""
    return max(1, int((available_memory() - _SHARED_MEMORY) // _WORKER_MEMORY))


def default_workers() -> int:
    """Return one worker a core, as far as memory goes."""
    return min(available_cores(), fitting_workers())


def local_runner(
    workers: int,
    preload: Sequence[str] = (),
    *,
    cards: Sequence[str] = (),
    dashboard: bool = False,
    note: Note = lambda text: None,
) -> Runner:
    """Return a runner on this machine: dask processes that start with `preload` imported, or this process.

    Args:
        workers: Number of processes; as many start as fit into memory. 0: this process.
        preload: Modules that the work needs.
        cards: Graphics cards that render; workers take them in turn.
        dashboard: Whether dask's own is opened, on loopback.
        note: Hears the dashboard's address, of workers that do not fit, and when nothing was
            finished for long.
    """
    if workers < 1:
        return in_threads if cards else partial(_in_process, preload)
    count = min(workers, fitting_workers())
    if count < workers:
        note(
            f"{workers} workers need more memory than there is ({available_memory() / 1e9:.1f} GB, each takes about "
            f"{_WORKER_MEMORY / 1e9:g} GB): {count} are started"
        )
    plugins = [_deaf_plugin]
    if cards:
        plugins.append(partial(pinning_plugin, cards))
    return lambda job, shards: _on_workers(
        job, shards, count, preload, plugins, dashboard, note
    )


def _in_process(
    modules: Sequence[str], job: Job, shards: Iterable[int]
) -> Iterator[Outcome]:
    with reference_beside(modules):
        for shard in shards:
            yield job(shard)


def _on_workers(
    job: Job,
    shards: Iterable[int],
    workers: int,
    preload: Sequence[str],
    plugins: Sequence[Callable[[], Any]],
    dashboard: bool,
    note: Note,
) -> Iterator[Outcome]:
    _start_fork_server(["distributed", *preload])  # it imports while this process does
    from dask import config
    from distributed import Client

    settings = {
        "distributed.worker.multiprocessing-method": "forkserver",
        "distributed.nanny.pre-spawn-environ": ONE_THREAD,
        **SCHEDULING,
    }
    if not dashboard:
        settings |= _UNWATCHED
    with ExitStack() as stack:
        stack.enter_context(
            config.set(config.merge(*config.defaults))
        )  # whatever the user's dask is set to
        stack.enter_context(config.set(settings))
        stack.enter_context(without_main())
        cluster = _local_cluster(workers, dashboard)
        client = stack.enter_context(Client(stack.enter_context(cluster)))
        if dashboard:
            note(f"dask's dashboard: {cluster.dashboard_link}")
        for plugin in plugins:
            client.register_plugin(plugin())
        watch = Watch(client, note, gives_up=True)
        yield from run_on_dask(client, job, shards, lambda: workers, watch)


def _local_cluster(workers: int, dashboard: bool) -> Any:
    """Start workers on this machine; `IncompleteError` where it has no room for them."""
    from distributed import LocalCluster

    scratch = str(scratch_folder())
    try:
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=_THREADS,
            processes=True,
            memory_limit=0,
            security=certificates(),
            local_directory=scratch,
            env={"TMPDIR": scratch},
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": dashboard},
            silence_logs="CRITICAL",
        )
    except (OSError, RuntimeError) as error:
        raise IncompleteError(
            f"{workers} workers could not be started: {error}; fewer --workers need less, "
            "--workers 0 works in one process",
            code="workers-lost",
            workers=workers,
        ) from None


def _start_fork_server(modules: list[str]) -> None:
    """Import slow modules once, in the process that workers are forked from."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        forkserver.set_forkserver_preload(modules)
        with temporary_files():  # its socket is one
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


def scheduler_runner(
    address: str, *, dashboard: bool = False, note: Note = lambda text: None
) -> Runner:
    """Return a runner on the workers of a dask scheduler that runs already, at an `address` such as tls://host:8786.

    The certificates for tls:// are those of dask's own configuration (`distributed.comm.tls`).
    """
    if "://" not in address:
        raise ConfigError(
            f"--scheduler takes an address such as tcp://host:8786, got {address!r}",
            code="option-format",
            option="scheduler",
            value=address,
        )
    if not address.startswith("tls://"):
        note(
            f"{address} asks for no certificate: who reaches it can run programs in your name"
        )
    return lambda job, shards: _on_scheduler(job, shards, address, dashboard, note)


def _on_scheduler(
    job: Job, shards: Iterable[int], address: str, dashboard: bool, note: Note
) -> Iterator[Outcome]:
    from dask import config
    from distributed import Client

    with config.set({"distributed.comm.timeouts.connect": "10s"}):
        try:
            client = Client(address, timeout="10s")
        except (OSError, ValueError, ImportError, TypeError, RuntimeError) as error:
            hint = (
                "; dask's setting distributed.comm.tls names the certificates"
                if "tls://" in address
                else ""
            )
            raise ConfigError(
                f"no dask scheduler answers at {address}: {error}{hint}",
                code="no-scheduler",
                address=address,
            ) from None
        with client:
            if dashboard:
                note(f"dask's dashboard: {client.dashboard_link}")
            watch = Watch(client, note)
            yield from run_on_dask(
                client, job, shards, lambda: sum(client.nthreads().values()), watch
            )


def run_on_dask(
    client: Any, job: Job, shards: Iterable[int], workers: Callable[[], int], watch: Watch
) -> Iterator[Outcome]:
    """Yield outcomes in the order in which they come, with at most two tasks in flight for each of `workers()`.

    Workers that die are replaced by whoever started them, and dask gives their shards to others. A shard that was there
    each time may only have waited beside the one that kills, so such shards are tried again at the end, one by one.

    Raises:
        IncompleteError: The scheduler itself is lost, or `watch` gives up.
    """
    from distributed import CancelledError

    suspects = []
    try:
        for outcome, killed in _outcomes(
            client, job, shards, lambda: _IN_FLIGHT * max(1, workers()), watch
        ):
            if killed:
                suspects.append(outcome.shard)
            else:
                yield outcome
        for outcome, _ in _outcomes(client, job, suspects, lambda: 1, watch):
            yield outcome
    except (
        CancelledError,
        OSError,
    ) as error:  # what dask raises when its scheduler is gone
        raise IncompleteError(
            f"the connection to dask's scheduler was lost ({type(error).__name__})",
            code="workers-lost",
        ) from None


def _outcomes(
    client: Any, job: Job, shards: Iterable[int], at_once: Callable[[], int], watch: Watch
) -> Iterator[tuple[Outcome, bool]]:
    """Yield outcomes, and whether the shard was given up because workers died on it again and again."""
    from distributed import KilledWorker

    waiting = iter(shards)
    finished: SimpleQueue[Any] = SimpleQueue()
    shard_of: dict[str, int] = {}
    futures: dict[str, Any] = {}  # dask forgets a task whose future nobody holds

    def fill() -> None:
        while len(shard_of) < at_once():
            shard = next(waiting, None)
            if shard is None:
                return
            future = client.submit(
                _labelled, job, shard, key=f"shard-{shard}-{uuid.uuid4().hex}", pure=False
            )
            shard_of[future.key] = shard
            futures[future.key] = future
            future.add_done_callback(finished.put)

    fill()
    while shard_of:
        try:
            future = finished.get(timeout=_LOOK_EVERY)
        except Empty:
            watch.look(shard_of)
            continue
        shard = shard_of.pop(future.key)
        del futures[future.key]
        killed = False
        try:
            outcome = future.result()
        except KilledWorker as error:
            killed = True
            outcome = Outcome(
                shard,
                0,
                failure=f"shard {shard}: workers died on it again and again: {error}",
            )
        watch.finished(outcome.worker, outcome.rows)
        yield replace(outcome, states=watch.states(shard_of)), killed
        fill()


def _labelled(job: Job, shard: int) -> Outcome:
    from distributed import get_worker

    return replace(job(shard), worker=str(get_worker().address))
