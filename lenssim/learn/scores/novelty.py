"""Novelty: does an image look like the training data?

The score is a distance of plain image statistics, compared with that of validation images. The
statistics do not depend on the network, so a confident network cannot hide an unusual image.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from pydantic import ValidationError

from lenssim.data.format.files import read_json, signed_json
from lenssim.errors import DataError, from_validation
from lenssim.learn.inputs.normalise import normalisation
from lenssim.learn.scores.shrinkage import shrunk_covariance
from lenssim.record import Record

__all__ = [
    "ALARM_RATE",
    "NOVELTY",
    "Novelty",
    "image_features",
    "most_unlike",
    "read_novelty",
]

ALARM_RATE = 0.01
NOVELTY = "novelty.json"
_FORMAT = "lenssim-novelty/2"
_RINGS = 8  # in radius, and in spatial frequency
_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
_NOISE_QUANTILES = (0.2, 0.5, 1.0)
_MIN_POWER = 1e-12  # of a power spectrum; smaller values are rounding errors
_IMAGES_PER_CHUNK = 1024


def image_features(images: np.ndarray) -> np.ndarray:
    """Return statistics of images, by band.

    They are the power spectrum, the light by radius, quantiles of the pixels, and quantiles of the
    second differences, which vanish for smooth images and so measure the noise.

    Args:
        images: Images (N, C, H, W) of at least 3 x 3 pixels.

    Returns:
        Features float64 (N, F).

    Example:
        >>> image_features(np.ones((2, 1, 8, 8))).shape
        (2, 26)
    """
    images = np.asarray(images, dtype=np.float64)
    height, width = images.shape[-2:]
    offsets = [(np.arange(side) - (side - 1) / 2) / side for side in (height, width)]
    y, x = np.meshgrid(*offsets, indexing="ij")
    frequencies = np.hypot(
        *np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    )
    contrast = images - images.mean((-2, -1), keepdims=True)
    power = np.abs(np.fft.rfft2(contrast)) ** 2 / (height * width)
    noise = _noise_quantiles(images)
    parts = [
        np.log(_ring_means(power, frequencies) + _MIN_POWER),
        _ring_means(images, np.hypot(x, y)),
        np.moveaxis(np.quantile(images, _QUANTILES, axis=(-2, -1)), 0, -1),
        np.log(noise + _MIN_POWER),
    ]
    return np.concatenate(parts, axis=-1).reshape(len(images), -1)


def _noise_quantiles(images: np.ndarray) -> np.ndarray:
    """Return quantiles of second differences, zero where an image is quadratic (Immerkaer 1996)."""
    differences = np.diff(np.diff(images, 2, axis=-1), 2, axis=-2)
    quantiles = np.quantile(np.abs(differences), _NOISE_QUANTILES, axis=(-2, -1))
    return np.moveaxis(quantiles, 0, -1)


def _ring_means(planes: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return means (..., 8) of planes (..., H, W) in rings of equal width up to a radius of 0.5."""
    ring = np.minimum((2 * radius * _RINGS).astype(int), _RINGS - 1).ravel()
    member = np.eye(_RINGS)[ring]
    flat = planes.reshape(*planes.shape[:-2], -1)
    return flat @ (member / np.maximum(member.sum(0), 1))


class Novelty(Record):
    """Distances of images from the training data, calibrated by those of validation images.

    They are Mahalanobis distances of `image_features` of the normalised images, with the shrunk
    correlations of Ledoit & Wolf (2004). Features are standardised, or else shrinkage would drown
    those that hardly vary. The share of validation images with at least this distance is a
    conformal p-value (Vovk et al. 2005): for any distribution, images like the training data have p
    <= a with a probability of at most a.

    Attributes:
        normalise: Name of the normalisation.
        mean: Mean of the features.
        precision: Inverse covariance of the features.
        distances: Squared distances of the validation images, ascending.
    """

    normalise: str
    mean: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    distances: tuple[float, ...]

    @classmethod
    def fit(cls, normalise: str, training: np.ndarray, validation: np.ndarray) -> Self:
        """Fit to images.

        Args:
            normalise: Name of the normalisation that scales the images.
            training: Training images (N, C, H, W).
            validation: Validation images (M, C, H, W).

        Returns:
            The distances.
        """
        features = _features(normalise, training)
        mean = features.mean(axis=0)
        spread = features.std(axis=0)
        spread[spread == 0] = 1
        correlations = shrunk_covariance((features - mean) / spread)
        precision = np.linalg.pinv(correlations, hermitian=True) / np.outer(spread, spread)
        uncalibrated = cls(
            normalise=normalise,
            mean=mean.tolist(),
            precision=precision.tolist(),
            distances=(),
        )
        distances = np.sort(uncalibrated.distance(validation))
        return uncalibrated.model_copy(update={"distances": tuple(distances.tolist())})

    @property
    def threshold(self) -> float:
        """Return the largest p-value of an image that is reported as unlike the training data.

        It is `ALARM_RATE`, or the smallest possible p-value where that is larger.
        """
        return max(ALARM_RATE, 1 / (len(self.distances) + 1))

    def distance(self, images: np.ndarray) -> np.ndarray:
        """Return the squared Mahalanobis distances (N,) of images (N, C, H, W)."""
        offsets = _features(self.normalise, images) - np.asarray(self.mean)
        return np.einsum("ni,ij,nj->n", offsets, np.asarray(self.precision), offsets)

    def p_values(self, images: np.ndarray) -> np.ndarray:
        """Return the conformal p-values (N,) of images (N, C, H, W)."""
        rank = np.searchsorted(self.distances, self.distance(images), side="left")
        further = len(self.distances) - rank
        return (further + 1) / (len(self.distances) + 1)

    def to_json(self) -> bytes:
        """Return the bytes of novelty.json."""
        return signed_json({"format": _FORMAT, **self.model_dump(mode="json")})


def most_unlike(
    novelties: Sequence[Novelty], images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how unlike the training data of several runs images are: the strictest verdict.

    A mean of answers is as good as the worst of them, so one run that does not know an image is
    enough.

    Args:
        novelties: What each run knows of images like its own, at least one.
        images: Images (N, C, H, W).

    Returns:
        The smallest p-values (N,), and whether one of them is below the run's threshold (N,).
    """
    p_values = np.stack([novelty.p_values(images) for novelty in novelties])
    thresholds = np.array([novelty.threshold for novelty in novelties])
    return p_values.min(axis=0), (p_values <= thresholds[:, None]).any(axis=0)


def read_novelty(folder: Path) -> Novelty | None:
    """Read the distances that a run's folder holds.

    Args:
        folder: Folder of a run.

    Returns:
        The distances, None for a folder without them or with those of an older format.

    Raises:
        DataError: The file is damaged.
    """
    if not (folder / NOVELTY).is_file():
        return None
    document = read_json(folder / NOVELTY)
    if document.pop("format", None) != _FORMAT:
        return None
    try:
        return Novelty.model_validate(document)
    except ValidationError as error:
        where = f"{folder / NOVELTY} is not what lenssim train writes"
        raise from_validation(error, where, kind=DataError) from None


def _features(normalise: str, images: np.ndarray) -> np.ndarray:
    scale = normalisation(normalise)
    chunks = []
    for start in range(0, len(images), _IMAGES_PER_CHUNK):
        chunk = torch.as_tensor(images[start : start + _IMAGES_PER_CHUNK])
        chunks.append(image_features(scale(chunk).numpy()))
    return np.concatenate(chunks)
