"""A Gaussian head with independent errors (Nix & Weigend 1994; Kendall & Gal 2017, eq. 8)."""

from typing import override

import torch
from torch import Tensor

from lenssim.learn.heads.gaussian import Gaussian
from lenssim.learn.heads.head import MAX_LOG_ROOT

__all__ = ["Diagonal"]


class Diagonal(Gaussian):
    """A head with 2 k outputs: the means, and the logarithms of the inverse errors.

    Example:
        >>> Diagonal(targets=3).outputs
        6
    """

    @property
    @override
    def outputs(self) -> int:
        return 2 * self.targets

    @override
    def root(self, outputs: Tensor) -> Tensor:
        log_root = outputs[..., self.targets :].clamp(-MAX_LOG_ROOT, MAX_LOG_ROOT)
        return torch.diag_embed(log_root.exp())
