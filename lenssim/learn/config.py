"""What one training is asked to do."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from lenssim.data.format.manifest import Plan
from lenssim.data.format.maps import IMAGE, check_picture
from lenssim.data.format.spec import GenerationSpec
from lenssim.data.generation.planning import plan_of
from lenssim.errors import LenssimError, unknown
from lenssim.learn.compute.optimisers import optimiser, schedule
from lenssim.learn.heads import head
from lenssim.learn.inputs.augment import augmentation
from lenssim.learn.inputs.normalise import normalisation
from lenssim.learn.nets import check_net
from lenssim.learn.nets.dropout import parse_dropout
from lenssim.simulate.spec import SimulationRequest

__all__ = ["ClassifyConfig", "LiveData", "RegressConfig", "TrainConfig", "explain"]

_REGISTRIES: dict[str, Callable[[str], Any]] = {
    "net": check_net,
    "picture": check_picture,
    "head": lambda name: head(name, 1),
    "normalise": normalisation,
    "augment": augmentation,
    "optimiser": optimiser,
    "schedule": schedule,
    "dropout": parse_dropout,
}


class LiveData(SimulationRequest):
    """Images that are simulated during training: every option of `lenssim render` and more."""

    n: int = Field(
        default=9000,
        ge=1,
        description="samples of an epoch, of which 80 % are trained on",
    )
    endless: bool = Field(default=False, description="other samples every epoch")

    def plan(self) -> Plan:
        """Return the plan of an epoch.

        Raises:
            ConfigError: What is asked for cannot be.
        """
        spec = GenerationSpec.of(self.preset(), **self.options())
        return plan_of(spec, self.n)


class TrainConfig(BaseModel):
    """The settings of every training; those of one task are a subclass. Every field has a default except the data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str = Field(description="the question asked")
    net: str = Field(
        default="cnn",
        description="network, by its name, or timm:NAME for any model of timm",
    )
    data: str | None = Field(
        default=None,
        description="folder of the data set; its train and validation blocks are used",
    )
    live: LiveData | None = Field(
        default=None, description="in place of data: simulate while training"
    )
    picture: str = Field(
        default=IMAGE,
        description="what is shown of each sample: its image, or a picture beside it",
    )
    start: str | None = Field(
        default=None,
        description="folder of a run of the same net whose weights to begin with; None: at random",
    )
    epochs: int = Field(default=12, ge=1, description="passes over the training samples")
    batch_size: int = Field(default=64, ge=2, description="images a step")
    optimiser: str = Field(
        default="adamw", description="by its name in the registry; adam has no weight decay"
    )
    schedule: str = Field(
        default="onecycle", description="of the learning rate, by its name in the registry"
    )
    learning_rate: float = Field(
        default=2e-3, gt=0, le=10, description="at the start; at the peak with onecycle"
    )
    weight_decay: float = Field(
        default=1e-2, ge=0, description="of all optimisers but adam"
    )
    seed: int = Field(
        default=0, ge=0, description="decides weights, order and augmentation"
    )
    normalise: str = Field(
        default="minmax",
        description="what is done to each image first; symlog if left out for residuals",
    )
    augment: str = Field(
        default="dihedral", description="names joined by +, see docs/training.md"
    )
    dropout: Annotated[str, BeforeValidator(str)] = Field(
        default="0",
        description="rate before every layer but the first, or concrete: learned; drawn in answers too",
    )
    draws: int = Field(
        default=16,
        ge=1,
        description="passes of an answer, each with another draw of the dropout",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="stop after so many epochs without a better validation loss; None: never",
    )
    limit: int | None = Field(
        default=None, ge=2, description="use only the first training samples, this many"
    )
    checkpoint_steps: int | None = Field(
        default=None,
        ge=1,
        description="also save within an epoch, after so many steps; None: at its end only",
    )
    workers: int = Field(
        default=0,
        ge=0,
        le=256,
        description="threads that read ahead; processes for live data",
    )
    precision: Literal["32", "bf16", "16"] = Field(
        default="32",
        description="of the arithmetic; bf16 only where the device has it, else 32",
    )
    compile: bool = Field(
        default=False,
        description="the network, by torch.compile: minutes first, then faster steps",
    )
    devices: int = Field(
        default=1, ge=1, description="how many share each batch, a process each"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or mps")

    @model_validator(mode="before")
    @classmethod
    def _in_sigma(cls, document: Any) -> Any:
        """Residuals mean something in units of sigma alone."""
        if isinstance(document, dict) and document.get("picture") == "residual":
            return {"normalise": "symlog", **document}
        return document

    @model_validator(mode="after")
    def _shown(self) -> "TrainConfig":
        if self.live is None or self.picture in (IMAGE, *(self.live.maps or ())):
            return self
        if self.picture != IMAGE:
            raise ValueError(
                f"live data have no {self.picture!r} beside their images: give data that keep it"
            )
        return self

    @model_validator(mode="after")
    def _one_source(self) -> "TrainConfig":
        if (self.data is None) == (self.live is None):
            raise ValueError(
                "give either data, the folder of a data set, or live, a preset to simulate while training"
            )
        return self

    @field_validator(*_REGISTRIES, check_fields=False)  # some are settings of one task
    @classmethod
    def _known(cls, name: str, info: Any) -> str:
        try:
            _REGISTRIES[info.field_name](name)
        except LenssimError as error:
            raise ValueError(str(error)) from None
        return name

    def changes(self, other: "TrainConfig") -> list[str]:
        """Lines naming the settings in which `other` would not continue this training.

        Where data and first weights are read, and where and how they are computed on, may change; the number of epochs
        too, unless the schedule is laid out over it.
        """
        free = {
            "data",
            "start",
            "workers",
            "device",
            "devices",
            "compile",
            "checkpoint_steps",
        }
        if not schedule(self.schedule).laid_out:
            free.add("epochs")
        mine, asked = self.model_dump(), other.model_dump()
        names = [
            name
            for name in {**mine, **asked}
            if name not in free and mine.get(name) != asked.get(name)
        ]
        return [
            f"{name}: {mine.get(name)} there, {asked.get(name)} asked for" for name in names
        ]


class ClassifyConfig(TrainConfig):
    """A training of the task `classify`."""

    task: Literal["classify"] = Field(
        default="classify", description="which class an image is of"
    )
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Field(gt=0)]] | None = (
        Field(
            default=None,
            description="in the loss, by class; balanced: as much for each class however many it has",
        )
    )


class RegressConfig(TrainConfig):
    """A training of the task `regress`."""

    task: Literal["regress"] = Field(description="how large true parameters are")
    targets: tuple[str, ...] = Field(
        min_length=1, description="names of the parameters, columns of the data set"
    )
    head: str = Field(
        default="full",
        description="point, diagonal, full (the whole covariance), mixture or flow",
    )
    only: str | None = Field(default=None, description="samples of one class only")
    augment: str = Field(
        default="none", description="as of every training; targets move along"
    )

    @field_validator("targets")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"targets: {', '.join(names)}: give each once")
        return names

    @model_validator(mode="after")
    def _targets_follow(self) -> "RegressConfig":
        try:
            augmentation(self.augment, self.targets)
        except LenssimError as error:
            raise ValueError(str(error)) from None
        return self


def explain(problem: dict[str, Any], kind: type[TrainConfig]) -> str:
    """What pydantic found wrong with a setting, in our words."""
    key = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return str(unknown("setting", key, kind.model_fields))
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "value_error":
        return problem["msg"].removeprefix("Value error, ")
    return f"{key}: {problem['msg'].replace('Input should be', 'must be')}, got {problem['input']!r}"
