"""How long the first data set of a preset waits for its kernels, compiled into an empty cache.

uv run python benchmarks/first_compilation.py [--models III,hst-arcs]

Each preset is generated twice in a new process, six images without workers: into an empty cache,
and again. The difference is the first compilation. CPU time is that of all processes; on a machine
with other work it is the only column to read.
"""

import argparse
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path

from waiting import run

IMAGES = 6


def measured(model: str, room: Path) -> tuple[int, float, float]:
    """Return the kernels of a preset, and the seconds and CPU seconds that they take."""
    cache = room / f"{model}-cache"
    cache.mkdir(mode=0o700)
    os.environ["LENSSIM_CACHE"] = str(cache)
    seconds, cpu = [], []
    for turn in ("first", "second"):
        before, start = _cpu(), time.perf_counter()
        size = ("--n", IMAGES, "--workers", 0)
        run(model, "generate", "--model", model, *size, "--out", room / f"{model}-{turn}")
        seconds.append(time.perf_counter() - start)
        cpu.append(_cpu() - before)
    kernels = len(list((cache / "kernels").glob("*.pt2")))
    return kernels, seconds[0] - seconds[1], cpu[0] - cpu[1]


def _cpu() -> float:
    """Return the CPU seconds of all processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="III,III-corrected,hst-arcs,hst")
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} at the start\n")
    print("| first compilation | kernels | seconds | CPU seconds |\n|---|---|---|---|")
    room = Path(tempfile.mkdtemp(prefix="lenssim-first-"))
    try:
        for model in arguments.models.split(","):
            kernels, seconds, cpu = measured(model, room)
            print(f"| {model} | {kernels} | {seconds:.1f} | {cpu:.1f} |", flush=True)
    finally:
        shutil.rmtree(room)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
