"""Everything that a GPU does, in one run of less than nine minutes.

uv run python benchmarks/gpu.py [--minutes 8.5] [--device cuda]

`--device cpu` goes through the same code on machines without a card, to test the script.
Prints a table in Markdown: rendering by batch size and preset, noise drawn on the card and its
bits, end to end into memory and onto the disk, live data, and one epoch of training. What no
longer fits into the minutes is left out, and named.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from lenssim.data.generation.cards import in_threads
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.streaming.live import LiveDataset
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.engines.batched.exposure import deviates
from lenssim.simulate.noise.deviates import normal_deviates
from lenssim.simulate.noise.philox import philox_key
from lenssim.simulate.preset import load_preset

Step = tuple[str, Callable[[str], str]]


def rate(function: Callable[[], object], images: int, device: str) -> str:
    """Images/s of the fastest of three calls after one that warms up and compiles."""
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        function()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    first, fastest = seconds[0], min(seconds[1:])
    return f"{images / fastest:,.0f} images/s ({first:.1f} s for the first)"


def rendering(model: str, count: int, precision: str = "float32") -> Step:
    """Render scenes of a preset at once."""

    def measure(device: str) -> str:
        preset = load_preset(model)
        scenes = draw(preset, np.arange(count), seed=0)
        kernels = "compiled" if device == "cuda" else "eager"
        renderer = engine("batched", precision=precision, device=device, kernels=kernels)

        def render() -> object:
            return renderer.render(
                scenes, preset.instrument, supersampling=preset.supersampling
            )

        return rate(render, count, device)

    return f"render {model}, {precision}, {count:,} at once", measure


def agreement(model: str) -> Step:
    """Compare a card's images with the CPU's."""

    def measure(device: str) -> str:
        preset = load_preset(model)
        scenes = draw(preset, np.arange(6), seed=1)
        images = []
        for place in ("cpu", device):
            renderer = engine("batched", precision="float32", device=place, kernels="eager")
            images.append(renderer.render(scenes, preset.instrument))
        peaks = images[0].max(axis=(1, 2, 3), keepdims=True)
        return f"worst pixel {np.abs(images[1] - images[0]).max() / peaks.max():.1e} of the peak"

    return f"{model} against the CPU", measure


def noise(count: int) -> Step:
    """Draw the deviates of the pixels of images."""

    def measure(device: str) -> str:
        key = philox_key(0, "train")
        numbers = np.arange(count)
        return rate(lambda: deviates(numbers, 0, (64, 64), key, device), count, device)

    return f"normal deviates of {count:,} images", measure


def noise_bits() -> Step:
    """Compare a card's deviates with numpy's."""

    def measure(device: str) -> str:
        numbers = np.arange(256)
        expected = normal_deviates("philox", numbers, (1, 64, 64), seed=0, split="train")
        drawn = deviates(numbers, 0, (64, 64), philox_key(0, "train"), device).cpu().numpy()
        differing = np.count_nonzero(drawn != expected[:, 0])
        return f"{differing:,} of {drawn.size:,} differ, at most {np.abs(drawn - expected[:, 0]).max():.1e}"

    return "normal deviates against numpy's", measure


def generating(model: str, count: int, folder: Path | None, workers: int) -> Step:
    """Make a data set: by threads of this process, or by workers that share the cards."""

    def measure(device: str) -> str:
        room = Path(tempfile.mkdtemp(prefix="lenssim-gpu-", dir=folder))
        try:
            plan = make_plan(load_preset(model), count, device=device)
            runner = in_threads if workers == 0 else None
            start = time.perf_counter()
            generate(room / "D", plan, workers=workers, runner=runner)
            seconds = time.perf_counter() - start
        finally:
            shutil.rmtree(room)
        return f"{count / seconds:,.0f} images/s, start included"

    where = "memory" if folder is not None else "disk"
    hands = f"{workers} workers" if workers else "threads"
    return f"generate {count:,} of {model} into {where}, {hands}", measure


def training(net: str, count: int) -> Step:
    """Train for one epoch on live images."""

    def measure(device: str) -> str:
        room = Path(tempfile.mkdtemp(prefix="lenssim-gpu-"))
        live = {"model": "III", "n": count, "device": device}
        settings = {"task": "classify", "net": net, "epochs": 1, "live": live}
        try:
            start = time.perf_counter()
            run = train(parse_config({**settings, "device": device}), room / "run")
            seconds = time.perf_counter() - start
            epoch = run.epochs()[0]
        finally:
            shutil.rmtree(room)
        waiting = epoch["waiting"] / epoch["seconds"]
        return f"{epoch['seconds']:.1f} s ({waiting:.0%} waiting for images), {seconds:.1f} s in all"

    return f"one epoch of {net} on {count:,} live images", measure


def live(model: str, count: int) -> Step:
    """Read live batches of 1,024."""

    def measure(device: str) -> str:
        dataset = LiveDataset(make_plan(load_preset(model), count, device=device))
        batches = np.arange(count).reshape(-1, 1024)

        def read() -> None:
            for batch in batches:
                dataset.images(batch)

        return rate(read, count, device)

    return f"live batches of 1,024 of {model}", measure


def steps(small: bool) -> list[Step]:
    """All measurements, the most telling first; a tenth of the images if `small`."""
    many = 1024 if small else 8192
    memory = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    return [
        agreement("III"),
        rendering("III", many),
        noise_bits(),
        noise(many),
        generating("III", 4 * many, memory, 0),
        generating("III", (4 if small else 16) * many, memory, 1 if small else 8),
        generating("III", (4 if small else 16) * many, None, 1 if small else 8),
        live("III", many),
        training("cnn" if small else "resnet18", many),
        rendering("hst-arcs", 64),
        rendering("euclid-arcs", 64),
        rendering("III", 64),
        rendering("III", 1024),
        rendering("III", 1024, "float64"),
        rendering("III-corrected", 64),
        agreement("hst-arcs"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=8.5)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--only", type=int, default=None, help="so many measurements")
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else "no card"
    print(f"{name}, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}\n")
    print("| what | figure |\n|---|---|", flush=True)
    for label, measure in steps(arguments.device == "cpu")[: arguments.only]:
        if time.monotonic() > end:
            print(f"| {label} | no time left |", flush=True)
            continue
        try:
            figure = measure(arguments.device)
        except Exception as error:  # the next measurement may work
            figure = f"failed: {type(error).__name__}: {error}"[:200]
        print(f"| {label} | {figure} |", flush=True)


if __name__ == "__main__":
    main()
