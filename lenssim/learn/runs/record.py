"""What run.json holds: settings, task, data, versions and result of a training."""

import platform
from importlib.metadata import version
from typing import Any

from pydantic import Field, SerializeAsAny, model_validator

from lenssim.data.format.origin import Origin
from lenssim.data.streaming.source import ImageSource
from lenssim.learn.compute.cost import Cost
from lenssim.learn.config import IMAGE, TrainConfig
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.tasks import Task, task_class
from lenssim.record import Record

__all__ = [
    "DataIdentity",
    "RunRecord",
    "RunResult",
    "Start",
    "Through",
    "identify",
    "versions",
]

_DEPENDENCIES = (
    "lenssim",
    "torch",
    "lightning",
    "timm",
    "torchmetrics",
    "scikit-learn",
    "numpy",
)


class DataIdentity(Record):
    """Which data a run has learned from, or is judged on.

    This is enough to find the data again, and to know whether two data sets share samples.
    """

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
        title = f"{self.kind} {self.fingerprint[:8]}"
        if self.preset:
            title = f"preset {self.preset}, noise {self.noise}"
        if self.picture != IMAGE:
            title += f", {self.picture}"
        return title

    def shares_samples(self, other: "DataIdentity") -> bool:
        """Whether some scenes may be in both data sets.

        This is so for the same contents or config, and for the same seed and split of any
        preset: presets drawn with one seed use the same random numbers, so that their
        lenses and sources are alike.
        """
        if self.fingerprint == other.fingerprint or self.config_hash == other.config_hash:
            return True
        same_draw = (self.seed, self.split) == (other.seed, other.split)
        return self.seed is not None and same_draw


class Start(Record):
    """The weights that a training started from.

    `data` are all data that they had learned from.
    """

    checkpoint_sha256: str
    data: tuple[DataIdentity, ...]


class Through(Record):
    """The denoiser that stands before a network. Its weights lie in the run's own checkpoint.

    `data` are all data that it has learned from.
    """

    net: str
    checkpoint_sha256: str
    data: tuple[DataIdentity, ...]


class RunResult(Record):
    """How a training ended.

    Validation scores are those of the best epoch, whose weights the run keeps.
    """

    epochs: int
    best_epoch: int
    val_loss: float
    scores: dict[str, float]
    seconds: float
    stopped: str
    cost: Cost | None = None


class RunRecord(Record):
    """The content of run.json.

    `result` is None until the training has ended. `files` holds the SHA-256 of the files
    that answers depend on, by path in the run's folder. It is empty until the training has
    ended (hashes.json has them until then), and None for a run that was made before files
    were hashed.
    """

    format: str = Field(default="lenssim-run/2", pattern=r"^lenssim-run/2$")
    config: SerializeAsAny[TrainConfig]
    task: SerializeAsAny[Task]
    images: ImageDescription
    parameters: int
    samples: dict[str, int]
    data: DataIdentity
    start: Start | None = None
    through: Through | None = None
    target: DataIdentity | None = None
    versions: dict[str, str]
    result: RunResult | None = None
    files: dict[str, str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_task(cls, document: Any) -> Any:
        """Read settings and task as those of the task that the settings name."""
        settings = document.get("config")
        if not isinstance(settings, dict):
            return document
        kind = task_class(str(settings.get("task")))
        config = kind.settings.model_validate(settings)
        task = kind.model_validate(document.get("task"))
        return {**document, "config": config, "task": task}

    @property
    def seen(self) -> tuple[DataIdentity, ...]:
        """All data that the weights have learned from, in this training and before it."""
        seen = [self.data]
        for earlier in (self.start, self.through):
            if earlier is not None:
                seen += earlier.data
        if self.target is not None:
            seen.append(self.target)
        return tuple(seen)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of the images."""
        return self.images.shape


def identify(dataset: ImageSource) -> DataIdentity:
    """Return which data a data set holds, or simulates."""
    origin = Origin.of(dataset.config)
    return DataIdentity(
        fingerprint=dataset.fingerprint,
        config_hash=dataset.config_hash,
        n=len(dataset),
        kind=origin.kind or "unknown",
        preset=origin.preset,
        picture=dataset.picture,
        noise=origin.noise,
        seed=origin.seed,
        split=origin.split,
        engine=origin.engine,
    )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    packages = {name: version(name) for name in _DEPENDENCIES}
    return {"python": platform.python_version(), **packages}
