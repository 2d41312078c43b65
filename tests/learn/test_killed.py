"""A training that is killed goes on as if nothing had been: same losses, same weights."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from lenssim.learn.model import read_checkpoint
from lenssim.learn.tasks import parse_config
from lenssim.learn.train import train

DIE = """
import os, signal, sys
from pathlib import Path
from lightning.pytorch.callbacks import Callback
from lenssim.learn.tasks import parse_config
from lenssim.learn.train import train

class Die(Callback):
    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 3:
            os.kill(os.getpid(), signal.SIGKILL)

train(parse_config({settings}), Path({folder!r}), callbacks=[Die()])
"""


@pytest.mark.parametrize("packed", [False, True], ids=["mapped", "compressed"])
def test_three_steps_kill_9_and_three_more_are_six(tiny_dataset, tmp_path, packed):
    """Six steps in one go, against three, SIGKILL, and three more; from compressed shards too."""
    data = tiny_dataset
    if packed:
        pytest.importorskip("hdf5plugin")
        from lenssim.data.repack import repack

        data = tmp_path / "packed"
        repack(tiny_dataset, data, "int16", True)
    settings = {
        "data": str(data),
        "epochs": 2,
        "batch_size": 40,  # three steps an epoch, eight samples left out
        "augment": "flips",
        "checkpoint_steps": 1,
        "limit": 120,
    }
    whole = train(parse_config(settings), tmp_path / "whole")
    script = DIE.format(settings=settings, folder=str(tmp_path / "run"))
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    killed = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == 3
    run = train(parse_config(settings), tmp_path / "run", resume=True)
    ours, theirs = (read_checkpoint(one.last) for one in (run, whole))
    assert ours["global_step"] == theirs["global_step"] == 6
    assert all(torch.equal(ours["state_dict"][key], value) for key, value in theirs["state_dict"].items())
    losses = [[row.split(",")[1:4] for row in one.metrics.read_text().splitlines()] for one in (run, whole)]
    assert losses[0] == losses[1]
