"""The batches of a training: of one data set, or of a source and its target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenssim.data.streaming.paired import PairedBatches
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.data.streaming.stream import stream
from lenssim.learn.training.preparation import PreparedTraining
from lenssim.learn.training.target import following

if TYPE_CHECKING:
    from lenssim.learn.tasks.task import Data

__all__ = ["Streams", "streams_of"]


@dataclass(frozen=True)
class Streams:
    """Data sets of a training by name, with the orders of their samples."""

    sources: dict[str, Data]
    samplers: Sequence[BatchSampler]
    validation_samplers: Sequence[BatchSampler]

    def training(self, workers: int, pin_memory: bool) -> Iterable[Any]:
        """Return the batches to learn from: one of each data set at a time."""
        loaders = self._loaders(self.samplers, workers, pin_memory)
        if len(loaders) == 1:
            return next(iter(loaders.values()))
        return PairedBatches(loaders)

    def validation(self, workers: int, pin_memory: bool) -> Any:
        """Return the batches to judge by: those of each data set one after the other."""
        loaders = self._loaders(self.validation_samplers, workers, pin_memory)
        if len(loaders) == 1:
            return next(iter(loaders.values()))
        return list(loaders.values())

    def _loaders(
        self, samplers: Sequence[BatchSampler], workers: int, pin_memory: bool
    ) -> dict[str, Any]:
        """Return a loader for each data set."""
        return {
            name: stream(dataset, sampler, workers, pin_memory)
            for (name, dataset), sampler in zip(self.sources.items(), samplers, strict=True)
        }


def streams_of(training: PreparedTraining, validation_batch: int) -> Streams:
    """Return the batches of a training.

    Args:
        training: The training.
        validation_batch: Number of images in a batch of validation images.
    """
    names = training.learner.method.sources
    rows = [training.rows["validation"]]
    datasets = [training.dataset]
    samplers = [training.sampler]
    target = training.target
    if target is not None:
        datasets.append(target.dataset)
        rows.append(target.rows["validation"])
        samplers.append(following(target, training.sampler, training.setup.config))
    judged = [BatchSampler(numbers, validation_batch, shuffle=False) for numbers in rows]
    return Streams(dict(zip(names, datasets, strict=True)), samplers, judged)
