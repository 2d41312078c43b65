"""A run's folder: what was trained, on what, how, and where its files lie."""

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, model_validator

from lenssim.data.dataset import ShardDataset
from lenssim.data.files import read_json, write_json
from lenssim.data.live import LiveDataset
from lenssim.data.truth import IMAGE
from lenssim.errors import ConfigError, DataError
from lenssim.learn.config import TrainConfig
from lenssim.learn.cost import Cost
from lenssim.learn.images import Images
from lenssim.learn.model import Model, fresh_model, load_weights
from lenssim.learn.tasks import Task, task_class
from lenssim.names import printable

__all__ = ["DataIdentity", "Run", "RunRecord", "RunResult", "begin", "create_run", "identify", "open_run", "versions"]

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
        own = f"preset {self.preset}, noise {self.noise}" if self.preset else f"{self.kind} {self.fingerprint[:8]}"
        return own + shown

    def shares_samples(self, other: "DataIdentity") -> bool:
        """Whether some scenes may be in both: the same contents or config, or the same seed and split of any preset.

        Presets drawn with one seed use the same random numbers, so their lenses and sources are alike.
        """
        same = self.fingerprint == other.fingerprint or self.config_hash == other.config_hash
        return same or (self.seed is not None and (self.seed, self.split) == (other.seed, other.split))


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
    """The content of run.json; `result` is None until the training has ended."""

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

    @model_validator(mode="before")
    @classmethod
    def _of_their_kind(cls, document: Any) -> Any:
        """Config and task as what the name of the task says they are."""
        config = document.get("config")
        if not isinstance(config, dict):
            return document
        kind = task_class(str(config.get("task")))
        own = {"config": kind.settings.model_validate(config), "task": kind.model_validate(document.get("task"))}
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

    @property
    def best(self) -> Path:
        """Checkpoint of the epoch with the lowest validation loss."""
        return self.folder / "checkpoints" / "best.ckpt"

    @property
    def digest(self) -> str:
        """SHA-256 of the best checkpoint; `ConfigError` before the first epoch has ended."""
        try:
            return hashlib.sha256(self.best.read_bytes()).hexdigest()
        except OSError as error:
            raise ConfigError(f"{self.best}: {error.strerror}; has the training finished an epoch?") from None

    @property
    def last(self) -> Path:
        """Newest checkpoint, from which training resumes."""
        return self.folder / "checkpoints" / "last.ckpt"

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
        load_weights(model, self.best)
        return model

    def finish(self, result: RunResult, task: Task) -> None:
        """Note that the training has ended, and with which calibration of its answers."""
        self.record = self.record.model_copy(update={"result": result, "task": task})
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
    names = ("lenssim", "torch", "lightning", "timm", "torchmetrics", "scikit-learn", "numpy")
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
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot use {folder} as the run's folder: {error.strerror}") from None
    run = Run(folder, record)
    run.write()
    return run


def begin(model: Model, folder: Path) -> Start:
    """Give a model the best weights of the run in `folder`, but for layers of another shape (head, bands).

    `ConfigError` if that run is of another net; `DataError` if it is none, or its checkpoint is damaged.
    """
    run = open_run(folder)
    if run.record.config.net != model.name:
        raise ConfigError(
            f"{folder} is a run of the net {run.record.config.net}: {model.name} cannot start with its weights; "
            f"choose --net {run.record.config.net}, or another --start"
        )
    load_weights(model, run.best, partly=True)
    return Start(checkpoint_sha256=run.digest, data=run.record.seen)


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
        raise DataError(f"{path} is not what lenssim train writes: {where}: {message}") from None
