"""The request of a fit: how the lenses of a data set are modelled."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lenssim.record import Record

__all__ = ["FitRequest"]

_NOT_IN_BITS = {  # or stated otherwise
    "n",
    "device",
    "guesses",
    "start",
    "native_scale",
    "skip_bad",
}


class FitRequest(Record):
    """How the lenses of a data set are modelled.

    Example:
        >>> FitRequest(source="sersic").config()["source"]
        'sersic'
    """

    source: Literal["mge", "sersic", "pixels"] = Field(
        default="mge",
        description="Source of the last fit: mge (Gaussians), sersic (a power "
        "law with shear and Sersic light), or pixels, whose evidence chooses among the minima",
    )
    mass: Literal["sie", "epl"] = Field(
        default="sie",
        description="Mass of the last fit: sie (isothermal) or epl (a power law); source sersic "
        "always has a power law",
    )
    lens_light: Literal["auto", "yes", "no"] = Field(
        default="auto",
        description="Whether the lens shines; auto: as simulated, and yes for real images",
    )
    band: str | None = Field(
        default=None,
        description="Name or number of the band that is fitted",
        json_schema_extra={"unset": "that with the most signal and the sharpest PSF"},
    )
    guesses: Path | None = Field(
        default=None,
        description="CSV of further starts: name, theta_E, and perhaps e1, e2, gamma1, gamma2",
    )
    multipoles: bool = Field(
        default=False,
        description="Let the mass have multipoles of orders 3 and 4 in the last fit (source mge)",
    )
    quick: bool = Field(
        default=False,
        description="Fewer starts, no finer scan, no companions and no clumps: two to five times faster, "
        "and less safe",
    )
    start: Path | None = Field(
        default=None,
        description="Run of regress whose posteriors add starts: theta_E at its mean, and 1 and 2 sigma from it",
    )
    native_scale: float | None = Field(
        default=None,
        gt=1e-4,
        lt=600,
        description="Pixel scale of FITS files in arcsec, where their headers do not say it",
    )
    skip_bad: bool = Field(
        default=False, description="Leave out FITS files that cannot be used, and name them"
    )
    n: int | None = Field(default=None, ge=1, description="Only the first so many lenses")
    device: Literal["cpu", "cuda"] = Field(
        default="cpu", description="Where the search works: cpu or cuda"
    )

    @property
    def has_slope(self) -> bool:
        """Whether the mass of the search gets a slope, before any fit of Sersic light."""
        return self.mass == "epl" and self.source != "sersic"

    def config(self) -> dict[str, Any]:
        """Return what the bits of a model depend on."""
        document = self.model_dump(mode="json", exclude=_NOT_IN_BITS)
        for name in ("multipoles", "quick"):
            if not document[name]:
                del document[name]
        if self.mass == "sie":
            del document["mass"]
        if self.device != "cpu":
            document["device"] = self.device
        return document
