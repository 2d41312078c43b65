"""A method as Lightning trains it."""

from collections.abc import Mapping
from typing import Any, override

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MeanMetric

from lenssim.data.streaming.dataset import Batch
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
        self.train_loss = MeanMetric()
        # the mean over an epoch that is resumed half-way
        self.train_loss.persistent(True)
        self.turns = tuple(method.optimisers(networks))
        # Lightning takes the steps of one optimiser; those of several are taken here
        self.automatic_optimization = len(self.turns) == 1

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        seed = batch_seed(self.config.seed, self.current_epoch, batch_idx, self.global_rank)
        _seed(self.device, seed)  # for dropout; `train` keeps the caller's streams
        generator = torch.Generator().manual_seed(seed)
        views = {"data": self.method.views(batch, self.augment, generator)}
        where = f"epoch {self.current_epoch + 1}, batch {batch_idx + 1}"
        if self.automatic_optimization:
            loss = self._loss(views, self.turns[0], batch, where)
            self.train_loss.update(loss.detach())
            return loss
        losses = self._take_turns(views, batch, where)
        self.train_loss.update(torch.stack(losses).sum())
        return None

    def _loss(
        self, views: Mapping[str, tuple[Batch, ...]], turn: str, batch: Batch, where: str
    ) -> Tensor:
        """Return the finite loss of a turn."""
        loss = self.method.step(self.networks, views, self.training_setup, turn)
        _check(loss, batch, where)
        return loss

    def _take_turns(
        self, views: Mapping[str, tuple[Batch, ...]], batch: Batch, where: str
    ) -> list[Tensor]:
        """Take a step of each optimiser; return their losses."""
        losses = []
        for turn, steps in zip(self.turns, self.optimizers(), strict=True):
            loss = self._loss(views, turn, batch, where)
            steps.zero_grad()
            self.manual_backward(loss)
            steps.step()
            losses.append(loss.detach())
        self._move_rates("step")
        return losses

    def _move_rates(self, interval: str) -> None:
        """Move the rates of several optimisers, whose schedules Lightning leaves to us."""
        if self.automatic_optimization:
            return
        if schedule(self.config.schedule).interval == interval:
            for plan in self.trainer.lr_scheduler_configs:
                assert isinstance(plan.scheduler, LRScheduler)  # as all of `SCHEDULES`
                plan.scheduler.step()

    @override
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        setup = self.training_setup
        outputs, loss = self.method.validation_step(self.networks, batch, setup)
        where = f"the validation of epoch {self.current_epoch + 1}, batch {batch_idx + 1}"
        _check(loss, batch, where)
        self.task.update(self.scores, outputs, batch)
        distributed = self.trainer.world_size > 1
        self.log("val_loss", loss, batch_size=len(batch["image"]), sync_dist=distributed)

    @override
    def on_validation_epoch_end(self) -> None:
        scores = self.scores.compute()
        self.log_dict({f"val_{name}": value for name, value in scores.items()})
        self.scores.reset()

    @override
    def on_train_epoch_end(self) -> None:
        self._move_rates("epoch")
        self.train_loss.reset()

    @override
    def configure_optimizers(self) -> Any:
        weights = self.method.optimisers(self.networks)
        plans = [self._optimiser(weights[turn]) for turn in self.turns]
        return plans[0] if len(plans) == 1 else plans

    def _optimiser(self, weights: Weights) -> Any:
        """Return an optimiser of some weights and its schedule, as Lightning takes them."""
        config = self.config
        plan = schedule(config.schedule)
        steps = optimiser(config.optimiser)(
            weights, config.learning_rate, config.weight_decay
        )
        rates = plan.make(steps, config.learning_rate, self.training_setup.steps)
        scheduler: dict[str, Any] = {"scheduler": rates}
        if self.automatic_optimization:
            scheduler["interval"] = plan.interval
        return {"optimizer": steps, "lr_scheduler": scheduler}


def _seed(device: torch.device, seed: int) -> None:
    """Seed the CPU and one device.

    `torch.manual_seed` writes a traceback for each backend that is not initialised.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[torch.cuda.current_device()].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def _check(loss: Tensor, batch: Batch, where: str) -> None:
    """Raise `DataError` naming the samples of the batch if its loss is not finite."""
    if torch.isfinite(loss):
        return
    broken = ~torch.isfinite(batch["image"]).flatten(1).all(dim=1)
    numbers = batch["index"].tolist()
    if broken.any():
        numbers = batch["index"][broken].tolist()
    listed = ", ".join(map(str, numbers[:MAX_NUMBERS_IN_ERROR]))
    if len(numbers) > MAX_NUMBERS_IN_ERROR:
        listed += " ..."
    cause = f"the batch holds samples {listed}; try a lower learning rate"
    if broken.any():
        cause = (
            f"the images of samples {listed} hold NaN or infinite pixels; "
            "mend or remake the data set"
        )
    raise DataError(
        f"the loss became {loss.item()} in {where}: {cause}. Earlier checkpoints are kept",
        code="loss-not-finite",
        where=where,
    )
