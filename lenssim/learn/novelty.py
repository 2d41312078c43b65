"""Does an image look like the training data? A distance of plain image statistics, judged by images not learned from.

The statistics know nothing of the network, so that a network that is sure of itself cannot hide a strange image.
"""

from pathlib import Path
from typing import Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from sklearn.covariance import LedoitWolf

from lenssim.data.files import read_json, write_json
from lenssim.errors import DataError
from lenssim.learn.normalise import normalisation

__all__ = ["ALARM_RATE", "Novelty", "image_features", "read_novelty"]

ALARM_RATE = 0.01
_FILE = "novelty.json"
_RINGS = 8  # in radius, and in spatial frequency
_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
_QUIET = 0.2  # quantile of the steps between neighbours
_FLOOR = 1e-12  # of a power spectrum: below it there is rounding
_CHUNK = 1024


def image_features(images: np.ndarray) -> np.ndarray:
    """Statistics float64 (N, F) of images (N, C, H, W), by band: power spectrum, light by radius, quantiles, and the
    noise, as steps between neighbours show it where the image is quiet.
    """
    images = np.asarray(images, dtype=np.float64)
    count, height, width = len(images), *images.shape[-2:]
    y, x = np.meshgrid(*((np.arange(side) - (side - 1) / 2) / side for side in (height, width)), indexing="ij")
    waves = np.hypot(*np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij"))
    power = np.abs(np.fft.rfft2(images - images.mean((-2, -1), keepdims=True))) ** 2 / (height * width)
    light = _by_ring(images, np.hypot(x, y))
    levels = np.moveaxis(np.quantile(images, _QUANTILES, axis=(-2, -1)), 0, -1)
    quiet = np.quantile(np.abs(np.diff(images, axis=-1)), [_QUIET], axis=(-2, -1))[0][..., None]
    parts = [np.log(_by_ring(power, waves) + _FLOOR), light, levels, np.log(quiet + _FLOOR)]
    return np.concatenate(parts, axis=-1).reshape(count, -1)


def _by_ring(planes: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Means (..., 8) of planes (..., H, W) in rings of radius (H, W), of equal width up to a half."""
    ring = np.minimum((2 * radius * _RINGS).astype(int), _RINGS - 1).ravel()
    member = np.eye(_RINGS)[ring]
    return planes.reshape(*planes.shape[:-2], -1) @ (member / np.maximum(member.sum(0), 1))


class Novelty(BaseModel):
    """Distances of images from the training data, and those of validation images to judge them by.

    Mahalanobis distances of `image_features` of the normalised images, with the shrunk covariance of Ledoit & Wolf
    (2004). The share of validation images at least as far out is a conformal p-value (Vovk et al. 2005): whatever the
    distribution, images like the training data have p <= a with a probability of at most a.
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
        fitted = LedoitWolf().fit(_features(normalise, training))
        mean, precision = fitted.location_.tolist(), fitted.precision_.tolist()
        bare = cls(normalise=normalise, mean=mean, precision=precision, distances=())
        return bare.model_copy(update={"distances": tuple(np.sort(bare.distance(validation)).tolist())})

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
        further = len(self.distances) - np.searchsorted(self.distances, self.distance(images), side="left")
        return (further + 1) / (len(self.distances) + 1)

    def write(self, folder: Path) -> None:
        """Keep it in a run's folder."""
        write_json(folder / _FILE, self.model_dump(mode="json"))


def read_novelty(folder: Path) -> Novelty | None:
    """What a run's folder keeps of it, None for nothing; `DataError` if it is damaged."""
    if not (folder / _FILE).is_file():
        return None
    try:
        return Novelty.model_validate(read_json(folder / _FILE))
    except ValidationError as error:
        raise DataError(f"{folder / _FILE} is not what lenssim train writes: {error.errors()[0]['msg']}") from None


def _features(normalise: str, images: np.ndarray) -> np.ndarray:
    scale = normalisation(normalise)
    parts = [
        image_features(scale(torch.as_tensor(images[start : start + _CHUNK])).numpy())
        for start in range(0, len(images), _CHUNK)
    ]
    return np.concatenate(parts)
