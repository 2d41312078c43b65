"""Does an image look like the training data? A distance of plain image statistics, judged by images not learned from.

The statistics know nothing of the network, so that a network that is sure of itself cannot hide a strange image.
"""

from pathlib import Path
from typing import Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from sklearn.covariance import LedoitWolf

from lenssim.data.format.files import read_json, signed_json
from lenssim.errors import DataError
from lenssim.learn.inputs.normalise import normalisation

__all__ = ["ALARM_RATE", "NOVELTY", "Novelty", "image_features", "read_novelty"]

ALARM_RATE = 0.01
NOVELTY = "novelty.json"
_FORMAT = "lenssim-novelty/2"
_RINGS = 8  # in radius, and in spatial frequency
_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
_NOISE = (0.2, 0.5, 1.0)
_FLOOR = 1e-12  # of a power spectrum: below it there is rounding
_CHUNK = 1024


def image_features(images: np.ndarray) -> np.ndarray:
    """Statistics float64 (N, F) of images (N, C, H, W), at least 3 x 3, by band: power spectrum, light by radius,
    quantiles, and quantiles of what differs from all smooth images, which are of the noise, and the largest.
    """
    images = np.asarray(images, dtype=np.float64)
    count, height, width = len(images), *images.shape[-2:]
    y, x = np.meshgrid(
        *((np.arange(side) - (side - 1) / 2) / side for side in (height, width)),
        indexing="ij",
    )
    waves = np.hypot(
        *np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    )
    power = np.abs(np.fft.rfft2(images - images.mean((-2, -1), keepdims=True))) ** 2 / (
        height * width
    )
    light = _by_ring(images, np.hypot(x, y))
    levels = np.moveaxis(np.quantile(images, _QUANTILES, axis=(-2, -1)), 0, -1)
    rough = np.diff(
        np.diff(images, 2, axis=-1), 2, axis=-2
    )  # Immerkaer (1996): zero where an image is quadratic
    noise = np.moveaxis(np.quantile(np.abs(rough), _NOISE, axis=(-2, -1)), 0, -1)
    parts = [np.log(_by_ring(power, waves) + _FLOOR), light, levels, np.log(noise + _FLOOR)]
    return np.concatenate(parts, axis=-1).reshape(count, -1)


def _by_ring(planes: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Means (..., 8) of planes (..., H, W) in rings of radius (H, W), of equal width up to a half."""
    ring = np.minimum((2 * radius * _RINGS).astype(int), _RINGS - 1).ravel()
    member = np.eye(_RINGS)[ring]
    return planes.reshape(*planes.shape[:-2], -1) @ (member / np.maximum(member.sum(0), 1))


class Novelty(BaseModel):
    """Distances of images from the training data, and those of validation images to judge them by.

    Mahalanobis distances of `image_features` of the normalised images, with the shrunk correlations of Ledoit & Wolf
    (2004): of standardised features, or else shrinkage would drown those that hardly vary. The share of validation
    images at least as far out is a conformal p-value (Vovk et al. 2005): whatever the distribution, images like the
    training data have p <= a with a probability of at most a.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalise: str
    mean: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    distances: tuple[float, ...]
    """Of the validation images, rising."""

    @classmethod
    def fit(cls, normalise: str, training: np.ndarray, validation: np.ndarray) -> Self:
        """From training and validation images (N, C, H, W), scaled by the normalisation of that name."""
        seen = _features(normalise, training)
        mean, spread = seen.mean(axis=0), seen.std(axis=0)
        spread[spread == 0] = 1
        precision = LedoitWolf(assume_centered=True).fit(
            (seen - mean) / spread
        ).precision_ / np.outer(spread, spread)
        bare = cls(
            normalise=normalise,
            mean=mean.tolist(),
            precision=precision.tolist(),
            distances=(),
        )
        return bare.model_copy(
            update={"distances": tuple(np.sort(bare.distance(validation)).tolist())}
        )

    @property
    def threshold(self) -> float:
        """Largest p of an image that is called unlike the training data: `ALARM_RATE`, or what can be told at all."""
        return max(ALARM_RATE, 1 / (len(self.distances) + 1))

    def distance(self, images: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distances (N,) of images (N, C, H, W)."""
        off = _features(self.normalise, images) - np.asarray(self.mean)
        return np.einsum("ni,ij,nj->n", off, np.asarray(self.precision), off)

    def p_values(self, images: np.ndarray) -> np.ndarray:
        """Conformal p-values (N,) of images (N, C, H, W): how unremarkable each is among validation images."""
        further = len(self.distances) - np.searchsorted(
            self.distances, self.distance(images), side="left"
        )
        return (further + 1) / (len(self.distances) + 1)

    def to_json(self) -> bytes:
        """Return the bytes of novelty.json."""
        return signed_json({"format": _FORMAT, **self.model_dump(mode="json")})


def read_novelty(folder: Path) -> Novelty | None:
    """What a run's folder keeps of it, None for nothing or other statistics than today's; `DataError` if damaged."""
    if not (folder / NOVELTY).is_file():
        return None
    document = read_json(folder / NOVELTY)
    if document.pop("format", None) != _FORMAT:
        return None
    try:
        return Novelty.model_validate(document)
    except ValidationError as error:
        raise DataError(
            f"{folder / NOVELTY} is not what lenssim train writes: {error.errors()[0]['msg']}"
        ) from None


def _features(normalise: str, images: np.ndarray) -> np.ndarray:
    scale = normalisation(normalise)
    parts = [
        image_features(scale(torch.as_tensor(images[start : start + _CHUNK])).numpy())
        for start in range(0, len(images), _CHUNK)
    ]
    return np.concatenate(parts)
