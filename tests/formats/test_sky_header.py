"""What headers say of the sky, compared with astropy's WCS."""

import numpy as np
import pytest
from astropy.io.fits import Header
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from lenssim.formats.sky_header import UNKNOWN, read_sky_header

AXES = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "NAXIS": 2, "NAXIS1": 101, "NAXIS2": 90}


def turned(scale: float, angle: float) -> dict[str, float]:
    step = scale / 3600
    cosine, sine = step * np.cos(angle), step * np.sin(angle)
    return {"CD1_1": -cosine, "CD1_2": sine, "CD2_1": sine, "CD2_2": cosine}


STEPS = {
    "CD": turned(0.05, 0.0),
    "CD, turned": turned(0.1, 0.7),
    "CDELT": {"CDELT1": -0.2 / 3600, "CDELT2": 0.2 / 3600},
    "CDELT and PC": {
        "CDELT1": 0.3 / 3600,
        "CDELT2": 0.3 / 3600,
        "PC1_1": -0.8,
        "PC1_2": 0.6,
        "PC2_1": 0.6,
        "PC2_2": 0.8,
    },
    "arcsec": {
        "CUNIT1": "arcsec",
        "CUNIT2": "arcsec",
        "CDELT1": -0.2,
        "CDELT2": 0.2,
    },
}
PLACES = [
    (57.38, -51.0, -8574.0, -8017.0),
    (0.0, 0.0, 51.0, 45.5),
    (359.9999, 80.0, 9.0, 700.0),
]


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("place", PLACES)
def test_scale_and_place_are_those_of_astropy(steps, place):
    ra, dec, x, y = place
    factor = 3600 if steps == "arcsec" else 1  # the reference is in the unit of the axes
    values = {"CRVAL1": factor * ra, "CRVAL2": factor * dec, "CRPIX1": x, "CRPIX2": y}
    header = Header({**AXES, **STEPS[steps], **values})
    if steps == "arcsec":
        assert read_sky_header(header).pixel_scale == pytest.approx(0.2)
        return
    wcs = WCS(header)
    sky = read_sky_header(header)
    assert sky.pixel_scale == pytest.approx(
        3600 * proj_plane_pixel_scales(wcs)[0], rel=1e-9
    )
    expected = wcs.wcs_pix2world([[50.0, 44.5]], 0)[0]
    np.testing.assert_allclose([sky.ra, sky.dec], expected, rtol=1e-10, atol=1e-9)
    assert sky.is_square


NUMBERS = {
    "MAGZERO": ({"MAGZERO": 24.6}, 24.6),
    "Jy": ({"BUNIT": "Jy"}, 8.9),
    "nJy": ({"BUNIT": "nJy"}, 31.4),
    "HST": ({"PHOTFLAM": 7.0331885e-20, "PHOTPLAM": 8045.0}, 25.947),
    "text": ({"MAGZERO": "unknown"}, None),
    "absurd": ({"MAGZERO": 1e9}, None),
}


@pytest.mark.parametrize("cards", NUMBERS)
def test_zero_points_follow_from_what_headers_state(cards):
    header, expected = NUMBERS[cards]
    zero_point = read_sky_header(Header(header)).zero_point
    assert zero_point == (
        expected if expected is None else pytest.approx(expected, abs=2e-3)
    )


NOTHING = {
    "empty": {},
    "axes of pixels": {"CTYPE1": "PIXEL", "CTYPE2": "PIXEL", "CDELT1": 1.0, "CDELT2": 1.0},
    "no axes": {"CDELT1": 1.0, "CDELT2": 1.0},
    "wavelength": {"CTYPE1": "WAVE", "CUNIT1": "nm", "CDELT1": 1.0, "CDELT2": 1.0},
    "steps of 0": {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CD1_1": 0.0, "CD2_2": 0.0},
    "PIXSCALE of 0": {"PIXSCALE": 0.0},
    "PIXSCALE of T": {"PIXSCALE": True},
}


@pytest.mark.parametrize("cards", NOTHING)
def test_headers_without_the_sky_say_nothing(cards):
    assert read_sky_header(Header(NOTHING[cards])) == UNKNOWN


def test_pixels_that_are_not_square_are_told():
    header = Header(AXES | {"CDELT1": 0.1 / 3600, "CDELT2": 0.2 / 3600})
    assert not read_sky_header(header).is_square


@pytest.mark.parametrize("key", ["PIXSCALE", "D001SCAL"])
def test_keywords_state_the_pixel_scale_where_no_wcs_does(key):
    assert read_sky_header({key: 0.1}).pixel_scale == 0.1


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle", [0.0, 33.0, 180.0, 301.0])
@pytest.mark.parametrize("style", ["CD", "PC", "CROTA2"])
def test_the_orientation_is_that_of_astropy(style, angle, mirrored):
    """Scale from the area of a pixel; the y axis from north through east; mirror images."""
    turn = np.radians(angle)
    side = 0.07 / 3600
    east = side if mirrored else -side
    values = {"CRVAL1": 150.0, "CRVAL2": 2.0, "CRPIX1": 51.0, "CRPIX2": 45.5}
    cosine, sine = np.cos(turn), np.sin(turn)
    if style == "CROTA2":
        steps = {"CDELT1": east, "CDELT2": side, "CROTA2": angle}
    elif style == "PC":
        steps = {"CDELT1": east, "CDELT2": side}
        steps |= {"PC1_1": cosine, "PC1_2": -sine * side / east}
        steps |= {"PC2_1": sine * east / side, "PC2_2": cosine}
    else:
        steps = {"CD1_1": east * cosine, "CD1_2": -side * sine}
        steps |= {"CD2_1": east * sine, "CD2_2": side * cosine}
    header = Header({**AXES, **steps, **values})
    wcs = WCS(header)
    middle, up = wcs.pixel_to_world([50.0, 50.0], [44.5, 49.5])
    expected = middle.position_angle(up).deg
    sky = read_sky_header(header)
    assert sky.pixel_scale == pytest.approx(0.07, rel=1e-9)
    assert np.cos(np.radians(sky.position_angle - expected)) == pytest.approx(1, abs=1e-8)
    assert sky.is_mirrored == (np.linalg.det(wcs.pixel_scale_matrix) > 0)
    assert sky.is_square


def test_pixels_that_are_no_squares_are_known():
    sheared = {"CD1_1": -1e-5, "CD1_2": 5e-6, "CD2_1": 0.0, "CD2_2": 8.66e-6}
    assert not read_sky_header(AXES | sheared).is_square
    assert not read_sky_header(AXES | {"CDELT1": -1e-5, "CDELT2": 2e-5}).is_square
    nothing = {"CD1_1": 1e-5, "CD1_2": 1e-5, "CD2_1": 1e-5, "CD2_2": 1e-5}
    assert read_sky_header(AXES | nothing).pixel_scale is None
