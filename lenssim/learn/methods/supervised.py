"""Supervised learning: the network answers for images whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, override

from lenssim.learn.methods.method import MODEL, Method

if TYPE_CHECKING:
    from torch import Tensor

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.methods.method import Networks, TrainingSetup

__all__ = ["Supervised"]


class Supervised(Method):
    """Lowers the loss of the task, and the prior of learned dropout rates."""

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        """Return the loss of the answers, with the dropout's penalty (Gal et al. 2017)."""
        from lenssim.learn.nets.dropout import penalty

        (batch,) = views["data"]
        model = self.export(networks)
        loss = setup.task.loss(networks[MODEL](batch["image"]), batch)
        return loss + penalty(model.net) / setup.samples
