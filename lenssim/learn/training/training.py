"""Training: a config and a data set to a run's folder, resumable to the bit."""

import logging
from collections.abc import Iterable
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping

from lenssim.cache import private_compilers
from lenssim.data.generation.runners import fitting_workers
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.learn.compute.cost import reset_peak_memory
from lenssim.learn.config import TrainConfig
from lenssim.learn.runs.overlap import is_at_hand, learned_from, write_seen
from lenssim.learn.runs.record import RunRecord
from lenssim.learn.runs.run import Run, create_run, open_run
from lenssim.learn.training.callbacks import (
    Checkpoints,
    DeviceShares,
    HistoryWriter,
    SamplerState,
)
from lenssim.learn.training.completion import complete
from lenssim.learn.training.continuation import continue_run
from lenssim.learn.training.fitted import write_fitted
from lenssim.learn.training.lightning import fit, interruptible, quiet, trainer_of
from lenssim.learn.training.preparation import PreparedTraining, prepare
from lenssim.learn.training.streams import Streams, streams_of

__all__ = ["train"]

VALIDATION_BATCH = 256  # images


def train(
    config: TrainConfig,
    folder: Path,
    *,
    resume: bool = False,
    callbacks: Iterable[Callback] = (),
) -> Run:
    """Train as the settings say.

    On one CPU the result depends on settings and data alone; on one GPU as far as torch has
    deterministic kernels.

    Args:
        config: Settings of the training.
        folder: Folder of the run, new or empty.
        resume: Go on with the run in the folder.
        callbacks: Further callbacks of Lightning, such as a display.

    Returns:
        The run that was written.

    Raises:
        ConfigError: The folder is not empty, or on resume holds another training.
        DataError: The data cannot be learned from, or the loss stops being finite.
        KeyboardInterrupt: SIGINT stopped the training.
        SystemExit: SIGTERM stopped the training.
    """
    folder = Path(folder)
    previous = open_run(folder) if resume else None
    training = prepare(config, previous)
    run = _open_folder(folder, training, previous)
    if run.record.result is None:
        _find_weights(run, training, callbacks)
        complete(run, training)
    return run


def _open_folder(folder: Path, training: PreparedTraining, previous: Run | None) -> Run:
    """Return the run in its folder, with the hashes of the images that it learns from."""
    dataset = training.dataset
    hashes = training.start_seen
    has_hashes = previous is not None and previous.seen.is_file()
    target = training.target
    if isinstance(dataset, ShardDataset) and is_at_hand(dataset) and not has_hashes:
        hashes = learned_from(dataset, training.rows, hashes)
    if target is not None and is_at_hand(target.dataset) and not has_hashes:
        hashes = learned_from(target.dataset, target.rows, hashes)
    run = _begin_or_continue(folder, training.record(), previous)
    if run.record.result is None and hashes and not has_hashes:
        write_seen(run, hashes)
    return run


def _begin_or_continue(folder: Path, record: RunRecord, previous: Run | None) -> Run:
    """Return a new run, or the previous one under the new record."""
    if previous is None:
        return create_run(folder, record)
    return continue_run(previous, record)


def _find_weights(
    run: Run, training: PreparedTraining, callbacks: Iterable[Callback]
) -> None:
    """Find the weights at once or in steps, as the method does."""
    learner = training.learner
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        rows = training.rows["train"]
        learner.method.begin(learner.networks, training.dataset, rows, training.setup)
    if learner.method.has_steps:
        _run_steps(run, training, callbacks)
    else:
        write_fitted(run, training)


def _run_steps(run: Run, training: PreparedTraining, callbacks: Iterable[Callback]) -> None:
    """Train from the last checkpoint, or from the first weights, to the end."""
    config = training.setup.config
    device = training.device
    streams = streams_of(training, VALIDATION_BATCH)
    pin = device.type == "cuda"
    checkpoint = run.last if run.last.exists() else None
    with (
        quiet(),
        interruptible() as interrupts,
        torch.random.fork_rng(range(torch.cuda.device_count())),
    ):
        criterion = training.learner.method.criterion
        checkpoints = Checkpoints(run, config.checkpoint_steps, interrupts, criterion)
        hooks = _callbacks(run, training, streams, callbacks)
        trainer = trainer_of(config, device, run, [*hooks, checkpoints])
        if config.compile:
            private_compilers()
            training.model.net.compile()
        reset_peak_memory(device)
        workers = _loaders(config)
        batches = streams.training(workers, pin)
        judged_batches = streams.validation(workers, pin)
        fit(trainer, training.learner, batches, judged_batches, checkpoint)


def _callbacks(
    run: Run,
    training: PreparedTraining,
    streams: Streams,
    callbacks: Iterable[Callback],
) -> list[Callback]:
    """Return what happens around the steps, but for the checkpoints."""
    hooks: list[Callback] = [
        SamplerState(training.sampler),
        DeviceShares(streams.samplers, streams.validation_samplers),
        HistoryWriter(run),
        *callbacks,
    ]
    patience = training.setup.config.patience
    if patience is not None:
        monitor = training.learner.method.criterion
        hooks.append(
            EarlyStopping(monitor, patience=patience, check_on_train_epoch_end=True)
        )
    return hooks


def _loaders(config: TrainConfig) -> int:
    """Return the number of loaders; those of live data are processes that fit into memory."""
    if config.live is None or config.workers == 0:
        return config.workers
    count = min(config.workers, fitting_workers())
    if count < config.workers:
        logging.getLogger("lenssim").warning(
            "lenssim: %d workers need more memory than there is: %d are started",
            config.workers,
            count,
        )
    return count
