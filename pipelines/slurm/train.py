"""Training on every GPU of one or more nodes, as a job of SLURM; Lightning starts nothing, srun starts a process a GPU.

    srun --nodes=1 --ntasks-per-node=4 --gpus-per-node=4 python pipelines/slurm/train.py --data data/III --out runs/III

Repeating the command goes on from the last checkpoint, in the exact order of the samples, with the same or another
number of GPUs as long as it divides the batch. Augmentations are seeded by (seed, epoch, batch, rank).
"""

import argparse
import os
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.sampler import BatchSampler
from lenssim.data.streaming.stream import stream
from lenssim.learn.inputs.augment import augmentation, batch_seed
from lenssim.learn.inputs.description import describe
from lenssim.learn.nets.model import Model
from lenssim.learn.training.callbacks import SamplerState


class Classifier(LightningModule):
    """A net on the classes of a data set."""

    def __init__(
        self, net: str, dataset: ShardDataset, seed: int, learning_rate: float
    ) -> None:
        super().__init__()
        self.model = Model(net, "asinh", describe(dataset), len(dataset.classes), seed)
        self.augment, self.seed, self.learning_rate = (
            augmentation("dihedral"),
            seed,
            learning_rate,
        )

    def training_step(self, batch: dict[str, torch.Tensor], number: int) -> torch.Tensor:
        """One batch: this process's share of the global one."""
        seed = batch_seed(
            self.seed,
            self.current_epoch,
            number * self.trainer.world_size + self.global_rank,
        )
        images, _ = self.augment(batch["image"], torch.Generator().manual_seed(seed))
        return torch.nn.functional.cross_entropy(self.model(images), batch["label"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=self.learning_rate)


def main() -> None:
    """Train, or go on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data",
        required=True,
        help="a folder, a URL, or follow: and the folder of a generation",
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--net", default="resnet18")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=512, help="over all processes")
    parser.add_argument("--workers", type=int, default=2, help="loaders a process")
    parser.add_argument("--accelerator", default="auto")
    options = parser.parse_args()
    seed = seed_everything(0, verbose=False)
    world, rank = (
        int(os.environ.get("SLURM_NTASKS", 1)),
        int(os.environ.get("SLURM_PROCID", 0)),
    )

    dataset = ShardDataset(options.data)
    sampler = BatchSampler(
        dataset.rows("train"),
        options.batch,
        seed=seed,
        fingerprint=dataset.fingerprint,
        drop_last=True,  # so that every process has as many batches
        rank=rank,
        world=world,
        **dataset.order,
    )
    checkpoints = ModelCheckpoint(
        options.out, filename="last", every_n_train_steps=200, enable_version_counter=False
    )
    trainer = Trainer(
        accelerator=options.accelerator,
        devices=int(os.environ.get("SLURM_NTASKS_PER_NODE", 1)),
        num_nodes=int(os.environ.get("SLURM_NNODES", 1)),
        strategy="ddp" if world > 1 else "auto",
        max_epochs=options.epochs,
        callbacks=[SamplerState(sampler), checkpoints],
        use_distributed_sampler=False,  # the sampler knows its rank
        logger=False,
        enable_progress_bar=rank == 0,
        default_root_dir=options.out,
    )
    last = options.out / "last.ckpt"
    learner = Classifier(options.net, dataset, seed, 1e-3)
    loader = stream(dataset, sampler, options.workers, pin_memory=torch.cuda.is_available())
    trainer.fit(
        learner, loader, ckpt_path=last if last.exists() else None, weights_only=True
    )
    trainer.save_checkpoint(last)


if __name__ == "__main__":
    main()
