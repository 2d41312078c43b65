"""Batches of two data sets side by side, of which the second never runs out."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Unpack, cast, override

import numpy as np

from lenssim.data.streaming.sampler import BatchSampler
from lenssim.data.streaming.source import Batch, ReadingOrder

__all__ = ["FollowingSampler", "PairedBatches", "without_truth"]

TRUTHS_OF_A_BATCH = ("label", "target")


class FollowingSampler(BatchSampler):
    """Batches of one data set, one for each batch of another.

    Its own epochs follow each other without end. Its position follows from that of the
    leading sampler, so a training that resumes needs no other state.

    Args:
        leader: The sampler of the other data set.
        rows: Rows (n,) of this data set, at least a batch.
        batch_size: The number of samples in a batch, over all processes.
        seed: The seed of the order.
        fingerprint: The fingerprint of the data set.
        **order: In which order the data are cheap to read.

    Example:
        >>> leader = BatchSampler(np.arange(6), 2)
        >>> follower = FollowingSampler(leader, np.arange(2), 2)
        >>> [sorted(rows) for rows in follower]
        [[0, 1], [0, 1], [0, 1]]
    """

    def __init__(
        self,
        leader: BatchSampler,
        rows: np.ndarray,
        batch_size: int,
        *,
        seed: int = 0,
        fingerprint: str = "",
        **order: Unpack[ReadingOrder],
    ) -> None:
        super().__init__(
            rows, batch_size, seed=seed, fingerprint=fingerprint, drop_last=True, **order
        )
        self.leader = leader

    @override
    def __len__(self) -> int:
        return len(self.leader)

    @override
    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches that stand beside those that the leader has still to do."""
        batches = len(self.rows) // self.batch_size
        present = -1
        for batch in range(self.leader.done, len(self.leader)):
            number = self.leader.epoch * len(self.leader) + batch
            epoch, place = divmod(number, batches)
            if epoch != present:
                rows = self.order(epoch)
                present = epoch
            start = place * self.batch_size
            yield rows[start : start + self.batch_size][self.rank :: self.world].tolist()


class PairedBatches:
    """Batches of several data sets side by side, by the name of the data set.

    Args:
        loaders: Loaders of equally many batches, by name.

    Example:
        >>> len(PairedBatches({"source": [{}, {}], "target": [{}, {}]}))
        2
    """

    def __init__(self, loaders: Mapping[str, Iterable[Batch]]) -> None:
        self.loaders = dict(loaders)

    def __len__(self) -> int:
        return min(len(cast("list[Batch]", loader)) for loader in self.loaders.values())

    def __iter__(self) -> Iterator[dict[str, Batch]]:
        for batches in zip(*self.loaders.values(), strict=True):
            yield dict(zip(self.loaders, batches, strict=True))


def without_truth(batch: Batch) -> Batch:
    """Return a batch without what nobody is to know of it: labels and true parameters.

    Example:
        >>> import torch
        >>> sorted(without_truth({"image": torch.zeros(1), "label": torch.zeros(1)}))
        ['image']
    """
    columns = {
        name: column for name, column in batch.items() if name not in TRUTHS_OF_A_BATCH
    }
    return cast("Batch", columns)
