"""Streaming: batches of a data set in a sampler's order, read ahead while whoever trains is at work on the last one."""

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, override

import torch
from torch.utils.data import DataLoader, Dataset

from lenssim.data.streaming.dataset import Batch, ShardDataset
from lenssim.data.streaming.sampler import BatchSampler

__all__ = ["Ahead", "stream"]

_BATCHES = 2  # read ahead by each thread
_PATIENCE = 5.0  # s for a thread's end: it may wait for a shard that is still being made


class Ahead:
    """Batches of a data set in a sampler's order, read by `threads`; iterated and resumed like a DataLoader.

    Threads, because reading needs none of Python: a batch need not be copied from process to process, which takes
    several times as long as to read it. What reading raises is raised where its batch is asked for.
    """

    def __init__(
        self,
        dataset: ShardDataset,
        sampler: BatchSampler,
        threads: int,
        pin_memory: bool = False,
    ) -> None:
        self.dataset, self.batch_sampler, self.threads, self.pin_memory = (
            dataset,
            sampler,
            threads,
            pin_memory,
        )

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Batch]:
        asked: SimpleQueue[tuple[list[int], Future[Any]] | None] = SimpleQueue()
        coming: deque[Future[Any]] = deque()
        threads = [
            threading.Thread(target=self._work, args=(asked,), daemon=True)
            for _ in range(self.threads)
        ]
        for thread in threads:
            thread.start()
        try:
            for rows in self.batch_sampler:
                coming.append(Future())
                asked.put((rows, coming[-1]))
                if len(coming) > _BATCHES * self.threads:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for future in coming:
                future.cancel()
            for _ in threads:
                asked.put(None)
            for thread in (
                threads
            ):  # one that dropped a tensor while Python ends would abort the process
                thread.join(_PATIENCE)

    def _work(self, asked: "SimpleQueue[tuple[list[int], Future[Any]] | None]") -> None:
        while (item := asked.get()) is not None:
            rows, future = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                batch = self.dataset.__getitems__(rows)
                future.set_result(
                    {k: v.pin_memory() for k, v in batch.items()}
                    if self.pin_memory
                    else batch
                )
            except BaseException as error:
                future.set_exception(error)


def stream(
    dataset: Dataset[Batch],
    sampler: BatchSampler,
    workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader[Batch] | Ahead:
    """Batches of a data set in a sampler's order, which `workers` do not change; the sampler keeps the place.

    Workers are threads where samples are read, and processes where they are made.
    """
    if workers and isinstance(dataset, ShardDataset):
        return Ahead(dataset, sampler, workers, pin_memory)
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_whole,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        generator=_Generator(),  # else every pass would draw from the global one
    )


class _Generator(torch.Generator):
    """One that other processes begin anew.

    torch's own hands its state to them in memory that is gone, and its descriptor another file's, before they start.
    """

    @override
    def __reduce__(self) -> tuple[type["_Generator"], tuple[()]]:
        return _Generator, ()


def _whole(batch: Batch) -> Batch:
    return batch
