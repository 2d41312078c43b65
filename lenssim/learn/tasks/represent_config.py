"""Settings of a representation without labels."""

from typing import Literal

from pydantic import Field

from lenssim.learn.config import TrainConfig

__all__ = ["RepresentConfig"]


class RepresentConfig(TrainConfig):
    """Settings of a training of the task `represent`."""

    task: Literal["represent"] = Field(
        default="represent",
        description="Train a network to embed images without labels, as a start of others",
    )
    embedding: int = Field(
        default=128, ge=2, le=2**14, description="Numbers that an image becomes"
    )
    method: str = Field(
        default="simclr", description="How the weights are found: simclr or mae"
    )
    augment: str = Field(
        default="dihedral+recentre=2+gaussian+psf",
        description="What makes views of an image that should lie near each other",
    )
