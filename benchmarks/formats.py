"""The same images as shards of ours and in the formats of others: making them, and epochs of shuffled batches of them.

As a script it is what benchmarks/streaming.py runs for each measurement, in the environment that the format needs:
formats.py make WAY FOLDER N, or formats.py read WAY FOLDER WORKERS (prints JSON).
"""

import importlib
import importlib.util
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

BATCH = 128
SHAPE = (1, 64, 64)
EPOCHS = 3  # the first with cold files, the others warm
OURS = {
    "shards float32": ("float32", False),
    "shards float16": ("float16", False),
    "shards int16": ("int16", False),
    "shards float32 lz4": ("float32", True),
    "shards int16 lz4": ("int16", True),
}
NPY = "npy, one a file"
# the module of each; MosaicML's has the name of the script beside this one, which imports this one
OTHERS = {
    NPY: "numpy",
    "webdataset": "webdataset",
    "litdata": "litdata",
    "mosaicml": "streaming",
}


def images_of(start: int, stop: int) -> np.ndarray:
    """Noise on a blob, float32: as hard to compress as noisy stamps are."""
    x = np.linspace(-4, 4, SHAPE[-1])
    blob = np.exp(-(x[:, None] ** 2) - x**2)
    noise = np.random.default_rng(start).standard_normal((stop - start, *SHAPE), np.float32)
    return (blob + 0.01 * noise).astype(np.float32)


def numbered(n: int) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, n, 1024):
        yield from enumerate(images_of(start, min(start + 1024, n)), start)


def make_shards(folder: Path, n: int, storage: str, compress: bool) -> None:
    from lenssim.data.format.manifest import Plan
    from lenssim.data.format.shard import Samples
    from lenssim.data.format.spec import storage_config
    from lenssim.data.generation.building import build, provenance
    from lenssim.data.generation.finishing import finish_shard
    from lenssim.data.generation.runners import local_runner

    config = {"kind": "benchmark", **storage_config(storage, compress)}
    plan = Plan(n=n, shard_size=1024, classes=("a", "b", "c"), config=config)

    def task(target: str, document: dict[str, Any], shard: int) -> int:
        rows = plan.rows(shard)
        numbers = np.arange(rows.start, rows.stop)
        columns = {"perturbers": {}, "units": {}, "texts": {}, "params": {}}
        samples = Samples(
            images_of(rows.start, rows.stop),
            numbers % 3,
            numbers,
            attributes=provenance(plan),
            **columns,
        )
        if storage != "float32" or compress:
            samples = samples.stored_as(storage, compress)
        return finish_shard(Path(target), plan, shard, samples)

    build(folder, plan, task, local_runner(0))


def make(way: str, folder: Path, n: int) -> None:
    """The images on disk as `way` wants them."""
    if way in OURS:
        make_shards(folder, n, *OURS[way])
    elif way == NPY:
        folder.mkdir()
        for number, image in numbered(n):
            np.save(folder / f"{number:07d}.npy", image)
    elif way == "webdataset":
        from lenssim.data.exchange.export import export_webdataset

        make_shards(folder.with_suffix(".shards"), n, "float32", False)
        export_webdataset(folder.with_suffix(".shards"), folder)
        shutil.rmtree(folder.with_suffix(".shards"))
    elif way == "litdata":
        from litdata.streaming.writer import BinaryWriter

        folder.mkdir()
        writer = BinaryWriter(str(folder), chunk_bytes="16MB")
        for number, image in numbered(n):
            writer[number] = {"image": torch.from_numpy(image), "label": number % 3}
        writer.done()
        writer.merge()
    elif way == "mosaicml":
        mosaicml = importlib.import_module(OTHERS[way])
        columns = {"image": "ndarray:float32:1,64,64", "label": "int"}
        with mosaicml.MDSWriter(out=str(folder), columns=columns) as writer:
            for number, image in numbered(n):
                writer.write({"image": image, "label": number % 3})


class Files(torch.utils.data.Dataset):
    """One .npy file an image."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.npy"))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(np.load(self.paths[number])), number % 3


def loader_of(way: str, folder: Path, workers: int) -> Any:
    """What gives an epoch of batches each time it is iterated; workers live on from epoch to epoch."""
    options = {"num_workers": workers, "persistent_workers": workers > 0}
    if way in OURS:
        from lenssim.data.streaming.dataset import ShardDataset
        from lenssim.data.streaming.sampler import BatchSampler
        from lenssim.data.streaming.stream import stream

        dataset = ShardDataset(folder)
        return stream(
            dataset, BatchSampler(dataset.rows(), BATCH, **dataset.order), workers
        )
    if way == NPY:
        return torch.utils.data.DataLoader(Files(folder), BATCH, shuffle=True, **options)
    if way == "webdataset":
        import webdataset

        urls = [str(path) for path in sorted(folder.glob("*.tar"))]
        dataset = (
            webdataset.WebDataset(urls, shardshuffle=100, empty_check=False)
            .shuffle(1000)
            .decode()
        )
        dataset = dataset.to_tuple("npy", "cls").batched(BATCH)
        return webdataset.WebLoader(dataset, batch_size=None, **options)
    if way == "litdata":
        from litdata import StreamingDataLoader, StreamingDataset

        return StreamingDataLoader(
            StreamingDataset(str(folder), shuffle=True), batch_size=BATCH, **options
        )
    mosaicml = importlib.import_module(OTHERS[way])
    mosaicml.base.util.clean_stale_shared_memory()
    dataset = mosaicml.StreamingDataset(local=str(folder), shuffle=True, batch_size=BATCH)
    return torch.utils.data.DataLoader(dataset, BATCH, **options)


def forget(folder: Path) -> None:
    """Drop the kernel's cache of the files, as far as it listens."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def epochs(loader: Any) -> Iterator[float]:
    """Images a second of each epoch; every image is touched."""
    for _ in range(EPOCHS):
        start, images, total = time.perf_counter(), 0, 0.0
        for batch in loader:
            pixels = batch["image"] if isinstance(batch, dict) else batch[0]
            pixels = torch.as_tensor(
                np.stack(pixels) if isinstance(pixels, list) else pixels
            )
            total += float(pixels[:, 0, 0, 0].sum())
            images += len(pixels)
        yield images / (time.perf_counter() - start)


def missing(way: str) -> str | None:
    """The module that a way needs and this environment lacks."""
    name = "hdf5plugin" if way.endswith("lz4") else "numpy" if way in OURS else OTHERS[way]
    return None if importlib.util.find_spec(name) else name


def main() -> None:
    what, way, folder, number = sys.argv[1:]
    if name := missing(way):
        sys.exit(f"{name} is not installed")
    if what == "make":
        make(way, Path(folder), int(number))
        return
    forget(Path(folder))
    first, *warm = epochs(loader_of(way, Path(folder), int(number)))
    print(json.dumps({"first": round(first), "warm": round(max(warm))}))


if __name__ == "__main__":
    main()
