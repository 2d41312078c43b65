"""Detectors whose numbers follow from the training images at once, without steps."""

from typing import override

import numpy as np
import torch
from torch import Tensor

from lenssim.learn.inputs.image_features import image_features
from lenssim.learn.nets.detection.detector import Detector, Explanation

__all__ = ["Identity", "PrincipalComponents", "Statistics"]


class Identity(Detector):
    """The image is its own residual: that of a fit."""

    @override
    def explain(self, scaled: Tensor) -> Explanation:
        return Explanation(scaled)


class PrincipalComponents(Detector):
    """What the first components leave of an image."""

    mean: Tensor
    components: Tensor
    spreads: Tensor

    def __init__(
        self, scale: str, pixels: int, count: int, *, in_sigma: bool = False
    ) -> None:
        super().__init__(scale, in_sigma=in_sigma)
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("components", torch.zeros(count, pixels))
        self.register_buffer("spreads", torch.ones(count))

    def codes(self, scaled: Tensor) -> Tensor:
        """Return the amplitudes (N, k) of the components, each with a variance of one."""
        return (scaled.flatten(1) - self.mean) @ self.components.T / self.spreads

    @override
    def explain(self, scaled: Tensor) -> Explanation:
        answer = self.codes(scaled) * self.spreads @ self.components + self.mean
        return Explanation(scaled - answer.view_as(scaled))

    def fit(self, scaled: np.ndarray, seed: int) -> None:
        """Take the components of scaled images (N, C, H, W)."""
        from sklearn.decomposition import PCA

        count = len(self.components)
        solver = PCA(count, svd_solver="randomized", iterated_power=4, random_state=seed)
        solver.fit(scaled.reshape(len(scaled), -1))
        spreads = np.sqrt(solver.explained_variance_)
        self.mean.copy_(torch.as_tensor(solver.mean_))
        self.components.copy_(torch.as_tensor(solver.components_))
        self.spreads.copy_(torch.as_tensor(np.maximum(spreads, 1e-12)))


class Statistics(Detector):
    """The Mahalanobis distance of plain statistics, beside what the mean image leaves."""

    mean: Tensor
    centre: Tensor
    precision: Tensor

    def __init__(
        self, scale: str, shape: tuple[int, int, int], *, in_sigma: bool = False
    ) -> None:
        super().__init__(scale, in_sigma=in_sigma)
        features = image_features(np.zeros((1, *shape))).shape[1]
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("centre", torch.zeros(features, dtype=torch.float64))
        self.register_buffer(
            "precision", torch.zeros(features, features, dtype=torch.float64)
        )

    @override
    def explain(self, scaled: Tensor) -> Explanation:
        features = torch.as_tensor(image_features(scaled.cpu().numpy()))
        offsets = features.to(self.centre.device) - self.centre
        distances = torch.einsum("ni,ij,nj->n", offsets, self.precision, offsets)
        score = distances.clamp(min=1e-12).log().to(scaled)
        return Explanation(scaled - self.mean, score)

    def set(self, mean: np.ndarray, centre: np.ndarray, precision: np.ndarray) -> None:
        """Take a mean image (C, H, W), and mean and inverse covariance of the statistics."""
        self.mean.copy_(torch.as_tensor(mean))
        self.centre.copy_(torch.as_tensor(centre))
        self.precision.copy_(torch.as_tensor(precision))
