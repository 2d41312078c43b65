"""`lenssim instruments`: the cameras, and how deep they see."""

from typing import Annotated, Any

import typer

from lenssim.cli.options import Json

__all__ = ["register"]

_UNITS = {
    "pixel_scale": "arcsec",
    "native_scale": "arcsec",
    "zero_point": "mag of 1 e-/s",
    "exposure_time": "s",
    "sky_brightness": "mag/arcsec^2",
    "read_noise": "e-",
    "dark": "e-/s per native pixel",
    "gain": "e-/ADU",
    "saturation": "e-",
    "background_rms": "e-/s per pixel",
    "psf_fwhm": "arcsec",
    "background": "e-/s per pixel, of the weight map",
    "m_sigma": "mag of one sigma of a pixel",
    "m5": "mag of a point source at five sigma",
    "pixel_rms": "rms of a pixel over that of the weight map",
}


_Name = Annotated[str | None, typer.Argument(help="Print the numbers of this instrument.")]


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command(name="instruments")(instruments)


def instruments(
    name: _Name = None,
    json: Json = False,
) -> None:
    """List the instruments, or print the numbers and the depth of one."""
    from json import dumps

    import lenssim

    if name is not None:
        numbers = lenssim.instruments(name)
        print(dumps(numbers)) if json else _print_numbers(numbers)
        return
    if json:
        print(dumps(lenssim.instruments()))
        return
    _print_list()


def _print_list() -> None:
    """Print a line for each band of each instrument."""
    from lenssim.cli.table import print_table
    from lenssim.simulate.instruments import instrument
    from lenssim.simulate.instruments import instruments as names
    from lenssim.simulate.instruments.facts import five_sigma, sigma_magnitude

    rows = []
    for name in names():
        camera = instrument(name)
        for band in camera.instruments:
            depths = [_magnitude(sigma_magnitude(band)), _magnitude(five_sigma(band))]
            rows.append([band.name, f"{band.pixel_scale:g}", *depths, band.summary])
    head = ["instrument", "pixel", "m(sigma)", "m5", ""]
    print_table(head, rows, right=head[1:4])
    print("\nnext: lenssim instruments euclid_vis_q1")


def _magnitude(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}"


def _print_numbers(numbers: dict[str, Any]) -> None:
    """Print the numbers of one instrument, or of its bands one after another."""
    from lenssim.names import printable

    if "pixel_scale" not in numbers:
        for band, of_band in numbers.items():
            print(f"band {printable(band)}")
            _print_numbers(of_band)
        return
    for key, value in numbers.items():
        if value in (None, ""):
            continue
        text = f"{value:.5g}" if isinstance(value, float) else str(value)
        unit = _UNITS.get(key, "")
        print(printable(f"{key.replace('_', ' '):<15} {text} {unit}".rstrip()))
