"""What a training needs before its first step: data, task, networks, order of samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lenssim.data.generation.surroundings import require
from lenssim.data.streaming.balanced import BalancedSampler
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.errors import ConfigError
from lenssim.learn.compute.device import pick_device
from lenssim.learn.config import TrainConfig
from lenssim.learn.inputs.description import ImageDescription, describe
from lenssim.learn.methods import TrainingSetup, method_of
from lenssim.learn.nets import parameter_count
from lenssim.learn.nets.model import Model
from lenssim.learn.nets.pretrained import load_pretrained
from lenssim.learn.runs.overlap import read_seen
from lenssim.learn.runs.record import RunRecord, Start, Through, identify, versions
from lenssim.learn.runs.run import Run, begin, look_through, open_run, through_of
from lenssim.learn.tasks import Task, task_class
from lenssim.learn.training.module import Learner
from lenssim.learn.training.source import open_source
from lenssim.learn.training.target import Target, open_target
from lenssim.simulate.noise import noise_model
from lenssim.simulate.noise.model import NoiseModel

if TYPE_CHECKING:
    from lenssim.learn.tasks.task import Data
    from lenssim.simulate.instruments import AnyCamera

__all__ = ["PreparedTraining", "prepare"]


@dataclass(frozen=True)
class PreparedTraining:
    """A training that can begin.

    Args:
        dataset: The data set.
        rows: Its rows of the splits `train` and `validation`.
        device: Where the networks are computed.
        learner: The networks and the method that trains them.
        sampler: Order of the training samples.
        start: The weights that the networks start from; None for random weights.
        start_seen: Hashes of the images that these weights have learned from.
        through: The denoiser that stands before the network, if any.
        target: The data set that the network is adapted to, if any.
    """

    dataset: Data
    rows: dict[str, np.ndarray]
    device: torch.device
    learner: Learner
    sampler: BatchSampler
    start: Start | None
    start_seen: dict[str, np.ndarray]
    through: Through | None = None
    target: Target | None = None

    @property
    def setup(self) -> TrainingSetup:
        """What the steps depend on."""
        return self.learner.training_setup

    @property
    def model(self) -> Model:
        """The network that will answer."""
        return self.learner.method.export(self.learner.networks)

    def record(self) -> RunRecord:
        """Return the record of the run before its first step."""
        return RunRecord(
            config=self.setup.config,
            task=self.setup.task,
            images=self.setup.images,
            parameters=parameter_count(self.model),
            samples={split: len(numbers) for split, numbers in self.rows.items()},
            data=identify(self.dataset),
            start=self.start,
            through=self.through,
            target=identify(self.target.dataset) if self.target else None,
            versions=versions(),
            files={},
        )


def prepare(config: TrainConfig, previous: Run | None) -> PreparedTraining:
    """Open the data of a training, fit its task and build its networks.

    Args:
        config: Settings of the training.
        previous: The run that is to be resumed, if any.

    Raises:
        ConfigError: The settings cannot be used with these data or on this machine.
        DataError: The task cannot be asked of these data.
    """
    method = method_of(config)
    fingerprint = previous.record.data.fingerprint if previous else None
    dataset = open_source(config.data, config.live, config.picture, fingerprint=fingerprint)
    if config.live is not None and dataset.spec is not None:
        require(0, dataset.spec.engine_settings)
    task, rows = _fit_task(config, dataset)
    dataset.columns = task.columns
    dataset.maps = task.maps
    if method.has_steps and len(rows["train"]) < config.batch_size:
        raise ConfigError(
            f"a batch of {config.batch_size} is more than the {len(rows['train'])} "
            f"training samples of {dataset.folder}",
            code="batch-too-large",
            batch_size=config.batch_size,
            folder=dataset.folder,
        )
    target = open_target(config, method, task, dataset)
    device = _pick_devices(config)
    sampler = _training_sampler(config, task, dataset, rows["train"])
    steps = config.epochs * len(sampler)
    images = describe(dataset)
    through, denoiser = _through(config, images, previous)
    setup = TrainingSetup(
        config,
        task,
        images,
        len(rows["train"]),
        steps,
        through.net if through else None,
        target_has_truth=target is not None and target.has_truth,
        camera=_camera(dataset),
    )
    method.check(setup)
    networks = method.fresh_networks(setup)
    if previous is not None:
        previous.check_resumable()
    start, start_seen = _start(config, method.starting(networks), previous)
    model = method.export(networks)
    if denoiser is not None:
        look_through(model, denoiser)
        start_seen = {**read_seen(denoiser), **start_seen}
    method.started(networks, setup)
    learner = Learner(method, networks, setup)
    return PreparedTraining(
        dataset, rows, device, learner, sampler, start, start_seen, through, target
    )


def _camera(dataset: Data) -> AnyCamera | None:
    """Return the camera of simulated images in e-/s; None of others."""
    spec = dataset.spec
    if spec is None or noise_model(spec.noise).unit != NoiseModel.unit:
        return None
    return spec.preset.instrument


def _fit_task(config: TrainConfig, dataset: Data) -> tuple[Task, dict[str, np.ndarray]]:
    """Return the fitted task, and the rows of each split that it can use."""
    fit = task_class(config.task).fit
    splits = {split: dataset.rows(split) for split in ("train", "validation")}
    task = fit(config, dataset, splits)
    rows = {split: task.usable(dataset, numbers) for split, numbers in splits.items()}
    if config.limit is not None:
        rows["train"] = rows["train"][: config.limit]
        task = fit(config, dataset, rows)
    return task, rows


def _pick_devices(config: TrainConfig) -> torch.device:
    """Return the device; `ConfigError` if this machine has fewer than asked for."""
    device = pick_device(config.device)
    if device.type == "cuda" and config.devices > torch.cuda.device_count():
        raise ConfigError(
            f"{config.devices} devices asked for; "
            f"this machine has {torch.cuda.device_count()}",
            code="no-device",
            devices=config.devices,
        )
    return device


def _training_sampler(
    config: TrainConfig, task: Task, dataset: Data, rows: np.ndarray
) -> BatchSampler:
    """Return the order of the training samples, for one of the devices."""
    options: dict[str, Any] = {
        "seed": config.seed,
        "fingerprint": dataset.fingerprint,
        **dataset.order,
    }
    half = task.half_of_batches(config, dataset, rows)
    if half is None:
        sampler = BatchSampler(rows, config.batch_size, drop_last=True, **options)
    else:
        _check_repeats(dataset)
        sampler = BalancedSampler(rows, config.batch_size, half, **options)
    sampler.share(0, config.devices)
    return sampler


def _check_repeats(dataset: Data) -> None:
    """Raise `ConfigError` if other images come every epoch: their classes are not known."""
    if dataset.order.get("fresh", 0):
        raise ConfigError(
            "balanced_batches needs images that come again, and live-endless has new ones "
            "every epoch; state equal shares by live-classes, such as lens=1,non_lens=1",
            code="options-conflict",
        )


def _through(
    config: TrainConfig, images: ImageDescription, previous: Run | None
) -> tuple[Through | None, Run | None]:
    """Return the record and the run of the denoiser that the settings name, if any.

    A resumed training has its weights in its own checkpoint.
    """
    if config.through is None:
        return None, None
    folder = Path(config.through)
    if previous is not None and previous.last.exists() and not folder.exists():
        return previous.record.through, None
    run = open_run(folder)
    return through_of(run, images), run


def _start(
    config: TrainConfig, model: Model, previous: Run | None
) -> tuple[Start | None, dict[str, np.ndarray]]:
    """Fill a model with the first weights that the settings name.

    A resumed training needs the run of its first weights only before its first checkpoint.
    """
    if config.start is None:
        if config.pretrained and not (previous is not None and previous.last.exists()):
            load_pretrained(model.net, config.net)
        return None, {}
    if config.pretrained:
        raise ConfigError(
            "start and pretrained both name the first weights: give one of them",
            code="options-conflict",
        )
    folder = Path(config.start)
    has_checkpoint = previous is not None and previous.last.exists()
    if has_checkpoint and not folder.exists():
        return None, {}
    run = open_run(folder)
    return begin(model, run), read_seen(run)
