"""Settings of a training that may be adapted to images of another kind."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lenssim.learn.config import TrainConfig

__all__ = ["AdaptableConfig"]


class AdaptableConfig(TrainConfig):
    """Settings of a training whose images may be of another kind than those that matter."""

    free_on_resume: ClassVar[frozenset[str]] = TrainConfig.free_on_resume | {"target"}

    target: str | None = Field(
        default=None,
        description="Folder or URL of the data set that the network is adapted to; its labels "
        "are not read",
        json_schema_extra={"unset": "no adaptation"},
    )
    adapt: str | None = Field(
        default=None,
        description="How the network is adapted to --target, see docs/adaptation.md; the same "
        "as --method",
        json_schema_extra={"unset": "no adaptation"},
    )
    select: Literal["source", "alignment", "infomax", "bnm"] = Field(
        default="source",
        description="What chooses the epoch of an adaptation, without target labels: source, "
        "alignment (source and alignment loss), infomax or bnm",
    )

    @model_validator(mode="before")
    @classmethod
    def _name_the_method(cls, document: Any) -> Any:
        """Take `adapt` as the name of the method."""
        if not isinstance(document, dict) or document.get("adapt") is None:
            return document
        name = document["adapt"]
        if document.get("method", name) not in (name, "supervised"):
            raise ValueError(f"adapt is {name} and method {document['method']}: give one")
        return {**document, "method": name}

    @model_validator(mode="after")
    def _check_target(self) -> Self:
        if self.adapt is not None and self.target is None:
            raise ValueError(
                f"adapt {self.adapt} needs a target: the data set that the network is "
                "adapted to"
            )
        return self
