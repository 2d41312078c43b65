"""Streams of batches in a sampler's order, read ahead while a training computes."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, cast, override

import torch
from torch.utils.data import DataLoader, Dataset

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.data.streaming.source import Batch, ImageSource

__all__ = ["PrefetchLoader", "stream"]

_BATCHES_AHEAD = 2  # read ahead by each thread
_PATIENCE = 5.0  # s for a thread's end: it may wait for a shard that is not finished

_Queue = SimpleQueue[tuple[list[int], Future[Batch]] | None]


class _BatchReader(Dataset[Batch]):
    """A source of finished batches, for loaders that do not collate."""

    def __init__(
        self,
        source: ImageSource,
        maps: Sequence[str] | None,
        targets: Sequence[str] | None,
    ) -> None:
        self.source = source
        self.maps = maps
        self.targets = targets

    def __getitems__(self, rows: list[int]) -> Batch:
        return self.source.batch(rows, maps=self.maps, targets=self.targets)

    def __len__(self) -> int:
        return len(self.source)


class PrefetchLoader:
    """Batches of a data set in a sampler's order, read by threads.

    It is iterated and resumed like a `DataLoader`. Threads suffice, because reading hardly
    needs Python. A batch need not be copied from process to process, which would take
    several times as long as to read it. An error of reading is raised where its batch is
    due.

    Args:
        dataset: The data set.
        sampler: The order of its rows.
        threads: The number of threads.
        pin_memory: Whether batches are copied to page-locked memory.
        maps: Names of maps that come along; those of the data set by default.
        targets: Names of true parameters that come along; those of the data set by default.
    """

    def __init__(
        self,
        dataset: ImageSource,
        sampler: BatchSampler,
        threads: int,
        pin_memory: bool = False,
        *,
        maps: Sequence[str] | None = None,
        targets: Sequence[str] | None = None,
    ) -> None:
        self.dataset = dataset
        self.batch_sampler = sampler
        self.threads = threads
        self.pin_memory = pin_memory
        self._reader = _BatchReader(dataset, maps, targets)

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Batch]:
        requests: _Queue = SimpleQueue()
        pending: deque[Future[Batch]] = deque()
        threads = self._start(requests)
        try:
            for rows in self.batch_sampler:
                future: Future[Batch] = Future()
                pending.append(future)
                requests.put((rows, future))
                if len(pending) > _BATCHES_AHEAD * self.threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
            for _ in threads:
                requests.put(None)
            # a thread that drops a tensor while Python ends would abort the process
            for thread in threads:
                thread.join(_PATIENCE)

    def _start(self, requests: _Queue) -> list[threading.Thread]:
        """Start the threads."""
        threads = [
            threading.Thread(target=self._work, args=(requests,), daemon=True)
            for _ in range(self.threads)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _work(self, requests: _Queue) -> None:
        """Read batches until the queue says None."""
        while (request := requests.get()) is not None:
            rows, future = request
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(self._read(rows))
            except BaseException as error:
                future.set_exception(error)

    def _read(self, rows: list[int]) -> Batch:
        """Read a batch, and pin it if that is wanted."""
        batch = self._reader.__getitems__(rows)
        if not self.pin_memory:
            return batch
        columns = cast("dict[str, torch.Tensor]", batch)
        pinned = {name: column.pin_memory() for name, column in columns.items()}
        return cast("Batch", pinned)


def stream(
    dataset: ImageSource,
    sampler: BatchSampler,
    workers: int = 0,
    pin_memory: bool = False,
    *,
    maps: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
) -> DataLoader[Batch] | PrefetchLoader:
    """Return the batches of a data set in a sampler's order, which `workers` do not change.

    The sampler keeps the position of a training: call its `advance` after each batch.

    Args:
        dataset: The data set.
        sampler: The order of its rows.
        workers: The number of threads where samples are read, and of processes where they
            are simulated.
        pin_memory: Whether batches are copied to page-locked memory.
        maps: Names of maps that come along; those of the data set by default.
        targets: Names of true parameters that come along as `target` (N, T); those of the
            data set by default.

    Returns:
        A loader, whose batches are dicts of tensors.
    """
    if workers and isinstance(dataset, ShardDataset):
        return PrefetchLoader(
            dataset, sampler, workers, pin_memory, maps=maps, targets=targets
        )
    return DataLoader(
        _BatchReader(dataset, maps, targets),
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_as_read,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        generator=_Generator(),  # else every pass would draw from the global one
    )


class _Generator(torch.Generator):
    """A generator that other processes create again rather than copy.

    torch's own hands its state to them in memory that is freed before they start.
    """

    @override
    def __reduce__(self) -> Any:
        return _Generator, ()


def _as_read(batch: Any) -> Any:
    """Return a batch as it is: it was collated when it was read."""
    return batch
