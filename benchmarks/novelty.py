"""Which images are called unlike the training data: share of each population, for training data of each.

    OMP_NUM_THREADS=1 python benchmarks/novelty.py

Images are simulated as they are needed: none is in two of the parts that learn, that judge and that are judged.
"""

import argparse
import os
import platform
import time

import numpy as np

from lenssim.data.generation.simulation import make_plan
from lenssim.data.streaming.live import LiveDataset
from lenssim.learn.scores.novelty import Novelty
from lenssim.simulate.preset import load_preset

POPULATIONS = (
    *(("III", "none"), ("III", "nominal"), ("III-corrected", "nominal")),
    *(
        ("II", "none"),
        ("II", "nominal"),
        ("hst-arcs", "nominal"),
        ("euclid-arcs", "nominal"),
    ),
)


def changed(images: np.ndarray) -> dict[str, np.ndarray]:
    """Images (N, 1, 64, 64) with something done to them, by its name."""
    rng = np.random.default_rng(0)
    peak = images.max((1, 2, 3), keepdims=True)
    noise = rng.normal(size=images.shape)
    place = np.arange(64 * 64).reshape(64, 64)
    half = np.repeat(np.repeat(images[..., 16:48, 16:48], 2, -1), 2, -2)
    around = (
        images
        + np.roll(images, 1, -1)
        + np.roll(images, 1, -2)
        + np.roll(images, (1, 1), (-1, -2))
    ) / 4
    return {
        "noise alone": noise,
        "noise of 0.3 % of the peak more": images + 0.003 * peak * noise,
        "moved by 8 pixels": np.roll(images, 8, -1),
        "pixels of half the size": half,
        "smoothed by 2 x 2 pixels": around,
        "one bright pixel (0.3 of the peak)": np.where(
            place == 11 * 64, 0.3 * peak, images
        ),
        "a dead column": np.where(place % 64 == 40, 0, images),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--learn",
        type=int,
        default=2048,
        help="images to learn from, and to set the alarm by",
    )
    parser.add_argument("--judge", type=int, default=500)
    parser.add_argument("--normalise", default="minmax")
    options = parser.parse_args()
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    print(
        f"{platform.machine()}, Python {platform.python_version()}, threads {threads}; {options}"
    )
    images, names = {}, []
    for model, noise in POPULATIONS:
        name = f"{model}, {noise}"
        dataset = LiveDataset(make_plan(load_preset(model), 1, seed=5, noise=noise))
        count = 2 * options.learn + options.judge
        images[name] = dataset.images(np.arange(count))
        names.append(name)
    cut = 2 * options.learn
    rows = [*names, *changed(images[names[0]][:1])]
    columns = []
    for name in names:
        own, start = images[name], time.perf_counter()
        novelty = Novelty.fit(
            options.normalise, own[: options.learn], own[options.learn : cut]
        )
        seconds = time.perf_counter() - start
        judged = {other: images[other][cut:] for other in names} | changed(own[cut:])
        flagged = [
            np.mean(novelty.p_values(judged[row].astype(np.float32)) <= novelty.threshold)
            for row in rows
        ]
        columns.append(flagged)
        print(f"{name}: learned in {seconds:.1f} s", flush=True)
    print(
        "\n| judged, % called unlike | "
        + " | ".join(f"trained on {name}" for name in names)
        + " |"
    )
    print("|---" * (len(names) + 1) + "|")
    for row, cells in zip(rows, zip(*columns, strict=True), strict=True):
        print(f"| {row} | " + " | ".join(f"{100 * cell:.0f}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
