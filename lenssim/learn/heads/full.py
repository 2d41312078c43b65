"""A Gaussian head with a full covariance, by its log-Cholesky factor (Dorta et al. 2018).

Wagner-Carena et al. (2021), section 2.3, use it for lens parameters: 6 targets need 6 + 21 outputs.
"""

from typing import override

import torch
from torch import Tensor

from lenssim.learn.heads.gaussian import Gaussian
from lenssim.learn.heads.head import MAX_LOG_ROOT

__all__ = ["Full"]

_MAX_BELOW_DIAGONAL = 1e5  # about the largest value of the diagonal


class Full(Gaussian):
    """A head with k + k (k + 1) / 2 outputs.

    They are the means, the logarithms of the factor's diagonal, and the part below it row by row.

    Example:
        >>> Full(targets=6).outputs
        27
    """

    @property
    @override
    def outputs(self) -> int:
        return self.targets + self.targets * (self.targets + 1) // 2

    @override
    def root(self, outputs: Tensor) -> Tensor:
        k = self.targets
        diagonal = outputs[..., k : 2 * k].clamp(-MAX_LOG_ROOT, MAX_LOG_ROOT).exp()
        rows, columns = torch.tril_indices(k, k, offset=-1, device=outputs.device)
        lower = outputs.new_zeros(*outputs.shape[:-1], k, k)
        lower[..., rows, columns] = outputs[..., 2 * k : self.outputs].clamp(
            -_MAX_BELOW_DIAGONAL, _MAX_BELOW_DIAGONAL
        )
        return torch.diag_embed(diagonal) + lower
