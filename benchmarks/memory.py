"""Memory of every process while a large data set is generated and then streamed in shuffled batches of 128.

    OMP_NUM_THREADS=1 python benchmarks/memory.py --n 200000 --workers 1 --figure docs/images/memory.png
    OMP_NUM_THREADS=1 python benchmarks/memory.py --n 1000000 --side 16 --workers 0 --folder /dev/shm

A table says at some shares of the images how much memory there was, and what an image took since
the share before. Memory is flat and cost is linear if neither column grows.

Images are Model III's, 64 x 64 float32, unless --side says otherwise. Two figures are sampled,
twice a second, over the process and all its children: private memory (anonymous pages, which a
system cannot take back) and all of it (with pages of files that are mapped). Pages that several
processes share count once (PSS).
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import yaml

BATCH = 128
SHARES = (0.02, 0.1, 0.2, 0.5, 0.8, 0.99)


def tree(process: int) -> list[int]:
    """A process and all below it, from /proc."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
        parents.setdefault(parent, []).append(int(status.parent.name))
    found = [process]
    for one in found:
        found += parents.get(one, [])
    return found


def used(process: int) -> tuple[float, float]:
    """Private memory and PSS, MB, of a process and all below it."""
    private = pss = 0
    for one in tree(process):
        try:
            rows = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            continue
        sizes = {name.rstrip(":"): int(size) for name, size, *_ in map(str.split, rows)}
        private += sizes["Pss_Anon"]
        pss += sizes["Pss"]
    return private / 1024, pss / 1024


class Watch:
    """Samples (images done, private MB, PSS MB, s) from a thread while its context lasts.

    `done` is set by who works.
    """

    def __init__(self, seconds: float = 0.5) -> None:
        self.seconds, self.done, self.over = seconds, 0, threading.Event()
        self.samples: list[tuple[int, float, float, float]] = []
        self.start = time.monotonic()

    def __enter__(self) -> "Watch":
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def _watch(self) -> None:
        while not self.over.wait(self.seconds):
            seconds = time.monotonic() - self.start
            self.samples.append((self.done, *used(os.getpid()), seconds))


def generating(folder: Path, n: int, side: int, workers: int) -> Callable[[Watch], None]:
    from lenssim.data.generation.simulation import generate, make_plan
    from lenssim.simulate.preset import parse_preset, preset_text

    document = yaml.safe_load(preset_text("III"))
    document["instrument"]["num_pix"] = side
    plan = make_plan(parse_preset(document), n)

    def work(watch: Watch) -> None:
        generate(
            folder,
            plan,
            workers=workers,
            report=lambda progress: setattr(watch, "done", progress.done),
        )

    return work


def streaming(folder: Path, workers: int) -> Callable[[Watch], None]:
    from lenssim.data.streaming.dataset import ShardDataset
    from lenssim.data.streaming.sampler import BatchSampler
    from lenssim.data.streaming.stream import stream

    def work(watch: Watch) -> None:
        dataset = ShardDataset(folder)
        for batch in stream(
            dataset, BatchSampler(dataset.rows(), BATCH, **dataset.order), workers
        ):
            watch.done += len(batch["image"])

    return work


def draw(
    figure: Path, lines: dict[str, list[tuple[int, float, float, float]]], title: str
) -> None:
    from matplotlib.figure import Figure

    picture = Figure(figsize=(6.5, 3.8), layout="constrained")
    axes = picture.subplots()
    for (name, samples), colour in zip(lines.items(), ("C0", "C1"), strict=True):
        done, private, pss, _ = zip(*samples, strict=True)
        axes.plot(done, private, colour, label=f"{name}: private")
        axes.plot(done, pss, colour, ls=":", label=f"{name}: with mapped files (PSS)")
    axes.set(
        xlabel="images done",
        ylabel="memory of all processes (MB)",
        ylim=(0, None),
        title=title,
    )
    axes.legend()
    picture.savefig(figure, dpi=120)


def print_growth(name: str, samples: list[tuple[int, float, float, float]], n: int) -> None:
    """Print memory, and the time of an image, at shares of the images."""
    print(
        f"\n| {name}: images | private [MB] | PSS [MB] | us an image since the row before |"
    )
    print("|---|---|---|---|")
    previous = None
    for share in SHARES:
        reached = [sample for sample in samples if sample[0] >= share * n]
        sample = reached[0] if reached else samples[-1]
        done, private, pss, seconds = sample
        cost = ""
        if previous is not None and done > previous[0]:
            cost = f"{1e6 * (seconds - previous[3]) / (done - previous[0]):.0f}"
        print(f"| {done:,} | {private:.0f} | {pss:.0f} | {cost} |", flush=True)
        previous = sample
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200_000)
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument(
        "--workers", type=int, default=1, help="that generate; as many threads read"
    )
    parser.add_argument("--figure", type=Path, default=Path("memory.png"))
    parser.add_argument("--folder", type=Path, default=None, help="where the data set goes")
    options = parser.parse_args()
    lines = {}
    print(
        f"{options.n} images of {options.side} x {options.side}, {options.workers} workers, load {os.getloadavg()[0]}"
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder = Path(place) / "D"
        for name, work in {
            "generate": generating(folder, options.n, options.side, options.workers),
            "stream": streaming(folder, options.workers),
        }.items():
            start = time.monotonic()
            with Watch() as watch:
                work(watch)
            lines[name] = watch.samples
            print_growth(name, watch.samples, options.n)
            for column, what in ((1, "private"), (2, "PSS")):
                late = [
                    sample[column] for sample in watch.samples if sample[0] > options.n / 10
                ]
                if late:
                    print(
                        f"{name}, {what}: {late[0]:.0f} MB after a tenth, at most {max(late):.0f}, {late[-1]:.0f} last"
                    )
            print(
                f"{name}: {watch.done} images in {time.monotonic() - start:.0f} s",
                flush=True,
            )
    draw(
        options.figure,
        lines,
        f"{options.n:,} images of {options.side} x {options.side} pixels",
    )


if __name__ == "__main__":
    main()
