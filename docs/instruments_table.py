"""Writes the table of docs/instruments.md: uv run python docs/instruments_table.py"""

from pathlib import Path

from lenssim.simulate.instruments import Instrument, instrument, instruments
from lenssim.simulate.instruments.facts import facts

PAGE = Path(__file__).with_name("instruments.md")
BEGIN = "<!-- table of docs/instruments_table.py -->\n"
END = "<!-- end of the table -->"
HEAD = (
    "| instrument | pixel | zero point | sky | reads | exposures | PSF | fwhm | noise | m(sigma) | m5 |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)


def table() -> str:
    """Return a row for each instrument of one band."""
    cameras = [instrument(name) for name in instruments()]
    rows = [_row(camera) for camera in cameras if isinstance(camera, Instrument)]
    return "\n".join([*HEAD, *rows]) + "\n"


def with_table(text: str) -> str:
    """Return the page with the table of today."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


def _row(band: Instrument) -> str:
    numbers = facts(band)
    sky = band.sky_brightness
    resampling = band.resampling.kernel.replace("none", "white")
    cells = [
        f"`{band.name}`",
        f"{band.pixel_scale:g}",
        _number(band.zero_point, 2),
        f"rms {band.background_rms:.3g}" if sky is None else f"{sky:g}",
        f"{band.read_noise:g}",
        f"{band.num_exposures} x {band.exposure_time:g} s",
        numbers["psf"],
        f"{numbers['psf_fwhm']:.3f}",
        resampling,
        _number(numbers["m_sigma"], 2),
        _number(numbers["m5"], 2),
    ]
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None, digits: int) -> str:
    if value is None:
        return ""
    return f"{value:.{digits}f}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
