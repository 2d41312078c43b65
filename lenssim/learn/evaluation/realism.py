"""The realism audit of a data set: its images beside real ones."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from lenssim.commands import command
from lenssim.data.format.bands import shape_words
from lenssim.data.format.maps import MASK, SIGMA
from lenssim.data.format.spec import maps_of
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError
from lenssim.learn.compute.device import pick_device
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.features import network_features, untrained_model
from lenssim.learn.runs.run import Run
from lenssim.learn.scores.realism import (
    ALL_STATISTICS,
    Difference,
    Separation,
    check_counts,
    compare,
    realism_verdict,
    separate,
)
from lenssim.learn.scores.realism_statistics import realism_statistics
from lenssim.learn.scores.stamps import Stamps

__all__ = ["DEFAULT_LIMIT", "RealismAudit", "audit_realism", "statistics_of"]

DEFAULT_LIMIT = 1000
_MASKED_SIGMA = 1e7  # of a noise map; larger values mark masked pixels
_SCALE_TOLERANCE = 0.02
_IMAGES_PER_CHUNK = 256
_OTHER_UNIT = 100.0  # ratio of noise levels beyond which they are in different units
_TINY = 1e-300

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class _Sample:
    """Images (N, C, H, W) of a data set, NaN where masked, with noise maps if it keeps them."""

    images: np.ndarray
    sigma: np.ndarray | None
    bands: tuple[str, ...]

    @property
    def filled(self) -> np.ndarray:
        """Light (N, C, H, W) above the background, filled in where it is masked."""
        bands = [Stamps(self.images[:, band]).light for band in range(self.images.shape[1])]
        return np.stack(bands, axis=1)


@dataclass(frozen=True)
class RealismAudit:
    """What a realism audit found.

    Attributes:
        document: All numbers and the verdict, as in realism_audit.json.
        differences: The statistics, the most different first.
        separations: The classifiers.
        real: Values (n,) of real images by statistic.
        simulated: Values (m,) of simulated images by statistic.
        real_images: Some real images (k, C, H, W).
        simulated_images: As many simulated ones.
    """

    document: dict[str, Any]
    differences: list[Difference]
    separations: list[Separation]
    real: Values
    simulated: Values
    real_images: np.ndarray
    simulated_images: np.ndarray


def audit_realism(
    dataset: ShardDataset,
    real: ShardDataset,
    *,
    run: Run | None = None,
    limit: int | None = None,
    device: str = "auto",
) -> RealismAudit:
    """Try to tell the images of a data set and real images apart.

    Statistics are compared one by one. Two linear classifiers see all statistics, and what the
    last layer of a network sees. A data set that is compared with itself is divided into images
    of even and odd rows.

    Args:
        dataset: The data set of simulated images.
        real: The data set of real images.
        run: A run whose network is asked. None: a small network with random weights.
        limit: How many images of each data set to use, evenly spaced. None: 1,000.
        device: Device that computes the network.

    Returns:
        The audit.

    Raises:
        ConfigError: Images have other pixels, bands or sizes than the others.
        DataError: There are too few images.
    """
    _check_alike(dataset, real)
    if run is not None:
        _check_run(dataset, run)
    rows, real_rows = _rows(dataset, real, limit or DEFAULT_LIMIT)
    is_halved = dataset.fingerprint == real.fingerprint
    check_counts(len(real_rows), len(rows), is_halved)
    sample = _sample(dataset, rows)
    real_sample, factors = _in_unit_of(_sample(real, real_rows), sample)
    samples = (real_sample, sample)
    real_values, values = (_statistics(sample) for sample in samples)
    differences = compare(real_values, values)
    compared = [row.statistic for row in differences]
    columns = [
        np.stack([table[name] for name in compared], axis=1)
        for table in (real_values, values)
    ]
    model = run.model() if run is not None else untrained_model(_described(dataset))
    features = partial(network_features, model, device=pick_device(device))
    separations = [
        separate(ALL_STATISTICS, *columns),
        separate(_net_name(run), *(features(sample.filled) for sample in samples)),
    ]
    document: dict[str, Any] = {
        "fingerprint": dataset.fingerprint,
        "real": real.fingerprint,
        "images": {"real": len(real_rows), "simulated": len(rows)},
        "verdict": realism_verdict(differences, separations, len(real_rows)),
        "separations": [row.document() for row in separations],
        "statistics": [row.document() for row in differences],
    }
    if any(factor != 1 for factor in factors):
        document["unit_factors"] = factors
    real_images, images = _shown_images(*samples)
    return RealismAudit(
        document, differences, separations, real_values, values, real_images, images
    )


def statistics_of(dataset: ShardDataset) -> Values:
    """Return all statistics (N,) of the images of a data set, by name, as an audit sees them.

    Of several bands, each has its own: `skew [vis]`.
    """
    return _statistics(_sample(dataset, np.arange(len(dataset))))


def _described(dataset: ShardDataset) -> ImageDescription:
    """Describe the images of a data set without drawing any, which may need its galaxies."""
    return ImageDescription(dataset.image_shape, dataset.pixel_scale, bands=dataset.bands)


def _net_name(run: Run | None) -> str:
    if run is None:
        return "untrained network"
    return f"network of {run.folder.name}"


def _check_alike(dataset: ShardDataset, real: ShardDataset) -> None:
    """Raise `ConfigError` unless both data sets have the same pixels, bands and sizes."""
    channels, height, _ = dataset.image_shape
    scale = dataset.pixel_scale
    options: dict[str, Any] = {"pixel-scale": scale, "num-pix": height}
    if channels > 1:
        options["bands"] = ",".join(dataset.bands) or channels
    words = [
        word for name, value in options.items() if value for word in (f"--{name}", value)
    ]
    mend = command("import", "fits", "DIR", "--out", "REAL", *words)
    real_scale = real.pixel_scale
    if scale and real_scale and abs(np.log(scale / real_scale)) > _SCALE_TOLERANCE:
        raise ConfigError(
            f'{real.folder} has pixels of {real_scale:g}", and {dataset.folder} of '
            f'{scale:g}": resample the real images, {mend}',
            code="pixels-differ",
            real=real.folder,
            scale=real_scale,
            expected=scale,
        )
    has_other_bands = channels > 1 and dataset.bands != real.bands
    if dataset.image_shape != real.image_shape or has_other_bands:
        raise ConfigError(
            f"{real.folder} has images of {shape_words(real.image_shape, real.bands)}, and "
            f"{dataset.folder} of {shape_words(dataset.image_shape, dataset.bands)}: "
            f"cut the real images alike, {mend}",
            code="images-differ",
            real=real.folder,
            shape=real.image_shape,
            expected=dataset.image_shape,
        )


def _check_run(dataset: ShardDataset, run: Run) -> None:
    shape = run.record.images.shape
    if shape != dataset.image_shape:
        raise ConfigError(
            f"the network of {run.folder} takes images of {shape_words(shape)}, and "
            f"{dataset.folder} has {shape_words(dataset.image_shape)}",
            code="images-differ",
            run=run.folder,
            shape=shape,
            expected=dataset.image_shape,
        )


def _rows(
    dataset: ShardDataset, real: ShardDataset, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return at most `limit` rows of either data set, evenly spaced."""
    rows, real_rows = np.arange(len(dataset)), np.arange(len(real))
    if dataset.fingerprint == real.fingerprint:
        rows, real_rows = rows[::2], real_rows[1::2]
    return _spaced(rows, limit), _spaced(real_rows, limit)


def _spaced(rows: np.ndarray, limit: int) -> np.ndarray:
    if len(rows) <= limit:
        return rows
    return rows[np.linspace(0, len(rows) - 1, limit).astype(int)]


def _sample(dataset: ShardDataset, rows: np.ndarray) -> _Sample:
    """Read images, and set pixels to NaN that the noise map or the mask marks."""
    images = dataset.images(rows).astype(np.float64)
    maps = maps_of(dataset.config)
    sigma = None
    if SIGMA in maps:
        sigma = dataset.read_map(SIGMA, rows).astype(np.float64)
        masked = ~(sigma < _MASKED_SIGMA) | (sigma <= 0)
        images[masked] = np.nan
        sigma[masked] = np.nan
    if MASK in maps:
        images[dataset.read_map(MASK, rows) == 0] = np.nan
    return _Sample(images, sigma, dataset.bands)


def _in_unit_of(real: _Sample, simulated: _Sample) -> tuple[_Sample, list[float]]:
    """Return real images in the unit of simulated ones, and the factor of each band.

    Noise that differs more than a hundred times says another unit of flux, and no other depth.
    Medians of the noise then agree.
    """
    factors = []
    for band in range(real.images.shape[1]):
        levels = [Stamps(sample.images[:, band]).rms for sample in (simulated, real)]
        ratio = float(np.nanmedian(levels[0]) / max(np.nanmedian(levels[1]), _TINY))
        has_other_unit = ratio > 0 and abs(np.log(ratio)) > np.log(_OTHER_UNIT)
        factors.append(ratio if has_other_unit else 1.0)
    scale = np.array(factors)[:, None, None]
    sigma = None if real.sigma is None else real.sigma * scale
    return replace(real, images=real.images * scale, sigma=sigma), factors


def _statistics(sample: _Sample) -> Values:
    """Return all statistics of each band, by name."""
    values: Values = {}
    for band in range(sample.images.shape[1]):
        suffix = _suffix(sample, band)
        for statistic, column in _of_band(sample, band).items():
            values[statistic + suffix] = column
    return values


def _suffix(sample: _Sample, band: int) -> str:
    """Return what is added to the name of a statistic, to say its band."""
    if sample.images.shape[1] == 1:
        return ""
    if not sample.bands:
        return f" [{band}]"
    return f" [{sample.bands[band]}]"


def _of_band(sample: _Sample, band: int) -> Values:
    chunks = []
    for start in range(0, len(sample.images), _IMAGES_PER_CHUNK):
        rows = slice(start, start + _IMAGES_PER_CHUNK)
        sigma = None
        if sample.sigma is not None:
            sigma = sample.sigma[rows, band]
        chunks.append(realism_statistics(Stamps(sample.images[rows, band], sigma)))
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _shown_images(*samples: _Sample, count: int = 16) -> list[np.ndarray]:
    """Return as many images of each sample, evenly spaced."""
    count = min(count, *(len(sample.images) for sample in samples))
    images = []
    for sample in samples:
        rows = _spaced(np.arange(len(sample.images)), count)
        images.append(sample.filled[rows])
    return images
