"""Observations: an image with all that a fit of it needs to know."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lenssim.data.format.maps import KERNEL, MASK, SIGMA
from lenssim.data.format.spec import maps_of
from lenssim.data.streaming.locations import Location
from lenssim.data.streaming.opening import open_recorded
from lenssim.data.streaming.readers import read_column
from lenssim.data.streaming.source import ImageSource
from lenssim.simulate.camera_choice import psf_columns
from lenssim.simulate.psf.choice import band_column

__all__ = ["Observation", "Observed", "observations", "sample_names"]

_NAMES = "texts/name"


@dataclass(frozen=True)
class Observation:
    """An image of C bands, and what is known of its noise, mask and PSF.

    Attributes:
        name: Name of the lens; that of the sample number where it has none.
        number: Sample number in the data set.
        bands: Names of the bands C; empty where they have none.
        image: Flux in each pixel, float64 (C, H, W). Masked pixels are finite, and mean nothing.
        mask: Which pixels were seen, bool (C, H, W).
        sigma: Rms of the noise float64 (C, H, W), before any resampling, 1e8 where a pixel is
            masked; None where the data set keeps no noise map.
        psf: A kernel for each band, float64 (K, K), K odd, with the sum 1; None where it is not
            known. Bands may have kernels of different size.
        psf_supersampling: For each band, how many pixels of its kernel lie in a pixel along a
            side.
        pixel_scale: Side of a pixel [arcsec]; None where it is not known.
        zero_points: AB magnitude of one unit in each band; NaN where it is not known.
    """

    name: str
    number: int
    bands: tuple[str, ...]
    image: np.ndarray
    mask: np.ndarray
    sigma: np.ndarray | None
    psf: tuple[np.ndarray, ...] | None
    psf_supersampling: tuple[int, ...]
    pixel_scale: float | None
    zero_points: tuple[float, ...]


class Observed(ImageSource, Protocol):
    """A data set on disk: its images, maps, parameters and names."""

    @property
    def params(self) -> dict[str, np.ndarray]:
        """Columns (n,) of the true parameters, by name."""

    @property
    def names(self) -> dict[int, str]:
        """Names of lenses by sample number; empty where they have none."""

    def read_map(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Return the maps float32 (N, C, H, W) of some rows."""


def observations(dataset: Observed, rows: np.ndarray) -> list[Observation]:
    """Return the observations of some rows.

    Imported images have the noise maps, masks and PSFs that were imported with them. Simulated
    images have the PSF of their camera, and the maps that `generate --truth sigma,mask` keeps.

    Args:
        dataset: The data set.
        rows: Rows (N,) of the data set, from 0.

    Raises:
        DataError: A shard is missing or damaged.
        RowError: A row lies outside the data set.
    """
    maps = maps_of(dataset.config)
    result = []
    for row in np.asarray(rows, dtype=np.int64).tolist():
        one = np.array([row])
        image = dataset.images(one)[0].astype(np.float64)
        mask = np.ones(image.shape, dtype=bool)
        if MASK in maps:
            mask = np.broadcast_to(dataset.read_map(MASK, one)[0] > 0, image.shape)
        sigma = None
        if SIGMA in maps:
            sigma = dataset.read_map(SIGMA, one)[0].astype(np.float64)
        psf, supersampling = _kernels(dataset, row, len(image))
        number = int(dataset.index[row])
        result.append(
            Observation(
                name=dataset.names.get(number, str(number)),
                number=number,
                bands=dataset.bands,
                image=image,
                mask=mask,
                sigma=sigma,
                psf=psf,
                psf_supersampling=supersampling,
                pixel_scale=dataset.pixel_scale,
                zero_points=_zero_points(dataset, row, len(image)),
            )
        )
    return result


def sample_names(location: Location, config_hash: str) -> dict[int, str]:
    """Return the names of lenses by sample number; empty where they have none.

    Args:
        location: Where the data set is stored.
        config_hash: The sha256 of its config.
    """
    info = location.info()
    names: list[str] = []
    for shard in range(len(info.sizes)):
        path = location.path(shard)
        record = location.record(shard)
        if _NAMES not in record.datasets:
            return {}
        with open_recorded(path, record, config_hash) as file:
            texts = read_column(file, _NAMES, path, record)
            names += [text.decode("utf-8", "replace") for text in texts.tolist()]
    return dict(zip(info.index.tolist(), names, strict=True))


def _kernels(
    dataset: Observed, row: int, bands: int
) -> tuple[tuple[np.ndarray, ...] | None, tuple[int, ...]]:
    """Return the PSF kernels of an image and their supersampling, one of each a band."""
    spec = dataset.spec
    if spec is None:
        if KERNEL not in maps_of(dataset.config):
            return None, (1,) * bands
        stored = dataset.read_map(KERNEL, np.array([row]))[0].astype(np.float64)
        kernels = tuple(kernel / kernel.sum() for kernel in map(_without_zeros, stored))
        return kernels, (int(dataset.config.get("psf_supersampling", 1)),) * bands
    camera = spec.preset.instrument
    psfs = []
    for column, psf in psf_columns(camera):
        value = dataset.params[column][row] if column else 0.0
        psfs.append(psf.at(float(value)))
    scale = camera.pixel_scale
    supersampling = tuple(int(getattr(psf, "supersampling", 1)) for psf in psfs)
    return tuple(psf.kernel_at(scale) for psf in psfs), supersampling


def _without_zeros(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel (K, K) without the zeros that bring all of a data set to one size."""
    edge = 0
    while len(kernel) - 2 * edge > 1:
        inner = kernel[edge : len(kernel) - edge, edge : len(kernel) - edge]
        if inner[[0, -1]].any() or inner[:, [0, -1]].any():
            return inner
        edge += 1
    return kernel[edge : len(kernel) - edge, edge : len(kernel) - edge]


def _zero_points(dataset: Observed, row: int, bands: int) -> tuple[float, ...]:
    """Return the zero point of each band; NaN where it is not known."""
    spec = dataset.spec
    if spec is not None:
        cameras = spec.preset.instrument.instruments
        return tuple(float(camera.zero_point or np.nan) for camera in cameras)
    names: Sequence[str | None] = dataset.bands if bands > 1 else (None,)
    columns = [band_column("zero_point", name) for name in names]
    values = [
        dataset.params[name][row] if name in dataset.params else np.nan for name in columns
    ]
    return tuple(map(float, values)) if values else (np.nan,) * bands
