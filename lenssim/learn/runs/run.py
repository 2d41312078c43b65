"""A run's folder: what was trained, on what, how, and where its files lie."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    model_validator,
)

from lenssim.data.format.files import read_json, write_json
from lenssim.data.format.maps import IMAGE
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.live import LiveDataset
from lenssim.errors import ConfigError, DataError
from lenssim.learn.compute.cost import Cost
from lenssim.learn.config import TrainConfig
from lenssim.learn.inputs.description import Images
from lenssim.learn.nets.model import Model, load_weights
from lenssim.learn.runs.hashes import ABSENT, FileHashes, file_sha256
from lenssim.learn.runs.history import read_epochs
from lenssim.learn.runs.networks import fresh_model
from lenssim.learn.scores.novelty import NOVELTY, Novelty, read_novelty
from lenssim.learn.tasks import Task, task_class
from lenssim.names import printable
from lenssim.notes import note_once

__all__ = [
    "CHECKPOINTS",
    "DataIdentity",
    "Run",
    "RunRecord",
    "RunResult",
    "begin",
    "create_run",
    "identify",
    "open_run",
    "open_runs",
    "versions",
]

CHECKPOINTS = "checkpoints"
_RECORD = "run.json"


class DataIdentity(BaseModel):
    """Which data: enough to find them again, and to tell whether two data sets share samples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    config_hash: str
    n: int
    kind: str
    preset: str | None = None
    noise: str | None = None
    seed: int | None = None
    split: str | None = None
    engine: str | None = None
    picture: str = IMAGE

    @property
    def title(self) -> str:
        """A few words for tables and figures."""
        shown = "" if self.picture == IMAGE else f", {self.picture}"
        own = (
            f"preset {self.preset}, noise {self.noise}"
            if self.preset
            else f"{self.kind} {self.fingerprint[:8]}"
        )
        return own + shown

    def shares_samples(self, other: "DataIdentity") -> bool:
        """Whether some scenes may be in both: the same contents or config, or the same seed and split of any preset.

        Presets drawn with one seed use the same random numbers, so their lenses and sources are alike.
        """
        same = (
            self.fingerprint == other.fingerprint or self.config_hash == other.config_hash
        )
        return same or (
            self.seed is not None and (self.seed, self.split) == (other.seed, other.split)
        )


class Start(BaseModel):
    """The weights that a training began with: SHA-256 of their checkpoint, and all data that they had learned from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint_sha256: str
    data: tuple[DataIdentity, ...]


class RunResult(BaseModel):
    """How a training ended; validation scores are those of the best epoch, whose weights are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int
    best_epoch: int
    val_loss: float
    scores: dict[str, float]
    seconds: float
    stopped: str
    cost: Cost | None = None


class RunRecord(BaseModel):
    """The content of run.json; `result` is None until the training has ended.

    `files` holds the SHA-256 of the files that answers depend on, by path in the run's folder. It is empty until the
    training has ended (hashes.json has them until then), and None for a run that was made before files were hashed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = Field(default="lenssim-run/2", pattern=r"^lenssim-run/2$")
    config: SerializeAsAny[TrainConfig]
    task: SerializeAsAny[Task]
    images: Images
    parameters: int
    samples: dict[str, int]
    data: DataIdentity
    start: Start | None = None
    versions: dict[str, str]
    result: RunResult | None = None
    files: dict[str, str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_their_kind(cls, document: Any) -> Any:
        """Config and task as what the name of the task says they are."""
        config = document.get("config")
        if not isinstance(config, dict):
            return document
        kind = task_class(str(config.get("task")))
        own = {
            "config": kind.settings.model_validate(config),
            "task": kind.model_validate(document.get("task")),
        }
        return {**document, **own}

    @property
    def seen(self) -> tuple[DataIdentity, ...]:
        """All data that the weights have learned from, in this training and those before it."""
        return (self.data, *(self.start.data if self.start else ()))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.images.shape


class Run:
    """A run's folder and its record."""

    def __init__(self, folder: Path, record: RunRecord) -> None:
        self.folder, self.record = folder, record
        self.hashes = FileHashes(folder)

    @property
    def best(self) -> Path:
        """Checkpoint of the epoch with the lowest validation loss."""
        return self.folder / CHECKPOINTS / "best.ckpt"

    @property
    def digest(self) -> str:
        """SHA-256 of the best checkpoint; errors as of `check`, and `ConfigError` before the first epoch has ended."""
        digest = self.check(self.best)
        if digest == ABSENT:
            raise ConfigError(
                f"{self.best} does not exist; has the training finished an epoch?"
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
        """A data set as this run looks at it: the picture that it was trained on; errors as of `ShardDataset`."""
        return ShardDataset(data, picture=self.record.config.picture)

    def fresh_model(self) -> Model:
        """The model before training."""
        return fresh_model(self.record.config, self.record.images, self.record.task.outputs)

    def model(self) -> Model:
        """The model with the best weights; `DataError` if its checkpoint is missing or does not fit."""
        model = self.fresh_model()
        self.check(self.best)
        load_weights(model, self.best)
        return model

    def novelty(self) -> Novelty | None:
        """What the run knows of images like its own, None for nothing; errors as of `check` and `read_novelty`."""
        self.check(self.folder / NOVELTY)
        return read_novelty(self.folder)

    def epochs(self) -> list[dict[str, float]]:
        """The lines of metrics.csv, none before the first epoch has ended; errors as of `check` and `read_epochs`."""
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
                f"{path} does not exist, although the run's record names it; bring it back or train again"
            )
        raise DataError(
            f"{path} is not the file that this training wrote: its sha256 begins with {digest[:8]}, the run's record "
            f"has {' or '.join(each[:8] for each in expected)}. It was damaged, or belongs to another run. Bring the "
            "file back, or train again"
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
        """Note that the training has ended, with which calibration of its answers, and what its files hold."""
        fields = {"result": result, "task": task, "files": self.hashes.final()}
        self.record = self.record.model_copy(update=fields)
        self.write()

    def write(self) -> None:
        """Write run.json."""
        write_json(self.folder / _RECORD, self.record.model_dump(mode="json"))


def identify(dataset: ShardDataset | LiveDataset) -> DataIdentity:
    """Which data a data set holds, or makes."""
    config: dict[str, Any] = dataset.config
    return DataIdentity(
        fingerprint=dataset.fingerprint,
        config_hash=dataset.config_hash,
        n=len(dataset),
        kind=config.get("kind", "unknown"),
        preset=config.get("preset", {}).get("name"),
        picture=dataset.picture,
        **{key: config.get(key) for key in ("noise", "seed", "split", "engine")},
    )


def versions() -> dict[str, str]:
    """Versions of what results depend on."""
    names = (
        "lenssim",
        "torch",
        "lightning",
        "timm",
        "torchmetrics",
        "scikit-learn",
        "numpy",
    )
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def create_run(folder: Path, record: RunRecord) -> Run:
    """Make a run's folder; `ConfigError` if it is not empty or cannot be made."""
    try:
        if folder.exists() and any(folder.iterdir()):
            hint = (
                "continue it with --resume, or choose another --out"
                if (folder / _RECORD).exists()
                else ("choose another --out")
            )
            raise ConfigError(f"{folder} is not empty: {hint}")
        (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot use {folder} as the run's folder: {error.strerror}"
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
        raise DataError("\n".join(messages))
    return runs


def begin(model: Model, run: Run) -> Start:
    """Give a model the best weights of a run, but for layers of another shape (head, bands).

    `ConfigError` if that run is of another net; `DataError` if it is none, or its checkpoint is damaged.
    """
    if run.record.config.net != model.name:
        raise ConfigError(
            f"{run.folder} is a run of the net {run.record.config.net}: {model.name} cannot start with its weights; "
            f"choose --net {run.record.config.net}, or another --start"
        )
    digest = run.digest
    load_weights(model, run.best, partly=True)
    return Start(checkpoint_sha256=digest, data=run.record.seen)


def open_run(folder: Path) -> Run:
    """A run that exists; `DataError` if there is none in the folder, or its record is damaged."""
    path = folder / _RECORD
    if not path.is_file():
        hint = (
            "give the folder that lenssim train wrote"
            if not os.fspath(folder).endswith(".ckpt")
            else ("give the run's folder, not its checkpoint")
        )
        raise DataError(f"{folder} holds no run (no {_RECORD}); {hint}")
    try:
        return Run(folder, RunRecord.model_validate(read_json(path)))
    except ValidationError as error:
        problem = error.errors()[0]
        where = printable(".".join(map(str, problem["loc"])))
        message = printable(problem["msg"].removeprefix("Value error, "))
        raise DataError(
            f"{path} is not what lenssim train writes: {where}: {message}"
        ) from None
