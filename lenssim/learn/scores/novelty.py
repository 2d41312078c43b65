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
from lenssim.learn.inputs.image_features import image_features
from lenssim.learn.inputs.normalise import normalisation
from lenssim.learn.scores.shrinkage import shrunk_covariance
from lenssim.record import Record

__all__ = [
    "ALARM_RATE",
    "NOVELTY",
    "Novelty",
    "image_features",
    "mean_and_precision",
    "most_unlike",
    "read_novelty",
]

ALARM_RATE = 0.01
NOVELTY = "novelty.json"
_FORMAT = "lenssim-novelty/2"
_IMAGES_PER_CHUNK = 1024


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
        mean, precision = mean_and_precision(_features(normalise, training))
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


def mean_and_precision(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (F,) and inverse shrunk covariance (F, F) of features (N, F)."""
    mean = features.mean(axis=0)
    spread = features.std(axis=0)
    spread[spread == 0] = 1
    correlations = shrunk_covariance((features - mean) / spread)
    precision = np.linalg.pinv(correlations, hermitian=True) / np.outer(spread, spread)
    return mean, precision


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
