"""The planes of a mosaic: images, noise maps and masks, as parts of one FITS file."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lenssim.simulate.instruments import AnyCamera, Instrument
from lenssim.simulate.wide.light import field_kernels
from lenssim.simulate.wide.request import MosaicRequest
from lenssim.simulate.wide.sky import mosaic_header

__all__ = ["Planes", "full_pixel", "prepared_planes"]

_SATURATED = 0.98  # of a full pixel: from here on a pixel counts as saturated
_BLOCK_BYTES = 2880  # of FITS files
_TYPES = {"SCI": ">f4", "ERR": ">f4", "DQ": ">i2"}


@dataclass(frozen=True)
class Planes:
    """Arrays (H, W) of each band, which are parts of a file.

    Attributes:
        images: Images in e-/s.
        sigmas: Noise maps.
        masks: 1 where a pixel is bad; empty for a field without bad pixels.
    """

    images: list[np.memmap]
    sigmas: list[np.memmap]
    masks: list[np.memmap]

    def flush(self) -> None:
        """Write what is still in memory."""
        for plane in (*self.images, *self.sigmas, *self.masks):
            plane.flush()


def full_pixel(band: Instrument) -> float:
    """Return the flux in e-/s of a full pixel; infinite where none is stated."""
    if band.saturation is None:
        return float("inf")
    return float(band.saturation_flux(band.exposure_time))


def prepared_planes(
    path: Path,
    camera: AnyCamera,
    request: MosaicRequest,
    psf_values: dict[str, float],
    finished: int,
) -> Planes:
    """Write the headers of a file and its PSFs, and return its planes.

    Args:
        path: The file.
        camera: The camera.
        request: Size and content of the field.
        psf_values: Values of the columns that choose the PSF.
        finished: How many parts the file holds already; then it is not written again.
    """
    places: dict[str, list[int]] = {role: [] for role in _TYPES}
    with path.open("r+b" if finished else "wb") as file:
        for role, header in _headers(camera, request):
            if finished:
                file.seek(len(header), io.SEEK_CUR)
            else:
                file.write(header)
            if role:
                places[role].append(file.tell())
                length = np.dtype(_TYPES[role]).itemsize * request.size**2
                file.seek(length + -length % _BLOCK_BYTES, io.SEEK_CUR)
        if not finished:
            file.truncate()
    if not finished:
        _append_kernels(path, camera, psf_values)
    shape = (request.size, request.size)
    planes = {
        role: [
            np.memmap(path, dtype=_TYPES[role], mode="r+", offset=offset, shape=shape)
            for offset in offsets
        ]
        for role, offsets in places.items()
    }
    return Planes(planes["SCI"], planes["ERR"], planes["DQ"])


def _starts(camera: AnyCamera) -> list[str]:
    """Return what the names of a band's extensions begin with."""
    return [f"{name}_" if name else "" for name in camera.band_names or ("",)]


def _headers(camera: AnyCamera, request: MosaicRequest) -> Iterator[tuple[str, bytes]]:
    """Yield the role and the header of each plane; the first header has none."""
    from astropy.io import fits

    primary = fits.PrimaryHDU().header
    primary["EXTEND"] = True
    primary["INSTRUME"] = camera.name
    yield "", primary.tostring().encode()
    roles = [role for role in _TYPES if role != "DQ" or request.bad_pixels > 0]
    for start, band in zip(_starts(camera), camera.instruments, strict=True):
        for role in roles:
            header = mosaic_header(request, band, f"{start}{role}")
            if role == "SCI" and band.saturation is not None:
                header["SATURATE"] = (_SATURATED * full_pixel(band), "e-/s")
            if role == "DQ":
                header["BITPIX"] = 16
                header["BUNIT"] = ""
            yield role, header.tostring().encode()


def _append_kernels(path: Path, camera: AnyCamera, psf_values: dict[str, float]) -> None:
    """Append the PSF of each band to a file."""
    from astropy.io import fits

    kernels = field_kernels(camera, psf_values)
    for start, kernel in zip(_starts(camera), kernels, strict=True):
        unit = fits.ImageHDU(kernel.astype(np.float32))
        unit.header["EXTNAME"] = f"{start}PSF"
        fits.append(path, unit.data, unit.header, verify=False)
