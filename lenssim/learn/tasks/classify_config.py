"""Settings of a classification."""

from typing import Annotated, Literal

from pydantic import Field

from lenssim.learn.config import TrainConfig

__all__ = ["ClassifyConfig"]

_Weight = Annotated[float, Field(gt=0)]


class ClassifyConfig(TrainConfig):
    """Settings of a training of the task `classify`."""

    task: Literal["classify"] = Field(
        default="classify",
        description="Train a network to tell the classes of a data set apart",
    )
    class_weights: Literal["balanced"] | dict[str, _Weight] | None = Field(
        default=None,
        description="Weights of the classes in the loss: balanced, or such as no_sub=1,cdm=2",
        json_schema_extra={"unset": "all alike"},
    )
