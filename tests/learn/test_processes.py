"""Training on many processes, as srun starts them: the example of pipelines/slurm, with gloo on the CPU."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.learn.nets.model import read_checkpoint

TRAIN = Path(__file__).resolve().parents[2] / "pipelines" / "slurm" / "train.py"
BATCH, SEED = 24, 0  # 128 training samples: five batches, eight samples left out
RECORD = """
import json, runpy, sys
from lenssim.learn.training.callbacks import SamplerState

used = []
advance = SamplerState.on_train_batch_end

def on_train_batch_end(self, trainer, module, outputs, batch, number):
    used.append(batch["index"].tolist())
    advance(self)

SamplerState.on_train_batch_end = on_train_batch_end
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print(json.dumps(used))
"""


def srun(world: int, *options: object) -> list[list[list[int]]]:
    """What `srun --ntasks=WORLD train.py` does: the sample numbers of every batch of every process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(world):
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "SLURM_JOB_ID": "1",
            "SLURM_JOB_NAME": "lenssim",
            "SLURM_NNODES": "1",
            "SLURM_NODELIST": "127.0.0.1",
            "SLURM_NTASKS": str(world),
            "SLURM_NTASKS_PER_NODE": str(world),
            "SLURM_PROCID": str(rank),
            "SLURM_LOCALID": str(rank),
            "SLURM_NODEID": "0",
        }
        command = [sys.executable, "-c", RECORD, str(TRAIN), *map(str, options)]
        started.append(
            subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    ends = [process.communicate(timeout=240) for process in started]
    for process, (_, errors) in zip(started, ends, strict=True):
        assert process.returncode == 0, errors
    return [json.loads(out.splitlines()[-1]) for out, _ in ends]


def epochs(dataset: ShardDataset, count: int) -> list[list[list[int]]]:
    """Sample numbers of the batches of the first epochs, as one process has them."""
    sampler = BatchSampler(
        dataset.rows("train"), BATCH, seed=SEED, drop_last=True, **dataset.order
    )
    found = []
    for sampler.epoch in range(count):
        found.append([sorted(dataset.index[batch].tolist()) for batch in sampler])
    return found


@pytest.mark.slow
def test_processes_share_every_batch_equally_and_another_number_goes_on(
    tiny_dataset, tmp_path
):
    """An epoch on two processes and the next on one: the batches that one process has throughout."""
    first, second = epochs(ShardDataset(tiny_dataset), 2)
    options = (
        "--data",
        tiny_dataset,
        "--out",
        tmp_path / "run",
        "--net",
        "cnn",
        "--accelerator",
        "cpu",
    )
    options = (*options, "--batch", BATCH, "--workers", 1)
    one, other = srun(2, *options, "--epochs", 1)
    assert len(one) == len(other) == len(first) == 5
    assert [sorted(mine + theirs) for mine, theirs in zip(one, other, strict=True)] == first
    assert read_checkpoint(tmp_path / "run/last.ckpt")["global_step"] == 5
    (alone,) = srun(1, *options, "--epochs", 2)
    assert [sorted(batch) for batch in alone] == second
    assert read_checkpoint(tmp_path / "run/last.ckpt")["global_step"] == 10
