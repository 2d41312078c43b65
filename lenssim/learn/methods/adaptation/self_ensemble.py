"""Self-ensembling: a teacher is the running mean of a student (French et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, override

from pydantic import Field

from lenssim.learn.methods.adaptation.adaptation import (
    SOURCE,
    TARGET,
    Adaptation,
    model_of,
)
from lenssim.learn.methods.method import MODEL, Method

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.compute.optimisers import Weights
    from lenssim.learn.inputs.augment import Augmentation
    from lenssim.learn.methods.method import Networks, TrainingSetup

__all__ = ["SelfEnsemble"]

STUDENT = "student"
_TINY = 1e-6


class SelfEnsemble(Adaptation):
    """A student is to agree with its teacher on other views of the target.

    The teacher's weights are the running mean of the student's, and so are its statistics
    of batch normalisation. The teacher is the network that answers.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classify", "find")

    ensemble_decay: float = Field(
        default=0.99,
        ge=0,
        lt=1,
        description="self_ensemble: share of the teacher that stays",
    )
    ensemble_confidence: float = Field(
        default=0.968,
        ge=0,
        lt=1,
        description="self_ensemble: least probability of a teacher that is believed",
    )
    ensemble_weight: float = Field(
        default=3.0, ge=0, description="self_ensemble: weight of the agreement"
    )
    ensemble_balance: float = Field(
        default=0.005,
        ge=0,
        description="self_ensemble: weight of the balance of the classes",
    )

    @override
    def networks(self, setup: TrainingSetup) -> dict[str, nn.Module]:
        import copy

        from lenssim.learn.methods.adaptation.twins import twin_of

        networks = Method.networks(self, setup)
        student = copy.deepcopy(networks[MODEL])
        return {**networks, STUDENT: student, SOURCE: twin_of(student)}

    @override
    def started(self, networks: Networks, setup: TrainingSetup) -> None:
        for name in (STUDENT, SOURCE):
            networks[name].load_state_dict(networks[MODEL].state_dict())

    @override
    def optimisers(self, networks: Networks) -> dict[str, Weights]:
        from lenssim.learn.methods.networks import weight_groups

        return {MODEL: weight_groups([networks[STUDENT]])}

    @override
    def views(
        self, batch: Batch, augment: Augmentation, generator: torch.Generator
    ) -> tuple[Batch, ...]:
        (first,) = super().views(batch, augment, generator)
        (second,) = super().views(batch, augment, generator)
        return first, second

    @override
    def step(
        self,
        networks: Networks,
        views: Mapping[str, tuple[Batch, ...]],
        setup: TrainingSetup,
        turn: str,
    ) -> Tensor:
        from torch import no_grad

        from lenssim.learn.methods.adaptation.twins import average_into

        decay = min(self.ensemble_decay, setup.step / (setup.step + 1))
        average_into(networks[MODEL], networks[STUDENT], decay)
        source = views[SOURCE][0]
        first, second = views[TARGET]
        loss = setup.task.loss(model_of(networks, SOURCE)(source["image"]), source)
        answers = self._probabilities(networks[STUDENT](second["image"]), setup)
        networks[MODEL].eval()
        with no_grad():
            teacher = self._probabilities(networks[MODEL](first["image"]), setup)
        return loss + self.agreement(answers, teacher)

    def _probabilities(self, outputs: Tensor, setup: TrainingSetup) -> Tensor:
        """Return the probabilities (N, K) of the classes."""
        logits = setup.task.class_logits(outputs)
        assert logits is not None
        return logits.softmax(dim=1)

    def agreement(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss of probabilities (N, K) of the student against the teacher's."""
        believed = teacher.amax(1) > self.ensemble_confidence
        errors = (student - teacher).square().sum(1)
        mean = student.mean(0).clamp(_TINY, 1 - _TINY)
        uniform = 1 / student.shape[1]
        balance = -(uniform * mean.log() + (1 - uniform) * (1 - mean).log()).mean()
        agreement = (believed * errors).mean()
        return self.ensemble_weight * agreement + self.ensemble_balance * balance
