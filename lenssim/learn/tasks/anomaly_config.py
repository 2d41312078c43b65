"""Settings of a detector of anomalies."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from lenssim.lazy import load
from lenssim.learn.config import TrainConfig, check_choice

__all__ = ["AnomalyConfig"]

_CHECK = "lenssim.learn.methods.detectors:check_detector"
_DEFAULT = "pca"


class AnomalyConfig(TrainConfig):
    """Settings of a training of the task `anomaly`."""

    task: Literal["anomaly"] = Field(
        default="anomaly",
        description="Train a detector of what is unlike the images of one class",
    )
    detector: str = Field(
        default=_DEFAULT,
        description="What scores an image: chi2, statistics, pca, ae, vae, aae, flow or "
        "patchcore",
    )
    normal: str = Field(
        default="no_sub",
        description="The usual class: the only one that is learned from, unless --unlabelled",
    )
    unlabelled: bool = Field(
        default=False, description="Learn from all images, whatever their classes"
    )
    alarm_rate: float = Field(
        default=0.01,
        gt=0,
        lt=1,
        description="Share of usual images that may raise an alarm",
    )
    method: str = Field(
        default=_DEFAULT,
        description="The same as detector",
        json_schema_extra={"hidden": True},
    )
    net: str = Field(
        default="cnn", description="Network whose features patchcore compares, such as cnn"
    )
    normalise: str = Field(
        default="max",
        description="Scaling of each image, as of classify; none of residuals",
    )
    augment: str = Field(
        default="none", description="As of classify: what turns or moves images"
    )

    @model_validator(mode="before")
    @classmethod
    def _join_method(cls, document: Any) -> Any:
        """A detector is a method: both names mean one thing."""
        if not isinstance(document, dict):
            return document
        name = document.get("detector", document.get("method", _DEFAULT))
        picture = str(document.get("picture", ""))
        if picture == "residual":
            document = {"normalise": "none", **document}
        elif "+" in picture:
            document = {"normalise": "band_max", **document}
        return {"detector": name, "method": name, **document}

    @field_validator("detector")
    @classmethod
    def _check_detector(cls, name: str) -> str:
        return check_choice(load(_CHECK), name)

    @model_validator(mode="after")
    def _check_method(self) -> Self:
        if self.method != self.detector:
            raise ValueError(
                f"detector {self.detector} and method {self.method} differ: give --detector "
                "alone"
            )
        return self

    @property
    def label(self) -> str:
        """What stands in titles for what is trained."""
        return self.detector
