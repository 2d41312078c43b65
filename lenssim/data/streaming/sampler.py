"""The order of training: batches by seed and epoch, and a position that can be saved."""

from collections.abc import Iterator
from typing import Any, Unpack

import numpy as np
from torch.utils.data import Sampler

from lenssim.data.streaming.source import ReadingOrder
from lenssim.errors import ConfigError

__all__ = ["BatchSampler"]

_ORDER_KEY = 16  # spawn key of these streams; no other part of lenssim uses it
_OLD_STATE = {"mix": 1, "rising": False, "fresh": 0}  # what older states do not name


class BatchSampler(Sampler[list[int]]):
    """Batches of rows in an order that depends on seed and epoch alone.

    The state is (epoch, batches done), and the training owns it. `advance` is called after
    a batch was used, not when it was read. So batches that were read ahead are read again
    after a resume. The order of training is the same for every number of processes that
    divides the batch size.

    Args:
        rows: Rows (n,) of the data set.
        batch_size: The number of samples in a batch, over all processes.
        seed: The seed of the order.
        fingerprint: The fingerprint of the data set, which belongs to the saved state.
        shuffle: Whether the rows are permuted.
        drop_last: Whether a last, smaller batch is left out.
        rank: The number of this process, which gets every `world`-th row of a batch.
        world: The number of processes.
        **order: In which order the data are cheap to read, see `ReadingOrder`. Without it,
            single rows are permuted.

    Raises:
        ConfigError: The processes cannot share the batches equally.

    Example:
        >>> sampler = BatchSampler(np.arange(6), 4, shuffle=False)
        >>> list(sampler)
        [[0, 1, 2, 3], [4, 5]]
    """

    def __init__(
        self,
        rows: np.ndarray,
        batch_size: int,
        *,
        seed: int = 0,
        fingerprint: str = "",
        shuffle: bool = True,
        drop_last: bool = False,
        rank: int = 0,
        world: int = 1,
        **order: Unpack[ReadingOrder],
    ) -> None:
        self.rows = np.asarray(rows)
        self.batch_size = batch_size
        self.seed = seed
        self.fingerprint = fingerprint
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.share(rank, world)
        unknown_options = set(order) - set(ReadingOrder.__annotations__)
        if unknown_options:
            raise TypeError(f"BatchSampler has no option {', '.join(unknown_options)}")
        self.block = order.get("block", 1)
        self.mix = order.get("mix", 1)
        self.rising = order.get("rising", False)
        self.fresh = order.get("fresh", 0)
        self.epoch = 0
        self.done = 0

    def share(self, rank: int, world: int) -> None:
        """Share the batches with other processes.

        Args:
            rank: The number of this process, from 0.
            world: The number of processes.

        Raises:
            ConfigError: They cannot share the batches equally.
        """
        divides = world >= 1 and self.batch_size % world == 0
        if self.batch_size < 1 or not divides or not 0 <= rank < world:
            raise ConfigError(
                f"a batch of {self.batch_size} cannot be shared by {world} processes; "
                f"use a multiple of {world}",
                code="batch-indivisible",
                batch_size=self.batch_size,
                world=world,
            )
        if world > 1 and not self.drop_last and len(self.rows) % self.batch_size:
            raise ConfigError(
                f"{len(self.rows)} samples leave a part of a batch of {self.batch_size}, "
                f"which {world} processes cannot share; use drop_last",
                code="batch-indivisible",
                batch_size=self.batch_size,
                world=world,
            )
        self.rank = rank
        self.world = world

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        batches, remainder = divmod(len(self.rows), self.batch_size)
        return batches + (remainder > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches of the present epoch that are still to do."""
        order = self.order(self.epoch)
        for batch in range(self.done, len(self)):
            start = batch * self.batch_size
            yield order[start : start + self.batch_size][self.rank :: self.world].tolist()

    def order(self, epoch: int) -> np.ndarray:
        """Return all rows (n,) in the order of an epoch."""
        rows = self.rows + epoch * self.fresh
        if not self.shuffle:
            return rows
        sequence = np.random.SeedSequence(self.seed, spawn_key=(_ORDER_KEY, epoch))
        rng = np.random.Generator(np.random.SFC64(sequence))
        if self.block == 1:
            return rng.permutation(rows)
        starts = range(0, len(rows), self.block)
        blocks = [rows[start : start + self.block] for start in starts]
        block_order = np.arange(len(blocks))
        if not self.rising or epoch > 0:
            block_order = rng.permutation(len(blocks))
        blocks = [blocks[i] for i in block_order]
        if self.mix == 1:
            return np.concatenate(blocks)
        windows = [
            np.concatenate(blocks[start : start + self.mix])
            for start in range(0, len(blocks), self.mix)
        ]
        return np.concatenate([rng.permutation(window) for window in windows])

    def advance(self) -> None:
        """Count a batch as done; after the last one the next epoch begins."""
        self.done += 1
        if self.done >= len(self):
            self.epoch += 1
            self.done = 0

    def _identity(self) -> dict[str, Any]:
        """Return what the order depends on."""
        return {
            "seed": self.seed,
            "samples": len(self.rows),
            "batch_size": self.batch_size,
            "drop_last": self.drop_last,
            "block": self.block,
            "mix": self.mix,
            "rising": self.rising,
            "fresh": self.fresh,
            "fingerprint": self.fingerprint,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the position, and what the order depends on."""
        return {"epoch": self.epoch, "done": self.done, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved position.

        Args:
            state: What `state_dict` returned.

        Raises:
            ConfigError: It belongs to another order. The message lists what differs.
        """
        saved = {**_OLD_STATE, **state}
        lines = [
            f"{key}: {saved.get(key)} saved, {value} now"
            for key, value in self._identity().items()
            if saved.get(key) != value
        ]
        if lines:
            raise ConfigError(
                "the saved place in the data belongs to another order:\n  "
                + "\n  ".join(lines),
                code="order-differs",
            )
        self.epoch = int(saved["epoch"])
        self.done = int(saved["done"])
