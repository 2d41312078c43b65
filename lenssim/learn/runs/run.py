"""A run's folder and the files in it."""

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from torch import nn

from lenssim.data.format.files import read_json, write_json
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError, DataError, from_validation
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.methods import Method, TrainingSetup, method_of
from lenssim.learn.nets import IMAGE_NETS
from lenssim.learn.nets.model import PACKED, Model, load_weights
from lenssim.learn.runs.hashes import ABSENT, FileHashes, file_sha256
from lenssim.learn.runs.history import read_epochs
from lenssim.learn.runs.pretrained import outputs_of, run_folder
from lenssim.learn.runs.record import (
    DataIdentity,
    RunRecord,
    RunResult,
    Start,
    Through,
    identify,
    versions,
)
from lenssim.learn.scores.novelty import NOVELTY, Novelty, read_novelty
from lenssim.learn.tasks import Task
from lenssim.notes import note_once

__all__ = [
    "CHECKPOINTS",
    "DataIdentity",
    "Run",
    "RunRecord",
    "RunResult",
    "Start",
    "begin",
    "create_run",
    "identify",
    "look_through",
    "open_run",
    "open_runs",
    "through_of",
    "versions",
]

CHECKPOINTS = "checkpoints"
_RECORD = "run.json"


class Run:
    """A run's folder and its record."""

    def __init__(self, folder: Path, record: RunRecord) -> None:
        self.folder = folder
        self.record = record
        self.hashes = FileHashes(folder)

    @property
    def best(self) -> Path:
        """Weights of the epoch with the lowest validation loss."""
        packed = self.folder / CHECKPOINTS / PACKED
        return packed if packed.is_file() else packed.with_name("best.ckpt")

    @property
    def outputs(self) -> Path:
        """Folder for evaluations: that of the run, or one below runs/ if it comes with lenssim."""
        return outputs_of(self.folder)

    @property
    def digest(self) -> str:
        """SHA-256 of the best checkpoint.

        Raises:
            ConfigError: No epoch has ended.
            DataError: As of `check`.
        """
        digest = self.check(self.best)
        if digest == ABSENT:
            raise ConfigError(
                f"{self.best} does not exist; has the training finished an epoch?",
                code="training-unfinished",
                best=self.best,
            )
        return digest

    @property
    def last(self) -> Path:
        """Newest checkpoint, from which training resumes."""
        return self.folder / CHECKPOINTS / "last.ckpt"

    @property
    def seen(self) -> Path:
        """Hashes of the images that the weights have learned from."""
        return self.folder / "seen.npz"

    @property
    def metrics(self) -> Path:
        """Table of the epochs."""
        return self.folder / "metrics.csv"

    def opened(self, data: Path | str) -> ShardDataset:
        """Open a data set with the picture that this run was trained on.

        Errors are those of `ShardDataset`.
        """
        return ShardDataset(data, picture=self.record.config.picture)

    def model(self, domain: str = "") -> Model:
        """Return the network that answers, with the best weights.

        Args:
            domain: Name of the first data set of the method, for the network that answers
                for it. By default the one that evaluations and predictions use.

        Raises:
            DataError: The checkpoint is missing or does not fit.
        """
        method, networks = self._fresh_networks()
        self.check(self.best)
        for name, network in networks.items():
            load_weights(network, self.best, name)
        if domain == method.sources[0]:
            network = networks[method.answers_for_source]
            assert isinstance(network, Model)
            return network
        return method.export(networks)

    def fresh_model(self) -> Model:
        """Return the network that answers, before its training."""
        method, networks = self._fresh_networks()
        return method.export(networks)

    def _fresh_networks(self) -> tuple[Method, dict[str, nn.Module]]:
        """Return the method of the training, and its untrained networks by name."""
        record = self.record
        method = method_of(record.config)
        samples = record.samples["train"]
        through = None
        if record.through is not None:
            through = record.through.net
        setup = TrainingSetup(
            record.config, record.task, record.images, samples, steps=0, through=through
        )
        return method, method.fresh_networks(setup)

    def novelty(self) -> Novelty | None:
        """Return what tells images unlike the training data; None for a run without it.

        Errors are those of `check` and `read_novelty`.
        """
        self.check(self.folder / NOVELTY)
        return read_novelty(self.folder)

    def epochs(self) -> list[dict[str, float]]:
        """Return the lines of metrics.csv; none before the first epoch has ended.

        Errors are those of `check` and `read_epochs`.
        """
        self.check(self.metrics)
        return read_epochs(self.metrics)

    def check(self, path: Path) -> str:
        """Compare a file of this run with the hash that its record has for it.

        Args:
            path: The file, in the run's folder.

        Returns:
            The SHA-256 of the file, or `ABSENT` where there is none and the record expects none.

        Raises:
            DataError: The file is missing, damaged or of another run. The message names it.
        """
        while True:
            expected = self._expected(path)
            digest = file_sha256(path)
            if expected is None or digest in expected:
                return digest
            if (
                self._expected(path) == expected
            ):  # else a training replaced the file between the two looks
                break
        if digest == ABSENT:
            raise DataError(
                f"{path} does not exist, although the run's record names it; bring it back or train again",
                code="no-file",
                path=path,
            )
        raise DataError(
            f"{path} is not the file that this training wrote: its sha256 begins with {digest[:8]}, the run's record "
            f"has {' or '.join(name[:8] for name in expected)}. It was damaged, or belongs to another run. Bring the "
            "file back, or train again",
            code="file-of-another",
            path=path,
        )

    def check_resumable(self) -> None:
        """Compare all that a resumed training reads; errors as of `check`."""
        if self.last.is_file():
            for path in (self.last, self.best, self.metrics, self.seen):
                self.check(path)

    def _expected(self, path: Path) -> list[str] | None:
        """Hashes that a file may have; None where no record says."""
        name = path.relative_to(self.folder).as_posix()
        if self.record.files is None:
            if path.is_file():
                note_once(
                    f"{self.folder}: this run was made before checkpoints were hashed; it cannot be checked whether "
                    "its files are as the training wrote them"
                )
            return None
        if self.record.result is not None:
            return [self.record.files.get(name, ABSENT)]
        return self.hashes.read().get(name, [ABSENT])

    def finish(self, result: RunResult, task: Task) -> None:
        """Write that the training has ended, with the calibrated task and the hashes of files."""
        fields = {"result": result, "task": task, "files": self.hashes.final()}
        self.record = self.record.model_copy(update=fields)
        self.write()

    def write(self) -> None:
        """Write run.json."""
        write_json(self.folder / _RECORD, self.record.model_dump(mode="json"))


def create_run(folder: Path, record: RunRecord) -> Run:
    """Make a run's folder; `ConfigError` if it is not empty or cannot be made."""
    try:
        if folder.exists() and any(folder.iterdir()):
            hint = (
                "continue it with --resume, or choose another --out"
                if (folder / _RECORD).exists()
                else ("choose another --out")
            )
            raise ConfigError(
                f"{folder} is not empty: {hint}", code="folder-in-use", folder=folder
            )
        (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot use {folder} as the run's folder: {error.strerror}",
            code="folder-unusable",
            folder=folder,
        ) from None
    run = Run(folder, record)
    run.write()
    return run


def open_runs(folders: Sequence[Path]) -> list[Run]:
    """Open runs that answer together.

    Raises:
        DataError: Some of them cannot be opened. The message names all of these.
    """
    runs = []
    messages = []
    for folder in folders:
        try:
            runs.append(open_run(folder))
        except DataError as error:
            messages.append(str(error))
    if messages:
        raise DataError("\n".join(messages), code="no-run")
    return runs


def begin(model: Model, run: Run) -> Start:
    """Give a model the best weights of a run, but for layers of another shape (head, bands).

    Raises:
        ConfigError: The run is of another net.
        DataError: The checkpoint of the run is damaged.
    """
    if run.record.config.net != model.name:
        raise ConfigError(
            f"{run.folder} is a run of the net {run.record.config.net}: {model.name} cannot start with its weights; "
            f"choose --net {run.record.config.net}, or another --start",
            code="net-differs",
            folder=run.folder,
            net=run.record.config.net,
        )
    digest = run.digest
    load_weights(model, run.best, partly=True)
    return Start(checkpoint_sha256=digest, data=run.record.seen)


def look_through(model: Model, run: Run) -> None:
    """Give the denoiser before a model the best weights of a run of denoise.

    Raises:
        DataError: The checkpoint of the run is damaged, or of other images.
    """
    assert model.through is not None
    model.through.load_state_dict(run.model().net.state_dict())


def through_of(run: Run, images: ImageDescription) -> Through:
    """Return the record of a run of denoise that stands before a network.

    Args:
        run: The run.
        images: The images that it will see.

    Raises:
        ConfigError: The run gives no images, or takes others.
    """
    record = run.record
    if record.config.net not in IMAGE_NETS or record.image_shape != images.shape:
        raise ConfigError(
            f"{run.folder} cannot stand before the network: it is to {record.task.title}, "
            f"from {record.images}; take a run of lenssim train denoise on {images}",
            code="no-denoiser",
            folder=run.folder,
        )
    if record.through is not None:
        raise ConfigError(
            f"{run.folder} looks through another run itself; give one denoiser",
            code="no-denoiser",
            folder=run.folder,
        )
    net = record.config.net
    return Through(net=net, checkpoint_sha256=run.digest, data=record.seen)


def open_run(folder: Path) -> Run:
    """Open a run or `pretrained:NAME`; `DataError` if there is none, or its record is damaged."""
    folder = run_folder(folder)
    path = folder / _RECORD
    if not path.is_file():
        hint = (
            "give the folder that lenssim train wrote"
            if not os.fspath(folder).endswith(".ckpt")
            else ("give the run's folder, not its checkpoint")
        )
        raise DataError(
            f"{folder} holds no run (no {_RECORD}); {hint}", code="no-run", folder=folder
        )
    try:
        return Run(folder, RunRecord.model_validate(read_json(path)))
    except ValidationError as error:
        where = f"{path} is not what lenssim train writes"
        raise from_validation(error, where, kind=DataError) from None
