"""The order of training whose batches hold two groups in equal numbers."""

from typing import Any, override

import numpy as np

from lenssim.data.streaming.sampler import BatchSampler

__all__ = ["BalancedSampler"]


class BalancedSampler(BatchSampler):
    """Batches of which one half is of chosen rows, and the other of the rest.

    An epoch has as many batches as without balance. So rows of the smaller group come more
    than once an epoch, and some of the larger group do not come.

    Args:
        rows: Rows (n,) of the data set.
        batch_size: The number of samples in a batch; of an odd number the rest has one more.
        chosen: Whether a row is of the first group, bool (n,), with rows of both groups.
        **options: As of `BatchSampler`. The last, smaller batch is left out.

    Example:
        >>> sampler = BalancedSampler(np.arange(6), 4, np.arange(6) < 2, shuffle=False)
        >>> list(sampler)
        [[0, 1, 2, 3]]
    """

    def __init__(
        self, rows: np.ndarray, batch_size: int, chosen: np.ndarray, **options: Any
    ) -> None:
        super().__init__(rows, batch_size, **options, drop_last=True)
        self.chosen_rows = self.rows[chosen]

    @override
    def order(self, epoch: int) -> np.ndarray:
        """Return the rows of all batches of an epoch, one batch after another."""
        order = super().order(epoch)
        is_chosen = np.isin(order, self.chosen_rows)
        half = self.batch_size // 2
        sizes = (half, self.batch_size - half)
        groups = (order[is_chosen], order[~is_chosen])
        parts = [
            np.resize(group, (len(self), size))  # repeats what is too short
            for group, size in zip(groups, sizes, strict=True)
        ]
        return np.concatenate(parts, axis=1).ravel()

    @override
    def _identity(self) -> dict[str, Any]:
        """Return what the order depends on."""
        return {**super()._identity(), "chosen": len(self.chosen_rows)}
