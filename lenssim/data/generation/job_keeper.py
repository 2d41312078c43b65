"""The jobs of a batch queue, kept at a number: those that the queue kills are replaced."""

import subprocess
import threading
import time
from contextlib import suppress
from typing import Any

from lenssim.errors import ConfigError

__all__ = ["JobKeeper"]

_SECONDS_BETWEEN_LOOKS = 3.0  # s
_GRACE_SECONDS = (
    5.0  # s without a worker after which a job counts as gone: nannies restart theirs
)
_MAX_REFUSALS = 5


class JobKeeper:
    """Keep the number of a cluster's jobs constant, from a thread, while its context lasts.

    dask-jobqueue replaces jobs of one worker only, and adapts their number to the load. Here the
    number is fixed. A job is lost when all workers that it had are gone, or when SLURM does not
    know it any more.

    Args:
        cluster: A cluster of dask-jobqueue.
        client: The client of that cluster.
        jobs: How many jobs there should be.
        system: The queue's system, such as "slurm".
    """

    def __init__(self, cluster: Any, client: Any, jobs: int, system: str) -> None:
        self.cluster = cluster
        self.client = client
        self.jobs = jobs
        self.system = system
        self.error = ""
        self.idle_since: dict[Any, float] = {}  # jobs whose workers are gone
        self.started: set[Any] = set()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> "JobKeeper":
        while len(self.cluster.worker_spec) < self.jobs:
            self.cluster.worker_spec.update(self.cluster.new_worker_spec())
        try:
            self.cluster.sync(self._submit)
        except (RuntimeError, OSError) as error:
            self._drop_refused()
            self.cluster.worker_spec.clear()
            raise ConfigError(
                f"the queue takes no job: {_last_words(error)}", code="queue-refuses"
            ) from None
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def _drop_refused(self) -> None:
        """Forget jobs that the queue did not take; dask would wait for their end."""
        from distributed import Status

        for name, job in list(self.cluster.workers.items()):
            if job.job_id is None:
                job.status = Status.closed
                del self.cluster.workers[name]

    async def _submit(self) -> None:
        await self.cluster  # starts what is specified and absent

    def _keep(self) -> None:
        refusals = 0
        while not self.over.wait(_SECONDS_BETWEEN_LOOKS):
            try:
                self.cluster.sync(self._replace)
                refusals = 0
            except (RuntimeError, OSError) as error:
                self._drop_refused()
                refusals += 1
                if refusals >= _MAX_REFUSALS and not self.client.nthreads():
                    self.error = f"the queue takes no job: {_last_words(error)}"
                    self.client.close()
                    return

    async def _replace(self) -> None:
        for name in self._lost_jobs():
            job = self.cluster.workers.pop(name)
            self.idle_since.pop(name, None)
            self.started.discard(name)
            with suppress(Exception):  # the queue may have forgotten it
                await job.close()
        await self.cluster

    def _lost_jobs(self) -> list[Any]:
        workers = self.cluster.scheduler_info["workers"].values()
        working = {str(worker["name"]) for worker in workers}
        lost = []
        for name, job in self.cluster.workers.items():
            suffixes = self.cluster.worker_spec.get(name, {}).get("group", [""])
            now = time.monotonic()
            if any(f"{name}{suffix}" in working for suffix in suffixes):
                self.started.add(name)
                self.idle_since.pop(name, None)
            elif name in self.started:
                if now - self.idle_since.setdefault(name, now) > _GRACE_SECONDS:
                    lost.append(name)
            elif self.system == "slurm" and _forgotten(job.job_id):
                lost.append(name)
        return lost


def _forgotten(job: str) -> bool:
    """Whether SLURM answers, and knows nothing of a job that waits or runs."""
    answer = subprocess.run(
        ["squeue", "--noheader", "--jobs", job], capture_output=True, text=True, check=False
    )
    unlisted = answer.returncode == 0 and not answer.stdout.strip()
    return unlisted or "Invalid job id" in answer.stderr


def _last_words(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
