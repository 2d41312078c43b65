"""A cluster's queue: workers as jobs of SLURM, PBS, SGE, LSF or HTCondor, through dask-jobqueue, kept at a number."""

import re
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from lenssim.data.generation.certificates import certificate_files, security_of
from lenssim.data.generation.failures import Outcome
from lenssim.data.generation.job_keeper import JobKeeper
from lenssim.data.generation.runners import ONE_THREAD, SCHEDULING, Job, Runner, run_on_dask
from lenssim.data.generation.watch import Note, Watch
from lenssim.errors import ConfigError, IncompleteError, from_validation
from lenssim.formats.yaml import read_yaml
from lenssim.record import Record

__all__ = ["Queue", "job_script", "queue_runner", "read_queue"]

# class in dask_jobqueue, and the arguments that carry queue, account and walltime there
_SYSTEMS = {
    "slurm": ("SLURMCluster", "queue", "account", "walltime"),
    "pbs": ("PBSCluster", "queue", "account", "walltime"),
    "sge": ("SGECluster", "queue", "project", "walltime"),
    "lsf": ("LSFCluster", "queue", "project", "walltime"),
    "htcondor": ("HTCondorCluster", None, None, None),
}
_LONGEST_MARGIN = (
    300  # s before a job's end at which its workers leave; a twentieth of short jobs
)
_LEAST_MEMORY = 1.5e9  # bytes a worker; torch and lenstronomy alone take half of it
_OWN_TMPDIR = (  # of a job, removed at its end: not every queue does that
    "LENSSIM_TMP=$(mktemp -d)",
    "trap 'rm -rf $LENSSIM_TMP' EXIT",
    "export TMPDIR=$LENSSIM_TMP",
)


class Queue(Record):
    """The content of a cluster file: what a job is and how many of them work at a time.

    `walltime` as [days-]hours:minutes:seconds; `memory` and `disk` with a unit, of a whole job; `directives` are lines
    of the job's head as the queue knows them, `prologue` shell lines before the worker starts, `options` further
    arguments of the cluster's class in dask-jobqueue.
    """

    system: Literal["slurm", "pbs", "sge", "lsf", "htcondor"]
    jobs: int = Field(ge=1, le=10_000)
    workers: int = Field(
        default=1, ge=1, le=256, description="worker processes a job, one core each"
    )
    memory: str = Field(default="4GB", pattern=r"^\d+(\.\d+)? ?[kKMGT]i?B$")
    walltime: str = "01:00:00"
    queue: str | None = None
    account: str | None = None
    interface: str | None = Field(
        default=None, description="network interface of workers and scheduler"
    )
    python: str | None = Field(
        default=None, description="the interpreter on the nodes; default: this one"
    )
    disk: str | None = Field(default=None, description="HTCondor only")
    local_directory: str | None = Field(
        default=None, description="scratch of the workers; default: the system's"
    )
    log_directory: str | None = None
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("walltime")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        if not re.fullmatch(r"(\d+-)?\d+:[0-5]?\d:[0-5]?\d", text):
            raise ValueError(
                "write it as hours:minutes:seconds, such as '02:00:00' (in quotes)"
            )
        return text

    @model_validator(mode="after")
    def _has_room(self) -> "Queue":
        number, unit = re.fullmatch(r"([\d.]+) ?([kKMGT])i?B", self.memory).groups()  # type: ignore[union-attr]
        bytes_ = float(number) * 1e3 ** ("KMGT".index(unit.upper()) + 1)
        if bytes_ < _LEAST_MEMORY * self.workers:
            raise ValueError(
                f"memory: a worker needs {_LEAST_MEMORY / 1e9:g} GB, these {self.workers} have {self.memory}"
            )
        return self

    @property
    def seconds(self) -> int:
        """The walltime in seconds."""
        days, _, clock = self.walltime.rpartition("-")
        hours, minutes, seconds = map(int, clock.split(":"))
        return int(days or 0) * 86_400 + hours * 3600 + minutes * 60 + seconds

    @property
    def lifetime(self) -> int:
        """Seconds after which a worker hands its work back, before the queue kills its job."""
        return max(1, self.seconds - min(_LONGEST_MARGIN, self.seconds // 20 + 1))

    def arguments(self) -> dict[str, Any]:
        """Arguments of the class in dask-jobqueue."""
        stagger = max(1, (self.seconds - self.lifetime) // 4)
        return {
            "cores": self.workers,
            "processes": self.workers,
            "memory": self.memory,
            "interface": self.interface,
            "python": self.python,
            "local_directory": self.local_directory,
            "log_directory": self.log_directory,
            "job_name": "lenssim",
            "job_extra_directives": list(self.directives),
            "job_script_prologue": [*_exports(), *_OWN_TMPDIR, *self.prologue],
            "worker_extra_args": [
                "--lifetime",
                f"{self.lifetime}s",
                "--lifetime-stagger",
                f"{stagger}s",
            ],
            "scheduler_options": {"dashboard_address": "127.0.0.1:0"},
            **self._system_arguments(),
            **self.options,
        }

    def _system_arguments(self) -> dict[str, Any]:
        """Arguments that each system calls otherwise: queue, account, time and disk."""
        _, queue, account, walltime = _SYSTEMS[self.system]
        named = {queue: self.queue, account: self.account, walltime: self._clock()}
        if self.system == "htcondor":
            named["disk"] = self.disk
        return {
            name: value
            for name, value in named.items()
            if name is not None and value is not None
        }

    def _clock(self) -> str:
        """The time of a job: not every queue counts days, and LSF counts no seconds."""
        hours, seconds = divmod(self.seconds, 3600)
        clock = f"{hours:02d}:{seconds // 60:02d}"
        if self.system == "lsf":
            return clock
        return f"{clock}:{seconds % 60:02d}"


def _exports() -> Iterator[str]:
    """Yield shell lines for what workers must be set to: they do not read this process's configuration of dask."""
    for name, value in ONE_THREAD.items():
        yield f"export {name}={value}"
    for key, setting in SCHEDULING.items():
        if key.startswith("distributed.worker."):
            yield f"export DASK_{key.upper().replace('.', '__')}={setting}"


def read_queue(path: Path) -> Queue:
    """A cluster file; `ConfigError` names the field that is wrong, or the extra that is missing."""
    document = read_yaml(path, "the cluster file")
    try:
        queue = Queue.model_validate(document)
    except ValidationError as error:
        raise from_validation(error, path) from None
    if find_spec("dask_jobqueue") is None:
        raise ConfigError(
            "--cluster needs dask-jobqueue: pip install 'lenssim[cluster]'",
            code="package-missing",
            package="dask-jobqueue",
        )
    return queue


def _cluster_class(queue: Queue) -> Any:
    import dask_jobqueue

    return getattr(dask_jobqueue, _SYSTEMS[queue.system][0])


def job_script(queue: Queue) -> str:
    """The script that each job would be submitted with; nothing is started."""
    of_the_cluster = ("scheduler_options", "shared_temp_directory", "host", "silence_logs")
    arguments = {
        name: value
        for name, value in queue.arguments().items()
        if name not in of_the_cluster
    }
    secured = {"protocol": "tls://", "security": security_of("<certificate>", "<key>")}
    try:
        job = _cluster_class(queue).job_cls(
            scheduler="tls://<this host>:<port>", name="lenssim", **(secured | arguments)
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"dask-jobqueue refuses these settings of a {queue.system} job: {error}",
            code="queue-settings",
            system=queue.system,
        ) from None
    return str(job.job_script())


def queue_runner(
    queue: Queue, folder: Path, *, dashboard: bool = False, note: Note = lambda text: None
) -> Runner:
    """Return a runner whose workers are a queue's jobs, as the cluster file says.

    Args:
        queue: The content of the cluster file.
        folder: The data set's folder, which every worker sees; this run's certificates lie there
            while it lasts.
        dashboard: Whether the address of dask's dashboard is told.
        note: Hears the scheduler's address, the dashboard's, and when nothing was finished for long.
    """
    return lambda job, shards: _on_queue(job, shards, queue, folder, dashboard, note)


def _on_queue(
    job: Job, shards: Iterable[int], queue: Queue, folder: Path, dashboard: bool, note: Note
) -> Iterator[Outcome]:
    from dask import config
    from distributed import Client

    with config.set(SCHEDULING), certificate_files(folder) as security:
        try:
            cluster = _cluster_class(queue)(**{"security": security, **queue.arguments()})
        except (TypeError, ValueError, RuntimeError, OSError) as error:
            raise ConfigError(
                f"no cluster of kind {queue.system} can be set up with these settings: {error}",
                code="queue-settings",
                system=queue.system,
            ) from None
        with (
            cluster,
            Client(cluster) as client,
            JobKeeper(cluster, client, queue.jobs, queue.system) as keeper,
        ):
            note(
                f"dask's scheduler listens at {cluster.scheduler_address}, for holders of this run's certificates"
            )
            if dashboard:
                note(f"dask's dashboard: {cluster.dashboard_link}")
            try:
                yield from run_on_dask(
                    client,
                    job,
                    shards,
                    lambda: queue.jobs * queue.workers,
                    Watch(client, note),
                )
            except IncompleteError as error:
                raise IncompleteError(
                    keeper.error or str(error), code="workers-lost"
                ) from None
