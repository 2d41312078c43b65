"""The settings that every training has."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from lenssim.errors import LenssimError, explain_rule, unknown
from lenssim.lazy import load
from lenssim.record import Record
from lenssim.simulate.request import SimulationRequest

if TYPE_CHECKING:
    from lenssim.data.format.manifest import Plan
    from lenssim.simulate.preset import Preset

__all__ = ["IMAGE", "LiveData", "TrainConfig", "check_choice", "explain"]

IMAGE = "image"  # the picture that every data set has

# Functions that refuse an unknown value of a setting. They are imported when they are
# needed: the command line reads these models before it imports torch.
_CHECKS = {
    "net": "lenssim.learn.nets:check_net",
    "picture": "lenssim.data.format.maps:check_picture",
    "normalise": "lenssim.learn.inputs.normalise:normalisation",
    "augment": "lenssim.learn.inputs.augment:augmentation",
    "optimiser": "lenssim.learn.compute.optimisers:optimiser",
    "schedule": "lenssim.learn.compute.optimisers:schedule",
    "dropout": "lenssim.learn.nets.dropout:parse_dropout",
}


class LiveData(SimulationRequest):
    """Images that are simulated during training: every option of `lenssim render` and more."""

    n: int = Field(
        default=9000,
        ge=1,
        le=2**40,
        description="samples of an epoch, of which 80 % are trained on",
    )
    endless: bool = Field(default=False, description="other samples every epoch")

    def plan(self, base: "Preset | None" = None) -> "Plan":
        """Return the plan of an epoch.

        Args:
            base: A preset in place of the one that `model` names.

        Raises:
            ConfigError: What is asked for cannot be.
        """
        from lenssim.data.format.spec import GenerationSpec
        from lenssim.data.generation.planning import plan_of

        spec = GenerationSpec.of(self.preset(base), **self.options())
        return plan_of(spec, self.n)


class TrainConfig(Record):
    """The settings of every training; those of a task stand in its subclass.

    Every field has a default, but one of `data` and `live` must be given. The command line
    and docs/training.md take names, defaults and descriptions from the fields.
    """

    free_on_resume: ClassVar[frozenset[str]] = frozenset(
        (
            *("data", "start", "through", "workers", "device", "devices"),
            *("compile", "checkpoint_steps", "logger"),
        )
    )
    """Settings that may change when a training goes on."""

    task: str = Field(description="Train a network")
    data: str | None = Field(
        default=None,
        description="Folder or URL of the data set; its train and validation blocks are used",
        json_schema_extra={"options": ["-d"]},
    )
    live: LiveData | None = Field(
        default=None,
        description="Instead of --data: a preset that is simulated while training",
    )
    net: str = Field(
        default="cnn",
        description="Network, such as cnn, compact, resnet18, vit or timm:NAME",
    )
    picture: str = Field(
        default=IMAGE,
        description="What the network sees: image, or clean, kappa, residual, sigma, mask if "
        "the data keep it; image+sigma is the image and then its noise map, and image+residual "
        "the image and then its residual",
    )
    start: str | None = Field(
        default=None,
        description="Run of the same net whose best weights the training starts from",
        json_schema_extra={"unset": "random weights"},
    )
    pretrained: bool = Field(
        default=False,
        description="Start from weights learned from ImageNet: efficientnet_lite0, with "
        "lenssim[pretrained]",
    )
    through: str | None = Field(
        default=None,
        description="Run of denoise: the network sees its answers for the images",
        json_schema_extra={"unset": "the images themselves"},
    )
    method: str = Field(
        default="supervised", description="How the weights are found, see docs/training.md"
    )
    method_settings: dict[str, Any] = Field(
        default={},
        description="Settings of the method alone, by name",
        json_schema_extra={"hidden": True},
    )
    epochs: int = Field(
        default=12, ge=1, le=10**9, description="Passes over the training images"
    )
    batch_size: int = Field(
        default=64,
        ge=2,
        le=2**24,
        description="Images in a step; an incomplete batch is left out",
    )
    optimiser: str = Field(
        default="adamw",
        description="Optimiser: adamw, adam (no weight decay), nadam, muon or sgd "
        "(momentum 0.9)",
    )
    schedule: str = Field(
        default="onecycle",
        description="Schedule of the learning rate: onecycle, cosine, exponential, tenths, "
        "constant, as_run or as_written",
    )
    learning_rate: float = Field(
        default=2e-3,
        gt=0,
        le=10,
        description="Learning rate at the start, or at the peak of onecycle",
        json_schema_extra={"options": ["--lr"]},
    )
    weight_decay: float = Field(
        default=1e-2, ge=0, description="Weight decay of all optimisers but adam"
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**63 - 1,
        description="Decides weights, order and augmentation",
    )
    normalise: str = Field(
        default="minmax",
        description="Scaling of each image: minmax, max, standard, asinh, sky, rings, symlog or "
        "none; band_minmax, band_max, band_standard, band_asinh scale each band by itself; "
        "residuals are scaled by symlog by default",
    )
    augment: str = Field(
        default="dihedral",
        description="Such as dihedral+recentre=2+psf, see docs/training.md",
    )
    dropout: Annotated[str, BeforeValidator(str)] = Field(
        default="0",
        description="Rate before every layer but the first, or concrete: a learned rate; "
        "answers draw it too",
    )
    draws: int = Field(
        default=16,
        ge=1,
        le=10**6,
        description="Passes of an answer, each with another dropout",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="Stop after this many epochs without a better validation loss",
        json_schema_extra={"unset": "never"},
    )
    limit: int | None = Field(
        default=None,
        ge=2,
        le=2**40,
        description="Use only this many training images",
        json_schema_extra={"unset": "all"},
    )
    checkpoint_steps: int | None = Field(
        default=None,
        ge=1,
        le=10**15,
        description="Save a checkpoint every this many steps too",
        json_schema_extra={"unset": "after each epoch only"},
    )
    logger: Literal["csv", "tensorboard", "wandb"] = Field(
        default="csv",
        description="Where losses go too: csv (metrics.csv alone), tensorboard or wandb",
    )
    workers: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Threads that read ahead; processes that simulate with --live",
    )
    precision: Literal["32", "bf16", "16"] = Field(
        default="32",
        description="Bits of the arithmetic: 32, bf16 (where the device has it) or 16",
    )
    compile: bool = Field(
        default=False,
        description="Compile the network by torch.compile: minutes first, then faster steps",
    )
    devices: int = Field(
        default=1,
        ge=1,
        le=4096,
        description="GPUs that share each batch, a process each",
    )
    device: str = Field(
        default="auto", description="Where networks are computed: auto, cpu, cuda or mps"
    )

    @model_validator(mode="before")
    @classmethod
    def _scale_residuals(cls, document: Any) -> Any:
        """Residuals are in units of sigma, which only symlog keeps."""
        if isinstance(document, dict) and document.get("picture") == "residual":
            return {"normalise": "symlog", **document}
        return document

    @model_validator(mode="after")
    def _check_live_picture(self) -> Self:
        if self.live is None or self.picture in (IMAGE, *(self.live.maps or ())):
            return self
        if self.picture != IMAGE:
            raise ValueError(
                f"live data have no {self.picture!r} beside their images: "
                "give data that keep it"
            )
        return self

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if (self.data is None) == (self.live is None):
            raise ValueError(
                "give either data, the folder of a data set, or live, a preset to simulate "
                "while training"
            )
        return self

    @field_validator(*_CHECKS)
    @classmethod
    def _check_names(cls, name: str, info: Any) -> str:
        return check_choice(load(_CHECKS[info.field_name]), name)

    @property
    def label(self) -> str:
        """What stands in titles for what is trained: the net."""
        return self.net

    def changes(self, other: "TrainConfig") -> list[str]:
        """Name the settings in which `other` would not continue this training, a line each.

        The data, the first weights and the computer may change. The number of epochs may
        change too, unless the schedule depends on it.
        """
        from lenssim.learn.compute.optimisers import schedule

        free = set(self.free_on_resume)
        if not schedule(self.schedule).laid_out:
            free.add("epochs")
        before = self.model_dump()
        after = other.model_dump()
        return [
            f"{name}: {before.get(name)} there, {after.get(name)} asked for"
            for name in {**before, **after}
            if name not in free and before.get(name) != after.get(name)
        ]


def check_choice(check: Callable[[str], Any], name: str) -> str:
    """Return a name that `check` accepts; its error becomes a `ValueError` for pydantic."""
    try:
        check(name)
    except LenssimError as error:
        raise ValueError(str(error)) from None
    return name


def explain(problem: dict[str, Any], kind: type[BaseModel]) -> str:
    """Say what pydantic found wrong with a setting of a model."""
    key = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return str(unknown("setting", key, kind.model_fields))
    if problem["type"] == "missing":
        field = kind.model_fields.get(key)
        meaning = field.description if field is not None else None
        option = f"--{key.replace('_', '-')}"
        return f"{key} is missing; give {option}, or {key} in a recipe: {meaning or key}"
    if problem["type"] == "value_error":
        return problem["msg"].removeprefix("Value error, ")
    return f"{key}: {explain_rule(problem)}"
