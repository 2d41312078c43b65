"""Cards of the FITS files that lenssim writes: units, pixel scale, a linear WCS in arcsec, and provenance."""

from collections.abc import Mapping, Sequence
from typing import Any

from lenssim.data.format.origin import Origin
from lenssim.names import printable
from lenssim.simulate.noise import noise_model

__all__ = ["ascii_text", "image_cards", "pixel_cards"]

Card = tuple[str, Any, str]


def image_cards(config: Mapping[str, Any], side: tuple[int, int]) -> list[Card]:
    """Return the cards (keyword, value, comment) of a unit of images, as far as they are known.

    The WCS gives x and y in arcsec as `docs/conventions.md` has them: 0 in the middle of the stamp, x with the
    columns and y with the rows.

    Args:
        config: The config of a data set, or of one image: "preset" as a document, "noise", "seed", "split" and so on;
            also "exposure_time" [s], where it was drawn.
        side: Rows and columns (H, W) of an image.

    Returns:
        Cards for `astropy.io.fits.Header.extend`; imported images have no unit, and may have no
        pixel scale.
    """
    origin = Origin.of(config)
    camera = origin.instrument
    if camera is None:
        names = _names(origin.bands)
        return [*pixel_cards(config, side), *names, *_provenance(origin)]
    unit = noise_model(origin.noise or "nominal").unit.replace("e-", "electron")
    return [
        ("BUNIT", unit, "of a pixel"),
        *pixel_cards(config, side),
        *_camera(
            camera,
            config.get("exposure_time"),
            config["preset"].get("exposure_time") is not None,
        ),
        *_provenance(origin),
    ]


def pixel_cards(config: Mapping[str, Any], side: tuple[int, int]) -> list[Card]:
    """Return the cards of pixel scale and WCS alone, for pictures beside the images; arguments as `image_cards`."""
    scale = Origin.of(config).pixel_scale
    if scale is None:
        return []
    rows, columns = side
    cards: list[Card] = [
        ("PIXSCALE", scale, "[arcsec] side of a pixel"),
        ("WCSAXES", 2, "x and y"),
    ]
    for axis, (name, length) in enumerate((("X", columns), ("Y", rows)), start=1):
        cards += [
            (f"CTYPE{axis}", name, "linear, from the middle of the stamp"),
            (f"CUNIT{axis}", "arcsec", ""),
            (f"CRPIX{axis}", (length + 1) / 2, "middle of the stamp"),
            (f"CRVAL{axis}", 0.0, "[arcsec]"),
            (f"CDELT{axis}", scale, "[arcsec] a pixel"),
        ]
    return cards


def _camera(
    camera: Mapping[str, Any], exposure: float | None, is_drawn: bool
) -> list[Card]:
    cards: list[Card] = [("INSTRUME", ascii_text(camera["name"]), "")]
    if "bands" in camera:
        return [*cards, *_bands(camera["bands"])]
    if exposure is None and not is_drawn:
        exposure = camera["exposure_time"]
    if exposure is not None:
        cards.append(
            (
                "EXPTIME",
                exposure * camera.get("num_exposures", 1),
                "[s] all exposures together",
            )
        )
    if camera.get("zero_point") is not None:
        cards.append(("MAGZERO", camera["zero_point"], "[mag] of 1 electron/s"))
    return cards


def _names(names: Sequence[str]) -> list[Card]:
    """Return the names of the bands, which are counted as FITS does, from 1."""
    return [
        (f"BAND{number}", ascii_text(name), "name of the band")
        for number, name in enumerate(names, start=1)
    ]


def _bands(bands: Mapping[str, Mapping[str, Any]]) -> list[Card]:
    """Return what is known of the bands of a camera: of band 2 it is BAND2, EXPT2, MAGZ2."""
    cards = _names(list(bands))
    for number, band in enumerate(bands.values(), start=1):
        exposure = band["exposure_time"] * band.get("num_exposures", 1)
        cards.append((f"EXPT{number}", exposure, "[s] all exposures together"))
        if band.get("zero_point") is not None:
            zero_point = band["zero_point"]
            cards.append((f"MAGZ{number}", zero_point, "[mag] of 1 electron/s"))
    return cards


def _provenance(origin: Origin) -> list[Card]:
    named = {
        "ORIGIN": ("lenssim", "program"),
        "LENSVERS": (origin.versions.get("lenssim"), "its version"),
        "PRESET": (origin.preset, "what was simulated"),
        "NOISE": (origin.noise, "kind of noise"),
        "SEED": (origin.seed, "of the random numbers"),
        "SPLIT": (origin.split, "of the random numbers"),
        "ENGINE": (origin.engine, "what rendered"),
        "SOURCE": (origin.source, "folder that was imported"),
    }
    return [
        (name, ascii_text(value), comment)
        for name, (value, comment) in named.items()
        if value is not None
    ]


def ascii_text(value: Any) -> Any:
    """Return a text as FITS can hold it, in ASCII and on one card; other values as they are.

    Example:
        >>> ascii_text("no_sub"), ascii_text("ø"), ascii_text(2.5)
        ('no_sub', '\\\\xf8', 2.5)
    """
    if not isinstance(value, str):
        return value
    return printable(value).encode("ascii", "backslashreplace").decode()[:60]
