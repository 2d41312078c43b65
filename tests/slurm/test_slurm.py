"""A real SLURM of one node: jobs that are cancelled are replaced, arrays make shares, and nothing is lost."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lenssim.data.format.manifest import read_manifest
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.inspection.verification import verify
from lenssim.simulate.preset import load_preset

pytestmark = [pytest.mark.slurm, pytest.mark.dask]

HERE = Path(__file__).parent
PIPELINES = Path(__file__).resolve().parents[2] / "pipelines" / "slurm"
COMMAND = [sys.executable, "-m", "lenssim"]
N, SHARD = 2000, 50
ASKED = ["--model", "III", "--n", str(N), "--seed", "3", "--shard-size", str(SHARD)]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """The cluster's environment, as `sbatch` and the like want it."""
    if not shutil.which("slurmctld") or not shutil.which("munge"):
        pytest.skip("slurm-wlm and munge are not installed")
    if os.geteuid() != 0:
        pytest.skip("the cluster's daemons run as root here")
    home = tmp_path_factory.mktemp("slurm")
    started = subprocess.run(
        [HERE / "cluster.sh", "start", home, "2"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert started.returncode == 0, started.stderr
    name, _, value = started.stdout.strip().partition("=")
    yield {**os.environ, name: value}
    subprocess.run([HERE / "cluster.sh", "stop", home], check=True, timeout=60)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> str:
    plan = make_plan(load_preset("III"), N, seed=3, shard_size=SHARD)
    return generate(tmp_path_factory.mktemp("undisturbed") / "D", plan).fingerprint


@pytest.fixture
def cluster_file(tmp_path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(
        f"system: slurm\njobs: 2\nworkers: 1\nmemory: 3GB\nwalltime: '00:20:00'\ninterface: lo\n"
        f"log_directory: {tmp_path / 'logs'}\n"
    )
    return path


def shards_done(folder: Path) -> int:
    return len(list(folder.glob("shards/0*.json")))


def jobs(slurm, state: str = "all") -> list[str]:
    options = ["--states", state] if state != "all" else []
    asked = subprocess.run(
        ["squeue", "-h", "-o", "%i", *options], env=slurm, capture_output=True, text=True
    )
    return asked.stdout.split()


def test_a_cancelled_job_is_replaced_and_nothing_is_lost(
    tmp_path, slurm, undisturbed, cluster_file
):
    folder = tmp_path / "D"
    process = subprocess.Popen(
        [
            *COMMAND,
            "generate",
            *ASKED,
            "--out",
            str(folder),
            "--cluster",
            str(cluster_file),
            "--json",
        ],
        env=slurm,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while shards_done(folder) < 5 and process.poll() is None:
        time.sleep(0.05)
    first = jobs(slurm, "running")
    assert len(first) == 2
    done = shards_done(folder)
    assert done < N // SHARD
    subprocess.run(["scancel", first[0]], env=slurm, check=True)
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert json.loads(out)["fingerprint"] == undisturbed
    assert verify(folder).problems == []
    assert list(folder.rglob(".tmp*")) == []
    wait = time.monotonic() + 30
    while jobs(slurm) and time.monotonic() < wait:
        time.sleep(0.2)
    assert jobs(slurm) == []  # the driver cancels what it no longer needs


def test_jobs_are_topped_up(tmp_path, slurm, cluster_file, pieces_task):
    """Both jobs are cancelled, one after the other: without replacement the run would never end."""
    from lenssim.data.format.manifest import Plan
    from lenssim.data.generation.batch_queue import queue_runner, read_queue
    from lenssim.data.generation.building import build

    plan = Plan(n=60, shard_size=1, classes=("a",), config={"kind": "test"})
    cancelled: list[str] = []

    def cancel(progress) -> None:
        if progress.done in (3, 6) and (running := jobs(slurm, "running")):
            subprocess.run(["scancel", running[0]], env=slurm, check=True)
            cancelled.append(running[0])

    before = dict(os.environ)
    os.environ.update(slurm)
    try:
        build(
            tmp_path / "D",
            plan,
            pieces_task,
            queue_runner(read_queue(cluster_file), tmp_path / "D"),
            cancel,
        )
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert len(set(cancelled)) == 2
    assert read_manifest(tmp_path / "D").n == 60


@pytest.fixture
def pieces_task():
    def task(target, document, shard):
        import time as clock
        from pathlib import Path as ThePath

        import numpy as np

        from lenssim.data.format.manifest import Plan
        from lenssim.data.format.shard import Samples
        from lenssim.data.generation.building import provenance
        from lenssim.data.generation.finishing import finish_shard

        plan = Plan.model_validate(document)
        clock.sleep(0.3)
        samples = Samples(
            images=np.full((1, 1, 8, 8), shard, np.float32),
            labels=np.zeros(1, np.int64),
            index=np.array([shard]),
            params={},
            perturbers={},
            units={},
            attributes=provenance(plan),
            texts={},
        )
        return finish_shard(ThePath(target), plan, shard, samples)

    return task


def test_a_job_array_makes_shares_and_seal_completes_them(tmp_path, slurm, undisturbed):
    folder = tmp_path / "D"
    environment = {
        **slurm,
        "LENSSIM": " ".join(COMMAND),
        "OUT": str(folder),
        "N": str(N),
        "OPTIONS": f"--seed 3 --shard-size {SHARD}",
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")])
        ),
    }
    submitted = subprocess.run(
        [
            "sbatch",
            "--array=0-1",
            "--cpus-per-task=1",
            "--time=00:10:00",
            str(PIPELINES / "array.sh"),
        ],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert submitted.returncode == 0, submitted.stderr
    end = time.monotonic() + 300
    while not (folder / "manifest.json").exists() and time.monotonic() < end:
        assert jobs(slurm), "\n".join(path.read_text() for path in tmp_path.glob("*.log"))
        time.sleep(0.5)
    assert read_manifest(folder).fingerprint == undisturbed
    assert verify(folder).problems == []


def test_a_queue_that_takes_no_job_says_why(tmp_path, slurm, cluster_file):
    cluster_file.write_text(cluster_file.read_text().replace("3GB", "900GB"))
    done = subprocess.run(
        [
            *COMMAND,
            "generate",
            *ASKED,
            "--out",
            str(tmp_path / "D"),
            "--cluster",
            str(cluster_file),
        ],
        env=slurm,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert "the queue takes no job: sbatch: error" in done.stderr
    assert "Traceback" not in done.stderr
