"""The sky of a mosaic: a gnomonic projection around its middle."""

from typing import Any

import numpy as np

from lenssim.simulate.instruments import Instrument
from lenssim.simulate.wide.request import MosaicRequest

__all__ = ["mosaic_header", "sky_position"]


def mosaic_header(request: MosaicRequest, band: Instrument, name: str) -> Any:
    """Return the header of an image of a mosaic.

    Args:
        request: Size and place of the mosaic.
        band: The band.
        name: Name of the extension.
    """
    from astropy.io import fits

    middle = (request.size + 1) / 2
    scale = band.pixel_scale / 3600
    structure = {"XTENSION": "IMAGE", "BITPIX": -32, "NAXIS": 2, "PCOUNT": 0, "GCOUNT": 1}
    header = fits.Header(structure)
    header.insert("PCOUNT", ("NAXIS1", request.size))
    header.insert("PCOUNT", ("NAXIS2", request.size))
    header["EXTNAME"] = name
    for axis, kind, centre, step in (
        (1, "RA---TAN", request.ra, -scale),
        (2, "DEC--TAN", request.dec, scale),
    ):
        header[f"CTYPE{axis}"] = kind
        header[f"CUNIT{axis}"] = "deg"
        header[f"CRVAL{axis}"] = centre
        header[f"CRPIX{axis}"] = middle
        header[f"CD{axis}_{axis}"] = step
    header["BUNIT"] = "electron/s"
    header["MAGZERO"] = (band.zero_point, "AB magnitude of 1 electron/s")
    header["EXPTIME"] = (float(band.total_exposure()), "s")
    return header


def sky_position(
    request: MosaicRequest, pixel_scale: float, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return right ascension and declination (n,) [deg] of pixels, counted from 0.

    Args:
        request: Size and place of the mosaic.
        pixel_scale: Side of a pixel [arcsec].
        x: Columns (n,).
        y: Rows (n,).

    Example:
        >>> request = MosaicRequest(size=129, ra=10.0, dec=0.0)
        >>> ra, dec = sky_position(request, 3.6, np.array([64.0, 54.0]), np.array([64.0, 64.0]))
        >>> ra.round(6).tolist(), dec.round(6).tolist()
        ([10.0, 10.01], [0.0, 0.0])
    """
    middle = (request.size - 1) / 2
    xi = np.radians(-(x - middle) * pixel_scale / 3600)
    eta = np.radians((y - middle) * pixel_scale / 3600)
    sine, cosine = np.sin(np.radians(request.dec)), np.cos(np.radians(request.dec))
    depth = cosine - eta * sine
    ra = (request.ra + np.degrees(np.arctan2(xi, depth))) % 360
    dec = np.degrees(np.arctan2(sine + eta * cosine, np.hypot(xi, depth)))
    return ra, dec
