"""What a FITS header says of the sky: pixel scale, zero point, unit, and place."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["UNKNOWN", "SkyHeader", "read_sky_header"]

_ARCSEC = {"deg": 3600.0, "degree": 3600.0, "arcsec": 1.0, "arcmin": 60.0, "rad": 206264.8}
_SCALE_KEYS = ("PIXSCALE", "PIXELSCL", "PIXSCAL1", "D001SCAL", "SECPIX", "SECPIX1")
_ZERO_KEYS = ("MAGZERO", "MAGZPT", "MAGZP", "ZP", "ZPT", "ZEROPT", "PHOTZP", "ZPAB")
_SCALES = (1e-4, 600.0)  # arcsec; outside of them a number is no pixel scale
_ZEROS = (-50.0, 60.0)  # mag
_SKY_AXES = ("RA", "DEC", "GLON", "GLAT", "ELON", "ELAT")
_SQUARE = 0.01  # how far the two sides of a pixel may differ
_BAD_PLANES = (
    "BAD",
    "SAT",
    "CR",
    "NO_DATA",
    "EDGE",
    "SENSOR_EDGE",
    "UNMASKEDNAN",
    "SUSPECT",
)
_MOST_BITS = 63
_ENTRIES = ("1_1", "1_2", "2_1", "2_2")  # of a matrix: axis of the sky, axis of the pixels
_JY_ZERO = 8.9  # AB magnitude of 1 Jy


@dataclass(frozen=True)
class SkyHeader:
    """What a header says of an image.

    Attributes:
        pixel_scale: Side of a pixel [arcsec]; None if the header does not say.
        zero_point: AB magnitude of one unit of the pixels; None if it does not say.
        ra: Right ascension [deg] of the middle of the image; None if it does not say.
        dec: Declination [deg] of the middle.
        unit: Unit of the pixels as it stands, or "".
        is_square: Whether both sides of a pixel are equal, and at right angles.
        position_angle: Direction of the image's y axis [deg], from north through east; None if
            the header does not say.
        is_mirrored: Whether east lies to the right where north is up, unlike on the sky.
        bad_bits: Bits of a mask that mean bad pixels, in the style of HSC and Rubin; None if the
            header names no bits.
    """

    pixel_scale: float | None = None
    zero_point: float | None = None
    ra: float | None = None
    dec: float | None = None
    unit: str = ""
    is_square: bool = True
    position_angle: float | None = None
    is_mirrored: bool = False
    bad_bits: int | None = None

    @property
    def is_brightness(self) -> bool:
        """Whether pixels hold the flux of an area of the sky, and not of the pixel."""
        return any(
            word in self.unit.lower() for word in ("/sr", "/arcsec", "sr-1", "sr^-1")
        )


UNKNOWN = SkyHeader()
"""The header of a file that says nothing."""


def read_sky_header(header: Mapping[str, Any]) -> SkyHeader:
    """Return what a FITS header says of the sky.

    The pixel scale follows from the CD matrix, or from CDELT and PC, if the axes are those of
    the sky or have a unit of angle; else from PIXSCALE and similar keywords.

    Args:
        header: An astropy header, or any mapping of keywords.

    Example:
        >>> wcs = {"CTYPE1": "RA---TAN", "CD1_1": -1 / 36000, "CD2_2": 1 / 36000}
        >>> round(read_sky_header(wcs | {"MAGZERO": 24.6}).pixel_scale, 6)
        0.1
    """
    matrix = _matrix(header)
    sides = _sides(matrix)
    scale = _first_number(header, _SCALE_KEYS, _SCALES)
    angle = None
    area = 0.0
    if matrix is not None and sides is not None:
        area = matrix[0] * matrix[3] - matrix[1] * matrix[2]
        scale = math.sqrt(abs(area))
        angle = math.degrees(math.atan2(matrix[1], matrix[3])) % 360
    if not str(header.get("CTYPE1", "")).upper().startswith("RA"):
        angle = None
    place = _place(header) or (None, None)
    return SkyHeader(
        pixel_scale=scale,
        zero_point=_zero_point(header),
        ra=place[0],
        dec=place[1],
        unit=str(header.get("BUNIT", "")).strip(),
        is_square=sides is None or _is_square(matrix, sides),
        position_angle=angle,
        is_mirrored=angle is not None and area > 0,
        bad_bits=_bad_bits(header),
    )


Matrix = tuple[float, float, float, float]


def _sides(matrix: Matrix | None) -> tuple[float, float] | None:
    """Return both sides of a pixel [arcsec] that the WCS states; None without an area."""
    if matrix is None:
        return None
    first = math.hypot(matrix[0], matrix[2])
    second = math.hypot(matrix[1], matrix[3])
    if not all(_SCALES[0] < side < _SCALES[1] for side in (first, second)):
        return None
    if abs(_sine(matrix, (first, second))) < _SQUARE:
        return None
    return first, second


def _sine(matrix: Matrix, sides: tuple[float, float]) -> float:
    """Return the sine of the angle between both sides of a pixel."""
    return (matrix[0] * matrix[3] - matrix[1] * matrix[2]) / (sides[0] * sides[1])


def _is_square(matrix: Matrix | None, sides: tuple[float, float]) -> bool:
    """Tell whether both sides of a pixel are equal, and at right angles to one per cent."""
    assert matrix is not None
    cosine = (matrix[0] * matrix[1] + matrix[2] * matrix[3]) / (sides[0] * sides[1])
    return abs(sides[0] / sides[1] - 1) < _SQUARE and abs(cosine) < _SQUARE


def _matrix(header: Mapping[str, Any]) -> Matrix | None:
    """Return the steps [arcsec] along both axes of a step in x and in y: 1_1 1_2 2_1 2_2."""
    factors = [_factor(header, axis) for axis in (1, 2)]
    if factors[0] is None or factors[1] is None:
        return None
    rows = (factors[0], factors[0], factors[1], factors[1])
    steps = [_number(header.get(f"CD{name}")) for name in _ENTRIES]
    if all(step is None for step in steps):
        pixels = [_number(header.get(f"CDELT{axis}")) for axis in (1, 2)]
        if pixels[0] is None or pixels[1] is None:
            return None
        steps = _turned(header, pixels[0], pixels[1])
    first, second, third, fourth = (
        factor * (step or 0.0) for factor, step in zip(rows, steps, strict=True)
    )
    return first, second, third, fourth


def _turned(header: Mapping[str, Any], x: float, y: float) -> list[float | None]:
    """Return the matrix 1_1 1_2 2_1 2_2 of steps along x and y that PC or CROTA2 turns."""
    turn = math.radians(_number(header.get("CROTA2")) or 0.0)
    entries = [_number(header.get(f"PC{name}")) for name in _ENTRIES]
    if turn and all(entry is None for entry in entries):
        return [
            x * math.cos(turn),
            -y * math.sin(turn),
            x * math.sin(turn),
            y * math.cos(turn),
        ]
    identity = (1.0, 0.0, 0.0, 1.0)
    turns = [
        default if entry is None else entry
        for entry, default in zip(entries, identity, strict=True)
    ]
    return [step * entry for step, entry in zip((x, x, y, y), turns, strict=True)]


def _factor(header: Mapping[str, Any], axis: int) -> float | None:
    """Return what one unit of an axis is in arcsec; None if it is no angle."""
    unit = str(header.get(f"CUNIT{axis}", "")).strip().lower()
    if unit:
        return _ARCSEC.get(unit)
    kinds = [str(header.get(f"CTYPE{number}", "")).upper() for number in (1, 2)]
    if any(kind.startswith(_SKY_AXES) for kind in kinds):
        return _ARCSEC["deg"]
    return None


def _bad_bits(header: Mapping[str, Any]) -> int | None:
    """Return the bits that mean bad pixels, where cards such as MP_SAT number the bits."""
    numbered = [str(name).upper() for name in header if str(name).upper().startswith("MP_")]
    if not numbered:
        return None
    bits = [_number(header.get(name)) for name in numbered if name[3:] in _BAD_PLANES]
    return sum(1 << int(bit) for bit in bits if bit is not None and 0 <= bit < _MOST_BITS)


def _zero_point(header: Mapping[str, Any]) -> float | None:
    """Return the AB magnitude of one unit of the pixels."""
    stated = _first_number(header, _ZERO_KEYS, _ZEROS)
    if stated is not None:
        return stated
    unit = str(header.get("BUNIT", "")).strip().lower()
    factors = {"jy": 1.0, "mjy": 1e-3, "ujy": 1e-6, "microjansky": 1e-6, "njy": 1e-9}
    if unit in factors:
        return _JY_ZERO - 2.5 * math.log10(factors[unit])
    return _hst_zero_point(header)


def _hst_zero_point(header: Mapping[str, Any]) -> float | None:
    """Return the AB zero point that PHOTFLAM and PHOTPLAM of HST state."""
    flam = _number(header.get("PHOTFLAM"))
    plam = _number(header.get("PHOTPLAM"))
    if not flam or not plam or flam < 0 or plam < 0:
        return None
    return -2.5 * math.log10(flam) - 21.10 - 5 * math.log10(plam) + 18.6921


def _place(header: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return right ascension and declination [deg] of the middle of a gnomonic image."""
    matrix = _matrix(header)
    numbers = [
        _number(header.get(f"{key}{axis}"))
        for key in ("CRVAL", "CRPIX", "NAXIS")
        for axis in (1, 2)
    ]
    if matrix is None or any(number is None for number in numbers):
        return None
    if not str(header.get("CTYPE1", "")).upper().startswith("RA---T"):
        return None
    if str(header.get("CUNIT1", "deg")).strip().lower() != "deg":
        return None
    ra, dec, x0, y0, width, height = (number or 0.0 for number in numbers)
    x = (width + 1) / 2 - x0
    y = (height + 1) / 2 - y0
    xi = math.radians((matrix[0] * x + matrix[1] * y) / 3600)
    eta = math.radians((matrix[2] * x + matrix[3] * y) / 3600)
    sine = math.sin(math.radians(dec))
    cosine = math.cos(math.radians(dec))
    depth = cosine - eta * sine
    right_ascension = ra + math.degrees(math.atan2(xi, depth))
    declination = math.degrees(math.atan2(sine + eta * cosine, math.hypot(xi, depth)))
    return right_ascension % 360, declination


def _first_number(
    header: Mapping[str, Any], names: tuple[str, ...], bounds: tuple[float, float]
) -> float | None:
    """Return the first of some keywords that holds a number within bounds."""
    for name in names:
        value = _number(header.get(name))
        if value is not None and bounds[0] < value < bounds[1]:
            return value
    return None


def _number(value: Any) -> float | None:
    """Return a finite number; None for anything else, and for T and F."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
