"""How fast networks train where this runs, and what part of that time they wait for images:

uv run python benchmarks/training.py [--nets cnn resnet18] [--n 16000] [--batch 256] [--precisions 32 bf16]
                                   [--optimiser muon]

Each is a training as `lenssim train` does it, streamed from shards of noise-free Model III images, of 3 epochs; the
best of the last two counts, validation left out. Prints its conditions and a table in Markdown.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, override

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback

from lenssim.data.generation.simulation import generate, make_plan
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train
from lenssim.simulate.preset import load_preset

EPOCHS = 3
NETS = (
    *("cnn", "compact", "compact_grid", "deeplense_cnn", "resnet18", "efficientnet_b0"),
    *("swin", "vit", "cvt", "lensformer", "equivariant_d4"),
)


class Clock(Callback):
    """Seconds of each epoch from its first step to the end of its last, and those of them that steps waited."""

    def __init__(self) -> None:
        self.epochs: list[tuple[float, float]] = []

    @override
    def on_train_epoch_start(self, *_: Any) -> None:
        self.waited, self.start = 0.0, time.perf_counter()
        self.ready = self.start

    @override
    def on_train_batch_start(self, *_: Any) -> None:
        self.waited += time.perf_counter() - self.ready

    @override
    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.strategy.root_device.type == "cuda" and trainer.is_last_batch:
            torch.cuda.synchronize()
        self.ready = time.perf_counter()

    @override
    def on_validation_start(self, *_: Any) -> None:
        self.epochs.append((self.ready - self.start, self.waited))


def measured(data: Path, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Rate and waiting of a training, and what it cost."""
    clock = Clock()
    record = train(
        parse_config({"data": str(data), "epochs": EPOCHS, **settings}),
        folder,
        callbacks=[clock],
    ).record
    images = record.samples["train"] // record.config.batch_size * record.config.batch_size
    seconds, waited = min(clock.epochs[1:])
    cost = record.result.cost
    return {
        **settings,
        "parameters": record.parameters,
        "device": cost.device,
        "images_per_second": images / seconds,
        "waiting": waited / seconds,
        "peak_mib": cost.peak_mib,
        "inference_ms": cost.inference_ms,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nets", nargs="*", default=NETS)
    parser.add_argument(
        "--n", type=int, default=16_000, help="images, of which 80 %% are trained on"
    )
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--precisions", nargs="*", default=["32", "bf16"])
    parser.add_argument("--optimiser", default="adamw")
    parser.add_argument("--workers", type=int, default=1, help="threads that read ahead")
    parser.add_argument("--compile", action="store_true", help="networks by torch.compile")
    parser.add_argument(
        "--data", type=Path, help="an existing data set in place of n images"
    )
    parser.add_argument("--out", type=Path, help="JSON file of all measurements")
    options = parser.parse_args()
    device = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"{torch.get_num_threads()} CPU threads"
    )
    print(
        f"{device}, {len(os.sched_getaffinity(0))} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}; Python "
        f"{platform.python_version()}, torch {version('torch')}; {options.n} images of 64 x 64, batches of "
        f"{options.batch}, {options.optimiser}, {options.workers} threads reading\n"
    )
    print(
        "| net | parameters | precision | images/s | waiting for images | peak memory [MiB] | inference [ms an image] |"
    )
    print(f"|{'---|' * 7}")
    with tempfile.TemporaryDirectory() as home:
        data = options.data or Path(home) / "data"
        if options.data is None:
            generate(
                data, make_plan(load_preset("III"), options.n, noise="none", folder=data)
            )
        found = []
        for net in options.nets:
            for precision in options.precisions:
                settings = {
                    "net": net,
                    "precision": precision,
                    "batch_size": options.batch,
                    "learning_rate": 1e-4,
                }
                settings |= {
                    "workers": options.workers,
                    "compile": options.compile,
                    "optimiser": options.optimiser,
                }
                row = measured(data, Path(home) / f"{net}-{precision}", settings)
                found.append(row)
                print(
                    f"| {net} | {row['parameters']:,} | {precision} | {row['images_per_second']:,.0f} "
                    f"| {row['waiting']:.1%} | {row['peak_mib']:,.0f} | {row['inference_ms']:.3f} |",
                    flush=True,
                )
                if options.out is not None:
                    options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
