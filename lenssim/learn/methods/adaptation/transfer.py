"""Fine-tuning on few labels of the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, override

from pydantic import Field

from lenssim.learn.methods.adaptation.adaptation import TARGET, Adaptation, model_of
from lenssim.learn.methods.method import MODEL, Method

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.compute.optimisers import Weights
    from lenssim.learn.methods.method import Networks, TrainingSetup

__all__ = ["Transfer"]


class Transfer(Adaptation):
    """A trained network goes on with labelled images of the target.

    This method alone reads labels of the target: `transfer_labels` to learn from, and as
    many validation images, which choose the epoch.
    """

    reads_target_truth: ClassVar[bool] = True
    answers_for_source: ClassVar[str] = MODEL
    needs_start: ClassVar[bool] = True

    transfer_labels: int = Field(
        default=256, ge=1, le=10**9, description="transfer: labelled images of the target"
    )
    transfer_frozen: bool = Field(
        default=False, description="transfer: only the last layer learns"
    )

    @override
    def target_rows(self, rows: np.ndarray) -> np.ndarray:
        return rows[: self.transfer_labels]

    @override
    def networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        return Method.networks(self, setup)

    @override
    def started(self, networks: Networks, setup: TrainingSetup) -> None:
        """Nothing is copied."""

    @override
    def optimisers(self, networks: Networks) -> dict[str, Weights]:
        from lenssim.learn.methods.networks import weight_groups
        from lenssim.learn.nets.cut import last_layer

        model = model_of(networks)
        if self.transfer_frozen:
            return {MODEL: weight_groups([last_layer(model.net)])}
        return {MODEL: weight_groups([model])}

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        target = views[TARGET][0]
        return setup.task.loss(networks[MODEL](target["image"]), target)

    @override
    def criteria(
        self,
        observed: Mapping[str, Mapping[str, Tensor]],
        val_loss: Tensor,
        setup: TrainingSetup,
    ) -> dict[str, Tensor]:
        """Return the validators, and the target's loss as `criterion`."""
        from typing import cast

        scores = super().criteria(observed, val_loss, setup)
        batch = cast("Batch", observed[TARGET])
        loss = setup.task.loss(observed[TARGET]["outputs"], batch)
        return {**scores, "criterion": loss}
