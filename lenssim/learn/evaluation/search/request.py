"""The request of a search: how a field is searched by a run."""

from pydantic import Field

from lenssim.sky.fields.request import ExtractRequest

__all__ = ["OF_THE_RUN", "SearchRequest"]

OF_THE_RUN = ("num_pix", "pixel_scale")  # what the run decides


class SearchRequest(ExtractRequest):
    """How a field is searched. The run decides the size and pixel scale of the stamps.

    Example:
        >>> SearchRequest(top=50).extraction(num_pix=64, pixel_scale=None).num_pix
        64
    """

    top: int = Field(
        default=200, ge=1, le=5000, description="Stamps on the page, the best first"
    )

    def extraction(
        self, num_pix: int, pixel_scale: float | None, bands: tuple[str, ...] = ()
    ) -> ExtractRequest:
        """Return the extraction that gives stamps as a run takes them.

        Args:
            num_pix: Pixels a side.
            pixel_scale: Pixel scale to resample to [arcsec]; None: that of the field.
            bands: Names of the bands of the run, where the user names none.
        """
        values = self.model_dump(exclude={"top"})
        values |= {"num_pix": num_pix, "pixel_scale": pixel_scale}
        if not self.bands and bands:
            values["bands"] = bands
        return ExtractRequest(**values)
