"""The request of a mosaic: its size, and what lies in it."""

from typing import Literal

from pydantic import Field

from lenssim.record import Record

__all__ = ["MosaicRequest"]


class MosaicRequest(Record):
    """What a mosaic shows.

    Example:
        >>> MosaicRequest(size=512).lenses
        100
    """

    size: int = Field(default=4096, ge=128, le=1 << 17, description="Pixels a side")
    lenses: int = Field(
        default=100,
        ge=0,
        le=1 << 24,
        description="Samples of the preset that are injected, from number 0 on",
    )
    galaxies: float = Field(
        default=30.0,
        ge=0,
        le=1000,
        description="Field galaxies brighter than 25 mag per square arcmin",
    )
    stars: float = Field(
        default=2.0, ge=0, le=1000, description="Stars from 17 to 25 mag per square arcmin"
    )
    bad_pixels: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="Share of pixels that are dead or hit by cosmic rays, and masked",
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**128 - 1,
        description="Seed of all random numbers; lenses are those of a data set of this seed",
    )
    split: Literal["train", "validation", "test"] = Field(
        default="test", description="Random stream: train, validation or test"
    )
    camera: str | None = Field(
        default=None,
        description="Instrument in place of the preset's (lenssim instruments lists them)",
    )
    ra: float = Field(
        default=150.0, ge=0, lt=360, description="Right ascension of the middle in degrees"
    )
    dec: float = Field(
        default=2.2, ge=-89, le=89, description="Declination of the middle in degrees"
    )
