"""Where shards are made: in this process, or by dask workers. Tasks carry numbers and names, never images."""

import os
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import forkserver
from typing import Any

from lenssim.errors import IncompleteError

__all__ = ["Runner", "local_runner", "run_on_dask"]

Task = Callable[..., int]  # (folder, plan document, shard number) -> samples made
Runner = Callable[[Task, list[tuple[Any, ...]]], Iterator[int]]

_IN_FLIGHT = 2  # tasks a worker: one at work, one waiting
_ONE_THREAD = dict.fromkeys(  # a worker is one core; more threads only fight
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


def local_runner(workers: int, preload: Sequence[str] = ()) -> Runner:
    """A runner on this machine: `workers` dask processes that start with `preload` imported, or this process for 0."""
    return _in_process if workers < 1 else lambda task, arguments: _on_workers(task, arguments, workers, preload)


def _in_process(task: Task, arguments: list[tuple[Any, ...]]) -> Iterator[int]:
    for one in arguments:
        yield task(*one)


def _on_workers(task: Task, arguments: list[tuple[Any, ...]], workers: int, preload: Sequence[str]) -> Iterator[int]:
    if not arguments:
        return
    _start_fork_server(["distributed", *preload])  # it imports while this process does
    from dask import config
    from distributed import Client, LocalCluster

    settings = {
        "distributed.worker.multiprocessing-method": "forkserver",
        "distributed.nanny.pre-spawn-environ": _ONE_THREAD,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.target": False,
    }
    with (
        config.set(settings),
        LocalCluster(
            n_workers=min(workers, len(arguments)),
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs="CRITICAL",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield from run_on_dask(client, task, arguments, workers)


def _start_fork_server(modules: list[str]) -> None:
    """Import slow modules once, in the process that workers are forked from."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        forkserver.set_forkserver_preload(modules)
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def run_on_dask(client: Any, task: Task, arguments: list[tuple[Any, ...]], workers: int) -> Iterator[int]:
    """Results of `task` in the order in which they come, with at most two tasks in flight a worker."""
    from distributed import KilledWorker, as_completed

    waiting = iter(arguments)
    running = as_completed()
    for _, one in zip(range(_IN_FLIGHT * workers), waiting, strict=False):
        running.add(client.submit(task, *one, pure=False))
    for future in running:
        try:
            yield future.result()
        except KilledWorker:
            raise IncompleteError(
                "workers died again and again on the same shard (out of memory?); "
                "repeat the command with fewer --workers to continue"
            ) from None
        one = next(waiting, None)
        if one is not None:
            running.add(client.submit(task, *one, pure=False))
