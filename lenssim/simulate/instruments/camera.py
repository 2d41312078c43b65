"""Cameras of several bands on one grid of pixels."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from lenssim.errors import ConfigError, unknown
from lenssim.names import printable
from lenssim.simulate.instruments.instrument import Band, Instrument, Stamp

__all__ = [
    "CAMERA_TAGS",
    "MAX_BANDS",
    "AnyCamera",
    "BandNames",
    "Camera",
    "CameraChoice",
    "check_band_names",
    "one_band",
]

MAX_BANDS = 64
MAX_NAME = 32  # characters

BandName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*$", max_length=MAX_NAME)]


def check_band_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Check that names of bands differ by more than capitals, and return them.

    Raises:
        ValueError: Two names are the same, or differ only by capitals.

    Example:
        >>> check_band_names(("g", "r"))
        ('g', 'r')
    """
    seen: dict[str, str] = {}
    for name in names:
        folded = name.casefold()
        if folded in seen:
            raise ValueError(
                f"two bands are called {seen[folded]} and {name}: give each its own name"
            )
        seen[folded] = name
    return names


BandNames = Annotated[tuple[BandName, ...], AfterValidator(check_band_names)]


class Camera(Stamp):
    """A camera of several bands, whose images lie on one grid of pixels.

    Each band has its own PSF, zero point, exposure and noise. The order of the bands is that
    of the images' second axis. Figures take the first band for blue and the last for red.

    Example:
        >>> band = {"exposure_time": 100, "background_rms": 0.1, "psf": {"fwhm": 0.2}}
        >>> camera = Camera(name="toy", pixel_scale=0.1, bands={"g": band, "r": band})
        >>> camera.band_names, camera.band("r").name
        (('g', 'r'), 'toy_r')
    """

    bands: dict[BandName, Band] = Field(min_length=1, max_length=MAX_BANDS)

    @field_validator("bands")
    @classmethod
    def _differently_named(cls, bands: dict[str, Band]) -> dict[str, Band]:
        check_band_names(tuple(bands))
        return bands

    @model_validator(mode="after")
    def _usable(self) -> "Camera":
        for name in self.bands:
            try:
                self._instrument(name)
            except ValueError as error:
                # of pydantic's report only the sentence, without its type and link
                message = str(error).partition("Value error, ")[2].partition(" [type=")[0]
                raise ValueError(f"band {name}: {message or error}") from None
        return self

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The instrument of each band, in the order of the bands."""
        return tuple(self._instrument(name) for name in self.bands)

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the bands, in the order of the images' second axis."""
        return tuple(self.bands)

    def band(self, name: str) -> Instrument:
        """Return one band as an instrument of its own.

        Raises:
            ConfigError: There is no such band; the message suggests the nearest.
        """
        if name not in self.bands:
            raise unknown(
                f"band of {printable(self.name)}",
                printable(name),
                self.bands,
                code="unknown-band",
            )
        return self.instruments[self.band_names.index(name)]

    def _instrument(self, name: str) -> Instrument:
        band = self.bands[name]
        values = {field: getattr(band, field) for field in Band.model_fields}
        summary = f"{self.summary or self.name}, band {name}"
        return Instrument(
            name=f"{self.name}_{name}",
            summary=summary,
            source=self.source,
            num_pix=self.num_pix,
            pixel_scale=self.pixel_scale,
            **values,
        )


AnyCamera = Instrument | Camera
CAMERA_TAGS = ("one_band", "several_bands")


def _tag(data: Any) -> str:
    """Return the tag of a camera, or of the keys from which one is built."""
    if isinstance(data, BaseModel):
        return CAMERA_TAGS[isinstance(data, Camera)]
    return CAMERA_TAGS[isinstance(data, dict) and "bands" in data]


CameraChoice = Annotated[
    Annotated[Instrument, Tag("one_band")] | Annotated[Camera, Tag("several_bands")],
    Discriminator(_tag),
]


def one_band(camera: AnyCamera, what: str) -> Instrument:
    """Return the camera if it is an `Instrument`; a `Camera` with named bands is refused.

    Args:
        camera: A camera.
        what: How the error message begins, such as "COOLEST describes".

    Raises:
        ConfigError: The camera has named bands.
    """
    if isinstance(camera, Instrument):
        return camera
    raise ConfigError(
        f"{what} one band, and {printable(camera.name)} has the bands "
        f"{', '.join(camera.band_names)}: give camera.band(name) and scenes.in_band(name)",
        code="several-bands",
        bands=camera.band_names,
    )
