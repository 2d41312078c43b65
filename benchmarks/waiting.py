"""What a user waits for, from the shell: images and the first epoch.

uv run python benchmarks/waiting.py [--model III] [--counts 1,3000,90000] [--workers 2]

Each line is a command of a new process, with its seconds from the Return key to the prompt.
Kernels and bytecode are in place: the first, unlisted, run of a single image makes them.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COUNTS = (1, 3_000, 90_000, 1_000_000)


def seconds(*arguments: object) -> float:
    """Seconds of a lenssim command in a process of its own."""
    command = [sys.executable, "-m", "lenssim", *map(str, arguments)]
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="III")
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None, help="where data sets go")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.counts.split(",")]
    room = Path(tempfile.mkdtemp(prefix="lenssim-waiting-", dir=arguments.folder))
    print(f"load {os.getloadavg()[0]:.1f} at the start, {arguments.workers} workers")
    print("| what | seconds | images a second |\n|---|---|---|")
    try:
        _measure(arguments.model, counts, arguments.workers, room)
    finally:
        shutil.rmtree(room)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


def _measure(model: str, counts: list[int], workers: int, room: Path) -> None:
    generate = ("generate", "--model", model)
    seconds(*generate, "--n", 1, "--workers", 0, "--out", room / "warm")
    for count in counts:
        out = room / str(count)
        taken = seconds(*generate, "--n", count, "--workers", workers, "--out", out)
        rate = f"{count / taken:,.0f}"
        print(f"| generate {count:,} | {taken:.1f} | {rate} |", flush=True)
        if count != min(3_000, max(counts)):
            shutil.rmtree(out)
    data = room / str(min(3_000, max(counts)))
    train = ("train", "classify", "--net", "cnn", "--data", data, "--epochs", 1)
    taken = seconds(*train, "--out", room / "run")
    print(f"| first epoch of the quickstart's net, {data.name} images | {taken:.1f} | |")


if __name__ == "__main__":
    main()
