"""A training that is killed goes on as if nothing had been: same losses, same weights."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from lenssim.data.format.files import read_json
from lenssim.learn.nets.model import read_checkpoint
from lenssim.learn.runs.run import open_run
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train

pytestmark = pytest.mark.thorough

DIE = """
import os, signal, sys
from pathlib import Path
from lightning.pytorch.callbacks import Callback
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train

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
        from lenssim.data.inspection.repacking import repack

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
    killed = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == 3
    run = train(parse_config(settings), tmp_path / "run", resume=True)
    ours, theirs = (read_checkpoint(one.last) for one in (run, whole))
    assert ours["global_step"] == theirs["global_step"] == 6
    assert all(
        torch.equal(ours["state_dict"][key], value)
        for key, value in theirs["state_dict"].items()
    )
    losses = [
        [row.split(",")[1:4] for row in one.metrics.read_text().splitlines()]
        for one in (run, whole)
    ]
    assert losses[0] == losses[1]


RECIPE = """
title: two at a time
generate:
  data: {model: III, n: 512, noise: none}
settings: {epochs: 3, batch_size: 64, net: deeplense_cnn}
train:
  all: {data: data, seed: [0, 1]}
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_recipe_of_several_jobs_that_is_stopped_goes_on_to_the_same_report(
    tmp_path, number
):
    """And to that of a recipe whose trainings follow one another."""
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "lenssim", "run", "recipe.yaml", "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    options = {
        "cwd": tmp_path,
        "env": environment,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    stopped = subprocess.Popen([*command, "jobs", "--jobs", "2"], **options)
    for line in stopped.stderr:
        if "epoch 1/3" in line:
            break
    stopped.send_signal(number)
    _, told = stopped.communicate()
    assert stopped.returncode == 128 + number, told
    assert told.rstrip().endswith("go on with: lenssim run recipe.yaml --out jobs --jobs 2")
    runs = [tmp_path / f"jobs/runs/all-seed{seed}" for seed in (0, 1)]
    assert any((run / "checkpoints/last.ckpt").exists() for run in runs)
    assert not all(open_run(run).record.result for run in runs)
    for more in (["jobs", "--jobs", "2"], ["alone"]):
        done = subprocess.run([*command, *more], **options)
        assert done.returncode == 0, done.stderr
    reports = [
        read_json(tmp_path / name / "report.json")["rows"] for name in ("jobs", "alone")
    ]
    assert [row["metrics"] for row in reports[0]] == [row["metrics"] for row in reports[1]]
    assert len(reports[0]) == 3
