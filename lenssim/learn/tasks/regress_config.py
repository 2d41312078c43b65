"""Settings of a regression."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from lenssim.learn.config import check_choice
from lenssim.learn.tasks.adaptable_config import AdaptableConfig

__all__ = ["RegressConfig"]


class RegressConfig(AdaptableConfig):
    """Settings of a training of the task `regress`."""

    task: Literal["regress"] = Field(
        description="Train a network to measure true parameters, with errors"
    )
    targets: tuple[str, ...] = Field(
        min_length=1, description="True parameters to measure, such as theta_E,e1,e2"
    )
    head: str = Field(
        default="full",
        description="What is learned of the targets: point, diagonal, full (the whole "
        "covariance), mixture or flow",
    )
    only: str | None = Field(
        default=None,
        description="Use only the samples of this class",
        json_schema_extra={"unset": "all classes"},
    )
    augment: str = Field(
        default="none", description="As of classify: targets move along with the image"
    )

    @field_validator("head")
    @classmethod
    def _check_head(cls, name: str) -> str:
        from lenssim.learn.heads import head

        return check_choice(lambda word: head(word, 1), name)

    @field_validator("targets")
    @classmethod
    def _check_targets(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"targets: {', '.join(names)}: give each once")
        return names

    @model_validator(mode="after")
    def _check_symmetry(self) -> Self:
        """Refuse an augmentation that the targets cannot follow."""
        from lenssim.learn.inputs.augment import augmentation

        check_choice(lambda text: augmentation(text, self.targets), self.augment)
        return self
