"""A method as Lightning trains it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, override

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MeanMetric

from lenssim.data.streaming.dataset import Batch
from lenssim.data.streaming.paired import without_truth
from lenssim.errors import DataError
from lenssim.learn.compute.optimisers import Weights, optimiser, schedule
from lenssim.learn.inputs.augment import augmentation, batch_seed
from lenssim.learn.methods import Method, TrainingSetup

__all__ = ["Learner"]

MAX_NUMBERS_IN_ERROR = 8


class Learner(LightningModule):
    """Trains the networks of a method. It knows neither methods nor tasks.

    Everything random in a step follows from (seed, epoch, batch, rank), so that a resumed
    training repeats it. Weights are kept under the names of their networks.

    Args:
        method: The method.
        networks: Its networks, by name.
        setup: What the training depends on.
    """

    def __init__(
        self, method: Method, networks: Mapping[str, nn.Module], setup: TrainingSetup
    ) -> None:
        super().__init__()
        for name, network in networks.items():
            self.add_module(name, network)
        self.method = method
        self.networks = dict(networks)
        self.training_setup = setup
        self.config = setup.config
        self.task = setup.task
        self.augment = augmentation(
            setup.config.augment, setup.task.columns, setup.images, setup.camera
        )
        self.scores = setup.task.metrics()
        self.val_loss = MeanMetric()
        self.train_loss = MeanMetric()
        # the mean over an epoch that is resumed half-way
        self.train_loss.persistent(True)
        self.optimiser_names = tuple(method.optimisers(networks))
        self.turns = method.turns(networks)
        # Lightning takes the steps of one optimiser; those of several are taken here
        self.automatic_optimization = len(self.turns) == 1
        self.observed: dict[str, list[dict[str, Tensor]]] = {}

    @override
    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        seed = batch_seed(self.config.seed, self.current_epoch, batch_idx, self.global_rank)
        _seed(self.device, seed)  # for dropout; `train` keeps the caller's streams
        generator = torch.Generator().manual_seed(seed)
        batches = self._by_source(batch)
        views = {
            source: self.method.views(one_batch, self.augment, generator)
            for source, one_batch in batches.items()
        }
        where = f"epoch {self.current_epoch + 1}, batch {batch_idx + 1}"
        steps = self.training_setup.steps // self.config.epochs
        setup = replace(self.training_setup, step=self.current_epoch * steps + batch_idx)
        step = _Step(views, batches, setup, where)
        if self.automatic_optimization:
            loss = self._loss(step, self.turns[0])
            self.train_loss.update(loss.detach())
            return loss
        losses = self._take_turns(step)
        self.train_loss.update(torch.stack(losses).sum())
        return None

    def _by_source(self, batch: Any) -> dict[str, Batch]:
        """Return the batches by the name of their data set."""
        first, *further = self.method.sources
        if not further:
            return {first: batch}
        batches: dict[str, Batch] = batch
        if self.method.reads_target_truth:
            return batches
        hidden = {source: without_truth(batches[source]) for source in further}
        return {**batches, **hidden}

    def _loss(self, step: "_Step", turn: str) -> Tensor:
        """Return the finite loss of a turn."""
        loss = self.method.step(self.networks, step.views, step.setup, turn)
        _check(loss, step.batches, step.where)
        return loss

    def _take_turns(self, step: "_Step") -> list[Tensor]:
        """Take the steps of the optimisers; return the last loss of each."""
        optimisers = dict(zip(self.optimiser_names, self.optimizers(), strict=True))
        losses = {}
        for turn in self.turns:
            loss = self._loss(step, turn)
            optimisers[turn].zero_grad()
            self.manual_backward(loss)
            optimisers[turn].step()
            losses[turn] = loss.detach()
        self._move_rates("step")
        return list(losses.values())

    def _move_rates(self, interval: str) -> None:
        """Move the rates of several optimisers, whose schedules Lightning leaves to us."""
        if self.automatic_optimization:
            return
        if schedule(self.config.schedule).interval == interval:
            for plan in self.trainer.lr_scheduler_configs:
                assert isinstance(plan.scheduler, LRScheduler)  # as all of `SCHEDULES`
                plan.scheduler.step()

    @override
    def validation_step(
        self, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        setup = self.training_setup
        source = self.method.sources[dataloader_idx]
        if len(self.method.sources) > 1:
            observed = self.method.observe(self.networks, batch, source, setup)
            self.observed.setdefault(source, []).append(observed)
        if dataloader_idx > 0:
            return
        outputs, loss = self.method.validation_step(self.networks, batch, setup)
        where = f"the validation of epoch {self.current_epoch + 1}, batch {batch_idx + 1}"
        _check(loss, {source: batch}, where)
        self.task.update(self.scores, outputs, batch)
        distributed = self.trainer.world_size > 1
        self.val_loss.update(loss, weight=len(batch["image"]))
        self.log(
            "val_loss",
            loss,
            batch_size=len(batch["image"]),
            sync_dist=distributed,
            add_dataloader_idx=False,
        )

    @override
    def on_validation_epoch_end(self) -> None:
        scores = self.scores.compute()
        val_loss = self.val_loss.compute()
        joined = {source: _joined(parts) for source, parts in self.observed.items()}
        criteria = self.method.criteria(joined, val_loss, self.training_setup)
        scores = {**scores, **criteria}
        self.log_dict({f"val_{name}": value for name, value in scores.items()})
        self.scores.reset()
        self.val_loss.reset()
        self.observed.clear()

    @override
    def on_train_epoch_end(self) -> None:
        self._move_rates("epoch")
        self.train_loss.reset()

    @override
    def configure_optimizers(self) -> Any:
        weights = self.method.optimisers(self.networks)
        plans = [self._optimiser(name, weights[name]) for name in self.optimiser_names]
        return plans[0] if len(plans) == 1 else plans

    def _optimiser(self, name: str, weights: Weights) -> Any:
        """Return an optimiser of some weights and its schedule, as Lightning takes them."""
        config = self.config
        plan = schedule(config.schedule)
        rate = self.method.learning_rate(config, name)
        steps = optimiser(config.optimiser)(weights, rate, config.weight_decay)
        rates = plan.make(steps, rate, self.training_setup.steps)
        scheduler: dict[str, Any] = {"scheduler": rates}
        if self.automatic_optimization:
            scheduler["interval"] = plan.interval
        return {"optimizer": steps, "lr_scheduler": scheduler}


@dataclass(frozen=True)
class _Step:
    """What one step sees: views and batches by data set, and where in the training it is."""

    views: Mapping[str, tuple[Batch, ...]]
    batches: Mapping[str, Batch]
    setup: TrainingSetup
    where: str


def _joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return tensors of many batches as one each, by name."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _seed(device: torch.device, seed: int) -> None:
    """Seed the CPU and one device.

    `torch.manual_seed` writes a traceback for each backend that is not initialised.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[torch.cuda.current_device()].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def _check(loss: Tensor, batches: Mapping[str, Batch], where: str) -> None:
    """Raise `DataError` naming the samples of the batches if their loss is not finite."""
    if torch.isfinite(loss):
        return
    first = next(iter(batches))
    cause = f"the batch holds samples {_listed(batches[first]['index'])}"
    cause += "; try a lower learning rate"
    for source, batch in batches.items():
        broken = ~torch.isfinite(batch["image"]).flatten(1).all(dim=1)
        if broken.any():
            owner = "" if source == first else f" of the {source}"
            cause = (
                f"the images of samples {_listed(batch['index'][broken])}{owner} hold NaN "
                "or infinite pixels; mend or remake the data set"
            )
            break
    raise DataError(
        f"the loss became {loss.item()} in {where}: {cause}. Earlier checkpoints are kept",
        code="loss-not-finite",
        where=where,
    )


def _listed(numbers: Tensor) -> str:
    """Return the first of some sample numbers as text."""
    listed = ", ".join(map(str, numbers.tolist()[:MAX_NUMBERS_IN_ERROR]))
    return f"{listed} ..." if len(numbers) > MAX_NUMBERS_IN_ERROR else listed
