"""Training: a config and a data set to a run's folder, by Lightning, resumable to the bit."""

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.utilities.exceptions import SIGTERMException

from lenssim.data.generation.runners import fitting_workers
from lenssim.data.generation.surroundings import require
from lenssim.data.streaming.dataset import Batch, ShardDataset
from lenssim.data.streaming.live import LiveDataset
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.data.streaming.stream import stream
from lenssim.errors import ConfigError
from lenssim.learn.compute.cost import (
    Cost,
    inference_milliseconds,
    peak_memory,
    reset_peak_memory,
)
from lenssim.learn.compute.device import arithmetic, pick_device
from lenssim.learn.config import TrainConfig
from lenssim.learn.inputs.description import describe
from lenssim.learn.nets import parameter_count
from lenssim.learn.nets.model import outputs, read_checkpoint
from lenssim.learn.runs.networks import fresh_model
from lenssim.learn.runs.overlap import is_at_hand, learned_from, read_seen, write_seen
from lenssim.learn.runs.run import (
    Run,
    RunRecord,
    RunResult,
    begin,
    create_run,
    identify,
    open_run,
    versions,
)
from lenssim.learn.scores.novelty import NOVELTY, Novelty
from lenssim.learn.tasks import Data, task_class
from lenssim.learn.training.callbacks import (
    Checkpoints,
    EpochTable,
    Place,
    Shares,
    WholeFiles,
)
from lenssim.learn.training.module import Learner
from lenssim.learn.training.source import open_source
from lenssim.simulate.engines.batched.inductor import private_inductor

__all__ = ["train"]

_TIMED = 256  # images that an answer's time is measured by
_FAMILIAR = 2048  # images of each split that later ones are compared with
_PRECISION = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


def train(
    config: TrainConfig,
    folder: Path,
    *,
    resume: bool = False,
    callbacks: Iterable[Callback] = (),
) -> Run:
    """Train as the config says and write the run into `folder`; with `resume`, go on where it stopped.

    On one CPU the result depends on config and data alone; on one GPU as far as torch has deterministic kernels.
    `ConfigError` if the folder is not empty, or on
    resume if it holds another training (the differences are listed); `DataError` if the data cannot be learned from
    or the loss stops being finite. Interrupted by SIGINT it raises `KeyboardInterrupt`, by SIGTERM `SystemExit(143)`.
    """
    dataset, folder = open_source(config.data, config.live, config.picture), Path(folder)
    if isinstance(dataset, LiveDataset):
        require(0, dataset.config["engine_settings"])
    fit, rows = (
        task_class(config.task).fit,
        {split: dataset.rows(split) for split in ("train", "validation")},
    )
    task = fit(config, dataset, rows)
    rows = {split: task.usable(dataset, numbers) for split, numbers in rows.items()}
    if config.limit is not None:
        rows["train"] = rows["train"][: config.limit]
        task = fit(config, dataset, rows)
    dataset.columns = task.columns
    if len(rows["train"]) < config.batch_size:
        raise ConfigError(
            f"a batch of {config.batch_size} is more than the {len(rows['train'])} training samples of {dataset.folder}"
        )
    device = pick_device(config.device)
    if device.type == "cuda" and config.devices > torch.cuda.device_count():
        raise ConfigError(
            f"{config.devices} devices asked for; this machine has {torch.cuda.device_count()}"
        )
    images = describe(dataset)
    there, model = (
        open_run(folder) if resume else None,
        fresh_model(config, images, task.outputs),
    )
    if there is not None:
        there.check_resumable()
    start, seen = None, {}
    if config.start is not None and (
        Path(config.start).exists() or not (there and there.last.exists())
    ):
        first = open_run(Path(config.start))
        start, seen = begin(model, first), read_seen(first)
    sampler = BatchSampler(
        rows["train"],
        config.batch_size,
        seed=config.seed,
        fingerprint=dataset.fingerprint,
        drop_last=True,
        **dataset.order,
    )
    sampler.share(0, config.devices)
    learner = Learner(
        model, task, config, images, config.epochs * len(sampler), len(rows["train"])
    )
    record = RunRecord(
        config=config,
        task=task,
        images=images,
        parameters=parameter_count(model),
        samples={split: len(numbers) for split, numbers in rows.items()},
        data=identify(dataset),
        start=start,
        versions=versions(),
        files={},
    )
    hashed = there is not None and there.seen.is_file()
    if is_at_hand(dataset) and not hashed:
        seen = learned_from(dataset, rows, seen)
    run = _continue(there, record) if there else create_run(folder, record)
    if run.record.result is not None:
        return run
    if seen and not hashed:
        write_seen(run, seen)

    judged = BatchSampler(rows["validation"], 256, shuffle=False)
    pin = device.type == "cuda"
    with (
        _quiet(),
        _interruptible() as interrupts,
        torch.random.fork_rng(range(torch.cuda.device_count())),
    ):
        own: list[Callback] = [
            Place(sampler),
            Shares(sampler, judged),
            EpochTable(run),
            *callbacks,
        ]
        if config.patience is not None:
            own.append(
                EarlyStopping(
                    "val_loss", patience=config.patience, check_on_train_epoch_end=True
                )
            )
        trainer = _trainer(
            config,
            device,
            run,
            [*own, Checkpoints(run, config.checkpoint_steps, interrupts)],
        )
        if config.compile:
            private_inductor()
            model.net.compile()
        reset_peak_memory(device)
        workers = _loaders(config)
        _fit(
            trainer,
            learner,
            stream(dataset, sampler, workers, pin),
            stream(dataset, judged, workers, pin),
            run.last if run.last.exists() else None,
        )
    _finish(run, dataset, rows, device, len(sampler) * config.batch_size)
    return run


def _loaders(config: TrainConfig) -> int:
    """Return the number of loaders: of processes, which live data take, as many as fit into memory."""
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


def _trainer(
    config: TrainConfig, device: torch.device, run: Run, callbacks: list[Callback]
) -> Trainer:
    with _own_settings():
        return Trainer(
            accelerator=device.type,
            devices=config.devices,
            strategy="auto"
            if config.devices == 1
            else "ddp_spawn",  # a program that is not run again from its top
            precision=_PRECISION[arithmetic(config.precision, device)],
            deterministic=True
            if device.type == "cpu"
            else "warn",  # not every kernel of a GPU can be
            max_epochs=config.epochs,
            callbacks=callbacks,
            plugins=[WholeFiles(run.hashes)],
            logger=False,
            default_root_dir=run.folder,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )


def _finish(
    run: Run, dataset: Data, rows: dict[str, np.ndarray], device: torch.device, images: int
) -> None:
    """Note how the training ended, what it cost (so many `images` an epoch), its calibration, and what is familiar."""
    config, task, memory = (
        run.record.config,
        run.record.task,
        peak_memory(device),
    )  # before the calibration
    best, epochs = (
        read_checkpoint(run.last)["callbacks"]["Checkpoints"]["best"],
        run.epochs(),
    )
    seconds, trained = sum(row["seconds"] for row in epochs), run.model()
    cost = Cost(
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        threads=torch.get_num_threads(),
        precision=arithmetic(config.precision, device),
        images_per_second=len(epochs) * images / seconds,
        waiting=sum(row["waiting"] for row in epochs) / seconds,
        peak_mib=memory,
        inference_ms=inference_milliseconds(
            trained, dataset.images(rows["validation"][:_TIMED]), device
        ),
    )
    known = {split: dataset.images(numbers[:_FAMILIAR]) for split, numbers in rows.items()}
    novelty = Novelty.fit(config.normalise, known["train"], known["validation"])
    run.hashes.write_file(run.folder / NOVELTY, novelty.to_json())
    if isinstance(dataset, ShardDataset) and not is_at_hand(dataset):
        write_seen(run, learned_from(dataset, rows, read_seen(run)))
    run.finish(
        RunResult(
            epochs=len(epochs),
            best_epoch=int(best["epoch"]),
            val_loss=best["val_loss"],
            scores={name: best[f"val_{name}"] for name in task.progress},
            seconds=seconds,
            stopped="end" if len(epochs) >= config.epochs else "early",
            cost=cost,
        ),
        task.calibrated(
            outputs(trained, dataset, rows["validation"], device),
            dataset,
            rows["validation"],
        ),
    )


def _continue(run: Run, record: RunRecord) -> Run:
    """The run, if training under `record` is to go on with it."""
    there = run.record
    lines = there.config.changes(record.config)
    if there.data.fingerprint != record.data.fingerprint:
        lines.append(
            f"data set: fingerprint {there.data.fingerprint[:8]} there, {record.data.fingerprint[:8]} given"
        )
    if there.task.title != record.task.title:
        lines.append(f"task: {there.task.title} there, {record.task.title} given")
    if (there.start is None) != (record.config.start is None):
        lines.append(f"start: {there.config.start} there, {record.config.start} asked for")
    elif record.start is not None and there.start != record.start:
        lines.append(f"start: other weights in {record.config.start} than then")
    if lines:
        raise ConfigError(
            f"{run.folder} holds another training:\n  " + "\n  ".join(lines) + "\n"
            "repeat its options, or choose another --out"
        )
    done = there.result is not None and (
        there.result.stopped == "early" or there.result.epochs >= record.config.epochs
    )
    if not done:
        if there.files is None:
            run.hashes.adopt(run.last, run.best, run.metrics)
        run = Run(run.folder, record.model_copy(update={"start": there.start}))
        run.write()
    return run


def _fit(
    trainer: Trainer,
    learner: Learner,
    training: Iterable[Batch],
    validation: Iterable[Batch],
    checkpoint: Path | None,
) -> None:
    """Trainer.fit, with signals reported as the rest of lenssim reports them; `DataError` for a bad checkpoint."""
    if checkpoint is not None:
        read_checkpoint(
            checkpoint
        )  # Lightning takes any file of tensors, and fails on what it lacks
    try:
        trainer.fit(learner, training, validation, ckpt_path=checkpoint, weights_only=True)
    except SIGTERMException:
        raise SystemExit(128 + signal.SIGTERM) from None
    except SystemExit:  # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt from None


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """The SIGINTs that came. The first is only noted, for an exception at any place may get lost; a second raises."""
    came: list[int] = []

    def handle(number: int, frame: object) -> None:
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt

    if (
        threading.current_thread() is not threading.main_thread()
    ):  # where Python takes no signals
        yield came
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)  # Lightning leaves it ignored


@contextmanager
def _own_settings() -> Iterator[None]:
    """A Trainer as this package calls it: without the defaults that Lightning takes from PL_TRAINER_... variables."""
    theirs = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith("PL_TRAINER_")
    }
    try:
        yield
    finally:
        os.environ.update(theirs)


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning without its tips, banners and advice about workers; errors are still told."""
    loggers = [
        logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")
    ]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\.")
        warnings.filterwarnings(
            "ignore", message=".* does not have a deterministic implementation"
        )
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
