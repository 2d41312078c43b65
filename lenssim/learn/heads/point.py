"""A point estimate: means alone with unit errors of the whitened targets."""

from typing import override

import torch
from torch import Tensor

from lenssim.learn.heads.gaussian import Gaussian

__all__ = ["Point"]


class Point(Gaussian):
    """A head with k outputs, the means. Its loss is half the squared error.

    The size of the errors follows from the validation samples alone.

    Example:
        >>> Point(targets=3).outputs
        3
    """

    @property
    @override
    def outputs(self) -> int:
        return self.targets

    @override
    def root(self, outputs: Tensor) -> Tensor:
        unit = torch.eye(self.targets, dtype=outputs.dtype, device=outputs.device)
        return unit.expand(*outputs.shape[:-1], -1, -1)
