"""The steps of a training, as Lightning calls them."""

from typing import Any, override

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torchmetrics import MeanMetric

from lenssim.data.streaming.dataset import Batch
from lenssim.errors import DataError
from lenssim.learn.compute.optimisers import optimiser, schedule
from lenssim.learn.config import TrainConfig
from lenssim.learn.inputs.augment import augmentation, batch_seed
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.dropout import Concrete, penalty
from lenssim.learn.nets.model import Model
from lenssim.learn.tasks import Task

__all__ = ["Learner"]


class Learner(LightningModule):
    """A model that learns a task under a config from `samples` of the `images`, in `steps` steps in all.

    Everything random in a step follows from (seed, epoch, batch, rank), so that a resumed training repeats it.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        config: TrainConfig,
        images: ImageDescription,
        steps: int,
        samples: int,
    ) -> None:
        super().__init__()
        self.model, self.task, self.config = model, task, config
        self.steps, self.samples = steps, samples
        self.augment = augmentation(config.augment, task.columns, images)
        self.scores = task.metrics()
        self.train_loss = MeanMetric()
        self.train_loss.persistent(True)  # the mean over an epoch that is resumed half-way

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        seed = batch_seed(self.config.seed, self.current_epoch, batch_idx, self.global_rank)
        _seed(self.device, seed)  # for dropout; `train` keeps the caller's streams
        generator = torch.Generator().manual_seed(seed)
        images, targets = self.augment(batch["image"], generator, batch.get("target"))
        loss = (
            self.task.loss(self.model(images), {**batch, "target": targets})
            + penalty(self.model.net) / self.samples
        )
        _check(loss, batch, f"epoch {self.current_epoch + 1}, batch {batch_idx + 1}")
        self.train_loss.update(loss.detach())
        return loss

    @override
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        outputs = self.model(batch["image"])
        loss = self.task.loss(outputs, batch)
        _check(
            loss,
            batch,
            f"the validation of epoch {self.current_epoch + 1}, batch {batch_idx + 1}",
        )
        self.task.update(self.scores, outputs, batch)
        self.log(
            "val_loss", loss, batch_size=len(outputs), sync_dist=self.trainer.world_size > 1
        )

    @override
    def on_validation_epoch_end(self) -> None:
        self.log_dict(
            {f"val_{name}": value for name, value in self.scores.compute().items()}
        )
        self.scores.reset()

    @override
    def on_train_epoch_end(self) -> None:
        self.train_loss.reset()

    @override
    def configure_optimizers(self) -> Any:
        config, own = self.config, schedule(self.config.schedule)
        made = optimiser(config.optimiser)(
            _groups(self.model), config.learning_rate, config.weight_decay
        )
        rates = own.make(made, config.learning_rate, self.steps)
        return {
            "optimizer": made,
            "lr_scheduler": {"scheduler": rates, "interval": own.interval},
        }


def _seed(device: torch.device, seed: int) -> None:
    """`torch.manual_seed` for the CPU and `device` alone: for each backend that sleeps, that one writes a traceback."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[torch.cuda.current_device()].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def _groups(model: Model) -> Any:
    """The weights; learned rates apart from them, since no decay is to pull them to a half."""
    rates = [module.logit for module in model.modules() if isinstance(module, Concrete)]
    if not rates:
        return model.parameters()
    known = set(map(id, rates))
    weights = [parameter for parameter in model.parameters() if id(parameter) not in known]
    return [{"params": weights}, {"params": rates, "weight_decay": 0.0}]


def _check(loss: Tensor, batch: Batch, where: str) -> None:
    """`DataError` naming the batch if its loss is not finite."""
    if torch.isfinite(loss):
        return
    broken = ~torch.isfinite(batch["image"]).flatten(1).all(dim=1)
    numbers = batch["index"][broken if broken.any() else slice(None)].tolist()
    listed = ", ".join(map(str, numbers[:8])) + (" ..." if len(numbers) > 8 else "")
    cause, hint = (
        (
            f"the images of samples {listed} hold NaN or infinite pixels",
            "mend or remake the data set",
        )
        if broken.any()
        else (f"the batch holds samples {listed}", "try a lower learning rate")
    )
    raise DataError(
        f"the loss became {loss.item()} in {where}: {cause}; {hint}. Earlier checkpoints are kept"
    )
