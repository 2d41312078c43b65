"""Runs packed for others: half the size, no code in any file, and nothing that answers do not need."""

from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from lenssim.errors import ConfigError
from lenssim.learn.nets.model import PACKED, read_checkpoint
from lenssim.learn.runs.hashes import ABSENT
from lenssim.learn.runs.record import RunRecord
from lenssim.learn.runs.run import CHECKPOINTS, Run, create_run
from lenssim.learn.scores.novelty import NOVELTY

__all__ = ["pack_run"]


def pack_run(run: Run, folder: Path) -> Run:
    """Write a run without its history: record, weights, and what it knows of novelty.

    Weights are rounded to float16, as safetensors. A packed run evaluates and predicts, and
    trainings start from it. It cannot be resumed.

    Args:
        run: A run whose training has ended.
        folder: Where to write, empty or absent.

    Returns:
        The packed run.

    Raises:
        ConfigError: The training has not ended, or the folder holds something.
        DataError: A file of the run is damaged.
    """
    if run.record.result is None:
        raise ConfigError(
            f"{run.folder}: the training has not ended; go on with it by lenssim train --resume",
            code="training-unfinished",
            best=run.best,
        )
    run.check(run.best)
    weights = {name: _rounded(value) for name, value in _weights(run).items()}
    packed = create_run(folder, _without_paths(run.record))
    path = folder / CHECKPOINTS / PACKED
    packed.hashes.write_file(path, save(weights))
    if run.check(run.folder / NOVELTY) != ABSENT:
        packed.hashes.write_file(folder / NOVELTY, (run.folder / NOVELTY).read_bytes())
    packed.finish(run.record.result, run.record.task)
    return packed


def _without_paths(record: RunRecord) -> RunRecord:
    """Return a record that names the folders of data and runs, but not where they lay."""
    config = record.config
    names = {
        key: Path(str(value)).name
        for key in ("data", "start", "through", "target")
        if (value := getattr(config, key, None)) is not None
    }
    return record.model_copy(update={"config": config.model_copy(update=names)})


def _weights(run: Run) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = read_checkpoint(run.best)["state_dict"]
    return weights


def _rounded(weights: Tensor) -> Tensor:
    """Return floating-point weights as float16, where none of them overflows."""
    if not weights.is_floating_point():
        return weights.contiguous()
    half = weights.to(torch.float16)
    return (half if half.isfinite().all() else weights).contiguous()
