"""Images a second into shuffled batches of 128: our shards in each storage, and the formats of others; and how long a
training waits for them.

    OMP_NUM_THREADS=1 uv run --group bench python benchmarks/streaming.py --n 30000 --repeats 3 --out streaming.json

Every way reads the same images, 64 x 64 float32. Each measurement is a process of its own, and the ways take turns, so
that a machine whose speed drifts favours none: compare the ratios, which are taken within a turn. Before the first
epoch the kernel's cache of the files is dropped where it listens (posix_fadvise). Memory is the largest sum of the PSS
of the process and its workers, sampled ten times a second. mosaicml-streaming needs numpy < 2.2: it runs the same code
in an environment of its own that uv makes.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from formats import BATCH, NPY, OTHERS, OURS, SHAPE, forget, loader_of
from memory import used

FORMATS = Path(__file__).with_name("formats.py")
MOSAIC = [
    "uv",
    "run",
    "--no-project",
    "--with",
    "mosaicml-streaming",
    "--with",
    "numpy<2.2",
    "--with",
    "torch",
]
WORKERS = (0, 2)


def interpreter(way: str) -> list[str]:
    """Python with what a way needs."""
    if way == "mosaicml":
        return [*MOSAIC, "--python", platform.python_version(), "python"]
    return [sys.executable]


def child(way: str, what: str, folder: Path, number: int) -> tuple[str, float]:
    """Output and peak memory (MB) of a measurement; `RuntimeError` with its last line if it fails."""
    command = [*interpreter(way), "-P", str(FORMATS), what, way, str(folder), str(number)]
    peak, over = 0.0, threading.Event()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.1):
            peak = max(peak, used(process.pid)[1])

    thread = threading.Thread(target=watch)
    thread.start()
    out, errors = process.communicate()
    over.set()
    thread.join()
    if process.returncode:
        raise RuntimeError((errors.strip().splitlines() or ["no word why"])[-1])
    return out, peak


def prepare(ways: list[str], place: Path, n: int) -> dict[str, float]:
    """The ways that can be measured here, made; MB on disk of each."""
    sizes = {}
    for way in ways:
        if interpreter(way)[0] == "uv" and not shutil.which("uv"):
            print(f"{way}: skipped, no uv to make its environment with", flush=True)
            continue
        try:
            child(way, "make", place / way, n)
        except RuntimeError as error:
            print(f"{way}: skipped, {error}", flush=True)
            continue
        sizes[way] = (
            sum(path.stat().st_size for path in (place / way).rglob("*") if path.is_file())
            / 1e6
        )
    return sizes


def compare(
    ways: list[str], place: Path, repeats: int
) -> dict[tuple[str, int], list[dict[str, float]]]:
    """Every measurement `repeats` times, the ways taking turns."""
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for repeat in range(repeats):
        for workers in WORKERS:
            for way in ways:
                try:
                    out, peak = child(way, "read", place / way, workers)
                except RuntimeError as error:
                    print(f"{way}, {workers} workers: {error}", flush=True)
                    continue
                one = {**json.loads(out.splitlines()[-1]), "MB": round(peak)}
                found.setdefault((way, workers), []).append(one)
                print(f"{way}, {workers} workers: {one}", file=sys.stderr, flush=True)
        print(
            f"turn {repeat + 1} of {repeats}, load {os.getloadavg()[0]:.1f}",
            file=sys.stderr,
            flush=True,
        )
    return found


def table(
    sizes: dict[str, float], found: dict[tuple[str, int], list[dict[str, float]]]
) -> list[dict[str, Any]]:
    """Medians over turns, and the medians of the ratios to .npy files within a turn."""
    rows = []
    for workers in WORKERS:
        base = found.get((NPY, workers), [])
        for way, size in sizes.items():
            own = found.get((way, workers))
            if not own:
                continue
            row: dict[str, Any] = {"way": way, "workers": workers, "disk MB": round(size)}
            for epoch in ("first", "warm"):
                row[epoch] = round(statistics.median(one[epoch] for one in own))
                ratios = [
                    one[epoch] / other[epoch] for one, other in zip(own, base, strict=False)
                ]
                row[f"{epoch} / npy"] = (
                    round(statistics.median(ratios), 1) if ratios else None
                )
            rows.append({**row, "peak MB": max(one["MB"] for one in own)})
    return rows


def stalls(folder: Path, way: str, net: str, batches: int) -> list[dict[str, Any]]:
    """Part of its time that a training of `net` on this machine waits for data, from cold files."""
    from lenssim.learn.inputs.description import ImageDescription
    from lenssim.learn.nets.model import Model

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = []
    for workers in WORKERS:
        forget(folder)
        model = Model(net, "minmax", ImageDescription(SHAPE), 3, 0).to(device)
        optimiser = torch.optim.AdamW(model.parameters())
        waited, images, batch = 0.0, 0, iter(loader_of(way, folder, workers))
        start = time.perf_counter()
        for _ in range(batches):
            before = time.perf_counter()
            one = next(batch)
            waited += time.perf_counter() - before
            loss = torch.nn.functional.cross_entropy(
                model(one["image"].to(device)), one["label"].to(device)
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss.item()
            images += len(one["image"])
        took = time.perf_counter() - start
        del batch
        rows.append(
            {
                "net": net,
                "way": way,
                "workers": workers,
                "img/s": round(images / took),
                "waits": waited / took,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=30_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--ways", nargs="*", default=[*OURS, *OTHERS], help=", ".join([*OURS, *OTHERS])
    )
    parser.add_argument("--net", default="cnn", help="whose training is timed")
    parser.add_argument("--batches", type=int, default=100, help="of that training")
    parser.add_argument("--out", type=Path, help="JSON file with every measurement")
    options = parser.parse_args()
    print(
        f"{options.n} images of 64 x 64 in batches of {BATCH}, {options.repeats} turns; "
        f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, "
        f"numpy {np.__version__}, torch {torch.__version__} of {torch.get_num_threads()} threads"
    )
    with tempfile.TemporaryDirectory() as home:
        place = Path(home)
        sizes = prepare(options.ways, place, options.n)
        found = compare(list(sizes), place, options.repeats)
        rows = table(sizes, found)
        print(f"\n| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}")
        for row in rows:
            print(
                f"| {' | '.join(f'{x:,}' if isinstance(x, int) else str(x) for x in row.values())} |"
            )
        print()
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        waits = [
            line
            for way in sizes
            if way in OURS
            for line in stalls(place / way, way, options.net, options.batches)
        ]
        for row in waits:
            print(
                f"training {row['net']} on {row['way']}, {row['workers']} workers: {row['img/s']:,} img/s, "
                f"{100 * row['waits']:.2f} % of the time waiting for data"
            )
    if options.out is not None:
        every = [
            {"way": way, "workers": workers, "turns": turns}
            for (way, workers), turns in found.items()
        ]
        options.out.write_text(
            json.dumps({"rows": rows, "stalls": waits, "every": every}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
