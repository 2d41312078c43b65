"""Settings of clusters without labels."""

from typing import Literal

from pydantic import Field

from lenssim.learn.config import TrainConfig

__all__ = ["ClusterConfig"]


class ClusterConfig(TrainConfig):
    """Settings of a training of the task `cluster`."""

    task: Literal["cluster"] = Field(
        default="cluster",
        description="Train a network to part images into clusters without labels",
    )
    clusters: int = Field(default=2, ge=2, le=1000, description="Number of clusters")
    method: str = Field(default="scan", description="How the weights are found: scan")
