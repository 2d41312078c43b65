"""Batches of a data set for a training loop of one's own."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lenssim.data.streaming.dataset import Batch, ShardDataset

__all__ = ["Loader"]


class Loader:
    """Batches of a data set, in another order each time they are iterated.

    A batch is a dictionary of tensors: `image` float32 (B, C, H, W), `label` int64 (B,) and
    `index`, the sample numbers (B,).
    """

    def __init__(
        self,
        source: "ShardDataset",
        rows: np.ndarray,
        batch_size: int,
        *,
        shuffle: bool,
        seed: int,
        workers: int,
    ) -> None:
        from lenssim.data.streaming.sampler import BatchSampler

        self.source = source
        self.workers = workers
        self.sampler = BatchSampler(
            rows, batch_size, seed=seed, shuffle=shuffle, **source.order
        )

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> "Iterator[Batch]":
        from lenssim.data.streaming.stream import stream

        yield from stream(self.source, self.sampler, self.workers)
        self.sampler.epoch += 1

    def __repr__(self) -> str:
        images = len(self.sampler.rows)
        return (
            f"Loader of {len(self)} batches of {self.sampler.batch_size}, {images} images"
        )
