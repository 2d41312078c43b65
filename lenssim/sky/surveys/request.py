"""The request of a survey: how much of its sky is drawn, and which lenses become images."""

from __future__ import annotations

from pydantic import Field, model_validator

from lenssim.record import Record
from lenssim.simulate.request import Names

__all__ = ["SurveyRequest"]


class SurveyRequest(Record):
    """How much of a survey's sky is drawn, and which of its lenses become images.

    Example:
        >>> SurveyRequest(area=2.0).all
        False
    """

    area: float | None = Field(
        default=None, gt=0, description="area of sky that is drawn, in square degrees"
    )
    n: int | None = Field(
        default=None,
        ge=1,
        description="number of lenses, in place of an area",
        json_schema_extra={"options": ["-n"]},
    )
    all: bool = Field(
        default=False,
        description="keep all ideal lenses, and not only those that are found",
    )
    rule: str | None = Field(
        default=None,
        description="rule of what is found: collett2015, collett2015_coded, euclid_q1, "
        "resolved, all, or an expression such as 'theta_E > 0.5 and snr > 40'",
        json_schema_extra={"unset": "the survey's"},
    )
    dark_matter: Names | None = Field(
        default=None,
        description="dark matter in the lenses, such as no_sub,cdm",
        json_schema_extra={"unset": "none: smooth lenses"},
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**128 - 1,
        title="the seed",
        description="with survey and split it decides the sky",
    )
    split: str = Field(
        default="train",
        description="which of three different skies: train, validation or test",
    )
    double_sources: bool = Field(
        default=False,
        description="show the second source of deflectors that have one: a lens each, "
        "with columns such as source2_z",
    )
    noise: str | None = Field(
        default=None,
        description="kind of noise of the images: nominal or none",
        json_schema_extra={"unset": "nominal"},
    )
    detectability: bool = Field(
        default=False,
        description="with dark matter: store the expected delta chi2 of each lens, and count "
        "those whose substructure would be seen",
    )
    catalogue_only: bool = Field(
        default=False, description="draw the catalogue and the page, and no images"
    )

    @model_validator(mode="after")
    def _of_one_size(self) -> SurveyRequest:
        if (self.area is None) == (self.n is None):
            raise ValueError("give either area or n")
        if self.detectability and not self.dark_matter:
            raise ValueError(
                "detectability goes with dark_matter, whose substructure is seen"
            )
        if self.double_sources and self.detectability:
            raise ValueError(
                "detectability is that of one source: leave double_sources out"
            )
        return self
