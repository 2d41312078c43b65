"""What two processes do beside each other, as a multiple of what one does alone.

uv run python benchmarks/pairs.py [--seconds 3] [--n 40000] [--memory /dev/shm]

The first rows are the machine's own: work in registers and in the cache, copies through memory,
and files that are flushed. The last rows are `lenssim generate` with one worker and with two, onto
the disk and into memory, with the CPU time of workers and of the process that leads them. Take no
row from a machine with other work.
"""

import argparse
import hashlib
import os
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from disk import images_a_second

SHARD = 2048


def hashes(seconds: float) -> float:
    """Hashes of 16 kB a second: C in the cache."""
    block = bytes(1 << 14)
    count = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(100):
            hashlib.sha256(block).digest()
        count += 100
    return count / seconds


def roots(seconds: float) -> float:
    """Passes over 4,096 doubles a second: numpy in the cache."""
    values = np.linspace(1, 2, 4096)
    result = np.empty_like(values)
    count = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(100):
            np.sqrt(values, out=result)
        count += 100
    return count / seconds


def copies(seconds: float) -> float:
    """Copies of 64 MB a second: memory."""
    source = np.ones(1 << 23)
    target = np.empty_like(source)
    count = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        np.copyto(target, source)
        count += 1
    return count / seconds


def flushed(seconds: float) -> float:
    """Images a second in flushed files of a shard's size."""
    return images_a_second(Path(tempfile.gettempdir()), files=max(4, int(4 * seconds)))


MACHINE = {
    "sha256 of 16 kB (C, in the cache)": hashes,
    "square roots (numpy, in the cache)": roots,
    "copies of 64 MB (memory)": copies,
    "files of a shard's size, flushed (disk)": flushed,
}


def side_by_side(function, seconds: float, count: int) -> float:
    """Return the sum of the rates of `count` processes."""
    with ProcessPoolExecutor(count) as pool:
        list(pool.map(hashes, [0.1] * count))  # all have started
        return sum(pool.map(function, [seconds] * count))


def generated(n: int, workers: int, place: Path | None) -> tuple[float, float, float]:
    """Return images/s between first and last shard, and CPU us an image of workers and leader."""
    from lenssim.data.generation.simulation import generate, make_plan
    from lenssim.simulate.preset import load_preset

    folder = Path(tempfile.mkdtemp(prefix="lenssim-pairs-", dir=place))
    marks: list[tuple[int, float, float, float]] = []

    def note(progress) -> None:
        if progress.done:
            now = time.perf_counter()
            marks.append((progress.done, now, time.process_time(), _workers_seconds()))

    try:
        generate(
            folder / "D", make_plan(load_preset("III"), n), workers=workers, report=note
        )
    finally:
        shutil.rmtree(folder)
    images, seconds, leader, hands = (
        last - first for first, last in zip(marks[0], marks[-2], strict=True)
    )
    return images / seconds, 1e6 * hands / images, 1e6 * leader / images


def _workers_seconds() -> float:
    """Return the CPU seconds of all processes below this one, which live."""
    ticks = os.sysconf("SC_CLK_TCK")
    parents, seconds = {}, {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            facts = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        parents[int(status.parent.name)] = int(facts[1])
        seconds[int(status.parent.name)] = (int(facts[11]) + int(facts[12])) / ticks
    below = [os.getpid()]
    for process in below:
        below += [child for child, parent in parents.items() if parent == process]
    return sum(seconds[process] for process in below[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="of each row of the machine"
    )
    parser.add_argument("--n", type=int, default=40_000, help="images of each data set")
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"), help="a tmpfs")
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} at the start\n")
    print("| work | one process | two | ratio |\n|---|---|---|---|", flush=True)
    for label, function in MACHINE.items():
        one, two = (side_by_side(function, arguments.seconds, count) for count in (1, 2))
        print(f"| {label} | {one:,.0f} | {two:,.0f} | {two / one:.2f} |", flush=True)
    print(
        "\n| `generate`, workers | images/s | ratio | CPU us an image: workers | leader |"
        "\n|---|---|---|---|---|",
        flush=True,
    )
    for label, place in (("disk", None), ("memory", arguments.memory)):
        alone = 0.0
        for workers in (1, 2):
            rate, hands, leader = generated(arguments.n, workers, place)
            alone = alone or rate
            cells = f"{rate:,.0f} | {rate / alone:.2f} | {hands:.0f} | {leader:.0f}"
            print(f"| {label}, {workers} | {cells} |", flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
