"""Means and independent errors (Nix & Weigend 1994; Kendall & Gal 2017, eq. 8)."""

from typing import override

import torch
from torch import Tensor

from lenssim.learn.heads.gaussian import Gaussian
from lenssim.learn.heads.head import LARGEST

__all__ = ["Diagonal"]


class Diagonal(Gaussian):
    """2 k outputs: means, and the logarithms of the inverse errors."""

    @property
    @override
    def outputs(self) -> int:
        return 2 * self.targets

    @override
    def root(self, outputs: Tensor) -> Tensor:
        return torch.diag_embed(outputs[..., self.targets :].clamp(-LARGEST, LARGEST).exp())
