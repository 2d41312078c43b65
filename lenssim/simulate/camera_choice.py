"""The camera of a preset: how it is stated, and whether it fits the light."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError, ValidationInfo

from lenssim.errors import ConfigError, unknown
from lenssim.names import printable
from lenssim.simulate.instruments import (
    CAMERA_TAGS,
    AnyCamera,
    Band,
    CameraChoice,
    extended,
    instrument,
    instruments,
    read_camera,
)
from lenssim.simulate.instruments.detector import Detector
from lenssim.simulate.instruments.instrument import Stamp
from lenssim.simulate.psf import PointSpread
from lenssim.simulate.psf.choice import band_column
from lenssim.simulate.sources.colours import filter_of, filters

__all__ = ["PresetCamera", "check_colours", "check_fluxes", "check_spectrum", "psf_columns"]

_FILE_ENDINGS = (".yaml", ".yml")
_GRID = set(Stamp.model_fields)
_BAND = set(Band.model_fields) - set(Detector.model_fields)


def _resolve(data: Any, info: ValidationInfo) -> Any:
    """Return the numbers of a camera; those beside a `name` replace the named camera's own."""
    if isinstance(data, str):
        data = {"name": data}
    if not isinstance(data, dict):
        return data
    if "like" in data and "name" in data:
        data = {**_like(str(data["like"])), **data}
        data = {key: value for key, value in data.items() if key != "like"}
    if _is_whole(data):
        return data
    if "bands" in data:
        data = _of_bands(data)
    name = str(data.get("name"))
    changes = {key: value for key, value in data.items() if key != "name"}
    if "pixel_scale" not in data and name.lower().endswith(_FILE_ENDINGS):
        folder = Path((info.context or {}).get("folder", "."))
        return _changed(_read(folder / name), changes)
    if name in instruments():
        return _changed(instrument(name), changes)
    if "pixel_scale" not in data:
        raise ValueError(str(unknown("instrument", printable(name), instruments())))
    return data


def _is_whole(data: dict[str, Any]) -> bool:
    """Return whether a document states every number of a camera, as that of a data set does.

    Such a document leaves out what has its default, so a named camera must not fill it in.
    """
    if not set(data) >= _GRID:
        return False
    bands = data["bands"].values() if isinstance(data.get("bands"), dict) else [data]
    return all(isinstance(band, dict) and set(band) >= _BAND for band in bands)


def _of_bands(data: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a camera whose bands may be like instruments."""
    try:
        bands: dict[str, Any] = extended(data)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return bands


def _like(name: str) -> dict[str, Any]:
    """Return the numbers of an instrument that another one is like."""
    try:
        return instrument(name).model_dump()
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _changed(camera: AnyCamera, changes: dict[str, Any]) -> AnyCamera | dict[str, Any]:
    if not changes:
        return camera
    document = camera.model_dump()
    if "bands" in changes and "bands" not in document:  # other kinds of camera share a name
        return {"name": camera.name, **changes}
    return {**document, **changes}


def _read(path: Path) -> AnyCamera:
    try:
        return read_camera(path)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in _without_tag(problem["loc"]))
        message = f"{where}: {problem['msg'].removeprefix('Value error, ')}".lstrip(": ")
        raise ValueError(f"{printable(str(path))}: {message}") from None
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _without_tag(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the location of an error without the tag of the kind of camera."""
    if location and location[0] in CAMERA_TAGS:
        return location[1:]
    return location


def check_colours(camera: AnyCamera, colours: Iterable[str]) -> None:
    """Check that colours are those of a camera's bands.

    Args:
        camera: The camera.
        colours: Names of the bands that colours are stated in.

    Raises:
        ValueError: The camera does not have such a band.
    """
    bands = camera.band_names
    for band in colours:
        if not bands:
            raise ValueError(
                f"colours need a camera with bands, and {printable(camera.name)} has one "
                "without a name: leave them out, or give another instrument"
            )
        if band not in bands:
            raise ValueError(str(unknown("band in colours:", printable(band), bands)))


def check_spectrum(camera: AnyCamera, kinds: Sequence[str], band: str) -> None:
    """Check that the colours of kinds of galaxies are known in a camera's bands.

    Args:
        camera: The camera.
        kinds: The kinds of galaxies; none leaves nothing to check.
        band: Name of the band that the magnitude is stated in, "" for the first.

    Raises:
        ValueError: The camera does not have such a band, or a filter is not known.
    """
    if not kinds:
        return
    check_colours(camera, [band] if band else camera.band_names[:1] or ["spectrum"])
    for of_band in camera.instruments:
        name = of_band.filter or filter_of(of_band.name)
        if name not in filters():
            raise ValueError(str(unknown("filter", printable(name), filters())))


def check_fluxes(camera: AnyCamera, columns: Iterable[str]) -> None:
    """Check that the flux of light is known in every band.

    Args:
        camera: The camera.
        columns: Names of the columns of lens and source.

    Raises:
        ConfigError: A band has no zero point, or an amplitude would serve several bands.
    """
    names = list(columns)
    magnitudes = [name for name in names if name.endswith("magnitude")]
    amplitudes = [name for name in names if name.endswith("amp")]
    zero_points = [band.zero_point for band in camera.instruments]
    if magnitudes and None in zero_points:
        raise ConfigError(
            f"{magnitudes[0]} needs an instrument with a zero_point; or give amp instead",
            code="no-zero-point",
        )
    if amplitudes and len(zero_points) > 1:
        raise ConfigError(
            f"{amplitudes[0]} is a flux in one band, and {printable(camera.name)} has "
            f"{len(zero_points)}; give magnitude instead, and colours",
            code="needs-magnitude",
            column=amplitudes[0],
        )


def psf_columns(camera: AnyCamera) -> list[tuple[str, PointSpread]]:
    """Return the PSF of each band, with the column that tells which one an image has.

    Args:
        camera: The camera.

    Returns:
        Name of the column, "" where all images have the same PSF, and the PSF.
    """
    names: tuple[str | None, ...] = camera.band_names or (None,)
    columns: list[tuple[str, PointSpread]] = []
    for name, band in zip(names, camera.instruments, strict=True):
        column = ""
        if band.psf.column is not None:
            column = band_column(band.psf.column, name)
        columns.append((column, band.psf))
    return columns


PresetCamera = Annotated[CameraChoice, BeforeValidator(_resolve)]
