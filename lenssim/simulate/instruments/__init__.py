"""Cameras: frozen numbers, one YAML file each, and what follows from them."""

import math
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from lenssim.errors import ConfigError, unknown
from lenssim.formats.texts import read_text
from lenssim.formats.yaml import parse_yaml
from lenssim.names import printable
from lenssim.simulate.instruments.camera import (
    CAMERA_TAGS,
    MAX_BANDS,
    AnyCamera,
    BandNames,
    Camera,
    CameraChoice,
    one_band,
)
from lenssim.simulate.instruments.instrument import Band, Instrument, Stamp
from lenssim.simulate.psf import PSF, PSF_KINDS, GaussianPSF, PixelPSF

__all__ = [
    "ADAPTIVE",
    "CAMERA_TAGS",
    "FINEST",
    "MAX_BANDS",
    "PSF",
    "PSF_KINDS",
    "AnyCamera",
    "Band",
    "BandNames",
    "Camera",
    "CameraChoice",
    "GaussianPSF",
    "Instrument",
    "PixelPSF",
    "Supersampling",
    "check_sampling",
    "coarsest_sampling",
    "extended",
    "instrument",
    "instruments",
    "one_band",
    "parse_sampling",
    "read_camera",
]

ADAPTIVE = "adaptive"
FINEST = 12  # rays a pixel side that are offered
Supersampling = (
    int | Literal["adaptive"]
)  # rays a pixel side, or as many as each pixel needs
_MAX_LIKE = 8
_CHOICE: TypeAdapter[Any] = TypeAdapter(CameraChoice)


def parse_sampling(text: str) -> Supersampling:
    """Supersampling as written on a command line; `ConfigError` for what is neither a number nor "adaptive"."""
    if text == ADAPTIVE:
        return "adaptive"
    if text not in map(str, range(1, FINEST + 1)):
        raise ConfigError(
            f"supersampling must lie in 1..{FINEST} or be {ADAPTIVE}, got {printable(text[:40])}",
            code="supersampling",
            text=text,
        )
    return int(text)


def check_sampling(camera: AnyCamera, supersampling: Supersampling) -> None:
    """`ConfigError` if rays so fine cannot be, or cannot serve the PSF of a band."""
    if supersampling == ADAPTIVE:
        return
    if not isinstance(supersampling, int) or supersampling < 1:
        raise ConfigError(
            f"supersampling must be a whole number of at least 1, or {ADAPTIVE!r}; got {supersampling!r}",
            code="supersampling",
            supersampling=supersampling,
        )
    for instrument in camera.instruments:
        fine = instrument.psf.supersampling
        if supersampling % fine:
            raise ConfigError(
                f"the PSF of {instrument.name} is sampled {fine} times finer than its pixels: "
                f"supersampling must be a multiple of that, got {supersampling}",
                code="supersampling",
                name=instrument.name,
                supersampling=fine,
            )


def coarsest_sampling(camera: AnyCamera) -> int:
    """Return the smallest number of rays a pixel side that serves the PSF of every band.

    Example:
        >>> coarsest_sampling(instrument("euclid_vis"))
        1
    """
    return math.lcm(*(band.psf.supersampling for band in camera.instruments))


def instruments() -> list[str]:
    """Names of the instruments that come with lenssim."""
    files = resources.files(__name__).iterdir()
    return sorted(
        file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")
    )


@lru_cache
def instrument(name: str) -> AnyCamera:
    """Return the instrument of that name.

    Raises:
        ConfigError: There is none; the message suggests the nearest.

    Example:
        >>> instrument("euclid_vis").pixel_scale
        0.101
    """
    camera: AnyCamera = _CHOICE.validate_python(extended(_document(name)))
    return camera


def _document(name: str) -> Any:
    """Return what the file of an instrument says."""
    if name not in instruments():
        raise unknown("instrument", name, instruments(), code="unknown-instrument")
    text = resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return parse_yaml(text, f"instrument {name}")


def extended(document: Any) -> Any:
    """Return the document of a camera with the numbers of the instruments that it is `like`.

    A band on other pixels than the instrument that it is like has that one's as native ones,
    and no depth to hold.

    Raises:
        ConfigError: There is no such instrument, or instruments are like each other in a
            circle.

    Example:
        >>> bands = {"i": {"like": "hsc_i"}}
        >>> extended({"pixel_scale": 0.2, "bands": bands})["bands"]["i"]["native_scale"]
        0.168
    """
    document = _followed(document)
    if not isinstance(document, dict) or not isinstance(document.get("bands"), dict):
        return document
    scale = document.get("pixel_scale")
    bands = {name: _band(band, scale) for name, band in document["bands"].items()}
    return {**document, "bands": bands}


def _band(document: Any, pixel_scale: Any) -> Any:
    """Return the document of a band, with the numbers of the instrument that it is `like`."""
    if not isinstance(document, dict) or "like" not in document:
        return document
    instrument = _followed({"like": document["like"]})
    if not isinstance(instrument, dict) or "bands" in instrument:
        raise ConfigError(
            f"a band is like an instrument of one band, and {document['like']} has several",
            code="several-bands",
            name=str(document["like"]),
        )
    numbers = {key: instrument[key] for key in instrument if key not in Stamp.model_fields}
    if instrument["pixel_scale"] != pixel_scale:
        numbers.setdefault("native_scale", instrument["pixel_scale"])
        numbers.pop("depth", None)
    return numbers | _but_like(document)


def _but_like(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "like"}


def _followed(document: Any) -> Any:
    """Return a document with the numbers of the instrument that it is `like`."""
    for _ in range(_MAX_LIKE):
        if not isinstance(document, dict) or "like" not in document:
            return document
        document = {**_document(str(document["like"])), **_but_like(document)}
    raise ConfigError(
        f"instruments that are `like` each other in a circle, at {document['like']}",
        code="like-circle",
        name=str(document["like"]),
    )


def read_camera(path: Path) -> AnyCamera:
    """Read the file of a camera; files of kernels that it names lie beside it.

    It may be `like` an instrument of lenssim and state only what differs.

    Raises:
        ConfigError: The file cannot be read, or is no YAML.
        ValidationError: It describes no camera.
    """
    document = extended(parse_yaml(read_text(path, "the camera"), str(path)))
    context = {"folder": path.parent}
    camera: AnyCamera = _CHOICE.validate_python(document, context=context)
    return camera
