"""Data sets as FITS cut-outs: one file an image, with its noise map, mask and PSF, as modelling codes read them."""

import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lenssim.data.exchange.fits_headers import ascii_text, image_cards, pixel_cards
from lenssim.data.streaming.observations import Observation, observations

if TYPE_CHECKING:
    from lenssim.data.streaming.dataset import ShardDataset

__all__ = ["TRUTH", "cutout_name", "cutouts", "truth_table"]

TRUTH = "truth.csv"


def cutouts(dataset: "ShardDataset", rows: np.ndarray) -> Iterator[tuple[str, bytes]]:
    """Yield the FITS files of some rows: the name of each, and its content.

    Bands have extensions of their own: `SCI`, `ERR`, `MASK` and `PSF`, with the name of the band
    before them where bands have names, as in `VIS_SCI`. `lenssim import fits` reads them back.

    Args:
        dataset: The data set.
        rows: Rows (N,) of the data set.
    """
    for row, observation in zip(rows.tolist(), observations(dataset, rows), strict=True):
        yield cutout_name(observation), _content(dataset, row, observation)


def cutout_name(observation: Observation) -> str:
    """Return the name of the file of an image: that of its lens, or its sample number."""
    if observation.name == str(observation.number):
        return f"{observation.number:07d}.fits"
    return f"{observation.name}.fits"


def _content(dataset: "ShardDataset", row: int, observation: Observation) -> bytes:
    from astropy.io import fits

    units = [fits.PrimaryHDU()]
    units[0].header["OBJECT"] = ascii_text(observation.name)
    for band in range(len(observation.image)):
        units += _band(dataset, row, observation, band)
    for unit in units:
        unit.add_checksum(when="")  # no dates: equal data give equal bytes
    buffer = io.BytesIO()
    fits.HDUList(units).writeto(buffer)
    return buffer.getvalue()


def _band(
    dataset: "ShardDataset", row: int, observation: Observation, band: int
) -> list[Any]:
    """Return the extensions of one band: image, noise map, mask, PSF; those that are known."""
    from astropy.io import fits

    side = observation.image.shape[-2:]
    prefix = ""
    if observation.bands:
        prefix = f"{ascii_text(observation.bands[band]).upper()}_"

    def extension(name: str, pixels: np.ndarray) -> Any:
        return fits.ImageHDU(pixels, name=f"{prefix}{name}")

    image = extension("SCI", observation.image[band].astype(np.float32))
    exposure = dataset.params.get("exposure_time")
    config = dict(dataset.config)
    if exposure is not None:
        config["exposure_time"] = float(exposure[row])
    image.header.extend(image_cards(config, side))
    zero_point = observation.zero_points[band]
    if np.isfinite(zero_point):
        image.header["MAGZERO"] = (zero_point, "[mag] of one unit")
    maps = []
    if observation.sigma is not None:
        maps.append(extension("ERR", observation.sigma[band].astype(np.float32)))
    if not observation.mask.all():
        maps.append(
            extension("MASK", np.where(observation.mask[band], 0, 1).astype(np.uint8))
        )
    for unit in maps:
        unit.header.extend(pixel_cards(config, side))
    if observation.psf is not None:
        psf = extension("PSF", observation.psf[band])
        supersampling = observation.psf_supersampling[band]
        psf.header["OVERSAMP"] = (
            supersampling,
            "pixels of the kernel along one of the image",
        )
        maps.append(psf)
    return [image, *maps]


def truth_table(dataset: "ShardDataset", names: list[str]) -> bytes:
    """Return the true numbers of all images as a CSV table, with the class where it is known.

    Args:
        dataset: The data set.
        names: Name of the lens of each row.
    """
    columns: dict[str, Any] = {"name": names}
    if dataset.labels is not None and dataset.classes:
        columns["class"] = [dataset.classes[label] for label in dataset.labels.tolist()]
    columns |= {
        name: [repr(float(value)) for value in values]
        for name, values in dataset.params.items()
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()
