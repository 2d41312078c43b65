"""Images a second into shuffled batches of 128: our shards in each storage, and the formats of others.

    OMP_NUM_THREADS=1 python benchmarks/streaming.py --n 20000 --out streaming.json
    python benchmarks/streaming.py --flat 200000        # memory while that many images are generated and streamed

Every way reads the same images, 64 x 64 float32 of Model III without dark matter's cost: noise on a blob. Each
measurement is a process of its own, so that memory is its own; the first epoch follows after the kernel's cache of the
files was dropped where that is allowed (posix_fadvise). Libraries that are not installed are skipped and named:
uv run --group bench python benchmarks/streaming.py (mosaicml-streaming needs an environment with an older numpy)
"""

import argparse
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

BATCH = 128
SHAPE = (1, 64, 64)
OURS = {"shards-float32": ("float32", False), "shards-float16": ("float16", False), "shards-int16": ("int16", False)}
PACKED = {"shards-float32-lz4": ("float32", True), "shards-int16-lz4": ("int16", True)}
OTHERS = {"npy": "numpy", "webdataset": "webdataset", "litdata": "litdata", "mosaicml": "streaming"}


def images_of(start: int, stop: int) -> np.ndarray:
    x = np.linspace(-4, 4, SHAPE[-1])
    blob = np.exp(-(x[:, None] ** 2) - x**2)
    noise = np.random.default_rng(start).standard_normal((stop - start, *SHAPE), np.float32)
    return (blob + 0.01 * noise).astype(np.float32)


def make_shards(folder: Path, n: int, storage: str, compress: bool) -> None:
    from lenssim.data.build import build, finish_shard, provenance
    from lenssim.data.cluster import local_runner
    from lenssim.data.generate import stored_config
    from lenssim.data.manifest import Plan
    from lenssim.data.shards import Samples

    config = {"kind": "benchmark", **stored_config(storage, compress)}
    plan = Plan(n=n, shard_size=1024, classes=("a", "b", "c"), config=config)

    def task(target: str, document: dict[str, Any], shard: int) -> int:
        rows = plan.rows(shard)
        numbers = np.arange(rows.start, rows.stop)
        columns = {"perturbers": {}, "units": {}, "texts": {}, "params": {}}
        samples = Samples(
            images_of(rows.start, rows.stop), numbers % 3, numbers, attributes=provenance(plan), **columns
        )
        if storage != "float32" or compress:
            samples = samples.stored_as(storage, compress)
        return finish_shard(Path(target), plan, shard, samples)

    build(folder, plan, task, local_runner(0))


def make(way: str, folder: Path, n: int) -> None:
    """The images on disk as `way` wants them."""
    if way in OURS | PACKED:
        make_shards(folder, n, *(OURS | PACKED)[way])
    elif way == "npy":
        folder.mkdir()
        for start in range(0, n, 1024):
            for number, image in enumerate(images_of(start, min(start + 1024, n)), start):
                np.save(folder / f"{number:07d}.npy", image)
    elif way == "webdataset":
        from lenssim.data.export import export_webdataset

        make_shards(folder.with_suffix(".shards"), n, "float32", False)
        export_webdataset(folder.with_suffix(".shards"), folder)
        shutil.rmtree(folder.with_suffix(".shards"))
    elif way == "litdata":
        from litdata.streaming.writer import BinaryWriter

        folder.mkdir()
        writer = BinaryWriter(str(folder), chunk_bytes="16MB")
        for start in range(0, n, 1024):
            for number, image in enumerate(images_of(start, min(start + 1024, n)), start):
                writer[number] = {"image": torch.from_numpy(image), "label": number % 3}
        writer.done()
        writer.merge()
    elif way == "mosaicml":
        from streaming import MDSWriter

        with MDSWriter(out=str(folder), columns={"image": "ndarray:float32:1,64,64", "label": "int"}) as writer:
            for start in range(0, n, 1024):
                for number, image in enumerate(images_of(start, min(start + 1024, n)), start):
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
    if way in OURS | PACKED:
        from lenssim.data.dataset import ShardDataset, stream
        from lenssim.data.sampler import BatchSampler

        dataset = ShardDataset(folder)
        return stream(dataset, BatchSampler(dataset.rows(), BATCH, **dataset.order), workers)
    if way == "npy":
        return torch.utils.data.DataLoader(Files(folder), BATCH, shuffle=True, num_workers=workers)
    if way == "webdataset":
        import webdataset

        urls = [str(path) for path in sorted(folder.glob("*.tar"))]
        dataset = webdataset.WebDataset(urls, shardshuffle=100, empty_check=False).shuffle(1000).decode()
        dataset = dataset.to_tuple("npy", "cls").batched(BATCH)
        return webdataset.WebLoader(dataset, batch_size=None, num_workers=workers)
    if way == "litdata":
        from litdata import StreamingDataLoader, StreamingDataset

        return StreamingDataLoader(StreamingDataset(str(folder), shuffle=True), batch_size=BATCH, num_workers=workers)
    from streaming import StreamingDataset

    dataset = StreamingDataset(local=str(folder), shuffle=True, batch_size=BATCH)
    return torch.utils.data.DataLoader(dataset, BATCH, num_workers=workers)


def forget(folder: Path) -> None:
    """Drop the kernel's cache of the files, as far as it listens."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def epochs(loader: Any, count: int) -> Iterator[float]:
    """Images a second of each epoch; every pixel's page is touched."""
    for _ in range(count):
        start, images, total = time.perf_counter(), 0, 0.0
        for batch in loader:
            pixels = batch["image"] if isinstance(batch, dict) else batch[0]
            pixels = torch.as_tensor(np.stack(pixels) if isinstance(pixels, list) else pixels)
            total += float(pixels[:, 0, 0, 0].sum())
            images += len(pixels)
        yield images / (time.perf_counter() - start)


def measure(way: str, folder: Path, workers: int) -> dict[str, Any]:
    forget(folder)
    first, *warm = epochs(loader_of(way, folder, workers), 3)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"first": round(first), "warm": round(max(warm)), "peak_MB": round(memory / 1024)}


def available(way: str) -> bool:
    if way in PACKED:
        return importlib.util.find_spec("hdf5plugin") is not None
    return way in OURS or importlib.util.find_spec(OTHERS[way]) is not None


def compare(n: int, ways: list[str], out: Path | None) -> None:
    results: dict[str, Any] = {"n": n, "batch": BATCH, "cores": len(os.sched_getaffinity(0))}
    print(f"{'':<20} {'MB on disk':>10} {'workers':>8} {'first img/s':>12} {'warm img/s':>12} {'peak MB':>8}")
    for way in ways:
        if not available(way):
            results[way] = "not installed"
            print(f"{way:<20} not installed, skipped", flush=True)
            continue
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "data"
            try:
                make(way, folder, n)
            except Exception as error:
                results[way] = f"failed: {error}"
                print(f"{way:<20} failed: {error}", flush=True)
                continue
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
            for workers in (0, 2):
                command = [sys.executable, __file__, "--measure", way, str(folder), str(workers)]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    found: Any = {"failed": done.stderr.strip().splitlines()[-1:]}
                    print(f"{way:<20} {workers} workers failed: {found['failed']}", flush=True)
                else:
                    found = json.loads(done.stdout.splitlines()[-1])
                    row = f"{found['first']:>12,} {found['warm']:>12,} {found['peak_MB']:>8}"
                    print(f"{way:<20} {size:>10.0f} {workers:>8} {row}", flush=True)
                results.setdefault(way, {"MB": round(size)})[f"workers {workers}"] = found
    if out is not None:
        out.write_text(json.dumps(results, indent=1) + "\n")


def resident() -> float:
    """Memory of this process now, without pages of files, MB."""
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(fields["RssAnon"].split()[0]) / 1024


def flat(n: int, figure: Path) -> None:
    """Memory of generating and of streaming n images, drawn over the number done."""
    from lenssim.data.generate import generate, make_plan
    from lenssim.simulate.preset import load_preset

    lines: dict[str, list[tuple[int, float]]] = {"generate": [], "stream": []}
    with tempfile.TemporaryDirectory() as place:
        plan = make_plan(load_preset("III"), n, shard_size=512)
        generate(Path(place) / "D", plan, report=lambda done: lines["generate"].append((done.done, resident())))
        seen = 0
        for batch in loader_of("shards-float32", Path(place) / "D", 0):
            seen += len(batch["image"])
            if seen % (BATCH * 8) == 0:
                lines["stream"].append((seen, resident()))
    from matplotlib.figure import Figure

    picture = Figure(figsize=(6, 3.5), layout="constrained")
    axes = picture.subplots()
    for name, points in lines.items():
        axes.plot(*zip(*points, strict=True), label=name)
        late = [memory for done, memory in points if done > n / 10]
        print(f"{name}: {late[0]:.0f} MB after a tenth, at most {max(late):.0f}, {late[-1]:.0f} MB at the end")
    axes.set(xlabel="images done", ylabel="anonymous memory (MB)", ylim=(0, None))
    axes.legend()
    picture.savefig(figure, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--ways", nargs="*", default=[*OURS, *PACKED, *OTHERS])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--flat", type=int, metavar="N")
    parser.add_argument("--figure", type=Path, default=Path("memory.png"))
    parser.add_argument("--measure", nargs=3, metavar=("WAY", "FOLDER", "WORKERS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        way, folder, workers = options.measure
        print(json.dumps(measure(way, Path(folder), int(workers))))
    elif options.flat:
        flat(options.flat, options.figure)
    else:
        compare(options.n, options.ways, options.out)


if __name__ == "__main__":
    main()
