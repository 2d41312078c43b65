"""The order of training: a pure function of seed and epoch, cut into batches, with a place that can be saved."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import Sampler

from lenssim.errors import ConfigError

__all__ = ["BatchSampler"]

_ORDER = 16  # spawn key of these streams, apart from those of the simulation


class BatchSampler(Sampler[list[int]]):
    """Batches of `rows` (n,) for one of `world` processes; each row once an epoch.

    `batch_size` counts over all processes; process `rank` gets every `world`-th row of each batch, so that the order
    of training is the same for every world size that divides it. The state is (epoch, batches done) and belongs to
    whoever trains: `advance` is called after a batch was used, not when it was fetched, so that batches read ahead
    are read again after a resume. With a `block` above 1, that many neighbouring rows stay neighbours in every order,
    for data that are cheaper to have in blocks; the rows of each `mix` such blocks that follow one another are mixed.
    `fresh`: every epoch's rows lie so many further on than the last's, for data without an end.
    `rising`: in the first epoch the blocks come in their order, for data that are still being made. `ConfigError` for
    sizes that do not go together.
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
        block: int = 1,
        mix: int = 1,
        rising: bool = False,
        fresh: int = 0,
    ) -> None:
        self.rows, self.batch_size, self.shuffle, self.drop_last = (
            np.asarray(rows),
            batch_size,
            shuffle,
            drop_last,
        )
        self.seed, self.fingerprint = seed, fingerprint
        self.share(rank, world)
        self.block, self.mix, self.rising, self.fresh = block, mix, rising, fresh
        self.epoch = self.done = 0

    def share(self, rank: int, world: int) -> None:
        """Be process `rank` of `world`; `ConfigError` if they cannot share the batches equally."""
        if (
            self.batch_size < 1
            or world < 1
            or self.batch_size % world
            or not 0 <= rank < world
        ):
            raise ConfigError(
                f"a batch of {self.batch_size} cannot be shared by {world} processes; use a multiple of {world}"
            )
        if world > 1 and not self.drop_last and len(self.rows) % self.batch_size:
            raise ConfigError(
                f"{len(self.rows)} samples leave a part of a batch of {self.batch_size}, which {world} processes "
                "cannot share; use drop_last"
            )
        self.rank, self.world = rank, world

    def __len__(self) -> int:
        """Batches an epoch."""
        whole, rest = divmod(len(self.rows), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        """The batches of the present epoch that are still to do."""
        order = self.order(self.epoch)
        for batch in range(self.done, len(self)):
            start = batch * self.batch_size
            yield order[start : start + self.batch_size][self.rank :: self.world].tolist()

    def order(self, epoch: int) -> np.ndarray:
        """All rows (n,) in the order of an epoch."""
        rows = self.rows + epoch * self.fresh
        if not self.shuffle:
            return rows
        sequence = np.random.SeedSequence(self.seed, spawn_key=(_ORDER, epoch))
        rng = np.random.Generator(np.random.SFC64(sequence))
        if self.block == 1:
            return rng.permutation(rows)
        blocks = [
            rows[start : start + self.block] for start in range(0, len(rows), self.block)
        ]
        places = (
            np.arange(len(blocks))
            if self.rising and epoch == 0
            else rng.permutation(len(blocks))
        )
        if self.mix == 1:
            return np.concatenate([blocks[i] for i in places])
        windows = [
            places[start : start + self.mix] for start in range(0, len(places), self.mix)
        ]
        return np.concatenate(
            [
                rng.permutation(np.concatenate([blocks[i] for i in window]))
                for window in windows
            ]
        )

    def advance(self) -> None:
        """Count a batch as done; after the last one the next epoch begins."""
        self.done += 1
        if self.done >= len(self):
            self.epoch, self.done = self.epoch + 1, 0

    def _identity(self) -> dict[str, Any]:
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
        """The place reached, and what the order depends on."""
        return {"epoch": self.epoch, "done": self.done, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved place; `ConfigError` lists what differs if it belongs to another order."""
        own, state = (
            self._identity(),
            {"mix": 1, "rising": False, "fresh": 0, **state},
        )  # older ones have none
        if lines := [
            f"{key}: {state.get(key)} saved, {own[key]} now"
            for key in own
            if state.get(key) != own[key]
        ]:
            raise ConfigError(
                "the saved place in the data belongs to another order:\n  "
                + "\n  ".join(lines)
            )
        self.epoch, self.done = int(state["epoch"]), int(state["done"])
