"""What supersampling buys and costs, in one run on one core:

uv run python benchmarks/sampling.py [--images 60]

Worst pixel of Model III images in units of their nominal noise, against 24 x 24 rays a pixel, by class, and the cost of
rendering against one ray a pixel. Prints its conditions and a table in Markdown.
"""

import argparse
import os
import platform
import time
from importlib.metadata import version

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

FINEST = 24
SAMPLINGS = (1, 2, 4, 8, 12, "adaptive")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60)
    arguments = parser.parse_args()
    import torch

    from lenssim.simulate.draw import draw, labels
    from lenssim.simulate.engines import engine
    from lenssim.simulate.observe import noise_sigma
    from lenssim.simulate.preset import load_preset

    torch.set_num_threads(1)
    print(
        f"one core of {platform.machine()}, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, "
        f"torch {version('torch')}, {arguments.images} images\n"
    )
    preset, numbers = load_preset("III"), np.arange(arguments.images)
    scenes, own = draw(preset, numbers, seed=0), labels(preset, numbers)
    camera, renderer = (
        preset.instrument,
        engine("batched", precision="float32", device="cpu", kernels="compiled"),
    )
    reference = renderer.render(scenes, camera, supersampling=FINEST)
    sigma = noise_sigma(reference, scenes, camera)
    many = draw(preset, np.arange(192), seed=1)
    base = None
    print(
        f"| rays a pixel side | {' | '.join(preset.class_names)} | cost |\n|---|{'---|' * len(preset.class_names)}---|"
    )
    for sampling in SAMPLINGS:
        worst = (
            np.abs(renderer.render(scenes, camera, supersampling=sampling) - reference)
            / sigma
        ).max((1, 2, 3))
        times = []
        for _ in range(3):
            start = time.thread_time()
            renderer.render(many, camera, supersampling=sampling)
            times.append(time.thread_time() - start)
        base = base or min(times)
        cells = [
            f"{np.median(worst[own == k]):.2f} / {worst[own == k].max():.2f}"
            for k in range(len(preset.classes))
        ]
        print(f"| {sampling} | {' | '.join(cells)} | {min(times) / base:.1f} |", flush=True)


if __name__ == "__main__":
    main()
