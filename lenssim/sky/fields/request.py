"""The request of an extraction: how objects of a wide field become stamps."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lenssim.record import Record, split_values

__all__ = ["ExtractRequest"]


class ExtractRequest(Record):
    """How the objects of a wide field are found and cut out.

    Example:
        >>> ExtractRequest(bands="g,r").bands
        ('g', 'r')
    """

    num_pix: int = Field(default=64, ge=8, le=1024, description="Pixels a side of a stamp")
    pixel_scale: float | None = Field(
        default=None,
        gt=1e-4,
        lt=600,
        description="Pixel scale of the stamps in arcsec; other than the field's: resampled",
        json_schema_extra={"unset": "that of the field"},
    )
    native_scale: float | None = Field(
        default=None,
        gt=1e-4,
        lt=600,
        description="Pixel scale of the field in arcsec, in place of what its header says",
    )
    bands: Annotated[tuple[str, ...], BeforeValidator(split_values)] = Field(
        default=(),
        description="Which bands, in which order: g,r,i",
        json_schema_extra={"text": True, "unset": "all, in the order of the files"},
    )
    extension: str | None = Field(
        default=None, description="The extensions with the images, one a band: 1,3"
    )
    noise_extension: str | None = Field(
        default=None, description="The extensions with the noise, one a band: 2,4"
    )
    mask_extension: str | None = Field(
        default=None, description="The extensions with the mask, one a band"
    )
    noise_kind: Literal["sigma", "variance", "weight"] | None = Field(
        default=None,
        description="What noise maps hold, where their names do not say it: sigma, variance "
        "or weight",
    )
    mask_means: Literal["bad", "good"] = Field(
        default="bad",
        description="What numbers of a mask other than 0 mean: bad or good pixels",
    )
    masked_values: Annotated[tuple[float, ...], BeforeValidator(split_values)] = Field(
        default=(),
        description="Values of pixels that mean masked, besides NaN",
        json_schema_extra={"text": True, "unset": "none"},
    )
    saturation: float | None = Field(
        default=None,
        description="Value from which pixels are saturated; such objects get no stamp",
        json_schema_extra={"unset": "SATURATE of the header"},
    )
    background: Literal["mesh", "none"] = Field(
        default="mesh",
        description="Background: mesh (measured and subtracted), or none (already subtracted)",
    )
    mesh: int = Field(
        default=64, ge=8, le=4096, description="Side of a mesh of the background in pixels"
    )
    threshold: float = Field(
        default=1.5,
        gt=0,
        le=1e4,
        description="Detection threshold of the filtered image, in rms of a pixel before it",
    )
    min_area: int = Field(
        default=5, ge=1, le=1 << 20, description="Fewest pixels above the threshold"
    )
    filter_fwhm: float | None = Field(
        default=None,
        gt=0,
        lt=600,
        description="FWHM of the detection filter in arcsec",
        json_schema_extra={"unset": "that of the PSF, or 2.5 pixels"},
    )
    deblend_contrast: float = Field(
        default=0.005,
        ge=0,
        le=1,
        description="Share of the flux that a peak needs to be an object; 1: no deblending",
    )
    aperture: float = Field(
        default=1.5, gt=0, lt=600, description="Radius of the apertures of fluxes in arcsec"
    )
    merge_radius: float = Field(
        default=1.8,
        ge=0,
        lt=600,
        description="Radius in arcsec within which fainter objects are parts of a galaxy; 0: none",
    )
    part_ratio: float = Field(
        default=0.4,
        ge=0,
        le=1,
        description="Largest brightness of a part at that radius, relative to its galaxy; it "
        "grows with the inverse square of the distance",
    )
    min_snr: float = Field(
        default=10.0, ge=0, description="Least signal to noise in the aperture for a stamp"
    )
    max_masked: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Largest share of masked pixels in the aperture of a galaxy",
    )
    tile: int = Field(
        default=1024,
        ge=64,
        le=1 << 15,
        description="Side of the tiles in pixels; memory depends on it, the result does not",
    )

    def config(self) -> dict[str, Any]:
        """Return what stamps depend on: the options that differ from their defaults."""
        return self.model_dump(mode="json", exclude={"tile"}, exclude_defaults=True)
