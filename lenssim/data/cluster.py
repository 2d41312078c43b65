"""Where shards are made: in this process, or by dask workers. Tasks carry numbers and names, never images."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["Runner", "local_runner", "run_on_dask"]

Task = Callable[..., int]
Runner = Callable[[Task, Iterable[tuple[Any, ...]]], Iterator[int]]

_IN_FLIGHT = 2  # tasks a worker: one at work, one waiting
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)  # a worker is one core; more threads only fight


def local_runner(workers: int) -> Runner:
    """A runner on this machine: `workers` dask processes, or this process itself for 0."""
    return _in_process if workers < 1 else lambda task, arguments: _on_local_cluster(task, arguments, workers)


def _in_process(task: Task, arguments: Iterable[tuple[Any, ...]]) -> Iterator[int]:
    for one in arguments:
        yield task(*one)


def _on_local_cluster(task: Task, arguments: Iterable[tuple[Any, ...]], workers: int) -> Iterator[int]:
    from dask import config
    from distributed import Client, LocalCluster

    settings = {
        "distributed.nanny.environ": _ONE_THREAD,
        "distributed.nanny.pre-spawn-environ": _ONE_THREAD,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.target": False,
        "distributed.admin.large-graph-warning-threshold": "1GB",
    }
    with (
        config.set(settings),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs="CRITICAL",
            local_directory=os.environ.get("DASK_TEMPORARY_DIRECTORY"),
        ) as cluster,
        Client(cluster) as client,
    ):
        yield from run_on_dask(client, task, arguments, workers)


def run_on_dask(client: Any, task: Task, arguments: Iterable[tuple[Any, ...]], workers: int) -> Iterator[int]:
    """Results of `task` in the order in which they come, with at most two tasks in flight a worker."""
    from distributed import as_completed

    waiting = iter(arguments)
    running = as_completed()
    for _, one in zip(range(_IN_FLIGHT * workers), waiting, strict=False):
        running.add(client.submit(task, *one, pure=False))
    for future in running:
        yield future.result()
        one = next(waiting, None)
        if one is not None:
            running.add(client.submit(task, *one, pure=False))
