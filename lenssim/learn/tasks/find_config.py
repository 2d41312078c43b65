"""Settings of a finder."""

from typing import Literal, Self

from pydantic import Field, model_validator

from lenssim.learn.tasks.adaptable_config import AdaptableConfig

__all__ = ["FindConfig"]


class FindConfig(AdaptableConfig):
    """Settings of a training of the task `find`."""

    task: Literal["find"] = Field(
        default="find",
        description="Train a network to find the images of one class among all others",
    )
    positive: str = Field(default="lens", description="The class to be found")
    prevalence: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Share of this class for which probabilities and purities are stated",
        json_schema_extra={"unset": "that of the validation images"},
    )
    views: Literal["mean", "product"] = Field(
        default="mean",
        description="How the answers of several passes are joined: mean, or product as in the "
        "lens-finding challenge",
    )
    balanced: bool = Field(
        default=False, description="Found class and all others weigh alike in the loss"
    )
    balanced_batches: bool = Field(
        default=False, description="Half of the images of each batch are of the found class"
    )

    @model_validator(mode="after")
    def _check_balance(self) -> Self:
        if self.balanced and self.balanced_batches:
            raise ValueError("balanced and balanced_batches do the same: give one of them")
        return self
