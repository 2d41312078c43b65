"""Cluster files and the job scripts made of them; a real queue is met in tests/slurm."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from error_codes import has_code

from lenssim.data.generation.batch_queue import Queue, job_script, read_queue
from lenssim.errors import ConfigError

pytest.importorskip("dask_jobqueue")
PIPELINES = Path(__file__).resolve().parents[2] / "pipelines" / "slurm"
HEADS = {
    "slurm": ("#SBATCH -p long", "#SBATCH -A lensing", "#SBATCH -t 02:00:00"),
    "pbs": ("#PBS -q long", "#PBS -A lensing", "#PBS -l walltime=02:00:00"),
    "sge": ("#$ -q long", "#$ -P lensing", "#$ -l h_rt=02:00:00"),
    "lsf": ("#BSUB -q long", '#BSUB -P "lensing"', "#BSUB -W 02:00"),
    "htcondor": ("MY.DaskWorkerCores = 4", "MY.DaskWorkerDisk = 1000000000"),
}


@pytest.fixture(autouse=True)
def _lsf_here(monkeypatch):
    """The class for LSF asks the queue for its unit of memory, which there is no queue here to tell."""
    monkeypatch.setattr("dask_jobqueue.lsf.lsf_detect_units", lambda: "kb")


@pytest.mark.parametrize("system", HEADS)
def test_job_scripts_of_every_system(system):
    queue = Queue(
        system=system,
        jobs=3,
        workers=4,
        memory="16GB",
        walltime="02:00:00",
        queue="long",
        account="lensing",
        prologue=("module load python",),
        disk="1GB" if system == "htcondor" else None,
    )
    script = job_script(queue)
    for line in HEADS[system]:
        assert line in script, script
    assert "--nworkers 4" in script
    assert "--lifetime 6900s" in script  # five minutes before the queue's end
    assert "export OMP_NUM_THREADS=1" in script
    assert "module load python" in script
    assert (
        "export DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE=False" in script
    )  # a paused worker would stay so for ever
    assert "export DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE=0.95" in script
    assert "export TMPDIR=$LENSSIM_TMP" in script
    assert script.index("trap ") < script.index("module load python")
    for option in ("--tls-ca-file", "--tls-cert", "--tls-key", "tls://<this host>:<port>"):
        assert option in script


@pytest.mark.parametrize("system", HEADS)
def test_a_dry_run_prints_job_script_and_plan_and_makes_nothing(tmp_path, lenssim, system):
    text = f"system: {system}\njobs: 3\nworkers: 4\nmemory: 16GB\nwalltime: '02:00:00'\nqueue: long\naccount: lensing\n"
    (tmp_path / "cluster.yaml").write_text(
        text + ("disk: 1GB\n" if system == "htcondor" else "")
    )
    command = (
        "generate",
        "--model",
        "III",
        "--n",
        1000,
        "--out",
        "D",
        "--cluster",
        "cluster.yaml",
        "--dry-run",
    )
    done = lenssim(*command)
    assert done.code == 0, done.err
    assert "1,000 images" in done.out
    assert "jobs: 3 of 4 workers each" in done.out
    for line in HEADS[system]:
        assert line in done.out
    assert [path.name for path in tmp_path.iterdir()] == ["cluster.yaml"]


@pytest.mark.parametrize(
    ("walltime", "seconds", "lifetime"),
    [
        ("02:00:00", 7200, 6900),
        ("00:10:00", 600, 569),
        ("1-00:00:00", 86400, 86100),
        ("0:10:0", 600, 569),
    ],
)
def test_workers_leave_before_the_queue_kills_them(walltime, seconds, lifetime):
    queue = Queue(system="slurm", jobs=1, walltime=walltime)
    assert (queue.seconds, queue.lifetime) == (seconds, lifetime)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("system: slum\njobs: 2", "system"),
        ("system: slurm\njobs: 0", "jobs"),
        ("system: slurm\njobs: 2\nwall_time: '1:00:00'", "wall_time"),
        ("system: slurm\njobs: 2\nwalltime: 3600", "walltime"),
        (
            "system: slurm\njobs: 2\njobs: 3",
            "line 3: the key 'jobs' comes twice, first in line 2",
        ),
        ("system: slurm\njobs: 2\nwalltime: '10:00'", "write it as hours:minutes:seconds"),
        ("system: slurm\njobs: 2\nworkers: 8\nmemory: 4GB", "a worker needs 1.5 GB"),
        ("system: [", "is not YAML: line 1"),
        ("!!python/object/apply:os.system ['true']", "remove the tag"),
    ],
)
def test_cluster_files_that_cannot_be(tmp_path, text, message):
    (tmp_path / "cluster.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_queue(tmp_path / "cluster.yaml")


def test_the_example_is_one(tmp_path, lenssim):
    assert read_queue(PIPELINES / "cluster.yaml").jobs == 8
    assert "#SBATCH --gres=gpu:1" in job_script(read_queue(PIPELINES / "gpus.yaml"))
    with pytest.raises(ConfigError, check=has_code("unreadable-text")):
        read_queue(tmp_path / "absent.yaml")
    command = ("generate", "--model", "III", "--n", 100, "--out", "D")
    dry = lenssim(*command, "--cluster", PIPELINES / "cluster.yaml", "--dry-run")
    assert dry.code == 0, dry.err
    assert "#SBATCH -p standard" in dry.out
    assert "100 images" in dry.out
    assert not (tmp_path / "D").exists()
    assert (
        lenssim(*command, "--cluster", PIPELINES / "cluster.yaml", "--workers", 2).code == 2
    )
    assert (
        lenssim(*command, "--cluster", PIPELINES / "cluster.yaml", "--shards", "0::2").code
        == 2
    )


QUEUE = {
    "sbatch": "cp $1 job; PATH=$JOB_PATH setsid bash job > job.log 2>&1 & echo Submitted batch job $!",
    "squeue": "ps -o pid= -p $3",
    "scancel": "kill -TERM -- -$1",
}


@pytest.mark.thorough
def test_jobs_of_a_queue_hold_the_certificates_and_leave_nothing(tmp_path):
    """A queue that is a shell: whoever submits, the job's workers make the shards, over TLS."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "tmp").mkdir()
    for name, line in QUEUE.items():
        command = tmp_path / "bin" / name
        command.write_text(f"#!/bin/bash\n{line}\n")
        command.chmod(0o755)
    (tmp_path / "cluster.yaml").write_text(
        "system: slurm\njobs: 1\nworkers: 1\nmemory: 3GB\nwalltime: '00:20:00'\ninterface: lo\n"
    )
    path = os.environ["PATH"]
    environment = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}:{path}",
        "JOB_PATH": path,
        "TMPDIR": str(tmp_path / "tmp"),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "lenssim",
            *["generate", "-m", "III", "-n", "128", "--cluster", "cluster.yaml", "-o", "D"],
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    assert "dask's scheduler listens at tls://127.0.0.1:" in done.stderr
    assert "--tls-key" in (tmp_path / "job").read_text()
    assert list((tmp_path / "D").rglob(".tmp*")) == []
    assert list((tmp_path / "tmp").iterdir()) == []
