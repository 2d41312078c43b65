"""The density of principal components of images, by a normalising flow."""

from typing import override

import zuko
from torch import Tensor

from lenssim.learn.nets.detection.detector import Explanation
from lenssim.learn.nets.detection.linear import PrincipalComponents

__all__ = ["ComponentDensity"]

_TRANSFORMS = 3
_HIDDEN = (128, 128)
_BINS = 8


class ComponentDensity(PrincipalComponents):
    """The negative logarithm of the density of an image's components, and what they leave.

    The density is a neural spline flow (Durkan et al. 2019) over components of unit variance.
    """

    def __init__(
        self, scale: str, pixels: int, count: int, *, in_sigma: bool = False
    ) -> None:
        super().__init__(scale, pixels, count, in_sigma=in_sigma)
        self.flow = zuko.flows.NSF(
            count, transforms=_TRANSFORMS, bins=_BINS, hidden_features=_HIDDEN
        )

    def surprise(self, scaled: Tensor) -> Tensor:
        """Return the negative logarithm (N,) of the density, in nats a component."""
        codes = self.codes(scaled)
        return -self.flow().log_prob(codes) / codes.shape[1]

    @override
    def explain(self, scaled: Tensor) -> Explanation:
        residual = super().explain(scaled).residual
        return Explanation(residual, self.surprise(scaled))
