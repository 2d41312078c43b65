"""What a user should know of images that are read all the same: places, orientations and PSFs."""

import math
from collections.abc import Sequence

from lenssim.data.exchange.telescope.band_image import BandImage
from lenssim.names import printable

__all__ = ["remarks_on"]

_OFF_CENTRE = 0.25  # pixels: kernels of telescopes are often off by 0.05 to 0.15
_APART = 0.1  # pixels
_TURNED = 1.0  # deg


def remarks_on(bands: Sequence[BandImage]) -> list[str]:
    """Return remarks on the bands of a lens, on the pixels of the data set.

    Numbers are rounded, so that the same remark on several lenses is said once.

    Args:
        bands: The bands, with their sky as the headers state it.
    """
    return [*_mirrored(bands), *_psfs(bands), *_apart(bands), *_incomplete(bands)]


def _mirrored(bands: Sequence[BandImage]) -> list[str]:
    """Remark on images that show the sky as in a mirror, or turned against each other."""
    remarks = []
    if any(image.sky.is_mirrored for image in bands):
        remarks.append(
            "the image is mirrored: east lies to the right where north is up; angles and the "
            "sign of e2 and gamma2 are those of the image as it is stored"
        )
    angles = [
        image.sky.position_angle for image in bands if image.sky.position_angle is not None
    ]
    turns = [abs((angle - angles[0] + 180) % 360 - 180) for angle in angles]
    if turns and max(turns) > _TURNED:
        remarks.append(
            f"its bands are turned against each other by {max(turns):.0f} deg, and stay so"
        )
    return remarks


def _psfs(bands: Sequence[BandImage]) -> list[str]:
    """Remark on kernels whose centroid is off their middle."""
    offset = max(image.psf_offset for image in bands)
    if offset < _OFF_CENTRE:
        return []
    return [
        f"its PSF lies {offset:.1f} pixels off the middle of the kernel, which shifts models "
        "by as much; --recentre-psf moves it"
    ]


def _incomplete(bands: Sequence[BandImage]) -> list[str]:
    """Remark on maps that some bands have and others lack, so that the data set has none."""
    maps = {
        "noise map": [image.band for image in bands if image.sigma is None],
        "PSF": [image.band for image in bands if image.psf is None],
    }
    return [
        f"band {printable(missing[0])} has no {name}, so that of the other bands is not kept"
        for name, missing in maps.items()
        if 0 < len(missing) < len(bands)
    ]


def _apart(bands: Sequence[BandImage]) -> list[str]:
    """Remark on bands whose stamps have their middles at different places of the sky."""
    placed = [image for image in bands if image.sky.ra is not None]
    remarks = []
    for image in placed[1:]:
        pixels = _distance(placed[0], image)
        if pixels < _APART:
            continue
        remarks.append(
            f"the middle of band {printable(image.band)} lies {pixels:.1f} pixels off that of "
            f"{printable(placed[0].band)}, and bands are put together by their middles; cut "
            "both about the same place"
        )
    return remarks


def _distance(first: BandImage, second: BandImage) -> float:
    """Return how far the middles of two stamps lie apart, in pixels of the data set."""
    places = [(image.sky.ra or 0.0, image.sky.dec or 0.0) for image in (first, second)]
    north = places[1][1] - places[0][1]
    turn = (places[1][0] - places[0][0] + 180) % 360 - 180
    east = turn * math.cos(math.radians(places[0][1]))
    scale = first.sky.pixel_scale or 1.0
    return math.hypot(east, north) * 3600 / scale
