"""Means and a full covariance by the log-Cholesky factor of its inverse (Dorta et al. 2018).

Wagner-Carena et al. (2021), section 2.3, for lens parameters: 6 targets need 6 + 21 outputs.
"""

from typing import override

import torch
from torch import Tensor

from lenssim.learn.heads.gaussian import Gaussian
from lenssim.learn.heads.head import LARGEST

__all__ = ["Full"]

_BELOW = 1e5  # about the largest of the diagonal


class Full(Gaussian):
    """k + k (k + 1) / 2 outputs: means, logarithms of the factor's diagonal, and what is below it, row by row."""

    @property
    @override
    def outputs(self) -> int:
        return self.targets + self.targets * (self.targets + 1) // 2

    @override
    def root(self, outputs: Tensor) -> Tensor:
        k = self.targets
        diagonal = outputs[..., k : 2 * k].clamp(-LARGEST, LARGEST).exp()
        rows, columns = torch.tril_indices(k, k, offset=-1, device=outputs.device)
        below = outputs.new_zeros(*outputs.shape[:-1], k, k)
        below[..., rows, columns] = outputs[..., 2 * k : self.outputs].clamp(
            -_BELOW, _BELOW
        )
        return torch.diag_embed(diagonal) + below
